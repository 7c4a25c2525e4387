//! One peer: what it said last, and what was promised in its name since.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forewarn_wire::notice::{Identity, Takes};

use super::Report;
use crate::notice::{KeyEntry, KeyRing};
use crate::time::Instant;

/// After this long the clients that were sent to a peer are in its own figures.
pub const SETTLING: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) identity: Identity,
    pub(super) socket: SocketAddr,
    pub(super) keys: Vec<KeyEntry>,
    /// This server's keys for telling it.
    pub(super) telling: Option<KeyRing>,
    pub(super) capacity: Option<f64>,
    pub(super) heard: Option<Heard>,
    pub(super) pledged: Option<Pledge>,
    /// When a CHALLENGE of its was last answered.
    pub(super) answered: Option<Instant>,
}

/// What it said last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) report: Report,
    pub(super) at: Instant,
    pub(super) until: Instant,
    /// Since when it asks its clients to leave.
    pub(super) leaving_since: Option<Instant>,
}

/// Clients that were sent there lately.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pledge {
    /// What it heard before they were.
    base: f64,
    /// What they are expected to add.
    rate: f64,
    until: Instant,
}

/// A peer for status and for choosing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Its identity.
    pub address: IpAddr,
    /// When it was last heard.
    pub heard: Option<Instant>,
    /// What is known of it; none: nothing, or nothing any more.
    pub known: Option<Known>,
}

/// What is known of a peer now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Its last word.
    pub report: Report,
    /// Requests a second that it has, those of clients on their way to it included.
    pub used: f64,
    /// Requests a second at which it is full, as far as this server may fill it; none: not known.
    pub full_at: Option<f64>,
}

impl Known {
    /// Requests a second that this server may still send there; none: not known.
    pub fn headroom(&self) -> Option<f64> {
        self.full_at.map(|full_at| (full_at - self.used).max(0.0))
    }
}

impl Peer {
    pub(super) fn hear(&mut self, now: Instant, until: Instant, report: Report) {
        let before = self.heard.and_then(|heard| heard.leaving_since);
        let leaving_since = (report.takes == Takes::Nobody).then(|| before.unwrap_or(now));
        self.heard = Some(Heard { report, at: now, until, leaving_since });
    }

    /// It has just begun to send its clients away, perhaps to where this server sends its own.
    pub(super) fn has_begun_to_leave(&self, now: Instant) -> bool {
        let since = self.heard.filter(|heard| heard.until > now).and_then(|heard| heard.leaving_since);
        since.is_some_and(|since| now.since(since) < SETTLING)
    }

    pub(super) fn pledge(&mut self, now: Instant, rate: f64) {
        let base = self.heard.map_or(0.0, |heard| heard.report.rate);
        let running = self.pledged.filter(|pledge| pledge.until > now);
        let before = running.unwrap_or(Pledge { base, rate: 0.0, until: now });
        self.pledged = Some(Pledge { rate: before.rate + rate, until: now + SETTLING, ..before });
    }

    /// What is known of it, when so many servers (this one among them) send clients away.
    pub(super) fn view(&self, now: Instant, threshold: f64, sharers: usize) -> View {
        let fresh = self.heard.filter(|heard| heard.until > now);
        let known = fresh.map(|Heard { report, .. }| {
            let pledged = self.pledged.filter(|pledge| pledge.until > now);
            let used = report.rate.max(pledged.map_or(0.0, |pledge| pledge.base + pledge.rate));
            let said = report.room.map(|room| report.rate + room);
            let configured = self.capacity.map(|capacity| capacity * threshold);
            let full_at = match (said, configured) {
                (Some(said), Some(configured)) => Some(said.min(configured)),
                (said, configured) => said.or(configured),
            };
            // What is left is shared with those who want it too.
            let full_at = full_at.map(|full_at| {
                let left = (full_at - report.rate).max(0.0);
                report.rate + left / sharers.max(1) as f64
            });
            Known { report, used, full_at }
        });
        View { address: self.socket.ip(), heard: self.heard.map(|heard| heard.at), known }
    }
}
