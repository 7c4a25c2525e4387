//! Announcing: this server's fitness, told to its clients.
//!
//! | module | holds |
//! |---|---|
//! | [`Announcer`] | the whole as the director drives it: readings, services, sockets, the campaign |
//! | [`campaign`] | what is told to whom: watch, audience, slots, notices; pure, tested in virtual time |
//! | `rate` | how often something happens |
//! | `roster` | the clients that can be told |
//! | `post` | the sockets: ICMP and UDP, out and in |
//! | `show` | all of it for `forewarn status` |
//!
//! It lives on the director's runtime, never on a listener core.

pub mod campaign;
mod post;
mod rate;
mod roster;
mod show;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::gauge::{Doubt, PULSE};
use forewarn_proto::notice::Transport;
use forewarn_proto::notice::issue::{Origin, Path, Told, View};
use forewarn_proto::time::Instant;
use forewarn_proto::watch::{Cause, DrainBy, Phase};
use forewarn_shell::control::Whom;
use forewarn_shell::udp::BindError;
use forewarn_shell::{clock, random};
use forewarn_wire::notice::MAX_OCTETS;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::health::{CheckContext, Checked, Databases, Health, Pool, Services};
use crate::process::leaving::Leaving;
use crate::proxy::Letter;
use crate::shared::Shared;

use campaign::{ByHand, Campaign, Order, Shed, Underway};
use post::Post;

/// Devices of clients that are networks become known to the campaign at most this much later.
const DEVICES_EVERY: Duration = Duration::from_secs(5);

/// Who asks how much is looked at this often, or as often as peers are told if that is more often.
const TOTALS_EVERY: Duration = Duration::from_secs(1);

/// Who wasn't told is known to the cores at most this much later.
const UNTOLD_EVERY: Duration = Duration::from_millis(500);

/// Clients on the ladder have gone when none of them has asked for anything for so long.
const LINGER: Duration = Duration::from_secs(2);

/// Between two readings that a late request has asked for.
const POKED_EVERY: Duration = Duration::from_millis(50);

/// Health, watch and notices of one server.
pub struct Announcer {
    shared: Arc<Shared>,
    health: Health,
    services: Services,
    results: mpsc::UnboundedReceiver<Checked>,
    /// Results that came while waiting.
    checked: Vec<Checked>,
    campaign: Campaign,
    post: Post,
    next_reading: Instant,
    last_reading: Option<Instant>,
    devices_at: Instant,
    untold_at: Instant,
    totals_at: Instant,
    doubt: Doubt,
    /// How often readings were distrusted.
    doubts: u64,
}

impl Announcer {
    /// Opens the sockets of `[notice]` and takes the first reading at once. `epoch` is this start's, kept already. On
    /// the director's runtime.
    ///
    /// # Errors
    /// The UDP address of `[notice]` is somebody else's. Without the right to use ICMP it goes on by UDP, and says so.
    pub fn open(shared: Arc<Shared>, epoch: u32) -> Result<Announcer, BindError> {
        let config = shared.config();
        let now = clock::now();
        let post = Post::open(&config)?;
        let context = CheckContext {
            pool: Arc::clone(&shared) as Arc<dyn Pool>,
            databases: Arc::clone(&shared) as Arc<dyn Databases>,
            folder: config.folder.clone(),
            identity: config.server.identity,
        };
        let (services, results) = Services::new(&config.services, context, now);
        let mut campaign = Campaign::new(Arc::clone(&config), epoch, now);
        campaign.set_transports(post.transports(&config));
        Ok(Announcer {
            health: Health::new(&config, Arc::clone(shared.vitals()), Arc::clone(shared.latencies())),
            services,
            results,
            checked: Vec::new(),
            campaign,
            post,
            next_reading: now,
            last_reading: None,
            devices_at: now,
            untold_at: now,
            totals_at: now,
            doubt: Doubt::default(),
            doubts: 0,
            shared,
        })
    }

    /// Returns when there is something to do for [`Announcer::look`]. Nothing is lost when the future is dropped.
    pub async fn wait(&mut self) {
        let due = [
            Some(self.next_reading),
            Some(self.totals_at),
            self.services.poll_timeout(),
            self.campaign.poll_timeout(clock::now()),
        ];
        let asleep = clock::now();
        self.doubt.handle_asleep(asleep, clock::utc());
        let due = due.into_iter().flatten().min().unwrap_or(self.next_reading).min(asleep + PULSE);
        let allowed = self.last_reading.map_or(Instant::ZERO, |last| last + POKED_EVERY);
        let vitals = self.shared.vitals();
        tokio::select! {
            () = self.post.receive() => {}
            () = self.shared.letters().arrived() => {}
            Some(checked) = self.results.recv() => self.checked.push(checked),
            () = async { clock::sleep_until(allowed).await; vitals.poked().await } => {
                self.next_reading = self.next_reading.min(clock::now());
            }
            () = clock::sleep_until(due) => {}
        }
    }

    /// Does all that is due. Waits for nothing but room to send.
    pub async fn look(&mut self) {
        let now = clock::now();
        self.doubt(now);
        for checked in self.checked.drain(..) {
            self.services.handle(now, checked);
        }
        while let Ok(checked) = self.results.try_recv() {
            self.services.handle(now, checked);
        }
        self.services.set_draining(matches!(self.phase(), Phase::Draining { .. } | Phase::Drained));
        self.services.begin_due(now);
        let (utc, proxy) = (clock::utc(), self.shared.proxy());
        for (origin, payload) in self.post.received() {
            let (via, from) = way(origin);
            // As a proxy this server is itself a client, of its home servers.
            if !proxy.as_ref().is_some_and(|proxy| proxy.handle_notice(via, from, payload)) {
                self.campaign.handle_message(now, utc, origin, payload);
            }
        }
        self.post.done();
        self.learn_devices(now);
        self.count(now);
        if self.next_reading > now {
            // Not yet.
        } else if let Some(settled) = self.doubt.settles(now) {
            self.health.begin_anew(now, &self.services);
            self.last_reading = Some(now);
            self.next_reading = settled;
        } else {
            let late = now.since(self.next_reading);
            let load = self.health.read(now, late, &self.services);
            if load.value() > self.shared.config().health.failover_threshold {
                // Whoever has come since the last look is one of those to be warned.
                self.devices_at = now;
                self.learn_devices(now);
            }
            self.campaign.handle_load(now, &load);
            self.last_reading = Some(now);
            // A reading that came late isn't made up for.
            self.next_reading = now + self.shared.config().health.interval;
            let watch = self.campaign.watch();
            if watch.since() == now && matches!(watch.cause(), Cause::Foreseen { .. }) {
                // Before it can show that clients leave: whether it turns by itself.
                self.next_reading = self.next_reading.min(now + POKED_EVERY);
            }
        }
        let lingering = self.lead_down(now);
        let requests = self.shared.vitals().in_flight() + lingering;
        self.campaign.handle_timeout(now, Underway { requests, conversations: self.conversations(now) });
        self.tell().await;
    }

    /// Lets clients without the agent notice how far this server is on its way out. Answers 1 while a drain has to wait
    /// for them: nobody acknowledges that they have gone, so they have, when nothing more comes.
    fn lead_down(&mut self, now: Instant) -> u64 {
        let departure = self.shared.vitals().departure();
        let since = self.campaign.watch().since();
        let leaving = match self.phase() {
            Phase::Away { .. } => Leaving::Asked,
            Phase::Draining { deadline } if now < since + deadline.since(since) / 2 => Leaving::Asked,
            Phase::Draining { .. } | Phase::Drained => Leaving::Soon,
            _ => Leaving::No,
        };
        departure.set(leaving);
        let clients = &self.shared.config().clients;
        if leaving == Leaving::No || !clients.iter().any(|client| client.without_agent.any()) {
            return 0;
        }
        let untold = |view: &View<'_>| matches!(view.told, Told::NotTold { .. });
        let views = self.campaign.issuer().clients().filter(untold);
        let addresses = views.filter_map(|view| self.campaign.known(view.id).map(|known| known.address));
        if self.untold_at <= now {
            self.untold_at = now + UNTOLD_EVERY;
            self.shared.set_untold(addresses.collect());
        }
        let lately = now.since(departure.asked().max(since)) < LINGER;
        u64::from(lately && matches!(self.phase(), Phase::Draining { .. }))
    }

    /// Conversations that a drain waits for.
    fn conversations(&self, now: Instant) -> u64 {
        let Some(before) = self.campaign.waits_for_before(now) else { return 0 };
        let elsewhere = self.shared.vitals().departure().going_on(now, before);
        self.shared.conversations().going_on(now, before) + elsewhere
    }

    /// Asks whether this process stood still, or its clock was set, since it went to sleep.
    fn doubt(&mut self, now: Instant) {
        if let Some(doubted) = self.doubt.handle_awake(now, clock::utc()) {
            tracing::warn!("{doubted}: what was measured meanwhile doesn't count");
            self.doubts += 1;
            self.services.distrust(now);
            self.campaign.distrust();
            self.next_reading = now;
        }
        self.health.set_known_for(self.doubt.known_for(now));
    }

    /// Sends what is due, and takes or stops taking requests as the campaign says.
    async fn tell(&mut self) {
        while let Some(order) = self.campaign.poll_order() {
            self.shared.set_taking(order == Order::StartTaking);
        }
        let mut out = [0; MAX_OCTETS];
        while let Some(transmit) = self.campaign.poll_transmit(clock::now(), clock::utc(), &mut out) {
            self.post.send(transmit.to, &out[..transmit.len]).await;
        }
        let (transports, mut rng) = (self.campaign.transports().to_vec(), random::generator());
        while let Some(transmit) = self.campaign.poll_peer(clock::now(), clock::utc(), &mut rng, &mut out) {
            for path in transmit.paths(&transports) {
                self.post.send(path, &out[..transmit.len]).await;
            }
        }
        while let Some(letter) = self.shared.letters().take() {
            self.post.send(path(&letter), letter.octets()).await;
        }
        self.post.flush().await;
        self.campaign.report();
    }

    /// Who asks how much.
    fn count(&mut self, now: Instant) {
        if self.totals_at <= now {
            self.totals_at = now + TOTALS_EVERY.min(self.shared.config().peers.interval);
            let tables = self.shared.tables();
            let totals: Vec<u64> = tables.clients().iter().map(|client| client.ledger.requests()).collect();
            self.campaign.handle_totals(now, &totals);
        }
    }

    fn learn_devices(&mut self, now: Instant) {
        if self.devices_at <= now {
            self.devices_at = now + DEVICES_EVERY;
            self.campaign.set_devices(now, &self.shared.heard_lately());
        }
    }

    /// Where the watch stands.
    pub fn phase(&self) -> Phase {
        self.campaign.watch().phase()
    }

    /// How far a drain is.
    pub fn progress(&self) -> String {
        let pending = self.campaign.pending();
        let requests = self.shared.vitals().in_flight();
        let conversations = self.conversations(clock::now());
        format!(
            "{pending} clients haven't answered yet, {requests} requests and {conversations} conversations under way"
        )
    }

    /// Whether the process may end: it has stopped taking requests, and told its clients so.
    pub fn may_end(&self) -> bool {
        self.phase() == Phase::Drained && !self.campaign.has_a_last_word(clock::now())
    }

    /// Planned departure. [`Announcer::look`] has to follow, as after each command.
    pub fn drain(&mut self, by: DrainBy) {
        let now = clock::now();
        self.campaign.set_devices(now, &self.shared.heard_lately());
        self.campaign.drain(now, by);
    }

    /// Back again.
    pub fn resume(&mut self) {
        self.campaign.resume(clock::now());
    }

    /// Keep the clients there are, take no new ones.
    pub fn quiesce(&mut self) {
        self.campaign.quiesce(clock::now());
    }

    /// See [`Campaign::shed`].
    ///
    /// # Errors
    /// As there.
    pub fn shed(&mut self, whom: &Whom, shed: Shed) -> Result<ByHand, String> {
        let now = clock::now();
        self.campaign.set_devices(now, &self.shared.heard_lately());
        self.campaign.shed(now, whom, shed)
    }

    /// See [`Campaign::invite_by_hand`].
    ///
    /// # Errors
    /// As there.
    pub fn invite_by_hand(&mut self, whom: &Whom) -> Result<ByHand, String> {
        let now = clock::now();
        self.campaign.set_devices(now, &self.shared.heard_lately());
        self.campaign.invite_by_hand(now, whom)
    }

    /// What is told to whom.
    pub fn campaign(&self) -> &Campaign {
        &self.campaign
    }

    /// Takes the configuration over that `shared` has taken over already. Standing, marks and services that stay the
    /// same are kept.
    ///
    /// # Errors
    /// `[notice]` listens elsewhere now, and that address can't be had; the old sockets are kept.
    pub fn reload(&mut self) -> Result<(), BindError> {
        let config = self.shared.config();
        let now = clock::now();
        let reopened = self.post.reopen(&config);
        self.health.reload(&config);
        self.services.reload(&config.services, now);
        self.campaign.reload(now, Arc::clone(&config));
        self.campaign.set_transports(self.post.transports(&config));
        self.campaign.set_devices(now, &self.shared.heard_lately());
        reopened
    }
}

/// By what a payload came, and from where.
fn way(origin: Origin) -> (Transport, SocketAddr) {
    match origin {
        Origin::Udp { from } => (Transport::Udp, from),
        Origin::Icmp { from, .. } => (Transport::Icmp, SocketAddr::new(from, 0)),
    }
}

/// Where a message to a home server goes.
fn path(letter: &Letter) -> Path {
    match letter.via {
        Transport::Udp => Path::Udp(letter.to),
        Transport::Icmp => Path::Icmp(letter.to.ip()),
    }
}

/// The thresholds and times of `config` for the watch.
pub(crate) fn watch_config(config: &Config) -> forewarn_proto::watch::Config {
    forewarn_proto::watch::Config {
        failover_threshold: config.health.failover_threshold,
        failover_after: config.health.failover_after,
        connection_threshold: config.health.connection_threshold,
        connection_after: config.health.connection_after,
        lead: config.health.lead,
        away_min: config.health.away_min,
        shed: config.notice.shed,
        shed_every: config.notice.shed_every,
        drain_deadline: config.drain.deadline,
        greet: true,
    }
}
