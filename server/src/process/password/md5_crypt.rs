//! `$1$`, the MD5-based crypt of FreeBSD 2.0 and, once, of every Linux.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::crypt::{ALPHABET, is_of_alphabet};

const PREFIX: &str = "$1$";
const DIGITS: usize = 22;
const SALT_MAX: usize = 8;
const ROUNDS: usize = 1000;

/// Salt and digits of a well-formed text.
pub(super) fn fields(text: &str) -> Option<(&[u8], &[u8])> {
    let (salt, digits) = text.strip_prefix(PREFIX)?.split_once('$')?;
    let well_formed = digits.len() == DIGITS && is_of_alphabet(digits) && salt.len() <= SALT_MAX;
    well_formed.then_some((salt.as_bytes(), digits.as_bytes()))
}

/// Whether `password` gives the hash in `text`.
pub(super) fn matches(password: &[u8], text: &str) -> bool {
    let Some((salt, digits)) = fields(text) else { return false };
    encode(&digest(password, salt)).ct_eq(digits).into()
}

fn digest(password: &[u8], salt: &[u8]) -> Zeroizing<[u8; 16]> {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut first = Md5::new().chain_update(password).chain_update(PREFIX).chain_update(salt);
    let mut left = password.len();
    while left > 0 {
        let part = left.min(16);
        first.update(&inner[..part]);
        left -= part;
    }
    // One octet for each bit of the length: a zero for a one, the password's first octet for a zero.
    let mut bits = password.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
        bits >>= 1;
    }
    let mut state: Zeroizing<[u8; 16]> = Zeroizing::new(first.finalize().into());
    for round in 0..ROUNDS {
        let mut md5 = Md5::new();
        let odd = round % 2 == 1;
        md5.update(if odd { password } else { &state[..] });
        if round % 3 != 0 {
            md5.update(salt);
        }
        if round % 7 != 0 {
            md5.update(password);
        }
        md5.update(if odd { &state[..] } else { password });
        *state = md5.finalize().into();
    }
    state
}

fn encode(digest: &[u8; 16]) -> [u8; DIGITS] {
    // The scheme's own order of the octets, three by three; the twelfth stands alone.
    const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
    let mut digits = [0; DIGITS];
    for (place, [high, middle, low]) in digits.chunks_mut(4).zip(ORDER) {
        let group = u32::from(digest[high]) << 16 | u32::from(digest[middle]) << 8 | u32::from(digest[low]);
        write_digits(place, group);
    }
    write_digits(&mut digits[DIGITS - 2..], u32::from(digest[11]));
    digits
}

/// Least significant digit first.
fn write_digits(place: &mut [u8], mut group: u32) {
    for digit in place {
        *digit = ALPHABET[(group & 63) as usize];
        group >>= 6;
    }
}
