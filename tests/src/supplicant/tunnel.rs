//! A peer's side of what methods over TLS have in common: fragments, and the handshake.

use std::io::{Read as _, Write as _};

use forewarn_wire::eap::method;
use rustls::{ClientConnection, HandshakeKind, ProtocolVersion};

use super::trust::Trust;
use super::{Fault, Inside, Peer};

const LENGTH: u8 = 0x80;
const MORE: u8 = 0x40;
const START: u8 = 0x20;
/// Of TEAP: outer TLVs are behind the octets of TLS, their length before them.
const PREAMBLE: u8 = 0x10;
/// Octets of TLS in one response.
const FRAGMENT: usize = 1200;
const MSK: usize = 64;

/// A method over TLS.
pub struct Tunnel<I> {
    number: u8,
    /// In the low bits of the flags.
    version: u8,
    connection: ClientConnection,
    inside: I,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    sent: usize,
}

impl<I: Inside> Tunnel<I> {
    /// The method with that number.
    pub fn new(number: u8, trust: &Trust, inside: I) -> Tunnel<I> {
        let connection = trust.connect();
        Tunnel { number, version: 0, connection, inside, incoming: Vec::new(), outgoing: Vec::new(), sent: 0 }
    }

    /// The same with a version of the method.
    #[must_use]
    pub fn with_version(self, version: u8) -> Tunnel<I> {
        Tunnel { version, ..self }
    }

    /// Takes a whole message; leaves the answer in `outgoing`.
    fn take(&mut self, message: &[u8]) -> Result<(), Fault> {
        let mut rest = message;
        while !rest.is_empty() {
            self.connection.read_tls(&mut rest).map_err(Fault::new)?;
            self.connection.process_new_packets().map_err(Fault::new)?;
        }
        self.flush();
        if self.outgoing.is_empty() && !self.connection.is_handshaking() {
            let mut said = Vec::new();
            // Its end is that there is no more yet.
            let _ = self.connection.reader().read_to_end(&mut said);
            let answer = self.inside.handle_message(&said, &self.connection)?;
            self.connection.writer().write_all(&answer).map_err(Fault::new)?;
            self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) {
        let Self { connection, outgoing, .. } = self;
        while connection.wants_write() && connection.write_tls(outgoing).is_ok_and(|written| written > 0) {}
    }

    /// The next fragment, or nothing, which acknowledges.
    fn fragment(&mut self) -> Vec<u8> {
        let left = self.outgoing.len() - self.sent;
        let octets = left.min(FRAGMENT);
        let mut flags = self.version;
        let mut response = Vec::with_capacity(5 + octets);
        if octets < left {
            flags |= MORE;
        }
        if self.sent == 0 && octets < left {
            flags |= LENGTH;
        }
        response.push(flags);
        if flags & LENGTH != 0 {
            response.extend((left as u32).to_be_bytes());
        }
        response.extend(&self.outgoing[self.sent..self.sent + octets]);
        self.sent += octets;
        if self.sent == self.outgoing.len() {
            (self.outgoing, self.sent) = (Vec::new(), 0);
        }
        response
    }
}

impl<I: Inside> Peer for Tunnel<I> {
    fn number(&self) -> u8 {
        self.number
    }

    fn handle_request(&mut self, _: u8, data: &[u8]) -> Result<Vec<u8>, Fault> {
        let (flags, rest) = data.split_first().ok_or_else(|| Fault::new("a request without flags"))?;
        let rest = match flags & LENGTH != 0 {
            true => rest.get(4..).ok_or_else(|| Fault::new("a length of no four octets"))?,
            false => rest,
        };
        if flags & START != 0 {
            self.flush();
            let said = if flags & PREAMBLE != 0 { rest.get(4..).unwrap_or_default() } else { &[] };
            let preamble = self.inside.handle_preamble(said);
            return Ok(with_preamble(self.fragment(), &preamble));
        }
        if self.sent < self.outgoing.len() {
            return Ok(self.fragment());
        }
        self.incoming.extend(rest);
        if flags & MORE != 0 {
            return Ok(vec![self.version]);
        }
        let message = std::mem::take(&mut self.incoming);
        self.take(&message)?;
        Ok(self.fragment())
    }

    fn msk(&self) -> Option<Vec<u8>> {
        let tunnel = keys(self.number, &self.connection)?;
        Some(self.inside.msk(tunnel))
    }

    fn emsk(&self) -> Option<Vec<u8>> {
        Some(material(self.number, &self.connection)?.split_off(MSK))
    }

    fn was_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// A first response that fits into one, with outer TLVs.
fn with_preamble(mut response: Vec<u8>, preamble: &[u8]) -> Vec<u8> {
    if !preamble.is_empty() {
        response[0] |= PREAMBLE;
        let length = (preamble.len() as u32).to_be_bytes();
        response.splice(1..1, length);
        response.extend(preamble);
    }
    response
}

/// The MSK that follows from the tunnel alone.
pub fn keys(number: u8, connection: &ClientConnection) -> Option<Vec<u8>> {
    let mut material = material(number, connection)?;
    material.truncate(MSK);
    Some(material)
}

/// MSK and EMSK that follow from the tunnel alone (RFC 5216 section 2.3, RFC 5281 section 8, RFC 9427 section 2.1).
pub fn material(number: u8, connection: &ClientConnection) -> Option<Vec<u8>> {
    let is_13 = connection.protocol_version()? == ProtocolVersion::TLSv1_3;
    let (label, context): (&[u8], Option<&[u8]>) = match (is_13, number) {
        (true, _) => (b"EXPORTER_EAP_TLS_Key_Material", Some(std::slice::from_ref(&number))),
        (false, method::TTLS) => (b"ttls keying material", None),
        (false, _) => (b"client EAP encryption", None),
    };
    connection.export_keying_material(vec![0; 2 * MSK], label, context).ok()
}
