//! Accounts in memory: by name, each with the time until which it is served without asking again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forewarn_proto::time::Instant;
use quick_cache::sync::Cache as Map;

use crate::users::{Account, Lookup};

/// How long what was found out is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// An account that was found is served so long without asking again.
    pub found: Duration,
    /// That there is no such account is believed so long.
    pub negative: Duration,
    /// Beyond `found`, an account is served so long while its source can't be asked.
    pub stale: Duration,
}

/// What the cache has of a name.
#[derive(Debug, Clone)]
pub enum Cached {
    /// To be used as it is.
    Fresh(Lookup),
    /// Its time has passed; of use only while the source can't be asked.
    Old(Arc<Account>),
    /// Nothing of use.
    Nothing,
}

/// What was counted about a cache.
#[derive(Debug, Default)]
pub struct CacheCounts {
    /// Served from memory, by the thread that asked: the one count that every core writes for every request.
    hits: Striped,
    /// Of them: that there is no such account.
    pub negative: AtomicU64,
    /// Not in memory.
    pub misses: AtomicU64,
    /// In memory, but to be asked for anew: their time had passed.
    pub expired: AtomicU64,
    /// Served all the same, since the source couldn't be asked.
    pub stale: AtomicU64,
    /// Taken out because the source said that they changed, or an operator.
    pub invalidated: AtomicU64,
}

impl CacheCounts {
    /// Served from memory within their time.
    pub fn hits(&self) -> u64 {
        self.hits.sum()
    }
}

/// The accounts in memory. A look-up takes a shared lock of one of many shards, and nothing from the heap.
#[derive(Debug)]
pub struct Cache {
    map: Map<Arc<str>, Entry>,
    size_max: usize,
    /// Entries of an earlier era have expired, whatever their time.
    era: AtomicU64,
    /// What happened.
    pub counts: CacheCounts,
}

#[derive(Debug, Clone)]
struct Entry {
    account: Option<Arc<Account>>,
    until: Instant,
    stale_until: Instant,
    era: u64,
}

impl Cache {
    /// Empty, for at most `size_max` names; the least used leave first.
    pub fn new(size_max: usize) -> Self {
        let size_max = size_max.max(1);
        Self { map: Map::new(size_max), size_max, era: AtomicU64::new(0), counts: CacheCounts::default() }
    }

    /// What there is of this name at `now`, counted.
    pub fn look(&self, name: &str, now: Instant) -> Cached {
        let cached = self.peek(name, now);
        match &cached {
            Cached::Fresh(lookup) => {
                self.counts.hits.count();
                if let Lookup::Unknown = lookup {
                    self.counts.negative.fetch_add(1, Relaxed);
                }
            }
            Cached::Old(_) => {
                self.counts.expired.fetch_add(1, Relaxed);
            }
            Cached::Nothing => {
                self.counts.misses.fetch_add(1, Relaxed);
            }
        }
        cached
    }

    /// The same, not counted.
    pub fn peek(&self, name: &str, now: Instant) -> Cached {
        let Some(entry) = self.map.get(name) else { return Cached::Nothing };
        let fresh = now < entry.until && entry.era == self.era();
        match entry.account {
            Some(account) if fresh => Cached::Fresh(Lookup::Known(account)),
            Some(account) if now < entry.stale_until => Cached::Old(account),
            None if fresh => Cached::Fresh(Lookup::Unknown),
            _ => Cached::Nothing,
        }
    }

    /// Keeps what was found out at `now`. `Away` isn't kept.
    pub fn keep(&self, name: &Arc<str>, lookup: &Lookup, keep: Keep, now: Instant) {
        let (account, time, stale) = match lookup {
            Lookup::Known(account) => (Some(Arc::clone(account)), keep.found, keep.stale),
            // A time-out must not become a reject: nobody is unknown for longer than was said.
            Lookup::Unknown => (None, keep.negative, Duration::ZERO),
            Lookup::Away => return,
        };
        let until = now + time;
        let entry = Entry { account, until, stale_until: until + stale, era: self.era() };
        self.map.insert(Arc::clone(name), entry);
    }

    /// Forgets a name. Whether it was known.
    pub fn forget(&self, name: &str) -> bool {
        let known = self.map.remove(name).is_some();
        self.counts.invalidated.fetch_add(u64::from(known), Relaxed);
        known
    }

    /// Forgets everything. How many names that were.
    pub fn clear(&self) -> usize {
        self.era.fetch_add(1, Relaxed);
        let known = self.map.len();
        self.map.clear();
        self.counts.invalidated.fetch_add(known as u64, Relaxed);
        known
    }

    /// Has everything asked for anew, without forgetting what is of use while the source can't be asked.
    pub fn expire(&self) {
        self.era.fetch_add(1, Relaxed);
    }

    /// Grows by one with each [`Cache::clear`] and [`Cache::expire`].
    pub fn era(&self) -> u64 {
        self.era.load(Relaxed)
    }

    /// Names in memory.
    pub fn size(&self) -> usize {
        self.map.len()
    }

    /// Names there may be in memory.
    pub fn size_max(&self) -> usize {
        self.size_max
    }
}

/// A count that many threads write, each in a place of its own.
#[derive(Debug, Default)]
struct Striped([Stripe; Striped::STRIPES]);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

impl Striped {
    const STRIPES: usize = 16;

    fn count(&self) {
        thread_local! {
            static PLACE: usize = {
                static NEXT: AtomicU64 = AtomicU64::new(0);
                NEXT.fetch_add(1, Relaxed) as usize % Striped::STRIPES
            };
        }
        PLACE.with(|place| self.0[*place].0.fetch_add(1, Relaxed));
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const KEEP: Keep = Keep {
        found: Duration::from_secs(60),
        negative: Duration::from_secs(5),
        stale: Duration::from_secs(3600),
    };

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(86_400_000 + seconds * 1000)
    }

    fn alice() -> Lookup {
        Lookup::Known(Arc::new(Account::from(&testing::config("").users[0])))
    }

    #[test]
    fn an_account_is_fresh_then_old_then_gone() {
        let cache = Cache::new(100);
        let name: Arc<str> = "alice".into();
        assert!(matches!(cache.look("alice", at(0)), Cached::Nothing));
        cache.keep(&name, &alice(), KEEP, at(0));
        assert!(matches!(cache.look("alice", at(59)), Cached::Fresh(Lookup::Known(_))));
        assert!(matches!(cache.look("alice", at(60)), Cached::Old(_)));
        assert!(matches!(cache.look("alice", at(3659)), Cached::Old(_)));
        assert!(matches!(cache.look("alice", at(3660)), Cached::Nothing));
        let counts = &cache.counts;
        assert_eq!((counts.hits(), counts.misses.load(Relaxed), counts.expired.load(Relaxed)), (1, 2, 2));
    }

    #[test]
    fn nobody_is_unknown_for_longer_than_was_said() {
        let cache = Cache::new(100);
        cache.keep(&"mallory".into(), &Lookup::Unknown, KEEP, at(0));
        assert!(matches!(cache.look("mallory", at(4)), Cached::Fresh(Lookup::Unknown)));
        assert!(matches!(cache.look("mallory", at(5)), Cached::Nothing));
    }

    #[test]
    fn a_source_that_is_away_teaches_nothing() {
        let cache = Cache::new(100);
        cache.keep(&"alice".into(), &alice(), KEEP, at(0));
        cache.keep(&"alice".into(), &Lookup::Away, KEEP, at(1));
        assert!(matches!(cache.look("alice", at(2)), Cached::Fresh(Lookup::Known(_))));
    }

    #[test]
    fn expiring_keeps_what_an_outage_needs_and_clearing_does_not() {
        let cache = Cache::new(100);
        cache.keep(&"alice".into(), &alice(), KEEP, at(0));
        cache.expire();
        assert!(matches!(cache.look("alice", at(1)), Cached::Old(_)));
        assert_eq!(cache.clear(), 1);
        assert!(matches!(cache.look("alice", at(1)), Cached::Nothing));
        cache.keep(&"alice".into(), &alice(), KEEP, at(2));
        assert!(matches!(cache.look("alice", at(3)), Cached::Fresh(_)));
        assert!(cache.forget("alice") && !cache.forget("alice"));
    }

    #[test]
    fn it_stays_within_its_size() {
        let cache = Cache::new(100);
        for number in 0..10_000 {
            cache.keep(&format!("user-{number}").into(), &Lookup::Unknown, KEEP, at(0));
        }
        assert!(cache.size() <= cache.size_max(), "{}", cache.size());
    }

    #[test]
    fn a_hit_takes_nothing_from_the_heap() {
        let cache = Cache::new(100);
        cache.keep(&"alice".into(), &alice(), KEEP, at(0));
        let taken = allocation_counter::measure(|| {
            for _ in 0..1000 {
                assert!(matches!(cache.look("alice", at(1)), Cached::Fresh(_)));
            }
        });
        assert_eq!(taken.count_total, 0);
    }
}
