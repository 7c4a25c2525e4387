//! The hashes were made by libxcrypt, OpenSSL and the reference argon2, not by the crates that verify them.

use super::*;

const WONDERLAND: &[&str] = &[
    "$y$j9T$saltsaltsalt$YGJwho8qFb0sQWS/muCn40vYpnNIrNetvloUr87erO3",
    "$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu",
    "$2y$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu",
    "$2a$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu",
    "$6$rounds=5000$abc$ryU/ptrZekM0GUQRQr/onWiNc1dRRjDYiRpfHW0IHcZC5irNaVYh6ZJ7qRg2kXXyyOkHip6fbLxIVTS5l2gs//",
    "$5$rounds=1400$anotherlongsalts$cyuDkCqB0sGbV2L8vcp1D4adNy/B0YBSBqG1s18k.o6",
    "{CRYPT}$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu",
];

const WONDERLAND_FAST: &[&str] = &[
    "{SSHA}qo8vLGMGFKdzeyV9gRhnD6K86mcBAnNhbHQ=",
    "{ssha}qo8vLGMGFKdzeyV9gRhnD6K86mcBAnNhbHQ",
    "{SSHA256}7aqzzyuIV+ankNFP/O2gs49MpdI/XQLYiKKfVAikM4gBAnNhbHQ=",
    "{SSHA512}UCkg61L19dsnmNmzb88n75grNoPfriM/JspE2kM2xpKGglYbwWZgSiotO30IfMK8wcHSdNiQnNpeYcJQhgxQtgECc2FsdA==",
    "{SMD5}YWD2NSjOLa/xhUXu+cYTkgECc2FsdA==",
    "{SHA}tiY7sUhYKUwI5L3866kDY+ENcrQ=",
    "{SHA256}pxp8cBH1OhurNkLsLOElk/BSMKzo3h4+dkX2nvrBRD0=",
    "{SHA512}ku0fDfoQrWtagdEFYHEbjQ9c9VgiIcfBTHy9WUlYxzC0akkZeapved5X1TI3/zY9iEZNFBBxylKvMcYzgvbHpg==",
    "{MD5}TOyv8rMLvnXOcyIQkWTPtQ==",
];

const WITH_SPACE_AND_ACCENT: &[&str] = &[
    "$1$saltsalt$SBvugBdUgYKMsfX793w2u/",
    "$5$saltsalt$DAMeK7YC3sCdS4CvYObjIlQTrBUlO5BCadLioKH3tFA",
    "$6$saltsalt$YxHB.BQvUFHOu0iTH3kaNsMcCiNVbd4wuEcszUvC7VfxAI0T44zlcZ5MHzl63n589pHMFhG1Maq8iUXVcEfY21",
];

const ONE_OCTET: &[&str] = &[
    "$1$ab$e2KlfqG5YBMTjSz7XF.Eu1",
    "$5$ab$5ydlOaPxAq0VpamGFK.BZgHF7HlR0erJsH.F7VB19f0",
    "$6$ab$jnZj29NS/hK2GaouP6AGMIBwD6owZFRejcn9QRdlwSjZaVr.fR9dH2TXrKL/PaacUXwtGfI.4O9zxvy2k6fbE1",
];

fn assert_verifies(hashes: &[&str], password: &str, slow: bool) {
    for text in hashes {
        let stored = Password::hash(text).unwrap();
        assert_eq!(stored.is_slow(), slow, "{text}");
        assert!(stored.matches(password.as_bytes()), "{text}");
        assert!(!stored.matches(format!("{password}x").as_bytes()), "{text}");
        assert!(!stored.matches(&password.as_bytes()[1..]), "{text}");
        assert!(!stored.matches(b""), "{text}");
    }
}

#[test]
fn hashes_made_elsewhere_verify() {
    assert_verifies(WONDERLAND, "wonderland", true);
    assert_verifies(WONDERLAND_FAST, "wonderland", false);
    assert_verifies(WITH_SPACE_AND_ACCENT, "wonder land é", true);
    assert_verifies(ONE_OCTET, "x", true);
    let long = "a very long password of more than sixteen octets";
    assert_verifies(&["$1$saltsalt$r2ELL3WRmMdh3SA6GB/xa1"], long, true);
    let reference = "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG";
    assert_verifies(&[reference], "password", true);
}

#[test]
fn an_nt_hash_is_md4_of_utf_16() {
    // RFC 2759 section 9.2.
    let stored = Password::nt_hash("44EBBA8D5312B8D611474411F56989AE").unwrap();
    assert!(stored.matches(b"clientPass"));
    assert!(!stored.matches(b"clientpass"));
    assert!(!stored.is_slow());
    let stored = Password::nt_hash("0xf3d0376250a3f6bc1b00a6cb5f3e03a6").unwrap();
    assert!(stored.matches("wönderland€😀".as_bytes()));
    assert!(!stored.matches(b"w\xff\xfe"));
    for wrong in ["", "44EBBA8D5312B8D611474411F56989A", "44EBBA8D5312B8D611474411F56989AG", "0x"] {
        assert_eq!(Password::nt_hash(wrong).unwrap_err(), PasswordError::NtHash);
    }
}

#[test]
fn clear_text_is_compared_whole() {
    let stored = Password::clear(b"wonderland").unwrap();
    assert!(stored.matches(b"wonderland"));
    for wrong in [&b"wonderlan"[..], b"wonderland\0", b"wonderlandx", b"", b"Wonderland"] {
        assert!(!stored.matches(wrong), "{wrong:?}");
    }
    let longest = [b'x'; LONGEST];
    assert!(Password::clear(&longest).unwrap().matches(&longest));
    assert!(!Password::clear(&longest).unwrap().matches(&longest[1..]));
    assert_eq!(Password::clear(&[b'x'; LONGEST + 1]).unwrap_err(), PasswordError::TooLong);
    assert_eq!(Password::clear(b"").unwrap_err(), PasswordError::Empty);
}

#[test]
fn a_slip_is_found_at_load() {
    for text in
        ["", "wonderland", "$", "$7$abc$def", "{NONE}abc", "{SSHA", "$argon2x$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA"]
    {
        assert_eq!(Password::hash(text).unwrap_err(), PasswordError::Form, "{text}");
    }
    for text in [
        "$1$saltsalt$SBvugBdUgYKMsfX793w2u",
        "$1$saltsaltsalt$SBvugBdUgYKMsfX793w2u/",
        "$5$saltsalt$DAMeK7YC3sCdS4CvYObjIlQTrBUlO5BCadLioKH3tF",
        "$6$saltsalt",
        "$y$j9T$saltsaltsalt",
        "$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5Djl",
        "$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ",
        "{SSHA}not base64!",
        "{SSHA}tiY7sUhYKUwI5L3866kDY+ENcrQ=",
        "{SHA}qo8vLGMGFKdzeyV9gRhnD6K86mcBAnNhbHQ=",
        "{MD5}TOyv",
    ] {
        let error = Password::hash(text).unwrap_err();
        assert!(matches!(error, PasswordError::Malformed { .. }), "{text}: {error}");
    }
}

#[test]
fn debug_shows_the_form_only() {
    let shown = format!("{:?}", Password::clear(b"wonderland").unwrap());
    assert_eq!(shown, "Password(clear text)");
    assert_eq!(format!("{:?}", Password::hash(WONDERLAND[0]).unwrap()), "Password($y$ (yescrypt))");
}
