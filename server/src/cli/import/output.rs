//! TOML, written.

use std::fmt::Write as _;

/// A text as TOML has it: as it is where quotes stand in it, which conditions are full of.
pub(in crate::cli) fn quoted(text: &str) -> String {
    if text.contains('"') && !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    between_quotes(text)
}

/// A text between quotes, as TOML and CEL both have it.
pub(super) fn between_quotes(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A key as TOML has it: bare where it may be.
pub(super) fn key(text: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if !text.is_empty() && text.chars().all(is_bare) { text.to_owned() } else { quoted(text) }
}

/// A text being written, table after table.
#[derive(Debug, Default)]
pub(super) struct Toml(String);

impl Toml {
    /// `[name]` or `[[name]]`, as given.
    pub(super) fn table(&mut self, head: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        let _ = writeln!(self.0, "{head}");
    }

    /// `key = "text"`
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.raw(name, &quoted(value));
    }

    /// `key = value`, as given.
    pub(super) fn raw(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.0, "{} = {value}", key(name));
    }

    /// `# ..`
    pub(super) fn comment(&mut self, text: &str) {
        for line in text.lines() {
            let _ = writeln!(self.0, "# {line}");
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// `{ A = "b", C = ["d", "e"] }`: an attribute that occurs several times has a list.
pub(super) fn pairs(pairs: &[(String, String)]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in pairs {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let fields = names.iter().map(|name| {
        let values: Vec<String> =
            pairs.iter().filter(|(other, _)| other == name).map(|(_, value)| quoted(value)).collect();
        match values.as_slice() {
            [value] => format!("{} = {value}", key(name)),
            values => format!("{} = [{}]", key(name), values.join(", ")),
        }
    });
    format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
}
