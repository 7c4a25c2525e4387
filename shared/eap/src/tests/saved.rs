//! Conversations that go on elsewhere.

use forewarn_wire::eap::method;
use forewarn_wire::hide::chap_response;
use forewarn_wire::mschap;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::methods::answer;
use super::*;
use crate::{Proof, Reason, Verdict};

const RIGHT: Verdict = Verdict::Right { hash_of_hash: None, lasts: None };

/// As many octets as a State has for it, about.
const ROOM: usize = 160;

fn saved(talk: &Conversation) -> Vec<u8> {
    let mut room = [0; ROOM];
    let length = talk.save(&mut room).expect("it can be carried");
    room[..length].to_vec()
}

fn right() -> Verdict {
    let hash_of_hash = mschap::hash_of_hash(&mschap::nt_hash(b"wonderland"));
    Verdict::Right { hash_of_hash: Some(Zeroizing::new(*hash_of_hash)), lasts: None }
}

/// The same conversation at another server.
fn elsewhere(talk: &Conversation, methods: &[Kind]) -> Conversation {
    let there = Conversation::restore(settings(methods), &saved(talk)).expect("it goes on");
    assert_eq!((there.identity(), there.method()), (talk.identity(), talk.method()));
    assert_eq!(saved(&there), saved(talk));
    there
}

#[test]
fn md5_goes_on_elsewhere() {
    let talk = begun(&[Kind::Md5]);
    let mut there = elsewhere(&talk, &[Kind::Gtc, Kind::Md5]);
    let answer = chap_response(10, b"wonderland", &talk.request()[6..22]);
    let data = [&[16], &answer[..], b"alice"].concat();
    let step = there.handle_response(&response(&talk, method::MD5_CHALLENGE, &data), &mut random());
    let Step::Verify(claim) = step else { panic!("{step:?}") };
    let Proof::Chap { identifier: 10, challenge, .. } = &claim.proof else { panic!("CHAP") };
    assert_eq!((&challenge[..], &claim.user[..]), (&talk.request()[6..22], &b"alice"[..]));
    assert!(matches!(there.handle_verdict(&RIGHT, &mut random()), Step::Success(None)));
}

#[test]
fn gtc_goes_on_elsewhere_unless_it_isn_t_allowed_there() {
    let talk = begun(&[Kind::Gtc]);
    let mut there = elsewhere(&talk, &[Kind::Gtc]);
    let step = there.handle_response(&response(&talk, method::GTC, b"wonderland"), &mut random());
    assert!(
        matches!(&step, Step::Verify(claim) if matches!(&claim.proof, Proof::Password(text) if text.as_slice() == b"wonderland"))
    );
    assert!(Conversation::restore(settings(&[Kind::Md5]), &saved(&talk)).is_none());
}

#[test]
fn mschapv2_goes_on_elsewhere_at_each_step_with_the_same_keys() {
    let settings = settings(&[Kind::MsChap2]);
    let mut talk = begun(&[Kind::MsChap2]);
    let challenge: [u8; 16] = talk.request()[10..26].try_into().unwrap();
    let (data, answered) = answer(&challenge, talk.request()[6], b"wonderland");
    let first = response(&talk, method::MSCHAPV2, &data);
    // Never twice at the same server.
    let mut there = elsewhere(&talk, &[Kind::MsChap2]);
    for talk in [&mut talk, &mut there] {
        assert!(matches!(talk.handle_response(&first, &mut random()), Step::Verify(_)));
        let mut room = [0; ROOM];
        assert_eq!(talk.save(&mut room), None, "nothing is asked");
        assert!(matches!(talk.handle_verdict(&right(), &mut random()), Step::Request));
    }
    assert_eq!(talk.request(), there.request(), "the same proof");
    let second = response(&talk, method::MSCHAPV2, &[3]);
    let mut last = Conversation::restore(Arc::clone(&settings), &saved(&there)).expect("it goes on");
    let step = last.handle_response(&second, &mut random());
    let Step::Verify(claim) = step else { panic!("{step:?}") };
    let Proof::MsChap2 { challenge: again, response: given, name, .. } = &claim.proof else {
        panic!("{claim:?}")
    };
    assert_eq!((*again, *given, &name[..]), (challenge, answered, &b"alice"[..]));
    let Step::Success(Some(keys)) = last.handle_verdict(&right(), &mut random()) else { panic!("right") };
    let Step::Success(Some(own)) = talk.handle_response(&second, &mut random()) else { panic!("right") };
    assert!(keys == own, "the keys follow from the answer");

    let mut held_off = Conversation::restore(settings, &saved(&there)).expect("it goes on");
    held_off.handle_response(&second, &mut random());
    let step = held_off.handle_verdict(&Verdict::Wrong, &mut random());
    assert!(matches!(step, Step::Failure(Reason::Refused)), "whatever another server thought: {step:?}");
}

#[test]
fn an_answer_of_another_name_takes_it_along() {
    let mut talk = begun(&[Kind::MsChap2]);
    let (data, _) = answer(&[0; 16], talk.request()[6], b"wonderland");
    let data = [&data[..54], b"DOMAIN\\alice"].concat();
    talk.handle_response(&response(&talk, method::MSCHAPV2, &data), &mut random());
    assert!(matches!(talk.handle_verdict(&right(), &mut random()), Step::Request));
    let mut there = Conversation::restore(settings(&[Kind::MsChap2]), &saved(&talk)).expect("it goes on");
    let step = there.handle_response(&response(&talk, method::MSCHAPV2, &[3]), &mut random());
    let Step::Verify(claim) = step else { panic!("{step:?}") };
    assert!(matches!(&claim.proof, Proof::MsChap2 { name, .. } if name == b"DOMAIN\\alice"));
}

#[test]
fn a_peer_that_failed_takes_nothing_elsewhere() {
    let mut talk = begun(&[Kind::MsChap2]);
    let (data, _) = answer(&[0; 16], talk.request()[6], b"wrong");
    talk.handle_response(&response(&talk, method::MSCHAPV2, &data), &mut random());
    assert!(matches!(talk.handle_verdict(&Verdict::Wrong, &mut random()), Step::Request));
    assert_eq!(talk.save(&mut [0; ROOM]), None);
}

#[test]
fn what_was_refused_and_spent_goes_along() {
    let mut talk = begun(&[Kind::MsChap2, Kind::Gtc, Kind::Md5]);
    let nak = response(&talk, method::NAK, &[method::GTC, method::MD5_CHALLENGE]);
    assert!(matches!(talk.handle_response(&nak, &mut random()), Step::Request));
    let mut there = elsewhere(&talk, &[Kind::MsChap2, Kind::Gtc, Kind::Md5]);
    let nak = response(&talk, method::NAK, &[method::MSCHAPV2]);
    let step = there.handle_response(&nak, &mut random());
    assert!(matches!(step, Step::Failure(Reason::NoCommonMethod)), "refused before: {step:?}");

    let mut there = elsewhere(&talk, &[Kind::MsChap2, Kind::Gtc, Kind::Md5]);
    let odd = packet(77, method::GTC, b"x");
    for _ in 0..18 {
        assert!(matches!(there.handle_response(&odd, &mut random()), Step::Ignored));
    }
    assert!(matches!(there.handle_response(&odd, &mut random()), Step::Failure(Reason::TooLong)));
}

#[test]
fn what_another_server_asked_isn_t_asked_again() {
    let talk = begun(&[Kind::Gtc]);
    let mut there = elsewhere(&talk, &[Kind::Gtc]);
    for _ in 0..3 {
        let before = packet(talk.request()[1].wrapping_sub(1), method::GTC, b"x");
        assert!(matches!(there.handle_response(&before, &mut random()), Step::Ignored));
    }
}

#[test]
fn what_doesn_t_fit_or_isn_t_whole_is_none() {
    let mut talk = begun(&[Kind::MsChap2]);
    let challenge: [u8; 16] = talk.request()[10..26].try_into().unwrap();
    let (data, _) = answer(&challenge, talk.request()[6], b"wonderland");
    for _ in 0..2 {
        let whole = saved(&talk);
        for short in 0..whole.len() {
            assert_eq!(talk.save(&mut vec![0; short]), None, "{short}");
            assert!(Conversation::restore(settings(&[Kind::MsChap2]), &whole[..short]).is_none(), "{short}");
        }
        let other = [&[2], &whole[1..]].concat();
        assert!(Conversation::restore(settings(&[Kind::MsChap2]), &other).is_none(), "of another version");
        talk.handle_response(&response(&talk, method::MSCHAPV2, &data), &mut random());
        talk.handle_verdict(&right(), &mut random());
    }
    assert_eq!(begun(&[Kind::Pwd]).save(&mut [0; ROOM]), None, "EAP-PWD stays where it is");
    let greeting = Conversation::greet(settings(&[Kind::Gtc]), 7);
    assert_eq!(greeting.save(&mut [0; ROOM]), None, "an identity begins anew anywhere");
}

proptest! {
    /// Whoever could seal anything: a conversation made of it lets nobody in who isn't right.
    #[test]
    fn whatever_is_restored_holds(
        kind in prop::sample::select(vec![4_u8, 6, 26]),
        rest in prop::collection::vec(any::<u8>(), 0..120),
        data in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let methods = [Kind::MsChap2, Kind::Gtc, Kind::Md5];
        let saved = [&[1, kind, 0, 10, 0, 1, 0, 0, 0, 9, 0, 5], &b"alice"[..], &rest].concat();
        if let Some(mut talk) = Conversation::restore(settings(&methods), &saved) {
            let step = talk.handle_response(&packet(10, kind, &data), &mut random());
            prop_assert!(!matches!(step, Step::Success(_)));
            prop_assert!(!matches!(talk.handle_verdict(&Verdict::Wrong, &mut random()), Step::Success(_)));
        }
    }
}
