//! Who guesses: failures counted by user and by the address they come from, and held off.
//!
//! All cores share one table of a fixed size, without a lock: a word to each pair, in which its mark, its count and its
//! time stand together. Pairs are known by a keyed hash, so that nobody can choose names that meet in one place; where
//! there is no room, the pair with the fewest failures gives way. A device's own address (Calling-Station-Id) isn't part
//! of it, since whoever guesses would change it with each try.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use forewarn_proto::time::Instant;

use crate::config::limits::Limits;

/// Pairs that meet in one place.
const WAYS: usize = 4;
/// Places; with [`WAYS`], how many pairs are remembered.
const SETS: usize = 16_384;
/// Holds shown to the operator.
const SHOWN_MAX: usize = 64;
/// Between two log lines.
const LINE_EVERY_NS: u64 = 1_000_000_000;

/// The table.
#[derive(Debug)]
pub struct Failures {
    hasher: RandomState,
    sets: Box<[[AtomicU64; WAYS]]>,
    holds: AtomicU64,
    line_at_ns: AtomicU64,
    shown: Mutex<VecDeque<Hold>>,
}

/// A user at an address, as the table knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair(u64);

/// A pair that is held off, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The name that was tried, as it came.
    pub user: Box<[u8]>,
    /// Where from.
    pub address: IpAddr,
    /// How often before it was held off.
    pub failures: u32,
    /// Until when.
    pub until: Instant,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            sets: (0..SETS).map(|_| Default::default()).collect(),
            holds: AtomicU64::new(0),
            line_at_ns: AtomicU64::new(0),
            shown: Mutex::default(),
        }
    }
}

impl Failures {
    /// The pair of this user and this address.
    pub fn pair(&self, user: &[u8], address: IpAddr) -> Pair {
        Pair(self.hasher.hash_one((user, address)))
    }

    /// Whether the pair is held off now.
    pub fn is_held(&self, pair: Pair, now: Instant, limits: &Limits) -> bool {
        limits.failures > 0
            && self.places(pair).iter().any(|place| {
                let entry = Entry(place.load(Relaxed));
                entry.is_of(pair) && entry.is_held(now, limits)
            })
    }

    /// Counts a failure. True: with this one the pair is held off.
    pub fn fail(&self, pair: Pair, now: Instant, limits: &Limits) -> bool {
        if limits.failures == 0 {
            return false;
        }
        let places = self.places(pair);
        loop {
            let entries = places.each_ref().map(|place| Entry(place.load(Relaxed)));
            let own = entries.iter().position(|entry| entry.is_of(pair));
            let weakest = || {
                let order =
                    |place: &usize| (entries[*place].is_current(now, limits), entries[*place].count());
                (0..WAYS).min_by_key(order).unwrap_or(0)
            };
            let place = own.unwrap_or_else(weakest);
            let before = entries[place];
            if own.is_some() && before.is_held(now, limits) {
                // It was under way already when the hold began.
                return false;
            }
            let goes_on = own.is_some() && before.is_current(now, limits);
            let count = if goes_on { before.count() + 1 } else { 1 };
            let held = count >= limits.failures;
            // The time is that of the first failure, and then of the last one before the hold.
            let stamp = if goes_on && !held { before.stamp() } else { tenths(now) };
            let after = Entry::new(pair, count, stamp);
            if places[place].compare_exchange_weak(before.0, after.0, Relaxed, Relaxed).is_ok() {
                self.holds.fetch_add(u64::from(held), Relaxed);
                return held;
            }
        }
    }

    /// Takes one failure back: what was counted in advance was none.
    pub fn forgive(&self, pair: Pair) {
        for place in self.places(pair) {
            let entry = place.load(Relaxed);
            let before = Entry(entry);
            if before.is_of(pair) && before.count() > 0 {
                let after = match before.count() {
                    1 => 0,
                    count => Entry::new(pair, count - 1, before.stamp()).0,
                };
                // Whoever was quicker has counted another one: that stands for it.
                let _ = place.compare_exchange(entry, after, Relaxed, Relaxed);
            }
        }
    }

    /// Forgets the pair's failures.
    pub fn succeed(&self, pair: Pair) {
        for place in self.places(pair) {
            let entry = place.load(Relaxed);
            if Entry(entry).is_of(pair) {
                // Whoever was quicker has counted a failure of a later moment.
                let _ = place.compare_exchange(entry, 0, Relaxed, Relaxed);
            }
        }
    }

    /// Remembers a hold for the operator. True when a line about it may be written: one a second.
    pub fn note(&self, hold: Hold, now: Instant) -> bool {
        let mut shown = self.shown();
        shown.retain(|other| other.until > now && (other.user != hold.user || other.address != hold.address));
        if shown.len() >= SHOWN_MAX {
            shown.pop_front();
        }
        shown.push_back(hold);
        drop(shown);
        let last = self.line_at_ns.load(Relaxed);
        (last == 0 || now.as_nanos().saturating_sub(last) >= LINE_EVERY_NS)
            && self.line_at_ns.compare_exchange(last, now.as_nanos(), Relaxed, Relaxed).is_ok()
    }

    /// The latest holds that last, most recent last.
    pub fn held(&self, now: Instant) -> Vec<Hold> {
        self.shown().iter().filter(|hold| hold.until > now).cloned().collect()
    }

    /// How often a pair was held off.
    pub fn holds(&self) -> u64 {
        self.holds.load(Relaxed)
    }

    fn places(&self, pair: Pair) -> &[AtomicU64; WAYS] {
        &self.sets[pair.0 as usize % SETS]
    }

    fn shown(&self) -> MutexGuard<'_, VecDeque<Hold>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pair's word: 26 bits of its hash, 10 of its count, 28 of a time in tenths of a second, which is ten months.
#[derive(Clone, Copy)]
struct Entry(u64);

const STAMP_BITS: u32 = 28;
const COUNT_BITS: u32 = 10;
const STAMPS: u64 = (1 << STAMP_BITS) - 1;

impl Entry {
    fn new(pair: Pair, count: u32, stamp: u64) -> Self {
        Self(Self::mark(pair) << (STAMP_BITS + COUNT_BITS) | u64::from(count) << STAMP_BITS | stamp)
    }

    /// Of the bits that don't choose the place.
    fn mark(pair: Pair) -> u64 {
        pair.0 >> (STAMP_BITS + COUNT_BITS)
    }

    fn is_of(self, pair: Pair) -> bool {
        self.0 != 0 && self.0 >> (STAMP_BITS + COUNT_BITS) == Self::mark(pair)
    }

    fn count(self) -> u32 {
        (self.0 >> STAMP_BITS) as u32 & ((1 << COUNT_BITS) - 1)
    }

    fn stamp(self) -> u64 {
        self.0 & STAMPS
    }

    /// Tenths of a second since its time; cores' clocks may differ by a moment.
    fn age(self, now: Instant) -> u64 {
        let age = tenths(now).wrapping_sub(self.stamp()) & STAMPS;
        if age > STAMPS / 2 { 0 } else { age }
    }

    fn is_held(self, now: Instant, limits: &Limits) -> bool {
        self.count() >= limits.failures && u128::from(self.age(now)) * 100 < limits.hold.as_millis()
    }

    fn is_current(self, now: Instant, limits: &Limits) -> bool {
        let counts = self.count() > 0 && self.count() < limits.failures;
        counts && u128::from(self.age(now)) * 100 < limits.within.as_millis() || self.is_held(now, limits)
    }
}

fn tenths(now: Instant) -> u64 {
    (now.as_nanos() / 100_000_000) & STAMPS
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const AP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 21));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 22));

    fn limits(failures: u32) -> Limits {
        Limits { failures, ..Limits::default() }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn a_pair_is_held_after_its_failures_and_no_other() {
        let (failures, limits) = (Failures::default(), limits(3));
        let pair = failures.pair(b"alice", AP);
        assert!(!failures.fail(pair, at(1000), &limits));
        assert!(!failures.fail(pair, at(1001), &limits));
        assert!(!failures.is_held(pair, at(1001), &limits));
        assert!(failures.fail(pair, at(1002), &limits));
        assert!(failures.is_held(pair, at(1061), &limits));
        assert!(!failures.is_held(failures.pair(b"alice", OTHER), at(1003), &limits));
        assert!(!failures.is_held(failures.pair(b"bob", AP), at(1003), &limits));
        assert!(!failures.fail(pair, at(1004), &limits), "it is held already, and not for longer");
        assert!(!failures.is_held(pair, at(1062), &limits));
        assert!(!failures.fail(pair, at(1062), &limits), "and begins anew");
        assert_eq!(failures.holds(), 1);
    }

    #[test]
    fn failures_count_together_within_their_time_only() {
        let (failures, limits) = (Failures::default(), limits(2));
        let pair = failures.pair(b"alice", AP);
        assert!(!failures.fail(pair, at(1000), &limits));
        assert!(!failures.fail(pair, at(1060), &limits));
        assert!(failures.fail(pair, at(1061), &limits));
    }

    #[test]
    fn a_failure_that_was_none_is_taken_back_and_with_it_a_hold() {
        let (failures, limits) = (Failures::default(), limits(2));
        let pair = failures.pair(b"alice", AP);
        failures.forgive(pair);
        failures.fail(pair, at(1000), &limits);
        failures.forgive(pair);
        assert!(!failures.fail(pair, at(1001), &limits));
        assert!(failures.fail(pair, at(1002), &limits));
        failures.forgive(pair);
        assert!(!failures.is_held(pair, at(1002), &limits));
        assert!(failures.fail(pair, at(1003), &limits), "the other one counts on");
    }

    #[test]
    fn a_success_forgets_and_zero_is_never() {
        let (failures, limits) = (Failures::default(), limits(2));
        let pair = failures.pair(b"alice", AP);
        failures.fail(pair, at(1000), &limits);
        failures.succeed(pair);
        assert!(!failures.fail(pair, at(1001), &limits));
        let never = Limits { failures: 0, ..limits };
        for second in 0..100 {
            assert!(!failures.fail(pair, at(second), &never) && !failures.is_held(pair, at(second), &never));
        }
    }

    #[test]
    fn a_flood_of_names_takes_no_more_room_and_frees_nobody_who_is_held() {
        let (failures, limits) = (Failures::default(), limits(2));
        let pair = failures.pair(b"alice", AP);
        failures.fail(pair, at(1000), &limits);
        assert!(failures.fail(pair, at(1000), &limits));
        for number in 0..4 * SETS * WAYS {
            failures.fail(failures.pair(&number.to_ne_bytes(), AP), at(1001), &limits);
        }
        assert!(failures.is_held(pair, at(1002), &limits));
    }

    #[test]
    fn the_operator_sees_the_latest_holds_and_a_line_a_second() {
        let failures = Failures::default();
        let hold = |name: usize| Hold {
            user: name.to_string().into_bytes().into(),
            address: AP,
            failures: 10,
            until: at(1060),
        };
        assert!(failures.note(hold(0), at(1000)));
        assert!(!failures.note(hold(1), at(1000)));
        assert!(failures.note(hold(1), at(1000) + Duration::from_secs(1)));
        assert_eq!(failures.held(at(1001)).len(), 2, "one of each pair");
        for name in 0..2 * SHOWN_MAX {
            failures.note(hold(name), at(1002));
        }
        assert_eq!(failures.held(at(1002)).len(), SHOWN_MAX);
        assert!(failures.held(at(1060)).is_empty());
    }
}
