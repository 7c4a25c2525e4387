use super::*;

#[test]
fn the_hashes_are_those_of_the_rfc() {
    // RFC 2759 section 9.2.
    assert_eq!(*nt_hash(b"clientPass"), *b"\x44\xEB\xBA\x8D\x53\x12\xB8\xD6\x11\x47\x44\x11\xF5\x69\x89\xAE");
    // The hash of nothing, as every Windows had it.
    let half = *b"\xAA\xD3\xB4\x35\xB5\x14\x04\xEE";
    assert_eq!(lm_hash(b"").as_slice(), [half, half].concat());
}
