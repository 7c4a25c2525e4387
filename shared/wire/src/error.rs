//! What can be wrong, by how far the packet came and who is to blame.

use thiserror::Error;

/// The peer's datagram is no RADIUS packet (RFC 2865 section 3). Answered by silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Fewer octets than a header has.
    #[error("{octets} octets are no packet; a header has 20")]
    Short {
        /// Octets received.
        octets: usize,
    },
    /// The Length field is outside 20..=4096.
    #[error("the length field says {length}; a packet has 20 to 4096 octets")]
    LengthField {
        /// What the field says.
        length: usize,
    },
    /// The Length field promises more than was received.
    #[error("the length field says {length}, but {octets} octets came")]
    Truncated {
        /// What the field says.
        length: usize,
        /// Octets received.
        octets: usize,
    },
    /// An attribute's length is below 2 or reaches over the end of the packet.
    #[error("the attribute at octet {offset} has an impossible length")]
    AttributeLength {
        /// Where the attribute starts, from the start of the packet (or of the attribute list, if parsed alone).
        offset: usize,
    },
}

/// A well-formed packet that no key vouches for: wrong secret, or somebody else's. Answered by silence and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Forgery {
    /// Message-Authenticator is required and absent.
    #[error("no Message-Authenticator, and it is required")]
    MissingMessageAuthenticator,
    /// EAP-Message without Message-Authenticator (RFC 3579 section 3.1).
    #[error("EAP-Message without Message-Authenticator")]
    EapWithoutMessageAuthenticator,
    /// Proxy-State without Message-Authenticator, where that is limited (CVE-2024-3596).
    #[error("Proxy-State without Message-Authenticator")]
    ProxyStateWithoutMessageAuthenticator,
    /// Message-Authenticator has the wrong value, the wrong length, or stands there more than once.
    #[error("bad Message-Authenticator")]
    BadMessageAuthenticator,
    /// The Request or Response Authenticator is wrong.
    #[error("bad authenticator")]
    BadAuthenticator,
    /// A code that isn't a request, or isn't a reply to this request.
    #[error("unexpected code")]
    CodeUnexpected,
}

/// A packet that can't be written. Ours to answer for, except [`WriteError::Full`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// No room left in the buffer, or in the 4096 octets of a packet.
    #[error("no room left in the packet")]
    Full,
    /// A value doesn't fit into one attribute of its layout.
    #[error("{octets} octets don't fit into attribute {number}")]
    TooLong {
        /// The attribute's number.
        number: u8,
        /// Octets asked for.
        octets: usize,
    },
    /// A number doesn't fit its layout: a vendor type over the format's width, an extended type outside 241..=246.
    #[error("attribute number {number} doesn't exist in this layout")]
    Number {
        /// The number asked for.
        number: u32,
    },
    /// Message-Authenticator was asked for twice, or given as a plain attribute.
    #[error("Message-Authenticator can be reserved only once")]
    MessageAuthenticatorRepeated,
    /// An Access or Status request without Message-Authenticator, or an Access reply where it isn't the first attribute.
    #[error("Message-Authenticator is missing or not the first attribute")]
    MessageAuthenticatorMissing,
    /// The finishing call doesn't fit the code: `reply` on a request, `request` on a reply, a chosen authenticator where
    /// it is computed, or the other way round.
    #[error("this packet can't be finished this way")]
    Finish,
}

/// A hidden value that can't be hidden or revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HideError {
    /// The clear value is longer than its layout allows.
    #[error("{octets} octets are too long to hide here")]
    TooLong {
        /// Octets given.
        octets: usize,
    },
    /// The hidden value's length is impossible.
    #[error("{octets} octets are no hidden value")]
    Length {
        /// Octets received.
        octets: usize,
    },
    /// The length octet inside contradicts the value around it: most likely another secret.
    #[error("the hidden value's inner length is impossible; the secrets may differ")]
    InnerLength,
    /// The caller's buffer is too small.
    #[error("the buffer is too small")]
    Buffer,
}
