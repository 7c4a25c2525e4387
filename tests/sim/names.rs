//! Who is called what, and which secrets they share.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use forewarn_proto::notice::KeyEntry;
use forewarn_proto::time::{Instant, Utc};
use forewarn_wire::RadiusKey;
use forewarn_wire::notice::{Identity, MacKind, NoticeKey};

/// When the simulation begins, on the calendar.
const BEGINNING_MS: u64 = 1_800_000_000_000;

/// The port for notices.
pub(crate) const NOTICE_PORT: u16 = 3798;

pub(crate) fn server_address(server: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 11 + server as u8))
}

pub(crate) fn agent_address(agent: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + 1 + agent as u32))
}

/// The agent at an address.
pub(crate) fn agent_at(address: IpAddr) -> usize {
    let IpAddr::V4(address) = address else { panic!("{address} is nobody's") };
    (address.to_bits() - u32::from(Ipv4Addr::new(198, 18, 0, 0)) - 1) as usize
}

/// Where a server takes requests: 1812, and 1813 for accounting.
pub(crate) fn server_socket(server: usize, port: u16) -> SocketAddr {
    SocketAddr::new(server_address(server), port)
}

pub(crate) fn identity(address: IpAddr) -> Identity {
    Identity::from(address)
}

/// The RADIUS secret of an agent and a server.
pub(crate) fn secret(agent: usize, server: usize) -> RadiusKey {
    RadiusKey::new(format!("agent {agent}, server {server}").as_bytes()).expect("it isn't empty")
}

/// The RADIUS secret of an agent and its NAS.
pub(crate) fn local_secret(agent: usize) -> RadiusKey {
    RadiusKey::new(format!("the NAS of agent {agent}").as_bytes()).expect("it isn't empty")
}

/// The key of the notices of an agent and a server; each pair has another kind of MAC than its neighbours.
pub(crate) fn notice_key(agent: usize, server: usize) -> NoticeKey {
    let kind = [MacKind::HmacSha256, MacKind::HmacMd5, MacKind::Md5][(agent + server) % 3];
    let mut octets = [7; 32];
    octets[..8].copy_from_slice(&(agent as u64).to_be_bytes());
    octets[8] = server as u8;
    NoticeKey::new(kind, &octets).expect("it is long enough")
}

/// The server at an address.
pub(crate) fn server_at(address: IpAddr) -> usize {
    let IpAddr::V4(address) = address else { panic!("{address} is nobody's") };
    usize::from(address.octets()[3]) - 11
}

/// The key of the notices between two servers.
pub(crate) fn peer_key(one: usize, other: usize) -> NoticeKey {
    let mut octets = [9; 32];
    (octets[0], octets[1]) = (one.min(other) as u8, one.max(other) as u8);
    NoticeKey::new(MacKind::HmacSha256, &octets).expect("it is long enough")
}

pub(crate) fn notice_keys(agent: usize, server: usize) -> Vec<KeyEntry> {
    vec![KeyEntry { id: 1, key: notice_key(agent, server), send: true }]
}

/// The calendar at `now`, as a clock shows it that is ahead by `skew_ms`.
pub(crate) fn calendar(now: Instant, skew_ms: i64) -> Utc {
    let millis = BEGINNING_MS + now.as_nanos() / 1_000_000;
    Utc::from_millis(millis.saturating_add_signed(skew_ms))
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
