//! What is wrong with a condition is found at load, in its place.

use super::*;

#[test]
fn types_are_checked_at_load_with_their_place() {
    for (source, offset, what) in [
        ("client.group", 0, "not a truth value"),
        (r#"client.grup == "x""#, 0, "there is no client.grup"),
        (r#"nas.group == "x""#, 0, "there is no nas.group"),
        (r#""staff" in user.name"#, 8, "nothing can be in a text"),
        ("3 in user.groups", 2, "a number can't be in a list"),
        (r#"request.nas_port.startsWith("3")"#, 0, "this is a number"),
        (r#"session.count == "3""#, 14, "can't be compared"),
        (r#"user.groups == "staff""#, 12, "can't be compared"),
        (r#"user.groups < user.groups"#, 12, "can't be compared"),
        (r#"user.name.startsWith(3)"#, 21, "this is a number"),
        ("user.name && true", 0, "this is a text"),
        (r#"user == "alice""#, 0, "nothing to compare with"),
        (r#"alice == user.name"#, 0, "nothing to compare with"),
        ("user.groups.exists(g, user.groups.exists(h, h == g))", 40, "a loop within a loop"),
        ("user.groups.filter(g, true).exists(h, true)", 34, "a loop over a loop"),
        ("has(user.groups)", 4, "is always there"),
        ("user.name + 1 == user.name", 10, "can't be computed"),
        ("user.name == 1.5", 13, "decimal numbers aren't known"),
        (r#"user.name in ["a", 1]"#, 19, "a number in a list of which the others are a text"),
        (r#"(true ? 1 : "a") == 1"#, 6, "either a number or a text"),
        (r#"request["Nas-Prot"] == 1"#, 8, "there is no attribute \"Nas-Prot\""),
        (r#""Framed-Adress" in request"#, 0, "there is no attribute"),
        (r#"request["User-Password"] == "x""#, 8, "is hidden on its way"),
        (r#"request["Vendor-Specific"] == "x""#, 8, "holds other attributes"),
        (r#"request["Cleartext-Password"] == "x""#, 8, "is never in a packet"),
        (r#"request["NAS-Port:1"] == 1"#, 8, "has no tags"),
        (r#"request[user.name] == "x""#, 8, "not the name of an attribute"),
        (r#"request["NAS-Port-Type"] == "Wirless-802.11""#, 28, "has no value"),
        (r#"request.nas_port_type in [19, "Ethernot"]"#, 30, "has no value"),
        (r#"time.weekday == "Sunday""#, 16, "this is never \"Sunday\""),
        (r#"request.method == "mschap2""#, 18, "this is never"),
        (r#"user.source in ["ldab"]"#, 16, "this is never"),
        (r#"user.name.matches("a(b")"#, 18, "not a regular expression"),
        (r#"user.name.matches("(a{1000}){1000}")"#, 18, "too big"),
        ("user.name.matches(user.name)", 18, "this is no pattern"),
        ("user.name.reverse() == user.name", 17, "there is no reverse()"),
        ("has(request)", 4, "has() takes the name of a fact"),
    ] {
        let faults = compile(source).expect_err(source);
        assert!(faults[0].what.contains(what), "{source}: {faults:?}");
        assert_eq!(faults[0].offset, offset, "{source}: {faults:?}");
        assert_eq!(faults.len(), 1, "{source}: {faults:?}");
        assert!(!faults[0].hint.is_empty(), "{source}");
    }
}

#[test]
fn a_slip_of_the_pen_gets_what_was_meant() {
    for (source, meant) in [
        (r#"client.grup == "x""#, "client.group"),
        (r#"time.utc.huor == 3"#, "time.utc.hour"),
        (r#"request["Calling-Staton-Id"] == "x""#, "Calling-Station-Id"),
        (r#"request["NAS-Port-Type"] == "Wirless-802.11""#, "Wireless-802.11"),
        (r#"time.weekday == "Sunday""#, "sunday"),
        (r#"request.method == "mschav2""#, "mschapv2"),
    ] {
        let faults = compile(source).expect_err(source);
        assert!(faults[0].hint.contains(meant), "{source}: {faults:?}");
    }
}

#[test]
fn several_faults_are_told_at_once() {
    let faults = compile("client.grup == user.nam && request.x == 1").unwrap_err();
    assert_eq!(faults.len(), 3, "{faults:?}");
    let both = Condition::compile(&["client.grup", "true", "user.nam"], Dictionary::embedded());
    assert_eq!(both.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn what_does_not_parse_says_where() {
    let faults = compile(r#"user.name == "alice" &&"#).unwrap_err();
    assert!(faults[0].what.starts_with("not a CEL expression"), "{faults:?}");
    assert!(!compile("").unwrap_err().is_empty());
    let deep = format!("{}true{}", "(".repeat(500), ")".repeat(500));
    assert!(compile(&deep).unwrap_err()[0].what.contains("nests deeper"));
    assert!(compile(&format!("{}true{}", "(".repeat(24), ")".repeat(24))).is_ok());
    assert!(compile(&"true && ".repeat(600)).unwrap_err()[0].what.contains("longer"));
    // A row of && is as good as one; a row of + is as deep as it is long.
    assert!(compile(&format!("{}true", "true && ".repeat(400))).is_ok());
    let long = format!("{}1 == 1", "1 + ".repeat(400));
    assert!(compile(&long).unwrap_err()[0].what.contains("deep"));
}
