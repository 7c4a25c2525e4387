use super::*;

const AUTHENTICATOR_CHALLENGE: [u8; 16] = *b"[]|}{?/><,`!2&&(";
const PEER_CHALLENGE: [u8; 16] = *b"!@#$%^&*()_+:3|~";
const NT_RESPONSE: [u8; 24] =
    *b"\x82\x30\x9E\xCD\x8D\x70\x8B\x5E\xA0\x8F\xAA\x39\x81\xCD\x83\x54\x42\x33\x11\x4A\x3D\x85\xD6\xDF";
const HASH_OF_HASH: [u8; 16] = *b"\x41\xC0\x0C\x58\x4B\xD2\xD9\x1C\x40\x17\xA2\xA1\x2F\xA5\x9F\x3F";

#[test]
fn version_1_as_in_rfc_2433_section_b_2() {
    let hash = nt_hash(b"MyPw");
    assert_eq!(*hash, *b"\xFC\x15\x6A\xF7\xED\xCD\x6C\x0E\xDD\xE3\x33\x7D\x42\x7F\x4E\xAC");
    let challenge = b"\x10\x2D\xB5\xDF\x08\x5D\x30\x41";
    let expected =
        *b"\x4E\x9D\x3C\x8F\x9C\xFD\x38\x5D\x5B\xF4\xD3\x24\x67\x91\x95\x6C\xA4\xC3\x51\xAB\x40\x9A\x3D\x61";
    assert_eq!(response(challenge, &hash), expected);
    assert!(response_matches(challenge, &hash, &expected));
    for place in 0..RESPONSE {
        let mut wrong = expected;
        wrong[place] ^= 1;
        assert!(!response_matches(challenge, &hash, &wrong));
    }
}

#[test]
fn version_2_as_in_rfc_2759_section_9_2() {
    let hash = nt_hash(b"clientPass");
    assert_eq!(*hash, *b"\x44\xEB\xBA\x8D\x53\x12\xB8\xD6\x11\x47\x44\x11\xF5\x69\x89\xAE");
    let challenge = challenge_hash(&PEER_CHALLENGE, &AUTHENTICATOR_CHALLENGE, bare_name(b"BIGCO\\User"));
    assert_eq!(challenge, *b"\xD0\x2E\x43\x86\xBC\xE9\x12\x26");
    assert_eq!(response(&challenge, &hash), NT_RESPONSE);
    assert_eq!(*hash_of_hash(&hash), HASH_OF_HASH);
    let proof = authenticator_response(&HASH_OF_HASH, &NT_RESPONSE, &challenge);
    assert_eq!(&proof, b"S=407A5589115FD0D6209F510FE9C04566932CDA56");
}

#[test]
fn keys_as_in_rfc_3079_section_3_5() {
    let keys = StartKeys::new(&HASH_OF_HASH, &NT_RESPONSE);
    // 3.5.3; for 40 and 56 bits (3.5.1, 3.5.2) the first eight octets of it.
    assert_eq!(*keys.send, *b"\x8B\x7C\xDC\x14\x9B\x99\x3A\x1B\xA1\x18\xCB\x15\x3F\x56\xDC\xCB");
    assert_ne!(keys.send, keys.receive);
    assert_eq!(format!("{keys:?}"), "StartKeys { .. }");
}

#[test]
fn the_lan_manager_hash_as_in_rfc_3079_section_2_5() {
    assert_eq!(*lm_hash(b"clientPass"), *b"\x76\xa1\x52\x93\x60\x96\xd7\x83\x0e\x23\x90\x22\x74\x04\xaf\xd2");
    // The hash of nothing, as every Windows had it.
    let half = *b"\xAA\xD3\xB4\x35\xB5\x14\x04\xEE";
    assert_eq!(lm_hash(b"").as_slice(), [half, half].concat());
}

#[test]
fn a_name_is_bare_behind_its_domain() {
    for (name, bare) in
        [("User", "User"), ("BIGCO\\User", "User"), ("\\User", "User"), ("a\\b\\c", "b\\c"), ("", "")]
    {
        assert_eq!(bare_name(name.as_bytes()), bare.as_bytes());
    }
}

#[test]
fn answers_are_read_from_attributes_of_the_right_lengths_only() {
    let mut value = [0; 50];
    (value[0], value[2], value[49]) = (7, 1, 9);
    let Some(Answer::Version2 { identifier, peer, response, .. }) = Answer::version2(&[5; 16], &value) else {
        panic!("version 2");
    };
    assert_eq!((identifier, peer[0], response[23]), (7, 1, 9));
    let without_nt = Answer::version1(&[5; 8], &value);
    assert!(matches!(without_nt, Some(Answer::Version1 { identifier: 7, response: None, .. })));
    value[1] = 1;
    let with_nt = Answer::version1(&[5; 8], &value);
    assert!(matches!(with_nt, Some(Answer::Version1 { response: Some(response), .. }) if response[23] == 9));
    for challenge in [0, 7, 9, 15, 17] {
        let challenge = vec![0; challenge];
        assert_eq!(
            (Answer::version1(&challenge, &value), Answer::version2(&challenge, &value)),
            (None, None)
        );
    }
    for length in [0, 1, 49, 51] {
        let value = vec![0; length];
        assert_eq!((Answer::version1(&[0; 8], &value), Answer::version2(&[0; 16], &value)), (None, None));
    }
}
