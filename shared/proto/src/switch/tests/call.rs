//! Servers that call clients which never left them.

use super::*;

#[test]
fn a_server_that_was_never_left_can_call() {
    let mut story = story(3, Alternates::default());
    assert_eq!(story.invite(1, 2_000), Outcome::Noted, "an invitation is for those who left");
    assert_eq!(story.call(1, 2_000), Outcome::Moved);
    story.run(s(1));
    assert_eq!(story.current(), 0, "not before its slot");
    story.run(s(2));
    assert_eq!(story.current(), 1);
    assert!((10..20).contains(&story.shares()[1]), "with a ramp");
    story.run(s(60));
    assert_eq!(story.shares(), [0, 100, 0]);

    // What its client prefers otherwise changes nothing, and can call it back.
    assert_eq!(story.invite(0, 0), Outcome::Noted);
    assert_eq!(story.current(), 1);
    assert_eq!(story.call(0, 0), Outcome::Moved);
    assert_eq!(story.current(), 0);
}

#[test]
fn a_server_that_called_is_left_when_it_asks_and_its_client_goes_home() {
    let mut story = story(3, Alternates::default());
    story.call(2, 0);
    story.run(s(60));
    assert_eq!(story.shares(), [0, 0, 100]);
    assert_eq!(story.notice(2, |_| {}, &[v4(1, 0)]), Outcome::Moved);
    assert_eq!(story.shares(), [100, 0, 0], "home, whatever the notice names");
    // It doesn't come first any more when it is back.
    story.invite(2, 0);
    story.run(s(60));
    assert_eq!(story.shares(), [100, 0, 0]);

    // A call that hasn't been followed is forgotten too.
    story.call(2, 5_000);
    story.failover(2);
    story.run(s(10));
    assert_eq!(story.current(), 0);
}

#[test]
fn a_call_to_a_server_that_was_left_is_an_invitation() {
    let mut story = story(2, Alternates::default());
    story.failover(1);
    assert_eq!(story.call(1, 1_000), Outcome::Moved);
    story.run(s(60));
    assert_eq!(story.shares(), [0, 100]);
    story.failover(0);
    assert_eq!(story.call(0, 1_000), Outcome::Moved);
    story.run(s(60));
    assert_eq!(story.shares(), [100, 0]);
}

#[test]
fn a_server_that_called_and_is_silent_gets_its_traffic_when_it_answers() {
    let mut story = story(2, Alternates::default());
    story.silent(1);
    story.call(1, 0);
    assert_eq!(story.shares(), [100, 0]);
    story.switch.handle_revived(story.now, id(1));
    story.run(s(60));
    assert_eq!(story.shares(), [0, 100]);
    story.silent(1);
    assert_eq!(story.shares(), [100, 0]);
}
