//! What is told to whom: the watch's decisions, made into a standing for each client.
//!
//! Pure: loads, messages and the time come in; datagrams, deadlines and orders come out.

mod members;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::audience::{Audience, Glob, Member, Node, Topology, alternates_for, share_of};
use forewarn_proto::gauge::Load;
use forewarn_proto::notice::issue::{
    self, Alternate, ClientId, Heard, Invitation, Issuer, Leave, Origin, Standing, Told, Transmit,
};
use forewarn_proto::notice::{Transport, reason_of};
use forewarn_proto::stagger;
use forewarn_proto::time::{Instant, Utc};
use forewarn_proto::watch::{Admission, Cause, DrainBy, Event, Phase, Watch};
use forewarn_wire::notice::{Identity, MAX_OCTETS, Outcome, Reason};

use crate::announce::roster::{Known, Networks, Roster};
use crate::announce::watch_config;
use crate::config::{self, Config};

/// How long receipts and requests must both be nothing until a drain counts as done: a request that a core hasn't
/// read yet is not counted yet.
const DRAIN_QUIET: Duration = Duration::from_millis(100);
/// How often a drain is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
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
    reason: Reason,
    load: u8,
}

/// One server's campaign.
#[derive(Debug)]
pub struct Campaign {
    config: Arc<Config>,
    epoch: u32,
    topology: Topology,
    audience: Audience,
    watch: Watch,
    issuer: Issuer,
    roster: Roster,
    networks: Networks,
    warning: Option<Warning>,
    /// When the last slot given has passed.
    settle_at: Option<Instant>,
    /// The next slot for a client that asks.
    next_slot: Instant,
    quiet_since: Option<Instant>,
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
        let mut campaign = Campaign {
            topology: topology(&config),
            audience: audience(&config.notice.audience),
            watch: Watch::new(watch_config(&config), now),
            issuer,
            roster: Roster::new(),
            networks: Networks::new(&config.clients),
            warning: None,
            settle_at: None,
            next_slot: now,
            quiet_since: None,
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
        self.issuer.reconfigure(transports, notice.port, notice.rate, issue::CLIENTS_MAX);
    }

    /// Another configuration: its clients, audience and times hold from now on. What was told stays told.
    pub fn reload(&mut self, now: Instant, config: Arc<Config>) {
        self.topology = topology(&config);
        self.audience = audience(&config.notice.audience);
        self.watch.reconfigure(watch_config(&config));
        self.networks = Networks::new(&config.clients);
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
    }

    /// Planned departure.
    pub fn drain(&mut self, now: Instant, by: DrainBy) {
        self.watch.drain(now, by);
        self.quiet_since = None;
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

    /// A payload came from an agent.
    pub fn handle_message(&mut self, now: Instant, origin: Origin, payload: &[u8]) {
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
        match self.watch.admission(now) {
            Admission::Refused { retry } => self.issuer.refuse(now, id, retry, reason, load),
            Admission::Granted => {
                let standing = self.issuer.view(id).map(|view| view.standing.clone());
                if matches!(standing, Some(Standing::Invited(Invitation { at, .. })) if at > now) {
                    self.issuer.repeat(now, id);
                    return;
                }
                let at = self.next_slot.max(now);
                self.next_slot = at + Duration::from_secs(1) / self.config.reconnect.rate.max(1);
                self.invite_one(now, id, at, self.config.reconnect.window, Reason::RECOVERED);
            }
        }
    }

    /// Time has passed; `in_flight` requests are under way.
    pub fn handle_timeout(&mut self, now: Instant, in_flight: u64) {
        self.watch.handle_timeout(now);
        self.obey(now);
        if self.settle_at.is_some_and(|at| at <= now) {
            self.settle(now);
        }
        if let Phase::Draining { .. } = self.watch.phase() {
            let is_quiet = self.issuer.pending() == 0 && in_flight == 0;
            self.quiet_since = if is_quiet { self.quiet_since.or(Some(now)) } else { None };
            if self.quiet_since.is_some_and(|since| now.since(since) >= DRAIN_QUIET) && !self.press(now) {
                self.watch.handle_drained(now);
                self.obey(now);
            }
        }
    }

    /// A client that stayed, since its other servers had warned it too, is told once more before requests stop
    /// being taken, and hard: then it takes the least loaded of the others (SPEC 6). Answers whether there was one.
    fn press(&mut self, now: Instant) -> bool {
        let stays = |told: Told| {
            matches!(told, Told::Told { outcome: Outcome::LastUsable | Outcome::NoAlternate, .. })
        };
        let is_asked = |standing: &Standing| matches!(standing, Standing::Leave(leave) if !leave.hard);
        let staying = self.issuer.clients().filter(|view| stays(view.told) && is_asked(view.standing));
        let ids: Vec<ClientId> = staying.map(|view| view.id).collect();
        let (Some(warning), false) = (self.warning, ids.is_empty()) else { return false };
        for &id in &ids {
            let standing = self.leave(id, Warning { hard: true, ..warning });
            self.issuer.set(now, id, standing);
        }
        self.quiet_since = None;
        tracing::info!(reason = %warning.reason, "telling {} clients that stayed to leave, hard", ids.len());
        true
    }

    /// When something is due.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let drain = matches!(self.watch.phase(), Phase::Draining { .. }).then(|| now + DRAIN_LOOK);
        [self.watch.poll_timeout(), self.issuer.poll_timeout(), self.settle_at, drain]
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
                Event::Entered { from, to, cause } => log_phase(from, to, cause),
                Event::Warn { share, everyone, hard, cause, load } => {
                    self.warn(now, share, Warning { everyone, hard, reason: reason_of(cause), load });
                }
                Event::Invite { cause } => self.invite(now, cause),
                Event::Pause { cause } => self.pause(now, cause),
                Event::StopTaking => self.orders.push_back(Order::StopTaking),
                Event::StartTaking => self.orders.push_back(Order::StartTaking),
            }
        }
    }

    fn warn(&mut self, now: Instant, share: f64, warning: Warning) {
        self.warning = Some(warning);
        let mut ids =
            if warning.everyone { self.roster.keys().copied().collect() } else { self.audience_ids() };
        // The same order at each step, so that a further share is a further share.
        ids.sort_by_key(|id| (self.roster.get(id).map(|known| self.place(known)), *id));
        ids.truncate(share_of(ids.len(), share));
        self.announced = Some(Announced::Warning);
        for &id in &ids {
            let standing = self.leave(id, warning);
            self.issuer.set(now, id, standing);
        }
        tracing::info!(reason = %warning.reason, hard = warning.hard, "telling {} clients to leave", ids.len());
    }

    /// Slots for all that are away; at the start, for everybody, since who is away is not known.
    fn invite(&mut self, now: Instant, cause: Cause) {
        let is_meant =
            |standing: &Standing| matches!(standing, Standing::Leave(_)) || cause == Cause::Started;
        let ids: Vec<ClientId> =
            self.issuer.clients().filter(|view| is_meant(view.standing)).map(|view| view.id).collect();
        let identities: Vec<[u8; 16]> =
            ids.iter().filter_map(|&id| self.issuer.identity(id)).map(|identity| identity.0).collect();
        let reconnect = self.reconnect();
        let window = reconnect.window_for(ids.len());
        self.announced = Some(Announced::Invitation);
        for (&id, slot) in ids.iter().zip(reconnect.slots(&identities, self.epoch)) {
            self.invite_one(now, id, now + slot, window, reason_of(cause));
        }
        // Nobody to wait for is nobody to wait for.
        self.settle_at.get_or_insert(now);
        if !ids.is_empty() {
            tracing::info!("inviting {} clients over {:.1} s", ids.len(), window.as_secs_f64());
        }
    }

    fn invite_one(&mut self, now: Instant, id: ClientId, at: Instant, window: Duration, reason: Reason) {
        let load = self.watch.load().percent();
        self.issuer.set(now, id, Standing::Invited(Invitation { at, window, come: false, reason, load }));
        self.settle_at = Some(self.settle_at.map_or(at, |settle_at| settle_at.max(at)));
    }

    /// Slots are given out in Serving too, after the start; whoever waits for one of those isn't admitted either.
    fn hold_back(&mut self, now: Instant) {
        if let Phase::Returning { paused: true } | Phase::Quiesced = self.watch.phase() {
            self.pause(now, self.watch.cause());
        }
    }

    /// Those whose slots haven't come yet stay away after all; not who said that it had never left.
    fn pause(&mut self, now: Instant, cause: Cause) {
        let load = self.watch.load().percent();
        let warning = Warning { everyone: false, hard: false, reason: reason_of(cause), load };
        let waiting =
            |standing: &Standing| matches!(standing, Standing::Invited(invitation) if invitation.at > now);
        let is_here = |told: Told| matches!(told, Told::Told { outcome: Outcome::Noted, .. });
        let views = self.issuer.clients().filter(|view| waiting(view.standing) && !is_here(view.told));
        let ids: Vec<ClientId> = views.map(|view| view.id).collect();
        for &id in &ids {
            let standing = self.leave(id, warning);
            self.issuer.set(now, id, standing);
        }
        if ids.is_empty() {
            return;
        }
        tracing::info!("{cause}: {} clients whose slots haven't come stay away", ids.len());
    }

    /// Slots have passed: nothing is in force for those clients any more.
    fn settle(&mut self, now: Instant) {
        let mut later: Option<Instant> = None;
        let mut passed = Vec::new();
        for view in self.issuer.clients() {
            match view.standing {
                Standing::Invited(Invitation { at, .. }) if *at > now => {
                    later = Some(later.map_or(*at, |later| later.max(*at)));
                }
                Standing::Invited(_) => passed.push(view.id),
                _ => {}
            }
        }
        for id in passed {
            self.issuer.settle(id);
        }
        self.settle_at = later;
        if later.is_none() {
            self.watch.handle_returned(now);
            self.obey(now);
        }
    }

    /// A receipt that came after its slot.
    fn settle_one(&mut self, now: Instant, id: ClientId) {
        let standing = self.issuer.view(id).map(|view| view.standing);
        if matches!(standing, Some(Standing::Invited(Invitation { at, .. })) if *at <= now) {
            self.issuer.settle(id);
        }
    }

    fn leave(&self, id: ClientId, warning: Warning) -> Standing {
        let server = self.config.server.identity;
        let notice = &self.config.notice;
        let client = self.roster.get(&id).map_or(server, |known| known.address);
        let by_distance = notice.alternates_by_distance.then_some(&self.topology);
        let own = alternates_for(client, server, &notice.alternates, |one| one.address, by_distance);
        let alternates =
            own.iter().map(|one| Alternate { address: one.address, weight: one.weight }).collect();
        Standing::Leave(Leave {
            reduction: 100,
            hard: warning.hard,
            validity: notice.validity,
            reason: warning.reason,
            load: warning.load,
            alternates,
        })
    }

    fn audience_ids(&self) -> Vec<ClientId> {
        let ids: Vec<ClientId> = self.roster.keys().copied().collect();
        let members: Vec<Member> = self.roster.values().map(Known::member).collect();
        let chosen = self.audience.select(&members, &self.topology, self.config.server.identity);
        chosen.into_iter().map(|index| ids[index]).collect()
    }

    fn place(&self, known: &Known) -> u64 {
        stagger::place(&Identity::from(known.address).0, self.epoch)
    }

    fn reconnect(&self) -> stagger::Config {
        stagger::Config { window: self.config.reconnect.window, rate: self.config.reconnect.rate }
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

fn audience(audience: &config::Audience) -> Audience {
    match audience {
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
    }
}

/// A number for this server, the same at each start: FNV-1a of its name.
fn sender(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193))
}
