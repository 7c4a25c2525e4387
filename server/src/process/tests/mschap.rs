//! MS-CHAP by RADIUS's attributes (RFC 2548).

use forewarn_wire::hide::{salted, user_password};
use forewarn_wire::mschap::{self, MICROSOFT, attribute};
use forewarn_wire::{Attributes, number};

use super::*;

const USERS: &str = r#"
[[user]]
name = "User"
password = "clientPass"

[[user]]
name = "hashed"
nt_hash = "44EBBA8D5312B8D611474411F56989AE"

[[user]]
name = "strict"
password = "clientPass"
reply = { MS-MPPE-Encryption-Policy = "Encryption-Required", MS-MPPE-Encryption-Types = 4 }
"#;

const CHALLENGE: [u8; 16] = *b"[]|}{?/><,`!2&&(";
const PEER: [u8; 16] = *b"!@#$%^&*()_+:3|~";

/// One attribute of Microsoft's inside Vendor-Specific.
fn microsoft(number: u32, value: &[u8]) -> Vec<u8> {
    [&MICROSOFT.to_be_bytes()[..], &[number as u8, value.len() as u8 + 2], value].concat()
}

pub(super) fn version2(name: &str, hashed_name: &str, password: &str) -> Ask<'static> {
    let challenge = mschap::challenge_hash(&PEER, &CHALLENGE, hashed_name.as_bytes());
    let response = mschap::response(&challenge, &mschap::nt_hash(password.as_bytes()));
    let value = [&[7, 0][..], &PEER, &[0; 8], &response].concat();
    Ask::new(
        Code::ACCESS_REQUEST,
        &[
            (number::USER_NAME, name.as_bytes()),
            (number::VENDOR_SPECIFIC, &microsoft(attribute::CHALLENGE_ATTRIBUTE, &CHALLENGE)),
            (number::VENDOR_SPECIFIC, &microsoft(attribute::RESPONSE_2, &value)),
        ],
    )
}

fn version1(name: &str, password: &str, flags: u8) -> Ask<'static> {
    let challenge = [9; 8];
    let response = mschap::response(&challenge, &mschap::nt_hash(password.as_bytes()));
    let value = [&[7, flags][..], &[0; 24], &response].concat();
    Ask::new(
        Code::ACCESS_REQUEST,
        &[
            (number::USER_NAME, name.as_bytes()),
            (number::VENDOR_SPECIFIC, &microsoft(attribute::CHALLENGE_ATTRIBUTE, &challenge)),
            (number::VENDOR_SPECIFIC, &microsoft(attribute::RESPONSE_1, &value)),
        ],
    )
}

/// Microsoft's attributes of a reply, by number.
fn found(attributes: &[(u8, Vec<u8>)]) -> Vec<(u32, Vec<u8>)> {
    let own = |(number, value): &(u8, Vec<u8>)| {
        let vendor =
            value.strip_prefix(&MICROSOFT.to_be_bytes()).filter(|_| *number == number::VENDOR_SPECIFIC)?;
        let list = Attributes::parse(vendor).unwrap();
        Some(list.map(|each| (u32::from(each.number), each.value.to_vec())).collect::<Vec<_>>())
    };
    attributes.iter().filter_map(own).flatten().collect()
}

#[test]
fn version_2_is_accepted_with_proof_and_keys() {
    for (name, hashed) in [("User", "User"), ("hashed", "hashed")] {
        let mut bench = Bench::new(testing::config(USERS));
        let ask = version2(name, hashed, "clientPass");
        let (code, attributes) = reply(bench.auth(&ask), &ask);
        assert_eq!((code, bench.counted(Cause::MsChap2)), (Code::ACCESS_ACCEPT, 1));
        let found = found(&attributes);
        let numbers: Vec<u32> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [26, 17, 16, 7, 8], "as FreeRADIUS orders them");
        if name == "User" {
            // RFC 2759 section 9.2, RFC 3079 section 3.5.3.
            assert_eq!(found[0].1, b"\x07S=407A5589115FD0D6209F510FE9C04566932CDA56");
            let mut room = [0; 64];
            let sent =
                salted::reveal(&testing::key(), &testing::AUTHENTICATOR, &found[2].1, &mut room).unwrap();
            assert_eq!(sent, b"\x8B\x7C\xDC\x14\x9B\x99\x3A\x1B\xA1\x18\xCB\x15\x3F\x56\xDC\xCB");
        }
        assert_ne!(found[1].1[..2], found[2].1[..2], "two salts");
        assert_eq!((found[3].1.as_slice(), found[4].1.as_slice()), (&[0, 0, 0, 1][..], &[0, 0, 0, 6][..]));
    }
}

#[test]
fn what_the_user_has_of_mppe_stays() {
    let mut bench = Bench::new(testing::config(USERS));
    let ask = version2("strict", "strict", "clientPass");
    let (_, attributes) = reply(bench.auth(&ask), &ask);
    let found = found(&attributes);
    let policy: Vec<_> = found.iter().filter(|(number, _)| [7, 8].contains(number)).collect();
    assert_eq!(policy, [&(7, vec![0, 0, 0, 2]), &(8, vec![0, 0, 0, 4])]);
}

#[test]
fn a_domain_before_the_name_is_not_hashed() {
    let users = "[[user]]\nname = 'BIGCO\\User'\npassword = \"clientPass\"\n";
    let mut bench = Bench::new(testing::config(users));
    let ask = version2("BIGCO\\User", "User", "clientPass");
    assert_eq!(code(bench.auth(&ask), &ask), Code::ACCESS_ACCEPT);
}

#[test]
fn version_1_is_accepted_with_its_keys() {
    let mut bench = Bench::new(testing::config(USERS));
    let ask = version1("User", "clientPass", 1);
    let (code, attributes) = reply(bench.auth(&ask), &ask);
    assert_eq!((code, bench.counted(Cause::MsChap)), (Code::ACCESS_ACCEPT, 1));
    let found = found(&attributes);
    assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [12, 7, 8]);
    let mut room = [0; user_password::MAX];
    let keys =
        user_password::reveal(&testing::key(), &testing::AUTHENTICATOR, &found[0].1, &mut room).unwrap();
    // Without the zeros at the end, which hiding can't tell from padding.
    let hash_of_hash = mschap::hash_of_hash(&mschap::nt_hash(b"clientPass"));
    assert_eq!(keys, [&[0; 8], &hash_of_hash[..]].concat());
}

#[test]
fn a_reject_says_why_in_its_own_words() {
    let change = |number: u32, length: usize| {
        let value = [&[7, 3][..], &vec![0; length - 2]].concat();
        let name = (number::USER_NAME, &b"User"[..]);
        Ask::new(Code::ACCESS_REQUEST, &[name, (number::VENDOR_SPECIFIC, &microsoft(number, &value))])
    };
    let mut without_challenge = version2("User", "User", "clientPass");
    without_challenge.attributes.remove(1);
    let slow = version2("bob", "bob", "rabbit");
    for (ask, cause, identifier, error) in [
        (version2("User", "User", "wrong"), Cause::WrongPassword, 7, "E=691 R=1 C=XXXXXXXXXXXXXXXX V=3 M="),
        (version2("User", "user", "clientPass"), Cause::WrongPassword, 7, "E=691 R=1 C="),
        (version2("nobody", "nobody", "x"), Cause::UnknownUser, 7, "E=691 R=1 C="),
        (slow, Cause::MsChapNeedsNtHash, 7, "E=691 R=1 C="),
        (without_challenge, Cause::BadCredentials, 7, "E=691 R=1 C="),
        (version1("User", "wrong", 1), Cause::WrongPassword, 7, "E=691 R=1 C="),
        (version1("User", "clientPass", 0), Cause::LanManagerOnly, 7, "E=691 R=1 C="),
        (change(attribute::CHANGE_1, 72), Cause::PasswordChange, 3, "E=709 R=0 C="),
        (change(attribute::CHANGE_2, 86), Cause::PasswordChange, 3, "E=709 R=0 C="),
        (change(attribute::CHANGE_2_2, 70), Cause::PasswordChange, 3, "E=709 R=0 C="),
    ] {
        let mut bench = Bench::new(testing::config(USERS));
        let is_version2 = ask
            .attributes
            .iter()
            .any(|(_, value)| value.get(4).is_some_and(|inner| [25, 27].contains(inner)));
        assert_eq!(bench.auth(&ask), None);
        let (code, attributes) = reply(bench.rejected(), &ask);
        assert_eq!((code, bench.counted(cause)), (Code::ACCESS_REJECT, 1), "{cause:?}");
        let found = found(&attributes);
        let [(attribute::ERROR, value)] = found.as_slice() else { panic!("{found:?}") };
        let text = std::str::from_utf8(&value[1..]).unwrap();
        assert_eq!((value[0], &text[..12]), (identifier, &error[..12]), "{cause:?}");
        let (challenge, version) = text[12..].split_once(' ').unwrap();
        let digits = if is_version2 { 32 } else { 16 };
        assert!(challenge.len() == digits && challenge.bytes().all(|digit| digit.is_ascii_hexdigit()));
        assert!(version.starts_with(if is_version2 { "V=3 M=" } else { "V=2" }), "{text}");
    }
}

#[test]
fn a_policy_knows_the_method_and_its_reject_has_a_code_of_its_own() {
    let policy = r#"
[[policy]]
name = "no dial-in"
when = 'request.method == "mschapv2"'
action = "reject"
"#;
    let mut bench = Bench::new(testing::config(&[USERS, policy].concat()));
    let ask = version2("User", "User", "clientPass");
    assert_eq!(bench.auth(&ask), None);
    let (_, attributes) = reply(bench.rejected(), &ask);
    let found = found(&attributes);
    assert!(found[0].1[1..].starts_with(b"E=649 R=0 C="), "{found:?}");
}
