//! The network, the weather, and the order in which things happen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use forewarn_proto::pool::Kind;
use forewarn_proto::time::{Instant, Utc};
use forewarn_wire::{Code, RadiusKey};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::agent::{Agent, Out};
use super::home::{CLIENT, Health, Home, address};
use super::invariants::Invariants;
use super::nas::{AGAIN, Nas};

/// Something on its way, or due.
enum Due {
    AtHome { server: usize, kind: Kind, port: u16, octets: Vec<u8> },
    AtAgent { from: SocketAddr, port: u16, octets: Vec<u8> },
    Notice { octets: Vec<u8> },
    Message { server: usize, octets: Vec<u8> },
    AtNas { number: usize, octets: Vec<u8> },
    Ask { number: usize },
    Traffic,
    Fate,
}

/// What the network does to a datagram.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss_percent: u32,
    twice_percent: u32,
    slowest: Duration,
}

const FAIR: Weather = Weather { loss_percent: 0, twice_percent: 0, slowest: Duration::from_micros(200) };

pub(super) struct World {
    pub(super) now: Instant,
    rng: StdRng,
    agent: Agent,
    homes: Vec<Home>,
    nas: Nas,
    weather: Weather,
    /// Since when the network has lost nothing.
    fair_since: Option<Instant>,
    /// Whether it ever loses anything.
    may_storm: bool,
    network: BTreeMap<(Instant, u64), Due>,
    queued: u64,
    invariants: Invariants,
    is_bad: bool,
    /// Mean time between requests, and between blows of fate.
    every: Duration,
    blows: Duration,
    /// One line for each thing that happened.
    pub(super) trace: Vec<u64>,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = Instant::from_millis(1_000);
        let local = || RadiusKey::new(b"the secret of the NAS").unwrap();
        let servers = rng.random_range(1..=3);
        let mut homes: Vec<Home> = (0..servers).map(Home::new).collect();
        for home in &mut homes {
            home.rejects = rng.random_range(0..6);
            home.challenges = rng.random_range(0..8);
            home.pace = Duration::from_micros(rng.random_range(100..50_000));
        }
        World {
            now,
            agent: Agent::new(now, &mut rng, servers, local()),
            homes,
            nas: Nas::new(local()),
            weather: FAIR,
            fair_since: Some(Instant::ZERO),
            may_storm: rng.random_range(0..3) > 0,
            network: BTreeMap::new(),
            queued: 0,
            invariants: Invariants::default(),
            is_bad: false,
            every: Duration::from_millis(rng.random_range(10..120)),
            blows: Duration::from_millis(rng.random_range(500..8_000)),
            trace: Vec::new(),
            rng,
        }
    }

    /// Traffic all along, and one blow of fate after another.
    pub(super) fn bad_day(&mut self, duration: Duration) {
        self.is_bad = true;
        self.queue(Duration::ZERO, Due::Traffic);
        self.queue(self.blows, Due::Fate);
        self.run(duration);
        self.is_bad = false;
    }

    /// Everybody is well, invites, and the network is fair.
    pub(super) fn heal(&mut self) {
        self.weather = FAIR;
        self.fair_since = Some(self.now);
        for home in &mut self.homes {
            if home.health == Health::Killed {
                home.restart(self.now);
            }
            home.invite(self.now, Duration::from_secs(1));
        }
        self.settle();
    }

    pub(super) fn ask_some(&mut self, count: usize) {
        for index in 0..count {
            let kind = if index % 3 == 0 { Kind::Acct } else { Kind::Auth };
            self.ask(kind, None);
        }
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.next().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            match self.network.first_entry().filter(|entry| entry.key().0 <= self.now) {
                Some(entry) => {
                    let due = entry.remove();
                    self.happen(due);
                }
                None => self.agent.handle_timeout(self.now, &mut self.rng),
            }
            self.settle();
        }
        self.now = end;
    }

    /// Everything asked has ended: answered, or given up by the NAS; and nobody works on anything any more.
    pub(super) fn check_all_ended(&self) {
        assert_eq!(self.agent.upstream.in_flight(), 0);
        for server in self.agent.upstream.pool().ids() {
            assert_eq!(self.agent.upstream.status(self.now, server).outstanding, 0);
        }
        assert!(self.nas.asked.iter().all(|asked| !asked.is_open()));
    }

    pub(super) fn check_last_answered(&self, count: usize) {
        let lost = self.nas.asked.iter().rev().take(count).filter(|asked| asked.replies.is_empty()).count();
        assert_eq!(lost, 0, "lost with everybody well and the weather fair");
    }

    fn next(&self) -> Option<Instant> {
        let network = self.network.keys().next().map(|key| key.0);
        let homes = self.homes.iter().filter_map(Home::poll_timeout);
        homes.chain(network).chain(self.agent.poll_timeout()).min()
    }

    fn utc(&self) -> Utc {
        Utc::from_millis(1_800_000_000_000 + self.now.as_nanos() / 1_000_000)
    }

    fn queue(&mut self, after: Duration, due: Due) {
        self.queued += 1;
        self.network.insert((self.now + after, self.queued), due);
    }

    /// Through the network: late, lost or twice.
    fn send(&mut self, after: Duration, make: impl Fn() -> Due) {
        let copies = match self.rng.random_range(0..100) {
            chance if chance < self.weather.loss_percent => 0,
            chance if chance < self.weather.loss_percent + self.weather.twice_percent => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let late = self.weather.slowest.mul_f64(self.rng.random::<f64>());
            self.queue(after + Duration::from_micros(50) + late, make());
        }
    }

    fn ask(&mut self, kind: Kind, state: Option<&[u8]>) {
        let number = self.nas.ask(self.now, &mut self.rng, kind, state);
        self.queue(Duration::ZERO, Due::Ask { number });
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::AtHome { server, kind, port, octets } => {
                let from = SocketAddr::new(CLIENT, 40_000 + port);
                self.note(1, server as u64, octets.len() as u64);
                if let Some((reply, delay)) = self.homes[server].handle(self.now, kind, from, &octets) {
                    let port_at = if kind == Kind::Auth { 1812 } else { 1813 };
                    let from = SocketAddr::new(address(server), port_at);
                    self.send(delay, || Due::AtAgent { from, port, octets: reply.clone() });
                }
            }
            Due::AtAgent { from, port, octets } => {
                self.note(2, u64::from(port), octets.len() as u64);
                self.agent.handle_reply(self.now, &mut self.rng, from, port, &octets);
            }
            Due::Notice { octets } => {
                self.note(3, octets.len() as u64, 0);
                let utc = self.utc();
                self.agent.handle_notice(self.now, utc, &mut self.rng, &octets);
            }
            Due::Message { server, octets } => {
                self.note(4, server as u64, 0);
                if self.homes[server].health != Health::Killed {
                    self.homes[server].handle_message(self.now, &octets);
                }
            }
            Due::AtNas { number, octets } => self.handle_answer(number, &octets),
            Due::Ask { number } => {
                let asked = &mut self.nas.asked[number];
                if asked.is_open() {
                    asked.tries += 1;
                    let (kind, port, octets) = (asked.kind, asked.port, asked.octets.clone());
                    self.agent.handle_nas(self.now, &mut self.rng, kind, port, &octets);
                    self.queue(AGAIN, Due::Ask { number });
                } else {
                    self.check_lost(number);
                }
            }
            Due::Traffic if self.is_bad => {
                let kind = if self.rng.random_range(0..4) == 0 { Kind::Acct } else { Kind::Auth };
                self.ask(kind, None);
                let after = self.every.mul_f64(2.0 * self.rng.random::<f64>());
                self.queue(after, Due::Traffic);
            }
            Due::Fate if self.is_bad => {
                self.strike();
                let after = self.blows.mul_f64(2.0 * self.rng.random::<f64>());
                self.queue(after, Due::Fate);
            }
            Due::Traffic | Due::Fate => {}
        }
    }

    /// An answer reaches the NAS: the first one of a request continues its conversation; all say the same.
    fn handle_answer(&mut self, number: usize, octets: &[u8]) {
        self.note(5, number as u64, u64::from(octets[0]));
        self.nas.handle_reply(self.now, number, octets);
        let asked = &self.nas.asked[number];
        let (_, first) = &asked.replies[0];
        assert_eq!(first, octets, "request {number} was answered twice differently");
        if asked.kind == Kind::Acct {
            let is_recorded = self.homes.iter().any(|home| home.recorded.contains(&(number as u64)));
            assert!(is_recorded, "accounting {number} was acknowledged before anybody had it");
        }
        if asked.replies.len() == 1 && asked.reply_code() == Some(Code::ACCESS_CHALLENGE) {
            let state = self.nas.state(number);
            self.ask(Kind::Auth, state.as_deref());
        }
    }

    fn strike(&mut self) {
        let server = self.rng.random_range(0..self.homes.len());
        let now = self.now;
        let blow = self.rng.random_range(0..11);
        self.note(6, server as u64, blow);
        let (reduction, load) = (self.rng.random_range(1..=100), self.rng.random_range(0..=100));
        let slot = Duration::from_millis(self.rng.random_range(0..10_000));
        let home = &mut self.homes[server];
        match blow {
            0 | 1 => home.become_so(now, Health::Killed),
            2 | 3 if home.health == Health::Killed => home.restart(now),
            2 | 3 => home.invite(now, slot),
            4 | 5 if home.health == Health::Well => {
                home.become_so(now, Health::Overloaded);
                home.warn(now, 100, false, load);
            }
            6 if home.health == Health::Well => home.warn(now, reduction, false, load),
            7 if home.health == Health::Well => home.warn(now, 100, true, load),
            8 => home.invite(now, slot),
            9 if self.may_storm => {
                self.fair_since = None;
                self.weather = Weather {
                    loss_percent: self.rng.random_range(0..30),
                    twice_percent: self.rng.random_range(0..30),
                    slowest: Duration::from_micros(self.rng.random_range(100..400_000)),
                };
            }
            _ => {}
        }
    }

    /// When a server that never asked to be left was well all the time a request was waited for, and the network lost
    /// nothing (no notice of the others' either), the request was answered.
    fn check_lost(&self, number: usize) {
        let asked = &self.nas.asked[number];
        let Some(fair) = self.fair_since.filter(|&fair| fair <= asked.at && asked.replies.is_empty()) else {
            return;
        };
        let is_good = |home: &Home| home.health == Health::Well && home.since <= asked.at && !home.has_warned;
        let is_honest = |home: &Home| home.health != Health::Overloaded || home.since >= fair;
        if !asked.in_conversation && self.homes.iter().any(is_good) && self.homes.iter().all(is_honest) {
            panic!(
                "request {number} of {:?} was lost at {:?} though it could be answered",
                asked.at, self.now
            );
        }
    }

    /// Sends what everybody wants sent, and checks what must hold.
    fn settle(&mut self) {
        let utc = self.utc();
        for out in self.agent.drain(self.now, utc, &mut self.rng) {
            match out {
                Out::Request { transmit, octets } => {
                    self.invariants.check_transmit(self.now, &self.agent, &self.nas, &transmit, &octets);
                    let (server, kind, port) = (transmit.server.index(), transmit.kind, transmit.port);
                    self.send(Duration::ZERO, || Due::AtHome { server, kind, port, octets: octets.clone() });
                }
                Out::Reply { port, identifier, octets } => {
                    let number = usize::from(port - 1024) * 256 + usize::from(identifier);
                    self.queue(Duration::from_micros(20), Due::AtNas { number, octets });
                }
                Out::Message { server, octets } => {
                    self.send(Duration::ZERO, || Due::Message { server, octets: octets.clone() });
                }
            }
        }
        for index in 0..self.homes.len() {
            while let Some(octets) = self.homes[index].poll_notice(self.now, utc) {
                self.send(Duration::ZERO, || Due::Notice { octets: octets.clone() });
            }
            while self.homes[index].issuer.poll_event().is_some() {}
        }
        self.invariants.check_step(self.now, &mut self.agent);
    }

    fn note(&mut self, what: u64, one: u64, other: u64) {
        if super::is_loud() {
            println!("{:>12} {what} {one} {other}", self.now.as_nanos() / 1_000);
        }
        let line = [self.now.as_nanos(), what, one, other];
        self.trace.push(
            line.iter()
                .fold(0_u64, |hash, word| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)),
        );
    }
}
