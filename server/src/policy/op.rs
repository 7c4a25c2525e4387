//! A condition as a tree of operations over facts, and its evaluation: nothing is looked up by name, and memory is taken
//! only for texts that are made and long, and for lists that are made.

use std::cmp::Ordering;

use regex::Regex;

use super::EvaluationError;
use super::fact::{Fact, Facts, NUMBER_ABSENT};
use super::locate::Locator;
use super::value::{List, Text, Value};

/// One operation, its operands below it. The check at load has seen to it that they are of the right kinds.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Truth(bool),
    Number(i64),
    Text(Box<str>),
    Fact(Fact),
    /// The first value of an attribute; `""` or -1 where there is none.
    First(Box<Locator>),
    /// All values of an attribute.
    All(Box<Locator>),
    /// Whether the request has an attribute.
    Present(Box<Locator>),
    /// The item of the loop this is in.
    Item,
    List(Box<[Op]>),
    Not(Box<Op>),
    And(Box<[Op]>),
    Or(Box<[Op]>),
    If(Box<[Op; 3]>),
    Equal(Box<[Op; 2]>),
    Unequal(Box<[Op; 2]>),
    Ordered(Order, Box<[Op; 2]>),
    In(Box<[Op; 2]>),
    Negate(Box<Op>),
    Compute(Arithmetic, Box<[Op; 2]>),
    Join(Box<[Op; 2]>),
    /// A list's item of this number.
    Index(Box<[Op; 2]>),
    StartsWith(Box<[Op; 2]>),
    EndsWith(Box<[Op; 2]>),
    Contains(Box<[Op; 2]>),
    Matches(Box<Op>, Regex),
    /// Characters, or items.
    Size(Box<Op>),
    ToText(Box<Op>),
    ToNumber(Box<Op>),
    Lower(Box<Op>),
    Upper(Box<Op>),
    Trim(Box<Op>),
    Replace(Box<[Op; 3]>),
    Split(Box<[Op; 2]>),
    /// From one character on, and up to another.
    Substring(Box<[Op; 2]>, Option<Box<Op>>),
    IndexOf(Box<[Op; 2]>),
    /// A loop over the first, with the second for each item.
    Loop(Loop, Box<[Op; 2]>),
}

/// How two values have to stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is done with two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What a loop makes of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loop {
    Exists,
    ForAll,
    ExistsOne,
    Filter,
    Map,
}

type Item<'a, 'i> = Option<&'i Value<'a>>;

impl Op {
    /// Whether it is true.
    ///
    /// # Errors
    /// It can't be evaluated.
    pub(super) fn holds<'a>(&'a self, facts: &'a Facts<'a>) -> Result<bool, EvaluationError> {
        self.truth(facts, None)
    }

    /// What it comes to outside any loop.
    ///
    /// # Errors
    /// It can't be evaluated.
    pub(super) fn evaluate<'a>(&'a self, facts: &'a Facts<'a>) -> Result<Value<'a>, EvaluationError> {
        self.value(facts, None)
    }

    fn truth<'a>(&'a self, facts: &'a Facts<'a>, item: Item<'a, '_>) -> Result<bool, EvaluationError> {
        match self {
            Op::Truth(truth) => Ok(*truth),
            Op::Not(op) => op.truth(facts, item).map(|truth| !truth),
            Op::And(ops) => settle(ops.iter().map(|op| op.truth(facts, item)), false),
            Op::Or(ops) => settle(ops.iter().map(|op| op.truth(facts, item)), true),
            Op::If(ops) => {
                let [condition, then, otherwise] = &**ops;
                if condition.truth(facts, item)? { then } else { otherwise }.truth(facts, item)
            }
            Op::Equal(ops) => {
                let (a, b) = pair(ops, facts, item)?;
                a.same(&b)
            }
            Op::Unequal(ops) => {
                let (a, b) = pair(ops, facts, item)?;
                a.same(&b).map(|same| !same)
            }
            Op::Ordered(order, ops) => {
                let (a, b) = pair(ops, facts, item)?;
                let ordering = match (&a, &b) {
                    (Value::Number(a), Value::Number(b)) => a.cmp(b),
                    (Value::Text(a), Value::Text(b)) => a.as_str().cmp(b.as_str()),
                    (Value::Truth(a), Value::Truth(b)) => a.cmp(b),
                    _ => return Err(EvaluationError),
                };
                Ok(match order {
                    Order::Less => ordering == Ordering::Less,
                    Order::LessOrEqual => ordering != Ordering::Greater,
                    Order::Greater => ordering == Ordering::Greater,
                    Order::GreaterOrEqual => ordering != Ordering::Less,
                })
            }
            Op::In(ops) => is_in(ops, facts, item),
            Op::Present(locator) => Ok(locator.values(facts.request).next().is_some()),
            Op::StartsWith(ops) => {
                let (a, b) = pair(ops, facts, item)?;
                Ok(a.text()?.starts_with(b.text()?))
            }
            Op::EndsWith(ops) => {
                let (a, b) = pair(ops, facts, item)?;
                Ok(a.text()?.ends_with(b.text()?))
            }
            Op::Contains(ops) => {
                let (a, b) = pair(ops, facts, item)?;
                Ok(a.text()?.contains(b.text()?))
            }
            Op::Matches(op, pattern) => Ok(pattern.is_match(op.value(facts, item)?.text()?)),
            Op::Loop(kind @ (Loop::Exists | Loop::ForAll | Loop::ExistsOne), ops) => {
                let [range, body] = &**ops;
                let list = range.list(facts, item)?;
                let truths = list.iter().map(|item| body.truth(facts, Some(&item)));
                match kind {
                    Loop::Exists => settle(truths, true),
                    Loop::ForAll => settle(truths, false),
                    _ => {
                        let mut found = 0;
                        for truth in truths {
                            found += usize::from(truth?);
                        }
                        Ok(found == 1)
                    }
                }
            }
            Op::Item => item.ok_or(EvaluationError)?.truth(),
            other => other.value(facts, item)?.truth(),
        }
    }

    fn value<'a>(&'a self, facts: &'a Facts<'a>, item: Item<'a, '_>) -> Result<Value<'a>, EvaluationError> {
        let text = |op: &'a Op| op.value(facts, item);
        Ok(match self {
            Op::Number(number) => Value::Number(*number),
            Op::Text(text) => Value::Text(Text::Borrowed(text)),
            Op::Fact(fact) => facts.value(*fact),
            Op::First(locator) => locator.values(facts.request).next().unwrap_or(if locator.is_number() {
                Value::Number(NUMBER_ABSENT)
            } else {
                Value::Text(Text::Borrowed(""))
            }),
            Op::All(locator) => Value::List(List::Attribute(locator.values(facts.request))),
            Op::Item => item.ok_or(EvaluationError)?.clone(),
            Op::List(ops) => {
                let items: Result<_, _> = ops.iter().map(|op| op.value(facts, item)).collect();
                Value::List(List::Made(items?))
            }
            Op::If(ops) => {
                let [condition, then, otherwise] = &**ops;
                if condition.truth(facts, item)? { then } else { otherwise }.value(facts, item)?
            }
            Op::Negate(op) => {
                Value::Number(op.value(facts, item)?.number()?.checked_neg().ok_or(EvaluationError)?)
            }
            Op::Compute(arithmetic, ops) => {
                let (a, b) = pair(ops, facts, item)?;
                Value::Number(arithmetic.of(a.number()?, b.number()?).ok_or(EvaluationError)?)
            }
            Op::Join(ops) => match pair(ops, facts, item)? {
                (Value::Text(a), Value::Text(b)) => {
                    Value::Text(Text::written(format_args!("{}{}", a.as_str(), b.as_str())))
                }
                (Value::List(a), Value::List(b)) => {
                    Value::List(List::Made(a.iter().chain(b.iter()).collect()))
                }
                _ => return Err(EvaluationError),
            },
            Op::Index(ops) => {
                let [list, index] = &**ops;
                let list = list.list(facts, item)?;
                let index = usize::try_from(index.value(facts, item)?.number()?);
                index.ok().and_then(|index| list.iter().nth(index)).ok_or(EvaluationError)?
            }
            Op::Size(op) => {
                let size = match op.value(facts, item)? {
                    Value::Text(text) => text.as_str().chars().count(),
                    Value::List(list) => list.len(),
                    _ => return Err(EvaluationError),
                };
                Value::Number(size as i64)
            }
            Op::ToText(op) => match op.value(facts, item)? {
                Value::Number(number) => Value::Text(Text::written(format_args!("{number}"))),
                Value::Truth(truth) => Value::Text(Text::Borrowed(if truth { "true" } else { "false" })),
                text @ Value::Text(_) => text,
                Value::List(_) => return Err(EvaluationError),
            },
            Op::ToNumber(op) => match op.value(facts, item)? {
                Value::Text(text) => Value::Number(text.as_str().parse().map_err(|_| EvaluationError)?),
                number @ Value::Number(_) => number,
                _ => return Err(EvaluationError),
            },
            Op::Lower(op) => {
                Value::Text(Text::changed(text(op)?.text()?, |character| character.to_ascii_lowercase()))
            }
            Op::Upper(op) => {
                Value::Text(Text::changed(text(op)?.text()?, |character| character.to_ascii_uppercase()))
            }
            Op::Trim(op) => Value::Text(Text::written(format_args!("{}", text(op)?.text()?.trim()))),
            Op::Replace(ops) => {
                let [of, from, to] = &**ops;
                let (of, from, to) = (text(of)?, text(from)?, text(to)?);
                Value::Text(Text::Long(of.text()?.replace(from.text()?, to.text()?)))
            }
            Op::Split(ops) => {
                let (of, separator) = pair(ops, facts, item)?;
                let parts = of.text()?.split(separator.text()?);
                let parts = parts.map(|part| Value::Text(Text::written(format_args!("{part}"))));
                Value::List(List::Made(parts.collect()))
            }
            Op::Substring(ops, end) => {
                let (of, start) = pair(ops, facts, item)?;
                let end = end.as_ref().map(|end| end.value(facts, item)?.number()).transpose()?;
                let part = substring(of.text()?, start.number()?, end).ok_or(EvaluationError)?;
                Value::Text(Text::written(format_args!("{part}")))
            }
            Op::IndexOf(ops) => {
                let (of, what) = pair(ops, facts, item)?;
                let of = of.text()?;
                let at = of.find(what.text()?).map(|at| of[..at].chars().count() as i64);
                Value::Number(at.unwrap_or(-1))
            }
            Op::Loop(kind @ (Loop::Filter | Loop::Map), ops) => {
                let [range, body] = &**ops;
                let mut made = Vec::new();
                for one in range.list(facts, item)?.iter() {
                    match kind {
                        Loop::Map => made.push(body.value(facts, Some(&one))?),
                        _ if body.truth(facts, Some(&one))? => made.push(one),
                        _ => {}
                    }
                }
                Value::List(List::Made(made))
            }
            Op::Truth(_)
            | Op::Present(_)
            | Op::Not(_)
            | Op::And(_)
            | Op::Or(_)
            | Op::Equal(_)
            | Op::Unequal(_)
            | Op::Ordered(..)
            | Op::In(_)
            | Op::StartsWith(_)
            | Op::EndsWith(_)
            | Op::Contains(_)
            | Op::Matches(..)
            | Op::Loop(..) => Value::Truth(self.truth(facts, item)?),
        })
    }

    fn list<'a>(&'a self, facts: &'a Facts<'a>, item: Item<'a, '_>) -> Result<List<'a>, EvaluationError> {
        match self.value(facts, item)? {
            Value::List(list) => Ok(list),
            _ => Err(EvaluationError),
        }
    }

    /// How many operations stand one below the other.
    pub(super) fn depth(&self) -> usize {
        1 + self.operands().map(Op::depth).max().unwrap_or(0)
    }

    /// The operations right below it.
    pub(super) fn operands(&self) -> impl Iterator<Item = &Op> {
        let (some, further): (&[Op], Option<&Op>) = match self {
            Op::List(ops) | Op::And(ops) | Op::Or(ops) => (ops, None),
            Op::If(ops) | Op::Replace(ops) => (ops.as_slice(), None),
            Op::Equal(ops)
            | Op::Unequal(ops)
            | Op::Ordered(_, ops)
            | Op::In(ops)
            | Op::Compute(_, ops)
            | Op::Join(ops)
            | Op::Index(ops)
            | Op::StartsWith(ops)
            | Op::EndsWith(ops)
            | Op::Contains(ops)
            | Op::Split(ops)
            | Op::IndexOf(ops)
            | Op::Loop(_, ops) => (ops.as_slice(), None),
            Op::Substring(ops, end) => (ops.as_slice(), end.as_deref()),
            Op::Not(op)
            | Op::Negate(op)
            | Op::Matches(op, _)
            | Op::Size(op)
            | Op::ToText(op)
            | Op::ToNumber(op)
            | Op::Lower(op)
            | Op::Upper(op)
            | Op::Trim(op) => (&[], Some(op)),
            Op::Truth(_)
            | Op::Number(_)
            | Op::Text(_)
            | Op::Fact(_)
            | Op::First(_)
            | Op::All(_)
            | Op::Present(_)
            | Op::Item => (&[], None),
        };
        some.iter().chain(further)
    }
}

fn pair<'a>(
    ops: &'a [Op; 2],
    facts: &'a Facts<'a>,
    item: Item<'a, '_>,
) -> Result<(Value<'a>, Value<'a>), EvaluationError> {
    Ok((ops[0].value(facts, item)?, ops[1].value(facts, item)?))
}

/// The first that is `decisive` decides, whatever could not be evaluated before it (CEL's `&&` and `||`).
fn settle(
    truths: impl Iterator<Item = Result<bool, EvaluationError>>,
    decisive: bool,
) -> Result<bool, EvaluationError> {
    let mut settled = Ok(!decisive);
    for truth in truths {
        match truth {
            Ok(truth) if truth == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(error) => settled = Err(error),
        }
    }
    settled
}

fn is_in<'a>(ops: &'a [Op; 2], facts: &'a Facts<'a>, item: Item<'a, '_>) -> Result<bool, EvaluationError> {
    let [what, list] = ops;
    let what = what.value(facts, item)?;
    if let Op::List(items) = list {
        // A list as it is written needn't be made. All of it is evaluated: what can't be is an error either way.
        let mut found = false;
        for one in items {
            found |= what.same(&one.value(facts, item)?)?;
        }
        return Ok(found);
    }
    for one in list.list(facts, item)?.iter() {
        if what.same(&one)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Arithmetic {
    fn of(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Arithmetic::Add => a.checked_add(b),
            Arithmetic::Subtract => a.checked_sub(b),
            Arithmetic::Multiply => a.checked_mul(b),
            Arithmetic::Divide => a.checked_div(b),
            Arithmetic::Remainder => a.checked_rem(b),
        }
    }
}

/// The characters from `start` up to `end`. `None`: there is no such place.
fn substring(text: &str, start: i64, end: Option<i64>) -> Option<&str> {
    let at = |character: i64| {
        let character = usize::try_from(character).ok()?;
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        ends.into_iter().nth(character)
    };
    let (start, end) = (at(start)?, end.map_or(Some(text.len()), at)?);
    text.get(start..end)
}
