//! A server that dies in the middle of conversations: another goes on with them where it can, and else they begin anew at
//! once.

use std::net::SocketAddr;

use forewarn_tests::authority::Key;
use forewarn_tests::config::{self, LOCAL_SECRET};
use forewarn_tests::supplicant::{End, Ended, Supplicant, Trust, Version, authenticate_between};
use forewarn_tests::{Agent, Hosts, Server};

use super::tunnels::Site as Authority;

const METHODS: &str = "methods = [\"mschapv2\", \"gtc\", \"md5\"]\n";
const KEY: &str = "state_key = \"5f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f2\"\n";
const NEWER: &str = "state_keys = [\
    { key = \"7f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f2\" }, \
    { key = \"5f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f2\" }]\n";

/// What a conversation was like whose first server was killed after so many Access-Requests.
struct Outlived {
    ended: Ended,
    /// EAP conversations that the other server has begun, has taken over, and has refused to.
    west: [u64; 3],
}

/// Two servers behind an agent, with these settings each; the first is killed.
fn outlive(eap: [&str; 2], supplicant: Supplicant, after: u32) -> Outlived {
    let mut hosts = Hosts::claim();
    let (east, west, front) = (hosts.host(), hosts.host(), hosts.host());
    let start = |name, host, eap: &str| Server::start(&config::server(&hosts, name, host, &[front], eap));
    let mut dying = Some(start("east", east, eap[0]));
    let staying = start("west", west, eap[1]);
    let agent = Agent::start(&config::agent(front, &[("east", east), ("west", west)], ""));
    let at = SocketAddr::new(front, 1812);
    let ended = authenticate_between(at, LOCAL_SECRET, supplicant, |requests| {
        if requests == after {
            drop(dying.take().expect("once").kill());
        }
    });
    assert!(dying.is_none(), "it ended before: {ended:?}\n{}", agent.log());
    let counters = &staying.status()["counters"];
    let of = |name: &str| counters[name].as_u64().expect("a counter");
    let refused: u64 = ["not-authentic", "other-client", "too-old", "not-allowed", "used", "full"]
        .iter()
        .map(|why| of(&format!("eap.refused-states.{why}")))
        .sum();
    Outlived { ended, west: [of("eap.begun"), of("eap.taken-over"), refused] }
}

fn eap(key: &str) -> String {
    format!("[eap]\n{METHODS}{key}")
}

#[test]
fn another_server_goes_on_with_passwords_and_nobody_begins_anew() {
    let mschapv2 = || Supplicant::mschapv2("alice", "wonderland");
    // After the NAK, where there is one, and after the proof.
    for (name, supplicant, after, requests) in [
        ("MSCHAPv2, asked", mschapv2(), 1, 3),
        ("MSCHAPv2, proven", mschapv2(), 2, 3),
        ("GTC, refusing", Supplicant::gtc("alice", "wonderland"), 1, 3),
        ("GTC, asked", Supplicant::gtc("alice", "wonderland"), 2, 3),
        ("GTC, slow", Supplicant::gtc("bob", "builder"), 2, 3),
        ("MD5, asked", Supplicant::md5("alice", "wonderland"), 2, 3),
    ] {
        let Outlived { ended, west } = outlive([&eap(KEY), &eap(KEY)], supplicant, after);
        assert!(ended.is_in(), "{name}: {ended:?}");
        assert_eq!((ended.requests, west), (requests, [0, 1, 0]), "{name}: {ended:?}");
    }
}

#[test]
fn another_server_lets_in_nobody_who_is_wrong() {
    for supplicant in [Supplicant::gtc("alice", "wonderlamp"), Supplicant::md5("alice", "wonderlamp")] {
        let Outlived { ended, west } = outlive([&eap(KEY), &eap(KEY)], supplicant, 2);
        assert_eq!((ended.end, west), (End::Rejected, [0, 1, 0]));
    }
    let wrong = Supplicant::mschapv2("alice", "wonderlamp");
    let Outlived { ended, west } = outlive([&eap(KEY), &eap(KEY)], wrong, 1);
    assert_eq!((ended.end, west), (End::Rejected, [0, 1, 0]));
}

#[test]
fn keys_are_replaced_while_servers_die() {
    let supplicant = Supplicant::mschapv2("alice", "wonderland");
    let Outlived { ended, west } = outlive([&eap(KEY), &eap(NEWER)], supplicant, 1);
    assert!(ended.is_in(), "{ended:?}");
    assert_eq!(west, [0, 1, 0]);
}

#[test]
fn without_a_secret_in_common_a_conversation_whose_server_died_is_rejected_at_once() {
    let other = KEY.replace("5f1e", "6f1e");
    for (east, west, refused) in [("", "", 0), ("", KEY, 0), (KEY, "", 0), (KEY, other.as_str(), 1)] {
        let supplicant = Supplicant::mschapv2("alice", "wonderland");
        let Outlived { ended, west } = outlive([&eap(east), &eap(west)], supplicant, 1);
        assert_eq!((ended.end, ended.requests, west), (End::Rejected, 2, [0, 0, refused]));
    }
}

#[test]
fn a_server_that_was_killed_and_is_back_goes_on() {
    let mut hosts = Hosts::claim();
    let (east, front) = (hosts.host(), hosts.host());
    let text = config::server(&hosts, "east", east, &[front], &eap(KEY));
    let mut server = Some(Server::start(&text));
    let at = SocketAddr::new(east, 1812);
    let supplicant = Supplicant::mschapv2("alice", "wonderland");
    let ended = authenticate_between(at, config::SECRET, supplicant, |_| {
        let folder = server.take().expect("it runs").kill();
        server = Some(Server::start_in(folder, &text, &[]));
    });
    assert!(ended.is_in(), "{ended:?}");
    assert_eq!(ended.requests, 3);
}

#[test]
fn a_tunnel_that_hasnt_begun_goes_on_and_one_that_has_begins_anew() {
    let site = Authority::new(Key::Ecdsa);
    let trust = Trust::new(Version::Tls13, Some(&site.alice));
    let keys = "ticket_key = \"5f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f2\"";
    let eap = site.eap("", keys);
    for (after, is_in, taken_over) in [(1, true, 1), (2, true, 1), (3, false, 0)] {
        // It is offered another method first, and refuses that.
        let supplicant = Supplicant::tls("alice", &trust);
        let Outlived { ended, west } = outlive([&eap, &eap], supplicant, after);
        assert_eq!((ended.is_in(), west), (is_in, [0, taken_over, 0]), "{after}: {ended:?}");
        assert!(is_in || ended.end == End::Rejected, "{ended:?}");
    }
}
