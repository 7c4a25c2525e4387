//! What nobody can tell before.

use std::time::{Duration, Instant};

use crate::matrix::{Campus, Class, Event, Row, Site};

use super::{NO_ICMP, NO_UDP, QUIET};

const UNFORESEEN: Row = Row { class: Class::Unforeseen, ..QUIET };

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "kill -9",
        event: |site| {
            let at = Instant::now();
            site.east().signal("KILL");
            site.left(at, &[0])
        },
        ..UNFORESEEN
    },
    Row { name: "SIGSTOP for 2 s", event: |site| stopped(site, Duration::from_secs(2)), ..UNFORESEEN },
    Row {
        name: "SIGSTOP for 10 s",
        slow: true,
        event: |site| stopped(site, Duration::from_secs(10)),
        ..UNFORESEEN
    },
    Row {
        name: "the server's link is down",
        event: |site| {
            let at = Instant::now();
            site.campus.servers[0].unplug();
            site.left(at, &[0])
        },
        ..UNFORESEEN
    },
    Row {
        name: "the server's gateway is lost",
        event: |site| {
            let at = Instant::now();
            site.campus.servers[0].isolate();
            site.left(at, &[0])
        },
        ..UNFORESEEN
    },
    Row {
        name: "SIGTERM, every notice blocked",
        event: |site| {
            Campus::fault(&[NO_ICMP, NO_UDP]);
            site.east().signal("TERM");
            // Until then it answers.
            site.servers[0].as_mut().expect("it runs").ended();
            site.left(Instant::now(), &[0])
        },
        ..UNFORESEEN
    },
];

fn stopped(site: &mut Site<'_>, time: Duration) -> Event {
    let at = Instant::now();
    site.east().signal("STOP");
    let event = site.left(at, &[0]);
    std::thread::sleep(time.saturating_sub(at.elapsed()));
    site.east().signal("CONT");
    event
}
