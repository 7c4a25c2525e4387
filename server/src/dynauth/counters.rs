//! What became of CoA-Requests and Disconnect-Requests so far.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::exchange::{End, Seen};

/// Each only rises.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    retransmissions: AtomicU64,
    acks: AtomicU64,
    naks: AtomicU64,
    timed_out: AtomicU64,
    without_message_authenticator: AtomicU64,
    forged: AtomicU64,
    stale: AtomicU64,
    stray: AtomicU64,
    unreachable: AtomicU64,
}

impl Counters {
    /// An exchange has ended, after so many transmissions.
    pub(super) fn add(&self, end: End, seen: Seen, transmissions: u32) {
        let add = |counter: &AtomicU64, count: u32| {
            counter.fetch_add(count.into(), Relaxed);
        };
        add(&self.requests, 1);
        add(&self.retransmissions, transmissions.saturating_sub(1));
        let ended = match end {
            End::Ack { .. } => &self.acks,
            End::Nak { .. } => &self.naks,
            End::TimeOut => &self.timed_out,
        };
        add(ended, 1);
        add(&self.without_message_authenticator, seen.without_message_authenticator);
        add(&self.forged, seen.forged);
        add(&self.stale, seen.stale);
        add(&self.stray, seen.stray);
        add(&self.unreachable, seen.unreachable);
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("coa.requests", &self.requests),
            ("coa.retransmissions", &self.retransmissions),
            ("coa.acks", &self.acks),
            ("coa.naks", &self.naks),
            ("coa.timed-out", &self.timed_out),
            ("coa.replies-without-message-authenticator", &self.without_message_authenticator),
            ("coa.replies-forged", &self.forged),
            ("coa.replies-stale", &self.stale),
            ("coa.replies-stray", &self.stray),
            ("coa.unreachable", &self.unreachable),
        ];
        all.map(|(name, counter)| (name, counter.load(Relaxed))).into_iter()
    }
}
