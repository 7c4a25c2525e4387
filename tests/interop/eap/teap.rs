//! TEAP, with a peer of our own: Debian's eapol_test has none.

use std::net::{IpAddr, SocketAddr};

use forewarn_tests::authority::{Authority, Key, Leaf, Usage};
use forewarn_tests::config::{self, LOCAL_SECRET, SECRET};
use forewarn_tests::supplicant::{
    Credential, End, Heard, Supplicant, Teap, Trick, Trust, Version, authenticate,
};
use forewarn_tests::{Agent, Folder, Hosts, Server};

const MACHINE: &str = "[[user]]\nname = \"host/desk\"\npassword = \"wood\"\n";

/// A server's files, and what its peers have.
struct Site {
    _folder: Folder,
    eap: String,
    alice: Leaf,
}

impl Site {
    /// `[eap]` with TEAP; `lines` come first.
    fn new(key: Key, lines: &str) -> Site {
        let folder = Folder::new();
        let authority = Authority::make(&folder.path().join("authority"), key);
        let server = authority.leaf("east.example.org", Usage::Server);
        let alice = authority.leaf("alice", Usage::Client);
        let eap = format!(
            "[limits]\nfailures = 0\n[eap]\nmethods = [\"teap\"]\n{lines}\n[eap.tls]\ncertificate = \"{}\"\nkey = \"{}\"\n\
             client_ca = \"{}\"\n{MACHINE}",
            server.certificate.display(),
            server.key.display(),
            authority.certificate().display()
        );
        Site { _folder: folder, eap, alice }
    }
}

fn password(name: &str, password: &str) -> Credential {
    Credential::Password(name.into(), password.into())
}

fn mschapv2(name: &str, password: &str) -> Credential {
    Credential::Eap(Supplicant::mschapv2(name, password))
}

/// Each way to prove a user x key x version of TLS x fragment x way there.
#[test]
fn each_way_to_prove_a_user_gets_in_with_matching_keys() {
    for key in [Key::Rsa, Key::Ecdsa] {
        let mut hosts = Hosts::claim();
        let site = Site::new(key, "");
        let (large, small, proxy, agent) = (hosts.host(), hosts.host(), hosts.host(), hosts.host());
        let _large = Server::start(&config::server(&hosts, "east", large, &[agent], &site.eap));
        let fine = site.eap.replace("[eap]\n", "[eap]\nfragment = 100\nrounds = 300\n");
        let _small = Server::start(&config::server(&hosts, "west", small, &[], &fine));
        let pool = format!(
            "[[pool]]\nname = \"home\"\nservers = [{{ name = \"east\", address = \"{large}\", secret = \"{SECRET}\" }}]\n\
             [[realm]]\nmatch = \"DEFAULT\"\npool = \"home\"\n"
        );
        let _proxy = Server::start(&config::server(&hosts, "proxy", proxy, &[], &pool));
        let _agent = Agent::start(&config::agent(agent, &[("east", large)], ""));
        let ways: [(IpAddr, &str); 4] =
            [(large, SECRET), (small, SECRET), (proxy, SECRET), (agent, LOCAL_SECRET)];
        for version in [Version::Tls12, Version::Tls13] {
            let (bare, trust) = (Trust::new(version, None), Trust::new(version, Some(&site.alice)));
            for (host, secret) in ways {
                for (what, credential) in [
                    ("EAP-MSCHAPv2", mschapv2("alice", "wonderland")),
                    ("EAP-TLS", Credential::Eap(Supplicant::tls("alice", &trust))),
                    ("a password", password("alice", "wonderland")),
                ] {
                    let teap = Teap::user(credential);
                    let heard = teap.heard();
                    let supplicant = Supplicant::teap("anonymous@example.org", teap, &bare);
                    let ended = authenticate(SocketAddr::new(host, 1812), secret, supplicant);
                    assert!(ended.is_in(), "{what}, {key:?}, {version}, by {host}: {ended:?} {heard:?}");
                }
            }
        }
    }
}

#[test]
fn a_machine_and_its_user_are_proven_one_after_the_other() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa, "teap_identities = [\"machine\", \"user\"]");
    let server = Server::start(&config::server(&hosts, "east", host, &[], &site.eap));
    for version in [Version::Tls12, Version::Tls13] {
        let (bare, trust) = (Trust::new(version, None), Trust::new(version, Some(&site.alice)));
        let certificate = || Credential::Eap(Supplicant::tls("alice", &trust));
        for (machine, user, is_in) in [
            (mschapv2("host/desk", "wood"), certificate(), true),
            (mschapv2("host/desk", "wood"), password("alice", "wonderland"), true),
            (password("host/desk", "wood"), certificate(), true),
            (mschapv2("host/desk", "woof"), certificate(), false),
            (mschapv2("host/desk", "wood"), password("alice", "wonderlamp"), false),
            // Nobody proves a machine by being a user, nor the other way round.
            (mschapv2("alice", "wonderland"), certificate(), false),
            (certificate(), password("alice", "wonderland"), false),
            (mschapv2("host/desk", "wood"), password("host/desk", "wood"), false),
        ] {
            let teap = Teap::new(vec![(1, user), (2, machine)]);
            let heard = teap.heard();
            let ended =
                authenticate(SocketAddr::new(host, 1812), SECRET, Supplicant::teap("desk", teap, &bare));
            let heard = heard.lock().expect("nobody has panicked");
            assert_eq!(ended.is_in(), is_in, "{version}: {ended:?} {heard:?}\n{}", server.log());
            assert_eq!(heard.identities.first(), Some(&2), "the machine is asked for first");
            assert!(is_in || ended.end == End::Rejected, "{version}: {ended:?}");
        }
        // Which is last, isn't the peer's choice.
        let both = vec![(1, certificate()), (2, mschapv2("host/desk", "wood"))];
        let teap = Teap::new(both).cheating(Trick::Other);
        let heard = teap.heard();
        let ended = authenticate(SocketAddr::new(host, 1812), SECRET, Supplicant::teap("desk", teap, &bare));
        let heard = heard.lock().expect("nobody has panicked");
        assert_eq!((&heard.identities[..], &heard.errors[..]), (&[2][..], &[2002][..]), "{version}");
        assert_eq!(ended.end, End::Rejected, "{version}");
    }
    let counted = server.status();
    assert_eq!(counted["requests"]["access-reject.eap-other-identity"], 2 * 4, "{counted}");
}

#[test]
fn whoever_cheats_is_told_so_and_stays_out() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa, "");
    let server = Server::start(&config::server(&hosts, "east", host, &[], &site.eap));
    for version in [Version::Tls12, Version::Tls13] {
        let (bare, trust) = (Trust::new(version, None), Trust::new(version, Some(&site.alice)));
        let ask = |credential, trick| -> (End, Heard) {
            let teap = Teap::user(credential).cheating(trick);
            let heard = teap.heard();
            let supplicant = Supplicant::teap("anonymous", teap, &bare);
            let ended = authenticate(SocketAddr::new(host, 1812), SECRET, supplicant);
            let heard = heard.lock().expect("nobody has panicked").clone();
            (ended.end, heard)
        };
        let certificate = || Credential::Eap(Supplicant::tls("alice", &trust));
        let right = End::Accepted { keys_match: true };
        let (end, heard) = ask(certificate(), Trick::MskOnly);
        assert_eq!((&end, &heard.authority[..]), (&right, &b"east"[..]), "{version}: {heard:?}");
        let (end, heard) = ask(mschapv2("alice", "wonderland"), Trick::Unknown);
        assert_eq!((&end, &heard.naks[..]), (&right, &[100][..]), "{version}: {heard:?}");
        for (trick, code) in [
            (Trick::MskMac, 2005),
            (Trick::EmskMac, 2007),
            (Trick::Nonce, 2003),
            (Trick::NoBinding, 2001),
            (Trick::Preamble, 2005),
            (Trick::Early, 2002),
            (Trick::Long, 2002),
            (Trick::Half, 2002),
            (Trick::Twice, 2002),
            (Trick::Machine, 2002),
        ] {
            let (end, heard) = ask(certificate(), trick);
            assert_eq!(
                (&end, &heard.errors[..]),
                (&End::Rejected, &[code][..]),
                "{trick:?}, {version}: {heard:?}"
            );
        }
        for credential in [
            mschapv2("alice", "wonderlamp"),
            mschapv2("nobody", "wonderland"),
            password("alice", "wonderlamp"),
            password("nobody", "wonderland"),
        ] {
            let (end, heard) = ask(credential, Trick::None);
            assert_eq!((&end, heard.errors.last()), (&End::Rejected, Some(&1001)), "{version}: {heard:?}");
        }
    }
    let counted = server.status();
    let counted = |cause: &str| counted["requests"][format!("access-reject.{cause}")].as_u64();
    assert_eq!(counted("eap-peer-refuses"), Some(2 * 5), "what isn't bound");
    assert_eq!(counted("eap-malformed"), Some(2 * 4), "what is out of turn");
    assert_eq!(counted("eap-other-identity"), Some(2), "a machine");
}

#[test]
fn what_isnt_allowed_within_is_refused() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let bare = Trust::new(Version::Tls13, None);
    for (inner, credential, is_in) in [
        ("[\"mschapv2\"]", password("alice", "wonderland"), false),
        ("[\"pap\"]", mschapv2("alice", "wonderland"), false),
        ("[\"pap\"]", password("alice", "wonderland"), true),
        ("[\"pap\", \"mschapv2\"]", mschapv2("alice", "wonderland"), true),
        ("[\"tls\"]", mschapv2("alice", "wonderland"), false),
        // Nothing of them could be bound.
        ("[\"gtc\", \"md5\"]", mschapv2("alice", "wonderland"), false),
    ] {
        let site = Site::new(Key::Ecdsa, &format!("inner = {inner}"));
        let server = Server::start(&config::server(&hosts, "east", host, &[], &site.eap));
        let supplicant = Supplicant::teap("anonymous", Teap::user(credential), &bare);
        let ended = authenticate(SocketAddr::new(host, 1812), SECRET, supplicant);
        assert_eq!(ended.is_in(), is_in, "{inner}: {ended:?}");
        let counted = server.status();
        let refused = &counted["requests"]["access-reject.eap-inner-not-allowed"];
        assert_eq!(refused.as_u64().unwrap_or(0), u64::from(!is_in), "{inner}: {counted}");
    }
}
