//! From the text of a load expression to operations, checking at load what would fail at each reading.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, SourceInfo, operators};
use forewarn_proto::gauge::Parameter;
use forewarn_shell::config::nearest;

use super::{Arithmetic, Comparison, LOADS, Number, READINGS, Truth};
use crate::config::{HealthLimits, Service};
use crate::policy::{Fault, parse};

/// For whoever wrote something that can't be read.
const EXAMPLE: &str = "something like 'max(load.default, reading.in_flight / 10000)'";
/// What there is, for who calls something else.
const FUNCTIONS: &str = "max, min, +, -, *, /, ==, !=, <, <=, >, >=, &&, ||, !, ? :";
/// How deep operations may lie below each other: evaluating them is recursive.
const DEPTH_MAX: usize = 40;
/// The objects there are.
const OBJECTS: &str = "reading.*, load.* or service[\"NAME\"].failed";

pub(super) fn compile(
    source: &str,
    limits: &HealthLimits,
    services: &[Service],
) -> Result<Number, Vec<Fault>> {
    parse::with_room(|| check(source, limits, services)).unwrap_or_else(|| {
        let what = String::from("this machine has no thread to give for the parser");
        Err(vec![Fault { offset: 0, what, hint: "try again when it is less busy".into() }])
    })
}

fn check(source: &str, limits: &HealthLimits, services: &[Service]) -> Result<Number, Vec<Fault>> {
    let parsed = parse::parse(source);
    let (expression, info) = parsed.map_err(|faults| faults.iter().map(of_the_parser).collect::<Vec<_>>())?;
    let mut checker = Checker { source, info, limits, services, depth: 0, faults: Vec::new() };
    let number = checker.number(&expression);
    number.filter(|_| checker.faults.is_empty()).ok_or(checker.faults)
}

/// The parser speaks of policies.
fn of_the_parser(fault: &Fault) -> Fault {
    let what =
        fault.what.replace("the condition", "the expression").replace("this condition", "this expression");
    Fault { offset: fault.offset, what, hint: EXAMPLE.into() }
}

/// A part that was understood.
enum Part {
    Number(Number),
    Truth(Truth),
}

struct Checker<'c> {
    source: &'c str,
    info: SourceInfo,
    limits: &'c HealthLimits,
    services: &'c [Service],
    depth: usize,
    faults: Vec<Fault>,
}

/// `None` from any of these: it was complained about.
impl Checker<'_> {
    fn fault<T>(&mut self, at: &IdedExpr, what: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        let mut first = at;
        while let Expr::Select(select) = &first.expr {
            first = &select.operand;
        }
        let offset = self.info.offset_for(first.id).map_or(0, |(start, _)| start as usize);
        let offset = offset.min(self.source.len());
        self.faults.push(Fault { offset, what: what.into(), hint: hint.into() });
        None
    }

    fn number(&mut self, at: &IdedExpr) -> Option<Number> {
        match self.part(at)? {
            Part::Number(number) => Some(number),
            Part::Truth(_) => {
                self.fault(at, "this is a truth value, not a number", "choose numbers by it: ... ? 1 : 0")
            }
        }
    }

    fn truth(&mut self, at: &IdedExpr) -> Option<Truth> {
        match self.part(at)? {
            Part::Truth(truth) => Some(truth),
            Part::Number(_) => self.fault(
                at,
                "this is a number, not a truth value",
                "compare it with another: ==, <, >=, ...",
            ),
        }
    }

    fn part(&mut self, at: &IdedExpr) -> Option<Part> {
        if self.depth == DEPTH_MAX {
            let what = format!("the expression's parts lie more than {DEPTH_MAX} deep");
            return self.fault(at, what, "a shorter one; max(a, b, ...) takes any number");
        }
        self.depth += 1;
        let part = self.look_at(at);
        self.depth -= 1;
        part
    }

    fn look_at(&mut self, at: &IdedExpr) -> Option<Part> {
        match &at.expr {
            Expr::Literal(LiteralValue::Boolean(truth)) => Some(Part::Truth(Truth::Literal(*truth.inner()))),
            Expr::Literal(LiteralValue::Int(number)) => {
                Some(Part::Number(Number::Literal(*number.inner() as f64)))
            }
            Expr::Literal(LiteralValue::Double(number)) => {
                Some(Part::Number(Number::Literal(*number.inner())))
            }
            Expr::Literal(_) => self.fault(at, "texts and octets are nothing to compute with", EXAMPLE),
            Expr::Ident(name) => self.fault(at, format!("there is no \"{name}\""), OBJECTS),
            Expr::Select(select) => self.selection(at, select),
            Expr::Call(call) => self.call(at, call),
            _ => self.fault(at, "lists, maps and loops aren't known here", FUNCTIONS),
        }
    }

    fn selection(&mut self, at: &IdedExpr, select: &SelectExpr) -> Option<Part> {
        if let Some(name) = of_service(&select.operand) {
            return self.service(at, &select.operand, name, &select.field);
        }
        let Expr::Ident(object) = &select.operand.expr else {
            return self.fault(at, format!("there is no \".{}\" of that", select.field), OBJECTS);
        };
        let field = select.field.as_str();
        let named = match object.as_str() {
            "load" if field == "default" => Some(Number::Default),
            "load" => {
                let found = LOADS.iter().find(|(name, _)| *name == field);
                if let Some((name, _)) = found.filter(|(_, parameter)| self.is_off(*parameter)) {
                    let key = if *name == "listeners_busy" { "workers_busy" } else { name };
                    let what = format!("load.{name} has no limit: `{key}` of [health.limits] is off");
                    return self.fault(at, what, "give it one, or look at reading.*, which needs none");
                }
                found.map(|(_, parameter)| Number::Part(*parameter))
            }
            "reading" => {
                let found = READINGS.iter().find(|(name, _)| *name == field);
                found.map(|(_, raw)| Number::Reading(*raw))
            }
            _ => return self.fault(at, format!("there is no \"{object}\""), OBJECTS),
        };
        if let Some(number) = named.filter(|_| !select.test) {
            return Some(Part::Number(number));
        }
        let loads = || LOADS.iter().map(|(name, _)| *name).chain(["default"]);
        let known: Vec<&str> = if object == "load" {
            loads().collect()
        } else {
            READINGS.iter().map(|(name, _)| *name).collect()
        };
        let hint = match nearest(field, known.iter().copied()) {
            Some(meant) => format!("did you mean {object}.{meant}?"),
            None => format!("{object} has {}", known.join(", ")),
        };
        self.fault(at, format!("there is no {object}.{field}"), hint)
    }

    fn service(&mut self, at: &IdedExpr, service: &IdedExpr, name: &str, field: &str) -> Option<Part> {
        let Some(found) = self.services.iter().find(|service| &*service.name == name) else {
            let known = self.services.iter().map(|service| &*service.name);
            let hint = match nearest(name, known.clone()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None if self.services.is_empty() => "add a [[service]] of this name".to_owned(),
                None => format!("one of {}", known.collect::<Vec<_>>().join(", ")),
            };
            return self.fault(service, format!("there is no [[service]] {name:?}"), hint);
        };
        if field != "failed" {
            return self.fault(at, format!("a service has no \"{field}\""), "service[\"NAME\"].failed");
        }
        Some(Part::Truth(Truth::Failed(found.name.clone())))
    }

    fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> Option<Part> {
        let name = call.func_name.as_str();
        match (name, call.args.as_slice()) {
            (operators::LOGICAL_NOT, [one]) => Some(Part::Truth(Truth::Not(Box::new(self.truth(one)?)))),
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [a, b]) => {
                let (a, b) = (self.truth(a), self.truth(b));
                let pair = Box::new([a?, b?]);
                let is_and = name == operators::LOGICAL_AND;
                Some(Part::Truth(if is_and { Truth::And(pair) } else { Truth::Or(pair) }))
            }
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                let condition = self.truth(condition);
                match (self.part(then), self.part(otherwise)) {
                    (Some(Part::Number(then)), Some(Part::Number(otherwise))) => {
                        Some(Part::Number(Number::If(Box::new(condition?), Box::new([then, otherwise]))))
                    }
                    (Some(Part::Truth(then)), Some(Part::Truth(otherwise))) => {
                        Some(Part::Truth(Truth::If(Box::new([condition?, then, otherwise]))))
                    }
                    (Some(_), Some(_)) => {
                        self.fault(at, "this is either a number or a truth value", "two of one kind")
                    }
                    _ => None,
                }
            }
            (operators::NEGATE, [one]) => Some(Part::Number(Number::Negate(Box::new(self.number(one)?)))),
            (operators::INDEX, [_, _]) if of_service(at).is_some() => {
                self.fault(at, "a service is no number", "service[\"NAME\"].failed ? 1 : 0")
            }
            (_, [a, b]) if arithmetic(name).is_some() => {
                let (a, b) = (self.number(a), self.number(b));
                Some(Part::Number(Number::Compute(arithmetic(name)?, Box::new([a?, b?]))))
            }
            (_, [a, b]) if comparison(name).is_some() => {
                let (a, b) = (self.number(a), self.number(b));
                Some(Part::Truth(Truth::Compare(comparison(name)?, Box::new([a?, b?]))))
            }
            // CEL's own names for them are longer.
            ("max" | "min", [_, ..]) if call.target.is_none() => self.choice(name == "max", &call.args),
            ("greatest" | "least", [_, ..]) if is_math(call.target.as_deref()) => {
                self.choice(name == "greatest", &call.args)
            }
            _ => self.fault(at, format!("there is no {} here", name.replace('_', "")), FUNCTIONS),
        }
    }

    /// `max` or `min`.
    fn choice(&mut self, greatest: bool, of: &[IdedExpr]) -> Option<Part> {
        let numbers: Vec<Option<Number>> = of.iter().map(|one| self.number(one)).collect();
        let numbers = numbers.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Part::Number(if greatest { Number::Greatest(numbers) } else { Number::Least(numbers) }))
    }

    fn is_off(&self, parameter: Parameter) -> bool {
        let limits = self.limits;
        match parameter {
            Parameter::Workers | Parameter::Listeners => limits.workers_busy.is_none(),
            Parameter::InFlight => limits.in_flight.is_none(),
            Parameter::QueueDelay => limits.queue_delay.is_none(),
            Parameter::Latency => limits.latency.is_none(),
            Parameter::Memory => limits.memory.is_none(),
            Parameter::Cpu => limits.cpu.is_none(),
            Parameter::Processes => limits.processes.is_none(),
            Parameter::ReceiveDrops => limits.receive_drops.is_none(),
            Parameter::CpuPressure => limits.cpu_pressure.is_none(),
            Parameter::MemoryPressure => limits.memory_pressure.is_none(),
            Parameter::IoPressure => limits.io_pressure.is_none(),
            Parameter::Network => !limits.network,
            Parameter::MandatoryService | Parameter::DependentServices | Parameter::Expression => false,
        }
    }
}

fn is_math(target: Option<&IdedExpr>) -> bool {
    target.is_some_and(|target| target.expr == Expr::Ident("math".into()))
}

/// The name in `service["NAME"]`.
fn of_service(at: &IdedExpr) -> Option<&str> {
    let Expr::Call(call) = &at.expr else { return None };
    let (operators::INDEX, [object, name]) = (call.func_name.as_str(), call.args.as_slice()) else {
        return None;
    };
    let is_service = object.expr == Expr::Ident("service".into());
    match &name.expr {
        Expr::Literal(LiteralValue::String(text)) if is_service => Some(text.inner()),
        _ => None,
    }
}

fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        _ => return None,
    })
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::Unequal,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}
