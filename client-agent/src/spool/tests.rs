//! What waits, what is delivered when, and what it says.

use std::net::Ipv4Addr;

use forewarn_shell::spool::{Entry, Place};
use forewarn_wire::{Code, MAX_PACKET, RequestAuthenticator, Writer, number};

use super::drain::{Drain, is_parcel};
use super::overdue::Overdue;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn key() -> Arc<RadiusKey> {
    Arc::new(RadiusKey::new(b"localsecretlocalsecret").unwrap())
}

fn entry(session: &str, delay: Option<u32>) -> Entry {
    let mut buffer = [0; MAX_PACKET];
    let mut writer = Writer::new(&mut buffer, Code::ACCOUNTING_REQUEST, 7);
    writer.attribute(number::ACCT_SESSION_ID, session.as_bytes()).unwrap();
    if let Some(delay) = delay {
        writer.integer(number::ACCT_DELAY_TIME, delay).unwrap();
    }
    let packet = writer.request(&key(), RequestAuthenticator::Computed).unwrap().to_vec();
    Entry { received: 10_000, source: Ipv4Addr::LOCALHOST.into(), packet }
}

fn end(offset: u64) -> Place {
    Place { segment: 1, offset }
}

/// What the next parcels say: session and delay.
fn parcels(drain: &mut Drain, now: Instant) -> Vec<(Ticket, String, Option<u32>)> {
    let mut said = Vec::new();
    while let Some(parcel) = drain.next(now, 17_500, &key()) {
        let request = parcel.request.packet().expect("it can be written");
        let session = String::from_utf8_lossy(request.find(number::ACCT_SESSION_ID).unwrap()).into_owned();
        let delay = request.find(number::ACCT_DELAY_TIME);
        let delay = delay.map(|seconds| u32::from_be_bytes(seconds.try_into().unwrap()));
        assert!(is_parcel(parcel.ticket));
        said.push((parcel.ticket, session, delay));
    }
    said
}

#[test]
fn a_request_is_overdue_after_its_time_in_the_order_of_arrival() {
    let start = Instant::ZERO + SECOND;
    let mut overdue = Overdue::new(3 * SECOND);
    overdue.watch(start, 4);
    overdue.watch(start + SECOND, 9);
    assert_eq!(overdue.next(start + 2 * SECOND), None);
    assert_eq!(overdue.poll_timeout(), Some(start + 3 * SECOND));
    assert_eq!(overdue.next(start + 3 * SECOND), Some(4));
    assert_eq!(overdue.next(start + 3 * SECOND), None);
    assert_eq!(overdue.next(start + 9 * SECOND), Some(9));
    assert_eq!(overdue.poll_timeout(), None);
}

#[test]
fn one_goes_first_and_more_when_it_was_taken_each_with_its_time_of_waiting() {
    let now = Instant::ZERO + SECOND;
    let mut drain = Drain::new(now);
    assert!(drain.wants(now).is_some());
    drain.asked();
    assert_eq!(drain.wants(now), None, "the disk is at it");
    drain.fill(vec![entry("a", None), entry("b", Some(5)), entry("c", None)], end(70));
    let first = parcels(&mut drain, now);
    assert_eq!(
        first.iter().map(|(_, session, delay)| (&**session, *delay)).collect::<Vec<_>>(),
        [("a", Some(7))]
    );
    assert_eq!(drain.ended(now, first[0].0, true), None, "others are left");
    let more = parcels(&mut drain, now);
    let said: Vec<_> = more.iter().map(|(_, session, delay)| (&**session, *delay)).collect();
    assert_eq!(said, [("b", Some(12)), ("c", Some(7))], "raised, or added");
    assert_eq!(drain.ended(now, more[1].0, true), None);
    assert_eq!(drain.ended(now, more[1].0, true), None, "only once");
    assert_eq!(drain.ended(now, more[0].0, true), Some((end(70), 3)));
    assert!(drain.wants(now).is_some());
}

#[test]
fn silence_makes_it_wait_and_begin_with_one_again() {
    let now = Instant::ZERO + SECOND;
    let mut drain = Drain::new(now);
    drain.fill(vec![entry("a", None), entry("b", None)], end(9));
    let first = parcels(&mut drain, now);
    assert_eq!(drain.ended(now, first[0].0, false), None);
    assert!(parcels(&mut drain, now).is_empty());
    let later = drain.poll_timeout().expect("it tries again");
    assert!(later > now);
    let again = parcels(&mut drain, later);
    assert_eq!((again.len(), &*again[0].1), (1, "a"), "the same one first");
    assert_eq!(drain.ended(later, first[0].0, true), None, "an old name is nobody's");
}
