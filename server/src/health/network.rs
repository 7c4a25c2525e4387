//! The links of the addresses listened on, the gateway, and what the kernel had to drop.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forewarn_proto::gauge;
use forewarn_proto::time::Instant;
use sysinfo::Networks;

use super::gateway::{Gateways, proc_address};
use crate::config::Config;

/// How often it is looked up which interface has which address.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

/// A few drops in a moment are no rate.
const DROPS_SPAN_MIN: Duration = Duration::from_millis(200);

/// What is known of the network between readings.
#[derive(Debug)]
pub(super) struct Network {
    /// Addresses whose links matter: those listened on, the identity in the place of "any".
    addresses: BTreeSet<IpAddr>,
    listens: Vec<SocketAddr>,
    /// The interface that has each of them. One that loses an address stays here until it is elsewhere.
    links: BTreeMap<IpAddr, String>,
    looked_up: Option<Instant>,
    gateways: Gateways,
    /// All drops at the last look, when that was, and how many a second it came to.
    drops: Option<(Instant, u64, f64)>,
}

impl Network {
    pub(super) fn new(config: &Config) -> Network {
        let listens = config.listens.iter().map(|listen| listen.address).collect();
        Network::of(listens, config.server.identity)
    }

    /// The network of a server with this identity that listens there.
    pub(super) fn of(listens: Vec<SocketAddr>, identity: IpAddr) -> Network {
        let address = |listen: &SocketAddr| if listen.ip().is_unspecified() { identity } else { listen.ip() };
        let addresses: BTreeSet<IpAddr> =
            listens.iter().map(address).map(|address| address.to_canonical()).collect();
        // Loopback has all of 127.0.0.0/8, named or not.
        let loopback = addresses.iter().filter(|address| address.is_loopback());
        Network {
            links: loopback.map(|address| (*address, "lo".to_owned())).collect(),
            gateways: Gateways::for_addresses(&addresses),
            addresses,
            listens,
            looked_up: None,
            drops: None,
        }
    }

    /// Other addresses from the next reading on. What is known of those that stay is kept: a route that goes while the
    /// configuration is read is lost all the same.
    pub(super) fn reload(&mut self, config: &Config) {
        let before = std::mem::replace(self, Network::new(config));
        self.inherit(before);
    }

    fn inherit(&mut self, before: Network) {
        let kept = before.links.into_iter().filter(|(address, _)| self.addresses.contains(address));
        self.links.extend(kept);
        self.gateways.inherit(before.gateways);
        if self.listens == before.listens {
            self.drops = before.drops;
        }
    }

    pub(super) fn read(&mut self, now: Instant) -> Option<gauge::Network> {
        if self.looked_up.is_none_or(|then| now.since(then) >= LOOK_UP_EVERY) {
            self.look_up();
            self.looked_up = Some(now);
        }
        let links: BTreeSet<&str> = self.links.values().map(String::as_str).collect();
        let down = links.into_iter().filter(|link| !is_up(link)).count();
        Some(gauge::Network {
            links_down: u32::try_from(down).unwrap_or(u32::MAX),
            gateway_lost: self.gateways.any_is_lost(now),
            receive_drops: self.receive_drops(now),
        })
    }

    fn look_up(&mut self) {
        let Ok(networks) = Networks::new_with_refreshed_list() else { return };
        for (link, data) in &networks {
            let addresses = data.ip_networks().iter().map(|network| network.addr);
            self.found(&link.to_string_lossy(), addresses);
        }
    }

    /// An interface has these addresses.
    fn found(&mut self, link: &str, addresses: impl Iterator<Item = IpAddr>) {
        for address in addresses.map(|address| address.to_canonical()) {
            if self.addresses.contains(&address) {
                self.links.insert(address, link.to_owned());
            }
        }
    }

    /// Drops a second since the last look. A span too short for that gives the last figure again.
    fn receive_drops(&mut self, now: Instant) -> f64 {
        let passed = self.drops.map(|(then, ..)| now.since(then));
        if let Some((_, _, rate)) = self.drops.filter(|_| passed < Some(DROPS_SPAN_MIN)) {
            return rate;
        }
        let all: u64 = ["/proc/net/udp", "/proc/net/udp6"]
            .into_iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .map(|text| drops(&text, &self.listens))
            .sum();
        let rate = self
            .drops
            .zip(passed)
            .map_or(0.0, |((_, before, _), passed)| all.saturating_sub(before) as f64 / passed.as_secs_f64());
        self.drops = Some((now, all, rate));
        rate
    }
}

/// An interface that is gone is down. One whose driver doesn't tell (loopback) says "unknown" and is up.
fn is_up(link: &str) -> bool {
    fs::read_to_string(format!("/sys/class/net/{link}/operstate"))
        .is_ok_and(|state| matches!(state.trim(), "up" | "unknown"))
}

/// Datagrams dropped at the sockets bound to `listens`, out of `/proc/net/udp` or `udp6`: the last column.
pub(super) fn drops(table: &str, listens: &[SocketAddr]) -> u64 {
    let of_line = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = columns.get(1)?.split_once(':')?;
        let bound = SocketAddr::new(proc_address(address)?, u16::from_str_radix(port, 16).ok()?);
        let ours = listens.iter().any(|listen| {
            listen.port() == bound.port() && listen.ip().to_canonical() == bound.ip().to_canonical()
        });
        if ours { columns.last()?.parse::<u64>().ok() } else { None }
    };
    table.lines().skip(1).filter_map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_link_that_is_gone_is_missed_although_others_are_there() {
        let listens = ["127.0.0.11:1812", "192.0.2.11:1812", "198.51.100.11:1812"];
        let listens = listens.map(|listen| listen.parse().expect("an address")).to_vec();
        let mut network = Network::of(listens, IpAddr::from([127, 0, 0, 11]));
        let of = |text: &str| std::iter::once(text.parse::<IpAddr>().expect("an address"));
        network.found("no-such-one", of("192.0.2.11"));
        network.found("no-such-two", of("198.51.100.11"));
        network.looked_up = Some(Instant::ZERO);
        let down = |network: &mut Network| network.read(Instant::ZERO).expect("measured").links_down;
        assert_eq!(down(&mut network), 2, "neither exists");
        network.look_up();
        assert_eq!(down(&mut network), 2, "nor has anything else their addresses");
        network.found("lo", of("198.51.100.11"));
        assert_eq!(down(&mut network), 1, "one address is elsewhere now");
    }

    #[test]
    fn a_reload_forgets_no_link_of_an_address_that_stays() {
        let listens = |listens: &[&str]| -> Vec<SocketAddr> {
            listens.iter().map(|listen| listen.parse().expect("an address")).collect()
        };
        let identity = IpAddr::from([127, 0, 0, 11]);
        let mut before = Network::of(listens(&["192.0.2.11:1812", "198.51.100.11:1812"]), identity);
        let of = |text: &str| std::iter::once(text.parse::<IpAddr>().expect("an address"));
        before.found("no-such-one", of("192.0.2.11"));
        before.found("no-such-two", of("198.51.100.11"));
        let mut after = Network::of(listens(&["192.0.2.11:1812", "203.0.113.11:1812"]), identity);
        after.inherit(before);
        assert_eq!(after.read(Instant::ZERO).expect("measured").links_down, 1, "gone is gone");
    }

    #[test]
    fn datagrams_that_find_the_queue_full_are_a_rate() {
        let (server, client) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
        let (server, client) = (server.expect("loopback"), client.expect("loopback"));
        let address = server.local_addr().expect("bound");
        let mut network = Network::of(vec![address], address.ip());
        network.looked_up = Some(Instant::ZERO);
        let mut read =
            |millis: u64| network.read(Instant::from_millis(millis)).expect("measured").receive_drops;
        assert_eq!(read(1_000), 0.0, "no span yet");
        // More than the kernel's largest default of a receive queue.
        let (datagram, sent) = ([0; 1024], 20_000);
        for _ in 0..sent {
            client.send_to(&datagram, address).expect("loopback");
        }
        assert_eq!(read(1_100), 0.0, "too short a span");
        let rate = read(1_500);
        assert!(rate > 1_000.0 && rate <= f64::from(sent) * 2.0, "{rate} a second, in half a second");
        assert_eq!(read(1_600), rate, "the last figure again");
        assert_eq!(read(2_500), 0.0, "none since");
    }
}
