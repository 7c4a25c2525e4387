//! Conditions and policies, on one request of a client called ap-17.

mod attributes;
mod checked;
mod oracle;
mod ordered;

use forewarn_eap::Certificate;
use std::net::Ipv4Addr;

use forewarn_dict::Dictionary;
use forewarn_proto::time::Utc;
use forewarn_wire::{MessageAuthenticatorRule, Packet};

use super::*;
use crate::testing::{self, Ask};
use crate::users::Source;

/// Monday, 2026-03-09 22:30:15 UTC.
const NOW: Utc = Utc::from_millis(1_773_095_415_123);

/// What the request of these tests has besides its password.
fn ask() -> Ask<'static> {
    Ask::pap("alice@example.org", "wonderland")
        .with(30, b"00-11-22-33-44-55:corp")
        .with(31, b"AA-BB-CC-DD-EE-FF")
        .with(4, &[192, 0, 2, 1])
        .with(61, &[0, 0, 0, 19])
        .with(26, b"\0\0\0\x09\x01\x0bssid=corp")
        .with(26, b"\0\0\0\x09\x01\x08vlan=7")
        .with(64, &[1, 0, 0, 13])
        .with(64, &[2, 0, 0, 3])
        .with(25, &[0xca, 0xfe])
        .with(87, b"caf\xc3\xa9 1")
}

/// Lets `look` look at these facts.
fn with_facts<T>(ask: &Ask<'_>, groups: &[&str], group: &str, look: impl FnOnce(&Facts<'_>) -> T) -> T {
    let octets = ask.octets();
    let packet = Packet::parse(&octets).unwrap();
    let packet = packet.verify_request(&testing::key(), MessageAuthenticatorRule::Optional).unwrap();
    let groups = Groups::new(groups.iter().copied());
    let certificate = Certificate {
        users: Vec::new(),
        subject: "CN=alice,O=Example".into(),
        issuer: "CN=Example CA".into(),
        serial: "0a1b".into(),
        alternatives: vec!["email:alice@example.org".into(), "dns:laptop.example.org".into()],
        not_after: 1_800_000_000,
    };
    look(&Facts {
        is_machine: false,
        machine_name: "host/desk",
        machine_groups: &groups,
        certificate: Some(&certificate),
        client_name: "ap-17",
        client_group: group,
        client_address: Ipv4Addr::new(127, 0, 0, 21).into(),
        user_name: "alice@example.org",
        user_groups: &groups,
        user_source: Source::Sql,
        request: &packet,
        method: "pap",
        sessions: Some(2),
        times: Some(Zone::fixed(2).times(NOW)),
    })
}

fn compile(source: &str) -> Result<Condition, Vec<Fault>> {
    Condition::compile(&[source], Dictionary::embedded()).remove(0)
}

#[track_caller]
fn holds(source: &str) -> Result<bool, EvaluationError> {
    let condition = compile(source).unwrap_or_else(|faults| panic!("{source}: {faults:?}"));
    with_facts(&ask(), &["staff", "admin"], "wifi/branch-3", |facts| condition.holds(facts))
}
