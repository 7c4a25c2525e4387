//! What happens next: what is on its way or due, and the machines' own deadlines.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forewarn_proto::notice::Transport;
use forewarn_proto::time::Instant;

use super::network::Parcel;
use super::server::Job;

/// An agent or a server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Host {
    Agent(usize),
    Server(usize),
}

/// Something on its way, or due.
pub(crate) enum Due {
    /// A datagram arrives.
    Arrive(Parcel),
    /// A server is done with a request.
    Done {
        server: usize,
        start: u32,
        job: Job,
    },
    /// A server has told another one its load.
    Load {
        server: usize,
        via: Transport,
        octets: Vec<u8>,
    },
    /// A NAS asks, or asks again.
    Ask {
        agent: usize,
        number: usize,
    },
    /// An answer reaches the NAS.
    AtNas {
        agent: usize,
        number: usize,
        octets: Vec<u8>,
    },
    /// A user of this agent's comes.
    Traffic {
        agent: usize,
    },
    /// A stopped process goes on; a dead one is started again.
    Resume(Host),
    Start(Host),
    /// A blow of fate.
    Fate,
    /// A host's own deadline.
    Timer(Host),
}

#[derive(Default)]
pub(crate) struct Agenda {
    queue: BTreeMap<(Instant, u64), Due>,
    queued: u64,
    timers: BTreeSet<(Instant, Host)>,
    armed: BTreeMap<Host, Instant>,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: Instant, due: Due) {
        self.queued += 1;
        self.queue.insert((at, self.queued), due);
    }

    /// The next deadline of a host's; none for none.
    pub(crate) fn arm(&mut self, host: Host, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.armed.insert(host, at),
            None => self.armed.remove(&host),
        };
        if before != at {
            if let Some(before) = before {
                self.timers.remove(&(before, host));
            }
            self.timers.extend(at.map(|at| (at, host)));
        }
    }

    /// What is next, up to `end`, and when it was due.
    pub(crate) fn next(&mut self, end: Instant) -> Option<(Instant, Due)> {
        let queued = self.queue.first_key_value().map(|(&(at, _), _)| at);
        let timer = self.timers.first().copied();
        match (queued, timer) {
            (queued, Some((at, host))) if at <= end && queued.is_none_or(|queued| at < queued) => {
                self.arm(host, None);
                Some((at, Due::Timer(host)))
            }
            (Some(at), _) if at <= end => self.queue.pop_first().map(|((at, _), due)| (at, due)),
            _ => None,
        }
    }
}

/// Twice `mean` at most, as chance has it.
pub(crate) fn about(mean: Duration, chance: f64) -> Duration {
    mean.mul_f64(2.0 * chance)
}
