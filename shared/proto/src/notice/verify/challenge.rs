//! When to ask a server for proof that it speaks now, and whether it gave it.

use std::time::Duration;

use rand_core::CryptoRng;

use crate::notice::Transport;
use crate::time::Instant;

/// At most one CHALLENGE per server in this time.
pub const CHALLENGE_EVERY: Duration = Duration::from_secs(1);

/// An unanswered CHALLENGE is repeated, at doubling intervals, this many times in all: a server that doesn't speak
/// notices isn't asked for ever, and one that comes up later speaks first.
pub const CHALLENGE_TRIES: u32 = 6;

/// What a notice's nonce is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    /// The one that is out: good once.
    Fresh,
    /// The one accepted last: good for telling a retransmission.
    Again,
}

/// One server's.
#[derive(Debug, Default)]
pub(super) struct Challenge {
    due: Option<Instant>,
    via: Option<Transport>,
    sent: Option<Instant>,
    tries: u32,
    outstanding: Option<[u8; 16]>,
    accepted: Option<[u8; 16]>,
}

impl Challenge {
    /// One is wanted, by the way that `via` says at first, as soon as [`CHALLENGE_EVERY`] allows. One that would be
    /// repeated later than that is brought forward: somebody speaks again.
    pub(super) fn want(&mut self, now: Instant, via: Option<Transport>) {
        let earliest = self.sent.map_or(now, |sent| now.max(sent + CHALLENGE_EVERY));
        if self.due.is_none_or(|due| due > earliest) {
            self.tries = 0;
            self.via = via;
            self.due = Some(earliest);
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// It is sent now. The nonce stays the same until it is echoed, so that a late answer to the first is one.
    pub(super) fn send(&mut self, now: Instant, rng: &mut dyn CryptoRng) -> ([u8; 16], Option<Transport>) {
        let nonce = *self.outstanding.get_or_insert_with(|| {
            let mut nonce = [0; 16];
            rng.fill_bytes(&mut nonce);
            nonce
        });
        let via = if self.tries == 0 { self.via } else { None };
        self.due = (self.tries + 1 < CHALLENGE_TRIES).then(|| now + CHALLENGE_EVERY * (1 << self.tries));
        self.tries += 1;
        self.sent = Some(now);
        (nonce, via)
    }

    pub(super) fn judge(&self, nonce: &[u8; 16]) -> Option<Echo> {
        if self.outstanding.as_ref() == Some(nonce) {
            Some(Echo::Fresh)
        } else if self.accepted.as_ref() == Some(nonce) {
            Some(Echo::Again)
        } else {
            None
        }
    }

    /// A notice was accepted: what is in force is known. The nonce is done with, or an older notice that echoes it
    /// could still take the mark back.
    pub(super) fn settle(&mut self, by_echo: bool) {
        let outstanding = self.outstanding.take();
        if by_echo {
            self.accepted = outstanding;
        }
        self.due = None;
    }
}
