//! The language of the vector files: one word that says what, and its argument; hex may go on in indented lines.
//!
//! ```text
//! name TEXT                           a new vector; nothing is left of the last one
//! secret TEXT | rule required|optional|limit | format T,L[,c]
//! request HEX | reply HEX | frame HEX | notice HEX
//! is valid|CAUSE                      of the packet or notice before
//! WORD [WHICH] = VALUE                what the packet before holds; text in quotes, octets in hex
//! ```

use std::fmt::Write as _;

/// One line of a vector file, continuation lines included.
pub(crate) struct Line<'a> {
    pub(crate) number: usize,
    pub(crate) word: &'a str,
    pub(crate) rest: String,
}

impl Line<'_> {
    /// The argument as octets, given in hex with any spacing.
    pub(crate) fn octets(&self) -> Vec<u8> {
        unhex(&self.rest).unwrap_or_else(|| panic!("line {}: not hex: {}", self.number, self.rest))
    }

    /// The argument as `WHICH = VALUE`.
    pub(crate) fn assignment(&self) -> (&str, &str) {
        let (which, value) =
            self.rest.split_once('=').unwrap_or_else(|| panic!("line {}: no =", self.number));
        (which.trim(), value.trim())
    }

    /// The value of an assignment as octets.
    pub(crate) fn value(&self) -> Vec<u8> {
        let value = self.assignment().1;
        match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(text) => text.as_bytes().to_vec(),
            None => unhex(value).unwrap_or_else(|| panic!("line {}: not hex: {value}", self.number)),
        }
    }

    /// The words before the `=`, as numbers.
    pub(crate) fn which(&self) -> Vec<u32> {
        let which = self.assignment().0;
        which
            .split([' ', '.'])
            .filter(|word| !word.is_empty())
            .map(|word| word.parse().unwrap_or_else(|_| panic!("line {}: not a number: {word}", self.number)))
            .collect()
    }
}

/// The lines of a file, comments and empty ones left out.
pub(crate) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if line.starts_with(' ') {
            let last = lines.last_mut().expect("a continuation continues something");
            last.rest.push_str(line);
            continue;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        lines.push(Line { number: index + 1, word, rest: rest.to_owned() });
    }
    lines
}

/// Octets of a hex text with any spacing.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Octets as hex.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
