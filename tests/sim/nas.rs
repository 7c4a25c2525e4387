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
pub(crate) const AGAIN: Duration = Duration::from_secs(3);
/// After so many tries nobody waits any more.
pub(crate) const TRIES: u32 = 10;

/// Source port and identifier towards the agent.
pub(crate) type Name = (u16, u8);

/// One request of the NAS's.
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) octets: Vec<u8>,
    pub(crate) port: u16,
    pub(crate) at: Instant,
    pub(crate) tries: u32,
    /// It belongs to a conversation.
    pub(crate) in_conversation: bool,
    /// Another took its name: nobody waits for it any more.
    pub(crate) is_replaced: bool,
    /// The servers that could have answered it all the time, as bits; none when it need not be answered.
    pub(crate) answerable: u32,
    /// Replies, with when they came: all the same octets, if there are several.
    pub(crate) replies: Vec<(Instant, Vec<u8>)>,
}

impl Asked {
    /// Whether anybody still waits.
    pub(crate) fn is_open(&self) -> bool {
        self.replies.is_empty() && self.tries < TRIES && !self.is_replaced
    }

    pub(crate) fn name(&self) -> Name {
        (self.port, self.octets[1])
    }
}

pub(crate) struct Nas {
    agent: usize,
    key: RadiusKey,
    pub(crate) asked: Vec<Asked>,
    /// Requests from here on may be open.
    first_open: usize,
}

impl Nas {
    pub(crate) fn new(agent: usize, key: RadiusKey) -> Nas {
        Nas { agent, key, asked: Vec::new(), first_open: 0 }
    }

    /// A new request, under a name of its own or under that of an open one that is given up for it. Whose it is, and
    /// its number, are in User-Name for everybody to see.
    pub(crate) fn ask(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        kind: Kind,
        state: Option<&[u8]>,
        instead_of: Option<usize>,
    ) -> usize {
        let number = self.asked.len();
        let (port, identifier) = match instead_of {
            Some(old) => {
                self.asked[old].is_replaced = true;
                self.asked[old].name()
            }
            None => (1024 + (number / 256) as u16, number as u8),
        };
        let mut buffer = [0; MAX_PACKET];
        let mut authenticator = [0; 16];
        rng.fill_bytes(&mut authenticator);
        let mut writer = Writer::new(&mut buffer, kind.request_code(), identifier);
        if kind == Kind::Auth {
            writer.message_authenticator().unwrap();
            writer.user_password(&self.key, &authenticator, b"wonderland").unwrap();
        }
        writer.attribute(number::USER_NAME, &Number::new(self.agent, number).0.to_be_bytes()).unwrap();
        if let Some(state) = state {
            writer.attribute(number::STATE, state).unwrap();
        }
        let chosen = match kind {
            Kind::Auth => RequestAuthenticator::Chosen(authenticator),
            Kind::Acct => RequestAuthenticator::Computed,
        };
        let octets = writer.request(&self.key, chosen).unwrap().to_vec();
        self.asked.push(Asked {
            kind,
            octets,
            port,
            at: now,
            tries: 0,
            in_conversation: state.is_some(),
            is_replaced: false,
            answerable: 0,
            replies: Vec::new(),
        });
        number
    }

    /// Requests that somebody waits for.
    pub(crate) fn open(&mut self) -> impl Iterator<Item = (usize, &mut Asked)> {
        while self.asked.get(self.first_open).is_some_and(|asked| !asked.is_open()) {
            self.first_open += 1;
        }
        let first = self.first_open;
        let numbered =
            self.asked[first..].iter_mut().enumerate().map(move |(index, asked)| (first + index, asked));
        numbered.filter(|(_, asked)| asked.is_open())
    }

    /// Takes a reply; it has to be one, to this request.
    pub(crate) fn handle_reply(&mut self, now: Instant, number: usize, octets: &[u8]) {
        let asked = &mut self.asked[number];
        let request = Packet::parse(&asked.octets).unwrap();
        let (code, authenticator) = (request.peek().code(), request.peek().authenticator());
        let reply = Packet::parse(octets).unwrap();
        let rule = MessageAuthenticatorRule::Required;
        let reply = reply.verify_reply(&self.key, code, authenticator, rule).expect("a valid reply");
        assert_eq!(reply.identifier(), request.peek().identifier());
        if let Some((_, first)) = asked.replies.first() {
            assert_eq!(first, octets, "request {number} was answered twice differently");
        }
        asked.replies.push((now, octets.to_vec()));
    }

    /// The State of a challenge that came in reply to this request.
    pub(crate) fn state(&self, number: usize) -> Option<Vec<u8>> {
        let (_, octets) = self.asked[number].replies.first()?;
        let reply = Packet::parse(octets).ok()?;
        (reply.peek().code() == Code::ACCESS_CHALLENGE)
            .then(|| reply.peek().find(number::STATE).unwrap().to_vec())
    }
}

/// Whose request it is, and which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Number(pub(crate) u64);

impl Number {
    pub(crate) fn new(agent: usize, number: usize) -> Number {
        Number((agent as u64) << 32 | number as u64)
    }

    /// In any form of a request.
    pub(crate) fn of(packet: &Packet<'_>) -> Option<Number> {
        packet.find(number::USER_NAME)?.try_into().ok().map(u64::from_be_bytes).map(Number)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as u32 as usize
    }
}
