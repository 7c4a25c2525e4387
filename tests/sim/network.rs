//! What is on its way between agents and servers, and what the network does to it.

use std::time::Duration;

use forewarn_proto::notice::Transport;
use forewarn_proto::pool::Kind;
use rand::RngExt;
use rand::rngs::StdRng;

/// A datagram.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) agent: usize,
    pub(crate) server: usize,
    pub(crate) to: End,
    pub(crate) what: What,
    pub(crate) octets: Vec<u8>,
}

/// Where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Agent,
    Server,
}

/// What it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// A request or a reply, between this port of the agent's and the server's port of that kind.
    Radius { kind: Kind, port: u16 },
    /// A notice, or an agent's message about notices.
    Notice { via: Transport },
}

/// The way between one agent and one server.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) loss_percent: u32,
    pub(crate) twice_percent: u32,
    pub(crate) slowest: Duration,
    /// Nothing gets through to the agent, to the server.
    pub(crate) cut: [bool; 2],
    /// Notices don't get through by this transport.
    pub(crate) blocked: [bool; 2],
}

impl Link {
    pub(crate) const FAIR: Link = Link {
        loss_percent: 0,
        twice_percent: 0,
        slowest: Duration::from_micros(200),
        cut: [false; 2],
        blocked: [false; 2],
    };

    /// Everything gets through, by either transport.
    pub(crate) fn is_whole(&self) -> bool {
        !self.cut[0] && !self.cut[1] && !self.blocked[0] && !self.blocked[1]
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut[0] || self.cut[1]
    }

    /// After how long each copy of a parcel arrives.
    pub(crate) fn carry(&self, rng: &mut StdRng, parcel: &Parcel) -> [Option<Duration>; 2] {
        let is_blocked = match parcel.what {
            What::Radius { .. } => false,
            What::Notice { via } => self.blocked[via as usize],
        };
        if self.cut[parcel.to as usize] || is_blocked {
            return [None, None];
        }
        let copies = match rng.random_range(0..100) {
            chance if chance < self.loss_percent => 0,
            chance if chance < self.loss_percent + self.twice_percent => 2,
            _ => 1,
        };
        let mut late = |number: usize| {
            let slowest = self.slowest.as_nanos() as u64;
            (copies > number).then(|| Duration::from_nanos(50_000 + rng.random_range(0..=slowest)))
        };
        [late(0), late(1)]
    }

    /// Weather as bad as it may get.
    pub(crate) fn storm(&mut self, rng: &mut StdRng) {
        self.loss_percent = if rng.random_range(0..3) == 0 { 0 } else { rng.random_range(0..30) };
        self.twice_percent = rng.random_range(0..30);
        self.slowest = Duration::from_micros(rng.random_range(100..400_000));
    }
}
