//! The director: one loop on the main thread, asleep until something happens.

use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_proto::watch::{self, DrainBy, Event, Phase, Watch};
use forewarn_shell::clock;
use forewarn_shell::config::Diagnostics;
use forewarn_shell::control::{Asked, Listener, Program, Reply, Request, ServerStatus, Status, WatchStatus};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::Running;
use crate::config::{self, Config, Loaded};
use crate::control;
use crate::health::{CheckContext, Checked, Health, Pool, Services};
use crate::listen::Cores;

/// How often a drain is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(10);
/// How often an operator who waits for a drain hears how far it is.
const DRAIN_WORD: Duration = Duration::from_secs(1);
/// The shortest time between two readings, however often the cores ask for one.
const READING_GAP: Duration = Duration::from_millis(10);
/// Requests of operators that may wait.
const ASKED_MAX: usize = 16;

/// What the main thread keeps.
pub(super) struct Director {
    running: Running,
    health: Health,
    services: Services,
    checked: mpsc::UnboundedReceiver<Checked>,
    next_reading: Instant,
    read_at: Instant,
    watch: Watch,
    moments: Moments,
    signals: Signals,
    /// Operators who wait for the end of a drain, and when they last heard of it.
    waiting: Vec<Asked>,
    word_at: Instant,
    reloads: u64,
    refused_reloads: u64,
    started_at: Instant,
    ending: bool,
}

/// When things happened the last time they did.
#[derive(Debug, Default)]
struct Moments {
    is_over: bool,
    over_since: Option<Instant>,
    warned_at: Option<Instant>,
    invited_at: Option<Instant>,
}

struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// What woke the director.
enum Wake {
    Asked(Asked),
    Checked(Checked),
    /// A request has waited too long.
    Poked,
    Reload,
    End,
    Time,
}

impl Director {
    pub(super) fn new(running: Running, config: &Config) -> std::io::Result<Director> {
        let signals = Signals {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        let now = clock::now();
        let health = Health::new(config, Arc::clone(running.shared.vitals()));
        let pool: Arc<dyn Pool> = Arc::clone(&running.shared) as Arc<dyn Pool>;
        let context = CheckContext { pool, folder: config.folder.clone() };
        let (services, checked) = Services::new(&config.services, context, now);
        Ok(Director {
            running,
            health,
            services,
            checked,
            next_reading: now,
            read_at: Instant::ZERO,
            moments: Moments::default(),
            watch: Watch::new(watch_config(config), now),
            signals,
            waiting: Vec::new(),
            word_at: now,
            reloads: 0,
            refused_reloads: 0,
            started_at: now,
            ending: false,
        })
    }

    /// Until the server is to end.
    pub(super) async fn run(&mut self, control: &Listener, cores: &Cores) {
        let (asked, mut requests) = mpsc::channel(ASKED_MAX);
        let serve = control.serve(asked);
        tokio::pin!(serve);
        let vitals = Arc::clone(self.running.shared.vitals());
        loop {
            let due = self.poll_timeout();
            let wake = tokio::select! {
                biased;
                _ = self.signals.terminate.recv() => Wake::End,
                _ = self.signals.interrupt.recv() => Wake::End,
                _ = self.signals.hang_up.recv() => Wake::Reload,
                Some(asked) = requests.recv() => Wake::Asked(asked),
                Some(checked) = self.checked.recv() => Wake::Checked(checked),
                () = vitals.poked() => Wake::Poked,
                () = clock::sleep_until(due) => Wake::Time,
                () = &mut serve => Wake::Time,
            };
            match wake {
                Wake::End if self.ending => {
                    tracing::warn!("told twice to end: ending at once");
                    return;
                }
                Wake::End => self.end(),
                Wake::Reload => {
                    // What it comes to is logged.
                    let _ = self.reload().await;
                }
                Wake::Asked(asked) => self.answer(asked, cores).await,
                Wake::Checked(checked) => self.services.handle(clock::now(), checked),
                Wake::Poked => self.next_reading = self.next_reading.min(self.read_at + READING_GAP),
                Wake::Time => {}
            }
            self.look();
            if self.ending && self.watch.phase() == Phase::Drained {
                return;
            }
        }
    }

    fn poll_timeout(&self) -> Instant {
        let draining = matches!(self.watch.phase(), Phase::Draining { .. });
        let look = draining.then(|| clock::now() + DRAIN_LOOK);
        let others = [look, self.watch.poll_timeout(), self.services.poll_timeout()];
        others.into_iter().flatten().fold(self.next_reading, Instant::min)
    }

    fn read(&mut self, now: Instant) {
        let health = &self.running.shared.config().health;
        self.read_at = now;
        self.next_reading = now + health.interval;
        let load = self.health.read(now, &self.services);
        let is_over = load.value() > health.failover_threshold;
        if is_over && !self.moments.is_over {
            self.moments.over_since = Some(now);
        }
        self.moments.is_over = is_over;
        self.watch.handle_reading(now, &load);
    }

    /// SIGTERM or SIGINT for the first time.
    fn end(&mut self) {
        tracing::info!("told to end: draining first; a second signal ends at once");
        self.ending = true;
        self.watch.drain(clock::now(), DrainBy::Shutdown);
    }

    /// What time has brought.
    fn look(&mut self) {
        let now = clock::now();
        self.services.begin_due(now);
        if now >= self.next_reading {
            self.read(now);
        }
        self.watch.handle_timeout(now);
        if matches!(self.watch.phase(), Phase::Draining { .. })
            && self.running.shared.vitals().in_flight() == 0
        {
            self.watch.handle_drained(now);
        }
        while let Some(event) = self.watch.poll_event() {
            self.act(now, event);
        }
        self.tell_waiting(now);
    }

    fn act(&mut self, now: Instant, event: Event) {
        match event {
            Event::Entered { from, to, cause } => {
                tracing::info!("{} -> {}: {cause}", from.name(), to.name());
            }
            Event::StopTaking => self.running.shared.set_taking(false),
            Event::StartTaking => self.running.shared.set_taking(true),
            Event::Warn { .. } => self.moments.warned_at = Some(now),
            Event::Invite { .. } => self.moments.invited_at = Some(now),
            Event::Pause { .. } => {}
        }
    }

    fn tell_waiting(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        let reply = match self.watch.phase() {
            Phase::Draining { .. } if now < self.word_at + DRAIN_WORD => return,
            Phase::Draining { .. } => {
                let in_flight = self.running.shared.vitals().in_flight();
                Reply::Progress { message: format!("{in_flight} requests under way") }
            }
            Phase::Drained => Reply::Done { message: "drained: requests aren't taken any more".to_owned() },
            phase => Reply::Refused {
                errors: vec![format!("the drain was ended: the server is {}", phase.name())],
            },
        };
        self.word_at = now;
        for asked in &self.waiting {
            asked.reply(reply.clone());
        }
        if reply.is_last() {
            self.waiting.clear();
        }
    }

    async fn answer(&mut self, asked: Asked, cores: &Cores) {
        let now = clock::now();
        let done = |message: &str| Reply::Done { message: message.to_owned() };
        let reply = match asked.request {
            Request::Status => Reply::Status { status: Status::Server(Box::new(self.status(cores))) },
            Request::Drain { wait } => {
                self.watch.drain(now, DrainBy::Operator);
                if wait {
                    self.word_at = now;
                    self.waiting.push(asked);
                    return;
                }
                done("draining; `forewarn status` shows how far it is, `forewarn resume` takes it back")
            }
            Request::Resume if self.ending => {
                Reply::Refused { errors: vec!["the server was told to end and drains".to_owned()] }
            }
            Request::Resume => {
                self.watch.resume(now);
                done("taking requests; clients that left are invited back as the load allows")
            }
            Request::Quiesce => {
                self.watch.quiesce(now);
                done("keeping the clients there are, inviting no others")
            }
            Request::Reload => match self.reload().await {
                Ok(message) => Reply::Done { message },
                Err(errors) => Reply::Refused { errors },
            },
        };
        asked.reply(reply);
    }
}

impl Director {
    /// Reads the configuration again. What was done, or every reason why not; the old one goes on then.
    async fn reload(&mut self) -> Result<String, Vec<String>> {
        let layers = self.running.layers.clone();
        // A large file takes a while; readings and notices don't wait for it.
        let loaded = tokio::task::spawn_blocking(move || config::load(&layers)).await;
        let loaded = loaded.map_err(|_| vec!["the check of the configuration was cut off".to_owned()])?;
        self.apply(loaded).inspect_err(|errors| {
            self.refused_reloads += 1;
            tracing::error!("the new configuration is refused, the old one goes on:");
            for error in errors {
                tracing::error!("{error}");
            }
        })
    }

    fn apply(&mut self, loaded: Result<Loaded, Diagnostics>) -> Result<String, Vec<String>> {
        let Loaded { mut config, warnings } =
            loaded.map_err(|found| found.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let old = self.running.shared.config();
        let restart = config::needs_restart(&old, &config);
        config.keep(&old);
        let config = Arc::new(config);
        self.running.shared.reload(Arc::clone(&config)).map_err(|error| vec![error.to_string()])?;
        let now = clock::now();
        self.health.reload(&config);
        self.services.reload(&config.services, now);
        self.watch.reconfigure(watch_config(&config));
        self.next_reading = self.next_reading.min(now + config.health.interval);
        self.reloads += 1;
        let mut message = "reloaded: the new configuration is in force".to_owned();
        for note in warnings.warnings().map(ToString::to_string).chain(restart) {
            message.push('\n');
            message.push_str(&note);
        }
        for line in message.lines() {
            tracing::info!("{line}");
        }
        Ok(message)
    }

    fn status(&self, cores: &Cores) -> ServerStatus {
        let shared = &self.running.shared;
        let config = shared.config();
        ServerStatus {
            program: Program {
                name: config.server.name.clone(),
                identity: config.server.identity.to_string(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                started_at: clock::micros_since_1970(self.started_at),
                config: self.running.file.display().to_string(),
                state_dir: self.running.state.path().display().to_string(),
                reloads: self.reloads,
                complaints: Vec::new(),
            },
            watch: WatchStatus {
                state: self.watch.phase().name().to_lowercase(),
                cause: self.watch.cause().to_string(),
                since: clock::micros_since_1970(self.watch.since()),
                share: self.watch.moved(),
                over_since: self.moments.over_since.map(clock::micros_since_1970),
                warned_at: self.moments.warned_at.map(clock::micros_since_1970),
                invited_at: self.moments.invited_at.map(clock::micros_since_1970),
            },
            load: self.health.status(&config.health),
            services: self.services.statuses(),
            requests: shared.requests().collect(),
            counters: control::counters(shared, cores),
            clients: control::clients(shared),
            strangers: shared.strangers().latest().iter().map(ToString::to_string).collect(),
            ..ServerStatus::default()
        }
    }
}

fn watch_config(config: &Config) -> watch::Config {
    watch::Config {
        failover_threshold: config.health.failover_threshold,
        failover_after: config.health.failover_after,
        connection_threshold: config.health.connection_threshold,
        connection_after: config.health.connection_after,
        away_min: config.health.away_min,
        shed: config.notice.shed,
        shed_every: config.notice.shed_every,
        drain_deadline: config.drain.deadline,
        greet: true,
    }
}
