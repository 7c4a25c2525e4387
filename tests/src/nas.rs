//! The NAS software in front of an agent.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer, number,
};
use rand_core::Rng as _;

use crate::LOCAL_SECRET;

/// An unmodified RADIUS client on one source port.
pub struct Nas {
    socket: UdpSocket,
    key: RadiusKey,
    agent: IpAddr,
}

/// A reply that verified, and how long it took.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its code.
    pub code: Code,
    /// State, if it was a challenge.
    pub state: Option<Vec<u8>>,
    /// From sending to receiving.
    pub took: Duration,
    /// Whether its first attribute is a Message-Authenticator.
    pub starts_with_message_authenticator: bool,
    /// The whole packet.
    pub bytes: Vec<u8>,
}

impl Nas {
    /// A NAS that talks to the agent at `agent`.
    ///
    /// # Panics
    /// When no socket can be bound.
    #[must_use]
    pub fn new(agent: IpAddr) -> Nas {
        Nas::with_secret(agent, LOCAL_SECRET)
    }

    /// The same with a secret of its own.
    ///
    /// # Panics
    /// When no socket can be bound.
    #[must_use]
    pub fn with_secret(agent: IpAddr, secret: &str) -> Nas {
        let socket = UdpSocket::bind((agent, 0)).expect("a source port");
        Nas { socket, key: RadiusKey::new(secret.as_bytes()).expect("a secret"), agent }
    }

    /// The secret it shares.
    #[must_use]
    pub fn key(&self) -> RadiusKey {
        self.key.clone()
    }

    /// An Access-Request with a password, as bytes; `state` continues a conversation.
    ///
    /// # Panics
    /// Never for the short names of a test.
    #[must_use]
    pub fn access(&self, user: &str, identifier: u8, state: Option<&[u8]>) -> Vec<u8> {
        self.access_with(identifier, |writer, key, authenticator| {
            writer.attribute(number::USER_NAME, user.as_bytes()).expect("room");
            writer.user_password(key, authenticator, b"wonderland").expect("room");
            if let Some(state) = state {
                writer.attribute(number::STATE, state).expect("room");
            }
        })
    }

    /// An Access-Request of whatever `fill` writes after Message-Authenticator; it is told the secret and the Request
    /// Authenticator.
    ///
    /// # Panics
    /// When it has no room.
    #[must_use]
    pub fn access_with(
        &self,
        identifier: u8,
        fill: impl FnOnce(&mut Writer<'_>, &RadiusKey, &[u8; 16]),
    ) -> Vec<u8> {
        let mut authenticator = [0; 16];
        forewarn_shell::random::generator().fill_bytes(&mut authenticator);
        let mut buffer = [0; 4096];
        let mut writer = Writer::new(&mut buffer, Code::ACCESS_REQUEST, identifier);
        writer.message_authenticator().expect("room");
        fill(&mut writer, &self.key, &authenticator);
        writer.request(&self.key, RequestAuthenticator::Chosen(authenticator)).expect("room").to_vec()
    }

    /// An Accounting-Request (Start), as bytes.
    ///
    /// # Panics
    /// Never for the short names of a test.
    #[must_use]
    pub fn accounting(&self, session: &str, identifier: u8) -> Vec<u8> {
        self.accounting_with(identifier, |writer| {
            writer.attribute(number::ACCT_STATUS_TYPE, &1_u32.to_be_bytes()).expect("room");
            writer.attribute(number::USER_NAME, session.as_bytes()).expect("room");
            writer.attribute(number::ACCT_SESSION_ID, session.as_bytes()).expect("room");
            writer.integer(number::ACCT_DELAY_TIME, 0).expect("room");
        })
    }

    /// An Accounting-Request of whatever `fill` writes.
    ///
    /// # Panics
    /// When it has no room.
    #[must_use]
    pub fn accounting_with(&self, identifier: u8, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut buffer = [0; 4096];
        let mut writer = Writer::new(&mut buffer, Code::ACCOUNTING_REQUEST, identifier);
        fill(&mut writer);
        writer.request(&self.key, RequestAuthenticator::Computed).expect("room").to_vec()
    }

    /// Sends bytes to the agent's authentication port.
    ///
    /// # Panics
    /// When sending fails.
    pub fn send_access(&self, packet: &[u8]) {
        self.socket.send_to(packet, SocketAddr::new(self.agent, 1812)).expect("sent");
    }

    /// Sends bytes to the agent's accounting port.
    ///
    /// # Panics
    /// When sending fails.
    pub fn send_accounting(&self, packet: &[u8]) {
        self.socket.send_to(packet, SocketAddr::new(self.agent, 1813)).expect("sent");
    }

    /// The next verified reply to `request`, if it comes within `limit`. Replies to other requests are skipped.
    ///
    /// # Panics
    /// When a reply comes that doesn't verify.
    #[must_use]
    pub fn reply(&self, request: &[u8], limit: Duration) -> Option<Reply> {
        let start = Instant::now();
        let (request_code, identifier) = (Code(request[0]), request[1]);
        let authenticator: [u8; 16] = request[4..20].try_into().expect("a header");
        let mut buffer = [0; 4096];
        loop {
            let left = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero())?;
            self.socket.set_read_timeout(Some(left)).expect("a time-out");
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else { continue };
            let reply = Packet::parse(&buffer[..length]).expect("a framed reply");
            if reply.peek().identifier() != identifier {
                continue;
            }
            let rule = match request_code {
                Code::ACCOUNTING_REQUEST => MessageAuthenticatorRule::Optional,
                _ => MessageAuthenticatorRule::Required,
            };
            let reply = reply
                .verify_reply(&self.key, request_code, &authenticator, rule)
                .expect("a reply that verifies");
            return Some(Reply {
                code: reply.code(),
                state: reply.find(number::STATE).map(<[u8]>::to_vec),
                took: start.elapsed(),
                starts_with_message_authenticator: reply.starts_with_message_authenticator(),
                bytes: reply.bytes().to_vec(),
            });
        }
    }

    /// Sends an Access-Request and waits for its reply.
    #[must_use]
    pub fn ask(&self, user: &str, identifier: u8, limit: Duration) -> Option<Reply> {
        let request = self.access(user, identifier, None);
        self.send_access(&request);
        self.reply(&request, limit)
    }
}
