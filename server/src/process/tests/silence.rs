//! What gets no answer, and the counter that moves.

use forewarn_shell::clock;
use forewarn_wire::number;

use super::*;
use crate::config::RequireMessageAuthenticator;
use crate::process::ledger::WRONG_SECRET_AFTER;

/// A bench that tells, of each datagram, the counter that moved.
fn moved(bench: &mut Bench, kind: ListenKind, source: &str, octets: &[u8]) -> String {
    let before: Vec<_> = bench.shared.requests().collect();
    assert_eq!(bench.arrive(kind, source.parse().unwrap(), octets), None);
    let after: Vec<_> = bench.shared.requests().collect();
    let moved: Vec<_> = after.into_iter().filter(|count| !before.contains(count)).collect();
    assert_eq!(moved.len(), 1, "{moved:?}");
    moved[0].0.clone()
}

#[test]
fn malformed_and_forged_packets_are_counted_by_kind() {
    let mut bench = Bench::new(testing::config(""));
    let good = Ask::pap("alice", "wonderland").octets();
    let mut promises = good.clone();
    promises[3] += 1;
    let mut attribute = good.clone();
    attribute[39] = 1;
    let code = |code: u8| [&[code], &good[1..]].concat();
    let wrong = Ask { secret: b"another secret entirely", ..Ask::pap("alice", "wonderland") };
    let bare = Ask { message_authenticator: false, ..Ask::pap("alice", "wonderland") };
    let eap = bare.clone().with(number::EAP_MESSAGE, &[2, 1, 0, 4]);
    let status = [&[12], &bare.octets()[1..]].concat();
    let accounting = Ask::accounting(1, "s-1", &[]);
    let wrong_accounting = Ask { secret: b"another secret entirely", ..Ask::accounting(1, "s-1", &[]) };
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let ap = "192.0.2.21:40000";
    for (kind, source, octets, counter) in [
        (ListenKind::Auth, ap, &good[..19], "too-short"),
        (ListenKind::Auth, ap, &[], "too-short"),
        (ListenKind::Auth, ap, &good[..good.len() - 1], "bad-length"),
        (ListenKind::Auth, ap, &promises, "bad-length"),
        (ListenKind::Auth, ap, &attribute, "bad-attribute-length"),
        (ListenKind::Auth, "203.0.113.1:40000", &good, "unknown-client"),
        (ListenKind::Auth, "203.0.113.1:40000", b"rubbish", "unknown-client"),
        (ListenKind::Auth, ap, &code(2), "unknown-code"),
        (ListenKind::Auth, ap, &code(0), "unknown-code"),
        (ListenKind::Auth, ap, &code(255), "unknown-code"),
        (ListenKind::Auth, ap, &accounting.octets(), "unknown-code"),
        (ListenKind::Acct, ap, &good, "unknown-code"),
        (ListenKind::Auth, ap, &wrong.octets(), "wrong-message-authenticator"),
        (ListenKind::Auth, ap, &flipped, "wrong-message-authenticator"),
        (ListenKind::Acct, ap, &wrong_accounting.octets(), "wrong-authenticator"),
        (ListenKind::Auth, ap, &bare.octets(), "no-message-authenticator"),
        (ListenKind::Auth, ap, &eap.octets(), "eap-without-message-authenticator"),
        (ListenKind::Auth, ap, &status, "no-message-authenticator"),
    ] {
        assert_eq!(moved(&mut bench, kind, source, octets), format!("silence.{counter}"));
    }
    assert_eq!(bench.shared.strangers().latest(), ["203.0.113.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(bench.core.in_flight(), 0);
    let padded = [&good[..], b"padding"].concat();
    assert!(bench.arrive(ListenKind::Auth, ap.parse().unwrap(), &padded).is_some(), "padding is ignored");
}

#[test]
fn without_the_requirement_only_eap_and_proxy_state_need_it() {
    let settings = "require_message_authenticator = \"no\"\nlimit_proxy_state = \"yes\"\n";
    let mut bench = Bench::new(testing::config_with(settings, ""));
    let ap = "192.0.2.21:40000";
    let with_proxy_state = Ask { message_authenticator: false, ..Ask::pap("alice", "wonderland") };
    let octets = with_proxy_state.octets();
    assert_eq!(
        moved(&mut bench, ListenKind::Auth, ap, &octets),
        "silence.proxy-state-without-message-authenticator"
    );
    let mut bare = with_proxy_state.clone();
    bare.attributes.retain(|(number, _)| *number != number::PROXY_STATE);
    assert_eq!(code(bench.auth(&bare), &bare), Code::ACCESS_ACCEPT);
    let eap = bare.with(number::EAP_MESSAGE, &[2, 1, 0, 4]).octets();
    assert_eq!(moved(&mut bench, ListenKind::Auth, ap, &eap), "silence.eap-without-message-authenticator");
    assert_eq!(bench.shared.tables().clients()[0].ledger.without_message_authenticator().count, 2);
}

#[test]
fn auto_learns_and_keeps_it_over_a_restart() {
    let auto = || testing::config_with("require_message_authenticator = \"auto\"\n", "");
    let mut bench = Bench::new(auto());
    let ap = "192.0.2.21:40000";
    let bare = Ask { message_authenticator: false, identifier: 1, ..Ask::pap("alice", "wonderland") };
    assert!(bench.auth(&bare).is_some());
    // Neither Status-Server nor EAP teaches: they have it always.
    let status = Ask { identifier: 2, ..Ask::new(Code::STATUS_SERVER, &[]) };
    assert!(bench.auth(&status).is_some());
    let eap =
        Ask { identifier: 3, ..Ask::new(Code::ACCESS_REQUEST, &[(number::EAP_MESSAGE, &[2, 1, 0, 4])]) };
    assert_eq!(bench.auth(&eap), None);
    let again = Ask { identifier: 4, ..bare.clone() };
    assert!(bench.auth(&again).is_some(), "not learnt yet");
    // A forged one teaches nothing.
    let forged = Ask { secret: b"another", identifier: 5, ..Ask::pap("alice", "wonderland") };
    assert_eq!(bench.auth(&forged), None);
    assert!(bench.shared.tables().clients()[0].is_learning());

    let signed = Ask { identifier: 6, ..Ask::pap("alice", "wonderland") };
    assert!(bench.auth(&signed).is_some());
    let late = Ask { identifier: 7, ..bare.clone() };
    assert_eq!(moved(&mut bench, ListenKind::Auth, ap, &late.octets()), "silence.no-message-authenticator");

    while bench.shared.vitals().pool().done() == 0 {
        std::thread::yield_now();
    }
    let Bench { shared, core, folder, .. } = bench;
    drop(core);
    drop(shared);
    let shared = testing::shared_in(&folder, auto());
    assert!(!shared.tables().clients()[0].is_learning());
    assert!(shared.tables().clients()[0].ledger.sends_message_authenticator());
}

#[test]
fn auto_never_learns_from_a_network() {
    let mut config = testing::config("");
    config.clients[1].message_authenticator = RequireMessageAuthenticator::Auto;
    let mut bench = Bench::new(config);
    let source = "198.51.100.7:1000".parse().unwrap();
    assert!(bench.arrive(ListenKind::Auth, source, &Ask::pap("alice", "wonderland").octets()).is_some());
    let bare = Ask { message_authenticator: false, identifier: 8, ..Ask::pap("alice", "wonderland") };
    assert!(bench.arrive(ListenKind::Auth, source, &bare.octets()).is_some());
    assert!(!bench.shared.tables().clients()[1].ledger.sends_message_authenticator());
}

#[test]
fn status_server_is_answered_on_both_sockets() {
    let mut bench = Bench::new(testing::config(""));
    let ask = Ask::new(Code::STATUS_SERVER, &[]);
    assert_eq!(reply(bench.auth(&ask), &ask), (Code::ACCESS_ACCEPT, vec![]));
    assert_eq!(reply(bench.acct(&ask), &ask), (Code::ACCOUNTING_RESPONSE, vec![]));
    assert_eq!((bench.counted(Cause::StatusOfAuth), bench.counted(Cause::StatusOfAcct)), (1, 1));
}

#[test]
fn when_the_drain_has_ended_nothing_is_taken_but_what_was_taken_is_answered() {
    let mut bench = Bench::new(testing::config(""));
    let slow = Ask::pap("bob", "rabbit");
    assert_eq!(bench.auth(&slow), None);
    bench.shared.set_taking(false);
    let late = Ask { identifier: 8, ..Ask::pap("alice", "wonderland") };
    assert_eq!(bench.auth(&late), None);
    assert_eq!(bench.counted(Cause::Drained), 1);
    let accept = bench.settle();
    assert_eq!(code(accept.clone(), &slow), Code::ACCESS_ACCEPT);
    assert_eq!(bench.auth(&slow), accept, "who lost the reply has it again");
    let other = Ask { authenticator: [7; 16], ..slow };
    assert_eq!(bench.auth(&other), None, "and nobody else");
    assert_eq!((bench.counted(Cause::Duplicate), bench.counted(Cause::Drained)), (1, 2));
    bench.shared.set_taking(true);
    assert!(bench.auth(&late).is_some());
}

#[test]
fn devices_of_a_network_are_heard() {
    let mut bench = Bench::new(testing::config(""));
    let octets = Ask::pap("alice", "wonderland").octets();
    for source in ["198.51.100.7:1000", "[::ffff:198.51.100.9]:1000", "192.0.2.21:40000"] {
        assert!(bench.arrive(ListenKind::Auth, source.parse().unwrap(), &octets).is_some());
    }
    let forged = Ask { secret: b"another", ..Ask::pap("alice", "wonderland") }.octets();
    assert!(bench.arrive(ListenKind::Auth, "198.51.100.8:1000".parse().unwrap(), &forged).is_none());
    let heard: Vec<_> =
        bench.shared.heard().lately(bench.now).into_iter().map(|(_, address)| address.to_string()).collect();
    assert_eq!(heard, ["198.51.100.7", "198.51.100.9"]);
}

#[test]
fn what_nobody_signed_makes_no_device_heard_and_vouches_for_no_secret() {
    let mut bench = Bench::new(testing::config(
        "[[client]]\nname = \"old\"\naddress = \"203.0.113.0/24\"\nsecret = \"testing123testing123\"\n\
         require_message_authenticator = \"no\"\n",
    ));
    let source = "203.0.113.5:1000".parse().unwrap();
    let bare = Ask { message_authenticator: false, ..Ask::pap("alice", "wonderland") };
    let bare = Ask { attributes: bare.attributes[..2].to_vec(), ..bare }.octets();
    let forged = Ask { secret: b"another", ..Ask::accounting(1, "s", &[]) }.octets();
    for _ in 0..WRONG_SECRET_AFTER {
        bench.arrive(ListenKind::Auth, source, &bare);
        bench.arrive(ListenKind::Acct, source, &forged);
    }
    assert_eq!(bench.shared.heard().lately(bench.now), []);
    let tables = bench.shared.tables();
    let client = tables.client(tables.client_at(source.ip()).unwrap());
    assert!(client.ledger.forged(), "the secret looks wrong");
    assert!(bench.arrive(ListenKind::Auth, source, &Ask::pap("alice", "wonderland").octets()).is_some());
    assert_eq!(bench.shared.heard().lately(bench.now).len(), 1);
    assert!(!client.ledger.forged(), "it fits after all");
}

#[test]
fn the_gauges_show_what_waits() {
    let mut bench = Bench::new(testing::config("[health.limits]\nqueue_delay = \"100ms\"\n"));
    let vitals = Arc::clone(bench.shared.vitals());
    let gate = hold_the_pool(&bench);
    let ask = Ask::pap("bob", "rabbit");
    assert_eq!(bench.auth(&ask), None);
    let rejected = Ask { identifier: 8, ..Ask::pap("alice", "wrong") };
    assert_eq!(bench.auth(&rejected), None);
    let began = bench.now;
    assert_eq!((vitals.in_flight(), vitals.oldest_waiting_ns()), (2, Some(began.as_nanos())));
    assert_eq!(bench.core.poll_timeout(), Some(began + Duration::from_millis(100)));
    bench.wait(100);
    bench.core.show(bench.now, None);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, vitals.poked()).await.expect("poked") });
    assert_eq!(vitals.queue_delay(bench.now.as_nanos()), Duration::from_millis(100));
    assert!(bench.core.poll_timeout().unwrap() > began + Duration::from_millis(900), "poked once for each");
    drop(gate);
    let patience = clock::now() + PATIENCE;
    while vitals.oldest_waiting_ns().is_some() {
        assert!(clock::now() < patience, "what a worker has taken up doesn't wait: a slow hash is no queue");
        std::thread::sleep(Duration::from_millis(1));
        bench.core.show(bench.now, None);
    }
    assert_eq!(vitals.in_flight(), 2, "it is under way all the same");
    assert!(bench.settle().is_some());
    bench.core.show(bench.now, None);
    assert_eq!((vitals.in_flight(), vitals.oldest_waiting_ns()), (1, None), "a delayed reject doesn't wait");
}

/// Every thread of the pool waits until what this answers is dropped.
fn hold_the_pool(bench: &Bench) -> Vec<std::sync::mpsc::Sender<()>> {
    let pool = bench.shared.vitals().pool();
    let gate = (0..pool.max()).map(|_| {
        let (open, opened) = std::sync::mpsc::channel::<()>();
        let held = bench.shared.workers().submit(0, move || {
            let _ = opened.recv_timeout(PATIENCE);
        });
        held.expect("room");
        open
    });
    let gate = gate.collect();
    let patience = clock::now() + PATIENCE;
    while pool.busy() < pool.max() {
        assert!(clock::now() < patience);
        std::thread::sleep(Duration::from_millis(1));
    }
    gate
}

#[test]
fn a_flipped_bit_anywhere_is_never_answered() {
    let mut bench = Bench::new(testing::config(""));
    let good = Ask::pap("alice", "wonderland").octets();
    for octet in 0..good.len() {
        for bit in 0..8 {
            let mut flipped = good.clone();
            flipped[octet] ^= 1 << bit;
            assert_eq!(bench.arrive(ListenKind::Auth, testing::source(), &flipped), None, "{octet}.{bit}");
        }
    }
    assert_eq!((bench.core.in_flight(), bench.counted(Cause::WrongPassword)), (0, 0));
    assert!(bench.arrive(ListenKind::Auth, testing::source(), &good).is_some());
}

#[test]
fn what_nobody_signed_is_never_answered() {
    use proptest::prelude::*;
    let policy = "[[policy]]\nname = \"p\"\naction = \"accept\"\n";
    let bench = std::cell::RefCell::new(Bench::new(testing::config(policy)));
    proptest!(|(octets in proptest::collection::vec(any::<u8>(), 0..300), code in 0_u8..60)| {
        let mut bench = bench.borrow_mut();
        let mut framed = octets.clone();
        if let [first, _, high, low, ..] = framed.as_mut_slice() {
            *first = code;
            [*high, *low] = (octets.len() as u16).to_be_bytes();
        }
        for kind in [ListenKind::Auth, ListenKind::Acct] {
            for octets in [&octets, &framed] {
                prop_assert_eq!(bench.arrive(kind, testing::source(), octets), None);
            }
        }
        prop_assert_eq!(bench.core.in_flight(), 0);
    });
}
