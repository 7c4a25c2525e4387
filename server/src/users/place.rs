//! Where an attribute stands in a request, and the values it has there.

use std::sync::Arc;

use forewarn_dict::{Carrier, DataType, Dictionary, Path};
use forewarn_wire::{Packet, VendorFormat, attribute, number};

/// One attribute of the dictionary, as a request is searched for it.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub name: Arc<str>,
    path: Path,
    format: VendorFormat,
    /// What its value is.
    pub data_type: DataType,
    tagged: bool,
}

/// A value as it stands in a request: tag, and octets without it.
pub(super) type Instance<'a> = (Option<u8>, &'a [u8]);

impl Place {
    /// From the dictionary.
    pub fn new(attribute: &forewarn_dict::Attribute, dictionary: &Dictionary) -> Self {
        let path = attribute.path().clone();
        let format = dictionary.vendor_format(path.vendor());
        let format = VendorFormat::new(format.type_octets, format.length_octets, format.continuation);
        Self {
            name: attribute.name().into(),
            path,
            format: format.unwrap_or(VendorFormat::STANDARD),
            data_type: attribute.data_type(),
            tagged: attribute.flags().tag,
        }
    }

    /// Whether both are the same attribute.
    pub fn is_same(&self, other: &Place) -> bool {
        self.path == other.path
    }

    /// The vendor's number (0: standard) and the attribute's numbers: what tells attributes of a reply apart.
    pub fn numbers(&self) -> (u32, &[u32]) {
        (self.path.vendor(), &self.path.numbers)
    }

    /// The standard attribute it is, if it is one.
    pub fn standard(&self) -> Option<u8> {
        match (self.path.carrier, &*self.path.numbers) {
            (Carrier::Standard, [number]) => u8::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Whether type and length of a vendor's attribute have one octet each.
    pub fn is_standard_format(&self) -> bool {
        self.format == VendorFormat::STANDARD
    }

    /// Whether values have a tag in front (RFC 2868 section 3.1).
    pub fn is_tagged(&self) -> bool {
        self.tagged
    }

    /// Whether some value of it in the request satisfies `test`. What isn't of the attribute's type doesn't count, as
    /// in FreeRADIUS, which takes it for an unknown attribute.
    pub fn any(&self, request: &Packet<'_>, mut test: impl FnMut(Instance<'_>) -> bool) -> bool {
        let mut test = |value: &[u8]| {
            let (tag, octets) = self.untag(value);
            self.is_well_formed(octets) && test((tag, octets))
        };
        match (self.path.carrier, &*self.path.numbers) {
            (Carrier::Standard, [only]) => request
                .attributes()
                .any(|attribute| u32::from(attribute.number) == *only && test(attribute.value)),
            (Carrier::Vendor(vendor), [first, inner @ ..]) => request.attributes().any(|attribute| {
                let inside = attribute.vendor().filter(|inside| inside.vendor == vendor);
                let mut list = inside.and_then(|inside| inside.attributes(self.format)).into_iter().flatten();
                list.any(|attribute| attribute.number == *first && within(attribute.value, inner, &mut test))
            }),
            (Carrier::Standard, [outer, first, inner @ ..]) => request.attributes().any(|attribute| {
                let extended = attribute.extended().filter(|extended| !extended.more);
                extended.is_some_and(|extended| {
                    u32::from(attribute.number) == *outer
                        && u32::from(extended.extended_type) == *first
                        && within(extended.data, inner, &mut test)
                })
            }),
            (Carrier::ExtendedVendor { attribute: outer, vendor }, [first, inner @ ..]) => {
                request.attributes().any(|attribute| {
                    let extended = attribute.extended().filter(|extended| !extended.more);
                    let inside = extended
                        .filter(|extended| extended.extended_type == number::VENDOR_SPECIFIC)
                        .and_then(|extended| attribute::VendorSpecific::extended(extended.data));
                    inside.is_some_and(|(found, evs, data)| {
                        attribute.number == outer
                            && found == vendor
                            && u32::from(evs) == *first
                            && within(data, inner, &mut test)
                    })
                })
            }
            (_, []) => false,
        }
    }

    fn untag<'v>(&self, value: &'v [u8]) -> Instance<'v> {
        match (self.tagged, value) {
            // The tag takes an integer's first octet, which counts as zero.
            (true, [tag, _, _, _]) if self.data_type == DataType::Integer => (Some(*tag), value),
            (true, [tag @ 0..=0x1f, rest @ ..]) if self.data_type != DataType::Integer => (Some(*tag), rest),
            _ => (None, value),
        }
    }

    fn is_well_formed(&self, octets: &[u8]) -> bool {
        match self.data_type {
            DataType::Byte => octets.len() == 1,
            DataType::Short => octets.len() == 2,
            DataType::Integer | DataType::Signed | DataType::Date | DataType::Ipv4Address => {
                octets.len() == 4
            }
            DataType::Integer64 | DataType::InterfaceId => octets.len() == 8,
            DataType::Ipv6Address => octets.len() == 16,
            DataType::IpAddress => matches!(octets.len(), 4 | 16),
            DataType::Ipv4Prefix => octets.len() == 6,
            DataType::Ipv6Prefix => (2..=18).contains(&octets.len()),
            DataType::Ethernet => octets.len() == 6,
            _ => true,
        }
    }
}

/// Whether the value at these numbers below, TLV by TLV, satisfies `test`.
fn within(octets: &[u8], numbers: &[u32], test: &mut impl FnMut(&[u8]) -> bool) -> bool {
    let Some((first, inner)) = numbers.split_first() else { return test(octets) };
    let tlvs = attribute::tlvs(octets).into_iter().flatten();
    tlvs.filter(|tlv| u32::from(tlv.number) == *first).any(|tlv| match inner {
        [] => test(tlv.value),
        // TLVs nest no deeper in any dictionary known.
        [second] => {
            let mut below = attribute::tlvs(tlv.value).into_iter().flatten();
            below.any(|tlv| u32::from(tlv.number) == *second && test(tlv.value))
        }
        _ => false,
    })
}
