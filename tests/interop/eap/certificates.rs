//! Certificates in policies, those that are enough without an account, and when they run out.

use std::net::SocketAddr;

use forewarn_tests::authority::{Key, Usage};
use forewarn_tests::config::{self, SECRET};
use forewarn_tests::eapol::eapol_test;
use forewarn_tests::{Hosts, Server};

use super::tunnels::Site;

/// "machines", as eapol_test shows attributes whose name it doesn't know.
const MACHINES: &str = "6d616368696e6573";

const POLICIES: &str = r#"
[[policy]]
name = "machines are kept apart"
when = 'user.kind == "machine" && user.source == "certificate"'
reply = { Filter-Id = "machines" }

[[policy]]
name = "only what the house has signed"
when = 'request.certificate.issuer != "CN=authority of a test" || request.certificate.not_after < time.now'
action = "reject"

[[policy]]
name = "not mallory"
when = 'request.certificate.subject == "CN=mallory" && size(request.certificate.serial) > 0'
action = "reject"
"#;

#[test]
fn a_certificate_is_enough_where_that_is_said_and_policies_see_it() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa);
    let eap = site.eap("", "account = \"optional\"") + POLICIES;
    let server = Server::start(&config::server(&hosts, "east", host, &[], &eap));
    let ask = |name: &str| {
        let leaf = site.authority.leaf(name, Usage::Client);
        let peer = site.peer(("TLS", ""), &leaf, "identity=\"anonymous\"\n");
        eapol_test(SocketAddr::new(host, 1812), SECRET, &peer, true)
    };
    let laptop = ask("laptop$");
    assert!(laptop.success && laptop.text.contains(MACHINES), "{}", laptop.text);
    let carol = ask("carol");
    assert!(carol.success && !carol.text.contains(MACHINES), "{}", carol.text);
    let mallory = ask("mallory");
    assert!(mallory.was_refused(), "{}", mallory.text);
    let status = server.status();
    assert_eq!(status["requests"]["access-reject.policy"], 1, "{status}");
    // They are good for two days.
    let certificates = status["certificates"].as_array().cloned().unwrap_or_default();
    let kinds: Vec<_> = certificates.iter().map(|it| it["kind"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["certificate", "client_ca"]);
    let complaints = status["program"]["complaints"].to_string();
    assert!(
        complaints.contains("CN=east.example.org") && complaints.contains("runs out in 1 days"),
        "{status}"
    );
    assert!(server.log().contains("runs out"), "{}", server.log());
}

#[test]
fn what_an_old_device_offers_is_in_the_record() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa);
    let server = Server::start(&config::server(
        &hosts,
        "east",
        host,
        &[],
        &site.eap("", "min_version = \"1.3\"\n[log]\ndecisions = \"rejects\""),
    ));
    let old = "identity=\"alice\"\nphase1=\"tls_disable_tlsv1_3=1\"\n";
    let said = eapol_test(
        SocketAddr::new(host, 1812),
        SECRET,
        &site.peer(("TTLS", "auth=PAP"), &site.alice, old),
        true,
    );
    assert!(!said.success, "{}", said.text);
    server.says("the peer offers TLS 1.2");
}
