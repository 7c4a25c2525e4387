//! `[health] load = '<CEL>'`: the operator's own function of a reading.
//!
//! The parser is the one of policies; types and names are checked when the configuration is loaded. Each number is a
//! decimal one, those that are written without a point too: a reading is made of shares, seconds and counts, and CEL
//! would refuse `reading.in_flight / 1000`.

mod compile;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use forewarn_proto::gauge::{Busy, Load, Parameter, Pressure, Reading};

use crate::config::{HealthLimits, Service};
use crate::policy::Fault;

/// A load expression, parsed and checked: it gives a number.
#[derive(Debug, Clone)]
pub struct LoadExpression {
    source: Arc<str>,
    op: Arc<Number>,
}

/// The same text is the same expression.
impl PartialEq for LoadExpression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl LoadExpression {
    /// Parses and checks. It may ask for the loads of parameters that have a limit, and for these services.
    ///
    /// # Errors
    /// All that is wrong, with its place in the text.
    pub fn compile(
        source: &str,
        limits: &HealthLimits,
        services: &[Service],
    ) -> Result<LoadExpression, Vec<Fault>> {
        let op = compile::compile(source, limits, services)?;
        Ok(LoadExpression { source: source.into(), op: Arc::new(op) })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it comes to; none when that is no finite number. `load` is what the default function made of `reading`.
    /// `has_failed` knows the services by name.
    pub fn evaluate(&self, reading: &Reading, load: &Load, has_failed: &dyn Fn(&str) -> bool) -> Option<f64> {
        let facts = Facts { reading, load, has_failed };
        Some(self.op.value(&facts)).filter(|value| value.is_finite())
    }
}

/// What an expression can see.
struct Facts<'r> {
    reading: &'r Reading,
    load: &'r Load,
    has_failed: &'r dyn Fn(&str) -> bool,
}

/// An operation that gives a number.
#[derive(Debug)]
enum Number {
    Literal(f64),
    Reading(Raw),
    /// A parameter as a multiple of its limit.
    Part(Parameter),
    /// What the default function makes of the reading.
    Default,
    Negate(Box<Number>),
    Compute(Arithmetic, Box<[Number; 2]>),
    Least(Vec<Number>),
    Greatest(Vec<Number>),
    If(Box<Truth>, Box<[Number; 2]>),
}

/// An operation that gives a truth value.
#[derive(Debug)]
enum Truth {
    Literal(bool),
    Failed(Arc<str>),
    Not(Box<Truth>),
    And(Box<[Truth; 2]>),
    Or(Box<[Truth; 2]>),
    Compare(Comparison, Box<[Number; 2]>),
    If(Box<[Truth; 3]>),
}

#[derive(Debug, Clone, Copy)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A figure of a reading: its name behind `reading.`, and how it is found. One that wasn't measured is 0, as it doesn't
/// count for the default function either.
#[derive(Debug, Clone, Copy)]
struct Raw(fn(&Reading) -> Option<f64>);

const READINGS: [(&str, Raw); 16] = [
    ("workers_busy", Raw(|reading| reading.workers.map(Busy::share))),
    ("listeners_busy", Raw(|reading| reading.listeners)),
    ("in_flight", Raw(|reading| reading.in_flight.map(|requests| f64::from(requests.busy)))),
    ("queue_delay", Raw(|reading| reading.queue_delay.map(|delay| delay.as_secs_f64()))),
    ("latency", Raw(|reading| reading.latency.map(|latency| latency.as_secs_f64()))),
    ("memory", Raw(|reading| reading.memory)),
    ("cpu", Raw(|reading| reading.cpu)),
    ("processes", Raw(|reading| reading.processes.map(f64::from))),
    ("receive_drops", Raw(|reading| reading.network.map(|network| network.receive_drops))),
    ("cpu_pressure", Raw(|reading| pressure(reading, |pressure| pressure.cpu))),
    ("memory_pressure", Raw(|reading| pressure(reading, |pressure| pressure.memory))),
    ("io_pressure", Raw(|reading| pressure(reading, |pressure| pressure.io))),
    ("links_down", Raw(|reading| reading.network.map(|network| f64::from(network.links_down)))),
    ("gateway_lost", Raw(|reading| reading.network.map(|network| f64::from(u8::from(network.gateway_lost))))),
    ("mandatory_failed", Raw(|reading| Some(f64::from(reading.mandatory_failed)))),
    ("dependent_failed", Raw(|reading| Some(reading.dependent_failed))),
];

fn pressure(reading: &Reading, of: fn(&Pressure) -> f64) -> Option<f64> {
    reading.pressure.as_ref().map(of)
}

/// What stands behind `load.`, beside `default`.
const LOADS: [(&str, Parameter); 15] = [
    ("workers_busy", Parameter::Workers),
    ("listeners_busy", Parameter::Listeners),
    ("in_flight", Parameter::InFlight),
    ("queue_delay", Parameter::QueueDelay),
    ("latency", Parameter::Latency),
    ("memory", Parameter::Memory),
    ("cpu", Parameter::Cpu),
    ("processes", Parameter::Processes),
    ("receive_drops", Parameter::ReceiveDrops),
    ("cpu_pressure", Parameter::CpuPressure),
    ("memory_pressure", Parameter::MemoryPressure),
    ("io_pressure", Parameter::IoPressure),
    ("network", Parameter::Network),
    ("mandatory_services", Parameter::MandatoryService),
    ("dependent_services", Parameter::DependentServices),
];

impl Number {
    fn value(&self, facts: &Facts<'_>) -> f64 {
        let values = |numbers: &[Number; 2]| (numbers[0].value(facts), numbers[1].value(facts));
        match self {
            Number::Literal(value) => *value,
            Number::Reading(Raw(of)) => of(facts.reading).unwrap_or(0.0),
            Number::Part(parameter) => facts.load.part(*parameter).unwrap_or(0.0),
            Number::Default => facts.load.value(),
            Number::Negate(number) => -number.value(facts),
            Number::Compute(arithmetic, numbers) => {
                let (a, b) = values(numbers);
                match arithmetic {
                    Arithmetic::Add => a + b,
                    Arithmetic::Subtract => a - b,
                    Arithmetic::Multiply => a * b,
                    Arithmetic::Divide => a / b,
                }
            }
            Number::Least(numbers) => choose(numbers.iter().map(|number| number.value(facts)), |a, b| b < a),
            Number::Greatest(numbers) => {
                choose(numbers.iter().map(|number| number.value(facts)), |a, b| b > a)
            }
            Number::If(truth, numbers) => numbers[usize::from(!truth.holds(facts))].value(facts),
        }
    }
}

/// The best of them, or the first that isn't a number: it mustn't be lost.
fn choose(values: impl Iterator<Item = f64>, is_better: impl Fn(f64, f64) -> bool) -> f64 {
    let better = |a: f64, b: f64| if !a.is_nan() && (b.is_nan() || is_better(a, b)) { b } else { a };
    values.reduce(better).unwrap_or(f64::NAN)
}

impl Truth {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Truth::Literal(truth) => *truth,
            Truth::Failed(name) => (facts.has_failed)(name),
            Truth::Not(truth) => !truth.holds(facts),
            Truth::And(truths) => truths.iter().all(|truth| truth.holds(facts)),
            Truth::Or(truths) => truths.iter().any(|truth| truth.holds(facts)),
            Truth::Compare(comparison, numbers) => {
                let (a, b) = (numbers[0].value(facts), numbers[1].value(facts));
                match comparison {
                    Comparison::Equal => a == b,
                    Comparison::Unequal => a != b,
                    Comparison::Less => a < b,
                    Comparison::LessOrEqual => a <= b,
                    Comparison::Greater => a > b,
                    Comparison::GreaterOrEqual => a >= b,
                }
            }
            Truth::If(truths) => {
                let [condition, then, otherwise] = &**truths;
                if condition.holds(facts) { then.holds(facts) } else { otherwise.holds(facts) }
            }
        }
    }
}
