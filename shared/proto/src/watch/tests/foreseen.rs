//! What a trend says is coming, beside what was measured.

use super::*;

fn looking_ahead() -> Rig {
    Rig::new(Config { lead: Some(Duration::from_secs(5)), ..config() })
}

/// Memory from so many per cent, two more each second.
fn ramp(from: u32, to: u32) -> Vec<u32> {
    (from..=to).step_by(2).collect()
}

#[test]
fn a_ramp_is_warned_of_before_it_is_there() {
    let mut rig = looking_ahead();
    assert_eq!(rig.read_all(&ramp(40, 84)), []);
    let events = rig.read_all(&[86]);
    let [Event::Warn { share: 1.0, everyone: false, hard: false, cause, load: 86 }] = events[..] else {
        panic!("{events:?}");
    };
    let Cause::Foreseen { parameter: Parameter::Memory, remaining, readings: 3 } = cause else {
        panic!("{cause}");
    };
    assert!((1_900..=2_100).contains(&remaining.as_millis()), "{remaining:?}");
    assert_eq!(cause.to_string(), "memory will be too high in 2.0 s, 3 readings running");
    assert_eq!((rig.phase(), rig.watch.cause()), ("Away", cause));
    assert_eq!(rig.read_all(&[88, 91, 93, 93, 93]), [], "it warns once");
    assert_eq!(rig.watch.verdicts().confirmed, 1);
}

#[test]
fn without_a_lead_only_what_was_measured_counts() {
    let mut rig = Rig::new(config());
    assert_eq!(rig.read_all(&ramp(40, 90)), []);
    assert_eq!(rig.watch.verdicts().foreseen, 0);
}

#[test]
fn a_limit_that_warns_at_once_does_not_wait_for_a_trend() {
    let mut rig = looking_ahead();
    rig.read_all(&ramp(40, 82));
    assert_eq!(shares(&rig.read(&urgent(Parameter::MandatoryService))), [1.0]);
    assert_eq!(rig.watch.cause(), Cause::LimitReached { parameter: Parameter::MandatoryService });
    assert_eq!(rig.watch.verdicts().foreseen, 0);
}

#[test]
fn what_is_foreseen_again_sheds_another_share() {
    let mut rig = Rig::new(Config { shed: 0.5, lead: Some(Duration::from_secs(5)), ..config() });
    assert_eq!(shares(&rig.read_all(&ramp(30, 86))), [0.5]);
    assert_eq!(rig.phase(), "Shedding");
    // It goes on, slower: 8 readings and 3 running later it is foreseen again.
    let slower: Vec<Load> = (0..11).map(|reading| load_of(0.861 + 0.0035 * f64::from(reading))).collect();
    let events: Vec<Event> = slower.iter().flat_map(|load| rig.read(load)).collect();
    assert_eq!(shares(&events), [1.0]);
    assert!(matches!(rig.watch.cause(), Cause::Foreseen { .. }), "{}", rig.watch.cause());
}

#[test]
fn a_foreseen_overload_soon_after_the_return_is_a_relapse() {
    let mut rig = looking_ahead();
    rig.read_all(&ramp(40, 86));
    let mut seconds = 0;
    while rig.phase() == "Away" {
        rig.calm_for(1);
        seconds += 1;
    }
    assert_eq!(seconds, 60);
    rig.watch.handle_returned(rig.now);
    rig.read_all(&ramp(40, 94));
    assert_eq!(rig.phase(), "Away");
    rig.calm_for(118);
    assert_eq!(rig.phase(), "Away", "doubled");
}

#[test]
fn nobody_is_invited_back_while_the_trend_says_no() {
    let mut rig = Rig::new(Config {
        connection_threshold: 0.9,
        lead: Some(Duration::from_secs(20)),
        away_min: Duration::ZERO,
        shed: 0.5,
        ..config()
    });
    rig.read_all(&[95, 95, 95]);
    assert_eq!(invites(&rig.read_all(&ramp(10, 26))), 1, "calm, and nothing foreseen yet");
    let mut rig = Rig::new(Config { connection_threshold: 0.9, ..rig.watch.config });
    rig.read_all(&ramp(40, 60));
    assert!(rig.watch.forecast().is_some());
    assert_eq!(rig.watch.runs().1, 0, "under the connection threshold, and not calm");
}

#[test]
fn distrusted_readings_foresee_nothing() {
    let mut rig = looking_ahead();
    rig.read_all(&ramp(40, 84));
    rig.watch.distrust();
    assert_eq!(rig.read_all(&[86, 88, 90]), []);
}

#[test]
fn a_reload_keeps_the_trend_unless_it_is_another_lead() {
    for (lead, warnings) in [(Some(5), 1), (Some(6), 0), (None, 0)] {
        let mut rig = looking_ahead();
        rig.read_all(&ramp(40, 84));
        rig.watch.reconfigure(Config { lead: lead.map(Duration::from_secs), away_min: SECOND, ..config() });
        assert_eq!(shares(&rig.read_all(&[86, 88])).len(), warnings, "{lead:?}");
    }
}
