//! The hashes of passwords that MS-CHAP starts from.

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use md4::{Digest, Md4};
use zeroize::Zeroizing;

/// Octets of either hash.
pub const HASH: usize = 16;

/// The NT hash: MD4 of the password in UTF-16LE (RFC 2433 section A.3). Octets that aren't UTF-8 are taken as U+FFFD.
pub fn nt_hash(password: &[u8]) -> Zeroizing<[u8; HASH]> {
    let mut md4 = Md4::new();
    for chunk in password.utf8_chunks() {
        let replacement = if chunk.invalid().is_empty() { "" } else { "\u{fffd}" };
        for unit in chunk.valid().encode_utf16().chain(replacement.encode_utf16()) {
            md4.update(unit.to_le_bytes());
        }
    }
    Zeroizing::new(md4.finalize().into())
}

/// The LAN Manager hash (RFC 2433 section A.2): the password's first 14 octets in capital letters are two DES keys.
/// Letters beyond ASCII stay as they are.
pub fn lm_hash(password: &[u8]) -> Zeroizing<[u8; HASH]> {
    let mut key = Zeroizing::new([0; 14]);
    for (place, octet) in key.iter_mut().zip(password) {
        *place = octet.to_ascii_uppercase();
    }
    let mut hash = Zeroizing::new([0; HASH]);
    for (block, key) in hash.as_chunks_mut::<8>().0.iter_mut().zip(key.as_chunks::<7>().0) {
        *block = des_encrypt(b"KGS!@#$%", key);
    }
    hash
}

/// One block under a DES key of 56 bits, which stand in the upper seven bits of the cipher's eight octets.
pub(super) fn des_encrypt(clear: &[u8; 8], key: &[u8; 7]) -> [u8; 8] {
    let mut bits = 0;
    for octet in key {
        bits = bits << 8 | u64::from(*octet);
    }
    let mut spread = Zeroizing::new([0; 8]);
    for (place, octet) in spread.iter_mut().enumerate() {
        *octet = (bits >> (49 - 7 * place)) as u8 & 0x7f;
        *octet <<= 1;
    }
    let mut block = (*clear).into();
    Des::new((&*spread).into()).encrypt_block(&mut block);
    block.into()
}
