//! From an expression to operations, checking at load what an interpreter would only find out request by request.

mod call;
mod loops;

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, SelectExpr, SourceInfo, operators};
use forewarn_dict::{Dictionary, PairError};
use forewarn_shell::config::nearest;

use super::Fault;
use super::fact::{Fact, NUMBER_ABSENT};
use super::kind::{Named, Names, Type};
use super::locate::{Locator, Unseen};
use super::op::Op;
use super::parse::parse;

/// How deep operations may lie below each other: evaluating them is recursive, on a stack of the usual size.
const DEPTH_MAX: usize = 40;

/// Parses a condition, and checks that everything in it is there and that it gives a truth value. To be called in
/// [`super::parse::with_room`].
pub(super) fn compile(source: &str, dictionary: &Dictionary) -> Result<Op, Vec<Fault>> {
    let (expression, info) = parse(source)?;
    let mut checker = Checker { source, info, dictionary, faults: Vec::new(), bound: None };
    let found = checker.expression(&expression);
    if checker.faults.is_empty() && !found.kind.fits(&Type::Truth) {
        let what = format!("the condition is {}, not a truth value", found.kind);
        checker.fault(&expression, what, "compare it with something: ==, !=, <, in, ...");
    }
    if checker.faults.is_empty() && found.op.depth() > DEPTH_MAX {
        let what = format!("the condition's parts lie more than {DEPTH_MAX} deep");
        checker.fault(&expression, what, "several policies, one after the other");
    }
    if checker.faults.is_empty() { Ok(found.op) } else { Err(checker.faults) }
}

/// A part of the condition that was understood.
struct Part<'d> {
    op: Op,
    kind: Type,
    /// What its values (the items of a list) are called.
    names: Option<Names<'d>>,
}

impl Part<'_> {
    fn new(op: Op, kind: Type) -> Self {
        Self { op, kind, names: None }
    }

    fn truth(op: Op) -> Self {
        Self::new(op, Type::Truth)
    }

    /// Something was complained about.
    fn faulty() -> Self {
        Self::new(Op::Truth(false), Type::Any)
    }
}

struct Checker<'s, 'd> {
    source: &'s str,
    info: SourceInfo,
    dictionary: &'d Dictionary,
    faults: Vec<Fault>,
    /// The variable of the loop that is being looked at: its name, of which kind it is, and its values' names.
    bound: Option<(String, Type, Option<Names<'d>>)>,
}

impl<'d> Checker<'_, 'd> {
    fn fault(&mut self, at: &IdedExpr, what: String, hint: impl Into<String>) -> Part<'d> {
        let mut first = at;
        while let Expr::Select(select) = &first.expr {
            first = &select.operand;
        }
        let offset = self.info.offset_for(first.id).map_or(0, |(start, _)| start as usize);
        self.faults.push(Fault { offset: offset.min(self.source.len()), what, hint: hint.into() });
        Part::faulty()
    }

    fn expression(&mut self, at: &IdedExpr) -> Part<'d> {
        match &at.expr {
            Expr::Literal(literal) => self.literal(at, literal),
            Expr::Ident(name) => self.variable(at, name),
            Expr::Select(select) => self.selection(at, select),
            Expr::List(list) => self.list(&list.elements, None),
            Expr::Call(call) => self.call(at, call),
            Expr::Comprehension(comprehension) => self.comprehension(at, comprehension),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => self.fault(
                at,
                "maps and messages aren't known here".into(),
                "texts, numbers and lists of them",
            ),
        }
    }

    fn literal(&mut self, at: &IdedExpr, literal: &LiteralValue) -> Part<'d> {
        let what = match literal {
            LiteralValue::Boolean(truth) => return Part::truth(Op::Truth(*truth.inner())),
            LiteralValue::Int(number) => return Part::new(Op::Number(*number.inner()), Type::Number),
            LiteralValue::String(text) => return Part::new(Op::Text(text.inner().into()), Type::Text),
            LiteralValue::UInt(_) => "unsigned numbers",
            LiteralValue::Double(_) => "decimal numbers",
            LiteralValue::Bytes(_) => "octets",
            LiteralValue::Null => "null",
        };
        self.fault(
            at,
            format!("{what} aren't known here"),
            "texts, whole numbers, true, false, lists of them",
        )
    }

    fn variable(&mut self, at: &IdedExpr, name: &str) -> Part<'d> {
        if let Some((_, kind, names)) = self.bound.as_ref().filter(|(bound, ..)| bound == name) {
            return Part { op: Op::Item, kind: kind.clone(), names: *names };
        }
        let hint = match fields_of(name) {
            fields if fields.is_empty() => {
                String::from("client.*, user.*, request.*, session.* or time.*; a text stands in quotes")
            }
            fields => format!("one of {fields}"),
        };
        self.fault(at, format!("\"{name}\" is nothing to compare with"), hint)
    }

    fn selection(&mut self, at: &IdedExpr, select: &SelectExpr) -> Part<'d> {
        let Some(object) = qualified(&select.operand.expr) else {
            self.expression(&select.operand);
            return self.fault(at, format!("there is no \".{}\" of that", select.field), fields_of(""));
        };
        let name = format!("{object}.{}", select.field);
        let attribute = Fact::ATTRIBUTES.iter().find(|(known, _)| *known == name);
        if let Some((_, attribute)) = attribute {
            let look = if select.test { Look::Present } else { Look::First };
            return self.attribute(at, attribute, look);
        }
        let Some(fact) = Fact::named(&name) else {
            let object = object.split('.').next().unwrap_or_default();
            let known = fields_of(object);
            let hint = match nearest(&name, known.split(", ")) {
                Some(meant) => format!("did you mean {meant}?"),
                None if known.is_empty() => format!("one of {}", fields_of("")),
                None => format!("one of {known}"),
            };
            return self.fault(at, format!("there is no {name}"), hint);
        };
        let (kind, names) = (Type::from(fact.kind()), Names::of_kind(fact.kind()));
        if !select.test {
            return Part { op: Op::Fact(fact), kind, names };
        }
        let absent = match kind {
            Type::Text => Op::Text("".into()),
            Type::Number => Op::Number(NUMBER_ABSENT),
            _ => return self.fault(at, format!("{name} is always there"), "compare its size(): it may be 0"),
        };
        Part::truth(Op::Unequal(Box::new([Op::Fact(fact), absent])))
    }

    /// An attribute of the request, of this name in the dictionary.
    fn attribute(&mut self, at: &IdedExpr, name: &str, look: Look) -> Part<'d> {
        let dictionary = self.dictionary;
        let (found, tag) = match dictionary.named(name) {
            Ok(found) => found,
            Err(PairError::UnknownName { nearest: Some(meant), .. }) => {
                return self.fault(
                    at,
                    format!("there is no attribute {name:?}"),
                    format!("did you mean {meant:?}?"),
                );
            }
            Err(PairError::UnknownName { .. }) => {
                let hint = "a name of the dictionary, or Attr-N, Attr-26.VENDOR.N";
                return self.fault(at, format!("there is no attribute {name:?}"), hint);
            }
            Err(error) => {
                let text = error.to_string();
                let (what, hint) = text.split_once("; ").unwrap_or((&text, "a name of the dictionary"));
                return self.fault(at, what.to_owned(), hint);
            }
        };
        let locator = match Locator::new(dictionary, &found, tag) {
            Ok(locator) => Box::new(locator),
            Err(unseen) => {
                let (what, hint) = match unseen {
                    Unseen::Hidden => ("is hidden on its way", "conditions don't look at passwords and keys"),
                    Unseen::Container => ("holds other attributes", "name one of those"),
                    Unseen::Internal => ("is never in a packet", "an attribute that is"),
                };
                return self.fault(at, format!("{} {what}", found.name()), hint);
            }
        };
        let item = if locator.is_number() { Type::Number } else { Type::Text };
        let known = dictionary.attribute_at(found.path().carrier, &found.path().numbers);
        let named = known.filter(|known| dictionary.values(known).next().is_some());
        let names = named.map(|named| Names::Of(dictionary, named));
        match look {
            Look::First => Part { op: Op::First(locator), kind: item, names },
            Look::All => Part { op: Op::All(locator), kind: Type::List(Box::new(item)), names },
            Look::Present => Part::truth(Op::Present(locator)),
        }
    }

    /// A list as it is written; `names` are those of what will be compared with its items.
    fn list(&mut self, elements: &[IdedExpr], names: Option<Names<'d>>) -> Part<'d> {
        let mut items = Vec::with_capacity(elements.len());
        let mut kind = Type::Any;
        for element in elements {
            let part = self.expression(element);
            let part = self.called(element, part, names);
            if !part.kind.fits(&kind) {
                self.fault(
                    element,
                    format!("{} in a list of which the others are {kind}", part.kind),
                    "items of one kind",
                );
            } else {
                kind = kind.or(part.kind);
            }
            items.push(part.op);
        }
        Part { op: Op::List(items.into()), kind: Type::List(Box::new(kind)), names }
    }

    /// A text that is compared with something whose values have `names`: it has to be one of them.
    fn called(&mut self, at: &IdedExpr, part: Part<'d>, names: Option<Names<'d>>) -> Part<'d> {
        let (Some(names), Op::Text(name)) = (names, &part.op) else { return part };
        match names.find(name) {
            Ok(Named::Number(number)) => Part::new(Op::Number(number), Type::Number),
            Ok(Named::Text) => part,
            Err((what, hint)) => self.fault(at, what, hint),
        }
    }

    fn expect(&mut self, at: &IdedExpr, found: &Part<'d>, wanted: &Type) {
        if !found.kind.fits(wanted) {
            self.fault(at, format!("this is {}", found.kind), format!("{wanted}"));
        }
    }
}

/// What is asked of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    First,
    All,
    Present,
}

/// `a.b.c` as it is written.
fn qualified(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => {
            qualified(&select.operand.expr).map(|object| format!("{object}.{}", select.field))
        }
        _ => None,
    }
}

/// An operator or function as it is written.
fn spelling(name: &str) -> String {
    match name {
        operators::INDEX => String::from("[]"),
        operators::IN => String::from("in"),
        _ if name.contains('_') && !name.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
            name.replace('_', "")
        }
        _ => format!("{name}()"),
    }
}

/// The facts of one object, or of all of them when `object` is empty.
fn fields_of(object: &str) -> String {
    let prefix = if object.is_empty() { String::new() } else { format!("{object}.") };
    let facts = Fact::ALL.iter().map(|(name, _)| *name);
    let names = facts.chain(Fact::ATTRIBUTES.iter().map(|(name, _)| *name));
    let mut names: Vec<&str> = names.filter(|name| name.starts_with(&prefix)).collect();
    if "request.".starts_with(&prefix) && !prefix.is_empty() {
        names.push("request[\"NAME\"]");
    }
    names.join(", ")
}
