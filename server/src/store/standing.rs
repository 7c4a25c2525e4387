//! Whether a database can be asked, and what the operator has been told of it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::clock;

/// While it is away, it is said so often.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// The standing of one database, as those who ask it find it. Before the first try it passes for well.
#[derive(Debug)]
pub struct Standing {
    /// As messages name it.
    what: String,
    /// What its absence means.
    means: &'static str,
    away: AtomicBool,
    /// Connections that answer.
    live: AtomicU32,
    /// Times it went away.
    losses: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// Why it is away; empty: it isn't.
    cause: String,
    since: Option<Instant>,
    line: Option<Instant>,
}

impl Standing {
    /// Not tried yet.
    pub fn new(what: String, means: &'static str) -> Self {
        let told = Mutex::default();
        let (away, live, losses) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU64::new(0));
        Self { what, means, away, live, losses, told }
    }

    /// Whether it was tried, and no connection answers.
    pub fn is_away(&self) -> bool {
        self.away.load(Relaxed)
    }

    /// Connections that answer.
    pub fn live(&self) -> u32 {
        self.live.load(Relaxed)
    }

    /// Times it went away.
    pub fn losses(&self) -> u64 {
        self.losses.load(Relaxed)
    }

    /// Why it is away, and since when it is, or isn't.
    pub fn state(&self) -> (String, Option<Instant>) {
        let told = self.told();
        (told.cause.clone(), told.since)
    }

    /// A connection answers.
    pub fn rise(&self) {
        self.live.fetch_add(1, Relaxed);
        let mut told = self.told();
        if self.away.swap(false, Relaxed) {
            let since = told.since.unwrap_or_else(clock::now);
            let seconds = clock::now().since(since).as_secs_f64();
            tracing::info!("{} is back after {seconds:.1} s", self.what);
        }
        if told.since.is_none() || !told.cause.is_empty() {
            told.since = Some(clock::now());
        }
        told.cause.clear();
        told.line = None;
    }

    /// A connection that answered doesn't any more.
    pub fn fall(&self) {
        self.live.fetch_sub(1, Relaxed);
    }

    /// It couldn't be asked. Whether nobody can ask it now.
    pub fn fail(&self, cause: &str) -> bool {
        if self.live() > 0 {
            return false;
        }
        let now = clock::now();
        let mut told = self.told();
        if !self.away.swap(true, Relaxed) {
            told.since = Some(now);
            self.losses.fetch_add(1, Relaxed);
        }
        cause.clone_into(&mut told.cause);
        if told.line.is_none_or(|line| now >= line + LINE_EVERY) {
            told.line = Some(now);
            tracing::warn!("{} can't be asked: {cause}; {}", self.what, self.means);
        }
        true
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
