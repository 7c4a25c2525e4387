//! One core's desk: what happens to a datagram, in one turn, without a socket in sight.
//!
//! Where the password is quick to verify, a turn takes no lock, allocates nothing and formats nothing. What has to wait leaves a [`Waiting`] behind and comes back as a [`Finding`].

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use forewarn_proto::dedup::{self, Check, Dedup};
use forewarn_proto::time::Instant;
use forewarn_shell::random;
use forewarn_wire::{Code, Kept, MessageAuthenticatorRule, Packet, Verified, WriteError, Writer};
use rand::rngs::StdRng;
use rand_core::Rng;

use super::access::Progress;
use super::accounting::stored;
use super::heard::Ear;
use super::ledger::Complaint;
use super::mailbox::{Finding, Ticket};
use super::outcome::{Answer, Cause};
use super::pending::{Delayed, Pending, Route};
use super::story::Story;
use super::tables::{Client, Tables, ledger_key};
use crate::config::ListenKind;
use crate::decisions::Trail;
use crate::metrics::latency::Kind;
use crate::policy::Matched;
use crate::shared::Shared;
use crate::users::Room;
use crate::vitals::CoreVitals;

/// From receipt to an Access-Reject, at least: what guessing passwords costs.
pub const REJECT_DELAY: Duration = Duration::from_secs(1);
/// And up to this much more, at random, so that the time tells nothing and bursts are spread.
pub const REJECT_JITTER: Duration = Duration::from_millis(100);
/// Requests one core remembers for their duplicates.
pub const DUPLICATES_MAX: usize = 65_536;
/// Octets of reply buffers one core keeps for reuse.
const REPLY_ROOM: usize = 32 << 20;
/// Replies whose departure is noted together.
const DEPARTING: usize = 128;
/// Buffers for requests that wait, kept for reuse by one core.
const SPARE_MAX: usize = 1024;

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

    /// When the next reject is due, or the oldest request will have waited too long.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let poke = self.desk.shown.and_then(|since| self.desk.poke_at(since));
        [self.desk.delayed.next_due(), poke].into_iter().flatten().min()
    }

    /// A turn ends: shows the gauges. `oldest_unread` is the stamp of the oldest datagram that is read but not
    /// judged yet, if there is one.
    pub fn show(&mut self, now: Instant, oldest_unread: Option<Instant>) {
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

/// Everything of a core but the tables, so that both can be borrowed at once.
pub(super) struct Desk {
    pub(super) number: u16,
    pub(super) shared: Arc<Shared>,
    pub(super) dedup: Dedup,
    pub(super) waiting: Pending<Waiting>,
    delayed: Delayed,
    in_flight_max: usize,
    pub(super) random: StdRng,
    /// The policies that held for the request in hand.
    pub(super) matched: Matched,
    /// Where its steps are told, if somebody listens.
    pub(super) story: Option<Box<Story>>,
    /// Buffers of requests that no longer wait.
    pub(super) spare: Vec<Kept>,
    ear: Ear,
    /// What the record of the request at hand will say.
    pub(super) trail: Trail,
    /// For accounts that depend on the request.
    pub(super) room: Room,
    /// Whether this turn has left records.
    pub(super) recorded: bool,
    /// Replies written and not sent yet: when their requests arrived, and what they are.
    pub(super) departing: Vec<(Instant, Kind, Answer)>,
    poked: Option<Instant>,
    /// Since when the oldest request waits that the gauge shows, unread ones apart.
    shown: Option<Instant>,
}

/// A request that waits for a worker or the store.
pub(super) struct Waiting {
    pub(super) tables: Arc<Tables>,
    pub(super) client: u32,
    pub(super) request: Kept,
    pub(super) slot: dedup::Slot,
    pub(super) route: Route,
    pub(super) arrived: Instant,
    pub(super) waits_for: WaitsFor,
    /// What was found out before, of an Access-Request.
    pub(super) progress: Progress,
}

/// What a request waits for: whether it counts as waiting for this server.
#[derive(Clone)]
pub(super) enum WaitsFor {
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
pub(super) struct Case<'r> {
    pub(super) client: u32,
    pub(super) request: &'r Verified<Packet<'r>>,
    pub(super) slot: dedup::Slot,
    pub(super) route: Route,
    pub(super) arrived: Instant,
}

/// What became of a request in this turn.
#[derive(Clone, Copy)]
pub(super) enum Turn {
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
    fn new(number: u16, shared: Arc<Shared>) -> Self {
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

    /// The whole way of a datagram; the length of the reply that goes out at once.
    fn judge(
        &mut self,
        now: Instant,
        tables: &Arc<Tables>,
        arrival: &Arrival<'_>,
        out: &mut [u8],
    ) -> Option<usize> {
        if !self.shared.vitals().taking() {
            self.count(Cause::Drained);
            return None;
        }
        let Some(index) = tables.client_at(arrival.source.ip()) else {
            self.tell_client(arrival.source.ip(), None);
            self.stranger(arrival.source.ip(), now);
            return None;
        };
        let client = tables.client(index);
        self.tell_client(arrival.source.ip(), Some(client));
        client.ledger.count_request(self.number.into());
        // Before it teaches.
        let rule = self.story.as_ref().map(|_| client.rule());
        let request = match self.verified(client, arrival) {
            Ok(request) => request,
            Err(cause) => {
                self.tell_authenticity(client, rule, Err(cause));
                self.count(cause);
                self.complain(client, cause, arrival, now);
                return None;
            }
        };
        self.tell_authenticity(client, rule, Ok(&request));
        // An Access-Request without Message-Authenticator is signed by nobody (RFC 2865 section 3).
        let is_signed = request.code() != Code::ACCESS_REQUEST || request.has_message_authenticator();
        if is_signed {
            client.ledger.vouched();
        }
        if is_signed && !client.is_single() {
            let address = arrival.source.ip().to_canonical();
            self.ear.hear(self.shared.heard(), &client.name, address, now);
        }
        if request.code() == Code::STATUS_SERVER {
            return self.status(client, arrival, &request, out);
        }
        let slot = match self.fresh(now, arrival, &request, out) {
            Ok(slot) => slot,
            Err(repeated) => return repeated,
        };
        let route = arrival.route();
        let case = Case { client: index, request: &request, slot, route, arrived: arrival.arrived };
        let turn = match arrival.kind {
            ListenKind::Auth => self.access(tables, case, out),
            ListenKind::Acct => self.accounting(tables, case),
        };
        self.conclude(now, tables, case, turn, out)
    }

    /// Frames and verifies (RFC 2865 section 3, RFC 2866 section 3), and learns.
    fn verified<'a>(
        &mut self,
        client: &Client,
        arrival: &Arrival<'a>,
    ) -> Result<Verified<Packet<'a>>, Cause> {
        let packet = Packet::parse(arrival.octets)?;
        let code = packet.peek().code();
        match (arrival.kind, code) {
            (ListenKind::Auth, Code::ACCESS_REQUEST | Code::STATUS_SERVER) => {}
            (ListenKind::Acct, Code::ACCOUNTING_REQUEST | Code::STATUS_SERVER) => {}
            _ => return Err(Cause::UnknownCode),
        }
        let rule = match code {
            Code::ACCESS_REQUEST => client.rule(),
            _ => MessageAuthenticatorRule::Required,
        };
        let core = self.number.into();
        let has_eap = packet.peek().has_eap_message();
        if code == Code::ACCESS_REQUEST && !packet.peek().has_message_authenticator() && !has_eap {
            client.ledger.note_without_message_authenticator(core, arrival.arrived);
        }
        let request = packet.verify_request(&client.key, rule)?;
        if code != Code::ACCESS_REQUEST || !request.has_message_authenticator() {
            return Ok(request);
        }
        if has_eap {
            client.ledger.count_eap(core);
            return Ok(request);
        }
        client.ledger.note_with_message_authenticator(core, arrival.arrived);
        if client.is_learning() && client.ledger.learn() {
            self.keep_learnt(client);
        }
        Ok(request)
    }

    /// Once per client.
    fn keep_learnt(&self, client: &Client) {
        let name = &client.name;
        tracing::info!("client {name:?} sends Message-Authenticator: from now on it is required of it");
        self.shared.keep_learnt(ledger_key(name, client.network));
    }

    /// RFC 5997: answered at once, and not remembered, since asking again is harmless.
    fn status(
        &mut self,
        client: &Client,
        arrival: &Arrival<'_>,
        request: &Verified<Packet<'_>>,
        out: &mut [u8],
    ) -> Option<usize> {
        let (cause, code) = match arrival.kind {
            ListenKind::Auth => (Cause::StatusOfAuth, Code::ACCESS_ACCEPT),
            ListenKind::Acct => (Cause::StatusOfAcct, Code::ACCOUNTING_RESPONSE),
        };
        let written = write_plain(out, code, client, request);
        self.count(if written.is_ok() { cause } else { Cause::ReplyTooLong });
        if written.is_ok() {
            self.departs(arrival.arrived, Kind::Status, cause.answer());
        }
        written.ok()
    }

    /// RFC 5080 section 2.2.2. An error is a duplicate, with the length of its reply if it has one already.
    fn fresh(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_>,
        request: &Packet<'_>,
        out: &mut [u8],
    ) -> Result<dedup::Slot, Option<usize>> {
        let key =
            dedup::Key { source: arrival.source, identifier: request.identifier(), socket: arrival.socket };
        let (cause, length) = match self.dedup.check(now, key, request.authenticator()) {
            Check::New { slot, .. } => return Ok(slot),
            Check::Replay(octets) => match out.get_mut(..octets.len()) {
                Some(room) => {
                    room.copy_from_slice(octets);
                    (Cause::Duplicate, Some(octets.len()))
                }
                None => (Cause::ReplyTooLong, None),
            },
            Check::InProgress(_) => (Cause::InProgress, None),
            Check::Full => (Cause::DuplicateTableFull, None),
        };
        self.count(cause);
        Err(length)
    }

    /// Turns what became of a request into what goes out now.
    pub(super) fn conclude(
        &mut self,
        now: Instant,
        tables: &Tables,
        case: Case<'_>,
        turn: Turn,
        out: &[u8],
    ) -> Option<usize> {
        if let Turn::Silence(cause) | Turn::Reply(cause, _) | Turn::Reject(cause, _) = turn {
            self.tell_end(cause);
        }
        match turn {
            Turn::Waits => {
                self.trail = Trail::default();
                None
            }
            Turn::Silence(cause) => {
                self.count(cause);
                self.record(tables, case, cause);
                // Not answered, so that its sender's next try is a new request.
                self.dedup.forget(case.slot);
                None
            }
            Turn::Reply(cause, length) => {
                let current = self.dedup.complete(now, case.slot, &out[..length]);
                let cause = if current { cause } else { Cause::Replaced };
                self.count(cause);
                self.record(tables, case, cause);
                if current {
                    self.post_auth(case, cause, &out[..length]);
                    self.departs(case.arrived, Kind::of(case.request.code()), cause.answer());
                }
                current.then_some(length)
            }
            Turn::Reject(cause, length) => {
                let jitter = REJECT_JITTER.as_nanos() as u64;
                let jitter = Duration::from_nanos(self.random.next_u64() % jitter);
                let due = case.arrived + REJECT_DELAY + jitter;
                let room = self.in_flight() < self.in_flight_max;
                let reply = (case.route, case.slot, cause, case.arrived);
                let waits = room && self.delayed.insert(due, reply, &out[..length]);
                let cause = if waits { cause } else { Cause::TooManyInFlight };
                self.record(tables, case, cause);
                if waits {
                    self.post_auth(case, cause, &out[..length]);
                }
                if !waits {
                    self.count(cause);
                    self.dedup.forget(case.slot);
                }
                None
            }
        }
    }

    fn resume(
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
        let case = Case { client: *client, request: &request, slot: *slot, route: *route, arrived: *arrived };
        let turn = match finding {
            Finding::Account(lookup) => {
                self.proceed(tables, case, Progress { account: Some(lookup), ..progress }, out)
            }
            Finding::Admission(answer) => self.proceed(tables, case, progress.with(answer), out),
            Finding::Brought(brought) => self.brought(tables, case, brought, out),
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
    pub(super) fn reuse(&mut self, mut buffer: Kept) {
        if self.spare.len() < SPARE_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Puts a request where it waits. `None`: too many are under way.
    pub(super) fn wait(
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
        let waiting = Waiting { tables, client, request, slot, route, arrived, waits_for, progress };
        match self.waiting.insert(arrived, waiting) {
            Ok((slot, generation)) => Some(Ticket { core: self.number, slot, generation }),
            Err(_) => None,
        }
    }

    fn poll_delayed(&mut self, now: Instant, out: &mut [u8]) -> Option<Departure> {
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

    pub(super) fn in_flight(&self) -> usize {
        self.waiting.len() + self.delayed.len()
    }

    pub(super) fn count(&self, cause: Cause) {
        self.shared.outcomes()[usize::from(self.number)].count(cause);
    }

    fn vitals(&self) -> &CoreVitals {
        &self.shared.vitals().cores()[usize::from(self.number)]
    }

    fn poke_at(&self, since: Instant) -> Option<Instant> {
        let limit_ns = self.shared.vitals().queue_delay_limit_ns();
        let told = self.poked == Some(since);
        (limit_ns != u64::MAX && !told).then(|| since + Duration::from_nanos(limit_ns))
    }

    fn show(&mut self, now: Instant, oldest_unread: Option<Instant>) {
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

    fn stranger(&mut self, address: IpAddr, now: Instant) {
        self.count(Cause::UnknownClient);
        let address = address.to_canonical();
        if self.ear.hear_stranger(self.shared.strangers(), address, now) {
            tracing::warn!(
                "packet from {address}, which is no client: dropped; if it should be one, add [[client]] with address = \"{address}\""
            );
        }
    }

    /// Tells the operator which setting dropped a packet and what to do, at most once a minute for each client.
    fn complain(&self, client: &Client, cause: Cause, arrival: &Arrival<'_>, now: Instant) {
        let complaint = match cause {
            Cause::WrongMessageAuthenticator | Cause::WrongAuthenticator if client.ledger.forged() => {
                Complaint::WrongSecret
            }
            Cause::NoMessageAuthenticator => Complaint::NoMessageAuthenticator,
            Cause::ProxyState => Complaint::ProxyState,
            Cause::EapWithoutMessageAuthenticator => Complaint::EapWithoutMessageAuthenticator,
            _ => return,
        };
        if !client.ledger.may_complain(complaint, now.as_nanos()) {
            return;
        }
        let (name, source) = (&client.name, arrival.source);
        match complaint {
            Complaint::WrongSecret => tracing::warn!(
                "the secret of client {name:?} looks wrong: {source} has sent several packets that it doesn't fit; set the same secret on both ends"
            ),
            Complaint::NoMessageAuthenticator => tracing::warn!(
                "Access-Request of client {name:?} ({source}) without Message-Authenticator: dropped by require_message_authenticator; update the device or make it send the attribute, or, if it can't, set require_message_authenticator = \"no\" for this client (open to CVE-2024-3596)"
            ),
            Complaint::ProxyState => tracing::warn!(
                "Access-Request of client {name:?} ({source}) with Proxy-State and without Message-Authenticator: dropped by limit_proxy_state; if it is a proxy, make it send Message-Authenticator"
            ),
            Complaint::EapWithoutMessageAuthenticator => tracing::warn!(
                "Access-Request of client {name:?} ({source}) with EAP-Message and without Message-Authenticator: dropped, as RFC 3579 section 3.1 demands; the device is at fault"
            ),
        }
    }
}

/// A reply with nothing in it but what every reply has.
pub(super) fn write_plain(
    out: &mut [u8],
    code: Code,
    client: &Client,
    request: &Packet<'_>,
) -> Result<usize, WriteError> {
    let mut writer = Writer::new(out, code, request.identifier());
    if code.is_access_reply() || request.code() == Code::STATUS_SERVER {
        writer.message_authenticator()?;
    }
    writer.proxy_states(request)?;
    writer.reply(&client.key, request.authenticator()).map(<[u8]>::len)
}
