//! An ordinary day: requests, replies, retransmissions.

use std::time::Duration;

use forewarn_tests::home::Answer;
use forewarn_tests::within;
use forewarn_wire::{Code, RadiusKey, hide, number};

use super::{QUIET, SOON, Site};

#[test]
fn a_request_goes_to_the_first_server_and_its_reply_comes_back() {
    let site = Site::new(2);
    let reply = site.nas.ask("alice", 7, SOON).expect("an answer");
    assert_eq!(reply.code, Code::ACCESS_ACCEPT);
    assert!(reply.starts_with_message_authenticator);

    // The password was hidden anew, with the secret and authenticator of this hop.
    let heard = site.heard(0, "alice");
    let key = RadiusKey::new(forewarn_tests::HOME_SECRET.as_bytes()).expect("a secret");
    let authenticator: [u8; 16] = heard.bytes[4..20].try_into().expect("a header");
    let hidden = heard.find(number::USER_PASSWORD).expect("a password");
    let mut clear = [0; hide::user_password::MAX];
    let password = hide::user_password::reveal(&key, &authenticator, &hidden, &mut clear).expect("revealed");
    assert_eq!(password, b"wonderland");

    // It called from its identity.
    assert_eq!(heard.from.ip().to_string(), site.status().program.identity);
    assert!(site.homes[1].requests().is_empty());
}

#[test]
fn retransmissions_of_the_nas_join_and_are_never_doubled_upstream() {
    let site = Site::new(1);
    site.homes[0].script(|_| Answer::After(Duration::from_millis(250), Box::new(Answer::Yes)));
    let request = site.nas.access("alice", 7, None);
    for _ in 0..4 {
        site.nas.send_access(&request);
    }
    let first = site.nas.reply(&request, SOON).expect("an answer");
    assert_eq!(site.homes[0].heard_of("alice").len(), 1);
    assert!(site.nas.reply(&request, QUIET).is_none(), "one answer");

    // Later ones get the same octets again, without anybody upstream.
    site.nas.send_access(&request);
    let again = site.nas.reply(&request, SOON).expect("the same answer");
    assert_eq!(again.bytes, first.bytes);
    assert_eq!(site.homes[0].heard_of("alice").len(), 1);
    assert_eq!(site.count("reply.duplicate"), 1);
    assert_eq!(site.count("silence.duplicate-in-progress"), 3);
}

#[test]
fn conversations_go_through_with_their_state() {
    let site = Site::new(2);
    site.homes[0].script(|heard| match &heard.state {
        None => Answer::Challenge(b"round one".to_vec()),
        Some(_) => Answer::Yes,
    });
    let first = site.nas.ask("alice", 1, SOON).expect("a challenge");
    assert_eq!(first.code, Code::ACCESS_CHALLENGE);
    let second = site.nas.access("alice", 2, first.state.as_deref());
    site.nas.send_access(&second);
    assert_eq!(site.nas.reply(&second, SOON).expect("an accept").code, Code::ACCESS_ACCEPT);
    assert_eq!(site.homes[0].heard_of("alice")[1].state.as_deref(), Some(&b"round one"[..]));
}

#[test]
fn accounting_is_answered_only_when_a_server_has_answered() {
    let site = Site::new(1);
    site.homes[0].script(|heard| match heard.code {
        Code::STATUS_SERVER => Answer::Yes,
        _ => Answer::Silence,
    });
    let request = site.nas.accounting("session-1", 9);
    site.nas.send_accounting(&request);
    assert!(site.nas.reply(&request, QUIET).is_none(), "silence while nobody has it");
    site.homes[0].script(|_| Answer::Yes);
    site.nas.send_accounting(&request);
    // The retransmission of the agent's own comes after 2 s (RFC 5080 section 2.2.1).
    let reply = site.nas.reply(&request, Duration::from_secs(5)).expect("an answer");
    assert_eq!(reply.code, Code::ACCOUNTING_RESPONSE);
    let heard = site.homes[0].heard_of("session-1");
    let last = heard.last().expect("heard");
    let delay = last.find(number::ACCT_DELAY_TIME).expect("Acct-Delay-Time was raised");
    assert!(u32::from_be_bytes(delay.try_into().expect("an integer")) >= 1);
}

#[test]
fn a_reply_without_message_authenticator_is_no_reply() {
    let site = Site::new(1);
    site.homes[0].script(|heard| match heard.code {
        Code::STATUS_SERVER => Answer::Yes,
        _ => Answer::Bare,
    });
    assert!(site.nas.ask("alice", 1, QUIET).is_none());
    within(SOON, "it is counted", || (site.count("home-0.without-message-authenticator") == 1).then_some(()));
    assert_eq!(site.count("access-accept.relayed"), 0);
}

#[test]
fn the_place_of_message_authenticator_is_not_judged_and_its_value_is() {
    let site = Site::new(1);
    site.homes[0].script(|heard| match heard.user.as_str() {
        "last" => Answer::Last,
        "corrupt" => Answer::Corrupt,
        _ => Answer::Yes,
    });
    let reply = site.nas.ask("last", 1, SOON).expect("taken");
    assert!(reply.starts_with_message_authenticator, "and first on the way to the NAS");
    assert!(site.nas.ask("corrupt", 2, QUIET).is_none());
    site.until_count("home-0.forged", 1);
    assert_eq!(site.count("home-0.without-message-authenticator"), 0);
}

#[test]
fn a_server_that_need_not_send_it_is_shown_as_open() {
    let site = Site::build(1, &[], |config| {
        config.replace("name = \"home-0\"", "name = \"home-0\"\nrequire_message_authenticator = \"no\"")
    });
    site.homes[0].script(|_| Answer::Bare);
    let reply = site.nas.ask("alice", 1, SOON).expect("taken, as it is configured");
    assert!(reply.starts_with_message_authenticator, "the NAS gets one all the same");
    let server = site.status().servers.remove(0);
    assert!(!server.requires_message_authenticator);
    assert_eq!(server.without_message_authenticator, 1);
    let page = site.agent.forewarn(&["status", "--blastradius"]);
    let page = String::from_utf8(page.stdout).expect("UTF-8");
    assert!(page.contains("OPEN TOWARDS 1 OF 1 SERVERS") && page.contains("update the server"), "{page}");
}

#[test]
fn a_stop_ends_cleanly() {
    let mut site = Site::new(1);
    assert_eq!(site.served_by("alice"), 0);
    site.agent.signal("TERM");
    assert!(site.agent.ended().success());
    assert!(!super::socket(site.agent.folder().path()).exists(), "the control socket is gone");
    site.agent.says("stopped");
}

#[test]
fn a_second_agent_on_the_same_state_is_refused() {
    let site = Site::new(1);
    let folder = site.agent.folder().path();
    let second = std::process::Command::new(forewarn_tests::program::built("forewarn-agent"))
        .arg("-c")
        .arg(folder.join("agent.toml"))
        .output()
        .expect("it starts");
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("in use by forewarn-agent (process"), "{said}");
    assert_eq!(site.served_by("alice"), 0, "the first one goes on");
}

#[test]
fn a_reload_says_what_to_do_and_changes_nothing() {
    let site = Site::new(1);
    let mut said = Vec::new();
    let socket = super::socket(site.agent.folder().path());
    forewarn_shell::control::ask(&socket, &forewarn_shell::control::Request::Reload, SOON, |reply| {
        if let forewarn_shell::control::Reply::Refused { errors } = reply {
            said = errors;
        }
    })
    .expect("it answers");
    assert!(said[0].contains("the file is good, restart the agent"), "{said:?}");
    site.agent.signal("HUP");
    assert_eq!(site.served_by("alice"), 0, "it goes on");
}
