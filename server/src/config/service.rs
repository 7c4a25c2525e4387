//! `[[service]]`: what this server needs, and how it is looked at.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::holddown::Waits;
use forewarn_shell::config::Secret;
use forewarn_wire::RadiusKey;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// `[[service]]`: something this server needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name; unique.
    pub name: Arc<str>,
    /// How much it is needed.
    pub role: Role,
    /// How it is looked at.
    pub check: Check,
    /// Time between checks.
    pub interval: Duration,
    /// A check that takes longer has failed.
    pub timeout: Duration,
    /// Failures running that put it into HOLD_DOWN.
    pub fall: u32,
    /// Successes running that clear it.
    pub rise: u32,
    /// How long it isn't checked once in HOLD_DOWN.
    pub hold_down: Duration,
    /// How it is restarted when it has failed, if at all.
    pub restart: Option<Restart>,
}

/// `restart` of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// Program and arguments; at least the program. Run in the configuration's folder, without a shell.
    pub command: Vec<String>,
    /// Then it is killed.
    pub timeout: Duration,
    /// From the end of one attempt to the next.
    pub waits: Waits,
}

/// `role` and `weight` of a service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Role {
    /// Without it the server can't do its job: load 1.0.
    Mandatory,
    /// Needed for logging and the like: adds its weight to the load. 0..=1
    Dependent {
        /// Share of load 1.0.
        weight: f64,
    },
}

/// `check` of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// A TCP connection opens.
    Tcp {
        /// To there.
        address: SocketAddr,
    },
    /// An echo request is answered.
    Icmp {
        /// By this host.
        address: IpAddr,
    },
    /// A process of this name runs.
    Process {
        /// As in `/proc/PID/comm`, or the file name of the program.
        name: String,
    },
    /// The process named in this file runs.
    PidFile {
        /// Absolute.
        path: PathBuf,
    },
    /// The users' database answers a look-up.
    Sql,
    /// A web server answers a request with the status that is expected.
    Http(Http),
    /// A RADIUS server answers a Status-Server (RFC 5997).
    Radius(Radius),
    /// A command exits 0, run in the configuration's folder, without a shell.
    Command {
        /// Program and arguments; at least the program.
        command: Vec<String>,
    },
}

/// What is asked of a web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where it is.
    pub address: SocketAddr,
    /// The authorities to trust and the name it has to prove. `None`: plain `http`.
    pub tls: Option<Tls>,
    /// Value of `Host`.
    pub host: String,
    /// Path and query, as they go into the request.
    pub target: String,
    /// Whether only the head is asked for (`HEAD`), not the page (`GET`).
    pub head: bool,
    /// The status that is good. 200..=599
    pub status: u16,
}

/// How a web server proves who it is.
#[derive(Clone)]
pub struct Tls {
    /// The authorities.
    pub config: Arc<ClientConfig>,
    /// Its name or address.
    pub name: ServerName<'static>,
    /// The file the authorities were read from, as a digest, to tell whether a reload changes it.
    pub fingerprint: [u8; 32],
}

impl PartialEq for Tls {
    fn eq(&self, other: &Tls) -> bool {
        (&self.name, self.fingerprint) == (&other.name, other.fingerprint)
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.name).finish()
    }
}

/// A RADIUS server that is asked for its status.
#[derive(Debug, Clone)]
pub struct Radius {
    /// Where it is.
    pub address: SocketAddr,
    /// The secret shared with it.
    pub key: RadiusKey,
    /// Whether its replies without Message-Authenticator are discarded (CVE-2024-3596).
    pub require_message_authenticator: bool,
    /// The same as it was written, to tell whether a reload changes it.
    pub secret: Secret,
}

impl PartialEq for Radius {
    fn eq(&self, other: &Radius) -> bool {
        let facts = |one: &Radius| (one.address, one.require_message_authenticator);
        facts(self) == facts(other) && self.secret == other.secret
    }
}

impl Eq for Radius {}
