//! Where clients are sent, by what a peer says of itself; and what the operator does by hand.

use forewarn_proto::peers::{self, Peers, Report};
use forewarn_shell::control::Whom;
use forewarn_wire::notice::Takes;

use super::*;
use crate::announce::campaign::Shed;

const WEST: &str = "127.0.0.12";

/// Four clients, and a peer.
fn site(more: &str) -> World {
    let peer = format!(
        "[[peer]]\nname = \"west\"\naddress = \"{WEST}\"\nnotice_key = \"{KEY}\"\n[notice]\n{more}\n"
    );
    World::new(&format!("{}{peer}", four()))
}

impl World {
    /// The peer tells its load.
    fn peer_says(&mut self, takes: Takes, rate: f64, room: Option<f64>) {
        let config = peers::Config {
            identity: Identity::from(address(WEST)),
            sender: 2,
            // A later word comes from a later start.
            epoch: u32::try_from(self.now.as_nanos() / 1_000_000).expect("early"),
            interval: Duration::from_secs(20),
            threshold: 0.9,
        };
        let entry = peers::Entry {
            address: address("127.0.0.11"),
            port: 3798,
            keys: vec![KeyEntry { id: 1, key: key(), send: true }],
            capacity: None,
        };
        let mut peer = Peers::new(config, vec![entry], self.now);
        peer.set_report(self.now, Report { takes, reason: Reason::CPU, load: 30, rate, room });
        let mut out = [0; MAX_OCTETS];
        while let Some(sent) = peer.poll_transmit(self.now, self.utc, &mut self.rng, &mut out) {
            self.at_server(address(WEST), &out[..sent.len]);
        }
        self.pass(Duration::from_millis(1));
    }

    /// Each client asks so many times a second, for ten seconds.
    fn asked(&mut self, rates: [u64; 4]) {
        for second in 0..=10 {
            self.campaign.handle_totals(self.now, &rates.map(|rate| rate * second));
            self.pass(Duration::from_secs(1));
        }
    }

    fn shed(&mut self, clients: &[&str], to: Option<&str>) -> Vec<(String, String)> {
        let whom = Whom::Clients(clients.iter().map(ToString::to_string).collect());
        let to = to.map(|name| self.campaign.alternate_called(name).expect("a peer"));
        let done =
            self.campaign.shed(self.now, &whom, Shed { to, share: 1.0, force: false }).expect("possible");
        self.deliver();
        assert!(self.campaign.have_been_told(&done.told));
        let outcome = self.campaign.outcome(&done);
        outcome.into_iter().map(|client| (client.name, client.outcome)).collect()
    }
}

#[test]
fn who_finds_no_room_stays_until_there_is_some() {
    let mut world = site("shed_every = \"5s\"");
    world.asked([10; 4]);
    world.peer_says(Takes::Anybody, 100.0, Some(25.0));
    world.read(95);
    assert_eq!((world.who(Kind::Failover).len(), world.campaign.staying()), (2, 2));
    assert_eq!(world.phase(), "Away");
    world.run_for(Duration::from_secs(6));
    world.read(95);
    assert_eq!(world.campaign.staying(), 2, "there is no more room");
    world.peer_says(Takes::Anybody, 120.0, Some(60.0));
    world.run_for(Duration::from_secs(6));
    world.read(95);
    assert_eq!((world.who(Kind::Failover).len(), world.campaign.staying()), (4, 0));
}

/// The part of its traffic that each client was last told to take away, the least first.
fn reductions(world: &World) -> Vec<u8> {
    let part = |n: usize| match world.standing(&format!("127.0.1.{n}")) {
        Standing::Leave(leave) => leave.reduction,
        Standing::Clear | Standing::Invited(_) => 0,
    };
    let mut parts: Vec<u8> = (0..4).map(part).collect();
    parts.sort_unstable();
    parts
}

#[test]
fn the_rest_goes_only_as_far_as_there_is_room() {
    let mut world = site("shed_every = \"5s\"\nreduction = \"50%\"");
    world.asked([25; 4]);
    world.peer_says(Takes::Anybody, 100.0, Some(60.0));
    world.read(95);
    assert_eq!((reductions(&world), world.campaign.staying()), (vec![50; 4], 0));
    world.run_for(Duration::from_secs(6));
    world.read(95);
    assert_eq!(
        (reductions(&world), world.campaign.staying()),
        (vec![50; 4], 4),
        "room for 10, and each has 12.5"
    );
    world.peer_says(Takes::Anybody, 150.0, Some(30.0));
    world.run_for(Duration::from_secs(6));
    world.read(95);
    assert_eq!((reductions(&world), world.campaign.staying()), (vec![50, 50, 100, 100], 2));
}

#[test]
fn one_reading_too_many_does_not_take_the_rest() {
    let mut world = site("shed_every = \"5s\"\nreduction = \"40%\"");
    let mut patient = world.campaign.config().clone();
    patient.health.failover_after = 3;
    world.campaign.reload(world.now, Arc::new(patient));
    (0..3).for_each(|_| world.read(95));
    assert_eq!(reductions(&world), [40; 4]);
    world.read(50);
    world.run_for(Duration::from_secs(6));
    (0..2).for_each(|_| world.read(95));
    assert_eq!(reductions(&world), [40; 4]);
    world.read(95);
    assert_eq!(reductions(&world), [100; 4]);
}

#[test]
fn who_must_go_takes_everything_and_is_told_so_once() {
    let mut world = site("shed_every = \"5s\"\nreduction = \"50%\"");
    let limits = Limits { memory: Some(1.0), ..Limits::default() };
    let cut_off = Reading { memory: Some(0.95), mandatory_failed: 1, ..Reading::default() };
    world.campaign.handle_load(world.now, &limits.load(&cut_off));
    world.deliver();
    assert_eq!(reductions(&world), [100; 4]);
    world.run_for(Duration::from_secs(6));
    world.campaign.handle_load(world.now, &limits.load(&cut_off));
    world.deliver();
    assert!(world.agents.values().all(|agent| agent.heard.len() == 1), "nobody is told twice");
}

#[test]
fn who_must_go_goes_whether_there_is_room_or_not() {
    let mut world = site("");
    world.asked([10; 4]);
    world.peer_says(Takes::ItsOwn, 100.0, Some(0.0));
    world.read(95);
    assert_eq!((world.who(Kind::Failover).len(), world.campaign.staying()), (0, 4));
    world.campaign.drain(world.now, DrainBy::Operator);
    world.deliver();
    assert_eq!((world.who(Kind::Failover).len(), world.campaign.staying()), (4, 0));
    assert_eq!(world.last("127.0.1.0").expect("told").alternates, [address(WEST)]);
}

#[test]
fn a_silent_peer_is_as_good_as_an_alternate_nothing_is_known_of() {
    let mut world = site("");
    world.peer_says(Takes::Nobody, 100.0, Some(0.0));
    world.run_for(Duration::from_secs(61));
    world.read(95);
    assert_eq!(world.who(Kind::Failover).len(), 4);
}

#[test]
fn the_heaviest_clients_go_first_as_far_as_the_step_goes() {
    for (order, first) in [("heaviest", "127.0.1.2"), ("any", "")] {
        let mut world = site(&format!("shed = \"25%\"\nshed_every = \"5s\"\norder = \"{order}\""));
        world.asked([40, 30, 20, 10]);
        world.read(95);
        let gone = world.who(Kind::Failover);
        if order == "heaviest" {
            assert_eq!(gone, [first], "the two heaviest are more than a quarter");
            world.run_for(Duration::from_secs(5));
            world.read(95);
            assert_eq!(world.who(Kind::Failover), ["127.0.1.1", first], "30 of the 30 that are lacking");
        } else {
            assert_eq!(gone.len(), 1);
        }
    }
}

#[test]
fn whom_the_operator_sends_away_only_the_operator_has_back() {
    let mut world = site("");
    let told = world.shed(&["c1"], Some("west"));
    assert_eq!(told, [("c1".to_owned(), "moved".to_owned())]);
    let heard = world.last("127.0.1.1").expect("told").clone();
    assert_eq!(
        (heard.kind, heard.reason, &heard.alternates[..]),
        (Kind::Failover, Reason::OPERATOR, &[address(WEST)][..])
    );
    assert_eq!(world.phase(), "Serving", "the watch has nothing to do with it");

    world.calm_for(10);
    assert_eq!(world.who(Kind::Reconnect).len(), 3, "the start's invitation isn't for it");
    world.ask("127.0.1.1");
    assert_eq!(world.last("127.0.1.1").expect("answered").kind, Kind::Refused);
    world.read(95);
    world.calm_for(80);
    assert_eq!(world.phase(), "Serving");
    assert!(matches!(world.standing("127.0.1.1"), Standing::Leave(_)), "the watch's invitation isn't either");

    world.campaign.invite_by_hand(world.now, &Whom::Clients(vec!["c1".into()])).expect("serving");
    world.deliver();
    let heard = world.last("127.0.1.1").expect("told");
    assert_eq!((heard.kind, heard.come), (Kind::Reconnect, true));
    world.calm_for(11);
    world.shed(&["c1"], None);
    world.campaign.resume(world.now);
    world.deliver();
    assert_eq!(world.last("127.0.1.1").expect("told").kind, Kind::Reconnect, "resume has all back");
}

#[test]
fn an_invitation_by_hand_is_for_whoever_hears_it() {
    let mut world = World::new(&four());
    let done =
        world.campaign.invite_by_hand(world.now, &Whom::Groups(vec!["wifi/*".into()])).expect("serving");
    world.deliver();
    assert_eq!(done.told.len(), 3);
    assert!(world.agents.values().filter_map(|agent| agent.heard.last()).all(|heard| heard.come));
    let mut slots: Vec<_> = world.agents.values().filter_map(|agent| agent.heard.last()?.slot_ms).collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 3_333, 6_666]);
    world.run_for(Duration::from_secs(11));
    assert_eq!(world.standing("127.0.1.0"), Standing::Clear);
    world.calm_for(5);
    assert!(!world.last("127.0.1.0").expect("told").come, "the start's is for who left");
}

#[test]
fn what_cannot_be_done_by_hand_is_refused_and_why() {
    let mut world = site("");
    let all = Shed { to: None, share: 1.0, force: false };
    let unknown = world.campaign.shed(world.now, &Whom::Clients(vec!["c9".into()]), all).expect_err("nobody");
    assert!(unknown.contains("c9"), "{unknown}");
    let nobody = world.campaign.shed(world.now, &Whom::Groups(vec!["dsl/*".into()]), all);
    assert!(nobody.expect_err("nobody").contains("nobody who can be told"));
    assert!(world.campaign.alternate_called("east").expect_err("no peer").contains("west"));
    world.campaign.quiesce(world.now);
    assert!(world.campaign.invite_by_hand(world.now, &Whom::All).expect_err("quiesced").contains("resume"));
    world.campaign.resume(world.now);
    world.shed(&["c1"], None);
    world.read(95);
    assert!(world.campaign.invite_by_hand(world.now, &Whom::All).expect_err("away").contains("Away"));
    world.calm_for(80);
    assert_eq!(world.standing("127.0.1.1"), Standing::Clear, "it came back with the others");
    world.campaign.drain(world.now, DrainBy::Operator);
    assert!(world.campaign.shed(world.now, &Whom::All, all).is_err());
}

#[test]
fn a_share_by_hand_is_one_of_the_load() {
    let mut world = site("");
    world.asked([40, 30, 20, 10]);
    let half = Shed { to: None, share: 0.5, force: false };
    let done = world.campaign.shed(world.now, &Whom::All, half).expect("serving");
    assert_eq!(done.told.len(), 2, "40 and 10, or 30 and 20");
    world.peer_says(Takes::Anybody, 10.0, Some(15.0));
    let rest = Shed { share: 1.0, ..half };
    let done = world.campaign.shed(world.now, &Whom::All, rest).expect("serving");
    assert!(!done.staying.is_empty(), "no room");
    let done = world.campaign.shed(world.now, &Whom::All, Shed { force: true, ..rest }).expect("serving");
    assert_eq!((done.told.len(), done.staying.len()), (4, 0));
}
