//! How often something happens, from a count that only grows.

use std::time::Duration;

use forewarn_proto::time::Instant;

/// Times a second, of late: the mean since the first look at first, then one in which what is older weighs less.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    first: Option<Instant>,
    last: Instant,
    total: u64,
    per_second: f64,
}

impl Rate {
    /// The count is `total` now; what happened `memory` ago weighs a third.
    pub(super) fn count(&mut self, now: Instant, total: u64, memory: Duration) {
        let Some(first) = self.first else {
            (self.first, self.last, self.total) = (Some(now), now, total);
            return;
        };
        let passed = now.since(self.last).as_secs_f64();
        if passed <= 0.0 {
            return;
        }
        let latest = total.saturating_sub(self.total) as f64 / passed;
        let fading = 1.0 - (-passed / memory.as_secs_f64()).exp();
        let weight = fading.max(passed / now.since(first).as_secs_f64());
        self.per_second += (latest - self.per_second) * weight.min(1.0);
        (self.last, self.total) = (now, total);
    }

    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_at_first_and_what_is_late_later() {
        let memory = Duration::from_secs(10);
        let at = |second: u64| Instant::from_millis(second * 1_000);
        let mut rate = Rate::default();
        rate.count(at(100), 5_000, memory);
        assert_eq!(rate.per_second(), 0.0, "what was before isn't known");
        rate.count(at(101), 5_010, memory);
        rate.count(at(102), 5_010, memory);
        assert!((rate.per_second() - 5.0).abs() < 1e-9);
        for second in 103..200 {
            rate.count(at(second), 5_010 + (second - 102) * 20, memory);
        }
        assert!((rate.per_second() - 20.0).abs() < 0.1);
        rate.count(at(200), 0, memory);
        assert!(rate.per_second() > 17.0, "a count that begins anew isn't less than nothing");
    }
}
