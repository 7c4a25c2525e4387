//! One-time codes by the clock: TOTP (RFC 6238) over HMAC-SHA-1, thirty seconds to a step, as every authenticator app has
//! it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// Seconds of a step.
pub const STEP: u64 = 30;
/// Steps before and after the present one whose codes count: clocks differ, and people are slow.
pub const TOLERANCE: u64 = 1;
/// Octets of the shortest secret: the 80 bits that authenticator apps were made for.
const SECRET_MIN: usize = 10;
/// Octets of the longest.
const SECRET_MAX: usize = 128;

/// A user's secret. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Totp {
    secret: Zeroizing<Box<[u8]>>,
    digits: usize,
}

/// Why a secret can't be used: the operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    /// Not Base32.
    #[error(
        "not Base32; would be right: letters A to Z and digits 2 to 7, as the authenticator app shows them"
    )]
    Base32,
    /// Too short or too long.
    #[error(
        "a secret of {octets} octets; would be right: {SECRET_MIN} to {SECRET_MAX}, in Base32 16 letters or more"
    )]
    Length {
        /// What it has.
        octets: usize,
    },
    /// Not a number of digits that apps have.
    #[error("{digits} digits; would be right: 6 or 8")]
    Digits {
        /// What was wanted.
        digits: usize,
    },
}

impl Totp {
    /// From a secret in Base32 (RFC 4648 section 6); blanks, hyphens, padding and lower case don't matter. `digits` is 6
    /// or 8.
    ///
    /// # Errors
    /// See [`TotpError`].
    pub fn base32(text: &str, digits: usize) -> Result<Self, TotpError> {
        if !matches!(digits, 6 | 8) {
            return Err(TotpError::Digits { digits });
        }
        let mut secret = Zeroizing::new(Vec::with_capacity(text.len()));
        let (mut bits, mut held) = (0_u32, 0);
        for letter in text.trim_end_matches('=').bytes().filter(|letter| !matches!(letter, b' ' | b'-')) {
            let value = match letter.to_ascii_uppercase() {
                letter @ b'A'..=b'Z' => letter - b'A',
                digit @ b'2'..=b'7' => digit - b'2' + 26,
                _ => return Err(TotpError::Base32),
            };
            bits = bits << 5 | u32::from(value);
            held += 5;
            if held >= 8 {
                held -= 8;
                secret.push((bits >> held) as u8);
            }
        }
        let octets = secret.len();
        if !(SECRET_MIN..=SECRET_MAX).contains(&octets) {
            return Err(TotpError::Length { octets });
        }
        Ok(Self { secret: Zeroizing::new(secret.as_slice().into()), digits })
    }

    /// The code of a step, in digits (RFC 4226 section 5.3); the first [`digits`](Self::digits) of the array.
    fn code(&self, step: u64) -> [u8; 8] {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let offset = usize::from(digest[19] & 15);
        let mut number =
            digest[offset..offset + 4].iter().fold(0, |number, octet| number << 8 | u32::from(*octet));
        number &= 0x7fff_ffff;
        let mut code = [b'0'; 8];
        for digit in code[..self.digits].iter_mut().rev() {
            *digit += (number % 10) as u8;
            number /= 10;
        }
        code
    }

    /// The code of a step, as its user types it.
    #[cfg(test)]
    pub(crate) fn text(&self, step: u64) -> String {
        String::from_utf8_lossy(&self.code(step)[..self.digits]).into_owned()
    }

    /// The step whose code this is, at so many seconds since 1970. The time taken tells nothing about the digits.
    pub fn step_of(&self, given: &[u8], now_s: u64) -> Option<u64> {
        let present = now_s / STEP;
        let mut found = 0;
        for step in present.saturating_sub(TOLERANCE)..=present + TOLERANCE {
            found.conditional_assign(&step, self.code(step)[..self.digits].ct_eq(given));
        }
        (found > 0).then_some(found)
    }

    /// A password with a code behind it, taken apart. `None`: there is no room for both.
    pub fn split<'g>(&self, given: &'g [u8]) -> Option<(&'g [u8], &'g [u8])> {
        let end = given.len().checked_sub(self.digits)?;
        let (password, code) = given.split_at(end);
        (!password.is_empty() && code.iter().all(u8::is_ascii_digit)).then_some((password, code))
    }
}

impl fmt::Debug for Totp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Totp").field("digits", &self.digits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "12345678901234567890", the secret of RFC 6238 appendix B.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn the_codes_are_those_of_rfc_6238_appendix_b() {
        let totp = Totp::base32(SECRET, 8).unwrap();
        for (seconds, code) in [
            (59, b"94287082"),
            (1_111_111_109, b"07081804"),
            (1_111_111_111, b"14050471"),
            (1_234_567_890, b"89005924"),
            (2_000_000_000, b"69279037"),
            (20_000_000_000, b"65353130"),
        ] {
            assert_eq!(totp.step_of(code, seconds), Some(seconds / STEP));
            assert_eq!(&totp.code(seconds / STEP), code);
        }
        // Six digits are the last six of eight.
        assert_eq!(Totp::base32(SECRET, 6).unwrap().step_of(b"287082", 59), Some(1));
    }

    #[test]
    fn the_codes_are_those_of_the_crate() {
        let totp = Totp::base32(SECRET, 6).unwrap();
        let oracle = totp_rs::Builder::new().with_secret(*b"12345678901234567890").build_noncompliant();
        for step in (0..u64::MAX / STEP).step_by(1 << 50) {
            assert_eq!(totp.text(step), oracle.generate(step * STEP).to_string(), "{step}");
        }
    }

    #[test]
    fn a_code_counts_one_step_before_and_after_its_own() {
        let totp = Totp::base32(SECRET, 6).unwrap();
        // oathtool --totp -b GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ --now '2009-02-13 23:31:30 UTC'
        let (code, at) = (b"005924", 1_234_567_890);
        for (seconds, counts) in
            [(at - 31, false), (at - 30, true), (at + 29, true), (at + 59, true), (at + 60, false)]
        {
            assert_eq!(totp.step_of(code, seconds).is_some(), counts, "{seconds}");
        }
        for wrong in [&b"005925"[..], b"05924", b"0005924", b"", b"00592a"] {
            assert_eq!(totp.step_of(wrong, at), None);
        }
    }

    #[test]
    fn a_secret_is_read_as_people_copy_it() {
        let code = |text: &str| Totp::base32(text, 6).unwrap().code(1);
        let spaced = "gezd gnbv gy3t qojq-GEZD GNBV GY3T QOJQ====";
        assert_eq!(code(spaced), code(SECRET));
        assert_eq!(Totp::base32("GEZDGNBV1", 6).unwrap_err(), TotpError::Base32);
        assert_eq!(Totp::base32("GEZDGNBV", 6).unwrap_err(), TotpError::Length { octets: 5 });
        assert_eq!(Totp::base32(SECRET, 7).unwrap_err(), TotpError::Digits { digits: 7 });
        assert_eq!(format!("{:?}", Totp::base32(SECRET, 6).unwrap()), "Totp { digits: 6, .. }");
    }

    #[test]
    fn a_password_and_its_code_are_taken_apart() {
        let totp = Totp::base32(SECRET, 6).unwrap();
        assert_eq!(totp.split(b"wonderland123456"), Some((&b"wonderland"[..], &b"123456"[..])));
        for wrong in [&b"123456"[..], b"12345", b"", b"wonderland12345x"] {
            assert_eq!(totp.split(wrong), None);
        }
    }
}
