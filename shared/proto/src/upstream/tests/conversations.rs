//! Requests that carry State.

use forewarn_wire::{Code, number, state};

use super::world::*;
use crate::pool::Kind;
use crate::switch::Life;
use crate::upstream::{Config, Phase, Upstream};

/// Starts a conversation with the first server and gives its State.
fn challenged(world: &mut World) -> [u8; 8] {
    world.servers[0].script.code = Code::ACCESS_CHALLENGE;
    let ticket = world.ask();
    world.run(ms(10));
    assert_eq!(world.reply(ticket), Some(Code::ACCESS_CHALLENGE));
    ticket.to_be_bytes()
}

#[test]
fn a_conversation_finishes_where_it_began_while_the_rest_moves() {
    let mut world = World::new(2, Config::default());
    let state = challenged(&mut world);
    world.failover(0);
    let (inside, outside) = (world.ask_in(&state), world.ask());
    world.run(ms(10));
    assert_eq!(world.first_seen_by(inside), Some(0));
    assert_eq!(world.first_seen_by(outside), Some(1));
}

#[test]
fn after_the_drain_what_still_waits_in_a_conversation_moves_too() {
    let mut world = World::new(2, Config::default());
    let state = challenged(&mut world);
    world.servers[0].script.delay = s(60);
    let waiting = world.ask_in(&state);
    world.run(ms(10));
    world.failover(0);
    world.run(s(9));
    assert!(!world.answers.contains_key(&waiting));
    world.run(s(2));
    assert_eq!(world.reply(waiting), Some(Code::ACCESS_ACCEPT));
    let next = world.ask_in(&state);
    world.run(ms(10));
    assert_eq!(world.first_seen_by(next), Some(1));
}

#[test]
fn a_repeated_notice_does_not_lengthen_the_drain() {
    let mut world = World::new(2, Config::default());
    let state = challenged(&mut world);
    world.failover(0);
    world.run(s(9));
    world.failover(0);
    world.run(s(2));
    let next = world.ask_in(&state);
    world.run(ms(10));
    assert_eq!(world.first_seen_by(next), Some(1));
}

#[test]
fn a_server_about_to_stop_keeps_no_conversations() {
    let mut world = World::new(2, Config::default());
    let state = challenged(&mut world);
    world.servers[0].script.delay = s(60);
    let waiting = world.ask_in(&state);
    world.run(ms(10));
    world.hard(0, 0);
    world.run(ms(10));
    assert_eq!(world.reply(waiting), Some(Code::ACCESS_ACCEPT));
}

#[test]
fn in_a_conversation_nothing_is_hedged_when_a_server_falls_silent() {
    let mut world = World::new(2, Config::default());
    let state = challenged(&mut world);
    world.servers[0].script.dead = true;
    let (inside, outside) = (world.ask_in(&state), world.ask());
    world.run(s(3));
    let again = world.ask_in(&state);
    world.run(s(40));
    assert_eq!(world.reply(outside), Some(Code::ACCESS_ACCEPT));
    assert_eq!((world.reply(inside), world.reply(again)), (None, None));
    assert!(world.servers[1].seen.iter().all(|seen| seen.ticket != inside && seen.ticket != again));
    assert_eq!(world.answers.len(), 4, "but both ended");
}

/// States of forewarnd, of a conversation with this server: with nothing that another could open, and with something.
fn states_of(server: &str) -> [Vec<u8>; 2] {
    let place = [&state::MAGIC[..], &[7; state::BEFORE_NAME - 4]].concat();
    let kept = [&place[..], &[server.len() as u8], server.as_bytes()].concat();
    [kept.clone(), [&kept[..], b"sealed"].concat()]
}

#[test]
fn what_another_server_goes_on_with_leaves_one_that_is_silent_and_what_it_rejects_one_that_is_dead() {
    let mut world = World::new(2, Config::default());
    let [kept, sealed] = states_of(&world.upstream.pool().server(id(0)).name);
    world.servers[0].script.dead = true;
    let (rejected, goes_on, outside) = (world.ask_in(&kept), world.ask_in(&sealed), world.ask());
    while !world.answers.contains_key(&outside) {
        world.run(ms(1));
    }
    world.run(ms(1));
    assert_eq!(world.reply(goes_on), Some(Code::ACCESS_ACCEPT), "with the others");
    assert!(!world.answers.contains_key(&rejected), "the server may still be there");
    let again = world.ask_in(&sealed);
    world.run(ms(10));
    assert_eq!(world.first_seen_by(again), Some(1));
    world.run(s(20));
    assert_eq!(world.upstream.switch.life(id(0)), Life::Dead);
    assert_eq!(world.reply(rejected), Some(Code::ACCESS_ACCEPT), "there is nobody to wait for");
    let again = world.ask_in(&kept);
    world.run(ms(10));
    assert_eq!(world.first_seen_by(again), Some(1));
}

#[test]
fn a_server_that_asks_to_be_left_keeps_what_another_could_go_on_with() {
    let mut world = World::new(2, Config::default());
    let [_, sealed] = states_of(&world.upstream.pool().server(id(0)).name);
    world.failover(0);
    let (inside, outside) = (world.ask_in(&sealed), world.ask());
    world.run(ms(10));
    assert_eq!((world.first_seen_by(inside), world.first_seen_by(outside)), (Some(0), Some(1)));
}

#[test]
fn a_conversation_with_the_alternate_stays_there_when_the_first_server_is_back() {
    let mut world = World::new(2, Config::default());
    world.failover(0);
    world.servers[1].script.code = Code::ACCESS_CHALLENGE;
    let ticket = world.ask();
    world.run(ms(10));
    world.invite(0, 0);
    world.run(s(31));
    let next = world.ask_in(&ticket.to_be_bytes());
    world.run(ms(10));
    assert_eq!(world.current(), 0);
    assert_eq!(world.first_seen_by(next), Some(1));
}

#[test]
fn another_configuration_keeps_conversations_the_dead_and_the_away() {
    let mut world = World::new(3, Config::default());
    let state = challenged(&mut world);
    world.servers[1].script.dead = true;
    world.failover(0);
    world.stream(ms(50), s(8));
    let (current, since, cause) = world.upstream.current();
    assert_eq!((current, world.upstream.status(world.now, id(1)).phase), (id(2), Phase::Dead));
    let legacy = world.upstream.bequeath();
    let fresh = Upstream::new(Config::default(), pool(3), world.now, &mut world.rng);
    world.upstream = fresh;
    assert_eq!(world.upstream.current().0, id(0), "which knows nothing");
    world.upstream.inherit(world.now, &legacy);
    assert_eq!(world.upstream.current(), (current, since, cause));
    assert_eq!(world.upstream.status(world.now, id(1)).phase, Phase::Dead);
    let (inside, outside) = (world.ask_in(&state), world.ask());
    world.run(ms(10));
    assert_eq!((world.first_seen_by(inside), world.first_seen_by(outside)), (Some(0), Some(2)));
    world.servers[1].script.dead = false;
    world.run(s(40));
    assert_eq!(world.upstream.status(world.now, id(1)).phase, Phase::Up, "it is probed on");
}

/// A NAS may remember the State of a conversation that its peer has given up.
#[test]
fn a_peer_that_begins_anew_goes_where_everybody_goes() {
    let mut world = World::new(2, Config::default());
    let state = [&state::MAGIC[..], &[0; state::BEFORE_NAME - 4], &[5], b"aaa-0"].concat();
    let ask = |world: &mut World, message: &[u8]| {
        world.ask_with(Kind::Auth, &[(number::EAP_MESSAGE, message), (number::STATE, &state)])
    };
    let (answer, identity) = ([2, 1, 0, 6, 25, 0], [2, 1, 0, 6, 1, b'a']);
    world.failover(0);
    let (inside, anew) = (ask(&mut world, &answer), ask(&mut world, &identity));
    world.run(ms(10));
    assert_eq!((world.first_seen_by(inside), world.first_seen_by(anew)), (Some(0), Some(1)));
}
