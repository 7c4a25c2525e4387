//! PBKDF2 (RFC 8018), in the ways it is written down.

use base64ct::{Base64, Base64Unpadded, Encoding};
use hmac::EagerHash;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::PasswordError;
use super::digest::Digest;

/// More rounds than anybody needs: a slip, or somebody who wants the workers busy for an hour.
const ROUNDS_MAX: u32 = 50_000_000;
pub(super) const NAME: &str = "PBKDF2";

/// A hash with what it takes to make it again.
#[derive(Clone)]
pub(super) struct Pbkdf2 {
    digest: Digest,
    rounds: u32,
    salt: Box<[u8]>,
    hash: Zeroizing<Box<[u8]>>,
}

impl Pbkdf2 {
    /// `None`: this is not PBKDF2. Understood are
    /// - `$pbkdf2-sha256$ROUNDS$SALT$HASH` and `{PBKDF2-SHA256}ROUNDS$SALT$HASH` (Passlib, OpenLDAP, 389 Directory Server),
    /// - `$pbkdf2-sha256$i=ROUNDS,l=32$SALT$HASH` (PHC),
    /// - `pbkdf2_sha256$ROUNDS$SALT$HASH`, its salt not in Base64 (Django),
    /// - `$PBKDF2$HMACSHA2+256:ROUNDS:SALT$HASH` and `{X-PBKDF2}HMACSHA2+256:ROUNDS:SALT:HASH`, rounds in Base64 here
    ///   (Perl's Crypt::PBKDF2).
    pub(super) fn parse(text: &str) -> Option<Result<Self, PasswordError>> {
        let fields = of_perl(text).or_else(|| of_django(text)).or_else(|| of_passlib(text))?;
        Some(fields.and_then(Fields::understood).ok_or(PasswordError::Malformed { form: NAME }))
    }

    pub(super) fn matches(&self, given: &[u8]) -> bool {
        let derive = match self.digest {
            Digest::Sha1 => derive::<Sha1>,
            Digest::Sha224 => derive::<Sha224>,
            Digest::Sha256 => derive::<Sha256>,
            Digest::Sha384 => derive::<Sha384>,
            Digest::Sha512 => derive::<Sha512>,
            Digest::Sha3_224 => derive::<Sha3_224>,
            Digest::Sha3_256 => derive::<Sha3_256>,
            Digest::Sha3_384 => derive::<Sha3_384>,
            Digest::Sha3_512 => derive::<Sha3_512>,
            Digest::Md5 => return false,
        };
        let mut computed = Zeroizing::new([0; 64]);
        let computed = &mut computed[..self.hash.len()];
        derive(given, &self.salt, self.rounds, computed);
        (*computed).ct_eq(&self.hash).into()
    }

    /// What makes it this hash and no other, for whoever keeps that it was verified.
    pub(super) fn identity(&self) -> &[u8] {
        &self.hash
    }
}

fn derive<D: EagerHash>(given: &[u8], salt: &[u8], rounds: u32, out: &mut [u8])
where
    D::Core: Sync,
{
    pbkdf2::pbkdf2_hmac::<D>(given, salt, rounds, out);
}

/// The parts of a text, not yet judged.
struct Fields<'t> {
    digest: Option<Digest>,
    rounds: Option<u32>,
    salt: Option<Vec<u8>>,
    hash: &'t str,
}

impl Fields<'_> {
    fn understood(self) -> Option<Pbkdf2> {
        let (digest, salt) = (self.digest?, self.salt?);
        let rounds = self.rounds.filter(|rounds| *rounds <= ROUNDS_MAX)?;
        let hash = Zeroizing::new(base64(self.hash)?.into_boxed_slice());
        let well_formed = hash.len() == digest.octets() && !salt.is_empty();
        // FreeRADIUS takes no round for one.
        let rounds = rounds.max(1);
        well_formed.then(|| Pbkdf2 { digest, rounds, salt: salt.into(), hash })
    }
}

/// Whether the text is Perl's, and its parts.
fn of_perl(text: &str) -> Option<Option<Fields<'_>>> {
    let bare = strip(text, "{X-PBKDF2}").or_else(|| text.starts_with("HMACSHA").then_some(text));
    let (rest, end) = bare.map(|rest| (rest, ':')).or_else(|| Some((text.strip_prefix("$PBKDF2$")?, '$')))?;
    let fields = || {
        let (name, rest) = rest.split_once(':')?;
        let (rounds, rest) = rest.split_once(':')?;
        let (salt, hash) = rest.split_once(end)?;
        // Perl itself writes `HMACSHA2{256}` after `$PBKDF2$`; FreeRADIUS reads `+` in both places.
        let digest = match name.replace('{', "+").trim_end_matches('}') {
            "HMACSHA1" => Digest::Sha1,
            "HMACSHA2+224" => Digest::Sha224,
            "HMACSHA2+256" => Digest::Sha256,
            "HMACSHA2+384" => Digest::Sha384,
            "HMACSHA2+512" => Digest::Sha512,
            "HMACSHA3+224" => Digest::Sha3_224,
            "HMACSHA3+256" => Digest::Sha3_256,
            "HMACSHA3+384" => Digest::Sha3_384,
            "HMACSHA3+512" => Digest::Sha3_512,
            _ => return None,
        };
        let rounds = match end {
            ':' => Some(u32::from_be_bytes(base64(rounds)?.try_into().ok()?)),
            _ => rounds.parse().ok(),
        };
        Some(Fields { digest: Some(digest), rounds, salt: base64(salt), hash })
    };
    Some(fields())
}

fn of_django(text: &str) -> Option<Option<Fields<'_>>> {
    let (digest, rest) = [("pbkdf2_sha256$", Digest::Sha256), ("pbkdf2_sha1$", Digest::Sha1)]
        .into_iter()
        .find_map(|(head, digest)| Some((digest, text.strip_prefix(head)?)))?;
    let fields = || {
        let (rounds, rest) = rest.split_once('$')?;
        let (salt, hash) = rest.split_once('$')?;
        let salt = Some(salt.as_bytes().to_vec());
        Some(Fields { digest: Some(digest), rounds: rounds.parse().ok(), salt, hash })
    };
    Some(fields())
}

fn of_passlib(text: &str) -> Option<Option<Fields<'_>>> {
    let (name, rest) = match text.strip_prefix('{') {
        Some(labelled) => labelled.split_once('}')?,
        None => text.strip_prefix('$')?.split_once('$')?,
    };
    let digest = match name.to_ascii_lowercase().as_str() {
        "pbkdf2" | "pbkdf2-sha1" => Digest::Sha1,
        "pbkdf2-sha256" => Digest::Sha256,
        "pbkdf2-sha512" => Digest::Sha512,
        _ => return None,
    };
    let fields = || {
        let (rounds, rest) = rest.split_once('$')?;
        let (salt, hash) = rest.split_once('$')?;
        let rounds = rounds.split(',').find_map(|part| part.strip_prefix("i=")).unwrap_or(rounds);
        Some(Fields { digest: Some(digest), rounds: rounds.parse().ok(), salt: base64(salt), hash })
    };
    Some(fields())
}

fn strip<'t>(text: &'t str, head: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(head.len())?;
    start.eq_ignore_ascii_case(head).then_some(rest)
}

/// With or without padding, and with `.` for `+` (Passlib).
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.replace('.', "+");
    Base64::decode_vec(&text).or_else(|_| Base64Unpadded::decode_vec(&text)).ok()
}
