//! What notices, silence and time do to the decision.

mod call;
mod round_robin;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forewarn_wire::RadiusKey;
use forewarn_wire::notice::{
    self, Flags, Header, Identity, Kind, MacKind, Notice, NoticeKey, Outcome, Reason, Tlv,
};
use proptest::prelude::{Strategy as _, *};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::config::Strategy;
use super::*;
use crate::pool::Server;

fn address(server: usize) -> IpAddr {
    IpAddr::from([127, 0, 0, 11 + server as u8])
}

fn id(server: usize) -> ServerId {
    ServerId::new(server).unwrap()
}

fn pool(servers: usize) -> Pool {
    let server = |index| Server {
        name: format!("aaa-{index}"),
        identity: Identity::from(address(index)),
        auth: SocketAddr::new(address(index), 1812),
        acct: SocketAddr::new(address(index), 1813),
        key: RadiusKey::new(b"testing123testing123").unwrap(),
        require_message_authenticator: true,
        status_server: true,
    };
    Pool::new((0..servers).map(server).collect()).unwrap()
}

struct Story {
    now: Instant,
    rng: StdRng,
    switch: Switch,
    /// Whether the last notice only said once more what was in force.
    knew: bool,
}

fn story(servers: usize, alternates: Alternates) -> Story {
    let now = Instant::from_millis(5_000);
    let config = Config { alternates, ..Config::default() };
    Story {
        now,
        rng: StdRng::seed_from_u64(3),
        switch: Switch::new(config, &pool(servers), now),
        knew: false,
    }
}

impl Story {
    fn notice(&mut self, server: usize, change: impl FnOnce(&mut Header), tlvs: &[Tlv<'_>]) -> Outcome {
        let (from, to) = (Identity::from(address(server)), Identity::from(IpAddr::from([127, 0, 0, 21])));
        let key = NoticeKey::new(MacKind::HmacSha256, &[7; 32]).unwrap().pair(from, to);
        let mut header = Header::new(Kind::Failover, from, to);
        (header.validity_s, header.reduction_percent) = (30, 100);
        change(&mut header);
        let mut buffer = [0; notice::MAX_OCTETS];
        let len = notice::write(&mut buffer, &header, tlvs.iter().copied(), &key).unwrap();
        let notice = Notice::parse(&buffer[..len]).unwrap().verify(&key).unwrap();
        self.knew = self.switch.is_in_force(&notice);
        self.switch.handle_notice(self.now, &mut self.rng, &notice)
    }

    fn failover(&mut self, server: usize) -> Outcome {
        self.notice(server, |_| {}, &[])
    }

    fn reduce(&mut self, server: usize, percent: u8) -> Outcome {
        self.notice(server, |header| header.reduction_percent = percent, &[])
    }

    fn hard(&mut self, server: usize, load: u8) -> Outcome {
        self.notice(server, |header| (header.flags, header.load_percent) = (Flags::HARD, load), &[])
    }

    fn invite(&mut self, server: usize, slot_ms: u32) -> Outcome {
        self.notice(server, |header| header.kind = Kind::Reconnect, &[Tlv::Slot { ms: slot_ms }])
    }

    fn call(&mut self, server: usize, slot_ms: u32) -> Outcome {
        let come = |header: &mut Header| (header.kind, header.flags) = (Kind::Reconnect, Flags::COME);
        self.notice(server, come, &[Tlv::Slot { ms: slot_ms }])
    }

    fn refuse(&mut self, server: usize, seconds: u16) -> Outcome {
        self.notice(server, |header| (header.kind, header.validity_s) = (Kind::Refused, seconds), &[])
    }

    fn silent(&mut self, server: usize) {
        self.switch.handle_unanswered(self.now, id(server), Life::Dead);
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((at, _)) = self.switch.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.switch.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn current(&self) -> usize {
        self.switch.current().0.index()
    }

    /// The percentage of requests that each server gets.
    fn shares(&mut self) -> Vec<usize> {
        let mut counts = vec![0; self.switch.places.len()];
        for _ in 0..10_000 {
            counts[self.switch.choose(self.now, self.rng.next_u64()).server.index()] += 1;
        }
        counts.iter().map(|count| (count + 50) / 100).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.switch.poll_event()).collect()
    }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn v4(server: usize, weight: u8) -> Tlv<'static> {
    Tlv::alternate(weight, address(server))
}

#[test]
fn a_notice_moves_everything_to_the_next_server_at_once() {
    let mut story = story(3, Alternates::default());
    let outcome = story.notice(0, |header| header.reason = Reason::QUEUE_DELAY, &[]);
    assert_eq!(outcome, Outcome::Moved);
    assert_eq!(story.shares(), [0, 100, 0]);
    let cause = Cause::Notice { reason: Reason::QUEUE_DELAY, hard: false };
    assert_eq!(story.switch.current(), (id(1), story.now, cause));
    assert_eq!(story.events(), [Event::Switched { from: id(0), to: id(1), cause }]);
}

#[test]
fn a_repeated_notice_finds_us_away_already() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    assert_eq!(story.failover(0), Outcome::AlreadyAway);
    assert_eq!(story.reduce(0, 50), Outcome::AlreadyAway);
    assert_eq!(story.shares(), [50, 50], "the latest notice is all that is in force");
    assert_eq!(story.reduce(0, 80), Outcome::Moved);
}

#[test]
fn a_server_that_carries_nothing_is_only_noted() {
    let mut story = story(2, Alternates::default());
    assert_eq!(story.failover(1), Outcome::Noted);
    assert_eq!(story.current(), 0);
    assert_eq!(story.failover(0), Outcome::LastUsable, "all are warned: stay");
    assert_eq!(story.shares(), [100, 0]);
}

#[test]
fn a_reduction_moves_that_share_and_no_more() {
    for percent in [1, 30, 75, 99] {
        let mut story = story(2, Alternates::default());
        assert_eq!(story.reduce(0, percent), Outcome::Moved);
        let shares = story.shares();
        assert!(shares[1].abs_diff(usize::from(percent)) <= 2, "{percent}: {shares:?}");
    }
}

#[test]
fn a_request_goes_the_same_way_while_nothing_changes() {
    let mut story = story(3, Alternates::default());
    story.reduce(0, 50);
    let hash = story.rng.next_u64();
    let choice = story.switch.choose(story.now, hash);
    assert!((0..100).all(|_| story.switch.choose(story.now, hash) == choice));
}

#[test]
fn the_last_usable_server_is_never_left_because_of_a_notice() {
    let mut story = story(3, Alternates::default());
    story.silent(1);
    story.failover(2);
    assert_eq!(story.failover(0), Outcome::LastUsable);
    assert_eq!(story.shares(), [100, 0, 0]);
    assert!(story.switch.choose(story.now, 7).last_resort);
}

#[test]
fn when_all_are_warned_and_ours_stops_the_least_loaded_that_stays_is_taken() {
    let mut story = story(3, Alternates::default());
    story.hard(1, 10);
    story.notice(2, |header| header.load_percent = 95, &[]);
    assert_eq!(story.hard(0, 90), Outcome::Moved);
    assert_eq!(story.current(), 2, "the only one that doesn't stop");
    assert_eq!(story.hard(2, 95), Outcome::Moved);
    assert_eq!(story.current(), 1, "all stop: the least loaded");
    story.notice(1, |header| (header.kind, header.load_percent) = (Kind::Load, 99), &[]);
    assert_eq!(story.hard(1, 99), Outcome::Moved);
    assert_eq!(story.current(), 0);
}

#[test]
fn alternates_only_select_among_the_configured() {
    let stranger = Tlv::alternate(9, IpAddr::from([192, 0, 2, 66]));
    let mut by_both = story(3, Alternates::NoticeThenConfigured);
    assert_eq!(by_both.notice(0, |_| {}, &[stranger, v4(2, 1)]), Outcome::Moved);
    assert_eq!(by_both.shares(), [0, 0, 100]);
    by_both.silent(2);
    assert_eq!(by_both.shares(), [0, 100, 0]);

    let mut by_list = story(3, Alternates::Configured);
    assert_eq!(by_list.notice(0, |_| {}, &[v4(2, 1)]), Outcome::Moved);
    assert_eq!(by_list.shares(), [0, 100, 0]);

    let mut by_notice = story(3, Alternates::Notice);
    assert_eq!(by_notice.notice(0, |_| {}, &[stranger]), Outcome::NoAlternate);
    assert_eq!(by_notice.shares(), [100, 0, 0]);
    assert_eq!(by_notice.notice(0, |_| {}, &[v4(1, 1), v4(2, 5)]), Outcome::Moved);
    assert_eq!(by_notice.shares(), [0, 0, 100], "the heavier first");
    by_notice.silent(2);
    assert_eq!(by_notice.shares(), [0, 100, 0]);
}

#[test]
fn a_notice_of_a_stranger_moves_nothing() {
    let mut story = story(2, Alternates::default());
    assert_eq!(story.failover(7), Outcome::Noted);
    assert_eq!(story.shares(), [100, 0]);
}

#[test]
fn the_end_of_a_notices_validity_moves_nothing() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    story.run(s(200));
    assert_eq!(story.shares(), [0, 100]);
    story.events();
    assert_eq!(story.failover(1), Outcome::LastUsable, "ours is not left for a last resort");
    story.silent(1);
    assert_eq!(story.shares(), [100, 0], "but there it is");
}

#[test]
fn an_invitation_takes_us_back_in_our_slot_and_slowly() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    assert_eq!(story.invite(0, 12_000), Outcome::Moved);
    story.run(Duration::from_millis(11_999));
    assert_eq!(story.shares(), [0, 100]);
    story.run(Duration::from_millis(1));
    assert_eq!(story.switch.current(), (id(0), story.now, Cause::Invited));
    assert!(story.shares()[0].abs_diff(10) <= 1, "{:?}", story.shares());
    story.run(s(15));
    assert!(story.shares()[0].abs_diff(55) <= 2, "{:?}", story.shares());
    story.run(s(15));
    assert_eq!(story.shares(), [100, 0]);
    assert!(story.events().contains(&Event::Settled { server: id(0) }));
    assert_eq!(story.switch.poll_timeout(), None);
}

#[test]
fn an_invitation_without_a_slot_is_taken_somewhere_in_the_window() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    story.notice(0, |header| (header.kind, header.stagger_s) = (Kind::Reconnect, 10), &[]);
    assert_eq!(story.current(), 1);
    story.run(s(10));
    assert_eq!(story.current(), 0);
}

#[test]
fn a_relapse_takes_the_invitation_back() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    story.invite(0, 5_000);
    story.failover(0);
    story.run(s(60));
    assert_eq!(story.shares(), [0, 100]);
    story.invite(0, 0);
    story.run(s(10));
    assert_eq!(story.failover(0), Outcome::Moved, "in the middle of the ramp");
    assert_eq!(story.shares(), [0, 100]);
}

#[test]
fn a_notice_that_ends_brings_us_back() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    let ended = story.notice(0, |header| (header.validity_s, header.reduction_percent) = (0, 0), &[]);
    assert_eq!(ended, Outcome::Moved);
    assert_eq!(story.switch.current().2, Cause::NoticeEnded);
    let nothing = story.notice(0, |header| (header.validity_s, header.reduction_percent) = (0, 0), &[]);
    assert_eq!(nothing, Outcome::Noted);
}

#[test]
fn a_partial_reduction_comes_back_from_where_it_was() {
    let mut story = story(2, Alternates::default());
    story.reduce(0, 40);
    story.invite(0, 0);
    assert!(story.shares()[0].abs_diff(60) <= 2, "{:?}", story.shares());
}

#[test]
fn after_a_while_we_ask_and_a_refusal_puts_it_off() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    story.run(s(269));
    assert!(!story.events().contains(&Event::AskReconnect { server: id(0) }));
    while story.events() != [Event::AskReconnect { server: id(0) }] {
        story.run(Duration::from_millis(100));
    }
    assert!(story.now <= Instant::from_millis(5_000 + 330_200));
    assert_eq!(story.refuse(0, 60), Outcome::Noted);
    story.run(s(53));
    assert!(story.events().is_empty());
    story.run(s(14));
    assert!(story.events().contains(&Event::AskReconnect { server: id(0) }));
    story.invite(0, 0);
    assert_eq!(story.current(), 0);
}

const ECHO: Tlv<'static> = Tlv::Nonce([9; 16]);

#[test]
fn an_answer_to_a_challenge_puts_off_no_question_and_takes_back_no_refusal() {
    for refusal in [None, Some(400)] {
        let mut story = story(2, Alternates::default());
        story.failover(0);
        if let Some(seconds) = refusal {
            story.refuse(0, seconds);
        }
        let mut asked = None;
        for second in 0..500 {
            story.run(s(1));
            if story.events().contains(&Event::AskReconnect { server: id(0) }) {
                asked = asked.or(Some(second));
            }
            story.notice(0, |header| header.load_percent = 70, &[ECHO]);
        }
        let asked = asked.expect("whatever was told meanwhile");
        assert_eq!(asked >= 350, refusal.is_some(), "{asked} s");
        let Standing::Away { notice, .. } = story.switch.standing(id(0)) else { panic!("away") };
        assert_eq!((notice.received, notice.load_percent), (story.now, 70), "but it holds for longer");
    }
}

#[test]
fn an_answer_that_says_what_is_in_force_is_no_news_and_any_other_is() {
    let mut story = story(3, Alternates::default());
    story.notice(0, |header| header.reduction_percent = 0, &[ECHO]);
    assert!(story.knew, "nothing is in force");
    story.notice(0, |_| {}, &[v4(1, 0), ECHO]);
    assert!(!story.knew);
    story.notice(0, |_| {}, &[v4(1, 0), ECHO]);
    assert!(story.knew);
    story.notice(0, |_| {}, &[v4(1, 0)]);
    assert!(!story.knew, "said by itself");
    story.notice(0, |_| {}, &[v4(2, 0), ECHO]);
    assert!(!story.knew, "another alternate");
    story.notice(0, |header| header.flags = Flags::HARD, &[v4(2, 0), ECHO]);
    assert!(!story.knew);
    story.invite(0, 5_000);
    story.notice(0, |header| header.flags = Flags::HARD, &[v4(2, 0), ECHO]);
    assert!(!story.knew, "it takes the invitation back");
    story.run(s(10));
    assert_eq!(story.current(), 2);
}

#[test]
fn what_is_known_is_handed_over_by_identity() {
    let mut old = story(3, Alternates::default());
    old.notice(0, |_| {}, &[v4(2, 0)]);
    old.silent(1);
    assert_eq!(old.current(), 2);
    // The same servers the other way round.
    let turned = Pool::new((0..3).rev().map(|index| pool(3).server(id(index)).clone()).collect()).unwrap();
    let mut new = Switch::new(Config::default(), &turned, old.now);
    new.inherit(old.now, &old.switch.bequeath());
    assert_eq!(new.current(), (id(0), old.now, Cause::Notice { reason: Reason::UNSPECIFIED, hard: false }));
    assert_eq!(new.life(id(1)), Life::Dead);
    assert_eq!(new.standing(id(2)), old.switch.standing(id(0)));
    assert_eq!(new.poll_event(), None, "nothing has moved");
}

#[test]
fn unanswered_questions_end_with_a_probe() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    story.switch.take_errands();
    story.run(s(334));
    let asked = story.events().iter().filter(|event| matches!(event, Event::AskReconnect { .. })).count();
    assert_eq!(asked, 3);
    assert_eq!(story.switch.take_errands().probe, 1);
    assert_eq!(story.current(), 1);
    story.switch.handle_probed(story.now, id(0));
    assert_eq!(story.switch.current(), (id(0), story.now, Cause::After));
}

#[test]
fn a_dead_server_that_invites_us_is_probed_first() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    story.silent(0);
    story.switch.take_errands();
    story.invite(0, 0);
    assert_eq!(story.switch.take_errands().probe, 1);
    assert_eq!(story.shares(), [0, 100]);
    story.switch.handle_revived(story.now, id(0));
    assert_eq!(story.current(), 0);
}

#[test]
fn a_revived_server_still_honours_the_notice_in_force() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    story.silent(0);
    story.switch.handle_revived(story.now, id(0));
    assert_eq!(story.shares(), [0, 100]);
    story.silent(0);
    story.run(s(31));
    story.switch.handle_revived(story.now, id(0));
    assert_eq!(story.current(), 0, "once it is over, being alive again is enough");
    assert!(story.shares()[0] < 15);
}

#[test]
fn conversations_have_until_the_drain_ends() {
    let mut story = story(2, Alternates::default());
    story.failover(0);
    assert!(story.switch.keeps_conversations(story.now, id(0)));
    story.run(s(10));
    assert!(!story.switch.keeps_conversations(story.now, id(0)));
    assert!(story.events().contains(&Event::DrainEnded { server: id(0) }));
    let errands = story.switch.take_errands();
    assert_eq!((errands.left & 1, errands.drained & 1), (1, 1));
    story.failover(0);
    assert!(!story.switch.keeps_conversations(story.now, id(0)), "a repetition changes nothing");
    story.invite(0, 0);
    assert!(story.switch.keeps_conversations(story.now, id(0)));
}

#[test]
fn a_partial_reduction_ends_no_conversations() {
    let mut story = story(2, Alternates::default());
    story.reduce(0, 50);
    story.run(s(100));
    assert!(story.switch.keeps_conversations(story.now, id(0)));
}

#[derive(Clone, Debug)]
enum Step {
    Failover(usize, u8, bool),
    Invite(usize, u32),
    Refuse(usize, u16),
    Silent(usize),
    Revived(usize),
    Wait(u64),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        (0..4usize, 0..=100u8, any::<bool>())
            .prop_map(|(server, share, hard)| Step::Failover(server, share, hard)),
        (0..4usize, 0..30_000u32).prop_map(|(server, slot)| Step::Invite(server, slot)),
        (0..4usize, 0..100u16).prop_map(|(server, seconds)| Step::Refuse(server, seconds)),
        (0..4usize).prop_map(Step::Silent),
        (0..4usize).prop_map(Step::Revived),
        (0..400u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens: a living server is chosen while there is one; one that asked for nothing or more is
    /// not left out while others stop; the current server changes only with an event that says so; and time
    /// alone takes traffic away from nobody.
    #[test]
    fn the_decision_is_sound(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..40)) {
        let mut story = story(4, Alternates::default());
        story.rng = StdRng::seed_from_u64(seed);
        let mut current = story.current();
        for step in steps {
            let waited = matches!(step, Step::Wait(_));
            let goals: Vec<u32> = story.switch.places.iter().map(Place::goal).collect();
            match step {
                Step::Failover(server, percent, hard) => {
                    let flags = if hard { Flags::HARD } else { Flags::NONE };
                    story.notice(server, |header| (header.reduction_percent, header.flags) = (percent, flags), &[]);
                }
                Step::Invite(server, slot) => drop(story.invite(server, slot)),
                Step::Refuse(server, seconds) => drop(story.refuse(server, seconds)),
                Step::Silent(server) => story.silent(server),
                Step::Revived(server) if story.switch.life(id(server)) != Life::Alive => {
                    story.switch.handle_revived(story.now, id(server));
                }
                Step::Revived(_) => {}
                Step::Wait(seconds) => story.run(s(seconds)),
            }
            for (index, goal) in goals.iter().enumerate() {
                let now = story.switch.places[index].goal();
                prop_assert!(!waited || now >= *goal, "time took traffic from {}", index);
            }
            let alive: Vec<bool> = (0..4).map(|server| story.switch.life(id(server)) == Life::Alive).collect();
            for _ in 0..50 {
                let choice = story.switch.choose(story.now, story.rng.next_u64());
                let server = choice.server.index();
                prop_assert!(alive[server] || !alive.contains(&true));
                prop_assert!(choice.last_resort || story.switch.share_percent(story.now, choice.server) > 0);
            }
            let stops = |server: usize| {
                matches!(story.switch.standing(id(server)), Standing::Away { notice, .. } if notice.hard)
            };
            let stays = (0..4).any(|server| alive[server] && !stops(server));
            let last = story.switch.last_resort(story.now).index();
            prop_assert!(!stays || !stops(last), "{} stops and another stays", last);
            for event in story.events() {
                if let Event::Switched { from, to, .. } = event {
                    prop_assert_eq!(from.index(), current);
                    current = to.index();
                }
            }
            prop_assert_eq!(story.current(), current);
        }
    }
}
