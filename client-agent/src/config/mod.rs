//! The agent's configuration, resolved: what `agent.toml` means, with defaults filled in and secrets prepared.
//!
//! Reading is in [`resolve`]: it walks the merged document, collects every error and only then hands out a
//! [`Config`]. Nothing past this module looks at text.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::{pool, switch, upstream};
use forewarn_shell::log::Settings;
use forewarn_wire::RadiusKey;
use forewarn_wire::notice::Identity;
use ipnet::IpNet;

mod keys;
mod listen;
mod resolve;
#[cfg(test)]
mod tests;

pub use forewarn_proto::notice::KeyEntry;
pub use forewarn_proto::pool::Kind;
pub use forewarn_proto::switch::Alternates;
pub use forewarn_proto::upstream::DeadServer;
pub use resolve::{load, resolve};

/// The port of forewarn's UDP notices.
pub const NOTICE_PORT: u16 = forewarn_wire::notice::UDP_PORT;

/// Most servers one agent may be given.
pub const SERVERS_MAX: usize = pool::MAX_SERVERS;
/// Most listeners one agent may open.
pub const LISTENERS_MAX: usize = 32;
/// Most hooks one agent may run.
pub const HOOKS_MAX: usize = 32;

/// Everything `agent.toml` says.
#[derive(Debug, Clone)]
pub struct Config {
    /// The agent's name, for people.
    pub name: String,
    /// The address by which the servers know this agent.
    pub identity: IpAddr,
    /// Where it is itself: requests leave from here. Another one than `identity` means that a NAT is in between.
    pub address: IpAddr,
    /// Where the epoch, the marks, the lock and the control socket live.
    pub state_dir: PathBuf,
    /// The front door.
    pub listeners: Vec<Listener>,
    /// Where the servers' CoA-Requests and Disconnect-Requests come in.
    pub coa: Vec<CoaListener>,
    /// The servers, in order of preference.
    pub servers: Vec<Server>,
    /// Where notices come in.
    pub inbox: Inbox,
    /// What a warning does, and how the agent comes back.
    pub switch: switch::Config,
    /// What becomes of accounting that no server takes.
    pub spool: crate::spool::Config,
    /// How a server that died without a word is found out.
    pub dead_server: DeadServer,
    /// Commands that are run when something happens.
    pub hooks: Vec<Hook>,
    /// The configuration file's folder: hooks run in it.
    pub folder: PathBuf,
    /// `[log]`
    pub log: Settings,
}

impl Config {
    /// The servers as their machine takes them.
    ///
    /// # Errors
    /// When an address and port is given twice: two servers on one, or one server with one port for everything.
    pub fn pool(&self) -> Result<pool::Pool, pool::PoolError> {
        let server = |server: &Server| pool::Server {
            name: server.name.clone(),
            identity: server.identity(),
            auth: SocketAddr::new(server.address, server.auth_port),
            acct: SocketAddr::new(server.address, server.acct_port),
            key: server.key.clone(),
            require_message_authenticator: server.require_message_authenticator,
            status_server: server.status_server,
        };
        pool::Pool::new(self.servers.iter().map(server).collect())
    }

    /// The times and limits of the way to the servers.
    #[must_use]
    pub fn upstream(&self) -> upstream::Config {
        upstream::Config {
            dead_server: self.dead_server,
            switch: self.switch.clone(),
            in_flight: IN_FLIGHT_MAX,
            ports: SOURCE_PORTS,
            ..upstream::Config::default()
        }
    }
}

/// Requests on their way to servers at once.
const IN_FLIGHT_MAX: usize = 4096;
/// Source ports to call from: 256 requests each can wait for one server.
const SOURCE_PORTS: u16 = 8;

/// One socket of the front door.
#[derive(Clone)]
pub struct Listener {
    /// Which requests are expected here.
    pub kind: Kind,
    /// The address to bind.
    pub address: SocketAddr,
    /// Who may send here; everybody else meets silence.
    pub clients: Vec<IpNet>,
    /// The secret shared with the NAS software.
    pub key: Arc<RadiusKey>,
    /// Whether an Access-Request without EAP must carry a Message-Authenticator here. By default it must as soon
    /// as one of `clients` lies outside the loopback networks: on loopback there is nobody in between.
    pub require_message_authenticator: bool,
}

/// Where the servers ask the NAS software to end sessions or to change them (RFC 5176). Only they may, each with its
/// own secret.
#[derive(Clone)]
pub struct CoaListener {
    /// The address to bind.
    pub address: SocketAddr,
    /// Where the NAS software takes such requests.
    pub nas: SocketAddr,
    /// The secret shared with it.
    pub key: Arc<RadiusKey>,
    /// Whether its replies must carry a Message-Authenticator. By default they must unless it is on loopback.
    pub require_message_authenticator: bool,
    /// Whether a request must say when it was made: without that, one that was recorded could be sent again later
    /// than duplicates are remembered (RFC 5176 section 6.3).
    pub require_event_timestamp: bool,
}

/// One home server.
#[derive(Clone)]
pub struct Server {
    /// Its name, for people and for hooks.
    pub name: String,
    /// Its address, which is also its identity in notices.
    pub address: IpAddr,
    /// Where it takes Access-Requests.
    pub auth_port: u16,
    /// Where it takes Accounting-Requests.
    pub acct_port: u16,
    /// Where it takes receipts and challenges by UDP.
    pub notice_port: u16,
    /// The secret shared with it.
    pub key: RadiusKey,
    /// Whether its replies to Access-Requests, and its CoA-Requests, must carry a Message-Authenticator.
    pub require_message_authenticator: bool,
    /// Whether it answers Status-Server.
    pub status_server: bool,
    /// The keys its notices may be signed with, at most one for each key id; empty: it sends none.
    pub notice_keys: Vec<KeyEntry>,
}

impl Config {
    /// Whether the servers know this agent by an address that isn't its own. Then nobody can call it unasked: it says
    /// HELLO, and notices come back as Echo Replies.
    #[must_use]
    pub fn is_behind_nat(&self) -> bool {
        self.address != self.identity
    }
}

impl Server {
    /// The server's identity in notices.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::from(self.address)
    }
}

/// Where notices come in. Their order is the servers' affair: the agent answers the way it was spoken to, and what it
/// says first goes by each there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// A raw ICMP socket behind a kernel filter.
    pub icmp: bool,
    /// The UDP twin's socket.
    pub udp: Option<SocketAddr>,
}

/// A command that is run when something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The occasion.
    pub on: Occasion,
    /// Program and arguments; run without a shell, in the configuration file's folder.
    pub command: Vec<String>,
    /// Killed after this long.
    pub timeout: Duration,
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occasion {
    /// The server that new requests go to has changed.
    Switch,
    /// A notice was accepted, whatever it did.
    Notice,
}

impl Occasion {
    /// The word in the file and in `FWN_EVENT`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Occasion::Switch => "switch",
            Occasion::Notice => "notice",
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("kind", &self.kind)
            .field("address", &self.address)
            .field("clients", &self.clients)
            .field("require_message_authenticator", &self.require_message_authenticator)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CoaListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoaListener")
            .field("address", &self.address)
            .field("nas", &self.nas)
            .field("require_message_authenticator", &self.require_message_authenticator)
            .field("require_event_timestamp", &self.require_event_timestamp)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("auth_port", &self.auth_port)
            .field("acct_port", &self.acct_port)
            .field("notice_port", &self.notice_port)
            .field("require_message_authenticator", &self.require_message_authenticator)
            .finish_non_exhaustive()
    }
}
