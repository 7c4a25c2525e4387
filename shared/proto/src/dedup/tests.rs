use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn key(port: u16, identifier: u8) -> Key {
    Key { source: SocketAddr::from(([127, 0, 0, 1], port)), identifier, socket: 0 }
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn small(entries: usize) -> Dedup {
    Dedup::new(Config { entries, ..Config::default() })
}

fn fresh(check: Check<'_>) -> Slot {
    match check {
        Check::New { slot, .. } => slot,
        other => panic!("expected a new request, got {other:?}"),
    }
}

#[test]
fn a_duplicate_waits_in_silence_and_then_gets_the_same_octets() {
    let mut dedup = small(4);
    let slot = fresh(dedup.check(at(0), key(1, 7), &[1; 16]));
    assert_eq!(dedup.check(at(5), key(1, 7), &[1; 16]), Check::InProgress(slot));
    assert!(dedup.complete(at(10), slot, b"reply"));
    assert_eq!(dedup.check(at(20), key(1, 7), &[1; 16]), Check::Replay(b"reply"));
    assert!(!dedup.complete(at(30), slot, b"another"), "an exchange is answered once");
    assert_eq!(dedup.check(at(40), key(1, 7), &[1; 16]), Check::Replay(b"reply"));
}

#[test]
fn another_authenticator_replaces_the_old_request() {
    let mut dedup = small(4);
    let old = fresh(dedup.check(at(0), key(1, 7), &[1; 16]));
    let Check::New { slot: new, replaced } = dedup.check(at(1), key(1, 7), &[2; 16]) else { panic!() };
    assert_eq!(replaced, Some(old));
    assert!(!dedup.complete(at(2), old, b"late"), "nobody waits for the old one");
    assert!(dedup.complete(at(3), new, b"reply"));
    assert_eq!(dedup.counters().replaced, 1);
    assert!(matches!(dedup.check(at(4), key(1, 7), &[1; 16]), Check::New { replaced: None, .. }));
}

#[test]
fn port_identifier_and_socket_tell_requests_apart() {
    let mut dedup = small(8);
    fresh(dedup.check(at(0), key(1, 7), &[1; 16]));
    fresh(dedup.check(at(0), key(2, 7), &[1; 16]));
    fresh(dedup.check(at(0), key(1, 8), &[1; 16]));
    fresh(dedup.check(at(0), Key { socket: 1, ..key(1, 7) }, &[1; 16]));
    let v6 = Key { source: "[2001:db8::1]:1".parse().unwrap(), ..key(1, 7) };
    fresh(dedup.check(at(0), v6, &[1; 16]));
    assert_eq!(dedup.len(), 5);
}

#[test]
fn a_reply_is_kept_ten_seconds_from_when_it_was_given() {
    let mut dedup = small(4);
    let slot = fresh(dedup.check(at(0), key(1, 7), &[1; 16]));
    dedup.complete(at(3_000), slot, b"reply");
    assert_eq!(dedup.poll_timeout(), Some(at(13_000)));
    assert_eq!(dedup.check(at(12_999), key(1, 7), &[1; 16]), Check::Replay(b"reply"));
    fresh(dedup.check(at(13_000), key(1, 7), &[1; 16]));
}

#[test]
fn a_forgotten_request_is_new_at_its_next_try() {
    let mut dedup = small(4);
    let slot = fresh(dedup.check(at(0), key(1, 7), &[1; 16]));
    assert_eq!(dedup.key(slot), Some(key(1, 7)));
    assert!(dedup.forget(slot));
    assert!(!dedup.forget(slot));
    assert_eq!(dedup.key(slot), None);
    fresh(dedup.check(at(1), key(1, 7), &[1; 16]));
}

#[test]
fn answered_requests_make_room_and_requests_in_progress_do_not() {
    let mut dedup = small(2);
    let first = fresh(dedup.check(at(0), key(1, 1), &[1; 16]));
    fresh(dedup.check(at(0), key(1, 2), &[1; 16]));
    assert_eq!(dedup.check(at(1), key(1, 3), &[1; 16]), Check::Full);
    dedup.complete(at(2), first, b"reply");
    fresh(dedup.check(at(3), key(1, 3), &[1; 16]));
    assert_eq!((dedup.counters().refused, dedup.counters().evicted), (1, 1));
    assert_eq!(dedup.len(), 2);
}

#[test]
fn a_request_nobody_completes_is_dropped_in_the_end() {
    let mut dedup = small(2);
    let slot = fresh(dedup.check(at(0), key(1, 1), &[1; 16]));
    dedup.handle_timeout(at(60_000));
    assert!(dedup.is_empty());
    assert!(!dedup.complete(at(60_001), slot, b"too late"));
    assert_eq!(dedup.counters().abandoned, 1);
}

#[test]
fn buffers_above_the_limit_are_not_kept() {
    let mut dedup = Dedup::new(Config { entries: 4, retain: 100, ..Config::default() });
    let slot = fresh(dedup.check(at(0), key(1, 1), &[1; 16]));
    dedup.complete(at(0), slot, &[0; 4096]);
    dedup.handle_timeout(at(10_000));
    let slot = fresh(dedup.check(at(10_000), key(1, 2), &[1; 16]));
    assert_eq!(slot.index, 0);
    assert_eq!(dedup.table.entry(0).reply.capacity(), 0);
}

#[test]
fn a_slot_survives_being_carried_as_a_number() {
    let mut dedup = small(4);
    let slot = fresh(dedup.check(at(0), key(1, 1), &[1; 16]));
    assert_eq!(Slot::from_bits(slot.to_bits()), slot);
    assert!(!dedup.complete(at(0), Slot::from_bits(u64::MAX), b"nobody's"));
}

#[derive(Clone, Debug)]
enum Step {
    Request { port: u16, identifier: u8, authenticator: u8 },
    Complete(usize),
    Forget(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4u16, 0..4u8, 0..3u8)
            .prop_map(|(port, identifier, authenticator)| Step::Request { port, identifier, authenticator }),
        3 => (0..32usize).prop_map(Step::Complete),
        1 => (0..32usize).prop_map(Step::Forget),
        1 => (0..30_000u64).prop_map(Step::Wait),
    ]
}

/// The same semantics, written as a list that is searched.
#[allow(clippy::type_complexity, reason = "a model is best seen whole")]
struct Model {
    entries: Vec<(Key, [u8; 16], Option<Vec<u8>>, Instant, Slot)>,
}

proptest! {
    #[test]
    fn it_behaves_like_a_searched_list(steps in prop::collection::vec(step(), 1..200)) {
        let mut dedup = Dedup::new(Config { entries: 64, ..Config::default() });
        let mut model = Model { entries: Vec::new() };
        let mut now = Instant::ZERO;
        for (number, step) in steps.into_iter().enumerate() {
            now += Duration::from_millis(1);
            model.entries.retain(|entry| entry.3 > now);
            match step {
                Step::Wait(millis) => now += Duration::from_millis(millis),
                Step::Request { port, identifier, authenticator } => {
                    let (key, authenticator) = (key(port, identifier), [authenticator; 16]);
                    let known = model.entries.iter().position(|entry| entry.0 == key);
                    match dedup.check(now, key, &authenticator) {
                        Check::New { slot, replaced } => {
                            let old = known.map(|index| model.entries.remove(index));
                            if let Some(old) = &old {
                                prop_assert_ne!(old.1, authenticator);
                            }
                            prop_assert_eq!(replaced, old.filter(|old| old.2.is_none()).map(|old| old.4));
                            model.entries.push((key, authenticator, None, now + Duration::from_secs(60), slot));
                        }
                        Check::InProgress(_) => {
                            let known = &model.entries[known.unwrap()];
                            prop_assert!(known.1 == authenticator && known.2.is_none());
                        }
                        Check::Replay(octets) => {
                            let known = &model.entries[known.unwrap()];
                            prop_assert!(known.1 == authenticator && known.2.as_deref() == Some(octets));
                        }
                        Check::Full => prop_assert!(false, "64 entries hold 12 keys"),
                    }
                }
                Step::Complete(pick) if !model.entries.is_empty() => {
                    let pick = pick % model.entries.len();
                    let entry = &mut model.entries[pick];
                    let reply = number.to_be_bytes().to_vec();
                    prop_assert_eq!(dedup.complete(now, entry.4, &reply), entry.2.is_none());
                    if entry.2.is_none() {
                        entry.2 = Some(reply);
                        entry.3 = now + Duration::from_secs(10);
                    }
                }
                Step::Forget(pick) if !model.entries.is_empty() => {
                    let pick = pick % model.entries.len();
                    let open = model.entries[pick].2.is_none();
                    prop_assert_eq!(dedup.forget(model.entries[pick].4), open);
                    if open {
                        model.entries.remove(pick);
                    }
                }
                Step::Complete(_) | Step::Forget(_) => {}
            }
            dedup.handle_timeout(now);
            model.entries.retain(|entry| entry.3 > now);
            prop_assert_eq!(dedup.len(), model.entries.len());
        }
    }
}
