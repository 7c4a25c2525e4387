//! What accounting counts, and what waits.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Counters and gauges: written by the writer, read by everybody.
#[derive(Debug, Default)]
pub struct Figures {
    stored: AtomicU64,
    batches: AtomicU64,
    spooled: AtomicU64,
    drained: AtomicU64,
    refused: AtomicU64,
    incomplete: AtomicU64,
    unstored: AtomicU64,
    failures: AtomicU64,
    torn: AtomicU64,
    records: AtomicU64,
    octets: AtomicU64,
    oldest: AtomicU64,
    away: Mutex<Option<String>>,
}

impl Figures {
    pub(super) fn stored(&self, records: u64) {
        self.stored.fetch_add(records, Relaxed);
        self.batches.fetch_add(1, Relaxed);
    }

    pub(super) fn spooled(&self, records: u64) {
        self.spooled.fetch_add(records, Relaxed);
    }

    pub(super) fn drained(&self, records: u64) {
        self.drained.fetch_add(records, Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn incomplete(&self) {
        self.incomplete.fetch_add(1, Relaxed);
    }

    pub(super) fn unstored(&self, records: u64) {
        self.unstored.fetch_add(records, Relaxed);
    }

    pub(super) fn failure(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    pub(super) fn show_spool(&self, spool: &forewarn_shell::spool::Spool) {
        self.records.store(spool.records(), Relaxed);
        self.octets.store(spool.octets(), Relaxed);
        self.oldest.store(spool.oldest().unwrap_or(0), Relaxed);
        self.torn.store(spool.torn(), Relaxed);
    }

    pub(super) fn set_away(&self, why: Option<String>) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Why the database can't be written to; `None`: it can, or wasn't tried yet.
    pub fn away(&self) -> Option<String> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that wait in the spool.
    pub fn spool_records(&self) -> u64 {
        self.records.load(Relaxed)
    }

    /// Name and count of each.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let of = |count: &AtomicU64| count.load(Relaxed);
        [
            ("accounting.stored", of(&self.stored)),
            ("accounting.batches", of(&self.batches)),
            ("accounting.spooled", of(&self.spooled)),
            ("accounting.drained", of(&self.drained)),
            ("accounting.refused-by-database", of(&self.refused)),
            ("accounting.incomplete", of(&self.incomplete)),
            ("accounting.unstored", of(&self.unstored)),
            ("accounting.database-failures", of(&self.failures)),
            ("spool.torn-octets", of(&self.torn)),
        ]
        .into_iter()
    }

    /// What is so at present; `now_ms` is milliseconds since 1970.
    pub fn gauges(&self, now_ms: u64) -> impl Iterator<Item = (&'static str, f64)> {
        let oldest = match self.oldest.load(Relaxed) {
            0 => 0,
            oldest => now_ms.saturating_sub(oldest),
        };
        [
            ("accounting.database-away", if self.away().is_some() { 1.0 } else { 0.0 }),
            ("spool.records", self.records.load(Relaxed) as f64),
            ("spool.octets", self.octets.load(Relaxed) as f64),
            ("spool.oldest-seconds", oldest as f64 / 1000.0),
        ]
        .into_iter()
    }
}
