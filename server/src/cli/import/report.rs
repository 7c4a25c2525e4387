//! What became of each thing that was found: the import's account of itself.

use serde::Serialize;

use super::syntax::Spot;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fate {
    /// It is in the new configuration.
    Translated,
    /// It needs no counterpart: forewarn does it by itself, or it means nothing here.
    NotNeeded,
    /// It is missing from the new configuration, and somebody has to decide.
    NotTranslated,
}

impl Fate {
    pub(super) fn name(self) -> &'static str {
        match self {
            Fate::Translated => "translated",
            Fate::NotNeeded => "not needed",
            Fate::NotTranslated => "NOT TRANSLATED",
        }
    }
}

/// One line of the report.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) file: String,
    pub(super) line: usize,
    /// What was found. Never holds a secret.
    pub(super) what: String,
    pub(super) fate: Fate,
    /// Where it went, or why it didn't and what to do.
    pub(super) word: String,
}

/// All lines, in the order of files and lines in the end.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Entry>);

impl Report {
    pub(super) fn add(&mut self, spot: &Spot, what: impl Into<String>, fate: Fate, word: impl Into<String>) {
        let file = spot.file.display().to_string();
        self.0.push(Entry { file, line: spot.line, what: what.into(), fate, word: word.into() });
    }

    pub(super) fn translated(&mut self, spot: &Spot, what: impl Into<String>, word: impl Into<String>) {
        self.add(spot, what, Fate::Translated, word);
    }

    pub(super) fn not_needed(&mut self, spot: &Spot, what: impl Into<String>, word: impl Into<String>) {
        self.add(spot, what, Fate::NotNeeded, word);
    }

    pub(super) fn not_translated(&mut self, spot: &Spot, what: impl Into<String>, word: impl Into<String>) {
        self.add(spot, what, Fate::NotTranslated, word);
    }

    /// The lines, in order.
    pub(super) fn into_entries(mut self) -> Vec<Entry> {
        self.0.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        self.0
    }
}
