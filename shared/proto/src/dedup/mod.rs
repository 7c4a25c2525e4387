//! Duplicate detection and the reply cache (RFC 5080 section 2.2.2).
//!
//! The key is where a request came from and where it was received; the authenticator is the value:
//! the same again is a duplicate, another one is a new request that replaces the old. Only verified
//! requests may be shown to [`Dedup::check`]: a forged one must not affect the table.
//!
//! Slots and reply buffers are reused: in steady state nothing is allocated.

mod config;
mod state;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

pub use config::Config;
use state::{Progress, Table};

use crate::time::Instant;

/// What makes two requests the same exchange, but for the authenticator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// The sender's address and port.
    pub source: SocketAddr,
    /// The identifier octet.
    pub identifier: u8,
    /// The receiving socket, by a number of the caller's.
    pub socket: u16,
}

/// A remembered request. Stays valid until the request is forgotten, replaced or expired; after that it
/// names nothing, and every call with it does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    index: u32,
    generation: u32,
}

impl Slot {
    /// As one number, for a caller that carries the slot through an opaque field.
    pub fn to_bits(self) -> u64 {
        (u64::from(self.index) << 32) | u64::from(self.generation)
    }

    /// Back from [`Slot::to_bits`]. Any number is harmless: one that names no request does nothing.
    pub fn from_bits(bits: u64) -> Slot {
        Slot { index: (bits >> 32) as u32, generation: bits as u32 }
    }
}

/// What is to be done with a verified request.
#[derive(PartialEq, Eq, Debug)]
pub enum Check<'a> {
    /// Not seen before: process it, then [`complete`](Dedup::complete) or [`forget`](Dedup::forget) it.
    New {
        /// The request's place.
        slot: Slot,
        /// The request that held this key with another authenticator and was still in progress: its
        /// sender no longer waits for it.
        replaced: Option<Slot>,
    },
    /// A duplicate of one still being worked on: say nothing.
    InProgress(Slot),
    /// A duplicate of an answered one: send these octets again.
    Replay(&'a [u8]),
    /// No room: every remembered request is still in progress. Say nothing; its sender will try again.
    Full,
}

/// What happened so far; each only rises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests not seen before.
    pub new: u64,
    /// Duplicates of requests in progress.
    pub in_progress: u64,
    /// Duplicates answered from the cache.
    pub replayed: u64,
    /// New requests that took the place of another with the same key.
    pub replaced: u64,
    /// Requests refused because all entries were in progress.
    pub refused: u64,
    /// Replies dropped before their time to make room.
    pub evicted: u64,
    /// Requests in progress that nobody completed in time.
    pub abandoned: u64,
}

/// The table of remembered requests of one receiver (a core's, or an agent's front door).
#[derive(Debug)]
pub struct Dedup {
    config: Config,
    table: Table,
    counters: Counters,
}

impl Dedup {
    /// An empty table. The index is allocated here, slots and buffers as they are first used.
    pub fn new(config: Config) -> Dedup {
        let table = Table::new(config.entries.max(1), config.seed, config.retain);
        Dedup { config, table, counters: Counters::default() }
    }

    /// Judges a verified request: new, or one seen before with the same authenticator.
    pub fn check(&mut self, now: Instant, key: Key, authenticator: &[u8; 16]) -> Check<'_> {
        self.handle_timeout(now);
        let mut replaced = None;
        if let Some(index) = self.table.find(&key) {
            let entry = self.table.entry(index);
            if entry.authenticator == *authenticator {
                return match entry.progress {
                    Progress::Answered => {
                        self.counters.replayed += 1;
                        Check::Replay(&self.table.entry(index).reply)
                    }
                    Progress::Working | Progress::Free => {
                        self.counters.in_progress += 1;
                        Check::InProgress(self.table.slot(index))
                    }
                };
            }
            if entry.progress == Progress::Working {
                replaced = Some(self.table.slot(index));
            }
            self.counters.replaced += 1;
            self.table.release(index);
        }
        if !self.make_room() {
            self.counters.refused += 1;
            return Check::Full;
        }
        self.counters.new += 1;
        let slot = self.table.insert(key, *authenticator, now + self.config.in_progress);
        Check::New { slot, replaced }
    }

    /// The reply of a verified request that was answered before; a request that wasn't is not remembered.
    pub fn replay(&mut self, now: Instant, key: Key, authenticator: &[u8; 16]) -> Option<&[u8]> {
        self.handle_timeout(now);
        let entry = self.table.entry(self.table.find(&key)?);
        let is_answered = entry.progress == Progress::Answered && entry.authenticator == *authenticator;
        self.counters.replayed += u64::from(is_answered);
        is_answered.then_some(&entry.reply[..])
    }

    /// Keeps the reply of a request for its duplicates, for [`Config::keep`] from `now`. False when the
    /// request is no longer remembered (replaced or expired): its reply is then nobody's.
    pub fn complete(&mut self, now: Instant, slot: Slot, reply: &[u8]) -> bool {
        let Some(index) = self.table.working(slot) else { return false };
        self.table.answer(index, reply, now + self.config.keep);
        true
    }

    /// Drops a request that gets no reply, so that its sender's next try is a new request. False when it
    /// is no longer remembered, or answered.
    pub fn forget(&mut self, slot: Slot) -> bool {
        let Some(index) = self.table.working(slot) else { return false };
        self.table.release(index);
        true
    }

    /// Whose request this is, while it is in progress.
    pub fn key(&self, slot: Slot) -> Option<Key> {
        self.table.working(slot).map(|index| self.table.entry(index).key)
    }

    /// Requests remembered, in progress and answered together.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Requests in progress.
    pub fn in_progress(&self) -> usize {
        self.table.working_len()
    }

    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Drops what has expired. [`Dedup::check`] does it too; a timer is needed only by who wants the
    /// memory of a quiet table back.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(index) = self.table.expired(now) {
            if self.table.entry(index).progress == Progress::Working {
                self.counters.abandoned += 1;
            }
            self.table.release(index);
        }
    }

    /// When the next entry expires.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.table.next_expiry()
    }

    fn make_room(&mut self) -> bool {
        if self.table.has_room() {
            return true;
        }
        let Some(oldest) = self.table.oldest_answered() else { return false };
        self.counters.evicted += 1;
        self.table.release(oldest);
        true
    }
}
