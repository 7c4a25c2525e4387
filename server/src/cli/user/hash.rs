//! Forms in which a new password is stored; FreeRADIUS 3.2 reads each of them.

use base64ct::{Base64, Encoding as _};
use clap::ValueEnum;
use forewarn_shell::random;
use forewarn_wire::mschap;
use sha_crypt::PasswordHasher as _;
use sha1::Sha1;
use sha2::Sha512;
use zeroize::Zeroizing;

use crate::process::password::LONGEST;

/// What bcrypt costs: 2^10 rounds, about 80 ms.
const BCRYPT_COST: u32 = 10;

/// `--hash`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// `$6$`: salted and slow
    CryptSha512,
    /// Salted SHA-512
    Ssha512,
    /// Salted SHA-1
    Ssha,
    /// `$2b$`: slower still
    Bcrypt,
    /// MD4, not salted: whoever gets it can log in by MS-CHAP
    Nt,
    /// The password itself
    None,
}

impl Form {
    /// The check attribute, and its value.
    pub(super) fn item(self, password: &str) -> Result<(&'static str, Zeroizing<String>), String> {
        if password.len() > LONGEST {
            return Err(format!(
                "a password of {} octets doesn't fit into a request; {LONGEST} do",
                password.len()
            ));
        }
        if password.contains('\0') {
            return Err("a password with a NUL can't be stored".to_owned());
        }
        let (attribute, value) = match self {
            Form::CryptSha512 => {
                let hash =
                    sha_crypt::ShaCrypt::SHA512.hash_password_with_salt(password.as_bytes(), &salt::<12>());
                ("Crypt-Password", hash.map_err(|error| error.to_string())?.as_str().to_owned())
            }
            Form::Bcrypt => {
                let hash = bcrypt::hash_with_salt(password, BCRYPT_COST, salt::<16>());
                ("Crypt-Password", hash.map_err(|error| error.to_string())?.to_string())
            }
            Form::Ssha => ("SSHA-Password", salted::<Sha1>(password)),
            Form::Ssha512 => ("SSHA2-512-Password", salted::<Sha512>(password)),
            Form::Nt => ("NT-Password", hexadecimal(&*mschap::nt_hash(password.as_bytes()))),
            Form::None => ("Cleartext-Password", password.to_owned()),
        };
        Ok((attribute, Zeroizing::new(value)))
    }

    /// What it is good for, and what to do where that isn't enough.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Form::CryptSha512 | Form::Bcrypt | Form::Ssha | Form::Ssha512 => {
                "stored as a salted hash: serves PAP and EAP-TTLS/PAP; for MS-CHAP (PEAP) use --hash nt, for CHAP --hash none"
            }
            Form::Nt => {
                "stored as an NT hash: serves PAP and MS-CHAP (PEAP), not CHAP; whoever reads the database can log in by MS-CHAP"
            }
            Form::None => {
                "stored as clear text: serves every method; whoever reads the database has the password"
            }
        }
    }
}

fn salt<const OCTETS: usize>() -> [u8; OCTETS] {
    let mut salt = [0; OCTETS];
    random::fill(&mut salt);
    salt
}

/// Base64 of digest and salt.
fn salted<D: sha1::Digest>(password: &str) -> String {
    let salt = salt::<16>();
    let digest = D::new().chain_update(password).chain_update(salt).finalize();
    Base64::encode_string(&[&digest[..], &salt].concat())
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The attributes of radcheck that hold a password, in any form FreeRADIUS knows.
pub(super) fn is_password(attribute: &str) -> bool {
    const OTHERS: [&str; 2] = ["User-Password", "CHAP-Password"];
    let ours = attribute.len() > 9 && attribute.to_ascii_lowercase().ends_with("-password");
    let with_header = attribute.eq_ignore_ascii_case("Password-With-Header");
    (ours || with_header) && !OTHERS[1..].iter().any(|other| attribute.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::password::Password;

    #[test]
    fn what_is_stored_is_what_the_server_verifies() {
        for form in [Form::CryptSha512, Form::Bcrypt, Form::Ssha, Form::Ssha512, Form::Nt, Form::None] {
            let (attribute, value) = form.item("pässword 'x'").unwrap();
            let password = match attribute {
                "Crypt-Password" => Password::hash(&value),
                "SSHA-Password" => Password::hash(&format!("{{SSHA}}{}", *value)),
                "SSHA2-512-Password" => Password::hash(&format!("{{SSHA512}}{}", *value)),
                "NT-Password" => Password::nt_hash(&value),
                _ => Password::clear(value.as_bytes()),
            };
            let password = password.unwrap_or_else(|error| panic!("{form:?}: {error}"));
            assert!(password.matches("pässword 'x'".as_bytes()), "{form:?}");
            assert!(!password.matches(b"another"), "{form:?}");
            assert!(is_password(attribute));
            assert_ne!(
                form == Form::None || form == Form::Nt,
                *form.item("pässword 'x'").unwrap().1 != *value
            );
        }
        assert!(!is_password("Session-Timeout") && !is_password("CHAP-Password"));
        assert!(Form::None.item(&"x".repeat(129)).is_err() && Form::None.item("a\0b").is_err());
    }
}
