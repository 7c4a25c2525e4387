use forewarn_wire::eap::method;
use forewarn_wire::hide::{chap_matches, chap_response};
use forewarn_wire::mschap::{self, ErrorCode};
use zeroize::Zeroizing;

use super::*;
use crate::{Proof, Reason, Verdict};

const RIGHT: Verdict = Verdict::Right { hash_of_hash: None, lasts: None };

#[test]
fn md5_is_chap_by_the_identifier_of_its_request() {
    let mut talk = begun(&[Kind::Md5]);
    let request = talk.request().to_vec();
    assert_eq!((request[1], request[4], request[5]), (10, method::MD5_CHALLENGE, 16));
    let answer = chap_response(10, b"wonderland", &request[6..22]);
    let data = [&[16], &answer[..], b"alice"].concat();
    let step = talk.handle_response(&response(&talk, method::MD5_CHALLENGE, &data), &mut random());
    let Step::Verify(claim) = step else { panic!("{step:?}") };
    let Proof::Chap { identifier, challenge, response } = &claim.proof else { panic!("CHAP") };
    assert!(chap_matches(*identifier, b"wonderland", challenge, response));
    assert_eq!((claim.user.as_slice(), claim.method), (&b"alice"[..], "eap-md5"));
    assert!(matches!(talk.handle_verdict(&RIGHT, &mut random()), Step::Success(None)));
    assert!(matches!(talk.handle_verdict(&RIGHT, &mut random()), Step::Ignored), "it is over");
}

#[test]
fn a_peer_may_refuse_what_is_offered_once_and_gets_what_it_wants() {
    let mut talk = begun(&[Kind::MsChap2, Kind::Gtc, Kind::Md5]);
    assert_eq!(talk.method(), "eap-mschapv2");
    let nak = response(&talk, method::NAK, &[method::TEAP, method::MD5_CHALLENGE]);
    assert!(matches!(talk.handle_response(&nak, &mut random()), Step::Request));
    assert_eq!(talk.method(), "eap-md5");
    let nak = response(&talk, method::NAK, &[method::MSCHAPV2]);
    let step = talk.handle_response(&nak, &mut random());
    assert!(matches!(step, Step::Failure(Reason::NoCommonMethod)), "refused before: {step:?}");
}

#[test]
fn what_is_out_of_turn_is_ignored_and_what_came_before_is_asked_again() {
    let mut talk = begun(&[Kind::Gtc]);
    let before = talk.request().to_vec();
    for odd in [packet(77, method::GTC, b"x"), packet(10, method::TLS, b"x"), vec![1, 10, 0, 6, 6, 1], vec![]]
    {
        assert!(matches!(talk.handle_response(&odd, &mut random()), Step::Ignored), "{odd:?}");
    }
    let step = talk.handle_response(&packet(9, method::IDENTITY, b"alice"), &mut random());
    assert!(matches!(step, Step::Request), "{step:?}");
    assert_eq!(talk.request(), before);
}

#[test]
fn a_claim_that_nobody_could_look_at_is_made_again() {
    let mut talk = begun(&[Kind::Gtc]);
    let answer = response(&talk, method::GTC, b"wonderland");
    for _ in 0..2 {
        let step = talk.handle_response(&answer, &mut random());
        assert!(
            matches!(&step, Step::Verify(claim) if matches!(&claim.proof, Proof::Password(text) if text.as_slice() == b"wonderland"))
        );
    }
    assert!(matches!(talk.handle_verdict(&Verdict::Wrong, &mut random()), Step::Failure(Reason::Refused)));
}

#[test]
fn rounds_and_octets_end() {
    let mut talk = begun(&[Kind::Gtc]);
    let odd = packet(77, method::GTC, b"x");
    for _ in 0..19 {
        assert!(matches!(talk.handle_response(&odd, &mut random()), Step::Ignored));
    }
    assert!(matches!(talk.handle_response(&odd, &mut random()), Step::Failure(Reason::TooLong)));
    let mut talk = begun(&[Kind::Gtc]);
    let large = packet(77, method::GTC, &[0; 4000]);
    for _ in 0..2 {
        assert!(matches!(talk.handle_response(&large, &mut random()), Step::Ignored));
    }
    assert!(matches!(talk.handle_response(&large, &mut random()), Step::Failure(Reason::TooLong)));
}

/// The peer's side of MSCHAPv2: the data of its response.
pub(super) fn answer(challenge: &[u8; 16], identifier: u8, password: &[u8]) -> (Vec<u8>, [u8; 24]) {
    let peer = [3; 16];
    let hash = mschap::nt_hash(password);
    let response = mschap::response(&mschap::challenge_hash(&peer, challenge, b"alice"), &hash);
    let value = [&peer[..], &[0; 8], &response, &[0]].concat();
    let data = [&[2, identifier, 0, 59, 49], &value[..], b"alice"].concat();
    (data, response)
}

#[test]
fn mschapv2_proves_both_sides_and_leaves_keys() {
    let mut talk = begun(&[Kind::MsChap2]);
    let challenge: [u8; 16] = talk.request()[10..26].try_into().unwrap();
    let (data, answered) = answer(&challenge, talk.request()[6], b"wonderland");
    let step = talk.handle_response(&response(&talk, method::MSCHAPV2, &data), &mut random());
    let Step::Verify(claim) = step else { panic!("{step:?}") };
    let Proof::MsChap2 { peer, challenge, response: given, name, .. } = &claim.proof else {
        panic!("MSCHAPv2")
    };
    let hash = mschap::nt_hash(b"wonderland");
    assert!(mschap::response_matches(&mschap::challenge_hash(peer, challenge, name), &hash, given));
    let hash_of_hash = mschap::hash_of_hash(&hash);
    let verdict = Verdict::Right { hash_of_hash: Some(Zeroizing::new(*hash_of_hash)), lasts: None };
    assert!(matches!(talk.handle_verdict(&verdict, &mut random()), Step::Request));
    let proof = mschap::authenticator_response(
        &hash_of_hash,
        &answered,
        &mschap::challenge_hash(&[3; 16], challenge, b"alice"),
    );
    assert_eq!(talk.request()[9..51], proof);
    let step = talk.handle_response(&response(&talk, method::MSCHAPV2, &[3]), &mut random());
    let Step::Success(Some(keys)) = step else { panic!("{step:?}") };
    let expected = mschap::StartKeys::new(&hash_of_hash, &answered);
    assert_eq!((keys.receive(), keys.send()), (expected.receive.as_slice(), expected.send.as_slice()));
}

#[test]
fn mschapv2_gives_another_try_and_then_none() {
    let mut talk = begun(&[Kind::MsChap2]);
    for text in ["E=691 R=1 C=", "E=691 R=0 C="] {
        let identifier = talk.request()[6];
        let (data, _) = answer(&[0; 16], identifier, b"wrong");
        let step = talk.handle_response(&response(&talk, method::MSCHAPV2, &data), &mut random());
        assert!(matches!(step, Step::Verify(_)), "{step:?}");
        assert!(matches!(talk.handle_verdict(&Verdict::Wrong, &mut random()), Step::Request));
        assert!(talk.request()[9..].starts_with(text.as_bytes()), "{:?}", talk.request());
    }
    let step = talk.handle_response(&response(&talk, method::MSCHAPV2, &[4]), &mut random());
    assert!(matches!(step, Step::Failure(Reason::Refused)), "{step:?}");
}

#[test]
fn mschapv2_takes_no_new_password_and_no_second_word_after_a_refusal() {
    let mut talk = begun(&[Kind::MsChap2]);
    let change = response(&talk, method::MSCHAPV2, &[7, 10]);
    let step = talk.handle_response(&change, &mut random());
    assert!(matches!(step, Step::Failure(Reason::PasswordChange)), "{step:?}");

    let mut talk = begun(&[Kind::MsChap2]);
    let (data, _) = answer(&[0; 16], talk.request()[6], b"wonderland");
    talk.handle_response(&response(&talk, method::MSCHAPV2, &data), &mut random());
    let verdict = Verdict::Refused(ErrorCode::AccountDisabled);
    assert!(matches!(talk.handle_verdict(&verdict, &mut random()), Step::Request));
    assert!(talk.request()[9..].starts_with(b"E=647 R=0"));
    let step = talk.handle_response(&response(&talk, method::MSCHAPV2, &[3]), &mut random());
    assert!(matches!(step, Step::Failure(Reason::Malformed)), "no success after a failure: {step:?}");
}
