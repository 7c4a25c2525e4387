//! The letters of a dictionary file: lines into words, words into numbers and names.

/// A word of a line and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    /// In characters, from 1.
    pub(crate) column: u32,
}

impl Word<'_> {
    /// Keywords, data types and flags are compared without case, as FreeRADIUS does.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }
}

/// The words of a line; what follows a `#` is a comment wherever it stands.
pub(crate) fn words(line: &str) -> Vec<Word<'_>> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = Vec::new();
    let mut start = None;
    let mut column = 0;
    for (offset, character) in line.char_indices() {
        column += 1;
        match (start, character.is_ascii_whitespace() || character == '\u{b}') {
            (None, false) => start = Some((offset, column)),
            (Some((from, at)), true) => {
                words.push(Word { text: &line[from..offset], column: at });
                start = None;
            }
            _ => {}
        }
    }
    if let Some((from, at)) = start {
        words.push(Word { text: &line[from..], column: at });
    }
    words
}

/// Decimal, or hexadecimal with `0x`. A leading zero is refused: it means octal to C and nothing to people.
pub(crate) fn number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return plain(digits, 16);
    }
    if text.len() > 1 && text.starts_with('0') {
        return None;
    }
    plain(text, 10)
}

/// Digits only: the standard parser would take a sign.
fn plain(digits: &str, radix: u32) -> Option<u64> {
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// Numbers with dots between: `28.11.5`, `0x0700`. None when one of them isn't a number of 32 bits.
pub(crate) fn numbers(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|part| number(part).and_then(|number| u32::try_from(number).ok())).collect()
}

/// True for what may name an attribute or a vendor: letters, digits and `-_./`.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_OCTETS_MAX
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_./".contains(&octet))
}

/// Longest name of an attribute, a vendor or a value.
pub(crate) const NAME_OCTETS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_their_columns_and_comments_end_them() {
        let found = words("ATTRIBUTE\tUser-Name  1 string# text");
        assert_eq!(
            found,
            [
                Word { text: "ATTRIBUTE", column: 1 },
                Word { text: "User-Name", column: 11 },
                Word { text: "1", column: 22 },
                Word { text: "string", column: 24 },
            ]
        );
        assert_eq!(words("  # nothing"), []);
        assert_eq!(words("é x")[1].column, 3);
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(number("26"), Some(26));
        assert_eq!(number("0x06300001"), Some(0x0630_0001));
        assert_eq!(number("0"), Some(0));
        for wrong in ["", "010", "0x", "+1", "-1", "1a", "0x+1", "18446744073709551616"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
        assert_eq!(numbers("28.11.0x5"), Some(vec![28, 11, 5]));
        assert_eq!(numbers("28..5"), None);
        assert_eq!(numbers("4294967296"), None);
    }
}
