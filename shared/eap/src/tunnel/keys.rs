//! Keys of the tunnel (RFC 5216 section 2.3, RFC 5281 section 8, RFC 9190 section 2.3, RFC 9427 section 2.1).

use zeroize::Zeroizing;

use crate::keys::Keys;
use crate::method::Reason;
use crate::settings::Kind;

use super::Outer;

const MSK: usize = 64;
/// Of the key material, the second half of which is the EMSK.
const MATERIAL: usize = 128;
/// Octets of TLS's randoms (RFC 5246 section 7.4.1.2).
const RANDOM: usize = 32;
/// Headers of a record and of a message of the handshake, and the version before the random.
const BEFORE_RANDOM: usize = 5 + 4 + 2;

/// The randoms of both sides, which TLS says in the clear: up to TLS 1.2 they name a session (RFC 5216 section 2.3).
#[derive(Default)]
pub(super) struct Randoms {
    client: Option<[u8; RANDOM]>,
    server: Option<[u8; RANDOM]>,
}

impl Randoms {
    /// Looks at the first that the peer says.
    pub(super) fn hear(&mut self, octets: &[u8]) {
        self.client = self.client.or_else(|| random(octets));
    }

    /// Looks at the first that the server says.
    pub(super) fn say(&mut self, octets: &[u8]) {
        self.server = self.server.or_else(|| random(octets));
    }

    fn both(&self) -> Option<Vec<u8>> {
        Some([self.client?, self.server?].concat())
    }
}

fn random(hello: &[u8]) -> Option<[u8; RANDOM]> {
    hello.get(BEFORE_RANDOM..)?.first_chunk().copied()
}

/// The keys that follow from the tunnel alone.
pub(super) fn keys(kind: Kind, outer: &Outer<'_>) -> Option<Keys> {
    let channel = outer.channel;
    let mut material = Zeroizing::new(vec![0; MATERIAL]);
    let exported = match (channel.is_13(), kind) {
        (true, _) => channel.export(b"EXPORTER_EAP_TLS_Key_Material", Some(&[kind.number()]), &mut material),
        (false, Kind::Ttls) => channel.export(b"ttls keying material", None, &mut material),
        (false, _) => channel.export(b"client EAP encryption", None, &mut material),
    };
    let emsk = Zeroizing::new(material.split_off(MSK));
    let keys = Keys::new(material).with_emsk(emsk);
    exported.then(|| match session_id(kind, outer) {
        Some(session_id) => keys.with_session_id(session_id),
        None => keys,
    })
}

/// The number of the method, and what names the session within it (RFC 5216 section 2.3, RFC 9190 section 2.3).
pub(super) fn session_id(kind: Kind, outer: &Outer<'_>) -> Option<Vec<u8>> {
    let mut method_id = vec![0; 2 * RANDOM];
    match outer.channel.is_13() {
        true => {
            let context = [kind.number()];
            let label = b"EXPORTER_EAP_TLS_Method-Id";
            outer.channel.export(label, Some(&context), &mut method_id).then_some(())?;
        }
        false => method_id = outer.randoms.both()?,
    }
    method_id.insert(0, kind.number());
    Some(method_id)
}

/// Why there are none.
pub(super) fn no_keys() -> Reason {
    Reason::Tls("the connection has no keys".into())
}
