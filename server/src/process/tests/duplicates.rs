use super::*;

#[test]
fn a_duplicate_gets_the_same_octets_again() {
    let mut bench = Bench::new(testing::config(""));
    let ask = Ask::pap("alice", "wonderland");
    let first = bench.auth(&ask);
    bench.wait(2000);
    assert_eq!(bench.auth(&ask), first);
    assert_eq!((bench.counted(Cause::Password), bench.counted(Cause::Duplicate)), (1, 1));
    bench.wait(10_000);
    assert!(bench.auth(&ask).is_some());
    assert_eq!(bench.counted(Cause::Password), 2, "forgotten by then");
}

#[test]
fn a_duplicate_of_one_under_way_gets_nothing() {
    let mut bench = Bench::new(testing::config(""));
    for ask in [Ask::pap("alice", "wrong"), Ask { identifier: 8, ..Ask::pap("bob", "rabbit") }] {
        assert_eq!(bench.auth(&ask), None);
        assert_eq!(bench.auth(&ask), None);
    }
    assert_eq!(bench.counted(Cause::InProgress), 2);
    assert!(bench.settle().is_some());
    let ask = Ask::pap("alice", "wrong");
    let rejected = bench.rejected();
    assert_eq!(code(rejected.clone(), &ask), Code::ACCESS_REJECT);
    assert_eq!(bench.auth(&ask), rejected, "now it is known");
}

#[test]
fn another_authenticator_is_another_request_that_replaces_the_old() {
    let mut bench = Bench::new(testing::config(""));
    let old = Ask::pap("alice", "wrong");
    assert_eq!(bench.auth(&old), None);
    let new = Ask { authenticator: [9; 16], ..Ask::chap("alice", "wonderland") };
    assert_eq!(code(bench.auth(&new), &new), Code::ACCESS_ACCEPT);
    bench.wait(1200);
    assert_eq!(bench.delayed(), None, "nobody waits for the old one's reject");
    assert_eq!(bench.counted(Cause::Replaced), 1);

    let slow = Ask { identifier: 8, ..Ask::pap("bob", "rabbit") };
    assert_eq!(bench.auth(&slow), None);
    let new = Ask { identifier: 8, authenticator: [8; 16], ..Ask::chap("alice", "wonderland") };
    assert!(bench.auth(&new).is_some());
    assert_eq!(bench.settle(), None);
    assert_eq!(bench.counted(Cause::Replaced), 2);
}

#[test]
fn the_key_is_address_port_identifier_and_socket() {
    let mut bench = Bench::new(testing::config(""));
    let octets = Ask::pap("alice", "wonderland").octets();
    for source in ["192.0.2.21:40000", "192.0.2.21:40001", "198.51.100.1:40000"] {
        assert!(bench.arrive(ListenKind::Auth, source.parse().unwrap(), &octets).is_some());
    }
    let other = Ask { identifier: 8, ..Ask::pap("alice", "wonderland") };
    assert!(bench.auth(&other).is_some());
    assert_eq!((bench.counted(Cause::Password), bench.counted(Cause::Duplicate)), (4, 0));
}
