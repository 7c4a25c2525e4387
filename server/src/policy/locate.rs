//! Where an attribute of the dictionary stands in a request, and what its values are to conditions.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use forewarn_dict::{Attribute, Carrier, DataType, Dictionary};
use forewarn_wire::attribute::{Extended, VendorAttributes, VendorSpecific, tlvs};
use forewarn_wire::{Attributes, Packet, VendorFormat, number};

use super::value::{Text, Value};

/// An attribute that a condition looks at.
#[derive(Debug, Clone)]
pub(super) struct Locator {
    name: Arc<str>,
    carrier: Carrier,
    numbers: Box<[u32]>,
    format: VendorFormat,
    data_type: DataType,
    /// Whether its values may begin with a tag (RFC 2868 section 3.1).
    tagged: bool,
    /// Only values with this tag.
    tag: Option<u8>,
}

/// Why a condition can't look at an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unseen {
    /// Its values are hidden on the way, and are nobody's business.
    Hidden,
    /// It holds other attributes.
    Container,
    /// It never is in a packet.
    Internal,
}

impl Locator {
    pub(super) fn new(
        dictionary: &Dictionary,
        attribute: &Attribute,
        tag: Option<u8>,
    ) -> Result<Self, Unseen> {
        let (path, flags) = (attribute.path(), attribute.flags());
        if attribute.is_internal() {
            return Err(Unseen::Internal);
        }
        if flags.encrypt.is_some() || flags.secret {
            return Err(Unseen::Hidden);
        }
        if attribute.data_type().is_container() {
            return Err(Unseen::Container);
        }
        let format = dictionary.vendor_format(path.vendor());
        let format = VendorFormat::new(format.type_octets, format.length_octets, format.continuation);
        Ok(Self {
            name: attribute.name().into(),
            carrier: path.carrier,
            numbers: path.numbers.clone(),
            format: format.unwrap_or_default(),
            data_type: attribute.data_type(),
            tagged: flags.tag,
            tag,
        })
    }

    /// Its name in the dictionary.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether its values are numbers; texts otherwise.
    pub(super) fn is_number(&self) -> bool {
        self.data_type.is_number()
    }

    /// Its values in a request, in order.
    pub(super) fn values<'a>(&'a self, request: &'a Packet<'a>) -> Values<'a> {
        Values { locator: self, rest: request.attributes(), vendor: None, inner: None }
    }

    /// The octets as what they are; those that aren't of the attribute's type don't count.
    fn value<'a>(&self, octets: &'a [u8]) -> Option<Value<'a>> {
        let octets = self.untagged(octets)?;
        let number = || {
            let number = octets.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
            Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
        };
        let text = |text| Some(Value::Text(text));
        match self.data_type {
            DataType::Text => text(Text::of_octets(octets)),
            DataType::Byte => (octets.len() == 1).then(number),
            DataType::Short => (octets.len() == 2).then(number),
            DataType::Integer if self.tagged => (octets.len() == 3).then(number),
            DataType::Integer | DataType::Date => (octets.len() == 4).then(number),
            DataType::Integer64 => (octets.len() == 8).then(number),
            DataType::Signed => Some(Value::Number(i32::from_be_bytes(octets.try_into().ok()?).into())),
            DataType::Ipv4Address | DataType::Ipv6Address | DataType::IpAddress => {
                text(if let Ok(octets) = <[u8; 4]>::try_from(octets) {
                    Text::written(format_args!("{}", Ipv4Addr::from(octets)))
                } else {
                    Text::written(format_args!("{}", Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)))
                })
            }
            DataType::Ipv4Prefix => {
                let [_, length @ ..=32, octets @ ..] = octets else { return None };
                let address = Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?);
                text(Text::written(format_args!("{address}/{length}")))
            }
            DataType::Ipv6Prefix => {
                let [_, length @ ..=128, octets @ ..] = octets else { return None };
                let mut all = [0; 16];
                all.get_mut(..octets.len())?.copy_from_slice(octets);
                text(Text::written(format_args!("{}/{length}", Ipv6Addr::from(all))))
            }
            DataType::InterfaceId => {
                let octets: [u8; 8] = octets.try_into().ok()?;
                let [a, b, c, d] = [0, 2, 4, 6].map(|at| u16::from_be_bytes([octets[at], octets[at + 1]]));
                text(Text::written(format_args!("{a:x}:{b:x}:{c:x}:{d:x}")))
            }
            DataType::Ethernet => {
                let [a, b, c, d, e, f]: [u8; 6] = octets.try_into().ok()?;
                text(Text::written(format_args!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")))
            }
            _ => text(Text::written(format_args!("{}", Hexadecimal(octets)))),
        }
    }

    /// RFC 2868 section 3.1. `None`: it has another tag than the one asked for.
    fn untagged<'a>(&self, octets: &'a [u8]) -> Option<&'a [u8]> {
        if !self.tagged {
            return Some(octets);
        }
        let (tag, rest) = match octets.split_first() {
            Some((tag, rest)) if *tag <= 0x1f || self.data_type == DataType::Integer => (*tag, rest),
            _ => (0, octets),
        };
        (self.tag.is_none_or(|wanted| wanted == tag)).then_some(rest)
    }
}

/// `0x` and the octets, as in dictionaries and in FreeRADIUS.
struct Hexadecimal<'a>(&'a [u8]);

impl std::fmt::Display for Hexadecimal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// The values of one attribute in one request.
#[derive(Debug, Clone)]
pub(super) struct Values<'a> {
    locator: &'a Locator,
    rest: Attributes<'a>,
    vendor: Option<VendorAttributes<'a>>,
    /// The innermost TLVs under way.
    inner: Option<Attributes<'a>>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        loop {
            let (octets, depth) = self.candidate()?;
            match &self.locator.numbers[depth..] {
                [] => {
                    if let Some(value) = self.locator.value(octets) {
                        return Some(value);
                    }
                }
                [around @ .., _] => self.inner = within(octets, around),
            }
        }
    }
}

/// The TLVs below a path of them, at each step of which the first counts.
fn within<'a>(octets: &'a [u8], path: &[u32]) -> Option<Attributes<'a>> {
    let mut tlvs = tlvs(octets)?;
    for number in path {
        tlvs = tlvs.find(|tlv| u32::from(tlv.number) == *number)?.tlvs()?;
    }
    Some(tlvs)
}

impl<'a> Values<'a> {
    /// The next octets at the place, with how many of the path's numbers led there.
    fn candidate(&mut self) -> Option<(&'a [u8], usize)> {
        let locator = self.locator;
        let last = *locator.numbers.last()?;
        loop {
            if let Some(tlvs) = &mut self.inner {
                match tlvs.find(|tlv| u32::from(tlv.number) == last) {
                    Some(tlv) => return Some((tlv.value, locator.numbers.len())),
                    None => self.inner = None,
                }
            }
            if let Some(vendor) = &mut self.vendor {
                match vendor.find(|attribute| attribute.number == locator.numbers[0]) {
                    Some(attribute) => return Some((attribute.value, 1)),
                    None => self.vendor = None,
                }
            }
            let attribute = self.rest.next()?;
            match locator.carrier {
                Carrier::Standard if u32::from(attribute.number) == locator.numbers[0] => {
                    if !(number::EXTENDED_1..=number::EXTENDED_6).contains(&attribute.number) {
                        return Some((attribute.value, 1));
                    }
                    let extended = attribute.extended().filter(|extended| !extended.more);
                    let here = |found: &Extended<'a>| {
                        locator.numbers.get(1) == Some(&u32::from(found.extended_type))
                    };
                    if let Some(found) = extended.filter(here) {
                        return Some((found.data, 2));
                    }
                }
                Carrier::Vendor(vendor) => {
                    let inside = attribute.vendor().filter(|inside| inside.vendor == vendor);
                    self.vendor = inside.and_then(|inside| inside.attributes(locator.format));
                }
                Carrier::ExtendedVendor { attribute: outer, vendor } if attribute.number == outer => {
                    let extended = attribute.extended().filter(|extended| {
                        !extended.more && extended.extended_type == number::VENDOR_SPECIFIC
                    });
                    let inside = extended.and_then(|extended| VendorSpecific::extended(extended.data));
                    if let Some((from, number, data)) = inside
                        && (from, u32::from(number)) == (vendor, locator.numbers[0])
                    {
                        return Some((data, 1));
                    }
                }
                _ => {}
            }
        }
    }
}
