//! A table, read key by key: each getter reports what is wrong with its key, [`Table::finish`] what nobody
//! asked for.

use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::Document;
use super::diagnostic::{Severity, Wrong};
use super::suggest::nearest;
use super::tree::{Node, Place, Shape};
use super::value::Value;

/// A table of a [`Document`]. Ask for each key, then [`Table::finish`].
#[derive(Debug)]
#[must_use = "ask for its keys, then finish() it"]
pub struct Table<'d> {
    document: &'d Document,
    entries: &'d [(String, Node)],
    place: Place,
    name: String,
    asked: RefCell<Vec<String>>,
}

/// One entry of a table whose keys are free.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'d> {
    /// The key.
    pub key: &'d str,
    /// Where the key was written.
    pub key_place: Place,
    /// The value.
    pub value: Value<'d>,
}

impl Entry<'_> {
    /// Reports what is wrong with the key.
    pub fn error(&self, wrong: Wrong) {
        self.value.document.report(Severity::Error, self.key_place, wrong);
    }
}

impl<'d> Table<'d> {
    pub(super) fn new(document: &'d Document, node: &'d Node, name: &str) -> Table<'d> {
        let entries = match &node.shape {
            Shape::Table(entries) => entries.as_slice(),
            _ => &[],
        };
        Table { document, entries, place: node.at, name: name.to_owned(), asked: RefCell::default() }
    }

    // --- one value -----------------------------------------------------------------------------

    /// Anything: `read` says what the value is, or what is wrong with it.
    pub fn field<T>(&self, key: &str, read: impl FnOnce(&Value<'d>) -> Result<T, Wrong>) -> Field<'_, 'd, T> {
        let found = match self.value(key) {
            None => Found::Nothing,
            Some(value) => match read(&value) {
                Ok(read) => Found::Value(read, value),
                Err(wrong) => {
                    value.error(Wrong::new(format!("`{key}`: {}", wrong.what), wrong.hint));
                    Found::Wrong
                }
            },
        };
        Field { table: self, key: key.to_owned(), found }
    }

    /// A string, not empty.
    pub fn text(&self, key: &str) -> Field<'_, 'd, String> {
        self.field(key, |value| value.text().map(str::to_owned))
    }

    /// A whole number that `T` can hold.
    pub fn integer<T: TryFrom<i64>>(&self, key: &str) -> Field<'_, 'd, T> {
        self.field(key, Value::integer)
    }

    /// A number.
    pub fn number(&self, key: &str) -> Field<'_, 'd, f64> {
        self.field(key, Value::number)
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &str) -> Field<'_, 'd, bool> {
        self.field(key, Value::boolean)
    }

    /// A share: 0 to 1 or `"25%"`.
    pub fn fraction(&self, key: &str) -> Field<'_, 'd, f64> {
        self.field(key, Value::fraction)
    }

    /// A length of time: `"500ms"`.
    pub fn duration(&self, key: &str) -> Field<'_, 'd, Duration> {
        self.field(key, Value::duration)
    }

    /// An IP address.
    pub fn address(&self, key: &str) -> Field<'_, 'd, IpAddr> {
        self.field(key, Value::address)
    }

    /// An IP address and a port.
    pub fn socket(&self, key: &str) -> Field<'_, 'd, SocketAddr> {
        self.field(key, Value::socket)
    }

    /// An address or a prefix.
    pub fn prefix(&self, key: &str) -> Field<'_, 'd, IpNet> {
        self.field(key, Value::prefix)
    }

    /// Octets: see [`Value::size`].
    pub fn size(&self, key: &str) -> Field<'_, 'd, u64> {
        self.field(key, Value::size)
    }

    /// A path, relative to the configuration file's folder.
    pub fn path(&self, key: &str) -> Field<'_, 'd, PathBuf> {
        self.field(key, Value::path)
    }

    /// One of the names in `choices`; those in `later` are known, but not available yet.
    pub fn choice<T: Clone>(&self, key: &str, choices: &[(&str, T)], later: &[&str]) -> Field<'_, 'd, T> {
        self.field(key, |value| value.choice(choices, later))
    }

    /// `"off"` (or false), or what `read` makes of it: `table.unless_off("memory", Value::fraction)`.
    pub fn unless_off<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Value<'d>) -> Result<T, Wrong>,
    ) -> Field<'_, 'd, Option<T>> {
        self.field(key, |value| value.unless_off(read))
    }

    /// The value itself, for a key that may hold several types.
    pub fn value(&self, key: &str) -> Option<Value<'d>> {
        self.asked.borrow_mut().push(key.to_owned());
        let (_, node) = self.entries.iter().find(|(name, _)| name == key)?;
        Some(Value { document: self.document, node })
    }

    // --- several values ------------------------------------------------------------------------

    /// A list; each wrong element is reported in its own place, and the list is then wrong as a whole.
    pub fn list<T>(&self, key: &str, read: impl Fn(&Value<'d>) -> Result<T, Wrong>) -> Field<'_, 'd, Vec<T>> {
        let found = match self.value(key) {
            None => Found::Nothing,
            Some(value) => match value.array().map(|elements| self.elements(key, &elements, read)) {
                Some(Some(list)) => Found::Value(list, value),
                _ => Found::Wrong,
            },
        };
        Field { table: self, key: key.to_owned(), found }
    }

    fn elements<T>(
        &self,
        key: &str,
        elements: &[Value<'d>],
        read: impl Fn(&Value<'d>) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let mut list = Vec::with_capacity(elements.len());
        for element in elements {
            match read(element) {
                Ok(item) => list.push(item),
                Err(wrong) => element.error(Wrong::new(format!("`{key}`: {}", wrong.what), wrong.hint)),
            }
        }
        (list.len() == elements.len()).then_some(list)
    }

    /// A list of strings.
    pub fn texts(&self, key: &str) -> Field<'_, 'd, Vec<String>> {
        self.list(key, |value| value.text().map(str::to_owned))
    }

    /// A table; an absent one is empty, so that its keys' defaults hold.
    pub fn table(&self, key: &str) -> Table<'d> {
        self.optional_table(key).unwrap_or_else(|| Table {
            document: self.document,
            entries: &[],
            place: self.place,
            name: format!("[{key}]"),
            asked: RefCell::default(),
        })
    }

    /// A table, where it matters whether it is there.
    pub fn optional_table(&self, key: &str) -> Option<Table<'d>> {
        let value = self.value(key)?;
        if !matches!(value.node.shape, Shape::Table(_)) {
            value.error(
                value.expected("a table", &format!("write [{key}] above its keys, or {key} = {{ .. }}")),
            );
            return None;
        }
        Some(Table::new(self.document, value.node, &format!("[{key}]")))
    }

    /// An array of tables: `[[key]]`.
    pub fn tables(&self, key: &str) -> Vec<Table<'d>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Shape::Array(nodes) = &value.node.shape else {
            let hint =
                format!("write [[{key}]] above each; entries of arrays can't be set from the environment");
            value.error(value.expected("an array of tables", &hint));
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(nodes.len());
        for node in nodes {
            if matches!(node.shape, Shape::Table(_)) {
                tables.push(Table::new(self.document, node, &format!("[[{key}]]")));
            } else {
                let value = Value { document: self.document, node };
                value.error(value.expected("a table", &format!("write [[{key}]] above its keys")));
            }
        }
        tables
    }

    /// An array of tables in which no two have the same `name`.
    pub fn named_tables(&self, key: &str) -> Vec<Table<'d>> {
        let tables = self.tables(key);
        let mut names: std::collections::BTreeMap<&str, Place> = std::collections::BTreeMap::new();
        for table in &tables {
            let Some((_, node)) = table.entries.iter().find(|(name, _)| name == "name") else { continue };
            let (Shape::Text(name) | Shape::Untyped(name, _)) = &node.shape else { continue };
            match names.get(name.as_str()) {
                None => {
                    names.insert(name, node.at);
                }
                Some(first) => {
                    let (file, line, column) = self.document.sources.resolve(*first);
                    let hint =
                        format!("the first is at {}:{line}:{column}; give each its own name", file.display());
                    let what = format!("two [[{key}]] are called \"{}\"", name.as_str());
                    self.document.report(Severity::Error, node.at, Wrong::new(what, hint));
                }
            }
        }
        tables
    }

    /// All entries, in the order in which they were written, of a table whose keys are free.
    pub fn entries(&self) -> Vec<Entry<'d>> {
        self.entries
            .iter()
            .map(|(key, node)| {
                self.asked.borrow_mut().push(key.clone());
                Entry { key, key_place: node.key_at, value: Value { document: self.document, node } }
            })
            .collect()
    }

    // --- the table itself ----------------------------------------------------------------------

    /// Keys that are known, but whose feature is not available yet: an error where they are used.
    pub fn not_available_yet(&self, keys: &[&str]) {
        for key in keys {
            self.asked.borrow_mut().push((*key).to_owned());
            if let Some((_, node)) = self.entries.iter().find(|(name, _)| name == key) {
                let wrong = Wrong::new(format!("`{key}` is not available yet"), "remove it");
                self.document.report(Severity::Error, node.key_at, wrong);
            }
        }
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for (key, node) in self.entries.iter().filter(|(key, _)| !asked.contains(key)) {
            let what = format!("unknown key `{key}` in {}", self.name);
            let mut known: Vec<&str> = asked.iter().map(String::as_str).collect();
            let hint = match nearest(key, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    known.sort_unstable();
                    known.dedup();
                    format!("it takes {}", known.join(", "))
                }
            };
            self.document.report(Severity::Error, node.key_at, Wrong::new(what, hint));
        }
    }

    /// Whether `key` is there, whatever it holds. Doesn't count as asking for it.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    /// Where the table begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Where the value of `key` is, or else where the table begins.
    pub fn place_of(&self, key: &str) -> Place {
        self.entries.iter().find(|(name, _)| name == key).map_or(self.place, |(_, node)| node.at)
    }

    /// Reports something wrong with `key`, or with the table where there is no such key.
    pub fn error(&self, key: &str, wrong: Wrong) {
        self.document.report(Severity::Error, self.place_of(key), wrong);
    }

    /// Reports something an operator should know about `key`.
    pub fn warning(&self, key: &str, wrong: Wrong) {
        self.document.report(Severity::Warning, self.place_of(key), wrong);
    }

    /// The document it belongs to.
    pub fn document(&self) -> &'d Document {
        self.document
    }

    /// A field that was found under another key than `key`: the forms of a secret.
    pub(super) fn found<T>(
        &self,
        key: &str,
        found: Option<(Result<T, Wrong>, Value<'d>)>,
    ) -> Field<'_, 'd, T> {
        let found = match found {
            None => Found::Nothing,
            Some((Ok(read), value)) => Found::Value(read, value),
            Some((Err(wrong), value)) => {
                value.error(wrong);
                Found::Wrong
            }
        };
        Field { table: self, key: key.to_owned(), found }
    }
}

/// What a key held. End with [`Field::or`], [`Field::optional`] or [`Field::required`].
#[must_use = "end it with or(), optional() or required()"]
#[derive(Debug)]
pub struct Field<'t, 'd, T> {
    table: &'t Table<'d>,
    key: String,
    found: Found<'d, T>,
}

#[derive(Debug)]
enum Found<'d, T> {
    Nothing,
    /// Reported already.
    Wrong,
    Value(T, Value<'d>),
}

impl<'t, 'd, T> Field<'t, 'd, T> {
    /// The value; the default where there is none (or a wrong one, which was reported).
    pub fn or(self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    /// The value; None where there is none (or a wrong one, which was reported).
    pub fn optional(self) -> Option<T> {
        match self.found {
            Found::Value(value, _) => Some(value),
            Found::Nothing | Found::Wrong => None,
        }
    }

    /// The value; its absence is reported.
    pub fn required(self) -> Option<T> {
        if let Found::Nothing = self.found {
            let wrong = Wrong::new(
                format!("{} has no `{}`", self.table.name, self.key),
                format!("add `{} = ..`", self.key),
            );
            self.table.document.report(Severity::Error, self.table.place, wrong);
        }
        self.optional()
    }

    /// The value and its place, to report on it later.
    pub fn with_place(self) -> Option<(T, Place)> {
        match self.found {
            Found::Value(read, value) => Some((read, value.place())),
            Found::Nothing | Found::Wrong => None,
        }
    }

    /// The value and its place; its absence is reported.
    pub fn required_with_place(self) -> Option<(T, Place)> {
        let place = match &self.found {
            Found::Value(_, value) => value.place(),
            Found::Nothing | Found::Wrong => self.table.place,
        };
        self.required().map(|value| (value, place))
    }

    /// Turns the value into another, or says what is wrong with it.
    pub fn then<U>(self, read: impl FnOnce(T) -> Result<U, Wrong>) -> Field<'t, 'd, U> {
        let Field { table, key, found } = self;
        let found = match found {
            Found::Nothing => Found::Nothing,
            Found::Wrong => Found::Wrong,
            Found::Value(value, place) => match read(value) {
                Ok(read) => Found::Value(read, place),
                Err(wrong) => {
                    place.error(Wrong::new(format!("`{key}`: {}", wrong.what), wrong.hint));
                    Found::Wrong
                }
            },
        };
        Field { table, key, found }
    }
}

impl<'t, 'd, T: Measure> Field<'t, 'd, T> {
    /// The value has to be between the two, both included.
    pub fn within(self, least: T, most: T) -> Field<'t, 'd, T> {
        let Field { table, key, found } = self;
        let found = match found {
            Found::Value(value, place) if value < least || value > most => {
                let what = format!("`{key}`: {} is out of range", value.shown());
                place.error(Wrong::new(what, format!("write {} to {}", least.shown(), most.shown())));
                Found::Wrong
            }
            found => found,
        };
        Field { table, key, found }
    }
}

/// What can be between two bounds, and is shown in a message as one would write it.
pub trait Measure: Copy + PartialOrd {
    /// As one would write it.
    fn shown(&self) -> String;
}

macro_rules! measures {
    ($($number:ty),*) => {$(
        impl Measure for $number {
            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
measures!(u8, u16, u32, u64, usize, i64, f64);

impl Measure for Duration {
    fn shown(&self) -> String {
        format!("\"{}\"", ShownDuration(*self))
    }
}

struct ShownDuration(Duration);

impl fmt::Display for ShownDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let (number, unit) = match micros {
            0 => (0, "s"),
            _ if micros.is_multiple_of(86_400_000_000) => (micros / 86_400_000_000, "d"),
            _ if micros.is_multiple_of(3_600_000_000) => (micros / 3_600_000_000, "h"),
            _ if micros.is_multiple_of(60_000_000) => (micros / 60_000_000, "m"),
            _ if micros.is_multiple_of(1_000_000) => (micros / 1_000_000, "s"),
            _ if micros.is_multiple_of(1000) => (micros / 1000, "ms"),
            _ => (micros, "us"),
        };
        write!(f, "{number}{unit}")
    }
}
