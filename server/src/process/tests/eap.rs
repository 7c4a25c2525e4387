//! EAP conversations: where they live, and what becomes of packets that have none.

use forewarn_wire::eap::method;
use forewarn_wire::number;

use super::*;

const EAP: &str = "[eap]\nmethods = [\"gtc\"]\nconversations = 20000\ntimeout = \"60s\"\n";
pub(super) const IDENTITY: [u8; 10] = [2, 9, 0, 10, method::IDENTITY, b'a', b'l', b'i', b'c', b'e'];

pub(super) fn ask<'a>(number: u32, message: &'a [u8], state: Option<&'a [u8]>) -> Ask<'a> {
    let mut ask =
        Ask::new(Code::ACCESS_REQUEST, &[(number::USER_NAME, b"alice"), (number::EAP_MESSAGE, message)]);
    if let Some(state) = state {
        ask = ask.with(number::STATE, state);
    }
    // Another request each time, whatever its identifier.
    ask.with(number::NAS_PORT, &number.to_be_bytes())
}

pub(super) fn find(attributes: &[(u8, Vec<u8>)], wanted: u8) -> Option<Vec<u8>> {
    attributes.iter().find(|(number, _)| *number == wanted).map(|(_, value)| value.clone())
}

/// The password, in answer to a challenge.
pub(super) fn answer(challenge: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let request = find(challenge, number::EAP_MESSAGE).expect("a request");
    [&[2, request[1], 0, 15, method::GTC][..], b"wonderland"].concat()
}

#[test]
fn a_stray_packet_is_rejected_at_once_and_its_peer_told() {
    let mut bench = Bench::new(testing::config(EAP));
    let lost = [2, 77, 0, 7, method::GTC, b'h', b'i'];
    for state in [None, Some(&b"of another server"[..])] {
        let ask = ask(1, &lost, state);
        let (code, attributes) = reply(bench.auth(&ask), &ask);
        assert_eq!(code, Code::ACCESS_REJECT);
        assert_eq!(find(&attributes, number::EAP_MESSAGE), Some(vec![4, 77, 0, 4]));
        bench.wait(20_000);
    }
    assert_eq!(bench.counted(Cause::EapStray), 2);
}

#[test]
fn a_conversation_ends_in_an_accept_that_names_the_user_and_its_state_is_used_up() {
    let mut bench = Bench::new(testing::config(EAP));
    let first = ask(1, &IDENTITY, None);
    let (code, challenge) = reply(bench.auth(&first), &first);
    assert_eq!(code, Code::ACCESS_CHALLENGE);
    assert!(find(&challenge, number::SESSION_TIMEOUT).is_some());
    let (state, password) = (find(&challenge, number::STATE).expect("a State"), answer(&challenge));
    assert_eq!(forewarn_wire::state::server(&state), Some(bench.shared.config().server.name.as_bytes()));
    bench.wait(20_000);
    let mut forged = state.clone();
    forged[forewarn_wire::state::BEFORE_NAME - 1] ^= 1;
    let second = ask(2, &password, Some(&forged));
    assert_eq!(reply(bench.auth(&second), &second).0, Code::ACCESS_REJECT, "its secret is wrong");
    bench.wait(20_000);
    let third = ask(3, &password, Some(&state));
    let (code, accept) = reply(bench.auth(&third), &third);
    assert_eq!(code, Code::ACCESS_ACCEPT);
    assert_eq!(find(&accept, number::EAP_MESSAGE), Some(vec![3, 10, 0, 4]));
    assert_eq!(find(&accept, number::USER_NAME), Some(b"alice".to_vec()));
    bench.wait(11_000);
    let again = ask(4, &password, Some(&state));
    assert_eq!(reply(bench.auth(&again), &again).0, Code::ACCESS_REJECT, "it is over");
    assert_eq!(bench.shared.conversations().counts().open, 0);
}

#[test]
fn half_open_conversations_are_bounded_and_end_by_themselves() {
    let mut bench = Bench::new(testing::config(EAP));
    let first = ask(0, &IDENTITY, None);
    let (_, oldest) = reply(bench.auth(&first), &first);
    // One core of the test's has a share of them.
    let share = 20_000_usize.div_ceil(bench.shared.outcomes().len());
    let flood = u32::try_from(share).unwrap();
    for number in 1..=flood {
        // A request is remembered for a while; its socket's identifiers are used up before.
        bench.now += Duration::from_micros(1);
        let source = SocketAddr::from(([192, 0, 2, 21], 1024 + (number % 60_000) as u16));
        let ask = ask(number, &IDENTITY, None);
        assert!(bench.arrive(ListenKind::Auth, source, &ask.octets()).is_some(), "{number}");
    }
    let counts = bench.shared.conversations().counts();
    assert_eq!((counts.open, counts.evicted), (share, 1));
    let pap = Ask::pap("alice", "wonderland");
    bench.wait(11_000);
    assert_eq!(code(bench.auth(&pap), &pap), Code::ACCESS_ACCEPT, "others aren't kept out");
    bench.wait(11_000);
    let (state, password) = (find(&oldest, number::STATE).expect("a State"), answer(&oldest));
    let late = ask(7, &password, Some(&state));
    assert_eq!(reply(bench.auth(&late), &late).0, Code::ACCESS_REJECT, "it had to make way");
    assert!(bench.core.poll_timeout().is_some_and(|due| due <= bench.now + Duration::from_secs(60)));
    bench.wait(60_000);
    bench.core.show(bench.now, None);
    let counts = bench.shared.conversations().counts();
    assert_eq!((counts.open, counts.expired), (0, share as u64));
}

#[test]
fn a_conversation_whose_request_is_replaced_is_nobody_else_s() {
    let mut bench = Bench::new(testing::config(EAP));
    let identity = [2, 9, 0, 8, method::IDENTITY, b'b', b'o', b'b'];
    let first = Ask { identifier: 1, ..ask(1, &identity, None) };
    let (_, challenge) = reply(bench.auth(&first), &first);
    let request = find(&challenge, number::EAP_MESSAGE).expect("a request");
    let (state, password) = (
        find(&challenge, number::STATE).expect("a State"),
        [&[2, request[1], 0, 11, method::GTC][..], b"rabbit"].concat(),
    );
    let second = Ask { identifier: 2, ..ask(2, &password, Some(&state)) };
    assert_eq!(bench.auth(&second), None, "a slow hash is verified");
    let instead = Ask { identifier: 2, authenticator: [9; 16], ..Ask::chap("alice", "wonderland") };
    assert_eq!(code(bench.auth(&instead), &instead), Code::ACCESS_ACCEPT);
    assert_eq!(bench.settle(), None);
    assert_eq!(bench.counted(Cause::Replaced), 1);
    let wrong = Ask { identifier: 3, ..Ask::pap("alice", "wrong") };
    assert_eq!(bench.auth(&wrong), None);
    assert_eq!(code(bench.rejected(), &wrong), Code::ACCESS_REJECT);
    // It goes on where it was.
    let again = Ask { identifier: 4, ..ask(2, &password, Some(&state)) };
    assert_eq!(code(bench.auth(&again), &again), Code::ACCESS_ACCEPT);
}

#[test]
fn a_conversation_goes_on_until_its_peer_has_nothing_more_to_say() {
    let mut bench = Bench::new(testing::config(EAP));
    let going_on = |bench: &Bench| {
        bench.shared.conversations().going_on(bench.now, bench.now + Duration::from_millis(1))
    };
    assert_eq!(going_on(&bench), 0);
    let first = ask(1, &IDENTITY, None);
    let (_, challenge) = reply(bench.auth(&first), &first);
    assert_eq!(going_on(&bench), 1);
    let earlier = bench.shared.conversations().going_on(bench.now, bench.now);
    assert_eq!(earlier, 0, "it didn't begin before now");
    bench.wait(3000);
    assert_eq!(going_on(&bench), 0, "nobody waits for who has gone");
    let (state, password) = (find(&challenge, number::STATE).expect("a State"), answer(&challenge));
    let second = Ask { identifier: 8, ..ask(2, &password, Some(&state)) };
    assert_eq!(code(bench.auth(&second), &second), Code::ACCESS_ACCEPT);
    assert_eq!(going_on(&bench), 0, "it is over");
}

/// What a peer says of itself outside its method proves nothing.
#[test]
fn policies_see_the_name_that_is_proven() {
    let policies = "[[policy]]\nname = \"not theirs\"\nwhen = 'request.realm == \"staff\"'\naction = \"reject\"\n\
        [[policy]]\nname = \"hers\"\nwhen = 'request[\"User-Name\"] == \"alice\"'\nreply = { Filter-Id = \"hers\" }\n";
    let mut bench = Bench::new(testing::config(&format!("{EAP}{policies}")));
    let ask = |port: u32, message: &[u8], state: Option<&[u8]>| {
        let name = (number::USER_NAME, &b"x@staff"[..]);
        let ask = Ask::new(Code::ACCESS_REQUEST, &[name, (number::EAP_MESSAGE, message)]);
        let ask = ask.with(number::NAS_PORT, &port.to_be_bytes());
        state.map_or(ask.clone(), |state| ask.with(number::STATE, state))
    };
    let first = ask(1, &IDENTITY, None);
    let (_, challenge) = reply(bench.auth(&first), &first);
    let (state, password) = (find(&challenge, number::STATE).expect("a State"), answer(&challenge));
    let second = Ask { identifier: 8, ..ask(2, &password, Some(&state)) };
    let (code, attributes) = reply(bench.auth(&second), &second);
    assert_eq!(code, Code::ACCESS_ACCEPT);
    assert_eq!(find(&attributes, number::FILTER_ID), Some(b"hers".to_vec()));
    assert_eq!(find(&attributes, number::USER_NAME), Some(b"alice".to_vec()));
}
