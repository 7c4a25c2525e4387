//! The way to one pool: its machine, its sockets, and who waits.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use forewarn_proto::notice::Mark;
use forewarn_proto::pool::Pool;
use forewarn_proto::switch;
use forewarn_proto::time::Instant;
use forewarn_proto::upstream::{Answer, Config, Event, GiveUp, Legacy, Phase, Purpose};
use forewarn_shell::control::PoolStatus;
use forewarn_shell::udp::Inbound;
use forewarn_shell::upstream::moves::{Micros, Move, Moves};
use forewarn_shell::upstream::show::{self, Calendar, Standings};
use forewarn_shell::upstream::{Driver, DriverError};
use forewarn_shell::{clock, random};
use forewarn_wire::MAX_PACKET;
use forewarn_wire::notice::KeptNotice;
use rand::rngs::StdRng;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::notices::Notices;
use super::{Brought, Counters, Job};
use crate::process::mailbox::{Finding, Promise};

/// Rounds before other pools get their turn.
const ROUNDS: usize = 16;
/// Requests taken over in one round.
const JOBS: usize = 64;

/// How long a pool waits for what it is to take over.
const HANDED_OVER_WITHIN: Duration = Duration::from_millis(500);

/// What a pool is told besides requests.
#[derive(Debug)]
pub(super) enum Order {
    /// One of its servers has said something.
    Notice(Box<KeptNotice>),
    /// Somebody wants to see it.
    Show(oneshot::Sender<PoolStatus>),
    /// The pool has another configuration now, and whoever drives that goes on where this one is.
    HandOver(oneshot::Sender<Legacy>),
}

/// What a pool is made of, besides its machine.
pub(super) struct Ends {
    pub(super) name: Arc<str>,
    pub(super) jobs: Receiver<Job>,
    pub(super) orders: Receiver<Order>,
    pub(super) counters: Arc<Counters>,
    pub(super) notices: Arc<Notices>,
    /// Comes from whoever drove this pool by another configuration.
    pub(super) legacy: Option<oneshot::Receiver<Legacy>>,
}

pub(super) struct Line {
    ends: Ends,
    strategy: &'static str,
    driver: Driver,
    moves: Moves,
    standings: Standings,
    /// Nobody hands in any more: the pool has gone from the configuration.
    closed: bool,
    waiting: HashMap<u64, Promise>,
    next_ticket: u64,
    inbound: Inbound,
    reply: Box<[u8; MAX_PACKET]>,
    random: StdRng,
    timer: Pin<Box<Sleep>>,
    armed: Instant,
}

impl Line {
    /// Binds the source ports, on the current runtime.
    pub(super) fn open(
        identity: IpAddr,
        config: Config,
        servers: Pool,
        ends: Ends,
    ) -> Result<Self, DriverError> {
        let now = clock::now();
        let mut random = random::generator();
        let strategy = config.switch.strategy.name();
        let standings = Standings::new(servers.len(), now);
        let driver = Driver::bind(identity, config, servers, now, &mut random)?;
        Ok(Self {
            ends,
            strategy,
            driver,
            moves: Moves::default(),
            standings,
            closed: false,
            waiting: HashMap::new(),
            next_ticket: 0,
            inbound: Inbound::new(),
            reply: Box::new([0; MAX_PACKET]),
            random,
            timer: Box::pin(tokio::time::sleep_until(clock::deadline(now))),
            armed: now,
        })
    }

    /// Works until nobody hands anything in any more and everything on its way has ended.
    pub(super) async fn work(mut self) {
        if let Some(legacy) = self.ends.legacy.take()
            && let Ok(Ok(legacy)) = tokio::time::timeout(HANDED_OVER_WITHIN, legacy).await
        {
            self.driver.machine_mut().inherit(clock::now(), &legacy);
        }
        poll_fn(|cx| self.turn(cx)).await;
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            // A warning first: what comes after it goes elsewhere already.
            let mut busy = self.take_orders(cx);
            busy |= self.driver.poll_receive(cx, &mut self.inbound, &mut self.random).is_ready();
            busy |= self.take_jobs(cx);
            busy |= self.do_what_is_due(cx);
            self.settle(None);
            if self.closed && self.waiting.is_empty() {
                return Poll::Ready(());
            }
            if !busy {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn take_orders(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(Some(order)) = self.ends.orders.poll_recv(cx) {
            any = true;
            match order {
                Order::Notice(kept) => self.obey(&kept),
                // Whoever doesn't wait any more loses it.
                Order::Show(asked) => drop(asked.send(self.status())),
                Order::HandOver(heir) => drop(heir.send(self.driver.machine().bequeath())),
            }
        }
        any
    }

    /// Acts first, and only then says what it did: the receipt must not stand between a notice and the first request
    /// on the alternate.
    fn obey(&mut self, kept: &KeptNotice) {
        let notice = kept.notice();
        let header = notice.header();
        let now = clock::now();
        let is_known = self.driver.machine().is_in_force(&notice);
        let outcome = self.driver.machine_mut().handle_notice(now, &mut self.random, &notice);
        self.settle(Some(now));
        let mark = Mark { epoch: header.epoch, sequence: header.sequence };
        self.ends.notices.acted(header.server, mark, outcome, is_known);
    }

    fn take_jobs(&mut self, cx: &mut Context<'_>) -> bool {
        for taken in 0..JOBS {
            match self.ends.jobs.poll_recv(cx) {
                Poll::Ready(Some(job)) => self.take(job),
                Poll::Ready(None) => {
                    self.closed = true;
                    return taken > 0;
                }
                Poll::Pending => return taken > 0,
            }
        }
        true
    }

    fn take(&mut self, job: Job) {
        let Job { request, asker, kind, promise } = job;
        let Some(packet) = request.packet() else { return };
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let machine = self.driver.machine_mut();
        match machine.handle_request(clock::now(), &mut self.random, ticket, kind, &packet, &asker) {
            Ok(()) => {
                self.waiting.insert(ticket, promise);
            }
            Err(_) => {
                self.ends.counters.refused.fetch_add(1, Relaxed);
                promise.keep(Finding::Brought(Brought::Full));
            }
        }
    }

    fn do_what_is_due(&mut self, cx: &mut Context<'_>) -> bool {
        let now = clock::now();
        let mut busy = false;
        if self.driver.machine().poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.driver.machine_mut().handle_timeout(now, &mut self.random);
            busy = true;
        }
        let Some((next, _)) = self.driver.machine().poll_timeout() else { return busy };
        // Most deadlines move back with every packet: a timer that is early costs one look.
        if next < self.armed || self.armed <= now {
            self.timer.as_mut().reset(clock::deadline(next));
            self.armed = next;
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            self.armed = Instant::ZERO;
            busy = true;
        }
        busy
    }

    /// After anything went into the machine: send, bring back, say what happened. `noticed` is when a notice came that
    /// made it.
    fn settle(&mut self, noticed: Option<Instant>) {
        let happened = self.take_events(noticed);
        let awaited = self.moves.awaited();
        let mut arrived = false;
        self.driver.transmit(|transmit| {
            arrived |= transmit.purpose != Purpose::Probe && Some(transmit.server) == awaited;
        });
        if arrived {
            self.moves.first_request(micros());
        }
        for event in happened {
            self.say(event);
        }
        while let Some(answer) = self.driver.machine_mut().poll_answer(&mut self.reply) {
            let (ticket, brought, counter) = match answer {
                Answer::Reply { ticket, len, code, .. } => {
                    let octets = self.reply[..len].into();
                    (ticket, Brought::Reply { code, octets }, &self.ends.counters.answered)
                }
                Answer::Silence { ticket, cause } => {
                    (ticket, Brought::Nothing(cause), self.counter_of(cause))
                }
            };
            counter.fetch_add(1, Relaxed);
            if let Some(promise) = self.waiting.remove(&ticket) {
                promise.keep(Finding::Brought(brought));
            }
        }
        self.ends.counters.in_flight.store(self.waiting.len() as u64, Relaxed);
    }

    /// What the machine did. Nothing is said of it before the packets have left.
    fn take_events(&mut self, noticed: Option<Instant>) -> Vec<Event> {
        let mut happened = Vec::new();
        let now = clock::now();
        while let Some(event) = self.driver.machine_mut().poll_event() {
            match event {
                Event::Switch(switch::Event::Switched { from, to, cause }) => {
                    self.ends.counters.switches.fetch_add(1, Relaxed);
                    let decided_at = micros();
                    let age = noticed.map_or(0, |noticed| now.since(noticed).as_micros() as Micros);
                    let caused_at = decided_at.saturating_sub(age);
                    self.moves.record(Move {
                        from,
                        to,
                        cause,
                        caused_at,
                        decided_at,
                        first_request_at: None,
                    });
                }
                Event::Switch(switch::Event::AskReconnect { server }) => {
                    let identity = self.driver.machine().pool().server(server).identity;
                    self.ends.notices.ask_reconnect(identity);
                }
                Event::Switch(_) | Event::Life { .. } => {}
            }
            happened.push(event);
        }
        if !happened.is_empty() || noticed.is_some() {
            self.standings.look(now, self.driver.machine());
        }
        happened
    }

    fn status(&self) -> PoolStatus {
        let calendar = Calendar::read();
        let machine = self.driver.machine();
        let (current, since, cause) = machine.current();
        let name = |server| machine.pool().server(server).name.as_str();
        let from = self.moves.last().map_or(current, |last| last.from);
        PoolStatus {
            name: self.ends.name.to_string(),
            strategy: self.strategy.to_owned(),
            current: name(current).to_owned(),
            why: show::why(cause, name(from), name(current)),
            since: calendar.of(since),
            servers: show::servers(machine, &self.standings, calendar),
            last_switch: self.moves.last().map(|last| show::switch(machine, last)),
            switches: self.moves.counts().map(|(cause, count)| (cause.to_owned(), count)).collect(),
            in_flight: machine.in_flight() as u64,
        }
    }

    fn counter_of(&self, cause: GiveUp) -> &AtomicU64 {
        match cause {
            GiveUp::TimeOut => &self.ends.counters.timed_out,
            GiveUp::Request | GiveUp::Reply => &self.ends.counters.unforwardable,
        }
    }

    fn say(&self, event: Event) {
        let pool = &self.ends.name;
        let name = |server| self.driver.machine().pool().server(server).name.as_str();
        match event {
            Event::Switch(switch::Event::Switched { from, to, cause }) => {
                let (from, to) = (name(from), name(to));
                let why = show::why(cause, from, to);
                tracing::warn!("pool {pool:?} moves from {from:?} to {to:?}: {why}");
            }
            Event::Switch(switch::Event::AskReconnect { server }) => {
                tracing::info!("pool {pool:?} asks home server {:?} whether it may come back", name(server));
            }
            Event::Switch(switch::Event::DrainEnded { server }) => {
                let server = name(server);
                tracing::info!("pool {pool:?}: conversations no longer stay with home server {server:?}");
            }
            Event::Switch(switch::Event::Settled { server }) => {
                tracing::info!("pool {pool:?}: home server {:?} has all its traffic again", name(server));
            }
            Event::Life { server, before, phase } => {
                let server = name(server);
                match phase {
                    Phase::Up if before == Phase::Suspect => {
                        tracing::debug!("pool {pool:?}: home server {server:?} answers the probe");
                    }
                    Phase::Up => tracing::info!("pool {pool:?}: home server {server:?} is used again"),
                    Phase::Suspect => tracing::debug!("pool {pool:?}: home server {server:?} is quiet"),
                    Phase::Doubtful => tracing::warn!(
                        "pool {pool:?}: home server {server:?} left a probe unanswered: requests go elsewhere"
                    ),
                    Phase::Dead => tracing::warn!("pool {pool:?}: home server {server:?} is dead"),
                }
            }
        }
    }
}

fn micros() -> Micros {
    clock::utc_nanos() / 1000
}
