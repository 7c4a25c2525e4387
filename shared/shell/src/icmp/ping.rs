//! Pinging: the `icmp` service check, and whether the gateway is there.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use surge_ping::{Client, Config, ICMP, PingIdentifier, PingSequence, SurgeError};

use super::IcmpError;

/// Pings hosts through surge-ping: without privilege where `net.ipv4.ping_group_range` allows it, else by a
/// raw socket.
pub struct Pinger {
    /// By family (IPv6?), opened when first needed.
    clients: BTreeMap<bool, Client>,
    sequence: AtomicU16,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// Nothing came within the time given.
    #[error("no answer within {0:?}")]
    Silence(Duration),
    /// This machine can't ping.
    #[error(transparent)]
    Icmp(#[from] IcmpError),
    /// It couldn't be sent: no route, or a router said so.
    #[error("{0}")]
    Unreachable(String),
}

impl Pinger {
    /// No socket yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Pinger {
        Pinger { clients: BTreeMap::new(), sequence: AtomicU16::new(0) }
    }

    /// Sends one Echo Request to `host` and waits for its answer; answers how long it took.
    ///
    /// # Errors
    /// See [`PingError`].
    pub async fn ping(&mut self, host: IpAddr, patience: Duration) -> Result<Duration, PingError> {
        // One sequence number per ping, whatever the host: surge-ping tells answers apart by host and number.
        let sequence = PingSequence(self.sequence.fetch_add(1, Ordering::Relaxed));
        #[allow(clippy::cast_possible_truncation)] // any 16 bits do
        let identifier = PingIdentifier(std::process::id() as u16);
        let mut pinger = self.client(host.is_ipv6())?.pinger(host, identifier).await;
        pinger.timeout(patience);
        match pinger.ping(sequence, b"forewarn").await {
            Ok((_, took)) => Ok(took),
            Err(SurgeError::Timeout { .. }) => Err(PingError::Silence(patience)),
            Err(error) => Err(PingError::Unreachable(error.to_string())),
        }
    }

    fn client(&mut self, v6: bool) -> Result<&Client, IcmpError> {
        use std::collections::btree_map::Entry;
        match self.clients.entry(v6) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let config = Config::builder().kind(if v6 { ICMP::V6 } else { ICMP::V4 }).build();
                Ok(entry.insert(Client::new(&config).map_err(IcmpError::new)?))
            }
        }
    }
}
