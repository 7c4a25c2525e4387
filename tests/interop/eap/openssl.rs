//! The feature `openssl`: what rustls refuses gets in where it is asked for, and who is wrong stays out all the same.

use forewarn_tests::authority::{Authority, Key, Usage};
use forewarn_tests::config;
use forewarn_tests::program::forewarn;
use forewarn_tests::{Folder, Hosts};

/// A server's configuration, and the authority of its certificates.
fn site(folder: &Folder, hosts: &mut Hosts, tls: &str) -> (Authority, std::net::IpAddr, String) {
    let host = hosts.host();
    let authority = Authority::make(&folder.path().join("authority"), Key::Rsa);
    let server = authority.leaf("east.example.org", Usage::Server);
    let eap = format!(
        "[eap]\nmethods = [\"peap\", \"ttls\", \"tls\"]\n[eap.tls]\n\
         certificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n{tls}\n",
        server.certificate.display(),
        server.key.display(),
        authority.certificate().display()
    );
    let config = config::server(hosts, "east", host, &[], &eap);
    (authority, host, config)
}

/// What `forewarn check` says of it.
fn checked(config: &str) -> String {
    let folder = Folder::new();
    folder.write("server.toml", config);
    let output = forewarn(folder.path(), &["check", "server.toml"]);
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn what_is_too_old_for_rustls_is_said_with_who_takes_it() {
    let folder = Folder::new();
    let (_, _, config) = site(&folder, &mut Hosts::claim(), "min_version = \"1.0\"");
    let said = checked(&config);
    assert!(
        said.contains("rustls speaks TLS 1.2 and 1.3") && said.contains("library = \"openssl\""),
        "{said}"
    );
}

#[cfg(not(feature = "openssl"))]
#[test]
fn a_server_without_openssl_says_how_to_build_one_that_has_it() {
    let folder = Folder::new();
    let (_, _, config) = site(&folder, &mut Hosts::claim(), "library = \"openssl\"");
    let said = checked(&config);
    assert!(said.contains("built without OpenSSL") && said.contains("--features openssl"), "{said}");
}

#[cfg(feature = "openssl")]
#[test]
fn old_supplicants_get_in_by_openssl_and_wrong_ones_dont() {
    use std::net::SocketAddr;

    use forewarn_tests::config::SECRET;
    use forewarn_tests::eapol::eapol_test;
    use forewarn_tests::{Server, eventually};

    let folder = Folder::new();
    let mut hosts = Hosts::claim();
    let (authority, host, config) = site(&folder, &mut hosts, "library = \"openssl\"\nmin_version = \"1.0\"");
    let alice = authority.leaf("alice", Usage::Client);
    let server = Server::start(&config);
    let ask = |lines: &str| {
        let ca = format!("identity=\"alice\"\nca_cert=\"{}\"\n", authority.certificate().display());
        eapol_test(SocketAddr::new(host, 1812), SECRET, &(ca + lines), true)
    };
    let only = |minor: u8| {
        let disabled = |other: u8| format!("tls_disable_tlsv1_{other}={}", u8::from(other != minor));
        let phase1 = (0..4).map(disabled).collect::<Vec<_>>().join(" ");
        format!("phase1=\"{phase1}\"\n")
    };
    let with = |leaf: &forewarn_tests::authority::Leaf| {
        let (certificate, key) = (leaf.certificate.display(), leaf.key.display());
        format!("eap=TLS\nclient_cert=\"{certificate}\"\nprivate_key=\"{key}\"\n")
    };
    let by_certificate = with(&alice);
    let peap = "eap=PEAP\npassword=\"wonderland\"\nphase2=\"auth=MSCHAPV2\"\n";
    let ttls = "eap=TTLS\npassword=\"wonderland\"\nphase2=\"auth=PAP\"\n";
    let old = "openssl_ciphers=\"DEFAULT:@SECLEVEL=0\"\n";
    for method in [by_certificate.as_str(), peap, ttls] {
        for (minor, name) in [(0, "TLSv1"), (1, "TLSv1.1"), (2, "TLSv1.2"), (3, "TLSv1.3")] {
            let said = ask(&(method.to_owned() + &only(minor) + old));
            assert!(said.success, "{name}, {method}: {}\n{}", said.text, server.log());
            assert!(said.text.contains(&format!("Using TLS version {name}\n")), "{}", said.text);
        }
        // Key exchange by RSA.
        let said = ask(&(method.to_owned() + &only(2) + "openssl_ciphers=\"AES128-SHA:@SECLEVEL=0\"\n"));
        assert!(said.success, "{method}: {}", said.text);
    }
    let foreign = Authority::make(&folder.path().join("foreign"), Key::Rsa);
    let revoked = authority.leaf("alice", Usage::Client);
    let list = authority.revoke(&[&revoked]);
    let crl = format!("library = \"openssl\"\ncrl = [\"{}\"]\n", list.display());
    server.rewrite(&config.replace("library = \"openssl\"\n", &crl));
    assert!(server.forewarn(&["reload"]).status.success(), "{}", server.log());
    eventually("the list is in force", || ask(&with(&revoked)).was_refused().then_some(()));
    for (what, leaf) in [
        ("expired", authority.expired("alice", Usage::Client)),
        ("of another authority", foreign.leaf("alice", Usage::Client)),
        ("not for client use", authority.leaf("alice", Usage::Server)),
    ] {
        assert!(ask(&with(&leaf)).was_refused(), "{what}");
    }
    assert!(ask(&by_certificate).success, "it isn't revoked");
    assert!(ask(&peap.replace("wonderland", "wonderlamp")).was_refused());
}
