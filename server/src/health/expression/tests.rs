//! What load expressions come to, and what is said of wrong ones.

use std::time::Duration;

use forewarn_proto::gauge::Limits;
use proptest::prelude::*;

use super::*;
use crate::config::{Check, Role};

fn limits() -> HealthLimits {
    HealthLimits {
        workers_busy: Some(0.95),
        in_flight: Some(0.95),
        queue_delay: Some(Duration::from_millis(100)),
        latency: None,
        memory: Some(0.5),
        cpu: Some(0.8),
        processes: None,
        network: true,
        receive_drops: Some(100),
        cpu_pressure: None,
        memory_pressure: None,
        io_pressure: None,
    }
}

fn service(name: &str) -> Service {
    Service {
        name: name.into(),
        role: Role::Dependent { weight: 0.5 },
        check: Check::Process { name: "none".into() },
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        fall: 1,
        rise: 1,
        hold_down: Duration::from_secs(1),
        restart: None,
    }
}

fn reading() -> Reading {
    Reading {
        memory: Some(0.25),
        cpu: Some(0.6),
        in_flight: Some(Busy { busy: 300, max: 1_000 }),
        queue_delay: Some(Duration::from_millis(20)),
        ..Reading::default()
    }
}

/// What the text comes to at that reading; `syslog` has failed.
fn value(source: &str) -> Option<f64> {
    let services = [service("syslog"), service("directory")];
    let expression = LoadExpression::compile(source, &limits(), &services)
        .unwrap_or_else(|faults| panic!("{source}: {faults:?}"));
    let gauge = Limits { memory: Some(0.5), cpu: Some(0.8), ..Limits::default() };
    let load = gauge.load(&reading());
    expression.evaluate(&reading(), &load, &|name| name == "syslog")
}

/// What is wrong with it: each place, and the sentence with its hint.
fn wrong(source: &str) -> Vec<(usize, String)> {
    let services = [service("syslog"), service("directory")];
    let faults = LoadExpression::compile(source, &limits(), &services).expect_err("wrong");
    faults.into_iter().map(|fault| (fault.offset, format!("{}; {}", fault.what, fault.hint))).collect()
}

#[test]
fn readings_and_loads_are_what_was_measured() {
    for (source, expected) in [
        ("reading.memory", 0.25),
        ("load.memory", 0.5),
        ("reading.queue_delay", 0.02),
        ("load.queue_delay", 0.2),
        ("reading.in_flight / 1000", 0.3),
        ("load.default", 0.75),
        ("max(load.memory, 2 * load.queue_delay, 0.1)", 0.5),
        ("min(load.memory, 2 * load.queue_delay)", 0.4),
        ("1 - load.cpu + -0.25", 0.0),
        ("load.cpu > 0.7 && !(load.memory >= 1) ? 0.9 : 0.1", 0.9),
        ("load.cpu < 0.7 || reading.cpu == 0.6 ? 1 : 0", 1.0),
        ("service[\"syslog\"].failed ? 0.8 : load.default", 0.8),
        ("service[\"directory\"].failed ? 0.8 : 0.2", 0.2),
        ("(true ? reading.cpu > 0 : false) ? 3 : 4", 3.0),
        ("reading.processes + reading.io_pressure", 0.0),
    ] {
        let value = value(source).expect("a number");
        assert!((value - expected).abs() < 1e-9, "{source} is {value}, not {expected}");
    }
}

#[test]
fn what_is_no_number_is_none() {
    for source in ["1 / 0", "load.memory / reading.processes", "0 / 0", "max(0 / 0, 1)", "min(1, 0 / 0)"] {
        assert_eq!(value(source), None, "{source}");
    }
    assert_eq!(value("reading.processes == 0 ? 0.5 : 1 / reading.processes"), Some(0.5));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_there_is() {
    for (source, offset, told) in [
        ("load.cpuu", 0, "there is no load.cpuu; did you mean load.cpu?"),
        ("1 + reading.load", 4, "reading has workers_busy, listeners_busy, in_flight"),
        ("cpu * 2", 0, "there is no \"cpu\"; reading.*, load.* or service"),
        (
            "load.latency",
            0,
            "load.latency has no limit: `latency` of [health.limits] is off; give it one, or",
        ),
        (
            "service[\"syslok\"].failed ? 1 : 0",
            0,
            "there is no [[service]] \"syslok\"; did you mean \"syslog\"?",
        ),
        ("service[\"syslog\"].running ? 1 : 0", 0, "a service has no \"running\""),
        ("service[\"syslog\"]", 0, "a service is no number"),
        ("load.cpu > 0.5", 0, "this is a truth value, not a number; choose numbers by it"),
        ("load.cpu ? 1 : 0", 0, "this is a number, not a truth value; compare it"),
        ("true ? 1 : false", 0, "this is either a number or a truth value"),
        ("\"0.5\"", 0, "texts and octets are nothing to compute with"),
        ("median(1, 2)", 0, "there is no median here; max, min, +"),
        ("[1, 2]", 0, "lists, maps and loops aren't known here"),
        ("load.cpu % 2", 9, "there is no % here"),
        ("load.cpu +", 10, "not a CEL expression"),
    ] {
        let found = wrong(source);
        assert!(found.len() == 1 && found[0].1.contains(told), "{source}: {found:?}");
        if source.contains("load.cpu +") {
            continue;
        }
        assert!(found[0].0 >= offset && found[0].0 <= source.len(), "{source}: {found:?}");
    }
    assert_eq!(wrong("load.a + load.b").len(), 2, "all of it at once");
    assert!(wrong("load.cpu +")[0].1.contains("max(load.default"), "{:?}", wrong("load.cpu +"));
    assert!(wrong(&vec!["1"; 50].join(" + "))[0].1.contains("more than 40 deep"));
    assert!(wrong(&vec!["1"; 2_000].join("+"))[0].1.contains("more than 40 deep"));
}

proptest! {
    /// The interpreter of the parser's own crate comes to the same, when it is given decimal numbers throughout.
    #[test]
    fn the_interpreter_comes_to_the_same((source, plain) in number()) {
        let mut context = cel::Context::default();
        let load = std::collections::HashMap::from([("cpu".to_owned(), 0.75), ("memory".to_owned(), 0.5)]);
        context.add_variable_from_value("load", cel::Value::from(load));
        let program = cel::Program::compile(&plain).expect("what was made is CEL");
        let told = match program.execute(&context) {
            Ok(cel::Value::Float(told)) => told,
            other => return Err(TestCaseError::fail(format!("{plain}: {other:?}"))),
        };
        let ours = value(&source);
        prop_assert!(
            ours.is_some_and(|ours| (ours - told).abs() <= 1e-9 * told.abs().max(1.0)),
            "{source}: {ours:?}, not {told}"
        );
    }
}

/// An expression that gives a number, and the same without `max` and `min`, which aren't in CEL's own library. What
/// divides is never 0, since the two differ in what becomes of that; and values that are nearly equal aren't compared.
fn number() -> impl Strategy<Value = (String, String)> {
    let leaf = prop::sample::select(vec!["load.cpu", "load.memory", "0.25", "2.0", "-1.5"]);
    let leaf = leaf.prop_map(|text| (text.to_owned(), text.to_owned()));
    leaf.prop_recursive(4, 12, 2, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            (pair.clone(), prop::sample::select(vec!["+", "-", "*"]))
                .prop_map(|((a, b), op)| both(|of| format!("({} {op} {})", of(&a), of(&b)))),
            inner.prop_map(|a| both(|of| format!("({} / 4.0)", of(&a)))),
            pair.clone().prop_map(|((a, pa), (b, pb))| {
                (format!("max({a}, {b})"), format!("({pa} > {pb} ? {pa} : {pb})"))
            }),
            pair.clone().prop_map(|((a, pa), (b, pb))| {
                (format!("min({a}, {b})"), format!("({pa} < {pb} ? {pa} : {pb})"))
            }),
            (pair, prop::sample::select(vec!["<", ">=", "<=", ">"])).prop_map(|((a, b), op)| both(
                |of| format!("({} {op} 0.3 || false ? {} : {})", of(&a), of(&b), of(&a))
            )),
        ]
    })
}

fn both(make: impl Fn(fn(&(String, String)) -> &str) -> String) -> (String, String) {
    (make(|pair| &pair.0), make(|pair| &pair.1))
}
