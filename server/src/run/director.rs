//! The director: one loop on the main thread, asleep until something happens.

use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_proto::watch::{DrainBy, Phase};
use forewarn_shell::clock;
use forewarn_shell::config::{Diagnostic, Diagnostics, Severity};
use forewarn_shell::control::{Asked, Listener, Program, Reply, Request, ServerStatus, Status};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Running;
use super::hand::Telling;
use crate::announce::Announcer;
use crate::config::{self, Loaded};
use crate::control;
use crate::dynauth;
use crate::listen::Cores;
use crate::log;
use crate::metrics::{self, Figures, Metrics};
use crate::shared::StartError;
use crate::store::directory::Directory;

/// How often an operator who waits for a drain hears how far it is.
const DRAIN_WORD: Duration = Duration::from_secs(1);
/// Requests of operators that may wait.
const ASKED_MAX: usize = 16;
/// How often certificates that run out soon are spoken of.
const EXPIRY_WORD: Duration = Duration::from_secs(86_400);

/// What the main thread keeps.
pub(super) struct Director {
    running: Running,
    announcer: Announcer,
    metrics: Metrics,
    scrapes: metrics::Asked,
    signals: Signals,
    /// Operators who wait for the end of a drain, and when they last heard of it.
    waiting: Vec<Asked>,
    word_at: Instant,
    /// Operators who wait until clients have been told.
    telling: Vec<Telling>,
    /// The check of a new configuration that is under way, and the operators who wait for it.
    checking: Option<JoinHandle<Result<Loaded, Diagnostics>>>,
    reloading: Vec<Asked>,
    /// Asked for while the check was under way: the files may have changed since it began.
    check_again: bool,
    reloads: u64,
    refused_reloads: u64,
    /// Microseconds since 1970, told once: the clocks drift apart.
    started_at: u64,
    ending: bool,
    /// When certificates that run out are spoken of next; the configuration's check has done so first.
    expiry_at: Instant,
}

struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// What woke the director.
enum Wake {
    Asked(Asked),
    /// Somebody asks for metrics.
    Scraped(oneshot::Sender<Figures>),
    Reload,
    /// The new configuration was read.
    Read(Box<Result<Loaded, Diagnostics>>),
    End,
    /// A day has gone by.
    Expiry,
    /// Something for the announcer, or time for a word to those who wait.
    Else,
}

impl Director {
    pub(super) fn new(
        running: Running,
        announcer: Announcer,
        (metrics, scrapes): (Metrics, metrics::Asked),
    ) -> std::io::Result<Director> {
        let signals = Signals {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        let now = clock::now();
        Ok(Director {
            running,
            announcer,
            metrics,
            scrapes,
            signals,
            waiting: Vec::new(),
            word_at: now,
            telling: Vec::new(),
            checking: None,
            reloading: Vec::new(),
            check_again: false,
            reloads: 0,
            refused_reloads: 0,
            started_at: clock::micros_since_1970(now),
            ending: false,
            expiry_at: now + EXPIRY_WORD,
        })
    }

    /// Until the server is to end.
    pub(super) async fn run(&mut self, control: &Listener, cores: &Cores) {
        let (asked, mut requests) = mpsc::channel(ASKED_MAX);
        let serve = control.serve(asked);
        tokio::pin!(serve);
        loop {
            let word = (!self.waiting.is_empty()).then(|| self.word_at + DRAIN_WORD);
            let wake = tokio::select! {
                biased;
                _ = self.signals.terminate.recv() => Wake::End,
                _ = self.signals.interrupt.recv() => Wake::End,
                _ = self.signals.hang_up.recv() => Wake::Reload,
                Some(asked) = requests.recv() => Wake::Asked(asked),
                Some(scrape) = self.scrapes.recv() => Wake::Scraped(scrape),
                read = finished(&mut self.checking) => Wake::Read(Box::new(read)),
                () = self.announcer.wait() => Wake::Else,
                () = clock::sleep_until(word.unwrap_or(Instant::FAR)), if word.is_some() => Wake::Else,
                () = clock::sleep_until(self.expiry_at) => Wake::Expiry,
                () = &mut serve => Wake::Else,
            };
            match wake {
                Wake::End if self.ending => {
                    tracing::warn!("told twice to end: ending at once");
                    return;
                }
                Wake::End => self.end(),
                Wake::Reload => self.check(),
                Wake::Read(read) => self.take_over(*read),
                Wake::Asked(asked) => self.answer(asked, cores),
                Wake::Scraped(scrape) => {
                    let (mut figures, shared) = (self.figures(cores), Arc::clone(&self.running.shared));
                    tokio::spawn(async move {
                        figures.pools = control::pools(&shared).await;
                        // Whoever doesn't wait any more loses it.
                        drop(scrape.send(figures));
                    });
                }
                Wake::Expiry => {
                    self.expiry_at = clock::now() + EXPIRY_WORD;
                    control::expiring(&self.running.shared).iter().for_each(|word| tracing::warn!("{word}"));
                }
                Wake::Else => {}
            }
            self.announcer.look().await;
            self.tell_waiting(clock::now());
            self.telling.retain(|telling| !telling.end(&self.announcer));
            if self.ending && self.announcer.may_end() {
                return;
            }
        }
    }

    /// SIGTERM or SIGINT for the first time.
    fn end(&mut self) {
        tracing::info!("told to end: draining first; a second signal ends at once");
        self.ending = true;
        self.announcer.drain(DrainBy::Shutdown);
    }

    fn tell_waiting(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        let reply = match self.announcer.phase() {
            Phase::Draining { .. } if now < self.word_at + DRAIN_WORD => return,
            Phase::Draining { .. } => Reply::Progress { message: self.announcer.progress() },
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

    fn answer(&mut self, asked: Asked, cores: &Cores) {
        let done = |message: &str| Reply::Done { message: message.to_owned() };
        let reply = match asked.request {
            Request::Status => {
                let (mut status, shared) = (self.status(cores), Arc::clone(&self.running.shared));
                tokio::spawn(async move {
                    status.pools = control::pools(&shared).await;
                    asked.reply(Reply::Status { status: Status::Server(Box::new(status)) });
                });
                return;
            }
            Request::Drain { wait } => {
                self.announcer.drain(DrainBy::Operator);
                if wait {
                    self.word_at = clock::now();
                    self.waiting.push(asked);
                    return;
                }
                done("draining; `forewarn status` shows how far it is, `forewarn resume` takes it back")
            }
            Request::Resume if self.ending => {
                Reply::Refused { errors: vec!["the server was told to end and drains".to_owned()] }
            }
            Request::Resume => {
                self.announcer.resume();
                done("taking requests; clients that left are invited back as the load allows")
            }
            Request::Quiesce if matches!(self.announcer.phase(), Phase::Draining { .. } | Phase::Drained) => {
                let reason = "the server drains, or has; `forewarn resume` takes that back, then quiesce it";
                Reply::Refused { errors: vec![reason.to_owned()] }
            }
            Request::Quiesce => {
                self.announcer.quiesce();
                done("keeping the clients there are, inviting no others")
            }
            Request::Shed { .. } | Request::Invite { .. } => {
                self.telling.extend(Telling::begin(&mut self.announcer, asked));
                return;
            }
            Request::Disconnect { .. } | Request::Coa { .. } => {
                tokio::spawn(dynauth::serve(Arc::clone(&self.running.shared), asked));
                return;
            }
            Request::FlushCache { ref user } => flush(&self.running.shared.directory(), user.as_deref()),
            Request::Reload => {
                self.reloading.push(asked);
                self.check();
                return;
            }
        };
        asked.reply(reply);
    }
}

impl Director {
    /// Begins to read the configuration again. A large one takes a while; readings and notices don't wait for it.
    fn check(&mut self) {
        if self.checking.is_some() {
            self.check_again = true;
            return;
        }
        let layers = self.running.layers.clone();
        self.checking = Some(tokio::task::spawn_blocking(move || config::load(&layers)));
    }

    /// The configuration was read: takes it over, or says why not; the old one goes on then.
    fn take_over(&mut self, read: Result<Loaded, Diagnostics>) {
        self.checking = None;
        if std::mem::take(&mut self.check_again) {
            return self.check();
        }
        let reply = match self.apply(read) {
            Ok(message) => Reply::Done { message },
            Err(reasons) => {
                self.refused_reloads += 1;
                tracing::error!("the new configuration is refused, the old one goes on:");
                for (severity, reason) in &reasons {
                    match severity {
                        Severity::Error => tracing::error!("{reason}"),
                        Severity::Warning => tracing::warn!("{reason}"),
                    }
                }
                Reply::Refused { errors: reasons.into_iter().map(|(_, reason)| reason).collect() }
            }
        };
        for asked in self.reloading.drain(..) {
            asked.reply(reply.clone());
        }
    }

    /// The message for who asked; or why not, each reason as grave as it is.
    fn apply(&mut self, loaded: Result<Loaded, Diagnostics>) -> Result<String, Vec<(Severity, String)>> {
        let reason = |found: &Diagnostic| (found.severity, found.to_string());
        let Loaded { mut config, warnings } =
            loaded.map_err(|found| found.0.iter().map(reason).collect::<Vec<_>>())?;
        let old = self.running.shared.config();
        let restart = config::needs_restart(&old, &config);
        config.keep(&old);
        let config = Arc::new(config);
        let refused = |error: StartError| vec![(Severity::Error, error.to_string())];
        self.running.shared.reload(Arc::clone(&config)).map_err(refused)?;
        log::apply(&config.log.settings);
        let metrics = self.metrics.reload().err().map(|error| format!("{error}; the old one is kept"));
        let file = self.running.shared.decisions().apply(&config.log).err();
        let kept = self.announcer.reload().err().map(|error| format!("{error}; the old socket is kept"));
        self.reloads += 1;
        let mut message = "reloaded: the new configuration is in force".to_owned();
        tracing::info!("{message}");
        let warnings = warnings.warnings().map(ToString::to_string);
        for note in warnings
            .chain(restart)
            .chain(kept)
            .chain(metrics)
            .chain(file.map(|error| format!("{error}; records go where they went")))
        {
            tracing::warn!("{note}");
            message.push('\n');
            message.push_str(&note);
        }
        Ok(message)
    }

    fn figures(&self, cores: &Cores) -> Figures {
        let counters = control::counters(&self.running.shared, cores);
        let mut figures = Figures { counters, reloads: self.reloads, ..Figures::default() };
        figures.counters.insert("reloads.refused".to_owned(), self.refused_reloads);
        self.announcer.figures(&mut figures);
        figures
    }

    fn status(&self, cores: &Cores) -> ServerStatus {
        let shared = &self.running.shared;
        let config = shared.config();
        let mut status = ServerStatus {
            program: Program {
                name: config.server.name.clone(),
                identity: config.server.identity.to_string(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                started_at: self.started_at,
                config: self.running.file.display().to_string(),
                state_dir: self.running.state.path().display().to_string(),
                reloads: self.reloads,
                complaints: Vec::new(),
            },
            requests: shared.requests().collect(),
            counters: control::counters(shared, cores),
            stores: control::stores(shared),
            certificates: control::certificates(shared),
            clients: control::clients(shared),
            held: control::held(shared),
            strangers: shared.strangers().latest().iter().map(ToString::to_string).collect(),
            ..ServerStatus::default()
        };
        status.counters.insert("reloads.refused".to_owned(), self.refused_reloads);
        status.program.complaints.extend(control::expiring(shared));
        if let Some(why) = shared.accounting().figures().away() {
            let waiting = shared.accounting().figures().spool_records();
            let complaint =
                format!("accounting's database is away ({why}): {waiting} records wait in the spool");
            status.program.complaints.push(complaint);
        }
        self.announcer.fill(&mut status);
        status
    }
}

/// Forgets what is remembered of a user, or of all.
fn flush(directory: &Directory, user: Option<&str>) -> Reply {
    let message = match user {
        Some(user) if directory.forget(user) => format!("forgot {user:?}"),
        Some(user) => format!("nothing was remembered of {user:?}"),
        None => format!("forgot {} users", directory.clear()),
    };
    Reply::Done { message }
}

/// What the check under way found; never while there is none.
async fn finished(
    checking: &mut Option<JoinHandle<Result<Loaded, Diagnostics>>>,
) -> Result<Loaded, Diagnostics> {
    match checking {
        Some(check) => match check.await {
            Ok(read) => read,
            // It can only be cut off at the end of the process: a panic in it is that end.
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
