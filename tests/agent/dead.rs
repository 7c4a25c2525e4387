//! What no notice foretold.

use std::time::{Duration, Instant};

use forewarn_tests::home::Answer;
use forewarn_tests::within;
use forewarn_wire::Code;

use super::{SOON, Site};

/// Moved within a second.
const MOVED_WITHIN: Duration = Duration::from_secs(1);

#[test]
fn a_killed_server_costs_a_nas_that_retransmits_nothing() {
    let mut site = Site::new(2);
    assert_eq!(site.served_by("before"), 0);
    site.homes[0].kill();
    let killed = Instant::now();
    let requests: Vec<_> = (0..20).map(|id| site.nas.access(&format!("user-{id}"), id, None)).collect();
    for request in &requests {
        site.nas.send_access(request);
        std::thread::sleep(Duration::from_millis(5));
    }
    within(MOVED_WITHIN, "it moves", || (site.current() == "home-1").then_some(()));
    assert!(killed.elapsed() < MOVED_WITHIN, "{:?}", killed.elapsed());
    for request in &requests {
        site.nas.send_access(request);
        assert_eq!(site.nas.reply(request, SOON).expect("an answer").code, Code::ACCESS_ACCEPT);
    }
    within(SOON, "it is dead", || (site.status().servers[0].standing == "dead").then_some(()));

    // Back by probes, with the ramp.
    site.homes[0].revive();
    within(Duration::from_secs(10), "it is back", || (site.current() == "home-0").then_some(()));
    within(SOON, "with all its traffic", || (site.status().servers[0].weight >= 1.0).then_some(()));
    assert_eq!(site.served_by("after"), 0);
}

#[test]
fn one_users_delayed_reject_moves_nothing() {
    let site = Site::new(2);
    site.homes[0].script(|heard| match heard.code {
        Code::STATUS_SERVER => Answer::Yes,
        _ => Answer::After(Duration::from_secs(1), Box::new(Answer::Reject)),
    });
    let request = site.nas.access("mallory", 1, None);
    site.nas.send_access(&request);
    let reply = site.nas.reply(&request, Duration::from_secs(3)).expect("the reject");
    assert_eq!(reply.code, Code::ACCESS_REJECT);
    assert!(reply.took >= Duration::from_millis(990), "{:?}", reply.took);
    let status = site.status();
    assert_eq!(status.current, "home-0");
    assert!(status.switches.is_empty());
    assert_eq!(site.homes[0].heard_of("mallory").len(), 1);
    assert!(site.homes[1].requests().is_empty());
}

#[test]
fn a_server_whose_every_answer_is_a_delayed_reject_moves_nothing() {
    let site = Site::new(2);
    site.homes[0].script(|heard| match heard.code {
        Code::STATUS_SERVER => Answer::Yes,
        _ => Answer::After(Duration::from_secs(1), Box::new(Answer::Reject)),
    });
    let requests: Vec<_> = (0..60).map(|id| site.nas.access(&format!("user-{id}"), id, None)).collect();
    for request in &requests {
        site.nas.send_access(request);
        std::thread::sleep(Duration::from_millis(30));
    }
    for request in &requests {
        site.nas.send_access(request);
        assert!(site.nas.reply(request, Duration::from_secs(3)).is_some());
    }
    assert!(site.status().switches.is_empty());
    assert!(site.homes[1].requests().is_empty());
}

#[test]
fn a_conversation_with_a_silent_server_is_not_sent_elsewhere() {
    let mut site = Site::new(2);
    site.homes[0].script(|heard| match heard.code {
        Code::STATUS_SERVER => Answer::Yes,
        _ => Answer::Challenge(b"ours".to_vec()),
    });
    let first = site.nas.ask("talker", 1, SOON).expect("a challenge");
    site.homes[0].kill();
    let second = site.nas.access("talker", 2, first.state.as_deref());
    site.nas.send_access(&second);
    let other = site.nas.access("other", 3, None);
    site.nas.send_access(&other);
    assert!(site.nas.reply(&other, SOON).is_some(), "others go on elsewhere");
    assert!(site.homes[1].heard_of("talker").is_empty(), "a State means nothing to another server");
}

#[test]
fn when_everybody_is_silent_so_is_the_agent() {
    let mut site = Site::new(2);
    for home in &mut site.homes {
        home.kill();
    }
    assert!(site.nas.ask("alice", 1, Duration::from_secs(2)).is_none());
    assert_eq!(site.count("access-reject.relayed"), 0, "a time-out never becomes a reject");
    site.homes[1].revive();
    let request = site.nas.access("bob", 2, None);
    within(Duration::from_secs(10), "somebody serves again", || {
        site.nas.send_access(&request);
        site.nas.reply(&request, Duration::from_millis(500))
    });
}
