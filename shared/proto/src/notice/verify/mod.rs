//! The agent's half: which notices to believe, and what to say to the servers.
//!
//! ```text
//! parse -> for me? -> server configured? -> key known? -> type a server's? -> fresh? -> MAC right? -> above the mark?
//!                                                                             |                         |
//!                                                  or echoes my nonce <-------+------- refused: CHALLENGE
//! ```
//!
//! Freshness comes before the MAC, so that a flood of old notices costs no cryptography. A notice that echoes the
//! nonce of our own CHALLENGE is accepted whatever its time and the mark, once, and sets the mark.

mod challenge;
#[cfg(test)]
mod tests;

use std::time::Duration;

use forewarn_wire::Verified;
use forewarn_wire::notice::{
    self, Flags, Header, Identity, Kind, MAX_OCTETS, Notice, NoticeWriteError, Outcome, Reason, Tlv,
};
use rand_core::CryptoRng;

use super::{KeyEntry, KeyRing, Mark, Transport};
use crate::time::{Instant, Utc};
use challenge::Challenge;

pub use super::error::{Counts, Refusal};
pub use challenge::{AGAIN, CHALLENGE_EVERY, CHALLENGE_SELDOM, CHALLENGE_TRIES};

/// A notice's time may differ from ours by this much.
pub const WINDOW: Duration = Duration::from_secs(30);

/// A server that may send notices.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its configured identity.
    pub server: Identity,
    /// The pair's keys; without any, nothing it sends is believed and nothing is sent to it.
    pub keys: Vec<KeyEntry>,
    /// The mark persisted at the last notice acted on.
    pub mark: Option<Mark>,
}

/// Whether an accepted notice says something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Act on it, persist the mark, acknowledge.
    Accepted,
    /// It was acted on before: only acknowledge again, with the outcome it had.
    Duplicate,
}

/// A notice to believe.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a> {
    /// The index of the server, in the order they were given.
    pub server: usize,
    /// New or not.
    pub disposition: Disposition,
    /// What it says.
    pub notice: Verified<Notice<'a>>,
}

impl Accepted<'_> {
    /// Where it stands in the server's stream; what its ACK names.
    pub fn mark(&self) -> Mark {
        Mark { epoch: self.notice.header().epoch, sequence: self.notice.header().sequence }
    }

    /// The server wants to know that it came.
    pub fn wants_ack(&self) -> bool {
        self.notice.header().flags.contains(Flags::ACK_WANTED)
    }
}

/// A message to send to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The index of the server; to its configured address.
    pub server: usize,
    /// By this transport; none: by each there is.
    pub via: Option<Transport>,
    /// Octets in the buffer.
    pub len: usize,
}

#[derive(Debug)]
struct Peer {
    server: Identity,
    keys: Option<KeyRing>,
    mark: Option<Mark>,
    challenge: Challenge,
    skew_ms: Option<i64>,
}

/// The machine of one agent (or proxy): all its servers.
#[derive(Debug)]
pub struct Inbox {
    client: Identity,
    sender: u32,
    window: Duration,
    /// Our own place: the last message sent.
    own: Mark,
    peers: Vec<Peer>,
    counts: Counts,
}

impl Inbox {
    /// The inbox of `client`, whose messages carry `sender` and `epoch` (see [`super::epoch_at_start`]). CHALLENGEs to
    /// all servers are due at once, at `now`.
    pub fn new(
        client: Identity,
        sender: u32,
        epoch: u32,
        sources: impl IntoIterator<Item = Source>,
        now: Instant,
    ) -> Inbox {
        let peer = |source: Source| {
            let keys = KeyRing::new(&source.keys, source.server, client);
            let mut challenge = Challenge::default();
            if keys.is_some() {
                challenge.want(now, None);
            }
            Peer { server: source.server, keys, mark: source.mark, challenge, skew_ms: None }
        };
        let peers = sources.into_iter().map(peer).collect();
        let own = Mark::start_of(epoch);
        Inbox { client, sender, window: WINDOW, own, peers, counts: Counts::default() }
    }

    /// What came, counted by what became of it.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The mark of a server, to be persisted after acting.
    pub fn mark(&self, server: usize) -> Option<Mark> {
        self.peers.get(server)?.mark
    }

    /// How far a server's clock was ahead of ours in the last notice its MAC vouched for, in milliseconds.
    pub fn skew_ms(&self, server: usize) -> Option<i64> {
        self.peers.get(server)?.skew_ms
    }

    /// A payload came, by `via`. What is refused is counted, and may have a CHALLENGE sent.
    pub fn handle_notice<'a>(
        &mut self,
        now: Instant,
        utc: Utc,
        via: Transport,
        payload: &'a [u8],
    ) -> Result<Accepted<'a>, Refusal> {
        let result = self.judge(now, utc, via, payload);
        match &result {
            Ok(accepted) => self.counts.accept(accepted.disposition),
            Err(refusal) => self.counts.refuse(*refusal),
        }
        result
    }

    fn judge<'a>(
        &mut self,
        now: Instant,
        utc: Utc,
        via: Transport,
        payload: &'a [u8],
    ) -> Result<Accepted<'a>, Refusal> {
        let unverified = Notice::parse(payload).map_err(Refusal::Malformed)?;
        let header = *unverified.peek().header();
        if header.client != self.client {
            return Err(Refusal::UnknownSender);
        }
        let known = self.peers.iter().position(|peer| peer.server == header.server);
        let server = known.ok_or(Refusal::UnknownSender)?;
        let peer = &mut self.peers[server];
        let keys = peer.keys.as_ref().ok_or(Refusal::UnknownKey { id: header.key_id })?;
        let key = keys.find(header.key_id).ok_or(Refusal::UnknownKey { id: header.key_id })?;
        if !is_for_agents(header.kind) {
            return Err(Refusal::WrongKind { kind: header.kind });
        }
        let mark = Mark { epoch: header.epoch, sequence: header.sequence };
        let time = Utc::from_millis(header.utc_ms);
        let echo = unverified.peek().nonce().and_then(|nonce| peer.challenge.judge(now, &nonce));
        let is_echo_again = echo == Some(challenge::Echo::Again) && peer.mark == Some(mark);
        if time.distance(utc) > self.window && echo != Some(challenge::Echo::Fresh) && !is_echo_again {
            let was_right = |skew_ms: i64| u128::from(skew_ms.unsigned_abs()) <= self.window.as_millis() / 2;
            match peer.skew_ms.is_some_and(was_right) {
                true => peer.challenge.want_seldom(now, Some(via)),
                false => peer.challenge.want(now, Some(via)),
            }
            return Err(Refusal::Stale { skew_ms: skew_ms(time, utc) });
        }
        let notice = unverified.verify(key).map_err(Refusal::BadMac)?;
        peer.skew_ms = Some(skew_ms(time, utc));
        let is_new = echo == Some(challenge::Echo::Fresh) || peer.mark.is_none_or(|last| mark > last);
        if is_new {
            peer.mark = Some(mark);
            peer.challenge.settle(now, echo == Some(challenge::Echo::Fresh));
            Ok(Accepted { server, disposition: Disposition::Accepted, notice })
        } else if peer.mark == Some(mark) {
            Ok(Accepted { server, disposition: Disposition::Duplicate, notice })
        } else {
            peer.challenge.want(now, Some(via));
            Err(Refusal::Replay { mark })
        }
    }

    /// Ask a server, again from the beginning, what is in force.
    pub fn challenge(&mut self, server: usize, now: Instant) {
        if let Some(peer) = self.peers.get_mut(server).filter(|peer| peer.keys.is_some()) {
            peer.challenge.want(now, None);
        }
    }

    /// The next CHALLENGE that is due, written into `out`.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        utc: Utc,
        rng: &mut dyn CryptoRng,
        out: &mut [u8; MAX_OCTETS],
    ) -> Option<Transmit> {
        let due = |peer: &Peer| peer.challenge.due().is_some_and(|due| due <= now);
        let server = self.peers.iter().position(due)?;
        let (nonce, via) = self.peers[server].challenge.send(now, rng);
        self.counts.challenges += 1;
        let written = self.write(server, Kind::Challenge, Reason::UNSPECIFIED, utc, Tlv::Nonce(nonce), out);
        written.ok().map(|len| Transmit { server, via, len })
    }

    /// When the next CHALLENGE is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.peers.iter().filter_map(|peer| peer.challenge.due()).min()
    }

    /// Writes the ACK of the notice at `mark`, to go back the way the notice came. Answers its octets; an error says
    /// that the server has no keys, or is none of ours.
    pub fn acknowledge(
        &mut self,
        server: usize,
        mark: Mark,
        outcome: Outcome,
        utc: Utc,
        out: &mut [u8; MAX_OCTETS],
    ) -> Result<usize, Unaddressable> {
        let acked = Tlv::Acked { epoch: mark.epoch, sequence: mark.sequence, outcome };
        self.write(server, Kind::Ack, Reason::UNSPECIFIED, utc, acked, out)
    }

    /// Writes a RECONNECT-REQUEST: may this agent come back?
    pub fn reconnect_request(
        &mut self,
        server: usize,
        reason: Reason,
        utc: Utc,
        out: &mut [u8; MAX_OCTETS],
    ) -> Result<usize, Unaddressable> {
        self.write(server, Kind::ReconnectRequest, reason, utc, None, out)
    }

    /// Writes a HELLO, which registers the way it travels as one by which this agent can be told.
    pub fn hello(
        &mut self,
        server: usize,
        utc: Utc,
        out: &mut [u8; MAX_OCTETS],
    ) -> Result<usize, Unaddressable> {
        self.write(server, Kind::Hello, Reason::UNSPECIFIED, utc, None, out)
    }

    fn write(
        &mut self,
        server: usize,
        kind: Kind,
        reason: Reason,
        utc: Utc,
        tlv: impl Into<Option<Tlv<'static>>>,
        out: &mut [u8; MAX_OCTETS],
    ) -> Result<usize, Unaddressable> {
        let peer = self.peers.get(server).ok_or(Unaddressable::NoServer)?;
        let (key_id, key) = peer.keys.as_ref().ok_or(Unaddressable::NoKey)?.sending();
        self.own = self.own.next();
        let header = Header {
            key_id,
            reason,
            sender: self.sender,
            epoch: self.own.epoch,
            sequence: self.own.sequence,
            utc_ms: utc.as_millis(),
            ..Header::new(kind, peer.server, self.client)
        };
        notice::write(out, &header, tlv.into(), key).map_err(Unaddressable::Unwritable)
    }
}

/// A message can't be made for this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unaddressable {
    /// There is no such server.
    #[error("no such server")]
    NoServer,
    /// It has no notice key.
    #[error("the server has no notice key")]
    NoKey,
    /// A defect of ours.
    #[error("the message can't be written: {0}")]
    Unwritable(NoticeWriteError),
}

/// PEER-DOWN waits for the cluster: until buddies have keys of their own, nobody may speak for another server.
fn is_for_agents(kind: Kind) -> bool {
    matches!(kind, Kind::Failover | Kind::Reconnect | Kind::Refused | Kind::Load)
}

fn skew_ms(theirs: Utc, ours: Utc) -> i64 {
    let distance = i64::try_from(theirs.as_millis().abs_diff(ours.as_millis())).unwrap_or(i64::MAX);
    if theirs >= ours { distance } else { -distance }
}
