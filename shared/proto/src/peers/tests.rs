//! Servers that tell each other their load, in virtual time.

use forewarn_wire::notice::{MacKind, NoticeKey};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn address(server: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, 11 + server as u8])
}

fn keys(fill: u8) -> Vec<KeyEntry> {
    let key = NoticeKey::new(MacKind::HmacSha256, &[fill; 32]).expect("long enough");
    vec![KeyEntry { id: 1, key, send: true }]
}

fn entry(server: usize, capacity: Option<f64>) -> Entry {
    Entry { address: address(server), port: 3798, keys: keys(7), capacity }
}

struct World {
    now: Instant,
    /// How far each server's calendar is ahead.
    ahead: Vec<Duration>,
    servers: Vec<Peers>,
    /// What was said: from, to, octets.
    said: Vec<(usize, usize, Vec<u8>)>,
    refused: Vec<Refusal>,
    rng: StdRng,
}

impl World {
    fn new(count: usize, capacity: Option<f64>) -> World {
        let now = Instant::from_millis(1_000);
        let server = |index: usize| {
            let config = Config {
                identity: Identity::from(address(index)),
                sender: index as u32,
                epoch: 700,
                interval: SECOND,
                threshold: 0.9,
            };
            let others = (0..count).filter(|&other| other != index);
            Peers::new(config, others.map(|other| entry(other, capacity)).collect(), now)
        };
        World {
            now,
            ahead: vec![Duration::ZERO; count],
            servers: (0..count).map(server).collect(),
            said: Vec::new(),
            refused: Vec::new(),
            rng: StdRng::seed_from_u64(1),
        }
    }

    fn utc(&self, server: usize) -> Utc {
        Utc::from_millis(1_800_000_000_000) + (self.now.since(Instant::ZERO) + self.ahead[server])
    }

    fn report(&mut self, server: usize, takes: Takes, rate: f64, room: Option<f64>) {
        let report = Report { takes, reason: Reason::CPU, load: 40, rate, room };
        self.servers[server].set_report(self.now, report);
    }

    /// All that is due is said, and heard at once.
    fn talk(&mut self) {
        let mut out = [0; MAX_OCTETS];
        loop {
            let said = self.said.len();
            for from in 0..self.servers.len() {
                let utc = self.utc(from);
                while let Some(sent) =
                    self.servers[from].poll_transmit(self.now, utc, &mut self.rng, &mut out)
                {
                    let to = (0..self.servers.len()).find(|&to| address(to) == sent.to.ip());
                    let to = to.expect("one of ours");
                    let octets = out[..sent.len].to_vec();
                    self.hear(to, &octets);
                    self.said.push((from, to, octets));
                }
            }
            if self.said.len() == said {
                return;
            }
        }
    }

    fn hear(&mut self, to: usize, octets: &[u8]) {
        let utc = self.utc(to);
        assert!(self.servers[to].concerns(octets));
        let heard = self.servers[to].handle_message(self.now, utc, Transport::Udp, octets);
        self.refused.extend(heard.err());
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.talk();
            let next = self.servers.iter().filter_map(Peers::poll_timeout).min().unwrap_or(end);
            self.now = next.clamp(self.now + Duration::from_millis(1), end);
        }
        self.talk();
    }

    /// What `server` knows of its peer number `peer`.
    fn known(&self, server: usize, peer: usize) -> Option<Known> {
        self.servers[server].views(self.now).nth(peer).expect("a peer").known
    }
}

#[test]
fn peers_know_what_each_other_can_bear_until_they_fall_silent() {
    let mut world = World::new(2, None);
    world.run(SECOND);
    assert_eq!(world.known(0, 0), None, "nothing was said yet");
    world.report(1, Takes::Anybody, 123.4567, Some(50.0));
    world.run(SECOND);
    let known = world.known(0, 0).expect("it was heard");
    assert_eq!((known.report.rate, known.report.load, known.report.takes), (123.457, 40, Takes::Anybody));
    assert!((known.headroom().expect("it said so") - 50.0).abs() < 1e-9);
    assert_eq!(world.known(1, 0), None, "the other has said nothing");

    world.servers[1] = World::new(2, None).servers.remove(1);
    world.run(2 * SECOND);
    assert!(world.known(0, 0).is_some());
    world.run(SECOND);
    assert_eq!(world.known(0, 0), None, "what is old isn't known");
    assert!(world.servers[0].views(world.now).next().expect("a peer").heard.is_some());
}

#[test]
fn other_clients_are_taken_is_said_at_once() {
    let mut world = World::new(2, None);
    world.report(1, Takes::Anybody, 1.0, None);
    world.run(SECOND / 10);
    world.report(1, Takes::Nobody, 1.0, None);
    world.talk();
    assert_eq!(world.known(0, 0).expect("heard").report.takes, Takes::Nobody);
    let loads = world.servers[1].sent();
    world.report(1, Takes::Nobody, 2.0, None);
    world.talk();
    assert_eq!(world.servers[1].sent(), loads, "the rest waits for its time");
}

#[test]
fn clocks_an_hour_apart_are_found_out_and_got_over() {
    let mut world = World::new(2, None);
    world.ahead[1] = Duration::from_secs(3600);
    for server in [0, 1] {
        world.report(server, Takes::Anybody, 1.0, None);
    }
    world.run(30 * SECOND);
    assert!(world.refused.iter().any(|refusal| matches!(refusal, Refusal::Stale { .. })));
    assert!(world.known(0, 0).is_some() && world.known(1, 0).is_some());
}

#[test]
fn forged_and_replayed_loads_change_nothing() {
    let mut world = World::new(2, None);
    world.report(1, Takes::Anybody, 1.0, Some(10.0));
    world.run(SECOND / 2);
    let old =
        world.said.iter().rfind(|(from, _, octets)| *from == 1 && octets[6] == 9).expect("said").2.clone();
    world.report(1, Takes::Nobody, 100.0, Some(0.0));
    world.run(SECOND);
    let known = world.known(0, 0);
    world.hear(0, &old);
    assert!(matches!(world.refused.pop(), Some(Refusal::Replay { .. })));
    let new =
        world.said.iter().rfind(|(from, _, octets)| *from == 1 && octets[6] == 9).expect("said").2.clone();
    for octet in [12, 35, 80, new.len() - 1] {
        let mut forged = new.clone();
        forged[octet] ^= 1;
        world.hear(0, &forged);
        assert!(matches!(world.refused.pop(), Some(Refusal::BadMac(_))), "octet {octet}");
    }
    assert_eq!(world.known(0, 0), known);
    assert_eq!(world.servers[0].received().bad_mac, 4);

    // A CHALLENGE that somebody else has signed is nobody's.
    let challenge = world.said.iter().find(|(from, _, octets)| *from == 0 && octets[6] == 8);
    let mut challenge = challenge.expect("asked at the start").2.clone();
    assert!(world.servers[1].concerns(&challenge));
    challenge[80] ^= 1;
    assert!(!world.servers[1].concerns(&challenge));
}

#[test]
fn a_question_is_answered_once_in_a_while() {
    let mut world = World::new(2, None);
    world.report(1, Takes::Anybody, 1.0, None);
    world.run(SECOND * 3 / 4);
    let asked = world.said.iter().find(|(from, _, octets)| *from == 0 && octets[6] == 8);
    let asked = asked.expect("asked at the start").2.clone();
    let loads = world.servers[1].sent();
    for _ in 0..100 {
        world.hear(1, &asked);
    }
    world.talk();
    assert_eq!(world.servers[1].sent(), loads + 1);
}

#[test]
fn who_is_on_the_way_counts_until_the_peer_says_so_itself() {
    let mut world = World::new(2, None);
    world.report(1, Takes::Anybody, 100.0, Some(100.0));
    world.run(SECOND);
    let headroom = |world: &World| world.known(0, 0).expect("heard").headroom().expect("said");
    world.servers[0].pledge(world.now, address(1), 60.0);
    assert_eq!(headroom(&world), 40.0);
    world.report(1, Takes::Anybody, 130.0, Some(70.0));
    world.run(SECOND);
    assert_eq!(headroom(&world), 40.0, "half of them have come");
    world.servers[0].pledge(world.now, address(1), 10.0);
    assert_eq!(headroom(&world), 30.0);
    world.report(1, Takes::Anybody, 165.0, Some(35.0));
    world.run(SECOND);
    assert_eq!(headroom(&world), 30.0);
    world.run(SETTLING);
    assert_eq!(headroom(&world), 35.0, "its own figures hold");
}

#[test]
fn the_lower_of_what_is_said_and_configured_counts() {
    for (capacity, room, headroom) in
        [(None, None, None), (Some(200.0), None, Some(80.0)), (Some(200.0), Some(20.0), Some(20.0))]
    {
        let mut world = World::new(2, capacity);
        world.report(1, Takes::Anybody, 100.0, room);
        world.run(SECOND);
        assert_eq!(world.known(0, 0).expect("heard").headroom(), headroom);
    }
}

#[test]
fn servers_that_leave_at_one_time_share_what_is_left() {
    let mut world = World::new(3, None);
    world.report(1, Takes::Nobody, 100.0, Some(0.0));
    world.report(2, Takes::Anybody, 100.0, Some(60.0));
    world.run(SECOND);
    assert_eq!(world.known(0, 1).expect("heard").headroom(), Some(30.0));
    world.run(SETTLING);
    assert_eq!(world.known(0, 1).expect("heard").headroom(), Some(60.0), "its clients are there by now");
}
