//! One core's desk: what happens to a datagram, in one turn, without a socket in sight.
//!
//! Where the password is quick to verify, a turn takes no lock, allocates nothing and formats nothing. What has to wait leaves a `Waiting` behind and comes back as a [`Finding`].

mod desk;
mod judge;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use forewarn_proto::dedup;
use forewarn_proto::time::Instant;
use forewarn_wire::Packet;

use crate::config::ListenKind;
use crate::process::mailbox::{Finding, Ticket};
use crate::process::pending::Route;
use crate::process::story::Story;
use crate::process::tables::Tables;
use crate::shared::Shared;

pub use desk::DUPLICATES_MAX;
pub(super) use desk::{Case, Desk, Turn, WaitsFor};
pub(super) use judge::write_plain;
pub use judge::{REJECT_DELAY, REJECT_JITTER};

/// A datagram that has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The number of the socket.
    pub socket: u16,
    /// What the socket is for.
    pub kind: ListenKind,
    /// The sender.
    pub source: SocketAddr,
    /// The address it was sent to.
    pub local: IpAddr,
    /// When the kernel received it.
    pub arrived: Instant,
    /// Its octets.
    pub octets: &'a [u8],
}

impl Arrival<'_> {
    pub(super) fn route(&self) -> Route {
        Route { socket: self.socket, to: self.source, from: self.local }
    }

    pub(super) fn key(&self, request: &Packet<'_>) -> dedup::Key {
        dedup::Key { source: self.source, identifier: request.identifier(), socket: self.socket }
    }
}

/// A reply that stands at the beginning of the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// Where it goes.
    pub route: Route,
    /// Its octets.
    pub length: usize,
}

/// One core.
pub struct Core {
    desk: Desk,
    source: Cache<Arc<ArcSwap<Tables>>, Arc<Tables>>,
    tables: Arc<Tables>,
    reports: VecDeque<(Ticket, Finding)>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("number", &self.desk.number).finish_non_exhaustive()
    }
}

impl Core {
    /// The core of this number.
    pub fn new(number: u16, shared: Arc<Shared>) -> Self {
        let mut source = Cache::new(shared.tables_source());
        let tables = Arc::clone(source.load());
        Self { desk: Desk::new(number, shared), source, tables, reports: VecDeque::with_capacity(256) }
    }

    /// A turn begins: what is read from now on is judged by the configuration in force.
    pub fn begin(&mut self) {
        let current = self.source.load();
        if !Arc::ptr_eq(current, &self.tables) {
            self.tables = Arc::clone(current);
        }
    }

    /// Judges a datagram. The reply, if there is one at once, is written to `out`.
    pub fn handle_arrival(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_>,
        out: &mut [u8],
    ) -> Option<Departure> {
        let length = self.desk.judge(now, &self.tables, arrival, out)?;
        Some(Departure { route: arrival.route(), length })
    }

    /// Takes what workers and the store have found out. False: there is nothing.
    pub fn collect(&mut self) -> bool {
        if self.reports.is_empty() {
            self.desk.shared.mailbox(self.desk.number.into()).take(&mut self.reports);
        }
        !self.reports.is_empty()
    }

    /// Goes on with the next request of which something was found out. `None`: no more have been collected.
    /// `Some(None)`: that one has no reply (yet).
    pub fn handle_finding(&mut self, now: Instant, out: &mut [u8]) -> Option<Option<Departure>> {
        let (ticket, finding) = self.reports.pop_front()?;
        Some(self.desk.resume(now, ticket, finding, out))
    }

    /// Writes the next reject whose time has come to `out`.
    pub fn poll_delayed(&mut self, now: Instant, out: &mut [u8]) -> Option<Departure> {
        self.desk.poll_delayed(now, out)
    }

    /// What was written since the last time has left, `now`.
    pub fn handle_departed(&mut self, now: impl FnOnce() -> Instant) {
        if !self.desk.departing.is_empty() {
            self.desk.departed(now());
        }
    }

    /// When the next reject is due, or the oldest request or conversation will have waited too long.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let poke = self.desk.shown.and_then(|since| self.desk.poke_at(since));
        let conversations = self.desk.shared.conversations();
        let expiry =
            self.tables.eap().and_then(|eap| conversations.next_expiry(self.desk.number, eap.timeout));
        [self.desk.delayed.next_due(), poke, expiry].into_iter().flatten().min()
    }

    /// A turn ends: shows the gauges. `oldest_unread` is the stamp of the oldest datagram that is read but not
    /// judged yet, if there is one.
    pub fn show(&mut self, now: Instant, oldest_unread: Option<Instant>) {
        let timeout = self.tables.eap().map_or(Duration::ZERO, |eap| eap.timeout);
        self.desk.shared.conversations().sweep(self.desk.number, now, timeout);
        self.desk.show(now, oldest_unread);
    }

    /// Requests under way here.
    pub fn in_flight(&self) -> usize {
        self.desk.in_flight()
    }

    /// From now on the steps of each request are told, until [`Core::story`] takes them.
    pub(crate) fn listen(&mut self) {
        self.desk.story = Some(Box::default());
    }

    /// What was told.
    pub(crate) fn story(&mut self) -> Option<Story> {
        self.desk.story.take().map(|story| *story)
    }
}
