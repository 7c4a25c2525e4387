//! A shared secret, prepared once.

use core::fmt;

use hmac::{Hmac, KeyInit};
use md5::{Digest, Md5};
use thiserror::Error;
use zeroize::Zeroizing;

/// A RADIUS shared secret with the digest states that every packet starts from, so that using it costs a copy of
/// a state instead of its computation. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct RadiusKey {
    secret: Zeroizing<Box<[u8]>>,
    md5: Md5,
    hmac: Hmac<Md5>,
}

impl RadiusKey {
    /// Prepares `secret`; an empty one is no secret (RFC 2865 section 3).
    pub fn new(secret: &[u8]) -> Result<RadiusKey, EmptySecret> {
        if secret.is_empty() {
            return Err(EmptySecret);
        }
        let hmac = Hmac::new_from_slice(secret).map_err(|_| EmptySecret)?;
        Ok(RadiusKey { secret: Zeroizing::new(secret.into()), md5: Md5::new_with_prefix(secret), hmac })
    }

    /// Whether the secret has 12 octets or fewer: worth a warning to the operator.
    pub fn is_short(&self) -> bool {
        self.secret.len() <= SHORT
    }

    /// The secret itself.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// MD5 that has already taken the secret in.
    pub(crate) fn md5(&self) -> Md5 {
        self.md5.clone()
    }

    /// HMAC-MD5 keyed with the secret.
    pub(crate) fn hmac(&self) -> Hmac<Md5> {
        self.hmac.clone()
    }
}

impl fmt::Debug for RadiusKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RadiusKey(..)")
    }
}

/// An empty shared secret was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an empty shared secret protects nothing; give one of at least 16 characters")]
pub struct EmptySecret;

/// Secrets up to this many octets are short.
const SHORT: usize = 12;
