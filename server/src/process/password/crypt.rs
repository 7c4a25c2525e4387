//! The forms of crypt(3) and their kin, each a text that says itself what it is.

use super::{des_crypt, md5_crypt};

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scheme {
    Des,
    Md5Crypt,
    ShaCrypt,
    Yescrypt,
    Bcrypt,
    Argon2,
}

impl Scheme {
    /// By the text's beginning; the oldest has none and isn't found here.
    pub(super) fn of(text: &str) -> Option<Self> {
        let id = text.strip_prefix('$')?.split('$').next()?;
        Some(match id {
            "1" => Self::Md5Crypt,
            "5" | "6" => Self::ShaCrypt,
            "y" => Self::Yescrypt,
            "2a" | "2b" | "2y" => Self::Bcrypt,
            "argon2i" | "argon2d" | "argon2id" => Self::Argon2,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Des => "DES crypt",
            Self::Md5Crypt => "$1$ (md5-crypt)",
            Self::ShaCrypt => "$5$ or $6$ (sha-crypt)",
            Self::Yescrypt => "$y$ (yescrypt)",
            Self::Bcrypt => "$2b$ (bcrypt)",
            Self::Argon2 => "$argon2$",
        }
    }

    /// Whether verifying takes long enough to keep it off a listener core.
    pub(super) fn is_slow(self) -> bool {
        self != Self::Des
    }

    /// Whether the text has the fields of its form, so that a slip is found at load and not at the log-in.
    pub(super) fn well_formed(self, text: &str) -> bool {
        match self {
            Self::Des => des_crypt::fields(text).is_some(),
            Self::Md5Crypt => md5_crypt::fields(text).is_some(),
            Self::ShaCrypt => {
                let digits = if text.starts_with("$5$") { 43 } else { 86 };
                ends_in_digits(text, digits) && matches!(text.split('$').count(), 4 | 5)
            }
            Self::Yescrypt => ends_in_digits(text, 43) && text.split('$').count() == 5,
            Self::Bcrypt => text.len() == 60 && text.parse::<bcrypt::HashParts>().is_ok(),
            Self::Argon2 => {
                argon2::password_hash::phc::PasswordHash::new(text).is_ok_and(|hash| hash.hash.is_some())
            }
        }
    }

    pub(super) fn matches(self, given: &[u8], hash: &str) -> bool {
        use argon2::password_hash::PasswordVerifier;
        match self {
            Self::Des => des_crypt::matches(given, hash),
            Self::Md5Crypt => md5_crypt::matches(given, hash),
            Self::ShaCrypt => sha_crypt::ShaCrypt::default().verify_password(given, hash).is_ok(),
            Self::Yescrypt => yescrypt::Yescrypt::default().verify_password(given, hash).is_ok(),
            Self::Bcrypt => bcrypt::verify(given, hash).unwrap_or(false),
            Self::Argon2 => argon2::Argon2::default().verify_password(given, hash).is_ok(),
        }
    }
}

/// The order of digits in all of them: six bits each.
pub(super) const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(super) fn is_of_alphabet(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'.' || octet == b'/')
}

fn ends_in_digits(text: &str, digits: usize) -> bool {
    text.rsplit('$').next().is_some_and(|hash| hash.len() == digits && is_of_alphabet(hash))
}
