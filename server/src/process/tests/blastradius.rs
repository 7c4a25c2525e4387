//! CVE-2024-3596: each setting of a client against each shape of an Access-Request.

use forewarn_wire::{Code, number};

use super::Bench;
use crate::config::ListenKind;
use crate::testing::{self, Ask};

/// The shapes an Access-Request can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Without Message-Authenticator, as old NASes send it.
    Bare,
    /// The same with Proxy-State, as an attacker in between makes it.
    BareWithProxyState,
    /// The same with EAP-Message.
    BareWithEap,
    /// Message-Authenticator comes first.
    First,
    /// Message-Authenticator comes last.
    Last,
    /// Message-Authenticator is wrong.
    Wrong,
}

const SHAPES: [Shape; 6] =
    [Shape::Bare, Shape::BareWithProxyState, Shape::BareWithEap, Shape::First, Shape::Last, Shape::Wrong];

fn octets(shape: Shape, identifier: u8) -> Vec<u8> {
    let signed = Ask { identifier, ..Ask::pap("alice", "wonderland") };
    let mut bare = Ask { message_authenticator: false, ..signed.clone() };
    match shape {
        Shape::BareWithProxyState => bare.octets(),
        Shape::Bare => {
            bare.attributes.retain(|(number, _)| *number != number::PROXY_STATE);
            bare.octets()
        }
        Shape::BareWithEap => {
            bare.attributes.retain(|(number, _)| *number != number::PROXY_STATE);
            bare.with(number::EAP_MESSAGE, &[2, 1, 0, 4]).octets()
        }
        Shape::First => signed.octets(),
        Shape::Last => moved_to_the_end(&signed.octets()),
        Shape::Wrong => {
            let mut octets = signed.octets();
            let value = octets.windows(2).position(|head| head == [80, 18]).unwrap() + 2;
            octets[value] ^= 1;
            octets
        }
    }
}

/// The same request with its Message-Authenticator behind everything else, computed anew.
fn moved_to_the_end(octets: &[u8]) -> Vec<u8> {
    let at = octets.windows(2).position(|head| head == [80, 18]).unwrap();
    let mut moved = [&octets[..at], &octets[at + 18..]].concat();
    let place = moved.len();
    moved.extend([80, 18]);
    moved.extend([0; 16]);
    let authenticator: [u8; 16] = octets[4..20].try_into().unwrap();
    let value =
        forewarn_wire::authenticator::message_authenticator(&moved, &authenticator, place, &testing::key());
    moved[place + 2..].copy_from_slice(&value);
    moved
}

/// What becomes of a shape; `None`: an Access-Accept.
fn expected(required: bool, limited: bool, shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::First | Shape::Last => None,
        Shape::Wrong => Some("silence.wrong-message-authenticator"),
        Shape::BareWithEap => Some("silence.eap-without-message-authenticator"),
        Shape::Bare | Shape::BareWithProxyState if required => Some("silence.no-message-authenticator"),
        Shape::BareWithProxyState if limited => Some("silence.proxy-state-without-message-authenticator"),
        Shape::Bare | Shape::BareWithProxyState => None,
    }
}

#[test]
fn every_setting_meets_every_shape_as_it_should() {
    for (required, limited) in [(true, true), (true, false), (false, true), (false, false)] {
        let word = |on: bool| if on { "yes" } else { "no" };
        let settings = format!(
            "require_message_authenticator = \"{}\"\nlimit_proxy_state = \"{}\"\n",
            word(required),
            word(limited)
        );
        let mut bench = Bench::new(testing::config_with(&settings, ""));
        for (identifier, shape) in SHAPES.into_iter().enumerate() {
            let told = |bench: &Bench| -> Vec<(String, u64)> { bench.shared.requests().collect() };
            let before = told(&bench);
            let reply = bench.arrive(ListenKind::Auth, testing::source(), &octets(shape, identifier as u8));
            let after = told(&bench);
            let moved: Vec<String> =
                after.into_iter().filter(|now| !before.contains(now)).map(|(name, _)| name).collect();
            let what = format!("required {required}, limited {limited}, {shape:?}: {moved:?}");
            match expected(required, limited, shape) {
                Some(cause) => {
                    assert!(reply.is_none(), "{what}");
                    assert_eq!(moved, [cause], "{what}");
                }
                None => {
                    let reply = reply.unwrap_or_else(|| panic!("{what}"));
                    assert_eq!(Code(reply[0]), Code::ACCESS_ACCEPT, "{what}");
                    assert_eq!(reply[20..22], [80, 18], "Message-Authenticator first: {what}");
                }
            }
        }
        let tables = bench.shared.tables();
        let ledger = &tables.clients()[0].ledger;
        let (without, with) = (ledger.without_message_authenticator(), ledger.with_message_authenticator());
        assert_eq!((without.count, with.count, ledger.eap_requests()), (2, 2, 0));
        assert!(without.last.is_some() && with.last.is_some());
    }
}

#[test]
fn every_reply_begins_with_message_authenticator() {
    let mut bench = Bench::new(testing::config(""));
    let accepted = bench.auth(&Ask { identifier: 1, ..Ask::pap("alice", "wonderland") });
    assert!(bench.auth(&Ask { identifier: 2, ..Ask::pap("alice", "looking-glass") }).is_none());
    let rejected = bench.rejected();
    let status = Ask { identifier: 3, ..Ask::new(Code::STATUS_SERVER, &[]) };
    let (of_auth, of_acct) = (bench.auth(&status), bench.acct(&Ask { identifier: 4, ..status.clone() }));
    let replies = [accepted, rejected, of_auth, of_acct].map(|reply| reply.expect("a reply"));
    assert_eq!(replies.each_ref().map(|reply| reply[0]), [2, 3, 2, 5]);
    assert!(replies.iter().all(|reply| reply[20..22] == [80, 18]));
}

#[test]
fn the_report_says_who_would_break() {
    let readiness = |settings: &str, shapes: &[Shape]| {
        let mut bench = Bench::new(testing::config_with(settings, ""));
        for (identifier, shape) in shapes.iter().enumerate() {
            bench.arrive(ListenKind::Auth, testing::source(), &octets(*shape, identifier as u8));
        }
        let clients = crate::control::clients(&bench.shared);
        clients[0].readiness.clone()
    };
    let (yes, no, auto) = (
        "require_message_authenticator = \"yes\"\n",
        "require_message_authenticator = \"no\"\n",
        "require_message_authenticator = \"auto\"\n",
    );
    for (settings, shapes, expected) in [
        (yes, &[][..], "required"),
        (yes, &[Shape::First], "required"),
        (yes, &[Shape::First, Shape::Bare], "dropping"),
        (no, &[], "unheard"),
        (no, &[Shape::Wrong, Shape::BareWithEap], "unheard"),
        (no, &[Shape::Last], "ready"),
        (no, &[Shape::Bare], "would-break"),
        (no, &[Shape::Bare, Shape::First], "would-break-partly"),
        (auto, &[Shape::Bare], "would-break"),
        (auto, &[Shape::First], "required"),
        (auto, &[Shape::First, Shape::Bare], "dropping"),
    ] {
        assert_eq!(readiness(settings, shapes), expected, "{settings} {shapes:?}");
    }
}
