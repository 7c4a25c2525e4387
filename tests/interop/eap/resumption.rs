//! Sessions of TLS that are resumed: on any server with the same keys, and only by who would be let in anyway.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use forewarn_tests::authority::Key;
use forewarn_tests::config::{self, SECRET};
use forewarn_tests::eapol::{Authenticated, eapol_test_twice};
use forewarn_tests::supplicant::{Supplicant, Trust, Version, authenticate};
use forewarn_tests::{Hosts, Server, together};
use forewarn_wire::{Attributes, number};

use super::tunnels::{self, METHODS, Site};

/// Octets of a packet before its attributes.
const HEADER: usize = 20;
pub(super) const KEYS: &str =
    "ticket_key = \"5f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f2\"";

/// A peer that takes tickets in TLS 1.2 too; unasked, wpa_supplicant doesn't.
pub(super) fn version(is_13: bool) -> &'static str {
    match is_13 {
        true => "phase1=\"tls_disable_tlsv1_3=0 tls_disable_session_ticket=0\"\n",
        false => "phase1=\"tls_disable_tlsv1_3=1 tls_disable_session_ticket=0\"\n",
    }
}

/// Between a peer and its servers: the first conversation goes to the first, the second, after `between`, to the other.
fn switch(socket: &UdpSocket, servers: [SocketAddr; 2], between: impl FnOnce()) {
    let (mut begun, mut between, mut peer) = (0, Some(between), None);
    let mut room = [0; 4096];
    while let Ok((octets, from)) = socket.recv_from(&mut room) {
        if octets == 0 {
            return;
        }
        if servers.contains(&from) {
            let _ = socket.send_to(&room[..octets], peer.expect("somebody asked"));
            continue;
        }
        peer = Some(from);
        let attributes = Attributes::parse(&room[HEADER..octets]).into_iter().flatten();
        let has_state = attributes.into_iter().any(|attribute| attribute.number == number::STATE);
        begun += usize::from(!has_state);
        if begun > 1
            && let Some(between) = between.take()
        {
            between();
        }
        let _ = socket.send_to(&room[..octets], servers[usize::from(begun > 1)]);
    }
}

/// Authenticates twice by way of `at`: with one server, then, after `between`, with the other.
pub(super) fn both(
    at: IpAddr,
    servers: [IpAddr; 2],
    secret: &str,
    peer: &str,
    between: impl FnOnce() + Send,
) -> Authenticated {
    let socket = UdpSocket::bind((at, 1812)).expect("an address of the test");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("it has one");
    thread::scope(|scope| {
        scope.spawn(|| switch(&socket, servers.map(|host| SocketAddr::new(host, 1812)), between));
        let said = eapol_test_twice(SocketAddr::new(at, 1812), secret, peer);
        // Nothing at all ends it.
        let _ = socket.send_to(&[], (at, 1812));
        said
    })
}

/// Whole ones that the server has seen, and resumed ones.
pub(super) fn handshakes(server: &Server) -> (u64, u64) {
    let status = server.status();
    let of = |name: &str| status["counters"][name].as_u64().unwrap_or_default();
    (of("eap.handshakes.full"), of("eap.handshakes.resumed"))
}

/// A certificate within a tunnel has a handshake of its own: neither that nor the tunnel around it is resumed. Nor is a tunnel
/// that what was proven within isn't bound to.
fn expected((full, resumed): (u64, u64), method: (&str, &str)) -> (u64, u64) {
    match method {
        ("PEAP", "auth=TLS") | ("TTLS", "autheap=TLS") => (full + 4, resumed),
        ("PEAP", "auth=MD5") | ("TTLS", "autheap=MD5" | "autheap=MSCHAPV2") => (full + 2, resumed),
        _ => (full + 1, resumed + 1),
    }
}

#[test]
fn a_session_is_resumed() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa);
    let server = Server::start(&config::server(&hosts, "east", host, &[], &site.eap("", "")));
    let mut so_far = (0, 0);
    for method in METHODS {
        for is_13 in [false, true] {
            let lines =
                format!("identity=\"alice\"\nanonymous_identity=\"@example.org\"\n{}", version(is_13));
            let peer = site.peer(method, &site.alice, &lines);
            let said = eapol_test_twice(SocketAddr::new(host, 1812), SECRET, &peer);
            assert!(said.success, "{method:?}: {peer}\n{}", said.text);
            so_far = expected(so_far, method);
            assert_eq!(handshakes(&server), so_far, "{method:?} {is_13}: {}", said.text);
        }
    }
}

#[test]
fn who_takes_no_tickets_resumes_by_the_session_s_id() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let site = Site::new(Key::Ecdsa);
    let server = Server::start(&config::server(&hosts, "east", host, &[], &site.eap("", "")));
    for (number, method) in [METHODS[0], METHODS[3], METHODS[9]].into_iter().enumerate() {
        let lines = format!("identity=\"alice\"\n{}", tunnels::version(false));
        let peer = site.peer(method, &site.alice, &lines);
        let said = eapol_test_twice(SocketAddr::new(host, 1812), SECRET, &peer);
        assert!(said.success, "{method:?}: {peer}\n{}", said.text);
        let so_far = number as u64 + 1;
        assert_eq!(handshakes(&server), (so_far, so_far), "{method:?}: {}", said.text);
    }
}

#[test]
fn another_server_of_the_same_keys_resumes_what_a_certificate_proves() {
    let mut hosts = Hosts::claim();
    let (east, west) = (hosts.host(), hosts.host());
    let site = Site::new(Key::Ecdsa);
    let start = |name, host| Server::start(&config::server(&hosts, name, host, &[], &site.eap("", KEYS)));
    let servers = [start("east", east), start("west", west)];
    let between = hosts.host();
    let mut resumed = 0;
    for method in METHODS {
        for is_13 in [false, true] {
            let peer = site.peer(method, &site.alice, &format!("identity=\"alice\"\n{}", version(is_13)));
            let said = both(between, [east, west], SECRET, &peer, || {});
            assert!(said.success, "{method:?}: {peer}\n{}", said.text);
            // What was said within a tunnel is known where it was said only.
            resumed += u64::from(method.0 == "TLS");
            assert_eq!(handshakes(&servers[1]).1, resumed, "{method:?}: {}", said.text);
        }
    }
}

#[test]
fn what_has_changed_since_counts() {
    let mut hosts = Hosts::claim();
    let changes = [(METHODS[0], "revoked"), (METHODS[0], "gone"), (METHODS[3], "gone"), (METHODS[9], "gone")];
    let cases = [false, true].map(|is_13| changes.map(|change| (is_13, change, hosts.host(), hosts.host())));
    together(cases.as_flattened(), |_, &(is_13, (method, change), host, between)| {
        let site = Site::new(Key::Ecdsa);
        let crl = |leaves: &[_]| format!("crl = [\"{}\"]", site.authority.revoke(leaves).display());
        let first = config::server(&hosts, "east", host, &[], &site.eap("", &crl(&[])));
        let server = Server::start(&first);
        let peer = site.peer(method, &site.alice, &format!("identity=\"alice\"\n{}", version(is_13)));
        let said = both(between, [host; 2], SECRET, &peer, || {
            let then = match change {
                "revoked" => config::server(&hosts, "east", host, &[], &site.eap("", &crl(&[&site.alice]))),
                _ => first.replace("name = \"alice\"", "name = \"carol\""),
            };
            server.rewrite(&then);
            assert!(server.forewarn(&["reload"]).status.success());
        });
        assert!(said.was_refused(), "{method:?} {change}: {}", said.text);
        let expected = (1, u64::from(change != "revoked"));
        assert_eq!(handshakes(&server), expected, "{method:?} {change}: {}", said.text);
    });
}

/// Secrets of tickets, before and after one takes the place of another.
const OLD: &str = "6a1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f3";
const NEW: &str = "7b1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f4";

#[test]
fn a_secret_is_replaced_while_sessions_go_on() {
    let mut hosts = Hosts::claim();
    let (east, west, between) = (hosts.host(), hosts.host(), hosts.host());
    let site = Site::new(Key::Ecdsa);
    let config = |name, host, secrets: &[&str]| {
        let keys = secrets.iter().map(|secret| format!("{{ key = \"{secret}\" }}")).collect::<Vec<_>>();
        let keys = format!("ticket_keys = [{}]", keys.join(", "));
        config::server(&hosts, name, host, &[], &site.eap("", &keys))
    };
    let servers =
        [("east", east), ("west", west)].map(|(name, host)| Server::start(&config(name, host, &[OLD])));
    // First it is taken everywhere, then it seals here and there, then the old one goes.
    let steps: [([&[&str]; 2], [bool; 2]); 6] = [
        ([&[OLD], &[OLD, NEW]], [true, true]),
        ([&[OLD, NEW], &[OLD, NEW]], [true, true]),
        ([&[NEW, OLD], &[OLD, NEW]], [true, true]),
        ([&[NEW, OLD], &[NEW]], [true, true]),
        // In another order it isn't so: what seals has to be taken by the other.
        ([&[NEW], &[OLD, NEW]], [true, false]),
        ([&[NEW], &[OLD]], [false, false]),
    ];
    for (secrets, expected) in steps {
        for (server, (name, host, secrets)) in
            servers.iter().zip([("east", east, secrets[0]), ("west", west, secrets[1])])
        {
            server.rewrite(&config(name, host, secrets));
            let reloaded = server.forewarn(&["reload"]);
            assert!(reloaded.status.success(), "{reloaded:?}");
        }
        for (is_13, from) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
            let peer = site.peer(METHODS[0], &site.alice, &format!("identity=\"alice\"\n{}", version(is_13)));
            let (to, order) = (&servers[1 - from], if from == 0 { [east, west] } else { [west, east] });
            let before = handshakes(to);
            let said = both(between, order, SECRET, &peer, || {});
            let after = handshakes(to);
            let seen = (after.0 - before.0, after.1 - before.1);
            let resumed = u64::from(expected[from]);
            assert!(said.success, "{secrets:?}: {}", said.text);
            assert_eq!(seen, (1 - resumed, resumed), "{secrets:?} from {from}, {is_13}: {}", said.text);
        }
    }
}

#[test]
fn another_password_refuses_a_session_at_once_and_gets_in_by_a_whole_handshake() {
    let site = Site::new(Key::Ecdsa);
    for version in [Version::Tls12, Version::Tls13] {
        for method in ["peap", "ttls"] {
            let mut hosts = Hosts::claim();
            let address = SocketAddr::new(hosts.host(), 1812);
            let config = config::server(&hosts, "east", address.ip(), &[], &site.eap("", ""));
            let server = Server::start(&config);
            let trust = Trust::new(version, None).resuming();
            let ask = |password: &str| {
                let supplicant = match method {
                    "peap" => Supplicant::peap_mschapv2("alice", "alice", password, &trust),
                    _ => Supplicant::ttls_pap("alice", "alice", password, &trust),
                };
                authenticate(address, SECRET, supplicant)
            };
            let change = |from: &str, to: &str| {
                server.rewrite(&config.replace(from, to));
                assert!(server.forewarn(&["reload"]).status.success(), "{}", server.log());
            };
            let what = format!("{method}, {version}");
            let first = ask("wonderland");
            assert!(first.is_in() && !first.was_resumed, "{what}: {first:?}");
            change("Hello, alice", "Welcome, alice");
            let again = ask("wonderland");
            assert!(again.is_in() && again.was_resumed, "{what}: the password is the same: {again:?}");
            change("\"wonderland\"", "\"looking-glass\"");
            let refused = ask("wonderland");
            assert!(refused.was_resumed && refused.end != first.end, "{what}: {refused:?}");
            let whole = ask("looking-glass");
            assert!(whole.is_in() && !whole.was_resumed, "{what}: {whole:?}");
            let again = ask("looking-glass");
            assert!(again.is_in() && again.was_resumed, "{what}: {again:?}");
            let status = server.status();
            assert_eq!(status["requests"]["access-reject.eap-password-changed"], 1, "{what}: {status}");
            assert_eq!(status["requests"]["access-reject.wrong-password"].as_u64(), None, "{what}: {status}");
        }
    }
}
