//! ATTRIBUTE, BEGIN-TLV, END-TLV.

use super::vendor::bad_name;
use super::{Fault, File, Loader, TlvBlock, VendorBlock, wrong_words};
use crate::attribute::{Attribute, Carrier, DataType, Encrypt, Flags, Path};
use crate::dictionary::{fold, key};
use crate::error::DictErrorKind;
use crate::suggest;
use crate::syntax::{Word, is_name, number, numbers};

impl Loader<'_> {
    /// `ATTRIBUTE name number[.number...] type [flag,...]`.
    pub(super) fn attribute(
        &mut self,
        file: &File,
        keyword: Word<'_>,
        rest: &[Word<'_>],
    ) -> Result<(), Fault> {
        let result = self.attribute_line(file, keyword, rest);
        if result.is_err() {
            self.refused.names.extend(rest.first().map(|name| fold(name.text)));
        }
        result
    }

    fn attribute_line(&mut self, file: &File, keyword: Word<'_>, rest: &[Word<'_>]) -> Result<(), Fault> {
        let [name, place, type_word, options @ ..] = rest else {
            return Err(wrong_words(keyword, rest, "ATTRIBUTE NAME NUMBER TYPE [FLAG,...]"));
        };
        if !is_name(name.text) {
            return Err(bad_name(*name));
        }
        let Some(own) = numbers(place.text) else {
            let what = format!("{:?} is no attribute number", place.text);
            let hint = "write 1, 28.11.5 or 0x1f; no leading zeros";
            return Err(Fault::new(*place, DictErrorKind::Number, what, hint));
        };
        let data_type = data_type(*type_word)?;
        let (flags, vendor) = self.options(options)?;
        let (carrier, outer) = match (file.tlvs.last(), &file.vendor, vendor) {
            (None, None, Some(word)) => (Carrier::Vendor(self.known_vendor(word)?), [].as_slice()),
            (_, _, Some(word)) => {
                let what = format!("vendor {} within a block", word.text);
                let hint = "remove it, or end the block first";
                return Err(Fault::new(word, DictErrorKind::Flag, what, hint));
            }
            (Some(TlvBlock { place: Some((carrier, numbers)), .. }), ..) => (*carrier, numbers.as_slice()),
            (_, Some(VendorBlock { carrier: Some(carrier), .. }), _) => (*carrier, [].as_slice()),
            _ => (Carrier::Standard, [].as_slice()),
        };
        let numbers: Box<[u32]> = outer.iter().chain(&own).copied().collect();
        let place_key = key(carrier, &numbers);
        if numbers.len() > 1 && self.refused.places.contains(&place_key[..place_key.len() - 1]) {
            self.refused.names.insert(fold(name.text));
            self.refused.places.insert(place_key);
            return Ok(());
        }
        let at = *options.first().unwrap_or(type_word);
        let checked = self
            .check_place(*place, carrier, &numbers)
            .and_then(|()| check_type(*type_word, carrier, &numbers, data_type))
            .and_then(|()| check_flags(at, carrier, &numbers, data_type, flags));
        if let Err(fault) = checked {
            self.refused.places.insert(place_key);
            return Err(fault);
        }
        let attribute =
            Attribute { name: name.text.into(), path: Path { carrier, numbers }, data_type, flags };
        self.add(*name, attribute)
    }

    /// The same name for the same place is a correction; for another place it is a mistake. Another name for the
    /// same place is a synonym, and the one that is shown from then on.
    fn add(&mut self, name: Word<'_>, attribute: Attribute) -> Result<(), Fault> {
        let dictionary = &mut self.dictionary;
        let place = key(attribute.path.carrier, &attribute.path.numbers);
        let folded = fold(name.text);
        let before = self.base.attribute(name.text).map(|attribute| &attribute.path);
        let index = match dictionary.names.get(folded.as_str()).copied() {
            Some(index) if dictionary.attributes[index].path == attribute.path => {
                dictionary.attributes[index] = attribute;
                index
            }
            Some(index) if Some(&dictionary.attributes[index].path) == before => {
                let old = std::mem::replace(&mut dictionary.attributes[index], attribute);
                let old = key(old.path.carrier, &old.path.numbers);
                if dictionary.places.get(&old) == Some(&index) {
                    dictionary.places.remove(&old);
                }
                self.report.redefined += 1;
                index
            }
            Some(index) => {
                let known = &dictionary.attributes[index];
                let what =
                    format!("{} is attribute {} already, here {}", known.name, known.path, attribute.path);
                return Err(Fault::new(
                    name,
                    DictErrorKind::Duplicate,
                    what,
                    "give one of them another name",
                ));
            }
            None => {
                dictionary.attributes.push(attribute);
                dictionary.attributes.len() - 1
            }
        };
        dictionary.names.insert(folded.into(), index);
        dictionary.places.insert(place, index);
        self.report.attributes += 1;
        Ok(())
    }

    /// The numbers must fit their fields, and what is around them must be there and hold attributes.
    fn check_place(&self, at: Word<'_>, carrier: Carrier, numbers: &[u32]) -> Result<(), Fault> {
        let fault = |kind, what: String, hint: &str| Err(Fault::new(at, kind, what, hint));
        if numbers.len() > Path::DEPTH_MAX {
            let hint = format!("at most {} numbers", Path::DEPTH_MAX);
            return fault(DictErrorKind::Number, "nested too deeply".to_owned(), &hint);
        }
        for (depth, number) in numbers.iter().enumerate() {
            let max = match carrier {
                _ if depth > 0 => 0xff,
                Carrier::Standard => INTERNAL_MAX,
                Carrier::Vendor(vendor) => self.dictionary.vendor_format(vendor).number_max(),
                Carrier::ExtendedVendor { .. } => 0xff,
            };
            if *number > max || (*number == 0 && carrier == Carrier::Standard) {
                let hint = format!("a number from 1 to {max} fits here");
                return fault(DictErrorKind::Number, format!("number {number} doesn't fit"), &hint);
            }
        }
        let Some((_, outer)) = numbers.split_last().filter(|(_, outer)| !outer.is_empty()) else {
            return Ok(());
        };
        match self.dictionary.attribute_at(carrier, outer) {
            None => {
                let outer = Path { carrier, numbers: outer.into() };
                let hint = "define the attribute around this one first";
                fault(DictErrorKind::Unknown, format!("attribute {outer} is not defined"), hint)
            }
            Some(around) => match around.data_type {
                DataType::Tlv | DataType::Extended | DataType::LongExtended => Ok(()),
                DataType::ExtendedVendorSpecific => {
                    let what = format!("{} holds vendors' attributes", around.name);
                    let hint = format!("write BEGIN-VENDOR NAME format={}", around.name);
                    fault(DictErrorKind::Type, what, &hint)
                }
                other => {
                    let what = format!("{} is of type {other}, which holds no attributes", around.name);
                    fault(DictErrorKind::Type, what, "make it a tlv")
                }
            },
        }
    }

    /// The flags, and the vendor's name that stood there in old files.
    fn options<'a>(&self, words: &[Word<'a>]) -> Result<(Flags, Option<Word<'a>>), Fault> {
        let mut flags = Flags::default();
        let mut vendor = None;
        for (word, option) in words.iter().flat_map(|word| word.text.split(',').map(move |o| (*word, o))) {
            let lower = option.to_ascii_lowercase();
            match lower.as_str() {
                "has_tag" => flags.tag = true,
                "array" => flags.array = true,
                "concat" => flags.concat = true,
                "virtual" => flags.computed = true,
                "secret" => flags.secret = true,
                "encrypt=1" => flags.encrypt = Some(Encrypt::UserPassword),
                "encrypt=2" => flags.encrypt = Some(Encrypt::TunnelPassword),
                "encrypt=3" => flags.encrypt = Some(Encrypt::AscendSecret),
                _ if lower.starts_with("encrypt") => {
                    let what = format!("{option:?} is no way to hide a value");
                    return Err(Fault::new(word, DictErrorKind::Flag, what, "write encrypt=1, 2 or 3"));
                }
                _ if self.dictionary.vendor(option).is_some() && vendor.is_none() => {
                    vendor = Some(Word { text: option, ..word });
                }
                _ => {
                    let hint = match suggest::nearest(option, FLAGS.iter().copied()) {
                        Some(nearest) => format!("did you mean {nearest}?"),
                        None => format!("flags are {}", FLAGS.join(", ")),
                    };
                    return Err(Fault::new(
                        word,
                        DictErrorKind::Flag,
                        format!("unknown flag {option:?}"),
                        hint,
                    ));
                }
            }
        }
        Ok((flags, vendor))
    }

    /// `BEGIN-TLV name`: numbers that follow are inside that attribute.
    pub(super) fn begin_tlv(
        &mut self,
        file: &mut File,
        keyword: Word<'_>,
        rest: &[Word<'_>],
    ) -> Result<(), Fault> {
        let [name] = rest else { return Err(wrong_words(keyword, rest, "BEGIN-TLV ATTRIBUTE")) };
        let (place, result) = match self.tlv_around(file, *name) {
            Ok(place) => (Some(place), Ok(())),
            Err(_) if file.is_skipping() => (None, Ok(())),
            Err(fault) => (None, Err(fault)),
        };
        file.tlvs.push(TlvBlock { name: name.text.to_owned(), place, line: file.line });
        result
    }

    /// The place of a tlv that may be opened here.
    fn tlv_around(&self, file: &File, name: Word<'_>) -> Result<(Carrier, Vec<u32>), Fault> {
        let Some(attribute) = self.dictionary.attribute(name.text) else {
            let hint = "define it first, as a tlv";
            let what = format!("unknown attribute {}", name.text);
            return Err(Fault::new(name, DictErrorKind::Unknown, what, hint));
        };
        if attribute.data_type != DataType::Tlv {
            let what = format!("{} is of type {}, not tlv", attribute.name, attribute.data_type);
            return Err(Fault::new(name, DictErrorKind::Type, what, "make it a tlv"));
        }
        let Path { carrier, numbers } = &attribute.path;
        let inside = match (file.tlvs.last(), &file.vendor) {
            (Some(TlvBlock { place, .. }), _) => {
                place.as_ref().is_some_and(|(around, outer)| around == carrier && numbers.starts_with(outer))
            }
            (None, Some(block)) => block.carrier == Some(*carrier),
            (None, None) => true,
        };
        if !inside {
            let what = format!("{} ({}) isn't inside the block that is open", attribute.name, attribute.path);
            return Err(Fault::new(name, DictErrorKind::Block, what, "end that block first"));
        }
        Ok((*carrier, numbers.to_vec()))
    }

    /// `END-TLV name`: of the innermost block.
    pub(super) fn end_tlv(
        &mut self,
        file: &mut File,
        keyword: Word<'_>,
        rest: &[Word<'_>],
    ) -> Result<(), Fault> {
        let [name] = rest else { return Err(wrong_words(keyword, rest, "END-TLV ATTRIBUTE")) };
        let (what, hint) = match file.tlvs.last() {
            Some(block) if name.is(&block.name) => {
                file.tlvs.pop();
                return Ok(());
            }
            Some(block) => (
                format!("END-TLV {}, but the block of line {} is {}", name.text, block.line, block.name),
                format!("write END-TLV {}", block.name),
            ),
            None => ("no BEGIN-TLV before this".to_owned(), "remove this line".to_owned()),
        };
        Err(Fault::new(*name, DictErrorKind::Block, what, hint))
    }
}

fn data_type(word: Word<'_>) -> Result<DataType, Fault> {
    let lower = word.text.to_ascii_lowercase();
    if let Some((_, data_type)) = TYPES.iter().find(|(name, _)| *name == lower) {
        return Ok(*data_type);
    }
    if let Some(length) = lower.strip_prefix("octets[").and_then(|rest| rest.strip_suffix(']')) {
        return match number(length).and_then(|length| u16::try_from(length).ok()) {
            Some(length @ 1..=OCTETS_MAX) => Ok(DataType::Octets { exactly: Some(length) }),
            _ => {
                let what = format!("{length:?} is no length");
                let hint = format!("give 1 to {OCTETS_MAX} octets");
                Err(Fault::new(word, DictErrorKind::Type, what, hint))
            }
        };
    }
    let hint = match suggest::nearest(word.text, TYPES.iter().map(|(name, _)| *name)) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => format!("types are {}", TYPES.map(|(name, _)| name).join(", ")),
    };
    Err(Fault::new(word, DictErrorKind::Type, format!("unknown type {:?}", word.text), hint))
}

/// The types that belong to one place only (RFC 6929 2, RFC 2865 5.26).
fn check_type(at: Word<'_>, carrier: Carrier, numbers: &[u32], data_type: DataType) -> Result<(), Fault> {
    let hint = match (data_type, carrier, numbers) {
        (DataType::Extended | DataType::LongExtended, Carrier::Standard, [241..=246]) => return Ok(()),
        (DataType::Extended | DataType::LongExtended, ..) => "only the attributes 241 to 246 are extended",
        (DataType::ExtendedVendorSpecific, Carrier::Standard, [241..=246, 26]) => return Ok(()),
        (DataType::ExtendedVendorSpecific, ..) => "only 241.26 to 246.26 hold vendors' attributes",
        (DataType::VendorSpecific, Carrier::Standard, [26]) => return Ok(()),
        (DataType::VendorSpecific, ..) => "only attribute 26 is Vendor-Specific",
        _ => return Ok(()),
    };
    let what =
        format!("attribute {} can't be of type {data_type}", Path { carrier, numbers: numbers.into() });
    Err(Fault::new(at, DictErrorKind::Type, what, hint))
}

/// Which flag goes with which type and place.
fn check_flags(
    at: Word<'_>,
    carrier: Carrier,
    numbers: &[u32],
    data_type: DataType,
    flags: Flags,
) -> Result<(), Fault> {
    let inside = numbers.len() > 1;
    let standard = carrier == Carrier::Standard;
    let fixed = matches!(data_type, DataType::Octets { exactly: Some(_) });
    let (what, hint) = if data_type.is_container() && flags != Flags::default() {
        ("a flag on an attribute that holds others", "put it on the attributes inside")
    } else if flags.tag && !matches!(data_type, DataType::Text | DataType::Integer) {
        ("has_tag on another type than string or integer", "RFC 2868 has tags for those only")
    } else if flags.tag && inside {
        ("has_tag inside another attribute", "tags are for outermost attributes")
    } else if flags.encrypt == Some(Encrypt::UserPassword) && data_type != DataType::Text && !fixed {
        ("encrypt=1 on another type than string or octets[n]", "use encrypt=2, or give the length")
    } else if flags.encrypt == Some(Encrypt::AscendSecret) && data_type != DataType::Text {
        ("encrypt=3 on another type than string", "make it a string")
    } else if flags.concat
        && (!matches!(data_type, DataType::Octets { exactly: None }) || !standard || inside)
    {
        ("concat on another attribute than standard octets", "remove the flag")
    } else if flags.concat && flags != (Flags { concat: true, ..Flags::default() }) {
        ("concat with another flag", "keep one of them")
    } else if flags.computed && !(standard && numbers.first().is_some_and(|number| *number > 255)) {
        ("virtual on an attribute that goes into packets", "only numbers above 255 are computed")
    } else if flags.array && (fixed || matches!(data_type, DataType::Octets { .. } | DataType::Ipv6Prefix)) {
        ("array on a type whose values don't end by themselves", "remove the flag")
    } else {
        return Ok(());
    };
    Err(Fault::new(at, DictErrorKind::Flag, what, hint))
}

const FLAGS: [&str; 8] =
    ["has_tag", "encrypt=1", "encrypt=2", "encrypt=3", "array", "concat", "virtual", "secret"];

/// The words for types; the RFC 8044 spellings of integers are known too.
const TYPES: [(&str, DataType); 27] = [
    ("string", DataType::Text),
    ("text", DataType::Text),
    ("octets", DataType::Octets { exactly: None }),
    ("byte", DataType::Byte),
    ("uint8", DataType::Byte),
    ("short", DataType::Short),
    ("uint16", DataType::Short),
    ("integer", DataType::Integer),
    ("uint32", DataType::Integer),
    ("integer64", DataType::Integer64),
    ("uint64", DataType::Integer64),
    ("signed", DataType::Signed),
    ("int32", DataType::Signed),
    ("date", DataType::Date),
    ("ipaddr", DataType::Ipv4Address),
    ("ipv6addr", DataType::Ipv6Address),
    ("combo-ip", DataType::IpAddress),
    ("ipv4prefix", DataType::Ipv4Prefix),
    ("ipv6prefix", DataType::Ipv6Prefix),
    ("ifid", DataType::InterfaceId),
    ("ether", DataType::Ethernet),
    ("abinary", DataType::AscendFilter),
    ("tlv", DataType::Tlv),
    ("vsa", DataType::VendorSpecific),
    ("extended", DataType::Extended),
    ("long-extended", DataType::LongExtended),
    ("evs", DataType::ExtendedVendorSpecific),
];

/// Greatest number of the server's own attributes.
const INTERNAL_MAX: u32 = 0x00ff_ffff;
/// Greatest length of `octets[n]`: what one attribute holds.
const OCTETS_MAX: u16 = 253;
