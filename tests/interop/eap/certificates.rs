//! Certificates in policies, those that are enough without an account, and when they run out.

use std::net::SocketAddr;
use std::path::Path;

use forewarn_tests::authority::{Key, Leaf, Usage};
use forewarn_tests::config::{self, SECRET};
use forewarn_tests::eapol::eapol_test;
use forewarn_tests::{Hosts, Server, together};

use super::tunnels::{self, Site};

const POLICIES: &str = r#"
[[policy]]
name = "machines are kept apart"
when = 'user.kind == "machine" && user.source == "certificate"'
reply = { Reply-Message = "kept apart" }

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
    assert!(laptop.success && laptop.text.contains("'kept apart'"), "{}", laptop.text);
    let carol = ask("carol");
    assert!(carol.success && !carol.text.contains("'kept apart'"), "{}", carol.text);
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

const MAPPED: &str = r#"
[[user]]
name = "alice@example.org"
password = "unused"
reply = { Reply-Message = "Hello, whole name" }

[[user]]
name = "host/desk.example.org"
password = "unused"
reply = { Reply-Message = "Hello, desk" }
"#;

/// What openssl takes for a userPrincipalName, before it.
const UPN: &str = "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:";

#[test]
fn a_certificates_names_lead_to_an_account() {
    let mut hosts = Hosts::claim();
    let site = Site::new(Key::Ecdsa);
    let [whole, bare, upn, machine] = [(); 4].map(|()| hosts.host());
    let start = |host, tls: &str| {
        Server::start(&config::server(&hosts, "east", host, &[], &(site.eap("", tls) + MAPPED)))
    };
    let _servers = [
        start(whole, "user = [\"san-email\", \"cn\"]"),
        start(bare, "user = [\"san-email\", \"san-upn\"]\nuser_realm = \"strip\""),
        start(upn, "user = [\"san-upn\", \"san-email\"]"),
        start(machine, "user = [\"san-dns\"]\nuser_realm = \"strip\""),
    ];
    let email = "email:alice@example.org";
    let (by_upn, nobody) =
        (format!("{UPN}alice@example.org,email:nobody@example.org"), "email:nobody@example.org");
    let whole_name = Some("Hello, whole name");
    // Server, CN and other names, who the device says it is, whose account it gets.
    let cases = [
        (whole, "4711", email, "anonymous@example.org", whole_name),
        (whole, "4711", email, "alice@example.org", whole_name),
        (whole, "alice", email, "alice", Some("Hello, alice")),
        // What it says of itself is no way to an account that isn't its own.
        (whole, "4711", email, "alice", whole_name),
        (whole, "alice", nobody, "anonymous", None),
        (bare, "4711", email, "anonymous@example.org", Some("Hello, alice")),
        (bare, "4711", &by_upn, "alice", Some("Hello, alice")),
        (bare, "alice", nobody, "nobody@example.org", None),
        (upn, "4711", &by_upn, "anonymous", whole_name),
        (upn, "alice", "DNS:alice", "alice", None),
        (machine, "4711", "DNS:desk.example.org", "host/desk.example.org", Some("Hello, desk")),
        (machine, "desk.example.org", email, "host/desk.example.org", None),
    ];
    let cases = cases.map(|(host, name, more, identity, account)| {
        (host, site.authority.named(name, Usage::Client, more), format!("identity=\"{identity}\"\n"), account)
    });
    together(&cases, |number, (host, leaf, identity, account)| {
        let peer = site.peer(("TLS", ""), leaf, identity);
        let said = eapol_test(SocketAddr::new(*host, 1812), SECRET, &peer, true);
        let hello = account.is_some_and(|hello| said.text.contains(&format!("'{hello}'")));
        let seen = (said.success, said.was_refused(), hello);
        let expected = (account.is_some(), account.is_none(), account.is_some());
        assert_eq!(seen, expected, "{number}: {identity}{account:?}: {}", said.text);
    });
}

const BARRED: &str = r#"
[[user]]
name = "dora"
password = "unused"
groups = ["barred"]

[[policy]]
name = "barred"
when = '"barred" in user.groups'
action = "reject"
"#;

#[test]
fn a_name_that_has_no_account_is_no_way_round_one_that_has() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa);
    let names = "user = [\"cn\", \"san-email\", \"san-dns\"]";
    let eap = site.eap("", &format!("account = \"optional\"\n{names}")) + BARRED + POLICIES;
    let server = Server::start(&config::server(&hosts, "east", host, &[], &eap));
    let dora = site.authority.named("dora", Usage::Client, "email:dora@example.org,DNS:dora.example.org");
    let desk = site.authority.named("desk.example.org", Usage::Client, "DNS:desk.example.org");
    let ask = |leaf: &Leaf, identity: &str| {
        let peer = site.peer(("TLS", ""), leaf, &format!("identity=\"{identity}\"\n"));
        eapol_test(SocketAddr::new(host, 1812), SECRET, &peer, true)
    };
    let said = ["dora", "dora@example.org", "host/dora.example.org", "dora.example.org", "anonymous"];
    together(&said, |_, identity| {
        let ended = ask(&dora, identity);
        assert!(ended.was_refused(), "{identity}: {}", ended.text);
    });
    assert_eq!(server.status()["requests"]["access-reject.policy"], said.len(), "{}", server.log());
    // A machine is one, whatever it calls itself.
    for identity in ["desk.example.org", "host/desk.example.org"] {
        let ended = ask(&desk, identity);
        assert!(ended.success && ended.text.contains("'kept apart'"), "{identity}: {}", ended.text);
    }
}

#[test]
fn an_authority_that_its_issuer_has_revoked_lets_nobody_in() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa);
    let (branch, other) = (site.authority.below("branch"), site.authority.below("other"));
    let (alice, revoked) = (branch.leaf("alice", Usage::Client), branch.leaf("alice", Usage::Client));
    let list = branch.revoke(&[&revoked]);
    let config = |lists: &[&Path]| {
        let shown: Vec<_> = lists.iter().map(|list| format!("{:?}", list.display().to_string())).collect();
        config::server(&hosts, "east", host, &[], &site.eap("", &format!("crl = [{}]", shown.join(", "))))
    };
    let server = Server::start(&config(&[&list]));
    let ask = |leaf: &Leaf, is_13: bool| {
        let lines = format!("identity=\"alice\"\n{}", tunnels::version(is_13));
        eapol_test(SocketAddr::new(host, 1812), SECRET, &site.peer(("TLS", ""), leaf, &lines), true)
    };
    for is_13 in [false, true] {
        let without = ask(&alice, is_13);
        assert!(without.success, "there is no list of who signed the branch: {}", without.text);
        assert!(ask(&revoked, is_13).was_refused());
    }
    for (what, gone, is_in) in [("another's", &other, true), ("its own", &branch, false)] {
        let of_root = site.authority.revoke(&[&gone.own()]);
        server.rewrite(&config(&[&list, &of_root]));
        assert!(server.forewarn(&["reload"]).status.success(), "{}", server.log());
        for is_13 in [false, true] {
            let said = ask(&alice, is_13);
            assert_eq!((said.success, said.was_refused()), (is_in, !is_in), "{what}: {}", said.text);
        }
    }
}
