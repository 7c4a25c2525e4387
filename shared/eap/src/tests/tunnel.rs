use std::sync::Mutex;

use forewarn_wire::eap::method;
use proptest::prelude::*;

use super::*;
use crate::testing::Plain;
use crate::{Proof, Reason, Session, Verdict};

fn talk(kind: Kind, is_13: bool) -> Conversation {
    talk_by(kind, Plain { is_13, ..Plain::default() })
}

fn talk_by(kind: Kind, plain: Plain) -> Conversation {
    begin(kind, Settings { tls: Some(Arc::new(plain)), fragment: 100, ..Settings::clone(&settings(&[kind])) })
}

fn begin(kind: Kind, settings: Settings) -> Conversation {
    let settings = Settings { limits: Limits { rounds: 40, octets: 65_536 }, ..settings };
    let identity = packet(9, method::IDENTITY, b"alice");
    let (talk, step) =
        Conversation::begin(Arc::new(settings), &identity, &mut random()).expect("an identity");
    assert!(matches!(step, Step::Request), "{step:?}");
    assert_eq!((talk.request()[4], talk.request()[5] & 0x20), (kind.number(), 0x20), "the start");
    talk
}

fn say(talk: &mut Conversation, number: u8, data: &[u8]) -> Step {
    talk.handle_response(&response(talk, number, data), &mut random())
}

/// A machine, then its user, by passwords; the machine's turn.
fn teap() -> Conversation {
    let plain = Plain { is_13: true, ..Plain::default() };
    let settings = Settings {
        tls: Some(Arc::new(plain)),
        inner: vec![Within::Pap],
        identities: vec![IdentityType::Machine, IdentityType::User],
        ..Settings::clone(&settings(&[Kind::Teap]))
    };
    let mut talk = begin(Kind::Teap, settings);
    assert!(matches!(say(&mut talk, method::TEAP, &[1, 100]), Step::Request));
    assert_eq!(talk.request()[6 + 300..][..6], [0x80, 2, 0, 2, 0, 2], "a machine is asked for");
    talk
}

/// Within TEAP: a type, a name, and a password.
fn proof(identity: u8, name: &str) -> Vec<u8> {
    let length = name.len() as u8;
    let head = [1, 0x80, 2, 0, 2, 0, identity, 0x80, 14, 0, length + 3, length];
    [&head[..], name.as_bytes(), b"\x01x"].concat()
}

#[test]
fn a_machine_proves_a_machine_whatever_it_calls_itself() {
    for machine in ["host/desk.example.org", "HOST/desk", "DESK$", "DESK$@example.org"] {
        let mut talk = teap();
        let step = say(&mut talk, method::TEAP, &proof(2, machine));
        let Step::Verify(claim) = step else { panic!("{machine}: {step:?}") };
        assert_eq!(claim.user, machine.as_bytes());
    }
    for (identity, name, code) in
        [(2, "alice", 1001_u32), (2, "alice@host/", 1001), (1, "alice", 2002), (1, "DESK$", 2002)]
    {
        let mut talk = teap();
        let step = say(&mut talk, method::TEAP, &proof(identity, name));
        assert!(matches!(step, Step::Request), "{identity} {name}: {step:?}");
        assert!(talk.request().ends_with(&code.to_be_bytes()), "{identity} {name}: {:?}", talk.request());
        let step = say(&mut talk, method::TEAP, &[1, 0x80, 3, 0, 2, 0, 2]);
        assert!(matches!(step, Step::Failure(Reason::OtherIdentity)), "{identity} {name}: {step:?}");
    }
}

#[test]
fn what_leaves_is_in_fragments_and_each_is_acknowledged() {
    let mut talk = talk(Kind::Ttls, false);
    assert!(matches!(say(&mut talk, method::TTLS, &[0x40, 100]), Step::Request), "more is to come");
    assert_eq!(talk.request()[5..], [0], "acknowledged");
    let mut sent: Vec<u8> = Vec::new();
    let mut data = vec![0, 2];
    for flags in [0xc0, 0x40, 0x00] {
        assert!(matches!(say(&mut talk, method::TTLS, &data), Step::Request));
        assert_eq!(talk.request()[5], flags);
        let head = if flags & 0x80 != 0 { 10 } else { 6 };
        sent.extend(&talk.request()[head..]);
        data = vec![0];
    }
    assert_eq!(sent, [7; 300]);
    let step = say(&mut talk, method::TTLS, &[0, 0, 0, 0, 1, 0x40]);
    assert!(matches!(step, Step::Failure(Reason::Malformed)), "half an attribute: {step:?}");
}

#[test]
fn a_fragment_is_neither_empty_nor_out_of_turn_nor_of_a_message_without_end() {
    let mut first = talk(Kind::Peap, false);
    assert!(matches!(say(&mut first, method::PEAP, &[0x40]), Step::Failure(Reason::Malformed)));
    let mut first = talk(Kind::Peap, false);
    let vast = [0xc0, 0x7f, 0xff, 0xff, 0xff, 1];
    assert!(matches!(say(&mut first, method::PEAP, &vast), Step::Failure(Reason::TooLong)));
    let mut first = talk(Kind::Peap, false);
    assert!(matches!(say(&mut first, method::PEAP, &[0, 100]), Step::Request));
    let step = say(&mut first, method::PEAP, &[0, 1]);
    assert!(matches!(step, Step::Failure(Reason::Malformed)), "the server had more to say: {step:?}");
}

#[test]
fn a_broken_handshake_is_told_by_an_alert_and_ends() {
    let mut talk = talk(Kind::Tls, true);
    assert!(matches!(say(&mut talk, method::TLS, &[0, 0xff]), Step::Request));
    assert_eq!(talk.request()[6..], *b"alert");
    assert_eq!(
        talk.fails(),
        Some(&Reason::Tls("as meant".into())),
        "before the peer has said anything to it"
    );
    let step = say(&mut talk, method::TLS, &[0]);
    assert!(matches!(&step, Step::Failure(Reason::Tls(why)) if why == "as meant"), "{step:?}");
}

fn alice() -> Session {
    Session { method: "eap-ttls-pap", user: b"alice".to_vec(), fingerprint: [7; 32] }
}

#[test]
fn who_resumes_is_looked_at_anew_and_stays_who_they_were() {
    for (kind, is_13) in [(Kind::Ttls, false), (Kind::Ttls, true), (Kind::Peap, false), (Kind::Peap, true)] {
        let kept = Arc::<Mutex<Vec<Session>>>::default();
        let begin = || {
            let plain = Plain { is_13, resumed: vec![alice()], kept: Arc::clone(&kept) };
            let mut talk = talk_by(kind, plain);
            say(&mut talk, kind.number(), &[0, 100]);
            let mut step = Step::Request;
            // Acknowledged, fragment by fragment.
            while matches!(step, Step::Request) {
                step = say(&mut talk, kind.number(), &[0]);
            }
            let Step::Verify(claim) = step else { panic!("{kind:?}: {step:?}") };
            assert!(matches!(claim.proof, Proof::Resumed([7, ..])));
            assert_eq!((claim.method, claim.user.as_slice()), ("eap-ttls-pap", &b"alice"[..]));
            talk
        };
        let mut gone = begin();
        let mut step = gone.handle_verdict(&Verdict::Wrong, &mut random());
        while matches!(step, Step::Request) && gone.request()[5] & 0x40 != 0 {
            step = say(&mut gone, kind.number(), &[0]);
        }
        if matches!(step, Step::Request) {
            step = say(&mut gone, kind.number(), &[0, 2, 1, 0, 11, 33, 0x80, 3, 0, 2, 0, 1]);
        }
        assert!(matches!(step, Step::Failure(Reason::Refused)), "{kind:?}: {step:?}");
        assert_eq!(*kept.lock().unwrap(), [], "who was refused isn't kept");
        for lasts in [None, Some([7; 32])] {
            let mut here = begin();
            let mut step = here.handle_verdict(&Verdict::Right { hash_of_hash: None, lasts }, &mut random());
            while matches!(step, Step::Request) && here.request()[5] & 0x40 != 0 {
                step = say(&mut here, kind.number(), &[0]);
            }
            if matches!(step, Step::Request) {
                let answer: &[u8] = match kind {
                    Kind::Peap => &[0, 2, 1, 0, 11, 33, 0x80, 3, 0, 2, 0, 1],
                    _ => &[0],
                };
                step = say(&mut here, kind.number(), answer);
            }
            assert!(matches!(step, Step::Success(Some(_))), "{kind:?}: {step:?}");
            let expected: &[Session] = if lasts.is_some() { &[alice()] } else { &[] };
            assert_eq!(*kept.lock().unwrap(), expected, "who showed nothing of their own isn't kept");
        }
    }
}

/// A conversation over a tunnel whose peer is alice by this method within, up to the last thing that the server says.
fn proven_within(
    kind: Kind,
    within: Kind,
    binds: bool,
    kept: &Arc<Mutex<Vec<Session>>>,
) -> (Conversation, Step) {
    let plain = Plain { kept: Arc::clone(kept), ..Plain::default() };
    let settings = Settings {
        tls: Some(Arc::new(plain)),
        inner: vec![Within::Eap(within)],
        binds,
        ..Settings::clone(&settings(&[kind]))
    };
    let mut talk = begin(kind, settings);
    // A packet as it is within: PEAP leaves its header out, EAP-TTLS puts an attribute's before it.
    let message = |identifier: u8, number: u8, data: &[u8]| match kind {
        Kind::Peap => [&[0, number][..], data].concat(),
        _ => {
            let packet = packet(identifier, number, data);
            [
                &[0, 0, 0, 0, 79, 0x40, 0, 0, 8 + packet.len() as u8][..],
                &packet,
                &[0; 3][..(4 - packet.len() % 4) % 4],
            ]
            .concat()
        }
    };
    let mut step = say(&mut talk, kind.number(), &[0, 100]);
    while talk.request().get(5).is_some_and(|flags| flags & 0x40 != 0) {
        step = say(&mut talk, kind.number(), &[0]);
    }
    assert!(matches!(step, Step::Request));
    step = say(&mut talk, kind.number(), &[0]);
    if kind == Kind::Peap {
        assert!(matches!(step, Step::Request), "{step:?}");
    }
    // Type and data of what the server says within.
    let said =
        |talk: &Conversation| talk.request()[if kind == Kind::Peap { 6 } else { 6 + 8 + 4 }..].to_vec();
    let identifier = |talk: &Conversation| if kind == Kind::Peap { 0 } else { talk.request()[6 + 8 + 1] };
    let first = message(1, method::IDENTITY, b"alice");
    assert!(matches!(say(&mut talk, kind.number(), &first), Step::Request));
    let (request, number) = (said(&talk), within.number());
    let answer = match within {
        Kind::Gtc => b"wonderland".to_vec(),
        Kind::Md5 => [&[16], &[7; 16][..]].concat(),
        _ => {
            let challenge: &[u8; 16] = request[6..22].try_into().expect("a challenge");
            methods::answer(challenge, request[2], b"wonderland").0
        }
    };
    let answer = message(identifier(&talk), number, &answer);
    let step = say(&mut talk, kind.number(), &answer);
    let Step::Verify(_) = step else { panic!("{kind:?} {within:?}: {step:?}") };
    let right = Verdict::Right { hash_of_hash: Some([7; 16].into()), lasts: Some([7; 32]) };
    let mut step = talk.handle_verdict(&right, &mut random());
    if within == Kind::MsChap2 {
        assert!(matches!(step, Step::Request), "the server's proof: {step:?}");
        let acknowledged = message(identifier(&talk), number, &[3]);
        step = say(&mut talk, kind.number(), &acknowledged);
    }
    (talk, step)
}

/// Whoever has a tunnel of its own may carry another's EAP into it: what doesn't show the password itself counts once.
#[test]
fn what_isnt_bound_to_its_tunnel_is_resumed_by_nobody() {
    for (kind, within, is_kept) in [
        (Kind::Ttls, Kind::Gtc, true),
        (Kind::Ttls, Kind::MsChap2, false),
        (Kind::Peap, Kind::Gtc, true),
        (Kind::Peap, Kind::MsChap2, false),
    ] {
        let kept = Arc::<Mutex<Vec<Session>>>::default();
        let (mut talk, mut step) = proven_within(kind, within, false, &kept);
        if kind == Kind::Peap {
            // The result, and nothing of a binding.
            step = say(&mut talk, kind.number(), &[0, 2, 1, 0, 11, 33, 0x80, 3, 0, 2, 0, 1]);
        }
        assert!(matches!(step, Step::Success(Some(_))), "{kind:?} {within:?}: {step:?}");
        assert_eq!(kept.lock().unwrap().len(), usize::from(is_kept), "{kind:?} {within:?}");
    }
}

#[test]
fn where_it_has_to_be_bound_what_isnt_lets_nobody_in() {
    for kind in [Kind::Peap, Kind::Ttls] {
        for (within, is_in) in [(Kind::MsChap2, false), (Kind::Md5, false), (Kind::Gtc, true)] {
            let (mut talk, mut step) = proven_within(kind, within, true, &Arc::default());
            if kind == Kind::Peap {
                step = say(&mut talk, method::PEAP, &[0, 2, 1, 0, 11, 33, 0x80, 3, 0, 2, 0, 1]);
            }
            match is_in {
                // Whoever shows the password itself could have come alone.
                true => assert!(matches!(step, Step::Success(Some(_))), "{kind:?} {within:?}: {step:?}"),
                false => {
                    assert!(matches!(step, Step::Failure(Reason::Unbound)), "{kind:?} {within:?}: {step:?}");
                }
            }
        }
    }
}

#[test]
fn the_last_fragment_of_a_handshake_is_costly_even_if_it_is_empty() {
    let mut first = talk(Kind::Peap, false);
    let costs = |talk: &Conversation, data: &[u8]| talk.is_costly(&response(talk, method::PEAP, data));
    assert!(!costs(&first, &[0]), "an acknowledgement");
    assert!(matches!(say(&mut first, method::PEAP, &[0x40, 1]), Step::Request));
    assert_eq!((costs(&first, &[0]), costs(&first, &[0x40, 1]), costs(&first, &[])), (true, false, true));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_through_a_tunnel_who_is_never_right(
        kind in prop_oneof![Just(Kind::Tls), Just(Kind::Ttls), Just(Kind::Peap), Just(Kind::Teap)],
        is_13 in any::<bool>(),
        blows in prop::collection::vec(
            prop_oneof![
                // Fragments, acknowledgements, lengths that lie.
                (prop_oneof![Just(0_u8), Just(0x40), Just(0x80), Just(0xc0), any::<u8>()],
                 prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(flags, mut data)| {
                    data.insert(0, flags);
                    Some(data)
                }),
                // Something within: an inner identity, credentials, results.
                prop_oneof![
                    Just(b"\0\x01alice".to_vec()),
                    Just(b"\0\x06wonderland".to_vec()),
                    Just(b"\0\0\0\0\x01\x40\0\0\x0dalice\0\0\0\0\0\0\x02\x40\0\0\x0cwxyz".to_vec()),
                    Just(vec![0, 2, 1, 0, 11, 33, 0x80, 3, 0, 2, 0, 1]),
                    Just(vec![0]),
                    // TEAP's: an inner identity, a password, results, a binding of nothing.
                    Just(b"\0\x80\x09\0\x0a\x02\x0a\0\x0a\x01alice".to_vec()),
                    Just(b"\0\x80\x0e\0\x11\x05alice\x0awonderland".to_vec()),
                    Just(vec![0, 0x80, 3, 0, 2, 0, 1, 0x80, 10, 0, 2, 0, 1]),
                    prop::collection::vec(any::<u8>(), 72).prop_map(|value| {
                        let head = [0, 0x80, 3, 0, 2, 0, 1, 0x80, 10, 0, 2, 0, 1, 0x80, 12, 0, 76, 0, 1, 1, 0x31];
                        [&head[..], &value].concat()
                    }),
                    prop::collection::vec(any::<u8>(), 0..30).prop_map(|tlvs| [&[0x11, 0, 0, 0, 4][..], &tlvs].concat()),
                ].prop_map(Some),
                Just(None),
            ],
            0..40,
        ),
    ) {
        let mut talk = talk(kind, is_13);
        let mut random = random();
        for blow in blows {
            let step = match blow {
                Some(mut data) => {
                    data[0] |= u8::from(kind == Kind::Teap);
                    talk.handle_response(&response(&talk, kind.number(), &data), &mut random)
                }
                None => talk.handle_verdict(&Verdict::Wrong, &mut random),
            };
            prop_assert!(!matches!(step, Step::Success(_)), "{step:?}");
            prop_assert!(talk.request().len() <= 5 + 5 + 100);
        }
    }
}
