use proptest::prelude::*;

use super::*;

fn encode(name: &str, value: Value<'_>) -> Result<Vec<u8>, String> {
    let dictionary = all_types();
    let attribute = dictionary.attribute(name).unwrap();
    dictionary.encode_value(attribute, value).map_err(|error| error.to_string())
}

fn text(name: &str, text: &str) -> Result<Vec<u8>, String> {
    encode(name, Value::Text(text))
}

/// One attribute of each type, named for it.
pub(crate) fn all_types() -> Dictionary {
    let mut dictionary = Dictionary::default();
    let types = "string octets octets[3] byte short integer integer64 signed date ipaddr ipv6addr combo-ip ipv4prefix \
                 ipv6prefix ifid ether abinary tlv";
    let mut lines: String = types
        .split_whitespace()
        .enumerate()
        .map(|(at, name)| format!("ATTRIBUTE {} {} {name}\n", name.replace(['[', ']'], "-"), at + 1))
        .collect();
    lines += "ATTRIBUTE tagged 100 integer has_tag\nVALUE tagged VLAN 13\nVALUE integer Framed-User 2\n";
    dictionary.extend_from_text("types", &lines).unwrap();
    dictionary
}

#[test]
fn values_of_each_type() {
    assert_eq!(text("string", "Hello, \"ä\"\n").unwrap(), "Hello, \"ä\"\n".as_bytes());
    assert_eq!(encode("string", Value::Number(120)).unwrap(), b"120");
    assert_eq!(text("octets", "0x00ff").unwrap(), [0, 255]);
    assert_eq!(text("octets", "plain").unwrap(), b"plain");
    assert_eq!(text("octets-3-", "0x010203").unwrap(), [1, 2, 3]);
    assert_eq!(text("byte", "255").unwrap(), [255]);
    assert_eq!(text("short", "0x1234").unwrap(), [0x12, 0x34]);
    assert_eq!(encode("integer", Value::Number(3600)).unwrap(), [0, 0, 14, 16]);
    assert_eq!(text("integer", "framed-user").unwrap(), [0, 0, 0, 2]);
    assert_eq!(text("integer64", "18446744073709551615").unwrap(), [255; 8]);
    assert_eq!(encode("signed", Value::Number(-2)).unwrap(), [255, 255, 255, 254]);
    assert_eq!(text("ipaddr", "192.0.2.1").unwrap(), [192, 0, 2, 1]);
    assert_eq!(text("ipv6addr", "2001:db8::1").unwrap()[..4], [0x20, 1, 0xd, 0xb8]);
    assert_eq!(text("combo-ip", "192.0.2.1").unwrap().len(), 4);
    assert_eq!(text("combo-ip", "::1").unwrap().len(), 16);
    assert_eq!(text("ipv4prefix", "192.0.2.77/24").unwrap(), [0, 24, 192, 0, 2, 0]);
    assert_eq!(text("ipv4prefix", "192.0.2.77").unwrap(), [0, 32, 192, 0, 2, 77]);
    assert_eq!(text("ipv4prefix", "192.0.2.77/0").unwrap(), [0, 0, 0, 0, 0, 0]);
    assert_eq!(
        text("ipv6prefix", "2001:db8:ff::/33").unwrap(),
        *b"\0\x21\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0"
    );
    assert_eq!(text("ipv6prefix", "::/0").unwrap(), [0; 18]);
    assert_eq!(text("ifid", "0:0:a:1f").unwrap(), [0, 0, 0, 0, 0, 10, 0, 31]);
    assert_eq!(text("ether", "00:1b:2C:3d:4e:5f").unwrap(), [0, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f]);
    assert_eq!(text("ether", "00-1b-2c-3d-4e-5f").unwrap(), [0, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f]);
    assert_eq!(text("abinary", "0x0102").unwrap(), [1, 2]);
    assert_eq!(text("tlv", "0x010361").unwrap(), [1, 3, b'a']);
    assert_eq!(text("tagged", "VLAN").unwrap(), [0, 0, 0, 13]);
}

#[test]
fn dates_of_each_form() {
    let new_year = 1_767_225_600_u32.to_be_bytes();
    for form in
        ["1767225600", "2026-01-01", "2026-01-01T00:00:00Z", "Jan 1 2026", "Jan  1, 2026 00:00:00 UTC"]
    {
        assert_eq!(text("date", form).unwrap(), new_year, "{form}");
    }
    assert_eq!(text("date", "2024-02-29 12:00:01").unwrap(), 1_709_208_001_u32.to_be_bytes());
    assert_eq!(text("date", "1970-01-01").unwrap(), [0; 4]);
    assert_eq!(text("date", "2106-02-07T06:28:15Z").unwrap(), [255; 4]);
    for wrong in
        ["2106-02-07T06:28:16Z", "2026-02-29", "2026-13-01", "1969-12-31", "Foo 1 2026", "", "1-1", "24:00"]
    {
        assert!(text("date", wrong).is_err(), "{wrong}");
    }
}

#[test]
fn wrong_values_say_what_would_be_right() {
    for (name, value, expected) in [
        ("string", "", "an empty text; leave the attribute out"),
        (
            "octets",
            "0x123",
            "\"0x123\" is no hexadecimal number; write 0x and an even number of digits, 0-9 a-f",
        ),
        ("octets-3-", "0x01", "a value of 1 octets; give exactly 3"),
        ("byte", "256", "256 is too large for byte; give 0 to 255"),
        ("integer", "Framed-Usr", "\"Framed-Usr\" is no value of integer; did you mean Framed-User?"),
        ("integer", "-1", "\"-1\" is no value of integer; give a number or one of Framed-User"),
        ("short", "many", "\"many\" is no value of short; give a number (short)"),
        ("tagged", "16777216", "16777216 is too large for tagged; give 0 to 16777215"),
        ("ipaddr", "192.0.2", "\"192.0.2\" is no ipaddr; write an address such as 192.0.2.1"),
        (
            "ipv4prefix",
            "192.0.2.0/33",
            "\"192.0.2.0/33\" is no ipv4prefix; write a prefix such as 192.0.2.0/24",
        ),
        ("ether", "1:2:3:4:5", "\"1:2:3:4:5\" is no ether; write six octets such as 00:1b:2c:3d:4e:5f"),
        ("abinary", "ip in drop", "\"ip in drop\" is no abinary; write the filter's octets as 0x..."),
        ("tlv", "x", "\"x\" is no tlv; name an attribute inside it, or write its octets as 0x..."),
    ] {
        assert_eq!(text(name, value).unwrap_err(), expected, "{name} {value}");
    }
    assert_eq!(
        encode("ipaddr", Value::Number(5)).unwrap_err(),
        "5 is no ipaddr; write an address such as 192.0.2.1"
    );
}

proptest! {
    #[test]
    fn no_value_panics_and_what_is_shown_can_be_written(at in 1u32..19, value in "\\PC{0,40}") {
        let dictionary = all_types();
        let attribute = dictionary.attribute_by_number(0, &[at]).unwrap();
        if let Ok(octets) = dictionary.encode_value(attribute, Value::Text(&value)) {
            let shown = dictionary.display(attribute, &octets);
            if attribute.data_type() != DataType::Text {
                prop_assert_eq!(dictionary.encode_value(attribute, Value::Text(&shown)).unwrap(), octets);
            }
        }
    }

    #[test]
    fn octets_come_back_from_what_is_shown(at in 4u32..18, octets in prop::collection::vec(any::<u8>(), 0..18)) {
        let dictionary = all_types();
        let attribute = dictionary.attribute_by_number(0, &[at]).unwrap();
        let shown = dictionary.display(attribute, &octets);
        prop_assert!(!shown.chars().any(char::is_control));
        if !shown.starts_with("0x") && !matches!(attribute.data_type(), DataType::Ipv4Prefix | DataType::Ipv6Prefix) {
            prop_assert_eq!(dictionary.encode_value(attribute, Value::Text(&shown)).unwrap(), octets);
        }
    }
}
