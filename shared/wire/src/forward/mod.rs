//! A packet on its way to the next hop: identifier, authenticator, secret and everything hidden with them change,
//! the rest goes on as it came (RFC 2865 section 2.3).

mod hidden;

use thiserror::Error;

use crate::authenticator::ZEROS;
use crate::{
    AUTHENTICATOR, Attribute, Code, HideError, Packet, RadiusKey, RequestAuthenticator, Verified, WriteError,
    Writer, number,
};
use hidden::rehide;

/// One side of a hop: the secret shared there, and the Request Authenticator that is used there.
#[derive(Clone, Copy, Debug)]
pub struct Leg<'a> {
    /// The secret shared with the peer on this side.
    pub key: &'a RadiusKey,
    /// The authenticator of the request on this side.
    pub authenticator: &'a [u8; AUTHENTICATOR],
}

/// How a request goes out.
#[derive(Clone, Copy, Debug)]
pub struct Onward<'a> {
    /// The secret shared with the next hop.
    pub key: &'a RadiusKey,
    /// The identifier to use there.
    pub identifier: u8,
    /// Sixteen octets nobody can foresee, for Access-Request and Status-Server; accounting, CoA and Disconnect compute
    /// theirs and don't look at it.
    pub authenticator: [u8; AUTHENTICATOR],
    /// Seconds that the request has waited here: Acct-Delay-Time rises by it (RFC 2866 section 5.2).
    pub delay_s: u32,
    /// A Proxy-State of ours to add at the end.
    pub proxy_state: Option<&'a [u8]>,
}

/// Writes `request`, which came in under `from`, as it goes out.
///
/// User-Password and whatever else is hidden is revealed with the old secret and authenticator and hidden with the new;
/// CHAP-Challenge is added where the old authenticator was the challenge (RFC 2865 section 5.3);
/// Message-Authenticator comes first, except in accounting, where it is left off. In CoA and Disconnect requests, whose
/// authenticator isn't known when they are written, zeros stand for it in what is hidden
/// (draft-ietf-radext-deprecating-radius, "Tunnel-Password and CoA-Request packets"); in accounting nothing is hidden anew.
pub fn request<'b>(
    request: &Verified<Packet<'_>>,
    from: &RadiusKey,
    onward: &Onward<'_>,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], ForwardError> {
    let code = request.code();
    if !code.is_request() {
        return Err(ForwardError::Code(code));
    }
    let (before, after) = match code.is_dynamic_authorization_request() {
        true => (&ZEROS, &ZEROS),
        false => (request.authenticator(), &onward.authenticator),
    };
    let old = Leg { key: from, authenticator: before };
    let new = Leg { key: onward.key, authenticator: after };
    let mut writer = Writer::new(buffer, code, onward.identifier);
    if code != Code::ACCOUNTING_REQUEST {
        writer.message_authenticator()?;
    }
    let mut seen = Seen::default();
    for attribute in request.attributes() {
        seen.note(attribute.number);
        match attribute.number {
            number::MESSAGE_AUTHENTICATOR => {}
            number::ACCT_DELAY_TIME if code == Code::ACCOUNTING_REQUEST => {
                delay(&mut writer, &attribute, onward.delay_s)?;
            }
            _ if code == Code::ACCOUNTING_REQUEST => copy(&mut writer, &attribute)?,
            _ => rehide(&mut writer, &attribute, old, new)?,
        }
    }
    if code == Code::ACCESS_REQUEST && seen.chap_password && !seen.chap_challenge {
        writer.attribute(number::CHAP_CHALLENGE, request.authenticator())?;
    }
    if code == Code::ACCOUNTING_REQUEST && onward.delay_s > 0 && !seen.delay {
        writer.integer(number::ACCT_DELAY_TIME, onward.delay_s)?;
    }
    if let Some(state) = onward.proxy_state {
        writer.attribute(number::PROXY_STATE, state)?;
    }
    let authenticator = match code.has_chosen_authenticator() {
        true => RequestAuthenticator::Chosen(onward.authenticator),
        false => RequestAuthenticator::Computed,
    };
    Ok(writer.request(onward.key, authenticator)?)
}

/// Writes `reply`, which came in under `from` (the next hop's secret and the authenticator we used there), as it goes
/// back under `to` (the asker's secret and authenticator) with the asker's `identifier`.
///
/// Tunnel-Password, the MPPE keys and whatever else is hidden is hidden anew, with its salt kept; a Proxy-State equal to
/// `proxy_state` is ours and taken off, the last one only. Message-Authenticator comes first, except in accounting, which
/// needs none.
pub fn reply<'b>(
    reply: &Verified<Packet<'_>>,
    from: Leg<'_>,
    to: Leg<'_>,
    identifier: u8,
    proxy_state: Option<&[u8]>,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], ForwardError> {
    let code = reply.code();
    if code.is_request() {
        return Err(ForwardError::Code(code));
    }
    let ours = proxy_state.and_then(|state| {
        let last = reply.attributes().filter(|a| a.number == number::PROXY_STATE).last()?;
        (last.value == state).then_some(last.offset)
    });
    let mut writer = Writer::new(buffer, code, identifier);
    if code != Code::ACCOUNTING_RESPONSE {
        writer.message_authenticator()?;
    }
    for attribute in reply.attributes() {
        match attribute.number {
            number::MESSAGE_AUTHENTICATOR => {}
            number::PROXY_STATE if Some(attribute.offset) == ours => {}
            _ if code.is_access_reply() => rehide(&mut writer, &attribute, from, to)?,
            _ => copy(&mut writer, &attribute)?,
        }
    }
    Ok(writer.reply(to.key, to.authenticator)?)
}

/// The packet can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ForwardError {
    /// A reply given as a request, or the other way round.
    #[error("{0} can't be forwarded this way")]
    Code(Code),
    /// The packet would grow over 4096 octets, or the buffer is too small.
    #[error("the packet can't be written: {0}")]
    Write(#[from] WriteError),
    /// A hidden value can't be revealed: the peer's doing, or another secret.
    #[error("attribute {number} can't be re-encrypted: {cause}")]
    Hidden {
        /// The attribute's number; 26 for a vendor's.
        number: u8,
        /// What is wrong with it.
        cause: HideError,
    },
}

/// Which attributes came by.
#[derive(Default)]
struct Seen {
    chap_password: bool,
    chap_challenge: bool,
    delay: bool,
}

impl Seen {
    fn note(&mut self, number: u8) {
        match number {
            number::CHAP_PASSWORD => self.chap_password = true,
            number::CHAP_CHALLENGE => self.chap_challenge = true,
            number::ACCT_DELAY_TIME => self.delay = true,
            _ => {}
        }
    }
}

/// Acct-Delay-Time, raised; one that is no integer goes on as it came.
fn delay(writer: &mut Writer<'_>, attribute: &Attribute<'_>, delay_s: u32) -> Result<(), WriteError> {
    match attribute.integer() {
        Some(before) => writer.integer(attribute.number, before.saturating_add(delay_s))?,
        None => writer.attribute(attribute.number, attribute.value)?,
    };
    Ok(())
}

/// As it came.
fn copy(writer: &mut Writer<'_>, attribute: &Attribute<'_>) -> Result<(), WriteError> {
    writer.attribute(attribute.number, attribute.value)?;
    Ok(())
}

#[cfg(test)]
mod tests;
