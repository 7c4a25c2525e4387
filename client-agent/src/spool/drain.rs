//! Records on their way from the disk to a server: one as long as none is answered, more and more when they are.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::spool::{Entry, Place};
use forewarn_wire::{
    Code, Kept, MAX_PACKET, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer, number,
};

use crate::local::Ticket;

/// Records on their way at one time, at most.
const WINDOW_MAX: usize = 64;
/// After silence, how long until the next try.
const RETRY: Duration = Duration::from_secs(1);
/// Tickets of the front door stay below this.
const FIRST_TICKET: Ticket = 1 << 63;

/// Whether a ticket belongs to a record of the spool.
pub(crate) fn is_parcel(ticket: Ticket) -> bool {
    ticket >= FIRST_TICKET
}

/// A record to be delivered.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// Its name until it has ended.
    pub(crate) ticket: Ticket,
    /// The request, signed anew; nothing if it can't be written.
    pub(crate) request: Kept,
}

#[derive(Debug)]
struct Record {
    entry: Entry,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    Away(Ticket),
    Done,
}

#[derive(Debug)]
pub(super) struct Drain {
    /// What was read of the disk, oldest first.
    records: VecDeque<Record>,
    /// Where the last of them ends.
    end: Place,
    window: usize,
    away: usize,
    next_ticket: Ticket,
    /// Not before.
    not_before: Instant,
    is_asked: bool,
}

impl Drain {
    pub(super) fn new(now: Instant) -> Drain {
        Drain {
            records: VecDeque::new(),
            end: Place::default(),
            window: 1,
            away: 0,
            next_ticket: FIRST_TICKET,
            not_before: now,
            is_asked: false,
        }
    }

    /// The first record is on the disk: no server answers at present.
    pub(super) fn begin(&mut self, now: Instant) {
        self.window = 1;
        self.not_before = now + RETRY;
    }

    /// How many records to read, when there are none here.
    pub(super) fn wants(&self, now: Instant) -> Option<usize> {
        (self.records.is_empty() && !self.is_asked && now >= self.not_before).then_some(WINDOW_MAX)
    }

    pub(super) fn asked(&mut self) {
        self.is_asked = true;
    }

    pub(super) fn fill(&mut self, entries: Vec<Entry>, end: Place) {
        self.is_asked = false;
        self.end = end;
        self.records.extend(entries.into_iter().map(|entry| Record { entry, state: State::Waits }));
    }

    /// The disk couldn't do its part.
    pub(super) fn failed(&mut self, now: Instant) {
        self.is_asked = false;
        self.not_before = now + RETRY;
    }

    pub(super) fn next(&mut self, now: Instant, utc_ms: u64, key: &Arc<RadiusKey>) -> Option<Parcel> {
        if now < self.not_before || self.away >= self.window {
            return None;
        }
        let record = self.records.iter_mut().find(|record| record.state == State::Waits)?;
        let ticket = self.next_ticket;
        self.next_ticket = self.next_ticket.checked_add(1).unwrap_or(FIRST_TICKET);
        record.state = State::Away(ticket);
        self.away += 1;
        Some(Parcel { ticket, request: rewritten(&record.entry, utc_ms, key) })
    }

    /// One has ended. When that was the last of them: where they end, and how many they are.
    pub(super) fn ended(&mut self, now: Instant, ticket: Ticket, is_done: bool) -> Option<(Place, u64)> {
        let record = self.records.iter_mut().find(|record| record.state == State::Away(ticket))?;
        record.state = if is_done { State::Done } else { State::Waits };
        self.away -= 1;
        if is_done {
            self.window = (self.window * 2).min(WINDOW_MAX);
        } else {
            self.window = 1;
            self.not_before = now + RETRY;
        }
        if self.records.iter().any(|record| record.state != State::Done) {
            return None;
        }
        let records = self.records.len() as u64;
        self.records.clear();
        Some((self.end, records))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let waits = self.records.iter().any(|record| record.state == State::Waits);
        ((waits && self.away < self.window) || (self.records.is_empty() && !self.is_asked))
            .then_some(self.not_before)
    }
}

/// The request with its Acct-Delay-Time raised by the time it has waited, or with one if it had none, and signed under
/// `key`. Without room for one the record matters more.
fn rewritten(entry: &Entry, utc_ms: u64, key: &Arc<RadiusKey>) -> Kept {
    let waited = u32::try_from(utc_ms.saturating_sub(entry.received) / 1000).unwrap_or(u32::MAX);
    let mut kept = Kept::new();
    let mut buffer = [0; MAX_PACKET];
    for raised in [Some(waited), None] {
        if let Some(length) = write(entry, raised, key, &mut buffer)
            && let Ok(packet) = Packet::parse(&buffer[..length])
            && let Ok(packet) = packet.verify_request(key, MessageAuthenticatorRule::Optional)
        {
            kept.store(&packet);
            break;
        }
    }
    kept
}

fn write(
    entry: &Entry,
    raised: Option<u32>,
    key: &RadiusKey,
    buffer: &mut [u8; MAX_PACKET],
) -> Option<usize> {
    let packet = Packet::parse(&entry.packet).ok()?;
    let packet = packet.peek();
    let mut writer = Writer::new(buffer, Code::ACCOUNTING_REQUEST, packet.identifier());
    let mut told = raised.is_none();
    for attribute in packet.attributes() {
        let seconds = (attribute.number == number::ACCT_DELAY_TIME)
            .then(|| <[u8; 4]>::try_from(attribute.value).ok().map(u32::from_be_bytes))
            .flatten();
        match (attribute.number, seconds, raised) {
            // Under another key it is another.
            (number::MESSAGE_AUTHENTICATOR, ..) => {}
            (_, Some(seconds), Some(raised)) if !told => {
                told = true;
                writer.integer(number::ACCT_DELAY_TIME, seconds.saturating_add(raised)).ok()?;
            }
            _ => {
                writer.attribute(attribute.number, attribute.value).ok()?;
            }
        }
    }
    if let (false, Some(raised)) = (told, raised) {
        writer.integer(number::ACCT_DELAY_TIME, raised).ok()?;
    }
    writer.request(key, RequestAuthenticator::Computed).ok().map(<[u8]>::len)
}
