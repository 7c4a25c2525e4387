//! Who guesses, what was verified before, and one-time codes.

use forewarn_shell::clock;
use forewarn_wire::number;

use super::*;

/// RFC 6238 appendix B.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn from(bench: &mut Bench, source: &str, ask: &Ask<'_>) -> Option<Vec<u8>> {
    bench.arrive(ListenKind::Auth, source.parse().unwrap(), &ask.octets())
}

#[test]
fn a_guesser_is_held_off_and_nobody_else() {
    let mut bench = Bench::new(testing::config(""));
    for number in 0..1000_u32 {
        let [.., high, identifier] = number.to_be_bytes();
        let source = SocketAddr::new(testing::source().ip(), 30_000 + u16::from(high));
        let ask = Ask { identifier, ..Ask::pap("alice", &format!("guess {number}")) };
        assert_eq!(bench.arrive(ListenKind::Auth, source, &ask.octets()), None);
    }
    bench.wait(1100);
    while bench.delayed().is_some() {}
    assert_eq!((bench.counted(Cause::WrongPassword), bench.counted(Cause::TooManyFailures)), (10, 990));
    // Even with the right password, there.
    let ask = Ask { identifier: 1, ..Ask::pap("alice", "wonderland") };
    assert_eq!(bench.auth(&ask), None);
    // From another device of hers, and another user from the same.
    let elsewhere = Ask { identifier: 2, ..Ask::pap("alice", "wonderland") };
    assert_eq!(code(from(&mut bench, "198.51.100.7:1000", &elsewhere), &elsewhere), Code::ACCESS_ACCEPT);
    let bob = Ask { identifier: 3, ..Ask::pap("bob", "rabbit") };
    assert_eq!(bench.auth(&bob), None);
    assert_eq!(code(bench.settle(), &bob), Code::ACCESS_ACCEPT);
    let held = bench.shared.failures().held(bench.now);
    let [hold] = held.as_slice() else { panic!("{held:?}") };
    assert_eq!((&*hold.user, hold.address, hold.failures), (&b"alice"[..], testing::source().ip(), 10));
    bench.wait(60_000);
    let ask = Ask { identifier: 4, ..Ask::pap("alice", "wonderland") };
    assert_eq!(code(bench.auth(&ask), &ask), Code::ACCESS_ACCEPT);
}

#[test]
fn an_unknown_name_is_held_off_like_any_other_and_a_success_forgets() {
    let mut bench = Bench::new(testing::config("[limits]\nfailures = 3\n"));
    for identifier in 0..5 {
        assert_eq!(bench.auth(&Ask { identifier, ..Ask::pap("nobody", "x") }), None);
    }
    for (identifier, password) in (10..).zip(["a", "b", "wonderland", "c", "d", "wonderland"]) {
        let ask = Ask { identifier, ..Ask::pap("alice", password) };
        assert_eq!(bench.auth(&ask).is_some(), password == "wonderland");
    }
    bench.wait(1100);
    while bench.delayed().is_some() {}
    assert_eq!((bench.counted(Cause::UnknownUser), bench.counted(Cause::TooManyFailures)), (3, 2));
    assert_eq!(bench.counted(Cause::WrongPassword), 4);
}

#[test]
fn a_slow_hash_is_hashed_once_for_all_who_ask_the_same() {
    let mut bench = Bench::new(testing::config("[limits]\nverified = \"30s\"\n"));
    let asks: Vec<_> = (0..20).map(|identifier| Ask { identifier, ..Ask::pap("bob", "rabbit") }).collect();
    // A quick worker may be done before the last has asked.
    let mut replies: Vec<_> = asks.iter().filter_map(|ask| bench.auth(ask)).collect();
    while replies.len() < asks.len() {
        replies.extend(bench.settle());
    }
    assert_eq!(bench.counted(Cause::Password), 20);
    let counts = bench.shared.verifier().counts();
    // One that asks while the first is being kept may be hashed once more.
    assert!(counts.joined + counts.hits >= 18, "{counts:?}");
    // From now on without a worker; another password with one.
    let hits = counts.hits;
    let again = Ask { identifier: 30, ..Ask::pap("bob", "rabbit") };
    assert_eq!(code(bench.auth(&again), &again), Code::ACCESS_ACCEPT);
    assert_eq!(bench.shared.verifier().counts().hits, hits + 1);
    assert_eq!(bench.auth(&Ask { identifier: 31, ..Ask::pap("bob", "hare") }), None);
    assert_eq!(bench.settle(), None);
    assert_eq!(bench.counted(Cause::WrongPassword), 0, "its time hasn't come");
    bench.wait(40_000);
    assert_eq!(bench.auth(&Ask { identifier: 32, ..Ask::pap("bob", "rabbit") }), None, "too long ago");
    assert!(bench.settle().is_some());
}

#[test]
fn another_stored_hash_is_another_password() {
    let mut bench = Bench::new(testing::config(""));
    let ask = Ask::pap("bob", "rabbit");
    assert_eq!(bench.auth(&ask), None);
    assert!(bench.settle().is_some());
    let mut config = testing::config("");
    let carols = "$5$FiE8moS.zrtM68mB$ueNGcrnOjd2ORpMDy7vQv.7aJfHQJhUZcq6/fsM/io.";
    config.users[1].password = crate::process::password::Password::hash(carols).unwrap();
    bench.shared.reload(config.into()).unwrap();
    assert_eq!(bench.auth(&Ask { identifier: 8, ..ask }), None);
    assert_eq!(bench.settle(), None);
    assert_eq!(
        code(bench.rejected_now(), &Ask { identifier: 8, ..Ask::pap("bob", "rabbit") }),
        Code::ACCESS_REJECT
    );
}

#[test]
fn one_users_guesses_leave_the_pool_to_others() {
    let mut bench = Bench::new(testing::config("[limits]\nfailures = 0\n"));
    let asks: Vec<_> = (0..50)
        .map(|identifier| Ask { identifier, ..Ask::pap("bob", &format!("guess {identifier}")) })
        .collect();
    for ask in &asks {
        assert_eq!(bench.auth(ask), None);
    }
    let busy = bench.counted(Cause::UserBusy);
    assert!(busy > 0, "more than a few wait for nobody");
    for _ in 0..50 - busy {
        assert_eq!(bench.settle(), None);
    }
    assert_eq!(bench.counted(Cause::WorkersFull), 0);
}

fn with_totp(mode: &str) -> Config {
    let more = format!(
        r#"
[[user]]
name = "tina"
password = "wonderland"
totp = "{SECRET}"

[[user]]
name = "slow"
password_hash = "$5$rounds=1000$saltsalt$WajVP0m6sLF.ai1pWzR9key6noFB0AYwQgHj3eSd4y."
totp = "{SECRET}"

[second_factor]
mode = "{mode}"
prompt = "Your code?"
timeout = "30s"
"#
    );
    testing::config(&more)
}

/// The code at the bench's time, some steps later.
fn totp_at(bench: &Bench, steps: u64) -> String {
    let step = clock::micros_since_1970(bench.now) / 1_000_000 / 30 + steps;
    crate::process::totp::Totp::base32(SECRET, 6).unwrap().text(step)
}

#[test]
fn a_code_stands_behind_the_password_and_counts_once() {
    let mut bench = Bench::new(with_totp("append"));
    let good = format!("wonderland{}", totp_at(&bench, 0));
    let ask = Ask { identifier: 1, ..Ask::pap("tina", &good) };
    assert_eq!(code(bench.auth(&ask), &ask), Code::ACCESS_ACCEPT);
    let next = format!("wonderland{}", totp_at(&bench, 1));
    for (identifier, password, cause) in [
        (2, good.as_str(), Cause::WrongCode),
        (3, "wonderland", Cause::WrongPassword),
        (4, "wonderland000000", Cause::WrongCode),
        (5, &next.replace("land", "lamp"), Cause::WrongPassword),
    ] {
        let before = bench.counted(cause);
        let ask = Ask { identifier, ..Ask::pap("tina", password) };
        assert_eq!(bench.auth(&ask), None);
        bench.wait(1100);
        assert_eq!(code(bench.delayed(), &ask), Code::ACCESS_REJECT);
        assert_eq!(bench.counted(cause), before + 1, "{password}");
    }
    let ask = Ask { identifier: 6, ..Ask::pap("tina", &next) };
    assert_eq!(
        code(bench.auth(&ask), &ask),
        Code::ACCESS_ACCEPT,
        "a wrong password has not used the code up"
    );
    let ask = Ask { identifier: 7, ..Ask::pap("slow", &format!("rabbit{}", totp_at(&bench, 0))) };
    assert_eq!(bench.auth(&ask), None);
    assert_eq!(code(bench.settle(), &ask), Code::ACCESS_ACCEPT);
    let chap = Ask { identifier: 8, ..Ask::chap("tina", "wonderland") };
    assert_eq!(bench.auth(&chap), None);
    bench.wait(1100);
    assert_eq!(
        (code(bench.delayed(), &chap), bench.counted(Cause::FactorNeedsPap)),
        (Code::ACCESS_REJECT, 1)
    );
}

#[test]
fn a_code_is_asked_for_and_its_state_counts_once() {
    for first in [Ask::pap("tina", "wonderland"), Ask::chap("tina", "wonderland")] {
        let mut bench = Bench::new(with_totp("challenge"));
        let (challenge, attributes) = reply(bench.auth(&first), &first);
        assert_eq!((challenge, bench.counted(Cause::CodeAsked)), (Code::ACCESS_CHALLENGE, 1));
        let departure = bench.shared.vitals().departure();
        let later = bench.now + Duration::from_millis(2_999);
        assert_eq!(departure.going_on(later, later), 1, "a drain waits for the answer");
        assert_eq!(departure.going_on(later, bench.now), 0, "if it was asked for before");
        assert_eq!(departure.going_on(later + Duration::from_millis(1), later), 0, "and for a while only");
        assert!(attributes.contains(&(number::REPLY_MESSAGE, b"Your code?".to_vec())));
        let state = attributes.iter().find(|(number, _)| *number == number::STATE).unwrap().1.clone();
        let answer =
            |identifier, code: &str| Ask { identifier, ..Ask::pap("tina", code).with(number::STATE, &state) };
        // From another address it is nobody's.
        let good = totp_at(&bench, 0);
        assert_eq!(from(&mut bench, "198.51.100.7:1000", &answer(20, &good)), None);
        let ask = answer(21, &good);
        assert_eq!(code(bench.auth(&ask), &ask), Code::ACCESS_ACCEPT);
        let next = totp_at(&bench, 1);
        assert_eq!(bench.auth(&answer(22, &next)), None);
        bench.wait(1100);
        while bench.delayed().is_some() {}
        assert_eq!(bench.counted(Cause::StaleChallenge), 2);
    }
}

#[test]
fn a_wrong_or_a_late_answer_ends_the_conversation() {
    let mut bench = Bench::new(with_totp("challenge"));
    let state = |bench: &mut Bench, identifier| {
        let ask = Ask { identifier, ..Ask::pap("tina", "wonderland") };
        let (_, attributes) = reply(bench.auth(&ask), &ask);
        attributes.iter().find(|(number, _)| *number == number::STATE).unwrap().1.clone()
    };
    let first = state(&mut bench, 1);
    assert_eq!(
        bench.auth(&Ask { identifier: 2, ..Ask::pap("tina", "000000").with(number::STATE, &first) }),
        None
    );
    let good = totp_at(&bench, 0);
    assert_eq!(
        bench.auth(&Ask { identifier: 3, ..Ask::pap("tina", &good).with(number::STATE, &first) }),
        None
    );
    let second = state(&mut bench, 4);
    bench.wait(30_000);
    let good = totp_at(&bench, 0);
    assert_eq!(
        bench.auth(&Ask { identifier: 5, ..Ask::pap("tina", &good).with(number::STATE, &second) }),
        None
    );
    bench.wait(1100);
    while bench.delayed().is_some() {}
    assert_eq!((bench.counted(Cause::WrongCode), bench.counted(Cause::StaleChallenge)), (1, 2));
}

#[test]
fn a_policy_requires_a_factor_of_those_who_have_none() {
    let policy = "[[policy]]\nname = \"twice\"\naction = \"second_factor\"\n";
    let mut bench = Bench::new(testing::config(policy));
    let ask = Ask::pap("alice", "wonderland");
    assert_eq!(bench.auth(&ask), None);
    assert_eq!(code(bench.rejected(), &ask), Code::ACCESS_REJECT);
    assert_eq!(bench.counted(Cause::NoSecondFactor), 1);
}
