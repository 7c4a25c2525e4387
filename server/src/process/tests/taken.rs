//! EAP conversations that another server began: gone on with where the servers share a secret, once, by who began them.

use forewarn_wire::eap::method;
use forewarn_wire::{mschap, number, state};

use super::eap::{IDENTITY, answer, ask, find};
use super::*;
use crate::process::eap::rooms::Counts;
use crate::process::eap::seals::Refusal;

const KEY: &str = "state_key = \"5f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f2\"\n";
const OTHER: &str = "state_key = \"6f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f2\"\n";

fn server(methods: &str, key: &str, more: &str) -> Bench {
    Bench::new(testing::config(&format!("[eap]\nmethods = [{methods}]\n{key}{more}")))
}

/// A conversation with alice at this server: its State, and the password in answer to its challenge.
fn begun(bench: &mut Bench) -> (Vec<u8>, Vec<u8>) {
    begun_by(bench, &IDENTITY)
}

fn begun_by(bench: &mut Bench, identity: &[u8]) -> (Vec<u8>, Vec<u8>) {
    bench.wait(11_000);
    let first = ask(1, identity, None);
    let (code, challenge) = reply(bench.auth(&first), &first);
    assert_eq!(code, Code::ACCESS_CHALLENGE);
    (find(&challenge, number::STATE).expect("a State"), answer(&challenge))
}

/// What becomes of a packet with that State now.
fn bring(bench: &mut Bench, state: &[u8], message: &[u8]) -> Code {
    bench.wait(1);
    bring_from(bench, testing::source(), state, message)
}

fn bring_from(bench: &mut Bench, source: SocketAddr, state: &[u8], message: &[u8]) -> Code {
    // Another identifier each time, so that nothing is a duplicate.
    let identifier = bench.now.as_nanos() as u8 ^ (bench.now.as_nanos() >> 20) as u8;
    let authenticator = u128::from(bench.now.as_nanos()).to_be_bytes();
    let ask = Ask { identifier, authenticator, ..ask(2, message, Some(state)) };
    code(bench.arrive(ListenKind::Auth, source, &ask.octets()), &ask)
}

fn counts(bench: &Bench) -> Counts {
    bench.shared.conversations().counts()
}

/// The only refusal there was.
#[track_caller]
fn refused_for(bench: &Bench, refusal: Refusal) {
    let expected = Refusal::ALL.map(|each| u64::from(each == refusal));
    assert_eq!(counts(bench).refused, expected, "{refusal:?}");
    assert_eq!(bench.counted(Cause::EapStray), 1);
    assert_eq!((counts(bench).strays, counts(bench).open), (1, 0));
}

#[test]
fn another_server_goes_on_once_and_the_first_believes_its_room_only() {
    let (mut east, mut west) = (server("\"gtc\"", KEY, ""), server("\"gtc\"", KEY, ""));
    let (state, password) = begun(&mut east);
    assert_eq!(state::server(&state), Some(&b"aaa-east"[..]));
    west.now = east.now;
    assert_eq!(bring(&mut west, &state, &password), Code::ACCESS_ACCEPT);
    assert_eq!((counts(&west).taken_over, counts(&west).begun, counts(&west).open), (1, 0, 0));
    assert_eq!(bring(&mut west, &state, &password), Code::ACCESS_REJECT, "it was taken, and is over");
    refused_for(&west, Refusal::Used);

    assert_eq!(bring(&mut east, &state, &password), Code::ACCESS_ACCEPT, "in its room");
    assert_eq!(bring(&mut east, &state, &password), Code::ACCESS_REJECT, "its own is never taken over");
    assert_eq!((counts(&east).taken_over, counts(&east).refused), (0, [0; 6]));
}

#[test]
fn a_server_that_was_started_again_goes_on() {
    let mut east = server("\"gtc\"", KEY, "");
    let (state, password) = begun(&mut east);
    let mut again = server("\"gtc\"", KEY, "");
    again.now = east.now;
    drop(east);
    assert_eq!(bring(&mut again, &state, &password), Code::ACCESS_ACCEPT);
}

#[test]
fn who_isn_t_to_go_on_with_it_rejects_it_at_once() {
    let mut east = server("\"gtc\"", KEY, "");
    let (state, password) = begun(&mut east);
    let now = east.now;
    let there = |methods: &str, key: &str, after: u64| {
        let mut west = server(methods, key, "");
        west.now = now + Duration::from_millis(after);
        west
    };
    let mut west = there("\"gtc\"", OTHER, 0);
    assert_eq!(bring(&mut west, &state, &password), Code::ACCESS_REJECT);
    refused_for(&west, Refusal::NotAuthentic);
    let mut west = there("\"md5\"", KEY, 0);
    assert_eq!(bring(&mut west, &state, &password), Code::ACCESS_REJECT);
    refused_for(&west, Refusal::NotAllowed);
    let mut west = there("\"gtc\"", KEY, 60_000);
    assert_eq!(bring(&mut west, &state, &password), Code::ACCESS_REJECT);
    refused_for(&west, Refusal::TooOld);
    let mut west = there("\"gtc\"", KEY, 0);
    let branch = SocketAddr::from(([198, 51, 100, 7], 1024));
    assert_eq!(bring_from(&mut west, branch, &state, &password), Code::ACCESS_REJECT);
    refused_for(&west, Refusal::OtherClient);
    assert_eq!(bring_from(&mut east, branch, &state, &password), Code::ACCESS_REJECT, "where it began, too");
    assert_eq!(counts(&east).refused[Refusal::OtherClient as usize], 1);
    let mut west = there("\"gtc\"", KEY, 59_900);
    assert_eq!(bring(&mut west, &state, &password), Code::ACCESS_ACCEPT, "until the last moment");

    let mut alone = there("\"gtc\"", "", 0);
    assert_eq!(bring(&mut alone, &state, &password), Code::ACCESS_REJECT);
    assert_eq!((counts(&alone).refused, counts(&alone).strays), ([0; 6], 1));
    let (state, password) = begun(&mut alone);
    assert_eq!(state::elsewhere(&state), state::Elsewhere::Rejected, "nothing is sealed without a key");
    let mut west = there("\"gtc\"", KEY, 0);
    assert_eq!(bring(&mut west, &state, &password), Code::ACCESS_REJECT);
    assert_eq!((counts(&west).refused, counts(&west).strays), ([0; 6], 1));
}

#[test]
fn no_octet_of_a_state_can_be_another() {
    let mut east = server("\"gtc\"", KEY, "");
    let (state, password) = begun(&mut east);
    let mut west = server("\"gtc\"", KEY, "");
    west.now = east.now;
    for place in 0..state.len() {
        let mut altered = state.clone();
        altered[place] ^= 1;
        assert_eq!(bring(&mut west, &altered, &password), Code::ACCESS_REJECT, "octet {place}");
    }
    assert_eq!(counts(&west).taken_over, 0);
    assert_eq!(bring(&mut west, &state, &password), Code::ACCESS_ACCEPT);
}

#[test]
fn whoever_guesses_at_another_server_is_counted_there() {
    let mut east = server("\"gtc\"", KEY, "");
    let mut west = server("\"gtc\"", KEY, "[limits]\nfailures = 2\n");
    let mut states = Vec::new();
    for _ in 0..3 {
        let (state, mut wrong) = begun(&mut east);
        *wrong.last_mut().unwrap() ^= 1;
        states.push((state, wrong));
    }
    west.now = east.now;
    for (number, (state, wrong)) in states.iter().enumerate() {
        let again = Ask { identifier: number as u8, ..ask(7 + number as u32, wrong, Some(state)) };
        assert_eq!(west.auth(&again), None);
        assert_eq!(code(west.rejected_now(), &again), Code::ACCESS_REJECT);
        // Whatever it guesses now: this conversation is over.
        assert_eq!(bring(&mut west, state, wrong), Code::ACCESS_REJECT);
    }
    assert_eq!((west.counted(Cause::WrongPassword), west.counted(Cause::TooManyFailures)), (2, 1));
}

#[test]
fn a_packet_that_comes_twice_finds_the_conversation_that_the_first_has_begun() {
    let (mut east, mut west) = (server("\"gtc\"", KEY, ""), server("\"gtc\"", KEY, ""));
    let identity = [2, 9, 0, 8, method::IDENTITY, b'b', b'o', b'b'];
    let (state, answer) = begun_by(&mut east, &identity);
    let password = [&[2, answer[1], 0, 11, method::GTC][..], b"rabbit"].concat();
    west.now = east.now;
    let first = Ask { identifier: 1, ..ask(1, &password, Some(&state)) };
    assert_eq!(west.auth(&first), None, "a slow hash is verified");
    let second = Ask { identifier: 2, ..ask(2, &password, Some(&state)) };
    assert_eq!(west.auth(&second), None);
    assert_eq!(west.counted(Cause::InProgress), 1);
    assert_eq!(code(west.settle(), &first), Code::ACCESS_ACCEPT);
    assert_eq!(counts(&west).taken_over, 1);
}

#[test]
fn a_conversation_taken_over_whose_request_is_replaced_is_nobody_else_s() {
    let (mut east, mut west) = (server("\"gtc\"", KEY, ""), server("\"gtc\"", KEY, ""));
    let identity = [2, 9, 0, 8, method::IDENTITY, b'b', b'o', b'b'];
    let (state, answer) = begun_by(&mut east, &identity);
    let password = [&[2, answer[1], 0, 11, method::GTC][..], b"rabbit"].concat();
    west.now = east.now;
    let first = Ask { identifier: 2, ..ask(2, &password, Some(&state)) };
    assert_eq!(west.auth(&first), None, "a slow hash is verified");
    let instead = Ask { identifier: 2, authenticator: [9; 16], ..Ask::chap("alice", "wonderland") };
    assert_eq!(code(west.auth(&instead), &instead), Code::ACCESS_ACCEPT);
    assert_eq!(west.settle(), None);
    assert_eq!(west.counted(Cause::Replaced), 1);
    // It goes on where it was, by the State that it was taken over with.
    let again = Ask { identifier: 4, ..ask(2, &password, Some(&state)) };
    assert_eq!(code(west.auth(&again), &again), Code::ACCESS_ACCEPT);
    assert_eq!(counts(&west).taken_over, 1);
}

/// alice's answer to a challenge of EAP-MSCHAPv2, whole.
fn mschapv2(request: &[u8]) -> Vec<u8> {
    let challenge: [u8; 16] = request[10..26].try_into().unwrap();
    let peer = [3; 16];
    let hash = mschap::nt_hash(b"wonderland");
    let response = mschap::response(&mschap::challenge_hash(&peer, &challenge, b"alice"), &hash);
    let value = [&peer[..], &[0; 8], &response, &[0], b"alice"].concat();
    let data = [&[2, request[6], 0, 59, 49], &value[..]].concat();
    [&[2, request[1], 0, 5 + 59, method::MSCHAPV2], &data[..]].concat()
}

#[test]
fn each_step_of_mschapv2_may_be_another_server_s() {
    let [mut east, mut west, mut north] = [(); 3].map(|()| server("\"mschapv2\"", KEY, ""));
    west.wait(11_000);
    north.wait(11_000);
    east.wait(11_000);
    let first = ask(1, &IDENTITY, None);
    let (_, challenge) = reply(east.auth(&first), &first);
    let request = find(&challenge, number::EAP_MESSAGE).expect("a request");
    let state = find(&challenge, number::STATE).expect("a State");
    let answer = mschapv2(&request);
    let second = Ask { identifier: 2, ..ask(2, &answer, Some(&state)) };
    let (code, proven) = reply(west.auth(&second), &second);
    assert_eq!(code, Code::ACCESS_CHALLENGE);
    // The reply is lost: the same again finds what it has begun.
    let lost = Ask { identifier: 3, authenticator: [7; 16], ..second.clone() };
    let (code, again) = reply(west.auth(&lost), &lost);
    assert_eq!(code, Code::ACCESS_CHALLENGE);
    assert_eq!(find(&again, number::EAP_MESSAGE), find(&proven, number::EAP_MESSAGE));
    assert_eq!((counts(&west).taken_over, counts(&west).open), (1, 1));
    let state = find(&proven, number::STATE).expect("a State");
    let seen = [2, request[1] + 1, 0, 6, method::MSCHAPV2, 3];
    let third = Ask { identifier: 4, ..ask(4, &seen, Some(&state)) };
    let (code, accept) = reply(north.auth(&third), &third);
    assert_eq!(code, Code::ACCESS_ACCEPT);
    assert_eq!(find(&accept, number::USER_NAME), Some(b"alice".to_vec()));
    let keys = accept.iter().filter(|(number, value)| *number == 26 && value.starts_with(&[0, 0, 1, 0x37]));
    assert_eq!(keys.count(), 2);
    assert_eq!(north.counted(Cause::Eap), 1);
    // And nobody can have it end there again.
    assert_eq!(bring(&mut north, &state, &seen), Code::ACCESS_REJECT);
}

#[test]
fn a_name_that_is_too_long_to_be_carried_stays_where_it_is() {
    let (mut east, mut west) = (server("\"gtc\"", KEY, ""), server("\"gtc\"", KEY, ""));
    let name = [b'a'; 200];
    let identity = [&[2, 9, 0, 205, method::IDENTITY][..], &name].concat();
    let (state, password) = begun_by(&mut east, &identity);
    assert_eq!(state::elsewhere(&state), state::Elsewhere::Rejected);
    west.now = east.now;
    assert_eq!(bring(&mut west, &state, &password), Code::ACCESS_REJECT);
    assert_eq!((counts(&west).refused, counts(&west).strays), ([0; 6], 1));
}

#[test]
fn an_answer_belongs_to_the_challenge_in_its_state_whatever_was_asked_here_before() {
    let [mut east, mut west] = [(); 2].map(|()| server("\"mschapv2\", \"md5\"", KEY, ""));
    east.wait(11_000);
    west.wait(11_000);
    let first = ask(1, &IDENTITY, None);
    let (_, offer) = reply(east.auth(&first), &first);
    let state = find(&offer, number::STATE).expect("a State");
    let nak = [2, 10, 0, 6, method::NAK, method::MD5_CHALLENGE];
    let second = Ask { identifier: 2, ..ask(2, &nak, Some(&state)) };
    // An agent that hears nothing asks both; the first one answers after all.
    let challenges = [&mut east, &mut west].map(|bench| reply(bench.auth(&second), &second).1);
    let [request, other] =
        challenges.each_ref().map(|each| find(each, number::EAP_MESSAGE).expect("a request"));
    assert_eq!(request[1], other[1]);
    assert_ne!(request[6..22], other[6..22]);
    let response = forewarn_wire::hide::chap_response(request[1], b"wonderland", &request[6..22]);
    let message = [&[2, request[1], 0, 22, method::MD5_CHALLENGE, 16], &response[..]].concat();
    let state = find(&challenges[0], number::STATE).expect("a State");
    assert_eq!(bring(&mut west, &state, &message), Code::ACCESS_ACCEPT);
    assert_eq!((counts(&west).taken_over, counts(&west).open), (2, 1));
}
