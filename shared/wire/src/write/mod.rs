//! Writing packets into a buffer of the caller's.

use crate::attribute::MORE;
use crate::authenticator::{ZEROS, digest, message_authenticator};
use crate::hide::{salted, user_password};
use crate::{
    AUTHENTICATOR, Attributes, Code, MAX_PACKET, MAX_VALUE, MIN_PACKET, Packet, RadiusKey, WriteError, number,
};

/// A packet in the making. Attributes are appended in the order of the calls; a call that fails leaves the packet
/// as it was. [`Writer::reply`] or [`Writer::request`] ends it.
///
/// Safe order is enforced where it matters: an Access-Accept, -Reject or -Challenge is refused unless
/// [`Writer::message_authenticator`] was its first attribute, an Access-Request or Status-Server unless it has one.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
    message_authenticator: Option<usize>,
}

impl<'b> Writer<'b> {
    /// Starts a packet. A buffer of [`MAX_PACKET`] octets holds any; less means [`WriteError::Full`] earlier.
    pub fn new(buffer: &'b mut [u8], code: Code, identifier: u8) -> Writer<'b> {
        let capacity = buffer.len().min(MAX_PACKET);
        let buffer = &mut buffer[..capacity];
        if let Some(header) = buffer.first_chunk_mut::<4>() {
            *header = [code.0, identifier, 0, 0];
        }
        Writer { buffer, length: MIN_PACKET, message_authenticator: None }
    }

    /// One attribute.
    pub fn attribute(&mut self, number: u8, value: &[u8]) -> Result<&mut Self, WriteError> {
        if number == number::MESSAGE_AUTHENTICATOR {
            return Err(WriteError::MessageAuthenticatorRepeated);
        }
        self.open(number, value.len())?.copy_from_slice(value);
        Ok(self)
    }

    /// An integer of 32 bits.
    pub fn integer(&mut self, number: u8, value: u32) -> Result<&mut Self, WriteError> {
        self.attribute(number, &value.to_be_bytes())
    }

    /// A list of attributes that was framed before, for example prepared once for many replies.
    pub fn attributes(&mut self, list: Attributes<'_>) -> Result<&mut Self, WriteError> {
        if list.clone().any(|a| a.number == number::MESSAGE_AUTHENTICATOR) {
            return Err(WriteError::MessageAuthenticatorRepeated);
        }
        let bytes = list.bytes();
        self.room(bytes.len())?.copy_from_slice(bytes);
        Ok(self)
    }

    /// One attribute of a vendor in a Vendor-Specific of its own (RFC 2865 section 5.26).
    pub fn vendor(
        &mut self,
        vendor: u32,
        format: VendorFormat,
        number: u32,
        value: &[u8],
    ) -> Result<&mut Self, WriteError> {
        self.vendor_tlv(vendor, format, number, &[], value)
    }

    /// As [`Writer::vendor`], with the value inside TLVs: `path` holds their types, outermost first.
    pub fn vendor_tlv(
        &mut self,
        vendor: u32,
        format: VendorFormat,
        number: u32,
        path: &[u8],
        value: &[u8],
    ) -> Result<&mut Self, WriteError> {
        let inner = nested_octets(path, value);
        let octets = format.head() + inner;
        if format.type_octets == Width::One && number > 0xff
            || format.type_octets == Width::Two && number > 0xffff
            || format.type_octets == Width::Zero
        {
            return Err(WriteError::Number { number });
        }
        if format.length_octets == Width::One && octets > 0xff {
            return Err(WriteError::TooLong { number: number::VENDOR_SPECIFIC, octets });
        }
        let out = self.open(number::VENDOR_SPECIFIC, 4 + octets)?;
        let (head, rest) = out.split_at_mut(4);
        head.copy_from_slice(&vendor.to_be_bytes());
        let (head, rest) = rest.split_at_mut(format.head());
        let (types, lengths) = head.split_at_mut(format.type_octets.octets());
        put_big_endian(types, number);
        let (lengths, continuation) = lengths.split_at_mut(format.length_octets.octets());
        put_big_endian(lengths, octets as u32);
        continuation.fill(0);
        nest(rest, path, value);
        Ok(self)
    }

    /// A tagged string (RFC 2868 section 3.1): tag 0 for none, or 1 to 31. A tagged integer is its last 24 bits.
    pub fn tagged(&mut self, number: u8, tag: u8, value: &[u8]) -> Result<&mut Self, WriteError> {
        let out = self.open(number, 1 + value.len())?;
        out[0] = tag;
        out[1..].copy_from_slice(value);
        Ok(self)
    }

    /// An extended attribute, 241 to 246 (RFC 6929). Long ones (245, 246) are split into fragments as needed.
    pub fn extended(&mut self, number: u8, extended_type: u8, value: &[u8]) -> Result<&mut Self, WriteError> {
        match number {
            number::EXTENDED_1..=number::EXTENDED_4 => {
                let out = self.open(number, 1 + value.len())?;
                out[0] = extended_type;
                out[1..].copy_from_slice(value);
                Ok(self)
            }
            number::EXTENDED_5 | number::EXTENDED_6 => self.fragments(number, extended_type, &[], value),
            _ => Err(WriteError::Number { number: number.into() }),
        }
    }

    /// An extended vendor-specific attribute, `number.26.vendor.vendor_type` (RFC 6929 section 2.4).
    pub fn extended_vendor(
        &mut self,
        number: u8,
        vendor: u32,
        vendor_type: u8,
        value: &[u8],
    ) -> Result<&mut Self, WriteError> {
        let [a, b, c, d] = vendor.to_be_bytes();
        let head = [a, b, c, d, vendor_type];
        match number {
            number::EXTENDED_1..=number::EXTENDED_4 => {
                let out = self.open(number, 1 + head.len() + value.len())?;
                out[0] = number::VENDOR_SPECIFIC;
                out[1..=head.len()].copy_from_slice(&head);
                out[1 + head.len()..].copy_from_slice(value);
                Ok(self)
            }
            number::EXTENDED_5 | number::EXTENDED_6 => {
                self.fragments(number, number::VENDOR_SPECIFIC, &head, value)
            }
            _ => Err(WriteError::Number { number: number.into() }),
        }
    }

    /// A value inside TLVs inside an attribute: `path` holds the types, outermost first (RFC 6929 section 2.3).
    pub fn tlv(&mut self, number: u8, path: &[u8], value: &[u8]) -> Result<&mut Self, WriteError> {
        let out = self.open(number, nested_octets(path, value))?;
        nest(out, path, value);
        Ok(self)
    }

    /// A value inside TLVs inside an extended attribute of 241 to 244 (RFC 6929 section 2.3).
    pub fn extended_tlv(
        &mut self,
        number: u8,
        extended_type: u8,
        path: &[u8],
        value: &[u8],
    ) -> Result<&mut Self, WriteError> {
        if !(number::EXTENDED_1..=number::EXTENDED_4).contains(&number) {
            return Err(WriteError::Number { number: number.into() });
        }
        let out = self.open(number, 1 + nested_octets(path, value))?;
        out[0] = extended_type;
        nest(&mut out[1..], path, value);
        Ok(self)
    }

    /// An EAP packet in as many EAP-Message attributes as it takes (RFC 3579 section 3.1).
    pub fn eap_message(&mut self, message: &[u8]) -> Result<&mut Self, WriteError> {
        let whole = self.length;
        for chunk in message.chunks(MAX_VALUE) {
            if let Err(error) = self.attribute(number::EAP_MESSAGE, chunk) {
                self.length = whole;
                return Err(error);
            }
        }
        Ok(self)
    }

    /// User-Password, hidden for a request with this authenticator, which has to be the one given to
    /// [`Writer::request`].
    pub fn user_password(
        &mut self,
        key: &RadiusKey,
        authenticator: &[u8; AUTHENTICATOR],
        password: &[u8],
    ) -> Result<&mut Self, WriteError> {
        let octets = password.len();
        let mut hidden = [0; user_password::MAX];
        let hidden = user_password::hide(key, authenticator, password, &mut hidden)
            .map_err(|_| WriteError::TooLong { number: number::USER_PASSWORD, octets })?;
        self.attribute(number::USER_PASSWORD, hidden)
    }

    /// Tunnel-Password, hidden for the reply to a request with this authenticator (RFC 2868 section 3.5).
    pub fn tunnel_password(
        &mut self,
        key: &RadiusKey,
        authenticator: &[u8; AUTHENTICATOR],
        tag: u8,
        salt: salted::Salt,
        password: &[u8],
    ) -> Result<&mut Self, WriteError> {
        let octets = password.len();
        let mut hidden = [0; salted::MAX_HIDDEN];
        let hidden = salted::hide(key, authenticator, salt, password, &mut hidden)
            .map_err(|_| WriteError::TooLong { number: number::TUNNEL_PASSWORD, octets })?;
        self.tagged(number::TUNNEL_PASSWORD, tag, hidden)
    }

    /// All Proxy-State attributes of `request`, unchanged and in order, as every reply has to carry them
    /// (RFC 2865 section 5.33).
    pub fn proxy_states(&mut self, request: &Packet<'_>) -> Result<&mut Self, WriteError> {
        let whole = self.length;
        if request.facts().proxy_state {
            for state in request.attributes().filter(|a| a.number == number::PROXY_STATE) {
                if let Err(error) = self.attribute(number::PROXY_STATE, state.value) {
                    self.length = whole;
                    return Err(error);
                }
            }
        }
        Ok(self)
    }

    /// Reserves Message-Authenticator here; the finishing call fills it in. First in replies to Access-Request and
    /// Status-Server, and best first everywhere.
    pub fn message_authenticator(&mut self) -> Result<&mut Self, WriteError> {
        if self.message_authenticator.is_some() {
            return Err(WriteError::MessageAuthenticatorRepeated);
        }
        let offset = self.length;
        self.open(number::MESSAGE_AUTHENTICATOR, AUTHENTICATOR)?.fill(0);
        self.message_authenticator = Some(offset);
        Ok(self)
    }

    /// The attributes written so far.
    pub fn written(&self) -> &[u8] {
        self.buffer.get(MIN_PACKET..self.length).unwrap_or(&[])
    }

    /// How many octets attributes may still take.
    pub fn remaining(&self) -> usize {
        self.buffer.len().saturating_sub(self.length)
    }

    /// Ends a reply: Message-Authenticator, then the Response Authenticator (RFC 2865 section 3, RFC 3579
    /// section 3.2). Gives the whole packet.
    pub fn reply(
        mut self,
        key: &RadiusKey,
        request_authenticator: &[u8; AUTHENTICATOR],
    ) -> Result<&'b [u8], WriteError> {
        let code = self.finish_length()?;
        if code.is_request() {
            return Err(WriteError::Finish);
        }
        if code.is_access_reply() && self.message_authenticator != Some(MIN_PACKET) {
            return Err(WriteError::MessageAuthenticatorMissing);
        }
        self.fill_message_authenticator(key, request_authenticator);
        self.fill_authenticator(&digest(&self.buffer[..self.length], request_authenticator, key));
        Ok(self.into_packet())
    }

    /// Ends a request: the authenticator and, over it, Message-Authenticator. Where the authenticator is computed,
    /// Message-Authenticator comes first and over zeros (RFC 5176 section 3.4). Gives the whole packet.
    pub fn request(
        mut self,
        key: &RadiusKey,
        authenticator: RequestAuthenticator,
    ) -> Result<&'b [u8], WriteError> {
        let code = self.finish_length()?;
        match authenticator {
            RequestAuthenticator::Chosen(chosen) if code.has_chosen_authenticator() => {
                if self.message_authenticator.is_none() {
                    return Err(WriteError::MessageAuthenticatorMissing);
                }
                self.fill_message_authenticator(key, &chosen);
                self.fill_authenticator(&chosen);
            }
            RequestAuthenticator::Computed if code.has_computed_authenticator() => {
                self.fill_message_authenticator(key, &ZEROS);
                self.fill_authenticator(&digest(&self.buffer[..self.length], &ZEROS, key));
            }
            _ => return Err(WriteError::Finish),
        }
        Ok(self.into_packet())
    }

    /// Appends an attribute's head and gives the room for its value.
    fn open(&mut self, number: u8, octets: usize) -> Result<&mut [u8], WriteError> {
        if octets > MAX_VALUE {
            return Err(WriteError::TooLong { number, octets });
        }
        let (head, value) = self.room(2 + octets)?.split_at_mut(2);
        head.copy_from_slice(&[number, 2 + octets as u8]);
        Ok(value)
    }

    /// Appends room.
    fn room(&mut self, octets: usize) -> Result<&mut [u8], WriteError> {
        let room = self.buffer.get_mut(self.length..self.length + octets).ok_or(WriteError::Full)?;
        self.length += octets;
        Ok(room)
    }

    /// A long extended attribute whose value is `head` and then `value`.
    fn fragments(
        &mut self,
        number: u8,
        extended_type: u8,
        head: &[u8],
        value: &[u8],
    ) -> Result<&mut Self, WriteError> {
        let whole = self.length;
        let (mut head, mut value) = (head, value);
        loop {
            let (first, rest) = value.split_at(value.len().min(FRAGMENT - head.len()));
            let room = match self.open(number, 2 + head.len() + first.len()) {
                Ok(room) => room,
                Err(error) => {
                    self.length = whole;
                    return Err(error);
                }
            };
            room[0] = extended_type;
            room[1] = if rest.is_empty() { 0 } else { MORE };
            room[2..2 + head.len()].copy_from_slice(head);
            room[2 + head.len()..].copy_from_slice(first);
            if rest.is_empty() {
                return Ok(self);
            }
            (head, value) = (&[], rest);
        }
    }

    /// Writes the Length field; the code is what the finishing calls look at.
    fn finish_length(&mut self) -> Result<Code, WriteError> {
        let header = self.buffer.get_mut(..MIN_PACKET).ok_or(WriteError::Full)?;
        header[2..4].copy_from_slice(&(self.length as u16).to_be_bytes());
        Ok(Code(header[0]))
    }

    fn fill_authenticator(&mut self, authenticator: &[u8; AUTHENTICATOR]) {
        self.buffer[4..MIN_PACKET].copy_from_slice(authenticator);
    }

    fn fill_message_authenticator(&mut self, key: &RadiusKey, field: &[u8; AUTHENTICATOR]) {
        if let Some(offset) = self.message_authenticator {
            let value = message_authenticator(&self.buffer[..self.length], field, offset, key);
            self.buffer[offset + 2..offset + 2 + AUTHENTICATOR].copy_from_slice(&value);
        }
    }

    fn into_packet(self) -> &'b [u8] {
        &self.buffer[..self.length]
    }
}

/// Where a request's authenticator comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestAuthenticator {
    /// Sixteen octets nobody can foresee: Access-Request and Status-Server.
    Chosen([u8; AUTHENTICATOR]),
    /// The digest over packet and secret: accounting, CoA and Disconnect.
    Computed,
}

/// How a vendor lays out attributes inside Vendor-Specific: FreeRADIUS's `format=type,length,c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorFormat {
    /// Octets of the type: 1, 2 or 4.
    pub type_octets: Width,
    /// Octets of the length: 0, 1 or 2; it counts type, length and continuation too.
    pub length_octets: Width,
    /// Whether an octet with a More bit follows (WiMAX).
    pub continuation: bool,
}

impl VendorFormat {
    /// What RFC 2865 recommends and nearly everybody uses: one octet each.
    pub const STANDARD: VendorFormat =
        VendorFormat { type_octets: Width::One, length_octets: Width::One, continuation: false };

    /// The format with these widths; `None` for widths that no vendor has.
    pub const fn new(type_octets: u8, length_octets: u8, continuation: bool) -> Option<VendorFormat> {
        let type_octets = match type_octets {
            1 => Width::One,
            2 => Width::Two,
            4 => Width::Four,
            _ => return None,
        };
        let length_octets = match length_octets {
            0 => Width::Zero,
            1 => Width::One,
            2 => Width::Two,
            _ => return None,
        };
        Some(VendorFormat { type_octets, length_octets, continuation })
    }

    /// Octets before the value.
    pub const fn head(self) -> usize {
        self.type_octets.octets() + self.length_octets.octets() + self.continuation as usize
    }
}

impl Default for VendorFormat {
    fn default() -> Self {
        VendorFormat::STANDARD
    }
}

/// Octets of a number field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Not there.
    Zero,
    /// One octet.
    One,
    /// Two octets.
    Two,
    /// Four octets.
    Four,
}

impl Width {
    /// How many octets.
    pub const fn octets(self) -> usize {
        match self {
            Width::Zero => 0,
            Width::One => 1,
            Width::Two => 2,
            Width::Four => 4,
        }
    }
}

/// Octets that `value` takes inside the TLVs of `path`.
fn nested_octets(path: &[u8], value: &[u8]) -> usize {
    2 * path.len() + value.len()
}

/// Writes `value` inside the TLVs of `path`; `out` has exactly the room, which the attribute's limit keeps below 256.
fn nest(out: &mut [u8], path: &[u8], value: &[u8]) {
    let octets = out.len();
    let (heads, inside) = out.split_at_mut(2 * path.len());
    for (level, (head, &kind)) in heads.chunks_exact_mut(2).zip(path).enumerate() {
        head.copy_from_slice(&[kind, (octets - 2 * level) as u8]);
    }
    inside.copy_from_slice(value);
}

/// The last octets of `number`, as many as `out` has.
fn put_big_endian(out: &mut [u8], number: u32) {
    let octets = number.to_be_bytes();
    out.copy_from_slice(&octets[octets.len() - out.len()..]);
}

/// Octets of value in one fragment of a long extended attribute.
const FRAGMENT: usize = 251;

#[cfg(test)]
mod tests;
