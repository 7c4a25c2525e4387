//! Values hidden with the shared secret, and CHAP.
//!
//! Hiding is an exclusive or with MD5 chained over the ciphertext: it keeps a value from the casual reader of a
//! capture and from nobody else. What protects the packet is Message-Authenticator.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use crate::{AUTHENTICATOR, HideError, RadiusKey};

/// User-Password (RFC 2865 section 5.2), and MS-CHAP-MPPE-Keys (RFC 2548 section 2.4.1), which is hidden likewise.
pub mod user_password {
    use super::{AUTHENTICATOR, BLOCK, HideError, RadiusKey, conceal, uncover};

    /// Octets of the longest password, and of the longest hidden value.
    pub const MAX: usize = 128;

    /// Hides `password` (0 to 128 octets) into `out`, padded with zeros to the next 16 octets; an empty one takes
    /// 16 too. `authenticator` is the request's.
    pub fn hide<'b>(
        key: &RadiusKey,
        authenticator: &[u8; AUTHENTICATOR],
        password: &[u8],
        out: &'b mut [u8],
    ) -> Result<&'b [u8], HideError> {
        let octets = password.len();
        if octets > MAX {
            return Err(HideError::TooLong { octets });
        }
        let out = out.get_mut(..octets.next_multiple_of(BLOCK).max(BLOCK)).ok_or(HideError::Buffer)?;
        out[..octets].copy_from_slice(password);
        out[octets..].fill(0);
        conceal(key, authenticator, &[], out);
        Ok(out)
    }

    /// Reveals a hidden password (16 to 128 octets, in sixteens) into `out`, without the zeros at its end.
    /// With another secret the result is noise, which is no error here.
    pub fn reveal<'b>(
        key: &RadiusKey,
        authenticator: &[u8; AUTHENTICATOR],
        hidden: &[u8],
        out: &'b mut [u8],
    ) -> Result<&'b [u8], HideError> {
        let octets = hidden.len();
        if !(BLOCK..=MAX).contains(&octets) || !octets.is_multiple_of(BLOCK) {
            return Err(HideError::Length { octets });
        }
        let out = out.get_mut(..octets).ok_or(HideError::Buffer)?;
        out.copy_from_slice(hidden);
        uncover(key, authenticator, &[], out);
        let end = out.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
        Ok(&out[..end])
    }
}

/// Values hidden with a salt: Tunnel-Password (RFC 2868 section 3.5, after its tag), MS-MPPE-Send-Key and
/// MS-MPPE-Recv-Key (RFC 2548 section 2.4.2), and vendors' attributes of FreeRADIUS's `encrypt=2`.
///
/// In replies the authenticator is that of the request. Hidden, a value is the salt (2 octets) and then, enciphered,
/// its length (1 octet), the value, and zeros up to the next 16 octets.
pub mod salted {
    use super::{AUTHENTICATOR, BLOCK, HideError, RadiusKey, conceal, uncover};

    /// Octets of the longest clear value: 15 blocks less the length octet.
    pub const MAX: usize = 239;
    /// Octets of the longest hidden value: salt and 15 blocks.
    pub const MAX_HIDDEN: usize = 242;

    /// Two octets that have to differ between the hidden values of one packet.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Salt([u8; 2]);

    impl Salt {
        /// A salt from 15 bits of `number`; the first bit is always set (RFC 2868 section 3.5).
        pub const fn new(number: u16) -> Salt {
            Salt((number | 0x8000).to_be_bytes())
        }

        /// The salt of a value that is hidden already.
        pub fn of(hidden: &[u8]) -> Option<Salt> {
            hidden.first_chunk().copied().map(Salt)
        }
    }

    /// Hides `value` (0 to 239 octets) into `out`.
    pub fn hide<'b>(
        key: &RadiusKey,
        authenticator: &[u8; AUTHENTICATOR],
        salt: Salt,
        value: &[u8],
        out: &'b mut [u8],
    ) -> Result<&'b [u8], HideError> {
        let octets = value.len();
        if octets > MAX {
            return Err(HideError::TooLong { octets });
        }
        let out = out.get_mut(..2 + (1 + octets).next_multiple_of(BLOCK)).ok_or(HideError::Buffer)?;
        let (head, body) = out.split_at_mut(2);
        head.copy_from_slice(&salt.0);
        body[0] = octets as u8;
        body[1..=octets].copy_from_slice(value);
        body[1 + octets..].fill(0);
        conceal(key, authenticator, &salt.0, body);
        Ok(out)
    }

    /// Reveals a hidden value (salt first) into `out`, which takes the hidden value's length less two, and gives
    /// the value without length octet and padding.
    pub fn reveal<'b>(
        key: &RadiusKey,
        authenticator: &[u8; AUTHENTICATOR],
        hidden: &[u8],
        out: &'b mut [u8],
    ) -> Result<&'b [u8], HideError> {
        let octets = hidden.len();
        let (salt, body) = hidden.split_first_chunk::<2>().ok_or(HideError::Length { octets })?;
        if body.is_empty() || !body.len().is_multiple_of(BLOCK) || octets > MAX_HIDDEN {
            return Err(HideError::Length { octets });
        }
        let out = out.get_mut(..body.len()).ok_or(HideError::Buffer)?;
        out.copy_from_slice(body);
        uncover(key, authenticator, salt, out);
        let value = 1..1 + usize::from(out[0]);
        out.get(value).ok_or(HideError::InnerLength)
    }
}

pub use salted as tunnel_password;
pub use salted as mppe;

/// Ascend-Send-Secret and Ascend-Receive-Secret (FreeRADIUS's `encrypt=3`): an exclusive or with
/// MD5(authenticator | secret), up to 16 octets. The same call hides and reveals.
pub fn ascend_secret(key: &RadiusKey, authenticator: &[u8; AUTHENTICATOR], value: &mut [u8; BLOCK]) {
    let pad = Md5::new().chain_update(authenticator).chain_update(key.secret()).finalize();
    xor(value, &pad);
}

/// Whether a CHAP response fits: MD5(identifier | password | challenge) (RFC 1994 section 4.1). The time taken
/// doesn't depend on where the digests differ.
///
/// CHAP-Password is one octet of identifier and 16 of response; the challenge is CHAP-Challenge, or the Request
/// Authenticator where that is absent (RFC 2865 section 5.3).
pub fn chap_matches(identifier: u8, password: &[u8], challenge: &[u8], response: &[u8; 16]) -> bool {
    chap_response(identifier, password, challenge).ct_eq(response).into()
}

/// The CHAP response of a client.
pub fn chap_response(identifier: u8, password: &[u8], challenge: &[u8]) -> [u8; 16] {
    Md5::new().chain_update([identifier]).chain_update(password).chain_update(challenge).finalize().into()
}

/// Enciphers whole blocks in place: c(i) = p(i) ^ MD5(secret | c(i-1)), c(0) = authenticator | salt.
pub(crate) fn conceal(key: &RadiusKey, authenticator: &[u8; AUTHENTICATOR], salt: &[u8], text: &mut [u8]) {
    let mut pad = key.md5().chain_update(authenticator).chain_update(salt).finalize();
    let mut blocks = text.chunks_exact_mut(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        xor(block, &pad);
        if blocks.peek().is_some() {
            pad = key.md5().chain_update(block).finalize();
        }
    }
}

/// Deciphers whole blocks in place.
pub(crate) fn uncover(key: &RadiusKey, authenticator: &[u8; AUTHENTICATOR], salt: &[u8], text: &mut [u8]) {
    let mut pad = key.md5().chain_update(authenticator).chain_update(salt).finalize();
    let mut blocks = text.chunks_exact_mut(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let next = blocks.peek().is_some().then(|| key.md5().chain_update(&*block).finalize());
        xor(block, &pad);
        if let Some(next) = next {
            pad = next;
        }
    }
}

/// `block ^= pad`.
fn xor(block: &mut [u8], pad: &[u8]) {
    for (octet, pad) in block.iter_mut().zip(pad) {
        *octet ^= pad;
    }
}

/// Octets of an MD5 digest, the unit of hiding.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests;
