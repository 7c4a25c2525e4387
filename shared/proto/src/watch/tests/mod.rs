//! Each rule of the watch, then invariants under any sequence of readings and commands.

mod foreseen;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::gauge::{Busy, Limits, Load, Network, Parameter, Reading};

const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    Config {
        failover_threshold: 0.9,
        failover_after: 3,
        connection_threshold: 0.7,
        connection_after: 5,
        lead: None,
        away_min: Duration::from_secs(60),
        shed: 1.0,
        shed_every: Duration::from_secs(5),
        drain_deadline: Duration::from_secs(20),
        greet: false,
    }
}

/// A load of so many per cent by memory: nothing urgent about it.
fn load(percent: u32) -> Load {
    load_of(f64::from(percent) / 100.0)
}

fn load_of(memory: f64) -> Load {
    let limits = Limits { memory: Some(1.0), ..Limits::default() };
    limits.load(&Reading { memory: Some(memory), ..Reading::default() })
}

fn urgent(parameter: Parameter) -> Load {
    let mut reading = Reading { memory: Some(0.1), ..Reading::default() };
    match parameter {
        Parameter::QueueDelay => reading.queue_delay = Some(Duration::from_millis(100)),
        Parameter::MandatoryService => reading.mandatory_failed = 1,
        Parameter::Network => reading.network = Some(Network { links_down: 1, ..Network::default() }),
        other => panic!("{other} is not urgent"),
    }
    Limits::default().load(&reading)
}

/// A watch in virtual time, one reading a second.
struct Rig {
    watch: Watch,
    now: Instant,
}

impl Rig {
    fn new(config: Config) -> Rig {
        Rig { watch: Watch::new(config, Instant::ZERO), now: Instant::ZERO }
    }

    fn read(&mut self, load: &Load) -> Vec<Event> {
        self.now += SECOND;
        self.watch.handle_timeout(self.now);
        self.watch.handle_reading(self.now, load);
        self.events()
    }

    fn read_all(&mut self, percents: &[u32]) -> Vec<Event> {
        percents.iter().flat_map(|&percent| self.read(&load(percent))).collect()
    }

    fn calm_for(&mut self, seconds: usize) -> Vec<Event> {
        self.read_all(&vec![10; seconds])
    }

    /// What was asked for, without the changes of phase.
    fn events(&mut self) -> Vec<Event> {
        let mut events: Vec<Event> = std::iter::from_fn(|| self.watch.poll_event()).collect();
        events.retain(|event| !matches!(event, Event::Entered { .. }));
        events
    }

    fn phase(&self) -> &'static str {
        self.watch.phase().name()
    }
}

fn shares(events: &[Event]) -> Vec<f64> {
    let share = |event: &Event| if let Event::Warn { share, .. } = event { Some(*share) } else { None };
    events.iter().filter_map(share).collect()
}

fn invites(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Invite { .. })).count()
}

#[test]
fn overload_warns_after_so_many_readings_running() {
    let mut rig = Rig::new(config());
    assert_eq!(rig.read_all(&[95, 95]), []);
    assert_eq!(rig.phase(), "Serving");
    let cause = Cause::Overload { parameter: Some(Parameter::Memory), load: 95, readings: 3 };
    let warn = Event::Warn { share: 1.0, everyone: false, hard: false, cause, load: 95 };
    assert_eq!(rig.read_all(&[95]), [warn]);
    assert_eq!((rig.phase(), rig.watch.cause()), ("Away", cause), "the cause is part of the state");
    assert_eq!(rig.watch.since(), rig.now);
    assert_eq!(rig.read_all(&[99, 99, 99, 99]), [], "it warns once");
}

#[test]
fn at_the_threshold_is_not_worse_than_the_threshold() {
    let mut rig = Rig::new(config());
    assert_eq!(rig.read_all(&[90; 20]), []);
}

#[test]
fn readings_that_straddle_the_thresholds_do_not_flap() {
    let mut rig = Rig::new(config());
    for _ in 0..100 {
        assert_eq!(rig.read_all(&[95, 95, 60]), []);
    }
    rig.read_all(&[95, 95, 95]);
    for _ in 0..100 {
        assert_eq!(rig.read_all(&[60, 60, 60, 60, 95]), []);
    }
    assert_eq!(rig.phase(), "Away");
}

#[test]
fn a_full_pool_alone_waits_for_its_readings() {
    let full =
        Limits::default().load(&Reading { workers: Some(Busy { busy: 16, max: 16 }), ..Reading::default() });
    let mut rig = Rig::new(config());
    assert_eq!(rig.read(&full), []);
    assert_eq!(rig.read(&full), []);
    assert_eq!(shares(&rig.read(&full)), [1.0]);
}

#[test]
fn queue_delay_a_mandatory_service_and_the_network_warn_at_once() {
    for parameter in [Parameter::QueueDelay, Parameter::MandatoryService, Parameter::Network] {
        let mut rig = Rig::new(config());
        assert_eq!(shares(&rig.read(&urgent(parameter))), [1.0], "{parameter}");
        assert_eq!(rig.watch.cause(), Cause::LimitReached { parameter });
    }
}

#[test]
fn away_lasts_its_time_although_the_load_has_vanished() {
    let mut rig = Rig::new(config());
    rig.read_all(&[95, 95, 95]);
    assert_eq!(rig.calm_for(59), []);
    assert_eq!(rig.phase(), "Away");
    assert_eq!(invites(&rig.calm_for(1)), 1);
    assert_eq!(rig.phase(), "Returning");
}

#[test]
fn after_its_time_away_it_still_takes_a_run_of_calm_readings() {
    let mut rig = Rig::new(config());
    rig.read_all(&[95; 70]);
    assert_eq!(rig.read_all(&[69, 69, 69, 69, 70, 69, 69, 69, 69]), []);
    assert_eq!(invites(&rig.read_all(&[69])), 1);
}

#[test]
fn every_slot_passed_is_serving_again() {
    let mut rig = Rig::new(config());
    rig.read_all(&[95, 95, 95]);
    rig.calm_for(60);
    rig.watch.handle_returned(rig.now);
    assert_eq!((rig.phase(), rig.watch.cause()), ("Serving", Cause::AllReturned));
    assert_eq!(rig.watch.moved(), 0.0);
}

#[test]
fn returning_stops_admitting_while_the_load_is_above_the_connection_threshold() {
    let mut rig = Rig::new(config());
    rig.read_all(&[95, 95, 95]);
    rig.calm_for(60);
    assert_eq!(rig.watch.admission(rig.now), Admission::Granted);
    assert!(matches!(rig.read_all(&[71])[..], [Event::Pause { .. }]));
    assert!(matches!(rig.watch.admission(rig.now), Admission::Refused { .. }));
    rig.watch.handle_returned(rig.now);
    assert_eq!(rig.phase(), "Returning", "those held back have yet to return");
    assert_eq!(rig.read_all(&[71, 80, 70, 70, 70]), [], "neither back nor away between the thresholds");
    assert_eq!(invites(&rig.calm_for(5)), 1);
    rig.watch.handle_returned(rig.now);
    assert_eq!(rig.phase(), "Serving");
}

/// Overloads the rig and has its clients back; answers how many seconds it was away.
fn away_and_back(rig: &mut Rig) -> u32 {
    rig.read_all(&[95, 95, 95]);
    assert_eq!(rig.phase(), "Away");
    let mut seconds = 0;
    while rig.phase() == "Away" {
        rig.calm_for(1);
        seconds += 1;
    }
    seconds
}

#[test]
fn a_relapse_doubles_the_time_away_up_to_a_quarter_of_an_hour() {
    let mut rig = Rig::new(config());
    let away: Vec<u32> = (0..6).map(|_| away_and_back(&mut rig)).collect();
    assert_eq!(away, [60, 120, 240, 480, 900, 900]);
}

#[test]
fn a_relapse_soon_after_the_return_counts_and_one_long_after_does_not() {
    let mut rig = Rig::new(config());
    assert_eq!(away_and_back(&mut rig), 60);
    rig.watch.handle_returned(rig.now);
    rig.calm_for(50);
    assert_eq!(away_and_back(&mut rig), 120);
    rig.watch.handle_returned(rig.now);
    rig.calm_for(121);
    assert_eq!(away_and_back(&mut rig), 60);
}

#[test]
fn an_away_min_above_the_limit_stays_as_configured() {
    let away_min = Duration::from_secs(1_000);
    let mut rig = Rig::new(Config { away_min, ..config() });
    assert_eq!((away_and_back(&mut rig), away_and_back(&mut rig)), (1_000, 1_000));
}

#[test]
fn shedding_moves_a_share_looks_again_and_moves_more() {
    let mut rig = Rig::new(Config { shed: 0.25, ..config() });
    assert_eq!(shares(&rig.read_all(&[95, 95, 95])), [0.25]);
    assert_eq!(rig.phase(), "Shedding");
    assert_eq!(rig.read_all(&[95; 4]), [], "one step each `shed_every`");
    assert_eq!(shares(&rig.read_all(&[95])), [0.5]);
    assert_eq!(rig.read_all(&[85; 20]), [], "not overloaded any more, not well either");
    assert_eq!(shares(&rig.read_all(&[95])), [0.75], "looked again, and overloaded again");
    assert_eq!(shares(&rig.read_all(&[95; 5])), [1.0]);
    assert_eq!(rig.phase(), "Away");
}

#[test]
fn ten_tenths_are_the_whole_audience() {
    let mut rig = Rig::new(Config { shed: 0.1, ..config() });
    let moved = shares(&rig.read_all(&[95; 60]));
    assert_eq!((moved.len(), moved.last()), (10, Some(&1.0)));
    assert_eq!(rig.phase(), "Away");
}

#[test]
fn a_shed_share_returns_after_its_time() {
    let mut rig = Rig::new(Config { shed: 0.25, ..config() });
    rig.read_all(&[95, 95, 95]);
    assert_eq!(rig.calm_for(59), []);
    assert_eq!(invites(&rig.calm_for(1)), 1);
    assert_eq!(shares(&rig.read_all(&[95, 95, 95])), [0.25], "a relapse begins with as many as had left");
}

#[test]
fn shedding_a_share_is_no_remedy_for_a_lost_network() {
    let mut rig = Rig::new(Config { shed: 0.25, ..config() });
    assert_eq!(shares(&rig.read(&urgent(Parameter::QueueDelay))), [0.25]);
    assert_eq!(shares(&rig.read(&urgent(Parameter::Network))), [1.0]);
    assert_eq!(rig.phase(), "Away");
}

#[test]
fn a_drain_tells_everyone_and_then_stops_taking_requests() {
    let mut rig = Rig::new(config());
    rig.watch.drain(rig.now, DrainBy::Operator);
    let warn = Event::Warn { share: 1.0, everyone: true, hard: false, cause: Cause::Operator, load: 0 };
    assert_eq!(rig.events(), [warn]);
    assert!(rig.watch.is_taking(), "requests are answered until the drain has ended");
    assert_eq!(rig.read_all(&[99; 10]), [], "load is no matter now");
    rig.watch.handle_drained(rig.now);
    assert_eq!(rig.events(), [Event::StopTaking]);
    assert_eq!((rig.phase(), rig.watch.cause()), ("Drained", Cause::NothingLeft));
    assert!(!rig.watch.is_taking());
    rig.watch.handle_drained(rig.now);
    rig.watch.drain(rig.now, DrainBy::Operator);
    assert_eq!(rig.events(), []);
}

#[test]
fn a_drain_ends_at_its_deadline_and_lets_conversations_go_at_once() {
    let mut rig = Rig::new(config());
    rig.watch.drain(rig.now, DrainBy::Shutdown);
    rig.events();
    let deadline = rig.now + Duration::from_secs(20);
    assert_eq!(rig.watch.poll_timeout(), Some(deadline));
    rig.watch.handle_timeout(deadline.before(Duration::from_nanos(1)));
    assert_eq!(rig.events(), []);
    rig.watch.handle_timeout(deadline);
    let events = rig.events();
    assert!(matches!(events[..], [Event::Warn { hard: true, everyone: true, .. }, Event::StopTaking]));
    assert_eq!((rig.phase(), rig.watch.poll_timeout()), ("Drained", None));
}

#[test]
fn resume_takes_requests_again_and_invites_everyone_back() {
    let mut rig = Rig::new(config());
    rig.watch.drain(rig.now, DrainBy::Operator);
    rig.watch.handle_drained(rig.now);
    rig.events();
    rig.watch.resume(rig.now);
    assert_eq!(rig.events(), [Event::StartTaking, Event::Invite { cause: Cause::Operator }]);
    assert_eq!(rig.phase(), "Returning");
    rig.watch.handle_returned(rig.now);
    rig.watch.resume(rig.now);
    assert_eq!((rig.phase(), rig.events()), ("Serving", vec![]));
}

#[test]
fn resume_under_load_admits_nobody_before_the_load_allows() {
    let mut rig = Rig::new(config());
    rig.read_all(&[95, 95, 95]);
    rig.watch.resume(rig.now);
    assert_eq!((rig.phase(), rig.events()), ("Returning", vec![]));
    assert_eq!(invites(&rig.calm_for(5)), 1);
}

#[test]
fn an_operator_may_have_them_back_before_their_time() {
    let mut rig = Rig::new(config());
    rig.read_all(&[95, 95, 95, 10]);
    rig.watch.resume(rig.now);
    assert_eq!(rig.events(), [Event::Invite { cause: Cause::Operator }]);
}

#[test]
fn quiesced_keeps_its_own_takes_no_new_ones_and_still_warns() {
    let mut rig = Rig::new(config());
    rig.watch.quiesce(rig.now);
    assert_eq!((rig.phase(), rig.events()), ("Quiesced", vec![]));
    assert!(rig.watch.is_taking());
    assert!(matches!(rig.watch.admission(rig.now), Admission::Refused { .. }));
    assert_eq!(shares(&rig.read_all(&[95, 95, 95])), [1.0]);
    assert_eq!(rig.calm_for(60), [], "well again, but the operator wants nobody back");
    assert_eq!(rig.phase(), "Quiesced");
    rig.watch.resume(rig.now);
    assert_eq!(rig.events(), [Event::Invite { cause: Cause::Operator }]);
}

#[test]
fn quiesce_holds_back_those_who_are_returning() {
    let mut rig = Rig::new(config());
    rig.read_all(&[95, 95, 95]);
    rig.calm_for(60);
    rig.watch.quiesce(rig.now);
    assert_eq!(rig.events(), [Event::Pause { cause: Cause::Operator }]);
    rig.watch.resume(rig.now);
    assert_eq!((rig.phase(), invites(&rig.events())), ("Returning", 1));
}

#[test]
fn a_server_that_starts_invites_once_when_the_load_allows() {
    let mut rig = Rig::new(Config { greet: true, ..config() });
    assert_eq!(rig.read_all(&[80, 10, 10, 10, 10]), []);
    assert_eq!(rig.read_all(&[10]), [Event::Invite { cause: Cause::Started }]);
    assert_eq!(rig.phase(), "Serving");
    assert_eq!(rig.calm_for(30), []);
}

#[test]
fn a_refused_client_is_told_when_to_ask_again() {
    let mut rig = Rig::new(config());
    rig.read_all(&[95, 95, 95]);
    let retry = |rig: &Rig| match rig.watch.admission(rig.now) {
        Admission::Refused { retry } => retry.as_secs(),
        Admission::Granted => panic!("granted"),
    };
    assert_eq!(retry(&rig), 60);
    rig.calm_for(30);
    assert_eq!(retry(&rig), 30);
    rig.read_all(&[80; 40]);
    assert_eq!(retry(&rig), 5, "never at once");
    rig.watch.drain(rig.now, DrainBy::Operator);
    assert_eq!(retry(&rig), 60);
}

#[test]
fn another_configuration_holds_from_the_next_reading() {
    let mut rig = Rig::new(config());
    rig.read_all(&[95, 95]);
    rig.watch.reconfigure(Config { failover_threshold: 0.5, failover_after: 1, ..config() });
    assert_eq!(rig.events(), []);
    assert_eq!(shares(&rig.read_all(&[55])), [1.0]);
}

#[derive(Clone, Debug)]
enum Step {
    Load(u32),
    Urgent(Parameter),
    Drain,
    Drained,
    Resume,
    Quiesce,
    Returned,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0u32..=100).prop_map(Step::Load),
        10 => Just(Step::Load(95)),
        20 => Just(Step::Load(10)),
        1 => Just(Step::Urgent(Parameter::QueueDelay)),
        1 => Just(Step::Urgent(Parameter::MandatoryService)),
        1 => Just(Step::Drain),
        1 => Just(Step::Drained),
        2 => Just(Step::Resume),
        1 => Just(Step::Quiesce),
        3 => Just(Step::Returned),
        3 => (0u64..100).prop_map(Step::Wait),
    ]
}

proptest! {
    /// What holds whatever happens in whatever order.
    #[test]
    fn the_watch_keeps_its_word(
        steps in prop::collection::vec(step(), 0..300),
        shed in prop::sample::select(vec![1.0, 0.5, 0.3]),
        greet in any::<bool>(),
        lead in prop::sample::select(vec![None, Some(Duration::from_secs(20))]),
    ) {
        let mut rig = Rig::new(Config { shed, greet, lead, ..config() });
        let (mut over, mut calm, mut taking) = (0, 0, true);
        let mut last_warn: Option<Instant> = None;
        for step in steps {
            let (mut urgent_now, mut by_operator) = (false, false);
            let before = rig.watch.moved();
            let events = match step {
                Step::Load(percent) => {
                    over = if percent > 90 { over + 1 } else { 0 };
                    calm = if percent < 70 { calm + 1 } else { 0 };
                    rig.read(&load(percent))
                }
                Step::Urgent(parameter) => {
                    urgent_now = true;
                    over += 1;
                    calm = 0;
                    rig.read(&urgent(parameter))
                }
                Step::Wait(seconds) => {
                    rig.now += Duration::from_secs(seconds);
                    rig.watch.handle_timeout(rig.now);
                    rig.events()
                }
                command => {
                    by_operator = true;
                    let now = rig.now;
                    match command {
                        Step::Drain => rig.watch.drain(now, DrainBy::Operator),
                        Step::Drained => rig.watch.handle_drained(now),
                        Step::Resume => rig.watch.resume(now),
                        Step::Quiesce => rig.watch.quiesce(now),
                        _ => rig.watch.handle_returned(now),
                    }
                    rig.events()
                }
            };
            for event in events {
                match event {
                    Event::Warn { share, everyone: false, hard, cause, .. } => {
                        let foreseen = match cause {
                            Cause::Foreseen { remaining, readings, .. } => {
                                prop_assert!(readings >= 3 && Some(remaining) < lead);
                                true
                            }
                            _ => false,
                        };
                        // The first share takes a full run; a further one of a shed only a bad look.
                        prop_assert!(foreseen || urgent_now || over >= 3 || (before > 0.0 && over > 0));
                        prop_assert!(!hard && share > 0.0 && share <= 1.0 && share >= before);
                        last_warn = Some(rig.now);
                    }
                    Event::Warn { everyone: true, share, .. } => prop_assert_eq!(share, 1.0),
                    Event::Invite { cause } => {
                        prop_assert!(by_operator || calm >= 5);
                        if !by_operator && cause != Cause::Operator && before > 0.0
                            && let Phase::Returning { .. } = rig.watch.phase()
                            && matches!(rig.watch.cause(), Cause::Recovered { .. })
                        {
                            let away = rig.now.since(last_warn.expect("somebody left"));
                            prop_assert!(away >= Duration::from_secs(60), "back after {away:?}");
                        }
                    }
                    Event::Pause { .. } => {}
                    Event::StopTaking => { prop_assert!(taking); taking = false; }
                    Event::StartTaking => { prop_assert!(!taking); taking = true; }
                    Event::Entered { .. } => unreachable!("left out"),
                }
            }
            prop_assert_eq!(rig.watch.is_taking(), taking);
            let away = matches!(rig.watch.phase(), Phase::Away { .. } | Phase::Shedding { .. });
            prop_assert!(!away || rig.watch.moved() > 0.0);
            prop_assert!(!matches!(rig.watch.phase(), Phase::Serving) || rig.watch.moved() == 0.0);
        }
    }
}
