//! The way to one pool: its machine, its sockets, and who waits.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use forewarn_proto::pool::Pool;
use forewarn_proto::switch;
use forewarn_proto::time::Instant;
use forewarn_proto::upstream::{Answer, Config, Event, GiveUp};
use forewarn_shell::udp::Inbound;
use forewarn_shell::upstream::{Driver, DriverError};
use forewarn_shell::{clock, random};
use forewarn_wire::MAX_PACKET;
use rand::rngs::StdRng;
use tokio::sync::mpsc::Receiver;
use tokio::time::Sleep;

use super::{Brought, Counters, Job};
use crate::process::mailbox::{Finding, Promise};

/// Rounds before other pools get their turn.
const ROUNDS: usize = 16;
/// Requests taken over in one round.
const JOBS: usize = 64;

pub(super) struct Line {
    name: Arc<str>,
    driver: Driver,
    jobs: Receiver<Job>,
    /// Nobody hands in any more: the pool has gone from the configuration.
    closed: bool,
    waiting: HashMap<u64, Promise>,
    next_ticket: u64,
    counters: Arc<Counters>,
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
        jobs: Receiver<Job>,
        counters: Arc<Counters>,
        name: Arc<str>,
    ) -> Result<Self, DriverError> {
        let now = clock::now();
        let mut random = random::generator();
        let driver = Driver::bind(identity, config, servers, now, &mut random)?;
        Ok(Self {
            name,
            driver,
            jobs,
            closed: false,
            waiting: HashMap::new(),
            next_ticket: 0,
            counters,
            inbound: Inbound::new(),
            reply: Box::new([0; MAX_PACKET]),
            random,
            timer: Box::pin(tokio::time::sleep_until(clock::deadline(now))),
            armed: now,
        })
    }

    /// Works until nobody hands anything in any more and everything on its way has ended.
    pub(super) async fn work(mut self) {
        poll_fn(|cx| self.turn(cx)).await;
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            let mut busy = self.driver.poll_receive(cx, &mut self.inbound, &mut self.random).is_ready();
            busy |= self.take_jobs(cx);
            busy |= self.do_what_is_due(cx);
            self.settle();
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

    fn take_jobs(&mut self, cx: &mut Context<'_>) -> bool {
        for taken in 0..JOBS {
            match self.jobs.poll_recv(cx) {
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
                self.counters.refused.fetch_add(1, Relaxed);
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

    /// After anything went into the machine: send, bring back, say what happened.
    fn settle(&mut self) {
        self.driver.transmit(|_| {});
        while let Some(answer) = self.driver.machine_mut().poll_answer(&mut self.reply) {
            let (ticket, brought, counter) = match answer {
                Answer::Reply { ticket, len, code, .. } => {
                    let octets = self.reply[..len].into();
                    (ticket, Brought::Reply { code, octets }, &self.counters.answered)
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
        self.counters.in_flight.store(self.waiting.len() as u64, Relaxed);
        while let Some(event) = self.driver.machine_mut().poll_event() {
            self.say(event);
        }
    }

    fn counter_of(&self, cause: GiveUp) -> &AtomicU64 {
        match cause {
            GiveUp::TimeOut => &self.counters.timed_out,
            GiveUp::Request | GiveUp::Reply => &self.counters.unforwardable,
        }
    }

    fn say(&self, event: Event) {
        let pool = &self.name;
        let name = |server| &self.driver.machine().pool().server(server).name;
        match event {
            Event::Switch(switch::Event::Switched { from, to, cause }) => {
                self.counters.switches.fetch_add(1, Relaxed);
                let (from, to) = (name(from), name(to));
                tracing::warn!("pool {pool:?} moves from {from:?} to {to:?}: {cause:?}");
            }
            Event::Life { server, phase, .. } => {
                tracing::info!("pool {pool:?}: home server {:?} is {phase:?}", name(server));
            }
            Event::Switch(_) => {}
        }
    }
}
