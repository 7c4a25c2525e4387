//! Request and Response Authenticators and Message-Authenticator: what makes a packet [`Verified`].
//!
//! Position is never judged, only presence and value (draft-ietf-radext-deprecating-radius).

use hmac::Mac;
use md5::Digest;
use subtle::ConstantTimeEq;

use crate::packet::Placement;
use crate::{AUTHENTICATOR, Code, Forgery, MIN_PACKET, Packet, RadiusKey, Unverified, Verified};

/// When an Access-Request, or the reply to one, may lack Message-Authenticator (CVE-2024-3596). With EAP-Message
/// and on Status-Server it may never; where it stands, it is always verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageAuthenticatorRule {
    /// Never.
    #[default]
    Required,
    /// Always: for old NASes.
    Optional,
    /// Only without Proxy-State, which an old NAS has no reason to send (`limit_proxy_state`).
    OptionalUnlessProxyState,
}

impl<'a> Unverified<Packet<'a>> {
    /// Verifies a request that came in.
    ///
    /// Access-Request and Status-Server have a random authenticator, so that only Message-Authenticator can vouch
    /// for them (RFC 2869 section 5.14, RFC 5997 section 3); accounting, CoA and Disconnect requests have a
    /// computed one (RFC 2866 section 3, RFC 5176 section 2.3).
    pub fn verify_request(
        self,
        key: &RadiusKey,
        rule: MessageAuthenticatorRule,
    ) -> Result<Verified<Packet<'a>>, Forgery> {
        let packet = self.into_inner();
        let code = packet.code();
        if !code.is_request() {
            return Err(Forgery::CodeUnexpected);
        }
        let rule = match code {
            Code::ACCESS_REQUEST => rule,
            Code::STATUS_SERVER => MessageAuthenticatorRule::Required,
            _ => MessageAuthenticatorRule::Optional,
        };
        check_presence(&packet, rule)?;
        let chosen = code.has_chosen_authenticator();
        let field = if chosen { packet.authenticator() } else { &ZEROS };
        if !chosen && !equal(&digest(packet.bytes(), &ZEROS, key), packet.authenticator()) {
            return Err(Forgery::BadAuthenticator);
        }
        check_message_authenticator(&packet, field, key)?;
        Ok(Verified::new(packet))
    }

    /// Verifies a reply to a request of ours that had this code and this authenticator.
    ///
    /// The presence of Message-Authenticator is judged before anything else, where it is required: in replies to
    /// Access-Request and Status-Server. The identifier is the caller's affair, who found the request by it.
    pub fn verify_reply(
        self,
        key: &RadiusKey,
        request_code: Code,
        request_authenticator: &[u8; AUTHENTICATOR],
        rule: MessageAuthenticatorRule,
    ) -> Result<Verified<Packet<'a>>, Forgery> {
        let packet = self.into_inner();
        let rule = match (request_code.has_chosen_authenticator(), rule) {
            (true, MessageAuthenticatorRule::Required) => MessageAuthenticatorRule::Required,
            _ => MessageAuthenticatorRule::Optional,
        };
        check_presence(&packet, rule)?;
        if !packet.code().answers(request_code) {
            return Err(Forgery::CodeUnexpected);
        }
        let expected = digest(packet.bytes(), request_authenticator, key);
        if !equal(&expected, packet.authenticator()) {
            return Err(Forgery::BadAuthenticator);
        }
        match check_message_authenticator(&packet, request_authenticator, key) {
            // FreeRADIUS computes it over zeros in Accounting-Response, as in Accounting-Request; no RFC says.
            Err(_) if request_code == Code::ACCOUNTING_REQUEST => {
                check_message_authenticator(&packet, &ZEROS, key)?;
            }
            result => result?,
        }
        Ok(Verified::new(packet))
    }
}

/// MD5(code, identifier, length | `field` | attributes | secret): the Response Authenticator when `field` is the
/// request's authenticator (RFC 2865 section 3), the Request Authenticator of accounting, CoA and Disconnect when it is
/// zeros. `packet` has to be a whole packet; its own authenticator field is not looked at.
pub fn digest(packet: &[u8], field: &[u8; AUTHENTICATOR], key: &RadiusKey) -> [u8; AUTHENTICATOR] {
    let (header, attributes) = split(packet);
    md5::Md5::new()
        .chain_update(header)
        .chain_update(field)
        .chain_update(attributes)
        .chain_update(key.secret())
        .finalize()
        .into()
}

/// HMAC-MD5 over the packet with `field` in place of its authenticator and zeros in place of the
/// Message-Authenticator whose attribute starts at octet `offset` (RFC 3579 section 3.2).
pub fn message_authenticator(
    packet: &[u8],
    field: &[u8; AUTHENTICATOR],
    offset: usize,
    key: &RadiusKey,
) -> [u8; AUTHENTICATOR] {
    let (header, attributes) = split(packet);
    let value = (offset + 2).saturating_sub(MIN_PACKET).min(attributes.len());
    let after = (value + AUTHENTICATOR).min(attributes.len());
    key.hmac()
        .chain_update(header)
        .chain_update(field)
        .chain_update(&attributes[..value])
        .chain_update(ZEROS)
        .chain_update(&attributes[after..])
        .finalize()
        .into_bytes()
        .into()
}

/// Is it there where it has to be?
fn check_presence(packet: &Packet<'_>, rule: MessageAuthenticatorRule) -> Result<(), Forgery> {
    let facts = packet.facts();
    if facts.message_authenticator != Placement::Absent {
        return Ok(());
    }
    if facts.eap {
        return Err(Forgery::EapWithoutMessageAuthenticator);
    }
    match rule {
        MessageAuthenticatorRule::Required => Err(Forgery::MissingMessageAuthenticator),
        MessageAuthenticatorRule::OptionalUnlessProxyState if facts.proxy_state => {
            Err(Forgery::ProxyStateWithoutMessageAuthenticator)
        }
        _ => Ok(()),
    }
}

/// Is its value right, if it is there?
fn check_message_authenticator(
    packet: &Packet<'_>,
    field: &[u8; AUTHENTICATOR],
    key: &RadiusKey,
) -> Result<(), Forgery> {
    let offset = match packet.facts().message_authenticator {
        Placement::Absent => return Ok(()),
        Placement::Malformed => return Err(Forgery::BadMessageAuthenticator),
        Placement::At(offset) => usize::from(offset),
    };
    let expected = message_authenticator(packet.bytes(), field, offset, key);
    let found = &packet.bytes()[offset + 2..offset + 2 + AUTHENTICATOR];
    if equal(&expected, found) { Ok(()) } else { Err(Forgery::BadMessageAuthenticator) }
}

/// The four octets before the authenticator, and the attributes after it.
fn split(packet: &[u8]) -> (&[u8], &[u8]) {
    (packet.get(..4).unwrap_or(packet), packet.get(MIN_PACKET..).unwrap_or(&[]))
}

/// Equality in constant time.
fn equal(expected: &[u8], found: &[u8]) -> bool {
    expected.ct_eq(found).into()
}

/// What stands for an authenticator that isn't known yet.
pub(crate) const ZEROS: [u8; AUTHENTICATOR] = [0; AUTHENTICATOR];

#[cfg(test)]
mod tests;
