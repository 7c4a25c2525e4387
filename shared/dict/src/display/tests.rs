use proptest::prelude::*;

use crate::value::tests::all_types;

fn shown(name: &str, value: &[u8]) -> String {
    let dictionary = all_types();
    dictionary.display(dictionary.attribute(name).unwrap(), value)
}

#[test]
fn values_are_shown_as_they_are_written() {
    assert_eq!(shown("string", b"Hello"), "\"Hello\"");
    assert_eq!(shown("integer", &[0, 0, 0, 2]), "Framed-User");
    assert_eq!(shown("integer", &[0, 0, 0, 3]), "3");
    assert_eq!(shown("signed", &[255, 255, 255, 254]), "-2");
    assert_eq!(shown("ipaddr", &[192, 0, 2, 1]), "192.0.2.1");
    assert_eq!(shown("ipv6prefix", &[0, 32, 0x20, 1, 0xd, 0xb8]), "2001:db8::/32");
    assert_eq!(shown("ipv4prefix", &[0, 24, 192, 0, 2, 0]), "192.0.2.0/24");
    assert_eq!(shown("ifid", &[0, 0, 0, 0, 0, 10, 0, 31]), "0:0:a:1f");
    assert_eq!(shown("ether", &[0, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f]), "00:1b:2c:3d:4e:5f");
    assert_eq!(shown("octets", &[1, 2]), "0x0102");
}

#[test]
fn octets_of_another_type_are_shown_in_hexadecimal() {
    assert_eq!(shown("integer", &[1]), "0x01");
    assert_eq!(shown("ipaddr", &[]), "0x");
    assert_eq!(shown("ipv6prefix", &[0; 19]), format!("0x{}", "00".repeat(19)));
    assert_eq!(shown("ether", &[1; 7]), "0x01010101010101");
}

/// Log and terminal escapes, line separators, direction marks.
#[test]
fn hostile_texts_stay_on_their_line() {
    assert_eq!(shown("string", b"a\nb\r\0\x1b[2J"), r#""a\nb\r\u{0}\u{1b}[2J""#);
    assert_eq!(shown("string", "\u{202e}txt\u{2028}\u{85}".as_bytes()), r#""\u{202e}txt\u{2028}\u{85}""#);
    assert_eq!(shown("string", b"\xff\"\\"), r#""\xff\"\\""#);
    assert_eq!(shown("string", "é 你好".as_bytes()), "\"é 你好\"");
}

#[test]
fn secrets_are_not_shown() {
    let mut dictionary = all_types();
    dictionary
        .extend_from_text("s", "ATTRIBUTE S 200 string secret\nATTRIBUTE E 201 string encrypt=2\n")
        .unwrap();
    for name in ["S", "E"] {
        assert_eq!(dictionary.display(dictionary.attribute(name).unwrap(), b"hush"), "<hidden>");
    }
}

proptest! {
    #[test]
    fn any_octets_of_any_type_are_one_printable_line(
        at in 1u32..19,
        octets in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let dictionary = all_types();
        let shown = dictionary.display(dictionary.attribute_by_number(0, &[at]).unwrap(), &octets);
        let hidden = |character: char| character.is_control() || super::moves_text(character);
        prop_assert!(!shown.chars().any(hidden));
    }
}
