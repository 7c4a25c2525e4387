//! MS-CHAP in RADIUS: Microsoft's attributes (RFC 2548 section 2).

use super::response::{CHALLENGE, CHALLENGE_2, RESPONSE};

/// Microsoft's enterprise number.
pub const MICROSOFT: u32 = 311;
/// MS-CHAP-Response: version 1.
pub const RESPONSE_1: u32 = 1;
/// MS-CHAP-Error, of both versions.
pub const ERROR: u32 = 2;
/// MS-CHAP-CPW-1: a new password, version 1.
pub const CHANGE_1: u32 = 3;
/// MS-CHAP-CPW-2: a new password, version 1 of PPP's second kind.
pub const CHANGE_2: u32 = 4;
/// MS-MPPE-Encryption-Policy.
pub const ENCRYPTION_POLICY: u32 = 7;
/// MS-MPPE-Encryption-Types.
pub const ENCRYPTION_TYPES: u32 = 8;
/// MS-CHAP-Challenge: 8 octets for version 1, 16 for version 2.
pub const CHALLENGE_ATTRIBUTE: u32 = 11;
/// MS-CHAP-MPPE-Keys: the keys of version 1.
pub const MPPE_KEYS: u32 = 12;
/// MS-MPPE-Send-Key.
pub const SEND_KEY: u32 = 16;
/// MS-MPPE-Recv-Key.
pub const RECEIVE_KEY: u32 = 17;
/// MS-CHAP2-Response: version 2.
pub const RESPONSE_2: u32 = 25;
/// MS-CHAP2-Success.
pub const SUCCESS_2: u32 = 26;
/// MS-CHAP2-CPW: a new password, version 2.
pub const CHANGE_2_2: u32 = 27;

/// What a peer answers a challenge with, out of the two attributes that carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Version 1 (RFC 2548 section 2.1.3). `None`: it answers with the LAN Manager hash only.
    Version1 {
        /// To be repeated in an error.
        identifier: u8,
        /// MS-CHAP-Challenge.
        challenge: &'a [u8; CHALLENGE],
        /// The response made from the NT hash.
        response: Option<&'a [u8; RESPONSE]>,
    },
    /// Version 2 (RFC 2548 section 2.3.2).
    Version2 {
        /// To be repeated in the success or the error.
        identifier: u8,
        /// MS-CHAP-Challenge.
        challenge: &'a [u8; CHALLENGE_2],
        /// The peer's own challenge.
        peer: &'a [u8; CHALLENGE_2],
        /// The response to both.
        response: &'a [u8; RESPONSE],
    },
}

impl<'a> Answer<'a> {
    /// From the values of MS-CHAP-Challenge and MS-CHAP-Response.
    pub fn version1(challenge: &'a [u8], response: &'a [u8]) -> Option<Self> {
        let fields: &[u8; 50] = response.try_into().ok()?;
        let [identifier, flags, ..] = *fields;
        let response = (flags & 1 == 1).then(|| fields.last_chunk()).flatten();
        Some(Self::Version1 { identifier, challenge: challenge.try_into().ok()?, response })
    }

    /// From the values of MS-CHAP-Challenge and MS-CHAP2-Response.
    pub fn version2(challenge: &'a [u8], response: &'a [u8]) -> Option<Self> {
        let fields: &[u8; 50] = response.try_into().ok()?;
        let peer = fields[2..].first_chunk()?;
        let identifier = fields[0];
        Some(Self::Version2 {
            identifier,
            challenge: challenge.try_into().ok()?,
            peer,
            response: fields.last_chunk()?,
        })
    }

    /// The identifier, to be repeated.
    pub fn identifier(&self) -> u8 {
        match self {
            Answer::Version1 { identifier, .. } | Answer::Version2 { identifier, .. } => *identifier,
        }
    }
}

/// Why somebody is refused, as the peer is told (RFC 2433 section 5, RFC 2759 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum ErrorCode {
    /// Not at this hour.
    RestrictedHours = 646,
    /// The account is disabled.
    AccountDisabled = 647,
    /// The password has expired.
    PasswordExpired = 648,
    /// Not by this way.
    NoDialIn = 649,
    /// Wrong.
    Wrong = 691,
    /// The new password isn't taken.
    ChangingPassword = 709,
}
