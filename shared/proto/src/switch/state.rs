//! What is known about one server.

use std::time::Duration;

use forewarn_wire::notice::{Identity, Reason};

use super::Config;
use crate::pool::ServerId;
use crate::time::Instant;

/// Whether a server answers, as far as its client can tell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Life {
    /// It answers, or nothing speaks against it.
    Alive,
    /// It left a first probe unanswered: requests go elsewhere until it is clear.
    Doubtful,
    /// It left all probes unanswered.
    Dead,
}

/// What a server said about itself in its last FAILOVER.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InForce {
    /// The share of traffic to take away, 1 to 100 %.
    pub reduction_percent: u8,
    /// Conversations need not be waited for.
    pub hard: bool,
    /// Why.
    pub reason: Reason,
    /// Its load, in percent of its limit.
    pub load_percent: u8,
    /// When the notice came.
    pub received: Instant,
    /// Until when it holds. After that the server is a last resort, no more and no less.
    pub until: Instant,
}

/// What will bring a server that was left back into use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Back {
    /// It will be asked then: nobody has invited us before.
    Ask {
        /// When.
        at: Instant,
    },
    /// It was asked and has not answered yet.
    Asking {
        /// Questions so far.
        tries: u8,
        /// When the next one is due.
        at: Instant,
    },
    /// It gave us a slot.
    Invited {
        /// When the slot begins.
        at: Instant,
    },
    /// It answered no question: a Status-Server decides, and it comes back when that is answered.
    Probed,
}

/// Where the requests of conversations with a server go that asked to be left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conversations {
    /// To it, for as long as they like.
    Stay,
    /// To it, until then.
    Until(Instant),
    /// Where all others go.
    Elsewhere,
}

/// How much of its traffic a server is to get, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// All of it.
    Open,
    /// Part of it or nothing, by its own notice.
    Away {
        /// The notice.
        notice: InForce,
        /// What ends it.
        back: Back,
        /// What becomes of the conversations with it.
        conversations: Conversations,
    },
    /// More and more of it: it is being returned to.
    Ramping {
        /// When it started.
        since: Instant,
        /// With how many percent.
        from_percent: u8,
    },
}

/// All of a server's traffic: shares are fractions of it.
pub(super) const WHOLE: u32 = 1 << 16;
/// Where a ramp starts, in percent.
pub(super) const RAMP_FROM_PERCENT: u8 = 10;

#[derive(Debug)]
pub(super) struct Place {
    pub(super) identity: Identity,
    pub(super) life: Life,
    pub(super) standing: Standing,
    /// The configured servers its last notice named, the best first.
    pub(super) alternates: Vec<ServerId>,
    /// By round-robin: the part of a turn that it has saved up, below [`WHOLE`].
    pub(super) credit: u32,
}

impl Place {
    /// The share of the traffic offered to it that it gets now.
    pub(super) fn share(&self, now: Instant, config: &Config) -> u32 {
        if self.life != Life::Alive {
            return 0;
        }
        match self.standing {
            Standing::Open => WHOLE,
            Standing::Away { notice, .. } => percent(100 - notice.reduction_percent.min(100)),
            Standing::Ramping { since, from_percent } => {
                let start = percent(from_percent);
                start + fraction(WHOLE - start, now.since(since), config.ramp)
            }
        }
    }

    /// The share it gets when nothing changes any more.
    pub(super) fn goal(&self) -> u32 {
        match self.standing {
            _ if self.life != Life::Alive => 0,
            Standing::Open | Standing::Ramping { .. } => WHOLE,
            Standing::Away { notice, .. } => percent(100 - notice.reduction_percent.min(100)),
        }
    }

    /// Who gets what nobody has a share left for: the least is the best. A living server before a silent one;
    /// one that may stay before one about to stop; there, the one in use ("stay"), else what the notices name,
    /// what is not warned or no longer, the least loaded.
    pub(super) fn resort(
        &self,
        now: Instant,
        id: ServerId,
        current: ServerId,
        named: bool,
    ) -> impl Ord + use<> {
        let (hard, in_force, load) = match self.standing {
            Standing::Away { notice, .. } => {
                (notice.hard, 1 + u8::from(now < notice.until), notice.load_percent)
            }
            Standing::Open | Standing::Ramping { .. } => (false, 0, 0),
        };
        let elsewhere = !hard && id != current;
        (self.life, hard, elsewhere, !named, in_force, load, id)
    }
}

fn percent(percent: u8) -> u32 {
    u32::from(percent) * WHOLE / 100
}

/// The part of `whole` that `elapsed` is of `total`.
fn fraction(whole: u32, elapsed: Duration, total: Duration) -> u32 {
    if elapsed >= total {
        return whole;
    }
    (u128::from(whole) * elapsed.as_nanos() / total.as_nanos()) as u32
}
