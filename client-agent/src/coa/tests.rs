use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forewarn_proto::time::{Instant, Utc};
use forewarn_shell::config::{Document, Layers};
use forewarn_shell::udp::Datagram;
use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer, number,
};

use super::memory::REMEMBERED_MAX;
use super::{Fate, Relay, Verdict};
use crate::config;

const NOW: Instant = Instant::from_millis(100_000_000);
const UTC: Utc = Utc::from_millis(1_800_000_000_000);
const NAS: &str = "127.0.0.1:3799";
const EAST: &str = "192.0.2.11:40000";

fn relay(listen: &str, server: &str) -> Relay {
    let text = format!(
        r#"
[agent]
name = "ap-17"
identity = "192.0.2.21"
state_dir = "state"

[[listen]]
kind = "coa"
secret = "between agent and NAS"
{listen}

[[server]]
name = "east"
address = "192.0.2.11"
secret = "between east and agent"
{server}

[[server]]
name = "west"
address = "192.0.2.12"
secret = "between west and agent"
"#
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, text).unwrap();
    let document = Document::load(&Layers::file(file)).unwrap();
    Relay::new(&config::resolve(&document).unwrap().0)
}

fn key(secret: &str) -> RadiusKey {
    RadiusKey::new(secret.as_bytes()).unwrap()
}

fn east() -> RadiusKey {
    key("between east and agent")
}

/// A Disconnect-Request made `away` seconds from now, with a Proxy-State.
fn request(key: &RadiusKey, identifier: u8, away: Option<i64>) -> Vec<u8> {
    request_with(key, identifier, away, true)
}

fn request_with(key: &RadiusKey, identifier: u8, away: Option<i64>, signed: bool) -> Vec<u8> {
    let mut room = [0; 512];
    let mut writer = Writer::new(&mut room, Code::DISCONNECT_REQUEST, identifier);
    if signed {
        writer.message_authenticator().unwrap();
    }
    if let Some(away) = away {
        writer.integer(number::EVENT_TIMESTAMP, (UTC.as_millis() as i64 / 1000 + away) as u32).unwrap();
    }
    writer.attribute(number::ACCT_SESSION_ID, b"4D2").unwrap();
    writer.attribute(number::PROXY_STATE, b"before us").unwrap();
    writer.request(key, RequestAuthenticator::Computed).unwrap().to_vec()
}

fn datagram<'b>(from: &str, bytes: &'b [u8]) -> Datagram<'b> {
    let to: IpAddr = "192.0.2.21".parse().unwrap();
    Datagram { bytes, truncated: false, from: from.parse().unwrap(), to, arrived: NOW }
}

/// What goes to the NAS software.
fn handed_over(relay: &mut Relay, now: Instant, from: &str, bytes: &[u8]) -> Vec<u8> {
    match relay.judge(now, UTC, 0, &datagram(from, bytes)) {
        Verdict::HandOver(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn fate(relay: &mut Relay, from: &str, bytes: &[u8]) -> Fate {
    match relay.judge(NOW, UTC, 0, &datagram(from, bytes)) {
        Verdict::Silence(fate) => fate,
        other => panic!("{other:?}"),
    }
}

/// The NAS software's answer to what was handed over to it.
fn answer(handed_over: &[u8], code: Code, secret: &str) -> Vec<u8> {
    let asked = Packet::parse(handed_over).unwrap();
    let mut room = [0; 512];
    let mut writer = Writer::new(&mut room, code, asked.peek().identifier());
    writer.proxy_states(asked.peek()).unwrap();
    if code == Code::DISCONNECT_NAK {
        writer.integer(number::ERROR_CAUSE, 503).unwrap();
    }
    writer.reply(&key(secret), asked.peek().authenticator()).unwrap().to_vec()
}

fn nas() -> SocketAddr {
    NAS.parse().unwrap()
}

#[test]
fn a_request_is_signed_anew_on_its_way_and_so_is_the_answer() {
    let mut relay = relay("", "");
    let asked = request(&east(), 7, Some(0));
    let sent = handed_over(&mut relay, NOW, EAST, &asked);
    let rule = MessageAuthenticatorRule::Required;
    let local = Packet::parse(&sent).unwrap().verify_request(&key("between agent and NAS"), rule).unwrap();
    assert!(local.starts_with_message_authenticator());
    assert_eq!(local.find(number::ACCT_SESSION_ID), Some(&b"4D2"[..]));
    assert_eq!(local.find(number::PROXY_STATE), Some(&b"before us"[..]));

    let nak = answer(&sent, Code::DISCONNECT_NAK, "between agent and NAS");
    let back = relay.handle_answer(NOW, 0, nas(), &nak).expect("it goes back");
    assert_eq!((back.to, back.from), (EAST.parse().unwrap(), "192.0.2.21".parse().unwrap()));
    let bytes = back.bytes.to_vec();
    let authenticator = asked[4..20].try_into().unwrap();
    let reply = Packet::parse(&bytes).unwrap();
    let reply = reply.verify_reply(&east(), Code::DISCONNECT_REQUEST, authenticator, rule).unwrap();
    assert!(reply.starts_with_message_authenticator());
    assert_eq!((reply.code(), reply.identifier()), (Code::DISCONNECT_NAK, 7));
    assert_eq!(reply.find(number::PROXY_STATE), Some(&b"before us"[..]));
    assert_eq!(reply.find(number::ERROR_CAUSE), Some(&503_u32.to_be_bytes()[..]));

    let Verdict::Answer(again) = relay.judge(NOW, UTC, 0, &datagram(EAST, &asked)) else {
        panic!("a duplicate")
    };
    assert_eq!(again, bytes, "octet for octet");
    assert_eq!(relay.handle_answer(NOW, 0, nas(), &nak), None, "answered once");
    let counts = [Fate::HandedOver, Fate::Nak, Fate::Replayed, Fate::NasUnexpected];
    assert!(counts.iter().all(|fate| relay.counts().of(*fate) == 1));
}

#[test]
fn each_server_has_its_own_secret_and_nobody_else_may_ask() {
    let mut relay = relay("", "");
    let from_west = request(&key("between west and agent"), 7, Some(0));
    assert_eq!(fate(&mut relay, EAST, &from_west), Fate::Forged);
    assert_eq!(fate(&mut relay, "192.0.2.13:40000", &request(&east(), 7, Some(0))), Fate::UnknownServer);
    handed_over(&mut relay, NOW, "192.0.2.12:40000", &from_west);
}

#[test]
fn what_is_bad_meets_silence_and_the_nas_hears_nothing() {
    let mut relay = relay("", "");
    let good = request(&east(), 7, Some(0));
    let mut access = good.clone();
    access[0] = 1;
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    let table = [
        (&good[..19], Fate::Malformed),
        (&good[..25], Fate::Malformed),
        (&access, Fate::UnknownCode),
        (&changed, Fate::Forged),
        (&request_with(&east(), 8, Some(0), false), Fate::MissingMessageAuthenticator),
        (&request(&east(), 9, None), Fate::MissingEventTimestamp),
        (&request(&east(), 10, Some(-301)), Fate::Stale),
        (&request(&east(), 11, Some(301)), Fate::Stale),
    ];
    for (bytes, expected) in table {
        assert_eq!(fate(&mut relay, EAST, bytes), expected);
    }
    assert_eq!(relay.counts().of(Fate::HandedOver), 0);
    handed_over(&mut relay, NOW, EAST, &request(&east(), 12, Some(-299)));
}

#[test]
fn an_old_server_may_be_let_off() {
    let lax = "require_message_authenticator = \"no\"";
    let mut relay = relay("require_event_timestamp = \"no\"", lax);
    handed_over(&mut relay, NOW, EAST, &request_with(&east(), 8, None, false));
}

#[test]
fn a_recorded_request_does_nothing_from_another_port_or_later() {
    let mut relay = relay("", "");
    let recorded = request(&east(), 7, Some(0));
    let sent = handed_over(&mut relay, NOW, EAST, &recorded);
    relay
        .handle_answer(NOW, 0, nas(), &answer(&sent, Code::DISCONNECT_ACK, "between agent and NAS"))
        .unwrap();
    assert_eq!(fate(&mut relay, "192.0.2.11:40001", &recorded), Fate::Replay);
    // The server has used the port and the identifier for something else since.
    handed_over(&mut relay, NOW, EAST, &request(&east(), 7, Some(1)));
    let Verdict::Answer(_) = relay.judge(NOW, UTC, 0, &datagram(EAST, &recorded)) else {
        panic!("remembered")
    };
    let later = NOW + Duration::from_secs(301);
    let utc = Utc::from_millis(UTC.as_millis() + 301_000);
    let verdict = relay.judge(later, utc, 0, &datagram(EAST, &recorded));
    assert_eq!(verdict, Verdict::Silence(Fate::Stale), "forgotten, and too old by then");
}

#[test]
fn a_recorded_request_of_a_clock_that_is_ahead_does_nothing_as_long_as_it_is_current() {
    let mut relay = relay("", "");
    let recorded = request(&east(), 7, Some(299));
    let sent = handed_over(&mut relay, NOW, EAST, &recorded);
    relay
        .handle_answer(NOW, 0, nas(), &answer(&sent, Code::DISCONNECT_ACK, "between agent and NAS"))
        .unwrap();
    for seconds in [301, 599, 600] {
        let later = NOW + Duration::from_secs(seconds);
        let utc = Utc::from_millis(UTC.as_millis() + seconds * 1000);
        let verdict = relay.judge(later, utc, 0, &datagram(EAST, &recorded));
        assert!(!matches!(verdict, Verdict::HandOver(_)), "after {seconds} s");
    }
}

#[test]
fn a_nas_that_says_nothing_is_asked_again_only_when_the_server_asks_again() {
    let mut relay = relay("", "");
    let asked = request(&east(), 7, Some(0));
    let sent = handed_over(&mut relay, NOW, EAST, &asked);
    let again = handed_over(&mut relay, NOW + Duration::from_secs(2), EAST, &asked);
    assert_eq!(again, sent, "a retransmission is one to the NAS too");
    let due = relay.poll_timeout().unwrap();
    assert_eq!(due, NOW + Duration::from_secs(30));
    relay.handle_timeout(due);
    assert_eq!(relay.counts().of(Fate::NasSilent), 1);
    assert_eq!(
        relay.handle_answer(due, 0, nas(), &answer(&sent, Code::DISCONNECT_ACK, "between agent and NAS")),
        None
    );
    handed_over(&mut relay, due, EAST, &asked);
}

#[test]
fn only_the_nas_answers_for_the_nas() {
    let mut relay = relay("require_message_authenticator = \"yes\"", "");
    let sent = handed_over(&mut relay, NOW, EAST, &request(&east(), 7, Some(0)));
    let ack = answer(&sent, Code::DISCONNECT_ACK, "between agent and NAS");
    assert_eq!(relay.handle_answer(NOW, 0, "127.0.0.1:3800".parse().unwrap(), &ack), None);
    assert_eq!(relay.handle_answer(NOW, 0, nas(), &ack), None, "it is to be signed");
    let mut relay = self::relay("", "");
    let sent = handed_over(&mut relay, NOW, EAST, &request(&east(), 7, Some(0)));
    let forged = answer(&sent, Code::DISCONNECT_ACK, "not the local secret");
    assert_eq!(relay.handle_answer(NOW, 0, nas(), &forged), None);
    let wrong_code = answer(&sent, Code::COA_ACK, "between agent and NAS");
    assert_eq!(relay.handle_answer(NOW, 0, nas(), &wrong_code), None);
    assert_eq!(relay.counts().of(Fate::NasForged), 2);
    let ack = answer(&sent, Code::DISCONNECT_ACK, "between agent and NAS");
    assert!(relay.handle_answer(NOW, 0, nas(), &ack).is_some(), "none of it has moved anything");
}

#[test]
fn what_is_remembered_and_what_waits_are_bounded() {
    let mut relay = relay("", "");
    let mut identifiers = std::collections::BTreeSet::new();
    for number in 0..256 {
        let asked = request(&east(), number as u8, Some(number));
        assert!(identifiers.insert(handed_over(&mut relay, NOW, EAST, &asked)[1]), "each its own");
    }
    assert_eq!(fate(&mut relay, EAST, &request(&east(), 0, Some(-1))), Fate::Full, "256 wait");

    let mut now = NOW;
    let mut number = 0_i64;
    while relay.counts().of(Fate::Full) < 2 {
        let asked = request(&east(), (number % 256) as u8, Some(number % 299 - 1));
        number += 1;
        assert!(number < 2 * REMEMBERED_MAX as i64, "the limit is reached");
        // Identifier and second make each request another.
        match relay.judge(now, UTC, 0, &datagram(EAST, &asked)) {
            Verdict::HandOver(sent) => {
                let sent = sent.to_vec();
                let ack = answer(&sent, Code::DISCONNECT_ACK, "between agent and NAS");
                relay.handle_answer(now, 0, nas(), &ack);
            }
            Verdict::Silence(Fate::Full) if now == NOW => now = NOW + Duration::from_secs(31),
            _ => {}
        }
    }
    relay.handle_timeout(now + Duration::from_secs(601));
    handed_over(&mut relay, now + Duration::from_secs(601), EAST, &request(&east(), 1, Some(200)));
}
