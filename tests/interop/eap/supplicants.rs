//! The supplicants of our own: they get in where eapol_test does, with the keys it has.

use std::net::SocketAddr;
use std::time::Duration;

use forewarn_tests::authority::{Authority, Key, Usage};
use forewarn_tests::config::{self, SECRET};
use forewarn_tests::supplicant::{End, Supplicant, Trust, Version, authenticate, crowd};
use forewarn_tests::{Folder, Hosts, Server};

#[test]
fn supplicants_of_our_own_get_in_one_by_one_and_as_a_crowd() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let folder = Folder::new();
    let authority = Authority::make(&folder.path().join("authority"), Key::Ecdsa);
    let server = authority.leaf("east.example.org", Usage::Server);
    let alice = authority.leaf("alice", Usage::Client);
    let eap = format!(
        "[eap]\nmethods = [\"peap\", \"ttls\", \"tls\"]\n[eap.tls]\n\
         certificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n",
        server.certificate.display(),
        server.key.display(),
        authority.certificate().display()
    );
    let server = Server::start(&config::server(&hosts, "east", host, &[], &eap));
    let to = SocketAddr::new(host, 1812);
    for version in [Version::Tls12, Version::Tls13] {
        let (bare, trust) = (Trust::new(version, None), Trust::new(version, Some(&alice)));
        for supplicant in [
            Supplicant::tls("alice", &trust),
            Supplicant::ttls_pap("anonymous", "alice", "wonderland", &bare),
            Supplicant::peap_mschapv2("anonymous", "alice", "wonderland", &bare),
        ] {
            let ended = authenticate(to, SECRET, supplicant);
            assert!(ended.is_in(), "{version}: {ended:?}\n{}", server.log());
        }
        for supplicant in
            [Supplicant::tls("alice", &bare), Supplicant::ttls_pap("anonymous", "alice", "wonderlamp", &bare)]
        {
            let ended = authenticate(to, SECRET, supplicant);
            assert!(matches!(ended.end, End::Rejected | End::GaveUp(_)), "{version}: {ended:?}");
        }
    }
    let trust = Trust::new(Version::Tls13, Some(&alice));
    let plan = crowd::Plan {
        at_once: 8,
        limit: Some(40),
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(20),
        ..crowd::Plan::saturate(to, SECRET)
    };
    let report = crowd::run(&plan, |_| Supplicant::tls("alice", &trust)).expect("sockets");
    assert_eq!((report.accepted, &report.failed[..]), (40, &[][..]), "{report:?}");
}
