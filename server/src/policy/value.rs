//! Values while a condition is evaluated: borrowed from the request wherever that is possible.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::EvaluationError;
use super::fact::Groups;
use super::locate::Values;

/// What a part of a condition comes to. Of which kind is known since the check at load.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Truth(bool),
    Number(i64),
    Text(Text<'a>),
    List(List<'a>),
}

impl Value<'_> {
    pub(super) fn truth(&self) -> Result<bool, EvaluationError> {
        match self {
            Value::Truth(truth) => Ok(*truth),
            _ => Err(EvaluationError),
        }
    }

    pub(super) fn number(&self) -> Result<i64, EvaluationError> {
        match self {
            Value::Number(number) => Ok(*number),
            _ => Err(EvaluationError),
        }
    }

    pub(super) fn text(&self) -> Result<&str, EvaluationError> {
        match self {
            Value::Text(text) => Ok(text.as_str()),
            _ => Err(EvaluationError),
        }
    }

    /// Two values of one kind; lists item by item.
    pub(super) fn same(&self, other: &Value<'_>) -> Result<bool, EvaluationError> {
        match (self, other) {
            (Value::Truth(a), Value::Truth(b)) => Ok(a == b),
            (Value::Number(a), Value::Number(b)) => Ok(a == b),
            (Value::Text(a), Value::Text(b)) => Ok(a.as_str() == b.as_str()),
            (Value::List(a), Value::List(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(b.iter()) {
                    if !a.same(&b)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Err(EvaluationError),
        }
    }
}

/// As CEL writes it, for `explain`.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Truth(truth) => truth.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Text(text) => write!(f, "{:?}", text.as_str()),
            Value::List(list) => {
                f.write_char('[')?;
                for (number, item) in list.iter().enumerate() {
                    if number > 0 {
                        f.write_str(", ")?;
                    }
                    item.fmt(f)?;
                }
                f.write_char(']')
            }
        }
    }
}

/// A list, as it comes.
#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    Groups(&'a Groups),
    Texts(&'a [String]),
    Attribute(Values<'a>),
    Made(Vec<Value<'a>>),
}

impl<'a> List<'a> {
    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'a>> {
        let (groups, texts, attribute, made) = match self {
            List::Groups(groups) => (Some(*groups), &[][..], None, None),
            List::Texts(texts) => (None, *texts, None, None),
            List::Attribute(values) => (None, &[][..], Some(values.clone()), None),
            List::Made(items) => (None, &[][..], None, Some(items)),
        };
        let texts = texts.iter().map(|text| Value::Text(Text::Borrowed(text)));
        let groups = groups.into_iter().flat_map(Groups::iter).map(|name| Value::Text(Text::Borrowed(name)));
        groups.chain(texts).chain(attribute.into_iter().flatten()).chain(made.into_iter().flatten().cloned())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            List::Groups(groups) => groups.iter().len(),
            List::Texts(texts) => texts.len(),
            List::Attribute(values) => values.clone().count(),
            List::Made(items) => items.len(),
        }
    }
}

/// A text: somebody else's, or one made here, which takes memory only when it is long.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Short(Short),
    Long(String),
}

impl<'a> Text<'a> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Short(short) => short.as_str(),
            Text::Long(text) => text,
        }
    }

    /// What isn't UTF-8 is seen with U+FFFD in its place.
    pub(super) fn of_octets(octets: &'a [u8]) -> Self {
        match String::from_utf8_lossy(octets) {
            Cow::Borrowed(text) => Text::Borrowed(text),
            Cow::Owned(text) => Text::Long(text),
        }
    }

    /// What is written.
    pub(super) fn written(text: fmt::Arguments<'_>) -> Self {
        let mut made = Text::Short(Short::default());
        // It takes everything.
        let _ = made.write_fmt(text);
        made
    }

    /// Each character as `change` has it.
    pub(super) fn changed(text: &str, change: impl Fn(char) -> char) -> Self {
        let mut made = Text::Short(Short::default());
        for character in text.chars() {
            let _ = made.write_char(change(character));
        }
        made
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        match self {
            Text::Short(short) => {
                if short.push(more) {
                    return Ok(());
                }
            }
            Text::Long(text) => {
                text.push_str(more);
                return Ok(());
            }
            Text::Borrowed(_) => {}
        }
        let long = [self.as_str(), more].concat();
        *self = Text::Long(long);
        Ok(())
    }
}

/// Octets a text made here may have before it takes memory: an address, a MAC address, most names.
const SHORT: usize = 62;

/// A text in place.
#[derive(Debug, Clone)]
pub(super) struct Short {
    octets: [u8; SHORT],
    length: u8,
}

impl Default for Short {
    fn default() -> Self {
        Self { octets: [0; SHORT], length: 0 }
    }
}

impl Short {
    fn as_str(&self) -> &str {
        // Only texts were put in.
        std::str::from_utf8(&self.octets[..usize::from(self.length)]).unwrap_or_default()
    }

    /// False: there is no room, and nothing has changed.
    fn push(&mut self, more: &str) -> bool {
        let length = usize::from(self.length);
        let Some(room) = self.octets.get_mut(length..length + more.len()) else { return false };
        room.copy_from_slice(more.as_bytes());
        self.length += more.len() as u8;
        true
    }
}
