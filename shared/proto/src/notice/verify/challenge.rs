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

/// Where the server's clock is known to be right, notices that aren't fresh have it asked less and less often, down to
/// once in this time: anybody can send them, and they would be all it takes to keep both sides busy.
pub const CHALLENGE_SELDOM: Duration = Duration::from_secs(60);

/// How long a nonce that was echoed is still good for telling a retransmission.
pub const AGAIN: Duration = Duration::from_secs(10);

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
    /// How long after the last one the next one may be for want of freshness, less [`CHALLENGE_EVERY`].
    reserve: Duration,
    outstanding: Option<[u8; 16]>,
    /// And when it was.
    accepted: Option<([u8; 16], Instant)>,
}

impl Challenge {
    /// One is wanted, by the way that `via` says at first, as soon as [`CHALLENGE_EVERY`] allows. One that would be
    /// repeated later than that is brought forward: somebody speaks again.
    pub(super) fn want(&mut self, now: Instant, via: Option<Transport>) {
        self.want_after(CHALLENGE_EVERY, now, via);
    }

    /// As [`want`](Challenge::want), for want of freshness in a server whose clock is known to be right: each time the next
    /// one may be later, until a while has gone by without.
    pub(super) fn want_seldom(&mut self, now: Instant, via: Option<Transport>) {
        if self.sent.is_none_or(|sent| now.since(sent) > 2 * CHALLENGE_SELDOM) {
            self.reserve = Duration::ZERO;
        }
        let every = CHALLENGE_EVERY + self.reserve;
        if self.want_after(every, now, via) {
            self.reserve = (2 * every).min(CHALLENGE_SELDOM) - CHALLENGE_EVERY;
        }
    }

    /// Whether one is wanted that wasn't before.
    fn want_after(&mut self, every: Duration, now: Instant, via: Option<Transport>) -> bool {
        let earliest = self.sent.map_or(now, |sent| now.max(sent + every));
        let is_sooner = self.due.is_none_or(|due| due > earliest);
        if is_sooner {
            self.tries = 0;
            self.via = via;
            self.due = Some(earliest);
        }
        is_sooner
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

    pub(super) fn judge(&self, now: Instant, nonce: &[u8; 16]) -> Option<Echo> {
        if self.outstanding.as_ref() == Some(nonce) {
            Some(Echo::Fresh)
        } else if self.accepted.is_some_and(|(accepted, at)| accepted == *nonce && now < at + AGAIN) {
            Some(Echo::Again)
        } else {
            None
        }
    }

    /// A notice was accepted: what is in force is known. The nonce is done with, or an older notice that echoes it
    /// could still take the mark back.
    pub(super) fn settle(&mut self, now: Instant, by_echo: bool) {
        let outstanding = self.outstanding.take();
        if by_echo {
            self.accepted = outstanding.map(|nonce| (nonce, now));
        }
        self.due = None;
    }
}
