//! The merged configuration: a tree whose every value knows where it was written.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// Where a value was written: which source, and at which octet of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index into [`Sources`].
    pub(super) source: u32,
    /// Octets from the start of the source's text.
    pub(super) offset: u32,
}

impl Place {
    pub(super) const fn start_of(source: u32) -> Place {
        Place { source, offset: 0 }
    }
}

/// A value and where it was written.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) shape: Shape,
    /// The value.
    pub(super) at: Place,
    /// Its key; for an element of an array, the element.
    pub(super) key_at: Place,
}

/// What a value is. Its `Debug` names the type only: any value may be a secret.
pub(super) enum Shape {
    Text(Zeroizing<String>),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Date,
    /// From the environment or the command line, where types aren't written: its text, and what it reads as.
    Untyped(Zeroizing<String>, Box<Shape>),
    /// In the order in which the keys were written.
    Table(Vec<(String, Node)>),
    Array(Vec<Node>),
}

impl Shape {
    /// The name of the type, with its article.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Shape::Text(_) => "a string",
            Shape::Integer(_) => "an integer",
            Shape::Float(_) => "a float",
            Shape::Boolean(_) => "a boolean",
            Shape::Date => "a date",
            Shape::Untyped(_, read) => read.name(),
            Shape::Table(_) => "a table",
            Shape::Array(_) => "an array",
        }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Everything that was read, to turn a [`Place`] into a file, a line and a column.
#[derive(Default)]
pub(super) struct Sources(Vec<Source>);

struct Source {
    name: PathBuf,
    /// None where there are no lines: the environment, the command line.
    text: Option<Zeroizing<String>>,
}

impl Sources {
    /// Adds a source and answers its index.
    pub(super) fn add(&mut self, name: PathBuf, text: Option<Zeroizing<String>>) -> u32 {
        self.0.push(Source { name, text });
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }

    /// File, line and column of `place`, both counted from 1; both 0 where there are no lines.
    pub(super) fn resolve(&self, place: Place) -> (PathBuf, u32, u32) {
        let Some(source) = self.0.get(place.source as usize) else { return (PathBuf::new(), 0, 0) };
        let Some(text) = &source.text else { return (source.name.clone(), 0, 0) };
        let before = text.get(..place.offset as usize).unwrap_or(text);
        let line = before.bytes().filter(|octet| *octet == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (source.name.clone(), count(line), count(column))
    }

    /// The place `octets` into the text of the string at `place`; None where its text isn't written as it
    /// reads.
    pub(super) fn within(&self, place: Place, octets: usize) -> Option<Place> {
        let written = self.0.get(place.source as usize)?.text.as_ref()?.get(place.offset as usize..)?;
        let quote = written.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let mut quotes = written.len() - written.trim_start_matches(quote).len();
        if quotes >= 3 {
            // A line end right after the quotes is no part of the text.
            let rest = &written[3..];
            quotes = 3 + if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
        }
        let before = written.get(quotes..quotes + octets)?;
        let escapes = quote == '"' && before.contains('\\');
        (!escapes).then_some(Place { offset: place.offset + u32::try_from(quotes + octets).ok()?, ..place })
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The file of `place`; None where it is none: the environment, the command line.
    pub(super) fn file(&self, place: Place) -> Option<&PathBuf> {
        let source = self.0.get(place.source as usize)?;
        source.text.as_ref().map(|_| &source.name)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.iter().filter(|source| source.text.is_some()).map(|source| &source.name)
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
