//! Sessions are ended and changed at their NAS (RFC 5176): by `forewarn disconnect` and `forewarn coa`, straight and
//! through the agent, and by radclient through the agent.

use std::net::{IpAddr, SocketAddr};
use std::process::Output;
use std::time::{SystemTime, UNIX_EPOCH};

use forewarn_tests::config::{self, LOCAL_SECRET, SECRET};
use forewarn_tests::dynauth::Does;
use forewarn_tests::postgres::Stop;
use forewarn_tests::radclient::radclient;
use forewarn_tests::{Agent, CoaNas, Hosts, Postgres, Server, eventually};
use forewarn_wire::{Code, number};
use serde_json::Value;

/// A server, and a NAS with live sessions that accounting has told of.
struct Site {
    server: Server,
    host: IpAddr,
    nas: IpAddr,
}

impl Site {
    fn new() -> Site {
        Site::with(Hosts::claim(), "")
    }

    fn with(mut hosts: Hosts, more: &str) -> Site {
        let (host, nas) = (hosts.host(), hosts.host());
        let server = Server::start(&config::server(&hosts, "east", host, &[], more));
        Site { server, host, nas }
    }

    /// A session begins at the NAS, or ends.
    fn session(&self, status: &str, user: &str, id: &str) {
        let attributes = format!(
            "User-Name = \"{user}\", Acct-Session-Id = \"{id}\", NAS-IP-Address = {}, \
             Calling-Station-Id = \"00-11-22-33-44-55\", Framed-IP-Address = 10.0.0.7, \
             Acct-Status-Type = {status}\n",
            self.nas
        );
        let answered = radclient((self.host, 1813).into(), "acct", SECRET, &attributes, &[]);
        assert_eq!(answered.received("Accounting-Response"), 1, "{}", answered.text);
    }

    fn asked(&self, arguments: &[&str]) -> Said {
        Said::of(&self.server.forewarn(arguments))
    }
}

/// What the operator's tool said.
#[derive(Debug)]
struct Said {
    done: bool,
    text: String,
}

impl Said {
    fn of(output: &Output) -> Said {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Said { done: output.status.success(), text }
    }

    #[track_caller]
    fn holds(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.text.contains(part), "{part:?} is missing in\n{}", self.text);
        }
    }
}

#[test]
fn the_sessions_of_a_user_end_one_by_one() {
    let site = Site::new();
    let nas = CoaNas::start(site.nas, SECRET);
    for (user, id) in [("alice", "4D2"), ("alice", "4D3"), ("bob", "4D4")] {
        site.session("Start", user, id);
    }
    site.session("Start", "alice", "over");
    site.session("Stop", "alice", "over");

    let said = site.asked(&["disconnect", "--user", "alice"]);
    assert!(said.done, "{}", said.text);
    said.holds(&[
        "1/2  alice, session 4D2 at hosts (",
        "2/2  alice, session 4D3",
        "done: the session has ended",
        "2 sessions ended",
    ]);
    let asked = nas.diary();
    assert_eq!(asked.iter().map(|one| one.text(number::ACCT_SESSION_ID)).collect::<Vec<_>>(), ["4D2", "4D3"]);
    for one in &asked {
        assert_eq!((one.code(), one.from.ip()), (Code::DISCONNECT_REQUEST, site.host), "from the identity");
        assert_eq!(one.numbers()[..2], [number::MESSAGE_AUTHENTICATOR, number::EVENT_TIMESTAMP]);
        assert_eq!(one.text(number::USER_NAME), "alice");
        assert_eq!(one.text(number::CALLING_STATION_ID), "00-11-22-33-44-55");
        assert_eq!(one.find(number::NAS_IP_ADDRESS).map(|octets| octets.len()), Some(4));
    }
    let counters = &site.server.status()["counters"];
    assert_eq!((&counters["coa.requests"], &counters["coa.acks"]), (&2.into(), &2.into()));
    site.server.says("Disconnect-Request for user \"alice\", session \"4D2\"");
}

#[test]
fn a_session_is_found_by_what_it_has_and_changed() {
    let site = Site::new();
    let nas = CoaNas::start(site.nas, SECRET);
    site.session("Start", "alice", "4D2");
    for whose in [["--session", "4D2"], ["--attribute", "Framed-IP-Address = 10.0.0.7"]] {
        let set = ["--set", "Session-Timeout = 600", "--set", "Filter-Id = \"guests\""];
        let said = site.asked(&[&["coa"][..], &whose, &set].concat());
        assert!(said.done, "{}", said.text);
        said.holds(&["1 session changed"]);
        let last = nas.diary().pop().expect("it was asked");
        assert_eq!(last.code(), Code::COA_REQUEST);
        assert_eq!(last.find(number::SESSION_TIMEOUT), Some(600_u32.to_be_bytes().to_vec()));
        assert_eq!(
            (last.text(number::FILTER_ID), last.text(number::USER_NAME)),
            ("guests".into(), "alice".into())
        );
    }
    let wrong = site.asked(&["coa", "--user", "alice", "--set", "Sesion-Timeout = 600"]);
    assert!(!wrong.done);
    wrong.holds(&["did you mean Session-Timeout?"]);
    let nobody = site.asked(&["disconnect", "--user", "carol"]);
    assert!(!nobody.done);
    nobody.holds(&["no live session matches", "--nas"]);
    assert_eq!(nas.diary().len(), 2);
}

#[test]
fn sessions_are_found_in_postgresql_too_and_a_nas_without_it() {
    let mut hosts = Hosts::claim();
    let mut database = Postgres::with_schema(hosts.host());
    let site = Site::with(hosts, &database.section());
    let nas = CoaNas::start(site.nas, SECRET);
    site.session("Start", "al'ice", "4D2");
    site.session("Start", "bob", "4D3");
    eventually("both are in the table", || {
        (database.count("SELECT count(*) FROM radacct") == 2).then_some(())
    });
    for whose in [["--user", "al'ice"], ["--session", "4D2"]] {
        let said = site.asked(&[&["disconnect"][..], &whose].concat());
        assert!(said.done, "{}", said.text);
        said.holds(&["al'ice, session 4D2 at hosts", "1 session ended"]);
    }
    let both = site.asked(&["disconnect", "--attribute", "Framed-IP-Address = 10.0.0.7"]);
    both.holds(&["2 sessions ended"]);
    assert_eq!(nas.diary().len(), 4);

    database.stop(Stop::Immediate);
    let away = site.asked(&["disconnect", "--user", "bob"]);
    assert!(!away.done);
    away.holds(&["can't be read", "add --nas NAME"]);
    let straight = site.asked(&["disconnect", "--nas", &site.nas.to_string(), "--user", "bob"]);
    assert!(straight.done, "{}", straight.text);
}

#[test]
fn a_refusal_has_the_rfcs_name_and_what_to_do() {
    let site = Site::new();
    let nas = CoaNas::start(site.nas, SECRET);
    nas.script(|asked| match asked.text(number::ACCT_SESSION_ID).as_str() {
        "gone" => Does::Refuse(503),
        _ => Does::It,
    });
    site.session("Start", "alice", "gone");
    site.session("Start", "alice", "here");
    let said = site.asked(&["disconnect", "--user", "alice"]);
    assert!(!said.done, "not all of them ended");
    said.holds(&[
        "refused: 503 Session Context Not Found",
        "accounting Stop is late or lost",
        "1 of 2 sessions ended",
    ]);

    nas.script(|_| Does::Refuse(403));
    let output = site.server.forewarn(&["disconnect", "--session", "here", "--json"]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let first: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    let result = &first["result"];
    assert_eq!((&first["reply"], &result["outcome"]), (&"session".into(), &"nak".into()));
    assert_eq!((&result["error_cause"], &result["nas"]), (&403.into(), &"hosts".into()));
    assert_eq!(result["error_name"], "NAS Identification Mismatch");
    assert!(result["advice"].as_str().is_some_and(|advice| advice.contains("--without NAS-IP-Address")));
}

#[test]
fn a_nas_is_asked_straight_without_any_table() {
    let site = Site::new();
    let nas = CoaNas::start(site.nas, SECRET);
    let address = site.nas.to_string();
    let straight = ["--nas", &address, "--attribute", "NAS-Port = 3"];
    let said = site.asked(&[&["disconnect"][..], &straight, &["--session", "4D2"]].concat());
    assert!(said.done, "{}", said.text);
    let asked = nas.diary().pop().expect("it was asked");
    let expected =
        [number::MESSAGE_AUTHENTICATOR, number::EVENT_TIMESTAMP, number::ACCT_SESSION_ID, number::NAS_PORT];
    assert_eq!(asked.numbers(), expected, "nothing but what was said");
    let network = site.asked(&["disconnect", "--nas", "hosts", "--user", "alice"]);
    assert!(!network.done);
    network.holds(&["give the address of the device"]);
    let stranger = site.asked(&["disconnect", "--nas", "192.0.2.1", "--user", "alice"]);
    stranger.holds(&["no [[client]] has the address"]);
    assert!(!site.asked(&["disconnect", "--nas", &address]).done, "whose session?");
}

#[test]
fn silence_is_said_plainly_with_what_was_heard() {
    let site = Site::new();
    let address = site.nas.to_string();
    let straight = ["disconnect", "--nas", &address, "--user", "alice", "--timeout", "1s"];
    let unreachable = site.asked(&straight);
    assert!(!unreachable.done);
    unreachable.holds(&["no answer in ", "nothing listens at", "coa_port"]);

    let nas = CoaNas::start(site.nas, SECRET);
    nas.script(|_| Does::Nothing);
    site.asked(&straight).holds(&[
        "hasn't answered yet: asking again, 2 of 5",
        "has the same secret",
        "UDP port 3799",
    ]);
    let tries = nas.diary();
    assert!(
        tries.len() >= 2 && tries.windows(2).all(|pair| pair[0].bytes == pair[1].bytes),
        "the same again"
    );
    nas.script(|_| Does::ItUnsigned);
    site.asked(&straight)
        .holds(&["without Message-Authenticator", "coa_require_message_authenticator = \"no\""]);

    let before = nas.diary().len();
    site.session("Start", "alice", "1");
    site.session("Start", "alice", "2");
    nas.script(|_| Does::Nothing);
    let both = site.asked(&["disconnect", "--user", "alice", "--timeout", "300ms"]);
    both.holds(&[
        "1/2",
        "no answer",
        "2/2",
        "not asked: its NAS hasn't answered for another session",
        "0 of 2",
    ]);
    assert!(nas.diary()[before..].iter().all(|one| one.text(number::ACCT_SESSION_ID) == "1"));
}

#[test]
fn a_client_has_a_port_and_a_secret_of_its_own_for_this() {
    let mut hosts = Hosts::claim();
    let (host, nas) = (hosts.host(), hosts.host());
    let more = format!(
        "[[client]]\nname = \"ap\"\naddress = \"{nas}\"\nsecret = \"{SECRET}\"\ncoa_secret = \"another secret for this\"\n\
         coa_require_message_authenticator = \"no\"\n"
    );
    let server = Server::start(&config::server(&hosts, "east", host, &[], &more));
    let device = CoaNas::start(nas, "another secret for this");
    device.script(|_| Does::ItUnsigned);
    let said = Said::of(&server.forewarn(&["disconnect", "--nas", "ap", "--user", "alice"]));
    assert!(said.done, "{}", said.text);
    assert_eq!((device.diary().len(), device.forged()), (1, 0));
}

/// An agent with a door for CoA between a server and its NAS software.
struct Relayed {
    server: Server,
    agent: Agent,
    software: CoaNas,
    east: IpAddr,
    door: SocketAddr,
}

impl Relayed {
    fn new() -> Relayed {
        let mut hosts = Hosts::claim();
        let (east, device, software) = (hosts.host(), hosts.host(), hosts.host());
        let server = Server::start(&config::server(&hosts, "east", east, &[device], ""));
        let software = CoaNas::start(software, LOCAL_SECRET);
        let more = format!(
            "[[listen]]\nkind = \"coa\"\nnas = \"{}\"\nsecret = \"{LOCAL_SECRET}\"\n",
            software.address()
        );
        let agent = Agent::start(&config::agent(device, &[("east", east)], &more));
        Relayed { server, agent, software, east, door: SocketAddr::new(device, 3799) }
    }

    fn count(&self, name: &str) -> u64 {
        self.agent.status()["counters"][name].as_u64().unwrap_or(0)
    }

    /// radclient, as if it ran at the server.
    fn radclient(&self, kind: &str, secret: &str, more: &str) -> forewarn_tests::radclient::Said {
        let attributes = format!("Packet-Src-IP-Address = {}, User-Name = alice{more}\n", self.east);
        radclient(self.door, kind, secret, &attributes, &["-t", "1"])
    }
}

#[test]
fn the_agent_hands_it_to_the_nas_software_and_brings_the_answer() {
    let site = Relayed::new();
    let said = Said::of(&site.server.forewarn(&[
        "coa",
        "--nas",
        "agent-0",
        "--session",
        "4D2",
        "--set",
        "Session-Timeout = 600",
    ]));
    assert!(said.done, "{}", said.text);
    let asked = site.software.diary().pop().expect("the NAS software was asked");
    assert_eq!((asked.code(), asked.text(number::ACCT_SESSION_ID)), (Code::COA_REQUEST, "4D2".into()));
    assert_eq!(asked.find(number::SESSION_TIMEOUT), Some(600_u32.to_be_bytes().to_vec()));
    assert_eq!(asked.numbers()[0], number::MESSAGE_AUTHENTICATOR);
    site.software.script(|_| Does::Refuse(501));
    let refused = Said::of(&site.server.forewarn(&["disconnect", "--nas", "agent-0", "--user", "alice"]));
    refused.holds(&["refused: 501 Administratively Prohibited"]);
    assert_eq!((site.count("coa.handed-over"), site.count("coa.acks"), site.count("coa.naks")), (2, 1, 1));

    site.software.script(|_| Does::Nothing);
    let before = site.software.diary().len();
    let silent = Said::of(&site.server.forewarn(&[
        "disconnect",
        "--nas",
        "agent-0",
        "--user",
        "alice",
        "--timeout",
        "1s",
    ]));
    silent.holds(&["no answer in "]);
    assert!(site.count("coa.handed-over-again") >= 1, "the server's retransmission goes on");
    let tries = &site.software.diary()[before..];
    assert!(tries.len() >= 2 && tries.windows(2).all(|pair| pair[0].bytes == pair[1].bytes));
}

#[test]
fn radclient_is_served_by_the_agent_as_a_server_would_be() {
    let site = Relayed::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let signed = |at: u64| format!(", Event-Timestamp = {at}, Message-Authenticator = 0x00");

    let ended = site.radclient("disconnect", SECRET, &format!("{}, Proxy-State = 0x6f6e65", signed(now)));
    assert_eq!(ended.received("Disconnect-ACK"), 1, "{}", ended.text);
    assert!(ended.text.contains("Proxy-State = 0x6f6e65"), "{}", ended.text);
    site.software.script(|_| Does::Refuse(507));
    let begun = site.radclient("coa", SECRET, &signed(now));
    assert_eq!(begun.received("CoA-NAK"), 1, "{}", begun.text);
    assert!(begun.text.contains("Error-Cause = Request-Initiated"), "{}", begun.text);

    let asked = site.software.diary().len();
    for (secret, more, counter) in [
        ("not the secret at all", signed(now), "coa.forged"),
        (SECRET, signed(now - 302), "coa.stale"),
        (SECRET, ", Message-Authenticator = 0x00".to_owned(), "coa.no-event-timestamp"),
        (SECRET, format!(", Event-Timestamp = {now}"), "coa.no-message-authenticator"),
    ] {
        let silence = site.radclient("disconnect", secret, &more);
        assert!(silence.text.contains("No reply"), "{counter}: {}", silence.text);
        eventually(counter, || (site.count(counter) >= 1).then_some(()));
    }
    let attributes = format!("User-Name = alice{}\n", signed(now));
    let stranger = radclient(site.door, "disconnect", SECRET, &attributes, &["-t", "1"]);
    assert!(stranger.text.contains("No reply"), "{}", stranger.text);
    eventually("a stranger", || (site.count("coa.unknown-server") >= 1).then_some(()));
    assert_eq!(site.software.diary().len(), asked, "the NAS software heard nothing of it");
    site.agent.says("without Event-Timestamp");
}
