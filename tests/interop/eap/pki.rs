//! `forewarn pki`: what it makes is what openssl takes, and what its words say works.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::eapol::eapol_test;
use forewarn_tests::program::forewarn;
use forewarn_tests::{Folder, Hosts, Server, eventually};

const NAME: &str = "radius.example.org";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs the tool, which has to be content.
fn pki(folder: &Path, arguments: &[&str]) -> String {
    let output = forewarn(folder, &[&["pki"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn openssl(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("openssl").current_dir(folder).args(arguments).output().expect("openssl is installed")
}

/// From one line to the empty line or the bracket behind it.
fn block(text: &str, from: &str, end: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.starts_with(from));
    let lines = lines.skip(1).skip_while(|line| !line.starts_with("network"));
    lines.skip(1).take_while(|line| *line != end).fold(String::new(), |text, line| text + line.trim() + "\n")
}

/// All files of one kind of keys, and each line of what was said about them.
fn made_files_work(key: &str) {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let folder = Folder::new();
    let place = folder.path();
    let make = ["make", "--key", key, "--client", "alice", "--client", "host/laptop-1", "--days", "3"];
    let words = pki(place, &make);
    let verify = |usage: &str, file: &str| {
        let known = ["-CAfile", "pki/ca.pem", "-CRLfile", "pki/ca.crl", "-crl_check"];
        openssl(place, &[&["verify", "-x509_strict", "-purpose", usage], &known[..], &[file]].concat())
    };
    for (usage, file) in [
        ("sslserver", "pki/radius.example.org.pem"),
        ("sslclient", "pki/alice.pem"),
        ("sslclient", "pki/host-laptop-1.pem"),
    ] {
        let verified = verify(usage, file);
        assert!(verified.status.success(), "{file}: {}", said(&verified));
    }
    assert!(!verify("sslserver", "pki/alice.pem").status.success(), "a client is no server");
    for file in fs::read_dir(place.join("pki")).expect("a folder") {
        let file = file.expect("a file").path();
        let mode = fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        let expected = if file.extension().is_some_and(|kind| kind == "key") { 0o600 } else { 0o644 };
        assert_eq!(mode, expected, "{}", file.display());
    }

    // What is there stays.
    let before = fs::read(place.join("pki/ca.key")).expect("the authority's key");
    for again in [&make[..], &["client", "alice"]] {
        let refused = forewarn(place, &[&["pki"], again].concat());
        assert!(!refused.status.success() && said(&refused).contains("stays as it is"), "{}", said(&refused));
    }
    assert_eq!(fs::read(place.join("pki/ca.key")).expect("the authority's key"), before);

    // The server's lines, as they stand, and a supplicant's.
    let lines: Vec<&str> = words.lines().skip_while(|line| *line != "[eap]").collect();
    let end = lines.iter().position(|line| line.starts_with("crl")).expect("a line of the list");
    let eap = lines[..=end].join("\n") + "\n";
    let server = Server::start(&config::server(&hosts, "east", host, &[], &eap));
    let ask = |network: &str| eapol_test(SocketAddr::new(host, 1812), SECRET, network, true);
    let by_password = block(&words, "# a supplicant with a password", "}").replace("...", "wonderland");
    let by_certificate = block(&words, "# alice", "}");
    for network in [&by_password, &by_certificate] {
        let network = network.replace("key_mgmt=IEEE8021X\n", "");
        let asked = ask(&network);
        assert!(asked.success, "{network}{}", asked.text);
        let elsewhere = ask(&network.replace(NAME, "radius.example.com"));
        assert!(!elsewhere.success, "of a server of another name");
    }

    // One that is revoked, and one that comes later.
    pki(place, &["client", "bob", "--key", key]);
    pki(place, &["revoke", "bob"]);
    pki(place, &["revoke", "alice"]);
    let verified = verify("sslclient", "pki/alice.pem");
    assert!(said(&verified).contains("certificate revoked"), "{}", said(&verified));
    assert!(said(&verify("sslclient", "pki/bob.pem")).contains("certificate revoked"), "it stays so");
    assert!(verify("sslclient", "pki/host-laptop-1.pem").status.success());
    let reloaded = server.forewarn(&["reload"]);
    assert!(reloaded.status.success(), "{}", said(&reloaded));
    let network = by_certificate.replace("key_mgmt=IEEE8021X\n", "");
    eventually("alice's certificate is refused", || ask(&network).was_refused().then_some(()));
}

#[test]
fn an_authority_for_trying_out_with_ecdsa() {
    made_files_work("ecdsa-p256");
}

#[test]
fn an_authority_for_trying_out_with_rsa() {
    made_files_work("rsa-2048");
}

#[test]
fn what_cant_be_made_is_said_and_leaves_nothing() {
    let folder = Folder::new();
    for (arguments, word) in [
        (&["make", "--client", "ca"][..], "another name"),
        (&["make", "--client", "a b", "--client", "a-b"], "another name"),
        (&["client", "alice"], "forewarn pki make"),
        (&["revoke", "alice"], "forewarn pki make"),
    ] {
        let output = forewarn(folder.path(), &[&["pki"], arguments].concat());
        assert!(!output.status.success() && said(&output).contains(word), "{arguments:?}: {}", said(&output));
    }
    assert!(!folder.path().join("pki").exists());
}
