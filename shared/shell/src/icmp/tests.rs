//! These need CAP_NET_RAW. Run without it they check that its absence is said, and how to grant it.

use std::net::IpAddr;
use std::time::Duration;

use super::*;
use crate::udp::Inbound;
use crate::{clock, privilege};

const MAGIC: [u8; 4] = *b"FWN1";
const SECOND: Duration = Duration::from_secs(1);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Whether this process may open raw sockets. Root always may, so that for root nothing is left out.
fn privileged() -> bool {
    let privileged = privilege::may_use_raw_sockets();
    if !privileged {
        let error = Receiver::open(ip("127.0.0.1"), Kind::Request, MAGIC).unwrap_err();
        assert!(matches!(error, IcmpError::NotPermitted { .. }), "{error:?}");
        assert!(error.to_string().contains("setcap cap_net_raw+ep"), "{error}");
    }
    privileged
}

async fn one(receiver: &Receiver) -> (IpAddr, IpAddr, u16, u16, Vec<u8>) {
    let mut batch = Inbound::new();
    tokio::time::timeout(5 * SECOND, receiver.receive(&mut batch)).await.expect("arrives").unwrap();
    let echo = receiver.echoes(&batch).next().expect("an echo");
    assert!(clock::now().since(echo.arrived) < 5 * SECOND);
    (echo.from, echo.to, echo.identifier, echo.sequence, echo.payload.to_vec())
}

#[test]
fn a_notice_goes_from_address_to_address() {
    if !privileged() {
        return;
    }
    run(async {
        for (server, agent) in [("127.0.0.11", "127.0.0.21"), ("::1", "::1")] {
            let receiver = Receiver::open(ip(agent), Kind::Request, MAGIC).unwrap();
            let sender = Sender::new(ip(server)).unwrap();
            let mut payload = MAGIC.to_vec();
            payload.extend((0..500).map(|n: u32| n.to_be_bytes()[3]));
            sender.request(ip(agent), &payload).await.unwrap();
            let (from, to, _, sequence, received) = one(&receiver).await;
            assert_eq!((from, to, received), (ip(server), ip(agent), payload.clone()));
            sender.request(ip(agent), &payload).await.unwrap();
            assert_eq!(one(&receiver).await.3, sequence + 1);
        }
    });
}

#[test]
fn pings_other_payloads_and_other_addresses_wake_nobody() {
    if !privileged() {
        return;
    }
    run(async {
        for (server, agent, other) in [("127.0.0.11", "127.0.0.22", Some("127.0.0.23")), ("::1", "::1", None)]
        {
            let receiver = Receiver::open(ip(agent), Kind::Request, MAGIC).unwrap();
            let sender = Sender::new(ip(server)).unwrap();
            sender.request(ip(agent), b"an ordinary ping").await.unwrap();
            sender.request(ip(agent), b"FWN").await.unwrap();
            sender.request(ip(agent), b"").await.unwrap();
            sender.reply(ip(agent), 1, 2, b"FWN1 but a reply").await.unwrap();
            if let Some(other) = other {
                sender.request(ip(other), b"FWN1 to another address").await.unwrap();
            }
            sender.request(ip(agent), b"FWN1 at last").await.unwrap();
            assert_eq!(one(&receiver).await.4, b"FWN1 at last");
        }
    });
}

#[test]
fn replies_are_received_by_those_who_want_them() {
    if !privileged() {
        return;
    }
    run(async {
        for (server, agent) in [("127.0.0.11", "127.0.0.24"), ("::1", "::1")] {
            let receiver = Receiver::open(ip(agent), Kind::Reply, MAGIC).unwrap();
            let sender = Sender::new(ip(server)).unwrap();
            sender.reply(ip(agent), 0x1234, 0x5678, b"FWN1 by reply").await.unwrap();
            let (from, to, identifier, sequence, payload) = one(&receiver).await;
            assert_eq!((from, to), (ip(server), ip(agent)));
            assert_eq!((identifier, sequence), (0x1234, 0x5678));
            assert_eq!(payload, b"FWN1 by reply");
        }
    });
}

#[test]
fn thousands_of_acknowledgements_at_once_find_room() {
    if !privileged() {
        return;
    }
    run(async {
        let receiver = Receiver::open(ip("127.0.0.25"), Kind::Request, MAGIC).unwrap();
        let sender = Sender::new(ip("127.0.0.11")).unwrap();
        let mut payload = [0; 150];
        payload[..4].copy_from_slice(&MAGIC);
        const SENT: usize = 5_000;
        for _ in 0..SENT {
            sender.request(ip("127.0.0.25"), &payload).await.unwrap();
        }
        let (mut batch, mut received) = (Inbound::new(), 0);
        while received < SENT {
            tokio::time::timeout(SECOND, receiver.receive(&mut batch))
                .await
                .expect("none is missing")
                .unwrap();
            received += receiver.echoes(&batch).count();
        }
        assert_eq!((received, receiver.drops()), (SENT, 0));
    });
}

#[test]
fn what_is_not_ours_or_too_long_is_an_error() {
    if !privileged() {
        return;
    }
    run(async {
        assert!(matches!(Sender::new(ip("203.0.113.7")), Err(IcmpError::Io(_))));
        assert!(matches!(Receiver::open(ip("203.0.113.7"), Kind::Request, MAGIC), Err(IcmpError::Io(_))));
        let sender = Sender::new(ip("127.0.0.11")).unwrap();
        assert!(sender.request(ip("127.0.0.21"), &[0; PAYLOAD + 1]).await.is_err());
        sender.request(ip("127.0.0.21"), &[0; PAYLOAD]).await.unwrap();
    });
}

#[test]
fn a_host_that_answers_is_told_from_one_that_does_not() {
    if !privileged() {
        return;
    }
    run(async {
        let mut pinger = Pinger::new();
        assert!(pinger.ping(ip("127.0.0.1"), SECOND).await.unwrap() < SECOND);
        assert!(pinger.ping(ip("::1"), SECOND).await.unwrap() < SECOND);
        // Nobody answers a ping to a group (icmp_echo_ignore_broadcasts): silence, or no route to it.
        pinger.ping(ip("224.0.0.251"), SECOND / 10).await.unwrap_err();
        // A broadcast address isn't sent to.
        let error = pinger.ping(ip("255.255.255.255"), SECOND).await.unwrap_err();
        assert!(matches!(error, PingError::Unreachable(_)), "{error:?}");
    });
}

#[test]
fn the_checksum_is_that_of_rfc_1071() {
    // The example of RFC 1071 section 3: the sum is ddf2.
    assert_eq!(send::checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    assert_eq!(send::checksum(&[0xff]), !0xff00);
}

/// Set in the network namespace that the next test makes.
const INSIDE: &str = "FOREWARN_TEST_PING_GROUP";

#[test]
fn a_ping_socket_needs_no_privilege_but_a_group() {
    if std::env::var_os(INSIDE).is_some() {
        return run(without_privilege());
    }
    if !privilege::may(privilege::Capability::CAP_SYS_ADMIN) {
        return;
    }
    // A namespace of its own, whose groups may ping; this one test again, inside it.
    let script =
        "ip link set lo up && echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range && exec \"$0\" \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["--net", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "icmp::tests::a_ping_socket_needs_no_privilege_but_a_group", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

async fn without_privilege() {
    for (server, agent) in [("127.0.0.11", "127.0.0.21"), ("::1", "::1")] {
        let server_side = Receiver::open(ip(server), Kind::Request, MAGIC).unwrap();
        let sender = Sender::new(ip(server)).unwrap();
        let agent_side = PingSocket::open(ip(agent), MAGIC).unwrap();
        agent_side.send(ip(server), b"FWN1 hello").unwrap();
        let (from, _, identifier, sequence, payload) = one(&server_side).await;
        assert_eq!((from, payload.as_slice()), (ip(agent), b"FWN1 hello".as_slice()));
        sender.reply(ip(agent), identifier, sequence, b"an ordinary reply").await.unwrap();
        sender.reply(ip(agent), identifier ^ 1, sequence, b"FWN1 for another program").await.unwrap();
        sender.reply(ip(agent), identifier, sequence, b"FWN1 a notice").await.unwrap();
        let mut batch = Inbound::new();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            tokio::time::timeout(5 * SECOND, agent_side.receive(&mut batch)).await.expect("arrives").unwrap();
            seen.extend(agent_side.echoes(&batch).map(|echo| (echo.from, echo.to, echo.payload.to_vec())));
        }
        // The kernel's own reply, with what was sent, then the server's.
        assert_eq!(seen[0], (ip(server), ip(agent), b"FWN1 hello".to_vec()));
        assert_eq!(seen[1], (ip(server), ip(agent), b"FWN1 a notice".to_vec()));
    }
}
