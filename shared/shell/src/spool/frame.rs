//! One record in a segment.

use std::net::{IpAddr, Ipv6Addr};

/// What a segment begins with: what it is, and in which version.
pub(super) const HEADER: &[u8] = b"FWSPOOL1";

/// Length and CRC.
const LENGTHS: usize = 8;
/// Time and address in front of the packet.
const FACTS: usize = 8 + 16;
/// No packet is longer (RFC 2865 section 3), so no payload is.
const PAYLOAD_MAX: usize = FACTS + 4096;
/// Nor any frame.
pub(super) const FRAME_MAX: usize = LENGTHS + PAYLOAD_MAX;

/// An Accounting-Request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, milliseconds since 1970.
    pub received: u64,
    /// From where.
    pub source: IpAddr,
    /// The packet.
    pub packet: Vec<u8>,
}

impl Entry {
    /// Adds its frame.
    pub(super) fn frame(&self, to: &mut Vec<u8>) {
        let source = match self.source {
            IpAddr::V4(source) => source.to_ipv6_mapped(),
            IpAddr::V6(source) => source,
        };
        let begin = to.len();
        to.extend_from_slice(&[0; LENGTHS]);
        to.extend_from_slice(&self.received.to_le_bytes());
        to.extend_from_slice(&source.octets());
        to.extend_from_slice(&self.packet);
        let payload = &to[begin + LENGTHS..];
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let check = check(length, payload);
        to[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
        to[begin + 4..begin + LENGTHS].copy_from_slice(&check.to_le_bytes());
    }
}

/// Of the length too: a length of zeros would have a payload whose CRC is zero.
fn check(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The first record and the octets its frame takes; `None`: there is no whole one.
pub(super) fn next(octets: &[u8]) -> Option<(Entry, usize)> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    let (told, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let size = usize::try_from(length).ok().filter(|size| (FACTS..=PAYLOAD_MAX).contains(size))?;
    let payload = rest.get(..size)?;
    if check(length, payload) != u32::from_le_bytes(*told) {
        return None;
    }
    let (received, rest) = payload.split_first_chunk::<8>()?;
    let (source, packet) = rest.split_first_chunk::<16>()?;
    let entry = Entry {
        received: u64::from_le_bytes(*received),
        source: IpAddr::V6(Ipv6Addr::from(*source)).to_canonical(),
        packet: packet.to_vec(),
    };
    Some((entry, LENGTHS + size))
}
