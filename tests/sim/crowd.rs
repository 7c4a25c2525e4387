//! Ten thousand agents with one server, which can't bear them any more: who is told, how soon all are elsewhere, and
//! how they come back.

use std::time::Duration;

use forewarn_proto::notice::issue::{self, Told};
use forewarn_proto::pool::ServerId;
use forewarn_proto::switch::Standing;
use forewarn_proto::time::Instant;

use super::agent::Agent;
use super::names::millis;
use super::setup::Setup;
use super::world::World;

/// Each has a request this often, on average.
const EVERY: Duration = Duration::from_secs(5);
/// How long a request takes each of the servers, which tell each other what they can bear: any of them can bear everybody.
const PACES: [Duration; 3] =
    [Duration::from_micros(100), Duration::from_micros(150), Duration::from_micros(250)];
/// Slots are given out over the whole window: this is as uneven as a second of it may be.
const UNEVEN_MAX: f64 = 1.2;
/// Above this a server warns.
const THRESHOLD: f64 = 0.9;

/// What there is to say of it.
#[derive(Debug, Default)]
struct Figures {
    agents: usize,
    loss_percent: u32,
    /// From the overload to the first notice, to the last receipt, to the last agent that goes elsewhere.
    warned_after: Duration,
    told_after: Duration,
    moved_after: Duration,
    requests: usize,
    lost: usize,
    slowest: Duration,
    /// The share of its time that an alternate was busy, in its busiest second.
    busiest: [f64; 2],
    /// When that was looked at last, and what they had taken up by then.
    looked: Option<(Instant, [u64; 2])>,
    /// Agents that came back in each whole second of the window.
    arrivals: Vec<usize>,
}

impl Figures {
    /// The most in a second, against the mean.
    fn unevenness(&self) -> f64 {
        let sum: usize = self.arrivals.iter().sum();
        let most = self.arrivals.iter().max().copied().unwrap_or(0);
        most as f64 * self.arrivals.len() as f64 / sum.max(1) as f64
    }

    fn print(&self) {
        let ms = |duration: Duration| duration.as_millis();
        println!(
            "{} agents, {} % loss: warned after {} ms, the last told after {} ms, the last moved after {} ms",
            self.agents,
            self.loss_percent,
            ms(self.warned_after),
            ms(self.told_after),
            ms(self.moved_after)
        );
        println!("  {} requests, {} lost, the slowest {} ms", self.requests, self.lost, ms(self.slowest));
        let [west, north] = self.busiest.map(|share| 100.0 * share);
        println!("  alternates busy in their busiest second: {west:.0} % and {north:.0} %");
        println!(
            "  back over {} s, max/mean {:.3}: {:?}",
            self.arrivals.len(),
            self.unevenness(),
            self.arrivals
        );
    }
}

#[test]
fn ten_thousand_agents_leave_an_overloaded_server_and_come_back_evenly() {
    let figures = overload(10_000, 0, PACES);
    figures.print();
    assert!(figures.moved_after < millis(1_000));
    figures.check();
}

#[test]
fn a_thousand_agents_behind_a_bad_network_do_so_too() {
    let figures = overload(1_000, 10, PACES);
    figures.print();
    figures.check();
}

/// Neither of the alternates can bear everybody, but both together can, and what waited at the first server besides:
/// that is sent to them again in the second in which everybody moves.
#[test]
fn no_alternate_gets_more_than_it_can_bear() {
    let figures = overload(10_000, 0, [PACES[0], PACES[1] * 4, PACES[1] * 4]);
    figures.print();
    figures.check();
}

/// Not even both together can bear everybody: who finds no room stays, and the first server has few enough then.
#[test]
fn what_no_alternate_can_bear_stays() {
    let agents = 5_000;
    let mut world = crowd(agents, 0, [PACES[0], PACES[1] * 16, PACES[1] * 16]);
    // Until all ask as much as they do.
    world.run(millis(20_000));
    world.servers[0].condition.pace = millis(2);
    world.run(millis(2_000));
    let mut figures = Figures::default();
    let load = |world: &World| world.servers[0].process.as_ref().expect("it runs").load.value();
    // Room that was promised counts as taken until its clients are seen there, so it takes several looks.
    let began = world.now;
    while load(&world) >= THRESHOLD {
        assert!(world.now.since(began) < millis(60_000), "who stays is well served");
        figures.look_at_alternates(&mut world, millis(1_000));
    }
    let staying = world.servers[0].process.as_ref().expect("it runs").campaign.staying();
    println!(
        "{} told, {staying} stay, after {} s; alternates busy: {:?}",
        world.told(0),
        world.now.since(began).as_secs(),
        figures.busiest
    );
    assert_eq!(world.told(0) + staying, agents);
    assert!(
        (agents / 4..agents / 2).contains(&staying),
        "{staying} stay: what 500 requests a second come from"
    );
    assert!(figures.busiest.iter().all(|&share| share < 1.0), "an alternate gets more than it can bear");
}

impl Figures {
    fn check(&self) {
        assert_eq!(self.lost, 0);
        assert!(self.unevenness() <= UNEVEN_MAX, "they come back in crowds");
        assert!(
            self.busiest.iter().all(|&share| share < THRESHOLD),
            "an alternate gets more than it can bear"
        );
    }
}

/// A crowd, with users at all of them for five seconds.
fn crowd(agents: usize, loss_percent: u32, paces: [Duration; 3]) -> World {
    let mut world = World::new(7, |_| Setup::crowd(agents, EVERY, paces), false);
    for link in world.links.iter_mut().flatten() {
        (link.loss_percent, link.slowest) = (loss_percent, millis(2));
    }
    // The servers invite everybody once after their start; that is over by then.
    world.run(millis(60_000));
    world.open();
    world.run(millis(5_000));
    world
}

/// A crowd's bad day: in calm for five seconds; the first server slow for eight; and the way back.
fn overload(agents: usize, loss_percent: u32, paces: [Duration; 3]) -> Figures {
    let mut world = crowd(agents, loss_percent, paces);
    let mut figures = Figures { agents, loss_percent, ..Figures::default() };
    let began = world.now;
    world.servers[0].condition.pace = EVERY.div_f64(agents as f64 / 2.0);
    while figures.moved_after.is_zero() {
        figures.look_at_alternates(&mut world, millis(10));
        let after = world.now.since(began);
        if figures.warned_after.is_zero() && world.phase(0) == "Away" {
            figures.warned_after = after;
        }
        if figures.told_after.is_zero() && world.told(0) == agents {
            figures.told_after = after;
        }
        if !figures.told_after.is_zero() && world.with(0) == 0 {
            figures.moved_after = after;
        }
        assert!(after < millis(10_000), "{} told, {} still there", world.told(0), world.with(0));
    }
    while world.now.since(began) < millis(8_000) {
        figures.look_at_alternates(&mut world, millis(100));
    }
    world.servers[0].condition.pace = world.servers[0].setup.pace;
    while world.phase(0) != "Returning" {
        figures.look_at_alternates(&mut world, millis(100));
    }
    while world.phase(0) == "Returning" {
        let before = world.with(0);
        figures.look_at_alternates(&mut world, millis(1_000));
        figures.arrivals.push(world.with(0) - before);
    }
    // It serves again within the last second.
    figures.arrivals.pop();
    world.run(millis(10_000));
    assert_eq!(world.with(0), agents, "all are back");
    world.is_day = false;
    world.run(millis(35_000));
    for asked in world.agents.iter().flat_map(|agent| &agent.nas.asked).filter(|asked| !asked.is_replaced) {
        figures.requests += 1;
        match asked.replies.first() {
            Some((at, _)) => figures.slowest = figures.slowest.max(at.since(asked.at)),
            None => figures.lost += 1,
        }
    }
    figures
}

impl Figures {
    /// Lets time pass, and notes how busy the alternates were in each second of it.
    fn look_at_alternates(&mut self, world: &mut World, time: Duration) {
        world.run(time);
        let taken = [1, 2].map(|server| world.taken(server));
        let (since, before) = *self.looked.get_or_insert((world.now, taken));
        let second = world.now.since(since);
        if second < millis(1_000) {
            return;
        }
        self.looked = Some((world.now, taken));
        for (index, busiest) in self.busiest.iter_mut().enumerate() {
            let pace = world.servers[index + 1].setup.pace;
            let busy = pace.mul_f64((taken[index] - before[index]) as f64);
            *busiest = busiest.max(busy.as_secs_f64() / second.as_secs_f64());
        }
    }
}

impl World {
    /// Clients of a server that know they are to leave.
    fn told(&self, server: usize) -> usize {
        let Some(process) = &self.servers[server].process else { return 0 };
        let views = process.campaign.issuer().clients();
        views
            .filter(|view| {
                matches!(view.standing, issue::Standing::Leave(_)) && matches!(view.told, Told::Told { .. })
            })
            .count()
    }

    /// Agents that a server hasn't sent away, or that are back.
    fn with(&self, server: usize) -> usize {
        let id = ServerId::new(server).expect("few servers");
        let is_with = |agent: &&Agent| {
            let upstream = agent.process.as_ref().map(|process| &process.upstream);
            let standing = upstream.map(|upstream| upstream.status(self.now, id).standing);
            standing.is_some_and(|standing| !matches!(standing, Standing::Away { .. }))
        };
        self.agents.iter().filter(is_with).count()
    }

    /// Requests that a server has taken up so far.
    fn taken(&self, server: usize) -> u64 {
        self.servers[server].process.as_ref().map_or(0, |process| process.taken)
    }
}
