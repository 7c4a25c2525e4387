//! The agent: everything it owns, and its turns.
//!
//! One thread, one task. Each turn reads a batch from every socket that has something, lets the machines decide, and
//! sends what they have to send, before it looks at the next. What must be quick comes first: a notice is judged,
//! the switch decides, requests leave for the alternate; then the receipt, then the mark, then the hooks and the log.

mod coa;
mod patience;
mod spooled;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use forewarn_proto::notice::Transport;
use forewarn_proto::notice::verify::Disposition;
use forewarn_proto::pool::{self, ServerId};
use forewarn_proto::switch;
use forewarn_proto::time::{Instant, Utc};
use forewarn_proto::upstream::{Answer, Event, GiveUp, Purpose, Refused};
use forewarn_shell::marks::{Keeper, Marks};
use forewarn_shell::udp::{self, BindError, Flushed, Inbound, Options, Outbound, Socket};
use forewarn_shell::upstream::moves::{Micros, Move, Moves};
use forewarn_shell::upstream::show::Standings;
use forewarn_shell::upstream::{Driver, DriverError};
use forewarn_shell::{clock, random};
use forewarn_wire::MAX_PACKET;
use forewarn_wire::notice::{Header, Kind, Reason};
use rand::rngs::StdRng;
use rand_core::Rng as _;
use tokio::time::Sleep;

use crate::config::Config;
use crate::hook::Hooks;
use crate::inbox::{Arrival, Batch, Inbox, InboxError};
use crate::local::{Fate, FrontDoor, Verdict};
use crate::news::{News, NoticeFacts};
use crate::spool::{self, Spool};
use patience::Patience;

/// Why the agent can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener can't be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The inbox can't be opened.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// No way to the servers.
    #[error(transparent)]
    Upstream(#[from] DriverError),
    /// The servers of the configuration are no pool.
    #[error("[[server]]: {0}")]
    Pool(#[from] pool::PoolError),
    /// The spool of accounting can't be had.
    #[error("[spool]: {0}")]
    Spool(#[from] forewarn_shell::spool::SpoolError),
    /// A socket can't be used on this runtime.
    #[error("a listener can't be used: {0}")]
    Io(#[from] io::Error),
}

/// The agent. See the [module](self).
pub struct Agent {
    config: Config,
    core: Core,
    /// Room for one batch from any socket: each is dealt with before the next is read.
    inbound: Inbound,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    armed: Instant,
}

/// Everything but the batch, so that both can be borrowed at once.
pub(crate) struct Core {
    pub(crate) front: FrontDoor,
    doors: Vec<Door>,
    pub(crate) driver: Driver,
    pub(crate) inbox: Inbox,
    pub(crate) coa: coa::Desk,
    pub(crate) keeper: Keeper,
    pub(crate) spool: Option<Spool>,
    pub(crate) moves: Moves,
    pub(crate) news: News,
    pub(crate) kinds: KindCounts,
    pub(crate) standings: Standings,
    rng: StdRng,
    reply: Box<[u8; MAX_PACKET]>,
    /// Answers lost because a listener's socket had no room.
    pub(crate) blocked: u64,
}

struct Door {
    socket: Socket,
    out: Outbound,
}

/// Notices acted on, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KindCounts {
    pub(crate) failover: u64,
    pub(crate) reconnect: u64,
    pub(crate) refused: u64,
    pub(crate) load: u64,
}

impl Agent {
    /// Binds everything, on the current runtime. Nothing is read yet.
    ///
    /// # Errors
    /// When an address or port can't be had, with what to do about it.
    pub fn open(
        config: Config,
        epoch: u32,
        marks: &Marks,
        keeper: Keeper,
        hooks: Hooks,
    ) -> Result<Agent, StartError> {
        let mut rng = random::generator();
        let now = clock::now();
        let doors = config.listeners.iter().map(|listener| Door::open(listener.address));
        let doors = doors.collect::<Result<Vec<_>, StartError>>()?;
        let inbox = Inbox::open(&config, epoch, marks, now)?;
        let coa = coa::Desk::open(&config)?;
        let driver = Driver::bind(config.address, config.upstream(), config.pool()?, now, &mut rng)?;
        let core = Core {
            front: FrontDoor::new(&config.listeners, rng.next_u64()),
            doors,
            driver,
            inbox,
            coa,
            keeper,
            spool: Spool::open(&config.spool, &config.state_dir.join("spool"), now)?,
            moves: Moves::default(),
            news: News::new(&config, hooks),
            kinds: KindCounts::default(),
            standings: Standings::new(config.servers.len(), now),
            rng,
            reply: Box::new([0; MAX_PACKET]),
            blocked: 0,
        };
        let timer = Box::pin(tokio::time::sleep_until(clock::deadline(now)));
        Ok(Agent { config, core, inbound: Inbound::new(), patience: Patience::default(), timer, armed: now })
    }

    /// What it runs on.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Where the servers' CoA-Requests reach it, in the order of the configuration.
    pub fn listening_for_coa(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.core.coa.listening()
    }

    /// Where the NAS software reaches it, in the order of the configuration.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.core.doors.iter().map(|door| door.socket.local_addr())
    }

    /// Requests on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.core.driver.machine().in_flight()
    }

    /// Works for ever. Nothing is lost when the future is dropped between two turns.
    pub async fn work(&mut self) {
        std::future::poll_fn(|cx| self.turn(cx, Doors::Open)).await;
    }

    /// Takes nothing new from the NAS software, and ends when everything on its way has ended.
    pub async fn finish(&mut self) {
        std::future::poll_fn(|cx| match self.turn(cx, Doors::Closed) {
            _ if self.in_flight() == 0 => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }

    /// Rounds until nothing is ready; after [`ROUNDS`] others get their turn.
    fn turn(&mut self, cx: &mut Context<'_>, doors: Doors) -> Poll<()> {
        for _ in 0..ROUNDS {
            let mut busy = self.read_notices(cx, Transport::Icmp);
            busy |= self.read_notices(cx, Transport::Udp);
            busy |= self.read_replies(cx);
            busy |= self.core.coa.read_answers(cx, &mut self.inbound);
            if doors == Doors::Open {
                busy |= self.read_requests(cx);
                busy |= self.core.coa.read_requests(cx, &mut self.inbound);
            }
            busy |= self.core.tend_spool(cx);
            busy |= self.do_what_is_due(cx);
            self.core.news.tell();
            if !busy {
                self.patience.rest();
                return Poll::Pending;
            }
            if let Some(pause) = self.patience.end_round(|| self.core.inbox.dropped()) {
                // Everything there is to do is done, and what comes meanwhile comes together.
                std::thread::sleep(pause);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn read_notices(&mut self, cx: &mut Context<'_>, via: Transport) -> bool {
        let polled = match via {
            Transport::Icmp => self.core.inbox.poll_icmp(cx, &mut self.inbound),
            Transport::Udp => self.core.inbox.poll_udp(cx, &mut self.inbound),
        };
        let Poll::Ready(batch) = polled else { return false };
        if batch == Batch::Filled {
            let (now, utc) = (self.inbound.read_at(), clock::utc());
            self.patience.read(self.inbound.len());
            for index in 0..self.inbound.len() {
                let Some(mut arrival) = self.core.inbox.arrival(via, &self.inbound, index) else { continue };
                if via == Transport::Udp {
                    arrival.arrived = arrival.arrived.before(self.patience.paused());
                }
                if !self.core.handle_notice(&arrival, now, utc) {
                    self.patience.refused();
                }
            }
        }
        true
    }

    fn read_replies(&mut self, cx: &mut Context<'_>) -> bool {
        let core = &mut self.core;
        if core.driver.poll_receive(cx, &mut self.inbound, &mut core.rng).is_pending() {
            return false;
        }
        core.settle(clock::now());
        true
    }

    fn read_requests(&mut self, cx: &mut Context<'_>) -> bool {
        let mut busy = false;
        for door in 0..self.core.doors.len() {
            match self.core.doors[door].socket.poll_receive(cx, &mut self.inbound) {
                Poll::Pending => {}
                Poll::Ready(Err(_)) => busy = true,
                Poll::Ready(Ok(_)) => {
                    busy = true;
                    self.core.handle_requests(door, &self.inbound);
                }
            }
        }
        busy
    }

    /// Runs the timers that are due and arms the next.
    fn do_what_is_due(&mut self, cx: &mut Context<'_>) -> bool {
        let now = clock::now();
        let core = &mut self.core;
        let mut busy = false;
        if core.driver.machine().poll_timeout().is_some_and(|(at, _)| at <= now) {
            core.driver.machine_mut().handle_timeout(now, &mut core.rng);
            core.settle(now);
            busy = true;
        }
        if core.inbox.poll_timeout().is_some_and(|at| at <= now) {
            core.inbox.handle_timeout(now, clock::utc(), &mut core.rng);
            busy = true;
        }
        if core.coa.poll_timeout().is_some_and(|at| at <= now) {
            core.coa.handle_timeout(now);
            busy = true;
        }
        let machine = core.driver.machine().poll_timeout().map(|(at, _)| at);
        let spool = core.spool.as_ref().and_then(Spool::poll_timeout);
        let others = core.inbox.poll_timeout().into_iter().chain(core.coa.poll_timeout()).chain(spool);
        let Some(next) = machine.into_iter().chain(others).min() else { return busy };
        // Most deadlines move back with every packet: a timer that is early costs one look, setting it anew costs more.
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
}

/// Whether the NAS software is served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doors {
    Open,
    Closed,
}

impl Core {
    /// A payload came to the inbox; whether it was genuine and new.
    fn handle_notice(&mut self, arrival: &Arrival<'_>, now: Instant, utc: Utc) -> bool {
        let judged = self.inbox.machine_mut().handle_notice(now, utc, arrival.via, arrival.payload);
        let accepted = match judged {
            Ok(accepted) => accepted,
            Err(refusal) => {
                self.news.refused(now, arrival, &refusal);
                return false;
            }
        };
        let (server, mark, wants_ack) = (accepted.server, accepted.mark(), accepted.wants_ack());
        if accepted.disposition == Disposition::Duplicate {
            if wants_ack {
                self.inbox.acknowledge_again(server, mark, (now, utc), arrival.via);
            }
            return false;
        }
        let (acted_at, notice) = (clock::now(), accepted.notice);
        let is_known = self.inbox.has_acted(server) && self.driver.machine().is_in_force(&notice);
        let outcome = self.driver.machine_mut().handle_notice(acted_at, &mut self.rng, &notice);
        self.take_events(acted_at, Some(arrival.arrived));
        self.transmit();
        self.kinds.add(notice.header());
        self.inbox.acted(server, arrival.via, outcome);
        if let Some(server) = ServerId::new(server).filter(|_| !is_known) {
            let (via, header) = (arrival.via, *notice.header());
            self.news.notice(NoticeFacts { server, via, header, outcome });
        }
        if wants_ack {
            self.inbox.acknowledge(server, mark, outcome, utc, arrival);
        }
        if is_known {
            // Whoever has us ask what is in force must not wear the disk out.
            self.keeper.renew(&self.inbox.marks());
        } else {
            self.keeper.save(&self.inbox.marks());
        }
        self.answer(now);
        true
    }

    /// A batch came to a door.
    fn handle_requests(&mut self, door: usize, inbound: &Inbound) {
        let now = inbound.read_at();
        let out = &mut self.doors[door].out;
        for datagram in inbound.iter() {
            let Verdict::Forward { ticket, replaced, kind, request } =
                self.front.judge(now, door, &datagram, out)
            else {
                continue;
            };
            let machine = self.driver.machine_mut();
            if let Some(replaced) = replaced {
                machine.abandon(replaced);
            }
            let taken =
                machine.handle_request(now, &mut self.rng, ticket, kind, &request, self.front.key(door));
            match taken {
                Ok(()) => {
                    self.front.forwarded(kind);
                    if let Some(spool) = self.spool.as_mut().filter(|_| kind == pool::Kind::Acct) {
                        spool.watch(now, ticket);
                    }
                }
                Err(Refused::Full | Refused::NoIdentifier) => self.front.forget(ticket, Fate::Full),
                Err(Refused::Code(_)) => self.front.forget(ticket, Fate::CannotForward),
            }
        }
        self.settle(now);
    }

    /// After anything went into the machine: send, answer, note what happened.
    fn settle(&mut self, now: Instant) {
        self.take_events(now, None);
        self.transmit();
        self.answer(now);
    }

    fn transmit(&mut self) {
        let awaited = self.moves.awaited();
        let mut arrived = false;
        self.driver.transmit(|transmit| {
            arrived |= transmit.purpose != Purpose::Probe && Some(transmit.server) == awaited;
        });
        if arrived {
            self.moves.first_request(micros());
        }
    }

    /// Hands the machine's answers to the NAS software.
    fn answer(&mut self, now: Instant) {
        while let Some(answer) = self.driver.machine_mut().poll_answer(&mut self.reply) {
            match answer {
                Answer::Reply { ticket, .. } | Answer::Silence { ticket, .. } if spool::is_parcel(ticket) => {
                    self.parcel_ended(now, answer);
                }
                Answer::Reply { ticket, len, .. } => {
                    let reply = &self.reply[..len];
                    if let Some(back) = self.front.complete(now, ticket, reply) {
                        self.blocked += self.doors[back.door].push(reply, back.to, Some(back.from));
                    }
                }
                Answer::Silence { ticket, cause: GiveUp::TimeOut } => {
                    self.front.forget(ticket, Fate::GivenUp);
                }
                Answer::Silence { ticket, cause: GiveUp::Request | GiveUp::Reply } => {
                    self.front.forget(ticket, Fate::CannotForward);
                }
            }
        }
        for door in &mut self.doors {
            self.blocked += door.flush();
        }
    }

    /// Datagrams that the kernel dropped because nobody read them in time.
    pub(crate) fn dropped_at_doors(&self) -> u64 {
        self.doors.iter().map(|door| door.socket.drops()).sum()
    }

    /// Notes what the machine did; `arrived` is when the notice came that made it.
    fn take_events(&mut self, now: Instant, arrived: Option<Instant>) {
        let mut changed = arrived.is_some();
        while let Some(event) = self.driver.machine_mut().poll_event() {
            changed = true;
            if let Event::Switch(switch::Event::Switched { from, to, cause }) = event {
                let decided_at = micros();
                let age = arrived.map_or(0, |arrived| now.since(arrived).as_micros() as Micros);
                let caused_at = decided_at.saturating_sub(age);
                let moved = Move { from, to, cause, caused_at, decided_at, first_request_at: None };
                self.moves.record(moved);
                self.news.moved(moved);
            }
            if let Event::Switch(switch::Event::AskReconnect { server }) = event {
                self.inbox.ask_reconnect(server.index(), Reason::TIME_OUT, clock::utc());
            }
            self.news.event(event);
        }
        if changed {
            self.standings.look(now, self.driver.machine());
        }
    }
}

impl KindCounts {
    fn add(&mut self, header: &Header) {
        match header.kind {
            Kind::Failover => self.failover += 1,
            Kind::Reconnect => self.reconnect += 1,
            Kind::Refused => self.refused += 1,
            _ => self.load += 1,
        }
    }
}

impl Door {
    fn open(address: SocketAddr) -> Result<Door, StartError> {
        let bound = udp::bind(address, &Options::default())?;
        Ok(Door { socket: Socket::new(bound)?, out: Outbound::new() })
    }

    /// Puts a packet into the batch; answers how many were lost for want of room in the socket.
    fn push(&mut self, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> u64 {
        if self.out.push(bytes, to, from).is_ok() {
            return 0;
        }
        let lost = self.flush();
        // The batch is empty now.
        let _ = self.out.push(bytes, to, from);
        lost
    }

    fn flush(&mut self) -> u64 {
        if self.out.is_empty() || self.socket.flush(&mut self.out) == Flushed::Done {
            return 0;
        }
        let lost = self.out.len() as u64;
        self.out.clear();
        lost
    }
}

fn micros() -> Micros {
    clock::utc_nanos() / 1000
}

/// Batches from each socket before other tasks (control socket, hooks, signals) get their turn.
const ROUNDS: usize = 16;
