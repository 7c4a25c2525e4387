//! What the director knows and the data plane doesn't: one look at it for a scrape.

use forewarn_proto::gauge::{Load, Reading};
use forewarn_shell::control::{Counts, ForeseenStatus, PeerStatus, PoolStatus, ServiceStatus};

/// Taken by the director, which answers in between its other work; so it copies figures, and no client's name.
#[derive(Debug, Default)]
pub struct Figures {
    /// Everything counted, by dotted name.
    pub counters: Counts,
    /// Reloads that were applied.
    pub reloads: u64,
    /// Where the watch stands, by name.
    pub phase: String,
    /// Seconds since 1970 since when.
    pub since: f64,
    /// The share of the audience that was asked to leave.
    pub share: f64,
    /// The last reading and what it amounts to.
    pub reading: Option<(Reading, Load)>,
    /// How often readings were distrusted because this process had stood still.
    pub doubts: u64,
    /// How many readings the load expression made nothing of; none without one.
    pub expression_failures: Option<u64>,
    /// Warnings by the trend, and what became of them.
    pub foreseen: ForeseenStatus,
    /// The services.
    pub services: Vec<ServiceStatus>,
    /// The servers that tell this one their load.
    pub peers: Vec<PeerStatus>,
    /// Clients that should leave and stay.
    pub staying: usize,
    /// The pools of home servers.
    pub pools: Vec<PoolStatus>,
    /// Notices by what became of them.
    pub notices: Counts,
    /// Clients by what they know of the notice in force for them.
    pub told: Counts,
}
