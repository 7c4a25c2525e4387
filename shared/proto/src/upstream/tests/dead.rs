//! What no notice foretold.

use forewarn_wire::Code;

use super::world::*;
use crate::pool::Pool;
use crate::switch::{Cause, Event as Switched};
use crate::upstream::{Config, Event, Phase, Upstream};

#[test]
fn a_killed_server_loses_nothing_and_all_has_moved_within_a_second() {
    let mut world = World::new(2, Config::default());
    world.stream(ms(2), s(1));
    world.servers[0].script.dead = true;
    let killed = world.now;
    let during = world.stream(ms(2), s(2));
    world.run(s(1));
    assert_eq!(world.current(), 1);
    for &ticket in &during {
        assert_eq!(world.reply(ticket), Some(Code::ACCESS_ACCEPT));
        let took = world.answers[&ticket].0.since(world.asked[&ticket]);
        assert!(took < ms(510), "request {ticket} took {took:?}");
    }
    let late = during.iter().filter(|ticket| world.asked[ticket].since(killed) > ms(510));
    assert!(late.clone().count() > 500);
    assert!(late.clone().all(|&ticket| world.first_seen_by(ticket) == Some(1)));
    assert!(world.switches() == [(0, 1)], "{:?}", world.switches());
    assert_eq!(world.phase(0), Phase::Dead);
}

#[test]
fn detection_goes_by_the_clock() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.dead = true;
    let start = world.now;
    world.ask();
    world.run(s(1));
    let phases: Vec<_> = world
        .events
        .iter()
        .filter_map(|(at, event)| match event {
            Event::Life { server, phase, .. } if server.index() == 0 => {
                Some((at.since(start).as_millis(), *phase))
            }
            _ => None,
        })
        .collect();
    assert_eq!(phases, [(300, Phase::Suspect), (500, Phase::Doubtful), (900, Phase::Dead)]);
}

#[test]
fn a_server_whose_every_answer_is_a_late_reject_is_not_dead() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.code = Code::ACCESS_REJECT;
    world.servers[0].script.delay = s(1);
    let tickets = world.stream(ms(50), s(10));
    world.run(s(2));
    assert!(tickets.iter().all(|&ticket| world.reply(ticket) == Some(Code::ACCESS_REJECT)));
    assert!(world.switches().is_empty());
    assert!(world.servers[1].seen.is_empty());
    assert!(world.probes_seen(0) > 0, "it was asked whether it lives");
}

#[test]
fn one_unanswered_request_among_answered_ones_is_no_suspicion() {
    let mut world = World::new(2, Config::default());
    world.loss = 100;
    let lost = world.ask();
    world.loss = 0;
    world.stream(ms(100), s(1));
    assert_eq!(world.probes_seen(0), 0);
    world.run(s(2));
    assert_eq!(world.reply(lost), Some(Code::ACCESS_ACCEPT));
    assert!(world.servers[1].seen.is_empty());
}

#[test]
fn replies_under_a_wrong_secret_are_no_sign_of_life() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.forged = true;
    let tickets = world.stream(ms(20), s(2));
    world.run(s(1));
    assert!(tickets.iter().all(|&ticket| world.reply(ticket) == Some(Code::ACCESS_ACCEPT)));
    assert_eq!(world.current(), 1);
    assert!(world.upstream.status(world.now, id(0)).counters.forged > 0);
}

#[test]
fn accounting_alone_finds_a_dead_server_by_its_own_port_and_moves_both_kinds() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.acct_dead = true;
    let ticket = world.account();
    world.run(s(1));
    assert_eq!(world.reply(ticket), Some(Code::ACCOUNTING_RESPONSE));
    assert_eq!(world.probes_seen(0), 0, "the authentication port was not asked");
    let ticket = world.ask();
    world.run(ms(10));
    assert_eq!(world.first_seen_by(ticket), Some(1));
}

#[test]
fn a_revived_server_comes_back_by_three_probes_and_a_ramp() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.dead = true;
    world.stream(ms(10), s(3));
    assert_eq!(world.current(), 1);
    world.servers[0].script.dead = false;
    let revived = world.now;
    world.stream(ms(10), s(3));
    let back = world.events.iter().find_map(|(at, event)| match event {
        Event::Switch(Switched::Switched { to, cause: Cause::Revived, .. }) if to.index() == 0 => Some(*at),
        _ => None,
    });
    let took = back.expect("it is back").since(revived);
    assert!(took <= ms(1_100 + 400 + 10), "{took:?}");
    let early = world.stream(ms(5), s(2));
    let share = |world: &World, tickets: &[u64]| {
        tickets.iter().filter(|&&ticket| world.first_seen_by(ticket) == Some(0)).count() * 100 / tickets.len()
    };
    world.run(ms(10));
    assert!((5..35).contains(&share(&world, &early)), "{}", share(&world, &early));
    world.run(s(30));
    let late = world.stream(ms(5), s(1));
    world.run(ms(10));
    assert_eq!(share(&world, &late), 100);
    assert!(world.answers.values().all(|(_, octets)| octets.is_some()));
}

#[test]
fn when_nobody_answers_requests_wait_for_whoever_is_first() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.dead = true;
    world.servers[1].script.dead = true;
    let tickets = world.stream(ms(100), s(3));
    assert!(world.answers.is_empty());
    assert_eq!((world.phase(0), world.phase(1)), (Phase::Dead, Phase::Dead));
    world.servers[0].script.dead = false;
    world.run(ms(1_200));
    assert!(tickets.iter().all(|&ticket| world.reply(ticket) == Some(Code::ACCESS_ACCEPT)));
    let next = world.ask();
    world.run(ms(10));
    assert_eq!(world.first_seen_by(next), Some(0));
}

#[test]
fn the_only_server_is_never_given_up() {
    let mut world = World::new(1, Config::default());
    world.servers[0].script.dead = true;
    world.ask();
    world.run(s(5));
    assert_eq!(world.phase(0), Phase::Dead);
    world.servers[0].script.dead = false;
    world.run(ms(1_200));
    let next = world.ask();
    world.run(ms(10));
    assert_eq!(world.reply(next), Some(Code::ACCESS_ACCEPT));
    assert!(world.answers.values().all(|(_, octets)| octets.is_some()));
}

#[test]
fn a_dead_alternate_is_probed_no_more_than_once_a_second() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.dead = true;
    world.ask();
    world.run(s(1));
    let before = world.upstream.status(world.now, id(0)).counters.probes;
    world.run(s(20));
    let probes = world.upstream.status(world.now, id(0)).counters.probes - before;
    assert!((17..=23).contains(&probes), "{probes}");
}

fn without_status_server(world: &mut World) {
    let mut servers: Vec<_> = pool(2).iter().map(|(_, server)| server.clone()).collect();
    servers[0].status_server = false;
    let pool = Pool::new(servers).unwrap();
    world.upstream = Upstream::new(Config::default(), pool, world.now, &mut world.rng);
}

#[test]
fn a_server_without_status_server_is_never_probed_and_tried_again_with_requests() {
    let mut world = World::new(2, Config::default());
    without_status_server(&mut world);
    world.stream(ms(20), s(1));
    world.servers[0].script.dead = true;
    let during = world.stream(ms(20), s(5));
    assert_eq!(world.phase(0), Phase::Dead);
    assert_eq!(world.current(), 1);
    // What had waited for it went to the other one when it was clear.
    assert!(during.iter().all(|&ticket| world.reply(ticket) == Some(Code::ACCESS_ACCEPT)));
    // Still dead when it is tried again: a ramp's beginning has to wait, nobody is lost.
    let again = world.stream(ms(20), s(40));
    world.run(s(5));
    assert!(again.iter().all(|&ticket| world.reply(ticket) == Some(Code::ACCESS_ACCEPT)));
    assert_eq!(world.phase(0), Phase::Dead);
    world.servers[0].script.dead = false;
    world.stream(ms(20), s(70));
    assert_eq!((world.phase(0), world.current()), (Phase::Up, 0));
    assert_eq!(world.probes_seen(0), 0);
}

#[test]
fn late_rejects_of_a_server_without_status_server_are_no_silence() {
    let mut world = World::new(2, Config::default());
    without_status_server(&mut world);
    world.servers[0].script.code = Code::ACCESS_REJECT;
    world.servers[0].script.delay = s(2);
    world.stream(ms(500), s(20));
    assert!(world.switches().is_empty());
    assert!(world.servers[1].seen.is_empty());
}

#[test]
fn one_tried_again_is_not_condemned_before_it_has_been_asked() {
    let mut world = World::new(2, Config::default());
    without_status_server(&mut world);
    world.servers[0].script.dead = true;
    world.ask();
    world.run(s(40));
    assert_eq!(world.phase(0), Phase::Up, "nobody has asked it anything since");
}
