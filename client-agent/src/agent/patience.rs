//! What lies cost: the longer the thread waits after them, the more of them come together.
//!
//! Being woken costs several times what refusing a notice does, so that a flood of forged ones is dealt with in batches, while
//! a single one costs next to nothing. The whole thread waits: a task that did wouldn't help, since each datagram would
//! wake the thread all the same.

use std::time::Duration;

use forewarn_shell::udp;

/// For each refused notice. From 25,000 a second on, each pause brings more of them than the one before.
const PAUSE_EACH: Duration = Duration::from_micros(40);
/// At most: nobody notices it in an answer. The inbox has room for what comes meanwhile.
const PAUSE_MAX: Duration = Duration::from_millis(4);

/// What was refused in this round of reading, and how long the pause before it was.
#[derive(Debug, Default)]
pub(super) struct Patience {
    refused: u32,
    /// Whether more notices than were read may be waiting.
    behind: bool,
    paused: Duration,
    /// What the kernel had dropped by the last pause, and how much shorter pauses are for it.
    dropped: u64,
    shortened: Duration,
}

impl Patience {
    /// A batch of so many notices was read.
    pub(super) fn read(&mut self, notices: usize) {
        self.behind |= notices == udp::BATCH;
    }

    /// One of them wasn't believed.
    pub(super) fn refused(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    /// How long the pause before this round was: a notice may have waited that long.
    pub(super) fn paused(&self) -> Duration {
        self.paused
    }

    /// Nothing was to be done: whatever comes next has waited for no pause.
    pub(super) fn rest(&mut self) {
        self.paused = Duration::ZERO;
    }

    /// The pause before the next round, if there is to be one: nothing is left that was to be read.
    /// They are shorter while the kernel drops notices for want of room: `dropped` says how many it has.
    pub(super) fn end_round(&mut self, dropped: impl FnOnce() -> u64) -> Option<Duration> {
        self.paused = Duration::ZERO;
        if std::mem::take(&mut self.behind) || self.refused == 0 {
            return None;
        }
        let before = std::mem::replace(&mut self.dropped, dropped());
        self.shortened = match self.dropped > before {
            true => self.shortened + (PAUSE_MAX - self.shortened) / 2,
            false => self.shortened.saturating_sub(PAUSE_EACH),
        };
        let most = PAUSE_MAX - self.shortened;
        self.paused = (PAUSE_EACH * std::mem::take(&mut self.refused)).min(most);
        Some(self.paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(patience: &mut Patience, notices: usize, refused: usize) -> Option<Duration> {
        patience.read(notices);
        (0..refused).for_each(|_| patience.refused());
        patience.end_round(|| 0)
    }

    #[test]
    fn nobody_waits_after_what_is_believed() {
        assert_eq!(round(&mut Patience::default(), 10, 0), None);
    }

    #[test]
    fn the_more_were_refused_the_longer_is_the_pause() {
        let mut patience = Patience::default();
        assert_eq!(round(&mut patience, 3, 1), Some(PAUSE_EACH));
        assert_eq!(round(&mut patience, 30, 10), Some(PAUSE_EACH * 10));
        assert_eq!(patience.paused(), PAUSE_EACH * 10);
        assert_eq!(round(&mut patience, 63, 63), Some(PAUSE_EACH * 63));
        assert_eq!(round(&mut patience, 1, 0), None);
        assert_eq!(patience.paused(), Duration::ZERO);
    }

    #[test]
    fn while_notices_are_lost_pauses_are_short() {
        let mut patience = Patience::default();
        let mut pause = |dropped: u64| {
            (0..110).for_each(|_| patience.refused());
            patience.end_round(|| dropped).expect("some were refused")
        };
        assert_eq!(pause(0), PAUSE_MAX);
        assert_eq!([pause(9), pause(18), pause(27)], [PAUSE_MAX / 2, PAUSE_MAX / 4, PAUSE_MAX / 8]);
        assert!(pause(27) > PAUSE_MAX / 8);
        let pauses: Vec<Duration> = (0..100).map(|_| pause(27)).collect();
        assert_eq!(pauses.last(), Some(&PAUSE_MAX));
    }

    #[test]
    fn what_comes_after_a_rest_has_waited_for_no_pause() {
        let mut patience = Patience::default();
        assert_eq!(round(&mut patience, 3, 1), Some(PAUSE_EACH));
        patience.rest();
        assert_eq!(patience.paused(), Duration::ZERO);
    }

    #[test]
    fn nobody_waits_before_everything_is_read() {
        let mut patience = Patience::default();
        assert_eq!(round(&mut patience, udp::BATCH, udp::BATCH), None);
        assert_eq!(round(&mut patience, udp::BATCH, udp::BATCH), None);
        assert_eq!(round(&mut patience, 0, 0), Some(PAUSE_MAX));
    }
}
