//! Addresses, prefixes and identifiers, written as people do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address: 4 or 16 octets.
pub(super) fn any(text: &str) -> Option<Vec<u8>> {
    match text.parse().ok()? {
        IpAddr::V4(address) => Some(address.octets().to_vec()),
        IpAddr::V6(address) => Some(address.octets().to_vec()),
    }
}

/// `192.0.2.0/24`, or an address alone for /32: reserved, length, 4 octets (RFC 8044 3.11).
pub(super) fn ipv4_prefix(text: &str) -> Option<Vec<u8>> {
    let (address, length) = split_prefix(text, 32)?;
    let address: Ipv4Addr = address.parse().ok()?;
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let network = u32::from(address) & mask;
    let mut octets = vec![0, length as u8];
    octets.extend(network.to_be_bytes());
    Some(octets)
}

/// `2001:db8::/64`, or an address alone for /128: reserved, length, 16 octets (RFC 3162 2.3). RFC 8044 3.10 would
/// rather leave out octets that the length doesn't need; NASes have always been sent all of them.
pub(super) fn ipv6_prefix(text: &str) -> Option<Vec<u8>> {
    let (address, length) = split_prefix(text, 128)?;
    let address: Ipv6Addr = address.parse().ok()?;
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    let network = (u128::from(address) & mask).to_be_bytes();
    let mut octets = vec![0, length as u8];
    octets.extend(network);
    Some(octets)
}

fn split_prefix(text: &str, max: u32) -> Option<(&str, u32)> {
    match text.split_once('/') {
        None => Some((text, max)),
        Some((address, length)) => {
            let length = u32::try_from(crate::syntax::number(length)?).ok()?;
            (length <= max).then_some((address, length))
        }
    }
}

/// `0:0:a:1f`: four groups of 16 bits.
pub(super) fn interface_id(text: &str) -> Option<Vec<u8>> {
    let groups: Vec<u16> = text.split(':').map(|group| hexadecimal(group, 4)).collect::<Option<_>>()?;
    (groups.len() == 4).then(|| groups.into_iter().flat_map(u16::to_be_bytes).collect())
}

/// `00:1b:2c:3d:4e:5f`, or with `-` between.
pub(super) fn ethernet(text: &str) -> Option<Vec<u8>> {
    let separator = if text.contains('-') { '-' } else { ':' };
    let octets: Vec<u8> =
        text.split(separator).map(|octet| hexadecimal(octet, 2).map(|o| o as u8)).collect::<Option<_>>()?;
    (octets.len() == 6).then_some(octets)
}

fn hexadecimal(text: &str, digits_max: usize) -> Option<u16> {
    let digits = !text.is_empty() && text.len() <= digits_max && text.bytes().all(|o| o.is_ascii_hexdigit());
    digits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}
