//! EAP peers of our own, over rustls: for what eapol_test can't do (many at once, sessions that are resumed at another
//! server) and what it costs too much for. It is the real thing that says whether the server speaks as others do.
//!
//! A [`Supplicant`] does no I/O: requests in, responses out. [`Session`] carries it over RADIUS, [`authenticate`] to the
//! end of one, [`crowd`] runs many.

mod challenge;
pub mod crowd;
mod inside;
mod mschapv2;
mod peap;
mod radius;
mod teap;
mod trust;
mod tunnel;

use forewarn_wire::eap::{Eap, EapCode, method};

pub use inside::{Certificate, Inside, Pap, avp};
pub use mschapv2::MsChap2;
pub use peap::Peap;
pub use radius::{End, Ended, Session, authenticate, authenticate_between};
pub use teap::{Credential, Heard, Teap, Trick};
pub use trust::{Trust, Version};
pub use tunnel::{Tunnel, keys, material};

/// Why a peer gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(pub String);

impl Fault {
    /// With that as its text.
    pub fn new(text: impl std::fmt::Display) -> Fault {
        Fault(text.to_string())
    }
}

/// A method's peer.
pub trait Peer: Send {
    /// The method's number.
    fn number(&self) -> u8;

    /// Answers a request of the method; `identifier` is the packet's, `data` what follows its type.
    ///
    /// # Errors
    /// When the server can't be understood, or isn't believed.
    fn handle_request(&mut self, identifier: u8, data: &[u8]) -> Result<Vec<u8>, Fault>;

    /// The session's key, once there is one.
    fn msk(&self) -> Option<Vec<u8>>;

    /// The session's other key, where the method has one.
    fn emsk(&self) -> Option<Vec<u8>> {
        None
    }

    /// Whether a session of TLS was resumed.
    fn was_resumed(&self) -> bool {
        false
    }
}

/// One peer, for one conversation.
pub struct Supplicant {
    identity: String,
    peer: Box<dyn Peer>,
}

impl Supplicant {
    /// One that calls itself `identity` in the clear.
    pub fn new(identity: &str, peer: impl Peer + 'static) -> Supplicant {
        Supplicant { identity: identity.to_owned(), peer: Box::new(peer) }
    }

    /// EAP-TLS; the certificate is in `trust`.
    pub fn tls(identity: &str, trust: &Trust) -> Supplicant {
        Supplicant::new(identity, Tunnel::new(method::TLS, trust, Certificate))
    }

    /// EAP-TTLS with PAP.
    pub fn ttls_pap(identity: &str, user: &str, password: &str, trust: &Trust) -> Supplicant {
        Supplicant::new(identity, Tunnel::new(method::TTLS, trust, Pap::new(user, password)))
    }

    /// TEAP; `teap` has what it proves within.
    pub fn teap(identity: &str, teap: Teap, trust: &Trust) -> Supplicant {
        Supplicant::new(identity, Tunnel::new(method::TEAP, trust, teap).with_version(1))
    }

    /// EAP-MSCHAPv2 without a tunnel.
    pub fn mschapv2(user: &str, password: &str) -> Supplicant {
        Supplicant::new(user, MsChap2::new(user, password))
    }

    /// MD5-Challenge.
    pub fn md5(user: &str, password: &str) -> Supplicant {
        Supplicant::new(user, challenge::Md5(password.to_owned()))
    }

    /// Generic Token Card.
    pub fn gtc(user: &str, password: &str) -> Supplicant {
        Supplicant::new(user, challenge::Gtc(password.to_owned()))
    }

    /// PEAPv0 with EAP-MSCHAPv2.
    pub fn peap_mschapv2(identity: &str, user: &str, password: &str, trust: &Trust) -> Supplicant {
        Supplicant::new(identity, Tunnel::new(method::PEAP, trust, Peap::new(user, password)))
    }

    /// What it calls itself in the clear.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The response that begins a conversation, unasked.
    pub fn hello(&self) -> Vec<u8> {
        response(0, method::IDENTITY, self.identity.as_bytes())
    }

    /// Answers a request. Of another method than its own it says which it wants.
    ///
    /// # Errors
    /// When it gives up.
    pub fn handle_request(&mut self, packet: &[u8]) -> Result<Vec<u8>, Fault> {
        let request = Eap::parse(packet).filter(|request| request.code == EapCode::Request);
        let request = request.ok_or_else(|| Fault::new("no EAP-Request"))?;
        let number = request.method.unwrap_or_default();
        match number {
            method::IDENTITY => Ok(response(request.identifier, number, self.identity.as_bytes())),
            number if number == self.peer.number() => {
                let data = self.peer.handle_request(request.identifier, request.data)?;
                Ok(response(request.identifier, number, &data))
            }
            _ => Ok(response(request.identifier, method::NAK, &[self.peer.number()])),
        }
    }

    /// The session's key, once there is one.
    pub fn msk(&self) -> Option<Vec<u8>> {
        self.peer.msk()
    }

    /// The session's other key, where the method has one.
    pub fn emsk(&self) -> Option<Vec<u8>> {
        self.peer.emsk()
    }

    /// Whether a session of TLS was resumed.
    pub fn was_resumed(&self) -> bool {
        self.peer.was_resumed()
    }
}

fn response(identifier: u8, number: u8, data: &[u8]) -> Vec<u8> {
    let response = Eap { code: EapCode::Response, identifier, method: Some(number), data };
    let mut room = vec![0; Eap::HEADER + 1 + data.len()];
    response.write(&mut room).expect("a response of a few thousand octets").to_vec()
}
