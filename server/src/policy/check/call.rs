//! Operators and functions.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use regex::RegexBuilder;

use super::super::kind::Type;
use super::super::op::{Arithmetic, Op, Order};
use super::{Checker, Look, Part, spelling};

/// Octets a regular expression may come to once it is compiled.
const PATTERN_MAX: usize = 256 << 10;

/// What there is, for who calls something else.
const FUNCTIONS: &str = "startsWith, endsWith, contains, matches, size, string, int, lowerAscii, upperAscii, trim, \
     replace, split, substring, indexOf, exists, all, exists_one, filter, map, has, in, ==, !=, <, &&, ||, !";

impl<'d> Checker<'_, 'd> {
    pub(super) fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> Part<'d> {
        if let Some(part) = self.of_request(call) {
            return part;
        }
        let name = call.func_name.as_str();
        match (name, call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [_, _]) => self.junction(call),
            (_, [a, b]) if call.target.is_none() && order(name).is_some() => self.comparison(at, name, a, b),
            (operators::IN, [a, b]) => self.membership(at, a, b),
            ("matches", [pattern]) => match &call.target {
                Some(target) => self.matches(target, pattern),
                None => self.unknown(at, call),
            },
            _ => self.function(at, call),
        }
    }

    /// `request["Name"]`, `request.all["Name"]` and `"Name" in request`.
    fn of_request(&mut self, call: &CallExpr) -> Option<Part<'d>> {
        let [a, b] = call.args.as_slice() else { return None };
        let (object, name, look) = match call.func_name.as_str() {
            operators::INDEX => match &a.expr {
                Expr::Select(select) if select.field == "all" && !select.test => {
                    (&select.operand, b, Look::All)
                }
                _ => return self.of_object(a, b, Look::First),
            },
            operators::IN => return self.of_object(b, a, Look::Present),
            _ => return None,
        };
        self.of_object(object, name, look)
    }

    fn of_object(&mut self, object: &IdedExpr, name: &IdedExpr, look: Look) -> Option<Part<'d>> {
        if object.expr != Expr::Ident("request".into())
            || self.bound.as_ref().is_some_and(|bound| bound.0 == "request")
        {
            return None;
        }
        Some(match &name.expr {
            Expr::Literal(LiteralValue::String(text)) => self.attribute(name, text.inner(), look),
            _ => self.fault(
                name,
                "this is not the name of an attribute".into(),
                "its name in quotes: request[\"NAS-Port\"]",
            ),
        })
    }

    /// `&&` and `||`; a row of them is one operation.
    fn junction(&mut self, call: &CallExpr) -> Part<'d> {
        let all = call.func_name == operators::LOGICAL_AND;
        let mut parts = Vec::new();
        for argument in &call.args {
            let part = self.expression(argument);
            self.expect(argument, &part, &Type::Truth);
            match part.op {
                Op::And(ops) if all => parts.extend(ops),
                Op::Or(ops) if !all => parts.extend(ops),
                op => parts.push(op),
            }
        }
        Part::truth(if all { Op::And(parts.into()) } else { Op::Or(parts.into()) })
    }

    fn comparison(&mut self, at: &IdedExpr, name: &str, a: &IdedExpr, b: &IdedExpr) -> Part<'d> {
        let (left, right) = (self.expression(a), self.expression(b));
        let (names, other_names) = (left.names, right.names);
        let left = self.called(a, left, other_names);
        let right = self.called(b, right, names);
        let ordered = !matches!(name, operators::EQUALS | operators::NOT_EQUALS);
        let orderable = |kind: &Type| !matches!(kind, Type::List(_));
        let kinds = (&left.kind, &right.kind);
        if !kinds.0.fits(kinds.1) || (ordered && !(orderable(kinds.0) && orderable(kinds.1))) {
            let what = format!("{} {} {} can't be compared", kinds.0, spelling(name), kinds.1);
            return self.fault(at, what, "two texts or two numbers; `text in list` for lists");
        }
        let ops = Box::new([left.op, right.op]);
        Part::truth(match order(name) {
            Some(Comparison::Equal) => Op::Equal(ops),
            Some(Comparison::Ordered(order)) => Op::Ordered(order, ops),
            _ => Op::Unequal(ops),
        })
    }

    fn membership(&mut self, at: &IdedExpr, a: &IdedExpr, b: &IdedExpr) -> Part<'d> {
        let item = self.expression(a);
        let list = match &b.expr {
            Expr::List(list) => self.list(&list.elements, item.names),
            _ => self.expression(b),
        };
        let item = self.called(a, item, list.names);
        match &list.kind {
            Type::List(of) if item.kind.fits(of) => {}
            Type::Any => {}
            Type::List(of) => {
                let what = format!("{} can't be in a list of which each is {of}", item.kind);
                return self.fault(at, what, format!("{of} in it"));
            }
            other => {
                let what = format!("nothing can be in {other}");
                return self.fault(at, what, "a list on the right, such as user.groups");
            }
        }
        Part::truth(Op::In(Box::new([item.op, list.op])))
    }

    /// The pattern is compiled here, once: so it has to be there.
    fn matches(&mut self, target: &IdedExpr, pattern: &IdedExpr) -> Part<'d> {
        let text = self.expression(target);
        self.expect(target, &text, &Type::Text);
        let Expr::Literal(LiteralValue::String(source)) = &pattern.expr else {
            return self.fault(pattern, "this is no pattern".into(), "a regular expression in quotes");
        };
        let compiled =
            RegexBuilder::new(source.inner()).size_limit(PATTERN_MAX).dfa_size_limit(PATTERN_MAX).build();
        match compiled {
            Ok(compiled) => Part::truth(Op::Matches(Box::new(text.op), compiled)),
            Err(regex::Error::CompiledTooBig(_)) => {
                let what = String::from("the regular expression is too big once it is compiled");
                self.fault(pattern, what, "smaller counts in {..}, or several patterns")
            }
            Err(error) => {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let what = format!("not a regular expression: {reason}");
                self.fault(
                    pattern,
                    what,
                    "RE2's syntax; a backslash is written twice in CEL, or once in r\"..\"",
                )
            }
        }
    }

    fn function(&mut self, at: &IdedExpr, call: &CallExpr) -> Part<'d> {
        let operands: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let mut parts: Vec<Part<'d>> = operands.iter().map(|operand| self.expression(operand)).collect();
        if parts.iter().any(|part| part.kind == Type::Any) && !self.faults.is_empty() {
            return Part::faulty();
        }
        let kinds: Vec<Type> = parts.iter().map(|part| part.kind.clone()).collect();
        let mut ops = parts.drain(..).map(|part| part.op);
        let mut one = || Box::new(ops.next().unwrap_or(Op::Truth(false)));
        let on = call.target.is_some();
        use Type::{List, Number, Text, Truth};
        match (call.func_name.as_str(), on, kinds.as_slice()) {
            (operators::LOGICAL_NOT, _, [Truth]) => Part::truth(Op::Not(one())),
            (operators::CONDITIONAL, _, [Truth, a, b]) if a.fits(b) => {
                Part::new(Op::If(Box::new([*one(), *one(), *one()])), a.clone().or(b.clone()))
            }
            (operators::NEGATE, _, [Number]) => Part::new(Op::Negate(one()), Number),
            (operators::ADD, _, [Text, Text]) => Part::new(Op::Join(Box::new([*one(), *one()])), Text),
            (operators::ADD, _, [a @ List(_), b @ List(_)]) if a.fits(b) => {
                Part::new(Op::Join(Box::new([*one(), *one()])), a.clone().or(b.clone()))
            }
            (name, _, [Number, Number]) if arithmetic(name).is_some() => {
                let ops = Box::new([*one(), *one()]);
                Part::new(arithmetic(name).map_or(Op::Number(0), |what| Op::Compute(what, ops)), Number)
            }
            (operators::INDEX, _, [List(item), Number]) => {
                Part::new(Op::Index(Box::new([*one(), *one()])), (**item).clone())
            }
            ("startsWith", true, [Text, Text]) => Part::truth(Op::StartsWith(Box::new([*one(), *one()]))),
            ("endsWith", true, [Text, Text]) => Part::truth(Op::EndsWith(Box::new([*one(), *one()]))),
            ("contains", true, [Text, Text]) => Part::truth(Op::Contains(Box::new([*one(), *one()]))),
            ("size", _, [Text | List(_)]) => Part::new(Op::Size(one()), Number),
            ("string", false, [Text | Number | Truth]) => Part::new(Op::ToText(one()), Text),
            ("int", false, [Text | Number]) => Part::new(Op::ToNumber(one()), Number),
            ("lowerAscii", true, [Text]) => Part::new(Op::Lower(one()), Text),
            ("upperAscii", true, [Text]) => Part::new(Op::Upper(one()), Text),
            ("trim", true, [Text]) => Part::new(Op::Trim(one()), Text),
            ("replace", true, [Text, Text, Text]) => {
                Part::new(Op::Replace(Box::new([*one(), *one(), *one()])), Text)
            }
            ("split", true, [Text, Text]) => {
                Part::new(Op::Split(Box::new([*one(), *one()])), List(Box::new(Text)))
            }
            ("substring", true, [Text, Number]) => {
                Part::new(Op::Substring(Box::new([*one(), *one()]), None), Text)
            }
            ("substring", true, [Text, Number, Number]) => {
                let (of, start) = (*one(), *one());
                Part::new(Op::Substring(Box::new([of, start]), Some(one())), Text)
            }
            ("indexOf", true, [Text, Text]) => Part::new(Op::IndexOf(Box::new([*one(), *one()])), Number),
            (name, _, kinds) => {
                drop(ops);
                self.misfit(at, call, name, kinds, &operands)
            }
        }
    }

    /// Nothing of this name goes with operands of these kinds: says which of them is at fault, if one is.
    fn misfit(
        &mut self,
        at: &IdedExpr,
        call: &CallExpr,
        name: &str,
        kinds: &[Type],
        operands: &[&IdedExpr],
    ) -> Part<'d> {
        let wanted: &[Type] = match name {
            operators::LOGICAL_NOT => &[Type::Truth],
            operators::CONDITIONAL => &[Type::Truth, Type::Any, Type::Any],
            "startsWith" | "endsWith" | "contains" | "indexOf" | "split" => &[Type::Text, Type::Text],
            "lowerAscii" | "upperAscii" | "trim" => &[Type::Text],
            "replace" => &[Type::Text, Type::Text, Type::Text],
            _ => &[],
        };
        if wanted.len() == kinds.len() {
            let misfit = kinds.iter().zip(wanted).position(|(kind, wanted)| !kind.fits(wanted));
            if let Some(misfit) = misfit {
                let what = format!("this is {}", kinds[misfit]);
                return self.fault(operands[misfit], what, wanted[misfit].to_string());
            }
        }
        match (name, kinds) {
            (operators::CONDITIONAL, [_, a, b]) => {
                self.fault(at, format!("this is either {a} or {b}"), "two values of one kind")
            }
            (_, [a, b]) if arithmetic(name).is_some() => {
                let what = format!("{a} {} {b} can't be computed", spelling(name));
                self.fault(at, what, "two numbers, or + of two texts")
            }
            ("size" | "string" | "int" | "substring" | operators::NEGATE | operators::INDEX, [a, ..]) => {
                let what = format!("{} doesn't go with {a}", spelling(name));
                let hint =
                    "size(text or list), string(number), int(text), list[number], text.substring(from, to)";
                self.fault(at, what, hint)
            }
            _ => self.unknown(at, call),
        }
    }

    fn unknown(&mut self, at: &IdedExpr, call: &CallExpr) -> Part<'d> {
        let what = format!("there is no {} here", spelling(&call.func_name));
        self.fault(at, what, FUNCTIONS)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Ordered(Order),
}

fn order(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::Unequal,
        operators::LESS => Comparison::Ordered(Order::Less),
        operators::LESS_EQUALS => Comparison::Ordered(Order::LessOrEqual),
        operators::GREATER => Comparison::Ordered(Order::Greater),
        operators::GREATER_EQUALS => Comparison::Ordered(Order::GreaterOrEqual),
        _ => return None,
    })
}

fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Remainder,
        _ => return None,
    })
}
