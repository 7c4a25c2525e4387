//! Names that would be code somewhere: for SQL, a directory, a log, a terminal, a template. They are data.

/// Names of texts, which a database and a directory can hold.
pub const TEXTS: [&str; 42] = [
    "' OR 1=1 --",
    "'; DROP TABLE radcheck; --",
    "\\'; DROP TABLE radacct; --",
    "x'); SELECT pg_sleep(60); --",
    "admin'/*",
    "\\",
    "$$; DROP TABLE nas; $$",
    "$1",
    "?1",
    ":name",
    "{user}",
    "{dn}",
    "{1}",
    "*",
    "b*",
    "*)(uid=*",
    "ben)(|(uid=*",
    "ben)(userPassword=*",
    "\\2a",
    "ben\\00",
    "(",
    "&|!(=~<>)",
    "cn=admin,dc=example,dc=org",
    "uid=ben,ou=people,dc=example,dc=org#",
    "%{User-Name}",
    "%{sql:DROP TABLE radreply}",
    "%s%n%x",
    "$(id)`id`",
    "=27=00",
    "--help",
    "al\nice",
    "al\r\nice",
    "al\tice",
    "al\u{1b}[2J\u{1b}[31mice",
    "al\u{1b}]0;title\u{7}ice",
    "al\u{7f}\u{8}ice",
    "al\"ice\" answer=\"access-accept",
    "al\u{202e}eci",
    "al\u{2028}ice",
    "al\u{9b}2Jice",
    "\u{4e2d}\u{6587} caf\u{e9}",
    "../../etc/passwd",
];

/// Octets that neither of them holds.
pub const OCTETS: [&[u8]; 7] =
    [b"al\0ice", b"ben\0' OR 1=1", b"al\xff\xfeice", b"caf\xe9", b"\xc3\x28", b"\xc0\xaf", b"\xed\xa0\x80"];

/// The longest that an attribute carries, of letters that are escaped everywhere.
pub fn long() -> String {
    "'*\\".repeat(84) + "'"
}

/// Whether a terminal, or who reads a log, may be shown this: no control character but the end of a line, and nothing
/// that turns or hides what follows.
pub fn is_harmless(shown: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(shown) else { return false };
    let harms = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2028}');
    !text.chars().any(harms)
}
