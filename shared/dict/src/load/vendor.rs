//! VENDOR, BEGIN-VENDOR, END-VENDOR.

use super::{Fault, File, Loader, VendorBlock, wrong_words};
use crate::attribute::{Carrier, DataType};
use crate::dictionary::fold;
use crate::error::DictErrorKind;
use crate::suggest;
use crate::syntax::{Word, is_name, number};
use crate::vendor::{Vendor, VendorFormat};

impl Loader<'_> {
    /// `VENDOR name number [format=t,l[,c]]`. Said twice alike, it is said once; without a format the second time,
    /// the first format stays.
    pub(super) fn vendor(&mut self, keyword: Word<'_>, rest: &[Word<'_>]) -> Result<(), Fault> {
        let (name, at, format) = match rest {
            [name, at] => (*name, *at, None),
            [name, at, format] => (*name, *at, Some((*format, vendor_format(*format)?))),
            _ => return Err(wrong_words(keyword, rest, "VENDOR NAME NUMBER [format=T,L[,c]]")),
        };
        if !is_name(name.text) {
            return Err(bad_name(name));
        }
        let number = match number(at.text).and_then(|number| u32::try_from(number).ok()) {
            Some(number) if (1..=VENDOR_MAX).contains(&number) => number,
            _ => {
                let what = format!("{:?} is no vendor's number", at.text);
                let hint = format!("give its enterprise number, 1 to {VENDOR_MAX}");
                return Err(Fault::new(at, DictErrorKind::Number, what, hint));
            }
        };
        let dictionary = &mut self.dictionary;
        let before = self.base.vendor(name.text).map(|vendor| vendor.number);
        if let Some(known) = dictionary.vendor(name.text)
            && known.number != number
            && before != Some(known.number)
        {
            let what = format!("vendor {} is {} already, here {number}", known.name, known.number);
            return Err(Fault::new(at, DictErrorKind::Duplicate, what, "give it another name"));
        }
        let same_number = dictionary.vendor_numbers.get(&number).copied();
        if let (Some(index), Some((word, format))) = (same_number, format) {
            let before = self.base.vendor_by_number(number).map(|vendor| vendor.format);
            let known = &mut dictionary.vendors[index];
            if before == Some(known.format) {
                known.format = format;
            } else if known.format != format {
                let what = format!("vendor {} ({number}) has another format already", known.name);
                let hint = "a vendor has one format: load only one of the two dictionaries";
                return Err(Fault::new(word, DictErrorKind::Duplicate, what, hint));
            }
        }
        let index = same_number.unwrap_or_else(|| {
            let format = format.map_or(VendorFormat::RFC, |(_, format)| format);
            dictionary.vendors.push(Vendor { name: name.text.into(), number, format });
            dictionary.vendors.len() - 1
        });
        dictionary.vendor_numbers.insert(number, index);
        dictionary.vendor_names.insert(fold(name.text).into(), index);
        self.report.vendors.insert(number);
        Ok(())
    }

    /// `BEGIN-VENDOR name [format=Extended-Vendor-Specific-N]`.
    pub(super) fn begin_vendor(
        &mut self,
        file: &mut File,
        keyword: Word<'_>,
        rest: &[Word<'_>],
    ) -> Result<(), Fault> {
        let (name, space) = match rest {
            [name] => (*name, None),
            [name, space] => (*name, Some(*space)),
            _ => return Err(wrong_words(keyword, rest, "BEGIN-VENDOR NAME [format=ATTRIBUTE]")),
        };
        if let Some(block) = file.tlvs.last() {
            let what = format!("BEGIN-TLV {} (line {}) is still open", block.name, block.line);
            let hint = format!("end it first with END-TLV {}", block.name);
            return Err(Fault::new(name, DictErrorKind::Block, what, hint));
        }
        if let Some(open) = &file.vendor {
            let what = format!("BEGIN-VENDOR {} (line {}) is still open", open.name, open.line);
            let hint = format!("end it first with END-VENDOR {}", open.name);
            return Err(Fault::new(name, DictErrorKind::Block, what, hint));
        }
        let carrier = self.known_vendor(name).and_then(|vendor| {
            Ok(match space {
                None => Carrier::Vendor(vendor),
                Some(space) => Carrier::ExtendedVendor { attribute: self.extended_space(space)?, vendor },
            })
        });
        let (carrier, result) = match carrier {
            Ok(carrier) => (Some(carrier), Ok(())),
            Err(fault) => (None, Err(fault)),
        };
        file.vendor = Some(VendorBlock { name: name.text.to_owned(), carrier, line: file.line });
        result
    }

    /// `END-VENDOR name`: of the block that is open.
    pub(super) fn end_vendor(
        &mut self,
        file: &mut File,
        keyword: Word<'_>,
        rest: &[Word<'_>],
    ) -> Result<(), Fault> {
        let [name] = rest else { return Err(wrong_words(keyword, rest, "END-VENDOR NAME")) };
        let fault = match &file.vendor {
            None => Some(("no BEGIN-VENDOR before this".to_owned(), "remove this line".to_owned())),
            Some(open) if !name.is(&open.name) => Some((
                format!("END-VENDOR {}, but the block of line {} is {}'s", name.text, open.line, open.name),
                format!("write END-VENDOR {}", open.name),
            )),
            Some(_) if !file.tlvs.is_empty() => {
                Some(("a BEGIN-TLV is still open".to_owned(), "end it first with END-TLV".to_owned()))
            }
            Some(_) => None,
        };
        if let Some((what, hint)) = fault {
            return Err(Fault::new(*name, DictErrorKind::Block, what, hint));
        }
        file.vendor = None;
        Ok(())
    }

    pub(super) fn known_vendor(&self, name: Word<'_>) -> Result<u32, Fault> {
        if let Some(vendor) = self.dictionary.vendor(name.text) {
            return Ok(vendor.number);
        }
        let names = self.dictionary.vendors.iter().map(|vendor| &*vendor.name);
        let hint = match suggest::nearest(name.text, names) {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => format!("define it first: VENDOR {} NUMBER", name.text),
        };
        Err(Fault::new(name, DictErrorKind::Unknown, format!("unknown vendor {}", name.text), hint))
    }

    /// `format=NAME` of BEGIN-VENDOR: the name of an attribute of type evs.
    fn extended_space(&self, word: Word<'_>) -> Result<u8, Fault> {
        let hint = "write format=Extended-Vendor-Specific-1 (to 6)";
        let Some(name) = strip_format(word) else {
            return Err(Fault::new(word, DictErrorKind::Flag, format!("unknown option {}", word.text), hint));
        };
        let Some(attribute) = self.dictionary.attribute(name) else {
            return Err(Fault::new(word, DictErrorKind::Unknown, format!("unknown attribute {name}"), hint));
        };
        match (&*attribute.path.numbers, attribute.data_type) {
            ([outer @ 241..=246, 26], DataType::ExtendedVendorSpecific) => Ok((*outer & 0xff) as u8),
            _ => {
                let what = format!("{name} is of type {}, not evs", attribute.data_type);
                Err(Fault::new(word, DictErrorKind::Type, what, hint))
            }
        }
    }
}

/// `format=t,l[,c]`: t is 1, 2 or 4, l is 0, 1 or 2, c goes with 1,1 only.
fn vendor_format(word: Word<'_>) -> Result<VendorFormat, Fault> {
    let hint = "write format=T,L or format=1,1,c: T is 1, 2 or 4, L is 0, 1 or 2";
    let wrong = |what: String| Fault::new(word, DictErrorKind::Flag, what, hint);
    let Some(text) = strip_format(word) else {
        return Err(wrong(format!("unknown option {}", word.text)));
    };
    let parts: Vec<&str> = text.split(',').collect();
    let format = match *parts.as_slice() {
        [t, l] => (number(t), number(l), false),
        [t, l, "c"] => (number(t), number(l), true),
        _ => return Err(wrong(format!("{text:?} is no format"))),
    };
    match format {
        (Some(t @ (1 | 2 | 4)), Some(l @ 0..=2), continuation) if !continuation || (t, l) == (1, 1) => {
            Ok(VendorFormat { type_octets: t as u8, length_octets: l as u8, continuation })
        }
        _ => Err(wrong(format!("{text:?} is no format"))),
    }
}

fn strip_format(word: Word<'_>) -> Option<&str> {
    word.text
        .split_at_checked(7)
        .filter(|(key, _)| key.eq_ignore_ascii_case("format="))
        .map(|(_, value)| value)
}

/// A name that can't be one.
pub(super) fn bad_name(name: Word<'_>) -> Fault {
    let what = format!("{:?} can't be a name", name.text);
    Fault::new(name, DictErrorKind::Name, what, "use letters, digits and -_./ only, at most 128")
}

/// Greatest enterprise number: the vendor's field is 32 bits, of which the first octet is 0 (RFC 2865 5.26).
const VENDOR_MAX: u32 = 0x00ff_ffff;
