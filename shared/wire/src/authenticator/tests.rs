use super::*;
use crate::{RequestAuthenticator, Writer, number};

fn key() -> RadiusKey {
    RadiusKey::new(b"testing123testing123").unwrap()
}

/// Every single bit of a signed packet matters.
fn no_bit_can_change(bytes: &[u8], verify: impl Fn(&[u8]) -> bool) {
    assert!(verify(bytes));
    for bit in 0..bytes.len() * 8 {
        let mut forged = bytes.to_vec();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify(&forged), "bit {bit}");
    }
}

#[test]
fn no_bit_of_a_request_can_change() {
    let key = key();
    let mut buffer = [0; 4096];
    for (code, authenticator) in [
        (Code::ACCESS_REQUEST, RequestAuthenticator::Chosen([9; 16])),
        (Code::STATUS_SERVER, RequestAuthenticator::Chosen([9; 16])),
        (Code::ACCOUNTING_REQUEST, RequestAuthenticator::Computed),
        (Code::COA_REQUEST, RequestAuthenticator::Computed),
        (Code::DISCONNECT_REQUEST, RequestAuthenticator::Computed),
    ] {
        let mut writer = Writer::new(&mut buffer, code, 1);
        writer.attribute(number::USER_NAME, b"alice").unwrap();
        if code.has_chosen_authenticator() {
            writer.message_authenticator().unwrap();
        }
        writer.attribute(number::EVENT_TIMESTAMP, b"\0\0\0\x01").unwrap();
        let written = writer.request(&key, authenticator).unwrap();
        no_bit_can_change(written, |bytes| {
            let packet = Packet::parse(bytes);
            packet.is_ok_and(|p| p.verify_request(&key, MessageAuthenticatorRule::Required).is_ok())
        });
    }
}

#[test]
fn no_bit_of_a_reply_can_change() {
    let key = key();
    let mut buffer = [0; 4096];
    for (request, code) in [
        (Code::ACCESS_REQUEST, Code::ACCESS_ACCEPT),
        (Code::ACCOUNTING_REQUEST, Code::ACCOUNTING_RESPONSE),
        (Code::COA_REQUEST, Code::COA_NAK),
        (Code::ACCESS_REQUEST, Code::PROTOCOL_ERROR),
    ] {
        let mut writer = Writer::new(&mut buffer, code, 1);
        if request == Code::ACCESS_REQUEST {
            writer.message_authenticator().unwrap();
        }
        writer.attribute(number::REPLY_MESSAGE, b"hello").unwrap();
        let written = writer.reply(&key, &[5; 16]).unwrap();
        // The identifier is under the digest as well.
        no_bit_can_change(written, |bytes| {
            let rule = MessageAuthenticatorRule::Required;
            Packet::parse(bytes).is_ok_and(|p| p.verify_reply(&key, request, &[5; 16], rule).is_ok())
        });
    }
}

#[test]
fn an_access_reply_is_judged_by_presence_first() {
    let bare = [2, 1, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let verify =
        |request, rule| Packet::parse(&bare).unwrap().verify_reply(&key(), request, &ZEROS, rule).map(|_| ());
    let required = MessageAuthenticatorRule::Required;
    assert_eq!(verify(Code::ACCESS_REQUEST, required), Err(Forgery::MissingMessageAuthenticator));
    assert_eq!(
        verify(Code::ACCESS_REQUEST, MessageAuthenticatorRule::Optional),
        Err(Forgery::BadAuthenticator)
    );
    assert_eq!(verify(Code::ACCOUNTING_REQUEST, required), Err(Forgery::CodeUnexpected));
}

#[test]
fn each_request_has_its_own_answers() {
    let answers = |request: Code| (0..=255).filter(|code| Code(*code).answers(request)).collect::<Vec<u8>>();
    assert_eq!(answers(Code::ACCESS_REQUEST), [2, 3, 11, 52]);
    assert_eq!(answers(Code::ACCOUNTING_REQUEST), [5, 52]);
    assert_eq!(answers(Code::STATUS_SERVER), [2, 5, 52]);
    assert_eq!(answers(Code::DISCONNECT_REQUEST), [41, 42, 52]);
    assert_eq!(answers(Code::COA_REQUEST), [44, 45, 52]);
    assert!(answers(Code::ACCESS_ACCEPT).is_empty());
    assert_eq!((0..=255).filter(|code| Code(*code).is_request()).collect::<Vec<u8>>(), [1, 4, 12, 40, 43]);
}

#[test]
fn secrets_are_never_shown() {
    assert_eq!(format!("{:?}", key()), "RadiusKey(..)");
    assert_eq!(RadiusKey::new(b"").unwrap_err(), crate::EmptySecret);
    assert!(RadiusKey::new(b"twelve chars").unwrap().is_short() && !key().is_short());
}
