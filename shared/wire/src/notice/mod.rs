//! The notice: a signed message about a server's fitness, in the payload of an ICMP echo or of a UDP datagram.
//!
//! ```text
//!  off len  field (network order)
//!   0   4   magic "FWN1"
//!   4   1   version = 1
//!   5   1   mac: 1 HMAC-MD5, 2 HMAC-SHA-256 truncated to 128 bits, 3 keyed MD5
//!   6   1   type: 1 FAILOVER 2 RECONNECT 3 ACK 4 HELLO 5 RECONNECT-REQUEST 6 REFUSED 7 PEER-DOWN 8 CHALLENGE 9 LOAD
//!   7   1   flags: 1 ack wanted, 2 retransmission, 4 hard, 8 on behalf of another server,
//!                 16 come, even if you never were mine
//!   8   2   total length                      10  1  key id        11  1  reason
//!  12   4   sender's id    16  4  sender's epoch                   20  4  sender's sequence
//!  24   8   UTC milliseconds
//!  32   2   validity, s    34  1  reduction %    35  1  load %     36  2  stagger window, s    38  2  TLV octets
//!  40  16   server identity                   56  16  client identity      (IPv4 mapped)
//!  72   n   TLVs: type 1, length of the value 1, value; unknown ones are skipped
//!   ..  16  MAC
//! ```
//!
//! [`Notice::parse`] judges the layout, [`Unverified::verify`] the MAC; freshness and order are `proto`'s affair.

mod header;
mod keep;
mod key;
mod tlv;

use core::fmt;

use thiserror::Error;

pub use header::{Flags, Header, Identity, Kind, Reason};
pub use keep::KeptNotice;
pub use key::{KeyTooShort, MacKind, NoticeKey, PairKey};
pub use tlv::{Outcome, Takes, Tlv, Tlvs};

use crate::{Unverified, Verified};

/// The first four octets of a notice; a socket filter matches them.
pub const MAGIC: [u8; 4] = *b"FWN1";
/// The version this crate writes and reads.
pub const VERSION: u8 = 1;
/// Octets before the TLVs.
pub const HEADER_OCTETS: usize = 72;
/// Octets of the MAC.
pub const MAC_OCTETS: usize = 16;
/// Octets of the longest notice: it fits every path's minimum (IPv4 576, IPv6 1280).
pub const MAX_OCTETS: usize = 512;
/// The UDP port of notices where ICMP is filtered.
pub const UDP_PORT: u16 = 3798;

/// A notice as it came, borrowed from its datagram. Its layout is right; who sent it is another question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Notice<'a> {
    bytes: &'a [u8],
    mac: MacKind,
    header: Header,
}

impl<'a> Notice<'a> {
    /// Reads a payload. Its total length has to be exactly what came: nothing on the way pads an echo's payload.
    pub fn parse(payload: &'a [u8]) -> Result<Unverified<Notice<'a>>, NoticeError> {
        let octets = payload.len();
        let Some((&fixed, _)) = payload.split_first_chunk::<HEADER_OCTETS>() else {
            return Err(if payload.starts_with(&MAGIC) {
                NoticeError::Length { octets }
            } else {
                NoticeError::Magic
            });
        };
        if fixed[..4] != MAGIC {
            return Err(NoticeError::Magic);
        }
        if fixed[4] != VERSION {
            return Err(NoticeError::Version(fixed[4]));
        }
        let (total, tlvs) = header::lengths(&fixed);
        if total != octets || octets > MAX_OCTETS || HEADER_OCTETS + tlvs + MAC_OCTETS != total {
            return Err(NoticeError::Length { octets });
        }
        let mac = MacKind::from_wire(fixed[5]).ok_or(NoticeError::Mac(fixed[5]))?;
        let header = Header::read(&fixed)?;
        tlv::check(&payload[HEADER_OCTETS..HEADER_OCTETS + tlvs])?;
        Ok(Unverified::new(Notice { bytes: payload, mac, header }))
    }

    /// The fixed fields.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Which MAC it says it carries; the configured key decides whether it may.
    pub fn mac_kind(&self) -> MacKind {
        self.mac
    }

    /// The TLVs in order, unknown ones included.
    pub fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::framed(&self.bytes[HEADER_OCTETS..self.bytes.len() - MAC_OCTETS])
    }

    /// The first nonce, if there is one.
    pub fn nonce(&self) -> Option<[u8; 16]> {
        self.tlvs().find_map(|tlv| if let Tlv::Nonce(nonce) = tlv { Some(nonce) } else { None })
    }

    /// The client's slot in the stagger window, in milliseconds from receipt.
    pub fn slot_ms(&self) -> Option<u32> {
        self.tlvs().find_map(|tlv| if let Tlv::Slot { ms } = tlv { Some(ms) } else { None })
    }

    /// What an ACK acknowledges: (epoch, sequence, what was done).
    pub fn acked(&self) -> Option<(u32, u32, Outcome)> {
        self.tlvs().find_map(|tlv| match tlv {
            Tlv::Acked { epoch, sequence, outcome } => Some((epoch, sequence, outcome)),
            _ => None,
        })
    }

    /// What the sender of a LOAD has to do and can still take: (whom, rate, room), see [`Tlv::Room`].
    pub fn room(&self) -> Option<(Takes, u32, Option<u32>)> {
        self.tlvs().find_map(|tlv| match tlv {
            Tlv::Room { takes, rate, room } => Some((takes, rate, room)),
            _ => None,
        })
    }

    /// The alternates in order, each with its weight.
    pub fn alternates(&self) -> impl Iterator<Item = (u8, core::net::IpAddr)> + use<'a> {
        self.tlvs().filter_map(|tlv| match tlv {
            Tlv::AlternateV4 { weight, address } => Some((weight, address.into())),
            Tlv::AlternateV6 { weight, address } => Some((weight, address.into())),
            _ => None,
        })
    }

    /// The whole payload.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Debug for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice").field("mac", &self.mac).field("header", &self.header).finish_non_exhaustive()
    }
}

impl<'a> Unverified<Notice<'a>> {
    /// Verifies the MAC with the pair's key, in constant time. The notice has to say that it carries the key's kind of
    /// MAC and that it is between this server and this client.
    pub fn verify(self, key: &PairKey) -> Result<Verified<Notice<'a>>, BadMac> {
        let notice = self.into_inner();
        if notice.mac != key.kind() {
            return Err(BadMac::Kind);
        }
        if notice.header.server != key.server() || notice.header.client != key.client() {
            return Err(BadMac::Pair);
        }
        let (message, mac) = notice.bytes.split_at(notice.bytes.len() - MAC_OCTETS);
        if key.vouches(message, mac) { Ok(Verified::new(notice)) } else { Err(BadMac::Mac) }
    }
}

/// Writes a notice and signs it with the pair's key, which also gives its MAC kind. Answers how many octets it has.
pub fn write<'t>(
    buffer: &mut [u8; MAX_OCTETS],
    header: &Header,
    tlvs: impl IntoIterator<Item = Tlv<'t>>,
    key: &PairKey,
) -> Result<usize, NoticeWriteError> {
    if header.server != key.server() || header.client != key.client() {
        return Err(NoticeWriteError::Pair);
    }
    let (message, _) = buffer.split_at_mut(MAX_OCTETS - MAC_OCTETS);
    let mut end = HEADER_OCTETS;
    for tlv in tlvs {
        end += tlv.write(&mut message[end..]).ok_or(NoticeWriteError::Full)?;
    }
    let total = end + MAC_OCTETS;
    header.write(&mut message[..HEADER_OCTETS], key.kind(), total, end - HEADER_OCTETS)?;
    let mac = key.mac(&message[..end]);
    buffer[end..total].copy_from_slice(&mac);
    Ok(total)
}

/// The payload is no notice that we can read. Counted as malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoticeError {
    /// It doesn't start with [`MAGIC`]: something else altogether.
    #[error("not a notice")]
    Magic,
    /// A version we don't know.
    #[error("notice version {0} is unknown")]
    Version(u8),
    /// The lengths contradict each other or what came.
    #[error("a notice of {octets} octets with contradictory lengths")]
    Length {
        /// Octets received.
        octets: usize,
    },
    /// A MAC kind that doesn't exist.
    #[error("mac kind {0} is unknown")]
    Mac(u8),
    /// A type that doesn't exist.
    #[error("notice type {0} is unknown")]
    Kind(u8),
    /// A percentage above 100.
    #[error("{0} is no percentage")]
    Percent(u8),
    /// A known TLV whose value has the wrong shape, or one that reaches over the end.
    #[error("the TLV at octet {offset} is malformed")]
    Tlv {
        /// Octets from the start of the notice.
        offset: usize,
    },
}

/// The MAC doesn't vouch for the notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadMac {
    /// It says it carries another kind of MAC than the key's.
    #[error("another kind of MAC than the key's")]
    Kind,
    /// It is for another pair of server and client than the key.
    #[error("a notice for another pair")]
    Pair,
    /// The MAC is wrong.
    #[error("wrong MAC")]
    Mac,
}

/// The notice can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoticeWriteError {
    /// More than 512 octets, or a text above 255.
    #[error("the notice would be longer than 512 octets")]
    Full,
    /// The header's identities aren't those of the key.
    #[error("the key is for another pair")]
    Pair,
    /// A percentage above 100.
    #[error("{0} is no percentage")]
    Percent(u8),
}

#[cfg(test)]
mod tests;
