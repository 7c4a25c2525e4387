//! What a core works with, and the requests that wait on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forewarn_proto::dedup::{self, Dedup};
use forewarn_proto::time::Instant;
use forewarn_shell::random;
use forewarn_wire::{Kept, Packet, Verified};
use rand::rngs::StdRng;
use rand_core::Rng;

use crate::decisions::Trail;
use crate::metrics::latency::Kind;
use crate::policy::Matched;
use crate::process::access::Progress;
use crate::process::accounting::stored;
use crate::process::eap::rooms::Loan;
use crate::process::heard::Ear;
use crate::process::mailbox::{Finding, Ticket};
use crate::process::outcome::{Answer, Cause};
use crate::process::pending::{Delayed, Pending, Route};
use crate::process::story::Story;
use crate::process::tables::Tables;
use crate::shared::Shared;
use crate::users::Room;
use crate::vitals::CoreVitals;

use super::Departure;

/// Requests one core remembers for their duplicates.
pub const DUPLICATES_MAX: usize = 65_536;
/// Octets of reply buffers one core keeps for reuse.
const REPLY_ROOM: usize = 32 << 20;
/// Replies whose departure is noted together.
const DEPARTING: usize = 128;
/// Buffers for requests that wait, kept for reuse by one core.
const SPARE_MAX: usize = 1024;

/// Everything of a core but the tables, so that both can be borrowed at once.
pub(in crate::process) struct Desk {
    pub(in crate::process) number: u16,
    pub(in crate::process) shared: Arc<Shared>,
    pub(in crate::process) dedup: Dedup,
    pub(in crate::process) waiting: Pending<Waiting>,
    pub(super) delayed: Delayed,
    pub(super) in_flight_max: usize,
    pub(in crate::process) random: StdRng,
    /// The policies that held for the request in hand.
    pub(in crate::process) matched: Matched,
    /// The EAP conversation of the request in hand.
    pub(in crate::process) eap: Option<Loan>,
    /// Where its steps are told, if somebody listens.
    pub(in crate::process) story: Option<Box<Story>>,
    /// Buffers of requests that no longer wait.
    pub(in crate::process) spare: Vec<Kept>,
    pub(super) ear: Ear,
    /// What the record of the request at hand will say.
    pub(in crate::process) trail: Trail,
    /// For accounts that depend on the request.
    pub(in crate::process) room: Room,
    /// Whether this turn has left records.
    pub(in crate::process) recorded: bool,
    /// Replies written and not sent yet: when their requests arrived, and what they are.
    pub(in crate::process) departing: Vec<(Instant, Kind, Answer)>,
    pub(super) poked: Option<Instant>,
    /// Since when the oldest request waits that the gauge shows, unread ones apart.
    pub(super) shown: Option<Instant>,
}

/// A request that waits for a worker or the store.
pub(in crate::process) struct Waiting {
    pub(in crate::process) tables: Arc<Tables>,
    pub(in crate::process) client: u32,
    pub(in crate::process) request: Kept,
    pub(in crate::process) slot: dedup::Slot,
    pub(in crate::process) route: Route,
    pub(in crate::process) arrived: Instant,
    pub(in crate::process) waits_for: WaitsFor,
    /// What was found out before, of an Access-Request.
    pub(in crate::process) progress: Progress,
    /// Its EAP conversation.
    pub(in crate::process) eap: Option<Loan>,
}

/// What a request waits for: whether it counts as waiting for this server.
#[derive(Clone)]
pub(in crate::process) enum WaitsFor {
    /// A thread of this server that writes to the disk.
    Queue,
    /// A worker, which sets this when it has taken the request up: from then on it doesn't wait, it is being worked
    /// on. A slow hash alone is no queue.
    Worker(Arc<AtomicBool>),
    /// Somebody else: a database, a directory, a home server. Whether they are well is a service's to say.
    Others,
}

impl Waiting {
    fn still_waits(&self) -> bool {
        match &self.waits_for {
            WaitsFor::Queue => true,
            WaitsFor::Worker(taken_up) => !taken_up.load(Ordering::Relaxed),
            WaitsFor::Others => false,
        }
    }
}

/// A request that has passed duplicate detection.
#[derive(Clone, Copy)]
pub(in crate::process) struct Case<'r> {
    pub(in crate::process) client: u32,
    pub(in crate::process) request: &'r Verified<Packet<'r>>,
    pub(in crate::process) slot: dedup::Slot,
    pub(in crate::process) route: Route,
    pub(in crate::process) arrived: Instant,
}

/// What became of a request in this turn.
#[derive(Clone, Copy)]
pub(in crate::process) enum Turn {
    /// The reply, of this length, goes out now.
    Reply(Cause, usize),
    /// The reject, of this length, goes out at its time.
    Reject(Cause, usize),
    /// It waits for a finding.
    Waits,
    /// It is not answered.
    Silence(Cause),
}

impl Desk {
    pub(super) fn new(number: u16, shared: Arc<Shared>) -> Self {
        let mut random = random::generator();
        let config = shared.config();
        let in_flight_max = (config.workers.in_flight / shared.outcomes().len()).max(1);
        let dedup = Dedup::new(dedup::Config {
            entries: DUPLICATES_MAX,
            retain: REPLY_ROOM,
            seed: random.next_u64(),
            ..dedup::Config::default()
        });
        Self {
            number,
            shared,
            dedup,
            waiting: Pending::new(in_flight_max),
            delayed: Delayed::new(in_flight_max),
            in_flight_max,
            random,
            matched: Matched::default(),
            eap: None,
            story: None,
            spare: Vec::new(),
            ear: Ear::default(),
            trail: Trail::default(),
            room: Room::default(),
            recorded: false,
            departing: Vec::with_capacity(DEPARTING),
            poked: None,
            shown: None,
        }
    }

    pub(super) fn resume(
        &mut self,
        now: Instant,
        ticket: Ticket,
        finding: Finding,
        out: &mut [u8],
    ) -> Option<Departure> {
        // Stale: its request was given up meanwhile.
        let mut waiting = self.waiting.remove(ticket.slot, ticket.generation)?;
        self.shown = self.waiting.oldest_of(Waiting::still_waits);
        let departure = self.resume_kept(now, &mut waiting, finding, out);
        let route = waiting.route;
        self.reuse(waiting.request);
        departure.map(|length| Departure { route, length })
    }

    fn resume_kept(
        &mut self,
        now: Instant,
        waiting: &mut Waiting,
        finding: Finding,
        out: &mut [u8],
    ) -> Option<usize> {
        let Waiting { tables, client, request, slot, route, arrived, progress, .. } = waiting;
        let progress = std::mem::take(progress);
        // What an earlier request left is not this one's.
        self.eap = None;
        if let Some(story) = &mut self.story {
            story.resume();
        }
        let Some(request) = request.packet() else {
            self.count(Cause::WorkerFailed);
            self.dedup.forget(*slot);
            return None;
        };
        if self.dedup.key(*slot).is_none() {
            self.count(Cause::Replaced);
            return None;
        }
        // Until here whoever waits keeps its conversation, which goes back to its place with it.
        self.eap = waiting.eap.take();
        let case = Case { client: *client, request: &request, slot: *slot, route: *route, arrived: *arrived };
        let turn = match finding {
            Finding::Account(lookup) => {
                self.proceed(tables, case, Progress { account: Some(lookup), ..progress }, out)
            }
            Finding::Admission(answer) => self.proceed(tables, case, progress.with(answer), out),
            Finding::Brought(brought) => self.brought(tables, case, brought, out),
            Finding::Eap(loan, step) => self.eap_found(tables, case, *loan, *step, out),
            Finding::Password(right) => {
                self.proceed(tables, case, Progress { password: Some(right), ..progress }, out)
            }
            Finding::Stored(verdict, kept) => {
                self.reuse(kept);
                stored(tables, case, verdict, out)
            }
            Finding::Unverified => Turn::Silence(Cause::SourceAway),
            Finding::Lost => Turn::Silence(Cause::WorkerFailed),
        };
        self.conclude(now, tables, case, turn, out)
    }

    /// Keeps a buffer for the next request that has to wait.
    pub(in crate::process) fn reuse(&mut self, mut buffer: Kept) {
        if self.spare.len() < SPARE_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Puts a request where it waits. `None`: too many are under way.
    pub(in crate::process) fn wait(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        waits_for: WaitsFor,
        progress: Progress,
    ) -> Option<Ticket> {
        if self.in_flight() >= self.in_flight_max {
            return None;
        }
        let mut request = self.spare.pop().unwrap_or_default();
        request.store(case.request);
        let Case { client, slot, route, arrived, .. } = case;
        let tables = Arc::clone(tables);
        let eap = self.eap.take();
        let waiting = Waiting { tables, client, request, slot, route, arrived, waits_for, progress, eap };
        match self.waiting.insert(arrived, waiting) {
            Ok((slot, generation)) => Some(Ticket { core: self.number, slot, generation }),
            Err(_) => None,
        }
    }

    pub(super) fn poll_delayed(&mut self, now: Instant, out: &mut [u8]) -> Option<Departure> {
        while let Some(reply) = self.delayed.pop(now) {
            let Some(room) = out.get_mut(..reply.octets.len()) else { continue };
            let outcomes = &self.shared.outcomes()[usize::from(self.number)];
            if self.dedup.complete(now, reply.request, &reply.octets) {
                room.copy_from_slice(&reply.octets);
                outcomes.count(reply.cause);
                let departure = Departure { route: reply.route, length: reply.octets.len() };
                let (arrived, answer) = (reply.arrived, reply.cause.answer());
                self.departs(arrived, Kind::Access, answer);
                return Some(departure);
            }
            outcomes.count(Cause::Replaced);
        }
        None
    }

    pub(in crate::process) fn in_flight(&self) -> usize {
        self.waiting.len() + self.delayed.len()
    }

    pub(in crate::process) fn count(&self, cause: Cause) {
        self.shared.outcomes()[usize::from(self.number)].count(cause);
    }

    fn vitals(&self) -> &CoreVitals {
        &self.shared.vitals().cores()[usize::from(self.number)]
    }

    pub(super) fn poke_at(&self, since: Instant) -> Option<Instant> {
        let limit_ns = self.shared.vitals().queue_delay_limit_ns();
        let told = self.poked == Some(since);
        (limit_ns != u64::MAX && !told).then(|| since + Duration::from_nanos(limit_ns))
    }

    pub(super) fn show(&mut self, now: Instant, oldest_unread: Option<Instant>) {
        if std::mem::take(&mut self.recorded) {
            self.shared.decisions().wake();
        }
        self.shown = self.waiting.oldest_of(Waiting::still_waits);
        let oldest = [self.shown, oldest_unread].into_iter().flatten().min();
        let vitals = self.vitals();
        vitals.set_in_flight(u32::try_from(self.in_flight()).unwrap_or(u32::MAX));
        vitals.set_oldest_waiting(oldest.map(Instant::as_nanos));
        if let Some(unread) = oldest_unread {
            vitals.note_delay(now.since(unread).as_nanos() as u64);
        }
        // Once for each request that is the oldest: its age grows by itself.
        if let Some(since) = oldest.filter(|since| self.poke_at(*since).is_some_and(|at| at <= now)) {
            self.poked = Some(since);
            self.shared.vitals().poke();
        }
    }
}
