//! VALUE and VALUE-ALIAS.

use std::sync::Arc;

use super::vendor::bad_name;
use super::{Fault, File, Loader, wrong_words};
use crate::attribute::DataType;
use crate::dictionary::{Key, fold, key};
use crate::error::DictErrorKind;
use crate::suggest;
use crate::syntax::{NAME_OCTETS_MAX, Word, is_name, number};

/// A VALUE whose attribute comes later in the files, or never.
pub(super) struct Later {
    file: Arc<str>,
    line: u32,
    attribute: OwnWord,
    name: OwnWord,
    number: OwnWord,
}

/// A word that outlives its line.
struct OwnWord {
    text: String,
    column: u32,
}

impl OwnWord {
    fn new(word: Word<'_>) -> Self {
        Self { text: word.text.to_owned(), column: word.column }
    }

    fn word(&self) -> Word<'_> {
        Word { text: &self.text, column: self.column }
    }
}

impl Loader<'_> {
    /// `VALUE attribute name number`. The attribute may be defined further on.
    pub(super) fn value(&mut self, file: &File, keyword: Word<'_>, rest: &[Word<'_>]) -> Result<(), Fault> {
        let [attribute, name, number] = rest else {
            return Err(wrong_words(keyword, rest, "VALUE ATTRIBUTE NAME NUMBER"));
        };
        if attribute.is("Server-Config") {
            return Ok(()); // of dictionaries from before 1.0, ignored by FreeRADIUS too
        }
        if self.dictionary.attribute(attribute.text).is_some() {
            return self.add_value(*attribute, *name, *number);
        }
        if !is_name(attribute.text) {
            return Err(bad_name(*attribute));
        }
        self.later.push(Later {
            file: file.name.clone(),
            line: file.line,
            attribute: OwnWord::new(*attribute),
            name: OwnWord::new(*name),
            number: OwnWord::new(*number),
        });
        Ok(())
    }

    /// All files are read: the attribute is known by now, or is an error.
    pub(super) fn settle(&mut self, later: &Later) {
        let name = fold(&later.attribute.text);
        if self.refused.names.contains(&name) && !self.dictionary.names.contains_key(name.as_str()) {
            return;
        }
        let result = self.add_value(later.attribute.word(), later.name.word(), later.number.word());
        if let Err(fault) = result {
            self.fault(&later.file, later.line, fault);
        }
    }

    fn add_value(&mut self, attribute: Word<'_>, name: Word<'_>, at: Word<'_>) -> Result<(), Fault> {
        let (place, data_type) = self.place_of(attribute)?;
        let Some(number_max) = number_max(data_type) else {
            let what = format!("{} is of type {data_type}, which has no named values", attribute.text);
            return Err(Fault::new(attribute, DictErrorKind::Type, what, "only integers have named values"));
        };
        let Some(number) = number(at.text).filter(|number| *number <= number_max) else {
            let what = format!("{:?} is no value of type {data_type}", at.text);
            let hint = format!("give a number from 0 to {number_max}, decimal or with 0x");
            return Err(Fault::new(at, DictErrorKind::Number, what, hint));
        };
        if name.text.len() > NAME_OCTETS_MAX {
            let hint = format!("at most {NAME_OCTETS_MAX} octets");
            return Err(Fault::new(name, DictErrorKind::Name, "the name of the value is too long", hint));
        }
        if self.dictionary.aliases.contains_key(&place) {
            let what = format!("{} takes its values from another attribute", attribute.text);
            return Err(Fault::new(attribute, DictErrorKind::Duplicate, what, "name the value there"));
        }
        let folded = fold(name.text);
        let before = self.base.values.get(&place).and_then(|values| values.by_name.get(folded.as_str()));
        let values = self.dictionary.values.entry(place).or_default();
        if let Some(known) = values.by_name.get(folded.as_str()).filter(|known| **known != number) {
            if before == Some(known) {
                let old = values.by_number.get(known).is_some_and(|shown| fold(shown) == folded);
                if old {
                    values.by_number.remove(&known.clone());
                }
                self.report.redefined += 1;
            } else {
                let what = format!("{} of {} is {known} already", name.text, attribute.text);
                return Err(Fault::new(at, DictErrorKind::Duplicate, what, "give the value another name"));
            }
        }
        values.by_name.insert(folded.into(), number);
        values.by_number.insert(number, name.text.into());
        self.report.values += 1;
        Ok(())
    }

    /// `VALUE-ALIAS attribute other`: the attribute has the named values of the other.
    pub(super) fn alias(&mut self, keyword: Word<'_>, rest: &[Word<'_>]) -> Result<(), Fault> {
        let [attribute, other] = rest else {
            return Err(wrong_words(keyword, rest, "VALUE-ALIAS ATTRIBUTE OTHER-ATTRIBUTE"));
        };
        let (place, data_type) = self.place_of(*attribute)?;
        let (target, target_type) = self.place_of(*other)?;
        let fault =
            |what: String, hint: &str| Err(Fault::new(*attribute, DictErrorKind::Duplicate, what, hint));
        if data_type != target_type {
            let what = format!("{} is {data_type}, {} {target_type}", attribute.text, other.text);
            return fault(what, "an alias is between attributes of one type");
        }
        if self.dictionary.aliases.contains_key(&place) || place == target {
            return fault(format!("{} has an alias already", attribute.text), "remove one of them");
        }
        if self.dictionary.aliases.contains_key(&target) {
            return fault(
                format!("{} is an alias itself", other.text),
                "name the attribute that has the values",
            );
        }
        if self.dictionary.values.contains_key(&place) {
            return fault(
                format!("{} has values of its own", attribute.text),
                "remove the alias or the values",
            );
        }
        self.dictionary.aliases.insert(place, target);
        Ok(())
    }

    fn place_of(&self, name: Word<'_>) -> Result<(Key, DataType), Fault> {
        if let Some(attribute) = self.dictionary.attribute(name.text) {
            return Ok((key(attribute.path.carrier, &attribute.path.numbers), attribute.data_type));
        }
        let names = self.dictionary.attributes.iter().map(|attribute| &*attribute.name);
        let hint = match suggest::nearest(name.text, names) {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "define the attribute, or include the dictionary that does".to_owned(),
        };
        Err(Fault::new(name, DictErrorKind::Unknown, format!("unknown attribute {}", name.text), hint))
    }
}

/// The greatest value of a type whose values may have names.
fn number_max(data_type: DataType) -> Option<u64> {
    match data_type {
        DataType::Byte => Some(0xff),
        DataType::Short => Some(0xffff),
        // For octets they are notes for readers (CableLabs): neither written nor shown by name.
        DataType::Integer | DataType::Signed | DataType::Date | DataType::Octets { .. } => Some(0xffff_ffff),
        DataType::Integer64 => Some(u64::MAX),
        _ => None,
    }
}
