//! `[peers]` and `[[peer]]`: the servers that tell each other their load.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::NoticeKeyEntry;

/// `[peers]` and `[[peer]]`
#[derive(Debug, Clone)]
pub struct Peers {
    /// Between two LOAD notices to each.
    pub interval: Duration,
    /// Requests a second that this server bears at load 1.0; `None`: it tells its peers no headroom.
    pub capacity: Option<f64>,
    /// They, in the order of the file; no two have the same name or the same address.
    pub list: Vec<Peer>,
}

impl Peers {
    /// What people call the server at `address`: a peer's name, else the address.
    pub fn name_of(&self, address: IpAddr) -> String {
        let peer = self.list.iter().find(|peer| peer.address == address);
        peer.map_or_else(|| address.to_string(), |peer| peer.name.to_string())
    }
}

/// `[[peer]]`: a server that clients can go to, and that tells its load.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its name, for people.
    pub name: Arc<str>,
    /// Its identity, and where it is.
    pub address: IpAddr,
    /// The UDP port its notices come in at.
    pub port: u16,
    /// The keys of the pair's LOAD notices; as those of a client, and at least one.
    pub notice_keys: Vec<NoticeKeyEntry>,
    /// Requests a second that it bears at load 1.0; `None`: what it says itself. The lower counts.
    pub capacity: Option<f64>,
}
