//! One event as one line, as text or as JSON.

use std::fmt::{self, Display, Write};

use super::Format;
use super::escape::{Escaping, Json, Quoting, write_octets, write_octets_as_json};

/// A line in the making: time, level and message, then fields in the order in which they are added.
///
/// `2026-11-21T04:30:00.123456Z  INFO listening address=127.0.0.11:1812`, or
/// `{"time":"2026-11-21T04:30:00.123456Z","level":"INFO","message":"listening","address":"127.0.0.11:1812"}`.
#[derive(Debug)]
pub struct Line {
    format: Format,
    text: String,
}

// Writing to a String can't fail.
impl Line {
    /// Begins a line of an event at `micros` (since 1970, UTC).
    pub fn new(format: Format, micros: u64, level: &str, message: &dyn Display) -> Line {
        let mut text = String::with_capacity(256);
        let _ = match format {
            Format::Text => write!(text, "{} {level:>5} ", Stamp(micros))
                .and_then(|()| write!(Escaping(&mut text), "{message}")),
            Format::Json => {
                write!(text, "{{\"time\":\"{}\",\"level\":\"{level}\",\"message\":\"", Stamp(micros))
                    .and_then(|()| write!(Json(&mut text), "{message}"))
                    .and_then(|()| text.write_char('"'))
            }
        };
        Line { format, text }
    }

    /// A text.
    pub fn text(&mut self, name: &str, value: &str) {
        self.octets(name, value.as_bytes());
    }

    /// Octets that should be text.
    pub fn octets(&mut self, name: &str, value: &[u8]) {
        let text = &mut self.text;
        let _ = match self.format {
            Format::Text => write!(text, " {name}=\"").and_then(|()| write_octets(text, value)),
            Format::Json => write!(text, ",\"{name}\":\"").and_then(|()| write_octets_as_json(text, value)),
        };
        text.push('"');
    }

    /// Something that shows itself as text. The text form stands without quotes.
    pub fn shown(&mut self, name: &str, value: &dyn Display) {
        let text = &mut self.text;
        let _ = match self.format {
            Format::Text => write!(text, " {name}=").and_then(|()| write!(Escaping(&mut *text), "{value}")),
            Format::Json => write!(text, ",\"{name}\":\"")
                .and_then(|()| write!(Json(&mut *text), "{value}"))
                .and_then(|()| text.write_char('"')),
        };
    }

    /// A number or a truth value: what JSON writes without quotes.
    pub fn plain(&mut self, name: &str, value: &dyn Display) {
        let _ = match self.format {
            Format::Text => write!(self.text, " {name}={value}"),
            Format::Json => write!(self.text, ",\"{name}\":{value}"),
        };
    }

    /// The line, with its end.
    pub fn finish(mut self) -> String {
        self.text.push_str(match self.format {
            Format::Text => "\n",
            Format::Json => "}\n",
        });
        self.text
    }
}

/// Microseconds since 1970 as RFC 3339 writes them, in UTC.
struct Stamp(u64);

impl Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // The calendar repeats every 400 years, which are 146,097 days; years begin in March here, so that the leap
        // day is a year's last.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// A display of what [`fmt::Debug`] shows.
pub(super) struct Debugged<'a>(pub(super) &'a dyn fmt::Debug);

impl Display for Debugged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// `text` between quotes, for a message.
pub fn quoted(text: &[u8]) -> String {
    let mut out = String::from("\"");
    let _ = match std::str::from_utf8(text) {
        Ok(text) => Quoting(&mut out).write_str(text),
        Err(_) => write_octets(&mut out, text),
    };
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format) -> String {
        let mut line = Line::new(format, 1_795_235_400_123_456, "INFO", &"a\nmessage");
        line.text("text", "J\u{f6}rg \"x\"");
        line.octets("octets", b"\xff\r");
        line.shown("shown", &"127.0.0.1:1\u{1b}");
        line.plain("number", &5);
        line.finish()
    }

    #[test]
    fn text_is_for_people() {
        assert_eq!(
            line(Format::Text),
            "2026-11-21T04:30:00.123456Z  INFO a\\nmessage text=\"J\u{f6}rg \\\"x\\\"\" octets=\"\\xff\\r\" \
             shown=127.0.0.1:1\\u{1b} number=5\n"
        );
    }

    #[test]
    fn json_reads_back() {
        let text = line(Format::Json);
        assert_eq!(text.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "time": "2026-11-21T04:30:00.123456Z", "level": "INFO", "message": "a\nmessage",
                "text": "J\u{f6}rg \"x\"", "octets": "\\xff\r", "shown": "127.0.0.1:1\u{1b}", "number": 5,
            })
        );
    }

    #[test]
    fn times_are_the_calendars() {
        let shown = |seconds: u64| Stamp(seconds * 1_000_000).to_string();
        assert_eq!(shown(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(shown(951_827_696), "2000-02-29T12:34:56.000000Z");
        assert_eq!(shown(1_709_251_199), "2024-02-29T23:59:59.000000Z");
        assert_eq!(shown(4_107_542_400), "2100-03-01T00:00:00.000000Z");
    }
}
