use proptest::prelude::*;

use super::*;

fn wire(name: &str, value: &str) -> Vec<u8> {
    Dictionary::embedded().pair(name, Value::Text(value)).unwrap().wire().unwrap()
}

fn refused(name: &str, value: &str) -> String {
    Dictionary::embedded().pair(name, Value::Text(value)).unwrap_err().to_string()
}

#[test]
fn standard_attributes() {
    assert_eq!(wire("reply-message", "Hello"), *b"\x12\x07Hello");
    assert_eq!(
        wire("Framed-IPv6-Prefix", "2001:db8::/64"),
        *b"\x61\x14\0\x40\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0"
    );
    assert_eq!(wire("Attr-200", "0x0102"), [200, 4, 1, 2]);
    assert_eq!(wire("Attr-27", "60"), [27, 6, 0, 0, 0, 60]);
}

/// RFC 2868 3.1 to 3.6.
#[test]
fn tagged_attributes() {
    assert_eq!(wire("Tunnel-Type", "VLAN"), [64, 6, 0, 0, 0, 13]);
    assert_eq!(wire("Tunnel-Type:1", "VLAN"), [64, 6, 1, 0, 0, 13]);
    assert_eq!(wire("Tunnel-Private-Group-Id", "120"), *b"\x51\x05120");
    assert_eq!(wire("Tunnel-Private-Group-Id:31", "120"), *b"\x51\x06\x1f120");
    // Without a tag of its own, a text that begins like a tag gets one.
    assert_eq!(wire("Tunnel-Private-Group-Id", "\u{1}20"), *b"\x51\x06\0\x0120");
    assert_eq!(refused("Tunnel-Type:32", "VLAN"), "\"Tunnel-Type:32\" has no tag of 0 to 31; write NAME:TAG");
    assert!(refused("User-Name:1", "x").contains("has no tags"));
}

#[test]
fn long_values_go_on_in_further_attributes_where_they_may() {
    let long = format!("0x{}", "ab".repeat(300));
    let eap = wire("EAP-Message", &long);
    assert_eq!((eap.len(), &eap[..2], &eap[255..257]), (304, &[79, 255][..], &[79, 49][..]));
    assert_eq!(
        refused("Reply-Message", &"x".repeat(254)),
        "Reply-Message: a value of 254 octets; at most 253 fit"
    );
}

#[test]
fn vendors_attributes_in_each_format() {
    assert_eq!(wire("Cisco-AVPair", "shell:priv-lvl=15"), *b"\x1a\x19\0\0\0\x09\x01\x13shell:priv-lvl=15");
    assert_eq!(wire("Attr-26.9.200", "0x61"), *b"\x1a\x09\0\0\0\x09\xc8\x03a");
    assert_eq!(
        refused("Cisco-AVPair", &"x".repeat(248)),
        "Cisco-AVPair: a value of 248 octets; at most 247 fit"
    );
    let mut dictionary = Dictionary::default();
    let lines = "VENDOR Usr 429 format=4,0\nVENDOR Lucent 4846 format=2,1\nVENDOR Starent 8164 format=2,2\n\
                 ATTRIBUTE U 0x9018 string Usr\nATTRIBUTE L 269 string Lucent\nATTRIBUTE S 2 string Starent\n";
    dictionary.extend_from_text("formats", lines).unwrap();
    let wire = |name| dictionary.pair(name, Value::Text("ab")).unwrap().wire().unwrap();
    assert_eq!(wire("U"), *b"\x1a\x0c\0\0\x01\xad\0\0\x90\x18ab");
    assert_eq!(wire("L"), *b"\x1a\x0b\0\0\x12\xee\x01\x0d\x05ab");
    assert_eq!(wire("S"), *b"\x1a\x0c\0\0\x1f\xe4\0\x02\0\x06ab");
}

/// WiMAX: a continuation octet, and TLVs inside.
#[test]
fn wimax() {
    assert_eq!(wire("WiMAX-Release", "1.0"), *b"\x1a\x0e\0\0\x60\xb5\x01\x08\0\x01\x051.0");
    let long = wire("WiMAX-AAA-Session-Id", &format!("0x{}", "00".repeat(300)));
    assert_eq!((long[1], long[7], long[8]), (255, 249, 0x80));
    assert_eq!((long[256], long[262], long[263]), (63, 57, 0));
}

/// RFC 6929 2.1 to 2.4.
#[test]
fn extended_attributes() {
    assert_eq!(wire("Frag-Status", "Fragmentation-Supported"), [241, 7, 1, 0, 0, 0, 1]);
    let mut dictionary = Dictionary::embedded().clone();
    let lines = "ATTRIBUTE Long 245.9 octets\nATTRIBUTE Short 241.99 octets\n";
    dictionary.extend_from_text("extended", lines).unwrap();
    let pair = |name, value: &str| dictionary.pair(name, Value::Text(value));
    let long = pair("Long", &format!("0x{}", "07".repeat(300))).unwrap().wire().unwrap();
    assert_eq!((&long[..4], &long[255..259]), (&[245, 255, 9, 0x80][..], &[245, 53, 9, 0][..]));
    assert_eq!(pair("Short", "ab").unwrap().wire().unwrap(), *b"\xf1\x05\x63ab");
    assert!(matches!(pair("Short", &"x".repeat(253)), Err(PairError::TooLong { room: 252, .. })));
    assert_eq!(
        pair("FreeRADIUS-802.1X-Anonce", "0x0a0b").unwrap().wire().unwrap(),
        [245, 11, 26, 0, 0, 0, 0x2c, 0x50, 1, 0x0a, 0x0b]
    );
    assert_eq!(pair("Attr-241.77", "0x05").unwrap().wire().unwrap(), [241, 4, 77, 5]);
    assert_eq!(pair("Attr-245.26.9.3", "0x05").unwrap().wire().unwrap(), [245, 10, 26, 0, 0, 0, 0, 9, 3, 5]);
}

#[test]
fn hidden_values_wait_for_the_packet() {
    let dictionary = Dictionary::embedded();
    let pair = dictionary.pair("Tunnel-Password:1", Value::Text("hush")).unwrap();
    assert_eq!(pair.wire(), Err(PairError::Hidden { name: "Tunnel-Password".into() }));
    assert_eq!(
        (pair.value(), pair.tag(), pair.encrypt()),
        (&b"hush"[..], Some(1), Some(Encrypt::TunnelPassword))
    );
    assert_eq!(pair.wire_hidden(&[0x80, 0x01, 9, 9]).unwrap(), [69, 7, 1, 0x80, 0x01, 9, 9]);
    assert!(!format!("{pair:?}").contains("hush") && !format!("{pair:?}").contains("104"));
    // RFC 2868 3.5: the tag is always there, 0 when it means nothing.
    let pair = dictionary.pair("Tunnel-Password", Value::Text("hush")).unwrap();
    assert_eq!(pair.wire_hidden(&[0x80, 0x01]).unwrap(), [69, 5, 0, 0x80, 0x01]);
    let key = dictionary.pair("MS-MPPE-Send-Key", Value::Text("0x00010203")).unwrap();
    assert_eq!(key.wire_hidden(&[0x80, 0x01, 7]).unwrap(), *b"\x1a\x0b\0\0\x01\x37\x10\x05\x80\x01\x07");
    assert!(refused("Tunnel-Password", &"x".repeat(250)).contains("at most"));
}

#[test]
fn names_that_are_none() {
    assert_eq!(
        refused("Session-Timeuot", "1"),
        "unknown attribute \"Session-Timeuot\"; did you mean Session-Timeout?"
    );
    assert!(refused("Nonsense-Entirely", "1").contains("Attr-26.VENDOR.N"));
    assert!(refused("Cleartext-Password", "x").contains("never goes into a packet"));
    for name in
        ["Attr-0", "Attr-256", "Attr-26.9", "Attr-1.2", "Attr-26.9.256", "Attr-", "Attr-x", "Attr-241.256"]
    {
        assert!(refused(name, "0x00").starts_with("unknown attribute"), "{name}");
    }
    assert_eq!(
        refused("Service-Type", "Elephantine"),
        "Service-Type: \"Elephantine\" is no value of Service-Type; give a number or one of the names its dictionary has"
    );
}

/// Walks attribute by attribute: every length is right.
fn frames(mut octets: &[u8]) -> bool {
    while !octets.is_empty() {
        let Some(length) = octets.get(1).map(|length| usize::from(*length)) else { return false };
        if length < 2 || length > octets.len() {
            return false;
        }
        octets = &octets[length..];
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_attribute_with_any_octets_frames_or_is_refused(
        at in any::<prop::sample::Index>(),
        tag in proptest::option::of(0u8..32),
        octets in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let dictionary = Dictionary::embedded();
        let all: Vec<&Attribute> = dictionary.attributes().filter(|attribute| !attribute.is_internal()).collect();
        let attribute = at.get(&all);
        if let Ok(pair) = dictionary.pair_of_octets(attribute, tag, octets.clone()) {
            let wire = pair.wire().or_else(|_| pair.wire_hidden(&octets));
            if let Ok(wire) = wire {
                prop_assert!(frames(&wire), "{attribute:?} {wire:?}");
            }
        }
    }

    #[test]
    fn no_name_panics(name in "(Attr-)?[0-9.:a-z]{0,20}", value in "\\PC{0,10}") {
        let _ = Dictionary::embedded().pair(&name, Value::Text(&value));
    }
}
