//! Cores on real loopback sockets.

use std::net::UdpSocket;
use std::time::Duration;

use forewarn_wire::{Code, MessageAuthenticatorRule, Packet, number};
use tempfile::TempDir;

use super::*;
use crate::config::Listen;
use crate::testing::{self, Ask};

const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    addresses: Vec<(ListenKind, SocketAddr)>,
    shared: Arc<Shared>,
    cores: Cores,
    _folder: TempDir,
}

impl Server {
    /// Two cores that listen on these addresses, on ports that the kernel picks; everybody is their client.
    fn start(listens: &[(ListenKind, &str)]) -> Self {
        let mut config = testing::config("");
        config.server.cores = 2;
        config.listens = listens
            .iter()
            .map(|(kind, ip)| Listen { kind: *kind, address: SocketAddr::new(ip.parse().unwrap(), 0) })
            .collect();
        config.clients[0].network = "127.0.0.0/8".parse().unwrap();
        config.clients[1].network = "::1/128".parse().unwrap();
        let sockets = bind(&config).unwrap();
        let addresses = sockets.addresses().to_vec();
        let (folder, shared) = testing::shared(config);
        let cores = start(&shared, sockets).unwrap();
        Self { addresses, shared, cores, _folder: folder }
    }

    fn address(&self, number: usize) -> SocketAddr {
        self.addresses[number].1
    }

    fn counted(&self, name: &str) -> u64 {
        self.shared.requests().find(|(known, _)| known == name).map_or(0, |(_, times)| times)
    }
}

fn socket(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends a request and gives the verified reply's code, with its octets.
fn exchange(socket: &UdpSocket, to: SocketAddr, ask: &Ask<'_>) -> (Code, Vec<u8>) {
    let request = ask.octets();
    socket.send_to(&request, to).unwrap();
    let mut octets = [0; 4096];
    let (length, from) = socket.recv_from(&mut octets).expect("a reply");
    assert_eq!(from, to, "from the address asked");
    let authenticator = request[4..20].try_into().unwrap();
    let reply = Packet::parse(&octets[..length]).unwrap();
    let reply =
        reply.verify_reply(&testing::key(), ask.code, authenticator, MessageAuthenticatorRule::Required);
    let reply = reply.unwrap();
    assert_eq!(reply.identifier(), ask.identifier);
    (reply.code(), octets[..length].to_vec())
}

#[test]
fn two_cores_share_the_identifiers_and_know_their_duplicates() {
    let server = Server::start(&[(ListenKind::Auth, "127.0.0.1"), (ListenKind::Acct, "127.0.0.1")]);
    let client = socket("127.0.0.1");
    for identifier in 0..=255 {
        let ask = Ask { identifier, ..Ask::pap("alice", "wonderland") };
        let (code, octets) = exchange(&client, server.address(0), &ask);
        assert_eq!(code, Code::ACCESS_ACCEPT);
        assert_eq!(exchange(&client, server.address(0), &ask).1, octets, "the same again");
    }
    assert_eq!((server.counted("access-accept.password"), server.counted("repeated.duplicate")), (256, 256));
    let by_core =
        server.shared.outcomes().iter().map(|core| core.of(crate::process::outcome::Cause::Password));
    assert_eq!(by_core.collect::<Vec<_>>(), [128, 128], "the kernel picks the core by the identifier");
    for identifier in 0..10 {
        let start = Ask { identifier, ..Ask::accounting(1, &format!("s-{identifier}"), &[]) };
        assert_eq!(exchange(&client, server.address(1), &start).0, Code::ACCOUNTING_RESPONSE);
    }
    let slow = Ask { authenticator: [1; 16], ..Ask::new(Code::STATUS_SERVER, &[]) };
    assert_eq!(exchange(&client, server.address(1), &slow).0, Code::ACCOUNTING_RESPONSE);
    server.cores.stop();
}

#[test]
fn workers_and_delays_wake_a_sleeping_core() {
    let server = Server::start(&[(ListenKind::Auth, "127.0.0.1")]);
    let client = socket("127.0.0.1");
    let began = clock::now();
    let slow = Ask { identifier: 1, ..Ask::pap("bob", "rabbit") };
    assert_eq!(exchange(&client, server.address(0), &slow).0, Code::ACCESS_ACCEPT);
    assert!(clock::now().since(began) < Duration::from_secs(1));
    let began = clock::now();
    let wrong = Ask { identifier: 2, ..Ask::pap("alice", "wrong") };
    assert_eq!(exchange(&client, server.address(0), &wrong).0, Code::ACCESS_REJECT);
    let delay = clock::now().since(began);
    assert!(delay >= Duration::from_secs(1) && delay < Duration::from_secs(3), "{delay:?}");
    let vitals = server.shared.vitals();
    let busy_ns: u64 = vitals.cores().iter().map(|core| core.busy_ns(clock::now().as_nanos())).sum();
    assert!(busy_ns > 0 && busy_ns < 1_000_000_000, "asleep most of the time: {busy_ns}");
    // The gauges are shown at the end of the turn, after the reply.
    while vitals.in_flight() != 0 {
        thread::yield_now();
    }
}

#[test]
fn replies_leave_from_the_address_asked() {
    let server = Server::start(&[(ListenKind::Auth, "0.0.0.0"), (ListenKind::Auth, "::1")]);
    let client = socket("127.0.0.1");
    for last in [1, 7, 250] {
        let to = SocketAddr::from(([127, 0, 0, last], server.address(0).port()));
        let ask = Ask {
            identifier: last,
            ..Ask::pap("alice", "wonderland").with(number::NAS_PORT, &[0, 0, 0, last])
        };
        assert_eq!(exchange(&client, to, &ask).0, Code::ACCESS_ACCEPT);
    }
    assert_eq!(
        exchange(&socket("::1"), server.address(1), &Ask::pap("alice", "wonderland")).0,
        Code::ACCESS_ACCEPT
    );
}

#[test]
fn many_at_once_are_all_answered() {
    let server = Server::start(&[(ListenKind::Auth, "127.0.0.1")]);
    let clients: Vec<_> = (0..8).map(|_| socket("127.0.0.1")).collect();
    for client in &clients {
        for identifier in 0..=255 {
            let ask = Ask { identifier, ..Ask::pap("alice", "wonderland") };
            client.send_to(&ask.octets(), server.address(0)).unwrap();
        }
    }
    let mut octets = [0; 4096];
    for client in &clients {
        let mut seen: Vec<u8> =
            (0..256).map(|_| client.recv_from(&mut octets).map(|_| octets[1]).unwrap()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..=255).collect::<Vec<_>>());
    }
    assert_eq!((server.cores.dropped(), server.cores.refused()), (0, 0));
}

#[test]
fn a_second_server_on_the_same_address_is_refused() {
    let server = Server::start(&[(ListenKind::Auth, "127.0.0.1")]);
    let mut config = testing::config("");
    config.listens = vec![Listen { kind: ListenKind::Auth, address: server.address(0) }];
    let errors = bind(&config).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn a_reload_under_load_drops_nothing() {
    let server = Server::start(&[(ListenKind::Auth, "127.0.0.1")]);
    let client = socket("127.0.0.1");
    for turn in 0..20 {
        for identifier in 0..32 {
            let ask = Ask { identifier, authenticator: [turn; 16], ..Ask::new(Code::STATUS_SERVER, &[]) };
            client.send_to(&ask.octets(), server.address(0)).unwrap();
            if identifier == 16 {
                let mut config = testing::config("");
                config.clients[0].network = "127.0.0.0/8".parse().unwrap();
                server.shared.reload(Arc::new(config)).unwrap();
            }
        }
        let mut octets = [0; 4096];
        for _ in 0..32 {
            client.recv_from(&mut octets).expect("a reply");
        }
    }
}
