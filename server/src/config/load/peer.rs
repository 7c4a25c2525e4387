//! `[[peer]]` and `[peers]`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use forewarn_proto::peers::PEERS_MAX;
use forewarn_shell::config::{Place, Table, Wrong};
use forewarn_wire::notice::UDP_PORT;

use super::super::{Peer, Peers, Server};
use super::client::notice_keys;
use super::server::{plain, unicast};
use super::{bounded, each};

pub(super) fn peers(root: &Table<'_>, server: Option<&Server>) -> Peers {
    let table = root.table("peers");
    let interval = table.duration("interval").within(Duration::from_millis(10), Duration::from_secs(60));
    let interval = interval.or(Duration::from_secs(1));
    let capacity = capacity(&table);
    table.finish();
    let mut taken: BTreeMap<IpAddr, Place> = BTreeMap::new();
    let list = each(bounded(root, "peer", root.named_tables("peer"), PEERS_MAX), |table| {
        let (address, place) = table.address("address").then(unicast).required_with_place()?;
        if server.is_some_and(|server| server.identity == address) {
            let what = format!("{address} is this server itself");
            table.error("address", Wrong::new(what, "name the other servers; each names all but itself"));
        }
        if let Some(first) = taken.insert(address, place) {
            let hint = format!("the first is at {}; keep one", table.document().locate(first));
            table.error("address", Wrong::new(format!("two [[peer]] are at {address}"), hint));
        }
        peer(table, address)
    });
    Peers { interval, capacity, list }
}

fn peer(table: &Table<'_>, address: IpAddr) -> Option<Peer> {
    let name = table.text("name").then(plain).required();
    let port = table.integer("port").within(1, u16::MAX).or(UDP_PORT);
    let capacity = capacity(table);
    let notice_keys = notice_keys(table)?;
    if notice_keys.is_empty() {
        let hint = "add notice_key = \"..\" (openssl rand -hex 32), the same at both ends";
        table.error("notice_key", Wrong::new("a peer without a key can't be believed", hint));
    }
    Some(Peer { name: name?.into(), address, port, notice_keys, capacity })
}

/// Requests a second.
fn capacity(table: &Table<'_>) -> Option<f64> {
    let capacity = table.number("capacity").then(|capacity| {
        if capacity > 0.0 && capacity <= 1e6 {
            return Ok(capacity);
        }
        let hint = "write how many requests a second it bears at load 1.0, up to 1000000";
        Err(Wrong::new(format!("{capacity} requests a second is no capacity"), hint))
    });
    capacity.optional()
}
