//! Errors of dictionary files: all the operator's, each with its place.

use std::fmt;
use std::sync::Arc;

/// One error in a dictionary file. Shown as `file:line:column: what is wrong; what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DictError {
    /// The file, as it was named or included.
    pub file: Arc<str>,
    /// The line, from 1; 0 when the file couldn't be read at all.
    pub line: u32,
    /// The column in characters, from 1; 0 when the file couldn't be read at all.
    pub column: u32,
    /// What is wrong, coarsely: for counting and for tests.
    pub kind: DictErrorKind,
    /// What is wrong, in words.
    pub what: String,
    /// What would be right, in words.
    pub hint: String,
}

impl fmt::Display for DictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}", self.what)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for DictError {}

/// What is wrong with a line, coarsely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DictErrorKind {
    /// The file can't be read, or is no text.
    Unreadable,
    /// Files include each other too deeply, or a limit on size is passed.
    TooMuch,
    /// The first word of the line is none this format has.
    Keyword,
    /// Too few or too many words.
    Words,
    /// A name with characters a name can't have, or too long.
    Name,
    /// Not a number, or out of its range.
    Number,
    /// No such data type.
    Type,
    /// No such flag, or one that doesn't go with this type or place.
    Flag,
    /// A name that nothing before has defined: vendor, attribute, parent.
    Unknown,
    /// The same name for two different things.
    Duplicate,
    /// BEGIN and END don't match.
    Block,
}
