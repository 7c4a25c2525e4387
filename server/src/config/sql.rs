//! `[sql]` and `[accounting]`: where users and sessions are kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Secret;

/// The SQLite database's name in `state_dir`, unless configured otherwise.
pub const SQLITE_FILE: &str = "radius.sqlite";

/// `[sql]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// What keeps the tables, and where it is.
    pub engine: Engine,
    /// Connections for look-ups; accounting has one of its own. At least 1.
    pub connections: usize,
    /// Of a statement, and of connecting.
    pub timeout: Duration,
    /// Whether users are looked up in radcheck, radreply and the tables of groups.
    pub users: bool,
    /// Whether sessions are kept in its radacct; otherwise in SQLite in `state_dir`.
    pub accounting: bool,
    /// Whether `nas` holds clients.
    pub clients: bool,
    /// Whether each Accept and Reject is a row of radpostauth.
    pub post_auth: bool,
    /// How long a found account is served without asking again; zero: never.
    pub cache: Duration,
    /// How long a name that isn't there is taken not to be there; zero: it is asked for each time.
    pub negative_cache: Duration,
    /// How much longer what is in the cache is served while the database is away.
    pub stale: Duration,
    /// Accounts in the cache at most.
    pub cache_size: usize,
    /// Time between looks for changes.
    pub poll: Duration,
}

/// `engine` of `[sql]`, with what tells where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// The embedded one.
    Sqlite {
        /// The database; absolute.
        path: PathBuf,
    },
    /// A server.
    PostgreSql(PostgreSql),
}

impl Engine {
    /// Its name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Engine::Sqlite { .. } => "sqlite",
            Engine::PostgreSql(_) => "postgresql",
        }
    }
}

/// How to reach a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgreSql {
    /// The folder of its socket (a path), or a name or an address.
    pub host: String,
    /// Its TCP port, which is part of its socket's name too.
    pub port: u16,
    /// The database.
    pub database: String,
    /// As whom.
    pub user: String,
    /// Absent: the server trusts this process's user (`peer`).
    pub password: Option<Secret>,
    /// How the connection is kept private; `None`: it isn't.
    pub tls: Option<Tls>,
}

impl PostgreSql {
    /// Whether the connection doesn't leave this machine.
    pub fn is_local(&self) -> bool {
        let host = self.host.as_str();
        let loopback = |address: std::net::IpAddr| address.is_loopback();
        host.starts_with('/') || host == "localhost" || host.parse().is_ok_and(loopback)
    }

    /// How messages name it.
    pub fn shown(&self) -> String {
        let Self { host, port, database, .. } = self;
        match host.starts_with('/') {
            true => format!("{database} at {}", Path::new(host).join(format!(".s.PGSQL.{port}")).display()),
            false if host.contains(':') => format!("{database} at [{host}]:{port}"),
            false => format!("{database} at {host}:{port}"),
        }
    }
}

/// `tls = "require"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificates that vouch for the server; `None`: the system's.
    pub ca: Option<PathBuf>,
}

/// `[accounting]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accounting {
    /// Octets that `state_dir/spool` may take while the database is away.
    pub spool_max: u64,
    /// Whether the column `class` is written: FreeRADIUS does so only when told to.
    pub class: bool,
    /// How long an address of a pool is held without a word about its session.
    pub lease: Duration,
}

impl Default for Accounting {
    fn default() -> Self {
        Self { spool_max: 1 << 30, class: false, lease: Duration::from_secs(3600) }
    }
}
