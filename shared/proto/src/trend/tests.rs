//! Ramps are foreseen, and nothing else is: steps, noise, sawteeth, a queue that comes and goes.

use proptest::prelude::*;

use super::*;
use crate::gauge::{Limits, Reading};

const LEAD: Duration = Duration::from_secs(5);
const THRESHOLD: f64 = 0.9;
/// Readings running that count.
const AFTER: u32 = 3;

/// Memory that is such a multiple of its limit.
fn load(part: f64) -> Load {
    load_by(Parameter::Memory, part)
}

fn load_by(parameter: Parameter, part: f64) -> Load {
    let limits = Limits { memory: Some(0.5), ..Limits::default() };
    limits.load(&match parameter {
        Parameter::QueueDelay => {
            Reading { queue_delay: Some(Duration::from_secs_f64(part / 10.0)), ..Reading::default() }
        }
        _ => Reading { memory: Some(part * 0.5), ..Reading::default() },
    })
}

/// Reads `parts` at this pace; where, and with how much left, it would have been warned first.
fn first_warning(parts: &[f64], pace: Duration, lead: Duration) -> Option<(usize, Duration)> {
    warnings(parts, pace, lead).first().copied()
}

/// Each warning, after which all begins anew, as it does when clients leave.
fn warnings(parts: &[f64], pace: Duration, lead: Duration) -> Vec<(usize, Duration)> {
    let mut outlook = Outlook::new(lead, THRESHOLD);
    let mut found = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let now = Instant::ZERO + pace * u32::try_from(index).expect("few");
        outlook.handle_reading(now, &load(*part), true);
        if let Some(forecast) = outlook.forecast().filter(|forecast| forecast.readings >= AFTER) {
            assert_eq!(forecast.parameter, Parameter::Memory);
            found.push((index, forecast.remaining));
            outlook.handle_warning(now, &forecast);
            outlook.begin_anew();
        }
    }
    found
}

const SECOND: Duration = Duration::from_secs(1);

/// So many readings, each this much higher.
fn ramp(from: f64, rise: f64, readings: usize) -> Vec<f64> {
    (0..readings).map(|reading| from + rise * reading as f64).collect()
}

/// Noise without a generator: the fractions of multiples of the golden ratio, from -1 to 1.
fn noise(index: usize) -> f64 {
    (index as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0
}

#[test]
fn a_ramp_is_foreseen_with_the_time_that_is_left() {
    for rise in [0.002, 0.01, 0.02, 0.04] {
        let (at, remaining) = first_warning(&ramp(0.3, rise, 400), SECOND, LEAD).expect("foreseen");
        let left = (THRESHOLD - 0.3) / rise - at as f64;
        assert!((remaining.as_secs_f64() - left).abs() < 0.01, "{rise}: {remaining:?} for {left}");
        assert!((2.0..=3.01).contains(&left), "three readings running, the first below {LEAD:?}: {left}");
    }
}

#[test]
fn a_ramp_under_noise_is_foreseen_all_the_same() {
    let parts: Vec<f64> =
        ramp(0.3, 0.02, 40).iter().enumerate().map(|(at, part)| part + 0.005 * noise(at)).collect();
    let (at, remaining) = first_warning(&parts, SECOND, LEAD).expect("foreseen");
    let left = 30.0 - at as f64;
    assert!(left >= 0.5, "before it is there: {left}");
    assert!((remaining.as_secs_f64() - left).abs() < 2.5, "{remaining:?} for {left}");
}

#[test]
fn a_ramp_after_a_long_calm_is_foreseen_once_it_fills_the_window() {
    let parts: Vec<f64> = [vec![0.3; 100], ramp(0.3, 0.03, 21)].concat();
    let (at, _) = first_warning(&parts, SECOND, LEAD).expect("foreseen");
    assert!((110..=119).contains(&at), "{at}");
}

#[test]
fn readings_ten_a_second_and_a_long_lead_are_seen_as_well() {
    let tenth = Duration::from_millis(100);
    let (at, remaining) = first_warning(&ramp(0.1, 0.004, 300), tenth, LEAD).expect("foreseen");
    let left = (200 - at) as f64 / 10.0;
    assert!((remaining.as_secs_f64() - left).abs() < 0.1 && left > 4.0, "{remaining:?} for {left}");
    let (at, _) = first_warning(&ramp(0.1, 0.004, 300), SECOND, 30 * SECOND).expect("foreseen");
    assert!((170..=178).contains(&at), "{at}");
}

#[test]
fn what_is_level_falls_or_rises_too_slowly_is_not() {
    assert_eq!(first_warning(&[0.89; 100], SECOND, LEAD), None);
    assert_eq!(first_warning(&ramp(0.89, -0.005, 100), SECOND, LEAD), None);
    assert_eq!(first_warning(&ramp(0.5, 0.0005, 700), SECOND, LEAD), None, "0.85 and a minute to go");
}

#[test]
fn a_step_is_not_a_trend() {
    for to in [0.6, 0.8, 0.89] {
        let parts = [vec![0.2; 30], vec![to; 60]].concat();
        assert_eq!(first_warning(&parts, SECOND, LEAD), None, "{to}");
    }
    let stairs: Vec<f64> = (0..8).flat_map(|step| vec![0.2 + 0.08 * f64::from(step); 20]).collect();
    assert_eq!(first_warning(&stairs, SECOND, LEAD), None);
}

#[test]
fn a_few_wrong_readings_move_nothing() {
    let mut parts = ramp(0.3, 0.001, 300);
    for at in (10..300).step_by(11) {
        parts[at] = 0.88;
    }
    assert_eq!(first_warning(&parts, SECOND, LEAD), None);
}

#[test]
fn a_sawtooth_is_believed_once_at_the_most() {
    for period in [4, 9, 15, 30, 60, 200] {
        for highest in [0.5, 0.7, 0.85, 0.89] {
            let tooth = ramp(0.2, (highest - 0.2) / period as f64, period + 1);
            let parts: Vec<f64> = tooth.iter().copied().cycle().take(2_000).collect();
            let found = warnings(&parts, SECOND, LEAD).len();
            let rise = (highest - 0.2) / period as f64;
            let could_be_meant = (THRESHOLD - highest) / rise < LEAD.as_secs_f64() && period > READINGS_MIN;
            assert!(found <= usize::from(could_be_meant), "{period} {highest}: {found}");
        }
    }
}

#[test]
fn a_sawtooth_that_does_not_turn_for_once_is_foreseen() {
    let tooth = ramp(0.2, 0.02, 31);
    let parts = [tooth.clone(), tooth.clone(), tooth, ramp(0.2, 0.02, 36)].concat();
    let found = warnings(&parts, SECOND, LEAD);
    assert_eq!(
        found.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [93 + 33],
        "0.86, after teeth up to 0.80"
    );
}

#[test]
fn a_height_is_forgotten_after_a_while() {
    let tooth = ramp(0.2, 0.03, 22);
    let parts = [tooth.clone(), vec![0.2; 700], tooth].concat();
    assert_eq!(warnings(&parts, SECOND, LEAD).len(), 2);
}

#[test]
fn what_was_distrusted_is_no_part_of_a_trend() {
    let mut outlook = Outlook::new(LEAD, THRESHOLD);
    for (at, part) in ramp(0.3, 0.02, 27).into_iter().enumerate() {
        outlook.handle_reading(Instant::ZERO + SECOND * at as u32, &load(part), true);
    }
    assert!(outlook.forecast().is_some());
    outlook.distrust();
    assert_eq!(outlook.forecast(), None);
    outlook.handle_reading(Instant::ZERO + SECOND * 27, &load(0.84), true);
    assert_eq!(outlook.forecast(), None, "it takes a window of its own");
}

#[test]
fn another_lead_begins_anew_and_keeps_what_was_counted() {
    let mut outlook = warned(Parameter::Memory);
    outlook.reconfigure(LEAD, THRESHOLD);
    assert!(!outlook.trends[2].points.is_empty(), "the same is no other");
    outlook.reconfigure(2 * LEAD, THRESHOLD);
    assert!(outlook.trends[2].points.is_empty());
    assert_eq!(outlook.verdicts().foreseen, 1);
}

const WARNED: Instant = Instant::from_millis(28_000);

/// A ramp that was warned of, with 0.82, 0.84 and 0.86 as the readings that foresaw it.
fn warned(parameter: Parameter) -> Outlook {
    let mut outlook = Outlook::new(LEAD, THRESHOLD);
    for (at, part) in ramp(0.3, 0.02, 29).into_iter().enumerate() {
        outlook.handle_reading(Instant::ZERO + SECOND * at as u32, &load_by(parameter, part), true);
    }
    let forecast = outlook.forecast().expect("foreseen");
    assert_eq!((forecast.parameter, forecast.readings), (parameter, AFTER));
    outlook.handle_warning(WARNED, &forecast);
    outlook
}

/// What becomes of it when these readings follow, each so many milliseconds after the warning.
fn judged(parameter: Parameter, readings: &[(u64, f64)]) -> Verdicts {
    let mut outlook = warned(parameter);
    for (millis, part) in readings {
        let at = WARNED + Duration::from_millis(*millis);
        outlook.handle_reading(at, &load_by(parameter, *part), false);
    }
    *outlook.verdicts()
}

const ONE: Verdicts = Verdicts { foreseen: 1, confirmed: 0, false_alarms: 0, averted: 0 };

#[test]
fn what_came_all_the_same_is_confirmed() {
    for parameter in [Parameter::QueueDelay, Parameter::Memory] {
        assert_eq!(judged(parameter, &[(50, 0.87), (9_000, 0.1)]), ONE, "not judged yet");
        let verdicts = judged(parameter, &[(50, 0.3), (9_000, 0.91), (11_000, 0.1)]);
        assert_eq!(verdicts, Verdicts { confirmed: 1, ..ONE }, "whatever it did meanwhile");
        let verdicts = judged(parameter, &[(50, 0.87), (10_001, 0.95)]);
        assert_eq!(verdicts, Verdicts { averted: 1, ..ONE }, "too late to be what was meant");
    }
}

#[test]
fn a_queue_that_was_shorter_before_anybody_left_was_a_false_alarm() {
    let of = |readings: &[(u64, f64)]| judged(Parameter::QueueDelay, readings);
    let (is_false, averted) = (Verdicts { false_alarms: 1, ..ONE }, Verdicts { averted: 1, ..ONE });
    assert_eq!(of(&[(50, 0.79), (1_000, 0.0), (10_001, 0.0)]), is_false);
    assert_eq!(of(&[(50, 0.83), (1_000, 0.0), (10_001, 0.0)]), averted);
    assert_eq!(of(&[(101, 0.0), (10_001, 0.0)]), averted, "nobody waits since nobody is there");
}

#[test]
fn memory_that_falls_by_itself_was_a_false_alarm() {
    let of = |readings: &[(u64, f64)]| judged(Parameter::Memory, readings);
    assert_eq!(of(&[(1_000, 0.88), (3_000, 0.2), (10_001, 0.2)]), Verdicts { false_alarms: 1, ..ONE });
    assert_eq!(of(&[(1_000, 0.88), (3_000, 0.88), (10_001, 0.88)]), Verdicts { averted: 1, ..ONE });
}

#[test]
fn a_false_alarm_is_not_raised_twice() {
    let mut outlook = warned(Parameter::Memory);
    outlook.begin_anew();
    for (millis, part) in [(50, 0.4), (1_000, 0.3), (10_001, 0.3)] {
        outlook.handle_reading(WARNED + Duration::from_millis(millis), &load(part), true);
    }
    assert_eq!(outlook.verdicts().false_alarms, 1);
    let began = WARNED + 20 * SECOND;
    for (at, part) in ramp(0.3, 0.02, 29).into_iter().enumerate() {
        outlook.handle_reading(began + SECOND * at as u32, &load(part), true);
        assert_eq!(outlook.forecast(), None, "{part}: it has come down from there");
    }
}

proptest! {
    /// Noise around a level, however near the threshold, is next to never foreseen.
    #[test]
    fn noise_is_no_trend(
        parts in prop::collection::vec(0.0..1.0_f64, 500),
        level in 0.1..0.85_f64,
        width in 0.0..0.4_f64,
    ) {
        let parts: Vec<f64> = parts.iter().map(|part| (level + width * (part - 0.5)).min(0.9)).collect();
        prop_assert!(warnings(&parts, SECOND, LEAD).len() <= 1);
    }

    /// Whatever is read, a forecast is within the lead, and nothing grows.
    #[test]
    fn a_forecast_is_never_further_than_the_lead(
        parts in prop::collection::vec((0.0..2.0_f64, 1_u64..5_000), 1..300),
        lead in 1_u64..60,
    ) {
        let lead = Duration::from_secs(lead);
        let mut outlook = Outlook::new(lead, THRESHOLD);
        let mut now = Instant::ZERO;
        for (part, millis) in parts {
            now += Duration::from_millis(millis);
            outlook.handle_reading(now, &load(part), true);
            prop_assert!(outlook.forecast().is_none_or(|forecast| forecast.remaining < lead));
            prop_assert!(outlook.trends.iter().all(|trend| trend.points.len() <= READINGS_MAX));
        }
    }
}
