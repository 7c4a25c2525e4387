//! An ordinary day: radclient against forewarnd, straight and through the agent.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use forewarn_tests::address::free_port;
use forewarn_tests::config::{self, LOCAL_SECRET, SECRET};
use forewarn_tests::radclient::radclient;
use forewarn_tests::{Agent, Hosts, Server};

/// radclient 3.2.1 sends Message-Authenticator only when it is told to.
const SIGNED: &str = ", Message-Authenticator = 0x00\n";
const ALICE: &str = "User-Name = alice, User-Password = wonderland, Message-Authenticator = 0x00\n";

/// A way in: straight to a server, or through an agent.
struct Door {
    auth: SocketAddr,
    acct: SocketAddr,
    secret: &'static str,
    _server: Server,
    _agent: Option<Agent>,
}

fn straight() -> Door {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let server = Server::start(&config::server(&hosts, "east", host, &[], ""));
    Door {
        auth: (host, 1812).into(),
        acct: (host, 1813).into(),
        secret: SECRET,
        _server: server,
        _agent: None,
    }
}

fn through_the_agent() -> Door {
    let mut hosts = Hosts::claim();
    let (east, agent) = (hosts.host(), hosts.host());
    let server = Server::start(&config::server(&hosts, "east", east, &[agent], ""));
    let program = Agent::start(&config::agent(agent, &[("east", east)], ""));
    Door {
        auth: (agent, 1812).into(),
        acct: (agent, 1813).into(),
        secret: LOCAL_SECRET,
        _server: server,
        _agent: Some(program),
    }
}

fn over_ipv6() -> Door {
    let mut hosts = Hosts::claim();
    let loopback = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let (auth, acct) = (free_port(loopback), free_port(loopback));
    let more = format!(
        "[[client]]\nname = \"six\"\naddress = \"::1\"\nsecret = \"{SECRET}\"\n\
         [[listen]]\nkind = \"auth\"\ntransport = \"udp\"\naddress = \"[::1]:{auth}\"\n\
         [[listen]]\nkind = \"acct\"\ntransport = \"udp\"\naddress = \"[::1]:{acct}\"\n"
    );
    let host = hosts.host();
    let server = Server::start(&config::server(&hosts, "east", host, &[], &more));
    Door {
        auth: (loopback, auth).into(),
        acct: (loopback, acct).into(),
        secret: SECRET,
        _server: server,
        _agent: None,
    }
}

fn walk_through(door: &Door) {
    let accepted = radclient(door.auth, "auth", door.secret, ALICE, &[]);
    assert!(accepted.success && accepted.received("Access-Accept") == 1, "PAP: {}", accepted.text);
    assert!(accepted.text.contains("Session-Timeout = 3600"), "{}", accepted.text);
    assert!(accepted.text.contains("Reply-Message = \"Hello, alice\""), "{}", accepted.text);

    let slow = radclient(
        door.auth,
        "auth",
        door.secret,
        "User-Name = bob, User-Password = builder, Message-Authenticator = 0x00\n",
        &[],
    );
    assert_eq!(slow.received("Access-Accept"), 1, "PAP against a slow hash: {}", slow.text);

    let chap = radclient(
        door.auth,
        "auth",
        door.secret,
        "User-Name = alice, CHAP-Password = wonderland, Message-Authenticator = 0x00\n",
        &[],
    );
    assert_eq!(chap.received("Access-Accept"), 1, "CHAP: {}", chap.text);

    for (what, attributes) in [
        ("wrong password", "User-Name = alice, User-Password = looking-glass"),
        ("wrong CHAP password", "User-Name = alice, CHAP-Password = looking-glass"),
        ("unknown user", "User-Name = mallory, User-Password = wonderland"),
    ] {
        let asked = Instant::now();
        let rejected = radclient(door.auth, "auth", door.secret, &format!("{attributes}{SIGNED}"), &[]);
        assert_eq!(rejected.received("Access-Reject"), 1, "{what}: {}", rejected.text);
        assert!(asked.elapsed() >= Duration::from_millis(700), "{what}: the reject came at once");
    }

    for (status, more) in
        [("Start", ""), ("Interim-Update", ", Acct-Session-Time = 60"), ("Stop", ", Acct-Session-Time = 90")]
    {
        let attributes = format!(
            "User-Name = alice, Acct-Session-Id = day-1, NAS-Identifier = nas, Acct-Status-Type = {status}{more}\n"
        );
        let answered = radclient(door.acct, "acct", door.secret, &attributes, &[]);
        assert_eq!(answered.received("Accounting-Response"), 1, "{status}: {}", answered.text);
    }

    let alive = radclient(door.auth, "status", door.secret, "Message-Authenticator = 0x00\n", &[]);
    assert_eq!(alive.received("Access-Accept"), 1, "Status-Server, auth: {}", alive.text);
    let alive = radclient(door.acct, "status", door.secret, "Message-Authenticator = 0x00\n", &[]);
    assert_eq!(alive.received("Accounting-Response"), 1, "Status-Server, acct: {}", alive.text);

    let silence = radclient(door.auth, "auth", "not the secret at all", ALICE, &["-t", "1"]);
    assert!(!silence.success && silence.text.contains("No reply"), "wrong secret: {}", silence.text);

    let crowd: String = (0..100).map(|_| format!("{ALICE}\n")).collect();
    let answered = radclient(door.auth, "auth", door.secret, &crowd, &["-p", "100"]);
    assert_eq!(answered.received("Access-Accept"), 100, "100 at once: {}", answered.text);
}

#[test]
fn radclient_is_served_straight() {
    walk_through(&straight());
}

#[test]
fn radclient_is_served_through_the_agent() {
    walk_through(&through_the_agent());
}

#[test]
fn radclient_is_served_over_ipv6() {
    walk_through(&over_ipv6());
}
