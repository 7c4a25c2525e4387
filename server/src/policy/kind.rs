//! Of which kind the parts of a condition are, as the check at load finds out.

use std::fmt;

use forewarn_dict::{Attribute, Dictionary};
use forewarn_shell::config::nearest;

use super::fact;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Truth,
    Number,
    Text,
    List(Box<Type>),
    /// Not known, or already complained about.
    Any,
}

impl Type {
    pub(super) fn fits(&self, wanted: &Type) -> bool {
        match (self, wanted) {
            (Type::Any, _) | (_, Type::Any) => true,
            (Type::List(a), Type::List(b)) => a.fits(b),
            _ => self == wanted,
        }
    }

    /// The more telling of two that fit.
    pub(super) fn or(self, other: Type) -> Type {
        match (self, other) {
            (Type::Any, other) => other,
            (Type::List(a), Type::List(b)) => Type::List(Box::new(a.or(*b))),
            (this, _) => this,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Truth => f.write_str("a truth value"),
            Type::Number => f.write_str("a number"),
            Type::Text => f.write_str("a text"),
            Type::List(item) if **item == Type::Text => f.write_str("a list of texts"),
            Type::List(item) if **item == Type::Number => f.write_str("a list of numbers"),
            Type::List(_) => f.write_str("a list"),
            Type::Any => f.write_str("anything"),
        }
    }
}

/// Names that the values of something have: a number is compared with them, a text is one of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Names<'d> {
    /// The values of an attribute that the dictionary names.
    Of(&'d Dictionary, &'d Attribute),
    /// The names of 1, 2, ...
    Counted(&'static [&'static str]),
    /// All there are.
    OneOf(&'static [&'static str]),
}

/// What a name stands for.
pub(super) enum Named {
    Number(i64),
    Text,
}

impl Names<'_> {
    /// What `name` stands for.
    ///
    /// # Errors
    /// It is no such name: what is wrong, and what would be right.
    pub(super) fn find(&self, name: &str) -> Result<Named, (String, String)> {
        match self {
            Names::Of(dictionary, attribute) => match dictionary.value_number(attribute, name) {
                Some(number) => Ok(Named::Number(i64::try_from(number).unwrap_or(i64::MAX))),
                None => {
                    let what = format!("{} has no value {name:?}", attribute.name());
                    let hint = match dictionary.suggest_value(attribute, name) {
                        Some(meant) => format!("did you mean {meant:?}?"),
                        None => String::from("a number, or a name that the dictionary has for one"),
                    };
                    Err((what, hint))
                }
            },
            Names::Counted(names) => match names.iter().position(|known| *known == name) {
                Some(at) => Ok(Named::Number(at as i64 + 1)),
                None => Err(unknown(name, names)),
            },
            Names::OneOf(names) if names.contains(&name) => Ok(Named::Text),
            Names::OneOf(names) => Err(unknown(name, names)),
        }
    }
}

fn unknown(name: &str, names: &[&str]) -> (String, String) {
    let hint = match nearest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("one of {}", names.join(", ")),
    };
    (format!("this is never {name:?}"), hint)
}

impl<'d> Names<'d> {
    pub(super) fn of_kind(kind: fact::Kind) -> Option<Names<'d>> {
        match kind {
            fact::Kind::OneOf(names) => Some(Names::OneOf(names)),
            fact::Kind::Named(names) => Some(Names::Counted(names)),
            fact::Kind::Text | fact::Kind::Number | fact::Kind::Texts => None,
        }
    }
}

impl From<fact::Kind> for Type {
    fn from(kind: fact::Kind) -> Self {
        match kind {
            fact::Kind::Text | fact::Kind::OneOf(_) => Type::Text,
            fact::Kind::Number | fact::Kind::Named(_) => Type::Number,
            fact::Kind::Texts => Type::List(Box::new(Type::Text)),
        }
    }
}
