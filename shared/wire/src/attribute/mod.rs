//! Attributes and what can be inside them: vendor-specific, tagged, extended, TLV.
//!
//! Views answer `None` when the inside doesn't have the asked-for shape. That is no error of the packet: such an
//! attribute is carried on as it is (RFC 2865 section 5.26, RFC 6929 section 2.8).

use core::iter::FusedIterator;
use core::net::{Ipv4Addr, Ipv6Addr};

use crate::{FrameError, VendorFormat, number};

/// One attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type.
    pub number: u8,
    /// Its value, 0 to 253 octets.
    pub value: &'a [u8],
    /// Where it starts, in octets from the start of the packet (of the list, if that was parsed alone).
    pub offset: usize,
}

impl<'a> Attribute<'a> {
    /// A 32-bit number: integer, time, or address as a number.
    pub fn integer(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.value.try_into().ok()?))
    }

    /// A 64-bit number (RFC 6929 section 2.5).
    pub fn integer64(&self) -> Option<u64> {
        Some(u64::from_be_bytes(self.value.try_into().ok()?))
    }

    /// An IPv4 address.
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        Some(Ipv4Addr::from(<[u8; 4]>::try_from(self.value).ok()?))
    }

    /// An IPv6 address (RFC 3162).
    pub fn ipv6(&self) -> Option<Ipv6Addr> {
        Some(Ipv6Addr::from(<[u8; 16]>::try_from(self.value).ok()?))
    }

    /// Tag and value of a tagged string (RFC 2868 section 3.1). A first octet above 0x1f is part of the string,
    /// and then the tag is `None`; tag 0 says that the attribute belongs to no group.
    pub fn tagged(&self) -> (Option<u8>, &'a [u8]) {
        match self.value.split_first() {
            Some((&tag, rest)) if tag <= MAX_TAG => (Some(tag), rest),
            _ => (None, self.value),
        }
    }

    /// Tag and 24-bit number of a tagged integer (RFC 2868 section 3.1).
    pub fn tagged_integer(&self) -> Option<(u8, u32)> {
        let &[tag, high, middle, low] = self.value else { return None };
        Some((tag, u32::from_be_bytes([0, high, middle, low])))
    }

    /// The inside of a Vendor-Specific attribute (RFC 2865 section 5.26).
    pub fn vendor(&self) -> Option<VendorSpecific<'a>> {
        if self.number != number::VENDOR_SPECIFIC {
            return None;
        }
        let (vendor, data) = self.value.split_first_chunk()?;
        Some(VendorSpecific { vendor: u32::from_be_bytes(*vendor), data })
    }

    /// The inside of an extended (241..=244) or long extended (245, 246) attribute (RFC 6929 sections 2.1, 2.2).
    pub fn extended(&self) -> Option<Extended<'a>> {
        match self.number {
            number::EXTENDED_1..=number::EXTENDED_4 => {
                let (&extended_type, data) = self.value.split_first()?;
                Some(Extended { extended_type, more: false, data })
            }
            number::EXTENDED_5 | number::EXTENDED_6 => {
                let &[extended_type, flags, ref data @ ..] = self.value else { return None };
                Some(Extended { extended_type, more: flags & MORE != 0, data })
            }
            _ => None,
        }
    }

    /// The value as a list of TLVs (RFC 6929 section 2.3).
    pub fn tlvs(&self) -> Option<Attributes<'a>> {
        tlvs(self.value)
    }
}

impl core::fmt::Debug for Attribute<'_> {
    /// Number and length only: the value may be a secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "attribute {} of {} octets at {}", self.number, self.value.len(), self.offset)
    }
}

/// A list of attributes whose lengths are known to be right; iterating it can't fail.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Attributes<'a> {
    /// Frames a list of attributes that stands outside a packet, for example one prepared for many replies.
    pub fn parse(bytes: &'a [u8]) -> Result<Attributes<'a>, FrameError> {
        let mut offset = 0;
        while offset < bytes.len() {
            let length = bytes.get(offset + 1).map_or(0, |&length| usize::from(length));
            if length < 2 || offset + length > bytes.len() {
                return Err(FrameError::AttributeLength { offset });
            }
            offset += length;
        }
        Ok(Attributes { rest: bytes, offset: 0 })
    }

    /// For lists that were framed already.
    pub(crate) const fn framed(bytes: &'a [u8], offset: usize) -> Attributes<'a> {
        Attributes { rest: bytes, offset }
    }

    /// The octets of what is left of the list.
    pub fn bytes(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let &[number, length, ..] = self.rest else { return None };
        let (this, rest) = self.rest.split_at_checked(usize::from(length))?;
        let attribute = Attribute { number, value: this.get(2..)?, offset: self.offset };
        self.rest = rest;
        self.offset += this.len();
        Some(attribute)
    }
}

impl FusedIterator for Attributes<'_> {}

/// A list of TLVs: they have the shape of attributes, but an empty value is no TLV (RFC 6929 section 2.3).
pub fn tlvs(bytes: &[u8]) -> Option<Attributes<'_>> {
    let list = Attributes::parse(bytes).ok()?;
    (!bytes.is_empty() && list.clone().all(|tlv| !tlv.value.is_empty())).then_some(list)
}

/// The inside of a Vendor-Specific attribute, or of an extended one whose type is 26 (`evs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorSpecific<'a> {
    /// The vendor's Private Enterprise Number.
    pub vendor: u32,
    /// What the vendor put there.
    pub data: &'a [u8],
}

impl<'a> VendorSpecific<'a> {
    /// The vendor's attributes, if the data has that format throughout.
    pub fn attributes(&self, format: VendorFormat) -> Option<VendorAttributes<'a>> {
        let mut walk = VendorAttributes { rest: self.data, format };
        while !walk.rest.is_empty() {
            walk.step()?;
        }
        (!self.data.is_empty()).then_some(VendorAttributes { rest: self.data, format })
    }

    /// The extended-vendor-specific reading of a reassembled `evs` value: vendor, one octet of type, data
    /// (RFC 6929 section 2.4).
    pub fn extended(value: &[u8]) -> Option<(u32, u8, &[u8])> {
        let (vendor, rest) = value.split_first_chunk()?;
        let (&number, data) = rest.split_first()?;
        Some((u32::from_be_bytes(*vendor), number, data))
    }
}

/// One attribute of a vendor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VendorAttribute<'a> {
    /// Its number in the vendor's space.
    pub number: u32,
    /// Its value.
    pub value: &'a [u8],
    /// Formats with a continuation octet: the next attribute of this number goes on with the value.
    pub more: bool,
}

impl core::fmt::Debug for VendorAttribute<'_> {
    /// Number and length only: the value may be a secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "vendor attribute {} of {} octets", self.number, self.value.len())
    }
}

/// A vendor's attributes inside one Vendor-Specific; iterating can't fail.
#[derive(Clone, Copy, Debug)]
pub struct VendorAttributes<'a> {
    rest: &'a [u8],
    format: VendorFormat,
}

impl<'a> VendorAttributes<'a> {
    /// Takes one attribute off the front.
    fn step(&mut self) -> Option<VendorAttribute<'a>> {
        let VendorFormat { type_octets, length_octets, continuation } = self.format;
        let head = type_octets.octets() + length_octets.octets() + usize::from(continuation);
        let (numbers, after) = self.rest.split_at_checked(type_octets.octets())?;
        let number = big_endian(numbers);
        let length = match length_octets.octets() {
            0 => self.rest.len(),
            octets => big_endian(after.get(..octets)?) as usize,
        };
        let (this, rest) = self.rest.split_at_checked(length)?;
        let value = this.get(head..)?;
        let more = continuation && this[head - 1] & MORE != 0;
        self.rest = rest;
        Some(VendorAttribute { number, value, more })
    }
}

impl<'a> Iterator for VendorAttributes<'a> {
    type Item = VendorAttribute<'a>;

    fn next(&mut self) -> Option<VendorAttribute<'a>> {
        self.step()
    }
}

/// The inside of one extended attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Extended<'a> {
    /// The type in the space of the attribute's number.
    pub extended_type: u8,
    /// A following attribute of the same number and extended type goes on with the value.
    pub more: bool,
    /// The value, or this fragment of it.
    pub data: &'a [u8],
}

impl core::fmt::Debug for Extended<'_> {
    /// Type and length only: the value may be a secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "extended type {} of {} octets, more {}", self.extended_type, self.data.len(), self.more)
    }
}

/// The values of one extended attribute in a packet. A value whose last fragment is missing is left out
/// (RFC 6929 section 2.2: an invalid attribute); fragments need not stand next to each other.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedValues<'a> {
    rest: Attributes<'a>,
    number: u8,
    extended_type: u8,
}

impl<'a> ExtendedValues<'a> {
    /// The values of `number.extended_type` in a list.
    pub fn new(list: Attributes<'a>, number: u8, extended_type: u8) -> ExtendedValues<'a> {
        ExtendedValues { rest: list, number, extended_type }
    }

    /// Takes the next fragment off the front.
    fn fragment(&mut self) -> Option<Extended<'a>> {
        let (number, extended_type) = (self.number, self.extended_type);
        self.rest.find_map(|a| {
            (a.number == number).then(|| a.extended())?.filter(|e| e.extended_type == extended_type)
        })
    }
}

impl<'a> Iterator for ExtendedValues<'a> {
    type Item = ExtendedValue<'a>;

    fn next(&mut self) -> Option<ExtendedValue<'a>> {
        let start = *self;
        let mut octets = 0;
        loop {
            let fragment = self.fragment()?;
            octets += fragment.data.len();
            if !fragment.more {
                return Some(ExtendedValue { start, octets });
            }
        }
    }
}

/// One value of an extended attribute, in one piece or in fragments.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedValue<'a> {
    start: ExtendedValues<'a>,
    octets: usize,
}

impl<'a> ExtendedValue<'a> {
    /// Octets of the whole value.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// The pieces in order.
    pub fn fragments(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut walk = self.start;
        let mut done = false;
        core::iter::from_fn(move || {
            if done {
                return None;
            }
            let fragment = walk.fragment()?;
            done = !fragment.more;
            Some(fragment.data)
        })
    }

    /// Puts the pieces together in the caller's buffer; `None` when that is too small.
    pub fn copy_to<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        gather(self.fragments(), buffer)
    }
}

/// Copies pieces one after the other into `buffer`.
pub(crate) fn gather<'a, 'b>(
    pieces: impl Iterator<Item = &'a [u8]>,
    buffer: &'b mut [u8],
) -> Option<&'b [u8]> {
    let mut length = 0;
    for piece in pieces {
        buffer.get_mut(length..length + piece.len())?.copy_from_slice(piece);
        length += piece.len();
    }
    Some(&buffer[..length])
}

/// A number of up to four octets.
fn big_endian(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |number, &octet| number << 8 | u32::from(octet))
}

/// Tags above this are text (RFC 2868 section 3.1).
const MAX_TAG: u8 = 0x1f;
/// The More bit of long extended attributes, and the continuation bit of vendor formats that have one.
pub(crate) const MORE: u8 = 0x80;

#[cfg(test)]
mod tests;
