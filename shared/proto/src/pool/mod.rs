//! The home servers a client or proxy may use, in order of preference.

mod error;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;

pub use error::PoolError;
use forewarn_wire::notice::Identity;
use forewarn_wire::{Code, RadiusKey};

/// Servers in one pool, at most: sets of servers are kept as bits of a `u32`.
pub const MAX_SERVERS: usize = 32;

/// A server by its place in the order of preference, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerId(u8);

impl ServerId {
    /// The server at this place; `None` beyond [`MAX_SERVERS`].
    pub fn new(place: usize) -> Option<ServerId> {
        (place < MAX_SERVERS).then_some(ServerId(place as u8))
    }

    /// Its place, from 0.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its bit in a set of servers.
    pub(crate) fn bit(self) -> u32 {
        1 << self.0
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {}", self.0)
    }
}

/// What a request is about, and so which port of a server it goes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Authentication and authorization: Access-Request (RFC 2865).
    Auth,
    /// Accounting: Accounting-Request (RFC 2866).
    Acct,
}

impl Kind {
    /// Both kinds.
    pub const ALL: [Kind; 2] = [Kind::Auth, Kind::Acct];

    /// The code of its requests.
    pub fn request_code(self) -> Code {
        match self {
            Kind::Auth => Code::ACCESS_REQUEST,
            Kind::Acct => Code::ACCOUNTING_REQUEST,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// One home server, as configured.
#[derive(Clone, Debug)]
pub struct Server {
    /// What people call it.
    pub name: String,
    /// Its name in notices; alternates in notices select servers by it.
    pub identity: Identity,
    /// Where Access-Requests go.
    pub auth: SocketAddr,
    /// Where Accounting-Requests go.
    pub acct: SocketAddr,
    /// The secret shared with it.
    pub key: RadiusKey,
    /// Discard its replies to Access-Requests that have no Message-Authenticator (CVE-2024-3596).
    pub require_message_authenticator: bool,
    /// Whether it answers Status-Server (RFC 5997). One that doesn't is never probed.
    pub status_server: bool,
}

impl Server {
    /// Where requests of this kind go.
    pub fn address(&self, kind: Kind) -> SocketAddr {
        match kind {
            Kind::Auth => self.auth,
            Kind::Acct => self.acct,
        }
    }
}

/// The servers, 1 to [`MAX_SERVERS`], in order of preference.
#[derive(Clone, Debug)]
pub struct Pool {
    servers: Vec<Server>,
}

impl Pool {
    /// Takes the servers in order of preference. Addresses and ports have to tell them apart, for replies are
    /// given to servers by them.
    pub fn new(servers: Vec<Server>) -> Result<Pool, PoolError> {
        if servers.is_empty() {
            return Err(PoolError::Empty);
        }
        if servers.len() > MAX_SERVERS {
            return Err(PoolError::TooMany { servers: servers.len() });
        }
        for (index, server) in servers.iter().enumerate() {
            if server.auth == server.acct {
                return Err(PoolError::OnePort { name: server.name.clone() });
            }
            let same = servers[..index].iter().find(|other| server.collides(other));
            if let Some(other) = same {
                return Err(PoolError::Same { name: server.name.clone(), other: other.name.clone() });
            }
        }
        Ok(Pool { servers })
    }

    /// One server.
    pub fn server(&self, id: ServerId) -> &Server {
        &self.servers[id.index()]
    }

    /// All servers in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = (ServerId, &Server)> {
        self.ids().zip(&self.servers)
    }

    /// The names of all places.
    pub fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.servers.len() as u8).map(ServerId)
    }

    /// How many there are.
    #[allow(clippy::len_without_is_empty, reason = "a pool is never empty")]
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// The server that notices call by this identity; the first, where several share one.
    pub fn by_identity(&self, identity: Identity) -> Option<ServerId> {
        self.iter().find(|(_, server)| server.identity == identity).map(|(id, _)| id)
    }

    /// The server and kind that a datagram from this address belongs to.
    pub fn by_address(&self, from: SocketAddr) -> Option<(ServerId, Kind)> {
        self.iter().find_map(|(id, server)| match from {
            _ if from == server.auth => Some((id, Kind::Auth)),
            _ if from == server.acct => Some((id, Kind::Acct)),
            _ => None,
        })
    }
}

impl Server {
    fn collides(&self, other: &Server) -> bool {
        let addresses = [other.auth, other.acct];
        addresses.contains(&self.auth) || addresses.contains(&self.acct)
    }
}
