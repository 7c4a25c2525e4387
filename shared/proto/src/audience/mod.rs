//! Whom a notice goes to, and where each of them could go instead.
//!
//! The audience is all clients or a subset: a list, groups by glob, a subtree of the topology, or the share that is
//! farthest from (or nearest to) the server in the tree, or those who have a nearer alternate. Of an audience a
//! [`step`] takes a share of its load, and [`Seats`] gives each of them an alternate that can bear it.

mod glob;
mod seats;
mod step;
#[cfg(test)]
mod tests;
mod topology;

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::stagger;

pub use glob::Glob;
pub use seats::{Placed, Rules, Seat, Seats};
pub use step::step;
pub use topology::{Distance, Node, Place, Topology};

/// A client that could be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its configured name.
    pub name: String,
    /// Its network device group: a path; empty for none.
    pub group: String,
    /// Its identity: for a client that is a prefix, an address heard from lately.
    pub address: IpAddr,
}

/// Who is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Audience {
    /// Everybody.
    #[default]
    All,
    /// The clients of these names.
    Clients(BTreeSet<String>),
    /// The clients whose group one of these matches.
    Groups(Vec<Glob>),
    /// The clients at this place or below it.
    Topology(String),
    /// This share of the clients (0 to 1), those farthest from the server first.
    Farthest(f64),
    /// This share of the clients (0 to 1), those nearest to the server first.
    Nearest(f64),
    /// The clients to which one of these alternates is nearer than the server.
    Nearer(Vec<IpAddr>),
}

impl Audience {
    /// The indices of the `members` it names, ascending. `server` is where distances are measured from.
    pub fn select(&self, members: &[Member], topology: &Topology, server: IpAddr) -> Vec<usize> {
        let chosen = |wanted: &dyn Fn(&Member) -> bool| -> Vec<usize> {
            members.iter().enumerate().filter(|(_, member)| wanted(member)).map(|(index, _)| index).collect()
        };
        match self {
            Audience::All => (0..members.len()).collect(),
            Audience::Clients(names) => chosen(&|member| names.contains(&member.name)),
            Audience::Groups(globs) => chosen(&|member| globs.iter().any(|glob| glob.matches(&member.group))),
            Audience::Topology(path) => chosen(&|member| topology.is_within(member.address, path)),
            Audience::Farthest(share) => by_distance(members, topology, server, *share, true),
            Audience::Nearest(share) => by_distance(members, topology, server, *share, false),
            Audience::Nearer(alternates) => chosen(&|member| {
                let own = topology.distance(member.address, server);
                alternates.iter().any(|alternate| topology.distance(member.address, *alternate) < own)
            }),
        }
    }
}

/// The first `share` of the members in order of distance. Among equals the order is that of a hash, so that a share
/// of a flat topology is no particular corner of it.
fn by_distance(
    members: &[Member],
    topology: &Topology,
    server: IpAddr,
    share: f64,
    farthest: bool,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_cached_key(|&index| {
        let address = members[index].address;
        let distance = topology.distance(server, address).0;
        let nearness = if farthest { u32::MAX - distance } else { distance };
        (nearness, stagger::place(&octets(address), 0), index)
    });
    order.truncate(share_of(members.len(), share));
    order.sort_unstable();
    order
}

/// How many of `count` a share is: rounded up, so that a share above nothing is at least one of them.
pub fn share_of(count: usize, share: f64) -> usize {
    // The epsilon keeps 0.1 + 0.2 steps of ten from being four.
    let exact = count as f64 * share.clamp(0.0, 1.0) - 1e-9;
    (exact.ceil().max(0.0) as usize).min(count)
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
