//! The detection alone, where the clock is not as it should be.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::world::*;
use crate::pool::Kind;
use crate::time::Instant;
use crate::upstream::DeadServer;
use crate::upstream::detection::{Change, Detection, Phase};

const CONFIG: DeadServer = DeadServer {
    quiet: ms(300),
    probe_interval: ms(200),
    probes: 3,
    revive_interval: s(1),
    revive_answers: 3,
    silence: s(3),
    retry: s(30),
};

fn suspected(rng: &mut StdRng) -> (Detection, Instant) {
    let start = Instant::from_millis(1);
    let mut detection = Detection::new(start, true);
    detection.handle_sent(start, Kind::Auth);
    let at = start + ms(300);
    let change = detection.handle_timeout(at, rng, &CONFIG);
    assert_eq!(change, Change::Entered { before: Phase::Up, phase: Phase::Suspect });
    (detection, at)
}

#[test]
fn who_slept_itself_looks_again_before_it_judges() {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut detection, at) = suspected(&mut rng);
    let woken = at + s(5);
    assert_eq!(detection.handle_timeout(woken, &mut rng, &CONFIG), Change::None);
    assert_eq!(detection.poll_timeout(&CONFIG), Some(woken + ms(50)));
    let change = detection.handle_heard(woken, Kind::Auth, true, false, &CONFIG);
    assert_eq!(change, Change::Entered { before: Phase::Suspect, phase: Phase::Up });
}

#[test]
fn but_only_once() {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut detection, at) = suspected(&mut rng);
    let woken = at + s(5);
    detection.handle_timeout(woken, &mut rng, &CONFIG);
    let change = detection.handle_timeout(woken + s(5), &mut rng, &CONFIG);
    assert_eq!(change, Change::Entered { before: Phase::Suspect, phase: Phase::Doubtful });
}

#[test]
fn a_late_answer_to_an_earlier_probe_is_one() {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut detection, at) = suspected(&mut rng);
    let (kind, identifier, authenticator) = detection.take_probe().unwrap();
    assert_eq!(detection.take_probe(), None);
    detection.handle_timeout(at + ms(200), &mut rng, &CONFIG);
    let (_, next, _) = detection.take_probe().unwrap();
    assert_ne!(identifier, next, "a new identifier each");
    assert_eq!(detection.probe_named(kind, identifier), Some(&authenticator));
    assert_eq!(detection.probe_named(Kind::Acct, identifier), None);
    detection.close_probe(identifier);
    assert_eq!(detection.probe_named(kind, identifier), None);
}
