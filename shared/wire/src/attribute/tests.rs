use super::*;

fn one(number: u8, value: &[u8]) -> Attribute<'_> {
    Attribute { number, value, offset: 0 }
}

#[test]
fn values_of_the_wrong_length_have_no_reading() {
    assert_eq!(one(27, &[0, 0, 14, 16]).integer(), Some(3600));
    assert_eq!(one(27, &[0, 14, 16]).integer(), None);
    assert_eq!(one(4, &[10, 0, 0, 1]).ipv4(), Some([10, 0, 0, 1].into()));
    assert_eq!(one(95, &[0; 15]).ipv6(), None);
    assert_eq!(one(1, &[0, 0, 0, 0, 0, 0, 1, 0]).integer64(), Some(256));
}

#[test]
fn a_tag_above_1f_is_text() {
    assert_eq!(one(81, b"\x01120").tagged(), (Some(1), &b"120"[..]));
    assert_eq!(one(81, b"\x00120").tagged(), (Some(0), &b"120"[..]));
    assert_eq!(one(81, b"120").tagged(), (None, &b"120"[..]));
    assert_eq!(one(81, b"").tagged(), (None, &b""[..]));
    assert_eq!(one(64, &[3, 0, 0, 13]).tagged_integer(), Some((3, 13)));
}

#[test]
fn a_vendor_out_of_format_is_opaque() {
    let specific = |value| one(26, value).vendor().unwrap();
    assert!(specific(b"\0\0\0\x09\x01\x05abc").attributes(VendorFormat::STANDARD).is_some());
    for broken in [
        &b"\0\0\0\x09"[..],
        b"\0\0\0\x09\x01",
        b"\0\0\0\x09\x01\x01",
        b"\0\0\0\x09\x01\x06abc",
        b"\0\0\0\x09\x01\x05abc\x02",
    ] {
        let opaque = specific(broken);
        assert!(opaque.attributes(VendorFormat::STANDARD).is_none(), "{broken:?}");
        assert_eq!(opaque.vendor, 9);
    }
    assert!(one(26, b"\0\0\x09").vendor().is_none());
    assert!(one(25, b"\0\0\0\x09\x01\x05abc").vendor().is_none());
}

#[test]
fn continuation_octets_are_seen() {
    let format = VendorFormat { continuation: true, ..VendorFormat::STANDARD };
    let attribute = one(26, b"\0\0\x60\xb5\x05\x05\x80ab\x05\x04\x00c");
    let inside: Vec<_> = attribute.vendor().unwrap().attributes(format).unwrap().collect();
    assert_eq!(
        inside.iter().map(|v| (v.number, v.value, v.more)).collect::<Vec<_>>(),
        [(5, &b"ab"[..], true), (5, &b"c"[..], false)]
    );
}

#[test]
fn tlvs_fill_their_container_exactly() {
    assert_eq!(
        tlvs(b"\x01\x03a\x02\x04bc").unwrap().map(|t| t.value).collect::<Vec<_>>(),
        [&b"a"[..], b"bc"]
    );
    for broken in [&b""[..], b"\x01", b"\x01\x02", b"\x01\x04a", b"\x01\x03a\x02"] {
        assert!(tlvs(broken).is_none(), "{broken:?}");
    }
}

#[test]
fn a_fragment_without_its_end_is_no_value() {
    let list =
        Attributes::parse(b"\xf5\x05\x01\x80a\x01\x03x\xf5\x05\x02\x00y\xf5\x05\x01\x00b\xf5\x05\x01\x80c")
            .unwrap();
    let values: Vec<_> = ExtendedValues::new(list, 245, 1).collect();
    assert_eq!(values.len(), 1);
    let mut room = [0; 8];
    assert_eq!(values[0].copy_to(&mut room), Some(&b"ab"[..]));
    assert_eq!(values[0].copy_to(&mut room[..1]), None);
}
