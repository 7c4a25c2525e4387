//! Groups: their order, which of them match, and when the next one is looked at.

use super::{Book, Person};

pub(super) fn write(book: &mut Book) {
    fall_through(book);
    order(book);
    passwords(book);
    odd(book);
}

/// Fall-Through in each place where it may stand.
fn fall_through(book: &mut Book) {
    for own in [None, Some("Yes"), Some("No"), Some("1"), Some("0")] {
        for first in [None, Some("Yes"), Some("No")] {
            for second in [None, Some("Yes")] {
                for matching in [true, false] {
                    let about =
                        format!("Fall-Through {own:?} {first:?} {second:?}, first group matches: {matching}");
                    let mut person = book.person(about).clear().reply("Filter-Id", "=", "person");
                    if let Some(own) = own {
                        person = person.reply("Fall-Through", "=", own);
                    }
                    person = person.group("a", 1).group("b", 2).group("c", 3);
                    let port = if matching { "10" } else { "11" };
                    person = person.group_check("a", "NAS-Port", "==", port);
                    for (group, through) in [("a", first), ("b", second), ("c", None)] {
                        person = person.group_reply(group, "Filter-Id", "+=", group);
                        if let Some(through) = through {
                            person = person.group_reply(group, "Fall-Through", "=", through);
                        }
                    }
                    person.asks_with(&[("NAS-Port", "10")]);
                }
            }
        }
    }
}

/// The lower priority comes first; equal ones as the database gives them, which nobody can compare.
fn order(book: &mut Book) {
    for (a, b) in [(1, 2), (2, 1), (0, 10), (10, 0), (-1, 0)] {
        for op in ["=", ":=", "+="] {
            let person =
                book.person(format!("priorities {a} and {b}, {op}")).clear().group("a", a).group("b", b);
            let person = through(person, "a").group_reply("a", "Filter-Id", op, "a").group_reply(
                "a",
                "Session-Timeout",
                op,
                "1",
            );
            through(person, "b")
                .group_reply("b", "Filter-Id", op, "b")
                .group_reply("b", "Idle-Timeout", op, "2")
                .asks();
        }
    }
}

fn through<'b>(person: Person<'b>, group: &str) -> Person<'b> {
    person.group_reply(group, "Fall-Through", "=", "Yes")
}

/// Passwords and other control items that come from groups.
fn passwords(book: &mut Book) {
    let person = book.person("no rows but a group with the password").group("a", 1);
    person
        .group_check("a", "Cleartext-Password", ":=", super::PASSWORD)
        .group_reply("a", "Filter-Id", "=", "a")
        .asks();
    for op in [":=", "=", "+=", "=="] {
        let person =
            book.person(format!("person and group with a password, group's {op}")).clear().group("a", 1);
        let person = person.group_check("a", "Cleartext-Password", op, "of the group");
        person.asks().asks_by(super::Method::Pap, "of the group", &[]);
    }
    for auth in ["Accept", "Reject"] {
        for op in [":=", "=", "==", "+="] {
            let person = book.person(format!("group with Auth-Type {op} {auth}")).clear().group("a", 1);
            person.group_check("a", "Auth-Type", op, auth).asks().asks_by(super::Method::Pap, "wrong", &[]);
        }
    }
    let person = book.person("the second group rejects").clear().group("a", 1).group("b", 2);
    through(person, "a").group_check("b", "Auth-Type", ":=", "Reject").asks();
    let person =
        book.person("the second group rejects, and isn't reached").clear().group("a", 1).group("b", 2);
    person.group_reply("a", "Filter-Id", "=", "a").group_check("b", "Auth-Type", ":=", "Reject").asks();
}

fn odd(book: &mut Book) {
    book.person("a group without rows").clear().group("a", 1).asks();
    book.person("nothing but a group without rows").group("a", 1).asks();
    let person = book.person("a group with checks only").clear().group("a", 1).group("b", 2);
    person
        .group_check("a", "NAS-Port", "==", "10")
        .group_reply("b", "Filter-Id", "=", "b")
        .asks_with(&[("NAS-Port", "10")])
        .asks();
    let person = book.person("a member twice").clear().group("a", 1).group("a", 2);
    through(person, "a").group_reply("a", "Filter-Id", "+=", "a").asks();
    let person = book.person("an unknown attribute in the first group").clear().group("a", 1).group("b", 2);
    let person = through(person, "a").group_reply("a", "No-Such-Attribute", "=", "a");
    person.group_reply("b", "Filter-Id", "=", "b").asks();
    let person = book.person("a bad value in a group's check").clear().group("a", 1).group("b", 2);
    person.group_check("a", "NAS-Port", "==", "ten").group_reply("b", "Filter-Id", "=", "b").asks();
    let person =
        book.person("a person's checks that fail, and a group").check("NAS-Port", "==", "11").clear();
    let person = person.group("a", 1).group_reply("a", "Filter-Id", "=", "a");
    person.group_check("a", "Cleartext-Password", ":=", super::PASSWORD).asks_with(&[("NAS-Port", "10")]);
    let person = book.person("asks for the group by SQL-Group").clear().group("a", 1);
    let name = format!("{}-a", person.name());
    person.check("SQL-Group", "==", &name).reply("Filter-Id", "=", "member").asks();
    let person = book.person("asks for another group by SQL-Group").clear().group("a", 1);
    person.check("SQL-Group", "==", "elsewhere").reply("Filter-Id", "=", "member").asks();
    let person = book.person("asks not to be in a group").clear().group("a", 1);
    person.check("SQL-Group", "!=", "elsewhere").reply("Filter-Id", "=", "member").asks();
    let person = book.person("a profile").clear().check("User-Profile", ":=", "profile-of-the-house");
    person.asks();
}
