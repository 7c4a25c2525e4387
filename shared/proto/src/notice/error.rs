//! Why a notice wasn't believed, and how often. Counted apart, since drift is not attack.

use forewarn_wire::notice::{BadMac, Kind, NoticeError};
use thiserror::Error;

use super::Mark;
use super::verify::Disposition;

/// Why a notice wasn't believed. It moved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No notice at all, or a truncated or contradictory one.
    #[error("malformed: {0}")]
    Malformed(NoticeError),
    /// From a server that isn't configured, or for another client.
    #[error("from an unknown sender, or for somebody else")]
    UnknownSender,
    /// Signed with a key we don't have.
    #[error("key {id} is unknown")]
    UnknownKey {
        /// The number it names.
        id: u8,
    },
    /// Of a type that a server doesn't send to an agent, or an agent to a server.
    #[error("{kind:?} doesn't go this way")]
    WrongKind {
        /// The type.
        kind: Kind,
    },
    /// Its time is too far from ours: an old notice, or a clock that is off. The MAC wasn't looked at.
    #[error("stale: its clock differs by {skew_ms} ms")]
    Stale {
        /// How far the sender's clock is ahead.
        skew_ms: i64,
    },
    /// The MAC doesn't vouch for it.
    #[error("{0}")]
    BadMac(BadMac),
    /// The MAC is right, but a later one has been seen.
    #[error("replayed: epoch {}, sequence {} has passed", mark.epoch, mark.sequence)]
    Replay {
        /// Its place.
        mark: Mark,
    },
}

/// What came in, by what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acted on.
    pub accepted: u64,
    /// Acted on before; acknowledged again.
    pub duplicate: u64,
    /// See [`Refusal::Malformed`].
    pub malformed: u64,
    /// See [`Refusal::UnknownSender`].
    pub unknown_sender: u64,
    /// See [`Refusal::UnknownKey`].
    pub unknown_key: u64,
    /// See [`Refusal::WrongKind`].
    pub wrong_kind: u64,
    /// See [`Refusal::Stale`].
    pub stale: u64,
    /// See [`Refusal::BadMac`].
    pub bad_mac: u64,
    /// See [`Refusal::Replay`].
    pub replay: u64,
    /// CHALLENGEs sent (an agent) or answered (a server).
    pub challenges: u64,
}

impl Counts {
    /// All that wasn't believed.
    pub const fn refused(&self) -> u64 {
        self.malformed
            + self.unknown_sender
            + self.unknown_key
            + self.wrong_kind
            + self.stale
            + self.bad_mac
            + self.replay
    }

    pub(crate) fn accept(&mut self, disposition: Disposition) {
        match disposition {
            Disposition::Accepted => self.accepted += 1,
            Disposition::Duplicate => self.duplicate += 1,
        }
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        *match refusal {
            Refusal::Malformed(_) => &mut self.malformed,
            Refusal::UnknownSender => &mut self.unknown_sender,
            Refusal::UnknownKey { .. } => &mut self.unknown_key,
            Refusal::WrongKind { .. } => &mut self.wrong_kind,
            Refusal::Stale { .. } => &mut self.stale,
            Refusal::BadMac(_) => &mut self.bad_mac,
            Refusal::Replay { .. } => &mut self.replay,
        } += 1;
    }
}
