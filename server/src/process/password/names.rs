//! Passwords by the names others gave their forms: LDAP's `{SCHEME}` and FreeRADIUS's attributes.

use base64ct::{Base64, Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use super::digest::Digest;
use super::pbkdf2::Pbkdf2;
use super::{Form, Password, PasswordError, hexadecimal};

/// What a name stands for.
#[derive(Clone, Copy)]
enum Kind {
    Clear,
    Nt,
    Lm,
    NsMtaMd5,
    Crypt,
    Pbkdf2,
    WithHeader,
    Digest(Digest),
    Salted(Digest),
    /// The digest of this family whose length the value has.
    Sha2,
}

/// FreeRADIUS's attributes that say what a password has to be, by its internal dictionary.
const ATTRIBUTES: &[(&str, Kind)] = &[
    ("Cleartext-Password", Kind::Clear),
    ("Crypt-Password", Kind::Crypt),
    ("NT-Password", Kind::Nt),
    ("LM-Password", Kind::Lm),
    ("NS-MTA-MD5-Password", Kind::NsMtaMd5),
    ("MD5-Password", Kind::Digest(Digest::Md5)),
    ("SMD5-Password", Kind::Salted(Digest::Md5)),
    ("SHA-Password", Kind::Digest(Digest::Sha1)),
    ("SHA1-Password", Kind::Digest(Digest::Sha1)),
    ("SSHA-Password", Kind::Salted(Digest::Sha1)),
    ("SSHA1-Password", Kind::Salted(Digest::Sha1)),
    ("SHA2-Password", Kind::Sha2),
    ("SSHA2-224-Password", Kind::Salted(Digest::Sha224)),
    ("SSHA2-256-Password", Kind::Salted(Digest::Sha256)),
    ("SSHA2-384-Password", Kind::Salted(Digest::Sha384)),
    ("SSHA2-512-Password", Kind::Salted(Digest::Sha512)),
    ("SSHA3-224-Password", Kind::Salted(Digest::Sha3_224)),
    ("SSHA3-256-Password", Kind::Salted(Digest::Sha3_256)),
    ("SSHA3-384-Password", Kind::Salted(Digest::Sha3_384)),
    ("SSHA3-512-Password", Kind::Salted(Digest::Sha3_512)),
    ("PBKDF2-Password", Kind::Pbkdf2),
    ("Password-With-Header", Kind::WithHeader),
];

/// LDAP's schemes: RFC 2307, OpenLDAP's and its contributed ones, and those FreeRADIUS knows.
const SCHEMES: &[(&str, Kind)] = &[
    ("CLEAR", Kind::Clear),
    ("CLEARTEXT", Kind::Clear),
    ("CRYPT", Kind::Crypt),
    ("MD5", Kind::Digest(Digest::Md5)),
    ("BASE64_MD5", Kind::Digest(Digest::Md5)),
    ("SMD5", Kind::Salted(Digest::Md5)),
    ("SHA", Kind::Digest(Digest::Sha1)),
    ("SSHA", Kind::Salted(Digest::Sha1)),
    ("SHA2", Kind::Sha2),
    ("SHA224", Kind::Digest(Digest::Sha224)),
    ("SHA256", Kind::Digest(Digest::Sha256)),
    ("SHA384", Kind::Digest(Digest::Sha384)),
    ("SHA512", Kind::Digest(Digest::Sha512)),
    ("SSHA224", Kind::Salted(Digest::Sha224)),
    ("SSHA256", Kind::Salted(Digest::Sha256)),
    ("SSHA384", Kind::Salted(Digest::Sha384)),
    ("SSHA512", Kind::Salted(Digest::Sha512)),
    ("SSHA3-224", Kind::Salted(Digest::Sha3_224)),
    ("SSHA3-256", Kind::Salted(Digest::Sha3_256)),
    ("SSHA3-384", Kind::Salted(Digest::Sha3_384)),
    ("SSHA3-512", Kind::Salted(Digest::Sha3_512)),
    ("MD4", Kind::Nt),
    ("NT", Kind::Nt),
    ("NTHASH", Kind::Nt),
    ("X-NTHASH", Kind::Nt),
    ("X- ORCLNTV", Kind::Nt),
    ("X- ORCLLMV", Kind::Lm),
    ("NS-MTA-MD5", Kind::NsMtaMd5),
    ("ARGON2", Kind::Crypt),
];

/// The attribute of this name, in any case. `None`: it is no password.
pub(super) fn attribute(name: &str, value: &[u8]) -> Option<Result<Password, PasswordError>> {
    Some(find(ATTRIBUTES, name)?.read(value))
}

/// `{SCHEME}value`; `None`: the text has no such head, or one that isn't known.
pub(super) fn labelled(text: &[u8]) -> Option<Result<Password, PasswordError>> {
    let end = text.iter().position(|octet| *octet == b'}')?;
    let name = std::str::from_utf8(text.get(1..end).filter(|_| text[0] == b'{')?).ok()?;
    if let Some(found) = std::str::from_utf8(text).ok().and_then(Pbkdf2::parse) {
        return Some(found.map(Password::of_pbkdf2));
    }
    Some(find(SCHEMES, name)?.read(&text[end + 1..]))
}

/// `{SCHEME}value` (RFC 2307 section 5.3) whose scheme is none of these.
pub(super) fn has_foreign_scheme(text: &[u8]) -> bool {
    let end = text.iter().position(|octet| *octet == b'}').filter(|end| *end > 1 && text[0] == b'{');
    let is_scheme = |name: &[u8]| {
        name.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'/' | b'.'))
    };
    end.is_some_and(|end| is_scheme(&text[1..end])) && labelled(text).is_none()
}

fn find(table: &[(&str, Kind)], name: &str) -> Option<Kind> {
    table.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, kind)| *kind)
}

impl Kind {
    fn read(self, value: &[u8]) -> Result<Password, PasswordError> {
        match self {
            Kind::Clear => Password::clear(value),
            Kind::Crypt => Password::crypt(text(value)?),
            Kind::Pbkdf2 => {
                Pbkdf2::parse(text(value)?).unwrap_or(Err(PasswordError::Form)).map(Password::of_pbkdf2)
            }
            Kind::WithHeader => with_header(value),
            Kind::Nt => sixteen(value, "NT").map(|hash| Password(Form::Nt(hash))),
            Kind::Lm => sixteen(value, "LM").map(|hash| Password(Form::Lm(hash))),
            Kind::NsMtaMd5 => ns_mta_md5(value),
            Kind::Digest(digest) => {
                let hash = octets(value, digest.octets());
                of_digest(digest, &hash, hash.len() == digest.octets())
            }
            Kind::Salted(digest) => {
                let hash = octets(value, digest.octets());
                of_digest(digest, &hash, hash.len() > digest.octets())
            }
            Kind::Sha2 => {
                let hash = octets(value, 28);
                let digest = Digest::sha2(hash.len());
                of_digest(digest.unwrap_or(Digest::Sha256), &hash, digest.is_some())
            }
        }
    }
}

/// As FreeRADIUS reads it: the whole may be in Base64, and what has no known scheme is the password itself.
fn with_header(value: &[u8]) -> Result<Password, PasswordError> {
    if let Some(found) = labelled(value) {
        return found;
    }
    let decoded = base64(value).filter(|decoded| decoded.starts_with(b"{") && decoded.contains(&b'}'));
    match decoded {
        Some(decoded) => with_header(&decoded),
        None => Password::clear(value),
    }
}

fn of_digest(digest: Digest, octets: &[u8], well_formed: bool) -> Result<Password, PasswordError> {
    match octets.split_at_checked(digest.octets()).filter(|_| well_formed) {
        Some((hash, salt)) => {
            Ok(Password(Form::Digest { digest, hash: Zeroizing::new(hash.into()), salt: salt.into() }))
        }
        None => Err(PasswordError::Malformed { form: digest.name() }),
    }
}

fn sixteen(value: &[u8], form: &'static str) -> Result<Zeroizing<[u8; 16]>, PasswordError> {
    let hash = octets(value, 16);
    let hash = <[u8; 16]>::try_from(hash.as_slice()).map_err(|_| PasswordError::Malformed { form })?;
    Ok(Zeroizing::new(hash))
}

fn ns_mta_md5(value: &[u8]) -> Result<Password, PasswordError> {
    let malformed = PasswordError::Malformed { form: "NS-MTA-MD5" };
    let (digits, salt) = value.split_at_checked(32).filter(|(_, salt)| salt.len() == 32).ok_or(malformed)?;
    let hash = hex(digits).ok_or(malformed)?;
    Ok(Password(Form::NsMtaMd5 { hash: Zeroizing::new(hash.as_slice().into()), salt: salt.into() }))
}

/// A value of at least `least` octets, which may be written in hexadecimal digits or Base64: FreeRADIUS's `normalise`,
/// and the `0x` it takes off while reading an attribute of octets. Octets that aren't encoded are never all printable:
/// a text that is neither comes back empty.
fn octets(value: &[u8], least: usize) -> Zeroizing<Vec<u8>> {
    let bare = value.strip_prefix(b"0x").and_then(hex);
    let long_enough = |decoded: &Zeroizing<Vec<u8>>| decoded.len() >= least;
    let encoded =
        bare.or_else(|| hex(value).filter(long_enough)).or_else(|| base64(value).filter(long_enough));
    let is_text = value.iter().all(u8::is_ascii_graphic);
    encoded.unwrap_or_else(|| Zeroizing::new(if is_text { Vec::new() } else { value.to_vec() }))
}

fn hex(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let octets: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(hexadecimal(*high)? << 4 | hexadecimal(*low)?)).collect();
    octets.filter(|_| rest.is_empty()).map(Zeroizing::new)
}

fn base64(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digits = std::str::from_utf8(digits).ok()?;
    Base64::decode_vec(digits).or_else(|_| Base64Unpadded::decode_vec(digits)).ok().map(Zeroizing::new)
}

fn text(value: &[u8]) -> Result<&str, PasswordError> {
    std::str::from_utf8(value).map_err(|_| PasswordError::Form)
}
