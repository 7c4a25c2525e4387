//! The requests of one agent that are under way: where each was sent last, and under which names.

use std::collections::BTreeMap;

use forewarn_proto::pool::Kind;
use forewarn_proto::time::Instant;
use forewarn_proto::upstream::{Purpose, Transmit};
use forewarn_wire::{Code, Packet, number};

use super::model::Model;
use super::names::millis;
use super::nas::{Name, Number};

/// The least time from one transmission to the next: IRT less its jitter (RFC 5080 section 2.2.1).
const RETRANSMISSION_MS: u64 = 1_800;
/// The ninth leg of a request closes its first.
const LEGS_MAX: usize = 8;
/// How long a State is remembered at least, to be sure.
const STATE_MS: u64 = 50_000;

/// Server, kind, source port, identifier.
type Leg = (usize, Kind, u16, u8);

/// A request that waits for its reply.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) server: usize,
    pub(crate) in_conversation: bool,
    /// Its last transmission: when, under which name, with which authenticator.
    last: (Instant, Leg, [u8; 16]),
    legs: usize,
}

#[derive(Default)]
pub(crate) struct Requests {
    waiting: BTreeMap<Number, Waiting>,
    by_name: BTreeMap<Name, Number>,
    /// Which request used a name last, with which authenticator.
    legs: BTreeMap<Leg, (Number, [u8; 16])>,
    /// Who gave out a State, and when it came by.
    states: BTreeMap<Vec<u8>, (usize, Instant)>,
}

impl Requests {
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Number, &Waiting)> {
        self.waiting.iter()
    }

    /// The agent has read a request of the NAS's; answers whether it is one that it works on already.
    pub(crate) fn asked(&mut self, name: Name, number: Number) -> bool {
        if let Some(before) = self.by_name.insert(name, number).filter(|before| *before != number) {
            self.waiting.remove(&before);
        }
        self.waiting.contains_key(&number)
    }

    /// The request that a reply to this name ends; silence does, too.
    pub(crate) fn ended(&mut self, now: Instant, name: Name, reply: Option<&[u8]>) -> Number {
        let number = self.by_name[&name];
        if self.waiting.remove(&number).is_some()
            && let Some(reply) = reply
        {
            let reply = Packet::parse(reply).expect("it was written by us");
            if let (Code::ACCESS_CHALLENGE, Some(state)) =
                (reply.peek().code(), reply.peek().find(number::STATE))
            {
                // A server writes its number into it.
                self.states.insert(state.to_vec(), (usize::from(state[0]), now));
            }
        }
        number
    }
}

impl Model {
    /// No identifier is reused while outstanding, nothing is sent again before its time, and a conversation stays
    /// where it is as long as it may.
    pub(crate) fn check_transmit(
        &mut self,
        now: Instant,
        transmit: &Transmit,
        octets: &[u8],
        repeated: Option<Number>,
    ) {
        if transmit.purpose == Purpose::Probe {
            return;
        }
        let packet = Packet::parse(octets).expect("it was written by us");
        let packet = packet.peek();
        let number = Number::of(packet).expect("a request of the NAS's");
        assert!(repeated != Some(number), "{number:?} is sent again because the NAS repeated it");
        let server = transmit.server.index();
        let leg: Leg = (server, transmit.kind, transmit.port, packet.identifier());
        let user = (number, *packet.authenticator());
        let state = packet.find(number::STATE);
        self.check_conversation(now, number, server, state);
        let requests = &mut self.requests;
        let before = requests.legs.insert(leg, user);
        if let Some((other, _)) = before.filter(|before| *before != user) {
            let is_outstanding = requests.waiting.get(&other).is_some_and(|waiting| waiting.legs <= LEGS_MAX);
            assert!(!is_outstanding, "{leg:?} of {other:?} is used again for {number:?}");
        }
        let last = (now, leg, user.1);
        let new = Waiting { server, in_conversation: state.is_some(), last, legs: 0 };
        let waiting = requests.waiting.entry(number).or_insert(new);
        if before == Some(user) && waiting.last.1 == leg {
            let gap = now.since(waiting.last.0);
            assert!(gap >= millis(RETRANSMISSION_MS), "{number:?} is sent again after {gap:?}");
        }
        waiting.legs += usize::from(before != Some(user));
        (waiting.server, waiting.last) = (server, last);
    }

    fn check_conversation(&self, now: Instant, number: Number, server: usize, state: Option<&[u8]>) {
        let Some(state) = state else { return };
        let waits_elsewhere =
            |by: usize| self.requests.waiting.get(&number).is_some_and(|waiting| waiting.server != by);
        let by = self.requests.states.get(state).filter(|(_, at)| now.since(*at) < millis(STATE_MS));
        let Some(&(by, _)) = by.filter(|(by, _)| *by != server && !waits_elsewhere(*by)) else { return };
        assert!(
            self.frees_conversations(now, by),
            "{number:?} with a State of server {by} goes to {server} though {by} keeps its conversations"
        );
    }
}
