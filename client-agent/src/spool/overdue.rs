//! Accounting-Requests on their way, oldest first: which of them nobody has answered for too long.

use std::collections::VecDeque;
use std::time::Duration;

use forewarn_proto::time::Instant;

use crate::local::Ticket;

#[derive(Debug)]
pub(super) struct Overdue {
    after: Duration,
    /// All wait equally long, so this is in the order of their deadlines.
    waiting: VecDeque<(Instant, Ticket)>,
}

/// More than can be on their way: what was answered stays in until its time has come. Beyond that the oldest isn't
/// kept, and the NAS tries again.
const WATCHED_MAX: usize = 32_768;

impl Overdue {
    pub(super) fn new(after: Duration) -> Overdue {
        Overdue { after, waiting: VecDeque::new() }
    }

    pub(super) fn watch(&mut self, now: Instant, ticket: Ticket) {
        if self.waiting.len() == WATCHED_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((now + self.after, ticket));
    }

    pub(super) fn next(&mut self, now: Instant) -> Option<Ticket> {
        let &(due, ticket) = self.waiting.front()?;
        if due > now {
            return None;
        }
        self.waiting.pop_front();
        Some(ticket)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }
}
