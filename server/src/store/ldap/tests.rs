//! Against an LDAP directory of its own: see `tests/`. Here: what needs none.

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
