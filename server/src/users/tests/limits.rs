//! Expiration, Login-Time, and what else control items say.

use super::*;

#[test]
fn expiration_is_compared_with_now() {
    let request = Request::new(&[]);
    let (past, future) = ("Jan 1 2020 00:00:00 UTC", "Jan 1 2030 00:00:00 UTC");
    for (op, when, finds_password, refusal, is_limited) in [
        (":=", past, true, true, false),
        (":=", future, true, false, true),
        ("+=", past, true, true, false),
        ("=", past, false, false, false),
        ("=", future, true, false, true),
        ("==", past, false, false, false),
        ("==", future, true, false, false),
        (">=", past, true, true, false),
        (">=", future, true, false, true),
        (">", past, true, false, false),
        (">", future, false, false, false),
        ("<", past, false, false, false),
        ("!=", past, true, false, false),
        ("!=", future, false, false, false),
        ("!*", past, false, false, false),
        ("=*", past, true, false, false),
    ] {
        let account = account(&[PASSWORD, ("Expiration", op, when)], &[], &[]);
        assert_eq!(request.finds_password(&account), finds_password, "{op} {when}");
        request.weigh(&account, |found| {
            assert_eq!(found.refusal, refusal.then_some(Refusal::Expired), "{op} {when}");
            assert_eq!(found.longest.is_some(), is_limited, "{op} {when}");
        });
    }
}

#[test]
fn the_first_of_each_kind_counts() {
    let check = [PASSWORD, ("Simultaneous-Use", ":=", "1"), ("Pool-Name", ":=", "campus")];
    let more = [("Simultaneous-Use", "+=", "5"), ("Pool-Name", "=", "other"), ("Login-Time", ":=", "Al")];
    let account = account(&check, &[], &[group("g", &more, &[])]);
    assert!(!account.is_fixed(), "`=` in a check list compares");
    let request = Request::new(&[]);
    request.weigh(&account, |found| {
        assert_eq!((found.simultaneous_use, found.pool), (Some(1), Some("campus")));
    });
}

#[test]
fn who_never_may_log_in_is_kept_out() {
    let request = Request::new(&[]);
    for (hours, refusal) in
        [("Al", None), ("Never", Some(Refusal::OutsideHours)), ("", Some(Refusal::OutsideHours))]
    {
        let account = account(&[PASSWORD, ("Login-Time", ":=", hours)], &[], &[]);
        assert!(account.is_fixed());
        request.weigh(&account, |found| assert_eq!(found.refusal, refusal, "{hours:?}"));
    }
    // A group's takes the place of the user's own.
    let own = [PASSWORD, ("Login-Time", ":=", "Never")];
    let account = account(&own, &[], &[group("g", &[("Login-Time", ":=", "Al")], &[])]);
    request.weigh(&account, |found| assert_eq!(found.refusal, None));
}

#[test]
fn a_disabled_or_locked_account_is_kept_out_whatever_the_method() {
    let request = Request::new(&[]);
    for (flags, is_closed) in [("[U          ]", false), ("[DU         ]", true), ("[UL         ]", true)] {
        let account = account(&[PASSWORD, ("SMB-Account-CTRL-TEXT", ":=", flags)], &[], &[]);
        request.weigh(&account, |found| {
            assert_eq!(found.refusal, is_closed.then_some(Refusal::Closed), "{flags}");
        });
    }
}

#[test]
fn a_stored_nt_hash_comes_before_a_clear_text() {
    let other = "0x8846F7EAEE8FB117AD06BDD830B7586C";
    let account = account(&[PASSWORD, ("NT-Password", ":=", other)], &[], &[]);
    Request::new(&[]).weigh(&account, |found| {
        let hash = found.passwords.nt_hashes().next().expect("there are two");
        assert_eq!(hash[..2], [0x88, 0x46]);
    });
}

#[test]
fn a_reject_names_the_row_that_decided() {
    use crate::process::outcome::Cause;
    let never = group("night", &[("Login-Time", ":=", "Never")], &[]);
    let shut = group("shut", &[("NAS-Port", "==", "9")], &[]);
    for (rules, groups, cause, row) in [
        (
            &[PASSWORD, ("NAS-Port", "==", "9")][..],
            &[][..],
            Cause::NoPassword,
            Some("radcheck row 2 (\"bob\"): NAS-Port == \"9\""),
        ),
        (&[], &[shut], Cause::NoPassword, Some("radgroupcheck row 1 (\"shut\"): NAS-Port == \"9\"")),
        (
            &[PASSWORD],
            &[never],
            Cause::OutsideLoginTime,
            Some("radgroupcheck row 1 (\"night\"): Login-Time := \"Never\""),
        ),
        (
            &[PASSWORD, ("Expiration", ":=", "1 Jan 2020")],
            &[],
            Cause::Expired,
            Some("radcheck row 2 (\"bob\"): Expiration := \"1 Jan 2020\""),
        ),
        // The last one counts.
        (
            &[PASSWORD, ("Auth-Type", "+=", "PAP"), ("Auth-Type", "+=", "CHAP")],
            &[],
            Cause::AuthTypeOther,
            Some("radcheck row 3 (\"bob\"): Auth-Type += \"CHAP\""),
        ),
        (
            &[PASSWORD, ("Simultaneous-Use", ":=", "1")],
            &[],
            Cause::TooManySessions,
            Some("radcheck row 2 (\"bob\"): Simultaneous-Use := \"1\""),
        ),
        (
            &[PASSWORD, ("Pool-Name", ":=", "main")],
            &[],
            Cause::PoolEmpty,
            Some("radcheck row 2 (\"bob\"): Pool-Name := \"main\""),
        ),
        // What a user types, or should have, is nobody's to read.
        (
            &[PASSWORD, ("User-Password", "==", "secret")],
            &[],
            Cause::NoPassword,
            Some("radcheck row 2 (\"bob\"): User-Password == <hidden>"),
        ),
        (&[PASSWORD], &[], Cause::WrongPassword, None),
        (&[("Reply-Message", ":=", "x")], &[], Cause::NoPassword, None),
    ] {
        let account = account(rules, &[], groups);
        Request::new(&[]).weigh(&account, |found| {
            assert_eq!(found.decided_by(cause).map(AsRef::as_ref), row, "{rules:?}");
        });
    }
}

#[test]
fn what_needs_no_password_needs_the_conditions_of_its_own_section() {
    let conditional = account(&[PASSWORD, ("NAS-Port", "==", "7")], &[], &[]);
    let is_unmet = |pairs: &[(&str, &str)], account: &Account| {
        Request::new(pairs).weigh(account, |authorization| authorization.is_unmet)
    };
    assert!(is_unmet(&[], &conditional));
    assert!(is_unmet(&[("NAS-Port", "8")], &conditional));
    assert!(!is_unmet(&[("NAS-Port", "7")], &conditional));
    let in_group = account(&[PASSWORD], &[], &[group("night", &[("NAS-Port", "==", "7")], &[])]);
    assert!(!is_unmet(&[], &in_group), "a group's are no condition of the user's");
}
