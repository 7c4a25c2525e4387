//! Clients without the agent, of a server that wants to be left: each rung of `without_agent`, and a proxy of another
//! house that finds another server by them.

use std::net::IpAddr;
use std::time::Duration;

use forewarn_tests::config::{self, LOCAL_SECRET, NOTICE_KEY, SECRET};
use forewarn_tests::stream::{Plan, Stream};
use forewarn_tests::{FreeRadius, Hosts, Nas, Server, eventually, within};
use forewarn_wire::{Code, Packet, RequestAuthenticator, Writer, number};

const SHORT: Duration = Duration::from_millis(500);

/// A server whose client, calling from the server's own address, is led down these rungs; and that client.
fn site(rungs: &str, deadline: &str) -> (Server, Nas) {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let client =
        format!("[[client]]\nname = \"nas\"\naddress = \"{host}\"\nsecret = \"{SECRET}\"\n{rungs}\n");
    let text = config::server(&hosts, "east", host, &[], &client);
    let server = Server::start(&text.replace("deadline = \"2s\"", &format!("deadline = \"{deadline}\"")));
    (server, Nas::with_secret(host, SECRET))
}

fn drain(server: &Server) {
    assert!(server.forewarn(&["drain"]).status.success());
    assert_eq!(server.status()["watch"]["state"], "draining");
}

fn status_server(nas: &Nas, identifier: u8) -> Vec<u8> {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, Code::STATUS_SERVER, identifier);
    writer.message_authenticator().expect("room");
    let authenticator = RequestAuthenticator::Chosen([identifier; 16]);
    let octets = writer.request(&nas.key(), authenticator).expect("room").to_vec();
    nas.send_access(&octets);
    octets
}

fn count(server: &Server, outcome: &str) -> u64 {
    server.status()["requests"][outcome].as_u64().unwrap_or(0)
}

#[test]
fn status_server_is_refused_and_requests_are_answered() {
    let (server, nas) = site("without_agent = [\"status-server\"]", "20s");
    let probe = status_server(&nas, 1);
    assert!(nas.reply(&probe, SHORT * 4).is_some(), "serving");
    drain(&server);
    let probe = status_server(&nas, 2);
    assert!(nas.reply(&probe, SHORT).is_none());
    assert_eq!(nas.ask("alice", 3, SHORT * 4).expect("an answer").code, Code::ACCESS_ACCEPT);
    assert_eq!(count(&server, "silence.leaving-status-server"), 1);
    assert!(server.forewarn(&["resume"]).status.success());
    let probe = status_server(&nas, 4);
    assert!(nas.reply(&probe, SHORT * 4).is_some(), "back");
}

#[test]
fn protocol_error_is_the_answer_to_what_is_new() {
    let (server, nas) = site("without_agent = [\"protocol-error\"]", "20s");
    drain(&server);
    let probe = status_server(&nas, 1);
    assert!(nas.reply(&probe, SHORT * 4).is_some(), "that rung isn't configured");
    let reply = nas.ask("alice", 2, SHORT * 4).expect("an answer");
    assert_eq!(reply.code, Code::PROTOCOL_ERROR);
    assert!(reply.starts_with_message_authenticator);
    let said = Packet::parse(&reply.bytes).expect("framed");
    let said = said.peek();
    // RFC 7930 section 4: Original-Packet-Code is Extended-Attribute-1's type 4.
    assert_eq!(said.find(number::EXTENDED_1), Some([4, 0, 0, 0, 1].as_slice()));
    assert_eq!(said.find(number::ERROR_CAUSE), Some(506_u32.to_be_bytes().as_slice()));
    let start = nas.accounting("one", 3);
    nas.send_accounting(&start);
    assert_eq!(nas.reply(&start, SHORT * 4).expect("an answer").code, Code::PROTOCOL_ERROR);
    // A conversation ends where it began.
    let round = nas.access("alice", 4, Some(b"a state"));
    nas.send_access(&round);
    assert_ne!(nas.reply(&round, SHORT * 4).expect("an answer").code, Code::PROTOCOL_ERROR);
    assert_eq!(count(&server, "protocol-error.leaving"), 2);
}

#[test]
fn silence_is_last_and_the_drain_ends_when_nobody_asks_any_more() {
    let (server, nas) = site("without_agent = [\"silence\"]", "12s");
    drain(&server);
    assert_eq!(nas.ask("alice", 1, SHORT * 4).expect("the first half").code, Code::ACCESS_ACCEPT);
    let mut identifier = 1_u8;
    within(Duration::from_secs(15), "the second half meets silence", || {
        identifier = u8::wrapping_add(identifier, 1);
        nas.ask("alice", identifier, SHORT).is_none().then_some(())
    });
    assert_eq!(server.status()["watch"]["state"], "draining");
    assert!(count(&server, "silence.leaving") > 0);
    let probe = status_server(&nas, 200);
    assert!(nas.reply(&probe, SHORT * 2).is_some(), "that rung isn't configured");
    eventually("the drain ends", || (server.status()["watch"]["state"] == "drained").then_some(()));
    let cause = server.status()["watch"]["cause"].clone();
    assert_ne!(cause, "the drain's deadline passed", "before its deadline");
}

#[test]
fn who_isnt_configured_or_has_the_agent_and_was_told_is_answered_as_always() {
    let (server, nas) = site("", "20s");
    drain(&server);
    assert_eq!(nas.ask("alice", 1, SHORT * 4).expect("an answer").code, Code::ACCESS_ACCEPT);
    // With a key, and told in vain: shown as not told, it is led down as if it had none.
    let key = format!("notice_key = \"{NOTICE_KEY}\"\nwithout_agent = [\"protocol-error\"]");
    let (server, nas) = site(&key, "20s");
    drain(&server);
    assert_eq!(nas.ask("alice", 1, SHORT * 4).expect("an answer").code, Code::ACCESS_ACCEPT, "being told");
    let mut identifier = 1_u8;
    within(Duration::from_secs(15), "it is taken for one without the agent", || {
        identifier = u8::wrapping_add(identifier, 1);
        let reply = nas.ask("alice", identifier, SHORT * 2).expect("an answer");
        (reply.code == Code::PROTOCOL_ERROR).then_some(())
    });
    let clients = server.status()["clients"].clone();
    let nas = clients.as_array().expect("clients").iter().find(|one| one["name"] == "nas").cloned();
    assert_eq!(nas.expect("the client")["notice"]["told"], "not-told");
}

#[test]
fn freeradius_in_front_takes_a_server_that_drains_for_dead_and_uses_the_other() {
    let mut hosts = Hosts::claim();
    let (proxy, east, west) = (hosts.host(), hosts.host(), hosts.host());
    let client = format!(
        "[[client]]\nname = \"proxy\"\naddress = \"{proxy}\"\nsecret = \"{SECRET}\"\n\
         without_agent = [\"status-server\", \"silence\"]\n"
    );
    let start = |name: &str, host: IpAddr| {
        let text = config::server(&hosts, name, host, &[], &client);
        Server::start(&text.replace("deadline = \"2s\"", "deadline = \"24s\""))
    };
    let homes = [("east", east), ("west", west)];
    let (east, west) = (start("east", east), start("west", west));
    let freeradius = FreeRadius::in_front_of(proxy, &homes);
    let stream = Stream::start(Plan {
        rate: 20,
        secret: LOCAL_SECRET.to_owned(),
        users: vec![("alice", "wonderland")],
        repeat: Some(Duration::from_secs(3)),
        patience: Duration::from_secs(15),
        ..Plan::through(proxy)
    });
    let accepted = |server: &Server| count(server, "access-accept.password");
    eventually("requests go to the first", || (accepted(&east) > 20).then_some(()));
    assert_eq!(accepted(&west), 0);
    drain(&east);
    within(Duration::from_secs(20), "requests go to the other", || (accepted(&west) > 20).then_some(()));
    assert_eq!(east.status()["watch"]["state"], "draining", "not because it had stopped");
    assert!(freeradius.log().contains("Marking home server"), "{}", freeradius.log());
    eventually("it was probed in vain", || (count(&east, "silence.leaving-status-server") > 0).then_some(()));
    let tally = stream.finish();
    // What it had sent to the silent server in its `response_window`, it rejects by itself and without Message-Authenticator.
    assert!(tally.lost <= 3 * 20 && tally.others == 0, "{tally:?}");
    println!("{tally:?}");
}
