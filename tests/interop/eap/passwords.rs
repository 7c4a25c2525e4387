//! The methods that need no tunnel.

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::eapol::eapol_test;
use forewarn_tests::{Hosts, Server};

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
    for (method, keys) in [("MSCHAPV2", true), ("GTC", false), ("MD5", false)] {
        let right = eapol_test(auth, SECRET, &peer(method, "alice", "wonderland"), keys);
        assert!(right.success, "{method}: {}", right.text);
        for (name, password) in [("alice", "wonderlamp"), ("nobody", "wonderland")] {
            let wrong = eapol_test(auth, SECRET, &peer(method, name, password), keys);
            assert!(wrong.was_refused(), "{method}, {name}: {}", wrong.text);
        }
    }
    let slow = eapol_test(auth, SECRET, &peer("GTC", "slow", "wonderland"), false);
    assert!(slow.success, "{}", slow.text);
    // MSCHAPv2 is offered first, and a hash that isn't NT's is of no use to it.
    let useless = eapol_test(auth, SECRET, &peer("MSCHAPV2", "slow", "wonderland"), true);
    assert!(useless.was_refused(), "{}", useless.text);
    for (method, welcome) in [("MSCHAPV2", false), ("GTC", true)] {
        let guest = eapol_test(auth, SECRET, &peer(method, "guest", "wonderland"), false);
        assert_eq!((guest.success, guest.was_refused()), (welcome, !welcome), "{method}: {}", guest.text);
    }
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
