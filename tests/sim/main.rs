//! The simulator: the machines of several agents and servers, in virtual time, over a bad network, through a bad day.
//!
//! Agents are driven as forewarn-agent drives them (`proto/upstream`, `switch`, `notice/verify`, `dedup`), servers as
//! forewarnd does (`proto/gauge`, `watch`, `audience`, `stagger`, `notice/issue`, joined by the campaign). Everything
//! that happens follows from a seed. After each step what must always hold is checked, against [`model`], which says
//! more simply than any machine what an agent may do, and [`ledger`], which says the same of servers.
//!
//! `make sim SEEDS=n` runs n seeds, `make sim SEED=s` that one alone, and prints what happens. A failure prints its seed.

#![allow(clippy::unwrap_used, reason = "only tests here, helpers included")]
#![allow(clippy::disallowed_methods, reason = "tests stand outside the machines: they may look at the clock")]

mod agenda;
mod agent;
mod crowd;
mod fate;
mod ledger;
mod model;
mod names;
mod nas;
mod network;
mod requests;
mod server;
mod setup;
mod steps;
mod world;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use setup::Setup;
use world::World;

/// Seeds run without being asked for more.
const SEEDS: u64 = 5_000;
/// How long a bad day is.
const DAY: Duration = Duration::from_secs(25);

#[test]
fn whatever_happens_the_invariants_hold() {
    if let Some(seed) = number("FOREWARN_SIM_SEED") {
        run(seed, true);
        return;
    }
    let count = number("FOREWARN_SIM_SEEDS").unwrap_or(SEEDS);
    let (next, began) = (AtomicU64::new(0), Instant::now());
    let work = || {
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                seed if seed < count && !FAILED.load(Ordering::Relaxed) => drop(run(seed, false)),
                _ => break,
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let took = began.elapsed().as_secs_f64();
    println!("{count} seeds in {took:.1} s on {threads} threads: {:.0} a second", count as f64 / took);
}

#[test]
fn the_same_seed_makes_the_same_trace() {
    for seed in 0..20 {
        let (first, second) = (run(seed, false), run(seed, false));
        let differs = first.trace.iter().zip(&second.trace).position(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed} is not replayed");
        assert_eq!(first.trace.len(), second.trace.len());
    }
}

/// A bad day, its end, and the morning after: everything is quiet, and the next requests are answered.
fn run(seed: u64, is_loud: bool) -> World {
    let report = Report(seed);
    let mut world = World::new(seed, Setup::small, is_loud);
    world.bad_day(DAY);
    world.morning();
    std::mem::forget(report);
    world
}

/// A seed has failed: one is enough.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Says which seed failed.
struct Report(u64);

impl Drop for Report {
    fn drop(&mut self) {
        FAILED.store(true, Ordering::Relaxed);
        eprintln!("the simulation failed: make sim SEED={} replays it", self.0);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn nothing_that_can_be_shown_holds_a_secret() {
    let mut world = World::new(3, Setup::small, false);
    world.bad_day(DAY);
    world.morning();
    let mut shown = String::new();
    for process in world.agents.iter().filter_map(|agent| agent.process.as_ref()) {
        shown += &format!("{:?} {:?} {:?}", process.upstream, process.inbox, process.dedup);
    }
    for process in world.servers.iter().filter_map(|server| server.process.as_ref()) {
        shown += &format!("{:?}", process.campaign);
    }
    for secret in [&b"agent 0, server 0"[..], b"the NAS of agent 0", b"wonderland", &[7; 8]] {
        let as_list = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        assert!(!shown.contains(&as_list), "as a list of octets");
        assert!(!shown.contains(&*String::from_utf8_lossy(secret)), "as a text");
    }
}
