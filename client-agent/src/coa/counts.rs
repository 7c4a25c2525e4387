//! What became of what the servers asked of the NAS software, and of its answers: each counted.

use forewarn_wire::{Code, Forgery, FrameError};

/// What became of a datagram at the door for CoA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Fate {
    /// A request that was handed to the NAS software.
    HandedOver,
    /// A retransmission of one that waits for its answer: handed over again.
    HandedOverAgain,
    /// A retransmission of one that was answered: the same answer again.
    Replayed,
    /// The NAS software's ACK, on its way to the server.
    Ack,
    /// Its NAK, on its way to the server.
    Nak,
    /// The NAS software didn't answer; its server asks again, or gives up.
    NasSilent,
    /// Not from one of the servers.
    UnknownServer,
    /// No RADIUS packet.
    Malformed,
    /// Neither a CoA-Request nor a Disconnect-Request.
    UnknownCode,
    /// The secret is wrong, or somebody forged it.
    Forged,
    /// Message-Authenticator is required of this server and missing.
    MissingMessageAuthenticator,
    /// Event-Timestamp is required and missing.
    MissingEventTimestamp,
    /// Its Event-Timestamp is too far from our clock.
    Stale,
    /// One that was seen before, from another port: recorded, and sent again by somebody.
    Replay,
    /// Too many requests are remembered, or wait for the NAS software.
    Full,
    /// It can't be handed over: it would grow over 4096 octets, or something hidden in it can't be re-encrypted.
    CannotForward,
    /// A reply of the NAS software that no request waits for.
    NasUnexpected,
    /// A reply of the NAS software that the local secret doesn't fit.
    NasForged,
    /// A reply of the NAS software without Message-Authenticator, which is required.
    NasMissingMessageAuthenticator,
}

impl Fate {
    const ALL: [Fate; FATES] = [
        Fate::HandedOver,
        Fate::HandedOverAgain,
        Fate::Replayed,
        Fate::Ack,
        Fate::Nak,
        Fate::NasSilent,
        Fate::UnknownServer,
        Fate::Malformed,
        Fate::UnknownCode,
        Fate::Forged,
        Fate::MissingMessageAuthenticator,
        Fate::MissingEventTimestamp,
        Fate::Stale,
        Fate::Replay,
        Fate::Full,
        Fate::CannotForward,
        Fate::NasUnexpected,
        Fate::NasForged,
        Fate::NasMissingMessageAuthenticator,
    ];

    /// Its stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fate::HandedOver => "coa.handed-over",
            Fate::HandedOverAgain => "coa.handed-over-again",
            Fate::Replayed => "coa.answered-again",
            Fate::Ack => "coa.acks",
            Fate::Nak => "coa.naks",
            Fate::NasSilent => "coa.nas-silent",
            Fate::UnknownServer => "coa.unknown-server",
            Fate::Malformed => "coa.malformed",
            Fate::UnknownCode => "coa.unknown-code",
            Fate::Forged => "coa.forged",
            Fate::MissingMessageAuthenticator => "coa.no-message-authenticator",
            Fate::MissingEventTimestamp => "coa.no-event-timestamp",
            Fate::Stale => "coa.stale",
            Fate::Replay => "coa.replay",
            Fate::Full => "coa.full",
            Fate::CannotForward => "coa.cannot-forward",
            Fate::NasUnexpected => "coa.nas-unexpected",
            Fate::NasForged => "coa.nas-forged",
            Fate::NasMissingMessageAuthenticator => "coa.nas-no-message-authenticator",
        }
    }

    /// A reply of this code on its way to the server.
    #[must_use]
    pub fn of_reply(code: Code) -> Fate {
        match code {
            Code::DISCONNECT_ACK | Code::COA_ACK => Fate::Ack,
            _ => Fate::Nak,
        }
    }
}

impl From<FrameError> for Fate {
    fn from(_: FrameError) -> Fate {
        Fate::Malformed
    }
}

impl From<Forgery> for Fate {
    fn from(_: Forgery) -> Fate {
        Fate::Forged
    }
}

const FATES: usize = Fate::NasMissingMessageAuthenticator as usize + 1;

/// How often each fate befell a datagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; FATES]);

impl Counts {
    /// One more.
    pub fn add(&mut self, fate: Fate) {
        self.0[fate as usize] += 1;
    }

    /// How often so far.
    #[must_use]
    pub fn of(&self, fate: Fate) -> u64 {
        self.0[fate as usize]
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Fate::ALL.iter().map(|fate| (fate.name(), self.of(*fate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fate_has_its_own_place_and_name() {
        for (place, fate) in Fate::ALL.iter().enumerate() {
            assert_eq!(*fate as usize, place);
        }
        let names: std::collections::BTreeSet<_> = Fate::ALL.iter().map(|fate| fate.name()).collect();
        assert_eq!(names.len(), FATES);
    }
}
