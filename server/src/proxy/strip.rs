//! A request as if its User-Name had no realm.

use forewarn_wire::{
    Code, Kept, MAX_PACKET, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Verified,
    Writer, number,
};

use crate::config::proxy::realm_of;

/// `request`, signed anew under the secret it came under, without the realm in User-Name. Its Request Authenticator
/// stays, on which what is hidden depends; that of accounting is computed anew. `None`: it can't be written.
pub fn stripped(request: &Verified<Packet<'_>>, key: &RadiusKey) -> Option<Kept> {
    let mut buffer = [0; MAX_PACKET];
    let code = request.code();
    let mut writer = Writer::new(&mut buffer, code, request.identifier());
    if code == Code::ACCESS_REQUEST {
        writer.message_authenticator().ok()?;
    }
    for attribute in request.attributes() {
        let value = match attribute.number {
            number::MESSAGE_AUTHENTICATOR => continue,
            number::USER_NAME => without_realm(attribute.value),
            _ => attribute.value,
        };
        writer.attribute(attribute.number, value).ok()?;
    }
    let authenticator = match code {
        Code::ACCESS_REQUEST => RequestAuthenticator::Chosen(*request.authenticator()),
        _ => RequestAuthenticator::Computed,
    };
    let octets = writer.request(key, authenticator).ok()?;
    let again = Packet::parse(octets).ok()?.verify_request(key, MessageAuthenticatorRule::Optional).ok()?;
    let mut kept = Kept::new();
    kept.store(&again);
    Some(kept)
}

fn without_realm(name: &[u8]) -> &[u8] {
    let realm = realm_of(name).map_or(0, |realm| realm.len() + 1);
    match &name[..name.len() - realm] {
        // `@example.org` is all realm: an empty User-Name would be none.
        [] => name,
        rest => rest,
    }
}
