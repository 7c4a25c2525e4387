//! Requests given out in turn.

use super::*;

fn in_turn(servers: usize) -> Story {
    let now = Instant::from_millis(5_000);
    let config = Config { strategy: Strategy::RoundRobin, ..Config::default() };
    Story {
        now,
        rng: StdRng::seed_from_u64(3),
        switch: Switch::new(config, &pool(servers), now),
        knew: false,
    }
}

fn turns(story: &mut Story, count: usize) -> Vec<usize> {
    (0..count).map(|_| story.switch.choose(story.now, 7).server.index()).collect()
}

#[test]
fn each_has_its_turn() {
    let mut story = in_turn(3);
    assert_eq!(turns(&mut story, 7), [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn who_asks_to_be_left_or_is_dead_has_none_and_the_others_share_them() {
    let mut story = in_turn(4);
    assert_eq!(story.failover(2), Outcome::Moved);
    assert_eq!(story.shares(), [33, 33, 0, 33]);
    story.silent(0);
    assert_eq!(story.shares(), [0, 50, 0, 50]);
}

#[test]
fn who_sheds_a_part_loses_that_part_of_what_it_had() {
    let mut story = in_turn(2);
    assert_eq!(story.reduce(1, 40), Outcome::Moved);
    assert_eq!(story.shares(), [70, 30]);
    // Ten of its turns: six taken, none of the four that are passed on next to another.
    let taken: Vec<usize> = turns(&mut story, 20);
    assert_eq!(taken.iter().filter(|&&server| server == 1).count(), 6);
    assert!(!taken.windows(6).any(|window| window.iter().all(|&server| server == 0)), "{taken:?}");
    let mut story = in_turn(4);
    story.reduce(1, 40);
    assert_eq!(story.shares(), [28, 15, 28, 28]);
}

#[test]
fn who_returns_has_more_and_more_of_them() {
    let mut story = in_turn(2);
    story.failover(0);
    assert_eq!(story.invite(0, 0), Outcome::Moved);
    assert_eq!(story.shares(), [5, 95]);
    story.run(s(15));
    assert_eq!(story.shares(), [28, 73]);
    story.run(s(15));
    assert_eq!(story.shares(), [50, 50]);
}

#[test]
fn the_last_usable_server_is_not_left() {
    let mut story = in_turn(2);
    assert_eq!(story.failover(0), Outcome::Moved);
    assert_eq!(story.failover(1), Outcome::LastUsable);
    assert_eq!(story.shares(), [0, 100]);
    assert!(story.switch.choose(story.now, 7).last_resort);
    // One about to stop gives way to one that may be stayed with.
    story.hard(1, 100);
    assert_eq!(story.shares(), [100, 0]);
}

#[test]
fn alternates_of_a_notice_leave_nobody_out() {
    let mut story = in_turn(3);
    story.switch.config.alternates = Alternates::Notice;
    story.notice(0, |_| {}, &[v4(2, 1)]);
    assert_eq!(story.shares(), [0, 50, 50]);
}

#[test]
fn who_calls_comes_no_sooner_than_its_turn() {
    let mut story = in_turn(2);
    assert_eq!(story.call(1, 0), Outcome::Noted);
    assert_eq!(story.shares(), [50, 50]);
    story.failover(1);
    assert_eq!(story.call(1, 0), Outcome::Moved, "for who left it is an invitation");
}
