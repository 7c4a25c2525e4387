//! The client's side of MS-CHAP, written from the RFCs apart from the server's, so that one can't excuse the other.

use des::Des;
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use md4::{Digest as _, Md4};
use sha1::Sha1;

/// NtPasswordHash (RFC 2433 A.3).
pub(super) fn nt_hash(password: &str) -> [u8; 16] {
    let octets: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
    Md4::digest(octets).into()
}

/// ChallengeResponse (RFC 2433 A.5): three DES encryptions with the hash as keys of seven octets each.
pub(super) fn response(challenge: [u8; 8], hash: [u8; 16]) -> [u8; 24] {
    let mut keys = [0; 21];
    keys[..16].copy_from_slice(&hash);
    let mut response = [0; 24];
    for (key, block) in keys.chunks_exact(7).zip(response.chunks_exact_mut(8)) {
        let mut octets = [0; 8];
        octets[1..].copy_from_slice(key);
        let bits = u64::from_be_bytes(octets);
        // Seven bits, then one of parity, which DES passes over.
        let spread: u64 = (0..8).map(|at| ((bits >> (49 - 7 * at)) & 0x7f) << (57 - 8 * at)).sum();
        let mut octets = challenge.into();
        Des::new(&spread.to_be_bytes().into()).encrypt_block(&mut octets);
        block.copy_from_slice(&octets);
    }
    response
}

/// ChallengeHash (RFC 2759 8.2). The name is the one that the client believes in, without a domain.
pub(super) fn challenge_hash(peer: &[u8; 16], authenticator: &[u8; 16], name: &[u8]) -> [u8; 8] {
    let digest = Sha1::new().chain_update(peer).chain_update(authenticator).chain_update(name).finalize();
    let mut hash = [0; 8];
    hash.copy_from_slice(&digest[..8]);
    hash
}

/// The vectors of RFC 2759 section 9.2.
#[test]
fn the_rfcs_own_example() {
    let peer = *b"\x21\x40\x23\x24\x25\x5E\x26\x2A\x28\x29\x5F\x2B\x3A\x33\x7C\x7E";
    let authenticator = *b"\x5B\x5D\x7C\x7D\x7B\x3F\x2F\x3E\x3C\x2C\x60\x21\x32\x26\x26\x28";
    let challenge = challenge_hash(&peer, &authenticator, b"User");
    assert_eq!(challenge, *b"\xD0\x2E\x43\x86\xBC\xE9\x12\x26");
    let hash = nt_hash("clientPass");
    assert_eq!(hash, *b"\x44\xEB\xBA\x8D\x53\x12\xB8\xD6\x11\x47\x44\x11\xF5\x69\x89\xAE");
    assert_eq!(response(challenge, hash)[..8], *b"\x82\x30\x9E\xCD\x8D\x70\x8B\x5E");
}
