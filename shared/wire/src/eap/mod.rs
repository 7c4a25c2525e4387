//! EAP inside RADIUS: EAP-Message attributes as one message (RFC 3579 section 3.1), and the EAP header
//! (RFC 3748 section 4).

use crate::attribute::{Attributes, gather};
use crate::number;

/// The EAP message of a packet, spread over one or more EAP-Message attributes.
#[derive(Clone, Copy, Debug)]
pub struct EapMessage<'a>(Attributes<'a>);

impl<'a> EapMessage<'a> {
    /// The EAP-Message attributes of a list.
    pub(crate) fn new(list: Attributes<'a>) -> EapMessage<'a> {
        EapMessage(list)
    }

    /// The pieces in order.
    pub fn chunks(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.0.filter(|a| a.number == number::EAP_MESSAGE).map(|a| a.value)
    }

    /// Octets of the whole message.
    pub fn octets(&self) -> usize {
        self.chunks().map(<[u8]>::len).sum()
    }

    /// Puts the pieces together in the caller's buffer; `None` when that is too small.
    pub fn copy_to<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        gather(self.chunks(), buffer)
    }
}

/// An EAP packet (RFC 3748 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eap<'a> {
    /// 1 Request, 2 Response, 3 Success, 4 Failure.
    pub code: EapCode,
    /// Pairs a response with its request.
    pub identifier: u8,
    /// The method, in requests and responses.
    pub method: Option<u8>,
    /// What follows the method.
    pub data: &'a [u8],
}

/// The code of an EAP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EapCode {
    /// From the authenticator to the peer.
    Request = 1,
    /// From the peer.
    Response = 2,
    /// The end, well.
    Success = 3,
    /// The end, not well.
    Failure = 4,
}

impl<'a> Eap<'a> {
    /// Octets of the header.
    pub const HEADER: usize = 4;

    /// Reads one EAP packet. Octets after its length are padding; `None` when it isn't one.
    pub fn parse(message: &'a [u8]) -> Option<Eap<'a>> {
        let &[code, identifier, high, low, ..] = message else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = message.get(Self::HEADER..length)?;
        let code = match code {
            1 => EapCode::Request,
            2 => EapCode::Response,
            3 => EapCode::Success,
            4 => EapCode::Failure,
            _ => return None,
        };
        match code {
            EapCode::Request | EapCode::Response => {
                let (&method, data) = body.split_first()?;
                Some(Eap { code, identifier, method: Some(method), data })
            }
            // RFC 3748 section 4.2: exactly four octets.
            _ => body.is_empty().then_some(Eap { code, identifier, method: None, data: body }),
        }
    }

    /// Writes the packet into the caller's buffer; `None` when that is too small or the packet too long.
    pub fn write<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let length = Self::HEADER + usize::from(self.method.is_some()) + self.data.len();
        let [high, low] = u16::try_from(length).ok()?.to_be_bytes();
        let out = buffer.get_mut(..length)?;
        out[..Self::HEADER].copy_from_slice(&[self.code as u8, self.identifier, high, low]);
        if let Some(method) = self.method {
            out[Self::HEADER] = method;
        }
        out[length - self.data.len()..].copy_from_slice(self.data);
        Some(out)
    }
}

/// EAP method numbers (IANA, "EAP registry").
pub mod method {
    /// Identity (RFC 3748 section 5.1).
    pub const IDENTITY: u8 = 1;
    /// Notification (RFC 3748 section 5.2).
    pub const NOTIFICATION: u8 = 2;
    /// Legacy Nak (RFC 3748 section 5.3.1).
    pub const NAK: u8 = 3;
    /// MD5-Challenge (RFC 3748 section 5.4).
    pub const MD5_CHALLENGE: u8 = 4;
    /// One-Time Password (RFC 3748 section 5.5).
    pub const OTP: u8 = 5;
    /// Generic Token Card (RFC 3748 section 5.6).
    pub const GTC: u8 = 6;
    /// EAP-TLS (RFC 5216, RFC 9190).
    pub const TLS: u8 = 13;
    /// EAP-TTLS (RFC 5281).
    pub const TTLS: u8 = 21;
    /// PEAP.
    pub const PEAP: u8 = 25;
    /// EAP-MSCHAPv2.
    pub const MSCHAPV2: u8 = 26;
    /// EAP-PWD (RFC 5931).
    pub const PWD: u8 = 52;
    /// TEAP (RFC 7170).
    pub const TEAP: u8 = 55;
    /// Expanded types (RFC 3748 section 5.7).
    pub const EXPANDED: u8 = 254;
}

#[cfg(test)]
mod tests;
