//! What became of the datagrams of the NAS software: answer and cause, each counted.

use forewarn_wire::{Code, Forgery, FrameError};

/// What became of a datagram at the front door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Fate {
    /// An Access-Request on its way to a server.
    ForwardedAuth,
    /// An Accounting-Request on its way to a server.
    ForwardedAcct,
    /// A retransmission of one that is on its way: it joins.
    DuplicateInProgress,
    /// A retransmission of one that was answered: the same reply again.
    DuplicateReplayed,
    /// A Status-Server, answered by the agent itself (RFC 5997).
    StatusServer,
    /// Relayed: Access-Accept.
    Accept,
    /// Relayed: Access-Reject.
    Reject,
    /// Relayed: Access-Challenge.
    Challenge,
    /// Relayed: Accounting-Response.
    AccountingResponse,
    /// Relayed: something else that may answer, as Protocol-Error does.
    OtherReply,
    /// A reply nobody waits for any more: the NAS has sent another request in its place.
    ReplyUnwanted,
    /// No server answered in time; silence, never a reject.
    GivenUp,
    /// Not from one of the door's `clients`.
    UnknownClient,
    /// No RADIUS packet: shorter than a header.
    Short,
    /// No RADIUS packet: the Length field is impossible, or more than came.
    BadLength,
    /// No RADIUS packet: an attribute's length is impossible.
    BadAttribute,
    /// A code that isn't taken at this door.
    UnknownCode,
    /// The secret is wrong, or somebody forged it.
    BadAuthenticator,
    /// The secret is wrong, or somebody forged it.
    BadMessageAuthenticator,
    /// Message-Authenticator is required here and missing.
    MissingMessageAuthenticator,
    /// EAP-Message without Message-Authenticator (RFC 3579 section 3.1).
    EapWithoutMessageAuthenticator,
    /// Too many requests on their way at once.
    Full,
    /// It can't be sent on: it would grow over 4096 octets, or something hidden in it can't be re-encrypted.
    CannotForward,
}

impl Fate {
    const ALL: [Fate; FATES] = [
        Fate::ForwardedAuth,
        Fate::ForwardedAcct,
        Fate::DuplicateInProgress,
        Fate::DuplicateReplayed,
        Fate::StatusServer,
        Fate::Accept,
        Fate::Reject,
        Fate::Challenge,
        Fate::AccountingResponse,
        Fate::OtherReply,
        Fate::ReplyUnwanted,
        Fate::GivenUp,
        Fate::UnknownClient,
        Fate::Short,
        Fate::BadLength,
        Fate::BadAttribute,
        Fate::UnknownCode,
        Fate::BadAuthenticator,
        Fate::BadMessageAuthenticator,
        Fate::MissingMessageAuthenticator,
        Fate::EapWithoutMessageAuthenticator,
        Fate::Full,
        Fate::CannotForward,
    ];

    /// Its stable name: the answer, a dot, the cause.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fate::ForwardedAuth => "forwarded.auth",
            Fate::ForwardedAcct => "forwarded.acct",
            Fate::DuplicateInProgress => "silence.duplicate-in-progress",
            Fate::DuplicateReplayed => "reply.duplicate",
            Fate::StatusServer => "reply.status-server",
            Fate::Accept => "access-accept.relayed",
            Fate::Reject => "access-reject.relayed",
            Fate::Challenge => "access-challenge.relayed",
            Fate::AccountingResponse => "accounting-response.relayed",
            Fate::OtherReply => "reply.relayed",
            Fate::ReplyUnwanted => "silence.replaced",
            Fate::GivenUp => "silence.no-server-answered",
            Fate::UnknownClient => "silence.unknown-client",
            Fate::Short => "silence.short",
            Fate::BadLength => "silence.bad-length",
            Fate::BadAttribute => "silence.bad-attribute",
            Fate::UnknownCode => "silence.unknown-code",
            Fate::BadAuthenticator => "silence.bad-authenticator",
            Fate::BadMessageAuthenticator => "silence.bad-message-authenticator",
            Fate::MissingMessageAuthenticator => "silence.no-message-authenticator",
            Fate::EapWithoutMessageAuthenticator => "silence.eap-without-message-authenticator",
            Fate::Full => "silence.full",
            Fate::CannotForward => "silence.cannot-forward",
        }
    }

    /// Whether it speaks for a wrong secret.
    #[must_use]
    pub fn is_wrong_secret(self) -> bool {
        matches!(self, Fate::BadAuthenticator | Fate::BadMessageAuthenticator)
    }

    /// A reply that goes to the NAS.
    #[must_use]
    pub fn of_reply(code: Code) -> Fate {
        match code {
            Code::ACCESS_ACCEPT => Fate::Accept,
            Code::ACCESS_REJECT => Fate::Reject,
            Code::ACCESS_CHALLENGE => Fate::Challenge,
            Code::ACCOUNTING_RESPONSE => Fate::AccountingResponse,
            _ => Fate::OtherReply,
        }
    }
}

impl From<FrameError> for Fate {
    fn from(error: FrameError) -> Fate {
        match error {
            FrameError::Short { .. } => Fate::Short,
            FrameError::LengthField { .. } | FrameError::Truncated { .. } => Fate::BadLength,
            FrameError::AttributeLength { .. } => Fate::BadAttribute,
        }
    }
}

impl From<Forgery> for Fate {
    fn from(forgery: Forgery) -> Fate {
        match forgery {
            Forgery::MissingMessageAuthenticator | Forgery::ProxyStateWithoutMessageAuthenticator => {
                Fate::MissingMessageAuthenticator
            }
            Forgery::EapWithoutMessageAuthenticator => Fate::EapWithoutMessageAuthenticator,
            Forgery::BadMessageAuthenticator => Fate::BadMessageAuthenticator,
            Forgery::BadAuthenticator => Fate::BadAuthenticator,
            Forgery::CodeUnexpected => Fate::UnknownCode,
        }
    }
}

const FATES: usize = Fate::CannotForward as usize + 1;

/// How often each fate befell a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts([u64; FATES]);

impl Default for Counts {
    fn default() -> Counts {
        Counts([0; FATES])
    }
}

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
