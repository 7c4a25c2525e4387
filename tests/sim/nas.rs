//! A NAS: asks, asks again every three seconds, and gives up after thirty.

use std::time::Duration;

use forewarn_proto::pool::Kind;
use forewarn_proto::time::Instant;
use forewarn_wire::{
    Code, MAX_PACKET, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer, number,
};
use rand::Rng;
use rand::rngs::StdRng;

/// Between one try and the next.
pub(super) const AGAIN: Duration = Duration::from_secs(3);
/// After so many tries nobody waits any more.
pub(super) const TRIES: u32 = 10;

/// One request of the NAS's.
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) octets: Vec<u8>,
    pub(super) port: u16,
    pub(super) at: Instant,
    pub(super) tries: u32,
    /// It belongs to a conversation.
    pub(super) in_conversation: bool,
    /// Replies, with when they came: all the same octets, if there are several.
    pub(super) replies: Vec<(Instant, Vec<u8>)>,
}

impl Asked {
    /// Whether anybody still waits.
    pub(super) fn is_open(&self) -> bool {
        self.replies.is_empty() && self.tries < TRIES
    }

    /// Source port and identifier towards the agent.
    pub(super) fn name(&self) -> (u16, u8) {
        (self.port, self.octets[1])
    }

    pub(super) fn reply_code(&self) -> Option<Code> {
        self.replies.first().map(|(_, octets)| Code(octets[0]))
    }
}

pub(super) struct Nas {
    key: RadiusKey,
    pub(super) asked: Vec<Asked>,
}

impl Nas {
    pub(super) fn new(key: RadiusKey) -> Nas {
        Nas { key, asked: Vec::new() }
    }

    /// A new request; its number is in User-Name, for everybody to see.
    pub(super) fn ask(&mut self, now: Instant, rng: &mut StdRng, kind: Kind, state: Option<&[u8]>) -> usize {
        let number = self.asked.len();
        let mut buffer = [0; MAX_PACKET];
        let mut authenticator = [0; 16];
        rng.fill_bytes(&mut authenticator);
        let mut writer = Writer::new(&mut buffer, kind.request_code(), number as u8);
        if kind == Kind::Auth {
            writer.message_authenticator().unwrap();
            writer.user_password(&self.key, &authenticator, b"wonderland").unwrap();
        }
        writer.attribute(number::USER_NAME, &(number as u64).to_be_bytes()).unwrap();
        if let Some(state) = state {
            writer.attribute(number::STATE, state).unwrap();
        }
        let chosen = match kind {
            Kind::Auth => RequestAuthenticator::Chosen(authenticator),
            Kind::Acct => RequestAuthenticator::Computed,
        };
        let octets = writer.request(&self.key, chosen).unwrap().to_vec();
        let port = 1024 + (number / 256) as u16;
        let in_conversation = state.is_some();
        self.asked.push(Asked {
            kind,
            octets,
            port,
            at: now,
            tries: 0,
            in_conversation,
            replies: Vec::new(),
        });
        number
    }

    /// Takes a reply; it has to be one, to this request.
    pub(super) fn handle_reply(&mut self, now: Instant, number: usize, octets: &[u8]) {
        let asked = &mut self.asked[number];
        let request = Packet::parse(&asked.octets).unwrap();
        let (code, authenticator) = (request.peek().code(), request.peek().authenticator());
        let reply = Packet::parse(octets).unwrap();
        let rule = MessageAuthenticatorRule::Required;
        let reply = reply.verify_reply(&self.key, code, authenticator, rule).expect("a valid reply");
        assert_eq!(reply.identifier(), request.peek().identifier());
        asked.replies.push((now, octets.to_vec()));
    }

    /// The State of a challenge that came in reply to this request.
    pub(super) fn state(&self, number: usize) -> Option<Vec<u8>> {
        let (_, octets) = self.asked[number].replies.first()?;
        let reply = Packet::parse(octets).ok()?;
        (reply.peek().code() == Code::ACCESS_CHALLENGE)
            .then(|| reply.peek().find(number::STATE).unwrap().to_vec())
    }
}

/// The number of a request, from any form of it.
pub(super) fn number_of(packet: &Packet<'_>) -> Option<u64> {
    packet.find(number::USER_NAME)?.try_into().ok().map(u64::from_be_bytes)
}
