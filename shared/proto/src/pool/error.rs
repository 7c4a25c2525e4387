//! Pools that can't be.

use thiserror::Error;

use super::MAX_SERVERS;

/// Why servers don't make a pool. The operator's to mend.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PoolError {
    /// There are none.
    #[error("no server is configured")]
    Empty,
    /// There are more than [`MAX_SERVERS`].
    #[error("{servers} servers; at most {MAX_SERVERS} can be used")]
    TooMany {
        /// How many there are.
        servers: usize,
    },
    /// Authentication and accounting of one server have the same address and port.
    #[error("server {name} has the same port for authentication and accounting")]
    OnePort {
        /// Its name.
        name: String,
    },
    /// Two have an address and port in common.
    #[error("servers {other} and {name} have an address and port in common")]
    Same {
        /// The later one's name.
        name: String,
        /// The earlier one's name.
        other: String,
    },
}
