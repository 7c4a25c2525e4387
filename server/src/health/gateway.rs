//! The gateways, of IPv4 and of IPv6: whether there is a way to anybody who isn't next door.
//!
//! Routes are read where the kernel shows them as files; whether a neighbour answers it tells by netlink (rtnetlink(7)),
//! IPv6's by nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use forewarn_proto::time::Instant;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Each neighbour that is talked to after a pause is unknown for a moment; this long is no moment (the kernel asks
/// three times, a second apart).
const PATIENCE: Duration = Duration::from_secs(2);
/// Octets of one answer of the kernel: it fills no more, whatever it is offered.
const ANSWER: usize = 32 * 1024;

/// The gateways that clients are reached by.
#[derive(Debug)]
pub(super) struct Gateways {
    v4: Option<Gateway>,
    v6: Option<Gateway>,
}

/// The gateway of one family.
#[derive(Debug, Default)]
struct Gateway {
    /// Whether there ever was one: only then can it be lost.
    had: bool,
    /// Since when it is asked for its hardware address in vain.
    unanswered_since: Option<Instant>,
    /// It was said that the kernel doesn't tell of it.
    complained: bool,
}

/// A default route by a gateway.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    /// The smallest is used.
    metric: u32,
    link: String,
    address: IpAddr,
}

impl Gateways {
    /// Of a server with these addresses: one that is reached by loopback alone has no use for a gateway, nor for one of the
    /// other family.
    pub(super) fn for_addresses(addresses: &BTreeSet<IpAddr>) -> Gateways {
        let of = |is_v4: bool| {
            let matters = |address: &&IpAddr| address.is_ipv4() == is_v4 && !address.is_loopback();
            addresses.iter().find(matters).map(|_| Gateway::default())
        };
        Gateways { v4: of(true), v6: of(false) }
    }

    /// Of the families that still have a gateway to lose, what is known of it.
    pub(super) fn inherit(&mut self, before: Gateways) {
        for (own, before) in [(&mut self.v4, before.v4), (&mut self.v6, before.v6)] {
            if let (Some(own), Some(before)) = (own, before) {
                *own = before;
            }
        }
    }

    /// Whether one of them is lost: its route is gone, or it doesn't answer.
    pub(super) fn any_is_lost(&mut self, now: Instant) -> bool {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let v4 = self.v4.as_mut().is_some_and(|v4| v4.is_lost(now, &routes_v4(&read("/proc/net/route"))));
        let v6 =
            self.v6.as_mut().is_some_and(|v6| v6.is_lost(now, &routes_v6(&read("/proc/net/ipv6_route"))));
        v4 || v6
    }
}

impl Gateway {
    fn is_lost(&mut self, now: Instant, routes: &[Route]) -> bool {
        let Some(best) = routes.iter().map(|route| route.metric).min() else { return self.had };
        self.had = true;
        // Who has several of the same metric uses the one that answers.
        let mut used = routes.iter().filter(|route| route.metric == best);
        let complained = &mut self.complained;
        let answers = used.any(|route| match route.answers() {
            Ok(answers) => answers != Some(false),
            Err(error) => {
                if !std::mem::replace(complained, true) {
                    let Route { link, address, .. } = route;
                    tracing::warn!(
                        "the kernel doesn't tell whether the gateway {address} on {link} answers: {error}; it counts as there as long as its route is; said once"
                    );
                }
                true
            }
        });
        self.unanswered_since = if answers { None } else { self.unanswered_since.or(Some(now)) };
        self.unanswered_since.is_some_and(|since| now.since(since) >= PATIENCE)
    }
}

impl Route {
    /// Whether the gateway's hardware address is known; false: it was asked for in vain. `None`: nobody has asked.
    fn answers(&self) -> io::Result<Option<bool>> {
        let index = fs::read_to_string(format!("/sys/class/net/{}/ifindex", self.link));
        // A link that has gone takes its routes along.
        match index.ok().and_then(|index| index.trim().parse().ok()) {
            Some(index) => neighbour(index, self.address),
            None => Ok(None),
        }
    }
}

/// Whether a neighbour on that interface answers, as the kernel sees it. It is asked for this one; one that can only tell
/// of all (before Linux 5.0), for all.
fn neighbour(link: u32, address: IpAddr) -> io::Result<Option<bool>> {
    match ask(link, address, Asked::One) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error()) => Ok(None),
        Err(_) => ask(link, address, Asked::All),
        found => found,
    }
}

/// Which neighbours the kernel is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    One,
    All,
}

fn ask(link: u32, address: IpAddr, asked: Asked) -> io::Result<Option<bool>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    // The kernel has answered when the request is sent.
    socket.set_non_blocking(true)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut wanted = NeighbourMessage::default();
    wanted.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    if asked == Asked::One {
        wanted.header.ifindex = link;
        let destination = match address {
            IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
            IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
        };
        wanted.attributes.push(NeighbourAttribute::Destination(destination));
    }
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::GetNeighbour(wanted));
    request.header.flags = if asked == Asked::One { NLM_F_REQUEST } else { NLM_F_DUMP | NLM_F_REQUEST };
    request.finalize();
    let mut octets = vec![0; request.buffer_len()];
    request.serialize(&mut octets);
    socket.send(&octets, 0)?;
    let mut found = None;
    loop {
        let mut answer = Vec::with_capacity(ANSWER);
        socket.recv(&mut answer, 0)?;
        let mut rest = &answer[..];
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(entry))
                    if entry.header.ifindex == link && is_of(&entry, address) =>
                {
                    found = Some(is_known(entry.header.state));
                    if asked == Asked::One {
                        return Ok(found);
                    }
                }
                NetlinkPayload::Done(_) => return Ok(found),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
            // Messages are padded to four octets.
            let length = (message.header.length as usize).next_multiple_of(4).max(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn is_of(entry: &NeighbourMessage, address: IpAddr) -> bool {
    entry.attributes.iter().any(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => address == IpAddr::from(*v4),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => address == IpAddr::from(*v6),
        _ => false,
    })
}

/// Whether the hardware address is known, if only from before.
fn is_known(state: NeighbourState) -> bool {
    !matches!(state, NeighbourState::Incomplete | NeighbourState::Failed)
}

/// The default routes by a gateway in `/proc/net/route`.
pub(super) fn routes_v4(table: &str) -> Vec<Route> {
    let route = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [link, destination, gateway, _, _, _, metric, mask, ..] = columns[..] else { return None };
        let address = word(gateway).filter(|address| !address.is_unspecified())?;
        let is_default = destination == "00000000" && mask == "00000000";
        let route = |metric| Route { metric, link: link.to_owned(), address: address.into() };
        is_default.then(|| metric.parse().ok().map(route))?
    };
    table.lines().skip(1).filter_map(route).collect()
}

/// The default routes by a gateway in `/proc/net/ipv6_route`: destination and length, source and length, next hop, metric,
/// two counts, flags (linux/route.h, linux/ipv6_route.h), interface.
pub(super) fn routes_v6(table: &str) -> Vec<Route> {
    const RTF_UP: u32 = 0x1;
    const RTF_REJECT: u32 = 0x200;
    let number = |hex: &str| u32::from_str_radix(hex, 16).ok();
    let route = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [destination, length, _, _, gateway, metric, _, _, flags, link] = columns[..] else {
            return None;
        };
        let address = Ipv6Addr::from(u128::from_str_radix(gateway, 16).ok()?);
        let is_default = length == "00" && destination.bytes().all(|octet| octet == b'0');
        let is_usable = number(flags)? & (RTF_UP | RTF_REJECT) == RTF_UP;
        let route = Route { metric: number(metric)?, link: link.to_owned(), address: address.into() };
        (is_default && is_usable && !address.is_unspecified()).then_some(route)
    };
    table.lines().filter_map(route).collect()
}

/// An address in `/proc/net/udp` and the like: 32-bit words of the machine's own order.
pub(super) fn proc_address(text: &str) -> Option<IpAddr> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn route(metric: u32, link: &str, address: &str) -> Route {
        Route { metric, link: link.to_owned(), address: address.parse().expect("an address") }
    }

    #[test]
    fn the_gateway_is_the_default_route_s() {
        let table = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                     wlan0 00000000 FE0200C0 0003 0 0 600 00000000 0 0 0\n\
                     eth0 00000000 010200C0 0003 0 0 100 00000000 0 0 0\n\
                     eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
        let both = [route(600, "wlan0", "192.0.2.254"), route(100, "eth0", "192.0.2.1")];
        assert_eq!(routes_v4(table), both);
        assert_eq!(routes_v4("Iface\neth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"), []);
    }

    #[test]
    fn the_gateway_of_ipv6_is_in_a_table_of_its_own() {
        let line = |destination: &str, length: &str, gateway: &str, flags: &str, link: &str| {
            let nothing = "0".repeat(32);
            let fill = |octets: &str| format!("{octets:0<32}");
            let (destination, gateway) = (fill(destination), fill(gateway));
            format!(
                "{destination} {length} {nothing} 00 {gateway} 00000400 00000001 00000000 {flags} {link}\n"
            )
        };
        let own = line("20010db8", "40", "", "00000001", "eth0");
        let refused = line("", "00", "", "00200200", "lo");
        let by = |flags: &str| line("", "00", "fe80", flags, "eth0");
        assert_eq!(routes_v6(&format!("{own}{refused}")), []);
        let found = routes_v6(&format!("{own}{}{refused}", by("00000003")));
        assert_eq!(found, [route(1024, "eth0", "fe80::")]);
        assert_eq!(routes_v6(&by("00000202")), [], "down, and refused");
        assert_eq!(routes_v6(&line("20010db8", "40", "fe80", "00000003", "eth0")), [], "not the default");
    }

    #[test]
    fn the_kernel_tells_of_its_neighbours() {
        // Loopback has none, or some that need no asking.
        assert_ne!(neighbour(1, IpAddr::from([127, 0, 0, 1])).expect("answered"), Some(false));
        assert_ne!(neighbour(1, IpAddr::from(Ipv6Addr::LOCALHOST)).expect("answered"), Some(false));
    }

    #[test]
    fn one_neighbour_is_told_of_as_among_all() {
        // Of loopback, an address that nobody has.
        let nobody = IpAddr::from([127, 255, 255, 254]);
        assert_eq!(neighbour(1, nobody).expect("answered"), ask(1, nobody, Asked::All).expect("answered"));
    }

    #[test]
    fn a_reload_does_not_forget_that_there_was_a_gateway() {
        let addresses = BTreeSet::from([IpAddr::from([192, 0, 2, 11])]);
        let mut before = Gateways::for_addresses(&addresses);
        let v4 = before.v4.as_mut().expect("it has an address");
        assert!(!v4.is_lost(Instant::ZERO, &[route(0, "no-such-link", "192.0.2.1")]));
        let mut after = Gateways::for_addresses(&addresses);
        after.inherit(before);
        assert!(after.v4.as_mut().expect("still").is_lost(Instant::ZERO, &[]), "its route is gone");
        assert!(after.v6.is_none());
    }

    #[test]
    fn a_neighbour_asked_for_in_vain_isn_t_known() {
        let states = [NeighbourState::Incomplete, NeighbourState::Failed, NeighbourState::Stale];
        assert_eq!(states.map(is_known), [false, false, true]);
    }

    #[test]
    fn a_gateway_is_lost_with_its_route_but_only_if_there_was_one() {
        let mut gateway = Gateway::default();
        assert!(!gateway.is_lost(Instant::ZERO, &[]));
        assert!(!gateway.is_lost(Instant::ZERO, &[route(0, "no-such-link", "192.0.2.1")]));
        assert!(gateway.is_lost(Instant::ZERO, &[]));
    }
}
