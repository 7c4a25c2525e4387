//! One service's standing: when to check it, when it has failed, when it is well again.
//!
//! ```text
//!              success                   `fall` failures running
//!   STARTING -----------> RUNNING ----------------------------------+
//!   (after the start)        ^                                      v
//!      |  `fall` failures    |                                  HOLD_DOWN  not checked for `hold_down`
//!      +---------------------|------------------------------------> ^
//!                            | `rise` successes running             |  `fall` failures running
//!                            |                                      v
//!                        STARTING (back) <----------------->  NOT RUNNING
//!                                        success / failure     (checked again)
//! ```
//!
//! A service counts as failed from the moment it enters HOLD_DOWN until it is RUNNING again. One that forewarnd
//! hasn't judged yet since its own start counts as fine.

mod restart;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use crate::time::Instant;

pub use restart::{Restart, Waits};

/// How one service is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// From one check's result to the next check.
    pub interval: Duration,
    /// Failures running that hold it down; 1 for `process` and `pid_file`.
    pub fall: u32,
    /// Successes running that clear it after a hold-down.
    pub rise: u32,
    /// Not checked again for this long.
    pub hold_down: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config { interval: Duration::from_secs(2), fall: 3, rise: 3, hold_down: Duration::from_secs(60) }
    }
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service does its work.
    Success,
    /// It doesn't.
    Failure,
    /// The check itself couldn't be made (no free thread in time): says nothing about the service.
    NoResult,
}

/// As shown to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not judged yet, or on its way back and not yet `rise` successes.
    Starting,
    /// Does its work.
    Running,
    /// The hold-down has passed, and it still fails.
    NotRunning,
    /// Failed; not checked until then.
    HoldDown {
        /// When it is checked again.
        until: Instant,
    },
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Starting => "STARTING",
            State::Running => "RUNNING",
            State::NotRunning => "NOT RUNNING",
            State::HoldDown { .. } => "HOLD_DOWN",
        })
    }
}

/// The machine of one service.
#[derive(Clone, Debug)]
pub struct HoldDown {
    config: Config,
    state: State,
    since: Instant,
    failed: bool,
    successes: u32,
    failures: u32,
    next: Option<Instant>,
}

impl HoldDown {
    /// A service not judged yet; its first check is due at once.
    pub fn new(config: Config, now: Instant) -> HoldDown {
        HoldDown {
            config,
            state: State::Starting,
            since: now,
            failed: false,
            successes: 0,
            failures: 0,
            next: Some(now),
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when it stands there.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// It counts in the load: it was held down and hasn't cleared.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// Successes running, for "2 of 3".
    pub fn successes(&self) -> u32 {
        self.successes
    }

    /// Failures running.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next check is due; none while one is under way.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// A check that is due begins now: true once per check, whose result is owed to [`HoldDown::handle_outcome`].
    pub fn begin(&mut self, now: Instant) -> bool {
        let due = self.next.is_some_and(|next| next <= now);
        if due {
            self.next = None;
        }
        due
    }

    /// The check under way, if there is one, will have no result: the next is due at once.
    pub fn restart_check(&mut self, now: Instant) {
        self.next.get_or_insert(now);
    }

    /// A check has ended.
    pub fn handle_outcome(&mut self, now: Instant, outcome: Outcome) {
        if matches!(self.state, State::HoldDown { until } if now < until) {
            return;
        }
        self.next = Some(now + self.config.interval);
        match outcome {
            Outcome::Success => self.succeed(now),
            Outcome::Failure => self.fail(now),
            Outcome::NoResult => {}
        }
    }

    fn succeed(&mut self, now: Instant) {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        if !self.failed || self.successes >= self.config.rise {
            self.failed = false;
            self.enter(State::Running, now);
        } else {
            self.enter(State::Starting, now);
        }
    }

    fn fail(&mut self, now: Instant) {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.config.fall {
            let until = now + self.config.hold_down;
            self.failed = true;
            self.failures = 0;
            self.next = Some(until);
            self.enter(State::HoldDown { until }, now);
        } else if self.failed {
            self.enter(State::NotRunning, now);
        }
    }

    fn enter(&mut self, state: State, now: Instant) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
    }
}
