use super::*;
use proptest::prelude::*;

fn config() -> Config {
    Config { interval: Duration::from_secs(2), fall: 3, rise: 3, hold_down: Duration::from_secs(60) }
}

/// Runs checks as they fall due, each ending at once with the next outcome; returns the time of the last.
fn run(service: &mut HoldDown, outcomes: &[Outcome]) -> Instant {
    let mut now = Instant::ZERO;
    for &outcome in outcomes {
        now = service.poll_timeout().expect("no check is under way").max(now);
        assert!(service.begin(now));
        assert!(!service.begin(now), "one check at a time");
        service.handle_outcome(now, outcome);
    }
    now
}

use Outcome::{Failure as F, NoResult as N, Success as S};

#[test]
fn the_first_success_is_enough_after_the_start() {
    let mut service = HoldDown::new(config(), Instant::ZERO);
    assert_eq!((service.state(), service.failed()), (State::Starting, false));
    run(&mut service, &[S]);
    assert_eq!((service.state(), service.failed()), (State::Running, false));
}

#[test]
fn fewer_failures_than_fall_are_forgiven() {
    let mut service = HoldDown::new(config(), Instant::ZERO);
    run(&mut service, &[S, F, F, S, F, F, S]);
    assert_eq!((service.state(), service.failed()), (State::Running, false));
}

#[test]
fn fall_failures_hold_down_and_nothing_is_checked_until_it_has_passed() {
    let mut service = HoldDown::new(config(), Instant::ZERO);
    let now = run(&mut service, &[S, F, F, F]);
    let until = now + Duration::from_secs(60);
    assert_eq!((service.state(), service.failed()), (State::HoldDown { until }, true));
    assert_eq!(service.poll_timeout(), Some(until));
    assert!(!service.begin(until.before(Duration::from_nanos(1))));
}

#[test]
fn rise_successes_running_clear_it() {
    let mut service = HoldDown::new(config(), Instant::ZERO);
    run(&mut service, &[F, F, F, S, S]);
    assert_eq!((service.state(), service.failed()), (State::Starting, true));
    let mut cleared = service.clone();
    run(&mut cleared, &[S]);
    assert_eq!((cleared.state(), cleared.failed()), (State::Running, false));
    run(&mut service, &[F, S, S]);
    assert!(service.failed(), "a failure between starts the count anew");
    run(&mut service, &[S]);
    assert!(!service.failed());
}

#[test]
fn failing_on_after_the_hold_down_is_not_running_and_then_another_hold_down() {
    let mut service = HoldDown::new(config(), Instant::ZERO);
    run(&mut service, &[F, F, F, F]);
    assert_eq!((service.state(), service.failed()), (State::NotRunning, true));
    run(&mut service, &[F, F]);
    assert!(matches!(service.state(), State::HoldDown { .. }));
}

#[test]
fn a_process_is_held_down_at_its_first_failure() {
    let mut service = HoldDown::new(Config { fall: 1, ..config() }, Instant::ZERO);
    run(&mut service, &[S, F]);
    assert!(matches!(service.state(), State::HoldDown { .. }));
}

#[test]
fn a_check_without_a_result_changes_nothing() {
    let mut service = HoldDown::new(config(), Instant::ZERO);
    run(&mut service, &[S, F, F, N, N, N]);
    assert_eq!((service.state(), service.failures()), (State::Running, 2));
    run(&mut service, &[F]);
    assert!(service.failed());
}

#[test]
fn a_check_that_was_lost_is_made_again_at_once() {
    let mut service = HoldDown::new(config(), Instant::ZERO);
    assert!(service.begin(Instant::ZERO));
    let now = Instant::from_millis(7);
    service.restart_check(now);
    assert_eq!(service.poll_timeout(), Some(now));
    run(&mut service, &[F, F, F]);
    let until = service.poll_timeout();
    service.restart_check(now);
    assert_eq!(service.poll_timeout(), until, "not before its time");
}

proptest! {
    /// Whatever the checks find, held-down spells last their time, and clearing takes `rise` successes running.
    #[test]
    fn a_failed_service_clears_only_by_rise_successes(outcomes in prop::collection::vec(0u8..3, 0..200)) {
        let mut service = HoldDown::new(config(), Instant::ZERO);
        let (mut now, mut running) = (Instant::ZERO, 0);
        for outcome in outcomes {
            let outcome = [S, F, N][usize::from(outcome)];
            let was_failed = service.failed();
            now = service.poll_timeout().expect("none under way").max(now);
            if let State::HoldDown { until } = service.state() {
                prop_assert!(now >= until);
            }
            service.begin(now);
            service.handle_outcome(now, outcome);
            match outcome { S => running += 1, F => running = 0, N => {} }
            if was_failed && !service.failed() {
                prop_assert!(running >= 3);
            }
            prop_assert_eq!(service.state() == State::Running && service.failed(), false);
        }
    }
}
