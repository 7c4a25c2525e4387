//! What became of what the servers asked of the NAS software, and of its answers: each counted.

use forewarn_wire::{Code, Forgery, FrameError};

use crate::counts::counted;

counted! {
    /// What became of a datagram at the door for CoA.
    pub enum Fate {
        /// A request that was handed to the NAS software.
        HandedOver = "coa.handed-over",
        /// A retransmission of one that waits for its answer: handed over again.
        HandedOverAgain = "coa.handed-over-again",
        /// A retransmission of one that was answered: the same answer again.
        Replayed = "coa.answered-again",
        /// The NAS software's ACK, on its way to the server.
        Ack = "coa.acks",
        /// Its NAK, on its way to the server.
        Nak = "coa.naks",
        /// The NAS software didn't answer; its server asks again, or gives up.
        NasSilent = "coa.nas-silent",
        /// Not from one of the servers.
        UnknownServer = "coa.unknown-server",
        /// No RADIUS packet.
        Malformed = "coa.malformed",
        /// Neither a CoA-Request nor a Disconnect-Request.
        UnknownCode = "coa.unknown-code",
        /// The secret is wrong, or somebody forged it.
        Forged = "coa.forged",
        /// Message-Authenticator is required of this server and missing.
        MissingMessageAuthenticator = "coa.no-message-authenticator",
        /// Event-Timestamp is required and missing.
        MissingEventTimestamp = "coa.no-event-timestamp",
        /// Its Event-Timestamp is too far from our clock.
        Stale = "coa.stale",
        /// One that was seen before, from another port: recorded, and sent again by somebody.
        Replay = "coa.replay",
        /// Too many requests are remembered, or wait for the NAS software.
        Full = "coa.full",
        /// It can't be handed over: it would grow over 4096 octets, or something hidden in it can't be re-encrypted.
        CannotForward = "coa.cannot-forward",
        /// A reply of the NAS software that no request waits for.
        NasUnexpected = "coa.nas-unexpected",
        /// A reply of the NAS software that the local secret doesn't fit.
        NasForged = "coa.nas-forged",
        /// A reply of the NAS software without Message-Authenticator, which is required.
        NasMissingMessageAuthenticator = "coa.nas-no-message-authenticator",
    }
}

impl Fate {
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
