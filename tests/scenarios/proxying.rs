//! Realms and their home servers: forewarnd in front of another forewarnd, asked by radclient.

use std::net::IpAddr;

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::radclient::{Said, radclient};
use forewarn_tests::{Hosts, Server};

const HOME_SECRET: &str = SECRET;

struct Scene {
    proxy: Server,
    first: Option<Server>,
    second: Server,
    host: IpAddr,
}

/// A proxy whose realm `example.org` has two home servers that know alice.
fn scene(realm: &str) -> Scene {
    let mut hosts = Hosts::claim();
    let (host, first, second) = (hosts.host(), hosts.host(), hosts.host());
    let more = format!(
        "[[pool]]\nname = \"campus\"\nservers = [\n\
           {{ name = \"first\", address = \"{first}\", secret = \"{HOME_SECRET}\" }},\n\
           {{ name = \"second\", address = \"{second}\", secret = \"{HOME_SECRET}\" }},\n]\n\
         [[realm]]\nmatch = \"example.org\"\npool = \"campus\"\n{realm}\n"
    );
    // Another name than alice's, so that who answered shows.
    let home = |name: &str, address| {
        let users = "[[user]]\nname = \"carol@example.org\"\npassword = \"wonderland\"\n\
                     reply = { Tunnel-Password = \"tunnel secret\", Reply-Message = \"from HOME\" }\n\
                     [[user]]\nname = \"carol\"\npassword = \"wonderland\"\nreply = { Reply-Message = \"stripped\" }\n";
        Server::start(&config::server(&hosts, name, address, &[], &users.replace("HOME", name)))
    };
    let (first, second) = (home("first", first), home("second", second));
    let proxy = Server::start(&config::server(&hosts, "proxy", host, &[], &more));
    Scene { proxy, first: Some(first), second, host }
}

impl Scene {
    fn ask(&self, attributes: &str) -> Said {
        let request = format!("{attributes}, Message-Authenticator = 0x00\n");
        radclient((self.host, 1812).into(), "auth", SECRET, &request, &["-t", "5"])
    }

    fn count(&self, outcome: &str) -> u64 {
        self.proxy.status()["requests"][outcome].as_u64().unwrap_or(0)
    }
}

#[test]
fn a_realm_is_asked_at_home_and_what_is_hidden_arrives() {
    let scene = scene("");
    let said = scene.ask("User-Name = carol@example.org, User-Password = wonderland");
    assert_eq!(said.received("Access-Accept"), 1, "{}", said.text);
    assert!(said.text.contains("Tunnel-Password:0 = \"tunnel secret\""), "{}", said.text);
    assert!(said.text.contains("from first"), "{}", said.text);
    // The Proxy-State of this hop stays on this hop.
    assert!(!said.text.contains("Proxy-State"), "{}", said.text);
    let said = scene.ask("User-Name = carol@EXAMPLE.org, CHAP-Password = wonderland");
    assert_eq!(said.received("Access-Reject"), 1, "the home server tells upper from lower: {}", said.text);
    let said =
        scene.ask("User-Name = carol@example.org, CHAP-Password = wonderland, Proxy-State = 0x6f757273");
    assert_eq!(said.received("Access-Accept"), 1, "{}", said.text);
    assert!(said.text.contains("Proxy-State = 0x6f757273"), "the asker's own comes back: {}", said.text);
    // Who has no realm is this server's own.
    assert_eq!(scene.ask("User-Name = alice, User-Password = wonderland").received("Access-Accept"), 1);
    assert_eq!((scene.count("access-accept.home-server"), scene.count("access-accept.password")), (2, 1));
}

#[test]
fn a_realm_may_be_stripped_on_the_way() {
    let scene = scene("strip = true");
    let said = scene.ask("User-Name = carol@example.org, User-Password = wonderland");
    assert_eq!(said.received("Access-Accept"), 1, "{}", said.text);
    assert!(said.text.contains("stripped"), "{}", said.text);
    let start = "User-Name = carol@example.org, Acct-Status-Type = Start, Acct-Session-Id = one\n";
    let said = radclient((scene.host, 1813).into(), "acct", SECRET, start, &[]);
    assert_eq!(said.received("Accounting-Response"), 1, "{}", said.text);
    assert_eq!(scene.count("accounting-response.home-server"), 1);
}

#[test]
fn a_policy_routes_whoever_calls_from_there() {
    let scene = scene(
        "[[policy]]\nname = \"guests\"\naction = \"route\"\nrealm = \"example.org\"\n\
         when = 'request[\"Called-Station-Id\"].endsWith(\":guest\")'",
    );
    let guest =
        "User-Name = carol, User-Password = wonderland, Called-Station-Id = \"02-00-00-00-00-01:guest\"";
    let said = scene.ask(guest);
    assert_eq!(said.received("Access-Accept"), 1, "{}", said.text);
    assert_eq!(scene.count("access-accept.home-server"), 1);
    assert_eq!(scene.ask("User-Name = alice, User-Password = wonderland").received("Access-Accept"), 1);
    assert_eq!(scene.count("access-accept.password"), 1);
}

#[test]
fn a_home_server_that_dies_costs_no_request() {
    let mut scene = scene("");
    let ask = "User-Name = carol@example.org, User-Password = wonderland";
    assert_eq!(scene.ask(ask).received("Access-Accept"), 1);
    drop(scene.first.take().map(Server::kill));
    let said = scene.ask(ask);
    assert_eq!(said.received("Access-Accept"), 1, "{}", said.text);
    assert!(said.text.contains("from second"), "{}", said.text);
    assert_eq!(scene.second.status()["requests"]["access-accept.password"], 1);
}

#[test]
fn a_realm_without_anybody_at_home_meets_silence_and_not_a_reject() {
    let mut scene = scene("");
    drop(scene.first.take().map(Server::kill));
    drop(std::mem::replace(&mut scene.second, Server::start(&spare())).kill());
    let request = "User-Name = carol@example.org, User-Password = wonderland, Message-Authenticator = 0x00\n";
    let said = radclient((scene.host, 1812).into(), "auth", SECRET, request, &["-t", "2"]);
    assert_eq!(said.received("Access-"), 0, "{}", said.text);
    // The server itself is well all the same.
    assert_eq!(scene.ask("User-Name = alice, User-Password = wonderland").received("Access-Accept"), 1);
}

/// A server to stand where one was.
fn spare() -> String {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    config::server(&hosts, "spare", host, &[], "")
}
