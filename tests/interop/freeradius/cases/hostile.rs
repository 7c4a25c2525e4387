//! Names that would be code somewhere: for SQL, a terminal, a log, a template, a directory. They are data.

use super::super::client::{Method, Question};
use super::{Book, PASSWORD};

/// Names with which something could go wrong. PostgreSQL's texts are UTF-8 without NUL; the rest is asked as octets.
pub(in super::super) const NAMES: [&str; 24] = [
    "' OR 1=1 --",
    "' OR '1'='1",
    "'; DROP TABLE radcheck; --",
    "\\' OR 1=1 --",
    "\\",
    "$$",
    "$1",
    "%{User-Name}",
    "%{sql:DROP TABLE radreply}",
    "%s%n%x",
    "`id`",
    "*)(uid=*",
    "\u{1b}[2J\u{1b}[31mred",
    "two\nlines",
    "two\r\nlines",
    "tab\tbed",
    "bell\u{7}",
    "\u{202e}resu",
    "caf\u{e9}",
    "\u{4e2d}\u{6587}",
    "with space",
    " leads",
    "trails ",
    "\"quoted\"",
];

/// Octets that no database of texts holds.
pub(in super::super) const OCTETS: [&[u8]; 5] =
    [b"nul\0inside", b"\xff\xfe", b"caf\xe9", b"\xc0\xaf", b"\xed\xa0\x80"];

pub(super) fn write(book: &mut Book) {
    for name in NAMES {
        let person = book.named(name, format!("the name {name:?}")).clear().reply("Filter-Id", "=", "theirs");
        person.asks_by_all(PASSWORD).asks_by(Method::Pap, "wrong", &[]);
    }
    let long = "x".repeat(253);
    book.named(&long, "the longest name").clear().reply("Filter-Id", "=", "theirs").asks();
    for name in OCTETS {
        let about = format!("the octets {name:02x?}");
        let question = Question {
            user: Some(name.to_vec()),
            method: Method::Pap,
            password: PASSWORD.to_owned(),
            more: Vec::new(),
        };
        book.questions.push((about, question));
    }
    for name in ["p0001", "P0001", "p0001 ", "p000", "p0001'", "p0001%", "p_001"] {
        let question = Question {
            user: Some(name.as_bytes().to_vec()),
            method: Method::Pap,
            password: PASSWORD.to_owned(),
            more: Vec::new(),
        };
        book.questions.push((format!("nearly somebody: {name:?}"), question));
    }
    let question =
        Question { user: None, method: Method::Pap, password: PASSWORD.to_owned(), more: Vec::new() };
    book.questions.push(("no name".to_owned(), question));
}
