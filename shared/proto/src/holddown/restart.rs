//! When a service that has failed is restarted: at once, and then after waits that double.
//!
//! Each attempt needs a check that failed after the last one had ended, so that what is coming up isn't shot down
//! again. In HOLD_DOWN nothing is checked: there is one attempt at its beginning, and the next when it is over.

use std::time::Duration;

use crate::time::Instant;

/// How long to wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// After the first.
    pub first: Duration,
    /// At the most.
    pub most: Duration,
}

/// The restarts of one service.
#[derive(Clone, Debug)]
pub struct Restart {
    waits: Waits,
    /// From the end of the next attempt to the one after it.
    wait: Duration,
    /// Not before this.
    next: Instant,
    /// A check has failed since the last attempt began.
    wanted: bool,
    under_way: bool,
    /// Since when checks succeed.
    well_since: Option<Instant>,
    attempts: u64,
}

impl Restart {
    /// Of a service that hasn't been restarted yet.
    pub fn new(waits: Waits) -> Restart {
        Restart {
            waits,
            wait: waits.first,
            next: Instant::ZERO,
            wanted: false,
            under_way: false,
            well_since: None,
            attempts: 0,
        }
    }

    /// Other waits; an attempt under way stays so.
    pub fn set_waits(&mut self, waits: Waits) {
        self.waits = waits;
        self.wait = self.wait.clamp(waits.first, waits.most);
    }

    /// How often it was tried.
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// A check succeeded.
    pub fn handle_success(&mut self, now: Instant) {
        self.wanted = false;
        self.well_since.get_or_insert(now);
    }

    /// A check failed, of a service that counts as failed.
    pub fn handle_failure(&mut self, now: Instant) {
        self.wanted = true;
        // Well for longer than it would have to wait: that is another story.
        if self.well_since.take().is_some_and(|since| now.since(since) >= self.wait) {
            self.wait = self.waits.first;
        }
    }

    /// An attempt that is due begins now: true once per attempt, whose end is owed to [`Restart::handle_end`].
    pub fn begin(&mut self, now: Instant) -> bool {
        let due = self.poll_timeout().is_some_and(|next| next <= now);
        if due {
            self.wanted = false;
            self.under_way = true;
            self.attempts += 1;
        }
        due
    }

    /// The attempt under way has ended, well or not: the next check tells.
    pub fn handle_end(&mut self, now: Instant) {
        self.under_way = false;
        self.next = now + self.wait;
        self.wait = (self.wait * 2).min(self.waits.most);
    }

    /// When the next attempt is due; none while one is under way, or none is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.wanted && !self.under_way).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    fn restart() -> Restart {
        Restart::new(Waits { first: Duration::from_secs(10), most: Duration::from_secs(35) })
    }

    /// Fails at once and again after each attempt, which takes a second; gives when the attempts began.
    fn attempts(restart: &mut Restart, from: u64, count: usize) -> Vec<u64> {
        let mut now = at(from);
        let one = |_| {
            restart.handle_failure(now);
            now = restart.poll_timeout().expect("wanted").max(now);
            assert!(restart.begin(now));
            let began = now.as_nanos() / 1_000_000_000;
            now += Duration::from_secs(1);
            restart.handle_end(now);
            began
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn the_first_is_at_once_and_the_waits_double_up_to_the_most() {
        let mut restart = restart();
        assert_eq!(attempts(&mut restart, 100, 5), [100, 111, 132, 168, 204]);
        assert_eq!(restart.attempts(), 5);
    }

    #[test]
    fn there_is_never_a_second_one_under_way() {
        let mut restart = restart();
        restart.handle_failure(at(1));
        assert!(restart.begin(at(1)));
        restart.handle_failure(at(50));
        assert!(!restart.begin(at(50)));
        assert_eq!(restart.poll_timeout(), None);
        restart.set_waits(Waits { first: Duration::from_secs(1), most: Duration::from_secs(1) });
        assert!(!restart.begin(at(50)), "nor after a reload");
        restart.handle_end(at(60));
        assert_eq!(restart.poll_timeout(), Some(at(61)));
    }

    #[test]
    fn what_comes_up_again_is_left_alone() {
        let mut restart = restart();
        assert_eq!(restart.poll_timeout(), None, "nothing has failed");
        attempts(&mut restart, 1, 1);
        assert_eq!(restart.poll_timeout(), None, "no check has failed since");
        restart.handle_failure(at(3));
        restart.handle_success(at(5));
        assert_eq!(restart.poll_timeout(), None);
    }

    #[test]
    fn the_waits_begin_anew_only_after_a_while_of_being_well() {
        let mut restart = restart();
        attempts(&mut restart, 0, 2);
        // It ended at 12, and the next wait is 35 seconds; the one that runs ends at 32.
        restart.handle_success(at(13));
        restart.handle_failure(at(20));
        assert_eq!(restart.poll_timeout(), Some(at(32)), "flapping doesn't get round the waits");
        assert_eq!(attempts(&mut restart, 20, 2), [32, 68]);
        restart.handle_success(at(70));
        assert_eq!(attempts(&mut restart, 200, 2), [200, 211]);
    }
}
