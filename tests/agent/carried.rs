//! What has to arrive as it was meant, though secret and authenticator are others on each side of the agent.

use std::time::Duration;

use forewarn_tests::home::{Answer, Heard};
use forewarn_tests::{HOME_SECRET, LOCAL_SECRET, Nas};
use forewarn_wire::{Code, MAX_PACKET, Packet, RadiusKey, hide, number};

use super::{QUIET, SOON, Site};

const MICROSOFT: [u8; 4] = 311_u32.to_be_bytes();
const MS_MPPE_RECV_KEY: u8 = 17;
/// As a salt has to be: its first bit is set.
const SALT: [u8; 2] = [0x80, 0x17];

fn key(secret: &str) -> RadiusKey {
    RadiusKey::new(secret.as_bytes()).expect("a secret")
}

fn authenticator(packet: &[u8]) -> [u8; 16] {
    packet[4..20].try_into().expect("a header")
}

fn attribute(number: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len() + 2).expect("an attribute has at most 255 octets");
    [&[number, length], value].concat()
}

/// A value hidden with a salt, as it stands after tag or vendor type.
fn salted(secret: &str, request: &[u8], value: &[u8]) -> Vec<u8> {
    let salt = hide::salted::Salt::of(&SALT).expect("two octets");
    let mut out = [0; 255];
    let hidden = hide::salted::hide(&key(secret), &authenticator(request), salt, value, &mut out);
    hidden.expect("short enough").to_vec()
}

fn revealed(secret: &str, request: &[u8], hidden: &[u8]) -> Vec<u8> {
    let mut out = [0; 255];
    let clear = hide::salted::reveal(&key(secret), &authenticator(request), hidden, &mut out);
    clear.expect("it can be revealed").to_vec()
}

#[test]
fn a_chap_response_to_the_authenticator_still_fits_behind_the_agent() {
    let site = Site::new(1);
    let request = site.nas.access_with(3, |writer, _, challenge| {
        let response = hide::chap_response(9, b"wonderland", challenge);
        writer.attribute(number::USER_NAME, b"chap").expect("room");
        writer.attribute(number::CHAP_PASSWORD, &[&[9], &response[..]].concat()).expect("room");
    });
    site.nas.send_access(&request);
    assert!(site.nas.reply(&request, SOON).is_some());
    let heard = site.heard(0, "chap");
    let password = heard.find(number::CHAP_PASSWORD).expect("it goes on");
    let challenge = heard.find(number::CHAP_CHALLENGE).expect("it is added");
    let response = password[1..].try_into().expect("16 octets");
    assert!(hide::chap_matches(password[0], b"wonderland", &challenge, &response));
    assert_ne!(authenticator(&heard.bytes), authenticator(&request));
}

#[test]
fn the_longest_password_and_the_largest_packets_go_through_both_ways() {
    let password: Vec<u8> = (1..=128).collect();
    let site = Site::new(1);
    site.homes[0].script(answer_in_full);
    let mut states: Vec<Vec<u8>> = Vec::new();
    let request = site.nas.access_with(3, |writer, key, authenticator| {
        writer.attribute(number::USER_NAME, b"long").expect("room");
        writer.user_password(key, authenticator, &password).expect("128 octets are allowed");
        while writer.remaining() >= 5 {
            let length = (writer.remaining() - 2).min(253);
            let length =
                if (1..3).contains(&(writer.remaining() - 2 - length)) { length - 3 } else { length };
            states.push(vec![states.len() as u8; length]);
            writer.attribute(number::PROXY_STATE, &states[states.len() - 1]).expect("room");
        }
    });
    assert_eq!(request.len(), MAX_PACKET);
    site.nas.send_access(&request);
    let reply = site.nas.reply(&request, SOON).expect("an answer");
    assert_eq!(reply.code, Code::ACCESS_ACCEPT);

    let heard = site.heard(0, "long");
    let mut clear = [0; hide::user_password::MAX];
    let hidden = heard.find(number::USER_PASSWORD).expect("a password");
    let arrived =
        hide::user_password::reveal(&key(HOME_SECRET), &authenticator(&heard.bytes), &hidden, &mut clear);
    assert_eq!(arrived.expect("it can be revealed"), password);

    let reply = Packet::parse(&reply.bytes).expect("framed");
    let values =
        |number| reply.peek().attributes().filter(move |a| a.number == number).map(|a| a.value.to_vec());
    assert_eq!(values(number::PROXY_STATE).collect::<Vec<_>>(), states, "all of them, in order, unchanged");
    let tunnel = values(number::TUNNEL_PASSWORD).next().expect("it goes on");
    assert_eq!((tunnel[0], revealed(LOCAL_SECRET, &request, &tunnel[1..])), (1, b"tunnel secret".to_vec()));
    let vendor = values(number::VENDOR_SPECIFIC).next().expect("it goes on");
    assert_eq!(vendor[..4], MICROSOFT);
    assert_eq!(revealed(LOCAL_SECRET, &request, &vendor[6..]), [7; 32]);
}

/// The Proxy-States of the request, a Tunnel-Password and an MPPE key, hidden for this hop.
fn answer_in_full(heard: &Heard) -> Answer {
    if heard.code == Code::STATUS_SERVER {
        return Answer::Yes;
    }
    let tunnel = [&[1], &salted(HOME_SECRET, &heard.bytes, b"tunnel secret")[..]].concat();
    let mppe = salted(HOME_SECRET, &heard.bytes, &[7; 32]);
    let mppe = [&MICROSOFT[..], &attribute(MS_MPPE_RECV_KEY, &mppe)].concat();
    let mut all =
        [attribute(number::TUNNEL_PASSWORD, &tunnel), attribute(number::VENDOR_SPECIFIC, &mppe)].concat();
    let request = Packet::parse(&heard.bytes).expect("framed");
    for state in request.peek().attributes().filter(|a| a.number == number::PROXY_STATE) {
        all.extend(attribute(number::PROXY_STATE, state.value));
    }
    Answer::With(all)
}

#[test]
fn a_nas_that_repeats_itself_during_a_move_is_answered_once_and_the_same() {
    let mut site = Site::new(2);
    site.homes[0].script(|heard| match heard.code {
        Code::STATUS_SERVER => Answer::Yes,
        _ => Answer::After(Duration::from_millis(500), Box::new(Answer::Reject)),
    });
    site.homes[1].script(|_| Answer::After(Duration::from_millis(200), Box::new(Answer::Yes)));
    let access = site.nas.access("repeats", 1, None);
    let books = Nas::new(site.address());
    let account = books.accounting("session", 2);
    let again = |site: &Site| {
        site.nas.send_access(&access);
        books.send_accounting(&account);
    };
    again(&site);
    site.heard(0, "repeats");
    site.heard(0, "session");
    again(&site);
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    site.heard(1, "repeats");
    site.heard(1, "session");
    again(&site);
    let accepted = site.nas.reply(&access, SOON).expect("an answer");
    assert_eq!(accepted.code, Code::ACCESS_ACCEPT, "the first one counts");
    let accounted = books.reply(&account, SOON).expect("an answer").bytes;
    // The old server's answers come now: other ones, and too late.
    assert!(site.nas.reply(&access, 2 * QUIET).is_none(), "one answer");
    again(&site);
    assert_eq!(site.nas.reply(&access, SOON).expect("again").bytes, accepted.bytes);
    assert_eq!(books.reply(&account, SOON).expect("again").bytes, accounted);
    for (home, user) in [(0, "repeats"), (0, "session"), (1, "repeats"), (1, "session")] {
        assert_eq!(site.homes[home].heard_of(user).len(), 1, "{user} at home-{home}");
    }
}
