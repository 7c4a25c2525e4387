//! The methods that need no tunnel.

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::eapol::eapol_test;
use forewarn_tests::{Hosts, Server, together};

const EAP: &str = r#"
[eap]
methods = ["mschapv2", "gtc", "md5"]

[[user]]
name = "nt"
nt_hash = "0xf3d0376250a3f6bc1b00a6cb5f3e03a6"

[[user]]
name = "slow"
password_hash = "$2b$10$abcdefghijklmnopqrstuuwmjOOgyx/jknFqeF8sHrF2cGgSECl/q"

[[user]]
name = "guest"
password = "wonderland"
groups = ["guests"]

[[policy]]
name = "no guests"
when = '"guests" in user.groups && request.method == "eap-mschapv2"'
action = "reject"
"#;

fn peer(method: &str, name: &str, password: &str) -> String {
    format!("eap={method}\nidentity=\"{name}\"\npassword=\"{password}\"")
}

#[test]
fn each_method_lets_in_who_is_right_and_nobody_else() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let _server = Server::start(&config::server(&hosts, "east", host, &[], EAP));
    let auth = (host, 1812).into();
    let cases = [
        ("MSCHAPV2", "alice", "wonderland", true),
        ("GTC", "alice", "wonderland", true),
        ("MD5", "alice", "wonderland", true),
        ("MSCHAPV2", "alice", "wonderlamp", false),
        ("GTC", "alice", "wonderlamp", false),
        ("MD5", "alice", "wonderlamp", false),
        ("MSCHAPV2", "nobody", "wonderland", false),
        ("GTC", "nobody", "wonderland", false),
        ("MD5", "nobody", "wonderland", false),
        ("GTC", "slow", "wonderland", true),
        // MSCHAPv2 is offered first, and a hash that isn't NT's is of no use to it.
        ("MSCHAPV2", "slow", "wonderland", false),
        ("GTC", "guest", "wonderland", true),
        ("MSCHAPV2", "guest", "wonderland", false),
    ];
    together(&cases, |_, &(method, name, password, is_welcome)| {
        let said = eapol_test(auth, SECRET, &peer(method, name, password), method == "MSCHAPV2");
        let what = format!("{method}, {name}, {password}");
        assert_eq!((said.success, said.was_refused()), (is_welcome, !is_welcome), "{what}: {}", said.text);
    });
}

#[test]
fn a_method_that_isnt_allowed_is_refused() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let eap = "[eap]\nmethods = [\"mschapv2\"]\n";
    let _server = Server::start(&config::server(&hosts, "east", host, &[], eap));
    let refused = eapol_test((host, 1812).into(), SECRET, &peer("MD5", "alice", "wonderland"), false);
    assert!(refused.was_refused(), "{}", refused.text);
}
