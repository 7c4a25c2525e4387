//! The tables: names to numbers and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::attribute::{Attribute, Carrier};
use crate::error::DictError;
use crate::load;
use crate::suggest;
use crate::vendor::{Vendor, VendorFormat};

/// Attributes, their named values, and vendors. Look-ups by name ignore case.
///
/// Where two attributes share a number, or two values of an attribute, the later definition gives the name back,
/// and both names lead to the number.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) names: BTreeMap<Box<str>, usize>,
    pub(crate) places: BTreeMap<Key, usize>,
    pub(crate) vendors: Vec<Vendor>,
    pub(crate) vendor_names: BTreeMap<Box<str>, usize>,
    pub(crate) vendor_numbers: BTreeMap<u32, usize>,
    pub(crate) values: BTreeMap<Key, Values>,
    pub(crate) aliases: BTreeMap<Key, Key>,
}

/// An attribute's place as one row of numbers: 0 or 26 or 241 to 246, the vendor, the numbers.
pub(crate) type Key = Box<[u32]>;

/// The named values of one attribute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    pub(crate) by_name: BTreeMap<Box<str>, u64>,
    pub(crate) by_number: BTreeMap<u64, Arc<str>>,
}

impl Dictionary {
    /// Reads a dictionary file and all it includes.
    ///
    /// # Errors
    /// Every error in every file, in the order of reading.
    pub fn load(path: impl AsRef<std::path::Path>) -> Result<Self, Vec<DictError>> {
        let mut dictionary = Self::default();
        dictionary.extend(path)?;
        Ok(dictionary)
    }

    /// The dictionaries of this program: those of the folder `dictionaries/`, compiled in, read at the first call.
    pub fn embedded() -> &'static Self {
        crate::embedded::dictionary()
    }

    /// Reads a further file, and all it includes, on top of what is here. Where the two contradict each other the file
    /// wins; within the file a name has one meaning. Nothing changes when there are errors.
    ///
    /// # Errors
    /// Every error in every file, in the order of reading.
    pub fn extend(&mut self, path: impl AsRef<std::path::Path>) -> Result<(), Vec<DictError>> {
        let (dictionary, report) = load::on_top(self, path.as_ref());
        if !report.errors.is_empty() {
            return Err(report.errors);
        }
        *self = dictionary;
        Ok(())
    }

    /// Reads a further dictionary from a text, as [`extend`](Self::extend) does from a file. `name` stands for the
    /// file in errors; the text can't include others.
    ///
    /// # Errors
    /// Every error in the text.
    pub fn extend_from_text(&mut self, name: &str, text: &str) -> Result<(), Vec<DictError>> {
        let (dictionary, report) = load::text_on_top(self, name, text);
        if !report.errors.is_empty() {
            return Err(report.errors);
        }
        *self = dictionary;
        Ok(())
    }

    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.names.get(fold(name).as_str()).map(|at| &self.attributes[*at])
    }

    /// The attribute of that number: `vendor` 0 for standard attributes, `numbers` outermost first.
    pub fn attribute_by_number(&self, vendor: u32, numbers: &[u32]) -> Option<&Attribute> {
        let carrier = if vendor == 0 { Carrier::Standard } else { Carrier::Vendor(vendor) };
        self.attribute_at(carrier, numbers)
    }

    /// The attribute of that place, the extended vendors' space included.
    pub fn attribute_at(&self, carrier: Carrier, numbers: &[u32]) -> Option<&Attribute> {
        self.places.get(&key(carrier, numbers)).map(|at| &self.attributes[*at])
    }

    /// All attributes, in the order of their first definition.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter()
    }

    /// The vendor of that name.
    pub fn vendor(&self, name: &str) -> Option<&Vendor> {
        self.vendor_names.get(fold(name).as_str()).map(|at| &self.vendors[*at])
    }

    /// The vendor of that enterprise number.
    pub fn vendor_by_number(&self, number: u32) -> Option<&Vendor> {
        self.vendor_numbers.get(&number).map(|at| &self.vendors[*at])
    }

    /// All vendors, in the order of their first definition.
    pub fn vendors(&self) -> impl Iterator<Item = &Vendor> {
        self.vendors.iter()
    }

    /// How a vendor's attributes are laid out; what RFC 2865 recommends for vendors unknown here.
    pub fn vendor_format(&self, number: u32) -> VendorFormat {
        self.vendor_by_number(number).map_or(VendorFormat::RFC, Vendor::format)
    }

    /// The number of a named value, as in `Service-Type` `Framed-User`.
    pub fn value_number(&self, attribute: &Attribute, name: &str) -> Option<u64> {
        self.values_of(attribute)?.by_name.get(fold(name).as_str()).copied()
    }

    /// The name of a value.
    pub fn value_name(&self, attribute: &Attribute, number: u64) -> Option<&str> {
        self.values_of(attribute)?.by_number.get(&number).map(|name| &**name)
    }

    /// The named values of an attribute by number, one name each.
    pub fn values(&self, attribute: &Attribute) -> impl Iterator<Item = (u64, &str)> {
        self.values_of(attribute)
            .into_iter()
            .flat_map(|values| values.by_number.iter().map(|(number, name)| (*number, &**name)))
    }

    /// The attribute name most like `name`, for "did you mean".
    pub fn suggest_attribute(&self, name: &str) -> Option<&str> {
        suggest::nearest(name, self.attributes.iter().map(|attribute| &*attribute.name))
    }

    /// The value name most like `name` among those of the attribute.
    pub fn suggest_value(&self, attribute: &Attribute, name: &str) -> Option<&str> {
        suggest::nearest(name, self.values(attribute).map(|(_, name)| name))
    }

    fn values_of(&self, attribute: &Attribute) -> Option<&Values> {
        let own = key(attribute.path.carrier, &attribute.path.numbers);
        self.values.get(self.aliases.get(&own).unwrap_or(&own))
    }
}

/// The place of an attribute as one row of numbers.
pub(crate) fn key(carrier: Carrier, numbers: &[u32]) -> Key {
    let (space, vendor) = match carrier {
        Carrier::Standard => (0, 0),
        Carrier::Vendor(vendor) => (26, vendor),
        Carrier::ExtendedVendor { attribute, vendor } => (u32::from(attribute), vendor),
    };
    [space, vendor].into_iter().chain(numbers.iter().copied()).collect()
}

/// Names are compared without case.
pub(crate) fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}
