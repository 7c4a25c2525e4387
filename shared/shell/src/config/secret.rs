//! Octets nobody prints, and the three ways to write them: `x`, `x_file`, `x_env`.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::diagnostic::Wrong;
use super::table::{Field, Table};
use super::value::Value;
use crate::privilege;

/// A secret's octets: wiped when dropped, not shown by `Debug`, compared in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the octets over.
    pub fn new(octets: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(octets))
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        let differing = self.0.iter().zip(other.0.iter()).fold(0, |sum, (a, b)| sum | (a ^ b));
        self.0.len() == other.0.len() && std::hint::black_box(differing) == 0
    }
}

impl Eq for Secret {}

/// A secret file is read up to here; nobody's secret is longer.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// One of the three ways to read a secret.
type Read<'d> = fn(&Value<'d>) -> Result<Secret, Wrong>;

impl<'d> Table<'d> {
    /// A secret, as `key`, `key_file` (its content, without the line end) or `key_env` (an environment
    /// variable's value). Never empty.
    pub fn secret(&self, key: &str) -> Field<'_, 'd, Secret> {
        let forms: [(String, Read<'d>); 3] = [
            (key.to_owned(), inline),
            (format!("{key}_file"), in_file),
            (format!("{key}_env"), in_environment),
        ];
        let mut found: Option<(String, Result<Secret, Wrong>, Value<'d>)> = None;
        for (form, read) in forms {
            let Some(value) = self.value(&form) else { continue };
            if let Some((first, ..)) = &found {
                let wrong = Wrong::new(format!("both `{first}` and `{form}` are given"), "keep one of them");
                self.error(&form, wrong);
                continue;
            }
            let secret = read(&value).and_then(|secret| match secret.octets() {
                [] => {
                    Err(Wrong::new("is empty", "everybody knows the empty secret: write a long random one"))
                }
                _ => Ok(secret),
            });
            let secret = secret.map_err(|wrong| Wrong::new(format!("`{form}`: {}", wrong.what), wrong.hint));
            found = Some((form, secret, value));
        }
        self.found(key, found.map(|(_, secret, value)| (secret, value)))
    }

    /// A key of at least `least` octets in hexadecimal, in the three forms of [`Table::secret`].
    pub fn hex_key(&self, key: &str, least: usize) -> Field<'_, 'd, Secret> {
        self.secret(key).then(|secret| {
            let hint = format!(
                "write {} or more hexadecimal digits: `openssl rand -hex {least}` makes them",
                least * 2
            );
            match from_hex(secret.octets()) {
                None => Err(Wrong::new("not hexadecimal, or an odd number of digits", hint)),
                Some(key) if key.octets().len() < least => {
                    Err(Wrong::new(format!("{} octets are too few", key.octets().len()), hint))
                }
                Some(key) => Ok(key),
            }
        })
    }
}

fn inline(value: &Value<'_>) -> Result<Secret, Wrong> {
    let text = value.text_or_empty()?;
    if let Some(file) = value.document.first_secret_in(value.place()) {
        let holds = format!("there are secrets in {}, which", file.display());
        dangers(&file, &holds, "or use the `_file` form")
            .into_iter()
            .for_each(|danger| value.warning(danger));
    }
    Ok(Secret::new(text.as_bytes().to_vec()))
}

fn in_file(value: &Value<'_>) -> Result<Secret, Wrong> {
    use std::io::Read;

    let path = value.path()?;
    let unreadable = |error: std::io::Error| {
        Wrong::new(
            format!("{} can't be read: {error}", path.display()),
            "name a file that this user may read",
        )
    };
    let file = std::fs::File::open(&path).map_err(unreadable)?;
    let mut octets = Zeroizing::new(Vec::with_capacity(1024));
    file.take(MAX_SECRET_FILE).read_to_end(&mut octets).map_err(unreadable)?;
    let is = format!("{} is a secret that", path.display());
    dangers(&path, &is, "or replace it").into_iter().for_each(|danger| value.warning(danger));
    if octets.ends_with(b"\n") {
        octets.pop();
        if octets.ends_with(b"\r") {
            octets.pop();
        }
    }
    Ok(Secret(octets))
}

fn in_environment(value: &Value<'_>) -> Result<Secret, Wrong> {
    let name = value.text()?;
    let found = value.document.environment.iter().find(|(variable, _)| variable == name);
    found.map(|(_, text)| Secret::new(text.as_bytes().to_vec())).ok_or_else(|| {
        Wrong::new(
            format!("the environment has no `{name}`"),
            "set it where the program is started, or use another form",
        )
    })
}

/// Who may read or change a file with secrets in it that shouldn't. Only files: a pipe's modes mean nothing.
fn dangers(path: &Path, which: &str, otherwise: &str) -> Vec<Wrong> {
    let Ok(file) = std::fs::metadata(path) else { return Vec::new() };
    if !file.is_file() {
        return Vec::new();
    }
    let mut dangers = Vec::new();
    if file.mode() & 0o002 != 0 {
        dangers.push(Wrong::new(
            format!("{which} everybody may change"),
            "chmod o-rwx it, and look at what it says",
        ));
    } else if file.mode() & 0o004 != 0 {
        dangers.push(Wrong::new(format!("{which} everybody may read"), format!("chmod o-r it, {otherwise}")));
    }
    if ![privilege::ROOT, privilege::user()].contains(&file.uid()) {
        dangers.push(Wrong::new(
            format!("{which} belongs to user {}, who may change it", file.uid()),
            "chown it to root, or to the user this program runs as",
        ));
    }
    dangers
}

/// The octets that hexadecimal `text` stands for; None when it isn't hexadecimal.
pub(super) fn from_hex(text: &[u8]) -> Option<Secret> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut octets = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.chunks_exact(2) {
        octets.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Some(Secret(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_compared_whole_and_never_shown() {
        let secret = Secret::new(b"testing123".to_vec());
        assert_eq!(secret, Secret::new(b"testing123".to_vec()));
        assert_ne!(secret, Secret::new(b"testing12".to_vec()));
        assert_ne!(secret, Secret::new(b"testing124".to_vec()));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn hexadecimal_is_read_in_either_case_and_never_half() {
        assert_eq!(from_hex(b"0fA0").map(|s| s.octets().to_vec()), Some(vec![0x0f, 0xa0]));
        assert_eq!(from_hex(b"0fA"), None);
        assert_eq!(from_hex(b"0g"), None);
    }
}
