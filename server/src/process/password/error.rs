//! What can be wrong with a stored password.

use super::LONGEST;

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
         $pbkdf2-sha256$, {{SSHA}}, {{SSHA256}}, {{SSHA512}}, {{SHA}}, {{SHA256}}, {{SHA512}}, {{SMD5}}, {{MD5}}, \
         {{PBKDF2-SHA256}} or {{CRYPT}}"
    )]
    Form,
    /// The form is known, but the text doesn't follow it.
    #[error("this {form} hash is not well formed")]
    Malformed {
        /// Its name.
        form: &'static str,
    },
}
