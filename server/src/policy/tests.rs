use std::net::Ipv4Addr;
use std::sync::Arc;

use super::*;
use crate::config::{Expression, ReplyAttribute};

/// The condition of SPEC 1's example.
const EXAMPLE: &str = r#"client.group.startsWith("wifi/") && "staff" in user.groups"#;

fn facts<'a>(groups: &'a Groups, client_group: &'a str) -> Facts<'a> {
    Facts {
        client_name: "ap-17",
        client_group,
        client_address: Ipv4Addr::new(127, 0, 0, 21).into(),
        user_name: "alice",
        user_groups: groups,
        request: RequestFacts {
            method: "pap",
            user_name: b"alice",
            called_station_id: b"00-11-22-33-44-55:corp",
            nas_ip_address: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
            nas_port_type: Some(19),
            ..RequestFacts::default()
        },
    }
}

fn holds(source: &str) -> Result<bool, EvaluationError> {
    let groups = Groups::new(["staff", "admin"]);
    let condition = Condition::compile(source).unwrap_or_else(|faults| panic!("{source}: {faults:?}"));
    condition.holds(&root(), &facts(&groups, "wifi/branch-3"))
}

#[test]
fn the_example_of_the_specification_holds_for_staff_on_wifi_only() {
    let root = root();
    let condition = Condition::compile(EXAMPLE).unwrap();
    for (group, groups, expected) in [
        ("wifi/branch-3", &["staff"][..], true),
        ("wifi/branch-3", &["guests", "staff"], true),
        ("wifi/branch-3", &["guests"], false),
        ("wifi/branch-3", &[], false),
        ("wired/branch-3", &["staff"], false),
        ("", &["staff"], false),
    ] {
        let groups = Groups::new(groups.iter().copied());
        assert_eq!(condition.holds(&root, &facts(&groups, group)), Ok(expected), "{group}");
    }
}

#[test]
fn every_fact_can_be_looked_at() {
    for (name, fact) in Fact::ALL {
        assert_eq!(holds(&format!("{name} == {name}")), Ok(true), "{name} {fact:?}");
    }
    for source in [
        r#"request.called_station_id.endsWith(":corp") && request.nas_port_type == 19"#,
        r#"client.address == "127.0.0.21" && request.nas_ip_address == "192.0.2.1""#,
        r#"request.nas_port == -1 && request.nas_identifier == """#,
        r#"user.name == request.user_name && request.method == "pap""#,
        r#"size(user.groups) == 2 && user.groups[1] == "admin""#,
        r#"user.groups.exists(group, group.startsWith("adm"))"#,
        r#"user.groups.all(group, group != "guests")"#,
        r#"user.name in ["alice", "bob"] ? true : false"#,
        r#"!(client.name.contains("x") || request.nas_port_type < 19)"#,
        r#"string(request.nas_port_type) + "!" == "19!""#,
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_an_error_not_a_no() {
    assert_eq!(holds(r#"user.groups[7] == "staff""#), Err(EvaluationError));
    assert_eq!(holds("1 / (request.nas_port + 1) == 0"), Err(EvaluationError));
}

#[test]
fn types_are_checked_at_load_with_their_place() {
    for (source, offset, what) in [
        ("client.group", 0, "not a truth value"),
        (r#"client.grup == "x""#, 0, "there is no client.grup"),
        (r#"nas.group == "x""#, 0, "there is no nas.group"),
        (r#""staff" in user.name"#, 8, "nothing can be in a text"),
        ("3 in user.groups", 2, "a number can't be in a list"),
        (r#"request.nas_port == "3""#, 17, "can't be compared"),
        (r#"user.groups == "staff""#, 12, "can't be compared"),
        (r#"user.groups < user.groups"#, 12, "can't be compared"),
        (r#"request.nas_port.startsWith("3")"#, 0, "this is a number"),
        (r#"user.name.startsWith(3)"#, 21, "this is a number"),
        (r#"user.name.matches("a.*")"#, 17, "there is no matches()"),
        ("user.name && true", 0, "this is a text"),
        (r#"user == "alice""#, 0, "nothing to compare with"),
        (r#"alice == user.name"#, 0, "nothing to compare with"),
        ("user.groups.exists(g, user.groups.exists(h, h == g))", 40, "a loop within a loop"),
        ("user.groups.filter(g, true).exists(h, true)", 34, "a loop over a loop"),
        ("has(user.name)", 4, "has() isn't available"),
        ("user.name + 1 == user.name", 10, "can't be computed"),
    ] {
        let faults = Condition::compile(source).expect_err(source);
        assert!(faults[0].what.contains(what), "{source}: {faults:?}");
        assert_eq!(faults[0].offset, offset, "{source}: {faults:?}");
    }
}

#[test]
fn several_faults_are_told_at_once() {
    let faults = Condition::compile("client.grup == user.nam && request.x == 1").unwrap_err();
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn what_does_not_parse_says_where() {
    let faults = Condition::compile(r#"user.name == "alice" &&"#).unwrap_err();
    assert!(faults[0].what.starts_with("not a CEL expression"), "{faults:?}");
    assert!(!Condition::compile("").unwrap_err().is_empty());
    let deep = format!("{}true{}", "(".repeat(500), ")".repeat(500));
    assert!(Condition::compile(&deep).unwrap_err()[0].what.contains("nests deeper"));
    assert!(Condition::compile(&format!("{}true{}", "(".repeat(24), ")".repeat(24))).is_ok());
    assert!(Condition::compile(&"true && ".repeat(600)).unwrap_err()[0].what.contains("longer"));
}

fn policy(when: Option<&str>, action: Option<PolicyAction>, reply: &[u8]) -> Policy {
    Policy {
        name: Arc::from("a policy"),
        when: when.map(|source| Expression { source: source.to_owned(), position: String::new() }),
        action,
        reason: None,
        reply: PolicyReply {
            attributes: reply.iter().map(|number| attribute(*number)).collect(),
            replaces: reply.iter().map(|number| (0, vec![u32::from(*number)])).collect(),
        },
    }
}

fn attribute(number: u8) -> ReplyAttribute {
    ReplyAttribute {
        name: Arc::from("an attribute"),
        vendor: 0,
        numbers: vec![u32::from(number)],
        value: crate::config::ReplyValue::Encoded(Box::new([number, 2])),
    }
}

fn evaluate(policies: &[Policy]) -> (Verdict, Vec<usize>) {
    let groups = Groups::new(["staff"]);
    let policies = Policies::compile(policies).unwrap();
    let mut matched = vec![99];
    let verdict = policies.evaluate(&root(), &facts(&groups, "wifi/branch-3"), &mut matched);
    (verdict, matched)
}

#[test]
fn policies_are_evaluated_in_order() {
    let staff = Some(EXAMPLE);
    assert_eq!(evaluate(&[]), (Verdict::Accept, vec![]));
    let both = [policy(staff, None, &[1]), policy(Some("false"), None, &[2]), policy(None, None, &[3])];
    assert_eq!(evaluate(&both), (Verdict::Accept, vec![0, 2]));
    let rejected = [policy(None, None, &[1]), policy(staff, Some(PolicyAction::Reject), &[])];
    assert_eq!(evaluate(&rejected), (Verdict::Reject(1), vec![0]));
    let accepted =
        [policy(staff, Some(PolicyAction::Accept), &[1]), policy(None, Some(PolicyAction::Reject), &[])];
    assert_eq!(evaluate(&accepted), (Verdict::Accept, vec![0]));
    let second = [policy(None, Some(PolicyAction::SecondFactor), &[1]), policy(None, None, &[2])];
    assert_eq!(evaluate(&second), (Verdict::SecondFactor(0), vec![0, 1]));
    let second_and_no =
        [policy(None, Some(PolicyAction::SecondFactor), &[]), policy(None, Some(PolicyAction::Reject), &[])];
    assert_eq!(evaluate(&second_and_no), (Verdict::Reject(1), vec![]));
    let failed = [policy(Some("1 / (request.nas_port + 1) == 0"), None, &[])];
    assert_eq!(evaluate(&failed), (Verdict::Failed(0), vec![]));
}

#[test]
fn a_fault_names_its_policy() {
    let faults =
        Policies::compile(&[policy(None, None, &[]), policy(Some("client.x"), None, &[])]).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].0, 1);
}
