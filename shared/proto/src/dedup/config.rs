//! How long entries live and how many there may be.

use std::time::Duration;

/// The limits of a [`Dedup`](super::Dedup). All of them are hard; what hits one is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Requests remembered at once, in progress and answered together. When all are taken, the oldest
    /// answered one makes room; when none is answered, new requests are refused.
    pub entries: usize,
    /// How long a reply is kept for duplicates after it was given (RFC 5080 2.2.2: 5 to 30 s).
    pub keep: Duration,
    /// How long a request without a reply is remembered. Longer than anybody works on one: this only
    /// frees what was forgotten.
    pub in_progress: Duration,
    /// Octets of reply buffers kept for reuse. Below it nothing is allocated or freed in steady state.
    pub retain: usize,
    /// Makes the table's order unpredictable to a peer that chooses its ports; any value does.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            entries: 16_384,
            keep: Duration::from_secs(10),
            in_progress: Duration::from_secs(60),
            retain: 4 << 20,
            seed: 0,
        }
    }
}
