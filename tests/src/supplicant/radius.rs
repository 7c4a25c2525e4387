//! A supplicant behind its NAS: responses in Access-Requests, requests out of Access-Challenges.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use forewarn_wire::hide::mppe;
use forewarn_wire::mschap::{MICROSOFT, attribute};
use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, VendorFormat, Writer, number,
};
use rand_core::Rng as _;

use super::{Fault, Supplicant};

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Access-Accept. Whether its keys are the supplicant's; true where the method has none.
    Accepted {
        /// Both sides have the same.
        keys_match: bool,
    },
    /// Access-Reject.
    Rejected,
    /// The supplicant gave up.
    GaveUp(Fault),
    /// Nobody answered.
    Silence,
}

/// The end of a conversation, and what there was on the way.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How.
    pub end: End,
    /// Access-Requests that it took, repetitions not counted.
    pub requests: u32,
    /// Whether a session of TLS was resumed.
    pub was_resumed: bool,
    /// The last reply, whole.
    pub reply: Vec<u8>,
}

impl Ended {
    /// Whether it was let in, with the same keys on both sides.
    pub fn is_in(&self) -> bool {
        self.end == End::Accepted { keys_match: true }
    }
}

/// One supplicant's conversation, without I/O.
pub struct Session {
    supplicant: Supplicant,
    key: RadiusKey,
    /// What the supplicant says next.
    message: Vec<u8>,
    state: Option<Vec<u8>>,
    authenticator: [u8; 16],
    identifier: u8,
    requests: u32,
}

impl Session {
    /// One that is about to begin.
    ///
    /// # Panics
    /// When the secret is empty.
    pub fn new(supplicant: Supplicant, secret: &str) -> Session {
        let message = supplicant.hello();
        let key = RadiusKey::new(secret.as_bytes()).expect("a secret");
        Session { supplicant, key, message, state: None, authenticator: [0; 16], identifier: 0, requests: 0 }
    }

    /// The next Access-Request, on that identifier.
    ///
    /// # Panics
    /// When `room` is too small.
    pub fn request<'b>(&mut self, identifier: u8, room: &'b mut [u8]) -> &'b [u8] {
        forewarn_shell::random::generator().fill_bytes(&mut self.authenticator);
        (self.identifier, self.requests) = (identifier, self.requests + 1);
        let mut writer = Writer::new(room, Code::ACCESS_REQUEST, identifier);
        let mut write = || {
            writer.message_authenticator()?;
            writer.attribute(number::USER_NAME, self.supplicant.identity().as_bytes())?;
            writer.integer(number::NAS_PORT_TYPE, ETHERNET)?.integer(number::SERVICE_TYPE, FRAMED)?;
            writer.attribute(number::NAS_IDENTIFIER, b"supplicant")?.integer(number::FRAMED_MTU, 1400)?;
            writer.attribute(number::CALLING_STATION_ID, b"02-00-00-00-00-02")?;
            writer.eap_message(&self.message)?;
            if let Some(state) = &self.state {
                writer.attribute(number::STATE, state)?;
            }
            Ok::<_, forewarn_wire::WriteError>(())
        };
        write().expect("room for a request");
        writer.request(&self.key, RequestAuthenticator::Chosen(self.authenticator)).expect("it is a request")
    }

    /// Takes a datagram: `None` if it isn't the reply, `Some(None)` if the conversation goes on.
    pub fn handle_reply(&mut self, datagram: &[u8]) -> Option<Option<Ended>> {
        let packet = Packet::parse(datagram).ok()?;
        (packet.peek().identifier() == self.identifier).then_some(())?;
        let rule = MessageAuthenticatorRule::Required;
        let reply = packet.verify_reply(&self.key, Code::ACCESS_REQUEST, &self.authenticator, rule).ok()?;
        let end = match reply.code() {
            Code::ACCESS_ACCEPT => End::Accepted { keys_match: self.has_keys_of(&reply) },
            Code::ACCESS_REJECT => End::Rejected,
            _ => {
                self.state = reply.find(number::STATE).map(<[u8]>::to_vec);
                let mut room = [0; 4096];
                let request = reply.eap_message().and_then(|message| message.copy_to(&mut room));
                match self.supplicant.handle_request(request.unwrap_or_default()) {
                    Ok(message) => {
                        self.message = message;
                        return Some(None);
                    }
                    Err(fault) => End::GaveUp(fault),
                }
            }
        };
        Some(Some(self.ended(end, datagram)))
    }

    /// It ends so.
    pub(super) fn ended(&self, end: End, reply: &[u8]) -> Ended {
        let was_resumed = self.supplicant.was_resumed();
        Ended { end, requests: self.requests, was_resumed, reply: reply.to_vec() }
    }

    /// RFC 2548 sections 2.4.2 and 2.4.3.
    fn has_keys_of(&self, reply: &Packet<'_>) -> bool {
        let Some(msk) = self.supplicant.msk() else { return true };
        let find = |number| {
            let microsoft = reply.attributes().filter_map(|attribute| attribute.vendor());
            let mut values = microsoft
                .filter(|inside| inside.vendor == MICROSOFT)
                .filter_map(|inside| inside.attributes(VendorFormat::default()))
                .flatten();
            let hidden = values.find(|attribute| attribute.number == number)?.value;
            let mut room = [0; mppe::MAX_HIDDEN];
            mppe::reveal(&self.key, &self.authenticator, hidden, &mut room).ok().map(<[u8]>::to_vec)
        };
        let (receive, send) = msk.split_at(msk.len() / 2);
        find(attribute::RECEIVE_KEY).as_deref() == Some(receive)
            && find(attribute::SEND_KEY).as_deref() == Some(send)
    }
}

/// Has one supplicant authenticate, from any port, repeating a request that isn't answered within two seconds, thrice.
///
/// # Panics
/// When no socket can be had.
pub fn authenticate(server: SocketAddr, secret: &str, supplicant: Supplicant) -> Ended {
    authenticate_between(server, secret, supplicant, |_| {})
}

/// As [`authenticate`]; `between` is run before each Access-Request but the first, and told how many there were.
///
/// # Panics
/// As [`authenticate`].
pub fn authenticate_between(
    server: SocketAddr,
    secret: &str,
    supplicant: Supplicant,
    mut between: impl FnMut(u32),
) -> Ended {
    let local = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).expect("a source port");
    socket.connect(server).expect("a UDP socket connects");
    let mut session = Session::new(supplicant, secret);
    let (mut room, mut inbound) = ([0; 4096], [0; 4096]);
    for identifier in (0..=u8::MAX).cycle() {
        let request = session.request(identifier, &mut room);
        let mut tries = 3;
        'answered: loop {
            // A port that is closed for a moment is as silent as one that is slow.
            let _ = socket.send(request);
            let until = Instant::now() + PATIENCE;
            while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            {
                socket.set_read_timeout(Some(left)).expect("a time-out");
                let Ok(length) = socket.recv(&mut inbound) else { continue };
                match session.handle_reply(&inbound[..length]) {
                    None => {}
                    Some(None) => {
                        between(session.requests);
                        break 'answered;
                    }
                    Some(Some(ended)) => return ended,
                }
            }
            tries -= 1;
            if tries == 0 {
                return session.ended(End::Silence, &[]);
            }
        }
    }
    unreachable!("a cycle doesn't end")
}

const PATIENCE: Duration = Duration::from_secs(2);
/// NAS-Port-Type Ethernet and Service-Type Framed (RFC 2865 sections 5.41 and 5.6).
const ETHERNET: u32 = 15;
const FRAMED: u32 = 2;
