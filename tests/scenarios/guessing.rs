//! Passwords by every method radclient speaks, and what guessing them is met with.

use std::net::SocketAddr;

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::radclient::radclient;
use forewarn_tests::{Hosts, Server};

/// `slow` is hashed with bcrypt, `tina` has a second factor; the others' forms say themselves what they are.
const USERS: &str = r#"
[[user]]
name = "ada"
password = "wonderland"

[[user]]
name = "nt"
nt_hash = "0xf3d0376250a3f6bc1b00a6cb5f3e03a6"

[[user]]
name = "slow"
password_hash = "$2b$10$abcdefghijklmnopqrstuuwmjOOgyx/jknFqeF8sHrF2cGgSECl/q"

[[user]]
name = "tina"
password = "wonderland"
totp = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

[second_factor]
mode = "challenge"
"#;

fn ask(server: SocketAddr, attributes: &str) -> String {
    let signed = format!("{attributes}, Message-Authenticator = 0x00\n");
    radclient(server, "auth", SECRET, &signed, &[]).text
}

#[test]
fn radclient_is_answered_by_each_method() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let _server = Server::start(&config::server(&hosts, "east", host, &[], USERS));
    let auth = (host, 1812).into();
    for right in [
        "User-Name = ada, User-Password = wonderland",
        "User-Name = ada, CHAP-Password = wonderland",
        "User-Name = ada, MS-CHAP-Password = wonderland",
        "User-Name = slow, User-Password = wonderland",
        "User-Name = slow, User-Password = wonderland",
        "User-Name = nt, User-Password = \"wönderland€😀\"",
    ] {
        let text = ask(auth, right);
        assert!(text.contains("Received Access-Accept"), "{right}: {text}");
        let keys = "MS-CHAP-MPPE-Keys = 0x0000000000000000";
        assert_eq!(text.contains(keys), right.contains("MS-CHAP"), "{text}");
    }
    let text = ask(auth, "User-Name = ada, MS-CHAP-Password = wonderlamp");
    assert!(text.contains("Received Access-Reject") && text.contains("E=691 R=1 C="), "{text}");
    let text = ask(auth, "User-Name = tina, User-Password = wonderland");
    assert!(text.contains("Received Access-Challenge") && text.contains("One-time code:"), "{text}");
}

#[test]
fn the_operator_is_told_who_guesses() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let more = format!("{USERS}\n[limits]\nfailures = 3\nhold = \"1h\"\n");
    let server = Server::start(&config::server(&hosts, "east", host, &[], &more));
    let auth = (host, 1812).into();
    for _ in 0..4 {
        let text = ask(auth, "User-Name = \"ada\\n\", User-Password = wrong");
        assert!(text.contains("Received Access-Reject"), "{text}");
    }
    let line = "user \"ada\\n\" has failed 3 times within 60s by client";
    server.says(line);
    let status = server.forewarn(&["status"]);
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(text.contains("rejected unseen: \"ada\\n\" from "), "{text}");
    assert!(text.contains("too-many-failures"), "{text}");
    let text = ask(auth, "User-Name = ada, User-Password = wonderland");
    assert!(text.contains("Received Access-Accept"), "nobody else is held off: {text}");
}
