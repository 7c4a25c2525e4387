//! What somebody can do who hears every notice on the wire and may say anything from anywhere, but has no key.

use std::time::Duration;

use forewarn_tests::network::is_mine;
use forewarn_tests::wiretap::{self, Wiretap};
use forewarn_tests::{Agent, eventually};

use super::{Family, Site};

fn refused(agent: &Agent) -> u64 {
    let notices = agent.status()["notices"].clone();
    let counts = notices.as_object().expect("counters");
    counts.iter().filter(|(name, _)| name.starts_with("refused.")).filter_map(|(_, n)| n.as_u64()).sum()
}

fn switches(agent: &Agent) -> u64 {
    let switches = agent.status()["switches"].clone();
    switches.as_object().map_or(0, |causes| causes.values().filter_map(serde_json::Value::as_u64).sum())
}

/// What an agent may answer to with a receipt, but never with a deed.
fn duplicates(agent: &Agent) -> u64 {
    agent.status()["notices"]["duplicate"].as_u64().expect("a counter")
}

#[test]
fn what_was_said_once_moves_nothing_when_it_is_said_again() {
    if !is_mine("namespaces::replay::what_was_said_once_moves_nothing_when_it_is_said_again") {
        return;
    }
    let tap = Wiretap::new();
    let site = Site::open(Family::V4, true, "[\"icmp\", \"udp\"]", |_| {});
    site.drains_and_resumes();
    site.drains_and_resumes();
    let [east, _, agent] = [0, 1, 2].map(|place| site.at[place].v4());
    let notices = tap.heard(east, agent, false);
    assert!(notices.len() >= 4, "{} notices heard", notices.len());

    let moved = switches(&site.agent);
    let before = refused(&site.agent) + duplicates(&site.agent);
    for notice in &notices {
        wiretap::say(agent, notice);
    }
    let judged = |agent: &Agent| refused(agent) + duplicates(agent);
    let all = before + notices.len() as u64;
    eventually("all are judged", || (judged(&site.agent) >= all).then_some(()));
    assert_eq!(switches(&site.agent), moved);
    assert!(site.is_home());

    // One real notice, with each of its octets spoilt.
    let before = refused(&site.agent);
    let last = notices.last().expect("there are some");
    for at in 0..last.len() {
        let mut spoilt = last.clone();
        spoilt[at] ^= 1 << (at % 8);
        wiretap::say(agent, &spoilt);
        if at % 16 == 15 {
            // Not more than the socket takes at once.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let all = before + last.len() as u64;
    eventually("all are judged", || (refused(&site.agent) >= all).then_some(()));
    assert_eq!(switches(&site.agent), moved);
    assert!(site.is_home());
}

#[test]
fn what_was_said_once_moves_nothing_after_a_restart() {
    if !is_mine("namespaces::replay::what_was_said_once_moves_nothing_after_a_restart") {
        return;
    }
    let tap = Wiretap::new();
    let mut site = Site::open(Family::V4, true, "[\"icmp\", \"udp\"]", |_| {});
    site.drains_and_resumes();
    let [east, _, agent] = [0, 1, 2].map(|place| site.at[place].v4());
    let notices = tap.heard(east, agent, false);
    eventually("its mark is kept", || {
        (site.agent.status()["counters"]["marks.saved"].as_u64() > Some(0)).then_some(())
    });
    site.restart_agent();
    let before = refused(&site.agent) + duplicates(&site.agent);
    for notice in &notices {
        wiretap::say(agent, notice);
    }
    let all = before + notices.len() as u64;
    eventually("all are judged", || (refused(&site.agent) + duplicates(&site.agent) >= all).then_some(()));
    assert_eq!(switches(&site.agent), 0);
    assert!(site.is_home());
}

#[test]
fn an_agents_messages_said_again_tell_the_server_nothing() {
    if !is_mine("namespaces::replay::an_agents_messages_said_again_tell_the_server_nothing") {
        return;
    }
    let tap = Wiretap::new();
    let site = Site::open(Family::V4, true, "[\"icmp\", \"udp\"]", |_| {});
    site.drains_and_resumes();
    let [east, _, agent] = [0, 1, 2].map(|place| site.at[place].v4());
    let messages = tap.heard(east, agent, true);
    assert!(messages.len() >= 2, "{} messages heard", messages.len());

    // The agent can't be reached any more: whatever the server hears is not the agent's.
    site.at[2].unplug();
    assert!(site.east.forewarn(&["drain"]).status.success());
    for message in &messages {
        wiretap::say(east, message);
    }
    let told = eventually("the server gives it up", || {
        let told = site.told();
        (told["told"] != "telling").then_some(told)
    });
    assert_eq!(told["told"], "not-told", "{told}");
}
