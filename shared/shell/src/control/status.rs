//! What `forewarn status` shows: the types that cross the control socket.
//!
//! Points in time are microseconds since 1970 (UTC); loads and shares are 0.0 to 1.0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The status of a server or of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Status {
    /// forewarnd.
    Server(Box<ServerStatus>),
    /// forewarn-agent.
    Agent(Box<AgentStatus>),
}

/// How many times each thing happened, by its stable name.
pub type Counts = BTreeMap<String, u64>;

/// What every program says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its name in the configuration.
    pub name: String,
    /// The address its peers know it by.
    pub identity: String,
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started_at: u64,
    /// Its configuration file.
    pub config: String,
    /// Its state folder.
    pub state_dir: String,
    /// How often its configuration was reloaded, and refused.
    pub reloads: u64,
    /// What it can't do, and how to change that: a capability that is missing, a transport that is off.
    pub complaints: Vec<String>,
}

/// forewarnd's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Who it is.
    pub program: Program,
    /// What the watch has decided, and why.
    pub watch: WatchStatus,
    /// The last reading.
    pub load: LoadStatus,
    /// The services it needs.
    pub services: Vec<ServiceStatus>,
    /// The databases and directories it asks.
    #[serde(default)]
    pub stores: Vec<StoreStatus>,
    /// The certificates of `[eap.tls]`, and what revokes peers'.
    #[serde(default)]
    pub certificates: Vec<CertificateStatus>,
    /// The servers that tell it their load.
    #[serde(default)]
    pub peers: Vec<PeerStatus>,
    /// Requests a second of late.
    #[serde(default)]
    pub rate: f64,
    /// Its pools of home servers.
    #[serde(default)]
    pub pools: Vec<PoolStatus>,
    /// Its clients, and who of them has been told what.
    pub clients: Vec<ClientStatus>,
    /// Requests by answer and cause, for example `access-accept.password` or `silence.unknown-client`.
    pub requests: Counts,
    /// Notices sent and received, by kind and outcome.
    pub notices: Counts,
    /// Everything else that is counted: limits reached, drops of the kernel.
    pub counters: Counts,
    /// Users who are rejected unseen for too many failures, most recent last; bounded.
    #[serde(default)]
    pub held: Vec<String>,
    /// Sources that are no clients, most recent last; bounded.
    pub strangers: Vec<String>,
}

/// The state of the watch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatchStatus {
    /// `serving`, `shedding`, `away`, `returning`, `draining`, `drained`, `quiesced`.
    pub state: String,
    /// Why it is in it.
    pub cause: String,
    /// Since when.
    pub since: u64,
    /// The share of the audience that has been asked to leave.
    pub share: f64,
    /// Clients that should leave and stay, since no alternate has room for them.
    #[serde(default)]
    pub staying: u64,
    /// When load was first worse than the failover threshold, the last time it was.
    pub over_since: Option<u64>,
    /// When the first notice of the last warning went out.
    pub warned_at: Option<u64>,
    /// When the last invitation went out.
    pub invited_at: Option<u64>,
    /// Warnings that went out because of what was foreseen, and what became of them.
    #[serde(default)]
    pub foreseen: ForeseenStatus,
}

/// Warnings by the trend (`[health] lead`) since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeseenStatus {
    /// All of them; those that the verdicts lack aren't judged yet.
    pub warnings: u64,
    /// The load came over the failover threshold all the same.
    pub confirmed: u64,
    /// It didn't, and what was foreseen turned by itself.
    #[serde(rename = "false")]
    pub false_alarms: u64,
    /// It didn't, since clients left.
    pub averted: u64,
}

/// The last reading and what it amounts to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadStatus {
    /// 0.0 to 1.0.
    pub value: f64,
    /// The parameter that is worst.
    pub worst: String,
    /// Worse than this is warned of.
    pub failover_threshold: f64,
    /// Better than this invites back.
    pub connection_threshold: f64,
    /// When it was taken.
    pub read_at: u64,
    /// Each parameter.
    pub parameters: Vec<ParameterStatus>,
    /// `load` of `[health]`, as written.
    #[serde(default)]
    pub expression: Option<String>,
    /// Readings of which it gave no number.
    #[serde(default)]
    pub expression_failures: u64,
}

/// One parameter of a reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParameterStatus {
    /// Its name in `[health.limits]`.
    pub name: String,
    /// Its value for people, with its unit; absent when it couldn't be measured.
    pub value: Option<String>,
    /// Its limit for people; absent when it is off.
    pub limit: Option<String>,
    /// What it adds to the load: 1.0 at its limit.
    pub load: Option<f64>,
}

/// One service the server depends on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// `mandatory` or `dependent`.
    pub role: String,
    /// `running`, `starting`, `not-running`, `hold-down`.
    pub state: String,
    /// What the last check found.
    pub cause: String,
    /// Since when it is in this state.
    pub since: u64,
    /// What it adds to the load when it fails.
    pub weight: f64,
    /// How often it was restarted; absent when nobody has said how.
    pub restarts: Option<u64>,
    /// What the last restart came to; empty before the first.
    pub restarted: String,
}

/// A database or directory that is asked for each request that needs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// What is asked there: `users` (the database), `ldap`.
    pub name: String,
    /// `running`, `starting`, `away`.
    pub state: String,
    /// Why it is away.
    pub cause: String,
    /// Since when it is in this state; absent: it hasn't been tried yet.
    pub since: Option<u64>,
}

/// Something of certificates that runs out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// What it is: `certificate`, `client_ca`, `crl`.
    pub kind: String,
    /// Whose: the subject, or who issued the list.
    pub subject: String,
    /// When it runs out, seconds since 1970.
    pub expires_at: u64,
}

/// A server that tells its load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// `open` (takes whoever comes), `closed` (keeps its own clients), `leaving` (asks them to leave), `silent` (it was
    /// heard, and isn't any more), `unheard`.
    pub state: String,
    /// Its load; this and what follows are absent while nothing is known of it.
    pub load: Option<f64>,
    /// Requests a second that it has, those of clients on their way to it included.
    pub rate: Option<f64>,
    /// Requests a second that this server may still send there; absent as well when the peer's capacity isn't known.
    pub headroom: Option<f64>,
    /// Why it isn't open.
    pub cause: String,
    /// When it was last heard.
    pub heard_at: Option<u64>,
}

/// One client and what it has been told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Its name; addresses of a prefix each have an entry.
    pub name: String,
    /// Its address or prefix.
    pub address: String,
    /// Its group, as a path.
    pub group: String,
    /// Requests received from it.
    pub requests: u64,
    /// Requests a second of late; of a device of a network an equal share of what the network asks. Absent where it
    /// gets no notices.
    #[serde(default)]
    pub rate: Option<f64>,
    /// `required`, `optional`, `learning`, `learnt`.
    pub message_authenticator: String,
    /// Access-Requests without EAP-Message that came without Message-Authenticator since the start: who would break if
    /// it were required.
    pub without_message_authenticator: u64,
    /// When the last of them came.
    pub without_message_authenticator_at: Option<u64>,
    /// Verified Access-Requests without EAP-Message that came with Message-Authenticator since the start.
    pub with_message_authenticator: u64,
    /// When the last of them came.
    pub with_message_authenticator_at: Option<u64>,
    /// Access-Requests with EAP-Message, which have it always and say nothing of the others.
    pub eap_requests: u64,
    /// Whether Proxy-State without Message-Authenticator is refused.
    pub limit_proxy_state: bool,
    /// What `require_message_authenticator = "yes"` would do (CVE-2024-3596): `required` (it is so, and nobody is the
    /// worse for it), `dropping` (it is so, and requests are dropped for want of it), `ready` (nothing would break),
    /// `would-break`, `would-break-partly` (some requests have it), `eap-only` and `unheard` (nobody knows yet).
    pub readiness: String,
    /// The notice in force for it, if it gets notices.
    pub notice: Option<ToldStatus>,
}

/// What a client has been told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToldStatus {
    /// `nothing`, `failover`, `reconnect`.
    pub standing: String,
    /// `told`, `telling`, `not-told`, or `-` when there is nothing to tell.
    pub told: String,
    /// The operator has sent it away, and only the operator has it back.
    #[serde(default)]
    pub by_hand: bool,
    /// The alternate it is expected at, by name or address; absent where it chooses itself.
    #[serde(default)]
    pub to: Option<String>,
    /// What the client did: `moved`, `already-away`, `last-usable`, `no-alternate`, `noted`.
    pub outcome: Option<String>,
    /// The transport that was acknowledged last.
    pub transport: Option<String>,
    /// When the notice was first sent.
    pub sent_at: Option<u64>,
    /// When it was acknowledged.
    pub acknowledged_at: Option<u64>,
}

/// forewarn-agent's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Who it is.
    pub program: Program,
    /// The server that new requests go to.
    pub current: String,
    /// Why it is that one.
    pub why: String,
    /// Since when.
    pub since: u64,
    /// Its servers, in order of preference.
    pub servers: Vec<UpstreamStatus>,
    /// The last time traffic moved.
    pub last_switch: Option<SwitchStatus>,
    /// How often traffic moved, by cause.
    pub switches: Counts,
    /// Requests on their way.
    pub in_flight: u64,
    /// Notices by kind, and refused ones by cause.
    pub notices: Counts,
    /// Requests of the NAS by answer and cause.
    pub requests: Counts,
    /// Everything else that is counted.
    pub counters: Counts,
}

/// A pool of home servers of a proxy: what an agent shows of its servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// `failover`, `round-robin`.
    pub strategy: String,
    /// The server that new requests go to; in turn, the first of those that have a share.
    pub current: String,
    /// Why it is that one.
    pub why: String,
    /// Since when.
    pub since: u64,
    /// Its servers, in order of preference.
    pub servers: Vec<UpstreamStatus>,
    /// The last time traffic moved.
    pub last_switch: Option<SwitchStatus>,
    /// How often traffic moved, by cause.
    pub switches: Counts,
    /// Requests on their way.
    pub in_flight: u64,
}

/// A server as its client sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// `usable`, `warned`, `last-resort`, `suspect`, `dead`, `returning`.
    pub standing: String,
    /// Why.
    pub cause: String,
    /// Since when.
    pub since: u64,
    /// The share of new requests it would get: the ramp.
    pub weight: f64,
    /// Requests sent to it, retransmissions included.
    pub sent: u64,
    /// Valid replies from it.
    pub answered: u64,
    /// Requests that wait for it.
    pub outstanding: u64,
    /// When anything valid was last heard from it.
    pub heard_at: Option<u64>,
    /// Whether its replies must carry Message-Authenticator.
    pub requires_message_authenticator: bool,
    /// Replies to Access-Requests without it: discarded where it is required, taken where it isn't.
    pub without_message_authenticator: u64,
}

/// One move of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SwitchStatus {
    /// From this server.
    pub from: String,
    /// To this one.
    pub to: String,
    /// Why: `notice`, `dead`, `invited`, `returned`, ...
    pub cause: String,
    /// When what caused it arrived, for a notice the datagram itself.
    pub caused_at: u64,
    /// When it was decided.
    pub decided_at: u64,
    /// When the first request went to the new server.
    pub first_request_at: Option<u64>,
}
