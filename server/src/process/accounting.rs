//! Accounting-Request: answered when it is on the disk (RFC 2866 section 4.2).

use std::sync::Arc;

use forewarn_shell::clock;
use forewarn_wire::{Code, number};

use super::access::Progress;
use super::core::{Case, Desk, Turn, WaitsFor, write_plain};
use super::mailbox::{Promise, Ticket, Unstored};
use super::outcome::Cause;
use super::tables::Tables;
use crate::store::Entry;

impl Desk {
    /// Hands the record to the writer.
    pub(super) fn accounting(&mut self, tables: &Arc<Tables>, case: Case<'_>) -> Turn {
        let user_name = case.request.find(number::USER_NAME).unwrap_or_default();
        match self.destination(tables, case, user_name) {
            Ok(Some(realm)) => return self.hand_on(tables, case, realm),
            Ok(None) => {}
            // Whose it is can't be said: its sender tries again.
            Err(_) => return Turn::Silence(Cause::NotForwarded),
        }
        let Some(ticket) = self.wait(tables, case, WaitsFor::Queue, Progress::default()) else {
            return Turn::Silence(Cause::TooManyInFlight);
        };
        let mut request = self.spare.pop().unwrap_or_default();
        request.store(case.request);
        let promise = Promise::new(ticket, Arc::clone(self.shared.mailbox(self.number.into())));
        let entry = Entry {
            promise,
            request,
            source: case.route.to.ip(),
            received: clock::utc(),
            stamp_ns: case.arrived.as_nanos(),
        };
        match self.shared.accounting().submit(entry) {
            Ok(()) => Turn::Waits,
            Err(entry) => {
                entry.promise.release();
                self.reuse(entry.request);
                self.abandon(ticket);
                Turn::Silence(Cause::StoreFull)
            }
        }
    }

    /// Takes back what was put to wait and could not be handed on.
    pub(super) fn abandon(&mut self, ticket: Ticket) {
        if let Some(waiting) = self.waiting.remove(ticket.slot, ticket.generation) {
            self.reuse(waiting.request);
        }
    }
}

/// The writer has reported.
pub(super) fn stored(tables: &Tables, case: Case<'_>, verdict: Result<(), Unstored>, out: &mut [u8]) -> Turn {
    match verdict {
        Ok(()) => {}
        Err(Unstored::Incomplete) => return Turn::Silence(Cause::BadAccounting),
        Err(Unstored::Failed) => return Turn::Silence(Cause::NotStored),
    }
    match write_plain(out, Code::ACCOUNTING_RESPONSE, tables.client(case.client), case.request) {
        Ok(length) => Turn::Reply(Cause::Stored, length),
        Err(_) => Turn::Silence(Cause::ReplyTooLong),
    }
}
