//! Sessions of TLS that are resumed: on any server with the same keys, and only by who would be let in anyway.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use forewarn_tests::authority::{Authority, Key};
use forewarn_tests::config::{self, SECRET};
use forewarn_tests::eapol::{Authenticated, eapol_test_twice};
use forewarn_tests::{Hosts, Server};
use forewarn_wire::{Attributes, number};

use super::tunnels::{self, METHODS, Site};

/// Octets of a packet before its attributes.
const HEADER: usize = 20;
const KEYS: &str = "ticket_key = \"5f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f2\"";

/// A peer that takes tickets in TLS 1.2 too; unasked, wpa_supplicant doesn't.
fn version(is_13: bool) -> &'static str {
    match is_13 {
        true => "phase1=\"tls_disable_tlsv1_3=0 tls_disable_session_ticket=0\"\n",
        false => "phase1=\"tls_disable_tlsv1_3=1 tls_disable_session_ticket=0\"\n",
    }
}

/// Between a peer and its servers: the first conversation goes to the first, the second, after `between`, to the other.
fn switch(at: SocketAddr, servers: [SocketAddr; 2], between: impl FnOnce() + Send + 'static) -> Receiver<()> {
    let socket = UdpSocket::bind(at).expect("an address of the test");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("it has one");
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        let (mut begun, mut between, mut peer) = (0, Some(between), None);
        let mut room = [0; 4096];
        while let Ok((octets, from)) = socket.recv_from(&mut room) {
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
        drop(ended);
    });
    end
}

/// Authenticates with one server, then with the other.
fn both(
    hosts: &mut Hosts,
    servers: [SocketAddr; 2],
    peer: &str,
    between: impl FnOnce() + Send + 'static,
) -> Authenticated {
    let at = SocketAddr::new(hosts.host(), 1812);
    let _end = switch(at, servers, between);
    eapol_test_twice(at, SECRET, peer)
}

fn handshakes(server: &Server) -> (u64, u64) {
    let status = server.status();
    let of = |name: &str| status["counters"][name].as_u64().unwrap_or_default();
    (of("eap.handshakes.full"), of("eap.handshakes.resumed"))
}

/// A certificate within a tunnel has a handshake of its own: neither that nor the tunnel around it is resumed.
fn expected((full, resumed): (u64, u64), (outer, inner): (&str, &str)) -> (u64, u64) {
    match outer != "TLS" && inner.ends_with("TLS") {
        true => (full + 4, resumed),
        false => (full + 1, resumed + 1),
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
    let addresses = [east, west].map(|host| SocketAddr::new(host, 1812));
    let mut resumed = 0;
    for method in METHODS {
        for is_13 in [false, true] {
            let peer = site.peer(method, &site.alice, &format!("identity=\"alice\"\n{}", version(is_13)));
            let said = both(&mut hosts, addresses, &peer, || {});
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
    let host = hosts.host();
    let addresses = [SocketAddr::new(host, 1812); 2];
    let site = Site::new(Key::Ecdsa);
    for is_13 in [false, true] {
        let folder = site.folder.path().join(format!("authority-{is_13}"));
        let _ = Authority::make(&folder, Key::Ecdsa);
        for (method, change) in
            [(METHODS[0], "revoked"), (METHODS[0], "gone"), (METHODS[3], "gone"), (METHODS[3], "gone")]
        {
            let crl = |leaves: &[_]| format!("crl = [\"{}\"]", site.authority.revoke(leaves).display());
            let first = config::server(&hosts, "east", host, &[], &site.eap("", &crl(&[])));
            let server = std::sync::Arc::new(Server::start(&first));
            let peer = site.peer(method, &site.alice, &format!("identity=\"alice\"\n{}", version(is_13)));
            let then = match change {
                "revoked" => config::server(&hosts, "east", host, &[], &site.eap("", &crl(&[&site.alice]))),
                _ => first.replace("name = \"alice\"", "name = \"carol\""),
            };
            let changed = std::sync::Arc::clone(&server);
            let said = both(&mut hosts, addresses, &peer, move || {
                changed.rewrite(&then);
                assert!(changed.forewarn(&["reload"]).status.success());
            });
            assert!(said.was_refused(), "{method:?} {change}: {}", said.text);
            let (full, resumed) = handshakes(&server);
            assert_eq!(
                (full, resumed),
                (1, u64::from(change != "revoked")),
                "{method:?} {change}: {}",
                said.text
            );
        }
    }
}
