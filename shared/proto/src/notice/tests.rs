//! Both halves, over a network that loses, repeats and reorders.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use forewarn_wire::notice::{Identity, Kind, MAX_OCTETS, MacKind, NoticeKey, Outcome, Reason};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::issue::{Config, Heard, Invitation, Issuer, Leave, Origin, Path, Standing, Told};
use super::verify::{Disposition, Inbox, Source};
use super::*;
use crate::time::Instant;

#[test]
fn an_epoch_is_above_the_last_and_never_behind_the_calendar() {
    let utc = Utc::from_millis(1_800_000_000_500);
    assert_eq!(epoch_at_start(None, utc), 1_800_000_000);
    assert_eq!(epoch_at_start(Some(5), utc), 1_800_000_000);
    assert_eq!(epoch_at_start(Some(1_800_000_000), utc), 1_800_000_001, "twice within a second");
    assert_eq!(epoch_at_start(Some(2_000_000_000), Utc::default()), 2_000_000_001, "the clock went back");
    assert_eq!(epoch_at_start(Some(u32::MAX), utc), u32::MAX);
}

#[test]
fn a_sequence_that_runs_out_raises_the_epoch() {
    let last = Mark { epoch: 7, sequence: u32::MAX };
    assert_eq!(last.next(), Mark { epoch: 8, sequence: 1 });
    assert!(last.next() > last);
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn keys() -> Vec<KeyEntry> {
    let key = NoticeKey::new(MacKind::HmacSha256, &[7; 32]).expect("long enough");
    vec![KeyEntry { id: 1, key, send: true }]
}

/// A server and an agent with the network between them, in virtual time.
struct World {
    now: Instant,
    server_utc: Utc,
    agent_utc: Utc,
    rng: StdRng,
    loss: f64,
    issuer: Issuer,
    inbox: Inbox,
    /// What is on its way, by arrival: (to the agent, bytes).
    wire: BTreeMap<(Instant, u64), (bool, Transport, Vec<u8>)>,
    count: u64,
    /// What the agent has last acted on.
    in_force: Option<(Kind, u8)>,
    accepted: Vec<Mark>,
}

impl World {
    fn new(seed: u64, loss: f64, server_epoch: u32, mark: Option<Mark>, agent_ahead_ms: i64) -> World {
        let server_utc = Utc::from_millis(1_800_000_000_000);
        let agent_ms = server_utc.as_millis().checked_add_signed(agent_ahead_ms).expect("in range");
        let (server, client) = (Identity::from(address("127.0.0.11")), Identity::from(address("127.0.0.21")));
        let source = Source { server, keys: keys(), mark };
        let mut issuer = Issuer::new(Config {
            server,
            sender: 1,
            epoch: server_epoch,
            transports: vec![Transport::Icmp, Transport::Udp],
            udp_port: 3798,
            rate: 20_000,
            clients_max: 10,
        });
        issuer.add(client, &keys()).expect("keyed");
        World {
            now: Instant::ZERO,
            server_utc,
            agent_utc: Utc::from_millis(agent_ms),
            rng: StdRng::seed_from_u64(seed),
            loss,
            issuer,
            inbox: Inbox::new(client, 2, 50, [source], Instant::ZERO),
            wire: BTreeMap::new(),
            count: 0,
            in_force: None,
            accepted: Vec::new(),
        }
    }

    fn client(&self) -> issue::ClientId {
        self.issuer.find(Identity::from(address("127.0.0.21"))).expect("added")
    }

    fn told(&self) -> Told {
        self.issuer.view(self.client()).expect("added").told
    }

    /// Maybe lost, maybe twice, after 1 to 50 ms.
    fn post(&mut self, to_agent: bool, via: Transport, bytes: &[u8]) {
        let copies = if self.rng.random_bool(0.1) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.rng.random_bool(self.loss) {
                let arrival = self.now + Duration::from_millis(u64::from(self.rng.next_u32() % 50) + 1);
                self.count += 1;
                self.wire.insert((arrival, self.count), (to_agent, via, bytes.to_vec()));
            }
        }
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            self.drain();
            let arrival = self.wire.keys().next().map(|&(at, _)| at);
            let next = [arrival, self.issuer.poll_timeout(), self.inbox.poll_timeout()];
            let next = next.into_iter().flatten().min().unwrap_or(end).min(end);
            let passed = next.since(self.now);
            self.now = next;
            self.server_utc = self.server_utc + passed;
            self.agent_utc = self.agent_utc + passed;
            while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to_agent, via, bytes) = entry.remove();
                if to_agent { self.at_agent(via, &bytes) } else { self.at_server(via, &bytes) }
            }
            if self.now >= end {
                return self.drain();
            }
        }
    }

    fn drain(&mut self) {
        let mut out = [0; MAX_OCTETS];
        while let Some(sent) = self.issuer.poll_transmit(self.now, self.server_utc, &mut out) {
            let via = if matches!(sent.to, Path::Udp(_)) { Transport::Udp } else { Transport::Icmp };
            self.post(true, via, &out[..sent.len]);
        }
        while let Some(sent) = self.inbox.poll_transmit(self.now, self.agent_utc, &mut self.rng, &mut out) {
            for via in [Transport::Icmp, Transport::Udp] {
                if sent.via.is_none_or(|chosen| chosen == via) {
                    self.post(false, via, &out[..sent.len]);
                }
            }
        }
    }

    fn at_agent(&mut self, via: Transport, bytes: &[u8]) {
        let Ok(accepted) = self.inbox.handle_notice(self.now, self.agent_utc, via, bytes) else { return };
        let (mark, header) = (accepted.mark(), *accepted.notice.header());
        if accepted.disposition == Disposition::Accepted {
            self.in_force = Some((header.kind, header.reduction_percent));
            self.accepted.push(mark);
        }
        let mut out = [0; MAX_OCTETS];
        let ack = self.inbox.acknowledge(0, mark, Outcome::Moved, self.agent_utc, &mut out);
        self.post(false, via, &out[..ack.expect("keyed")]);
    }

    fn at_server(&mut self, via: Transport, bytes: &[u8]) {
        let from = address("127.0.0.21");
        let origin = match via {
            Transport::Icmp => Origin::Icmp { from, id: 1 },
            Transport::Udp => Origin::Udp { from: (from, 3798).into() },
        };
        let _: Result<Heard, Refusal> = self.issuer.handle_message(self.now, origin, bytes);
    }

    fn set(&mut self, standing: Standing) {
        let client = self.client();
        self.issuer.set(self.now, client, standing);
    }
}

fn leave(reduction: u8) -> Standing {
    Standing::Leave(Leave {
        reduction,
        hard: false,
        validity: Duration::from_secs(30),
        reason: Reason::WORKERS,
        load: 99,
        alternates: Arc::new([]),
    })
}

fn invited(at: Instant) -> Standing {
    let window = Duration::from_secs(30);
    Standing::Invited(Invitation { at, window, come: false, reason: Reason::RECOVERED, load: 10 })
}

#[test]
fn a_server_that_lost_its_epoch_is_back_in_agreement_within_two_seconds() {
    // The mark is from a time when the server's epoch was far ahead.
    let mark = Mark { epoch: 2_000_000_000, sequence: 3 };
    let mut world = World::new(1, 0.0, 1_800_000_000, Some(mark), 0);
    world.run_until(Instant::from_millis(60_000));
    world.inbox.challenge(0, world.now);
    world.set(leave(100));
    world.run_until(world.now + Duration::from_secs(2));
    assert_eq!(world.in_force, Some((Kind::Failover, 100)));
    assert!(matches!(world.told(), Told::Told { .. }));
}

#[test]
fn an_agent_whose_clock_is_an_hour_off_obeys_within_two_seconds() {
    for ahead in [-3_600_000, 3_600_000] {
        let mut world = World::new(2, 0.0, 1_800_000_000, None, ahead);
        world.run_until(Instant::from_millis(60_000));
        for standing in [leave(100), invited(world.now), leave(50)] {
            world.set(standing);
            world.run_until(world.now + Duration::from_secs(2));
            assert!(matches!(world.told(), Told::Told { .. }));
        }
        assert_eq!(world.in_force, Some((Kind::Failover, 50)));
    }
}

#[test]
fn an_agent_that_starts_late_learns_what_is_in_force() {
    let mut world = World::new(3, 0.0, 1_800_000_000, None, 0);
    let source = Source { server: Identity::from(address("127.0.0.11")), keys: keys(), mark: None };
    let client = Identity::from(address("127.0.0.21"));
    world.inbox = Inbox::new(client, 2, 50, [], Instant::ZERO);
    world.set(leave(100));
    world.run_until(Instant::from_millis(60_000));
    assert!(matches!(world.told(), Told::NotTold { .. }));
    world.inbox = Inbox::new(client, 2, 51, [source], world.now);
    world.run_until(world.now + Duration::from_secs(1));
    assert_eq!(world.in_force, Some((Kind::Failover, 100)));
    assert!(matches!(world.told(), Told::Told { .. }));
}

proptest! {
    /// Whatever is lost, repeated or reordered: once the network is whole again, the agent has acted on what the
    /// server said last; and no mark it stored ever went back without a nonce of its own.
    #[test]
    fn the_latest_notice_wins(
        seed in any::<u64>(),
        loss in 0.0..0.7f64,
        ahead in prop::sample::select(vec![0i64, 20_000, -40_000]),
        standings in prop::collection::vec((any::<bool>(), 0u64..4_000), 1..8),
    ) {
        let mut world = World::new(seed, loss, 1_800_000_000, None, ahead);
        for (is_leave, pause) in standings {
            let standing = if is_leave { leave(100) } else { invited(world.now + Duration::from_secs(5)) };
            world.set(standing);
            world.run_until(world.now + Duration::from_millis(pause));
        }
        world.loss = 0.0;
        world.run_until(world.now + Duration::from_secs(6));
        // Should all have been lost, the agent asks: at its start, or at what it refuses.
        if !matches!(world.told(), Told::Told { .. }) {
            world.inbox.challenge(0, world.now);
            world.run_until(world.now + Duration::from_secs(2));
        }
        prop_assert!(matches!(world.told(), Told::Told { .. }), "{:?}", world.told());
        let expected = match world.issuer.view(world.client()).expect("added").standing {
            Standing::Leave(leave) => (Kind::Failover, leave.reduction),
            Standing::Invited(_) => (Kind::Reconnect, 0),
            Standing::Clear => (Kind::Failover, 0),
        };
        prop_assert_eq!(world.in_force, Some(expected));
        prop_assert!(world.accepted.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", world.accepted);
        prop_assert_eq!(world.issuer.pending(), 0);
    }
}
