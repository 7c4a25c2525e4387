//! Chargeable-User-Identity (RFC 4372): for who asks for one, by which an anonymous user's sessions are put together.

use std::net::SocketAddr;

use forewarn_tests::authority::Key;
use forewarn_tests::config::{self, SECRET};
use forewarn_tests::eapol::eapol_test_with;
use forewarn_tests::{Hosts, Server};

use super::tunnels::Site;

/// Asked for, by one octet of nothing, and by whom (RFC 5580 section 4.1).
const ASKED: &str = "89";
const OPERATOR: &str = "126:s:1house.example";
const OTHER: &str = "126:s:1street.example";

const USER_NAME: u8 = 1;
const CHARGEABLE: u8 = 89;

const MORE: &str = r#"
[[user]]
name = "dora"
password = "wonderland"

[cui]
key = "3c1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f2"
"#;

#[test]
fn an_anonymous_user_is_somebody_to_who_asks() {
    let mut hosts = Hosts::claim();
    let (east, west) = (hosts.host(), hosts.host());
    let site = Site::new(Key::Ecdsa);
    let eap = site.eap("", "") + MORE;
    let start = |name, host| Server::start(&config::server(&hosts, name, host, &[], &eap));
    let _servers = [start("east", east), start("west", west)];
    let ask = |host, method, lines: &str, attributes: &[&str]| {
        let peer = site.peer(method, &site.alice, lines);
        let said = eapol_test_with(SocketAddr::new(host, 1812), SECRET, &peer, attributes);
        assert!(said.success, "{peer}{}", said.text);
        let who = said.accepted_with(CHARGEABLE).map(str::to_owned);
        (who, said.accepted_with(USER_NAME).is_some())
    };
    let alice = "identity=\"alice\"\nanonymous_identity=\"@example.org\"\n";
    let password = ("PEAP", "auth=MSCHAPV2");
    let (who, is_named) = ask(east, password, alice, &[ASKED, OPERATOR]);
    assert!(who.as_ref().is_some_and(|who| who.len() >= 32) && !is_named, "{who:?}");
    let known = who.as_deref().unwrap_or_default();
    for plain in ["alice", "house.example"] {
        let digits: String = plain.bytes().map(|octet| format!("{octet:02x}")).collect();
        assert!(!known.contains(&digits), "{known}");
    }
    // The same by another way, on another server, and whatever they call themselves outside.
    let elsewhere = "identity=\"alice\"\nanonymous_identity=\"nobody@example.org\"\n";
    for (host, method, lines) in [
        (west, password, alice),
        (east, ("TTLS", "auth=PAP"), elsewhere),
        (west, ("TLS", ""), "identity=\"alice\"\n"),
    ] {
        assert_eq!(ask(host, method, lines, &[ASKED, OPERATOR]).0, who, "{method:?}");
    }
    // Another to another operator, as is another user.
    let dora = "identity=\"dora\"\nanonymous_identity=\"@example.org\"\n";
    let others =
        [ask(east, password, alice, &[ASKED, OTHER]).0, ask(east, password, dora, &[ASKED, OPERATOR]).0];
    assert!(
        others.iter().all(|other| other.is_some() && *other != who) && others[0] != others[1],
        "{others:?}"
    );
    // Who doesn't ask is told as always.
    assert_eq!(ask(east, password, alice, &[OPERATOR]).0, None);
}
