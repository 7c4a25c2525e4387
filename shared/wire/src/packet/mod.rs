//! A packet and its frame (RFC 2865 section 3).

use core::fmt;

use crate::attribute::{Attributes, ExtendedValues};
use crate::eap::EapMessage;
use crate::{AUTHENTICATOR, Code, FrameError, MAX_PACKET, MIN_PACKET, Unverified, number};

/// One framed packet, borrowed from the datagram it came in. All lengths inside are right; nothing else is known.
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    facts: Facts,
}

impl<'a> Packet<'a> {
    /// Frames a datagram. Octets after the Length field's worth are padding and ignored (RFC 2865 section 3);
    /// every attribute's length is checked, so that iterating can't fail later.
    pub fn parse(datagram: &'a [u8]) -> Result<Unverified<Packet<'a>>, FrameError> {
        let octets = datagram.len();
        if octets < MIN_PACKET {
            return Err(FrameError::Short { octets });
        }
        let length = usize::from(u16::from_be_bytes([datagram[2], datagram[3]]));
        if !(MIN_PACKET..=MAX_PACKET).contains(&length) {
            return Err(FrameError::LengthField { length });
        }
        let bytes = datagram.get(..length).ok_or(FrameError::Truncated { length, octets })?;
        let facts = Facts::survey(bytes)?;
        Ok(Unverified::new(Packet { bytes, facts }))
    }

    /// What kind of packet it is.
    pub fn code(&self) -> Code {
        Code(self.bytes[0])
    }

    /// The identifier that pairs a reply with its request.
    pub fn identifier(&self) -> u8 {
        self.bytes[1]
    }

    /// The Request or Response Authenticator.
    pub fn authenticator(&self) -> &'a [u8; AUTHENTICATOR] {
        self.bytes[4..].first_chunk().expect("a framed packet has a whole header")
    }

    /// The attributes in order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::framed(&self.bytes[MIN_PACKET..], MIN_PACKET)
    }

    /// The value of the first attribute with this number.
    pub fn find(&self, number: u8) -> Option<&'a [u8]> {
        self.attributes().find(|a| a.number == number).map(|a| a.value)
    }

    /// All EAP-Message attributes as one message, or `None` when there is none (RFC 3579 section 3.1).
    pub fn eap_message(&self) -> Option<EapMessage<'a>> {
        self.facts.eap.then(|| EapMessage::new(self.attributes()))
    }

    /// The values of an extended or long extended attribute (RFC 6929), fragments put together.
    pub fn extended(&self, number: u8, extended_type: u8) -> ExtendedValues<'a> {
        ExtendedValues::new(self.attributes(), number, extended_type)
    }

    /// Whether it has at least one Message-Authenticator.
    pub fn has_message_authenticator(&self) -> bool {
        self.facts.message_authenticator != Placement::Absent
    }

    /// Whether its first attribute is a Message-Authenticator.
    pub fn starts_with_message_authenticator(&self) -> bool {
        matches!(self.facts.message_authenticator, Placement::At(offset) if usize::from(offset) == MIN_PACKET)
    }

    /// Whether it has an EAP-Message.
    pub fn has_eap_message(&self) -> bool {
        self.facts.eap
    }

    /// The packet's octets, padding left off.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What framing found out on the way.
    pub(crate) fn facts(&self) -> Facts {
        self.facts
    }

    /// A packet from octets that were framed before.
    pub(crate) fn framed(bytes: &'a [u8], facts: Facts) -> Packet<'a> {
        Packet { bytes, facts }
    }
}

impl PartialEq for Packet<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Packet<'_> {}

impl fmt::Debug for Packet<'_> {
    /// Header and attribute numbers only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} id {} [", self.code(), self.identifier())?;
        for (index, attribute) in self.attributes().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { " " }, attribute.number)?;
        }
        f.write_str("]")
    }
}

/// What the walk over the attributes found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Where Message-Authenticator stands.
    pub(crate) message_authenticator: Placement,
    /// An EAP-Message is there.
    pub(crate) eap: bool,
    /// A Proxy-State is there.
    pub(crate) proxy_state: bool,
}

/// Where Message-Authenticator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Nowhere.
    Absent,
    /// Its attribute starts at this octet of the packet.
    At(u16),
    /// It stands there twice or has the wrong length.
    Malformed,
}

impl Facts {
    /// Walks over all attributes of a packet whose Length field is right.
    fn survey(bytes: &[u8]) -> Result<Facts, FrameError> {
        let mut facts = Facts { message_authenticator: Placement::Absent, eap: false, proxy_state: false };
        let mut offset = MIN_PACKET;
        while offset < bytes.len() {
            let &[number, length, ..] = &bytes[offset..] else {
                return Err(FrameError::AttributeLength { offset });
            };
            let next = offset + usize::from(length);
            if length < 2 || next > bytes.len() {
                return Err(FrameError::AttributeLength { offset });
            }
            match number {
                number::MESSAGE_AUTHENTICATOR => {
                    let fits = usize::from(length) == 2 + AUTHENTICATOR;
                    facts.message_authenticator = match facts.message_authenticator {
                        Placement::Absent if fits => Placement::At(offset as u16),
                        _ => Placement::Malformed,
                    };
                }
                number::EAP_MESSAGE => facts.eap = true,
                number::PROXY_STATE => facts.proxy_state = true,
                _ => {}
            }
            offset = next;
        }
        Ok(facts)
    }
}

#[cfg(test)]
mod tests;
