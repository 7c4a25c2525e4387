//! Which process has a UDP port: what `/proc` tells.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A process that holds something we want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

impl Holder {
    /// The process of that number.
    pub fn of(pid: u32) -> Holder {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Holder { pid, name: name.trim_end().to_owned() }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(f, "process {}", self.pid)
        } else {
            write!(f, "{} (process {})", self.name.escape_debug(), self.pid)
        }
    }
}

/// The process whose socket is in the way of `address`; None when there is none, or it is another user's and
/// we may not look.
pub fn holder(address: SocketAddr) -> Option<Holder> {
    let table =
        fs::read_to_string(if address.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" }).ok()?;
    let inodes: Vec<u64> =
        table.lines().skip(1).filter_map(|line| socket_in_the_way(line, address)).collect();
    let processes = fs::read_dir("/proc").ok()?;
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| holds_one_of(*pid, &inodes))
        .map(Holder::of)
}

/// The inode on a line of `/proc/net/udp` when its address would clash with `wanted`.
fn socket_in_the_way(line: &str, wanted: SocketAddr) -> Option<u64> {
    let mut columns = line.split_whitespace();
    let (address, port) = columns.nth(1)?.split_once(':')?;
    if u16::from_str_radix(port, 16).ok()? != wanted.port() {
        return None;
    }
    let bound = kernel_address(address)?;
    let clash = bound == wanted.ip() || bound.is_unspecified() || wanted.ip().is_unspecified();
    let inode = columns.nth(7)?.parse().ok()?;
    clash.then_some(inode)
}

/// Addresses are written there as the machine's own 32-bit words in hexadecimal.
fn kernel_address(text: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = (0..text.len() / 8)
        .map(|index| Some(u32::from_str_radix(text.get(index * 8..index * 8 + 8)?, 16).ok()?.to_ne_bytes()))
        .collect();
    match words?.as_slice() {
        [word] => Some(IpAddr::V4(Ipv4Addr::from(*word))),
        [a, b, c, d] => {
            let octets: [u8; 16] = [*a, *b, *c, *d].concat().try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        }
        _ => None,
    }
}

fn holds_one_of(pid: u32, inodes: &[u64]) -> bool {
    let Ok(descriptors) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")) else {
        return false;
    };
    descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|target| {
        let target = target.to_string_lossy();
        let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.and_then(|inode| inode.parse().ok()).is_some_and(|inode| inodes.contains(&inode))
    })
}
