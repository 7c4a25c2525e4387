//! PEAPv0 with EAP-MSCHAPv2, and its crypto-binding (MS-PEAP), from the peer's side.

use forewarn_wire::eap::method;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustls::{ClientConnection, HandshakeKind};
use sha1::Sha1;

use super::inside::Inside;
use super::mschapv2::MsChap2;
use super::{Fault, Peer as _, tunnel};

const EXTENSIONS: u8 = 33;
const BINDING: u16 = 12;
const MAC: usize = 20;

/// PEAPv0 with EAP-MSCHAPv2.
#[derive(Debug, Clone, Default)]
pub struct Peap {
    inner: MsChap2,
    /// Of tunnel and inner method together.
    bound: Option<Vec<u8>>,
}

impl Peap {
    /// With these credentials.
    pub fn new(user: &str, password: &str) -> Peap {
        Peap { inner: MsChap2::new(user, password), ..Peap::default() }
    }

    /// An EAP-Request of extensions, with its header: the result is repeated, the binding answered.
    fn extensions(&mut self, request: &[u8], connection: &ClientConnection) -> Result<Vec<u8>, Fault> {
        let mut tlvs = vec![0x80, 3, 0, 2];
        let mut rest = request.get(5..).unwrap_or_default();
        let mut result = None;
        let mut binding = Vec::new();
        while let Some((&[a, b, c, d], behind)) = rest.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([c, d]));
            let value = behind.get(..length).ok_or_else(|| Fault::new("a TLV that ends early"))?;
            match u16::from_be_bytes([a, b]) & 0x3fff {
                3 => result = Some(value),
                BINDING => binding = self.bind(&rest[..4 + length], connection)?,
                _ => {}
            }
            rest = &behind[length..];
        }
        tlvs.extend(result.ok_or_else(|| Fault::new("extensions without a result"))?);
        tlvs.extend(binding);
        let mut response = vec![2, request[1]];
        response.extend(((5 + tlvs.len()) as u16).to_be_bytes());
        response.push(EXTENSIONS);
        response.extend(tlvs);
        Ok(response)
    }

    /// MS-PEAP section 3.1.5.5: the server's MAC is looked at, ours is given.
    fn bind(&mut self, tlv: &[u8], connection: &ClientConnection) -> Result<Vec<u8>, Fault> {
        let (said, mac) = tlv.split_last_chunk::<MAC>().ok_or_else(|| Fault::new("a short binding"))?;
        let tunnel = tunnel::keys(method::PEAP, connection).ok_or_else(|| Fault::new("no keys"))?;
        let is_resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let material = match self.inner.msk() {
            Some(inner) => prf(&tunnel[..40], b"Inner Methods Compound Keys", &inner, 60),
            // Nothing is within that could be bound: the tunnel's own.
            None if is_resumed => tunnel[..60].to_vec(),
            None => return Err(Fault::new("a binding too early")),
        };
        let sign = |said: &[u8]| hmac(&material[40..], &[said, &[0; MAC], &[method::PEAP]]);
        if sign(said) != *mac {
            return Err(Fault::new("somebody sits between the tunnel's ends"));
        }
        self.bound = Some(prf(&material[..40], b"Session Key Generating Function", &[0], 128)[..64].to_vec());
        let mut answer = said.to_vec();
        // Header (4), reserved, version, received version, subtype: a response.
        answer[7] = 1;
        let mac = sign(&answer);
        Ok([&answer[..], &mac].concat())
    }
}

impl Inside for Peap {
    fn handle_message(&mut self, said: &[u8], connection: &ClientConnection) -> Result<Vec<u8>, Fault> {
        match said {
            [] => Ok(Vec::new()),
            [1, _, _, _, EXTENSIONS, ..] => self.extensions(said, connection),
            [method::IDENTITY, ..] => Ok([&[method::IDENTITY], self.inner.user().as_bytes()].concat()),
            [method::MSCHAPV2, data @ ..] => {
                Ok([&[method::MSCHAPV2][..], &self.inner.handle_request(0, data)?].concat())
            }
            _ => Ok(vec![method::NAK, method::MSCHAPV2]),
        }
    }

    fn msk(&self, tunnel: Vec<u8>) -> Vec<u8> {
        self.bound.clone().unwrap_or(tunnel)
    }
}

/// PRF+ of PEAPv0.
fn prf(key: &[u8], label: &[u8], seed: &[u8], octets: usize) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for number in 1_u8.. {
        if out.len() >= octets {
            break;
        }
        let before = out.last_chunk::<MAC>().copied();
        let before = before.as_ref().map_or(&[][..], |before| &before[..]);
        let block = hmac(key, &[before, label, seed, &[number, 0, 0]]);
        out.extend(block);
    }
    out.truncate(octets);
    out
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; MAC] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("any length will do");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}
