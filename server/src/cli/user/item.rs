//! Items as an operator writes them: `Session-Timeout := 3600`.

use crate::config::Config;
use crate::users::{Account, GroupRows, Row, Rows, Source};

/// An attribute, an operator and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) attribute: String,
    pub(super) op: String,
    pub(super) value: String,
}

/// Longest first, so that `==` isn't `=` and something.
const OPERATORS: [&str; 12] = [":=", "==", "+=", "!=", ">=", "<=", "=~", "!~", "=*", "!*", ">", "<"];

impl Item {
    /// From its text. A value may stand in double quotes, which then aren't part of it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no item; write 'ATTRIBUTE OPERATOR VALUE', as in 'Session-Timeout := 3600'")
        };
        let text_of = text.trim();
        let end = text_of
            .find(|letter: char| letter.is_whitespace() || ":=+!<>".contains(letter))
            .ok_or_else(wrong)?;
        // A tag (`Tunnel-Type:1`) is part of the name.
        let end = match text_of[end..].strip_prefix(':') {
            Some(rest) if !rest.starts_with('=') => {
                let digits =
                    rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
                end + 1 + digits
            }
            _ => end,
        };
        let (attribute, rest) = text_of.split_at(end);
        let rest = rest.trim_start();
        let op = OPERATORS.iter().copied().find(|op| rest.starts_with(op));
        let op = op.or_else(|| rest.starts_with('=').then_some("=")).ok_or_else(wrong)?;
        let value = rest[op.len()..].trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        if attribute.is_empty() {
            return Err(wrong());
        }
        let value = unquoted.unwrap_or(value).to_owned();
        Ok(Self { attribute: attribute.to_owned(), op: op.to_owned(), value })
    }

    pub(super) fn new(attribute: &str, op: &str, value: &str) -> Self {
        Self { attribute: attribute.to_owned(), op: op.to_owned(), value: value.to_owned() }
    }

    fn row(&self) -> Row<'_> {
        Row { id: 0, attribute: Some(&self.attribute), op: Some(&self.op), value: Some(&self.value) }
    }
}

/// Whether the server would understand these items; what it wouldn't, a line each.
pub(super) fn understood(
    config: &Config,
    name: &str,
    check: &[Item],
    reply: &[Item],
    groups: &[&str],
) -> Result<(), String> {
    let rows = Rows {
        check: check.iter().map(Item::row).collect(),
        reply: reply.iter().map(Item::row).collect(),
        groups: groups.iter().map(|name| GroupRows { name, ..GroupRows::default() }).collect(),
    };
    let account = Account::from_rows(name, Source::Sql, &rows, &config.dictionary);
    let faults: Vec<String> = account
        .faults()
        .iter()
        .map(|fault| format!("{}: {}; would be right: {}", fault.attribute, fault.what, fault.hint))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_as_people_write_them() {
        for (text, attribute, op, value) in [
            ("Session-Timeout := 3600", "Session-Timeout", ":=", "3600"),
            ("Session-Timeout:=3600", "Session-Timeout", ":=", "3600"),
            ("NAS-IP-Address == 192.0.2.1", "NAS-IP-Address", "==", "192.0.2.1"),
            ("Reply-Message += \"Hello, = you\"", "Reply-Message", "+=", "Hello, = you"),
            ("Tunnel-Type:1 := VLAN", "Tunnel-Type:1", ":=", "VLAN"),
            ("Calling-Station-Id =~ ^00-", "Calling-Station-Id", "=~", "^00-"),
            ("Framed-IP-Address = 192.0.2.9", "Framed-IP-Address", "=", "192.0.2.9"),
            ("Called-Station-Id !* ANY", "Called-Station-Id", "!*", "ANY"),
        ] {
            assert_eq!(Item::parse(text), Ok(Item::new(attribute, op, value)), "{text}");
        }
        for text in ["", "Session-Timeout", "Session-Timeout 3600", ":= 3", "  "] {
            assert!(Item::parse(text).is_err(), "{text:?}");
        }
    }
}
