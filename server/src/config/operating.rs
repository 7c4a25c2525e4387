//! What an operator watches it by: `[log]` and `[metrics]`.

use std::net::SocketAddr;
use std::path::PathBuf;

pub use forewarn_shell::log::Settings as LogSettings;

/// `[log]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// `format` and `level`.
    pub settings: LogSettings,
    /// Which requests leave a record.
    pub decisions: Decisions,
    /// Where the records go; `None`: to the log.
    pub decision_file: Option<PathBuf>,
}

/// `decisions`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decisions {
    /// None.
    None,
    /// Those that weren't accepted or acknowledged.
    #[default]
    Rejects,
    /// All of them.
    All,
}

/// `[metrics]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Where they are asked for; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether clients have counters of their own.
    pub per_client: bool,
    /// Clients that have them at most, the first of the configuration; what the others did is counted together.
    pub clients_max: usize,
}
