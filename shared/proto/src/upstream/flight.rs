//! Requests on their way: legs opened and closed, moves from server to server, replies, giving up.

use forewarn_wire::forward::{self, ForwardError, Leg as Side, Onward};
use forewarn_wire::state::Elsewhere;
use forewarn_wire::{
    AUTHENTICATOR, Code, MAX_PACKET, Packet, RequestAuthenticator, Verified, Writer, number,
};
use rand_core::CryptoRng;

use super::state::{Leg, NONE, Progress};
use super::{Answer, Change, Event, GiveUp, Life, Phase, Purpose, Transmit, Upstream};
use crate::exchange::{Name, Retransmission, Timing};
use crate::pool::{Kind, ServerId};
use crate::time::Instant;

/// Legs of one request open at once; the oldest is closed for another.
const MAX_LEGS: u8 = 8;

impl Upstream {
    /// Sends a request to `server` on a new leg, with the timer of a first transmission. False when no
    /// identifier is left there.
    pub(super) fn open_leg(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        index: u32,
        server: ServerId,
        delay_s: u32,
    ) -> bool {
        if !self.add_leg(now, rng, index, server, delay_s) {
            return false;
        }
        let timer = Retransmission::first(self.timing(index), rng);
        self.wait(now, index, timer);
        true
    }

    /// Adds a leg and puts it in the queue, the timer aside.
    fn add_leg(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        index: u32,
        server: ServerId,
        delay_s: u32,
    ) -> bool {
        let kind = self.exchanges.at(index).kind;
        let line = &mut self.lines[server.index()];
        let Some(name) = line.identifiers[kind.index()].take(self.legs.next()) else { return false };
        line.detection.handle_sent(now, kind);
        let mut authenticator = [0; AUTHENTICATOR];
        rng.fill_bytes(&mut authenticator);
        let exchange = self.exchanges.at_mut(index);
        let leg = self.legs.insert(Leg {
            exchange: index,
            server,
            kind,
            name,
            authenticator,
            delay_s,
            transmissions: 0,
            next: exchange.legs,
        });
        (exchange.legs, exchange.active) = (leg, leg);
        exchange.leg_count += 1;
        if exchange.leg_count > MAX_LEGS {
            self.close_oldest(index);
        }
        self.enqueue(index);
        true
    }

    fn enqueue(&mut self, index: u32) {
        let exchange = self.exchanges.at_mut(index);
        if !std::mem::replace(&mut exchange.queued, true) {
            self.to_send.push_back(index);
        }
    }

    /// Starts the wait that `timer` says, cut off where the request is given up.
    fn wait(&mut self, now: Instant, index: u32, timer: Retransmission) {
        let given_up = self.exchanges.at(index).started + self.timing(index).duration;
        self.exchanges.at_mut(index).retransmission = Some(timer);
        self.deadlines.set(index, given_up.min(now + timer.wait()));
    }

    fn timing(&self, index: u32) -> &Timing {
        match self.exchanges.at(index).kind {
            Kind::Auth => &self.config.auth,
            Kind::Acct => &self.config.acct,
        }
    }

    /// A request has waited for as long as it should: again, elsewhere, or not at all any more.
    pub(super) fn handle_wait_over(&mut self, now: Instant, rng: &mut dyn CryptoRng, index: u32) {
        let timing = *self.timing(index);
        let exchange = self.exchanges.at(index);
        if now >= exchange.started + timing.duration {
            return self.give_up(index, GiveUp::TimeOut);
        }
        let server = self.legs.at(exchange.active).server;
        if self.switch.life(server) != Life::Alive && self.may_leave(server, exchange.conversation) {
            let moved = self.move_on(now, rng, index);
            if moved {
                return;
            }
        }
        let exchange = self.exchanges.at(index);
        let Some(timer) = exchange.retransmission.and_then(|timer| timer.next(&timing, rng)) else {
            return self.give_up(index, GiveUp::TimeOut);
        };
        // A changed Acct-Delay-Time is another packet: another identifier (RFC 2866 section 3). The old leg
        // stays open for a late reply.
        let server = self.legs.at(exchange.active).server;
        let renewed = exchange.tells_delay && {
            let waited = seconds(exchange.started, now);
            self.add_leg(now, rng, index, server, waited)
        };
        if !renewed {
            self.enqueue(index);
        }
        self.wait(now, index, timer);
    }

    /// Sends a request where the switch says now. False when that is where it waits already, or when it
    /// can't go there.
    fn move_on(&mut self, now: Instant, rng: &mut dyn CryptoRng, index: u32) -> bool {
        let exchange = self.exchanges.at(index);
        let to = self.switch.choose(now, exchange.hash).server;
        if to == self.legs.at(exchange.active).server {
            return false;
        }
        let open = self.leg_at(index, to).filter(|_| exchange.kind == Kind::Auth);
        if let Some(leg) = open {
            // It was there before: the same request again, on the same leg.
            self.exchanges.at_mut(index).active = leg;
            self.enqueue(index);
            let timer = Retransmission::first(self.timing(index), rng);
            self.wait(now, index, timer);
            return true;
        }
        let waited = match exchange.kind {
            Kind::Auth => 0,
            Kind::Acct => seconds(exchange.started, now),
        };
        if !self.open_leg(now, rng, index, to, waited) {
            self.counters.stuck += 1;
            return false;
        }
        self.lines[to.index()].counters.moved_here += 1;
        true
    }

    /// Whether a request may leave a server before conversations with it do: it belongs to none, or the server is silent,
    /// and another makes something of it. That is sure to be no more than a new beginning only once the server is dead.
    pub(super) fn may_leave(&self, server: ServerId, conversation: Option<Elsewhere>) -> bool {
        match conversation {
            None => true,
            Some(Elsewhere::Unknown) => false,
            Some(Elsewhere::Rejected) => self.switch.life(server) == Life::Dead,
            Some(Elsewhere::GoesOn) => self.switch.life(server) != Life::Alive,
        }
    }

    fn leg_at(&self, index: u32, server: ServerId) -> Option<u32> {
        let mut at = self.exchanges.at(index).legs;
        while at != NONE {
            let leg = self.legs.at(at);
            if leg.server == server {
                return Some(at);
            }
            at = leg.next;
        }
        None
    }

    /// Does what the switch asks for: looks again at requests that wait for servers that were left, and has
    /// servers probed.
    pub(super) fn run_errands(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let errands = self.switch.take_errands();
        for id in self.pool.ids().filter(|id| errands.probe & id.bit() != 0) {
            if !self.pool.server(id).status_server {
                // Nothing speaks against one that is alive; one that isn't has requests as its probes.
                if self.switch.life(id) == Life::Alive {
                    self.switch.handle_probed(now, id);
                }
                continue;
            }
            let change = self.lines[id.index()].detection.examine(now, rng, &self.config.dead_server);
            self.apply(now, id, change);
        }
        if errands.left != 0 {
            for index in 0..self.exchanges.slots() {
                let exchange = self.exchanges.at(index);
                if exchange.progress != Progress::Open {
                    continue;
                }
                let at = self.legs.at(exchange.active).server;
                let may_leave = self.may_leave(at, exchange.conversation);
                let among = if may_leave { errands.left } else { errands.drained };
                if at.bit() & among != 0 {
                    self.move_on(now, rng, index);
                }
            }
        }
        while let Some(event) = self.switch.poll_event() {
            self.push(Event::Switch(event));
        }
    }

    /// Tells the switch, and whoever listens, what became of a server.
    pub(super) fn apply(&mut self, now: Instant, server: ServerId, change: Change) {
        let Change::Entered { before, phase } = change else { return };
        self.push(Event::Life { server, before, phase });
        match phase {
            Phase::Suspect => {}
            Phase::Doubtful => self.switch.handle_unanswered(now, server, Life::Doubtful),
            Phase::Dead => self.switch.handle_unanswered(now, server, Life::Dead),
            Phase::Up if self.switch.life(server) == Life::Alive => self.switch.handle_probed(now, server),
            Phase::Up => self.switch.handle_revived(now, server),
        }
    }

    /// A valid reply came from a server, whichever it is.
    pub(super) fn handle_heard(&mut self, now: Instant, server: ServerId, kind: Kind, probe: bool) {
        let alone = self.pool.ids().all(|id| id == server || self.switch.life(id) != Life::Alive);
        let line = &mut self.lines[server.index()];
        line.heard = Some(now);
        let detection = &mut line.detection;
        let change = detection.handle_heard(now, kind, probe, alone, &self.config.dead_server);
        self.apply(now, server, change);
    }

    /// A valid reply to a request: the first one wins, the other legs are closed.
    pub(super) fn handle_reply(&mut self, now: Instant, leg: u32, reply: &Verified<Packet<'_>>) {
        let Leg { exchange: index, server, kind, authenticator, .. } = *self.legs.at(leg);
        self.handle_heard(now, server, kind, false);
        if reply.code() == Code::ACCESS_CHALLENGE
            && let Some(state) = reply.find(number::STATE)
        {
            self.conversations.learn(now, state, server);
        }
        self.exchanges.store_reply(index, reply);
        self.end(index, Progress::Answered { server, authenticator });
    }

    fn give_up(&mut self, index: u32, cause: GiveUp) {
        self.end(index, Progress::GivenUp(cause));
    }

    fn end(&mut self, index: u32, progress: Progress) {
        self.close_legs(index);
        self.deadlines.clear(index);
        self.exchanges.at_mut(index).progress = progress;
        self.ended.push_back(index);
    }

    pub(super) fn close_legs(&mut self, index: u32) {
        let exchange = self.exchanges.at_mut(index);
        let mut at = std::mem::replace(&mut exchange.legs, NONE);
        (exchange.active, exchange.leg_count) = (NONE, 0);
        while at != NONE {
            let next = self.legs.at(at).next;
            self.close_leg(at);
            at = next;
        }
    }

    fn close_oldest(&mut self, index: u32) {
        let mut before = self.exchanges.at(index).legs;
        loop {
            let oldest = self.legs.at(before).next;
            if self.legs.at(oldest).next == NONE {
                self.legs.at_mut(before).next = NONE;
                self.exchanges.at_mut(index).leg_count -= 1;
                return self.close_leg(oldest);
            }
            before = oldest;
        }
    }

    fn close_leg(&mut self, leg: u32) {
        let Leg { server, kind, name, .. } = *self.legs.at(leg);
        let line = &mut self.lines[server.index()];
        line.identifiers[kind.index()].release(name);
        line.detection.handle_ended(kind);
        self.legs.release(leg);
    }

    /// Writes a request as its active leg sends it; gives it up when it can't be written.
    pub(super) fn write_request(&mut self, index: u32, buffer: &mut [u8; MAX_PACKET]) -> Option<Transmit> {
        let exchange = self.exchanges.at(index);
        if exchange.progress != Progress::Open {
            return None;
        }
        let leg = self.legs.at_mut(exchange.active);
        let home = self.pool.server(leg.server);
        let onward = |delay_s| Onward {
            key: &home.key,
            identifier: leg.name.identifier,
            authenticator: leg.authenticator,
            delay_s,
            proxy_state: self.config.proxy_state.as_deref(),
        };
        let (request, asker) = exchange.request.packet().zip(exchange.asker.as_deref())?;
        let written = match forward::request(&request, asker, &onward(leg.delay_s), buffer) {
            // No room for the delay: the record matters more.
            Err(ForwardError::Write(_)) if leg.delay_s > 0 => {
                leg.delay_s = 0;
                forward::request(&request, asker, &onward(0), buffer).map(<[u8]>::len)
            }
            written => written.map(<[u8]>::len),
        };
        let Ok(len) = written else {
            self.give_up(index, GiveUp::Request);
            return None;
        };
        // That of an Accounting-Request is a digest, and known only now.
        if let Some(authenticator) = buffer[4..].first_chunk() {
            leg.authenticator = *authenticator;
        }
        leg.transmissions += 1;
        let again = leg.transmissions > 1 || leg.delay_s > 0;
        let line = &mut self.lines[leg.server.index()];
        line.counters.retransmitted += u64::from(leg.transmissions > 1);
        Some(Transmit {
            server: leg.server,
            kind: leg.kind,
            port: leg.name.port,
            to: home.address(leg.kind),
            len,
            purpose: if again { Purpose::Again } else { Purpose::First },
        })
    }

    /// Writes the Status-Server that is due to a server (RFC 5997 section 3).
    pub(super) fn write_probe(
        &mut self,
        server: ServerId,
        buffer: &mut [u8; MAX_PACKET],
    ) -> Option<Transmit> {
        let line = &mut self.lines[server.index()];
        let (kind, identifier, authenticator) = line.detection.take_probe()?;
        let home = self.pool.server(server);
        let mut writer = Writer::new(buffer, Code::STATUS_SERVER, identifier);
        writer.message_authenticator().ok()?;
        let octets = writer.request(&home.key, RequestAuthenticator::Chosen(authenticator)).ok()?;
        line.counters.probes += 1;
        let name = Name { port: 0, identifier };
        let (to, len) = (home.address(kind), octets.len());
        Some(Transmit { server, kind, port: name.port, to, len, purpose: Purpose::Probe })
    }

    /// Writes what an asker gets.
    pub(super) fn write_answer(&mut self, index: u32, buffer: &mut [u8; MAX_PACKET]) -> Answer {
        let exchange = self.exchanges.at(index);
        let ticket = exchange.ticket;
        let (server, authenticator) = match &exchange.progress {
            Progress::Answered { server, authenticator } => (*server, authenticator),
            Progress::GivenUp(cause) => return self.silence(ticket, *cause),
            Progress::Free | Progress::Open => return self.silence(ticket, GiveUp::Reply),
        };
        let kept = exchange.request.packet().zip(exchange.reply.packet()).zip(exchange.asker.as_deref());
        let Some(((request, reply), asker)) = kept else { return self.silence(ticket, GiveUp::Reply) };
        let from = Side { key: &self.pool.server(server).key, authenticator };
        let to = Side { key: asker, authenticator: request.authenticator() };
        let mark = self.config.proxy_state.as_deref();
        match forward::reply(&reply, from, to, request.identifier(), mark, buffer) {
            Ok(octets) => {
                self.counters.answered += 1;
                Answer::Reply { ticket, len: octets.len(), server, code: reply.code() }
            }
            Err(_) => self.silence(ticket, GiveUp::Reply),
        }
    }

    fn silence(&mut self, ticket: u64, cause: GiveUp) -> Answer {
        match cause {
            GiveUp::TimeOut => self.counters.timed_out += 1,
            GiveUp::Request | GiveUp::Reply => self.counters.unforwardable += 1,
        }
        Answer::Silence { ticket, cause }
    }
}

fn seconds(since: Instant, now: Instant) -> u32 {
    u32::try_from(now.since(since).as_secs()).unwrap_or(u32::MAX)
}
