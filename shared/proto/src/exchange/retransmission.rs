//! The timer of one request.

use std::time::Duration;

use rand_core::CryptoRng;

use super::Timing;

/// How often a request was sent to a server, and how long the present wait is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retransmission {
    wait: Duration,
    transmissions: u32,
}

impl Retransmission {
    /// The first transmission happens now: RT = IRT + RAND*IRT.
    pub fn first(timing: &Timing, rng: &mut dyn CryptoRng) -> Retransmission {
        Retransmission { wait: jittered(timing.initial, rng), transmissions: 1 }
    }

    /// The wait ran out. Another transmission happens now, with RT = 2*RTprev + RAND*RTprev, or
    /// MRT + RAND*MRT when that is more than MRT. `None`: that was the last one.
    #[must_use]
    pub fn next(self, timing: &Timing, rng: &mut dyn CryptoRng) -> Option<Retransmission> {
        if timing.transmissions != 0 && self.transmissions >= timing.transmissions {
            return None;
        }
        let doubled = self.wait + jittered(self.wait, rng);
        let over = !timing.longest.is_zero() && doubled > timing.longest;
        let wait = if over { jittered(timing.longest, rng) } else { doubled };
        Some(Retransmission { wait, transmissions: self.transmissions + 1 })
    }

    /// RT: how long to wait for a reply before the next step.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Transmissions so far.
    pub fn transmissions(&self) -> u32 {
        self.transmissions
    }
}

/// `duration` + RAND*`duration`, RAND uniform between -0.1 and +0.1.
pub(crate) fn jittered(duration: Duration, rng: &mut dyn CryptoRng) -> Duration {
    let tenth = duration / 10;
    duration - tenth + (2 * tenth).mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX))
}
