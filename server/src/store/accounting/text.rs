//! Text as it is written into a database, and looked for there.
//!
//! What a request says is data, bound and never part of a statement, so it is written as it is: as FreeRADIUS does with
//! `auto_escape = yes`. (Without that it writes whatever isn't plain as `=XX`, in what it looks for too.)

use std::fmt::Write as _;

/// An attribute's octets as they stand in a column: up to the first NUL, which no text column can hold; what isn't
/// UTF-8 as `=XX`, as FreeRADIUS writes it.
pub fn column(octets: &[u8]) -> String {
    let octets = octets.split(|octet| *octet == 0).next().unwrap_or_default();
    let mut column = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        column.push_str(chunk.valid());
        for octet in chunk.invalid() {
            // Writing to a String can't fail.
            let _ = write!(column, "={octet:02X}");
        }
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_as_it_is_where_a_column_can_hold_it() {
        for same in ["alice@example.org", "o'brien", "a=b,c\\d\"", "s\u{f8}ren\u{202e}", "\u{1b}[2J\r\n"] {
            assert_eq!(column(same.as_bytes()), same);
        }
        assert_eq!(column(b"\xff\xfe x"), "=FF=FE x");
        assert_eq!(column(b"nul\0inside"), "nul");
    }
}
