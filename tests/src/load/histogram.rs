//! Latencies to about 3 %, in a fixed table.

use std::time::Duration;

/// How often each latency was seen.
#[derive(Clone, Debug)]
pub struct Latencies {
    counts: Vec<u32>,
    count: u64,
    slowest: Duration,
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies { counts: vec![0; STEPS * (64 - STEP_BITS + 1)], count: 0, slowest: Duration::ZERO }
    }
}

impl Latencies {
    /// One more.
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[index(nanos)] += 1;
        self.count += 1;
        self.slowest = self.slowest.max(latency);
    }

    /// All of another's too.
    pub fn merge(&mut self, other: &Latencies) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.slowest = self.slowest.max(other.slowest);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The slowest, exactly.
    pub fn slowest(&self) -> Duration {
        self.slowest
    }

    /// The latency that `percent` of them don't exceed; zero when there are none.
    pub fn percentile(&self, percent: f64) -> Duration {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = ((self.count as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank {
                return Duration::from_nanos(upper(index)).min(self.slowest);
            }
        }
        Duration::ZERO
    }
}

/// The row of the table: exact below 32 ns, then 32 steps for each doubling.
fn index(nanos: u64) -> usize {
    let shift = (64 - STEP_BITS - 1).saturating_sub(nanos.leading_zeros() as usize);
    match nanos < STEPS as u64 {
        true => nanos as usize,
        false => (shift + 1) * STEPS + ((nanos >> shift) as usize - STEPS),
    }
}

/// The largest latency of a row.
fn upper(index: usize) -> u64 {
    let (shift, step) = ((index / STEPS).saturating_sub(1), index % STEPS);
    match index < STEPS {
        true => index as u64,
        false => (((STEPS + step) as u64 + 1) << shift) - 1,
    }
}

const STEP_BITS: usize = 5;
const STEPS: usize = 1 << STEP_BITS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_has_a_row_that_holds_it() {
        for nanos in (0..200).chain((0..62).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])) {
            let row = index(nanos);
            assert!(upper(row) >= nanos, "{nanos}");
            assert!(row == 0 || upper(row - 1) < nanos, "{nanos}");
        }
    }

    #[test]
    fn percentiles_are_within_three_percent() {
        let mut latencies = Latencies::default();
        for micros in 1..=1000 {
            latencies.record(Duration::from_micros(micros));
        }
        for (percent, micros) in [(50.0, 500.0), (99.0, 990.0), (100.0, 1000.0)] {
            let found = latencies.percentile(percent).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.04, "{percent}: {found}");
        }
        assert_eq!(latencies.percentile(100.0), latencies.slowest());
        assert_eq!(Latencies::default().percentile(99.0), Duration::ZERO);
    }
}
