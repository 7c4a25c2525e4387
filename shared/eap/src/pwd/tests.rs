//! The whole exchange with a peer of the test's, which has the server's arithmetic and its own idea of the order; that
//! the arithmetic is everybody's is shown by the interoperability tests.

use proptest::prelude::*;

use super::*;
use crate::tests::{packet, random, response, settings};
use crate::{Conversation, Kind, Limits, Pwd, Step};

fn begun(group: PwdGroup, fragment: usize) -> Conversation {
    let settings = Settings {
        fragment,
        pwd: Pwd { group, server_id: "east".into() },
        limits: Limits { rounds: 60, octets: 8192 },
        ..Settings::clone(&settings(&[Kind::Pwd]))
    };
    let identity = packet(9, method::IDENTITY, b"somebody");
    let (talk, step) =
        Conversation::begin(Arc::new(settings), &identity, &mut random()).expect("an identity");
    assert!(matches!(step, Step::Request), "{step:?}");
    talk
}

fn say(talk: &mut Conversation, data: &[u8]) -> Step {
    talk.handle_response(&response(talk, method::PWD, data), &mut random())
}

/// The data of the request that is out.
fn asked(talk: &Conversation) -> &[u8] {
    &talk.request()[5..]
}

fn secret(password: &str) -> Verdict {
    Verdict::Secret(Zeroizing::new(password.as_bytes().to_vec()))
}

const RIGHT: Verdict = Verdict::Right { hash_of_hash: None, lasts: None };

/// A whole message of the server's, its fragments acknowledged.
fn heard(talk: &mut Conversation) -> Vec<u8> {
    let exchange = asked(talk)[0] & 0x3f;
    let (mut message, mut promised) = (Vec::new(), None);
    loop {
        let (flags, rest) = asked(talk).split_first().expect("an octet of flags");
        let mut rest = rest;
        if flags & 0x80 != 0 {
            promised = Some(usize::from(u16::from_be_bytes([rest[0], rest[1]])));
            rest = &rest[2..];
        }
        message.extend(rest);
        if flags & 0x40 == 0 {
            assert!(promised.is_none_or(|promised| promised == message.len()));
            return message;
        }
        assert!(matches!(say(talk, &[exchange]), Step::Request));
    }
}

/// What follows from a message of the peer's, sent in fragments of so many octets.
fn tell(talk: &mut Conversation, exchange: u8, message: &[u8], fragment: usize) -> Step {
    let parts: Vec<&[u8]> = message.chunks(fragment).collect();
    for (number, part) in parts.iter().enumerate() {
        let is_last = number + 1 == parts.len();
        let mut data = vec![exchange];
        if !is_last {
            data[0] |= 0x40;
        }
        if number == 0 && !is_last {
            data[0] |= 0x80;
            data.extend((message.len() as u16).to_be_bytes());
        }
        data.extend(*part);
        let step = say(talk, &data);
        if is_last {
            return step;
        }
        assert!(matches!(step, Step::Request), "{step:?}");
        assert_eq!(asked(talk), [exchange], "acknowledged");
    }
    unreachable!("a message has a fragment")
}

/// The peer as far as its commit: what it will confirm, and its MSK.
fn committed<C: Curve>(
    talk: &mut Conversation,
    verdict: &Verdict,
    fragment: usize,
) -> ([u8; 32], Option<Keys>) {
    let request = heard(talk);
    let (header, server) = request.split_at(HEADER);
    assert_eq!(server, b"east");
    let step = tell(talk, IDENTITY, &[header, b"alice"].concat(), fragment);
    let Step::Verify(claim) = step else { panic!("{step:?}") };
    assert!(matches!(claim.proof, Proof::Secret));
    assert_eq!((claim.user.as_slice(), claim.method), (&b"alice"[..], "eap-pwd"));
    assert!(talk.is_verdict_costly());
    assert!(matches!(talk.handle_verdict(verdict, &mut random()), Step::Request));

    let theirs = heard(talk);
    let element = password_element::<C>(&header[4..8], b"alice", server, b"wonderland").expect("a point");
    let mut other = random();
    let _ = other.next_u64();
    let commit = Commit::<C>::new(element, &mut other);
    let shared = commit.share(&theirs).expect("the server's is as it has to be");
    let suite = &header[..4];
    let ours = commit.sent().to_vec();
    let step = tell(talk, COMMIT, &ours, fragment);
    assert!(matches!(step, Step::Request), "{step:?}");
    let confirm = random_function(&[&shared, &ours, &theirs, suite]);
    let expected = random_function(&[&shared, &theirs, &ours, suite]);
    let name = random_function(&[suite, &ours[2 * C::OCTETS..], &theirs[2 * C::OCTETS..]]);
    let mut keys = vec![0; 128];
    let master = random_function(&[&shared, &*confirm, &*expected]);
    derive(&*master, &[&[52], &name[..]].concat(), 1024, &mut keys);
    let (msk, emsk) = keys.split_at(64);
    let keys = Keys::new(Zeroizing::new(msk.to_vec())).with_emsk(Zeroizing::new(emsk.to_vec()));
    let keys = keys.with_session_id([&[52], &name[..]].concat());
    (*confirm, (heard(talk) == expected.as_slice()).then_some(keys))
}

fn lets_in<C: Curve>(group: PwdGroup) {
    for fragment in [64, 100, 1024] {
        let mut talk = begun(group, fragment);
        let (confirm, own) = committed::<C>(&mut talk, &secret("wonderland"), fragment);
        let step = tell(&mut talk, CONFIRM, &confirm, fragment);
        let Step::Verify(claim) = step else { panic!("{step:?}") };
        assert!(matches!(claim.proof, Proof::Shown { right: true }));
        assert_eq!(claim.user, b"alice");
        let step = talk.handle_verdict(&RIGHT, &mut random());
        let Step::Success(Some(keys)) = step else { panic!("{step:?}") };
        assert!(Some(&keys) == own.as_ref(), "both sides' keys and names of them");
        assert_eq!((keys.msk().len(), keys.emsk().map(<[u8]>::len)), (64, Some(64)));
    }
}

#[test]
fn both_sides_prove_themselves_in_each_group_and_by_fragments_of_each_size() {
    lets_in::<NistP256>(PwdGroup::P256);
    lets_in::<NistP384>(PwdGroup::P384);
    lets_in::<NistP521>(PwdGroup::P521);
}

#[test]
fn whoever_doesnt_know_the_password_and_whoever_isnt_let_in_meet_the_same() {
    for verdict in
        [secret("wonderlamp"), Verdict::Wrong, Verdict::Refused(forewarn_wire::mschap::ErrorCode::NoDialIn)]
    {
        let mut talk = begun(PwdGroup::P256, 1024);
        let (confirm, keys) = committed::<NistP256>(&mut talk, &verdict, 1024);
        assert!(keys.is_none(), "the server proves nothing to somebody who doesn't know the password");
        let step = tell(&mut talk, CONFIRM, &confirm, 1024);
        let Step::Verify(claim) = step else { panic!("{step:?}") };
        assert!(matches!(claim.proof, Proof::Shown { right: false }));
        // Whatever is thought of it elsewhere.
        let step = talk.handle_verdict(&RIGHT, &mut random());
        assert!(matches!(step, Step::Failure(Reason::Refused)), "{step:?}");
    }
}

/// A conversation whose commit is out, and that commit.
fn committing() -> (Conversation, Vec<u8>) {
    let mut talk = begun(PwdGroup::P256, 1024);
    let request = heard(&mut talk);
    tell(&mut talk, IDENTITY, &[&request[..HEADER], b"alice"].concat(), 1024);
    assert!(matches!(talk.handle_verdict(&secret("wonderland"), &mut random()), Step::Request));
    let sent = heard(&mut talk);
    (talk, sent)
}

#[test]
fn a_commit_that_isnt_what_it_has_to_be_ends_it() {
    let (_, sent) = committing();
    // The group's own generator stands for any point of it, and two for a scalar.
    let (x, y) = (
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    );
    let hex = |text: &str| -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let number = |last: u8| [&[0; 31][..], &[last]].concat();
    let point = [hex(x), hex(y)].concat();
    let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let prime = hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    let good = [point.clone(), number(2)].concat();
    let (mut talk, _) = committing();
    assert!(matches!(tell(&mut talk, COMMIT, &good, 1024), Step::Request), "this is one");
    let mut off_curve = good.clone();
    off_curve[63] ^= 1;
    for (what, commit) in [
        ("our own, sent back", sent.clone()),
        ("our element, sent back", [&sent[..64], &number(2)].concat()),
        ("our scalar, sent back", [&point, &sent[64..]].concat()),
        ("a scalar of nothing", [point.clone(), number(0)].concat()),
        ("a scalar of one", [point.clone(), number(1)].concat()),
        ("a scalar of the order", [point.clone(), order].concat()),
        ("a point that is none", off_curve),
        ("the point at infinity", [vec![0; 64], number(2)].concat()),
        ("a coordinate beyond the prime", [prime, hex(y), number(2)].concat()),
        ("too little", good[..95].to_vec()),
        ("too much", [&good[..], &[0]].concat()),
    ] {
        let (mut talk, again) = committing();
        assert_eq!(again, sent, "the same random numbers");
        let step = tell(&mut talk, COMMIT, &commit, 1024);
        assert!(matches!(step, Step::Failure(Reason::Malformed)), "{what}: {step:?}");
    }
}

#[test]
fn an_element_that_takes_the_password_back_shares_nothing() {
    // The peer of this test knows the password, and has chosen what meets the server's at infinity.
    let mut random = random();
    let element =
        || password_element::<NistP256>(b"abcd", b"alice", b"east", b"wonderland").expect("a point");
    let server = Commit::<NistP256>::new(element(), &mut random);
    let two = <NistP256 as elliptic_curve::CurveArithmetic>::Scalar::from(2_u64);
    let inverse = -(*element() * two);
    let inverse: p256::AffinePoint = inverse.into();
    use elliptic_curve::point::AffineCoordinates as _;
    let two = elliptic_curve::ff::PrimeField::to_repr(&two);
    let chosen = [inverse.x(), inverse.y(), two].concat();
    assert!(server.share(&chosen).is_none());
}

#[test]
fn other_terms_and_no_name_are_refused() {
    for (place, name) in [(1, "alice"), (2, "alice"), (3, "alice"), (4, "alice"), (8, "alice"), (99, "")] {
        let mut talk = begun(PwdGroup::P256, 1024);
        let mut header = heard(&mut talk)[..HEADER].to_vec();
        if let Some(octet) = header.get_mut(place) {
            *octet ^= 3;
        }
        let step = tell(&mut talk, IDENTITY, &[&header, name.as_bytes()].concat(), 1024);
        assert!(matches!(step, Step::Failure(Reason::Malformed)), "{place}: {step:?}");
    }
}

#[test]
fn a_peer_that_wants_other_terms_refuses_the_method() {
    let mut talk = begun(PwdGroup::P521, 1024);
    let step = talk.handle_response(&response(&talk, method::NAK, &[0]), &mut random());
    assert!(matches!(step, Step::Failure(Reason::NoCommonMethod)), "{step:?}");
}

#[test]
fn fragments_that_lie_or_never_end_are_refused() {
    for (what, first) in [
        ("nothing, and more of it", &[0xc1, 0, 9][..]),
        ("a length without octets", &[0x81, 0]),
        ("more than may be", &[0xc1, 0xff, 0xff, 1]),
        ("another exchange", &[2, 1]),
        ("less than was promised", &[0x81, 0, 99, 1, 2, 3]),
        ("no octet at all", &[]),
    ] {
        let mut talk = begun(PwdGroup::P256, 1024);
        let step = say(&mut talk, first);
        assert!(matches!(step, Step::Failure(Reason::Malformed | Reason::TooLong)), "{what}: {step:?}");
    }
    let mut talk = begun(PwdGroup::P256, 1024);
    let long = [&[0x41][..], &[7; 200]].concat();
    for _ in 0..2 {
        assert!(matches!(say(&mut talk, &long), Step::Request));
    }
    assert!(matches!(say(&mut talk, &long), Step::Failure(Reason::TooLong)));
}

#[test]
fn what_isnt_an_acknowledgement_is_none() {
    let mut talk = begun(PwdGroup::P256, 64);
    let request = heard(&mut talk);
    tell(&mut talk, IDENTITY, &[&request[..HEADER], b"alice"].concat(), 64);
    assert!(matches!(talk.handle_verdict(&secret("wonderland"), &mut random()), Step::Request));
    assert_eq!(asked(&talk)[..3], [0xc2, 0, 96], "more is to come");
    assert!(!talk.is_costly(&response(&talk, method::PWD, &[2])), "only the next fragment");
    let step = say(&mut talk, &[2, 1, 2, 3]);
    assert!(matches!(step, Step::Failure(Reason::Malformed)), "{step:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_in_by_whatever_they_say(
        blows in prop::collection::vec((0..4_u8, prop::collection::vec(any::<u8>(), 0..120)), 0..8),
        far in any::<bool>(),
    ) {
        let mut talk = if far { committing().0 } else { begun(PwdGroup::P256, 64) };
        let mut random = random();
        for (exchange, mut data) in blows {
            data.insert(0, exchange);
            let step = match talk.is_judged() {
                true => talk.handle_verdict(&RIGHT, &mut random),
                false => talk.handle_response(&response(&talk, method::PWD, &data), &mut random),
            };
            prop_assert!(!matches!(step, Step::Success(_)), "{step:?}");
        }
    }
}
