//! Where accounts are looked up that aren't in the configuration: the sources behind it, in their order, and what of
//! them is in memory.
//!
//! However many requests ask for one name at one time, its sources are asked once. The first source that knows the
//! name decides; one that can't be asked ends the search, since it might have known.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use tokio::runtime::Handle;

use super::cache::{Cache, Cached, Keep};
use crate::process::mailbox::{Finding, Promise};
use crate::users::{Account, Lookup};

/// The longest User-Name an attribute can carry, octets (RFC 2865 section 5).
const NAME_MAX: usize = 253;
/// Names that may be looked up at one time.
pub const FLIGHTS_MAX: usize = 65_536;
/// An account whose time has passed is asked for anew; a request that has waited so long gets the old one.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// A place in which accounts are looked up.
pub trait Source: Send + Sync + fmt::Debug {
    /// Looks a name up, without waiting: [`Query::answer`] is called from wherever the answer comes in.
    fn look_up(&self, query: Query);

    /// Whether it is known that it can't be asked at present.
    fn is_away(&self) -> bool;

    /// How long its answers are kept.
    fn keep(&self) -> Keep;

    /// What it remembers besides accounts (groups) has to be asked for anew.
    fn refresh(&self) {}
}

/// The sources of accounts besides the configuration, and what of them is in memory.
#[derive(Debug)]
pub struct Directory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sources: Box<[Arc<dyn Source>]>,
    cache: Cache,
    flights: Mutex<HashMap<Arc<str>, Flight>>,
    counts: DirectoryCounts,
    /// Where a look-up's patience is waited for. `None`: there is no source.
    runtime: Option<Handle>,
}

/// What was counted about look-ups.
#[derive(Debug, Default)]
pub struct DirectoryCounts {
    /// Names that sources were asked for.
    pub asked: AtomicU64,
    /// Requests that joined a look-up under way.
    pub joined: AtomicU64,
    /// Look-ups that came back without an answer: a source was away.
    pub away: AtomicU64,
    /// Requests refused because too many names were being looked up.
    pub refused: AtomicU64,
}

/// One name that is being looked up.
#[derive(Debug)]
struct Flight {
    waiting: Vec<Promise>,
    /// What is served if the sources can't be asked, or take too long.
    old: Option<Arc<Account>>,
    /// Patience has run out: whoever joins gets `old` at once.
    overdue: bool,
    /// The name was invalidated meanwhile: the answer may be from before, and isn't kept.
    outdated: bool,
}

/// A name to look up, and the way back. Dropped without an answer, the answer is [`Lookup::Away`].
#[derive(Debug)]
pub struct Query {
    name: Arc<str>,
    /// The source that is asked.
    index: usize,
    /// The era of the cache when the name was first asked for.
    era: u64,
    directory: Option<Arc<Inner>>,
}

impl Default for Directory {
    /// Without sources: everybody is unknown at once.
    fn default() -> Self {
        Self::with(Vec::new(), 1, None)
    }
}

/// A directory that is told of changes as long as it is there.
#[derive(Debug, Default, Clone)]
pub struct WeakDirectory(Weak<Inner>);

impl WeakDirectory {
    /// The directory, if it is still there.
    pub fn upgrade(&self) -> Option<Directory> {
        self.0.upgrade().map(Directory)
    }
}

impl Directory {
    /// Without keeping it.
    pub fn downgrade(&self) -> WeakDirectory {
        WeakDirectory(Arc::downgrade(&self.0))
    }

    /// With these sources, in this order, and at most `cache_size` names in memory.
    pub fn new(sources: Vec<Arc<dyn Source>>, cache_size: usize, runtime: Handle) -> Self {
        Self::with(sources, cache_size, Some(runtime))
    }

    fn with(sources: Vec<Arc<dyn Source>>, cache_size: usize, runtime: Option<Handle>) -> Self {
        Self(Arc::new(Inner {
            sources: sources.into(),
            cache: Cache::new(cache_size),
            flights: Mutex::default(),
            counts: DirectoryCounts::default(),
            runtime,
        }))
    }

    /// What is known of this name without asking anybody: from the cache, or because there is nobody to ask.
    pub fn known(&self, name: &[u8]) -> Option<Lookup> {
        let inner = &*self.0;
        let Some(first) = inner.sources.first() else { return Some(Lookup::Unknown) };
        let Some(name) = possible(name) else { return Some(Lookup::Unknown) };
        match inner.cache.look(name, clock::now()) {
            Cached::Fresh(lookup) => Some(lookup),
            Cached::Old(account) if first.is_away() => {
                inner.cache.counts.stale.fetch_add(1, Relaxed);
                Some(Lookup::Known(account))
            }
            Cached::Nothing if first.is_away() => Some(Lookup::Away),
            Cached::Old(_) | Cached::Nothing => None,
        }
    }

    /// Asks; the promise is kept with [`Finding::Account`].
    ///
    /// # Errors
    /// Too many names are being looked up already; the promise comes back.
    pub fn ask(&self, name: &[u8], promise: Promise) -> Result<(), Promise> {
        let inner = &self.0;
        let (Some(first), Some(name)) = (inner.sources.first(), possible(name)) else {
            promise.keep(Finding::Account(Lookup::Unknown));
            return Ok(());
        };
        let mut flights = inner.flights();
        if let Some(flight) = flights.get_mut(name) {
            inner.counts.joined.fetch_add(1, Relaxed);
            match &flight.old {
                Some(old) if flight.overdue => {
                    inner.cache.counts.stale.fetch_add(1, Relaxed);
                    promise.keep(Finding::Account(Lookup::Known(Arc::clone(old))));
                }
                _ => flight.waiting.push(promise),
            }
            return Ok(());
        }
        if flights.len() >= FLIGHTS_MAX {
            inner.counts.refused.fetch_add(1, Relaxed);
            return Err(promise);
        }
        let name: Arc<str> = name.into();
        let old = match inner.cache.peek(&name, clock::now()) {
            Cached::Old(account) => Some(account),
            // It came in between `known` and here.
            Cached::Fresh(lookup) => {
                promise.keep(Finding::Account(lookup));
                return Ok(());
            }
            Cached::Nothing => None,
        };
        let has_old = old.is_some();
        let flight = Flight { waiting: vec![promise], old, overdue: false, outdated: false };
        flights.insert(Arc::clone(&name), flight);
        drop(flights);
        inner.counts.asked.fetch_add(1, Relaxed);
        if has_old {
            inner.watch(&name);
        }
        let (directory, era) = (Some(Arc::clone(inner)), inner.cache.era());
        first.look_up(Query { name, index: 0, era, directory });
        Ok(())
    }

    /// Forgets what is known of a name: it has changed. Whether anything was known.
    pub fn forget(&self, name: &str) -> bool {
        if let Some(flight) = self.0.flights().get_mut(name) {
            flight.outdated = true;
            // It may be what the change was to put an end to.
            flight.old = None;
        }
        self.0.cache.forget(name)
    }

    /// Forgets everything: an operator says so, or a source that can't say what has changed. How many names that
    /// were.
    pub fn clear(&self) -> usize {
        self.0.sources.iter().for_each(|source| source.refresh());
        let mut flights = self.0.flights();
        flights.values_mut().for_each(|flight| flight.old = None);
        self.0.cache.clear()
    }

    /// Has everything asked for anew; what is in memory is still of use while the sources can't be asked.
    pub fn expire(&self) {
        self.0.sources.iter().for_each(|source| source.refresh());
        let _flights = self.0.flights();
        self.0.cache.expire();
    }

    /// Whether there is any source to ask.
    pub fn has_sources(&self) -> bool {
        !self.0.sources.is_empty()
    }

    /// What is in memory.
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// What was counted.
    pub fn counts(&self) -> &DirectoryCounts {
        &self.0.counts
    }

    /// Names that are being looked up.
    pub fn under_way(&self) -> usize {
        self.0.flights().len()
    }
}

/// A name that a source can have: UTF-8 without NUL, which PostgreSQL's text can't hold. Anything else is nobody's.
fn possible(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let fits = !name.is_empty() && name.len() <= NAME_MAX;
    (fits && !name.contains('\0')).then_some(name)
}

impl Inner {
    fn flights(&self) -> MutexGuard<'_, HashMap<Arc<str>, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When patience has run out, whoever waits for this name gets what is old.
    fn watch(self: &Arc<Self>, name: &Arc<str>) {
        let Some(runtime) = &self.runtime else { return };
        let (inner, name) = (Arc::downgrade(self), Arc::clone(name));
        let due = clock::now() + PATIENCE;
        runtime.spawn(async move {
            clock::sleep_until(due).await;
            if let Some(inner) = inner.upgrade() {
                inner.lose_patience(&name);
            }
        });
    }

    fn lose_patience(&self, name: &str) {
        let mut flights = self.flights();
        let Some(Flight { waiting, old: Some(old), overdue, .. }) = flights.get_mut(name) else { return };
        *overdue = true;
        self.cache.counts.stale.fetch_add(waiting.len() as u64, Relaxed);
        for promise in waiting.drain(..) {
            promise.keep(Finding::Account(Lookup::Known(Arc::clone(old))));
        }
    }

    /// The search for a name has ended at the source of this number.
    fn finish(&self, name: &Arc<str>, era: u64, index: usize, mut lookup: Lookup, now: Instant) {
        let mut flights = self.flights();
        let Some(flight) = flights.remove(name) else { return };
        // With the flights still held: whoever forgets a name meets it there or in the cache, never in between.
        if !flight.outdated && era == self.cache.era() {
            self.cache.keep(name, &lookup, self.keep_of(index), now);
        }
        drop(flights);
        if let Lookup::Away = lookup {
            self.counts.away.fetch_add(1, Relaxed);
            if let Some(old) = flight.old {
                self.cache.counts.stale.fetch_add(flight.waiting.len() as u64, Relaxed);
                lookup = Lookup::Known(old);
            }
        }
        for promise in flight.waiting {
            promise.keep(Finding::Account(lookup.clone()));
        }
    }

    /// As the source says; but that nobody knows a name is believed only as long as each of them would.
    fn keep_of(&self, index: usize) -> Keep {
        let negative = self.sources.iter().map(|source| source.keep().negative).min();
        Keep { negative: negative.unwrap_or_default(), ..self.sources[index].keep() }
    }
}

impl Query {
    /// The name: 1 to 253 octets, without NUL.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What the source found. Goes on to the next source if it doesn't know the name.
    pub fn answer(mut self, lookup: Lookup) {
        self.conclude(lookup);
    }

    fn conclude(&mut self, lookup: Lookup) {
        let Some(directory) = self.directory.take() else { return };
        match (&lookup, directory.sources.get(self.index + 1).cloned()) {
            (Lookup::Unknown, Some(next)) => {
                let (name, era, index) = (Arc::clone(&self.name), self.era, self.index + 1);
                next.look_up(Query { name, index, era, directory: Some(directory) });
            }
            _ => directory.finish(&self.name, self.era, self.index, lookup, clock::now()),
        }
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        self.conclude(Lookup::Away);
    }
}

#[cfg(test)]
mod tests;
