//! Accounts over requests. What is expected was seen from FreeRADIUS 3.2.1 with the same rows.

mod limits;
mod merging;

use std::net::IpAddr;

use forewarn_dict::Dictionary;
use forewarn_wire::{Code, MessageAuthenticatorRule, Packet, number};

use super::*;
use crate::testing::{self, Ask};

/// (attribute, op, value)
type Rule<'a> = (&'a str, &'a str, &'a str);

const PASSWORD: Rule<'_> = ("Cleartext-Password", ":=", "hello");

fn rows<'a>(rules: &[Rule<'a>]) -> Vec<Row<'a>> {
    let row = |(id, (attribute, op, value)): (i64, &Rule<'a>)| Row {
        id,
        attribute: Some(attribute),
        op: Some(op),
        value: Some(value),
    };
    (1..).zip(rules).map(row).collect()
}

fn group<'a>(name: &'a str, check: &[Rule<'a>], reply: &[Rule<'a>]) -> GroupRows<'a> {
    GroupRows { name, check: rows(check), reply: rows(reply) }
}

fn account(check: &[Rule<'_>], reply: &[Rule<'_>], groups: &[GroupRows<'_>]) -> Account {
    let rows = Rows { check: rows(check), reply: rows(reply), groups: groups.to_vec() };
    Account::from_rows("bob", Source::Sql, &rows, Dictionary::embedded())
}

/// An Access-Request with these attributes, written as in a configuration, and the password `hello`.
struct Request {
    octets: Vec<u8>,
    now: u64,
    method: AuthType,
}

impl Request {
    fn new(pairs: &[(&str, &str)]) -> Self {
        let dictionary = Dictionary::embedded();
        let mut ask = Ask::new(Code::ACCESS_REQUEST, &[(number::USER_NAME, b"bob")]);
        for (name, value) in pairs {
            let wire = dictionary.pair(name, forewarn_dict::Value::Text(value)).unwrap().wire().unwrap();
            ask.attributes.push((wire[0], wire[2..].to_vec()));
        }
        Self { octets: ask.octets(), now: 1_795_262_350, method: AuthType::Pap }
    }

    /// What the account means for it.
    fn weigh<T>(&self, account: &Account, look: impl FnOnce(&Authorization<'_>) -> T) -> T {
        let packet = Packet::parse(&self.octets).unwrap();
        let packet = packet.verify_request(&testing::key(), MessageAuthenticatorRule::Required).unwrap();
        let asker = Asker {
            request: &packet,
            password: (self.method == AuthType::Pap).then_some(b"hello"),
            method: Some(self.method),
            source: IpAddr::from([127, 0, 0, 1]),
            client: "lab",
            group: "wifi/branch-3",
            now: self.now,
        };
        look(&authorize(account, &asker, &mut Room::default()))
    }

    /// Whether the user's own conditions hold: then there is a password.
    fn finds_password(&self, account: &Account) -> bool {
        self.weigh(account, |authorization| authorization.passwords.clear_texts().next() == Some(b"hello"))
    }
}

/// The operators, in the order of the columns below.
const OPERATORS: [&str; 12] = ["==", "!=", ">", ">=", "<", "<=", "=~", "!~", "=*", "!*", "=", "-="];

#[test]
fn conditions_hold_where_freeradius_was_seen_to_hold_them() {
    for (attribute, value, request, held) in [
        ("NAS-Port", "5", &[("NAS-Port", "5")][..], "Y--Y-YY-Y-YY"),
        ("NAS-Port", "4", &[("NAS-Port", "5")], "-YYY---YY---"),
        ("NAS-Port", "6", &[("NAS-Port", "5")], "-Y--YY-YY---"),
        // What isn't there satisfies nothing but "it isn't there".
        ("NAS-Port", "5", &[], "---------Y--"),
        // Of several, one is enough.
        ("NAS-Port", "5", &[("NAS-Port", "5"), ("NAS-Port", "7")], "YYYY-YYYY-YY"),
        ("NAS-Port", "6", &[("NAS-Port", "5"), ("NAS-Port", "7")], "-YYYYY-YY---"),
        ("NAS-Identifier", "ap1", &[("NAS-Identifier", "ap1")], "Y--Y-YY-Y-YY"),
        ("NAS-Identifier", "AP1", &[("NAS-Identifier", "ap1")], "-YYY---YY---"),
        ("NAS-Identifier", "^ap", &[("NAS-Identifier", "ap1")], "-YYY--Y-Y---"),
        ("NAS-Identifier", "ap", &[("NAS-Identifier", "ap1")], "-YYY--Y-Y---"),
        // An expression that can't be compiled matches nothing, and doesn't fail to match either.
        ("Called-Station-Id", "(", &[("Called-Station-Id", "00:ssid")], "-YYY----Y---"),
        ("Service-Type", "Framed-User", &[("Service-Type", "Framed-User")], "Y--Y-YY-Y-YY"),
        ("NAS-IP-Address", "10.0.0.1", &[("NAS-IP-Address", "10.0.0.1")], "Y--Y-YY-Y-YY"),
        // A request that doesn't say otherwise comes from its sender, now.
        ("NAS-IP-Address", "127.0.0.1", &[], "Y--Y-YY-Y-YY"),
        ("Event-Timestamp", "1767225600", &[], "-YYY---YY---"),
        ("Class", "abc", &[("Class", "0x616263")], "Y--Y-YY-Y-YY"),
        ("Class", "0x6162", &[("Class", "0x616263")], "-YYY--Y-Y---"),
        ("Framed-IPv6-Prefix", "2001:db8::/48", &[("Framed-IPv6-Prefix", "2001:db8::/64")], "-Y--YY-YY-YY"),
        ("Framed-IPv6-Prefix", "2001:db9::/64", &[("Framed-IPv6-Prefix", "2001:db8::/64")], "-------YY-YY"),
        ("Cisco-AVPair", "a=b", &[("Cisco-AVPair", "a=b")], "Y--Y-YY-Y-YY"),
        ("Tunnel-Type:1", "VLAN", &[("Tunnel-Type:1", "VLAN")], "Y--Y-YY-Y-YY"),
        ("Tunnel-Type", "VLAN", &[("Tunnel-Type:1", "VLAN")], "Y--Y-YY-Y-YY"),
        ("Tunnel-Type:2", "VLAN", &[("Tunnel-Type:1", "VLAN")], "-Y--YY-YY---"),
        ("Tunnel-Private-Group-Id", "12", &[("Tunnel-Private-Group-Id:1", "12")], "Y--Y-YY-Y-YY"),
        ("User-Password", "hello", &[], "Y--Y-YY-Y-YY"),
        ("User-Name", "bob", &[], "Y--Y-YY-Y-YY"),
        ("SQL-Group", "other", &[], "-YYY----Y---"),
        ("Stripped-User-Name", "bob", &[], "---------Y--"),
        ("Session-Timeout", "5", &[], "---------Y--"),
        ("Current-Time", "Al0000-2359", &[], "Y--Y-YYYY-YY"),
    ] {
        let request = Request::new(request);
        let found: String = OPERATORS
            .iter()
            .map(|op| {
                let account = account(&[PASSWORD, (attribute, op, value)], &[], &[]);
                if request.finds_password(&account) { 'Y' } else { '-' }
            })
            .collect();
        assert_eq!(found, held, "{attribute} {value} {request:?}", request = request.octets);
    }
}

#[test]
fn the_groups_of_user_and_client_can_be_asked_for() {
    let request = Request::new(&[]);
    for (attribute, value, holds) in [
        ("SQL-Group", "staff", true),
        ("Group", "staff", true),
        ("SQL-Group", "STAFF", false),
        ("Huntgroup-Name", "wifi/branch-3", true),
        ("Huntgroup-Name", "wifi", true),
        ("Huntgroup-Name", "branch-3", false),
        ("Client-Shortname", "lab", true),
        ("Packet-Src-IP-Address", "127.0.0.1", true),
        ("Packet-Src-IP-Address", "127.0.0.2", false),
    ] {
        let account = account(&[PASSWORD, (attribute, "==", value)], &[], &[group("staff", &[], &[])]);
        assert_eq!(request.finds_password(&account), holds, "{attribute} {value}");
    }
}

#[test]
fn without_a_password_in_the_request_none_is_compared() {
    let account = account(&[PASSWORD, ("User-Password", "==", "another")], &[], &[]);
    let pap = Request::new(&[]);
    assert!(!pap.finds_password(&account));
    assert!(Request { method: AuthType::Chap, ..pap }.finds_password(&account));
}

#[test]
fn rows_that_mean_nothing_refuse_whoever_comes_as_far() {
    let request = Request::new(&[]);
    for (rule, is_refused) in [
        (("No-Such", ":=", "x"), true),
        (("NAS-Port", "==", "ten"), true),
        (("NAS-Port", "=~", "^5"), true),
        (("NAS-Port", "xx", "5"), true),
        (("", "==", "5"), true),
        (("Auth-Type", ":=", "Nope"), true),
        (("User-Profile", ":=", "other"), false),
        (("Called-Station-Id", "!*", "x"), false),
    ] {
        let own = account(&[PASSWORD, rule], &[], &[]);
        let refusal = request.weigh(&own, |authorization| authorization.refusal.is_some());
        assert_eq!(refusal, is_refused, "{rule:?}: {:?}", own.faults());
        // A group that isn't looked at does no harm.
        let stop = [("Fall-Through", "=", "No")];
        let unreached = account(&[PASSWORD], &stop, &[group("g", &[rule], &[])]);
        assert!(request.finds_password(&unreached), "{rule:?}");
        assert!(request.weigh(&unreached, |authorization| authorization.refusal.is_none()), "{rule:?}");
    }
}

#[test]
fn faults_say_where_what_and_what_would_be_right() {
    let account = account(&[PASSWORD, ("Session-Timeuot", ":=", "5")], &[], &[]);
    let said: Vec<String> = account.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "radcheck row 2 (\"bob\", \"Session-Timeuot\"): unknown attribute \"Session-Timeuot\"; whoever needs \
             this table is rejected; would be right: did you mean Session-Timeout?"
        ]
    );
}

#[test]
fn faults_and_items_keep_passwords_to_themselves() {
    let wrong = account(&[("NT-Password", ":=", "0x0z1234secret")], &[], &[]);
    let right = account(&[("Cleartext-Password", ":=", "secret")], &[], &[]);
    for account in [wrong, right] {
        let shown =
            format!("{:?} {account:?}", account.faults().iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn pap_takes_the_first_password() {
    let request = Request::new(&[]);
    let none = "00000000000000000000000000000000";
    for (rules, right) in [
        (&[("Cleartext-Password", ":=", "x"), ("Cleartext-Password", ":=", "hello")][..], false),
        (&[("Cleartext-Password", ":=", "hello"), ("NT-Password", ":=", none)], true),
        (&[("NT-Password", ":=", none), ("Cleartext-Password", ":=", "hello")], false),
        (
            &[("NT-Password", ":=", "066DDFD4EF0E9CD7C256FE77191EF43C"), ("Cleartext-Password", ":=", "x")],
            true,
        ),
        // Password-With-Header comes behind the others, and counts for nothing beside one of its form.
        (&[("Password-With-Header", ":=", "{clear}zz"), ("Cleartext-Password", ":=", "hello")], true),
        (&[("Password-With-Header", ":=", "{clear}hello"), ("Cleartext-Password", ":=", "zz")], false),
        (&[("Password-With-Header", ":=", "{clear}hello"), ("NT-Password", ":=", none)], false),
        (
            &[("Password-With-Header", "+=", "{clear}hello"), ("Password-With-Header", "+=", "{clear}zz")],
            true,
        ),
        (
            &[("Password-With-Header", "+=", "{clear}zz"), ("Password-With-Header", "+=", "{clear}hello")],
            false,
        ),
        (&[("User-Password", ":=", "hello")], false),
        (&[("Cleartext-Password", ":=", "")], false),
        (&[("Cleartext-Password", ":=", "\"hello\"")], true),
        (&[("Cleartext-Password", "=", "hello")], false),
        (&[("Cleartext-Password", "+=", "hello")], true),
        (&[("Cleartext-Password", "==", "hello")], false),
        (&[("Crypt-Password", "=", "abl0JrMf6tlhw")], true),
        (&[("Crypt-Password", "==", "abl0JrMf6tlhw")], false),
    ] {
        let account = account(rules, &[], &[]);
        let found = request.weigh(&account, |authorization| {
            authorization.passwords.for_pap().next().is_some_and(|password| password.matches(b"hello"))
        });
        assert_eq!(found, right, "{rules:?}");
    }
}

#[test]
fn auth_type_is_the_last_one_unless_one_rejects() {
    use AuthType::{Accept, Chap, Pap, Reject};
    for (method, rules, expected) in [
        (Pap, &[("Auth-Type", ":=", "Accept")][..], Some(Accept)),
        (Pap, &[("Auth-Type", "=", "Accept")], Some(Accept)),
        (Pap, &[("Auth-Type", "+=", "Reject")], Some(Reject)),
        (Pap, &[("Auth-Type", "==", "Reject")], None),
        (Pap, &[("Auth-Type", ":=", "Accept"), ("Auth-Type", ":=", "Reject")], Some(Reject)),
        (Pap, &[("Auth-Type", ":=", "Reject"), ("Auth-Type", ":=", "Accept")], Some(Reject)),
        // The request's own method is there before.
        (Chap, &[("Auth-Type", "=", "Accept")], Some(Chap)),
        (Chap, &[("Auth-Type", ":=", "Accept")], Some(Accept)),
        (Chap, &[("Auth-Type", "+=", "Accept")], Some(Accept)),
        (Chap, &[("Auth-Type", "+=", "Reject")], Some(Reject)),
    ] {
        let account = account(&[&[PASSWORD], rules].concat(), &[], &[]);
        let request = Request { method, ..Request::new(&[]) };
        assert_eq!(request.weigh(&account, |found| found.auth_type), expected, "{method:?} {rules:?}");
    }
    let own = [PASSWORD, ("Auth-Type", ":=", "Reject")];
    let account = account(&own, &[], &[group("g", &[("Auth-Type", ":=", "Accept")], &[])]);
    assert_eq!(Request::new(&[]).weigh(&account, |found| found.auth_type), Some(Accept));
}

#[test]
fn conditions_take_no_memory() {
    let check = [PASSWORD, ("NAS-Identifier", "=~", "^ap"), ("NAS-Port", ">", "3")];
    let reply = [("Reply-Message", "=", "`Hello %{User-Name}`"), ("Session-Timeout", "=", "600")];
    let more = group("staff", &[("Service-Type", "==", "Framed-User")], &[("Session-Timeout", ":=", "60")]);
    let account = account(&check, &reply, &[more]);
    assert!(!account.is_fixed());
    let pairs = [("NAS-Identifier", "ap1"), ("NAS-Port", "5"), ("Service-Type", "Framed-User")];
    let request = Request::new(&pairs);
    let packet = Packet::parse(&request.octets).unwrap();
    let packet = packet.verify_request(&testing::key(), MessageAuthenticatorRule::Required).unwrap();
    let asker = Asker {
        request: &packet,
        password: Some(b"hello"),
        method: Some(AuthType::Pap),
        source: IpAddr::from([127, 0, 0, 1]),
        client: "lab",
        group: "",
        now: request.now,
    };
    let mut room = Room::default();
    let mut weigh = || {
        let authorization = authorize(&account, &asker, &mut room);
        assert_eq!(authorization.passwords.clear_texts().next(), Some(&b"hello"[..]));
        assert_eq!(authorization.reply.items().count(), 2);
    };
    weigh();
    assert_eq!(allocation_counter::measure(weigh).count_total, 0);
}
