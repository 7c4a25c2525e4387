//! Against an LDAP directory of its own: see `tests/`. Here: what needs none.

use ldap3::SearchEntry;

use super::entry::own_name;
use super::filled;
use crate::process::password::Password;

#[test]
fn a_scheme_that_is_not_known_is_no_password() {
    for foreign in [&b"{SASL}alice@EXAMPLE.ORG"[..], b"{KERBEROS}alice", b"{}{SASL}x", b"{x-y_z}"] {
        let whole = foreign.starts_with(b"{}");
        assert_eq!(Password::has_foreign_scheme(foreign), !whole, "{foreign:?}");
    }
    for own in [&b"wonderland"[..], b"{SSHA}AAAA", b"{clear}wonderland", b"", b"{", b"}", b"{ a }", b"{}x"] {
        assert!(!Password::has_foreign_scheme(own), "{own:?}");
    }
}

#[test]
fn an_entry_has_one_name_however_many_values() {
    let named = |dn: &str, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let entry = SearchEntry {
            dn: dn.to_owned(),
            attrs: [("UID".to_owned(), values)].into(),
            bin_attrs: std::collections::HashMap::new(),
        };
        own_name(&entry, Some("uid")).map(str::to_owned)
    };
    let of = |name: &str| Some(name.to_owned());
    assert_eq!(named("uid=twin,ou=people", &["other", "twin"]), of("twin"));
    assert_eq!(named("UID=twin+cn=T,ou=people", &["other", "twin"]), of("twin"));
    assert_eq!(named("uid=a\\2Cb,ou=people", &["a", "a,b"]), of("a,b"));
    assert_eq!(named("uid=twins,ou=people", &["twin", "b"]), of("b"));
    assert_eq!(named("cn=twin,ou=people", &["b", "a"]), of("a"));
    assert_eq!(named("uid=\u{e9}", &["\u{e9}"]), of("\u{e9}"));
    assert_eq!(named("cn=twin,ou=people", &[]), None);
}

#[test]
fn what_is_filled_in_is_not_filled_again() {
    assert_eq!(filled("(|(a={user})(b={dn}))", "{dn}", "{user}"), "(|(a={dn})(b={user}))");
    assert_eq!(filled("(uid={user})", "*)(\\\0", ""), "(uid=\\2a\\29\\28\\5c\\00)");
}
