//! What bad input gets, from outside: the answer, and the counter that moves.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::program::refused;
use forewarn_tests::{Agent, Folder, Hosts, Nas, Server, eventually};
use forewarn_wire::{Code, RadiusKey, RequestAuthenticator, Writer, number};

/// How long silence has to last to count as silence.
const SILENCE: Duration = Duration::from_millis(300);

/// A server and somebody who talks to it, octet by octet.
struct Site {
    hosts: Hosts,
    server: Server,
    address: IpAddr,
    client: UdpSocket,
}

impl Site {
    fn open() -> Site {
        let mut hosts = Hosts::claim();
        let (address, client) = (hosts.host(), hosts.host());
        let server = Server::start(&config::server(&hosts, "east", address, &[], ""));
        let client = UdpSocket::bind((client, 0)).expect("a source port");
        Site { hosts, server, address, client }
    }

    fn nas(&mut self) -> Nas {
        let _ = self.hosts.host();
        Nas::with_secret(self.address, SECRET)
    }

    fn counted(&self, outcome: &str) -> u64 {
        self.server.status()["requests"][outcome].as_u64().unwrap_or(0)
    }

    /// Sends `octets` from `from` to the port; nothing may come back, and `outcome` has to be counted once.
    fn met_with_silence(&self, from: &UdpSocket, port: u16, octets: &[u8], outcome: &str) {
        let before = self.counted(outcome);
        from.send_to(octets, SocketAddr::new(self.address, port)).expect("sent");
        let counted = eventually(outcome, || match self.counted(outcome) {
            counted if counted > before => Some(counted),
            _ => None,
        });
        assert_eq!(counted, before + 1, "{outcome}");
        from.set_read_timeout(Some(SILENCE)).expect("a time-out");
        assert!(from.recv_from(&mut [0; 4096]).is_err(), "{outcome}: answered");
    }
}

fn key(secret: &str) -> RadiusKey {
    RadiusKey::new(secret.as_bytes()).expect("a secret")
}

/// An Access-Request of `attributes`, with a Message-Authenticator by `secret`.
fn access(secret: &str, attributes: &[(u8, &[u8])]) -> Vec<u8> {
    request(secret, Code::ACCESS_REQUEST, true, attributes, RequestAuthenticator::Chosen([7; 16]))
}

fn request(
    secret: &str,
    code: Code,
    signed: bool,
    attributes: &[(u8, &[u8])],
    authenticator: RequestAuthenticator,
) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer, code, 9);
    if signed {
        writer.message_authenticator().expect("room");
    }
    for (number, value) in attributes {
        writer.attribute(*number, value).expect("room");
    }
    writer.request(&key(secret), authenticator).expect("room").to_vec()
}

/// A packet that the codec refuses to write, octet by octet.
fn unsigned(code: Code, attributes: &[(u8, &[u8])]) -> Vec<u8> {
    let mut packet = vec![code.0, 9, 0, 0];
    packet.extend([7; 16]);
    for (number, value) in attributes {
        packet.extend([*number, value.len() as u8 + 2]);
        packet.extend(*value);
    }
    packet[3] = packet.len() as u8;
    packet
}

#[test]
fn malformed_packets_get_silence_and_are_counted_by_kind() {
    let site = Site::open();
    let good = access(SECRET, &[(number::USER_NAME, b"alice")]);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        packet
    };
    for (packet, outcome) in [
        (vec![], "silence.too-short"),
        (vec![1], "silence.too-short"),
        (good[..19].to_vec(), "silence.too-short"),
        (with(&|p| p[3] = 19), "silence.bad-length"),
        (with(&|p| p[3] += 1), "silence.bad-length"),
        (with(&|p| p[2] = 0x20), "silence.bad-length"),
        (good[..good.len() - 1].to_vec(), "silence.bad-length"),
        (with(&|p| p[21] = 0), "silence.bad-attribute-length"),
        (with(&|p| p[21] = 1), "silence.bad-attribute-length"),
        (with(&|p| p[21] = 255), "silence.bad-attribute-length"),
    ] {
        site.met_with_silence(&site.client, 1812, &packet, outcome);
    }
}

#[test]
fn strangers_get_silence_and_are_listed() {
    let site = Site::open();
    let stranger = UdpSocket::bind("127.0.0.2:0").expect("a source port");
    let packet = access(SECRET, &[(number::USER_NAME, b"alice")]);
    site.met_with_silence(&stranger, 1812, &packet, "silence.unknown-client");
    assert_eq!(site.server.status()["strangers"][0], "127.0.0.2");
    site.server.says("127.0.0.2");
}

#[test]
fn a_wrong_secret_gets_silence_and_after_a_while_a_line() {
    let site = Site::open();
    let access = access("another secret altogether", &[(number::USER_NAME, b"alice")]);
    site.met_with_silence(&site.client, 1812, &access, "silence.wrong-message-authenticator");
    let record: &[(u8, &[u8])] =
        &[(number::ACCT_STATUS_TYPE, &[0, 0, 0, 1]), (number::ACCT_SESSION_ID, b"wrong-secret")];
    let accounting = request(
        "another secret altogether",
        Code::ACCOUNTING_REQUEST,
        false,
        record,
        RequestAuthenticator::Computed,
    );
    site.met_with_silence(&site.client, 1813, &accounting, "silence.wrong-authenticator");
    for _ in 0..8 {
        site.client.send_to(&access, SocketAddr::new(site.address, 1812)).expect("sent");
    }
    let line = eventually("a line about the secret", || {
        site.server.log().lines().find(|line| line.contains("secret")).map(str::to_owned)
    });
    assert!(line.contains("hosts"), "it names the client: {line}");
    assert!(!line.contains(SECRET), "it shows the secret: {line}");
}

#[test]
fn requests_that_lack_a_message_authenticator_get_silence() {
    let site = Site::open();
    let eap: &[(u8, &[u8])] = &[
        (number::USER_NAME, b"alice"),
        (number::EAP_MESSAGE, &[2, 1, 0, 10, 1, b'a', b'l', b'i', b'c', b'e']),
    ];
    for (attributes, outcome) in
        [(eap, "silence.eap-without-message-authenticator"), (&eap[..1], "silence.no-message-authenticator")]
    {
        site.met_with_silence(&site.client, 1812, &unsigned(Code::ACCESS_REQUEST, attributes), outcome);
    }
    // The line says which setting did it.
    site.server.says("require_message_authenticator");
}

#[test]
fn unknown_codes_get_silence() {
    let site = Site::open();
    for (port, code) in [(1812, 99), (1812, 2), (1812, 0), (1812, 4), (1813, 1), (1813, 5), (1812, 43)] {
        let packet = unsigned(Code(code), &[(number::USER_NAME, b"alice")]);
        site.met_with_silence(&site.client, port, &packet, "silence.unknown-code");
    }
}

#[test]
fn duplicates_get_the_same_octets_again() {
    let mut site = Site::open();
    let nas = site.nas();
    let request = nas.access("alice", 17, None);
    nas.send_access(&request);
    let first = nas.reply(&request, Duration::from_secs(5)).expect("an answer");
    assert_eq!(first.code, Code::ACCESS_ACCEPT);
    assert!(first.starts_with_message_authenticator);
    for times in 1..=3 {
        nas.send_access(&request);
        let again = nas.reply(&request, Duration::from_secs(5)).expect("the answer again");
        assert_eq!(again.bytes, first.bytes);
        assert_eq!(
            eventually("counted", || Some(site.counted("repeated.duplicate")).filter(|n| *n >= times)),
            times
        );
    }
    // The same identifier with another authenticator is another request.
    assert_eq!(nas.ask("alice", 17, Duration::from_secs(5)).expect("an answer").code, Code::ACCESS_ACCEPT);
    assert_eq!(site.counted("access-accept.password"), 2);
}

#[test]
fn names_with_escapes_are_data() {
    let mut site = Site::open();
    let nas = site.nas();
    let names = [
        "'; DROP TABLE radacct; --",
        "\u{1b}[2J\u{1b}[31mroot\nlogin ok",
        "*)(uid=*))(|(uid=*",
        "%s%n\0\u{202e}",
    ];
    for (identifier, name) in (1..).zip(names) {
        let reply = nas.ask(name, identifier, Duration::from_secs(5)).expect("a reject");
        assert_eq!(reply.code, Code::ACCESS_REJECT, "{name:?}");
        let record = nas.accounting(name, identifier);
        nas.send_accounting(&record);
        assert!(nas.reply(&record, Duration::from_secs(5)).is_some(), "{name:?}");
    }
    let log = site.server.log();
    assert!(!log.contains('\u{1b}') && !log.contains('\u{202e}') && !log.contains('\0'), "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with("login ok")), "{log}");
    let databases = std::fs::read_dir(site.server.folder().path().join("state")).expect("a state folder");
    let database = databases
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "sqlite" || extension == "db"))
        .expect("a database");
    let database = rusqlite::Connection::open(database).expect("a database");
    let mut rows = database.prepare("SELECT username FROM radacct").expect("the table is still there");
    let stored: Vec<String> =
        rows.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a name")).collect();
    // As FreeRADIUS writes them.
    for name in [
        "=27=3B DROP TABLE radacct=3B --",
        "=5C033=5B2J=5C033=5B31mroot=5Cnlogin ok",
        "=2A=29=28uid=3D=2A=29=29=28=7C=28uid=3D=2A",
    ] {
        assert!(stored.iter().any(|stored| stored == name), "{name:?} in {stored:?}");
    }
}

#[test]
fn a_wrong_configuration_is_refused_whole_and_the_running_one_stays() {
    let mut hosts = Hosts::claim();
    let address = hosts.host();
    let good = config::server(&hosts, "east", address, &[], "");
    let server = Server::start(&good);
    let bad = good
        .replace("interval = \"50ms\"", "interval = 50")
        .replace("password = \"wonderland\"", "pasword = 1");
    server.rewrite(&bad);

    let checked = server.forewarn(&["check", "server.toml"]);
    let said =
        String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    let line_of = |text: &str| bad.lines().position(|line| line.contains(text)).expect("the line") + 1;
    for line in [line_of("interval = 50"), line_of("pasword")] {
        assert!(said.contains(&format!("server.toml:{line}:")), "line {line} in:\n{said}");
    }
    assert!(said.contains("did you mean `password`?"), "{said}");

    assert!(!server.forewarn(&["reload"]).status.success());
    assert_eq!(server.status()["program"]["name"], "east");
    let nas = Nas::with_secret(address, SECRET);
    assert_eq!(nas.ask("alice", 1, Duration::from_secs(5)).expect("an answer").code, Code::ACCESS_ACCEPT);

    server.rewrite(&good.replace("Hello, alice", "Hello again"));
    let reloaded = server.forewarn(&["reload"]);
    assert!(reloaded.status.success(), "{}", String::from_utf8_lossy(&reloaded.stderr));
    let reply = nas.ask("alice", 2, Duration::from_secs(5)).expect("an answer");
    assert!(reply.bytes.windows(11).any(|window| window == b"Hello again"));
}

#[test]
fn a_second_instance_is_refused_and_told_who_is_there() {
    let mut hosts = Hosts::claim();
    let (east, agent) = (hosts.host(), hosts.host());
    let server_file = config::server(&hosts, "east", east, &[agent], "");
    let agent_file = config::agent(agent, &[("east", east)], "");
    let server = Server::start(&server_file);
    let program = Agent::start(&agent_file);
    let elsewhere = Folder::new();
    let instances = [
        ("forewarnd", server.folder().path().join("server.toml"), server.pid(), "the state folder"),
        ("forewarnd", elsewhere.write("server.toml", &server_file), server.pid(), "the sockets"),
        ("forewarn-agent", program.folder().path().join("agent.toml"), program.pid(), "the state folder"),
        ("forewarn-agent", elsewhere.write("agent.toml", &agent_file), program.pid(), "the sockets"),
    ];
    for (name, file, holder, what) in instances {
        let output = refused(name, &file);
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}, {what}: {said}");
        assert!(said.contains(&format!("process {holder}")), "{name}, {what}: {said}");
    }
    assert_eq!(server.status()["program"]["pid"], server.pid());
    assert_eq!(program.status()["program"]["pid"], program.pid());
}

#[test]
fn on_a_full_disk_accounting_is_not_answered_until_there_is_room() {
    let mut hosts = Hosts::claim();
    let (east, nas) = (hosts.host(), hosts.host());
    let server = Server::start(&config::server(&hosts, "east", east, &[], ""));
    let nas = UdpSocket::bind((nas, 0)).expect("a source port");
    nas.set_read_timeout(Some(SILENCE)).expect("a time-out");
    let ask = |octets: &[u8]| {
        nas.send_to(octets, SocketAddr::new(east, 1813)).expect("sent");
        nas.recv_from(&mut [0; 4096]).is_ok()
    };
    let start = |number: u32| {
        let session = format!("session-{number}");
        let attributes: [(u8, &[u8]); 2] =
            [(number::ACCT_STATUS_TYPE, &[0, 0, 0, 1]), (number::ACCT_SESSION_ID, session.as_bytes())];
        request(SECRET, Code::ACCOUNTING_REQUEST, false, &attributes, RequestAuthenticator::Computed)
    };
    assert!(ask(&start(1)));
    server.let_files_grow_to("16384");
    for _ in 0..5 {
        assert!(!ask(&start(2)), "there is no room");
    }
    assert_eq!(server.status()["requests"]["silence.not-stored"], 5);
    assert!(server.log().contains("not answered until it can"), "{}", server.log());
    server.let_files_grow_to("unlimited");
    eventually("accounting is answered again", || ask(&start(2)).then_some(()));
}

#[test]
fn without_raw_sockets_notices_go_by_udp_and_that_is_said() {
    let mut hosts = Hosts::claim();
    let (east, west, agent) = (hosts.host(), hosts.host(), hosts.host());
    let server = Server::start_without_raw(&config::server(&hosts, "east", east, &[agent], ""));
    let _west = Server::start(&config::server(&hosts, "west", west, &[agent], ""));
    let agent = Agent::start_without_raw(&config::agent(agent, &[("east", east), ("west", west)], ""));
    for (program, log) in
        [("forewarnd", server.says("CAP_NET_RAW")), ("forewarn-agent", agent.says("CAP_NET_RAW"))]
    {
        let lines = log.lines().filter(|line| line.contains("CAP_NET_RAW")).count();
        assert_eq!(lines, 1, "{program} says once how to grant it:\n{log}");
    }
    assert!(server.status()["program"]["complaints"].to_string().contains("CAP_NET_RAW"));
    eventually("the agent begins with its first server", || {
        (agent.status()["current"] == "east").then_some(())
    });
    let drained = server.forewarn(&["drain", "--wait"]);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    eventually("the traffic moves", || (agent.status()["current"] == "west").then_some(()));
    assert_eq!(agent.status()["last_switch"]["cause"], "notice");
}
