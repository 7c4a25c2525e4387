//! An attribute with its value, as a configuration writes it and as a packet carries it.

use std::fmt;

use zeroize::Zeroizing;

use crate::attribute::{Attribute, Carrier, DataType, Encrypt, Flags, Path};
use crate::dictionary::Dictionary;
use crate::value::{Value, ValueError};
use crate::vendor::VendorFormat;

/// An attribute with its value, ready for packets. The value is wiped from memory when dropped: it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    attribute: Attribute,
    layout: Layout,
    tag: Option<u8>,
    value: Zeroizing<Vec<u8>>,
}

/// How the attributes around a value are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    vendor: VendorFormat,
    long: bool,
}

/// What is wrong with a name or a value. Shown as what is wrong and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairError {
    /// No attribute of that name.
    UnknownName {
        /// The name as given.
        name: String,
        /// The known name most like it.
        nearest: Option<String>,
    },
    /// What follows the `:` is no tag.
    Tag {
        /// The name as given.
        name: String,
        /// True when the attribute has tags at all.
        tagged: bool,
    },
    /// The attribute can't have that value.
    Value {
        /// The attribute's name.
        name: String,
        /// Why not.
        error: ValueError,
    },
    /// The attribute is the server's own and never goes into a packet.
    Internal {
        /// The attribute's name.
        name: String,
    },
    /// The value is longer than its place in a packet.
    TooLong {
        /// The attribute's name.
        name: String,
        /// Octets of the value.
        octets: usize,
        /// Octets there is room for.
        room: usize,
    },
    /// The value is hidden on the wire, which takes the packet's authenticator and the secret.
    Hidden {
        /// The attribute's name.
        name: String,
    },
}

impl fmt::Display for PairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName { name, nearest: Some(nearest) } => {
                write!(f, "unknown attribute {name:?}; did you mean {nearest}?")
            }
            Self::UnknownName { name, nearest: None } => {
                write!(
                    f,
                    "unknown attribute {name:?}; name one of the dictionary, or write Attr-N, Attr-26.VENDOR.N"
                )
            }
            Self::Tag { name, tagged: true } => {
                write!(f, "{name:?} has no tag of 0 to {TAG_MAX}; write NAME:TAG")
            }
            Self::Tag { name, tagged: false } => {
                write!(f, "{name:?}: this attribute has no tags; write its name alone")
            }
            Self::Value { name, error } => write!(f, "{name}: {error}"),
            Self::Internal { name } => {
                write!(f, "{name} is the server's own and never goes into a packet; remove it from here")
            }
            Self::TooLong { name, octets, room } => {
                write!(f, "{name}: a value of {octets} octets; at most {room} fit")
            }
            Self::Hidden { name } => {
                write!(f, "{name} is hidden on the wire; hide its value for the packet first")
            }
        }
    }
}

impl std::error::Error for PairError {}

impl Dictionary {
    /// An attribute with its value, from a configuration: `name` is one of the dictionary, with `:TAG` after it if
    /// need be (`Tunnel-Type:1`), or a number (`Attr-26.9.1`, `Attr-245.7`), which takes octets.
    ///
    /// # Errors
    /// When the name is unknown, or the attribute can't have the value or can't go into a packet.
    pub fn pair(&self, name: &str, value: Value<'_>) -> Result<Pair, PairError> {
        let (attribute, tag) = self.named(name)?;
        if attribute.is_internal() {
            return Err(PairError::Internal { name: attribute.name().to_owned() });
        }
        let octets = self
            .encode_value(&attribute, value)
            .map_err(|error| PairError::Value { name: attribute.name().to_owned(), error })?;
        self.pair_of_octets(&attribute, tag, octets)
    }

    /// An attribute with the octets of its value, clear. `tag` is for attributes that have tags; others ignore it.
    ///
    /// # Errors
    /// When the value is too long or the attribute can't go into a packet.
    pub fn pair_of_octets(
        &self,
        attribute: &Attribute,
        tag: Option<u8>,
        value: Vec<u8>,
    ) -> Result<Pair, PairError> {
        if attribute.is_internal() {
            return Err(PairError::Internal { name: attribute.name().to_owned() });
        }
        let vendor = self.vendor_format(attribute.path().vendor());
        let outermost = match attribute.path().carrier {
            Carrier::ExtendedVendor { attribute, .. } => u32::from(attribute),
            _ => attribute.path().numbers[0],
        };
        let long = attribute.path().carrier != Carrier::Vendor(attribute.path().vendor())
            && match self.attribute_by_number(0, &[outermost]) {
                Some(outer) => outer.data_type() == DataType::LongExtended,
                None => matches!(outermost, 245 | 246),
            };
        let value = Zeroizing::new(value);
        let pair = Pair { attribute: attribute.clone(), layout: Layout { vendor, long }, tag, value };
        let hidden = match attribute.flags().encrypt {
            None => 0,
            // What the hiding adds: whole blocks, and the salt and the length octet.
            Some(Encrypt::UserPassword) => pair.value.len().next_multiple_of(16).max(16),
            Some(Encrypt::TunnelPassword) => 2 + (1 + pair.value.len()).next_multiple_of(16),
            Some(Encrypt::AscendSecret) => 16,
        };
        match hidden {
            0 => pair.lay_out(&pair.value)?,
            octets => pair.lay_out(&vec![0; octets])?,
        };
        Ok(pair)
    }

    /// The attribute of a name with an optional tag, or of a number.
    ///
    /// # Errors
    /// When there is none, or the tag is none.
    pub fn named(&self, name: &str) -> Result<(Attribute, Option<u8>), PairError> {
        let (base, tag) = match name.split_once(':') {
            Some((base, tag)) => (base, Some(tag)),
            None => (name, None),
        };
        let attribute = match self.attribute(base) {
            Some(attribute) => attribute.clone(),
            None => self.numbered(base).ok_or_else(|| PairError::UnknownName {
                name: base.to_owned(),
                nearest: self.suggest_attribute(base).map(str::to_owned),
            })?,
        };
        let tagged = attribute.flags().tag;
        let wrong = || PairError::Tag { name: name.to_owned(), tagged };
        let tag = match tag {
            None => None,
            Some(_) if !tagged => return Err(wrong()),
            Some(tag) => match crate::syntax::number(tag) {
                Some(tag) if tag <= TAG_MAX => Some(tag as u8),
                _ => return Err(wrong()),
            },
        };
        Ok((attribute, tag))
    }

    /// `Attr-N`, `Attr-26.VENDOR.N`, `Attr-241.N`, `Attr-245.26.VENDOR.N`, with the dictionary's attribute where it
    /// knows one there, else as octets.
    fn numbered(&self, name: &str) -> Option<Attribute> {
        let (prefix, rest) = name.split_at_checked(5)?;
        if !prefix.eq_ignore_ascii_case("attr-") {
            return None;
        }
        let all = crate::syntax::numbers(rest)?;
        let (carrier, numbers) = match *all.as_slice() {
            [26, vendor, ref numbers @ ..] if !numbers.is_empty() => (Carrier::Vendor(vendor), numbers),
            [outer @ 241..=246, 26, vendor, ref numbers @ ..] if !numbers.is_empty() => {
                (Carrier::ExtendedVendor { attribute: outer as u8, vendor }, numbers)
            }
            [1..=255, ..] => (Carrier::Standard, all.as_slice()),
            _ => return None,
        };
        if let Some(known) = self.attribute_at(carrier, numbers) {
            return Some(known.clone());
        }
        let (first, inner) = numbers.split_first()?;
        let extended = carrier == Carrier::Standard && (241..=246).contains(first);
        let first_max = match carrier {
            Carrier::Vendor(vendor) => self.vendor_format(vendor).number_max(),
            _ => 255,
        };
        let fits = *first <= first_max
            && inner.iter().all(|number| (1..=255).contains(number))
            && numbers.len() <= Path::DEPTH_MAX
            && (extended != inner.is_empty() || carrier != Carrier::Standard);
        fits.then(|| Attribute {
            name: format!("Attr-{rest}").into(),
            path: Path { carrier, numbers: numbers.into() },
            data_type: DataType::Octets { exactly: None },
            flags: Flags::default(),
        })
    }
}

impl Pair {
    /// The attribute.
    pub fn attribute(&self) -> &Attribute {
        &self.attribute
    }

    /// The tag, if one was given.
    pub fn tag(&self) -> Option<u8> {
        self.tag
    }

    /// The value's octets, clear, without type, length or tag.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// How the value must be hidden; None when [`wire`](Self::wire) answers.
    pub fn encrypt(&self) -> Option<Encrypt> {
        self.attribute.flags().encrypt
    }

    /// The octets as they stand in a packet: one or more whole attributes, types and lengths included.
    ///
    /// # Errors
    /// [`PairError::Hidden`] when the value must be hidden first: hide it, then [`wire_hidden`](Self::wire_hidden).
    pub fn wire(&self) -> Result<Vec<u8>, PairError> {
        if self.encrypt().is_some() {
            return Err(PairError::Hidden { name: self.attribute.name().to_owned() });
        }
        self.lay_out(&self.value)
    }

    /// As [`wire`](Self::wire), with the value hidden by the caller (with its salt, without its tag).
    ///
    /// # Errors
    /// When the hidden value is too long.
    pub fn wire_hidden(&self, hidden: &[u8]) -> Result<Vec<u8>, PairError> {
        self.lay_out(hidden)
    }

    /// From the innermost value outwards.
    fn lay_out(&self, value: &[u8]) -> Result<Vec<u8>, PairError> {
        let too_long = |room: usize| PairError::TooLong {
            name: self.attribute.name().to_owned(),
            octets: value.len(),
            room,
        };
        let mut octets = self.with_tag(value);
        let Path { carrier, numbers } = &self.attribute.path;
        let heads = match carrier {
            // 241.N and EVS have a head of their own, the rest are TLVs (RFC 6929 2.3).
            Carrier::Standard if numbers.len() > 1 => 2,
            _ => 1,
        };
        for number in numbers[heads.min(numbers.len())..].iter().rev() {
            let length = u8::try_from(octets.len() + 2).map_err(|_| too_long(253))?;
            octets.splice(0..0, [(*number & 0xff) as u8, length]);
        }
        let first = numbers[0];
        match carrier {
            Carrier::Standard if numbers.len() == 1 => {
                let concat = self.attribute.flags.concat;
                plain((first & 0xff) as u8, &octets, concat).ok_or_else(|| too_long(253))
            }
            Carrier::Standard => {
                let outer = (first & 0xff) as u8;
                self.extended(outer, (numbers[1] & 0xff) as u8, &octets).ok_or_else(|| too_long(252))
            }
            Carrier::ExtendedVendor { attribute, vendor } => {
                octets.insert(0, (first & 0xff) as u8);
                octets.splice(0..0, vendor.to_be_bytes());
                self.extended(*attribute, 26, &octets).ok_or_else(|| too_long(247))
            }
            Carrier::Vendor(vendor) => {
                let format = self.layout.vendor;
                let room = VENDOR_ROOM - usize::from(format.type_octets + format.length_octets);
                vendor_specific(*vendor, format, first, &octets).ok_or_else(|| too_long(room))
            }
        }
    }

    /// RFC 2868 3: integers of tagged attributes give their first octet to the tag; texts have one in front when it is
    /// given, when their own first octet would be taken for one, and always when hidden (3.5).
    fn with_tag(&self, value: &[u8]) -> Vec<u8> {
        let mut octets = value.to_vec();
        if !self.attribute.flags.tag {
            return octets;
        }
        let tag = self.tag.unwrap_or(0);
        let ambiguous = value.first().is_some_and(|first| u64::from(*first) <= TAG_MAX);
        match self.attribute.data_type {
            DataType::Integer if self.encrypt().is_none() => {
                if let Some(first) = octets.first_mut() {
                    *first = tag;
                }
            }
            _ if self.tag.is_some() || ambiguous || self.encrypt().is_some() => octets.insert(0, tag),
            _ => {}
        }
        octets
    }

    /// RFC 6929 2.1 and 2.2: one attribute, or for the long ones as many fragments as it takes.
    fn extended(&self, outer: u8, number: u8, value: &[u8]) -> Option<Vec<u8>> {
        if !self.layout.long {
            let length = u8::try_from(value.len() + 3).ok()?;
            return Some([&[outer, length, number], value].concat());
        }
        let mut octets = Vec::new();
        let mut rest = value;
        loop {
            let (fragment, after) = rest.split_at(rest.len().min(LONG_FRAGMENT));
            let more = if after.is_empty() { 0 } else { 0x80 };
            octets.extend([outer, fragment.len() as u8 + 4, number, more]);
            octets.extend(fragment);
            if after.is_empty() {
                return (octets.len() <= PACKET_ROOM).then_some(octets);
            }
            rest = after;
        }
    }
}

/// Secrets stay out of logs, so values do.
impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.encrypt().is_some() || self.attribute.flags.secret;
        let mut shown = f.debug_struct("Pair");
        shown.field("name", &self.attribute.name).field("tag", &self.tag);
        if secret { shown.field("value", &"<hidden>") } else { shown.field("value", &self.value) }.finish()
    }
}

/// One attribute, or for `concat` as many as it takes.
fn plain(number: u8, value: &[u8], concat: bool) -> Option<Vec<u8>> {
    if value.len() <= 253 {
        return Some([&[number, value.len() as u8 + 2], value].concat());
    }
    if !concat {
        return None;
    }
    let mut octets = Vec::new();
    for part in value.chunks(253) {
        octets.extend([number, part.len() as u8 + 2]);
        octets.extend(part);
    }
    (octets.len() <= PACKET_ROOM).then_some(octets)
}

/// RFC 2865 5.26, with the type and length fields of the vendor. WiMAX goes on in a further attribute when the
/// value is long.
fn vendor_specific(vendor: u32, format: VendorFormat, number: u32, value: &[u8]) -> Option<Vec<u8>> {
    let type_octets = usize::from(format.type_octets);
    let head = type_octets + usize::from(format.length_octets) + usize::from(format.continuation);
    let room = VENDOR_ROOM - head;
    if value.len() > room && !format.continuation {
        return None;
    }
    let mut octets = Vec::new();
    let mut rest = value;
    loop {
        let (part, after) = rest.split_at(rest.len().min(room));
        octets.extend([26, (6 + head + part.len()) as u8]);
        octets.extend(vendor.to_be_bytes());
        octets.extend(&number.to_be_bytes()[4 - type_octets..]);
        match format.length_octets {
            0 => {}
            1 => octets.push((head + part.len()) as u8),
            _ => octets.extend(((head + part.len()) as u16).to_be_bytes()),
        }
        if format.continuation {
            octets.push(if after.is_empty() { 0 } else { 0x80 });
        }
        octets.extend(part);
        if after.is_empty() {
            return (octets.len() <= PACKET_ROOM).then_some(octets);
        }
        rest = after;
    }
}

/// Greatest tag (RFC 2868 3.1).
const TAG_MAX: u64 = 0x1f;
/// Octets of a vendor's attribute within Vendor-Specific: 255 without type, length and vendor.
const VENDOR_ROOM: usize = 249;
/// Octets of a fragment of a long extended attribute.
const LONG_FRAGMENT: usize = 251;
/// Octets of attributes in a packet.
const PACKET_ROOM: usize = 4076;

#[cfg(test)]
mod tests;
