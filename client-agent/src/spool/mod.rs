//! Accounting that no server has taken in time: kept on the disk, acknowledged to the NAS, and delivered when
//! a server answers again, in order.
//!
//! A record is delivered like any other request, with Acct-Delay-Time raised by the time it has waited (RFC 2866
//! section 5.2). It is crossed off when a server has answered it; a process that is killed in between delivers some
//! twice, which the server's own identifiers of sessions make harmless (RFC 2866 section 2).

mod drain;
mod overdue;
#[cfg(test)]
mod tests;
mod thread;

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::spool::{self, SpoolError};
use forewarn_wire::{Packet, RadiusKey};
use tracing::{error, info, warn};

use crate::local::Ticket;
use drain::Drain;
use overdue::Overdue;
use thread::{Disk, Order, Report};

pub(crate) use drain::{Parcel, is_parcel};
pub(crate) use thread::Held;

/// `[spool]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// An Accounting-Request is kept when no server has answered it for so long. `None`: never.
    pub after: Option<Duration>,
    /// Octets on the disk, at most.
    pub max: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config { after: Some(Duration::from_secs(3)), max: 64 << 20 }
    }
}

/// What happened; each only rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Records that are, or were, on the disk, and acknowledged.
    pub(crate) kept: u64,
    /// Records that the disk had no room for, or that it failed to keep: they were not acknowledged.
    pub(crate) not_kept: u64,
    /// Records that a server has taken since.
    pub(crate) delivered: u64,
    /// Records that can't be sent to anybody, and were crossed off.
    pub(crate) undeliverable: u64,
}

/// A record that is safe now: its NAS is to be told.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Its request.
    pub(crate) ticket: Ticket,
    /// The request's octets.
    pub(crate) packet: Vec<u8>,
}

/// The spool, as the agent's thread has it.
#[derive(Debug)]
pub(crate) struct Spool {
    overdue: Overdue,
    drain: Drain,
    disk: Disk,
    held: Held,
    counts: Counts,
    /// The disk has refused something, and has not taken anything since.
    is_failing: bool,
    kept: Vec<Kept>,
}

impl Spool {
    /// Opens, or makes, the one in `folder`; `None` when the configuration wants none.
    ///
    /// # Errors
    /// It can't be read or made.
    pub(crate) fn open(config: &Config, folder: &Path, now: Instant) -> Result<Option<Spool>, SpoolError> {
        let Some(after) = config.after else { return Ok(None) };
        let spool = spool::Spool::open(folder, config.max)?.limited_by("[spool] max");
        let held = Held::by(&spool);
        if held.records > 0 {
            info!("{} accounting records of before wait in the spool", held.records);
        }
        let disk = Disk::start(spool).map_err(|error| SpoolError::Io { path: folder.to_owned(), error })?;
        Ok(Some(Spool {
            overdue: Overdue::new(after),
            drain: Drain::new(now),
            disk,
            held,
            counts: Counts::default(),
            is_failing: false,
            kept: Vec::new(),
        }))
    }

    /// What waits.
    pub(crate) fn held(&self) -> Held {
        self.held
    }

    /// What happened.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// An Accounting-Request has gone to a server.
    pub(crate) fn watch(&mut self, now: Instant, ticket: Ticket) {
        self.overdue.watch(now, ticket);
    }

    /// The next request that has gone without an answer for too long, or was answered long ago: whoever knows tells
    /// [`Spool::keep`].
    pub(crate) fn next_overdue(&mut self, now: Instant) -> Option<Ticket> {
        self.overdue.next(now)
    }

    /// Has a request's record kept, soon. Never waits.
    pub(crate) fn keep(&mut self, utc_ms: u64, ticket: Ticket, request: &Packet<'_>) {
        let entry = thread::entry(utc_ms, std::net::Ipv4Addr::LOCALHOST.into(), request.bytes());
        if !self.disk.order(Order::Keep { ticket, entry }) {
            self.counts.not_kept += 1;
        }
    }

    /// Takes the disk's reports, and asks it for the next records. True when there was something.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut busy = false;
        while let Poll::Ready(Some(report)) = self.disk.reports().poll_recv(cx) {
            busy = true;
            self.take(now, report);
        }
        if self.held.records > 0
            && let Some(most) = self.drain.wants(now)
            && self.disk.order(Order::Read { most })
        {
            self.drain.asked();
        }
        busy
    }

    fn take(&mut self, now: Instant, report: Report) {
        match report {
            Report::Kept { records, held } => {
                if self.held.records == 0 {
                    warn!("no server takes accounting: records are kept in the spool until one does");
                    self.drain.begin(now);
                }
                if self.is_failing {
                    self.is_failing = false;
                    info!("the spool can be written to again");
                }
                self.held = held;
                self.counts.kept += records.len() as u64;
                self.kept
                    .extend(records.into_iter().map(|(ticket, entry)| Kept { ticket, packet: entry.packet }));
            }
            Report::NotKept { tickets, cause } => {
                self.counts.not_kept += tickets.len() as u64;
                if !self.is_failing {
                    self.is_failing = true;
                    error!(
                        "{cause}: accounting that no server takes isn't acknowledged either until there is room"
                    );
                }
            }
            Report::Read { entries, end } => self.drain.fill(entries, end),
            Report::Failed { cause } => {
                error!("{cause}: records in the spool wait");
                self.drain.failed(now);
            }
            Report::Noted { held } => {
                self.held = held;
                if held.records == 0 {
                    info!("the spool is empty: every record has been taken by a server");
                }
            }
        }
    }

    /// The next request whose NAS can be told that its record is safe.
    pub(crate) fn next_kept(&mut self) -> Option<Kept> {
        self.kept.pop()
    }

    /// The next record to deliver, written under `key`; it goes to the servers by its ticket.
    pub(crate) fn next_parcel(&mut self, now: Instant, utc_ms: u64, key: &Arc<RadiusKey>) -> Option<Parcel> {
        self.drain.next(now, utc_ms, key)
    }

    /// A record has been taken by a server, or met silence; or it can't be sent at all.
    pub(crate) fn ended(&mut self, now: Instant, ticket: Ticket, end: End) {
        match end {
            End::Taken => self.counts.delivered += 1,
            End::Silence => {}
            End::Undeliverable => {
                self.counts.undeliverable += 1;
                error!("a record of the spool can't be forwarded to any server, and is crossed off");
            }
        }
        if let Some((end, records)) = self.drain.ended(now, ticket, end != End::Silence) {
            // If the disk is that busy, they are delivered once more.
            let noted = self.disk.order(Order::Delivered { end, records });
            self.held.records = self.held.records.saturating_sub(records);
            if !noted {
                self.drain.failed(now);
            }
        }
    }

    /// When to look again.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let drain = (self.held.records > 0).then(|| self.drain.poll_timeout()).flatten();
        self.overdue.poll_timeout().into_iter().chain(drain).min()
    }
}

/// What became of a record that was to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A server has answered.
    Taken,
    /// None has, in time.
    Silence,
    /// It fits no server.
    Undeliverable,
}
