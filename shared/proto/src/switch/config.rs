//! How an agent or proxy changes servers.

use std::time::Duration;

/// Which servers a notice moves traffic to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Alternates {
    /// The configured order, whatever the notice says.
    Configured,
    /// Only those the notice names, as far as they are configured here.
    Notice,
    /// Those the notice names first, then the configured order.
    #[default]
    NoticeThenConfigured,
}

/// How requests are given to servers that may have them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Strategy {
    /// All to the first in order.
    #[default]
    Failover,
    /// To each in turn, as far as its share goes: one that sheds 40 % passes four of ten turns on. Alternates in
    /// notices have no meaning then.
    RoundRobin,
}

impl Strategy {
    /// As configurations call it.
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::Failover => "failover",
            Strategy::RoundRobin => "round-robin",
        }
    }
}

/// `[failover]` and `[reconnect]` of an agent's configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Who gets which request.
    pub strategy: Strategy,
    /// Which servers a notice moves traffic to.
    pub alternates: Alternates,
    /// How long conversations in progress stay with a server that asked to be left.
    pub drain_conversations: Duration,
    /// How long after a notice to ask the server to be taken back, ± 10 %.
    pub after: Duration,
    /// How long a server that is returned to takes to get all its traffic again, from 10 %.
    pub ramp: Duration,
    /// How long to wait for the answer to a question to come back.
    pub ask_interval: Duration,
    /// How often to ask before a Status-Server has to decide.
    pub ask_tries: u8,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            strategy: Strategy::default(),
            alternates: Alternates::default(),
            drain_conversations: Duration::from_secs(10),
            after: Duration::from_secs(300),
            ramp: Duration::from_secs(30),
            ask_interval: Duration::from_secs(1),
            ask_tries: 3,
        }
    }
}
