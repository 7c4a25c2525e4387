use super::*;

fn key() -> RadiusKey {
    RadiusKey::new(b"testing123testing123").unwrap()
}

#[test]
fn an_access_reply_starts_with_message_authenticator() {
    let mut buffer = [0; 64];
    for code in [Code::ACCESS_ACCEPT, Code::ACCESS_REJECT, Code::ACCESS_CHALLENGE] {
        let bare = Writer::new(&mut buffer, code, 0).reply(&key(), &ZEROS);
        assert_eq!(bare, Err(WriteError::MessageAuthenticatorMissing));
        let mut writer = Writer::new(&mut buffer, code, 0);
        writer.integer(number::SESSION_TIMEOUT, 60).unwrap().message_authenticator().unwrap();
        assert_eq!(writer.reply(&key(), &ZEROS), Err(WriteError::MessageAuthenticatorMissing));
        let mut writer = Writer::new(&mut buffer, code, 0);
        writer.message_authenticator().unwrap().integer(number::SESSION_TIMEOUT, 60).unwrap();
        let written = writer.reply(&key(), &ZEROS).unwrap();
        assert_eq!((written[20], written.len()), (number::MESSAGE_AUTHENTICATOR, 44));
    }
}

#[test]
fn message_authenticator_stands_once() {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, Code::ACCESS_ACCEPT, 0);
    writer.message_authenticator().unwrap();
    let repeated = Err(WriteError::MessageAuthenticatorRepeated);
    assert_eq!(writer.message_authenticator().map(|_| ()), repeated);
    assert_eq!(writer.attribute(80, &[0; 16]).map(|_| ()), repeated);
    let list = Attributes::parse(b"\x01\x03x\x50\x03y").unwrap();
    assert_eq!(writer.attributes(list).map(|_| ()), repeated);
    assert_eq!(writer.written().len(), 18);
}

#[test]
fn requests_and_replies_end_their_own_way() {
    let mut buffer = [0; 64];
    let chosen = RequestAuthenticator::Chosen([1; 16]);
    let mut end = |code, authenticator| {
        Writer::new(&mut buffer, code, 0).request(&key(), authenticator).map(<[u8]>::len)
    };
    assert_eq!(end(Code::ACCESS_REQUEST, chosen), Err(WriteError::MessageAuthenticatorMissing));
    assert_eq!(end(Code::ACCESS_REQUEST, RequestAuthenticator::Computed), Err(WriteError::Finish));
    assert_eq!(end(Code::ACCOUNTING_REQUEST, chosen), Err(WriteError::Finish));
    assert_eq!(end(Code::ACCOUNTING_RESPONSE, RequestAuthenticator::Computed), Err(WriteError::Finish));
    assert_eq!(end(Code::ACCOUNTING_REQUEST, RequestAuthenticator::Computed), Ok(20));
    let reply = Writer::new(&mut buffer, Code::ACCESS_REQUEST, 0).reply(&key(), &ZEROS);
    assert_eq!(reply, Err(WriteError::Finish));
}

#[test]
fn a_full_packet_stays_as_it_was() {
    let mut buffer = [0; 5000];
    let mut writer = Writer::new(&mut buffer, Code::ACCESS_CHALLENGE, 0);
    writer.message_authenticator().unwrap();
    while writer.remaining() >= 255 {
        writer.attribute(number::REPLY_MESSAGE, &[b'x'; 253]).unwrap();
    }
    let before = writer.written().len();
    assert_eq!(writer.eap_message(&[0; 400]).map(|_| ()), Err(WriteError::Full));
    assert_eq!(writer.extended(245, 1, &[0; 400]).map(|_| ()), Err(WriteError::Full));
    let mut room = [0; 4096];
    let mut states = Writer::new(&mut room, Code::ACCOUNTING_REQUEST, 0);
    states.attribute(number::PROXY_STATE, b"fits").unwrap();
    states.attribute(number::PROXY_STATE, &[0; 253]).unwrap();
    let states = Packet::parse(states.request(&key(), RequestAuthenticator::Computed).unwrap()).unwrap();
    assert_eq!(writer.proxy_states(states.peek()).map(|_| ()), Err(WriteError::Full));
    assert_eq!(writer.written().len(), before);
    let rest = writer.remaining() - 2;
    writer.attribute(number::REPLY_MESSAGE, &vec![b'x'; rest]).unwrap();
    assert_eq!(writer.reply(&key(), &ZEROS).unwrap().len(), MAX_PACKET);
}

#[test]
fn too_small_a_buffer_is_full_from_the_start() {
    for octets in [0, 3, 19] {
        let mut buffer = vec![0; octets];
        let mut writer = Writer::new(&mut buffer, Code::ACCOUNTING_RESPONSE, 0);
        assert_eq!(writer.attribute(1, b"").map(|_| ()), Err(WriteError::Full));
        assert_eq!((writer.written(), writer.remaining()), (&[][..], 0));
        assert_eq!(writer.reply(&key(), &ZEROS), Err(WriteError::Full));
    }
}

#[test]
fn numbers_and_lengths_that_fit_no_layout() {
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer, Code::ACCESS_ACCEPT, 0);
    let long = [0; 300];
    let two = VendorFormat::new(2, 1, false).unwrap();
    assert_eq!(
        writer.vendor(9, VendorFormat::STANDARD, 256, b"x").map(|_| ()),
        Err(WriteError::Number { number: 256 })
    );
    assert_eq!(writer.vendor(9, two, 65536, b"x").map(|_| ()), Err(WriteError::Number { number: 65536 }));
    assert!(writer.vendor(9, two, 65535, b"x").is_ok());
    assert!(matches!(writer.vendor(9, two, 1, &long), Err(WriteError::TooLong { .. })));
    assert!(matches!(writer.attribute(1, &long), Err(WriteError::TooLong { .. })));
    assert!(matches!(writer.tagged(64, 1, &long), Err(WriteError::TooLong { .. })));
    assert!(matches!(writer.extended(240, 1, b"x"), Err(WriteError::Number { number: 240 })));
    assert!(matches!(writer.extended_tlv(245, 1, &[1], b"x"), Err(WriteError::Number { number: 245 })));
    assert!(matches!(writer.user_password(&key(), &ZEROS, &long), Err(WriteError::TooLong { .. })));
    assert_eq!(VendorFormat::new(3, 1, false), None);
}

#[test]
fn tlvs_nest() {
    let mut buffer = [0; 128];
    let mut writer = Writer::new(&mut buffer, Code::ACCESS_ACCEPT, 0);
    writer.tlv(26, &[1, 2], b"ab").unwrap().extended_tlv(241, 7, &[3], b"c").unwrap();
    assert_eq!(writer.written(), b"\x1a\x08\x01\x06\x02\x04ab\xf1\x06\x07\x03\x03c");
}
