//! The TLVs of a notice: one octet of type, one of the value's length, the value.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{HEADER_OCTETS, NoticeError};

/// One TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tlv<'a> {
    /// Type 1: a server to go to.
    AlternateV4 {
        /// The share of clients it should take, against the other alternates' weights.
        weight: u8,
        /// Its identity.
        address: Ipv4Addr,
    },
    /// Type 2: a server to go to.
    AlternateV6 {
        /// The share of clients it should take, against the other alternates' weights.
        weight: u8,
        /// Its identity.
        address: Ipv6Addr,
    },
    /// Type 3: a nonce, or its echo.
    Nonce([u8; 16]),
    /// Type 4: the notice concerns this realm only.
    RealmScope(&'a str),
    /// Type 5: the notice concerns this service only.
    ServiceScope(&'a str),
    /// Type 6: when this client may come, in milliseconds from receipt.
    Slot {
        /// Milliseconds from receipt.
        ms: u32,
    },
    /// Type 7: what an ACK acknowledges.
    Acked {
        /// The acknowledged notice's epoch.
        epoch: u32,
        /// The acknowledged notice's sequence.
        sequence: u32,
        /// What was done.
        outcome: Outcome,
    },
    /// Type 8: of a LOAD, what its sender has to do and can still take.
    Room {
        /// Whom it takes.
        takes: Takes,
        /// Requests it hears, thousandths of one a second.
        rate: u32,
        /// How many more it can bear, thousandths of one a second; `None`: it doesn't know.
        room: Option<u32>,
    },
    /// A type we don't know: skipped.
    Unknown {
        /// Its type.
        number: u8,
        /// Its value.
        value: &'a [u8],
    },
}

impl<'a> Tlv<'a> {
    /// An alternate of either family.
    pub fn alternate(weight: u8, address: core::net::IpAddr) -> Tlv<'static> {
        match address.to_canonical() {
            core::net::IpAddr::V4(address) => Tlv::AlternateV4 { weight, address },
            core::net::IpAddr::V6(address) => Tlv::AlternateV6 { weight, address },
        }
    }

    /// Writes it at the front of `out` and answers how many octets it took; `None` when it doesn't fit.
    pub(super) fn write(&self, out: &mut [u8]) -> Option<usize> {
        match *self {
            Tlv::AlternateV4 { weight, address } => put(out, 1, &[&[weight], &address.octets()]),
            Tlv::AlternateV6 { weight, address } => put(out, 2, &[&[weight], &address.octets()]),
            Tlv::Nonce(nonce) => put(out, 3, &[&nonce]),
            Tlv::RealmScope(text) => put(out, 4, &[text.as_bytes()]),
            Tlv::ServiceScope(text) => put(out, 5, &[text.as_bytes()]),
            Tlv::Slot { ms } => put(out, 6, &[&ms.to_be_bytes()]),
            Tlv::Acked { epoch, sequence, outcome } => {
                put(out, 7, &[&epoch.to_be_bytes(), &sequence.to_be_bytes(), &[outcome.to_wire()]])
            }
            Tlv::Room { takes, rate, room } => {
                let room = room.map_or(NOT_KNOWN, |room| room.min(NOT_KNOWN - 1));
                put(out, 8, &[&[takes.to_wire()], &rate.to_be_bytes(), &room.to_be_bytes()])
            }
            Tlv::Unknown { number, value } => put(out, number, &[value]),
        }
    }

    /// Gives a value its meaning; `None` when a known type has the wrong shape.
    fn read(number: u8, value: &'a [u8]) -> Option<Tlv<'a>> {
        Some(match number {
            1 => {
                let (&weight, address) = value.split_first()?;
                Tlv::AlternateV4 { weight, address: <[u8; 4]>::try_from(address).ok()?.into() }
            }
            2 => {
                let (&weight, address) = value.split_first()?;
                Tlv::AlternateV6 { weight, address: <[u8; 16]>::try_from(address).ok()?.into() }
            }
            3 => Tlv::Nonce(value.try_into().ok()?),
            4 => Tlv::RealmScope(core::str::from_utf8(value).ok()?),
            5 => Tlv::ServiceScope(core::str::from_utf8(value).ok()?),
            6 => Tlv::Slot { ms: u32::from_be_bytes(value.try_into().ok()?) },
            7 => {
                let &[a, b, c, d, e, f, g, h, outcome] = value else { return None };
                Tlv::Acked {
                    epoch: u32::from_be_bytes([a, b, c, d]),
                    sequence: u32::from_be_bytes([e, f, g, h]),
                    outcome: Outcome::from_wire(outcome),
                }
            }
            8 => {
                let &[takes, a, b, c, d, e, f, g, h] = value else { return None };
                let room = u32::from_be_bytes([e, f, g, h]);
                Tlv::Room {
                    takes: Takes::from_wire(takes),
                    rate: u32::from_be_bytes([a, b, c, d]),
                    room: (room != NOT_KNOWN).then_some(room),
                }
            }
            _ => Tlv::Unknown { number, value },
        })
    }
}

/// The TLVs of a notice; iterating can't fail, since parsing the notice checked them all.
#[derive(Clone, Copy, Debug)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// For TLVs that were checked.
    pub(super) fn framed(bytes: &'a [u8]) -> Tlvs<'a> {
        Tlvs { rest: bytes }
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        let &[number, length, ref rest @ ..] = self.rest else { return None };
        let (value, rest) = rest.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Tlv::read(number, value)
    }
}

/// What a client did on a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It moved, or came back, as asked.
    Moved,
    /// It was away already.
    AlreadyAway,
    /// It stays: this is its last usable server.
    LastUsable,
    /// It stays: it knows none of the alternates.
    NoAlternate,
    /// Nothing was to be moved; it knows now.
    Noted,
    /// Something we don't know.
    Other(u8),
}

impl Outcome {
    fn from_wire(number: u8) -> Outcome {
        match number {
            1 => Outcome::Moved,
            2 => Outcome::AlreadyAway,
            3 => Outcome::LastUsable,
            4 => Outcome::NoAlternate,
            5 => Outcome::Noted,
            other => Outcome::Other(other),
        }
    }

    fn to_wire(self) -> u8 {
        match self {
            Outcome::Moved => 1,
            Outcome::AlreadyAway => 2,
            Outcome::LastUsable => 3,
            Outcome::NoAlternate => 4,
            Outcome::Noted => 5,
            Outcome::Other(other) => other,
        }
    }
}

/// Whom a server takes, as it tells its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Takes {
    /// Whoever comes.
    Anybody,
    /// Only those it has: it is quiesced, has its clients coming back, or is overloaded.
    ItsOwn,
    /// Nobody: it asks its own to leave.
    Nobody,
    /// Something we don't know.
    Other(u8),
}

impl Takes {
    fn from_wire(number: u8) -> Takes {
        match number {
            1 => Takes::Anybody,
            2 => Takes::ItsOwn,
            3 => Takes::Nobody,
            other => Takes::Other(other),
        }
    }

    fn to_wire(self) -> u8 {
        match self {
            Takes::Anybody => 1,
            Takes::ItsOwn => 2,
            Takes::Nobody => 3,
            Takes::Other(other) => other,
        }
    }
}

/// Of [`Tlv::Room`]: the sender doesn't know.
const NOT_KNOWN: u32 = u32::MAX;

/// Checks the frame of every TLV, and the shape of those we know.
pub(super) fn check(bytes: &[u8]) -> Result<(), NoticeError> {
    let mut at = 0;
    while at < bytes.len() {
        let malformed = NoticeError::Tlv { offset: HEADER_OCTETS + at };
        let &[number, length, ref rest @ ..] = &bytes[at..] else { return Err(malformed) };
        let value = rest.get(..usize::from(length)).ok_or(malformed)?;
        Tlv::read(number, value).ok_or(malformed)?;
        at += 2 + value.len();
    }
    Ok(())
}

/// Writes type, length and the parts of the value.
fn put(out: &mut [u8], number: u8, parts: &[&[u8]]) -> Option<usize> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let out = out.get_mut(..2 + length)?;
    out[0] = number;
    out[1] = u8::try_from(length).ok()?;
    let mut at = 2;
    for part in parts {
        out[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    Some(at)
}
