//! Stored passwords, in the forms people have them, and whether a given one matches.
//!
//! Comparisons are constant time. A form is *slow* when it was made to be: such a one is verified on the
//! worker pool, never on a listener core.

mod md5_crypt;

use std::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding};
use md4::Md4;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest password RADIUS can carry, octets (RFC 2865 section 5.2).
pub const LONGEST: usize = 128;

/// A password as it is stored. `Debug` shows the form, never the content.
#[derive(Clone)]
pub struct Password(Form);

#[derive(Clone)]
enum Form {
    Clear(Zeroizing<Box<[u8]>>),
    Nt(Zeroizing<[u8; 16]>),
    Salted { digest: SaltedDigest, hash: Zeroizing<Box<[u8]>>, salt: Box<[u8]> },
    Crypt { scheme: Scheme, hash: Zeroizing<String> },
}

/// `{SCHEME}` forms of LDAP: digest of password and salt, Base64 of digest and salt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SaltedDigest {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

/// Crypt forms, each with its own text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    Md5Crypt,
    ShaCrypt,
    Yescrypt,
    Bcrypt,
    Argon2,
}

impl Password {
    /// A password in clear text.
    ///
    /// # Errors
    /// Empty, or longer than RADIUS can carry.
    pub fn clear(text: &[u8]) -> Result<Self, PasswordError> {
        match text.len() {
            0 => Err(PasswordError::Empty),
            1..=LONGEST => Ok(Self(Form::Clear(Zeroizing::new(text.into())))),
            _ => Err(PasswordError::TooLong),
        }
    }

    /// An NT hash: MD4 of the UTF-16 password, as 32 hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// Not 32 hexadecimal digits.
    pub fn nt_hash(text: &str) -> Result<Self, PasswordError> {
        let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
        let mut hash = Zeroizing::new([0; 16]);
        if digits.len() != 32 {
            return Err(PasswordError::NtHash);
        }
        for (octet, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (hexadecimal(pair[0]), hexadecimal(pair[1]));
            let (Some(high), Some(low)) = (high, low) else { return Err(PasswordError::NtHash) };
            *octet = high << 4 | low;
        }
        Ok(Self(Form::Nt(hash)))
    }

    /// A hash that says itself what it is: crypt (`$1$`, `$5$`, `$6$`, `$y$`, `$2a$`, `$2b$`, `$2y$`,
    /// `$argon2..$`) or LDAP's (`{SSHA}`, `{SHA}`, `{SSHA256}`, `{SSHA512}`, `{SHA256}`, `{SHA512}`, `{SMD5}`,
    /// `{MD5}`; `{CRYPT}` before a crypt form).
    ///
    /// # Errors
    /// A form not known, or not well formed.
    pub fn hash(text: &str) -> Result<Self, PasswordError> {
        if let Some(rest) = text.strip_prefix('{') {
            let (name, value) = rest.split_once('}').ok_or(PasswordError::Form)?;
            return labelled(name, value);
        }
        let scheme = Scheme::of(text).ok_or(PasswordError::Form)?;
        if !scheme.well_formed(text) {
            return Err(PasswordError::Malformed { form: scheme.name() });
        }
        Ok(Self(Form::Crypt { scheme, hash: Zeroizing::new(text.to_owned()) }))
    }

    /// Whether verifying takes long enough to keep it off a listener core (100 us and more).
    pub fn is_slow(&self) -> bool {
        matches!(self.0, Form::Crypt { .. })
    }

    /// The clear text, where that is what is stored: CHAP needs it.
    pub fn clear_text(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Clear(text) => Some(text),
            _ => None,
        }
    }

    /// Whether `given` is this password. Its time tells nothing about the content; a slow form's time is its
    /// cost.
    pub fn matches(&self, given: &[u8]) -> bool {
        match &self.0 {
            Form::Clear(text) => same_text(text, given),
            Form::Nt(hash) => nt_hash_of(given).as_slice().ct_eq(hash.as_slice()).into(),
            Form::Salted { digest, hash, salt } => digest.matches(given, salt, hash),
            Form::Crypt { scheme, hash } => scheme.matches(given, hash),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match &self.0 {
            Form::Clear(_) => "clear text",
            Form::Nt(_) => "NT hash",
            Form::Salted { digest, .. } => digest.name(),
            Form::Crypt { scheme, .. } => scheme.name(),
        };
        write!(f, "Password({form})")
    }
}

/// Why a stored password can't be used: the operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// An empty password would let in everyone who knows the name.
    #[error("the password is empty; would be right: 1 to {LONGEST} octets")]
    Empty,
    /// RFC 2865 section 5.2.
    #[error("the password is longer than the {LONGEST} octets RADIUS can carry")]
    TooLong,
    /// Not an NT hash.
    #[error("not an NT hash; would be right: 32 hexadecimal digits")]
    NtHash,
    /// No form we know.
    #[error(
        "not a password hash known here; would be right: $1$, $5$, $6$, $y$, $2a$, $2b$, $2y$, $argon2id$ (or i, d), \
         {{SSHA}}, {{SSHA256}}, {{SSHA512}}, {{SHA}}, {{SHA256}}, {{SHA512}}, {{SMD5}}, {{MD5}} or {{CRYPT}}"
    )]
    Form,
    /// The form is known, but the text doesn't follow it.
    #[error("this {form} hash is not well formed")]
    Malformed {
        /// Its name.
        form: &'static str,
    },
}

impl SaltedDigest {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "{SMD5}",
            Self::Sha1 => "{SSHA}",
            Self::Sha256 => "{SSHA256}",
            Self::Sha512 => "{SSHA512}",
        }
    }

    fn octets(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn matches(self, given: &[u8], salt: &[u8], hash: &[u8]) -> bool {
        match self {
            Self::Md5 => digest_matches::<Md5>(given, salt, hash),
            Self::Sha1 => digest_matches::<Sha1>(given, salt, hash),
            Self::Sha256 => digest_matches::<Sha256>(given, salt, hash),
            Self::Sha512 => digest_matches::<Sha512>(given, salt, hash),
        }
    }
}

impl Scheme {
    fn of(text: &str) -> Option<Self> {
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

    fn name(self) -> &'static str {
        match self {
            Self::Md5Crypt => "$1$ (md5-crypt)",
            Self::ShaCrypt => "$5$ or $6$ (sha-crypt)",
            Self::Yescrypt => "$y$ (yescrypt)",
            Self::Bcrypt => "$2b$ (bcrypt)",
            Self::Argon2 => "$argon2$",
        }
    }

    /// Whether the text has the fields of its form, so that a slip is found at load and not at the log-in.
    fn well_formed(self, text: &str) -> bool {
        match self {
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

    fn matches(self, given: &[u8], hash: &str) -> bool {
        use argon2::password_hash::PasswordVerifier;
        match self {
            Self::Md5Crypt => md5_crypt::matches(given, hash),
            Self::ShaCrypt => sha_crypt::ShaCrypt::default().verify_password(given, hash).is_ok(),
            Self::Yescrypt => yescrypt::Yescrypt::default().verify_password(given, hash).is_ok(),
            Self::Bcrypt => bcrypt::verify(given, hash).unwrap_or(false),
            Self::Argon2 => argon2::Argon2::default().verify_password(given, hash).is_ok(),
        }
    }
}

fn ends_in_digits(text: &str, digits: usize) -> bool {
    text.rsplit('$').next().is_some_and(|hash| hash.len() == digits && crypt_alphabet(hash))
}

fn crypt_alphabet(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'.' || octet == b'/')
}

/// The LDAP forms, RFC 3112 and OpenLDAP's contributed ones.
fn labelled(name: &str, value: &str) -> Result<Password, PasswordError> {
    let (digest, salted) = match name.to_ascii_uppercase().as_str() {
        "CRYPT" => return Password::hash(value),
        "MD5" => (SaltedDigest::Md5, false),
        "SMD5" => (SaltedDigest::Md5, true),
        "SHA" => (SaltedDigest::Sha1, false),
        "SSHA" => (SaltedDigest::Sha1, true),
        "SHA256" => (SaltedDigest::Sha256, false),
        "SSHA256" => (SaltedDigest::Sha256, true),
        "SHA512" => (SaltedDigest::Sha512, false),
        "SSHA512" => (SaltedDigest::Sha512, true),
        _ => return Err(PasswordError::Form),
    };
    let malformed = PasswordError::Malformed { form: digest.name() };
    let decoded = Base64::decode_vec(value).or_else(|_| Base64Unpadded::decode_vec(value));
    let octets = Zeroizing::new(decoded.map_err(|_| malformed)?);
    let Some((hash, salt)) = octets.split_at_checked(digest.octets()) else { return Err(malformed) };
    if salt.is_empty() == salted {
        return Err(malformed);
    }
    Ok(Password(Form::Salted { digest, hash: Zeroizing::new(hash.into()), salt: salt.into() }))
}

fn digest_matches<D: Digest>(given: &[u8], salt: &[u8], hash: &[u8]) -> bool {
    let computed = D::new().chain_update(given).chain_update(salt).finalize();
    computed.as_slice().ct_eq(hash).into()
}

/// Compares over the longest length there can be, so that the time doesn't tell the stored one's.
fn same_text(stored: &[u8], given: &[u8]) -> bool {
    let (stored_words, given_words) = (words(stored), words(given));
    let mut difference = (stored.len() ^ given.len()) as u64;
    for (a, b) in stored_words.iter().zip(given_words.iter()) {
        difference |= a ^ b;
    }
    difference.ct_eq(&0).into()
}

/// The first 128 octets as words, filled up with zeros.
fn words(text: &[u8]) -> Zeroizing<[u64; LONGEST / 8]> {
    let mut words = Zeroizing::new([0; LONGEST / 8]);
    for (word, chunk) in words.iter_mut().zip(text.chunks(8)) {
        let mut octets = [0; 8];
        octets[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_ne_bytes(octets);
    }
    words
}

/// MD4 of the password in UTF-16LE (MS-CHAP, RFC 2433 A.3). Octets that aren't UTF-8 are taken as U+FFFD.
fn nt_hash_of(given: &[u8]) -> Zeroizing<[u8; 16]> {
    let mut md4 = Md4::new();
    for chunk in given.utf8_chunks() {
        let replacement = if chunk.invalid().is_empty() { "" } else { "\u{fffd}" };
        for unit in chunk.valid().encode_utf16().chain(replacement.encode_utf16()) {
            md4.update(unit.to_le_bytes());
        }
    }
    Zeroizing::new(md4.finalize().into())
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests;
