//! The links of the addresses listened on, the gateway, and what the kernel had to drop.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use forewarn_proto::gauge;
use forewarn_proto::time::Instant;
use sysinfo::Networks;

use crate::config::Config;

/// How often it is looked up which interface has which address.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

/// Each neighbour that is talked to after a pause is unknown for a moment; this long is no moment (the kernel asks
/// three times, a second apart).
const GATEWAY_PATIENCE: Duration = Duration::from_secs(2);

/// What is known of the network between readings.
#[derive(Debug)]
pub(super) struct Network {
    /// Addresses whose links matter: those listened on, the identity in the place of "any".
    addresses: BTreeSet<IpAddr>,
    listens: Vec<SocketAddr>,
    /// Names of the interfaces that have them. One that loses its addresses stays here until they are elsewhere.
    links: BTreeSet<String>,
    looked_up: Option<Instant>,
    /// Whether there ever was a gateway: only then can it be lost.
    had_gateway: bool,
    /// Since when the gateway is asked for its hardware address in vain.
    unanswered_since: Option<Instant>,
    drops_before: Option<u64>,
}

impl Network {
    pub(super) fn new(config: &Config) -> Network {
        let listens = config.listens.iter().map(|listen| listen.address).collect();
        Network::of(listens, config.server.identity)
    }

    /// The network of a server with this identity that listens there.
    pub(super) fn of(listens: Vec<SocketAddr>, identity: IpAddr) -> Network {
        let address = |listen: &SocketAddr| if listen.ip().is_unspecified() { identity } else { listen.ip() };
        Network {
            addresses: listens.iter().map(address).map(|address| address.to_canonical()).collect(),
            listens,
            links: BTreeSet::new(),
            looked_up: None,
            had_gateway: false,
            unanswered_since: None,
            drops_before: None,
        }
    }

    pub(super) fn read(&mut self, now: Instant) -> Option<gauge::Network> {
        if self.looked_up.is_none_or(|then| now.since(then) >= LOOK_UP_EVERY) {
            self.look_up();
            self.looked_up = Some(now);
        }
        let down = self.links.iter().filter(|link| !is_up(link)).count();
        Some(gauge::Network {
            links_down: u32::try_from(down).unwrap_or(u32::MAX),
            gateway_lost: self.gateway_lost(now),
            receive_drops: self.receive_drops(),
        })
    }

    fn look_up(&mut self) {
        let Ok(networks) = Networks::new_with_refreshed_list() else { return };
        let has_ours = |data: &sysinfo::NetworkData| {
            data.ip_networks().iter().any(|network| self.addresses.contains(&network.addr.to_canonical()))
        };
        let found: BTreeSet<String> = networks
            .iter()
            .filter(|(_, data)| has_ours(data))
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        // Loopback has all of 127.0.0.0/8, named or not.
        let loopback = self.addresses.iter().any(IpAddr::is_loopback).then(|| "lo".to_owned());
        let found: BTreeSet<String> = found.into_iter().chain(loopback).collect();
        if !found.is_empty() {
            self.links = found;
        }
    }

    /// A server that is reached by loopback alone has no use for a gateway.
    fn gateway_lost(&mut self, now: Instant) -> bool {
        if self.addresses.iter().all(IpAddr::is_loopback) {
            return false;
        }
        let route = fs::read_to_string("/proc/net/route").ok().and_then(|text| gateway(&text));
        let Some((link, address)) = route else { return self.had_gateway };
        self.had_gateway = true;
        let neighbours = fs::read_to_string("/proc/net/arp").unwrap_or_default();
        let answers = neighbour(&neighbours, &link, address) != Some(false);
        self.unanswered_since = if answers { None } else { self.unanswered_since.or(Some(now)) };
        self.unanswered_since.is_some_and(|since| now.since(since) >= GATEWAY_PATIENCE)
    }

    fn receive_drops(&mut self) -> u64 {
        let all: u64 = ["/proc/net/udp", "/proc/net/udp6"]
            .into_iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .map(|text| drops(&text, &self.listens))
            .sum();
        let before = self.drops_before.replace(all);
        all.saturating_sub(before.unwrap_or(all))
    }
}

/// An interface that is gone is down. One whose driver doesn't tell (loopback) says "unknown" and is up.
fn is_up(link: &str) -> bool {
    fs::read_to_string(format!("/sys/class/net/{link}/operstate"))
        .is_ok_and(|state| matches!(state.trim(), "up" | "unknown"))
}

/// The default route with the smallest metric in `/proc/net/route`: its interface and gateway.
pub(super) fn gateway(table: &str) -> Option<(String, Ipv4Addr)> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [link, destination, gateway, _, _, _, metric, mask, ..] = columns[..] else { return None };
        let address = word(gateway).filter(|address| !address.is_unspecified())?;
        let is_default = destination == "00000000" && mask == "00000000";
        is_default.then_some((metric.parse::<u32>().ok()?, link.to_owned(), address))
    });
    routes.min().map(|(_, link, address)| (link, address))
}

/// What `/proc/net/arp` says of a neighbour: its hardware address is known, it was asked for in vain, or nothing.
pub(super) fn neighbour(table: &str, link: &str, address: Ipv4Addr) -> Option<bool> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [ip, _, flags, _, _, device] = columns[..] else { return None };
        if device != link || ip.parse() != Ok(address) {
            return None;
        }
        // ATF_COM, "complete" (linux/if_arp.h); a permanent entry has it too.
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok()?;
        Some(flags & 0x2 != 0)
    })
}

/// Datagrams dropped at the sockets bound to `listens`, out of `/proc/net/udp` or `udp6`: the last column.
pub(super) fn drops(table: &str, listens: &[SocketAddr]) -> u64 {
    let of_line = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = columns.get(1)?.split_once(':')?;
        let bound = SocketAddr::new(words(address)?, u16::from_str_radix(port, 16).ok()?);
        let ours = listens.iter().any(|listen| {
            listen.port() == bound.port() && listen.ip().to_canonical() == bound.ip().to_canonical()
        });
        if ours { columns.last()?.parse::<u64>().ok() } else { None }
    };
    table.lines().skip(1).filter_map(of_line).sum()
}

/// The kernel prints an address as 32-bit words of the machine's own order.
fn words(text: &str) -> Option<IpAddr> {
    if text.len() == 8 {
        return word(text).map(IpAddr::V4);
    }
    let mut octets = [0; 16];
    for (index, four) in octets.chunks_exact_mut(4).enumerate() {
        four.copy_from_slice(&word(text.get(index * 8..index * 8 + 8)?)?.octets());
    }
    Some(IpAddr::V6(Ipv6Addr::from(octets)))
}

fn word(text: &str) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(u32::from_str_radix(text, 16).ok()?.to_ne_bytes()))
}
