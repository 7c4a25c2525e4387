//! Operations come to what CEL's interpreter comes to, whatever the condition is.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, Program, Value};
use proptest::prelude::*;

use super::*;

/// Attributes of the request that are there, so that looking at them is no error to the interpreter.
const TEXTS: [&str; 11] = [
    "client.name",
    "client.group",
    "client.address",
    "user.name",
    "user.realm",
    "user.groups[0]",
    "request.calling_station_id",
    r#"request["Called-Station-Id"]"#,
    r#"request["NAS-IP-Address"]"#,
    "time.clock",
    "time.utc.date",
];
const NUMBERS: [&str; 5] =
    ["session.count", r#"request["NAS-Port-Type"]"#, "time.hour", "time.utc.minute", "time.now"];
const LISTS: [&str; 3] = ["user.groups", r#"request.all["Cisco-AVPair"]"#, r#"["a", "corp", "staff"]"#];

/// The same facts as maps, as anybody would hand them to CEL.
static WORLD: LazyLock<Context<'static, 'static>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    cel::extensions::strings(&mut env).unwrap();
    let mut context = Context::with_env(Arc::new(env));
    let text = |text: &str| Value::from(text.to_owned());
    let map = |entries: Vec<(&str, Value)>| -> HashMap<String, Value> {
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let client = [("name", text("ap-17")), ("group", text("wifi/branch-3")), ("address", text("127.0.0.21"))];
    let user = [
        ("name", text("alice@example.org")),
        ("realm", text("example.org")),
        ("groups", Value::from(vec![text("staff"), text("admin")])),
    ];
    let pairs = Value::from(vec![text("ssid=corp"), text("vlan=7")]);
    let request = [
        ("calling_station_id", text("AA-BB-CC-DD-EE-FF")),
        ("Called-Station-Id", text("00-11-22-33-44-55:corp")),
        ("NAS-IP-Address", text("192.0.2.1")),
        ("NAS-Port-Type", Value::from(19_i64)),
        ("all", Value::from(map(vec![("Cisco-AVPair", pairs)]))),
    ];
    let utc = map(vec![("date", text("2026-03-09")), ("minute", Value::from(30_i64))]);
    let time = [
        ("hour", Value::from(0_i64)),
        ("clock", text("00:30")),
        ("now", Value::from(1_773_095_415_i64)),
        ("utc", Value::from(utc)),
    ];
    context.add_variable_from_value("client", map(client.to_vec()));
    context.add_variable_from_value("user", map(user.to_vec()));
    context.add_variable_from_value("request", map(request.to_vec()));
    context.add_variable_from_value("time", map(time.to_vec()));
    context.add_variable_from_value("session", map(vec![("count", Value::from(2_i64))]));
    context
});

fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(names).prop_map(str::to_owned)
}

/// Two of these around an operator.
fn around(
    operand: &BoxedStrategy<String>,
    operators: &'static [&'static str],
) -> impl Strategy<Value = String> + use<> {
    (operand.clone(), one_of(operators), operand.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})"))
}

fn literal() -> impl Strategy<Value = String> {
    one_of(&["\"\"", "\"a\"", "\"corp\"", "\"staff\"", "\"AA\"", "\"-\"", "\"é\"", "\"192.0.\"", "\"7\""])
}

fn text(depth: u32, item: bool) -> BoxedStrategy<String> {
    let leaf = prop_oneof![4 => one_of(&TEXTS), 3 => literal()];
    let leaf = if item { prop_oneof![3 => leaf, 2 => Just("x".to_owned())].boxed() } else { leaf.boxed() };
    if depth == 0 {
        return leaf;
    }
    let (inner, number) = (text(depth - 1, item), number(depth - 1, item));
    prop_oneof![
        3 => leaf,
        1 => around(&inner, &["+"]),
        1 => number.clone().prop_map(|number| format!("string({number})")),
        1 => (inner.clone(), one_of(&["lowerAscii()", "upperAscii()", "trim()"]))
            .prop_map(|(text, what)| format!("{text}.{what}")),
        1 => (inner.clone(), number).prop_map(|(text, from)| format!("{text}.substring({from})")),
        1 => (inner.clone(), literal(), literal()).prop_map(|(text, a, b)| format!("{text}.replace({a}, {b})")),
        1 => (truth(depth - 1, item), inner.clone(), inner)
            .prop_map(|(condition, a, b)| format!("({condition} ? {a} : {b})")),
    ]
    .boxed()
}

fn number(depth: u32, item: bool) -> BoxedStrategy<String> {
    let numbers = &["0", "1", "2", "7", "19", "-1", "9223372036854775807"];
    let leaf = prop_oneof![3 => one_of(&NUMBERS), 2 => one_of(numbers)].boxed();
    if depth == 0 {
        return leaf;
    }
    let (inner, text) = (number(depth - 1, item), text(depth - 1, item));
    prop_oneof![
        4 => leaf,
        2 => around(&inner, &["+", "-", "*", "/", "%"]),
        1 => text.clone().prop_map(|text| format!("size({text})")),
        1 => (text.clone(), literal()).prop_map(|(text, what)| format!("{text}.indexOf({what})")),
        1 => text.prop_map(|text| format!("int({text})")),
        1 => list(item).prop_map(|list| format!("{list}.size()")),
        1 => inner.prop_map(|number| format!("-({number})")),
    ]
    .boxed()
}

fn list(item: bool) -> BoxedStrategy<String> {
    let made =
        proptest::collection::vec(text(0, item), 1..4).prop_map(|items| format!("[{}]", items.join(", ")));
    prop_oneof![3 => one_of(&LISTS), 1 => made, 1 => one_of(&["user.name.split(\"@\")"])].boxed()
}

fn truth(depth: u32, item: bool) -> BoxedStrategy<String> {
    let leaf = one_of(&["true", "false", "(\"NAS-Port-Type\" in request)", "(\"NAS-Port\" in request)"]);
    if depth == 0 {
        return leaf.boxed();
    }
    let (inner, text, number) = (truth(depth - 1, item), text(depth - 1, item), number(depth - 1, item));
    let plain = prop_oneof![
        1 => leaf,
        3 => around(&inner, &["&&", "||", "==", "!="]),
        1 => inner.clone().prop_map(|truth| format!("!({truth})")),
        3 => around(&text, &["==", "!=", "<", "<=", ">", ">="]),
        3 => around(&number, &["==", "!=", "<", "<=", ">", ">="]),
        2 => (text.clone(), one_of(&["startsWith", "endsWith", "contains"]), text.clone())
            .prop_map(|(a, what, b)| format!("{a}.{what}({b})")),
        1 => (text.clone(), one_of(&["\"^[a-z]+$\"", "\"[0-9]{2}\"", "\"é|-\"", "\"\""]))
            .prop_map(|(text, pattern)| format!("{text}.matches({pattern})")),
        2 => (text, list(item)).prop_map(|(text, list)| format!("({text} in {list})")),
        1 => (number.clone(), number).prop_map(|(a, b)| format!("({a} in [{b}, 2])")),
        1 => (list(item), list(item)).prop_map(|(a, b)| format!("({a} == {b})")),
    ];
    if item {
        return plain.boxed();
    }
    let loops = (list(false), one_of(&["exists", "all", "exists_one"]), truth(depth - 1, true));
    let made = (list(false), one_of(&["filter(x, "]), truth(depth - 1, true));
    let mapped = (list(false), self::text(depth - 1, true), list(false));
    prop_oneof![
        6 => plain,
        1 => loops.prop_map(|(list, what, truth)| format!("{list}.{what}(x, {truth})")),
        1 => made.prop_map(|(list, what, truth)| format!("({list}.{what}{truth}).size() > 1)")),
        1 => mapped.prop_map(|(list, text, other)| format!("({list}.map(x, {text}) == {other})")),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn operations_come_to_what_the_interpreter_comes_to(source in truth(3, false)) {
        let ours = match compile(&source) {
            Ok(condition) => with_facts(&ask(), &["staff", "admin"], "wifi/branch-3", |facts| condition.holds(facts)),
            Err(faults) => {
                // Bounds that the interpreter hasn't.
                let bound = faults.iter().all(|fault| fault.what.contains("deep") || fault.what.contains("longer"));
                prop_assert!(bound, "{source}: {faults:?}");
                return Ok(());
            }
        };
        let theirs = Program::compile(&source).unwrap().execute(&WORLD);
        let theirs = theirs.ok().map(|value| value == Value::from(true)).ok_or(EvaluationError);
        prop_assert_eq!(ours, theirs, "{}", source);
    }
}
