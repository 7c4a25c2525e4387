//! Replies: attributes encoded when the configuration was loaded, put together per request.

use forewarn_wire::hide::salted;
use forewarn_wire::{Attributes, Packet, RadiusKey, VendorFormat, WriteError, Writer, number};
use rand_core::Rng;

use crate::config::{ReplyAttribute, ReplyValue};
use crate::policy::Edits;

/// What a user's Access-Accept carries. Where nothing has to be hidden or replaced, writing it is one copy.
#[derive(Debug, Default)]
pub struct Template {
    attributes: Vec<ReplyAttribute>,
    /// All attributes that are the same in every reply, in order.
    encoded: Box<[u8]>,
    hides: bool,
}

impl Template {
    /// From the configuration's attributes.
    pub fn new(attributes: &[ReplyAttribute]) -> Self {
        let encoded = attributes.iter().filter_map(|attribute| match &attribute.value {
            ReplyValue::Encoded(octets) => Some(octets.as_ref()),
            ReplyValue::Hidden { .. } => None,
        });
        let encoded: Vec<u8> = encoded.collect::<Vec<_>>().concat();
        let hides = attributes.iter().any(|attribute| matches!(attribute.value, ReplyValue::Hidden { .. }));
        Self { attributes: attributes.to_vec(), encoded: encoded.into(), hides }
    }

    /// Writes the attributes that `edits` keeps, then those that it puts in; with a Session-Timeout of at most
    /// `longest`, seconds.
    pub fn write(
        &self,
        writer: &mut Writer<'_>,
        hiding: &mut Hiding<'_>,
        edits: &Edits<'_>,
        longest: Option<u32>,
    ) -> Result<(), WriteError> {
        if edits.is_empty() && !self.hides && longest.is_none() {
            return write_list(writer, &self.encoded);
        }
        write_edited(writer, hiding, self.attributes.iter().map(Written::from), edits, longest)
    }

    /// Whether the standard attribute of these numbers is among them.
    pub fn has(&self, numbers: &[u32]) -> bool {
        self.attributes.iter().any(|attribute| attribute.vendor == 0 && *attribute.numbers == *numbers)
    }

    /// Writes all attributes.
    pub fn write_all(&self, writer: &mut Writer<'_>, hiding: &mut Hiding<'_>) -> Result<(), WriteError> {
        write_all(writer, hiding, &self.attributes)
    }
}

/// One attribute of a reply, as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The vendor's number; 0: the standard space.
    pub vendor: u32,
    /// The attribute's numbers.
    pub numbers: &'a [u32],
    /// Its octets.
    pub value: WrittenValue<'a>,
}

/// The octets of an attribute of a reply.
#[derive(Debug, Clone, Copy)]
pub enum WrittenValue<'a> {
    /// One or more whole attributes.
    Octets(&'a [u8]),
    /// What is to be hidden, and the tag in front.
    Hidden(Option<u8>, &'a [u8]),
}

impl<'a> From<&'a ReplyAttribute> for Written<'a> {
    fn from(attribute: &'a ReplyAttribute) -> Self {
        let value = match &attribute.value {
            ReplyValue::Encoded(octets) => WrittenValue::Octets(octets),
            ReplyValue::Hidden { tag, value } => WrittenValue::Hidden(*tag, value.octets()),
        };
        Self { vendor: attribute.vendor, numbers: &attribute.numbers, value }
    }
}

impl Written<'_> {
    /// The seconds, where it is one Session-Timeout.
    fn session_timeout(&self) -> Option<u32> {
        let WrittenValue::Octets([_, _, seconds @ ..]) = self.value else { return None };
        let is_one = self.vendor == 0 && *self.numbers == [u32::from(number::SESSION_TIMEOUT)];
        Some(u32::from_be_bytes(seconds.try_into().ok()?)).filter(|_| is_one)
    }
}

/// Writes the attributes that `edits` keeps, then those that it puts in. The first Session-Timeout is at most
/// `longest`; where there is none, it is that.
#[allow(clippy::map_identity, reason = "it shortens a lifetime, so that both parts are of one type")]
pub fn write_edited<'t>(
    writer: &mut Writer<'_>,
    hiding: &mut Hiding<'_>,
    attributes: impl Iterator<Item = Written<'t>>,
    edits: &Edits<'_>,
    mut longest: Option<u32>,
) -> Result<(), WriteError> {
    let kept = attributes.filter(|attribute| edits.keep(attribute.vendor, attribute.numbers));
    let put_in = edits.attributes().map(|(_, attribute)| Written::from(attribute));
    for attribute in kept.map(|kept| -> Written<'_> { kept }).chain(put_in) {
        match (attribute.session_timeout(), longest) {
            (Some(seconds), Some(most)) => {
                writer.integer(number::SESSION_TIMEOUT, seconds.min(most))?;
                longest = None;
            }
            _ => write_one(writer, hiding, &attribute)?,
        }
    }
    match longest {
        Some(longest) => writer.integer(number::SESSION_TIMEOUT, longest).map(|_| ()),
        None => Ok(()),
    }
}

/// What hiding a value in a reply takes.
pub struct Hiding<'a> {
    /// The client's key.
    pub key: &'a RadiusKey,
    /// The request.
    pub request: &'a Packet<'a>,
    /// For salts.
    pub random: &'a mut dyn Rng,
    /// Of the next salt; salts within one packet have to differ.
    pub salt: Option<u16>,
}

impl Hiding<'_> {
    /// Writes a vendor's attribute, hidden with a salt (RFC 2548 section 2.4.2).
    ///
    /// # Errors
    /// There is no room for it.
    pub fn write_vendor(
        &mut self,
        writer: &mut Writer<'_>,
        vendor: u32,
        attribute: u32,
        value: &[u8],
    ) -> Result<(), WriteError> {
        let salt = self.next_salt();
        let mut hidden = [0; salted::MAX_HIDDEN];
        let hidden = salted::hide(self.key, self.request.authenticator(), salt, value, &mut hidden)
            .map_err(|_| WriteError::TooLong { number: number::VENDOR_SPECIFIC, octets: value.len() })?;
        writer.vendor(vendor, VendorFormat::STANDARD, attribute, hidden).map(|_| ())
    }

    fn next_salt(&mut self) -> salted::Salt {
        let salt = match self.salt {
            Some(salt) => salt.wrapping_add(1),
            None => self.random.next_u32() as u16,
        };
        self.salt = Some(salt);
        salted::Salt::new(salt)
    }
}

/// Writes attributes, each hidden where it has to be.
pub fn write_all<'t>(
    writer: &mut Writer<'_>,
    hiding: &mut Hiding<'_>,
    attributes: impl IntoIterator<Item = &'t ReplyAttribute>,
) -> Result<(), WriteError> {
    attributes.into_iter().try_for_each(|attribute| write_one(writer, hiding, &attribute.into()))
}

/// Writes one attribute, hidden where it has to be.
pub fn write_one(
    writer: &mut Writer<'_>,
    hiding: &mut Hiding<'_>,
    attribute: &Written<'_>,
) -> Result<(), WriteError> {
    match attribute.value {
        WrittenValue::Octets(octets) => write_list(writer, octets),
        WrittenValue::Hidden(tag, value) => write_hidden(writer, hiding, attribute, tag, value),
    }
}

fn write_list(writer: &mut Writer<'_>, octets: &[u8]) -> Result<(), WriteError> {
    // Encoded by the dictionary, so that framing it can't fail.
    if let Ok(list) = Attributes::parse(octets) {
        writer.attributes(list)?;
    }
    Ok(())
}

/// RFC 2868 section 3.5 (Tunnel-Password) and RFC 2548 section 2.4.2 (MS-MPPE keys and their like).
fn write_hidden(
    writer: &mut Writer<'_>,
    hiding: &mut Hiding<'_>,
    attribute: &Written<'_>,
    tag: Option<u8>,
    value: &[u8],
) -> Result<(), WriteError> {
    let attribute_number = attribute.numbers.last().copied().unwrap_or(u32::from(number::TUNNEL_PASSWORD));
    let salt = hiding.next_salt();
    let mut hidden = [0; salted::MAX_HIDDEN + 1];
    let head = usize::from(tag.is_some());
    hidden[0] = tag.unwrap_or(0);
    let authenticator = hiding.request.authenticator();
    let octets = salted::hide(hiding.key, authenticator, salt, value, &mut hidden[head..])
        .map_err(|_| WriteError::TooLong { number: attribute_number as u8, octets: value.len() })?
        .len();
    let hidden = &hidden[..head + octets];
    if attribute.vendor == 0 {
        let narrow =
            u8::try_from(attribute_number).map_err(|_| WriteError::Number { number: attribute_number })?;
        writer.attribute(narrow, hidden)?;
    } else {
        writer.vendor(attribute.vendor, VendorFormat::STANDARD, attribute_number, hidden)?;
    }
    Ok(())
}
