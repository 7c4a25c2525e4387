//! One machine between an asker and scripted servers, in virtual time. Every step checks what must always hold.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forewarn_wire::hide::user_password;
use forewarn_wire::notice::{self, Flags, Header, Identity, MacKind, NoticeKey, Outcome, Reason, Tlv};
use forewarn_wire::{
    Code, MAX_PACKET, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Verified, Writer,
    number,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::pool::{Kind, Pool, Server, ServerId};
use crate::switch;
use crate::time::Instant;
use crate::upstream::{Answer, Config, Event, Phase, Purpose, Upstream};

pub(super) const MUST: MessageAuthenticatorRule = MessageAuthenticatorRule::Required;

/// What a scripted server does with a request.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// Hears and says nothing.
    pub(super) dead: bool,
    /// Answers nothing on its accounting port.
    pub(super) acct_dead: bool,
    /// The code of its answers to Access-Requests; Challenges carry a State.
    pub(super) code: Code,
    /// How long an answer takes.
    pub(super) delay: Duration,
    /// Leaves Message-Authenticator out of its answers.
    pub(super) bare: bool,
    /// Signs with another secret.
    pub(super) forged: bool,
}

/// A request as a server saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) code: Code,
    pub(super) ticket: u64,
    pub(super) name: (u16, u8),
    pub(super) authenticator: [u8; 16],
    pub(super) delay_s: Option<u32>,
}

pub(super) struct Fake {
    pub(super) script: Script,
    pub(super) seen: Vec<Seen>,
}

enum Packed {
    ToServer { server: usize, kind: Kind, port: u16, octets: Vec<u8> },
    ToClient { from: SocketAddr, port: u16, octets: Vec<u8> },
}

/// Server, kind, source port, identifier.
type Name = (ServerId, Kind, u16, u8);

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) rng: StdRng,
    pub(super) upstream: Upstream,
    pub(super) servers: Vec<Fake>,
    pub(super) events: Vec<(Instant, Event)>,
    /// Answers by ticket: when, and the reply's octets, or none for silence.
    pub(super) answers: BTreeMap<u64, (Instant, Option<Vec<u8>>)>,
    pub(super) asked: BTreeMap<u64, Instant>,
    network: BTreeMap<(Instant, u64), Packed>,
    sent: u64,
    local: Arc<RadiusKey>,
    names: BTreeMap<Name, (u64, [u8; 16])>,
    sequence: u32,
    /// One way through the network.
    pub(super) way: Duration,
    /// Loss in percent, each way.
    pub(super) loss: u32,
}

pub(super) fn address(server: usize) -> IpAddr {
    IpAddr::from([127, 0, 0, 11 + server as u8])
}

fn home_key(server: usize) -> RadiusKey {
    RadiusKey::new(format!("secret of server {server}").as_bytes()).unwrap()
}

pub(super) fn id(server: usize) -> ServerId {
    ServerId::new(server).unwrap()
}

pub(super) fn pool(servers: usize) -> Pool {
    let server = |index| Server {
        name: format!("aaa-{index}"),
        identity: Identity::from(address(index)),
        auth: SocketAddr::new(address(index), 1812),
        acct: SocketAddr::new(address(index), 1813),
        key: home_key(index),
        require_message_authenticator: true,
        status_server: true,
    };
    Pool::new((0..servers).map(server).collect()).unwrap()
}

impl World {
    pub(super) fn new(servers: usize, config: Config) -> World {
        World::seeded(servers, config, 1)
    }

    pub(super) fn seeded(servers: usize, config: Config, seed: u64) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = Instant::from_millis(1_000);
        let script = Script {
            dead: false,
            acct_dead: false,
            code: Code::ACCESS_ACCEPT,
            delay: Duration::from_micros(300),
            bare: false,
            forged: false,
        };
        let fake = |_| Fake { script: script.clone(), seen: Vec::new() };
        World {
            now,
            upstream: Upstream::new(config, pool(servers), now, &mut rng),
            servers: (0..servers).map(fake).collect(),
            rng,
            events: Vec::new(),
            answers: BTreeMap::new(),
            asked: BTreeMap::new(),
            network: BTreeMap::new(),
            sent: 0,
            local: Arc::new(RadiusKey::new(b"localsecretlocalsecret").unwrap()),
            names: BTreeMap::new(),
            sequence: 0,
            way: Duration::from_micros(100),
            loss: 0,
        }
    }

    /// Puts a PAP request in and returns its ticket.
    pub(super) fn ask(&mut self) -> u64 {
        self.ask_with(Kind::Auth, &[])
    }

    pub(super) fn account(&mut self) -> u64 {
        self.ask_with(Kind::Acct, &[])
    }

    pub(super) fn ask_in(&mut self, state: &[u8]) -> u64 {
        self.ask_with(Kind::Auth, &[(number::STATE, state)])
    }

    pub(super) fn ask_with(&mut self, kind: Kind, attributes: &[(u8, &[u8])]) -> u64 {
        let ticket = self.asked.len() as u64;
        self.asked.insert(ticket, self.now);
        let mut buffer = [0; MAX_PACKET];
        let mut authenticator = [0; 16];
        self.rng.fill_bytes(&mut authenticator);
        let mut writer = Writer::new(&mut buffer, kind.request_code(), ticket as u8);
        if kind == Kind::Auth {
            writer.message_authenticator().unwrap();
            writer.user_password(&self.local, &authenticator, b"wonderland").unwrap();
        }
        writer.attribute(number::CALLING_STATION_ID, ticket.to_string().as_bytes()).unwrap();
        for (number, value) in attributes {
            writer.attribute(*number, value).unwrap();
        }
        let authenticator = match kind {
            Kind::Auth => RequestAuthenticator::Chosen(authenticator),
            Kind::Acct => RequestAuthenticator::Computed,
        };
        let octets = writer.request(&self.local, authenticator).unwrap().to_vec();
        let request = Packet::parse(&octets).unwrap().verify_request(&self.local, MUST).unwrap();
        let local = Arc::clone(&self.local);
        let taken = self.upstream.handle_request(self.now, &mut self.rng, ticket, kind, &request, &local);
        assert_eq!(taken, Ok(()));
        self.drain();
        ticket
    }

    /// Asks every `interval` for `duration`.
    pub(super) fn stream(&mut self, interval: Duration, duration: Duration) -> Vec<u64> {
        let end = self.now + duration;
        let mut tickets = Vec::new();
        while self.now < end {
            tickets.push(self.ask());
            self.run(interval);
        }
        tickets
    }

    /// Gives the machine a notice from a server.
    pub(super) fn notice(
        &mut self,
        server: usize,
        change: impl FnOnce(&mut Header),
        tlvs: &[Tlv<'_>],
    ) -> Outcome {
        let (from, to) = (Identity::from(address(server)), Identity::from(IpAddr::from([127, 0, 0, 21])));
        let key = NoticeKey::new(MacKind::HmacSha256, &[7; 32]).unwrap().pair(from, to);
        let mut header = Header::new(notice::Kind::Failover, from, to);
        self.sequence += 1;
        header.sequence = self.sequence;
        header.validity_s = 30;
        header.reduction_percent = 100;
        header.reason = Reason::WORKERS;
        change(&mut header);
        let mut buffer = [0; notice::MAX_OCTETS];
        let len = notice::write(&mut buffer, &header, tlvs.iter().copied(), &key).unwrap();
        let notice = notice::Notice::parse(&buffer[..len]).unwrap().verify(&key).unwrap();
        let outcome = self.upstream.handle_notice(self.now, &mut self.rng, &notice);
        self.drain();
        outcome
    }

    pub(super) fn failover(&mut self, server: usize) -> Outcome {
        self.notice(server, |_| {}, &[])
    }

    pub(super) fn hard(&mut self, server: usize, load: u8) -> Outcome {
        self.notice(server, |header| (header.flags, header.load_percent) = (Flags::HARD, load), &[])
    }

    pub(super) fn invite(&mut self, server: usize, slot_ms: u32) -> Outcome {
        self.notice(server, |header| header.kind = notice::Kind::Reconnect, &[Tlv::Slot { ms: slot_ms }])
    }

    pub(super) fn run(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    pub(super) fn run_until(&mut self, end: Instant) {
        let mut here = 0;
        loop {
            let timeout = self.upstream.poll_timeout().map(|(at, _)| at);
            let arrival = self.network.keys().next().map(|key| key.0);
            let Some(next) = timeout.into_iter().chain(arrival).min().filter(|&next| next <= end) else {
                break;
            };
            here = if next <= self.now { here + 1 } else { 0 };
            assert!(
                here < 100_000,
                "time stands still at {:?}: {:?}",
                self.now,
                self.upstream.poll_timeout()
            );
            self.now = self.now.max(next);
            if arrival.is_some_and(|arrival| arrival <= self.now) {
                let (_, packed) = self.network.pop_first().unwrap();
                self.deliver(packed);
            } else {
                self.upstream.handle_timeout(self.now, &mut self.rng);
            }
            self.drain();
        }
        self.now = end;
    }

    pub(super) fn current(&self) -> usize {
        self.upstream.current().0.index()
    }

    /// Where requests with these tickets were first sent.
    pub(super) fn first_seen_by(&self, ticket: u64) -> Option<usize> {
        let first =
            |fake: &Fake| fake.seen.iter().filter(|seen| seen.ticket == ticket).map(|seen| seen.at).min();
        (0..self.servers.len())
            .filter_map(|index| Some((first(&self.servers[index])?, index)))
            .min()
            .map(|(_, i)| i)
    }

    pub(super) fn probes_seen(&self, server: usize) -> usize {
        self.servers[server].seen.iter().filter(|seen| seen.code == Code::STATUS_SERVER).count()
    }

    pub(super) fn switches(&self) -> Vec<(usize, usize)> {
        let switched = |event: &Event| match event {
            Event::Switch(switch::Event::Switched { from, to, .. }) => Some((from.index(), to.index())),
            _ => None,
        };
        self.events.iter().filter_map(|(_, event)| switched(event)).collect()
    }

    pub(super) fn phase(&self, server: usize) -> Phase {
        self.upstream.status(self.now, id(server)).phase
    }

    pub(super) fn reply(&self, ticket: u64) -> Option<Code> {
        let octets = self.answers.get(&ticket)?.1.as_deref()?;
        Some(Packet::parse(octets).unwrap().peek().code())
    }

    fn drain(&mut self) {
        let mut buffer = [0; MAX_PACKET];
        while let Some(transmit) = self.upstream.poll_transmit(&mut buffer) {
            let octets = buffer[..transmit.len].to_vec();
            let server = transmit.server.index();
            assert_eq!(transmit.to, self.upstream.pool().server(transmit.server).address(transmit.kind));
            self.check_name(transmit.server, transmit.kind, transmit.port, transmit.purpose, &octets);
            self.send(
                Packed::ToServer { server, kind: transmit.kind, port: transmit.port, octets },
                Duration::ZERO,
            );
        }
        while let Some(answer) = self.upstream.poll_answer(&mut buffer) {
            let (ticket, octets) = match answer {
                Answer::Reply { ticket, len, .. } => (ticket, Some(buffer[..len].to_vec())),
                Answer::Silence { ticket, .. } => (ticket, None),
            };
            assert!(self.asked.contains_key(&ticket));
            let before = self.answers.insert(ticket, (self.now, octets));
            assert!(before.is_none(), "request {ticket} ended twice");
        }
        while let Some(event) = self.upstream.poll_event() {
            self.events.push((self.now, event));
        }
        assert_eq!(self.upstream.in_flight(), self.asked.len() - self.answers.len());
    }

    /// No identifier is reused while outstanding.
    fn check_name(&mut self, server: ServerId, kind: Kind, port: u16, purpose: Purpose, octets: &[u8]) {
        let packet = Packet::parse(octets).unwrap();
        let packet = packet.verify_request(&home_key(server.index()), MUST).unwrap();
        if purpose == Purpose::Probe {
            assert!(port == 0 && packet.identifier() >= 248);
            return;
        }
        assert!(port != 0 || packet.identifier() < 248, "the probes' identifiers are theirs");
        let (ticket, authenticator) = (ticket(&packet), *packet.authenticator());
        let name = (server, kind, port, packet.identifier());
        if let Some((other, before)) = self.names.insert(name, (ticket, authenticator)) {
            let same = (other, before) == (ticket, authenticator);
            assert!(same || self.answers.contains_key(&other), "{name:?} of {other} reused by {ticket}");
        }
    }

    fn send(&mut self, packed: Packed, delay: Duration) {
        if self.loss > 0 && self.rng.next_u32() % 100 < self.loss {
            return;
        }
        self.sent += 1;
        self.network.insert((self.now + self.way + delay, self.sent), packed);
    }

    fn deliver(&mut self, packed: Packed) {
        match packed {
            Packed::ToClient { from, port, octets } => {
                self.upstream.handle_datagram(self.now, &mut self.rng, from, port, &octets);
            }
            Packed::ToServer { server, kind, port, octets } => {
                if let Some((reply, delay)) = self.serve(server, kind, port, &octets) {
                    let from = self.upstream.pool().server(id(server)).address(kind);
                    self.send(Packed::ToClient { from, port, octets: reply }, delay);
                }
            }
        }
    }

    fn serve(&mut self, server: usize, kind: Kind, port: u16, octets: &[u8]) -> Option<(Vec<u8>, Duration)> {
        let key = home_key(server);
        let fake = &mut self.servers[server];
        let script = fake.script.clone();
        let request = Packet::parse(octets).unwrap().verify_request(&key, MUST).unwrap();
        if script.dead || script.acct_dead && kind == Kind::Acct {
            return None;
        }
        fake.seen.push(Seen {
            at: self.now,
            code: request.code(),
            ticket: ticket(&request),
            name: (port, request.identifier()),
            authenticator: *request.authenticator(),
            delay_s: request.find(number::ACCT_DELAY_TIME).map(|v| u32::from_be_bytes(v.try_into().unwrap())),
        });
        let probe = request.code() == Code::STATUS_SERVER;
        let code = match kind {
            Kind::Acct => Code::ACCOUNTING_RESPONSE,
            Kind::Auth if probe => Code::ACCESS_ACCEPT,
            Kind::Auth => script.code,
        };
        if kind == Kind::Auth && !probe {
            let mut clear = [0; user_password::MAX];
            let hidden = request.find(number::USER_PASSWORD).unwrap();
            let password = user_password::reveal(&key, request.authenticator(), hidden, &mut clear);
            assert_eq!(password, Ok(&b"wonderland"[..]));
        }
        let signer = if script.forged { RadiusKey::new(b"another secret").unwrap() } else { key };
        let delay = if probe { Duration::ZERO } else { script.delay };
        Some((answer(&request, code, &signer, script.bare), delay))
    }
}

fn ticket(packet: &Packet<'_>) -> u64 {
    let text = packet.find(number::CALLING_STATION_ID).map(|value| std::str::from_utf8(value).unwrap());
    text.map_or(u64::MAX, |text| text.parse().unwrap())
}

fn answer(request: &Verified<Packet<'_>>, code: Code, key: &RadiusKey, bare: bool) -> Vec<u8> {
    let mut buffer = [0; MAX_PACKET];
    if bare {
        let mut octets = vec![code.0, request.identifier(), 0, 20];
        octets.extend_from_slice(request.authenticator());
        let digest = forewarn_wire::authenticator::digest(&octets, request.authenticator(), key);
        octets[4..].copy_from_slice(&digest);
        return octets;
    }
    let mut writer = Writer::new(&mut buffer, code, request.identifier());
    writer.message_authenticator().unwrap();
    if code == Code::ACCESS_CHALLENGE {
        writer.attribute(number::STATE, &ticket(request).to_be_bytes()).unwrap();
    }
    writer.reply(key, request.authenticator()).unwrap().to_vec()
}

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
