//! How a server issues.

use forewarn_wire::notice::Identity;

use crate::notice::Transport;

/// Clients that can be told, unless configured otherwise: a bound for prefixes, whose addresses are heard, not named.
pub const CLIENTS_MAX: usize = 65_536;

/// How this server issues.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its identity, signed into every notice.
    pub server: Identity,
    /// Its number.
    pub sender: u32,
    /// See [`epoch_at_start`](crate::notice::epoch_at_start).
    pub epoch: u32,
    /// In order of preference; without any, nobody is told anything.
    pub transports: Vec<Transport>,
    /// The agents' port for notices.
    pub udp_port: u16,
    /// Datagrams a second, at most.
    pub rate: u32,
    /// Clients, at most.
    pub clients_max: usize,
}
