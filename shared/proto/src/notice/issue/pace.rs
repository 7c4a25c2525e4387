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
    /// Until then whatever goes out doesn't count.
    hurried: Instant,
}

impl Pace {
    /// `rate` a second; 0 is taken as 1.
    pub(super) fn new(rate: u32) -> Pace {
        Pace { interval: Duration::from_secs(1) / rate.max(1), even: Instant::ZERO, hurried: Instant::ZERO }
    }

    pub(super) fn set_rate(&mut self, rate: u32) {
        self.interval = Pace::new(rate).interval;
    }

    /// Holds nothing back until then.
    pub(super) fn hurry(&mut self, until: Instant) {
        (self.hurried, self.even) = (until, Instant::ZERO);
    }

    /// When the next one may go.
    pub(super) fn ready(&self) -> Instant {
        self.even.before(BURST)
    }

    pub(super) fn take(&mut self, now: Instant) {
        if now >= self.hurried {
            self.even = self.even.max(now) + self.interval;
        }
    }
}
