//! What a peer says within a tunnel.

use rustls::{ClientConnection, HandshakeKind};

use super::Fault;

/// What goes on within a tunnel, from the peer's side.
pub trait Inside: Send {
    /// The server has said this before TLS begins (TEAP's outer TLVs). Gives what to say of the same kind.
    fn handle_preamble(&mut self, _said: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    /// The handshake is over, and the server says this; empty: it waits for the peer. Gives what to say; empty: nothing.
    ///
    /// # Errors
    /// When the server can't be understood, or isn't believed.
    fn handle_message(&mut self, said: &[u8], connection: &ClientConnection) -> Result<Vec<u8>, Fault>;

    /// The session's key, from the tunnel's.
    fn msk(&self, tunnel: Vec<u8>) -> Vec<u8> {
        tunnel
    }
}

/// EAP-TLS: nothing but the certificate.
#[derive(Debug, Clone, Copy)]
pub struct Certificate;

impl Inside for Certificate {
    /// RFC 9190 section 2.5: one octet, which says that the handshake is over.
    fn handle_message(&mut self, said: &[u8], _: &ClientConnection) -> Result<Vec<u8>, Fault> {
        match said {
            [] | [0] => Ok(Vec::new()),
            _ => Err(Fault::new("EAP-TLS says nothing within")),
        }
    }
}

/// EAP-TTLS: User-Name and User-Password (RFC 5281 section 11.2.5).
#[derive(Debug, Clone)]
pub struct Pap {
    user: String,
    password: String,
}

impl Pap {
    /// With these.
    pub fn new(user: &str, password: &str) -> Pap {
        Pap { user: user.to_owned(), password: password.to_owned() }
    }
}

impl Inside for Pap {
    fn handle_message(&mut self, said: &[u8], connection: &ClientConnection) -> Result<Vec<u8>, Fault> {
        match said {
            [] => {}
            // RFC 9427 section 3: the session is resumed, and there is no more to say.
            [0] if connection.handshake_kind() == Some(HandshakeKind::Resumed) => return Ok(Vec::new()),
            _ => return Err(Fault::new("a server that speaks first")),
        }
        let mut password = self.password.clone().into_bytes();
        password.resize(password.len().next_multiple_of(16), 0);
        Ok([avp(1, self.user.as_bytes()), avp(2, &password)].concat())
    }
}

/// One attribute in Diameter's form, mandatory (RFC 5281 section 10.1).
pub fn avp(number: u32, value: &[u8]) -> Vec<u8> {
    const MANDATORY: u32 = 0x4000_0000;
    let mut avp = number.to_be_bytes().to_vec();
    avp.extend((MANDATORY | (8 + value.len()) as u32).to_be_bytes());
    avp.extend(value);
    avp.resize(avp.len().next_multiple_of(4), 0);
    avp
}
