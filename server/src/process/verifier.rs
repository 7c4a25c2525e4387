//! Slow hashes: each password is hashed once, one at a time for each user, and what fitted is remembered for a while.
//!
//! What is remembered is a keyed digest of user, stored hash and given password, under a key of this process: it says
//! nothing to whoever reads it, and another stored hash makes it another digest. Requests that ask the same join the one
//! that is under way. Hashing may occupy three quarters of the pool, so that checks go on whatever is guessed.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::{clock, random};
use hmac::{Hmac, KeyInit, Mac};
use quick_cache::sync::Cache;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::mailbox::{Finding, Promise};
use super::password::Password;
use crate::contained::contained;
use crate::workers::Workers;

/// Verified passwords remembered at most.
pub const VERIFIED_MAX: usize = 65_536;
/// Passwords of one user that may wait while one is hashed.
pub const USER_WAITING_MAX: usize = 4;

/// A user, a stored hash and a given password.
pub type Digest = [u8; 16];

/// The rooms of slow hashes.
#[derive(Debug)]
pub struct Verifier {
    key: Hmac<Sha256>,
    known: Cache<Digest, Instant>,
    state: Mutex<State>,
    waiting_max: usize,
    hits: AtomicU64,
    joined: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    flights: HashMap<Digest, Flight>,
    users: HashMap<Box<[u8]>, User>,
    queue: VecDeque<Attempt>,
    runners: usize,
}

/// Those who wait for one verdict.
#[derive(Debug, Default)]
struct Flight {
    waiters: Vec<Waiter>,
    has_begun: bool,
}

#[derive(Debug, Default)]
struct User {
    waiting: usize,
    is_busy: bool,
}

/// A password to be verified.
#[derive(Debug)]
pub struct Attempt {
    /// Its digest.
    pub digest: Digest,
    /// The user's name.
    pub user: Box<[u8]>,
    /// What is stored.
    pub stored: Password,
    /// What was given.
    pub given: Zeroizing<Vec<u8>>,
}

/// A request that waits for the verdict.
#[derive(Debug)]
pub struct Waiter {
    /// To report to.
    pub promise: Promise,
    /// Set once a worker is at it.
    pub taken_up: Arc<AtomicBool>,
}

/// Why an attempt isn't made; its promise comes back.
#[derive(Debug)]
pub enum Refusal {
    /// Too many passwords of this user wait.
    User(Waiter),
    /// Too much waits for the pool.
    Full(Waiter),
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Passwords found among those verified before.
    pub hits: u64,
    /// Requests that joined another's verification.
    pub joined: u64,
    /// Attempts that were not made.
    pub refused: u64,
}

impl Verifier {
    /// With room for so many attempts that wait.
    pub fn new(waiting_max: usize) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        random::fill(key.as_mut_slice());
        Self {
            key: Hmac::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length"),
            known: Cache::new(VERIFIED_MAX),
            state: Mutex::default(),
            waiting_max,
            hits: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// The digest of an attempt.
    pub fn digest(&self, user: &[u8], stored: &Password, given: &[u8]) -> Digest {
        let mut mac = self.key.clone();
        for part in [user, stored.identity(), given] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|place| whole[place])
    }

    /// Whether it was found right at most `keep` ago.
    pub fn knows(&self, digest: &Digest, now: Instant, keep: Duration) -> bool {
        let known = !keep.is_zero() && self.known.get(digest).is_some_and(|since| now.since(since) < keep);
        self.hits.fetch_add(u64::from(known), Relaxed);
        known
    }

    /// Has it verified on `workers`, or joins whoever asked the same. `stamp_ns` is when the request arrived.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn verify(
        self: &Arc<Self>,
        workers: &Workers,
        stamp_ns: u64,
        attempt: Attempt,
        waiter: Waiter,
    ) -> Result<(), Refusal> {
        let digest = attempt.digest;
        let mut state = self.state();
        if let Some(flight) = state.flights.get_mut(&digest) {
            waiter.taken_up.store(flight.has_begun, Relaxed);
            flight.waiters.push(waiter);
            self.joined.fetch_add(1, Relaxed);
            return Ok(());
        }
        if state.users.get(&attempt.user).is_some_and(|user| user.waiting >= USER_WAITING_MAX) {
            self.refused.fetch_add(1, Relaxed);
            return Err(Refusal::User(waiter));
        }
        if state.queue.len() >= self.waiting_max {
            self.refused.fetch_add(1, Relaxed);
            return Err(Refusal::Full(waiter));
        }
        state.users.entry(attempt.user.clone()).or_default().waiting += 1;
        state.flights.insert(digest, Flight { waiters: vec![waiter], has_begun: false });
        state.queue.push_back(attempt);
        let threads = workers.threads();
        if state.runners >= (threads - threads.div_ceil(4)).max(1) {
            return Ok(());
        }
        state.runners += 1;
        drop(state);
        let verifier = Arc::clone(self);
        if workers.submit(stamp_ns, move || while verifier.run_one() {}).is_ok() {
            return Ok(());
        }
        self.withdraw(&digest).map_or(Ok(()), |waiter| Err(Refusal::Full(waiter)))
    }

    /// Takes an attempt back for which there is no worker. `None`: others are at work, and will come to it.
    fn withdraw(&self, digest: &Digest) -> Option<Waiter> {
        let mut state = self.state();
        state.runners -= 1;
        if state.runners > 0 {
            return None;
        }
        let place = state.queue.iter().position(|attempt| attempt.digest == *digest)?;
        let attempt = state.queue.remove(place)?;
        state.left(&attempt.user, false);
        self.refused.fetch_add(1, Relaxed);
        // Whoever has joined since is told that it is lost.
        state.flights.remove(digest)?.waiters.into_iter().next()
    }

    /// Verifies the first attempt whose user isn't at another. False: there is none, and this worker leaves.
    fn run_one(&self) -> bool {
        let mut state = self.state();
        let Some(attempt) = state.begin_next() else {
            state.runners -= 1;
            return false;
        };
        drop(state);
        // Nothing of the attempt is looked at after a panic.
        let right = contained(|| attempt.stored.matches(&attempt.given));
        let mut state = self.state();
        let flight = state.flights.remove(&attempt.digest).unwrap_or_default();
        state.left(&attempt.user, true);
        drop(state);
        if right == Ok(true) {
            self.known.insert(attempt.digest, clock::now());
        }
        match right {
            Ok(right) => {
                flight.waiters.into_iter().for_each(|waiter| waiter.promise.keep(Finding::Password(right)));
            }
            // Promises that are dropped report so.
            Err(_) => tracing::error!("verifying a password hash panicked; its requests are not answered"),
        }
        true
    }

    /// What is counted.
    pub fn counts(&self) -> Counts {
        let [hits, joined, refused] =
            [&self.hits, &self.joined, &self.refused].map(|count| count.load(Relaxed));
        Counts { hits, joined, refused }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin_next(&mut self) -> Option<Attempt> {
        let is_free = |attempt: &Attempt| self.users.get(&attempt.user).is_none_or(|user| !user.is_busy);
        let place = self.queue.iter().position(is_free)?;
        let attempt = self.queue.remove(place)?;
        let user = self.users.entry(attempt.user.clone()).or_default();
        (user.waiting, user.is_busy) = (user.waiting.saturating_sub(1), true);
        if let Some(flight) = self.flights.get_mut(&attempt.digest) {
            flight.has_begun = true;
            flight.waiters.iter().for_each(|waiter| waiter.taken_up.store(true, Relaxed));
        }
        Some(attempt)
    }

    /// An attempt of this user has ended, or was withdrawn before it began.
    fn left(&mut self, name: &[u8], has_begun: bool) {
        let Some(user) = self.users.get_mut(name) else { return };
        if has_begun {
            user.is_busy = false;
        } else {
            user.waiting = user.waiting.saturating_sub(1);
        }
        if user.waiting == 0 && !user.is_busy {
            self.users.remove(name);
        }
    }
}
