//! The way of requests to their servers: pool, identifiers, retransmission, the switch, and dead-server
//! detection as one machine. An agent and a proxy both drive it.
//!
//! A request comes in by [`Upstream::handle_request`] and leaves by [`Upstream::poll_answer`], exactly once:
//! with the reply, re-encrypted for the asker, or with the news that there will be none. In between it is sent
//! to the server the switch chooses, and again as RFC 5080 says. When that server is to be left, or falls
//! silent, the request goes to another as well, with an identifier and authenticator of its own there: both
//! legs stay open, and the first valid reply wins. A request that carries State goes where its conversation is.
//!
//! Each datagram is written straight into the caller's buffer from the request that is kept; nothing is
//! allocated in steady state.

mod config;
mod conversations;
mod detection;
mod error;
mod flight;
mod legacy;
mod state;
mod status;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

pub use config::{Config, DeadServer};
use conversations::Conversations;
pub use detection::Phase;
use detection::{Change, Detection, PROBE_IDENTIFIERS};
pub use error::{Counters, GiveUp, Refused, ServerCounters};
use forewarn_wire::notice::{Notice, Outcome};
use forewarn_wire::{Code, MAX_PACKET, MessageAuthenticatorRule, Packet, RadiusKey, Verified, number};
pub use legacy::Legacy;
use rand_core::CryptoRng;
use state::{Exchanges, Legs, New, Progress};
pub use status::ServerStatus;

use crate::exchange::{Deadlines, Identifiers, Name};
use crate::pool::{Kind, Pool, Server, ServerId};
use crate::switch::{self, Cause, Life, Switch};
use crate::time::Instant;

/// A datagram to be sent: its octets are in the caller's buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// The server.
    pub server: ServerId,
    /// What it is about.
    pub kind: Kind,
    /// From which source port, 0 to [`Config::ports`] - 1.
    pub port: u16,
    /// Whereto.
    pub to: SocketAddr,
    /// How many octets.
    pub len: usize,
    /// Why it is sent.
    pub purpose: Purpose,
}

/// Why a datagram is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A request, to this server for the first time.
    First,
    /// A request that this server hasn't answered yet.
    Again,
    /// A Status-Server.
    Probe,
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Its reply is in the caller's buffer, ready for the asker.
    Reply {
        /// The request.
        ticket: u64,
        /// How many octets the reply has.
        len: usize,
        /// Who answered.
        server: ServerId,
        /// The reply's code.
        code: Code,
    },
    /// It ends in silence: a time-out never becomes a reject. The asker's next try is a new request.
    Silence {
        /// The request.
        ticket: u64,
        /// Why.
        cause: GiveUp,
    },
}

/// What happened that somebody may want to hear of or act upon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A matter of the switch.
    Switch(switch::Event),
    /// A server looks more or less alive than before.
    Life {
        /// The server.
        server: ServerId,
        /// What was thought of it before.
        before: Phase,
        /// What is thought of it now.
        phase: Phase,
    },
}

/// What a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// A request is to be sent again, or given up.
    Retransmission,
    /// A server is to be suspected because nothing was heard from it.
    Quiet,
    /// A Status-Server is due, or its answer overdue.
    Probe,
    /// A matter of the switch.
    Switch(switch::Timer),
}

/// The machine. See the [module](self).
#[derive(Debug)]
pub struct Upstream {
    config: Config,
    pool: Pool,
    switch: Switch,
    lines: Vec<Line>,
    exchanges: Exchanges,
    legs: Legs,
    deadlines: Deadlines,
    conversations: Conversations,
    /// Requests to be sent, and requests that have ended.
    to_send: VecDeque<u32>,
    ended: VecDeque<u32>,
    events: VecDeque<Event>,
    counters: Counters,
    seed: u64,
}

/// What belongs to one server.
#[derive(Debug)]
struct Line {
    identifiers: [Identifiers; 2],
    detection: Detection,
    /// When it last gave a valid reply.
    heard: Option<Instant>,
    counters: ServerCounters,
}

/// Events kept for a slow reader; the oldest goes first.
const MAX_EVENTS: usize = 256;

impl Upstream {
    /// All servers thought alive, nothing in flight. Identifiers and the table of conversations are allocated
    /// here, slots and buffers as they are first used.
    pub fn new(config: Config, pool: Pool, now: Instant, rng: &mut dyn CryptoRng) -> Upstream {
        let config = config.sound();
        let line = |server: &Server| Line {
            identifiers: Kind::ALL.map(|_| Identifiers::new(config.ports, PROBE_IDENTIFIERS)),
            detection: Detection::new(now, server.status_server),
            heard: None,
            counters: ServerCounters::default(),
        };
        let seed = rng.next_u64();
        Upstream {
            switch: Switch::new(config.switch.clone(), &pool, now),
            lines: pool.iter().map(|(_, server)| line(server)).collect(),
            exchanges: Exchanges::new(config.in_flight, config.retain),
            legs: Legs::new(),
            deadlines: Deadlines::new(),
            conversations: Conversations::new(config.conversations, config.conversation_age, seed),
            to_send: VecDeque::new(),
            ended: VecDeque::new(),
            events: VecDeque::with_capacity(MAX_EVENTS),
            counters: Counters::default(),
            config,
            pool,
            seed,
        }
    }

    /// Takes a verified request that came in under `asker`'s secret. `ticket` is the caller's name for it and
    /// comes back with the answer. Duplicates are the caller's affair: each call is a request of its own.
    pub fn handle_request(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        ticket: u64,
        kind: Kind,
        request: &Verified<Packet<'_>>,
        asker: &Arc<RadiusKey>,
    ) -> Result<(), Refused> {
        if request.code() != kind.request_code() {
            return Err(Refused::Code(request.code()));
        }
        if self.exchanges.is_full() {
            self.counters.refused_full += 1;
            return Err(Refused::Full);
        }
        let hash = conversations::hash(self.seed ^ ticket, request.authenticator());
        let server = self.route(now, request, hash);
        let new = New { ticket, kind, asker, hash, started: now };
        let index = self.exchanges.insert(&new, request);
        if !self.open_leg(now, rng, index, server, 0) {
            self.counters.refused_no_identifier += 1;
            self.exchanges.release(index);
            return Err(Refused::NoIdentifier);
        }
        self.lines[server.index()].counters.sent += 1;
        self.counters.requests += 1;
        Ok(())
    }

    /// A request as it came, as long as it waits for a reply.
    pub fn waiting(&self, ticket: u64) -> Option<Verified<Packet<'_>>> {
        self.exchanges.at(self.find(ticket)?).request.packet()
    }

    fn find(&self, ticket: u64) -> Option<u32> {
        (0..self.exchanges.slots()).find(|&index| {
            let exchange = self.exchanges.at(index);
            exchange.progress == Progress::Open && exchange.ticket == ticket
        })
    }

    /// Forgets a request whose asker no longer waits; it gets no answer. False when it has ended already.
    pub fn abandon(&mut self, ticket: u64) -> bool {
        let Some(index) = self.find(ticket) else { return false };
        self.close_legs(index);
        self.deadlines.clear(index);
        self.exchanges.release(index);
        self.counters.abandoned += 1;
        true
    }

    /// Takes a datagram that came from `from` to source port `port`. What is no valid reply to something
    /// outstanding is counted, and moves nothing: not even a timer.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        from: SocketAddr,
        port: u16,
        datagram: &[u8],
    ) {
        match self.pool.by_address(from) {
            Some((server, kind)) => self.judge(now, server, kind, port, datagram),
            None => self.counters.unknown_sender += 1,
        }
        self.run_errands(now, rng);
    }

    /// Acts on a verified notice and answers what to acknowledge.
    pub fn handle_notice(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        notice: &Verified<Notice<'_>>,
    ) -> Outcome {
        let outcome = self.switch.handle_notice(now, rng, notice);
        self.run_errands(now, rng);
        outcome
    }

    /// See [`Switch::is_in_force`].
    pub fn is_in_force(&self, notice: &Verified<Notice<'_>>) -> bool {
        self.switch.is_in_force(notice)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        self.switch.handle_timeout(now);
        for id in self.pool.ids() {
            let detection = &mut self.lines[id.index()].detection;
            let change = detection.handle_timeout(now, rng, &self.config.dead_server);
            self.apply(now, id, change);
        }
        self.run_errands(now, rng);
        while let Some(index) = self.deadlines.pop_due(now) {
            self.handle_wait_over(now, rng, index);
        }
    }

    /// Writes the next datagram to be sent.
    pub fn poll_transmit(&mut self, buffer: &mut [u8; MAX_PACKET]) -> Option<Transmit> {
        for id in self.pool.ids() {
            if let Some(probe) = self.write_probe(id, buffer) {
                return Some(probe);
            }
        }
        while let Some(index) = self.to_send.pop_front() {
            self.exchanges.at_mut(index).queued = false;
            if let Some(transmit) = self.write_request(index, buffer) {
                return Some(transmit);
            }
        }
        None
    }

    /// Writes the next answer for an asker.
    pub fn poll_answer(&mut self, buffer: &mut [u8; MAX_PACKET]) -> Option<Answer> {
        let index = self.ended.pop_front()?;
        let answer = self.write_answer(index, buffer);
        self.exchanges.release(index);
        Some(answer)
    }

    /// What happened since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Upstream::handle_timeout`] next, and what for.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let waits = self.deadlines.earliest().map(|(at, _)| (at, Timer::Retransmission));
        let switch = self.switch.poll_timeout().map(|(at, timer)| (at, Timer::Switch(timer)));
        let detections = self.lines.iter().filter_map(|line| {
            let at = line.detection.poll_timeout(&self.config.dead_server)?;
            let timer = if line.detection.phase() == Phase::Up { Timer::Quiet } else { Timer::Probe };
            Some((at, timer))
        });
        detections.chain(waits).chain(switch).min()
    }

    /// The servers.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The server most traffic goes to, since when, and why.
    pub fn current(&self) -> (ServerId, Instant, Cause) {
        self.switch.current()
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> usize {
        self.exchanges.len() - self.ended.len()
    }

    /// The counters that belong to no server.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Finds what a datagram answers and verifies that it does.
    fn judge(&mut self, now: Instant, server: ServerId, kind: Kind, port: u16, datagram: &[u8]) {
        let line = &mut self.lines[server.index()];
        let Ok(reply) = Packet::parse(datagram) else {
            line.counters.malformed += 1;
            return;
        };
        let name = Name { port, identifier: reply.peek().identifier() };
        let home = self.pool.server(server);
        let required = home.require_message_authenticator;
        if Detection::is_probe(name.port, name.identifier) {
            let Some(authenticator) = line.detection.probe_named(kind, name.identifier) else {
                line.counters.unexpected += 1;
                return;
            };
            // An Accounting-Response may come without one from servers that know no better.
            let rule = rule(required && kind == Kind::Auth);
            match reply.verify_reply(&home.key, Code::STATUS_SERVER, authenticator, rule) {
                Err(forgery) => line.counters.count(forgery),
                Ok(_) => {
                    line.detection.close_probe(name.identifier);
                    line.counters.probes_answered += 1;
                    self.handle_heard(now, server, kind, true);
                }
            }
            return;
        }
        let Some(leg) = line.identifiers[kind.index()].owner(name) else {
            line.counters.unexpected += 1;
            return;
        };
        let authenticator = self.legs.at(leg).authenticator;
        match reply.verify_reply(&home.key, kind.request_code(), &authenticator, rule(required)) {
            Err(forgery) => line.counters.count(forgery),
            Ok(reply) => {
                let unsigned = kind == Kind::Auth && !reply.has_message_authenticator();
                line.counters.without_message_authenticator += u64::from(unsigned);
                line.counters.answered += 1;
                self.handle_reply(now, leg, &reply);
            }
        }
    }

    /// Where a request goes: a conversation to its server, as long as that keeps its conversations, or nobody else makes
    /// anything of it; all else where the switch says.
    fn route(&mut self, now: Instant, request: &Verified<Packet<'_>>, hash: u64) -> ServerId {
        let state = state_of(request);
        // Who has just started, or stands beside whoever saw it, goes by the name in it.
        let conversation = state.and_then(|state| {
            let server = self
                .conversations
                .server(now, state)
                .or_else(|| self.named(forewarn_wire::state::server(state)?));
            server.map(|server| (server, forewarn_wire::state::elsewhere(state)))
        });
        match conversation {
            Some((server, elsewhere))
                if self.switch.keeps_conversations(now, server)
                    && !self.may_leave(server, Some(elsewhere)) =>
            {
                server
            }
            _ => self.switch.choose(now, hash).server,
        }
    }

    fn named(&self, name: &[u8]) -> Option<ServerId> {
        self.pool.iter().find(|(_, server)| server.name.as_bytes() == name).map(|(id, _)| id)
    }

    fn push(&mut self, event: Event) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
            self.counters.events_lost += 1;
        }
        self.events.push_back(event);
    }
}

/// The State of the conversation that a request goes on with.
fn state_of<'a>(request: &Packet<'a>) -> Option<&'a [u8]> {
    let state = request.find(number::STATE)?;
    forewarn_wire::state::counts(state, request.find(number::EAP_MESSAGE)).then_some(state)
}

fn rule(required: bool) -> MessageAuthenticatorRule {
    if required { MessageAuthenticatorRule::Required } else { MessageAuthenticatorRule::Optional }
}
