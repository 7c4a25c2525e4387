//! In steady state nothing takes memory from the heap, and a full house takes little.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use forewarn_wire::{Code, MAX_PACKET, Packet, RadiusKey, RequestAuthenticator, Writer, number};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::world::*;
use crate::dedup::{self, Check, Dedup};
use crate::pool::Kind;
use crate::time::Instant;
use crate::upstream::{Answer, Config, Upstream};

/// An agent's path: front door, machine, a server that answers at once. Uses no memory of its own.
struct Path {
    now: Instant,
    rng: StdRng,
    dedup: Dedup,
    upstream: Upstream,
    local: Arc<RadiusKey>,
    homes: [RadiusKey; 2],
    asked: u64,
    answered: u64,
}

impl Path {
    fn new(config: Config) -> Path {
        let mut rng = StdRng::seed_from_u64(5);
        let now = Instant::from_millis(1);
        let dedup =
            Dedup::new(dedup::Config { keep: Duration::from_millis(100), ..dedup::Config::default() });
        Path {
            now,
            dedup,
            upstream: Upstream::new(config, pool(2), now, &mut rng),
            rng,
            local: Arc::new(RadiusKey::new(b"localsecretlocalsecret").unwrap()),
            homes: [0, 1]
                .map(|server| RadiusKey::new(format!("secret of server {server}").as_bytes()).unwrap()),
            asked: 0,
            answered: 0,
        }
    }

    fn ask(&mut self, kind: Kind) {
        let mut buffer = [0; 512];
        let mut authenticator = [0; 16];
        authenticator[..8].copy_from_slice(&self.asked.to_be_bytes());
        let mut writer = Writer::new(&mut buffer, kind.request_code(), self.asked as u8);
        writer.attribute(number::USER_NAME, &self.asked.to_be_bytes()).unwrap();
        let octets = match kind {
            Kind::Auth => {
                writer.message_authenticator().unwrap();
                writer.user_password(&self.local, &authenticator, b"wonderland").unwrap();
                writer.request(&self.local, RequestAuthenticator::Chosen(authenticator)).unwrap()
            }
            Kind::Acct => writer.request(&self.local, RequestAuthenticator::Computed).unwrap(),
        };
        let request = Packet::parse(octets).unwrap().verify_request(&self.local, MUST).unwrap();
        let source = SocketAddr::from(([127, 0, 0, 1], 1024 + (self.asked % 999) as u16));
        let key = dedup::Key { source, identifier: request.identifier(), socket: 0 };
        let Check::New { slot, .. } = self.dedup.check(self.now, key, request.authenticator()) else {
            panic!()
        };
        self.asked += 1;
        self.upstream
            .handle_request(self.now, &mut self.rng, slot.to_bits(), kind, &request, &self.local)
            .unwrap();
    }

    /// Sends all that is due, has it answered, and hands the answers back.
    fn turn(&mut self, code: Code) {
        let (mut out, mut reply) = ([0; MAX_PACKET], [0; MAX_PACKET]);
        while let Some(transmit) = self.upstream.poll_transmit(&mut out) {
            let key = &self.homes[transmit.server.index()];
            let request = Packet::parse(&out[..transmit.len]).unwrap().verify_request(key, MUST).unwrap();
            let code = if transmit.kind == Kind::Acct { Code::ACCOUNTING_RESPONSE } else { code };
            let mut writer = Writer::new(&mut reply, code, request.identifier());
            writer.message_authenticator().unwrap();
            writer.attribute(number::STATE, &request.authenticator()[..]).unwrap();
            let octets = writer.reply(key, request.authenticator()).unwrap();
            self.upstream.handle_datagram(self.now, &mut self.rng, transmit.to, transmit.port, octets);
        }
        while let Some(answer) = self.upstream.poll_answer(&mut out) {
            let Answer::Reply { ticket, len, .. } = answer else { panic!() };
            assert!(self.dedup.complete(self.now, dedup::Slot::from_bits(ticket), &out[..len]));
            self.answered += 1;
        }
        while self.upstream.poll_event().is_some() {}
        while let Some((at, _)) = self.upstream.poll_timeout().filter(|(at, _)| *at <= self.now) {
            self.now = self.now.max(at);
            self.upstream.handle_timeout(self.now, &mut self.rng);
        }
        self.now += Duration::from_micros(500);
    }

    fn round(&mut self) {
        for _ in 0..32 {
            self.ask(Kind::Auth);
            self.ask(Kind::Acct);
        }
        self.turn(Code::ACCESS_ACCEPT);
        self.ask(Kind::Auth);
        self.turn(Code::ACCESS_CHALLENGE);
    }
}

#[test]
fn in_steady_state_nothing_is_allocated() {
    let mut path = Path::new(Config::default());
    for _ in 0..300 {
        path.round();
    }
    let used = measure(|| (0..300).for_each(|_| path.round()));
    assert_eq!((used.count_total, used.bytes_total), (0, 0));
    assert_eq!(path.answered, path.asked);
    assert!(path.asked > 30_000);
}

#[test]
fn four_thousand_requests_in_flight_fit_into_four_megabytes() {
    let mut path = None;
    let used = measure(|| {
        let mut full = Path::new(Config::default());
        for index in 0..4096 {
            full.ask(if index % 2 == 0 { Kind::Auth } else { Kind::Acct });
        }
        path = Some(full);
    });
    assert!(path.is_some_and(|path| path.upstream.in_flight() == 4096));
    assert!((1 << 20..4 << 20).contains(&used.bytes_max), "{} octets", used.bytes_max);
}

#[test]
fn an_idle_machine_is_small() {
    let mut path = None;
    let used = measure(|| path = Some(Path::new(Config::default())));
    assert!(path.is_some());
    assert!((64 << 10..512 << 10).contains(&used.bytes_max), "{} octets", used.bytes_max);
}
