use super::*;

#[test]
fn packets_of_each_code() {
    let identity =
        Eap { code: EapCode::Response, identifier: 9, method: Some(method::IDENTITY), data: b"alice" };
    let mut room = [0; 64];
    let bytes = identity.write(&mut room).unwrap();
    assert_eq!(bytes, b"\x02\x09\x00\x0a\x01alice");
    assert_eq!(Eap::parse(bytes), Some(identity));
    assert_eq!(Eap::parse(b"\x03\x09\x00\x04padding").unwrap().code, EapCode::Success);
}

#[test]
fn what_is_no_eap_packet() {
    for broken in [
        &b""[..],
        b"\x01\x01\x00",
        b"\x01\x01\x00\x03",
        b"\x01\x01\x00\x06\x01",
        b"\x05\x01\x00\x04",
        b"\x01\x01\x00\x04",
        b"\x03\x01\x00\x05x",
    ] {
        assert_eq!(Eap::parse(broken), None, "{broken:?}");
    }
    let long = Eap { code: EapCode::Request, identifier: 0, method: Some(1), data: &[0; 32] };
    assert_eq!(long.write(&mut [0; 36]), None);
}
