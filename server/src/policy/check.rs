//! Types of conditions, checked at load: what the interpreter would only find out request by request.

use std::fmt;
use std::thread;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr, SourceInfo, operators};
use cel::parser::Parser;

use super::Fault;
use super::fact::Fact;
use crate::contained::contained;

/// Octets of a condition. A longer one is two.
const LENGTH_MAX: usize = 4096;
/// How deep a condition may nest: parser and interpreter are recursive.
const DEPTH_MAX: u16 = 24;

/// The generated parser takes some 100 kB of stack for each level, unoptimized: more than a thread has.
const STACK_OCTETS: usize = 32 << 20;

/// Parses a condition and checks that it gives a truth value.
pub(super) fn compile(source: &str) -> Result<IdedExpr, Vec<Fault>> {
    if let Some(fault) = too_big(source) {
        return Err(vec![fault]);
    }
    thread::scope(|scope| {
        let parsing = thread::Builder::new()
            .stack_size(STACK_OCTETS)
            .spawn_scoped(scope, || contained(|| parse(source)));
        let parsed = parsing.ok().and_then(|parsing| parsing.join().ok()?.ok());
        parsed.unwrap_or_else(|| {
            let what = String::from("the parser failed on this condition");
            Err(vec![Fault { offset: 0, what, hint: "a simpler condition".into() }])
        })
    })
}

fn parse(source: &str) -> Result<IdedExpr, Vec<Fault>> {
    let parser = Parser::new().max_recursion_depth(DEPTH_MAX * 2);
    let (expression, info) = parser.parse_with_source_info(source).map_err(|errors| {
        errors.errors.iter().map(|error| syntax(source, error.pos, &error.msg)).collect::<Vec<_>>()
    })?;
    let mut checker = Checker { source, info, faults: Vec::new(), bound: Vec::new() };
    let found = checker.expression(&expression);
    if checker.faults.is_empty() && !found.fits(&Type::Bool) {
        let what = format!("the condition is {found}, not a truth value");
        checker.fault(&expression, what, "compare it with something: ==, !=, <, in, ...");
    }
    if checker.faults.is_empty() { Ok(expression) } else { Err(checker.faults) }
}

/// Judged before the parser sees it, whose stack would overflow first. Brackets within quotes count too: the
/// limit is far from what anybody writes.
fn too_big(source: &str) -> Option<Fault> {
    let (mut open, mut choices) = (0_u16, 0);
    for (offset, octet) in source.bytes().enumerate() {
        match octet {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'?' => choices += 1,
            _ => {}
        }
        if open + choices > DEPTH_MAX {
            let what = format!("the condition nests deeper than {DEPTH_MAX}");
            return Some(Fault { offset, what, hint: "several policies, one after the other".into() });
        }
    }
    (source.len() > LENGTH_MAX).then(|| Fault {
        offset: LENGTH_MAX,
        what: format!("the condition is longer than {LENGTH_MAX} octets"),
        hint: "several policies, one after the other".into(),
    })
}

fn syntax(source: &str, (line, column): (isize, isize), message: &str) -> Fault {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let before: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let column = usize::try_from(column - 1).unwrap_or(0);
    Fault {
        offset: (before + column).min(source.len()),
        what: format!("not a CEL expression: {}", message.trim()),
        hint: String::from("something like 'client.group == \"wifi\" && \"staff\" in user.groups'"),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Type {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Octets,
    Null,
    List(Box<Type>),
    Map,
    /// Not known, or already complained about.
    Any,
}

impl Type {
    fn fits(&self, wanted: &Type) -> bool {
        match (self, wanted) {
            (Type::Any, _) | (_, Type::Any) => true,
            (Type::List(a), Type::List(b)) => a.fits(b),
            _ => self == wanted,
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Uint | Type::Double | Type::Any)
    }

    fn comparable(&self, other: &Type) -> bool {
        self.fits(other) || (self.is_number() && other.is_number())
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Bool => f.write_str("a truth value"),
            Type::Int => f.write_str("a number"),
            Type::Uint => f.write_str("an unsigned number"),
            Type::Double => f.write_str("a decimal number"),
            Type::Text => f.write_str("a text"),
            Type::Octets => f.write_str("octets"),
            Type::Null => f.write_str("null"),
            Type::List(item) if **item == Type::Text => f.write_str("a list of texts"),
            Type::List(_) => f.write_str("a list"),
            Type::Map => f.write_str("a map"),
            Type::Any => f.write_str("anything"),
        }
    }
}

impl Fact {
    fn gives(self) -> Type {
        match self {
            Fact::UserGroups => Type::List(Box::new(Type::Text)),
            Fact::NasPort | Fact::NasPortType | Fact::ServiceType | Fact::FramedProtocol => Type::Int,
            _ => Type::Text,
        }
    }
}

struct Checker<'s> {
    source: &'s str,
    info: SourceInfo,
    faults: Vec<Fault>,
    /// Variables that macros bind, innermost last.
    bound: Vec<(String, Type)>,
}

impl Checker<'_> {
    fn fault(&mut self, at: &IdedExpr, what: String, hint: impl Into<String>) -> Type {
        let mut first = at;
        while let Expr::Select(select) = &first.expr {
            first = &select.operand;
        }
        let offset = self.info.offset_for(first.id).map_or(0, |(start, _)| start as usize);
        self.faults.push(Fault { offset: offset.min(self.source.len()), what, hint: hint.into() });
        Type::Any
    }

    fn expression(&mut self, at: &IdedExpr) -> Type {
        match &at.expr {
            Expr::Literal(literal) => literal_type(literal),
            Expr::Ident(name) => self.variable(at, name),
            Expr::Select(select) => self.selection(at, select),
            Expr::List(list) => self.list(&list.elements),
            Expr::Call(call) => self.call(at, call),
            Expr::Comprehension(comprehension) => self.comprehension(at, comprehension),
            Expr::Map(_) => Type::Map,
            Expr::Struct(_) | Expr::Unspecified => {
                self.fault(at, "messages aren't known here".into(), "texts, numbers and lists of them")
            }
        }
    }

    fn variable(&mut self, at: &IdedExpr, name: &str) -> Type {
        if let Some((_, bound)) = self.bound.iter().rev().find(|(bound, _)| bound == name) {
            return bound.clone();
        }
        let hint = match name {
            "client" | "user" | "request" => format!("one of {}", fields_of(name)),
            _ => String::from("client.*, user.* or request.*; a text stands in quotes"),
        };
        self.fault(at, format!("\"{name}\" is nothing to compare with"), hint)
    }

    fn selection(&mut self, at: &IdedExpr, select: &SelectExpr) -> Type {
        let Expr::Ident(object) = &select.operand.expr else {
            self.expression(&select.operand);
            return self.fault(at, format!("there is no \".{}\" of that", select.field), fields_of(""));
        };
        if select.test {
            let hint = "compare with \"\" (a text that is absent) or -1 (a number that is absent)";
            return self.fault(at, "has() isn't available".into(), hint);
        }
        let name = format!("{object}.{}", select.field);
        match Fact::named(&name) {
            Some(fact) => fact.gives(),
            None => {
                let fields = fields_of(object);
                let hint = if fields.is_empty() { fields_of("") } else { fields };
                self.fault(at, format!("there is no {name}"), format!("one of {hint}"))
            }
        }
    }

    fn list(&mut self, elements: &[IdedExpr]) -> Type {
        let mut types = elements.iter().map(|element| self.expression(element));
        let first = types.next().unwrap_or(Type::Any);
        let item = types.fold(first, |item, next| if item.fits(&next) { item } else { Type::Any });
        Type::List(Box::new(item))
    }

    fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> Type {
        let mut types: Vec<Type> = call.target.iter().map(|target| self.expression(target)).collect();
        types.extend(call.args.iter().map(|argument| self.expression(argument)));
        let name = call.func_name.as_str();
        match (name, types.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [a, b]) => {
                self.expect(&call.args[0], a, &Type::Bool);
                self.expect(&call.args[1], b, &Type::Bool);
                Type::Bool
            }
            (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, [a]) => {
                self.expect(&call.args[0], a, &Type::Bool);
                Type::Bool
            }
            (operators::CONDITIONAL, [condition, a, b]) => {
                self.expect(&call.args[0], condition, &Type::Bool);
                if a.fits(b) { a.clone() } else { Type::Any }
            }
            (operators::NEGATE, [a]) if a.is_number() => a.clone(),
            (_, [a, b]) if is_comparison(name) => self.comparison(at, name, a, b),
            (operators::IN, [a, b]) => self.membership(at, a, b),
            (_, [a, b]) if is_arithmetic(name) => self.arithmetic(at, name, a, b),
            (operators::INDEX, [Type::List(item), index]) => {
                self.expect(&call.args[1], index, &Type::Int);
                (**item).clone()
            }
            ("startsWith" | "endsWith" | "contains", [a, b]) if call.target.is_some() => {
                let target = call.target.as_deref().unwrap_or(at);
                self.expect(target, a, &Type::Text);
                self.expect(&call.args[0], b, &Type::Text);
                Type::Bool
            }
            ("size", [Type::Text | Type::Octets | Type::List(_) | Type::Map | Type::Any]) => Type::Int,
            ("string", [Type::Text | Type::Int | Type::Uint | Type::Double | Type::Any]) => Type::Text,
            ("int", [Type::Text | Type::Int | Type::Uint | Type::Double | Type::Any]) => Type::Int,
            ("size" | "string" | "int" | operators::NEGATE | operators::INDEX, [a, ..]) => {
                let what = format!("{} doesn't go with {a}", spelling(name));
                self.fault(at, what, "size(text or list), string(number), int(text), list[number]")
            }
            _ => {
                let hint = "startsWith, endsWith, contains, size, string, int, exists, all, filter, in, ==, !=, <, &&, ||, !";
                self.fault(at, format!("there is no {} here", spelling(name)), hint)
            }
        }
    }

    fn expect(&mut self, at: &IdedExpr, found: &Type, wanted: &Type) {
        if !found.fits(wanted) {
            self.fault(at, format!("this is {found}"), format!("{wanted}"));
        }
    }

    fn comparison(&mut self, at: &IdedExpr, name: &str, a: &Type, b: &Type) -> Type {
        let ordered = !matches!(name, operators::EQUALS | operators::NOT_EQUALS);
        let orderable =
            |side: &Type| side.is_number() || matches!(side, Type::Text | Type::Octets | Type::Bool);
        if !a.comparable(b) || (ordered && !(orderable(a) && orderable(b))) {
            let what = format!("{a} {} {b} can't be compared", spelling(name));
            self.fault(at, what, "two texts or two numbers; `text in list` for lists");
        }
        Type::Bool
    }

    fn membership(&mut self, at: &IdedExpr, item: &Type, list: &Type) -> Type {
        match list {
            Type::List(of) if item.comparable(of) => {}
            Type::Map | Type::Any => {}
            Type::List(of) => {
                self.fault(
                    at,
                    format!("{item} can't be in a list of which each is {of}"),
                    format!("{of} in it"),
                );
            }
            _ => {
                self.fault(
                    at,
                    format!("nothing can be in {list}"),
                    "a list on the right, such as user.groups",
                );
            }
        }
        Type::Bool
    }

    fn arithmetic(&mut self, at: &IdedExpr, name: &str, a: &Type, b: &Type) -> Type {
        let joins = name == operators::ADD && matches!(a, Type::Text | Type::Octets | Type::List(_));
        if a.fits(b) && (a.is_number() || joins) {
            return a.clone();
        }
        let what = format!("{a} {} {b} can't be computed", spelling(name));
        self.fault(at, what, "two numbers of a kind, or + of two texts")
    }

    /// `exists`, `all`, `filter`, `map`, ...: one loop over a list. A loop within a loop multiplies the work, so
    /// it is refused.
    fn comprehension(&mut self, at: &IdedExpr, of: &ComprehensionExpr) -> Type {
        if !self.bound.is_empty() {
            return self.fault(at, "a loop within a loop".into(), "one exists, all, filter or map at a time");
        }
        let range = self.expression(&of.iter_range);
        if matches!(of.iter_range.expr, Expr::Comprehension(_)) {
            return self.fault(
                at,
                "a loop over a loop's result".into(),
                "one exists, all, filter or map at a time",
            );
        }
        let item = match range {
            Type::List(item) => *item,
            Type::Map | Type::Any => Type::Any,
            other => {
                return self.fault(&of.iter_range, format!("this is {other}"), "a list, such as user.groups");
            }
        };
        let result = self.expression(&of.accu_init);
        self.bound.push((of.iter_var.clone(), item));
        self.bound.extend(of.iter_var2.clone().map(|name| (name, Type::Any)));
        self.bound.push((of.accu_var.clone(), result));
        self.expression(&of.loop_cond);
        self.expression(&of.loop_step);
        let result = self.expression(&of.result);
        self.bound.clear();
        result
    }
}

fn literal_type(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Octets,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::Text,
        LiteralValue::UInt(_) => Type::Uint,
    }
}

fn is_comparison(name: &str) -> bool {
    use operators::{EQUALS, GREATER, GREATER_EQUALS, LESS, LESS_EQUALS, NOT_EQUALS};
    [EQUALS, NOT_EQUALS, LESS, LESS_EQUALS, GREATER, GREATER_EQUALS].contains(&name)
}

fn is_arithmetic(name: &str) -> bool {
    use operators::{ADD, DIVIDE, MODULO, MULTIPLY, SUBSTRACT};
    [ADD, SUBSTRACT, MULTIPLY, DIVIDE, MODULO].contains(&name)
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
    let names = Fact::ALL.iter().map(|(name, _)| *name).filter(|name| name.starts_with(&prefix));
    names.collect::<Vec<_>>().join(", ")
}
