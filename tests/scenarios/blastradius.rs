//! CVE-2024-3596 as operators meet it: the report on who would break, and what the agent makes of its servers' replies.

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::radclient::radclient;
use forewarn_tests::{Hosts, Server, eventually};

const SIGNED: &str = "User-Name = alice, User-Password = wonderland, Message-Authenticator = 0x00\n";
const BARE: &str = "User-Name = alice, User-Password = wonderland\n";

#[test]
fn the_report_names_who_would_break_and_the_line_to_change() {
    let mut hosts = Hosts::claim();
    let (host, old, new) = (hosts.host(), hosts.host(), hosts.host());
    let client = |name: &str, address, setting: &str| {
        format!(
            "[[client]]\nname = \"{name}\"\naddress = \"{address}\"\nsecret = \"{SECRET}\"\n\
             require_message_authenticator = \"{setting}\"\n"
        )
    };
    let more = client("old-ap", old, "auto") + &client("new-ap", new, "no");
    let server = Server::start(&config::server(&hosts, "east", host, &[], &more));
    let ask = |from: std::net::IpAddr, attributes: &str| {
        let attributes = format!("Packet-Src-IP-Address = {from}, {attributes}");
        radclient((host, 1812).into(), "auth", SECRET, &attributes, &["-t", "1"])
    };
    assert_eq!(ask(old, BARE).received("Access-Accept"), 1);
    assert_eq!(ask(new, SIGNED).received("Access-Accept"), 1);
    // Of a client that has to send it: dropped.
    assert!(!ask(hosts.host(), BARE).success);

    let status = server.status();
    let of = |name: &str| {
        let clients = status["clients"].as_array().expect("clients");
        clients.iter().find(|client| client["name"] == name).expect("a client").clone()
    };
    assert_eq!(of("old-ap")["readiness"], "would-break");
    assert_eq!(of("old-ap")["without_message_authenticator"], 1);
    assert!(of("old-ap")["without_message_authenticator_at"].as_u64().is_some());
    assert_eq!(of("new-ap")["readiness"], "ready");
    assert_eq!(of("new-ap")["with_message_authenticator"], 1);
    assert_eq!(of("hosts")["readiness"], "dropping");
    assert_eq!(of("loopback")["readiness"], "required");

    let page = String::from_utf8(server.forewarn(&["status", "--blastradius"]).stdout).expect("UTF-8");
    for part in [
        "2 OF 4 CLIENTS OPEN",
        "would break",
        "old-ap",
        "ready",
        "new-ap",
        "server.toml",
        "lose requests now",
    ] {
        assert!(page.contains(part), "{part:?} is missing in\n{page}");
    }
    let ordinary = String::from_utf8(server.forewarn(&["status"]).stdout).expect("UTF-8");
    assert!(ordinary.contains("see forewarn status --blastradius"), "{ordinary}");

    // Once it sends it, it is learnt, kept over a restart, and the page says that it is closed.
    assert_eq!(ask(old, SIGNED).received("Access-Accept"), 1);
    server.says("from now on it is required of it");
    eventually("it is on disk", || {
        server.folder().path().join("state/message-authenticator.learnt").exists().then_some(())
    });
    let config =
        std::fs::read_to_string(server.folder().path().join("server.toml")).expect("its configuration");
    let server = Server::start_in(server.kill(), &config, &[]);
    assert!(!ask(old, BARE).success, "required from the start");
    let clients = server.status()["clients"].clone();
    let clients = clients.as_array().expect("clients");
    let old = clients.iter().find(|client| client["name"] == "old-ap").expect("a client");
    assert_eq!((&old["message_authenticator"], &old["readiness"]), (&"learnt".into(), &"dropping".into()));
}
