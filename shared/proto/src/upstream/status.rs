//! What there is to show of each server.

use super::{Phase, ServerCounters, Upstream};
use crate::pool::ServerId;
use crate::switch::Standing;
use crate::time::Instant;

/// One server, as it is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerStatus {
    /// Which.
    pub server: ServerId,
    /// Whether it is thought to be alive.
    pub phase: Phase,
    /// How much traffic it is to get, and why.
    pub standing: Standing,
    /// The percentage of the traffic offered to it that it gets now.
    pub share_percent: u8,
    /// Requests outstanding there.
    pub outstanding: u32,
    /// When it last gave a valid reply, to a request or to a probe.
    pub heard: Option<Instant>,
    /// Its counters.
    pub counters: ServerCounters,
}

impl Upstream {
    /// One server, as it is at `now`.
    pub fn status(&self, now: Instant, server: ServerId) -> ServerStatus {
        let line = &self.lines[server.index()];
        ServerStatus {
            server,
            phase: line.detection.phase(),
            standing: self.switch.standing(server),
            share_percent: self.switch.share_percent(now, server),
            outstanding: line.detection.outstanding(),
            heard: line.heard,
            counters: line.counters,
        }
    }
}
