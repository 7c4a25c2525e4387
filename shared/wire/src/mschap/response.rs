//! Challenges, responses, and the server's own proof.

use md4::Md4;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hash::{HASH, des_encrypt};

/// Octets of a response.
pub const RESPONSE: usize = 24;
/// Octets of version 1's challenge, and of what version 2 makes of its two.
pub const CHALLENGE: usize = 8;
/// Octets of either of version 2's challenges.
pub const CHALLENGE_2: usize = 16;
/// Octets of version 2's `S=` and forty hexadecimal digits.
pub const AUTHENTICATOR_RESPONSE: usize = 42;

/// The response to a challenge (RFC 2433 section A.4, RFC 2759 section 8.5): the challenge under three DES keys, which
/// are the hash and five zeros.
pub fn response(challenge: &[u8; CHALLENGE], hash: &[u8; HASH]) -> [u8; RESPONSE] {
    let mut keys = Zeroizing::new([0; 21]);
    keys[..HASH].copy_from_slice(hash);
    let mut response = [0; RESPONSE];
    for (block, key) in response.as_chunks_mut().0.iter_mut().zip(keys.as_chunks().0) {
        *block = des_encrypt(challenge, key);
    }
    response
}

/// Whether a response is the right one. The time taken doesn't depend on where it differs.
pub fn response_matches(challenge: &[u8; CHALLENGE], hash: &[u8; HASH], given: &[u8; RESPONSE]) -> bool {
    response(challenge, hash).ct_eq(given).into()
}

/// The challenge that version 2 responds to (RFC 2759 section 8.2). `name` is the user's, as the peer has it: without a
/// domain before it (see [`bare_name`]).
pub fn challenge_hash(
    peer: &[u8; CHALLENGE_2],
    authenticator: &[u8; CHALLENGE_2],
    name: &[u8],
) -> [u8; CHALLENGE] {
    let digest = Sha1::new().chain_update(peer).chain_update(authenticator).chain_update(name).finalize();
    std::array::from_fn(|place| digest[place])
}

/// MD4 of the NT hash (RFC 2759 section 8.4), from which the server's proof and the keys are made.
pub fn hash_of_hash(hash: &[u8; HASH]) -> Zeroizing<[u8; HASH]> {
    Zeroizing::new(Md4::digest(hash).into())
}

/// The server's proof that it knows the password too: `S=` and forty capital hexadecimal digits (RFC 2759 section 8.7).
pub fn authenticator_response(
    hash_of_hash: &[u8; HASH],
    response: &[u8; RESPONSE],
    challenge: &[u8; CHALLENGE],
) -> [u8; AUTHENTICATOR_RESPONSE] {
    let signed = Sha1::new()
        .chain_update(hash_of_hash)
        .chain_update(response)
        .chain_update(b"Magic server to client signing constant")
        .finalize();
    let digest = Sha1::new()
        .chain_update(signed)
        .chain_update(challenge)
        .chain_update(b"Pad to make it do more than one iteration")
        .finalize();
    let mut text = *b"S=0000000000000000000000000000000000000000";
    for (pair, octet) in text[2..].as_chunks_mut().0.iter_mut().zip(digest) {
        *pair = [digit(octet >> 4), digit(octet & 15)];
    }
    text
}

/// The user's name without `DOMAIN\` before it, which peers leave out of what they hash (RFC 2759 section 4).
pub fn bare_name(name: &[u8]) -> &[u8] {
    match name.iter().position(|octet| *octet == b'\\') {
        Some(end) => &name[end + 1..],
        None => name,
    }
}

/// A capital hexadecimal digit.
pub(super) fn digit(value: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(value & 15)]
}
