//! The campaign in virtual time, with agents that believe and acknowledge as the real ones do.

mod choosing;
mod draining;
mod networks;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::gauge::{Limits, Load, Reading};
use forewarn_proto::notice::issue::{Origin, Path, Standing, Told};
use forewarn_proto::notice::verify::{Disposition, Inbox, Source};
use forewarn_proto::notice::{KeyEntry, Transport};
use forewarn_proto::time::{Instant, Utc};
use forewarn_proto::watch::{DrainBy, Phase};
use forewarn_shell::config::Layers;
use forewarn_wire::notice::{Flags, Identity, Kind, MAX_OCTETS, MacKind, NoticeKey, Outcome, Reason};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::campaign::{Campaign, Order, Underway};
use crate::config::{self, Config};

const SERVER: &str = r#"
[server]
name = "east"
identity = "127.0.0.11"
state_dir = "state"

[[listen]]
kind = "auth"
transport = "udp"
address = "127.0.0.11:1812"

[health]
failover_after = 1
connection_after = 2
away_min = "60s"

[reconnect]
window = "10s"
rate = 2

[drain]
deadline = "20s"
"#;

const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn client(name: &str, address: &str, group: &str) -> String {
    format!(
        "[[client]]\nname = \"{name}\"\naddress = \"{address}\"\ngroup = \"{group}\"\n\
         secret = \"testing123testing123\"\nnotice_key = \"{KEY}\"\n"
    )
}

/// Four clients in three groups.
fn four() -> String {
    ["wifi/a", "wifi/a", "wifi/b", "wired"]
        .iter()
        .enumerate()
        .map(|(index, group)| client(&format!("c{index}"), &format!("127.0.1.{index}"), group))
        .collect()
}

fn config(more: &str) -> Arc<Config> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("server.toml");
    std::fs::write(&file, format!("{SERVER}{more}")).expect("writable");
    let loaded = config::load(&Layers::file(&file)).unwrap_or_else(|errors| panic!("{errors}"));
    Arc::new(loaded.config)
}

/// [`KEY`], to be used.
fn key() -> NoticeKey {
    let mut key = [0; 32];
    for (index, octet) in key.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&KEY[2 * index..2 * index + 2], 16).expect("hexadecimal");
    }
    NoticeKey::new(MacKind::HmacSha256, &key).expect("long enough")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// What an agent was told.
#[derive(Clone, Debug, PartialEq)]
struct Heard {
    kind: Kind,
    hard: bool,
    come: bool,
    reason: Reason,
    slot_ms: Option<u32>,
    alternates: Vec<IpAddr>,
    at: Instant,
}

struct Agent {
    inbox: Inbox,
    heard: Vec<Heard>,
    /// It hears and says nothing.
    is_deaf: bool,
    /// This server is its last usable one: it stays unless it must not.
    is_last_usable: bool,
    /// It was here all the time: an invitation is nothing to it.
    is_here: bool,
}

struct World {
    campaign: Campaign,
    now: Instant,
    utc: Utc,
    agents: BTreeMap<IpAddr, Agent>,
    in_flight: u64,
    conversations: u64,
    orders: Vec<Order>,
    rng: StdRng,
}

impl World {
    /// A server with these clients, and an agent at each of them that is one device.
    fn new(more: &str) -> World {
        let config = config(more);
        let now = Instant::from_millis(1_000);
        let mut campaign = Campaign::new(Arc::clone(&config), 700, now);
        campaign.set_transports(vec![Transport::Icmp, Transport::Udp]);
        let mut world = World {
            campaign,
            now,
            utc: Utc::from_millis(1_800_000_000_000),
            agents: BTreeMap::new(),
            in_flight: 0,
            conversations: 0,
            orders: Vec::new(),
            rng: StdRng::seed_from_u64(5),
        };
        for client in config.clients.iter().filter(|client| client.is_single()) {
            world.start_agent(client.network.addr());
        }
        world
    }

    /// An agent that has asked what is in force already, unless somebody lets it.
    fn start_agent(&mut self, address: IpAddr) {
        let keys = vec![KeyEntry { id: 1, key: key(), send: true }];
        let server = Identity::from(IpAddr::from([127, 0, 0, 11]));
        let source = Source { server, keys, mark: None };
        let inbox = Inbox::new(Identity::from(address), 1, 1, [source], self.now);
        self.agents.insert(
            address,
            Agent { inbox, heard: Vec::new(), is_deaf: false, is_last_usable: false, is_here: false },
        );
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.campaign.handle_timeout(self.now, self.underway());
            self.deliver();
            let next = self.campaign.poll_timeout(self.now).unwrap_or(end);
            if next > end {
                break;
            }
            self.pass(next.since(self.now));
            if self.now >= end {
                break;
            }
        }
        self.pass(end.since(self.now));
        self.campaign.handle_timeout(self.now, self.underway());
        self.deliver();
    }

    fn underway(&self) -> Underway {
        Underway { requests: self.in_flight, conversations: self.conversations }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.utc = self.utc + time;
    }

    fn deliver(&mut self) {
        let mut out = [0; MAX_OCTETS];
        while let Some(sent) = self.campaign.poll_transmit(self.now, self.utc, &mut out) {
            let (to, via) = match sent.to {
                Path::Icmp(to) => (to, Transport::Icmp),
                Path::Udp(to) => (to.ip(), Transport::Udp),
                Path::IcmpReply { .. } => panic!("nobody has registered"),
            };
            self.at_agent(to, via, &out[..sent.len]);
        }
        // Nobody hears what peers are told.
        while self.campaign.poll_peer(self.now, self.utc, &mut self.rng, &mut out).is_some() {}
        while let Some(order) = self.campaign.poll_order() {
            self.orders.push(order);
        }
        self.campaign.report();
    }

    fn at_agent(&mut self, to: IpAddr, via: Transport, payload: &[u8]) {
        let Some(agent) = self.agents.get_mut(&to).filter(|agent| !agent.is_deaf) else { return };
        let accepted = agent.inbox.handle_notice(self.now, self.utc, via, payload).expect("ours, and fresh");
        let header = accepted.notice.header();
        if accepted.disposition == Disposition::Accepted {
            agent.heard.push(Heard {
                kind: header.kind,
                hard: header.flags.contains(Flags::HARD),
                come: header.flags.contains(Flags::COME),
                reason: header.reason,
                slot_ms: accepted.notice.slot_ms(),
                alternates: accepted.notice.alternates().map(|(_, address)| address).collect(),
                at: self.now,
            });
        }
        let mut out = [0; MAX_OCTETS];
        let mark = accepted.mark();
        let stays = agent.is_last_usable && !header.flags.contains(Flags::HARD);
        let outcome = match stays {
            true => Outcome::LastUsable,
            false if agent.is_here && header.kind == Kind::Reconnect => Outcome::Noted,
            false => Outcome::Moved,
        };
        let len = agent.inbox.acknowledge(0, mark, outcome, self.utc, &mut out).expect("keyed");
        self.at_server(to, &out[..len]);
    }

    fn at_server(&mut self, from: IpAddr, payload: &[u8]) {
        self.campaign.handle_message(self.now, self.utc, Origin::Udp { from: (from, 3798).into() }, payload);
    }

    /// An agent asks to come back.
    fn ask(&mut self, from: &str) {
        let from = address(from);
        let agent = self.agents.get_mut(&from).expect("started");
        let mut out = [0; MAX_OCTETS];
        let len = agent.inbox.reconnect_request(0, Reason::TIME_OUT, self.utc, &mut out).expect("keyed");
        self.at_server(from, &out[..len]);
        self.deliver();
    }

    /// An agent asks what is in force.
    fn challenge(&mut self, from: &str) {
        let from = address(from);
        let agent = self.agents.get_mut(&from).expect("started");
        let mut out = [0; MAX_OCTETS];
        let sent = agent.inbox.poll_transmit(self.now, self.utc, &mut self.rng, &mut out).expect("due");
        self.at_server(from, &out[..sent.len]);
        self.deliver();
    }

    fn read(&mut self, percent: u32) {
        let limits = Limits { memory: Some(1.0), ..Limits::default() };
        let reading = Reading { memory: Some(f64::from(percent) / 100.0), ..Reading::default() };
        let load: Load = limits.load(&reading);
        self.campaign.handle_load(self.now, &load);
        self.deliver();
    }

    /// Calm readings for this long, one a second.
    fn calm_for(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.run_for(Duration::from_secs(1));
            self.read(10);
        }
    }

    fn last(&self, agent: &str) -> Option<&Heard> {
        self.agents[&address(agent)].heard.last()
    }

    /// The agents whose last notice is of this kind.
    fn who(&self, kind: Kind) -> Vec<String> {
        let is = |agent: &Agent| agent.heard.last().is_some_and(|heard| heard.kind == kind);
        self.agents.iter().filter(|(_, agent)| is(agent)).map(|(address, _)| address.to_string()).collect()
    }

    fn phase(&self) -> &'static str {
        self.campaign.watch().phase().name()
    }

    fn standing(&self, agent: &str) -> Standing {
        let issuer = self.campaign.issuer();
        let id = issuer.find(Identity::from(address(agent))).expect("enrolled");
        issuer.view(id).expect("enrolled").standing.clone()
    }

    fn told(&self, agent: &str) -> Told {
        let issuer = self.campaign.issuer();
        let id = issuer.find(Identity::from(address(agent))).expect("enrolled");
        issuer.view(id).expect("enrolled").told
    }
}

#[test]
fn an_overload_is_told_to_all_with_its_reason() {
    let mut world = World::new(&four());
    world.read(95);
    assert_eq!(world.who(Kind::Failover).len(), 4);
    let heard = world.last("127.0.1.2").expect("told");
    assert_eq!((heard.reason, heard.hard), (Reason::MEMORY, false));
    assert_eq!(world.phase(), "Away");
    let moments = world.campaign.moments();
    assert_eq!((moments.over_since, moments.warned_at), (Some(world.now), Some(world.now)));
    assert_eq!(world.campaign.pending(), 0, "every receipt is in");
}

#[test]
fn an_audience_of_groups_clients_and_places() {
    let nodes = r#"
[topology]
nodes = [
  { name = "campus", networks = ["127.0.0.0/8"] },
  { name = "campus/north", networks = ["127.0.0.0/24", "127.0.1.0/31"] },
]
"#;
    for (audience, told) in [
        (r#"{ groups = ["wifi/*"] }"#, vec!["127.0.1.0", "127.0.1.1", "127.0.1.2"]),
        (r#"{ clients = ["c3", "c1"] }"#, vec!["127.0.1.1", "127.0.1.3"]),
        (r#"{ clients = [] }"#, vec![]),
        (r#"{ topology = "campus/north" }"#, vec!["127.0.1.0", "127.0.1.1"]),
        (r#"{ farthest = 0.5 }"#, vec!["127.0.1.2", "127.0.1.3"]),
        (r#"{ nearest = 0.5 }"#, vec!["127.0.1.0", "127.0.1.1"]),
    ] {
        let mut world = World::new(&format!("{}{nodes}[notice]\naudience = {audience}\n", four()));
        world.read(95);
        assert_eq!(world.who(Kind::Failover), told, "{audience}");
        world.campaign.drain(world.now, DrainBy::Operator);
        world.deliver();
        assert_eq!(world.who(Kind::Failover).len(), 4, "a drain is told to everybody");
    }
}

#[test]
fn shares_leave_one_after_another_and_stay_away() {
    let mut world = World::new(&format!("{}[notice]\nshed = \"25%\"\nshed_every = \"5s\"\n", four()));
    let mut gone = Vec::new();
    for step in 1..=4 {
        world.read(95);
        let now_gone = world.who(Kind::Failover);
        assert_eq!(now_gone.len(), step);
        assert!(gone.iter().all(|one| now_gone.contains(one)), "who left stays away");
        gone = now_gone;
        world.run_for(Duration::from_secs(5));
    }
    assert_eq!(world.phase(), "Away");
    assert!(world.agents.values().all(|agent| agent.heard.len() == 1), "nobody is told twice");
}

#[test]
fn they_return_each_in_a_slot_of_its_own_and_then_it_serves() {
    let mut world = World::new(&four());
    world.read(95);
    world.calm_for(60);
    assert_eq!((world.phase(), world.who(Kind::Reconnect).len()), ("Returning", 4));
    let mut slots: Vec<u32> = world.agents.values().filter_map(|agent| agent.heard.last()?.slot_ms).collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 2_500, 5_000, 7_500]);
    world.calm_for(7);
    assert_eq!(world.phase(), "Returning");
    world.calm_for(1);
    assert_eq!(world.phase(), "Serving");
    assert!((0..4).all(|n| world.standing(&format!("127.0.1.{n}")) == Standing::Clear));
}

#[test]
fn a_load_in_between_holds_back_whose_slot_has_not_come() {
    let mut world = World::new(&four());
    world.read(95);
    world.calm_for(64);
    world.read(80);
    assert_eq!(world.who(Kind::Failover).len(), 2, "two slots of four have passed");
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.phase(), "Returning");
    world.calm_for(2);
    assert_eq!(world.who(Kind::Failover).len(), 0, "invited again");
    world.calm_for(10);
    assert_eq!(world.phase(), "Serving");
}

#[test]
fn a_relapse_calls_them_all_away_again() {
    let mut world = World::new(&four());
    world.read(95);
    world.calm_for(64);
    world.read(95);
    assert_eq!((world.phase(), world.who(Kind::Failover).len()), ("Away", 4));
    world.calm_for(119);
    assert_eq!(world.phase(), "Away");
    world.calm_for(1);
    assert_eq!(world.phase(), "Returning");
}

#[test]
fn who_asks_gets_a_slot_or_a_delay() {
    let mut world = World::new(&four());
    world.ask("127.0.1.0");
    world.ask("127.0.1.1");
    world.ask("127.0.1.2");
    let slot = |world: &World, agent: &str| world.last(agent).and_then(|heard| heard.slot_ms);
    let slots = [slot(&world, "127.0.1.0"), slot(&world, "127.0.1.1"), slot(&world, "127.0.1.2")];
    assert_eq!(slots, [Some(0), Some(500), Some(1_000)], "two a second, at most");
    world.ask("127.0.1.2");
    assert_eq!(slot(&world, "127.0.1.2"), Some(1_000), "asking again gains nothing");
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.standing("127.0.1.2"), Standing::Clear);
    world.read(95);
    world.ask("127.0.1.3");
    let refused = world.last("127.0.1.3").expect("answered");
    assert_eq!((refused.kind, refused.slot_ms), (Kind::Refused, Some(60_000)));
    assert!(matches!(world.standing("127.0.1.3"), Standing::Leave(_)), "still to be away");
}

#[test]
fn a_server_that_starts_invites_everybody_once() {
    let mut world = World::new(&four());
    world.calm_for(2);
    assert_eq!(world.who(Kind::Reconnect).len(), 4);
    assert_eq!(world.phase(), "Serving");
    world.calm_for(30);
    assert!(world.agents.values().all(|agent| agent.heard.len() == 1));
    assert_eq!(world.standing("127.0.1.0"), Standing::Clear);
}

#[test]
fn a_quiesced_server_holds_back_whom_it_invited_at_its_start_and_keeps_its_own() {
    let mut world = World::new(&four());
    world.agents.get_mut(&address("127.0.1.1")).expect("started").is_here = true;
    world.agents.get_mut(&address("127.0.1.2")).expect("started").is_here = true;
    world.calm_for(2);
    assert_eq!(world.who(Kind::Reconnect).len(), 4, "all are invited at the start");
    world.campaign.quiesce(world.now);
    world.deliver();
    let waiting = world.who(Kind::Failover);
    assert!(waiting.iter().all(|agent| agent == "127.0.1.0" || agent == "127.0.1.3"), "{waiting:?}");
    assert!(!waiting.is_empty(), "of those, who has the first slot is back");
    world.campaign.resume(world.now);
    world.deliver();
    assert_eq!(world.who(Kind::Reconnect).len(), 4);
}

#[test]
fn ten_thousand_clients_are_told_without_a_long_breath() {
    let began = forewarn_shell::clock::now();
    let mut world = World::new(&client("aps", "10.0.0.0/8", "wifi"));
    let name: Arc<str> = "aps".into();
    let devices: Vec<_> =
        (0..10_000u32).map(|n| (Arc::clone(&name), IpAddr::from((0x0a00_0000 + n).to_be_bytes()))).collect();
    world.read(95);
    world.campaign.set_devices(world.now, &devices);
    world.campaign.set_devices(world.now, &devices);
    let mut out = [0; MAX_OCTETS];
    let mut told = 0;
    while world.campaign.pending() > 0 && told < 10_000 {
        match world.campaign.poll_transmit(world.now, world.utc, &mut out) {
            Some(_) => told += 1,
            None => world.pass(Duration::from_millis(1)),
        }
    }
    let virtual_time = world.now.since(Instant::from_millis(1_000));
    assert!(virtual_time < Duration::from_millis(1_000), "{virtual_time:?} at 20,000 a second");
    let took = forewarn_shell::clock::now().since(began);
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn alternates_go_along_nearest_first() {
    let more = r#"
[topology]
nodes = [
  { name = "a", networks = ["127.0.0.12/32", "127.0.1.0/32"] },
  { name = "b", networks = ["127.0.0.13/32", "127.0.1.1/32"] },
]
[notice]
alternates = ["127.0.0.12", "127.0.0.13"]
alternates_order = "distance"
"#;
    let mut world = World::new(&format!("{}{more}", four()));
    world.read(95);
    let (west, south) = (address("127.0.0.12"), address("127.0.0.13"));
    assert_eq!(world.last("127.0.1.0").expect("told").alternates, [west, south]);
    assert_eq!(world.last("127.0.1.1").expect("told").alternates, [south, west]);
}

#[test]
fn a_reload_keeps_what_was_told_and_takes_clients_in_and_out() {
    let mut world = World::new(&four());
    world.read(95);
    let fewer = client("c1", "127.0.1.1", "wifi") + &client("new", "127.0.1.9", "wifi");
    world.start_agent(address("127.0.1.9"));
    world.campaign.reload(world.now, config(&fewer));
    world.deliver();
    assert_eq!(world.campaign.issuer().clients().count(), 2);
    assert_eq!(world.phase(), "Away", "the watch goes on");
    assert_eq!(world.agents[&address("127.0.1.1")].heard.len(), 1, "told once");
    assert_eq!(world.last("127.0.1.9").expect("told").kind, Kind::Failover);
    world.calm_for(75);
    assert_eq!(world.phase(), "Serving");
    assert_eq!(world.who(Kind::Reconnect), ["127.0.1.1", "127.0.1.9"]);
}

#[test]
fn a_client_without_a_key_gets_no_notices() {
    let bare = "[[client]]\nname = \"bare\"\naddress = \"127.0.1.7\"\nsecret = \"testing123testing123\"\n";
    let mut world = World::new(bare);
    assert_eq!(world.campaign.issuer().clients().count(), 0);
    world.read(95);
    assert_eq!(world.phase(), "Away");
    world.calm_for(60);
    world.run_for(Duration::from_millis(1));
    assert!(matches!(world.campaign.watch().phase(), Phase::Serving), "nobody has to return");
}
