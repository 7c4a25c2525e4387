//! Requests that are not taken, and what is counted.

use forewarn_wire::{Code, Forgery};
use thiserror::Error;

/// Why a request was not taken. Its sender gets silence, and tries again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Refused {
    /// As many requests as are allowed are in flight.
    #[error("too many requests in flight")]
    Full,
    /// All identifiers towards the server are outstanding.
    #[error("no identifier left towards the server")]
    NoIdentifier,
    /// The packet is no request of this kind: the caller's mistake.
    #[error("{0} is no request of this kind")]
    Code(Code),
}

/// Why a request ended without a reply for its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum GiveUp {
    /// Nobody answered in time.
    #[error("no server answered in time")]
    TimeOut,
    /// It can't be written for the server: too long, or something hidden in it can't be revealed.
    #[error("the request can't be forwarded")]
    Request,
    /// The server's reply can't be written for the asker.
    #[error("the reply can't be forwarded")]
    Reply,
}

/// What happened with one server; each only rises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ServerCounters {
    /// Requests sent for the first time, to anybody.
    pub sent: u64,
    /// Requests sent here after another server.
    pub moved_here: u64,
    /// Requests sent here again.
    pub retransmitted: u64,
    /// Status-Servers sent.
    pub probes: u64,
    /// Status-Servers answered.
    pub probes_answered: u64,
    /// Replies that ended a request.
    pub answered: u64,
    /// Replies nobody waits for (any more).
    pub unexpected: u64,
    /// Datagrams that are no packets.
    pub malformed: u64,
    /// Replies to Access-Requests without Message-Authenticator: discarded where it is required of this server.
    pub without_message_authenticator: u64,
    /// Replies that the secret doesn't vouch for, or of a code that answers nothing.
    pub forged: u64,
}

impl ServerCounters {
    pub(super) fn count(&mut self, forgery: Forgery) {
        match forgery {
            Forgery::MissingMessageAuthenticator => self.without_message_authenticator += 1,
            _ => self.forged += 1,
        }
    }
}

/// What happened otherwise; each only rises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests taken.
    pub requests: u64,
    /// Requests refused because too many were in flight.
    pub refused_full: u64,
    /// Requests refused because no identifier was left.
    pub refused_no_identifier: u64,
    /// Moves put off because no identifier was left.
    pub stuck: u64,
    /// Replies handed back.
    pub answered: u64,
    /// Requests given up because nobody answered in time.
    pub timed_out: u64,
    /// Requests given up because they, or their replies, couldn't be written.
    pub unforwardable: u64,
    /// Requests abandoned by their sender.
    pub abandoned: u64,
    /// Datagrams from addresses that are no server's.
    pub unknown_sender: u64,
    /// Events lost because nobody read them.
    pub events_lost: u64,
}
