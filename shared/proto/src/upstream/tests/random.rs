//! Anything may happen, in any order.

use proptest::prelude::*;

use super::world::*;
use crate::upstream::Config;

#[derive(Clone, Debug)]
enum Step {
    Ask(u8),
    AskIn(u8),
    Account(u8),
    Run(u64),
    Kill(usize),
    Revive(usize),
    Slow(usize, u64),
    Failover(usize, u8, bool),
    Invite(usize, u32),
    Loss(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..40u8).prop_map(Step::Ask),
        (1..5u8).prop_map(Step::AskIn),
        (1..20u8).prop_map(Step::Account),
        (1..3_000u64).prop_map(Step::Run),
        (0..3usize).prop_map(Step::Kill),
        (0..3usize).prop_map(Step::Revive),
        (0..3usize, 0..3_000u64).prop_map(|(server, delay)| Step::Slow(server, delay)),
        (0..3usize, 0..=100u8, any::<bool>())
            .prop_map(|(server, share, hard)| Step::Failover(server, share, hard)),
        (0..3usize, 0..5_000u32).prop_map(|(server, slot)| Step::Invite(server, slot)),
        (0..40u32).prop_map(Step::Loss),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// The world checks after each step: no identifier is reused while outstanding, no request ends twice,
    /// none is forgotten. Here: all end, nothing is left over, and the machine comes to rest.
    #[test]
    fn every_request_ends_once_and_nothing_is_left(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::seeded(3, Config::default(), seed);
        for step in steps {
            match step {
                Step::Ask(count) => {
                    for _ in 0..count {
                        world.ask();
                    }
                }
                Step::AskIn(count) => {
                    for _ in 0..count {
                        world.ask_in(&[count]);
                    }
                }
                Step::Account(count) => {
                    for _ in 0..count {
                        world.account();
                    }
                }
                Step::Run(millis) => world.run(ms(millis)),
                Step::Kill(server) => world.servers[server].script.dead = true,
                Step::Revive(server) => world.servers[server].script.dead = false,
                Step::Slow(server, millis) => world.servers[server].script.delay = ms(millis),
                Step::Failover(server, share, hard) => {
                    let flags = if hard { forewarn_wire::notice::Flags::HARD } else { Default::default() };
                    world.notice(server, |header| (header.reduction_percent, header.flags) = (share, flags), &[]);
                }
                Step::Invite(server, slot) => {
                    world.invite(server, slot);
                }
                Step::Loss(percent) => world.loss = percent,
            }
        }
        world.loss = 0;
        world.servers.iter_mut().for_each(|fake| fake.script.dead = false);
        world.run(s(45));
        prop_assert_eq!(world.answers.len(), world.asked.len());
        for server in 0..3 {
            prop_assert_eq!(world.upstream.status(world.now, id(server)).outstanding, 0);
        }
        let fresh = world.ask();
        world.run(s(4));
        prop_assert!(world.answers[&fresh].1.is_some(), "and the next request is answered");
    }
}
