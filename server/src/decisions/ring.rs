//! A bounded queue of records between one thread that writes and one that reads, without a lock.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Words of eight octets a ring holds; a power of two. Some thousands of records.
pub(super) const ROOM: usize = 1 << 16;

/// Records as words: each begins with its number of words. The first word's rank grows for ever; its place is the
/// rank modulo the room.
#[derive(Debug)]
pub(super) struct Ring {
    words: Box<[AtomicU64]>,
    written: Padded,
    read: Padded,
}

/// On a cache line of its own: the one is the writer's, the other the reader's.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

impl Ring {
    pub(super) fn new() -> Self {
        let words = (0..ROOM).map(|_| AtomicU64::new(0)).collect();
        Self { words, written: Padded::default(), read: Padded::default() }
    }

    /// Appends a record; for one thread. False: there is no room.
    pub(super) fn push(&self, record: &[u64]) -> bool {
        let written = self.written.0.load(Relaxed);
        let taken = written - self.read.0.load(Acquire);
        if taken as usize + record.len() + 1 > ROOM {
            return false;
        }
        self.word(written).store(record.len() as u64, Relaxed);
        for (rank, word) in (written + 1..).zip(record) {
            self.word(rank).store(*word, Relaxed);
        }
        self.written.0.store(written + 1 + record.len() as u64, Release);
        true
    }

    /// Takes the oldest record out, into `record`; for one thread. False: there is none.
    pub(super) fn pop(&self, record: &mut Vec<u64>) -> bool {
        let read = self.read.0.load(Relaxed);
        if self.written.0.load(Acquire) == read {
            return false;
        }
        let length = self.word(read).load(Relaxed);
        record.clear();
        record.extend((read + 1..=read + length).map(|rank| self.word(rank).load(Relaxed)));
        self.read.0.store(read + 1 + length, Release);
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written.0.load(Acquire) == self.read.0.load(Relaxed)
    }

    fn word(&self, rank: u64) -> &AtomicU64 {
        &self.words[rank as usize & (ROOM - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order_across_the_end() {
        let ring = Ring::new();
        let (mut next, mut expected, mut record) = (0_u64, 0_u64, Vec::new());
        for _ in 0..10 {
            while ring.push(&vec![next; 1 + next as usize % 100]) {
                next += 1;
            }
            while ring.pop(&mut record) {
                assert_eq!(record, vec![expected; 1 + expected as usize % 100]);
                expected += 1;
            }
        }
        assert!(next > 10_000 && expected == next && ring.is_empty(), "{next} {expected}");
    }

    #[test]
    fn two_threads_agree() {
        let ring = Ring::new();
        const RECORDS: u64 = 200_000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..RECORDS {
                    while !ring.push(&[number, number.wrapping_mul(3)]) {
                        std::thread::yield_now();
                    }
                }
            });
            let mut record = Vec::new();
            for number in 0..RECORDS {
                while !ring.pop(&mut record) {
                    std::thread::yield_now();
                }
                assert_eq!(record, [number, number.wrapping_mul(3)]);
            }
        });
    }
}
