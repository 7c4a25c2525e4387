//! Check items: every operator, on attributes of every kind, that the request has, has not, or has twice.

use super::Book;

const OPERATORS: [&str; 13] = [":=", "==", "=", "+=", "!=", ">", ">=", "<", "<=", "=~", "!~", "=*", "!*"];

/// (attribute, value of the row, values of the requests).
const COMPARED: [(&str, &str, &[&str]); 7] = [
    ("NAS-Port", "10", &["9", "10", "11", "100"]),
    (
        "Calling-Station-Id",
        "02-00-00-00-00-0a",
        &["02-00-00-00-00-0a", "02-00-00-00-00-0A", "02-00-00-00-00-0b", "x02-00-00-00-00-0ax"],
    ),
    ("NAS-Identifier", "^ap-[0-9]+$", &["ap-17", "ap-x", "^ap-[0-9]+$"]),
    ("NAS-IP-Address", "192.0.2.10", &["192.0.2.9", "192.0.2.10", "192.0.2.11"]),
    ("Service-Type", "Framed-User", &["Framed-User", "Login-User", "Outbound-User"]),
    ("Framed-IPv6-Prefix", "2001:db8::/64", &["2001:db8::/64", "2001:db8::/48", "2001:db8:1::/64"]),
    ("Event-Timestamp", "1767225600", &["1767225599", "1767225600", "1767225601"]),
];

pub(super) fn write(book: &mut Book) {
    for op in OPERATORS {
        for (attribute, value, asked) in COMPARED {
            let mut person = book.person(format!("check {attribute} {op} {value}"));
            person = person.clear().check(attribute, op, value).reply("Reply-Message", "=", "passed").asks();
            for asked in asked {
                person = person.asks_with(&[(attribute, asked)]);
            }
            if let [first, .., last] = asked {
                person = person.asks_with(&[(attribute, first), (attribute, last)]);
                person.asks_with(&[(attribute, last), (attribute, first)]);
            }
        }
        group(book, op);
    }
    several(book);
    unusual(book);
}

/// The same operators among a group's check items.
fn group(book: &mut Book, op: &str) {
    for (attribute, value, asked) in [COMPARED[0], COMPARED[1], COMPARED[2]] {
        let mut person = book.person(format!("group check {attribute} {op} {value}"));
        person = person.clear().group("a", 1).group_check("a", attribute, op, value);
        person = person.group_reply("a", "Reply-Message", "=", "passed").asks();
        for asked in asked {
            person = person.asks_with(&[(attribute, asked)]);
        }
    }
}

/// More than one item: all have to match, whatever their order, and before the password or after it.
fn several(book: &mut Book) {
    let port = [("NAS-Port", "10"), ("NAS-Identifier", "ap-17")];
    for (first, second) in [("10", "ap-17"), ("10", "ap-18"), ("11", "ap-17"), ("11", "ap-18")] {
        let person = book.person(format!("two checks {first} {second}"));
        let person = person.check("NAS-Port", "==", first).clear().check("NAS-Identifier", "==", second);
        person.reply("Session-Timeout", "=", "60").asks_with(&port).asks();
    }
    let person = book.person("a range");
    let person = person.clear().check("NAS-Port", ">=", "10").check("NAS-Port", "<", "20");
    person.asks_with(&[("NAS-Port", "9")]).asks_with(&[("NAS-Port", "15")]).asks_with(&[("NAS-Port", "20")]);
    // The password isn't taken from a list that doesn't match, and with it nothing else is.
    let person =
        book.person("no match, and the group has the password").check("NAS-Port", "==", "10").clear();
    let person = person.reply("Session-Timeout", "=", "60").group("a", 1);
    let person = person.group_check("a", "Cleartext-Password", ":=", "of the group");
    let person = person.group_reply("a", "Session-Timeout", "=", "61");
    person.asks().asks_with(&[("NAS-Port", "10")]).asks_by(super::Method::Pap, "of the group", &[]);
}

/// Things that are in databases.
fn unusual(book: &mut Book) {
    for value in ["10", " 10", "0x0a", "ten", "", "-1", "4294967296", "10 "] {
        let person =
            book.person(format!("check NAS-Port == {value:?}")).clear().check("NAS-Port", "==", value);
        person.asks_with(&[("NAS-Port", "10")]).asks();
    }
    for value in ["Framed-User", "framed-user", "2", "Framed", ""] {
        let person = book.person(format!("check Service-Type == {value:?}")).clear();
        person.check("Service-Type", "==", value).asks_with(&[("Service-Type", "Framed-User")]).asks();
    }
    for pattern in ["ap-1", "^AP", "(", "[0-9]{2}", ".*", "^$", "a|b", "^(ap)-\\d+$", "ap.17$"] {
        for op in ["=~", "!~"] {
            let person = book.person(format!("check NAS-Identifier {op} {pattern:?}")).clear();
            person.check("NAS-Identifier", op, pattern).asks_with(&[("NAS-Identifier", "ap-17")]).asks();
        }
    }
    for (attribute, op) in [("No-Such-Attribute", "=="), ("NAS-Port", "=>"), ("NAS-Port", ""), ("", "==")] {
        let person = book.person(format!("check {attribute:?} {op:?}")).clear();
        person.check(attribute, op, "10").asks_with(&[("NAS-Port", "10")]);
    }
    for prefix in ["192.0.2.0/24", "192.0.2.10", "192.0.2.10/32", "192.0.3.0/24"] {
        for op in ["==", "!=", "<", "<="] {
            let person = book.person(format!("check Framed-IP-Address {op} {prefix:?}")).clear();
            person.check("Framed-IP-Address", op, prefix).asks_with(&[("Framed-IP-Address", "192.0.2.10")]);
        }
    }
    for (value, op) in [("alice", "=="), ("Alice", "=="), ("ali.*", "=~")] {
        let person = book.person(format!("check Called-Station-Id {op} {value:?}")).clear();
        person.check("Called-Station-Id", op, value).asks_with(&[("Called-Station-Id", "alice")]);
    }
    let person = book.person("a name in another case in the check item").clear();
    person.check("nas-port", "==", "10").asks_with(&[("NAS-Port", "10")]).asks();
    let person =
        book.person("huntgroup and vendor's").clear().check("Cisco-AVPair", "==", "shell:priv-lvl=15");
    person
        .asks_with(&[("Cisco-AVPair", "shell:priv-lvl=15")])
        .asks_with(&[("Cisco-AVPair", "shell:priv-lvl=1")])
        .asks();
}
