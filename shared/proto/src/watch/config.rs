//! When a server warns, when it invites back, how it leaves.

use std::time::Duration;

/// The longest `away_min` grows to by doubling, unless it is configured longer.
pub const AWAY_MAX: Duration = Duration::from_secs(15 * 60);

/// A refused client is never told to ask again sooner than this.
pub const RETRY_MIN: Duration = Duration::from_secs(5);

/// When nobody can say (an operator's word is waited for), a refused client is told to ask again after this.
pub const RETRY_BY_OPERATOR: Duration = Duration::from_secs(60);

/// The operator's settings: `[health]`, `[notice]`, `[drain]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Load worse than this (0 to 1) ...
    pub failover_threshold: f64,
    /// ... so many readings running: warn. At least 1.
    pub failover_after: u32,
    /// Load better than this (0 to 1) ...
    pub connection_threshold: f64,
    /// ... so many readings running: invite back. At least 1.
    pub connection_after: u32,
    /// Warn when less than this is left until the failover threshold, by the trend of queue delay, latency and memory;
    /// none: only of what was measured.
    pub lead: Option<Duration>,
    /// At least this long away after a FAILOVER; doubles on relapse up to [`AWAY_MAX`].
    pub away_min: Duration,
    /// The share of the audience (0 to 1) to move per step while overloaded.
    pub shed: f64,
    /// From one step to the next.
    pub shed_every: Duration,
    /// For receipts and conversations during a drain; then requests aren't taken any more.
    pub drain_deadline: Duration,
    /// Invite the clients once after the start, as soon as the load allows: those that left before this server was
    /// restarted come back at once and in their slots, and not by their own time-outs.
    pub greet: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            failover_threshold: 0.90,
            failover_after: 3,
            connection_threshold: 0.70,
            connection_after: 5,
            lead: None,
            away_min: Duration::from_secs(60),
            shed: 1.0,
            shed_every: Duration::from_secs(5),
            drain_deadline: Duration::from_secs(20),
            greet: true,
        }
    }
}
