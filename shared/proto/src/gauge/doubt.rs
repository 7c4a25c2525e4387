//! Whether this process itself stood still, or its clock was set: what was measured meanwhile says nothing about the
//! server.
//!
//! A process that was stopped, or whose virtual machine was, finds requests that have waited for as long and checks
//! that have timed out, and none of it is overload. So it looks at the clocks each [`PULSE`]. When more has passed
//! than that, or the two clocks disagree, readings don't count until [`SETTLE`] later, and ages are counted from then
//! on. But a process that stands still again and again has too little of its machine, which is overload: one such
//! excuse is good for [`AGAIN`].

use std::fmt;
use std::time::Duration;

use crate::time::{Instant, Utc};

/// How long to sleep between two looks at the clocks, at the most.
pub const PULSE: Duration = Duration::from_millis(100);

/// Waking this much too late is standing still; clocks this far apart were set.
pub const PAUSE: Duration = Duration::from_millis(200);

/// From the end of a pause to readings that count: what waited meanwhile is worked off first.
pub const SETTLE: Duration = Duration::from_millis(250);

/// From one excuse to the next.
pub const AGAIN: Duration = Duration::from_secs(10);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubted {
    /// The process stood still for so long.
    Paused(Duration),
    /// The calendar was set by so much, or the machine stood still with its monotonic clock.
    ClockSet(Duration),
}

impl fmt::Display for Doubted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubted::Paused(by) => write!(f, "this process stood still for {} ms", by.as_millis()),
            Doubted::ClockSet(by) => write!(f, "the clock was set by {} ms", by.as_millis()),
        }
    }
}

/// The machine.
#[derive(Clone, Debug, Default)]
pub struct Doubt {
    asleep: Option<(Instant, Utc)>,
    /// The end of the last pause that is excused.
    resumed: Option<Instant>,
}

impl Doubt {
    /// The process goes to sleep, for [`PULSE`] at the most.
    pub fn handle_asleep(&mut self, now: Instant, utc: Utc) {
        self.asleep = Some((now, utc));
    }

    /// It woke. Answers what has to be excused; readings, checks and ages up to `now` are to be distrusted then.
    pub fn handle_awake(&mut self, now: Instant, utc: Utc) -> Option<Doubted> {
        let (then, utc_then) = self.asleep.take()?;
        let passed = now.since(then);
        let calendar = Utc::from_millis(
            utc_then.as_millis().saturating_add(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)),
        );
        let late = passed.saturating_sub(PULSE);
        let doubted = match (late >= PAUSE, utc.distance(calendar)) {
            (true, _) => Doubted::Paused(late),
            (false, set) if set >= PAUSE => Doubted::ClockSet(set),
            _ => return None,
        };
        // The pause itself is no time it has run well for.
        if self.resumed.is_some_and(|resumed| then.since(resumed) < AGAIN) {
            return None;
        }
        self.resumed = Some(now);
        Some(doubted)
    }

    /// When readings count again; none when they do.
    pub fn settles(&self, now: Instant) -> Option<Instant> {
        self.resumed.map(|resumed| resumed + SETTLE).filter(|settled| now < *settled)
    }

    /// For how long ages can be known: requests have waited for no longer, whatever their stamps say.
    pub fn known_for(&self, now: Instant) -> Duration {
        self.resumed.map_or(Duration::MAX, |resumed| now.since(resumed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000_000;

    /// Sleeps from `from` to `to` while the calendar goes on by `calendar`, all in milliseconds.
    fn sleep(doubt: &mut Doubt, from: u64, to: u64, calendar: i64) -> Option<Doubted> {
        let utc = Utc::from_millis(START + from);
        doubt.handle_asleep(Instant::from_millis(from), utc);
        let later = Utc::from_millis((START + from).saturating_add_signed(calendar));
        doubt.handle_awake(Instant::from_millis(to), later)
    }

    #[test]
    fn a_pulse_in_time_or_a_little_late_is_none() {
        let mut doubt = Doubt::default();
        assert_eq!(
            doubt.handle_awake(Instant::from_millis(50), Utc::from_millis(START)),
            None,
            "never slept"
        );
        for (to, calendar) in [(1_000, 0), (1_100, 100), (1_299, 299), (1_100, 250), (1_100, -50)] {
            assert_eq!(sleep(&mut doubt, 1_000, to, calendar), None, "{to} {calendar}");
        }
        assert_eq!((doubt.settles(Instant::ZERO), doubt.known_for(Instant::ZERO)), (None, Duration::MAX));
    }

    #[test]
    fn what_stood_still_is_excused_until_it_has_settled() {
        let mut doubt = Doubt::default();
        let paused = sleep(&mut doubt, 1_000, 3_100, 2_100);
        assert_eq!(paused, Some(Doubted::Paused(Duration::from_secs(2))));
        let settled = Instant::from_millis(3_100) + SETTLE;
        assert_eq!(doubt.settles(Instant::from_millis(3_100)), Some(settled));
        assert_eq!(doubt.settles(settled), None);
        assert_eq!(
            doubt.known_for(settled),
            SETTLE,
            "nothing has waited for longer, whatever its stamp says"
        );
    }

    #[test]
    fn a_clock_that_was_set_either_way_is_seen() {
        for calendar in [3_600_000, -3_600_000] {
            let found = sleep(&mut Doubt::default(), 1_000, 1_100, calendar);
            assert!(matches!(found, Some(Doubted::ClockSet(_))), "{found:?}");
        }
        // A machine that is suspended with its monotonic clock finds the calendar ahead.
        let suspended = sleep(&mut Doubt::default(), 1_000, 1_050, 10_050);
        assert_eq!(suspended, Some(Doubted::ClockSet(Duration::from_secs(10))));
    }

    #[test]
    fn again_and_again_is_overload() {
        let mut doubt = Doubt::default();
        assert!(sleep(&mut doubt, 1_000, 2_000, 1_000).is_some());
        assert_eq!(sleep(&mut doubt, 3_000, 9_000, 6_000), None);
        assert_eq!(doubt.settles(Instant::from_millis(9_000)), None);
        assert_eq!(sleep(&mut doubt, 11_000, 12_100, 1_100), None, "not ten seconds after the first");
        assert!(sleep(&mut doubt, 12_100, 13_000, 900).is_some());
    }
}
