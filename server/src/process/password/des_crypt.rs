//! The crypt of Unix since 1979: 25 times DES over zeros, keyed with the password's first eight octets, its expansion
//! twisted by a salt of twelve bits. Old databases still have it, and OpenLDAP's `slappasswd` makes the longer form, in
//! which each eight octets of the password have a hash of their own, salted with the beginning of the one before.

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::crypt::{ALPHABET, is_of_alphabet};

const SALT: usize = 2;
const DIGITS: usize = 11;
/// Octets of a password to one hash.
const PART: usize = 8;
/// Hashes of the longer form, at most.
const PARTS_MAX: usize = 16;

/// Salt and hashes of a well-formed text.
pub(super) fn fields(text: &str) -> Option<(&[u8], &[[u8; DIGITS]])> {
    let (salt, digits) = text.as_bytes().split_at_checked(SALT)?;
    let (hashes, rest) = digits.as_chunks();
    let well_formed = (1..=PARTS_MAX).contains(&hashes.len()) && rest.is_empty() && is_of_alphabet(text);
    well_formed.then_some((salt, hashes))
}

/// Whether `password` gives the hash in `text`.
pub(super) fn matches(password: &[u8], text: &str) -> bool {
    let Some((mut salt, hashes)) = fields(text) else { return false };
    // crypt(3) ends at a zero; the short form looks at the first part only.
    let end = password.iter().position(|octet| *octet == 0).unwrap_or(password.len());
    let parts = end.div_ceil(PART).clamp(1, PARTS_MAX);
    let mut same = Choice::from(u8::from(hashes.len() == 1 || hashes.len() == parts));
    for (hash, start) in hashes.iter().zip((0..).step_by(PART)) {
        let part = password[..end].get(start..).unwrap_or_default();
        same &= encode(encrypt(&key(part), twelve_bits(salt))).ct_eq(hash);
        salt = hash;
    }
    same.into()
}

fn twelve_bits(salt: &[u8]) -> u32 {
    let value = |digit: u8| ALPHABET.iter().position(|known| *known == digit).unwrap_or(0) as u32;
    value(salt[0]) | value(salt[1]) << 6
}

/// Eight octets of seven bits, to the left.
fn key(part: &[u8]) -> Zeroizing<u64> {
    let octets = part.iter().copied().chain(std::iter::repeat(0));
    Zeroizing::new(octets.take(PART).fold(0, |key, octet| key << 8 | u64::from(octet << 1)))
}

fn encode(block: u64) -> [u8; DIGITS] {
    // 64 bits and two zeros are eleven digits, most significant first.
    let bits = u128::from(block) << 2;
    std::array::from_fn(|place| ALPHABET[(bits >> (60 - 6 * place)) as usize & 63])
}

/// 25 encryptions of zeros. Bit n of the salt exchanges bits n and n + 24 of the expansion, counted from the left.
fn encrypt(key: &u64, salt: u32) -> u64 {
    let twist = u64::from(salt.reverse_bits() >> 8);
    let keys = Zeroizing::new(schedule(*key));
    let mut block = 0;
    for _ in 0..25 {
        block = permute(block, 64, &INITIAL);
        let (mut left, mut right) = ((block >> 32) as u32, block as u32);
        for key in keys.iter() {
            let wide = permute(u64::from(right), 32, &EXPANSION);
            let exchanged = (wide >> 24 ^ wide) & twist;
            let wide = wide ^ exchanged ^ exchanged << 24 ^ key;
            let mut narrow = 0;
            for (number, rows) in BOXES.iter().enumerate() {
                narrow ^= rows[(wide >> (42 - 6 * number)) as usize & 63];
            }
            (left, right) = (right, left ^ narrow);
        }
        block = permute(u64::from(right) << 32 | u64::from(left), 64, &FINAL);
    }
    block
}

fn schedule(key: u64) -> [u64; 16] {
    const HALF: u64 = (1 << 28) - 1;
    let chosen = permute(key, 64, &CHOICE_1);
    let (mut left, mut right) = (chosen >> 28, chosen & HALF);
    std::array::from_fn(|round| {
        for _ in 0..if matches!(round, 0 | 1 | 8 | 15) { 1 } else { 2 } {
            left = (left << 1 | left >> 27) & HALF;
            right = (right << 1 | right >> 27) & HALF;
        }
        permute(left << 28 | right, 56, &CHOICE_2)
    })
}

/// The bits of `value`, which has `width` of them, in the order of `table`, counted from 1 at the left.
const fn permute(value: u64, width: u32, table: &[u8]) -> u64 {
    let (mut out, mut place) = (0, 0);
    while place < table.len() {
        out = out << 1 | value >> (width - table[place] as u32) & 1;
        place += 1;
    }
    out
}

/// The boxes of FIPS 46-3, each entry already in the order of its permutation P.
static BOXES: [[u32; 64]; 8] = boxes();

const fn boxes() -> [[u32; 64]; 8] {
    let mut all = [[0; 64]; 8];
    let (mut number, mut input) = (0, 0);
    while number < 8 {
        // The outer two bits choose the row, the inner four the column.
        let place = (input & 32 | input << 4 & 16) | (input >> 1 & 15);
        let out = (SUBSTITUTION[number][place] as u64) << (28 - 4 * number);
        all[number][input] = permute(out, 32, &PERMUTATION) as u32;
        input += 1;
        if input == 64 {
            (number, input) = (number + 1, 0);
        }
    }
    all
}

const INITIAL: [u8; 64] = [
    58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48,
    40, 32, 24, 16, 8, 57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21,
    13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
];
const FINAL: [u8; 64] = [
    40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, 38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45,
    13, 53, 21, 61, 29, 36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27, 34, 2, 42, 10, 50, 18,
    58, 26, 33, 1, 41, 9, 49, 17, 57, 25,
];
const EXPANSION: [u8; 48] = [
    32, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11, 12, 13, 12, 13, 14, 15, 16, 17, 16, 17, 18, 19, 20,
    21, 20, 21, 22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1,
];
const PERMUTATION: [u8; 32] = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6,
    22, 11, 4, 25,
];
const CHOICE_1: [u8; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44,
    36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20,
    12, 4,
];
const CHOICE_2: [u8; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37,
    47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
const SUBSTITUTION: [[u8; 64]; 8] = [
    [
        14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5,
        3, 8, 4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14,
        10, 0, 6, 13,
    ],
    [
        15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9,
        11, 5, 0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12,
        0, 5, 14, 9,
    ],
    [
        10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11,
        15, 1, 13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3,
        11, 5, 2, 12,
    ],
    [
        7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10,
        14, 9, 10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11,
        12, 7, 2, 14,
    ],
    [
        2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9,
        8, 6, 4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9,
        10, 4, 5, 3,
    ],
    [
        12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11,
        3, 8, 9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7,
        6, 0, 8, 13,
    ],
    [
        4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15,
        8, 6, 1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15,
        14, 2, 3, 12,
    ],
    [
        13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14,
        9, 2, 7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0,
        3, 5, 6, 11,
    ],
];
