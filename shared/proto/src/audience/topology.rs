//! A tree of places; a client or server is in the deepest one whose networks hold it.

use std::net::IpAddr;

use ipnet::IpNet;

/// A place as configured: `campus/north` lies in `campus`, whether or not `campus` is named itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its path.
    pub path: String,
    /// Whoever has an address in these is there.
    pub networks: Vec<IpNet>,
}

/// The whole tree.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    places: Vec<(Vec<String>, Vec<IpNet>)>,
}

/// A place found: the segments of its path from the root.
pub type Place<'a> = &'a [String];

/// Steps from one place to another along the tree. Ordered; [`Distance::UNKNOWN`] is the farthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance(pub u32);

impl Distance {
    /// One of the two is in no place.
    pub const UNKNOWN: Distance = Distance(u32::MAX);
}

impl Topology {
    /// The tree of `nodes`.
    pub fn new(nodes: impl IntoIterator<Item = Node>) -> Topology {
        let places = nodes.into_iter().map(|node| (segments(&node.path), node.networks)).collect();
        Topology { places }
    }

    /// The deepest place whose networks hold `address`; among equally deep ones that with the longest prefix, then
    /// the one named first.
    pub fn place(&self, address: IpAddr) -> Option<Place<'_>> {
        let address = address.to_canonical();
        let mut best: Option<((usize, u8), Place<'_>)> = None;
        for (path, networks) in &self.places {
            let held = networks.iter().filter(|network| network.contains(&address));
            let Some(prefix) = held.map(IpNet::prefix_len).max() else { continue };
            let rank = (path.len(), prefix);
            if best.is_none_or(|(found, _)| rank > found) {
                best = Some((rank, path));
            }
        }
        best.map(|(_, path)| path)
    }

    /// `address` is at `path` or below it.
    pub fn is_within(&self, address: IpAddr, path: &str) -> bool {
        self.place(address).is_some_and(|place| place.starts_with(&segments(path)))
    }

    /// Steps along the tree from the place of `a` to that of `b`: up to the place that holds both, and down.
    pub fn distance(&self, a: IpAddr, b: IpAddr) -> Distance {
        let (Some(a), Some(b)) = (self.place(a), self.place(b)) else { return Distance::UNKNOWN };
        let shared = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        Distance(u32::try_from(a.len() + b.len() - 2 * shared).unwrap_or(u32::MAX - 1))
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}
