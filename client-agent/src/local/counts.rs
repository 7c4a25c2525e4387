//! What became of the datagrams of the NAS software: answer and cause, each counted.

use forewarn_wire::{Code, Forgery, FrameError};

use crate::counts::counted;

counted! {
    /// What became of a datagram at the front door.
    pub enum Fate {
        /// An Access-Request on its way to a server.
        ForwardedAuth = "forwarded.auth",
        /// An Accounting-Request on its way to a server.
        ForwardedAcct = "forwarded.acct",
        /// A retransmission of one that is on its way: it joins.
        DuplicateInProgress = "silence.duplicate-in-progress",
        /// A retransmission of one that was answered: the same reply again.
        DuplicateReplayed = "reply.duplicate",
        /// A Status-Server, answered by the agent itself (RFC 5997).
        StatusServer = "reply.status-server",
        /// Relayed: Access-Accept.
        Accept = "access-accept.relayed",
        /// Relayed: Access-Reject.
        Reject = "access-reject.relayed",
        /// Relayed: Access-Challenge.
        Challenge = "access-challenge.relayed",
        /// Relayed: Accounting-Response.
        AccountingResponse = "accounting-response.relayed",
        /// Relayed: something else that may answer, as Protocol-Error does.
        OtherReply = "reply.relayed",
        /// A reply nobody waits for any more: the NAS has sent another request in its place.
        ReplyUnwanted = "silence.replaced",
        /// No server answered in time; silence, never a reject.
        GivenUp = "silence.no-server-answered",
        /// Not from one of the door's `clients`.
        UnknownClient = "silence.unknown-client",
        /// No RADIUS packet: shorter than a header.
        Short = "silence.short",
        /// No RADIUS packet: the Length field is impossible, or more than came.
        BadLength = "silence.bad-length",
        /// No RADIUS packet: an attribute's length is impossible.
        BadAttribute = "silence.bad-attribute",
        /// A code that isn't taken at this door.
        UnknownCode = "silence.unknown-code",
        /// The secret is wrong, or somebody forged it.
        BadAuthenticator = "silence.bad-authenticator",
        /// The secret is wrong, or somebody forged it.
        BadMessageAuthenticator = "silence.bad-message-authenticator",
        /// Message-Authenticator is required here and missing.
        MissingMessageAuthenticator = "silence.no-message-authenticator",
        /// EAP-Message without Message-Authenticator (RFC 3579 section 3.1).
        EapWithoutMessageAuthenticator = "silence.eap-without-message-authenticator",
        /// Too many requests on their way at once.
        Full = "silence.full",
        /// It can't be sent on: it would grow over 4096 octets, or something hidden in it can't be re-encrypted.
        CannotForward = "silence.cannot-forward",
    }
}

impl Fate {
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
