//! The ordinary way of a request.

use std::collections::BTreeSet;
use std::sync::Arc;

use forewarn_wire::{Code, MAX_PACKET, Packet, RadiusKey, RequestAuthenticator, Writer, number};

use super::world::*;
use crate::exchange::Timing;
use crate::pool::Kind;
use crate::upstream::{Config, Refused};

#[test]
fn a_request_is_answered_under_the_askers_secret() {
    let mut world = World::new(2, Config::default());
    let ticket = world.ask();
    world.run(ms(10));
    let octets = world.answers[&ticket].1.clone().expect("answered");
    let reply = Packet::parse(&octets).unwrap();
    assert_eq!(reply.peek().code(), Code::ACCESS_ACCEPT);
    assert!(reply.peek().starts_with_message_authenticator());
    assert_eq!(world.upstream.in_flight(), 0);
    assert_eq!(world.upstream.status(world.now, id(0)).outstanding, 0);
    assert_eq!(world.upstream.poll_timeout(), None, "an idle machine has nothing to do");
}

#[test]
fn hundreds_are_outstanding_at_once_and_each_gets_its_own_reply() {
    let mut world = World::new(1, Config { in_flight: 3000, ..Config::default() });
    world.servers[0].script.delay = ms(200);
    let tickets: Vec<u64> = (0..3000).map(|_| world.ask()).collect();
    let names: BTreeSet<_> = tickets.iter().map(|_| ()).collect();
    assert_eq!(names.len(), 1);
    world.run(ms(150));
    let seen: BTreeSet<(u16, u8)> = world.servers[0].seen.iter().map(|seen| seen.name).collect();
    assert_eq!(seen.len(), 3000, "each has a name of its own");
    world.run(s(1));
    assert!(tickets.iter().all(|&ticket| world.reply(ticket) == Some(Code::ACCESS_ACCEPT)));
}

fn refused(world: &mut World, kind: Kind) -> Result<(), Refused> {
    let key = Arc::new(RadiusKey::new(b"localsecretlocalsecret").unwrap());
    let mut buffer = [0; MAX_PACKET];
    let octets = Writer::new(&mut buffer, Code::ACCOUNTING_REQUEST, 1);
    let octets = octets.request(&key, RequestAuthenticator::Computed).unwrap();
    let request = Packet::parse(octets).unwrap().verify_request(&key, MUST).unwrap();
    world.upstream.handle_request(world.now, &mut world.rng, 99, kind, &request, &key)
}

#[test]
fn what_can_not_be_taken_is_refused_and_counted() {
    let mut world = World::new(1, Config { in_flight: 2, ports: 1, ..Config::default() });
    assert_eq!(refused(&mut world, Kind::Auth), Err(Refused::Code(Code::ACCOUNTING_REQUEST)));
    world.servers[0].script.dead = true;
    world.account();
    world.account();
    assert_eq!(refused(&mut world, Kind::Acct), Err(Refused::Full));
    let mut world = World::new(1, Config { ports: 1, ..Config::default() });
    world.servers[0].script.dead = true;
    for _ in 0..248 {
        world.account();
    }
    assert_eq!(refused(&mut world, Kind::Acct), Err(Refused::NoIdentifier));
    assert_eq!(world.upstream.counters().refused_no_identifier, 1);
    assert_eq!(world.upstream.in_flight(), 248);
}

#[test]
fn a_lost_request_is_sent_again_as_it_was() {
    let mut world = World::new(1, Config::default());
    world.loss = 100;
    let ticket = world.ask();
    world.run(ms(100));
    world.loss = 0;
    world.run(s(3));
    assert_eq!(world.reply(ticket), Some(Code::ACCESS_ACCEPT));
    let seen = world.servers[0].seen.iter().filter(|seen| seen.ticket == ticket).count();
    assert_eq!(seen, 1);
    let answered = world.answers[&ticket].0.since(world.asked[&ticket]);
    assert!((ms(1_800)..ms(2_210)).contains(&answered), "{answered:?}");
}

#[test]
fn after_thirty_seconds_of_silence_there_is_silence_for_the_asker() {
    let mut world = World::new(1, Config::default());
    world.servers[0].script.dead = true;
    let ticket = world.ask();
    world.run(s(40));
    let (at, octets) = &world.answers[&ticket];
    assert_eq!(*octets, None, "a time-out never becomes a reject");
    assert!(at.since(world.asked[&ticket]) <= s(31));
    assert_eq!(world.upstream.counters().timed_out, 1);
    assert_eq!(world.upstream.in_flight(), 0);
}

#[test]
fn accounting_says_anew_how_long_it_has_waited_under_another_identifier() {
    let mut world = World::new(1, Config::default());
    world.servers[0].script.acct_dead = false;
    world.servers[0].script.forged = true;
    let ticket = world.ask_with(Kind::Acct, &[(number::ACCT_DELAY_TIME, &3u32.to_be_bytes())]);
    world.run(s(7));
    let seen: Vec<_> = world.servers[0].seen.iter().filter(|seen| seen.ticket == ticket).collect();
    let delays: Vec<_> = seen.iter().map(|seen| seen.delay_s.unwrap()).collect();
    assert!(matches!(delays[..], [3, 4 | 5, 8..=10]), "{delays:?}");
    let names: BTreeSet<_> = seen.iter().map(|seen| seen.name).collect();
    assert_eq!(names.len(), 3);
    world.servers[0].script.forged = false;
    world.run(s(20));
    assert_eq!(world.reply(ticket), Some(Code::ACCOUNTING_RESPONSE));
    assert_eq!(world.upstream.status(world.now, id(0)).outstanding, 0);
}

#[test]
fn accounting_that_says_nothing_of_waiting_is_repeated_octet_for_octet() {
    let mut world = World::new(1, Config::default());
    world.servers[0].script.forged = true;
    world.account();
    world.run(s(7));
    let seen = &world.servers[0].seen;
    let requests: BTreeSet<_> = seen
        .iter()
        .filter(|seen| seen.code == Code::ACCOUNTING_REQUEST)
        .map(|seen| (seen.name, seen.authenticator))
        .collect();
    assert_eq!(requests.len(), 1);
}

#[test]
fn a_slow_reply_to_an_early_try_still_counts() {
    let mut world = World::new(1, Config::default());
    world.servers[0].script.delay = s(3);
    let ticket = world.ask_with(Kind::Acct, &[(number::ACCT_DELAY_TIME, &0u32.to_be_bytes())]);
    world.run(s(4));
    let took = world.answers[&ticket].0.since(world.asked[&ticket]);
    assert!(took < ms(3_010), "{took:?}");
}

#[test]
fn a_reply_without_the_required_message_authenticator_is_discarded() {
    let mut world = World::new(1, Config::default());
    world.servers[0].script.bare = true;
    let ticket = world.ask();
    world.run(ms(250));
    assert!(!world.answers.contains_key(&ticket));
    assert_eq!(world.upstream.status(world.now, id(0)).counters.without_message_authenticator, 1);
    world.run(ms(100));
    assert_eq!(world.probes_seen(0), 1, "and is no sign of life");
}

#[test]
fn an_abandoned_request_gets_no_answer_and_frees_its_identifier() {
    let mut world = World::new(1, Config::default());
    world.servers[0].script.delay = ms(100);
    let ticket = world.ask();
    assert!(world.upstream.abandon(ticket));
    assert!(!world.upstream.abandon(ticket));
    world.asked.remove(&ticket);
    world.run(s(1));
    assert!(world.answers.is_empty());
    assert_eq!(world.upstream.status(world.now, id(0)).outstanding, 0);
    assert_eq!(world.upstream.status(world.now, id(0)).counters.unexpected, 1);
}

#[test]
fn noise_is_counted_and_moves_nothing() {
    let mut world = World::new(1, Config::default());
    let (auth, elsewhere) =
        (std::net::SocketAddr::new(address(0), 1812), std::net::SocketAddr::new(address(9), 1812));
    let datagrams: [(_, &[u8]); 3] = [(auth, b"short"), (elsewhere, &[2; 20]), (auth, &ACCEPT)];
    for (from, octets) in datagrams {
        world.upstream.handle_datagram(world.now, &mut world.rng, from, 0, octets);
    }
    let counters = world.upstream.status(world.now, id(0)).counters;
    assert_eq!((counters.malformed, counters.unexpected), (1, 1));
    assert_eq!(world.upstream.counters().unknown_sender, 1);
}

const ACCEPT: [u8; 20] = [2, 7, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn a_request_that_can_not_be_written_ends_in_silence() {
    let mut world = World::new(1, Config::default());
    let ticket = world.ask_with(Kind::Auth, &[(number::USER_PASSWORD, b"not hidden")]);
    assert_eq!(world.answers[&ticket].1, None);
    assert_eq!(world.upstream.counters().unforwardable, 1);
    assert_eq!(world.upstream.status(world.now, id(0)).outstanding, 0);
}

#[test]
fn a_packet_without_room_for_its_delay_moves_without_it() {
    let mut world = World::new(2, Config::default());
    world.servers[0].script.delay = s(60);
    let text = [b'x'; 253];
    let attributes: Vec<(u8, &[u8])> = vec![(number::REPLY_MESSAGE, &text); 15];
    let attributes = [attributes, vec![(number::REPLY_MESSAGE, &text[..246])]].concat();
    let ticket = world.ask_with(Kind::Acct, &attributes);
    world.run(ms(1_500));
    world.failover(0);
    world.run(ms(10));
    assert_eq!(world.reply(ticket), Some(Code::ACCOUNTING_RESPONSE));
    assert_eq!(world.servers[1].seen[0].delay_s, None);
}

#[test]
fn transmissions_are_limited() {
    let timing = Timing { initial: ms(100), ..Timing::default() };
    let mut world = World::new(1, Config { auth: timing, ..Config::default() });
    world.servers[0].script.forged = true;
    world.ask();
    world.run(s(10));
    let sent = world.servers[0].seen.iter().filter(|seen| seen.code == Code::ACCESS_REQUEST).count();
    assert_eq!(sent, 5);
    assert_eq!(world.answers.len(), 1);
}
