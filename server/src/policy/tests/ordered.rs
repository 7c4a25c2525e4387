//! Policies one after the other, and what they leave of a reply.

use std::sync::Arc;

use super::*;
use crate::config::{Expression, ReplyAttribute, ReplyValue};

fn policy(when: Option<&str>, action: Option<PolicyAction>, set: &[u8]) -> Policy {
    Policy {
        name: Arc::from("a policy"),
        when: when
            .map(|source| Expression { source: source.to_owned(), condition: compile(source).unwrap() }),
        action,
        route: None,
        reason: None,
        reply: PolicyReply {
            attributes: set.iter().map(|number| attribute(*number)).collect(),
            replaces: set.iter().map(|number| (0, vec![u32::from(*number)])).collect(),
        },
    }
}

fn attribute(number: u8) -> ReplyAttribute {
    ReplyAttribute {
        name: Arc::from("an attribute"),
        vendor: 0,
        numbers: vec![u32::from(number)],
        value: ReplyValue::Encoded(Box::new([number, 2])),
    }
}

fn evaluate(policies: &[Policy]) -> (Verdict, Vec<usize>) {
    let policies = Policies::new(policies);
    let mut matched = Matched::default();
    let verdict = with_facts(&ask(), &["staff"], "wifi/branch-3", |facts| {
        policies.evaluate(facts, &mut matched, &mut ())
    });
    (verdict, matched.numbers().collect())
}

const STAFF: Option<&str> = Some(r#""staff" in user.groups"#);

#[test]
fn policies_are_evaluated_in_order() {
    use PolicyAction::{Accept, Reject, SecondFactor};
    assert_eq!(evaluate(&[]), (Verdict::Accept, vec![]));
    let both = [policy(STAFF, None, &[1]), policy(Some("false"), None, &[2]), policy(None, None, &[3])];
    assert_eq!(evaluate(&both), (Verdict::Accept, vec![0, 2]));
    let rejected = [policy(None, None, &[1]), policy(STAFF, Some(Reject), &[])];
    assert_eq!(evaluate(&rejected), (Verdict::Reject(1), vec![0]));
    let accepted = [policy(STAFF, Some(Accept), &[1]), policy(None, Some(Reject), &[])];
    assert_eq!(evaluate(&accepted), (Verdict::Accept, vec![0]));
    let second = [policy(None, Some(SecondFactor), &[1]), policy(None, None, &[2])];
    assert_eq!(evaluate(&second), (Verdict::SecondFactor(0), vec![0, 1]));
    let second_and_no = [policy(None, Some(SecondFactor), &[]), policy(None, Some(Reject), &[])];
    assert_eq!(evaluate(&second_and_no), (Verdict::Reject(1), vec![]));
    let failed = [policy(Some("1 / (request.nas_port + 1) == 0"), None, &[])];
    assert_eq!(evaluate(&failed), (Verdict::Failed(0), vec![]));
}

/// The numbers of the attributes that a reply has whose user brings `own`, and whose policies all hold.
fn reply(policies: &[Policy], own: &[u8]) -> Vec<u8> {
    let policies = Policies::new(policies);
    let mut matched = Matched::default();
    with_facts(&ask(), &[], "", |facts| policies.evaluate(facts, &mut matched, &mut ()));
    let edits = policies.edits(&matched);
    let kept = own.iter().copied().filter(|number| {
        let own = attribute(*number);
        edits.keep(own.vendor, &own.numbers)
    });
    kept.chain(edits.attributes().map(|(_, attribute)| attribute.numbers[0] as u8)).collect()
}

#[test]
fn a_later_policy_sets_adds_and_removes() {
    let set = |numbers: &[u8]| policy(None, None, numbers);
    let add = |number| {
        let mut policy = set(&[number]);
        policy.reply.replaces.clear();
        policy
    };
    let remove = |number| {
        let mut policy = set(&[number]);
        policy.reply.attributes.clear();
        policy
    };
    assert_eq!(reply(&[], &[1, 2]), [1, 2]);
    assert_eq!(reply(&[set(&[2, 3])], &[1, 2]), [1, 2, 3]);
    assert_eq!(reply(&[set(&[2]), set(&[2, 4])], &[1, 2]), [1, 2, 4]);
    assert_eq!(reply(&[add(2), add(2)], &[1, 2]), [1, 2, 2, 2]);
    assert_eq!(reply(&[remove(2)], &[1, 2]), [1]);
    assert_eq!(reply(&[set(&[2]), remove(2), add(2)], &[1, 2]), [1, 2]);
    assert_eq!(reply(&[add(3), remove(3), remove(1)], &[1]), [0_u8; 0]);
}

/// A policy's number is looked up, not searched for: twice the policies take twice the time, not four times.
#[test]
fn what_many_policies_set_is_looked_up_once_each() {
    let many: Vec<Policy> = (0..4000).map(|_| policy(None, None, &[1, 2])).collect();
    assert_eq!(reply(&many, &[1, 3]), [3, 1, 2]);
}

#[test]
fn a_watch_is_told_of_each_until_one_decides() {
    struct Seen(Vec<(usize, bool)>);
    impl Watch for Seen {
        fn policy(&mut self, number: usize, held: Result<bool, EvaluationError>) {
            self.0.push((number, held == Ok(true)));
        }
    }
    let policies = [
        policy(Some("false"), None, &[1]),
        policy(STAFF, Some(PolicyAction::Reject), &[]),
        policy(None, None, &[1]),
    ];
    let (policies, mut seen) = (Policies::new(&policies), Seen(Vec::new()));
    with_facts(&ask(), &["staff"], "", |facts| policies.evaluate(facts, &mut Matched::default(), &mut seen));
    assert_eq!(seen.0, [(0, false), (1, true)]);
}

#[test]
fn the_clock_is_read_only_where_a_condition_looks_at_it() {
    let without = Policies::new(&[policy(STAFF, None, &[1])]);
    assert_eq!(without.times(|| panic!("read")), None);
    assert!(!without.looks_at_sessions());
    let with = Policies::new(&[policy(Some("time.utc.hour < 24 || session.count > 1"), None, &[1])]);
    assert_eq!(with.times(|| NOW).map(|times| times.utc.hour), Some(22));
    assert!(with.looks_at_sessions());
}
