//! Keys of the tunnel (RFC 5216 section 2.3, RFC 5281 section 8, RFC 9190 section 2.3, RFC 9427 section 2.1).

use zeroize::Zeroizing;

use crate::keys::Keys;
use crate::method::Reason;
use crate::settings::Kind;
use crate::tls::Channel;

const MSK: usize = 64;
/// Of TLS 1.3's key material, half of which is the EMSK; its length is part of what it is made from.
const MATERIAL: usize = 128;

/// The MSK that follows from the tunnel alone.
pub(super) fn keys(kind: Kind, channel: &dyn Channel) -> Option<Keys> {
    let mut material = Zeroizing::new(vec![0; MATERIAL]);
    let exported = match (channel.is_13(), kind) {
        (true, _) => channel.export(b"EXPORTER_EAP_TLS_Key_Material", Some(&[kind.number()]), &mut material),
        (false, Kind::Ttls) => channel.export(b"ttls keying material", None, &mut material),
        (false, _) => channel.export(b"client EAP encryption", None, &mut material),
    };
    material.truncate(MSK);
    exported.then(|| Keys::new(material))
}

/// Why there are none.
pub(super) fn no_keys() -> Reason {
    Reason::Tls("the connection has no keys".into())
}
