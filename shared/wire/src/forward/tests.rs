use super::*;
use crate::hide::{ascend_secret, chap_matches, chap_response, salted, user_password};
use crate::{Kept, MessageAuthenticatorRule, VendorFormat};

const NAS: [u8; 16] = [1; 16];
const HOP: [u8; 16] = [2; 16];
const RULE: MessageAuthenticatorRule = MessageAuthenticatorRule::Required;

fn keys() -> (RadiusKey, RadiusKey) {
    (RadiusKey::new(b"between NAS and agent").unwrap(), RadiusKey::new(b"between agent and server").unwrap())
}

fn onward(key: &RadiusKey) -> Onward<'_> {
    Onward { key, identifier: 99, authenticator: HOP, delay_s: 0, proxy_state: None }
}

/// A request as the NAS sends it, kept as the agent does.
fn received(key: &RadiusKey, code: Code, fill: impl FnOnce(&mut Writer<'_>)) -> Kept {
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer, code, 7);
    fill(&mut writer);
    let authenticator = match code.has_chosen_authenticator() {
        true => RequestAuthenticator::Chosen(NAS),
        false => RequestAuthenticator::Computed,
    };
    let bytes = writer.request(key, authenticator).unwrap();
    let mut kept = Kept::new();
    kept.store(&Packet::parse(bytes).unwrap().verify_request(key, RULE).unwrap());
    kept
}

fn numbers(packet: &Packet<'_>) -> Vec<u8> {
    packet.attributes().map(|a| a.number).collect()
}

#[test]
fn a_password_is_hidden_for_the_next_hop() {
    let (a, b) = keys();
    let kept = received(&a, Code::ACCESS_REQUEST, |w| {
        w.attribute(1, b"alice").unwrap().user_password(&a, &NAS, b"wonderland and beyond").unwrap();
        w.attribute(33, b"first").unwrap().message_authenticator().unwrap().attribute(32, b"ap-17").unwrap();
    });
    let mut buffer = [0; 4096];
    let hop = Onward { proxy_state: Some(b"ours"), ..onward(&b) };
    let bytes = request(&kept.packet().unwrap(), &a, &hop, &mut buffer).unwrap();
    let sent = Packet::parse(bytes).unwrap().verify_request(&b, RULE).unwrap();
    assert_eq!((sent.code(), sent.identifier(), sent.authenticator()), (Code::ACCESS_REQUEST, 99, &HOP));
    assert_eq!(numbers(&sent), [80, 1, 2, 33, 32, 33]);
    let mut clear = [0; 128];
    let revealed = user_password::reveal(&b, &HOP, sent.find(2).unwrap(), &mut clear).unwrap();
    assert_eq!(revealed, b"wonderland and beyond");
}

#[test]
fn a_chap_challenge_that_was_the_authenticator_is_kept() {
    let (a, b) = keys();
    let response = [&[22][..], &chap_response(22, b"wonderland", &NAS)].concat();
    for explicit in [false, true] {
        let kept = received(&a, Code::ACCESS_REQUEST, |w| {
            w.message_authenticator().unwrap().attribute(3, &response).unwrap();
            if explicit {
                w.attribute(60, &NAS).unwrap();
            }
        });
        let mut buffer = [0; 4096];
        let bytes = request(&kept.packet().unwrap(), &a, &onward(&b), &mut buffer).unwrap();
        let sent = Packet::parse(bytes).unwrap().verify_request(&b, RULE).unwrap();
        assert_eq!(numbers(&sent), [80, 3, 60]);
        let [identifier, response @ ..] = sent.find(3).unwrap() else { panic!() };
        assert!(chap_matches(
            *identifier,
            b"wonderland",
            sent.find(60).unwrap(),
            response.try_into().unwrap()
        ));
    }
}

#[test]
fn acct_delay_time_rises_by_the_wait() {
    let (a, b) = keys();
    for (before, delay_s, after) in [
        (None, 0, None),
        (None, 3, Some(3)),
        (Some(10), 0, Some(10)),
        (Some(10), 3, Some(13)),
        (Some(u32::MAX), 3, Some(u32::MAX)),
    ] {
        let kept = received(&a, Code::ACCOUNTING_REQUEST, |w| {
            w.integer(40, 1).unwrap();
            if let Some(before) = before {
                w.integer(41, before).unwrap();
            }
        });
        let mut buffer = [0; 4096];
        let bytes =
            request(&kept.packet().unwrap(), &a, &Onward { delay_s, ..onward(&b) }, &mut buffer).unwrap();
        let sent = Packet::parse(bytes).unwrap().verify_request(&b, RULE).unwrap();
        assert_eq!(sent.attributes().find(|a| a.number == 41).and_then(|a| a.integer()), after);
        assert!(!sent.has_message_authenticator());
    }
}

#[test]
fn keys_in_a_reply_are_hidden_for_the_nas() {
    let (a, b) = keys();
    let mut upstream = [0; 4096];
    let mut writer = Writer::new(&mut upstream, Code::ACCESS_ACCEPT, 99);
    let (salt, mut room) = (salted::Salt::new(5), [0; 256]);
    writer.message_authenticator().unwrap().attribute(33, b"first").unwrap();
    writer.tunnel_password(&b, &HOP, 1, salt, b"tunnel").unwrap();
    let send_key = salted::hide(&b, &HOP, salt, &[0xaa; 32], &mut room).unwrap();
    writer.vendor(311, VendorFormat::STANDARD, 16, send_key).unwrap();
    writer.vendor(311, VendorFormat::STANDARD, 7, b"\0\0\0\x01").unwrap().attribute(33, b"ours").unwrap();
    let bytes = writer.reply(&b, &HOP).unwrap();
    let packet = Packet::parse(bytes).unwrap().verify_reply(&b, Code::ACCESS_REQUEST, &HOP, RULE).unwrap();

    let (mut buffer, mut clear) = ([0; 4096], [0; 256]);
    let from = Leg { key: &b, authenticator: &HOP };
    let to = Leg { key: &a, authenticator: &NAS };
    let bytes = reply(&packet, from, to, 7, Some(b"ours"), &mut buffer).unwrap();
    let answer = Packet::parse(bytes).unwrap().verify_reply(&a, Code::ACCESS_REQUEST, &NAS, RULE).unwrap();
    assert_eq!((answer.identifier(), numbers(&answer)), (7, vec![80, 33, 69, 26, 26]));
    let (tag, hidden) = answer.attributes().find(|a| a.number == 69).unwrap().tagged();
    assert_eq!((tag, salted::reveal(&a, &NAS, hidden, &mut clear)), (Some(1), Ok(&b"tunnel"[..])));
    let vendor: Vec<_> = answer.attributes().filter_map(|a| a.vendor()).map(|v| v.data).collect();
    assert_eq!(salted::reveal(&a, &NAS, &vendor[0][2..], &mut clear).unwrap(), [0xaa; 32]);
    assert_eq!(vendor[1], b"\x07\x06\0\0\0\x01");
}

/// Two octets of type (Lucent), TLVs (Ubiquiti, WiMAX with its continuation octet), and neighbours that stay.
#[test]
fn hidden_values_are_found_in_every_layout() {
    let (a, b) = keys();
    let (salt, mut room) = (salted::Salt::new(5), [0; 256]);
    let hidden = salted::hide(&b, &HOP, salt, b"pre-shared", &mut room).unwrap();
    let mut ascend = *b"sixteen octets..";
    ascend_secret(&b, &HOP, &mut ascend);
    let lucent = VendorFormat::new(2, 1, false).unwrap();
    let wimax = VendorFormat::new(1, 1, true).unwrap();
    let mut upstream = [0; 4096];
    let mut writer = Writer::new(&mut upstream, Code::ACCESS_ACCEPT, 99);
    writer.message_authenticator().unwrap();
    writer.vendor(4846, lucent, 214, &ascend).unwrap();
    writer.vendor(4846, lucent, 214 << 8, &ascend).unwrap();
    writer.vendor_tlv(41112, VendorFormat::STANDARD, 5, &[2], hidden).unwrap();
    writer.vendor_tlv(41112, VendorFormat::STANDARD, 5, &[4], hidden).unwrap();
    writer.vendor_tlv(24757, wimax, 86, &[3], hidden).unwrap();
    let bytes = writer.reply(&b, &HOP).unwrap();
    let packet = Packet::parse(bytes).unwrap().verify_reply(&b, Code::ACCESS_REQUEST, &HOP, RULE).unwrap();
    let (mut buffer, mut clear) = ([0; 4096], [0; 256]);
    let (from, to) = (Leg { key: &b, authenticator: &HOP }, Leg { key: &a, authenticator: &NAS });
    let bytes = reply(&packet, from, to, 7, None, &mut buffer).unwrap();
    let answer = Packet::parse(bytes).unwrap().verify_reply(&a, Code::ACCESS_REQUEST, &NAS, RULE).unwrap();
    let inside: Vec<_> = answer.attributes().filter_map(|a| a.vendor()).map(|v| v.data).collect();
    let mut secret: [u8; 16] = inside[0][3..].try_into().unwrap();
    ascend_secret(&a, &NAS, &mut secret);
    assert_eq!(&secret, b"sixteen octets..");
    assert_eq!(inside[1][3..], ascend);
    assert_eq!(salted::reveal(&a, &NAS, &inside[2][4..], &mut clear).unwrap(), b"pre-shared");
    assert_eq!(&inside[3][4..], hidden);
    assert_eq!(salted::reveal(&a, &NAS, &inside[4][5..], &mut clear).unwrap(), b"pre-shared");
}

#[test]
fn only_our_own_last_proxy_state_is_taken_off() {
    let (a, b) = keys();
    for (states, ours, left) in [
        (vec!["x", "ours"], Some("ours"), vec!["x"]),
        (vec!["ours", "x"], Some("ours"), vec!["ours", "x"]),
        (vec!["ours", "ours"], Some("ours"), vec!["ours"]),
        (vec!["x"], None, vec!["x"]),
    ] {
        let mut upstream = [0; 512];
        let mut writer = Writer::new(&mut upstream, Code::ACCOUNTING_RESPONSE, 99);
        for state in &states {
            writer.attribute(33, state.as_bytes()).unwrap();
        }
        let bytes = writer.reply(&b, &HOP).unwrap();
        let packet =
            Packet::parse(bytes).unwrap().verify_reply(&b, Code::ACCOUNTING_REQUEST, &HOP, RULE).unwrap();
        let mut buffer = [0; 512];
        let (from, to) = (Leg { key: &b, authenticator: &HOP }, Leg { key: &a, authenticator: &NAS });
        let bytes = reply(&packet, from, to, 7, ours.map(str::as_bytes), &mut buffer).unwrap();
        let answer =
            Packet::parse(bytes).unwrap().verify_reply(&a, Code::ACCOUNTING_REQUEST, &NAS, RULE).unwrap();
        assert_eq!(
            answer.attributes().map(|a| a.value).collect::<Vec<_>>(),
            left.iter().map(|s| s.as_bytes()).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_password_of_an_impossible_length_goes_nowhere() {
    let (a, b) = keys();
    let kept = received(&a, Code::ACCESS_REQUEST, |w| {
        w.message_authenticator().unwrap().attribute(2, &[0; 15]).unwrap();
    });
    let (packet, mut buffer) = (kept.packet().unwrap(), [0; 4096]);
    let refused = request(&packet, &a, &onward(&b), &mut buffer);
    assert_eq!(refused, Err(ForwardError::Hidden { number: 2, cause: HideError::Length { octets: 15 } }));
}

#[test]
fn a_packet_that_would_grow_too_long_goes_nowhere() {
    let (a, b) = keys();
    let kept = received(&a, Code::ACCOUNTING_REQUEST, |w| {
        while w.remaining() >= 255 {
            w.attribute(18, &[b'x'; 253]).unwrap();
        }
        let rest = w.remaining() - 2;
        w.attribute(18, &vec![b'x'; rest]).unwrap();
    });
    let packet = kept.packet().unwrap();
    assert_eq!(request(&packet, &a, &onward(&b), &mut [0; 4096]).unwrap().len(), 4096);
    let late = Onward { delay_s: 1, ..onward(&b) };
    assert_eq!(request(&packet, &a, &late, &mut [0; 4096]), Err(ForwardError::Write(WriteError::Full)));
}

#[test]
fn kept_packets_are_verified_and_shown_without_values() {
    let (a, _) = keys();
    let mut kept = received(&a, Code::ACCOUNTING_REQUEST, |w| {
        w.attribute(44, b"session-1").unwrap();
    });
    assert_eq!(format!("{kept:?}"), "Kept(Accounting-Request id 7 [44])");
    kept.clear();
    assert!(kept.packet().is_none());
}

#[test]
fn a_coa_request_is_signed_anew_and_hidden_with_zeros() {
    let (a, b) = keys();
    let zeros = [0; 16];
    let kept = received(&a, Code::COA_REQUEST, |w| {
        w.attribute(44, b"4D2").unwrap().attribute(33, b"x").unwrap();
        w.tunnel_password(&a, &zeros, 1, salted::Salt::new(5), b"tunnel").unwrap();
    });
    let mut buffer = [0; 4096];
    let bytes = request(&kept.packet().unwrap(), &a, &onward(&b), &mut buffer).unwrap();
    let sent = Packet::parse(bytes).unwrap().verify_request(&b, RULE).unwrap();
    assert_eq!(numbers(&sent), [80, 44, 33, 69]);
    let mut clear = [0; 256];
    assert_eq!(salted::reveal(&b, &zeros, &sent.find(69).unwrap()[1..], &mut clear).unwrap(), b"tunnel");

    let mut upstream = [0; 512];
    let mut writer = Writer::new(&mut upstream, Code::COA_NAK, 99);
    writer.attribute(33, b"x").unwrap().integer(101, 503).unwrap();
    let nak = writer.reply(&b, sent.authenticator()).unwrap();
    let nak =
        Packet::parse(nak).unwrap().verify_reply(&b, Code::COA_REQUEST, sent.authenticator(), RULE).unwrap();
    let from = Leg { key: &b, authenticator: sent.authenticator() };
    let asked = kept.packet().unwrap();
    let to = Leg { key: &a, authenticator: asked.authenticator() };
    let mut buffer = [0; 512];
    let bytes = reply(&nak, from, to, 7, None, &mut buffer).unwrap();
    let answer = Packet::parse(bytes)
        .unwrap()
        .verify_reply(&a, Code::COA_REQUEST, asked.authenticator(), RULE)
        .unwrap();
    assert_eq!((numbers(&answer), answer.identifier()), (vec![80, 33, 101], 7));
}
