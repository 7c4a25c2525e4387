//! Points in time, as arguments. The shell reads the clocks; everything below it is told.

use std::ops::{Add, AddAssign};
use std::time::Duration;

/// A monotonic point in time: nanoseconds since an arbitrary start (0 in simulations).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// The arbitrary start.
    pub const ZERO: Instant = Instant(0);
    /// Further away than anything that happens: 584 years after the start.
    pub const FAR: Instant = Instant(u64::MAX);

    /// The point `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// The point `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Instant {
        Instant(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The point `duration` before this one, at the earliest the start.
    pub fn before(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(nanos(duration)))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at [`Instant::FAR`].
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(nanos(duration)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// A point on the calendar: milliseconds since 1970-01-01 00:00 UTC. Steps when an operator sets the clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Utc(u64);

impl Utc {
    /// The point `millis` milliseconds after 1970 began.
    pub const fn from_millis(millis: u64) -> Utc {
        Utc(millis)
    }

    /// Milliseconds since 1970 began.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970 began, saturated to 32 bits (until 2106).
    pub const fn as_secs_u32(self) -> u32 {
        let secs = self.0 / 1000;
        if secs > u32::MAX as u64 { u32::MAX } else { secs as u32 }
    }

    /// The distance to `other`, whichever of the two is the later.
    pub const fn distance(self, other: Utc) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }
}

impl Add<Duration> for Utc {
    type Output = Utc;

    fn add(self, duration: Duration) -> Utc {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Utc(self.0.saturating_add(millis))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_never_goes_below_zero() {
        let early = Instant::from_millis(10);
        let late = early + Duration::from_millis(5);
        assert_eq!(late.since(early), Duration::from_millis(5));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.before(Duration::from_secs(1)), Instant::ZERO);
    }

    #[test]
    fn adding_saturates() {
        assert_eq!(Instant::FAR + Duration::from_secs(1), Instant::FAR);
        assert_eq!(Instant::from_millis(1) + Duration::MAX, Instant::FAR);
    }

    #[test]
    fn utc_distance_is_symmetric_and_seconds_saturate() {
        let a = Utc::from_millis(1_000);
        let b = a + Duration::from_secs(30);
        assert_eq!(a.distance(b), Duration::from_secs(30));
        assert_eq!(b.distance(a), Duration::from_secs(30));
        assert_eq!(Utc::from_millis(u64::MAX).as_secs_u32(), u32::MAX);
    }
}
