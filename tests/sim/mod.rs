//! The simulator: an agent's machines, scripted home servers that issue real notices, and a NAS, in virtual time over
//! a bad network. Everything that happens follows from a seed; what must always hold is checked after every step.
//!
//! `FOREWARN_SIM_SEEDS=n` runs n seeds instead of the default; `FOREWARN_SIM_SEED=s` runs that one alone and prints its
//! trace. A failure prints its seed.

#![allow(clippy::unwrap_used, reason = "only tests here, helpers included")]

mod agent;
mod home;
mod invariants;
mod nas;
mod world;

use std::time::Duration;

use world::World;

/// Seeds run without being asked for more.
const SEEDS: u64 = 20;

#[test]
fn whatever_happens_the_invariants_hold() {
    for seed in seeds() {
        run(seed);
    }
}

#[test]
fn the_same_seed_makes_the_same_trace() {
    for seed in seeds().into_iter().take(2) {
        let (first, second) = (run(seed), run(seed));
        let differs = first.trace.iter().zip(&second.trace).position(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed} is not replayed");
        assert_eq!(first.trace.len(), second.trace.len());
    }
}

/// A bad day, its end, and the morning after: everything is quiet, and the next requests are answered.
fn run(seed: u64) -> World {
    let report = Report(seed);
    let mut world = World::new(seed);
    world.bad_day(Duration::from_secs(60));
    world.heal();
    world.run(Duration::from_secs(90));
    world.check_all_ended();
    world.ask_some(50);
    world.run(Duration::from_secs(10));
    world.check_all_ended();
    world.check_last_answered(50);
    std::mem::forget(report);
    world
}

/// Says which seed failed.
struct Report(u64);

impl Drop for Report {
    fn drop(&mut self) {
        eprintln!("simulation failed: replay it with FOREWARN_SIM_SEED={}", self.0);
    }
}

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number of seeds"));
    match (number("FOREWARN_SIM_SEED"), number("FOREWARN_SIM_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => (0..count.unwrap_or(SEEDS)).collect(),
    }
}

/// Whether each step is to be printed.
fn is_loud() -> bool {
    std::env::var_os("FOREWARN_SIM_SEED").is_some()
}
