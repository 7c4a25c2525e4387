//! So many a second, and no more than a short burst at once.

use std::time::Duration;

use crate::time::Instant;

/// What may go out together when nothing went out before, as time.
const BURST: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When everything sent so far would have been sent at an even pace.
    even: Instant,
}

impl Pace {
    /// `rate` a second; 0 is taken as 1.
    pub(super) fn new(rate: u32) -> Pace {
        Pace { interval: Duration::from_secs(1) / rate.max(1), even: Instant::ZERO }
    }

    pub(super) fn set_rate(&mut self, rate: u32) {
        self.interval = Pace::new(rate).interval;
    }

    /// When the next one may go.
    pub(super) fn ready(&self) -> Instant {
        self.even.before(BURST)
    }

    pub(super) fn take(&mut self, now: Instant) {
        self.even = self.even.max(now) + self.interval;
    }
}
