//! The door for CoA: what the servers ask of the NAS software, and its answers (RFC 5176).
//!
//! A request is judged as one of its server: source, frame, code, Message-Authenticator, authenticator, time, duplicate.
//! It goes on to the NAS software under the local secret, what is hidden hidden anew; the answer comes back under the
//! server's. The agent sends nothing again by itself: the server does, and its retransmission is handed over again. A
//! NAS that doesn't answer is silence to the server too.

mod counts;
mod memory;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::exchange::{event_timestamp, is_current};
use forewarn_proto::time::{Instant, Utc};
use forewarn_shell::udp::Datagram;
use forewarn_wire::forward::{self, Leg, Onward};
use forewarn_wire::{AUTHENTICATOR, MAX_PACKET, MessageAuthenticatorRule, Packet, RadiusKey, Verified};
use tracing::{debug, warn};

use crate::config::{CoaListener, Config};
use crate::local::suspects::Suspects;

pub use counts::{Counts, Fate};
use memory::{Memory, Name, Remembered, State};

/// Each complaint about what comes in by a door is logged at most once in this time.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// So many packets of one sender running that don't verify, and the secret looks wrong.
const WRONG_SECRET_AFTER: u32 = 5;

/// All doors for CoA, without their sockets.
#[derive(Debug)]
pub struct Relay {
    servers: Vec<Peer>,
    doors: Vec<Door>,
    counts: Counts,
    scratch: Box<[u8; MAX_PACKET]>,
}

/// A server that may ask.
#[derive(Debug)]
struct Peer {
    name: String,
    address: IpAddr,
    key: RadiusKey,
    requires_message_authenticator: bool,
}

#[derive(Debug)]
struct Door {
    address: SocketAddr,
    nas: SocketAddr,
    key: Arc<RadiusKey>,
    requires_message_authenticator: bool,
    requires_event_timestamp: bool,
    memory: Memory,
    suspects: Suspects,
    /// When each complaint was last made.
    said: [Option<Instant>; Complaint::COUNT],
}

/// What only the operator can mend.
#[derive(Debug, Clone, Copy)]
enum Complaint {
    UnknownServer,
    WrongSecret,
    NoMessageAuthenticator,
    NoEventTimestamp,
    Stale,
    NasSilent,
    NasWrongSecret,
    NasNoMessageAuthenticator,
}

impl Complaint {
    const COUNT: usize = 8;
}

/// What is to be done about a datagram of a server.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'r> {
    /// Nothing: it is met with silence.
    Silence(Fate),
    /// The answer that it had before goes out again.
    Answer(&'r [u8]),
    /// This goes to the NAS software.
    HandOver(&'r [u8]),
}

/// An answer of the NAS software on its way to its server.
#[derive(Debug, PartialEq, Eq)]
pub struct Back<'r> {
    /// The server, at the port it asked from.
    pub to: SocketAddr,
    /// The address that was asked.
    pub from: IpAddr,
    /// The packet.
    pub bytes: &'r [u8],
}

impl Relay {
    /// The doors of a configuration, in their order.
    #[must_use]
    pub fn new(config: &Config) -> Relay {
        let servers = config.servers.iter().map(|server| Peer {
            name: server.name.clone(),
            address: server.address.to_canonical(),
            key: server.key.clone(),
            requires_message_authenticator: server.require_message_authenticator,
        });
        Relay {
            servers: servers.collect(),
            doors: config.coa.iter().map(Door::new).collect(),
            counts: Counts::default(),
            scratch: Box::new([0; MAX_PACKET]),
        }
    }

    /// Where the NAS software behind a door takes requests.
    #[must_use]
    pub fn nas(&self, door: usize) -> SocketAddr {
        self.doors[door].nas
    }

    /// What became of everything so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Judges a datagram that came in by `door`.
    pub fn judge(&mut self, now: Instant, utc: Utc, door: usize, datagram: &Datagram<'_>) -> Verdict<'_> {
        self.handle_timeout(now);
        let fate = match self.admit(utc, door, datagram) {
            Ok((server, request)) => self.hand_over(now, door, server, &request, datagram),
            Err(fate) => fate,
        };
        self.counts.add(fate);
        self.mention(now, door, fate, datagram.from);
        let request = || Packet::parse(datagram.bytes).ok().map(|packet| *packet.peek().authenticator());
        let remembered = |name: Name| self.doors[door].memory.get(&name).map(|known| &known.state);
        match (fate, request().and_then(remembered)) {
            (Fate::HandedOver | Fate::HandedOverAgain, Some(State::Waits { sent, .. })) => {
                Verdict::HandOver(sent)
            }
            (Fate::Replayed, Some(State::Answered(answer))) => Verdict::Answer(answer),
            _ => Verdict::Silence(fate),
        }
    }

    /// Server, frame, code, authenticators, time.
    fn admit<'d>(
        &mut self,
        utc: Utc,
        door: usize,
        datagram: &Datagram<'d>,
    ) -> Result<(usize, Verified<Packet<'d>>), Fate> {
        let source = datagram.from.ip().to_canonical();
        let server =
            self.servers.iter().position(|server| server.address == source).ok_or(Fate::UnknownServer)?;
        if datagram.truncated {
            return Err(Fate::Malformed);
        }
        let request = Packet::parse(datagram.bytes)?;
        if !request.peek().code().is_dynamic_authorization_request() {
            return Err(Fate::UnknownCode);
        }
        let peer = &self.servers[server];
        if peer.requires_message_authenticator && !request.peek().has_message_authenticator() {
            return Err(Fate::MissingMessageAuthenticator);
        }
        let request = request.verify_request(&peer.key, MessageAuthenticatorRule::Optional)?;
        self.doors[door].suspects.acquit(source);
        match event_timestamp(&request) {
            Some(said) if !is_current(said, utc) => Err(Fate::Stale),
            None if self.doors[door].requires_event_timestamp => Err(Fate::MissingEventTimestamp),
            _ => Ok((server, request)),
        }
    }

    /// Looks whether it was there before, and writes it for the NAS software if it wasn't.
    fn hand_over(
        &mut self,
        now: Instant,
        door: usize,
        server: usize,
        request: &Verified<Packet<'_>>,
        datagram: &Datagram<'_>,
    ) -> Fate {
        let name = *request.authenticator();
        let Door { memory, key, .. } = &mut self.doors[door];
        match memory.get(&name) {
            Some(known) if known.from != datagram.from => return Fate::Replay,
            Some(Remembered { state: State::Waits { .. }, .. }) => return Fate::HandedOverAgain,
            Some(Remembered { state: State::Answered(_), .. }) => return Fate::Replayed,
            None if !memory.has_room() => return Fate::Full,
            Some(Remembered { state: State::GivenUp, .. }) | None => {}
        }
        let Some(identifier) = memory.free_identifier() else { return Fate::Full };
        let onward =
            Onward { key, identifier, authenticator: [0; AUTHENTICATOR], delay_s: 0, proxy_state: None };
        let scratch = &mut self.scratch[..];
        let Ok(sent) = forward::request(request, &self.servers[server].key, &onward, scratch) else {
            return Fate::CannotForward;
        };
        let remembered = Remembered {
            server,
            from: datagram.from,
            asked: datagram.to,
            identifier: request.identifier(),
            code: request.code(),
            state: State::Waits { identifier, sent: sent.into() },
        };
        memory.insert(now, name, remembered);
        Fate::HandedOver
    }

    /// Takes what came from the NAS software behind `door`; the answer for its server, if it is one.
    pub fn handle_answer(
        &mut self,
        now: Instant,
        door: usize,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Option<Back<'_>> {
        let answered = self.answer(door, from, bytes);
        let fate = match answered {
            Ok((_, _, fate)) => fate,
            Err(fate) => fate,
        };
        self.counts.add(fate);
        self.mention(now, door, fate, from);
        let (name, length, _) = answered.ok()?;
        let bytes = &self.scratch[..length];
        let memory = &mut self.doors[door].memory;
        memory.answer(&name, bytes);
        let known = memory.get(&name)?;
        Some(Back { to: known.from, from: known.asked, bytes })
    }

    /// Verifies it and writes it for the server; which request it answers, and its length.
    fn answer(&mut self, door: usize, from: SocketAddr, bytes: &[u8]) -> Result<(Name, usize, Fate), Fate> {
        let Door { nas, key, requires_message_authenticator, memory, .. } = &self.doors[door];
        if from != *nas {
            return Err(Fate::NasUnexpected);
        }
        let reply = Packet::parse(bytes).map_err(|_| Fate::NasUnexpected)?;
        if *requires_message_authenticator && !reply.peek().has_message_authenticator() {
            return Err(Fate::NasMissingMessageAuthenticator);
        }
        let (name, known) = memory.waiting(reply.peek().identifier()).ok_or(Fate::NasUnexpected)?;
        let State::Waits { sent, .. } = &known.state else { return Err(Fate::NasUnexpected) };
        let ours: &[u8; AUTHENTICATOR] =
            sent.get(4..).and_then(<[u8]>::first_chunk).ok_or(Fate::CannotForward)?;
        let reply = reply
            .verify_reply(key, known.code, ours, MessageAuthenticatorRule::Optional)
            .map_err(|_| Fate::NasForged)?;
        let from = Leg { key, authenticator: ours };
        let to = Leg { key: &self.servers[known.server].key, authenticator: &name };
        let written = forward::reply(&reply, from, to, known.identifier, None, &mut self.scratch[..]);
        let length = written.map_err(|_| Fate::CannotForward)?.len();
        Ok((name, length, Fate::of_reply(reply.code())))
    }

    /// Gives up what the NAS software doesn't answer, and forgets what is old.
    pub fn handle_timeout(&mut self, now: Instant) {
        for door in 0..self.doors.len() {
            for _ in 0..self.doors[door].memory.handle_timeout(now) {
                self.counts.add(Fate::NasSilent);
                self.mention(now, door, Fate::NasSilent, self.doors[door].nas);
            }
        }
    }

    /// When to call [`Relay::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.doors.iter().filter_map(|door| door.memory.poll_timeout()).min()
    }

    /// Tells the operator what only the operator can mend, and not too often.
    fn mention(&mut self, now: Instant, door: usize, fate: Fate, from: SocketAddr) {
        let server = self.servers.iter().find(|server| server.address == from.ip().to_canonical());
        let name = server.map_or("", |server| &server.name);
        let door = &mut self.doors[door];
        let (address, nas) = (door.address, door.nas);
        debug!(door = %address, %from, fate = fate.name(), "a datagram at the door for CoA");
        let Some(complaint) = door.complaint(fate, from.ip()) else { return };
        let said = &mut door.said[complaint as usize];
        if said.is_some_and(|said| now.since(said) < SAY_EVERY) {
            return;
        }
        *said = Some(now);
        match complaint {
            Complaint::UnknownServer => warn!(
                "{from} is none of the servers, and its CoA at {address} meets silence; if it is one, add a [[server]] \
                 with the address it calls from"
            ),
            Complaint::WrongSecret => warn!(
                "the secret of server {name:?} ({from}) looks wrong: {WRONG_SECRET_AFTER} of its CoA-Requests running \
                 don't verify; compare it with `secret` of that [[server]], and with what the server has for this agent"
            ),
            Complaint::NoMessageAuthenticator => warn!(
                "server {name:?} ({from}) sends CoA-Requests without Message-Authenticator: they meet silence; have it send \
                 them, or set require_message_authenticator = \"no\" for that [[server]]"
            ),
            Complaint::NoEventTimestamp => warn!(
                "server {name:?} ({from}) sends CoA-Requests without Event-Timestamp: they meet silence, since a recorded one \
                 could be sent again; have it send them, or set require_event_timestamp = \"no\" at the [[listen]] {address}"
            ),
            Complaint::Stale => warn!(
                "server {name:?} ({from}) sends CoA-Requests made more than 300 s from this host's clock: they meet silence; \
                 set both clocks by NTP"
            ),
            Complaint::NasSilent => warn!(
                "the NAS software at {nas} doesn't answer CoA-Requests; check that it takes them there, and that its \
                 secret is that of the [[listen]] {address}"
            ),
            Complaint::NasWrongSecret => warn!(
                "answers of the NAS software at {nas} don't verify; compare its secret for CoA with `secret` of the \
                 [[listen]] {address}"
            ),
            Complaint::NasNoMessageAuthenticator => warn!(
                "the NAS software at {nas} answers without Message-Authenticator: its answers are discarded; have it send \
                 it, or set require_message_authenticator = \"no\" at the [[listen]] {address}"
            ),
        }
    }
}

impl Door {
    fn new(listener: &CoaListener) -> Door {
        Door {
            address: listener.address,
            nas: listener.nas,
            key: Arc::clone(&listener.key),
            requires_message_authenticator: listener.require_message_authenticator,
            requires_event_timestamp: listener.require_event_timestamp,
            memory: Memory::new(),
            suspects: Suspects::default(),
            said: [None; Complaint::COUNT],
        }
    }

    fn complaint(&mut self, fate: Fate, from: IpAddr) -> Option<Complaint> {
        Some(match fate {
            Fate::UnknownServer => Complaint::UnknownServer,
            Fate::Forged if self.suspects.accuse(from.to_canonical()) >= WRONG_SECRET_AFTER => {
                Complaint::WrongSecret
            }
            Fate::MissingMessageAuthenticator => Complaint::NoMessageAuthenticator,
            Fate::MissingEventTimestamp => Complaint::NoEventTimestamp,
            Fate::Stale => Complaint::Stale,
            Fate::NasSilent => Complaint::NasSilent,
            Fate::NasForged => Complaint::NasWrongSecret,
            Fate::NasMissingMessageAuthenticator => Complaint::NasNoMessageAuthenticator,
            _ => return None,
        })
    }
}
