use std::time::Duration;

use forewarn_dict::Dictionary;
use forewarn_proto::exchange::Timing;
use forewarn_proto::time::{Instant, Utc};
use forewarn_shell::control::Selection;
use forewarn_wire::{Code, Packet, RadiusKey, RequestAuthenticator, Writer, number};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::exchange::{End, Exchange};
use super::session::{Filter, Session};
use super::target::{Order, Whose, check_sessions};
use crate::process::tables::Tables;
use crate::testing::{config, key};

const NOW: Instant = Instant::from_millis(100_000);
const UTC: Utc = Utc::from_millis(1_800_000_000_000);

fn rng() -> StdRng {
    StdRng::seed_from_u64(7)
}

fn request() -> Vec<u8> {
    let mut room = [0; 256];
    let mut writer = Writer::new(&mut room, Code::DISCONNECT_REQUEST, 9);
    writer.message_authenticator().unwrap();
    writer.attribute(number::USER_NAME, b"alice").unwrap();
    writer.request(&key(), RequestAuthenticator::Computed).unwrap().to_vec()
}

fn exchange() -> Exchange {
    Exchange::begin(NOW, &mut rng(), key(), true, &request(), Timing::default())
}

/// A reply to [`request`].
fn reply(code: Code, key: &RadiusKey, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let request = request();
    let mut room = [0; 256];
    let mut writer = Writer::new(&mut room, code, request[1]);
    fill(&mut writer);
    writer.reply(key, request[4..20].try_into().unwrap()).unwrap().to_vec()
}

fn signed(writer: &mut Writer<'_>) {
    writer.message_authenticator().unwrap();
}

#[test]
fn a_request_is_sent_again_as_it_was_until_the_time_is_up() {
    let mut rng = rng();
    let mut exchange = exchange();
    let mut sent = Vec::new();
    let mut now = NOW;
    while let Some(due) = exchange.poll_timeout() {
        sent.extend(exchange.poll_transmit().map(|datagram| (now, datagram.to_vec())));
        assert!(exchange.poll_transmit().is_none(), "once for each time");
        now = due;
        exchange.handle_timeout(now, &mut rng);
    }
    assert_eq!(exchange.end(), Some(End::TimeOut));
    assert!(now <= NOW + Duration::from_secs(30));
    assert!((4..=5).contains(&sent.len()), "{} transmissions in 30 s", sent.len());
    assert!(sent.iter().all(|(_, datagram)| *datagram == request()), "identifier and authenticator stay");
}

#[test]
fn an_answer_ends_it_and_says_why() {
    let mut acknowledged = exchange();
    acknowledged.handle_datagram(UTC, &reply(Code::DISCONNECT_ACK, &key(), signed));
    assert_eq!(acknowledged.end(), Some(End::Ack { cause: None }));
    assert_eq!(acknowledged.poll_timeout(), None);

    let mut refused = exchange();
    let nak = reply(Code::DISCONNECT_NAK, &key(), |writer| {
        signed(writer);
        writer.integer(number::ERROR_CAUSE, 503).unwrap();
    });
    refused.handle_datagram(UTC, &nak);
    assert_eq!(refused.end(), Some(End::Nak { cause: Some(503) }));
}

#[test]
fn what_is_no_answer_moves_no_timer_and_is_counted() {
    let other = RadiusKey::new(b"another secret entirely").unwrap();
    let stale = |away: i64| {
        move |writer: &mut Writer<'_>| {
            signed(writer);
            let at = (UTC.as_millis() as i64 / 1000 + away) as u32;
            writer.integer(number::EVENT_TIMESTAMP, at).unwrap();
        }
    };
    let mut wrong_identifier = reply(Code::DISCONNECT_ACK, &key(), signed);
    wrong_identifier[1] ^= 1;
    let mut exchange = exchange();
    let due = exchange.poll_timeout();
    for datagram in [
        reply(Code::DISCONNECT_ACK, &key(), |_| {}),
        reply(Code::DISCONNECT_ACK, &other, signed),
        reply(Code::COA_ACK, &key(), signed),
        reply(Code::DISCONNECT_ACK, &key(), stale(-301)),
        reply(Code::DISCONNECT_ACK, &key(), stale(301)),
        wrong_identifier,
        b"not a packet".to_vec(),
    ] {
        exchange.handle_datagram(UTC, &datagram);
        assert_eq!((exchange.end(), exchange.poll_timeout()), (None, due));
    }
    let seen = exchange.seen();
    assert_eq!((seen.without_message_authenticator, seen.forged, seen.stale, seen.stray), (1, 2, 2, 2));
    exchange.handle_datagram(UTC, &reply(Code::DISCONNECT_ACK, &key(), stale(-299)));
    assert_eq!(exchange.end(), Some(End::Ack { cause: None }));
}

#[test]
fn message_authenticator_may_be_missing_where_it_is_not_required() {
    let mut exchange = Exchange::begin(NOW, &mut rng(), key(), false, &request(), Timing::default());
    exchange.handle_datagram(UTC, &reply(Code::DISCONNECT_ACK, &key(), |_| {}));
    assert_eq!(exchange.end(), Some(End::Ack { cause: None }));
}

fn selection(user: Option<&str>, nas: Option<&str>, attributes: &[&str]) -> Selection {
    Selection {
        user: user.map(str::to_owned),
        nas: nas.map(str::to_owned),
        attributes: attributes.iter().map(ToString::to_string).collect(),
        ..Selection::default()
    }
}

fn read(selection: &Selection, set: Option<&[&str]>) -> Result<Order, String> {
    let set: Option<Vec<String>> = set.map(|set| set.iter().map(ToString::to_string).collect());
    Order::read(Dictionary::embedded(), selection, set.as_deref()).map_err(|errors| errors.join("\n"))
}

#[test]
fn an_order_says_whose_sessions_and_what_is_wrong_with_it() {
    let alice = selection(Some("alice"), None, &[]);
    let order = read(&alice, None).unwrap();
    assert!(matches!(order.whose, Whose::Matching(Filter { user: Some(user), .. }) if user == "alice"));

    for (selection, set, expected) in [
        (selection(None, Some("ap-17"), &[]), None, "whose session?"),
        (selection(None, None, &["NAS-Port = 3"]), None, "whose session?"),
        (selection(None, None, &["Framed-IP-Addres = 10.0.0.1"]), None, "did you mean Framed-IP-Address"),
        (selection(Some("alice"), None, &["Service-Type = Framed-User"]), None, "tells no session"),
        (selection(Some("alice"), None, &["Event-Timestamp = 5"]), None, "by forewarnd itself"),
        (selection(Some("alice"), None, &["nonsense"]), None, "'NAME = VALUE'"),
        (alice.clone(), Some(&[][..]), "nothing is to be changed"),
        (alice.clone(), Some(&["User-Name = bob"][..]), "only tells the session"),
        (alice.clone(), Some(&["Tunnel-Password = secret"][..]), "hidden"),
        (alice.clone(), Some(&["Service-Type = Authorize-Only"][..]), "needs a State"),
        (selection(Some(&"x".repeat(254)), None, &[]), None, "1 to 253 octets"),
    ] {
        let error = read(&selection, set).expect_err(expected);
        assert!(error.contains(expected), "{error} should say {expected:?}");
    }
    let without = Selection { without: vec!["NAS-IP-Adress".into()], ..alice };
    assert!(read(&without, None).unwrap_err().contains("did you mean NAS-IP-Address?"));
}

#[test]
fn a_session_is_told_by_what_accounting_knows_and_the_operator_adds() {
    let tables = Tables::build(&config(""), 1, None, |_| false);
    let session = Session {
        user: "alice".into(),
        id: "4D2".into(),
        nas: "192.0.2.21".into(),
        calling_station: "00-11-22-33-44-55".into(),
        ..Session::default()
    };
    let given = selection(Some("alice"), None, &["Calling-Station-Id = other", "NAS-Port = 3"]);
    let given = Selection { without: vec!["nas-ip-address".into()], ..given };
    let target = read(&given, None).unwrap().for_session(&tables, &session).unwrap();
    let names: Vec<&str> = target.identifying.iter().map(|given| given.name.as_str()).collect();
    assert_eq!(names, ["User-Name", "Acct-Session-Id", "Calling-Station-Id", "NAS-Port"]);
    assert_eq!((target.client.as_str(), target.address.to_string().as_str()), ("ap-17", "192.0.2.21:3799"));
    assert!(target.requires_message_authenticator);

    let away = Session { nas: "203.0.113.9".into(), ..session };
    let error = read(&given, None).unwrap().for_session(&tables, &away).unwrap_err();
    assert!(error.contains("no [[client]] has that address"), "{error}");
}

#[test]
fn a_nas_is_named_by_name_or_address_and_a_network_only_by_address() {
    let tables = Tables::build(&config(""), 1, None, |_| false);
    let order = read(&selection(Some("alice"), Some("ap-17"), &[]), None).unwrap();
    assert_eq!(order.straight(&tables, "ap-17").unwrap().address.to_string(), "192.0.2.21:3799");
    assert_eq!(order.straight(&tables, "198.51.100.7").unwrap().client, "branch");
    assert!(order.straight(&tables, "branch").unwrap_err().contains("is the network"));
    assert!(order.straight(&tables, "nobody").unwrap_err().contains("no [[client]] named"));
}

#[test]
fn an_id_that_several_users_have_ends_nobody() {
    let session = |user: &str| Session { user: user.into(), id: "1".into(), ..Session::default() };
    let by_id = Filter { session: Some("1".into()), ..Filter::default() };
    assert!(check_sessions(&by_id, &[session("alice")]).is_ok());
    let error = check_sessions(&by_id, &[session("alice"), session("bob")]).unwrap_err().join("\n");
    assert!(error.contains("each NAS counts for itself") && error.contains("\"bob\""), "{error}");
    let by_user = Filter { user: Some("alice".into()), ..Filter::default() };
    assert!(check_sessions(&by_user, &[session("alice"), session("alice")]).is_ok());
    assert!(check_sessions(&by_user, &[]).is_err());
}

#[test]
fn the_packet_has_message_authenticator_first_and_the_time() {
    let tables = Tables::build(&config(""), 1, None, |_| false);
    let order =
        read(&selection(Some("alice"), Some("ap-17"), &[]), Some(&["Session-Timeout = 600"])).unwrap();
    let target = order.straight(&tables, "ap-17").unwrap();
    let mut room = [0; 4096];
    let octets = super::write(&order, &target, &mut rng(), &mut room).unwrap();
    let packet = Packet::parse(octets).unwrap();
    let packet = packet.verify_request(&key(), Default::default()).unwrap();
    let numbers: Vec<u8> = packet.attributes().map(|attribute| attribute.number).collect();
    let expected =
        [number::MESSAGE_AUTHENTICATOR, number::EVENT_TIMESTAMP, number::USER_NAME, number::SESSION_TIMEOUT];
    assert_eq!(numbers, expected);
    assert_eq!(packet.code(), Code::COA_REQUEST);
}
