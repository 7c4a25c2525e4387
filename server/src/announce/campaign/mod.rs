//! What is told to whom: the watch's decisions, made into a standing for each client.
//!
//! Pure: loads, messages and the time come in; datagrams, deadlines and orders come out.

mod choosing;
mod draining;
mod hand;
mod measured;
mod members;
mod returning;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::audience::{Audience, Glob, Node, Topology};
use forewarn_proto::gauge::{Load, Parameter};
use forewarn_proto::notice::issue::{self, ClientId, Heard, Invitation, Issuer, Origin, Standing, Transmit};
use forewarn_proto::notice::{Transport, reason_of};
use forewarn_proto::peers::{self, Peers};
use forewarn_proto::time::{Instant, Utc};
use forewarn_proto::watch::{Admission, Cause, DrainBy, Event, Phase, RETRY_BY_OPERATOR, Watch};
use forewarn_wire::notice::{Identity, MAX_OCTETS, Reason};

use crate::announce::rate::Rate;
use crate::announce::roster::{Known, Networks, Roster};
use crate::announce::watch_config;
use crate::config::{self, Config};

/// Names in a line about clients that weren't told.
const NAMES_MAX: usize = 5;

/// What the data plane has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Requests are taken again.
    StartTaking,
    /// Requests aren't taken any more.
    StopTaking,
}

/// When the last things happened; for status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// The load first passed the failover threshold, the last time it did.
    pub over_since: Option<Instant>,
    /// The first notice of the last warning went out.
    pub warned_at: Option<Instant>,
    /// The first notice of the last invitation went out.
    pub invited_at: Option<Instant>,
}

/// The first datagram of what hasn't gone out yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    Warning,
    Invitation,
}

/// What a warning says, for clients that become known while it is in force.
#[derive(Clone, Copy, Debug)]
struct Warning {
    everyone: bool,
    hard: bool,
    /// They have to go, whether an alternate has room or not.
    must: bool,
    /// The operator says so, and not the watch.
    by_hand: bool,
    /// How much of its traffic each is to take away, per cent.
    reduction: u8,
    reason: Reason,
    load: u8,
}

impl Warning {
    /// What less traffic can't mend takes all of it.
    fn settled(self) -> Warning {
        Warning { reduction: if self.must { 100 } else { self.reduction }, ..self }
    }
}

use choosing::Waiting;
pub use draining::Underway;
use draining::{DRAIN_LOOK, Drain, LAST_WORD};
pub use hand::{ByHand, Shed};

/// One server's campaign.
#[derive(Debug)]
pub struct Campaign {
    config: Arc<Config>,
    epoch: u32,
    topology: Arc<Topology>,
    audience: Audience,
    watch: Watch,
    issuer: Issuer,
    peers: Peers,
    transports: Vec<Transport>,
    roster: Roster,
    networks: Networks,
    /// By the configuration's clients: their numbers, if they are single devices.
    singles: Vec<Option<ClientId>>,
    rates_of_networks: BTreeMap<Arc<str>, Rate>,
    /// Of all requests.
    rate: Rate,
    /// Of those of single devices that can be told.
    rate_of_singles: Rate,
    warning: Option<Warning>,
    waiting: Option<Waiting>,
    /// When the last slot given has passed.
    settle_at: Option<Instant>,
    /// The next slot for a client that asks.
    next_slot: Instant,
    drain: Drain,
    moments: Moments,
    announced: Option<Announced>,
    not_told: Vec<ClientId>,
    orders: VecDeque<Order>,
}

impl Campaign {
    /// Nobody has been told anything.
    pub fn new(config: Arc<Config>, epoch: u32, now: Instant) -> Campaign {
        let issuer = Issuer::new(issue::Config {
            server: Identity::from(config.server.identity),
            sender: sender(&config.server.name),
            epoch,
            transports: Vec::new(),
            udp_port: config.notice.port,
            rate: config.notice.rate,
            clients_max: issue::CLIENTS_MAX,
        });
        let peers = peers::Config {
            identity: Identity::from(config.server.identity),
            sender: sender(&config.server.name),
            epoch,
            interval: config.peers.interval,
            threshold: config.health.failover_threshold,
        };
        let mut campaign = Campaign {
            topology: Arc::new(topology(&config)),
            audience: audience(&config),
            watch: Watch::new(watch_config(&config), now),
            issuer,
            peers: Peers::new(peers, measured::entries(&config), now),
            transports: Vec::new(),
            roster: Roster::new(),
            networks: Networks::new(&config.clients),
            singles: Vec::new(),
            rates_of_networks: BTreeMap::new(),
            rate: Rate::default(),
            rate_of_singles: Rate::default(),
            warning: None,
            waiting: None,
            settle_at: None,
            next_slot: now,
            drain: Drain::default(),
            moments: Moments::default(),
            announced: None,
            not_told: Vec::new(),
            orders: VecDeque::new(),
            epoch,
            config,
        };
        campaign.enrol(now);
        campaign
    }

    /// The watch.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The notices.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// When the last things happened.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Clients that are being told at present.
    pub fn pending(&self) -> usize {
        self.issuer.pending()
    }

    pub(super) fn known(&self, id: ClientId) -> Option<&Known> {
        self.roster.get(&id)
    }

    /// The transports there are, in the configured order.
    pub fn set_transports(&mut self, transports: Vec<Transport>) {
        let notice = &self.config.notice;
        self.transports.clone_from(&transports);
        self.issuer.reconfigure(transports, notice.port, notice.rate, issue::CLIENTS_MAX);
    }

    /// The transports there are.
    pub fn transports(&self) -> &[Transport] {
        &self.transports
    }

    /// Another configuration: its clients, audience and times hold from now on. What was told stays told.
    pub fn reload(&mut self, now: Instant, config: Arc<Config>) {
        self.topology = Arc::new(topology(&config));
        self.audience = audience(&config);
        self.watch.reconfigure(watch_config(&config));
        if config.health.limits != self.config.health.limits {
            self.watch.distrust();
        }
        self.networks = Networks::new(&config.clients);
        let threshold = config.health.failover_threshold;
        self.peers.reconfigure(config.peers.interval, threshold, measured::entries(&config), now);
        self.config = config;
        self.enrol(now);
    }

    /// A reading has become this load.
    pub fn handle_load(&mut self, now: Instant, load: &Load) {
        let is_over = load.value() > self.config.health.failover_threshold;
        let was_over = self.watch.runs().0 > 0;
        if is_over && !was_over {
            self.moments.over_since = Some(now);
        }
        self.watch.handle_reading(now, load);
        self.obey(now);
        self.look_again(now);
    }

    /// This process stood still: no trend is to be seen in what was measured before and is from now on.
    pub fn distrust(&mut self) {
        self.watch.distrust();
    }

    /// Planned departure.
    pub fn drain(&mut self, now: Instant, by: DrainBy) {
        if !matches!(self.watch.phase(), Phase::Draining { .. }) {
            self.drain = Drain::default();
        }
        self.watch.drain(now, by);
        self.obey(now);
    }

    /// Back again.
    pub fn resume(&mut self, now: Instant) {
        self.watch.resume(now);
        self.obey(now);
        self.hold_back(now);
        let is_away = |standing: &Standing| matches!(standing, Standing::Leave(_));
        if self.watch.phase() == Phase::Serving && self.issuer.clients().any(|view| is_away(view.standing)) {
            // Held back at the start, when nobody had been told to leave.
            self.invite(now, Cause::Operator);
        }
    }

    /// No new clients.
    pub fn quiesce(&mut self, now: Instant) {
        self.watch.quiesce(now);
        self.obey(now);
        self.hold_back(now);
    }

    /// A payload came, from an agent or a peer.
    pub fn handle_message(&mut self, now: Instant, utc: Utc, origin: Origin, payload: &[u8]) {
        if self.peers.concerns(payload) {
            if let Err(refusal) = self.peers.handle_message(now, utc, origin.transport(), payload) {
                tracing::debug!("a peer's message is ignored: {refusal}");
            }
            // A peer that is a client as well, and has one key for both, asks both.
            if !self.issuer.is_genuine(payload) {
                return;
            }
        }
        let newcomer = self.newcomer(now, payload);
        match self.issuer.handle_message(now, origin, payload) {
            Ok(Heard::ReconnectRequest { client }) => {
                self.hear(now, client);
                self.answer_request(now, client);
            }
            Ok(Heard::Receipt { client, outcome, took, is_news }) => {
                self.hear(now, client);
                if is_news && let Some(known) = self.roster.get(&client) {
                    let millis = took.as_secs_f64() * 1000.0;
                    tracing::debug!(client = %known.name, address = %known.address, ?outcome, "told in {millis:.1} ms");
                }
                self.not_told.retain(|&id| id != client);
                self.settle_one(now, client);
            }
            Ok(Heard::Hello { client } | Heard::Challenge { client } | Heard::Repeated { client }) => {
                self.hear(now, client);
            }
            Err(refusal) => {
                tracing::debug!("a message is ignored: {refusal}");
                if let Some(id) = newcomer {
                    self.strike(id);
                }
            }
        }
    }

    /// A client asks to come back: it gets the slot it has, or one of its own, or is told when to ask again.
    fn answer_request(&mut self, now: Instant, id: ClientId) {
        let (reason, load) = (reason_of(self.watch.cause()), self.watch.load().percent());
        let by_hand = self.roster.get(&id).is_some_and(|known| known.by_hand);
        let admission = match self.watch.admission(now) {
            // What the operator has sent away, only the operator has back.
            Admission::Granted if by_hand => Admission::Refused { retry: RETRY_BY_OPERATOR },
            admission => admission,
        };
        match admission {
            Admission::Refused { retry } => self.issuer.refuse(now, id, retry, reason, load),
            Admission::Granted => {
                let standing = self.issuer.view(id).map(|view| view.standing.clone());
                if matches!(standing, Some(Standing::Invited(Invitation { at, .. })) if at > now) {
                    self.issuer.repeat(now, id);
                    return;
                }
                let at = self.next_slot.max(now);
                self.next_slot = at + Duration::from_secs(1) / self.config.reconnect.rate.max(1);
                let window = self.config.reconnect.window;
                let invitation = Invitation { at, window, come: false, reason: Reason::RECOVERED, load };
                self.invite_one(now, id, invitation);
            }
        }
    }

    /// Time has passed, and so much is under way.
    pub fn handle_timeout(&mut self, now: Instant, underway: Underway) {
        self.watch.handle_timeout(now);
        self.obey(now);
        if self.settle_at.is_some_and(|at| at <= now) {
            self.settle(now);
        }
        if let Phase::Draining { deadline } = self.watch.phase() {
            self.follow_drain(now, deadline, underway);
        }
    }

    /// When something is due.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let drain = matches!(self.watch.phase(), Phase::Draining { .. }).then(|| now + DRAIN_LOOK);
        [
            self.watch.poll_timeout(),
            self.issuer.poll_timeout(),
            self.peers.poll_timeout(),
            self.settle_at,
            drain,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next order to the data plane.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// The next datagram that is due.
    pub fn poll_transmit(&mut self, now: Instant, utc: Utc, out: &mut [u8; MAX_OCTETS]) -> Option<Transmit> {
        let transmit = self.issuer.poll_transmit(now, utc, out)?;
        if transmit.is_first {
            match self.announced.take() {
                Some(Announced::Warning) => self.moments.warned_at = Some(now),
                Some(Announced::Invitation) => self.moments.invited_at = Some(now),
                None => {}
            }
        }
        Some(transmit)
    }

    /// Says who couldn't be told, once nobody is being told any more.
    pub fn report(&mut self) {
        while let Some(issue::Event::NotTold { client }) = self.issuer.poll_event() {
            self.not_told.push(client);
        }
        if self.not_told.is_empty() || self.issuer.pending() > 0 {
            return;
        }
        let names: Vec<String> = self
            .not_told
            .iter()
            .filter_map(|id| self.roster.get(id))
            .take(NAMES_MAX)
            .map(|known| format!("{} ({})", known.name, known.address))
            .collect();
        let more = if self.not_told.len() > names.len() { ", ..." } else { "" };
        tracing::warn!(
            "{} clients gave no receipt and count as not told: {}{more}; does an agent run there, and do ICMP or UDP get through both ways?",
            self.not_told.len(),
            names.join(", ")
        );
        self.not_told.clear();
    }
}

impl Campaign {
    /// Does what the watch wants done.
    fn obey(&mut self, now: Instant) {
        while let Some(event) = self.watch.poll_event() {
            match event {
                Event::Entered { from, to, cause } => {
                    self.waiting = None;
                    log_phase(from, to, cause);
                }
                Event::Warn { share, everyone, hard, cause, load } => {
                    let must = everyone || hard || cause.parameter().is_some_and(Parameter::is_total);
                    let reason = reason_of(cause);
                    let reduction = self.config.notice.reduction;
                    let warning = Warning { everyone, hard, must, by_hand: false, reduction, reason, load };
                    self.warn(now, share, warning);
                    if cause == Cause::Deadline {
                        self.issuer.hurry(now + LAST_WORD);
                    }
                }
                Event::Invite { cause } => self.invite(now, cause),
                Event::Pause { cause } => self.pause(now, cause),
                Event::StopTaking => self.orders.push_back(Order::StopTaking),
                Event::StartTaking => self.orders.push_back(Order::StartTaking),
            }
        }
        self.update_report(now);
    }
}

fn log_phase(from: Phase, to: Phase, cause: Cause) {
    if from == to {
        return;
    }
    let is_bad = matches!(to, Phase::Shedding { .. } | Phase::Away { .. });
    if is_bad {
        tracing::warn!("{from} -> {to}: {cause}");
    } else {
        tracing::info!("{from} -> {to}: {cause}");
    }
}

fn topology(config: &Config) -> Topology {
    let node = |node: &config::Node| Node { path: node.name.to_string(), networks: node.networks.clone() };
    Topology::new(config.topology.iter().map(node))
}

fn audience(config: &Config) -> Audience {
    match &config.notice.audience {
        config::Audience::All => Audience::All,
        config::Audience::Clients(names) => {
            Audience::Clients(names.iter().map(ToString::to_string).collect())
        }
        config::Audience::Groups(globs) => {
            Audience::Groups(globs.iter().map(|glob| Glob::new(glob)).collect())
        }
        config::Audience::Topology(place) => Audience::Topology(place.to_string()),
        config::Audience::Farthest(share) => Audience::Farthest(*share),
        config::Audience::Nearest(share) => Audience::Nearest(*share),
        config::Audience::Nearer => {
            Audience::Nearer(config.notice.alternates.iter().map(|alternate| alternate.address).collect())
        }
    }
}

/// A number for this server, the same at each start: FNV-1a of its name.
fn sender(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193))
}
