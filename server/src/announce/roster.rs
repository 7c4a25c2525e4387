//! The clients that can be told: those with a notice key, and the devices of those that are networks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use forewarn_proto::audience::Member;
use forewarn_proto::notice::KeyEntry;
use forewarn_proto::notice::issue::ClientId;

use crate::config::{Client, Config, NoticeKeyEntry};

/// A client that can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: Arc<str>,
    pub(super) group: Arc<str>,
    pub(super) address: IpAddr,
}

impl Known {
    pub(super) fn new(client: &Client, address: IpAddr) -> Known {
        let address = address.to_canonical();
        Known { name: Arc::clone(&client.name), group: Arc::clone(&client.group), address }
    }

    pub(super) fn member(&self) -> Member {
        Member { name: self.name.to_string(), group: self.group.to_string(), address: self.address }
    }
}

/// By the issuer's numbers.
pub(super) type Roster = BTreeMap<ClientId, Known>;

/// The keys of a client's configuration.
pub(super) fn keys(client: &Client) -> Vec<KeyEntry> {
    let entry = |entry: &NoticeKeyEntry| KeyEntry { id: entry.id, key: entry.key.clone(), send: entry.send };
    client.notice_keys.iter().map(entry).collect()
}

/// The client of the configuration that `address` belongs to: the one with the longest prefix that holds it.
pub(super) fn client_of(config: &Config, address: IpAddr) -> Option<&Client> {
    let address = address.to_canonical();
    let holding = config.clients.iter().filter(|client| client.network.contains(&address));
    holding.max_by_key(|client| client.network.prefix_len())
}
