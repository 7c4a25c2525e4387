//! Sections, merged with their operators.

use forewarn_wire::{RadiusKey, Writer};

use super::*;
use crate::policy::Policies;
use crate::process::reply::Hiding;

/// What of the account goes into an Access-Accept, or an Access-Reject: `Name = value`.
fn written(account: &Account, request: &Request, accepts: bool) -> Vec<String> {
    let dictionary = Dictionary::embedded();
    request.weigh(account, |authorization| {
        let packet = Packet::parse(&request.octets).unwrap();
        let key: RadiusKey = testing::key();
        let packet = packet.verify_request(&key, MessageAuthenticatorRule::Required).unwrap();
        let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(1);
        let mut hiding = Hiding { key: &key, request: &packet, random: &mut random, salt: None };
        let mut out = [0; 4096];
        let mut writer = Writer::new(&mut out, Code::ACCESS_ACCEPT, 1);
        let policies = Policies::new(&[]);
        let matched = Default::default();
        let edits = policies.edits(&matched);
        if accepts {
            authorization.reply.write(&mut writer, &mut hiding, &edits, authorization.longest).unwrap();
        } else {
            authorization.reply.write_rejected(&mut writer, &mut hiding).unwrap();
        }
        let attributes = forewarn_wire::Attributes::parse(writer.written()).unwrap();
        let shown = attributes.map(|attribute| {
            let number = u32::from(attribute.number);
            let known = dictionary.attribute_by_number(0, &[number]).unwrap();
            let (tag, value) = match known.flags().tag {
                true => attribute.tagged(),
                false => (None, attribute.value),
            };
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            format!("{}{tag} = {}", known.name(), dictionary.display(known, value))
        });
        shown.collect()
    })
}

#[track_caller]
fn gives(own: &[Rule<'_>], groups: &[GroupRows<'_>], expected: &[&str]) {
    let account = account(&[PASSWORD], own, groups);
    assert_eq!(written(&account, &Request::new(&[]), true), expected, "{own:?} {groups:?}");
}

#[test]
fn one_reply_item_is_sent_if_its_operator_sets() {
    for op in [":=", "=", "+=", "<=", ">="] {
        gives(&[("Session-Timeout", op, "10")], &[], &["Session-Timeout = 10"]);
    }
    for op in ["-=", "==", "!=", "<", ">", "=~", "!~", "=*", "!*", ""] {
        gives(&[("Session-Timeout", op, "10")], &[], &[]);
    }
}

#[test]
fn a_groups_operators_work_on_what_is_there() {
    // (op, what becomes of 10, of 30 and of 20 when the group says 20)
    for (op, of_10, of_30, of_20) in [
        (":=", &["20"][..], &["20"][..], &["20"][..]),
        ("=", &["10"], &["30"], &["20"]),
        ("+=", &["10", "20"], &["30", "20"], &["20", "20"]),
        ("-=", &["10"], &["30"], &[]),
        ("==", &[], &[], &["20"]),
        ("!=", &["10"], &["30"], &["20"]),
        ("<", &["10"], &["30"], &["20"]),
        ("<=", &["10", "20"], &["20"], &["20", "20"]),
        (">", &["10"], &["30"], &["20"]),
        (">=", &["20"], &["30", "20"], &["20", "20"]),
        ("=*", &["10"], &["30"], &["20"]),
        ("!*", &[], &[], &[]),
    ] {
        for (own, expected) in [("10", of_10), ("30", of_30), ("20", of_20)] {
            let expected: Vec<String> =
                expected.iter().map(|seconds| format!("Session-Timeout = {seconds}")).collect();
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            let over = group("g", &[], &[("Session-Timeout", op, "20")]);
            gives(&[("Session-Timeout", "=", own)], &[over], &expected);
        }
    }
}

#[test]
fn operators_see_the_list_as_it_was_before() {
    let two = [("Reply-Message", "+=", "a"), ("Reply-Message", "+=", "b")];
    let with = |first: &'static str, second: &'static str| {
        group("g", &[], &[("Reply-Message", first, "x"), ("Reply-Message", second, "y")])
    };
    let (a, b) = ("Reply-Message = \"a\"", "Reply-Message = \"b\"");
    let (x, y) = ("Reply-Message = \"x\"", "Reply-Message = \"y\"");
    gives(&[("Reply-Message", ":=", "x"), ("Reply-Message", ":=", "y")], &[], &[x, y]);
    gives(&two, &[with("=", "=")], &[a, b]);
    gives(&two, &[with(":=", ":=")], &[x, y]);
    gives(&two, &[with("+=", "=")], &[a, b, x]);
    gives(&two, &[with("=", ":=")], &[y, b]);
    gives(&two, &[with(":=", "=")], &[x, b]);
}

#[test]
fn tags_count_where_values_are_compared() {
    let id = "Tunnel-Private-Group-Id";
    let own = [("Tunnel-Private-Group-Id:1", "+=", "10"), ("Tunnel-Private-Group-Id:2", "+=", "20")];
    let first = format!("{id}:1 = \"10\"");
    let second = format!("{id}:2 = \"20\"");
    gives(&own, &[], &[&first, &second]);
    let over = |attribute, op, value| [group("g", &[], &[(attribute, op, value)])];
    let replaced = format!("{id}:2 = \"99\"");
    gives(&own, &over("Tunnel-Private-Group-Id:2", ":=", "99"), &[&replaced, &second]);
    gives(&own, &over("Tunnel-Private-Group-Id:2", "-=", "10"), &[&first, &second]);
    gives(&own, &over("Tunnel-Private-Group-Id", "-=", "10"), &[&second]);
}

#[test]
fn groups_follow_each_other_while_they_fall_through() {
    let reply = |name, rules: &[Rule<'static>]| group(name, &[], rules);
    let b = reply("b", &[("Reply-Message", "=", "b")]);
    let (ten, message) = ("Session-Timeout = 10", "Reply-Message = \"b\"");
    let a = |rules: &[Rule<'static>]| reply("a", &[&[("Session-Timeout", "=", "10")], rules].concat());
    gives(&[], &[a(&[]), b.clone()], &[ten]);
    for yes in ["Yes", "yes", "1"] {
        gives(&[], &[a(&[("Fall-Through", "=", yes)]), b.clone()], &[ten, message]);
    }
    gives(&[], &[a(&[("Fall-Through", "==", "Yes")]), b.clone()], &[ten, message]);
    gives(&[], &[a(&[("Fall-Through", "=", "No"), ("Fall-Through", "=", "Yes")]), b.clone()], &[ten]);
    gives(&[], &[a(&[("Fall-Through", "=", "`Yes`")]), b.clone()], &[ten]);
    // A group without reply rows ends it; one whose conditions don't hold doesn't.
    gives(&[], &[reply("empty", &[]), b.clone()], &[]);
    gives(&[], &[group("other", &[("NAS-Port", "==", "9")], &[]), b.clone()], &[message]);
    // The user's own rows go on to the groups unless they say no.
    let own = |through| [("Session-Timeout", "=", "10"), ("Fall-Through", "=", through)];
    for (through, expected) in
        [("Yes", &[ten, message][..]), ("2", &[ten, message]), ("No", &[ten]), ("3", &[ten])]
    {
        gives(&own(through), std::slice::from_ref(&b), expected);
    }
}

#[test]
fn what_isnt_looked_at_gives_nothing() {
    let request = Request::new(&[]);
    let own = [("Reply-Message", "=", "own")];
    let with_password = [group("g", &[PASSWORD], &[("Session-Timeout", "=", "10")])];
    // Rows of radreply without any of radcheck, or behind conditions that don't hold.
    for check in [&[][..], &[PASSWORD, ("NAS-Port", "==", "9")]] {
        let account = account(check, &own, &with_password);
        assert!(request.finds_password(&account));
        assert_eq!(written(&account, &request, true), ["Session-Timeout = 10"]);
    }
}

#[test]
fn rejects_keep_what_may_be_said() {
    let request = Request::new(&[]);
    let own = [
        ("Session-Timeout", "=", "5"),
        ("Reply-Message", "=", "m"),
        ("Class", "=", "0x01"),
        ("State", "=", "0x02"),
    ];
    let fixed = account(&[PASSWORD], &own, &[]);
    let weighed = account(&[PASSWORD, ("User-Name", "==", "bob")], &own, &[]);
    for account in [fixed, weighed] {
        assert_eq!(written(&account, &request, false), ["Reply-Message = \"m\"", "State = 0x02"]);
    }
}

#[test]
fn backquotes_are_filled_in_per_request() {
    let request = Request::new(&[("NAS-Port", "7"), ("Service-Type", "Framed-User")]);
    for (attribute, text, shown) in [
        ("Reply-Message", "`Hello %{User-Name}`", &["Reply-Message = \"Hello bob\""][..]),
        ("Reply-Message", "`%{request:User-Name} 100%%`", &["Reply-Message = \"bob 100%\""]),
        ("Reply-Message", "`%{%{NAS-Identifier}:-none}`", &["Reply-Message = \"none\""]),
        ("Reply-Message", "`%{Service-Type}`", &["Reply-Message = \"Framed-User\""]),
        ("Reply-Message", "`%{NAS-Identifier}`", &[]),
        ("Reply-Message", "`%{No-Such}`", &[]),
        ("Reply-Message", "`%{User-Password}`", &[]),
        ("Reply-Message", "\"Hello %{User-Name}\"", &["Reply-Message = \"Hello %{User-Name}\""]),
        ("Session-Timeout", "`%{NAS-Port}`", &["Session-Timeout = 7"]),
        ("Session-Timeout", "`%{NAS-Port}x`", &[]),
        ("Session-Timeout", "`%{NAS-Identifier}`", &["Session-Timeout = 0"]),
        ("Framed-IP-Address", "`10.0.0.%{NAS-Port}`", &["Framed-IP-Address = 10.0.0.7"]),
        ("Tunnel-Private-Group-Id:1", "`1%{NAS-Port}`", &["Tunnel-Private-Group-Id:1 = \"17\""]),
    ] {
        let account = account(&[PASSWORD], &[(attribute, "=", text)], &[]);
        assert_eq!(written(&account, &request, true), shown, "{attribute} {text}");
    }
}

#[test]
fn what_must_not_be_sent_isnt() {
    let own = [
        ("Reply-Message", "=", ""),
        ("Message-Authenticator", "=", "0x00"),
        ("Proxy-State", "=", "0x01"),
        ("Pool-Name", ":=", "p"),
        ("Session-Timeout", "=", "1"),
    ];
    gives(&own, &[], &["Session-Timeout = 1"]);
    let long = "x".repeat(300);
    let cut = format!("Reply-Message = \"{}\"", "x".repeat(253));
    gives(&[("Reply-Message", "=", &long)], &[], &[&cut]);
}

#[test]
fn the_session_lasts_no_longer_than_the_account() {
    let check = |seconds: u64| {
        let when = (Request::new(&[]).now + seconds).to_string();
        move |own: &[Rule<'_>]| {
            let rules = [PASSWORD, ("Expiration", ":=", &*when)];
            written(&account(&rules, own, &[]), &Request::new(&[]), true)
        }
    };
    let with = |seconds: &'static str| [("Session-Timeout", "=", seconds)];
    assert_eq!(check(100)(&[]), ["Session-Timeout = 100"]);
    assert_eq!(check(100)(&with("500")), ["Session-Timeout = 100"]);
    assert_eq!(check(864_000)(&with("500")), ["Session-Timeout = 500"]);
}
