//! The way back: what a worker or the accounting writer found out, to the core whose request it was.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forewarn_eap::Step;
use forewarn_wire::Kept;
use tokio::sync::Notify;

use crate::process::eap::rooms::Loan;
use crate::proxy::Brought;
use crate::store::admission::Admission;
use crate::users::Lookup;

/// Names a request that waits: the core, its slot there, and the slot's generation. A stale one names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The core's number.
    pub core: u16,
    /// The slot on that core.
    pub slot: u32,
    /// The slot's generation at the time.
    pub generation: u32,
}

/// What was found out.
#[derive(Debug)]
pub enum Finding {
    /// Who the user is.
    Account(Lookup),
    /// How many sessions the user has open, or the address they get.
    Admission(Admission),
    /// What a home server said.
    Brought(Brought),
    /// What follows in an EAP conversation, which comes back.
    Eap(Box<Loan>, Box<Step>),
    /// Nobody can say whether the password is right: the directory that knows is away.
    Unverified,
    /// Whether the password was right.
    Password(bool),
    /// Whether the accounting record is durable; the request comes back.
    Stored(Result<(), Unstored>, Kept),
    /// Whoever was at it failed.
    Lost,
}

/// Why an accounting record isn't durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstored {
    /// It says too little: no Acct-Status-Type or no Acct-Session-Id.
    Incomplete,
    /// The database did not take it.
    Failed,
}

/// One core's way in. Bounded by what can be under way: the slots of the core.
#[derive(Debug, Default)]
pub struct Mailbox {
    reports: Mutex<VecDeque<(Ticket, Finding)>>,
    arrival: Notify,
}

impl Mailbox {
    /// Empty, with room for so many reports before anything is allocated.
    pub fn with_room(reports: usize) -> Self {
        Self { reports: Mutex::new(VecDeque::with_capacity(reports)), arrival: Notify::new() }
    }

    /// Puts a report in and wakes the core.
    pub fn post(&self, ticket: Ticket, finding: Finding) {
        self.reports().push_back((ticket, finding));
        self.arrival.notify_one();
    }

    /// Exchanges what is in for `empty`, whose room is used again.
    pub fn take(&self, empty: &mut VecDeque<(Ticket, Finding)>) {
        debug_assert!(empty.is_empty());
        std::mem::swap(&mut *self.reports(), empty);
    }

    /// Returns when something has been put in since the last time, or before.
    pub async fn arrived(&self) {
        self.arrival.notified().await;
    }

    /// Wakes the core without a report: something it looks at each turn has changed.
    pub fn wake(&self) {
        self.arrival.notify_one();
    }

    fn reports(&self) -> MutexGuard<'_, VecDeque<(Ticket, Finding)>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The promise to report on a ticket. Dropped without a report (a panic, a queue given up), it reports
/// [`Finding::Lost`], so that no request waits for ever.
#[derive(Debug)]
pub struct Promise {
    ticket: Ticket,
    mailbox: Option<Arc<Mailbox>>,
}

impl Promise {
    /// To report on `ticket` to `mailbox`.
    pub fn new(ticket: Ticket, mailbox: Arc<Mailbox>) -> Self {
        Self { ticket, mailbox: Some(mailbox) }
    }

    /// Reports.
    pub fn keep(mut self, finding: Finding) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.post(self.ticket, finding);
        }
    }

    /// Gives the promise up without a report: whoever made it goes on with the request itself.
    pub fn release(mut self) {
        self.mailbox = None;
    }

    /// The ticket.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.post(self.ticket, Finding::Lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: Ticket = Ticket { core: 0, slot: 3, generation: 7 };

    fn taken(mailbox: &Mailbox) -> Vec<(Ticket, Finding)> {
        let mut reports = VecDeque::new();
        mailbox.take(&mut reports);
        reports.into()
    }

    #[test]
    fn a_promise_is_kept_once() {
        let mailbox = Arc::new(Mailbox::with_room(4));
        Promise::new(TICKET, Arc::clone(&mailbox)).keep(Finding::Password(true));
        assert!(matches!(taken(&mailbox)[..], [(TICKET, Finding::Password(true))]));
        Promise::new(TICKET, Arc::clone(&mailbox)).release();
        assert!(taken(&mailbox).is_empty());
    }

    #[test]
    fn a_broken_promise_is_reported() {
        let mailbox = Arc::new(Mailbox::with_room(4));
        let promise = Promise::new(TICKET, Arc::clone(&mailbox));
        let _ = std::thread::spawn(move || {
            let _promise = promise;
            panic!("meant");
        })
        .join();
        assert!(matches!(taken(&mailbox)[..], [(TICKET, Finding::Lost)]));
    }
}
