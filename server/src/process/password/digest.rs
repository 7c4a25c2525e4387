//! One pass of a digest over password and salt: what directories have.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};
use subtle::ConstantTimeEq;

/// A digest, by itself or under PBKDF2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Digest {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

impl Digest {
    /// The SHA-2 of this many octets.
    pub(super) fn sha2(octets: usize) -> Option<Self> {
        [Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|digest| digest.octets() == octets)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "{SMD5}",
            Self::Sha1 => "{SSHA}",
            Self::Sha224 => "{SSHA224}",
            Self::Sha256 => "{SSHA256}",
            Self::Sha384 => "{SSHA384}",
            Self::Sha512 => "{SSHA512}",
            Self::Sha3_224 => "{SSHA3-224}",
            Self::Sha3_256 => "{SSHA3-256}",
            Self::Sha3_384 => "{SSHA3-384}",
            Self::Sha3_512 => "{SSHA3-512}",
        }
    }

    pub(super) fn octets(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 | Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 => 64,
        }
    }

    /// Whether the digest of `given` and `salt` is `hash`.
    pub(super) fn matches(self, given: &[u8], salt: &[u8], hash: &[u8]) -> bool {
        let matches = match self {
            Self::Md5 => matches::<Md5>,
            Self::Sha1 => matches::<Sha1>,
            Self::Sha224 => matches::<Sha224>,
            Self::Sha256 => matches::<Sha256>,
            Self::Sha384 => matches::<Sha384>,
            Self::Sha512 => matches::<Sha512>,
            Self::Sha3_224 => matches::<Sha3_224>,
            Self::Sha3_256 => matches::<Sha3_256>,
            Self::Sha3_384 => matches::<Sha3_384>,
            Self::Sha3_512 => matches::<Sha3_512>,
        };
        matches(given, salt, hash)
    }
}

fn matches<D: sha2::Digest>(given: &[u8], salt: &[u8], hash: &[u8]) -> bool {
    let computed = D::new().chain_update(given).chain_update(salt).finalize();
    computed.as_slice().ct_eq(hash).into()
}

/// Netscape's: 32 octets of hexadecimal MD5 over salt, 89, password, 247 and salt again; then the salt, 32 octets.
pub(super) fn ns_mta_md5_matches(given: &[u8], salt: &[u8], hash: &[u8]) -> bool {
    let computed = Md5::new().chain_update(salt).chain_update([89]).chain_update(given);
    computed.chain_update([247]).chain_update(salt).finalize().as_slice().ct_eq(hash).into()
}
