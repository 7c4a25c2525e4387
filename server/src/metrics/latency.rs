//! How long requests took, from the kernel's receipt to the reply's departure.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use forewarn_wire::Code;

use crate::process::outcome::Answer;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Access-Request.
    Access,
    /// Accounting-Request.
    Accounting,
    /// Status-Server.
    Status,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Access, Kind::Accounting, Kind::Status];

    /// What a request of this code asks.
    pub fn of(code: Code) -> Kind {
        match code {
            Code::ACCOUNTING_REQUEST => Kind::Accounting,
            Code::STATUS_SERVER => Kind::Status,
            _ => Kind::Access,
        }
    }

    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Access => "access",
            Kind::Accounting => "accounting",
            Kind::Status => "status",
        }
    }
}

/// The upper bounds of the buckets, nanoseconds; what is longer is in one more.
pub const BOUNDS_NS: [u64; 16] = [
    50_000,
    100_000,
    250_000,
    500_000, // up to half a millisecond
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000, // up to 50 ms
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000, // up to 5 s
];
/// All buckets.
pub const BUCKETS: usize = BOUNDS_NS.len() + 1;

/// One core's latencies. Only that core writes.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Latencies([[Histogram; Answer::ALL.len()]; Kind::ALL.len()]);

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Latencies {
    /// One more reply. Plain loads and stores: there is one writer.
    pub fn note(&self, kind: Kind, answer: Answer, latency_ns: u64) {
        let histogram = &self.0[kind as usize][answer as usize];
        let bucket = BOUNDS_NS.iter().position(|bound| latency_ns <= *bound).unwrap_or(BOUNDS_NS.len());
        let add =
            |counter: &AtomicU64, more: u64| counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
        add(&histogram.buckets[bucket], 1);
        add(&histogram.sum_ns, latency_ns);
    }
}

/// The latencies of all cores together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many were in each bucket.
    pub buckets: [u64; BUCKETS],
    /// All of them together, nanoseconds.
    pub sum_ns: u64,
}

/// Sums over the cores.
pub fn sum(cores: &[Latencies], kind: Kind, answer: Answer) -> Sum {
    let mut sum = Sum::default();
    for core in cores {
        let histogram = &core.0[kind as usize][answer as usize];
        for (total, bucket) in sum.buckets.iter_mut().zip(&histogram.buckets) {
            *total += bucket.load(Relaxed);
        }
        sum.sum_ns += histogram.sum_ns.load(Relaxed);
    }
    sum
}

/// How many requests were answered, and how long they took together, nanoseconds: without rejects, which wait for a
/// second on purpose, and Status-Server, which asks for nothing.
pub fn answered(cores: &[Latencies]) -> (u64, u64) {
    let kinds = [Kind::Access, Kind::Accounting];
    let answers = [Answer::Accept, Answer::Challenge, Answer::Accounted];
    let of_kind = |kind: Kind| answers.map(|answer| sum(cores, kind, answer));
    kinds
        .into_iter()
        .flat_map(of_kind)
        .fold((0, 0), |(count, sum_ns), sum| (count + sum.buckets.iter().sum::<u64>(), sum_ns + sum.sum_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_and_signs_of_life_are_no_answers() {
        let cores = [Latencies::default(), Latencies::default()];
        cores[0].note(Kind::Access, Answer::Accept, 5);
        cores[1].note(Kind::Accounting, Answer::Accounted, 7);
        cores[1].note(Kind::Access, Answer::Reject, 1_000_000_000);
        cores[1].note(Kind::Status, Answer::Accept, 1);
        assert_eq!(answered(&cores), (2, 12));
    }

    #[test]
    fn each_latency_is_in_the_bucket_that_holds_it() {
        let cores = [Latencies::default(), Latencies::default()];
        cores[0].note(Kind::Access, Answer::Accept, 50_000);
        cores[1].note(Kind::Access, Answer::Accept, 50_001);
        cores[1].note(Kind::Access, Answer::Accept, u64::MAX / 4);
        cores[1].note(Kind::Access, Answer::Reject, 1);
        let sum = sum(&cores, Kind::Access, Answer::Accept);
        assert_eq!((sum.buckets[0], sum.buckets[1], sum.buckets[BUCKETS - 1]), (1, 1, 1));
        assert_eq!(sum.sum_ns, 100_001 + u64::MAX / 4);
        assert!(BOUNDS_NS.is_sorted());
    }
}
