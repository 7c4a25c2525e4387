//! EAP-TLS, PEAP and EAP-TTLS: everything that has to work together, and everything that has to be refused.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use forewarn_tests::authority::{Authority, Key, Leaf, Usage};
use forewarn_tests::config::{self, LOCAL_SECRET, SECRET};
use forewarn_tests::eapol::eapol_test;
use forewarn_tests::supplicant::{End, Supplicant, Trust, Version, authenticate};
use forewarn_tests::{Agent, Folder, Hosts, Server, together};

/// Outer and inner method, as wpa_supplicant names them.
pub(super) const METHODS: [(&str, &str); 13] = [
    ("TLS", ""),
    ("PEAP", "auth=TLS"),
    ("TTLS", "autheap=TLS"),
    ("PEAP", "auth=MSCHAPV2"),
    ("PEAP", "auth=GTC"),
    ("PEAP", "auth=MD5"),
    ("TTLS", "autheap=MSCHAPV2"),
    ("TTLS", "autheap=GTC"),
    ("TTLS", "autheap=MD5"),
    ("TTLS", "auth=PAP"),
    ("TTLS", "auth=CHAP"),
    ("TTLS", "auth=MSCHAP"),
    ("TTLS", "auth=MSCHAPV2"),
];

/// A server's files, and what its peers have.
pub(super) struct Site {
    pub(super) folder: Folder,
    pub(super) authority: Authority,
    server: Leaf,
    pub(super) alice: Leaf,
}

impl Site {
    pub(super) fn new(key: Key) -> Site {
        let folder = Folder::new();
        let authority = Authority::make(&folder.path().join("authority"), key);
        let server = authority.leaf("east.example.org", Usage::Server);
        let alice = authority.leaf("alice", Usage::Client);
        Site { folder, authority, server, alice }
    }

    /// `[eap]` with all methods, those within too.
    pub(super) fn eap(&self, more: &str, tls: &str) -> String {
        let shown = |path: &Path| path.display().to_string();
        format!(
            "[eap]\nmethods = [\"peap\", \"ttls\", \"tls\"]\n\
             inner = [\"mschapv2\", \"gtc\", \"md5\", \"tls\", \"pap\", \"chap\", \"mschap\"]\n{more}\n[eap.tls]\n\
             certificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n{tls}\n",
            shown(&self.server.certificate),
            shown(&self.server.key),
            shown(&self.authority.certificate()),
        )
    }

    /// A network block; `lines` come last.
    pub(super) fn peer(&self, (outer, inner): (&str, &str), leaf: &Leaf, lines: &str) -> String {
        let mut block = format!("eap={outer}\npassword=\"wonderland\"\n");
        block.push_str(&format!("ca_cert=\"{}\"\n", self.authority.certificate().display()));
        let shown = (leaf.certificate.display(), leaf.key.display());
        match outer {
            "TLS" => block.push_str(&format!("client_cert=\"{}\"\nprivate_key=\"{}\"\n", shown.0, shown.1)),
            _ => block.push_str(&format!("phase2=\"{inner}\"\n")),
        }
        if inner.ends_with("TLS") {
            let authority = self.authority.certificate();
            block.push_str(&format!("ca_cert2=\"{}\"\n", authority.display()));
            block.push_str(&format!("client_cert2=\"{}\"\nprivate_key2=\"{}\"\n", shown.0, shown.1));
        }
        block + lines
    }
}

pub(super) fn version(is_13: bool) -> &'static str {
    if is_13 { "phase1=\"tls_disable_tlsv1_3=0\"\n" } else { "phase1=\"tls_disable_tlsv1_3=1\"\n" }
}

/// Each method x TLS version x identity x way, with keys of one kind and fragments of one size.
fn all_of_it(key: Key, fragment: usize) {
    let mut hosts = Hosts::claim();
    let (server, proxy, agent) = (hosts.host(), hosts.host(), hosts.host());
    let site = Site::new(key);
    let eap = site.eap(&format!("fragment = {fragment}"), "");
    let _server = Server::start(&config::server(&hosts, "east", server, &[agent], &eap));
    let pool = format!(
        "[[pool]]\nname = \"home\"\nservers = [{{ name = \"east\", address = \"{server}\", secret = \"{SECRET}\" }}]\n\
         [[realm]]\nmatch = \"NULL\"\npool = \"home\"\n[[realm]]\nmatch = \"DEFAULT\"\npool = \"home\"\n"
    );
    let _proxy = Server::start(&config::server(&hosts, "proxy", proxy, &[], &pool));
    let _agent = Agent::start(&config::agent(agent, &[("east", server)], ""));
    let ways: [(IpAddr, &str); 3] = [(server, SECRET), (proxy, SECRET), (agent, LOCAL_SECRET)];
    let mut cases = Vec::new();
    for method in METHODS {
        for is_13 in [false, true] {
            for identity in
                ["identity=\"alice\"\n", "identity=\"alice\"\nanonymous_identity=\"@example.org\"\n"]
            {
                cases.extend(ways.map(|way| (method, is_13, identity, way)));
            }
        }
    }
    together(&cases, |_, &(method, is_13, identity, (host, secret))| {
        let lines = format!("fragment_size={fragment}\n{identity}{}", version(is_13));
        let peer = site.peer(method, &site.alice, &lines);
        let said = eapol_test(SocketAddr::new(host, 1812), secret, &peer, true);
        assert!(said.success, "{method:?} by {host}: {peer}\n{}", said.text);
        assert!(said.has_key_name(), "{method:?} by {host}: {peer}\n{}", said.text);
        let spoken = if is_13 { "TLSv1.3" } else { "TLSv1.2" };
        assert!(said.text.contains(&format!("Using TLS version {spoken}")), "{}", said.text);
    });
}

#[test]
fn rsa_in_small_fragments() {
    all_of_it(Key::Rsa, 100);
}

#[test]
fn rsa_in_large_fragments() {
    all_of_it(Key::Rsa, 1398);
}

#[test]
fn ecdsa_in_small_fragments() {
    all_of_it(Key::Ecdsa, 100);
}

#[test]
fn ecdsa_in_large_fragments() {
    all_of_it(Key::Ecdsa, 1398);
}

#[test]
fn whoever_isnt_right_stays_out() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa);
    let revoked = site.authority.leaf("alice", Usage::Client);
    let crl = site.authority.revoke(&[&revoked]);
    let guesses = "[limits]\nfailures = 0\n";
    let eap = site.eap("", &format!("crl = [\"{}\"]\n{guesses}", crl.display()));
    let server = Server::start(&config::server(&hosts, "east", host, &[], &eap));
    let foreign = Authority::make(&site.folder.path().join("foreign"), Key::Ecdsa);
    let leaves = [
        ("with a list of revoked ones", site.alice.clone()),
        ("expired", site.authority.expired("alice", Usage::Client)),
        ("revoked", revoked),
        ("of another authority", foreign.leaf("alice", Usage::Client)),
        ("not for client use", site.authority.leaf("alice", Usage::Server)),
        ("of nobody", site.authority.leaf("nobody", Usage::Client)),
    ];
    let mut cases = Vec::new();
    for is_13 in [false, true] {
        let identity = format!("identity=\"alice\"\n{}", version(is_13));
        for (number, (what, leaf)) in leaves.iter().enumerate() {
            cases.extend(METHODS[..3].iter().map(|method| {
                (format!("{method:?}: {what}"), site.peer(*method, leaf, &identity), number == 0)
            }));
        }
        let wrong = format!("{identity}password=\"wonderlamp\"\n");
        let nobody = format!("identity=\"nobody\"\n{}", version(is_13));
        for (what, lines) in [("a wrong password", &wrong), ("an unknown user", &nobody)] {
            cases.extend(METHODS[3..].iter().map(|method| {
                (format!("{method:?}: {what}"), site.peer(*method, &site.alice, lines), false)
            }));
        }
    }
    together(&cases, |_, (what, peer, is_welcome)| {
        let said = eapol_test(SocketAddr::new(host, 1812), SECRET, peer, true);
        assert_eq!((said.success, said.was_refused()), (*is_welcome, !is_welcome), "{what}: {}", said.text);
    });
    let counted = server.status();
    assert_eq!(counted["requests"]["access-reject.eap-tls"], 3 * 8, "{counted}");
}

#[test]
fn what_isnt_allowed_within_is_refused() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa);
    let eap = site.eap("", "").replace("inner = [", "inner = [\"gtc\"] # ");
    let server = Server::start(&config::server(&hosts, "east", host, &[], &eap));
    let ask = |method| {
        let peer = site.peer(method, &site.alice, "identity=\"alice\"\n");
        eapol_test(SocketAddr::new(host, 1812), SECRET, &peer, true)
    };
    let is_welcome = |(_, inner): &(_, &str)| inner.ends_with("GTC");
    together(&METHODS[1..], |_, method| {
        let (said, is_welcome) = (ask(*method), is_welcome(method));
        assert_eq!(
            (said.success, said.was_refused()),
            (is_welcome, !is_welcome),
            "{method:?}: {}",
            said.text
        );
    });
    let refused = METHODS[1..].iter().filter(|method| !is_welcome(method)).count();
    let counted = server.status();
    assert_eq!(counted["requests"]["access-reject.eap-inner-not-allowed"], refused, "{counted}");
}

#[test]
fn why_tls_fails_is_recorded_with_the_alert_and_once() {
    let mut hosts = Hosts::claim();
    let address = SocketAddr::new(hosts.host(), 1812);
    let site = Site::new(Key::Ecdsa);
    let eap = site.eap("", "min_version = \"1.3\"");
    let server = Server::start(&config::server(&hosts, "east", address.ip(), &[], &eap));
    let ask = |leaf: &Leaf, lines: &str| {
        let peer = site.peer(("TLS", ""), leaf, &format!("identity=\"alice\"\n{lines}"));
        eapol_test(address, SECRET, &peer, true)
    };
    // This one says nothing to the alert.
    let trust = Trust::new(Version::Tls12, None);
    let silent = authenticate(address, SECRET, Supplicant::ttls_pap("silent", "alice", "wonderland", &trust));
    assert!(matches!(silent.end, End::GaveUp(_)), "{silent:?}");
    server.says("the peer offers TLS 1.2");
    let old = "phase1=\"tls_disable_tlsv1_1=0 tls_disable_tlsv1_2=1 tls_disable_tlsv1_3=1\"\n\
               openssl_ciphers=\"DEFAULT:@SECLEVEL=0\"\n";
    assert!(ask(&site.alice, old).was_refused());
    let log = server.says("the peer offers TLS 1.1");
    assert!(log.contains("let the device speak TLS 1.2 or 1.3"), "{log}");
    assert!(ask(&site.authority.expired("alice", Usage::Client), version(true)).was_refused());
    let log = server.says("certificate expired");
    let status = server.status();
    let counted = |outcome: &str| status["requests"][outcome].as_u64();
    let counted = (counted("access-challenge.eap-tls-alert"), counted("access-reject.eap-tls"));
    assert_eq!(counted, (Some(3), Some(2)), "{status}");
    assert_eq!(log.lines().filter(|line| line.contains(" decision ")).count(), 3, "{log}");
}
