//! The slots, their hash index, and two queues by age. All links are slot numbers: nothing moves, and
//! nothing is allocated once the slots have been used.

use std::net::SocketAddr;

use super::{Key, Slot};
use crate::time::Instant;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    Free,
    Working,
    Answered,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) authenticator: [u8; 16],
    pub(super) progress: Progress,
    pub(super) reply: Vec<u8>,
    expires: Instant,
    generation: u32,
    /// The next entry of the same bucket, or the next free slot.
    next: u32,
    older: u32,
    newer: u32,
}

/// Entries by age. Every entry of a queue lives equally long, so the oldest expires first.
#[derive(Clone, Copy, Debug)]
struct Queue {
    oldest: u32,
    newest: u32,
    len: usize,
}

impl Queue {
    const EMPTY: Queue = Queue { oldest: NONE, newest: NONE, len: 0 };
}

#[derive(Debug)]
pub(super) struct Table {
    buckets: Vec<u32>,
    entries: Vec<Entry>,
    most: usize,
    seed: u64,
    free: u32,
    working: Queue,
    answered: Queue,
    retain: usize,
    retained: usize,
}

impl Table {
    pub(super) fn new(most: usize, seed: u64, retain: usize) -> Table {
        let most = most.min(NONE as usize - 1);
        Table {
            buckets: vec![NONE; most.next_power_of_two()],
            entries: Vec::new(),
            most,
            seed,
            free: NONE,
            working: Queue::EMPTY,
            answered: Queue::EMPTY,
            retain,
            retained: 0,
        }
    }

    pub(super) fn entry(&self, index: u32) -> &Entry {
        &self.entries[index as usize]
    }

    pub(super) fn slot(&self, index: u32) -> Slot {
        Slot { index, generation: self.entry(index).generation }
    }

    pub(super) fn len(&self) -> usize {
        self.working.len + self.answered.len
    }

    pub(super) fn working_len(&self) -> usize {
        self.working.len
    }

    pub(super) fn has_room(&self) -> bool {
        self.len() < self.most
    }

    pub(super) fn oldest_answered(&self) -> Option<u32> {
        (self.answered.oldest != NONE).then_some(self.answered.oldest)
    }

    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        let mut at = self.buckets[self.bucket(key)];
        while at != NONE {
            let entry = self.entry(at);
            if entry.key == *key {
                return Some(at);
            }
            at = entry.next;
        }
        None
    }

    /// The index of a slot that is still in progress.
    pub(super) fn working(&self, slot: Slot) -> Option<u32> {
        let entry = self.entries.get(slot.index as usize)?;
        (entry.generation == slot.generation && entry.progress == Progress::Working).then_some(slot.index)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let of = |queue: &Queue| (queue.oldest != NONE).then(|| self.entry(queue.oldest).expires);
        [of(&self.working), of(&self.answered)].into_iter().flatten().min()
    }

    pub(super) fn expired(&self, now: Instant) -> Option<u32> {
        [self.answered.oldest, self.working.oldest]
            .into_iter()
            .find(|&index| index != NONE && self.entry(index).expires <= now)
    }

    /// Takes a slot for a request in progress. The caller has seen to the room.
    pub(super) fn insert(&mut self, key: Key, authenticator: [u8; 16], expires: Instant) -> Slot {
        let bucket = self.bucket(&key);
        let chained = self.buckets[bucket];
        let index = if self.free == NONE {
            let index = self.entries.len() as u32;
            self.entries.push(Entry {
                key,
                authenticator,
                progress: Progress::Working,
                reply: Vec::new(),
                expires,
                generation: 0,
                next: chained,
                older: NONE,
                newer: NONE,
            });
            index
        } else {
            let index = self.free;
            let entry = &mut self.entries[index as usize];
            self.free = entry.next;
            self.retained -= entry.reply.capacity();
            entry.key = key;
            entry.authenticator = authenticator;
            entry.progress = Progress::Working;
            entry.expires = expires;
            entry.next = chained;
            index
        };
        self.buckets[bucket] = index;
        self.push_newest(index);
        self.slot(index)
    }

    /// Turns a request in progress into an answered one.
    pub(super) fn answer(&mut self, index: u32, reply: &[u8], expires: Instant) {
        self.unqueue(index);
        let entry = &mut self.entries[index as usize];
        entry.reply.clear();
        entry.reply.extend_from_slice(reply);
        entry.progress = Progress::Answered;
        entry.expires = expires;
        self.push_newest(index);
    }

    /// Frees a slot; whoever still holds its name holds nothing.
    pub(super) fn release(&mut self, index: u32) {
        self.unqueue(index);
        self.unchain(index);
        let entry = &mut self.entries[index as usize];
        entry.progress = Progress::Free;
        entry.generation = entry.generation.wrapping_add(1);
        if self.retained + entry.reply.capacity() > self.retain {
            entry.reply = Vec::new();
        }
        self.retained += entry.reply.capacity();
        entry.next = self.free;
        self.free = index;
    }

    fn unchain(&mut self, index: u32) {
        let bucket = self.bucket(&self.entry(index).key);
        let next = self.entry(index).next;
        let mut at = self.buckets[bucket];
        if at == index {
            self.buckets[bucket] = next;
            return;
        }
        while at != NONE {
            let entry = &mut self.entries[at as usize];
            if entry.next == index {
                entry.next = next;
                return;
            }
            at = entry.next;
        }
    }

    fn queue(&mut self, progress: Progress) -> &mut Queue {
        match progress {
            Progress::Answered => &mut self.answered,
            Progress::Working | Progress::Free => &mut self.working,
        }
    }

    fn push_newest(&mut self, index: u32) {
        let progress = self.entry(index).progress;
        let queue = self.queue(progress);
        let before = queue.newest;
        queue.newest = index;
        queue.len += 1;
        if before == NONE {
            queue.oldest = index;
        } else {
            self.entries[before as usize].newer = index;
        }
        let entry = &mut self.entries[index as usize];
        entry.older = before;
        entry.newer = NONE;
    }

    fn unqueue(&mut self, index: u32) {
        let (older, newer, progress) = {
            let entry = self.entry(index);
            (entry.older, entry.newer, entry.progress)
        };
        let queue = self.queue(progress);
        queue.len -= 1;
        if queue.oldest == index {
            queue.oldest = newer;
        }
        if queue.newest == index {
            queue.newest = older;
        }
        if older != NONE {
            self.entries[older as usize].newer = newer;
        }
        if newer != NONE {
            self.entries[newer as usize].older = older;
        }
    }

    fn bucket(&self, key: &Key) -> usize {
        (hash(self.seed, key) as usize) & (self.buckets.len() - 1)
    }
}

/// A seeded mix of the key's fields: each is folded in by a 64 x 64 -> 128 bit multiplication.
fn hash(seed: u64, key: &Key) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(ODD);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let (high, low) = match key.source {
        SocketAddr::V4(v4) => (0, u64::from(v4.ip().to_bits())),
        SocketAddr::V6(v6) => ((v6.ip().to_bits() >> 64) as u64, v6.ip().to_bits() as u64),
    };
    let rest =
        (u64::from(key.source.port()) << 32) | (u64::from(key.socket) << 16) | u64::from(key.identifier);
    [high, low, rest].into_iter().fold(seed ^ ODD.rotate_left(17), fold)
}
