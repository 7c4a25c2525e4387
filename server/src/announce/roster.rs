//! The clients that can be told: those with a notice key, and the devices of those that are networks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use forewarn_proto::audience::Member;
use forewarn_proto::notice::KeyEntry;
use forewarn_proto::notice::issue::{Alternate, ClientId};
use forewarn_proto::time::Instant;
use ipnet::IpNet;

use super::rate::Rate;
use crate::config::{Client, NoticeKeyEntry};

/// A client that can be told.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) name: Arc<str>,
    pub(super) group: Arc<str>,
    pub(super) address: IpAddr,
    /// When a device of a network was last heard; none for a client that is a single device, which is never
    /// forgotten.
    pub(super) heard: Option<Instant>,
    /// What it has asked, if it is a single device.
    pub(super) rate: Rate,
    /// Requests a second of late.
    pub(super) asks: f64,
    /// Where it was sent when it was last told to leave.
    pub(super) gone: Option<Gone>,
    /// The operator has sent it away: only the operator has it back.
    pub(super) by_hand: bool,
}

/// A client that was told to leave.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    /// Requests a second it had then.
    pub(super) rate: f64,
    /// How much of it, per cent, it was to take away.
    pub(super) reduction: u8,
    /// The alternate it is expected at; none: it chooses itself.
    pub(super) at: Option<IpAddr>,
    /// What it was told.
    pub(super) alternates: Arc<[Alternate]>,
}

impl Known {
    pub(super) fn new(client: &Client, address: IpAddr, now: Instant) -> Known {
        Known {
            name: Arc::clone(&client.name),
            group: Arc::clone(&client.group),
            address: address.to_canonical(),
            heard: (!client.is_single()).then_some(now),
            rate: Rate::default(),
            asks: 0.0,
            gone: None,
            by_hand: false,
        }
    }

    /// Another configuration calls it so.
    pub(super) fn rename(&mut self, client: &Client) {
        (self.name, self.group) = (Arc::clone(&client.name), Arc::clone(&client.group));
    }

    pub(super) fn member(&self) -> Member {
        Member { name: self.name.to_string(), group: self.group.to_string(), address: self.address }
    }
}

/// By the issuer's numbers.
pub(super) type Roster = BTreeMap<ClientId, Known>;

/// The keys of a configuration.
pub(super) fn keys(configured: &[NoticeKeyEntry]) -> Vec<KeyEntry> {
    let entry = |entry: &NoticeKeyEntry| KeyEntry { id: entry.id, key: entry.key.clone(), send: entry.send };
    configured.iter().map(entry).collect()
}

/// The clients of a configuration by network, to be found by the longest prefix that holds an address.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// Index into the configuration's clients.
    by_network: BTreeMap<IpNet, usize>,
    /// The lengths that occur, the longest first: IPv4's, then IPv6's.
    lengths: [Vec<u8>; 2],
}

impl Networks {
    pub(super) fn new(clients: &[Client]) -> Networks {
        let mut networks = Networks::default();
        for (index, client) in clients.iter().enumerate() {
            let network = client.network.trunc();
            networks.by_network.insert(network, index);
            let lengths = &mut networks.lengths[usize::from(network.addr().is_ipv6())];
            lengths.push(network.prefix_len());
        }
        for lengths in &mut networks.lengths {
            lengths.sort_unstable_by(|a, b| b.cmp(a));
            lengths.dedup();
        }
        networks
    }

    /// The client that `address` belongs to.
    pub(super) fn client_of<'c>(&self, clients: &'c [Client], address: IpAddr) -> Option<&'c Client> {
        let address = address.to_canonical();
        let index = self.lengths[usize::from(address.is_ipv6())].iter().find_map(|&length| {
            let network = IpNet::new(address, length).ok()?.trunc();
            self.by_network.get(&network)
        })?;
        clients.get(*index)
    }
}
