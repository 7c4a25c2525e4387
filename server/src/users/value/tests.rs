use forewarn_dict::Dictionary;

use super::*;

#[test]
fn quotes_come_off_as_freeradius_takes_them_off() {
    for (text, is_expanded, bare) in [
        ("plain", false, "plain"),
        ("\"quoted\"", false, "quoted"),
        ("'quoted'", false, "quoted"),
        ("`%{User-Name}`", true, "%{User-Name}"),
        ("\"unbalanced", false, "\"unbalanced"),
        ("\"a\"b\"", false, "a"),
        ("\"a\\\"b\"", false, "a\\\"b"),
        ("\"", false, "\""),
        ("\"\"", false, ""),
        ("", false, ""),
    ] {
        assert_eq!(unquote(text), (is_expanded, bare), "{text:?}");
    }
}

#[test]
fn escapes_are_those_of_freeradius() {
    for (text, octets) in [
        (r"a\nb", "a\nb"),
        (r"a\\b", r"a\b"),
        (r"a\.b", r"a\.b"),
        (r#"a\"b"#, "a\"b"),
        (r"a\'b", r"a\'b"),
        (r"\x41", r"\x41"),
        (r"\101", "A"),
        (r"\0", r"\0"),
        ("a\\", "a\\"),
    ] {
        assert_eq!(unescape(text.as_bytes()), octets.as_bytes(), "{text:?}");
    }
}

#[track_caller]
fn octets(name: &str, text: &str) -> Option<Vec<u8>> {
    let dictionary = Dictionary::embedded();
    read(dictionary.attribute(name).unwrap(), text, dictionary).ok()
}

#[test]
fn values_are_read_as_freeradius_reads_them() {
    for (name, text, number) in [
        ("Session-Timeout", "10", Some(10)),
        ("Session-Timeout", " 10 ", Some(10)),
        ("Session-Timeout", "", Some(0)),
        ("Session-Timeout", "0x10", Some(16)),
        ("Session-Timeout", "-1", Some(u32::MAX)),
        ("Session-Timeout", "4294967295", Some(u32::MAX)),
        ("Session-Timeout", "4294967296", Some(0)),
        ("Session-Timeout", "ten", None),
        ("Session-Timeout", "10s", None),
        ("Service-Type", "Framed-User", Some(2)),
        ("Service-Type", "framed-user", Some(2)),
        ("Service-Type", "Foo-User", None),
        ("Framed-IP-Address", "10.0.0.1", Some(0x0a00_0001)),
        ("Framed-IP-Address", "10.0.0.1/32", Some(0x0a00_0001)),
        ("Framed-IP-Address", "10.0.0.1/24", None),
        ("Framed-IP-Address", "1", Some(1)),
        ("Expiration", "Jan 1 2030 00:00:00 UTC", Some(1_893_456_000)),
        ("Expiration", "1 Jan 2030 00:00 UTC", Some(1_893_456_000)),
        ("Expiration", "January 1, 2030 00:00:00 UTC", Some(1_893_456_000)),
        ("Expiration", "1893456000", Some(1_893_456_000)),
        ("Expiration", "2030", Some(2030)),
        ("Expiration", "", Some(0)),
        ("Expiration", "garbage", None),
        ("Expiration", "Jan 2030", None),
    ] {
        let expected = number.map(|number: u32| number.to_be_bytes().to_vec());
        assert_eq!(octets(name, text), expected, "{name} {text:?}");
    }
}

#[test]
fn values_stand_in_the_order_that_freeradius_sees() {
    use Ordering::{Equal, Greater, Less};
    let order_of = |name: &str, value: &str, item: &str| {
        let data_type = Dictionary::embedded().attribute(name).unwrap().data_type();
        order(data_type, &octets(name, value).unwrap(), &octets(name, item).unwrap())
    };
    for (name, value, item, expected) in [
        ("NAS-Port", "5", "4", Some(Greater)),
        // Numbers half the range apart wrap around.
        ("NAS-Port", "4294967295", "5", Some(Less)),
        ("NAS-IP-Address", "10.0.0.1", "10.0.0.2", Some(Less)),
        ("NAS-IP-Address", "10.0.0.1", "200.0.0.1", Some(Greater)),
        ("NAS-Identifier", "ap1", "AP1", Some(Greater)),
        ("NAS-Identifier", "ap1", "ap1", Some(Equal)),
        ("Class", "0x616263", "0x616264", Some(Less)),
        ("Class", "0x616263", "0x61626300", Some(Greater)),
        ("Class", "abc", "0x616263", Some(Equal)),
        ("NAS-IPv6-Address", "2001:db8::1", "2001:db8::2", Some(Less)),
        // What lies within is less, what lies beside compares with nothing.
        ("Framed-IPv6-Prefix", "2001:db8::/64", "2001:db8::/48", Some(Less)),
        ("Framed-IPv6-Prefix", "2001:db8::/48", "2001:db8::/64", Some(Greater)),
        ("Framed-IPv6-Prefix", "2001:db8::/64", "2001:db9::/64", None),
    ] {
        assert_eq!(order_of(name, value, item), expected, "{name} {value} {item}");
    }
}
