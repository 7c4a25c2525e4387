//! `[[policy]]`: conditions compiled, replies encoded.

use std::sync::Arc;

use forewarn_dict::Dictionary;
use forewarn_shell::config::{Document, Place, Table, Value, Wrong};

use super::super::proxy::{Realm, Realms};
use super::super::{Expression, Policy, PolicyAction, PolicyReply};
use super::server::plain;
use super::{bounded, each, reply};
use crate::policy::Condition;

/// Most `[[policy]]`; each is evaluated for each request.
const POLICIES_MAX: usize = 10_000;

/// Each of these gives a policy something to do.
const DEEDS: [&str; 4] = ["action", "reply", "reply_add", "reply_remove"];

/// A policy whose condition still is a text, with the place of that.
type Read<'d> = (Policy, Option<(&'d str, Place)>);

pub(super) fn policies(root: &Table<'_>, dictionary: &Dictionary, realms: &[Realm]) -> Vec<Policy> {
    let realms = Realms::new(realms);
    let tables = bounded(root, "policy", root.named_tables("policy"), POLICIES_MAX);
    let read = each(tables, |table| policy(table, dictionary, &realms));
    let sources: Vec<&str> = read.iter().filter_map(|(_, when)| Some(when.as_ref()?.0)).collect();
    let mut compiled = Condition::compile(&sources, dictionary).into_iter();
    let mut policies = Vec::with_capacity(read.len());
    for (mut policy, when) in read {
        if let Some((source, place)) = when {
            policy.when = compiled.next().and_then(|found| expression(root.document(), source, place, found));
            if policy.action == Some(PolicyAction::Route) {
                refuse_too_early(root.document(), place, &policy);
            }
        }
        policies.push(policy);
    }
    policies
}

fn policy<'d>(table: &Table<'d>, dictionary: &Dictionary, realms: &Realms) -> Option<Read<'d>> {
    let name = table.text("name").then(plain).required();
    let when = table.field("when", Value::text).with_place();
    let actions = [
        ("accept", PolicyAction::Accept),
        ("reject", PolicyAction::Reject),
        ("second_factor", PolicyAction::SecondFactor),
        ("route", PolicyAction::Route),
    ];
    let action = table.choice("action", &actions, &[]).optional();
    let route = route(table, action, realms);
    let reason = table.text("reason").then(plain).optional().map(Arc::from);
    let reply = policy_reply(table, dictionary, action);
    if !DEEDS.iter().any(|deed| table.has(deed)) {
        let hint = "add reply = { .. }, action = \"accept\" or action = \"reject\"";
        table.error("name", Wrong::new("this [[policy]] does nothing", hint));
    }
    Some((Policy { name: name?.into(), when: None, action, route, reason, reply: reply? }, when))
}

/// The realm of `action = "route"`.
fn route(table: &Table<'_>, action: Option<PolicyAction>, realms: &Realms) -> Option<Realm> {
    let realm = table.text("realm").then(|name| {
        let known = realms.of(format!("user@{name}").as_bytes()).filter(|realm| realm.pool.is_some());
        known.cloned().ok_or_else(|| {
            let hint = "name one that a [[realm]] with a pool matches";
            Wrong::new(format!("the realm {name:?} has no home servers"), hint)
        })
    });
    let realm = realm.optional();
    match action {
        Some(PolicyAction::Route) => {
            if !table.has("realm") {
                let hint = "add realm = \"example.org\", one that a [[realm]] with a pool matches";
                table.error("action", Wrong::new("this [[policy]] routes nowhere", hint));
            }
            for key in ["reply", "reply_add", "reply_remove"].into_iter().filter(|key| table.has(key)) {
                let what = format!("`{key}` of a policy that routes has nothing to work on");
                table.error(key, Wrong::new(what, "the reply is the home server's"));
            }
        }
        _ if table.has("realm") => {
            let hint = "add action = \"route\", or remove `realm`";
            table.error("realm", Wrong::new("`realm` goes with action = \"route\"", hint));
        }
        _ => {}
    }
    realm
}

/// Where a request goes is decided before anybody knows who the user is.
fn refuse_too_early(document: &Document, place: Place, policy: &Policy) {
    let Some(early) = policy.when.as_ref().and_then(|when| when.condition.looks_too_early()) else { return };
    let what = format!("`when`: {early} isn't known yet where a request is routed");
    let hint = "write it with request[..], client.* and time.*";
    document.error(place, Wrong::new(what, hint));
}

/// `reply`, `reply_add` and `reply_remove`. `None`: something was reported.
fn policy_reply(
    table: &Table<'_>,
    dictionary: &Dictionary,
    action: Option<PolicyAction>,
) -> Option<PolicyReply> {
    let set = reply::reply(table, "reply", dictionary);
    let added = reply::reply(table, "reply_add", dictionary);
    let removed = reply::names(table, "reply_remove", dictionary);
    if action == Some(PolicyAction::Reject) {
        for key in ["reply_add", "reply_remove"].into_iter().filter(|key| table.has(key)) {
            let what = format!("`{key}` of a policy that rejects has nothing to work on");
            table.error(key, Wrong::new(what, "write reply = { Reply-Message = \"..\" }"));
        }
        reply::only_in_rejects(table, set.as_deref().unwrap_or_default());
    }
    let (set, added) = (set?, added?);
    let set_keys = set.iter().map(|attribute| (attribute.vendor, attribute.numbers.clone()));
    let mut replaces: Vec<_> = set_keys.chain(removed?).collect();
    replaces.sort_unstable();
    replaces.dedup();
    Some(PolicyReply { attributes: [set, added].concat(), replaces })
}

/// `None`: what is wrong was reported, each fault in its place.
fn expression(
    document: &Document,
    source: &str,
    place: Place,
    compiled: Result<Condition, Vec<crate::policy::Fault>>,
) -> Option<Expression> {
    match compiled {
        Ok(condition) => Some(Expression { source: source.to_owned(), condition }),
        Err(faults) => {
            for fault in faults {
                let wrong = Wrong::new(format!("`when`: {}", fault.what), fault.hint);
                document.error(document.within(place, fault.offset), wrong);
            }
            None
        }
    }
}
