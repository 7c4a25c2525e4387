//! In steady state a request that needs nobody else takes no memory from the heap.

use allocation_counter::measure;

use super::*;

/// Requests of one kind: every identifier from some ports.
fn asks(ask: &Ask<'_>) -> Vec<(SocketAddr, Vec<u8>)> {
    let source = |port: u16| SocketAddr::new(testing::source().ip(), 40_000 + port);
    let of_port = |port: u16| {
        (0..=255).map(move |identifier| (source(port), Ask { identifier, ..ask.clone() }.octets()))
    };
    (0..4).flat_map(of_port).collect()
}

/// Answers them all, and lets what is delayed leave and what is remembered expire. Gives the replies there were.
fn round(bench: &mut Bench, kind: ListenKind, asks: &[(SocketAddr, Vec<u8>)]) -> usize {
    let mut out = [0; 4096];
    let mut replies = 0;
    bench.core.begin();
    for (source, octets) in asks {
        let local = IpAddr::from([192, 0, 2, 11]);
        let arrival = Arrival { socket: 0, kind, source: *source, local, arrived: bench.now, octets };
        replies += usize::from(bench.core.handle_arrival(bench.now, &arrival, &mut out).is_some());
    }
    bench.core.show(bench.now, Some(bench.now));
    bench.now += Duration::from_millis(1100);
    while bench.core.poll_delayed(bench.now, &mut out).is_some() {
        replies += 1;
    }
    bench.core.show(bench.now, None);
    bench.now += Duration::from_secs(11);
    replies
}

#[test]
fn a_request_in_steady_state_takes_none() {
    // Nobody is held off; everybody is, from the first rounds on.
    for limits in ["[limits]\nfailures = 0\n", "[limits]\nhold = \"1h\"\n"] {
        takes_none(Bench::new(testing::config(limits)));
    }
}

fn takes_none(mut bench: Bench) {
    let kinds = [
        (ListenKind::Auth, Ask::pap("alice", "wonderland")),
        (ListenKind::Auth, Ask::chap("alice", "wonderland")),
        (ListenKind::Auth, mschap::version2("alice", "alice", "wonderland")),
        (ListenKind::Auth, mschap::version2("alice", "alice", "wrong")),
        (ListenKind::Auth, Ask::pap("alice", "wrong")),
        (ListenKind::Auth, Ask::pap("nobody", "wrong")),
        (ListenKind::Auth, Ask::new(Code::STATUS_SERVER, &[])),
        (ListenKind::Acct, Ask::new(Code::STATUS_SERVER, &[])),
    ];
    for (kind, ask) in kinds {
        let asks = asks(&ask);
        // The first rounds find out how much room it takes.
        for _ in 0..2 {
            assert_eq!(round(&mut bench, kind, &asks), asks.len());
        }
        let taken = measure(|| {
            assert_eq!(round(&mut bench, kind, &asks), asks.len());
        });
        assert_eq!(taken.count_total, 0, "{:?}", ask.attributes);
    }
}

#[test]
fn what_is_dropped_takes_none() {
    let mut bench = Bench::new(testing::config(""));
    let forged = Ask { secret: b"another secret entirely", ..Ask::pap("alice", "wonderland") };
    let asks = asks(&forged);
    let strangers: Vec<_> =
        asks.iter().map(|(_, octets)| ("203.0.113.1:1000".parse().unwrap(), octets.clone())).collect();
    for asks in [asks, strangers] {
        round(&mut bench, ListenKind::Auth, &asks);
        // Within a minute of the complaint, and in one turn: the log line about a stranger is not due again.
        let mut out = [0; 4096];
        let taken = measure(|| {
            for (source, octets) in &asks[1..] {
                let local = IpAddr::from([192, 0, 2, 11]);
                let arrival = Arrival {
                    socket: 0,
                    kind: ListenKind::Auth,
                    source: *source,
                    local,
                    arrived: bench.now,
                    octets,
                };
                assert!(bench.core.handle_arrival(bench.now, &arrival, &mut out).is_none());
            }
        });
        assert!(taken.count_total <= 2, "{taken:?}");
    }
}

#[test]
fn a_request_that_policies_look_at_takes_none() {
    let mut bench = Bench::new(testing::config(
        r#"
[[policy]]
name = "staff on wifi"
when = 'client.group.startsWith("wifi/") && "staff" in user.groups && time.hour < 24'
reply = { Session-Timeout = 600 }
reply_add = { Filter-Id = "staff" }

[[policy]]
name = "old devices stay out"
when = 'request["NAS-Port-Type"] == "Wireless-802.11" && "Cisco-AVPair" in request'
action = "reject"
reply = { Reply-Message = "Please update" }
"#,
    ));
    let rejected = Ask::pap("alice", "wonderland").with(61, &[0, 0, 0, 19]).with(26, b"\0\0\0\x09\x01\x03a");
    for ask in [Ask::pap("alice", "wonderland"), rejected] {
        let asks = asks(&ask);
        for _ in 0..2 {
            assert_eq!(round(&mut bench, ListenKind::Auth, &asks), asks.len());
        }
        let taken = measure(|| {
            assert_eq!(round(&mut bench, ListenKind::Auth, &asks), asks.len());
        });
        assert_eq!(taken.count_total, 0, "{:?}", ask.attributes);
    }
    assert!(bench.counted(Cause::Policy) > 0 && bench.counted(Cause::Password) > 0);
}
