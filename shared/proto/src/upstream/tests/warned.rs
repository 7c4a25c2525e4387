//! What notices do to requests in flight. (What they do to the decision is in `switch`.)

use forewarn_wire::Code;
use forewarn_wire::notice::Outcome;

use super::world::*;
use crate::switch::Event as Switched;
use crate::upstream::{Config, Event};

#[test]
fn the_next_packet_goes_to_the_alternate_and_what_waits_goes_there_too() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.delay = s(20);
    let waiting: Vec<u64> = (0..300).map(|_| world.ask()).collect();
    world.run(ms(100));
    assert_eq!(world.failover(0), Outcome::Moved);
    let next = world.ask();
    world.run(ms(5));
    assert!(waiting.iter().all(|&ticket| world.reply(ticket) == Some(Code::ACCESS_ACCEPT)));
    assert_eq!(world.first_seen_by(next), Some(1));
    for ticket in waiting {
        let seen = |server: usize| world.servers[server].seen.iter().find(|seen| seen.ticket == ticket);
        let (there, here) = (seen(0).unwrap(), seen(1).unwrap());
        assert_ne!(there.authenticator, here.authenticator);
    }
    world.run(s(30));
    assert_eq!(world.answers.len(), 301, "late replies of the first server answer nobody twice");
    assert_eq!(world.upstream.status(world.now, id(0)).counters.unexpected, 300);
}

#[test]
fn the_old_servers_reply_still_wins_when_it_comes_first() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.delay = ms(50);
    world.servers[0].script.code = Code::ACCESS_REJECT;
    world.servers[1].script.delay = s(1);
    let ticket = world.ask();
    world.run(ms(10));
    world.failover(0);
    world.run(ms(50));
    assert_eq!(world.reply(ticket), Some(Code::ACCESS_REJECT));
    world.run(s(2));
    assert_eq!(world.upstream.status(world.now, id(1)).outstanding, 0);
}

#[test]
fn accounting_in_flight_moves_and_says_how_long_it_waited() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.delay = s(60);
    let ticket = world.account();
    world.run(ms(1_500));
    world.failover(0);
    world.run(ms(10));
    assert_eq!(world.reply(ticket), Some(Code::ACCOUNTING_RESPONSE));
    assert_eq!(world.servers[1].seen[0].delay_s, Some(1));
}

#[test]
fn there_and_back_again_the_first_leg_is_used_again() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.delay = s(60);
    world.servers[1].script.delay = s(60);
    let ticket = world.ask();
    world.run(ms(10));
    world.failover(0);
    world.run(ms(10));
    world.invite(0, 0);
    world.hard(1, 0);
    world.run(ms(10));
    let seen: Vec<_> = world.servers[0].seen.iter().filter(|seen| seen.ticket == ticket).collect();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].name, seen[0].authenticator), (seen[1].name, seen[1].authenticator));
}

#[test]
fn the_last_usable_server_keeps_its_requests() {
    let mut world = World::new(1, Config::default());
    assert_eq!(world.failover(0), Outcome::LastUsable);
    assert_eq!(world.hard(0, 100), Outcome::LastUsable);
    let ticket = world.ask();
    world.run(ms(10));
    assert_eq!(world.reply(ticket), Some(Code::ACCESS_ACCEPT));
}

#[test]
fn a_warned_server_is_a_last_resort_when_its_alternate_dies() {
    let mut world = World::new(2, Config::default());
    world.failover(0);
    world.servers[1].script.dead = true;
    let tickets = world.stream(ms(10), s(2));
    world.run(ms(100));
    assert!(tickets.iter().all(|&ticket| world.reply(ticket) == Some(Code::ACCESS_ACCEPT)));
    assert_eq!(world.current(), 0);
}

#[test]
fn what_waits_at_the_last_usable_server_leaves_when_another_is_back() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.delay = s(60);
    world.failover(1);
    world.run(ms(10));
    assert_eq!(world.failover(0), Outcome::LastUsable);
    let ticket = world.ask();
    world.run(ms(100));
    assert_eq!(world.first_seen_by(ticket), Some(0));
    world.invite(1, 0);
    world.run(ms(10));
    assert_eq!(world.reply(ticket), Some(Code::ACCESS_ACCEPT), "invited by the other");

    let mut world = World::new(2, Config::default());
    world.servers[1].script.dead = true;
    world.failover(0);
    world.stream(ms(10), s(2));
    assert_eq!(world.current(), 0);
    world.servers[0].script.delay = s(60);
    let ticket = world.ask();
    world.run(ms(10));
    world.servers[1].script.dead = false;
    world.run(s(4));
    assert_eq!(world.reply(ticket), Some(Code::ACCESS_ACCEPT), "the other answers again");
}

#[test]
fn nobody_answers_the_question_but_a_probe_is_answered() {
    let mut world = World::new(2, Config::default());
    world.failover(0);
    while world.current() == 1 {
        world.run(s(1));
    }
    let asked = |(_, event): &&(_, Event)| matches!(event, Event::Switch(Switched::AskReconnect { .. }));
    assert_eq!(world.events.iter().filter(asked).count(), 3);
    assert_eq!(world.probes_seen(0), 1);
    assert_eq!(world.current(), 0, "it came back by itself");
    assert!(world.upstream.status(world.now, id(0)).share_percent < 30, "with the ramp");
}

#[test]
fn nobody_answers_the_question_nor_the_probe() {
    let mut world = World::new(2, Config::default());
    world.failover(0);
    world.servers[0].script.dead = true;
    world.run(s(340));
    assert_eq!(world.current(), 1);
    world.servers[0].script.dead = false;
    world.run(s(2));
    assert_eq!(world.current(), 0, "back by probes");
}

#[test]
fn a_shed_share_of_what_waits_moves_and_the_rest_stays() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.delay = s(20);
    for _ in 0..1000 {
        world.ask();
    }
    world.run(ms(100));
    world.notice(0, |header| header.reduction_percent = 30, &[]);
    world.run(ms(10));
    let moved = world.servers[1].seen.len();
    assert!((250..350).contains(&moved), "{moved}");
    assert_eq!(world.current(), 0);
}
