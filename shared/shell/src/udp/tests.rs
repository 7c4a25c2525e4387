use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

use super::*;

const LOOPBACK: &str = "127.0.0.1:0";

fn options() -> Options {
    Options::default()
}

fn socket(address: &str) -> Socket {
    Socket::new(bind(address.parse().unwrap(), &options()).unwrap()).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A plain socket to send from and to receive with.
fn peer(address: &str) -> UdpSocket {
    let peer = UdpSocket::bind(address).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    peer
}

#[test]
fn a_batch_comes_with_both_addresses_and_the_kernels_stamp() {
    runtime().block_on(async {
        let server = socket("0.0.0.0:0");
        let port = server.local_addr().port();
        let mut inbound = Inbound::new();
        let before = clock::now();
        let clients = [peer("127.0.0.21:0"), peer("127.0.0.22:0")];
        clients[0].send_to(b"first", ("127.0.0.11", port)).unwrap();
        clients[1].send_to(b"second", ("127.0.0.12", port)).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(server.receive(&mut inbound).await.unwrap(), 2);
        let datagrams: Vec<_> = inbound.iter().collect();
        assert_eq!(datagrams[0].bytes, b"first");
        assert_eq!(datagrams[0].from, clients[0].local_addr().unwrap());
        assert_eq!(datagrams[0].to, "127.0.0.11".parse::<IpAddr>().unwrap());
        assert_eq!(datagrams[1].bytes, b"second");
        assert_eq!(datagrams[1].from, clients[1].local_addr().unwrap());
        assert_eq!(datagrams[1].to, "127.0.0.12".parse::<IpAddr>().unwrap());
        for datagram in &datagrams {
            assert!(datagram.arrived >= before.before(Duration::from_millis(1)));
        }
        // The kernel begins to stamp a moment after the machine's first socket has asked for it; until then
        // it stamps what is read.
        for attempt in 1.. {
            clients[0].send_to(b"stamped", ("127.0.0.11", port)).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            server.receive(&mut inbound).await.unwrap();
            let waited = inbound.read_at().since(inbound.get(0).unwrap().arrived);
            if waited >= Duration::from_millis(15) {
                break;
            }
            assert!(attempt < 100, "stamped by the kernel, not when read: {waited:?}");
        }
    });
}

#[test]
fn replies_leave_from_the_address_asked() {
    runtime().block_on(async {
        let server = socket("0.0.0.0:0");
        let port = server.local_addr().port();
        let client = peer("127.0.0.21:0");
        let (mut inbound, mut outbound) = (Inbound::new(), Outbound::new());
        for address in ["127.0.0.11", "127.0.0.12", "127.0.0.13"] {
            client.send_to(address.as_bytes(), (address, port)).unwrap();
        }
        let mut seen = 0;
        while seen < 3 {
            seen += server.receive(&mut inbound).await.unwrap();
            for datagram in inbound.iter() {
                outbound.push(datagram.bytes, datagram.from, Some(datagram.to)).unwrap();
            }
        }
        server.send(&mut outbound).await.unwrap();
        assert!(outbound.is_empty());
        let mut buffer = [0; 100];
        for _ in 0..3 {
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(from.ip().to_string().as_bytes(), &buffer[..length]);
            assert_eq!(from.port(), port);
        }
    });
}

#[test]
fn ipv6_is_its_own_and_knows_its_addresses_too() {
    runtime().block_on(async {
        let server = socket("[::]:0");
        let port = server.local_addr().port();
        // IPV6_V6ONLY: the same port stays free on IPv4.
        let v4 = bind(SocketAddr::new("0.0.0.0".parse().unwrap(), port), &options());
        assert!(v4.is_ok(), "{v4:?}");
        let client = peer("[::1]:0");
        client.send_to(b"hello", ("::1", port)).unwrap();
        let (mut inbound, mut outbound) = (Inbound::new(), Outbound::new());
        server.receive(&mut inbound).await.unwrap();
        let datagram = inbound.get(0).unwrap();
        assert_eq!(datagram.to, "::1".parse::<IpAddr>().unwrap());
        assert_eq!(datagram.from, client.local_addr().unwrap());
        assert!(inbound.read_at().since(datagram.arrived) < Duration::from_secs(1));
        outbound.push(b"hello back", datagram.from, Some(datagram.to)).unwrap();
        server.send(&mut outbound).await.unwrap();
        let mut buffer = [0; 100];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.ip()), (b"hello back".as_slice(), "::1".parse().unwrap()));
    });
}

#[test]
fn more_than_a_batch_keeps_its_order_and_loses_nothing() {
    runtime().block_on(async {
        let server = socket(LOOPBACK);
        let client = socket(LOOPBACK);
        let mut outbound = Outbound::new();
        let total = 10 * BATCH as u32 + 7;
        for number in 0..total {
            if outbound.push(&number.to_be_bytes(), server.local_addr(), None) == Err(Full) {
                client.send(&mut outbound).await.unwrap();
                outbound.push(&number.to_be_bytes(), server.local_addr(), None).unwrap();
            }
        }
        client.send(&mut outbound).await.unwrap();
        let mut inbound = Inbound::new();
        let mut next = 0u32;
        while next < total {
            server.receive(&mut inbound).await.unwrap();
            for datagram in inbound.iter() {
                assert_eq!(datagram.bytes, next.to_be_bytes());
                next += 1;
            }
        }
        assert_eq!(server.try_receive(&mut inbound).unwrap(), 0);
        assert!(inbound.is_empty());
        assert_eq!(outbound.refused(), 0);
    });
}

#[test]
fn long_and_empty_datagrams() {
    runtime().block_on(async {
        let server = socket(LOOPBACK);
        let client = peer(LOOPBACK);
        client.send_to(&[7; 5000], server.local_addr()).unwrap();
        client.send_to(&[], server.local_addr()).unwrap();
        client.send_to(&[8; DATAGRAM], server.local_addr()).unwrap();
        let mut inbound = Inbound::new();
        let mut seen = Vec::new();
        while seen.len() < 3 {
            server.receive(&mut inbound).await.unwrap();
            seen.extend(inbound.iter().map(|datagram| (datagram.bytes.to_vec(), datagram.truncated)));
        }
        assert_eq!(seen, [(vec![7; DATAGRAM], true), (vec![], false), (vec![8; DATAGRAM], false)]);
    });
}

#[test]
fn a_refused_datagram_is_skipped_and_counted() {
    runtime().block_on(async {
        let server = socket(LOOPBACK);
        let client = peer(LOOPBACK);
        let to = client.local_addr().unwrap();
        let mut outbound = Outbound::new();
        outbound.push(b"one", to, None).unwrap();
        outbound.push(b"not ours", to, Some("203.0.113.7".parse().unwrap())).unwrap();
        outbound.push(b"two", to, None).unwrap();
        outbound.push(b"port 0", SocketAddr::new(to.ip(), 0), None).unwrap();
        outbound.push(b"three", to, None).unwrap();
        server.send(&mut outbound).await.unwrap();
        assert_eq!((outbound.refused(), outbound.len()), (2, 0));
        let mut buffer = [0; 100];
        for expected in ["one", "two", "three"] {
            let length = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
    });
}

#[test]
fn a_socket_without_envelopes_counts_its_drops_too() {
    runtime().block_on(async {
        let bare = Options { receive_buffer: 4096, envelopes: false, ..options() };
        let server = Socket::new(bind(LOOPBACK.parse().unwrap(), &bare).unwrap()).unwrap();
        let client = peer(LOOPBACK);
        for _ in 0..200 {
            client.send_to(&[1; 100], server.local_addr()).unwrap();
        }
        let mut inbound = Inbound::new();
        let received = server.try_receive(&mut inbound).unwrap();
        assert!((1..200).contains(&received));
        assert_eq!(server.drops() + received as u64, 200);
        let datagram = inbound.get(0).unwrap();
        assert_eq!((datagram.to, datagram.arrived), (Ipv4Addr::UNSPECIFIED.into(), inbound.read_at()));
    });
}

#[test]
fn what_the_kernel_drops_is_counted() {
    runtime().block_on(async {
        let small = Options { receive_buffer: 4096, ..options() };
        let server = Socket::new(bind(LOOPBACK.parse().unwrap(), &small).unwrap()).unwrap();
        let client = peer(LOOPBACK);
        let mut inbound = Inbound::new();
        let mut received = 0;
        for _ in 0..200 {
            client.send_to(&[1; 100], server.local_addr()).unwrap();
        }
        received += server.try_receive(&mut inbound).unwrap();
        // The count comes with the next datagram that finds room.
        client.send_to(&[1; 100], server.local_addr()).unwrap();
        received += server.receive(&mut inbound).await.unwrap();
        assert!(server.drops() > 0);
        assert_eq!(server.drops() + received as u64, 201);
    });
}

#[test]
fn the_identifier_picks_the_socket_of_a_group() {
    runtime().block_on(async {
        for (address, local) in
            [("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0"), ("0.0.0.0:0", "127.0.0.1:0")]
        {
            let group = bind_group(address.parse().unwrap(), 3, &options()).unwrap();
            let group: Vec<Socket> = group.into_iter().map(|bound| Socket::new(bound).unwrap()).collect();
            let client = peer(local);
            let to = SocketAddr::new(local.parse::<SocketAddr>().unwrap().ip(), group[0].local_addr().port());
            for identifier in 0..=255 {
                client.send_to(&[1, identifier, 0, 20], to).unwrap();
            }
            client.send_to(&[9], to).unwrap();
            let mut inbound = Inbound::new();
            for (index, socket) in group.iter().enumerate() {
                let mut identifiers = Vec::new();
                while socket.try_receive(&mut inbound).unwrap() > 0 {
                    identifiers.extend(inbound.iter().filter_map(|datagram| datagram.bytes.get(1).copied()));
                }
                let expected: Vec<u8> =
                    (0..=255).filter(|identifier| usize::from(*identifier) % 3 == index).collect();
                assert_eq!(identifiers, expected, "{address}");
            }
        }
    });
}

#[test]
fn a_second_instance_is_refused_and_told_who_has_the_port() {
    for (address, also) in [("127.0.0.1:0", "0.0.0.0"), ("[::1]:0", "::")] {
        let group = bind_group(address.parse().unwrap(), 2, &options()).unwrap();
        let taken = group[0].local_addr();
        for wanted in [taken, SocketAddr::new(also.parse().unwrap(), taken.port())] {
            for size in [1, 2, 4] {
                let error = bind_group(wanted, size, &options()).unwrap_err();
                let BindError::InUse { holder: Some(holder), .. } = &error else { panic!("{error:?}") };
                assert_eq!(holder.pid, std::process::id());
                assert!(error.to_string().contains(&format!("(process {})", holder.pid)), "{error}");
            }
        }
        drop(group);
        bind_group(taken, 2, &options()).unwrap();
    }
}

#[test]
fn other_reasons_not_to_bind_are_told_apart() {
    let error = bind("203.0.113.7:1812".parse().unwrap(), &options()).unwrap_err();
    assert!(matches!(error, BindError::NoSuchAddress(_)), "{error:?}");
    assert_eq!(error.to_string(), "203.0.113.7 is no address of this machine: add it, or listen elsewhere");
}

#[test]
fn the_receive_buffer_is_as_large_as_the_machine_allows() {
    let bound = bind(LOOPBACK.parse().unwrap(), &options()).unwrap();
    let limit: usize =
        std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap().trim().parse().unwrap();
    assert!(bound.receive_buffer() >= limit.min(options().receive_buffer), "{}", bound.receive_buffer());
}

#[test]
fn a_full_send_buffer_blocks_and_goes_on() {
    runtime().block_on(async {
        let small = Options { send_buffer: 4096, ..options() };
        let client = Socket::new(bind(LOOPBACK.parse().unwrap(), &small).unwrap()).unwrap();
        let server = socket(LOOPBACK);
        let mut outbound = Outbound::new();
        for _ in 0..BATCH {
            outbound.push(&[3; 3000], server.local_addr(), None).unwrap();
        }
        // Loopback delivers at once, so that even a small buffer drains: what matters is that all of it
        // arrives.
        client.send(&mut outbound).await.unwrap();
        let (mut inbound, mut received) = (Inbound::new(), 0);
        while received < BATCH {
            received += server.receive(&mut inbound).await.unwrap();
        }
        assert_eq!((received, outbound.refused()), (BATCH, 0));
    });
}

#[test]
fn sockets_and_batches_can_be_sent_to_another_thread() {
    fn sent<T: Send>() {}
    sent::<Bound>();
    sent::<Inbound>();
    sent::<Outbound>();
    let bound = bind(LOOPBACK.parse().unwrap(), &options()).unwrap();
    let to = bound.local_addr();
    let outcome = std::thread::spawn(move || {
        runtime().block_on(async move {
            let socket = Socket::new(bound).unwrap();
            let mut inbound = Inbound::new();
            socket.receive(&mut inbound).await.unwrap();
            inbound.get(0).unwrap().bytes.to_vec()
        })
    });
    peer(LOOPBACK).send_to(b"across", to).unwrap();
    assert_eq!(outcome.join().unwrap(), b"across");
}

#[test]
fn a_receive_that_was_dropped_loses_nothing() {
    runtime().block_on(async {
        let server = socket(LOOPBACK);
        let mut inbound = Inbound::new();
        let nothing = tokio::time::timeout(Duration::from_millis(10), server.receive(&mut inbound)).await;
        assert!(nothing.is_err());
        peer(LOOPBACK).send_to(b"later", server.local_addr()).unwrap();
        assert_eq!(server.receive(&mut inbound).await.unwrap(), 1);
        assert!(server.socket.get_ref().as_raw_fd() > 0);
    });
}

#[test]
fn a_calendar_that_is_set_makes_nothing_look_old() {
    let second = 1_000_000_000;
    let first = Read::NEVER.after(Instant::from_nanos(second), 1000 * second);
    let steady = first.after(Instant::from_nanos(2 * second), 1001 * second + 5_000_000);
    assert_eq!(steady.arrival(1001 * second - 95_000_000), Instant::from_nanos(second + 900_000_000));
    assert_eq!(steady.arrival(0), steady.at, "not stamped");
    assert_eq!(steady.arrival(2000 * second), steady.at, "stamped in the future");
    for stepped in [4600 * second, 10 * second] {
        let after = steady.after(Instant::from_nanos(3 * second), stepped);
        assert_eq!(after.arrival(1002 * second), after.at);
        let later = after.after(Instant::from_nanos(4 * second), stepped + second);
        assert_eq!(later.arrival(stepped), Instant::from_nanos(3 * second));
    }
}
