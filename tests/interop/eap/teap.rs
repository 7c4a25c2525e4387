//! TEAP, with a peer of our own: Debian's eapol_test has none.

use std::net::{IpAddr, SocketAddr};

use forewarn_tests::authority::{Authority, Key, Leaf, Usage};
use forewarn_tests::config::{self, LOCAL_SECRET, SECRET};
use forewarn_tests::supplicant::{
    Credential, End, Ended, Heard, Supplicant, Teap, Trick, Trust, Version, authenticate,
};
use forewarn_tests::{Agent, Folder, Hosts, Server, together};

/// Whose identity is proven (RFC 9930 section 4.2.3).
const USER: u16 = 1;
const MACHINE: u16 = 2;

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
             client_ca = \"{}\"\n[[user]]\nname = \"host/desk\"\npassword = \"wood\"\n",
            server.certificate.display(),
            server.key.display(),
            authority.certificate().display()
        );
        Site { _folder: folder, eap, alice }
    }
}

/// How one identity is proven.
#[derive(Debug, Clone, Copy)]
enum By {
    /// By alice's certificate.
    Certificate,
    /// By a name and its password, in EAP-MSCHAPv2.
    MsChap2(&'static str, &'static str),
    /// By both as they are.
    Password(&'static str, &'static str),
}

impl By {
    /// For one conversation; the certificate is in `trust`.
    fn credential(self, trust: &Trust) -> Credential {
        match self {
            By::Certificate => Credential::Eap(Supplicant::tls("alice", trust)),
            By::MsChap2(name, password) => Credential::Eap(Supplicant::mschapv2(name, password)),
            By::Password(name, password) => Credential::Password(name.into(), password.into()),
        }
    }
}

/// A peer's side of one version of TLS: the tunnel's, and that of a certificate within.
struct Peers {
    version: Version,
    bare: Trust,
    trust: Trust,
}

impl Peers {
    fn of(site: &Site) -> [Peers; 2] {
        [Version::Tls12, Version::Tls13].map(|version| {
            let (bare, trust) = (Trust::new(version, None), Trust::new(version, Some(&site.alice)));
            Peers { version, bare, trust }
        })
    }

    /// Proves identities by their numbers, in one conversation; what it heard, too.
    fn ask(&self, to: (IpAddr, &str), name: &str, proofs: &[(u16, By)], trick: Trick) -> (Ended, Heard) {
        let credentials = proofs.iter().map(|(identity, by)| (*identity, by.credential(&self.trust)));
        let teap = Teap::new(credentials.collect()).cheating(trick);
        let heard = teap.heard();
        let supplicant = Supplicant::teap(name, teap, &self.bare);
        let ended = authenticate(SocketAddr::new(to.0, 1812), to.1, supplicant);
        let heard = heard.lock().expect("nobody has panicked").clone();
        (ended, heard)
    }
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
        let proofs =
            [By::MsChap2("alice", "wonderland"), By::Certificate, By::Password("alice", "wonderland")];
        let peers = Peers::of(&site);
        let cases = peers.iter().flat_map(|peers| ways.map(|way| proofs.map(|by| (peers, way, by))));
        together(&cases.flatten().collect::<Vec<_>>(), |_, (peers, way, by)| {
            let (ended, heard) = peers.ask(*way, "anonymous@example.org", &[(USER, *by)], Trick::None);
            assert!(ended.is_in(), "{by:?}, {key:?}, {}, by {}: {ended:?} {heard:?}", peers.version, way.0);
        });
    }
}

#[test]
fn a_machine_and_its_user_are_proven_one_after_the_other() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa, "teap_identities = [\"machine\", \"user\"]");
    let server = Server::start(&config::server(&hosts, "east", host, &[], &site.eap));
    let desk = By::MsChap2("host/desk", "wood");
    let proofs = [
        (desk, By::Certificate, true),
        (desk, By::Password("alice", "wonderland"), true),
        (By::Password("host/desk", "wood"), By::Certificate, true),
        (By::MsChap2("host/desk", "woof"), By::Certificate, false),
        (desk, By::Password("alice", "wonderlamp"), false),
        // Nobody proves a machine by being a user, nor the other way round.
        (By::MsChap2("alice", "wonderland"), By::Certificate, false),
        (By::Certificate, By::Password("alice", "wonderland"), false),
        (desk, By::Password("host/desk", "wood"), false),
    ];
    let peers = Peers::of(&site);
    let cases: Vec<_> = peers.iter().flat_map(|peers| proofs.map(|proof| (peers, proof))).collect();
    together(&cases, |_, &(peers, (machine, user, is_in))| {
        let both = [(USER, user), (MACHINE, machine)];
        let (ended, heard) = peers.ask((host, SECRET), "desk", &both, Trick::None);
        let what = format!("{machine:?}, {user:?}, {}: {ended:?} {heard:?}", peers.version);
        assert_eq!(ended.is_in(), is_in, "{what}\n{}", server.log());
        assert_eq!(heard.identities.first(), Some(&MACHINE), "the machine is asked for first");
        assert!(is_in || ended.end == End::Rejected, "{what}");
    });
    // Which is last, isn't the peer's choice.
    together(&peers, |_, peers| {
        let both = [(USER, By::Certificate), (MACHINE, desk)];
        let (ended, heard) = peers.ask((host, SECRET), "desk", &both, Trick::Other);
        let version = peers.version;
        assert_eq!((&heard.identities[..], &heard.errors[..]), (&[MACHINE][..], &[2002][..]), "{version}");
        assert_eq!(ended.end, End::Rejected, "{version}");
    });
    let counted = server.status();
    assert_eq!(counted["requests"]["access-reject.eap-other-identity"], 2 * 4, "{counted}");
}

#[test]
fn whoever_cheats_is_told_so_and_stays_out() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa, "");
    let server = Server::start(&config::server(&hosts, "east", host, &[], &site.eap));
    let peers = Peers::of(&site);
    for peers in &peers {
        let ask = |by, trick| -> (End, Heard) {
            let (ended, heard) = peers.ask((host, SECRET), "anonymous", &[(USER, by)], trick);
            (ended.end, heard)
        };
        let (right, version) = (End::Accepted { keys_match: true }, peers.version);
        let (end, heard) = ask(By::Certificate, Trick::MskOnly);
        assert_eq!((&end, &heard.authority[..]), (&right, &b"east"[..]), "{version}: {heard:?}");
        let (end, heard) = ask(By::MsChap2("alice", "wonderland"), Trick::Unknown);
        assert_eq!((&end, &heard.naks[..]), (&right, &[100][..]), "{version}: {heard:?}");
    }
    let wrong = [
        (By::Certificate, Trick::MskMac, 2005),
        (By::Certificate, Trick::EmskMac, 2007),
        (By::Certificate, Trick::Nonce, 2003),
        (By::Certificate, Trick::NoBinding, 2001),
        (By::Certificate, Trick::Preamble, 2005),
        (By::Certificate, Trick::Early, 2002),
        (By::Certificate, Trick::Long, 2002),
        (By::Certificate, Trick::Half, 2002),
        (By::Certificate, Trick::Twice, 2002),
        (By::Certificate, Trick::Machine, 2002),
        (By::MsChap2("alice", "wonderlamp"), Trick::None, 1001),
        (By::MsChap2("nobody", "wonderland"), Trick::None, 1001),
        (By::Password("alice", "wonderlamp"), Trick::None, 1001),
        (By::Password("nobody", "wonderland"), Trick::None, 1001),
    ];
    let cases: Vec<_> = peers.iter().flat_map(|peers| wrong.map(|wrong| (peers, wrong))).collect();
    together(&cases, |_, &(peers, (by, trick, code))| {
        let (ended, heard) = peers.ask((host, SECRET), "anonymous", &[(USER, by)], trick);
        let told = heard.errors.last();
        assert_eq!((&ended.end, told), (&End::Rejected, Some(&code)), "{by:?}, {trick:?}: {heard:?}");
        assert!(trick == Trick::None || heard.errors.len() == 1, "{trick:?}: {heard:?}");
    });
    let counted = server.status();
    let counted = |cause: &str| counted["requests"][format!("access-reject.{cause}")].as_u64();
    assert_eq!(counted("eap-peer-refuses"), Some(2 * 5), "what isn't bound");
    assert_eq!(counted("eap-malformed"), Some(2 * 4), "what is out of turn");
    assert_eq!(counted("eap-other-identity"), Some(2), "a machine");
}

#[test]
fn what_isnt_allowed_within_is_refused() {
    let mut hosts = Hosts::claim();
    let (password, mschapv2) = (By::Password("alice", "wonderland"), By::MsChap2("alice", "wonderland"));
    let cases = [
        ("[\"mschapv2\"]", password, false),
        ("[\"pap\"]", mschapv2, false),
        ("[\"pap\"]", password, true),
        ("[\"pap\", \"mschapv2\"]", mschapv2, true),
        ("[\"tls\"]", mschapv2, false),
        // Nothing of them could be bound.
        ("[\"gtc\", \"md5\"]", mschapv2, false),
    ]
    .map(|case| (hosts.host(), case));
    together(&cases, |_, &(host, (inner, by, is_in))| {
        let site = Site::new(Key::Ecdsa, &format!("inner = {inner}"));
        let server = Server::start(&config::server(&hosts, "east", host, &[], &site.eap));
        let [_, peers] = Peers::of(&site);
        let (ended, _) = peers.ask((host, SECRET), "anonymous", &[(USER, by)], Trick::None);
        assert_eq!(ended.is_in(), is_in, "{inner}: {ended:?}");
        let counted = server.status();
        let refused = &counted["requests"]["access-reject.eap-inner-not-allowed"];
        assert_eq!(refused.as_u64().unwrap_or(0), u64::from(!is_in), "{inner}: {counted}");
    });
}

/// A machine and its user, by their passwords.
fn desk(wood: &str, wonderland: &str) -> Vec<(u16, Credential)> {
    let by = |name, password| Credential::Eap(Supplicant::mschapv2(name, password));
    vec![(1, by("alice", wonderland)), (2, by("host/desk", wood))]
}

#[test]
fn a_session_that_is_resumed_stands_for_machine_and_user() {
    let site = Site::new(Key::Ecdsa, "teap_identities = [\"machine\", \"user\"]");
    for version in [Version::Tls12, Version::Tls13] {
        let mut hosts = Hosts::claim();
        let host = hosts.host();
        let config = config::server(&hosts, "east", host, &[], &site.eap);
        let server = Server::start(&config);
        let change = |from: &str, to: &str| {
            server.rewrite(&config.replace(from, to));
            assert!(server.forewarn(&["reload"]).status.success(), "{}", server.log());
        };
        let trust = Trust::new(version, None).resuming();
        let ask_with = |credentials, trust: &Trust| {
            let teap = Teap::new(credentials);
            let heard = teap.heard();
            let supplicant = Supplicant::teap("anonymous", teap, trust);
            let ended = authenticate(SocketAddr::new(host, 1812), SECRET, supplicant);
            let heard = heard.lock().expect("nobody has panicked").clone();
            (ended.is_in(), ended.was_resumed, heard.identities)
        };
        let ask = |wood, wonderland| ask_with(desk(wood, wonderland), &trust);
        let (whole, resumed) = ((true, false, vec![2, 1]), (true, true, vec![]));
        assert_eq!(ask("wood", "wonderland"), whole, "{version}");
        for _ in 0..2 {
            assert_eq!(ask("wood", "wonderland"), resumed, "{version}");
        }
        change("\"wonderland\"", "\"looking-glass\"");
        assert_eq!(
            ask("wood", "wonderland"),
            (false, true, vec![]),
            "{version}: the user has another password"
        );
        assert_eq!(ask("wood", "looking-glass"), whole, "{version}");
        change("\"wood\"", "\"steel\"");
        assert_eq!(ask("wood", "wonderland"), (false, true, vec![]), "{version}: the machine has");
        assert_eq!(ask("steel", "wonderland"), whole, "{version}");
        // The handshake alone is spared where somebody else is to be proven now.
        change("[\"machine\", \"user\"]", "[\"user\"]");
        assert_eq!(ask("steel", "wonderland"), (true, true, vec![1]), "{version}");
        assert_eq!(ask("steel", "wonderland"), resumed, "{version}");
        // A certificate that was shown within isn't in the ticket.
        let trust = Trust::new(version, None).resuming();
        let alice = Trust::new(version, Some(&site.alice));
        for _ in 0..2 {
            let credentials = vec![(1, Credential::Eap(Supplicant::tls("alice", &alice)))];
            assert_eq!(ask_with(credentials, &trust), (true, false, vec![1]), "{version}");
        }
        let counted = server.status();
        assert_eq!(counted["requests"]["access-reject.eap-password-changed"], 2, "{version}: {counted}");
    }
}

const POLICIES: &str = r#"
[[policy]]
name = "alice at a desk"
when = 'user.name == "alice" && user.kind == "user" && machine.name == "host/desk" && "desks" in machine.groups'
reply = { Reply-Message = "at a desk" }

[[policy]]
name = "a desk without anybody"
when = 'user.name == machine.name && user.groups.exists(group, group in machine.groups)'
reply = { Reply-Message = "a desk" }

[[policy]]
name = "alice anywhere"
when = 'user.name == "alice" && machine.name == "" && size(machine.groups) == 0'
reply = { Reply-Message = "anywhere" }
"#;

#[test]
fn policies_see_the_machine_beside_its_user_in_whichever_order_they_come() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    for (identities, message, asked) in [
        ("[\"machine\", \"user\"]", "at a desk", vec![2, 1]),
        ("[\"user\", \"machine\"]", "at a desk", vec![1, 2]),
        ("[\"machine\"]", "a desk", vec![2]),
        ("[\"user\"]", "anywhere", vec![1]),
    ] {
        let site = Site::new(Key::Ecdsa, &format!("teap_identities = {identities}"));
        let eap = format!("{}groups = [\"desks\"]\n{POLICIES}", site.eap);
        let server = Server::start(&config::server(&hosts, "east", host, &[], &eap));
        let trust = Trust::new(Version::Tls13, None).resuming();
        for asked in [asked, vec![]] {
            let teap = Teap::new(desk("wood", "wonderland"));
            let heard = teap.heard();
            let supplicant = Supplicant::teap("anonymous", teap, &trust);
            let ended = authenticate(SocketAddr::new(host, 1812), SECRET, supplicant);
            assert!(ended.is_in(), "{identities}: {ended:?}\n{}", server.log());
            let has = |text: &str| ended.reply.windows(text.len()).any(|octets| octets == text.as_bytes());
            let name = if identities.contains("user") { "alice" } else { "host/desk" };
            assert!(has(message) && has(name), "{identities}: {ended:?}");
            assert_eq!(heard.lock().expect("nobody has panicked").identities, asked, "{identities}");
        }
    }
}
