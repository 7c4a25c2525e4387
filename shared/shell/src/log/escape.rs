//! Text from outside, written so that it can neither fake a line nor command a terminal.

use std::fmt::{self, Write};

/// `text`, with what could fake a line or command a terminal made visible.
pub fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text)
}

/// See [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaping(f).write_str(self.0)
    }
}

/// Escapes on the way to another writer, as Rust writes it: `\n`, `\u{1b}`.
pub(super) struct Escaping<W>(pub(super) W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if is_unsafe(character) {
                write!(self.0, "{}", character.escape_default())?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// The inside of a quoted text: as [`Escaping`], and `"` and `\` too.
pub(super) struct Quoting<W>(pub(super) W);

impl<W: Write> Write for Quoting<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if is_unsafe(character) || matches!(character, '"' | '\\') {
                write!(self.0, "{}", character.escape_default())?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// The inside of a JSON string (RFC 8259 section 7): what reads it gets the text as it was, and who looks at it is
/// safe too.
pub(super) struct Json<W>(pub(super) W);

impl<W: Write> Write for Json<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '"' => self.0.write_str("\\\"")?,
                '\\' => self.0.write_str("\\\\")?,
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                _ if is_unsafe(character) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(self.0, "\\u{unit:04x}")?;
                    }
                }
                _ => self.0.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A JSON text with what could command a terminal made visible; its value stays.
pub fn harmless_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        // Lines end between values only: in strings they are escaped.
        if is_unsafe(character) && character != '\n' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String can't fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(character);
        }
    }
    text
}

/// Writes octets that should be text into the inside of a quoted text: what isn't UTF-8 as `\xff`.
pub(super) fn write_octets(out: &mut impl Write, octets: &[u8]) -> fmt::Result {
    for chunk in octets.utf8_chunks() {
        Quoting(&mut *out).write_str(chunk.valid())?;
        chunk.invalid().iter().try_for_each(|octet| write!(out, "\\x{octet:02x}"))?;
    }
    Ok(())
}

/// The same into a JSON string. JSON has no octets, so what isn't UTF-8 becomes the text `\xff`.
pub(super) fn write_octets_as_json(out: &mut impl Write, octets: &[u8]) -> fmt::Result {
    for chunk in octets.utf8_chunks() {
        Json(&mut *out).write_str(chunk.valid())?;
        chunk.invalid().iter().try_for_each(|octet| write!(out, "\\\\x{octet:02x}"))?;
    }
    Ok(())
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and what turns or hides text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_one_line() {
        assert_eq!(escaped("a\nb\u{1b}[2J\u{202e}\u{9b}").to_string(), "a\\nb\\u{1b}[2J\\u{202e}\\u{9b}");
        assert_eq!(escaped("J\u{f6}rg").to_string(), "J\u{f6}rg");
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let value = serde_json::json!(["a\nb\u{1b}\u{7f}\u{9b}\u{202e}\u{e0001}\"\\", {"J\u{f6}rg": 1}]);
        let text = harmless_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.replace('\n', "").chars().any(is_unsafe), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn octets_that_are_no_text_are_shown_as_octets() {
        let (mut text, mut json) = (String::new(), String::new());
        let hostile = b"a\xff\x00\"\\\x1b\xe2\x80\xae";
        write_octets(&mut text, hostile).unwrap();
        write_octets_as_json(&mut json, hostile).unwrap();
        assert_eq!(text, "a\\xff\\u{0}\\\"\\\\\\u{1b}\\u{202e}");
        assert_eq!(json, "a\\\\xff\\u0000\\\"\\\\\\u001b\\u202e");
        let back: String = serde_json::from_str(&format!("\"{json}\"")).unwrap();
        assert_eq!(back, "a\\xff\0\"\\\u{1b}\u{202e}");
    }
}
