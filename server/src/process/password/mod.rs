//! Stored passwords, in the forms people have them, and whether a given one matches.
//!
//! Comparisons are constant time. A form is *slow* when it was made to be: such a one is verified on the
//! worker pool, never on a listener core.

mod crypt;
mod des_crypt;
mod digest;
mod error;
mod md5_crypt;
mod names;
mod pbkdf2;

use std::borrow::Cow;
use std::fmt;

use forewarn_wire::mschap;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crypt::Scheme;
use digest::Digest;
use pbkdf2::Pbkdf2;

pub use error::PasswordError;

/// The longest password RADIUS can carry, octets (RFC 2865 section 5.2).
pub const LONGEST: usize = 128;

/// A password as it is stored. `Debug` shows the form, never the content.
#[derive(Clone)]
pub struct Password(Form);

#[derive(Clone)]
enum Form {
    Clear(Zeroizing<Box<[u8]>>),
    Nt(Zeroizing<[u8; mschap::HASH]>),
    Lm(Zeroizing<[u8; mschap::HASH]>),
    Digest { digest: Digest, hash: Zeroizing<Box<[u8]>>, salt: Box<[u8]> },
    NsMtaMd5 { hash: Zeroizing<Box<[u8]>>, salt: Box<[u8]> },
    Crypt { scheme: Scheme, hash: Zeroizing<String> },
    Pbkdf2(Box<Pbkdf2>),
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

    /// Whether a value of LDAP's `userPassword` names a scheme that isn't known here, as `{SASL}` is: then it is no
    /// password, whatever stands behind it.
    pub fn has_foreign_scheme(value: &[u8]) -> bool {
        names::has_foreign_scheme(value)
    }

    /// An NT hash: MD4 of the UTF-16 password, as 32 hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// Not 32 hexadecimal digits.
    pub fn nt_hash(text: &str) -> Result<Self, PasswordError> {
        let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
        let mut hash = Zeroizing::new([0; mschap::HASH]);
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
    /// `$argon2..$`), PBKDF2 (`$pbkdf2-sha256$`, `{PBKDF2-SHA256}`, `pbkdf2_sha256$`, ...) or LDAP's (`{SSHA}`, `{SHA}`,
    /// `{SSHA256}`, ...; `{CRYPT}` before a crypt form).
    ///
    /// # Errors
    /// A form not known, or not well formed.
    pub fn hash(text: &str) -> Result<Self, PasswordError> {
        if text.starts_with('{') {
            return names::labelled(text.as_bytes()).unwrap_or(Err(PasswordError::Form));
        }
        if let Some(found) = Pbkdf2::parse(text) {
            return found.map(Self::of_pbkdf2);
        }
        Self::of_scheme(Scheme::of(text).ok_or(PasswordError::Form)?, text)
    }

    /// What crypt(3) writes: as [`hash`](Self::hash), and the form of 1979, which has no mark of its own.
    ///
    /// # Errors
    /// As [`hash`](Self::hash).
    pub fn crypt(text: &str) -> Result<Self, PasswordError> {
        match Scheme::of(text) {
            Some(scheme) => Self::of_scheme(scheme, text),
            None if Scheme::Des.well_formed(text) => Self::of_scheme(Scheme::Des, text),
            None => Err(PasswordError::Form),
        }
    }

    /// By the name of a FreeRADIUS attribute, `Cleartext-Password`, `Crypt-Password`, `SSHA2-256-Password` or another;
    /// upper and lower case don't matter. Digests may be octets, hexadecimal digits (with or without `0x`) or Base64, as
    /// FreeRADIUS normalises them. `None`: the attribute is no stored password.
    ///
    /// # Errors
    /// The value doesn't follow the form its name promises.
    pub fn of_attribute(name: &str, value: &[u8]) -> Option<Result<Self, PasswordError>> {
        names::attribute(name, value)
    }

    fn of_scheme(scheme: Scheme, text: &str) -> Result<Self, PasswordError> {
        if !scheme.well_formed(text) {
            return Err(PasswordError::Malformed { form: scheme.name() });
        }
        Ok(Self(Form::Crypt { scheme, hash: Zeroizing::new(text.to_owned()) }))
    }

    fn of_pbkdf2(pbkdf2: Pbkdf2) -> Self {
        Self(Form::Pbkdf2(Box::new(pbkdf2)))
    }

    /// Whether verifying takes long enough to keep it off a listener core (100 us and more).
    pub fn is_slow(&self) -> bool {
        match &self.0 {
            Form::Crypt { scheme, .. } => scheme.is_slow(),
            Form::Pbkdf2(_) => true,
            _ => false,
        }
    }

    /// The clear text, where that is what is stored: CHAP needs it.
    pub fn clear_text(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Clear(text) => Some(text),
            _ => None,
        }
    }

    /// The NT hash, where it is stored or follows from what is: MS-CHAP needs it.
    pub fn as_nt_hash(&self) -> Option<Cow<'_, Zeroizing<[u8; mschap::HASH]>>> {
        match &self.0 {
            Form::Clear(text) => Some(Cow::Owned(mschap::nt_hash(text))),
            Form::Nt(hash) => Some(Cow::Borrowed(hash)),
            _ => None,
        }
    }

    /// Whether it is stored as an NT hash.
    pub fn is_nt_hash(&self) -> bool {
        matches!(self.0, Form::Nt(_))
    }

    /// Octets that change when a slow form does, for whoever keeps that it was verified. Not a secret's beginning or end:
    /// the whole of it.
    pub(super) fn identity(&self) -> &[u8] {
        match &self.0 {
            Form::Crypt { hash, .. } => hash.as_bytes(),
            Form::Pbkdf2(pbkdf2) => pbkdf2.identity(),
            Form::Clear(text) => text,
            Form::Nt(hash) | Form::Lm(hash) => hash.as_slice(),
            Form::Digest { hash, .. } | Form::NsMtaMd5 { hash, .. } => hash,
        }
    }

    /// Whether `given` is this password. Its time tells nothing about the content; a slow form's time is its
    /// cost.
    pub fn matches(&self, given: &[u8]) -> bool {
        match &self.0 {
            Form::Clear(text) => same_text(text, given),
            Form::Nt(hash) => mschap::nt_hash(given).as_slice().ct_eq(hash.as_slice()).into(),
            Form::Lm(hash) => mschap::lm_hash(given).as_slice().ct_eq(hash.as_slice()).into(),
            Form::Digest { digest, hash, salt } => digest.matches(given, salt, hash),
            Form::NsMtaMd5 { hash, salt } => digest::ns_mta_md5_matches(given, salt, hash),
            Form::Crypt { scheme, hash } => scheme.matches(given, hash),
            Form::Pbkdf2(pbkdf2) => pbkdf2.matches(given),
        }
    }

    /// The name of the form.
    pub fn form(&self) -> &'static str {
        match &self.0 {
            Form::Clear(_) => "clear text",
            Form::Nt(_) => "NT hash",
            Form::Lm(_) => "LM hash",
            Form::Digest { digest, .. } => digest.name(),
            Form::NsMtaMd5 { .. } => "NS-MTA-MD5",
            Form::Crypt { scheme, .. } => scheme.name(),
            Form::Pbkdf2(_) => pbkdf2::NAME,
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password({})", self.form())
    }
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

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests;
