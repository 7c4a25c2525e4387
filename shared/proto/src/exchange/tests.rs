use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::time::Instant;

#[test]
fn waits_double_up_to_the_longest_and_end_after_five_transmissions() {
    let timing = Timing::default();
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut timer = Retransmission::first(&timing, &mut rng);
        let mut waits = vec![timer.wait().as_secs_f64()];
        while let Some(next) = timer.next(&timing, &mut rng) {
            timer = next;
            waits.push(timer.wait().as_secs_f64());
        }
        assert_eq!(waits.len(), 5);
        assert!((1.8..=2.2).contains(&waits[0]), "{waits:?}");
        for pair in waits.windows(2) {
            let (least, most) = (1.9 * pair[0], 2.1 * pair[0]);
            assert!((least..=most).contains(&pair[1]) || (14.4..=17.6).contains(&pair[1]), "{waits:?}");
        }
    }
}

#[test]
fn without_a_limit_on_transmissions_waits_stay_at_the_longest() {
    let timing = Timing { transmissions: 0, ..Timing::default() };
    let mut rng = StdRng::seed_from_u64(1);
    let mut timer = Retransmission::first(&timing, &mut rng);
    for _ in 0..50 {
        timer = timer.next(&timing, &mut rng).expect("no limit");
        assert!(timer.wait() <= Duration::from_millis(17_600));
    }
    assert_eq!(timer.transmissions(), 51);
}

#[test]
fn the_identifier_free_for_the_longest_is_taken_first() {
    let mut identifiers = Identifiers::new(1, 0);
    let first = identifiers.take(1).unwrap();
    identifiers.release(first);
    for _ in 0..255 {
        let name = identifiers.take(2).unwrap();
        assert_ne!(name, first);
        identifiers.release(name);
    }
    assert_eq!(identifiers.take(3), Some(first));
}

#[test]
fn more_than_256_are_outstanding_on_several_ports_and_reserved_ones_stay_free() {
    let mut identifiers = Identifiers::new(4, 8);
    let mut seen = BTreeSet::new();
    while let Some(name) = identifiers.take(seen.len() as u32) {
        assert_eq!(identifiers.owner(name), Some(seen.len() as u32));
        assert!(seen.insert(name));
    }
    assert_eq!(seen.len(), 4 * 256 - 8);
    assert!(!seen.iter().any(|name| name.port == 0 && name.identifier >= 248));
    assert_eq!(identifiers.taken(), seen.len());
}

#[test]
fn releasing_what_nobody_has_does_nothing() {
    let mut identifiers = Identifiers::new(1, 0);
    assert!(!identifiers.release(Name { port: 0, identifier: 3 }));
    assert!(!identifiers.release(Name { port: 9, identifier: 3 }));
    assert_eq!(identifiers.owner(Name { port: 9, identifier: 3 }), None);
}

proptest! {
    #[test]
    fn an_identifier_is_never_taken_while_outstanding(steps in prop::collection::vec(0..4u8, 1..2000), reserved in 0..9u8) {
        let mut identifiers = Identifiers::new(2, reserved);
        let mut outstanding: Vec<(Name, u32)> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            if step > 0 {
                let Some(name) = identifiers.take(number as u32) else {
                    prop_assert_eq!(outstanding.len(), 512 - usize::from(reserved));
                    continue;
                };
                prop_assert!(outstanding.iter().all(|(other, _)| *other != name));
                outstanding.push((name, number as u32));
            } else if !outstanding.is_empty() {
                let (name, owner) = outstanding.swap_remove(number % outstanding.len());
                prop_assert_eq!(identifiers.owner(name), Some(owner));
                prop_assert!(identifiers.release(name));
            }
            prop_assert_eq!(identifiers.taken(), outstanding.len());
        }
    }

    #[test]
    fn deadlines_come_in_order_whatever_is_set_moved_and_cleared(
        steps in prop::collection::vec((0..3u8, 0..40u32, 0..1000u64), 1..300)
    ) {
        let mut deadlines = Deadlines::new();
        let mut model = BTreeMap::new();
        for (what, slot, millis) in steps {
            let at = Instant::from_millis(millis);
            match what {
                0 => {
                    deadlines.clear(slot);
                    model.remove(&slot);
                }
                _ => {
                    deadlines.set(slot, at);
                    model.insert(slot, at);
                }
            }
            let earliest = model.iter().map(|(&slot, &at)| (at, slot)).min();
            prop_assert_eq!(deadlines.earliest(), earliest);
            prop_assert_eq!(deadlines.len(), model.len());
        }
        let mut last = Instant::ZERO;
        while let Some((at, slot)) = deadlines.earliest() {
            prop_assert!(at >= last);
            last = at;
            prop_assert_eq!(deadlines.pop_due(at), Some(slot));
        }
    }
}
