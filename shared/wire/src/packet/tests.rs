use super::*;

const HEAD: [u8; 20] = [1, 7, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

fn with(attributes: &[u8]) -> Vec<u8> {
    let mut bytes = [&HEAD, attributes].concat();
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

#[test]
fn a_bare_header_is_a_packet() {
    let packet = Packet::parse(&HEAD).unwrap();
    let packet = packet.peek();
    assert_eq!((packet.code(), packet.identifier()), (Code::ACCESS_REQUEST, 7));
    assert_eq!(packet.authenticator()[..], HEAD[4..]);
    assert_eq!(packet.attributes().count(), 0);
    assert!(packet.eap_message().is_none());
}

#[test]
fn padding_is_ignored_and_a_missing_octet_is_not() {
    let padded = [&HEAD[..], b"\x01\x05"].concat();
    assert_eq!(Packet::parse(&padded).unwrap().peek().bytes(), HEAD);
    assert_eq!(Packet::parse(&HEAD[..19]), Err(FrameError::Short { octets: 19 }));
    let mut longer = HEAD;
    longer[3] = 21;
    assert_eq!(Packet::parse(&longer), Err(FrameError::Truncated { length: 21, octets: 20 }));
}

#[test]
fn the_first_of_several_is_found_and_empty_values_are_carried() {
    let bytes = with(b"\x19\x02\x21\x03a\x21\x03b");
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.peek().find(25), Some(&b""[..]));
    assert_eq!(packet.peek().find(33), Some(&b"a"[..]));
    assert_eq!(packet.peek().find(1), None);
    let offsets: Vec<usize> = packet.peek().attributes().map(|a| a.offset).collect();
    assert_eq!(offsets, [20, 22, 25]);
}

#[test]
fn the_longest_packet_is_one_and_a_longer_one_is_not() {
    let attributes = [&[1u8, 254][..], &[b'x'; 252][..]].concat().repeat(16);
    let bytes = with(&[&attributes[..], &[1, 12], &[b'y'; 10]].concat());
    assert_eq!(bytes.len(), MAX_PACKET);
    assert!(Packet::parse(&bytes).is_ok());
    let longer = with(&[&attributes[..], &[1, 13], &[b'y'; 11]].concat());
    assert_eq!(Packet::parse(&longer), Err(FrameError::LengthField { length: MAX_PACKET + 1 }));
}

#[test]
fn debug_shows_no_value() {
    let bytes = with(b"\x02\x08secret\x01\x07alice");
    let shown = format!("{:?}", Packet::parse(&bytes).unwrap().peek());
    assert_eq!(shown, "Access-Request id 7 [2 1]");
}
