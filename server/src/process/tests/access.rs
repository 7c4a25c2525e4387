use forewarn_wire::hide::{chap_response, salted};
use forewarn_wire::number;

use super::*;
use crate::config::{ReplyAttribute, ReplyValue, Secret};
use crate::policy::Facts;

const VLAN: &str = r#"
[[policy]]
name = "staff on wifi get VLAN 120"
when = 'client.group.startsWith("wifi/") && "staff" in user.groups'
reply = { Tunnel-Type = "VLAN", Tunnel-Medium-Type = "IEEE-802", Tunnel-Private-Group-Id = "120" }
"#;

#[test]
fn a_right_password_is_accepted_with_the_users_reply() {
    let mut bench = Bench::new(testing::config(""));
    let ask = Ask::pap("alice", "wonderland").with(number::PROXY_STATE, b"p2");
    let (code, attributes) = reply(bench.auth(&ask), &ask);
    assert_eq!(code, Code::ACCESS_ACCEPT);
    let expected: Vec<(u8, Vec<u8>)> = vec![
        (number::SESSION_TIMEOUT, 3600_u32.to_be_bytes().to_vec()),
        (number::REPLY_MESSAGE, b"Hello, alice".to_vec()),
        (number::PROXY_STATE, b"p1".to_vec()),
        (number::PROXY_STATE, b"p2".to_vec()),
    ];
    assert_eq!(attributes, expected);
    assert_eq!(bench.counted(Cause::Password), 1);
    assert_eq!(bench.shared.requests().collect::<Vec<_>>(), [("access-accept.password".into(), 1)]);
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_rejected_after_the_delay() {
    for (user, password, cause) in
        [("alice", "wonderful", Cause::WrongPassword), ("carol", "wonderland", Cause::UnknownUser)]
    {
        let mut bench = Bench::new(testing::config(""));
        let ask = Ask::pap(user, password);
        assert_eq!(bench.auth(&ask), None);
        assert_eq!((bench.counted(cause), bench.core.in_flight()), (0, 1));
        let due = bench.core.poll_timeout().unwrap();
        let delay = due.since(bench.now);
        assert!((1000..1100).contains(&delay.as_millis()), "{delay:?}");
        let (code, attributes) = reply(bench.rejected(), &ask);
        assert_eq!((code, attributes), (Code::ACCESS_REJECT, vec![(number::PROXY_STATE, b"p1".to_vec())]));
        assert_eq!((bench.counted(cause), bench.core.in_flight()), (1, 0));
    }
}

#[test]
fn a_slow_hash_is_verified_by_a_worker() {
    let mut bench = Bench::new(testing::config(""));
    let ask = Ask::pap("bob", "rabbit");
    assert_eq!(bench.auth(&ask), None);
    assert_eq!(code(bench.settle(), &ask), Code::ACCESS_ACCEPT);
    assert_eq!(bench.shared.verifier().counts().hits, 0);
    let ask = Ask { identifier: 8, ..Ask::pap("bob", "hare") };
    assert_eq!(bench.auth(&ask), None);
    bench.wait(300);
    assert_eq!(bench.settle(), None);
    // From receipt, not from the verdict.
    assert!((700..800).contains(&bench.core.poll_timeout().unwrap().since(bench.now).as_millis()));
    bench.wait(800);
    assert_eq!(code(bench.delayed(), &ask), Code::ACCESS_REJECT);
}

#[test]
fn chap_is_verified_with_a_challenge_or_the_authenticator() {
    let mut bench = Bench::new(testing::config(""));
    let ask = Ask::chap("alice", "wonderland");
    assert_eq!(code(bench.auth(&ask), &ask), Code::ACCESS_ACCEPT);
    let response = chap_response(3, b"wonderland", &testing::AUTHENTICATOR);
    let chap = [&[3], &response[..]].concat();
    let attributes = [(number::USER_NAME, &b"alice"[..]), (number::CHAP_PASSWORD, &chap)];
    let ask = Ask { identifier: 8, ..Ask::new(Code::ACCESS_REQUEST, &attributes) };
    assert_eq!(code(bench.auth(&ask), &ask), Code::ACCESS_ACCEPT);
    assert_eq!(bench.counted(Cause::Chap), 2);
}

#[test]
fn what_cannot_be_verified_is_rejected_with_its_cause() {
    let mut bench = Bench::new(testing::config(""));
    let name = (number::USER_NAME, &b"alice"[..]);
    let eap = [2, 5, 0, 10, 1, b'a', b'l', b'i', b'c', b'e'];
    let asks = [
        (Ask::chap("alice", "wonderful"), Cause::WrongPassword),
        (Ask::chap("bob", "rabbit"), Cause::ChapNeedsClearText),
        (Ask::new(Code::ACCESS_REQUEST, &[name]), Cause::NoCredentials),
        (Ask::new(Code::ACCESS_REQUEST, &[(number::USER_PASSWORD, &[0; 16])]), Cause::NoUserName),
        (Ask::new(Code::ACCESS_REQUEST, &[name, (number::USER_PASSWORD, &[0; 15])]), Cause::BadCredentials),
        (Ask::new(Code::ACCESS_REQUEST, &[name, (number::USER_PASSWORD, &[])]), Cause::BadCredentials),
        (Ask::new(Code::ACCESS_REQUEST, &[name, (number::USER_PASSWORD, &[0; 144])]), Cause::BadCredentials),
        (Ask::new(Code::ACCESS_REQUEST, &[name, (number::CHAP_PASSWORD, &[0; 16])]), Cause::BadCredentials),
        (Ask::new(Code::ACCESS_REQUEST, &[name, (number::CHAP_PASSWORD, &[])]), Cause::BadCredentials),
        (Ask::new(Code::ACCESS_REQUEST, &[name, (number::EAP_MESSAGE, &eap)]), Cause::EapNotOffered),
    ];
    for (number, (ask, cause)) in asks.into_iter().enumerate() {
        let ask = Ask { identifier: number as u8, ..ask };
        let before = bench.counted(cause);
        assert_eq!(bench.auth(&ask), None);
        let (code, attributes) = reply(bench.rejected(), &ask);
        assert_eq!((code, bench.counted(cause)), (Code::ACCESS_REJECT, before + 1), "{cause:?}");
        let failure = attributes.iter().find(|(number, _)| *number == number::EAP_MESSAGE);
        let failure = failure.map(|(_, value)| value.as_slice());
        assert_eq!(failure, (cause == Cause::EapNotOffered).then_some(&[4, 5, 0, 4][..]));
    }
}

#[test]
fn a_policy_adds_to_the_reply() {
    let mut bench = Bench::new(testing::config(VLAN));
    let ask = Ask::pap("alice", "wonderland");
    let (_, attributes) = reply(bench.auth(&ask), &ask);
    let numbers: Vec<u8> = attributes.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [27, 18, 64, 65, 81, 33]);
    let group = attributes.iter().find(|(number, _)| *number == number::TUNNEL_PRIVATE_GROUP_ID).unwrap();
    assert!(group.1.ends_with(b"120"), "{group:?}");
    let ask = Ask { identifier: 8, ..Ask::pap("bob", "rabbit") };
    assert_eq!(bench.auth(&ask), None);
    assert!(reply(bench.settle(), &ask).1.iter().all(|(number, _)| *number == number::PROXY_STATE));
}

#[test]
fn a_policy_replaces_what_the_user_and_earlier_policies_set() {
    let policies = r#"
[[policy]]
name = "a quarter"
reply = { Session-Timeout = 900, Idle-Timeout = 60 }

[[policy]]
name = "half of that"
reply = { Session-Timeout = 450 }
"#;
    let mut bench = Bench::new(testing::config(policies));
    let ask = Ask::pap("alice", "wonderland");
    let (_, attributes) = reply(bench.auth(&ask), &ask);
    let numbers: Vec<u8> = attributes.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [18, 28, 27, 33]);
    assert_eq!(attributes[2].1, 450_u32.to_be_bytes());
}

#[test]
fn a_policy_rejects_and_a_failed_one_too() {
    for (when, cause) in
        [("user.name == \"alice\"", Cause::Policy), ("1 / (request.nas_port + 1) == 0", Cause::PolicyFailed)]
    {
        let policy = format!("[[policy]]\nname = \"no\"\nwhen = '{when}'\naction = \"reject\"\n");
        let mut bench = Bench::new(testing::config(&policy));
        let ask = Ask::pap("alice", "wonderland");
        assert_eq!(bench.auth(&ask), None);
        assert_eq!(code(bench.rejected(), &ask), Code::ACCESS_REJECT);
        assert_eq!(bench.counted(cause), 1);
    }
}

#[test]
fn every_attribute_a_policy_can_see_is_seen() {
    let conditions = r#"request.method == "pap" && request.user_name == "alice" && user.name == "alice"
        && client.name == "ap-17" && client.group == "wifi/branch-3" && client.address == "192.0.2.21"
        && request.called_station_id == "called" && request.calling_station_id == "calling"
        && request.nas_identifier == "nas" && request.nas_ip_address == "192.0.2.1" && request.nas_port_id == "7/1"
        && request.nas_port == 7 && request.nas_port_type == 19 && request.service_type == 2
        && request.framed_protocol == 1"#;
    let policy =
        format!("[[policy]]\nname = \"all\"\nwhen = '''{conditions}'''\nreply = {{ Idle-Timeout = 60 }}\n");
    let mut bench = Bench::new(testing::config(&policy));
    let ask = Ask::pap("alice", "wonderland")
        .with(number::CALLED_STATION_ID, b"called")
        .with(number::CALLING_STATION_ID, b"calling")
        .with(number::NAS_IDENTIFIER, b"nas")
        .with(number::NAS_IP_ADDRESS, &[192, 0, 2, 1])
        .with(number::NAS_PORT_ID, b"7/1")
        .with(number::NAS_PORT, &[0, 0, 0, 7])
        .with(number::NAS_PORT_TYPE, &[0, 0, 0, 19])
        .with(number::SERVICE_TYPE, &[0, 0, 0, 2])
        .with(number::FRAMED_PROTOCOL, &[0, 0, 0, 1]);
    let (_, attributes) = reply(bench.auth(&ask), &ask);
    assert!(attributes.iter().any(|(number, _)| *number == number::IDLE_TIMEOUT));
    let _: fn(&Facts<'_>) = |_| ();
}

#[test]
fn hidden_values_are_hidden_anew_in_each_reply() {
    let mut config = testing::config("");
    let hidden = |text: &str| ReplyAttribute {
        name: "Tunnel-Password".into(),
        vendor: 0,
        numbers: vec![u32::from(number::TUNNEL_PASSWORD)],
        value: ReplyValue::Hidden { tag: Some(1), value: Secret::new(text.into()) },
    };
    config.users[0].reply = vec![hidden("down the"), hidden("rabbit hole")];
    let mut bench = Bench::new(config);
    let mut seen = Vec::new();
    for identifier in [7, 8] {
        let ask = Ask { identifier, ..Ask::pap("alice", "wonderland") };
        let (_, attributes) = reply(bench.auth(&ask), &ask);
        let values: Vec<_> =
            attributes.iter().filter(|(number, _)| *number == number::TUNNEL_PASSWORD).collect();
        let revealed = values.iter().map(|(_, value)| {
            assert_eq!(value[0], 1);
            let mut out = [0; 256];
            salted::reveal(&testing::key(), &testing::AUTHENTICATOR, &value[1..], &mut out).unwrap().to_vec()
        });
        assert_eq!(revealed.collect::<Vec<_>>(), [b"down the".to_vec(), b"rabbit hole".to_vec()]);
        seen.extend(values.iter().map(|(_, value)| value[1..3].to_vec()));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "no two salts are the same");
}

#[test]
fn a_reload_takes_effect_on_the_next_turn_and_drops_nothing() {
    let mut bench = Bench::new(testing::config(""));
    let slow = Ask::pap("bob", "rabbit");
    assert_eq!(bench.auth(&slow), None);
    let mut config = testing::config("");
    config.users.retain(|user| &*user.name == "alice");
    config.users[0].reply.clear();
    bench.shared.reload(config.into()).unwrap();
    let ask = Ask { identifier: 8, ..Ask::pap("alice", "wonderland") };
    assert_eq!(reply(bench.auth(&ask), &ask).1, [(number::PROXY_STATE, b"p1".to_vec())]);
    assert_eq!(code(bench.settle(), &slow), Code::ACCESS_ACCEPT, "by the configuration it began with");
    assert_eq!(bench.shared.tables().clients()[0].ledger.requests(), 2, "counted over the reload");
}

#[test]
fn a_full_pool_and_a_full_core_are_silent() {
    let mut config = testing::config("");
    config.workers.queue = 1;
    config.workers.max = 1;
    config.workers.in_flight = 3;
    let mut bench = Bench::new(config);
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (running, is_running) = std::sync::mpsc::channel::<()>();
    let block = move || {
        running.send(()).unwrap();
        let _ = released.recv_timeout(PATIENCE);
    };
    bench.shared.workers().submit(1, block).unwrap();
    is_running.recv_timeout(PATIENCE).unwrap();
    let asks =
        [(0, "rabbit"), (1, "hare")].map(|(identifier, text)| Ask { identifier, ..Ask::pap("bob", text) });
    assert_eq!(bench.auth(&asks[0]), None);
    assert_eq!(bench.auth(&asks[1]), None);
    assert_eq!((bench.counted(Cause::WorkersFull), bench.core.in_flight()), (1, 1));
    // The rejects take the two places that are left.
    for identifier in 10..13 {
        assert_eq!(bench.auth(&Ask { identifier, ..Ask::pap("alice", "wrong") }), None);
    }
    assert_eq!((bench.counted(Cause::TooManyInFlight), bench.core.in_flight()), (1, 3));
    release.send(()).unwrap();
    assert_eq!(code(bench.settle(), &asks[0]), Code::ACCESS_ACCEPT);
    // Its sender tries again, and finds a place.
    assert_eq!(bench.auth(&asks[1]), None);
    assert_eq!((bench.settle(), bench.core.in_flight()), (None, 3));
    assert_eq!(bench.counted(Cause::WorkersFull), 1);
}
