//! Who may come when, how often, and people who aren't there.

use super::super::client::Method;
use super::{Book, PASSWORD};

pub(super) fn write(book: &mut Book) {
    book.person("nobody").asks_by_all(PASSWORD).asks_by(Method::Nothing, "", &[]);
    book.person("known, with no password in the request").clear().asks_by(Method::Nothing, "", &[]);
    book.person("a reply and no check").reply("Filter-Id", "=", "x").asks().asks_by(Method::Nothing, "", &[]);
    auth_type(book);
    for value in [
        "1 Jan 2030",
        "1 Jan 2020",
        "Jan 1 2030 12:00:00",
        "2030-01-01",
        "1893456000",
        "tomorrow",
        "31 Dec 2029 23:59:59",
    ] {
        for op in [":=", "=="] {
            let person = book.person(format!("Expiration {op} {value:?}")).clear();
            person.check("Expiration", op, value).asks().asks_by(Method::MsChap2, PASSWORD, &[]);
        }
    }
    for value in [
        "Al0000-2400",
        "Any",
        "Never",
        "Wk",
        "Su,Mo,Tu,We,Th,Fr,Sa",
        "Al",
        "Xx0000-2400",
        "",
        "Sa0000-2359,Wk0000-2359,Su",
    ] {
        let person = book.person(format!("Login-Time := {value:?}")).clear().check("Login-Time", ":=", value);
        person.asks_by(Method::Chap, PASSWORD, &[]).asks_by(Method::MsChap2, PASSWORD, &[]);
    }
    let person = book.person("Login-Time of a group").clear().group("a", 1);
    person.group_check("a", "Login-Time", ":=", "Never").asks();
    for (limit, sessions) in [(1, 0), (1, 1), (2, 1), (2, 2), (0, 0), (1, 3)] {
        for op in [":=", "=="] {
            let about = format!("Simultaneous-Use {op} {limit} with {sessions} sessions");
            let mut person = book.person(about).clear().check("Simultaneous-Use", op, &limit.to_string());
            for _ in 0..sessions {
                person = person.session();
            }
            person.asks().asks_by(Method::MsChap2, PASSWORD, &[]);
        }
    }
    let person = book.person("Simultaneous-Use of a group").clear().group("a", 1).session();
    person.group_check("a", "Simultaneous-Use", ":=", "1").asks();
    let person = book.person("Simultaneous-Use and a reply").clear().check("Simultaneous-Use", ":=", "1");
    person.reply("Reply-Message", "=", "Welcome").session().asks();
    for (first, value) in [("Session-Timeout", "60"), ("Session-Timeout", "99999999")] {
        let person = book.person(format!("Expiration and {first} {value}")).clear();
        person.check("Expiration", ":=", "1 Jan 2020").reply(first, "=", value).asks();
    }
}

fn auth_type(book: &mut Book) {
    for value in ["Accept", "Reject", "Local", "PAP", "CHAP", "MS-CHAP", "EAP", "No-Such-Type", "System"] {
        for op in [":=", "==", "=", "+="] {
            let person = book.person(format!("Auth-Type {op} {value}")).clear().check("Auth-Type", op, value);
            person.reply("Filter-Id", "=", "x").asks();
        }
        let person = book.person(format!("Auth-Type := {value}, every method")).clear();
        let person = person.check("Auth-Type", ":=", value).asks_by_all(PASSWORD).asks_by_all("wrong");
        person.asks_by(Method::Nothing, "", &[]);
        let person =
            book.person(format!("Auth-Type := {value} and no password")).check("Auth-Type", ":=", value);
        person.reply("Filter-Id", "=", "x").asks().asks_by(Method::Nothing, "", &[]);
    }
}
