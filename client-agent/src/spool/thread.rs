//! The thread that owns the disk: what waits for an fsync doesn't hold up notices.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use forewarn_shell::spool::{Entry, Place, Spool, SpoolError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::local::Ticket;

/// Orders that may wait for the disk.
const ORDERS_MAX: usize = 4096;
/// Records written with one fsync, at most.
const TOGETHER_MAX: usize = 256;
const STACK_OCTETS: usize = 256 * 1024;

/// What the disk is to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Keep this record of a request.
    Keep { ticket: Ticket, entry: Entry },
    /// Read so many of the oldest.
    Read { most: usize },
    /// These have been delivered, up to there.
    Delivered { end: Place, records: u64 },
}

/// What it did.
#[derive(Debug)]
pub(super) enum Report {
    /// These are on the disk.
    Kept { records: Vec<(Ticket, Entry)>, held: Held },
    /// These are not, for this reason.
    NotKept { tickets: Vec<Ticket>, cause: SpoolError },
    /// The oldest, and where the last of them ends.
    Read { entries: Vec<Entry>, end: Place },
    /// They can't be read, or what was delivered can't be noted.
    Failed { cause: SpoolError },
    /// What was delivered is noted.
    Noted { held: Held },
}

/// What the spool holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Records that wait.
    pub(crate) records: u64,
    /// Octets on the disk.
    pub(crate) octets: u64,
    /// When the oldest came, milliseconds since 1970.
    pub(crate) oldest: Option<u64>,
}

impl Held {
    pub(super) fn by(spool: &Spool) -> Held {
        Held { records: spool.records(), octets: spool.octets(), oldest: spool.oldest() }
    }
}

/// The thread.
#[derive(Debug)]
pub(super) struct Disk {
    orders: Option<SyncSender<Order>>,
    reports: UnboundedReceiver<Report>,
    thread: Option<JoinHandle<()>>,
}

impl Disk {
    pub(super) fn start(spool: Spool) -> std::io::Result<Disk> {
        let (orders, wanted) = sync_channel(ORDERS_MAX);
        // Bounded by the orders: there is one report for each, or for several.
        let (told, reports) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("spool".to_owned())
            .stack_size(STACK_OCTETS)
            .spawn(move || work(spool, &wanted, &told))?;
        Ok(Disk { orders: Some(orders), reports, thread: Some(thread) })
    }

    /// Never waits; false when too much waits already.
    pub(super) fn order(&self, order: Order) -> bool {
        match self.orders.as_ref().map(|orders| orders.try_send(order)) {
            Some(Ok(())) => true,
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => false,
        }
    }

    pub(super) fn reports(&mut self) -> &mut UnboundedReceiver<Report> {
        &mut self.reports
    }
}

impl Drop for Disk {
    /// Waits for what is still to be written.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // It never panics; there would be nothing left to do about it.
            let _ = thread.join();
        }
    }
}

fn work(mut spool: Spool, orders: &Receiver<Order>, reports: &UnboundedSender<Report>) {
    let mut next = None;
    while let Some(order) = next.take().or_else(|| orders.recv().ok()) {
        let report = match order {
            Order::Keep { ticket, entry } => {
                let mut records = vec![(ticket, entry)];
                while records.len() < TOGETHER_MAX {
                    match orders.try_recv() {
                        Ok(Order::Keep { ticket, entry }) => records.push((ticket, entry)),
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                match spool.append(records.iter().map(|(_, entry)| entry)) {
                    Ok(()) => Report::Kept { records, held: Held::by(&spool) },
                    Err(cause) => {
                        let tickets = records.into_iter().map(|(ticket, _)| ticket).collect();
                        Report::NotKept { tickets, cause }
                    }
                }
            }
            Order::Read { most } => match spool.read(most) {
                Ok(batch) => {
                    let end = batch.ends.last().copied().unwrap_or_else(|| spool.end());
                    Report::Read { entries: batch.entries, end }
                }
                Err(cause) => Report::Failed { cause },
            },
            Order::Delivered { end, records } => match spool.advance(end, records) {
                Ok(()) => Report::Noted { held: Held::by(&spool) },
                Err(cause) => Report::Failed { cause },
            },
        };
        // The agent has ended: what is kept is there at its next start.
        let _ = reports.send(report);
    }
}

/// A record as the disk keeps it.
pub(super) fn entry(received: u64, source: IpAddr, packet: &[u8]) -> Entry {
    Entry { received, source, packet: packet.to_vec() }
}
