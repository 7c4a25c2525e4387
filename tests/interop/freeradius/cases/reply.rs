//! Reply items: every operator, alone, after each other, and between a person and their groups; values of every type.

use super::Book;

const OPERATORS: [&str; 13] = ["=", ":=", "+=", "==", "-=", "!=", ">=", ">", "<", "<=", "=~", "!~", "!*"];

pub(super) fn write(book: &mut Book) {
    for op in OPERATORS {
        book.person(format!("reply {op}")).clear().reply("Session-Timeout", op, "60").asks();
        let person = book.person(format!("reply = and {op} of the same value")).clear();
        person.reply("Reply-Message", "=", "one").reply("Reply-Message", op, "one").asks();
        for first in ["=", ":=", "+="] {
            let person = book.person(format!("reply {first} then {op}")).clear();
            person.reply("Reply-Message", first, "one").reply("Reply-Message", op, "two").asks();
            let person = book.person(format!("person {first}, group {op}")).clear().group("a", 1);
            let person = person.reply("Reply-Message", first, "of the person");
            person.group_reply("a", "Reply-Message", op, "of the group").asks();
        }
        let person = book.person(format!("reply += += {op}")).clear();
        let person = person.reply("Reply-Message", "+=", "one").reply("Reply-Message", "+=", "two");
        person.reply("Reply-Message", op, "three").asks();
        let person = book.person(format!("integers += += {op}")).clear();
        let person = person.reply("Session-Timeout", "+=", "60").reply("Session-Timeout", "+=", "90");
        person.reply("Session-Timeout", op, "75").asks();
    }
    values(book);
    book.person("reply and a wrong password")
        .clear()
        .reply("Reply-Message", "=", "one")
        .reply("Session-Timeout", "=", "60")
        .asks_by(super::Method::Pap, "wrong", &[]);
}

const VALUES: [(&str, &str); 62] = [
    ("Session-Timeout", "0"),
    ("Session-Timeout", "4294967295"),
    ("Session-Timeout", "4294967296"),
    ("Session-Timeout", "-1"),
    ("Session-Timeout", "0x10"),
    ("Session-Timeout", " 60 "),
    ("Session-Timeout", "sixty"),
    ("Session-Timeout", ""),
    ("Idle-Timeout", "010"),
    ("Service-Type", "Framed-User"),
    ("Service-Type", "framed-user"),
    ("Service-Type", "2"),
    ("Service-Type", "No-Such-Service"),
    ("Framed-Protocol", "PPP"),
    ("Framed-IP-Address", "192.0.2.1"),
    ("Framed-IP-Address", "192.0.2.1/32"),
    ("Framed-IP-Address", "192.0.2.999"),
    ("Framed-IP-Netmask", "255.255.255.0"),
    ("Framed-IPv6-Prefix", "2001:db8::/64"),
    ("Framed-IPv6-Prefix", "2001:db8::1/64"),
    ("Framed-IPv6-Prefix", "2001:db8::"),
    ("Delegated-IPv6-Prefix", "2001:db8:100::/56"),
    ("Framed-IPv6-Address", "2001:db8::1"),
    ("Framed-Interface-Id", "0:0:0:1"),
    ("Login-IPv6-Host", "2001:db8::1"),
    ("Framed-Route", "192.0.2.0/24 192.0.2.1 1"),
    ("Filter-Id", "staff"),
    ("Filter-Id", ""),
    ("Filter-Id", "with spaces and, commas"),
    ("Filter-Id", "\"quoted\""),
    ("Filter-Id", "'quoted'"),
    ("Filter-Id", "`quoted`"),
    ("Filter-Id", "half \"quoted"),
    ("Filter-Id", "back\\slash \\n \\t"),
    ("Filter-Id", "\"back\\\\slash\\n\""),
    ("Filter-Id", "caf\u{e9} \u{4e2d}\u{6587}"),
    ("Filter-Id", "100%"),
    ("Filter-Id", "%{User-Name}"),
    ("Filter-Id", "\"%{User-Name}\""),
    ("Filter-Id", "%u"),
    ("Class", "0x0102ff"),
    ("Class", "class"),
    ("Class", "\"class\""),
    ("Class", "0xzz"),
    ("Tunnel-Type", "VLAN"),
    ("Tunnel-Type:1", "VLAN"),
    ("Tunnel-Type:0", "VLAN"),
    ("Tunnel-Type:32", "VLAN"),
    ("Tunnel-Medium-Type", "IEEE-802"),
    ("Tunnel-Private-Group-Id", "120"),
    ("Tunnel-Private-Group-Id:2", "120"),
    ("Tunnel-Password", "tunnel"),
    ("Tunnel-Password:3", "tunnel"),
    ("Cisco-AVPair", "shell:priv-lvl=15"),
    ("Mikrotik-Rate-Limit", "10M/20M"),
    ("WISPr-Bandwidth-Max-Down", "1000000"),
    ("MS-Primary-DNS-Server", "192.0.2.53"),
    ("Attr-250", "0x0102"),
    ("Attr-26.9.1", "0x616263"),
    ("Vendor-9-Attr-1", "0x616263"),
    ("No-Such-Attribute", "x"),
    ("Acct-Interim-Interval", "600"),
];

fn values(book: &mut Book) {
    for (attribute, value) in VALUES {
        book.person(format!("reply {attribute} = {value:?}")).clear().reply(attribute, "=", value).asks();
    }
    let person = book.person("a VLAN").clear().reply("Tunnel-Type", "=", "VLAN");
    let person = person.reply("Tunnel-Medium-Type", "=", "IEEE-802");
    person.reply("Tunnel-Private-Group-Id", "=", "120").asks();
    let person = book.person("two tunnels").clear().reply("Tunnel-Type:1", "+=", "L2TP");
    let person = person.reply("Tunnel-Type:2", "+=", "L2TP").reply("Tunnel-Preference:1", "+=", "1");
    person.reply("Tunnel-Preference:2", "+=", "2").asks();
    let person = book.person("two tunnels set").clear().reply("Tunnel-Type:1", ":=", "L2TP");
    person.reply("Tunnel-Type:2", ":=", "GRE").asks();
    let person = book.person("several pairs").clear().reply("Cisco-AVPair", "+=", "a=1");
    person.reply("Cisco-AVPair", "+=", "b=2").reply("Cisco-AVPair", "+=", "c=3").asks();
    // What makes no sense in a reply, and what isn't for the wire.
    for (attribute, value) in [
        ("User-Name", "another"),
        ("User-Password", "x"),
        ("Cleartext-Password", "x"),
        ("Auth-Type", "Accept"),
        ("Simultaneous-Use", "1"),
        ("State", "0x01"),
        ("NAS-Port", "7"),
        ("Reply-Message", &"x".repeat(253)),
        ("Reply-Message", &"x".repeat(254)),
    ] {
        let about = format!("reply {attribute} = {}", value.get(..12).unwrap_or(value));
        book.person(about).clear().reply(attribute, "=", value).asks();
    }
    // The reply with an operator that isn't one.
    for op in ["=>", "", "?"] {
        book.person(format!("reply operator {op:?}")).clear().reply("Filter-Id", op, "staff").asks();
    }
}
