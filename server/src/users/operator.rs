//! The operators of check and reply items.

use std::cmp::Ordering;
use std::fmt;

/// What an item does with its value: compare a request with it, or set something to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `:=` puts it in the place of the first one there is.
    Set,
    /// `=` sets it where there is none yet. In front of an attribute of the request it compares, as `==` does.
    SetIfAbsent,
    /// `+=` adds it.
    Add,
    /// `-=` takes away those of the same value.
    Subtract,
    /// `==`
    Is,
    /// `!=`
    IsNot,
    /// `<`
    Less,
    /// `<=`; in a reply list it lowers what is above.
    AtMost,
    /// `>`
    Greater,
    /// `>=`; in a reply list it raises what is below.
    AtLeast,
    /// `=~`
    Matches,
    /// `!~`
    MatchesNot,
    /// `=*`: there is one, whatever its value.
    Present,
    /// `!*`: there is none.
    Absent,
}

/// Longer ones before their beginnings.
const WRITTEN: [(&str, Operator); 14] = [
    (":=", Operator::Set),
    ("+=", Operator::Add),
    ("-=", Operator::Subtract),
    ("==", Operator::Is),
    ("=~", Operator::Matches),
    ("=*", Operator::Present),
    ("=", Operator::SetIfAbsent),
    ("!=", Operator::IsNot),
    ("!~", Operator::MatchesNot),
    ("!*", Operator::Absent),
    ("<=", Operator::AtMost),
    ("<", Operator::Less),
    (">=", Operator::AtLeast),
    (">", Operator::Greater),
];

impl Operator {
    /// The one a row has. FreeRADIUS skips blanks before it and doesn't look behind it; nothing at all is `==`.
    pub fn read(text: Option<&str>) -> Option<Operator> {
        let text = text.unwrap_or_default().trim_start();
        if text.is_empty() {
            return Some(Operator::Is);
        }
        WRITTEN.iter().find(|(written, _)| text.starts_with(written)).map(|(_, operator)| *operator)
    }

    /// As it is written.
    pub fn text(self) -> &'static str {
        WRITTEN.iter().find(|(_, operator)| *operator == self).map_or("", |(written, _)| written)
    }

    /// Whether an item with it is no condition at all: it always holds.
    pub fn only_sets(self) -> bool {
        matches!(self, Operator::Set | Operator::Add)
    }

    /// Whether a check item with it, once all conditions hold, becomes a control item.
    pub fn also_sets(self) -> bool {
        use Operator::{Add, AtLeast, AtMost, Set, SetIfAbsent};
        matches!(self, Set | SetIfAbsent | Add | AtMost | AtLeast)
    }

    /// Whether its value is a regular expression.
    pub fn is_regex(self) -> bool {
        matches!(self, Operator::Matches | Operator::MatchesNot)
    }

    /// Whether it holds for a value that stands in this order to the item's. `None`: they can't be compared.
    pub fn holds(self, order: Option<Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self {
            Operator::Set | Operator::Add | Operator::Present => true,
            Operator::Absent => false,
            Operator::IsNot => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
            Operator::Is
            | Operator::SetIfAbsent
            | Operator::Subtract
            | Operator::Matches
            | Operator::MatchesNot => order.is_eq(),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_read_as_freeradius_does() {
        for (text, operator) in [
            (":=", Some(Operator::Set)),
            (" :=", Some(Operator::Set)),
            (":=x", Some(Operator::Set)),
            ("== ", Some(Operator::Is)),
            ("=:", Some(Operator::SetIfAbsent)),
            ("=>", Some(Operator::SetIfAbsent)),
            ("", Some(Operator::Is)),
            ("  ", Some(Operator::Is)),
            (": =", None),
            ("xx", None),
            ("!", None),
            ("(", None),
        ] {
            assert_eq!(Operator::read(Some(text)), operator, "{text:?}");
        }
        assert_eq!(Operator::read(None), Some(Operator::Is));
    }

    #[test]
    fn each_operator_is_written_as_it_is_read() {
        for (text, operator) in WRITTEN {
            assert_eq!(Operator::read(Some(text)), Some(operator));
            assert_eq!(operator.text(), text);
        }
    }
}
