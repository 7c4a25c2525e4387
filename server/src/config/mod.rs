//! The server's configuration, resolved: every name looked up, every text parsed, nothing left to go wrong.
//!
//! The structs here are what the rest of the server codes against. A [`Config`] is immutable: a reload makes a new
//! one and swaps it in whole.

mod difference;
pub mod eap;
pub mod ldap;
pub mod limits;
mod load;
mod operating;
mod peer;
pub mod proxy;
mod service;
pub mod sql;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use forewarn_dict::Dictionary;
use forewarn_wire::RadiusKey;
use forewarn_wire::notice::NoticeKey;
use ipnet::IpNet;

use crate::health::LoadExpression;
use crate::policy::Condition;
use crate::process::leaving::Rungs;
use crate::process::password::Password;
use crate::process::totp::Totp;
use crate::users::Source;

pub use difference::needs_restart;
pub use forewarn_shell::config::Secret;
pub(crate) use load::reply::reply_value;
pub use load::{Loaded, load, resolve};
pub use operating::{Decisions, Log, LogSettings, Metrics};
pub use peer::{Peer, Peers};
pub use service::{Check, Http, Radius, Restart, Role, Service, Tls};
pub use sql::Sql;

/// A whole server configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The configuration file's folder: relative paths were resolved against it, and checks run in it.
    pub folder: PathBuf,
    /// Who this server is.
    pub server: Server,
    /// The sockets to open, in the order of the file.
    pub listens: Vec<Listen>,
    /// The clients, in the order of the file. No two have the same name or the same network.
    pub clients: Vec<Client>,
    /// The users, in the order of the file. No two have the same name.
    pub users: Vec<User>,
    /// Where users are looked for, in this order; no source twice. The first that knows the name decides.
    pub sources: Vec<Source>,
    /// The directory of users, where there is one.
    pub ldap: Option<ldap::Ldap>,
    /// Home servers, by pools.
    pub pools: Vec<proxy::Pool>,
    /// Which realms are whose; no two match the same text.
    pub realms: Vec<proxy::Realm>,
    /// The policies, in the order they are evaluated in.
    pub policies: Vec<Policy>,
    /// The attributes there are, by name: ours, and those of `[dictionary] files`.
    pub dictionary: Arc<Dictionary>,
    /// Bounds of the work done at one time.
    pub workers: Workers,
    /// What guessing passwords is met with.
    pub limits: limits::Limits,
    /// How second factors are asked for.
    pub second_factor: limits::SecondFactor,
    /// EAP; `None`: not offered.
    pub eap: Option<eap::Eap>,
    /// What Chargeable-User-Identity is made with; `None`: nobody gets one.
    pub cui: Option<Secret>,
    /// When this server is well, and when it is not.
    pub health: Health,
    /// What this server needs to do its job.
    pub services: Vec<Service>,
    /// Where clients and servers are.
    pub topology: Vec<Node>,
    /// The servers that this one tells its load.
    pub peers: Peers,
    /// How, and to whom, notices go.
    pub notice: Notice,
    /// How clients come back.
    pub reconnect: Reconnect,
    /// How this server leaves.
    pub drain: Drain,
    /// What it writes down.
    pub log: Log,
    /// Where its figures are asked for.
    pub metrics: Metrics,
    /// The database of users and sessions; `None`: sessions go to SQLite in `state_dir`, users are the file's.
    pub sql: Option<Sql>,
    /// How sessions are kept.
    pub accounting: sql::Accounting,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name, for people.
    pub name: String,
    /// The address by which clients know it; signed into every notice.
    pub identity: IpAddr,
    /// What it remembers over a restart; absolute.
    pub state_dir: PathBuf,
    /// Listener cores: one thread and one socket of each `[[listen]]` apiece.
    pub cores: usize,
}

/// `[[listen]]`: one UDP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listen {
    /// What is asked there.
    pub kind: ListenKind,
    /// Where.
    pub address: SocketAddr,
}

/// What a socket is for. Either kind answers Status-Server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenKind {
    /// Access-Requests.
    Auth,
    /// Accounting-Requests.
    Acct,
}

impl ListenKind {
    /// What is asked there, for people.
    pub fn name(self) -> &'static str {
        match self {
            ListenKind::Auth => "authentication",
            ListenKind::Acct => "accounting",
        }
    }
}

/// `[[client]]`: a device, or a network of devices, that may ask.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its name, for people and policies.
    pub name: Arc<str>,
    /// Where its requests come from: one address (a full-length prefix) or a network.
    pub network: IpNet,
    /// Its RADIUS secret.
    pub key: RadiusKey,
    /// Network device group: a path such as `wifi/branch-3`; empty: none.
    pub group: Arc<str>,
    /// Whether its Access-Requests must carry a Message-Authenticator (RFC 3579 section 3.2, CVE-2024-3596).
    pub message_authenticator: RequireMessageAuthenticator,
    /// Whether an Access-Request with Proxy-State and without Message-Authenticator is refused. Consulted only while
    /// Message-Authenticator isn't required.
    pub limit_proxy_state: bool,
    /// How it is let notice that this server wants to be left, where no agent tells it.
    pub without_agent: Rungs,
    /// The keys of its notices; empty: it gets none. Ids differ; exactly one has `send`.
    pub notice_keys: Vec<NoticeKeyEntry>,
    /// How it is asked to end sessions or to change them.
    pub coa: Coa,
}

/// `coa_port`, `coa_secret`, `coa_require_message_authenticator`: how a NAS is asked by CoA-Requests and
/// Disconnect-Requests (RFC 5176). The default is port 3799 and what its own requests are subject to.
#[derive(Debug, Clone)]
pub struct Coa {
    /// The UDP port it listens on.
    pub port: u16,
    /// The secret for these requests; absent: that of its own.
    pub key: Option<RadiusKey>,
    /// Whether its replies must carry a Message-Authenticator; absent: whether its Access-Requests must.
    pub require_message_authenticator: Option<bool>,
}

impl Default for Coa {
    fn default() -> Self {
        Self { port: forewarn_wire::COA_PORT, key: None, require_message_authenticator: None }
    }
}

impl Client {
    /// Whether this is a single device rather than a network of them.
    pub fn is_single(&self) -> bool {
        self.network.prefix_len() == self.network.max_prefix_len()
    }
}

/// `require_message_authenticator`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RequireMessageAuthenticator {
    /// Without one an Access-Request is dropped.
    #[default]
    Yes,
    /// Verified where it is present, not missed where it isn't.
    No,
    /// As `No` until this client was seen to send it; as `Yes` from then on. Never on a network of clients.
    Auto,
}

/// One entry of `notice_keys`; `notice_key = "..."` is short for one with id 1.
#[derive(Debug, Clone)]
pub struct NoticeKeyEntry {
    /// The number notices carry to name this key.
    pub id: u8,
    /// The key, with the MAC it is used for.
    pub key: NoticeKey,
    /// Whether this server signs with it (the others are only accepted).
    pub send: bool,
}

/// `[[user]]`
#[derive(Debug, Clone)]
pub struct User {
    /// The User-Name, octet for octet.
    pub name: Arc<str>,
    /// How they prove it.
    pub password: Password,
    /// The secret of their one-time codes: whoever has one needs a code each time.
    pub totp: Option<Totp>,
    /// For policies.
    pub groups: Vec<Arc<str>>,
    /// What goes into their Access-Accept.
    pub reply: Vec<ReplyAttribute>,
}

/// One attribute of a reply, encoded when the configuration was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyAttribute {
    /// The dictionary's name.
    pub name: Arc<str>,
    /// The vendor's number; 0: the standard space. With `numbers`, what tells attributes apart: a later source
    /// (a policy) replaces what an earlier one (the user) set under the same.
    pub vendor: u32,
    /// The attribute's number, and below it those of extended and TLV attributes.
    pub numbers: Vec<u32>,
    /// Its octets.
    pub value: ReplyValue,
}

/// The octets of a [`ReplyAttribute`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyValue {
    /// One or more whole attributes as they stand in a packet, headers included.
    Encoded(Box<[u8]>),
    /// Hidden anew in each reply (RFC 2868 section 3.5, RFC 2548 section 2.4.2): salt, then the value encrypted with
    /// the client's secret and the request authenticator.
    Hidden {
        /// The tag in front of the salt, where the attribute has one.
        tag: Option<u8>,
        /// What to hide.
        value: Secret,
    },
}

impl ReplyValue {
    /// Octets it takes of a packet; a hidden one at most.
    pub fn octets(&self) -> usize {
        match self {
            ReplyValue::Encoded(octets) => octets.len(),
            // Type, length, vendor's header, tag, salt, length octet, and whole blocks.
            ReplyValue::Hidden { value, .. } => 12 + (1 + value.octets().len()).next_multiple_of(16),
        }
    }
}

/// `[[policy]]`
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its name, for people and for the reason of an outcome.
    pub name: Arc<str>,
    /// The condition, a CEL expression; absent: always.
    pub when: Option<Expression>,
    /// What it decides; absent: it only has a say in the reply.
    pub action: Option<PolicyAction>,
    /// The realm that a policy which routes hands requests to; it has a pool.
    pub route: Option<proxy::Realm>,
    /// Why, for decision records; absent: its name says it.
    pub reason: Option<Arc<str>>,
    /// What it does to the reply.
    pub reply: PolicyReply,
}

/// `reply`, `reply_add` and `reply_remove` of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyReply {
    /// What it puts in: what it sets, then what it adds.
    pub attributes: Vec<ReplyAttribute>,
    /// Of what earlier sources put in, what it takes out: what it sets or removes, as `(vendor, numbers)`.
    pub replaces: Vec<(u32, Vec<u32>)>,
}

impl PolicyReply {
    /// Whether it leaves the reply as it is.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.replaces.is_empty()
    }
}

/// A CEL condition as written.
#[derive(Debug, Clone)]
pub struct Expression {
    /// The text.
    pub source: String,
    /// What it comes to.
    pub condition: Condition,
}

/// `action` of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyAction {
    /// Accept, and look at no further policy.
    Accept,
    /// Reject, and look at no further policy.
    Reject,
    /// Require a second factor, and go on with the next policy: a later one may still reject.
    SecondFactor,
    /// Hand the request to a realm's home servers, before anybody looks at who the user is.
    Route,
}

/// `[workers]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// Threads for work that blocks or burns CPU.
    pub max: usize,
    /// Jobs that may wait for one of them.
    pub queue: usize,
    /// Requests in flight, over all cores.
    pub in_flight: usize,
}

/// `[health]`
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Time between readings.
    pub interval: Duration,
    /// Load worse than this, `failover_after` readings running: warn. 0..=1
    pub failover_threshold: f64,
    /// See `failover_threshold`; at least 1.
    pub failover_after: u32,
    /// Load better than this, `connection_after` readings running: invite back. At most `failover_threshold`.
    pub connection_threshold: f64,
    /// See `connection_threshold`; at least 1.
    pub connection_after: u32,
    /// Warn when less than this is left until the failover threshold, by the trend; `None`: not by the trend.
    pub lead: Option<Duration>,
    /// At least this long away after a FAILOVER.
    pub away_min: Duration,
    /// What the load is; `None`: the worst parameter.
    pub load: Option<LoadExpression>,
    /// What load 1.0 is.
    pub limits: HealthLimits,
}

/// `[health.limits]`: the value of each parameter at which load is 1.0. `None`: off (measured and shown, not counted).
#[derive(Debug, Clone, PartialEq)]
pub struct HealthLimits {
    /// Busy / max, the worse of the pool and the listener cores. 0..=1
    pub workers_busy: Option<f64>,
    /// Requests in flight, of those there may be ([`Workers::in_flight`]). 0..=1
    pub in_flight: Option<f64>,
    /// Age of the oldest request that waits.
    pub queue_delay: Option<Duration>,
    /// From receipt to answer, on average.
    pub latency: Option<Duration>,
    /// Of the cgroup's limit where there is one, else of the machine. 0..=1
    pub memory: Option<f64>,
    /// 0..=1
    pub cpu: Option<f64>,
    /// Whether a listened-on link or the gateway lost counts (as 1.0).
    pub network: bool,
    /// How many processes the machine runs.
    pub processes: Option<u32>,
    /// Datagrams a second that find a receive queue full.
    pub receive_drops: Option<u32>,
    /// Share of the time in which something waited for a CPU. 0..=1
    pub cpu_pressure: Option<f64>,
    /// The same of memory.
    pub memory_pressure: Option<f64>,
    /// The same of disks.
    pub io_pressure: Option<f64>,
}

/// One entry of `[topology] nodes`: a place. `campus/north` lies in `campus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its path; unique.
    pub name: Arc<str>,
    /// Who is there.
    pub networks: Vec<IpNet>,
}

/// `[notice]`
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// In the order they are tried in; without one there are no notices at all.
    pub transports: Vec<NoticeTransport>,
    /// Who is told.
    pub audience: Audience,
    /// Where agents' receipts and requests come in by UDP; `None`: not by UDP.
    pub listen: Option<SocketAddr>,
    /// The UDP port of agents that notices go to.
    pub port: u16,
    /// The share of the audience to move per step while overloaded. 0..=1, above 0
    pub shed: f64,
    /// Time between such steps.
    pub shed_every: Duration,
    /// How much of its traffic each of them is to take away at first, per cent; `shed_every` later all of it, if that
    /// wasn't enough. What less traffic can't mend takes all of it at once. 1..=100
    pub reduction: u8,
    /// Who goes first, where not everybody goes.
    pub order: Order,
    /// Servers to fail over to, best first; empty: clients use their own list.
    pub alternates: Vec<Alternate>,
    /// Whether the alternates are ordered for each client by distance in the topology.
    pub alternates_by_distance: bool,
    /// How long a notice is in force unless repeated.
    pub validity: Duration,
    /// Notices per second, at most.
    pub rate: u32,
}

/// How notices travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoticeTransport {
    /// ICMP Echo Requests.
    Icmp,
    /// The same signed bytes by UDP.
    Udp,
}

/// `audience` of notices.
#[derive(Debug, Clone, PartialEq)]
pub enum Audience {
    /// Every client with a notice key.
    All,
    /// Those of these names.
    Clients(Vec<Arc<str>>),
    /// Those whose group matches one of these globs.
    Groups(Vec<String>),
    /// Those in this place or below it.
    Topology(Arc<str>),
    /// This share of them, the farthest from this server first. 0..=1
    Farthest(f64),
    /// This share of them, the nearest to this server first. 0..=1
    Nearest(f64),
    /// Those to whom one of the alternates is nearer than this server.
    Nearer,
}

/// `order` of `[notice]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Whoever asks most.
    Heaviest,
    /// As a hash of identity and epoch has it.
    Any,
}

/// A server to fail over to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alternate {
    /// Its identity.
    pub address: IpAddr,
    /// Its weight among the alternates; 0: none given.
    pub weight: u8,
}

/// `[reconnect]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    /// Returning clients are spread evenly over this.
    pub window: Duration,
    /// Clients admitted back per second, at most.
    pub rate: u32,
}

/// `[drain]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// For receipts and conversations; then the server stops taking requests.
    pub deadline: Duration,
}
