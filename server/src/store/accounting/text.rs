//! Text as FreeRADIUS writes it into a database: what isn't plain is written as `=XX`.
//!
//! As shipped, its SQL module replaces every character outside `safe_characters` in whatever a request says, in what it
//! writes and in what it looks for. Sessions written by both servers only meet when both do so.

use std::fmt::Write as _;

/// Whether `safe_characters` has this character, as FreeRADIUS comes.
fn is_safe(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "@.-_: /".contains(letter)
}

/// An attribute's octets as they stand in a column. Never has a control character, a quote or a backslash of the
/// request's own, so it can't be anything but data wherever it is shown.
pub fn column(octets: &[u8]) -> String {
    // FreeRADIUS's strings end at the first NUL.
    let octets = octets.split(|octet| *octet == 0).next().unwrap_or_default();
    let mut column = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\n' => column.push_str("\\n"),
                '\r' => column.push_str("\\r"),
                '\t' => column.push_str("\\t"),
                letter if is_safe(letter) || !letter.is_ascii() => column.push(letter),
                letter => hex(&mut column, letter as u8),
            }
        }
        for octet in chunk.invalid() {
            hex(&mut column, *octet);
        }
    }
    column
}

/// A User-Name as it stands in a column, and is looked for: FreeRADIUS prints it first, as it prints between double
/// quotes, and writes what is printed.
pub fn user_name(octets: &[u8]) -> String {
    let octets = octets.split(|octet| *octet == 0).next().unwrap_or_default();
    let mut printed = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\n' => printed.push_str("\\n"),
                '\r' => printed.push_str("\\r"),
                '\t' => printed.push_str("\\t"),
                '"' | '\\' => printed.extend(['\\', letter]),
                letter if letter < ' ' => octal(&mut printed, letter as u8),
                letter => printed.push(letter),
            }
        }
        for octet in chunk.invalid() {
            octal(&mut printed, *octet);
        }
    }
    column(printed.as_bytes())
}

fn octal(printed: &mut String, octet: u8) {
    // Writing to a String can't fail.
    let _ = write!(printed, "\\{octet:03o}");
}

/// The octets that a column was written from: what [`column()`] did, undone.
pub fn original(column: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(column.len());
    let mut rest = column.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.first_chunk::<2>().and_then(|digits| std::str::from_utf8(digits).ok());
        let written = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (octet, read) = match (first, after.first(), written) {
            (b'=', _, Some(octet)) => (octet, 3),
            (b'\\', Some(b'n'), _) => (b'\n', 2),
            (b'\\', Some(b'r'), _) => (b'\r', 2),
            (b'\\', Some(b't'), _) => (b'\t', 2),
            (octet, ..) => (*octet, 1),
        };
        octets.push(octet);
        rest = &rest[read..];
    }
    octets
}

/// The User-Name that a column was written from: what [`user_name`] did, undone.
pub fn original_name(column: &str) -> Vec<u8> {
    let printed = original(column);
    let mut octets = Vec::with_capacity(printed.len());
    let mut rest = printed.as_slice();
    while let [first, after @ ..] = rest {
        let octal = after.first_chunk::<3>().and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let (octet, read) = match (first, after.first(), octal) {
            (b'\\', Some(b'n'), _) => (b'\n', 2),
            (b'\\', Some(b'r'), _) => (b'\r', 2),
            (b'\\', Some(b't'), _) => (b'\t', 2),
            (b'\\', Some(quoted @ (b'"' | b'\\')), _) => (*quoted, 2),
            (b'\\', _, Some(octet)) => (octet, 4),
            (octet, ..) => (*octet, 1),
        };
        octets.push(octet);
        rest = &rest[read..];
    }
    octets
}

/// The User-Name of a column for people: what isn't UTF-8 as `\xff`. Not harmless to a terminal.
pub fn shown_name(column: &str) -> String {
    shown(&original_name(column))
}

/// Octets for people, likewise.
pub fn shown(octets: &[u8]) -> String {
    octets.utf8_chunks().fold(String::with_capacity(octets.len()), |mut text, chunk| {
        text.push_str(chunk.valid());
        for octet in chunk.invalid() {
            // Writing to a String can't fail.
            let _ = write!(text, "\\x{octet:02x}");
        }
        text
    })
}

fn hex(column: &mut String, octet: u8) {
    // Writing to a String can't fail.
    let _ = write!(column, "={octet:02X}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_stays_and_the_rest_is_written_in_digits() {
        assert_eq!(column(b"alice@example.org"), "alice@example.org");
        assert_eq!(column(b"00-11:22_33/ok"), "00-11:22_33/ok");
        assert_eq!(column(b"o'brien"), "o=27brien");
        assert_eq!(column(b"a=b+c,d\\e\"f"), "a=3Db=2Bc=2Cd=5Ce=22f");
        assert_eq!(column("s\u{f8}ren\u{202e}".as_bytes()), "s\u{f8}ren\u{202e}");
        assert_eq!(column(b"\xff\xfe\x1b\x7f"), "=FF=FE=1B=7F");
        assert_eq!(column(b"line\nend\r\tx"), "line\\nend\\r\\tx");
        assert_eq!(column(b"nul\0inside"), "nul");
    }

    /// As FreeRADIUS 3.2.1 leaves them.
    #[test]
    fn what_was_written_can_be_read_back() {
        for text in
            [&b"o'brien"[..], b"a=b\\n\"x\"", b"\xff\x1b[2J", b"line\nend\r\tx", b"DOMAIN\\carol", b"=27"]
        {
            assert_eq!(original(&column(text)), text, "{text:?}");
            assert_eq!(original_name(&user_name(text)), text, "{text:?}");
        }
        assert_eq!(original("=2"), b"=2");
    }

    #[test]
    fn people_see_what_was_typed() {
        for (name, text) in
            [(&b"o'brien"[..], "o'brien"), (b"DOMAIN\\carol", "DOMAIN\\carol"), (b"caf\xe9", "caf\\xe9")]
        {
            assert_eq!(shown_name(&user_name(name)), text);
        }
    }

    #[test]
    fn names_are_printed_before_they_are_written() {
        assert_eq!(user_name(b"alice"), "alice");
        assert_eq!(user_name(b"DOMAIN\\carol"), "DOMAIN=5C=5Ccarol");
        assert_eq!(user_name(b"\"q\""), "=5C=22q=5C=22");
        assert_eq!(user_name(b"two\r\nlines\t"), "two=5Cr=5Cnlines=5Ct");
        assert_eq!(user_name(b"\x1b[2J\x07"), "=5C033=5B2J=5C007");
    }
}
