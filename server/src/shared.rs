//! What the threads of one server have in common.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use forewarn_shell::state::{StateDir, StateError};
use forewarn_shell::{clock, random};
use rand_core::Rng as _;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::decisions::Decisions;
use crate::dynauth;
use crate::health::{Databases, Pool};
use crate::metrics::latency::Latencies;
use crate::process::eap::rooms::Rooms;
use crate::process::factors::Factors;
use crate::process::failures::Failures;
use crate::process::heard::{Heard, Strangers};
use crate::process::mailbox::Mailbox;
use crate::process::outcome::{self, Outcomes};
use crate::process::tables::Tables;
use crate::process::verifier::Verifier;
use crate::proxy::{Letters, Proxy, ProxyError};
use crate::store::accounting::Settings;
use crate::store::admission::Admissions;
use crate::store::directory::Directory;
use crate::store::sources::{Sources, SourcesError};
use crate::store::sql::clients::Clients;
use crate::store::sql::post_auth::PostAuth;
use crate::store::{self, Accounting, StoreError};
use crate::vitals::Vitals;
use crate::workers::{QueueFull, Workers};

/// The data plane's common ground: configuration, gauges, counters, the pool and the store.
#[derive(Debug)]
pub struct Shared {
    config: ArcSwap<Config>,
    tables: Arc<ArcSwap<Tables>>,
    vitals: Arc<Vitals>,
    workers: Workers,
    stores: store::Runtime,
    sources: ArcSwap<Sources>,
    directory: ArcSwap<Directory>,
    post_auth: ArcSwapOption<PostAuth>,
    /// Held while new tables are made, so that a reload and a change of the database's clients don't undo each other.
    making_tables: Mutex<()>,
    /// Once there is a pool.
    proxy: ArcSwapOption<Proxy>,
    /// Clients that were told and don't answer, while that matters.
    untold: ArcSwap<BTreeSet<IpAddr>>,
    /// What it has to say to home servers.
    letters: Arc<Letters>,
    state: Arc<StateDir>,
    accounting: Accounting,
    admissions: Admissions,
    outcomes: Box<[Outcomes]>,
    latencies: Arc<[Latencies]>,
    decisions: Decisions,
    mailboxes: Box<[Arc<Mailbox>]>,
    heard: Heard,
    strangers: Strangers,
    failures: Failures,
    verifier: Arc<Verifier>,
    factors: Factors,
    conversations: Arc<Rooms>,
    learnt: Arc<Learnt>,
    dynauth: dynauth::Counters,
}

/// The data plane can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The accounting store doesn't open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A source of users can't be asked with this configuration.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The way to home servers can't be opened.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The state folder can't be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The records of decisions can't be written.
    #[error("{0}")]
    Log(std::io::Error),
    /// The system has no thread to give.
    #[error("the worker pool can't start: {0}")]
    Threads(#[from] std::io::Error),
}

impl Shared {
    /// Starts the worker pool and the accounting writer, and makes the tables of a checked configuration.
    /// `state` is the folder of `config.server.state_dir`, which is ours.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: Arc<Config>, state: &Arc<StateDir>) -> Result<Arc<Self>, StartError> {
        let asked = Settings::of(&config, state.path());
        Self::start_asking(config, state, &asked)
    }

    /// As [`start`](Self::start), with sessions counted and addresses sought in the database of `asked`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start_asking(
        config: Arc<Config>,
        state: &Arc<StateDir>,
        asked: &Settings,
    ) -> Result<Arc<Self>, StartError> {
        let cores = config.server.cores.max(1);
        let vitals = Arc::new(Vitals::new(cores));
        vitals.limit_queue_delay(config.health.limits.queue_delay);
        let learnt = Arc::new(Learnt::read(Arc::clone(state))?);
        let tables = Tables::build(&config, cores, None, |key| learnt.has(key));
        let waiting_max = config.workers.queue;
        let workers = Workers::start(config.workers.max, config.workers.queue, Arc::clone(&vitals))?;
        let stores = store::Runtime::start("stores")?;
        let decisions = Decisions::start(cores, &config.log).map_err(StartError::Log)?;
        let sources = Sources::start(&config, &stores, None)?;
        let directory = sources.directory(&config, &stores, None).unwrap_or_default();
        let admissions = Admissions::new(asked, stores.handle().clone()).map_err(StoreError::Tls)?;
        let accounting = Accounting::open(Settings::of(&config, state.path()), Arc::clone(&vitals))?;
        let conversations = Rooms::new(cores, &config.server.name);
        let shared = Arc::new(Self {
            tables: Arc::new(ArcSwap::from_pointee(tables)),
            config: ArcSwap::new(config),
            vitals,
            workers,
            stores,
            sources: ArcSwap::from_pointee(sources),
            directory: ArcSwap::from_pointee(directory),
            post_auth: ArcSwapOption::empty(),
            making_tables: Mutex::new(()),
            proxy: ArcSwapOption::empty(),
            untold: ArcSwap::default(),
            letters: Arc::default(),
            state: Arc::clone(state),
            accounting,
            admissions,
            outcomes: (0..cores).map(|_| Outcomes::default()).collect(),
            latencies: (0..cores).map(|_| Latencies::default()).collect(),
            decisions,
            mailboxes: (0..cores).map(|_| Arc::new(Mailbox::with_room(256))).collect(),
            heard: Heard::default(),
            strangers: Strangers::default(),
            failures: Failures::default(),
            verifier: Arc::new(Verifier::new(waiting_max)),
            factors: Factors::default(),
            conversations: Arc::new(conversations),
            learnt,
            dynauth: dynauth::Counters::default(),
        });
        shared.route(&shared.config())?;
        shared.follow();
        Ok(shared)
    }

    /// Takes a checked configuration over. Requests under way end by the old one; no request is dropped.
    ///
    /// # Errors
    /// It can't be taken over; the old one goes on.
    pub fn reload(self: &Arc<Self>, config: Arc<Config>) -> Result<(), StartError> {
        let making = self.making_tables.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = Sources::start(&config, &self.stores, Some(&self.sources.load()))?;
        self.workers.resize(config.workers.max)?;
        self.vitals.limit_queue_delay(config.health.limits.queue_delay);
        self.route(&config)?;
        self.reload_sources(sources, &config);
        self.make_tables(&config);
        self.config.store(config);
        drop(making);
        self.follow();
        self.wake_cores();
        Ok(())
    }

    /// The tables of a configuration, with the clients that its database has.
    fn make_tables(&self, config: &Config) {
        let before = self.tables.load_full();
        let learnt = |key: &str| self.learnt.has(key);
        let mut tables = Tables::build(config, self.outcomes.len(), Some(&before), learnt);
        if let Some(clients) = self.sources.load().clients() {
            tables.add_clients(&clients.latest(), Some(&before), learnt);
        }
        self.tables.store(Arc::new(tables));
    }

    /// Takes up what the sources in force have besides users: the way into radpostauth, and clients, as they change.
    fn follow(self: &Arc<Self>) {
        let sources = self.sources.load();
        self.post_auth.store(sources.post_auth().cloned());
        let Some(clients) = sources.clients() else { return };
        let (shared, weak) = (Arc::downgrade(self), Arc::downgrade(clients));
        self.stores.spawn(async move {
            while let Some(changed) = weak.upgrade().map(|clients| clients.changed()) {
                changed.await;
                let Some(shared) = shared.upgrade() else { return };
                let sources = shared.sources.load_full();
                let is_in_force = |clients: &Arc<Clients>| std::ptr::eq(Arc::as_ptr(clients), weak.as_ptr());
                if !sources.clients().is_some_and(is_in_force) {
                    return;
                }
                // Many clients take a while.
                let making = move || {
                    let _making = shared.making_tables.lock().unwrap_or_else(PoisonError::into_inner);
                    shared.make_tables(&shared.config());
                    shared.wake_cores();
                };
                if tokio::task::spawn_blocking(making).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Where what became of each Access-Request is written, where that is wanted.
    pub fn post_auth(&self) -> arc_swap::Guard<Option<Arc<PostAuth>>> {
        self.post_auth.load()
    }

    /// Requests that wait for the old sources are still answered by them.
    fn reload_sources(&self, sources: Sources, config: &Config) {
        match sources.directory(config, &self.stores, Some(&self.sources.load())) {
            Some(directory) => self.directory.store(Arc::new(directory)),
            None => self.directory.load().expire(),
        }
        self.sources.store(Arc::new(sources));
    }

    /// Takes the pools of `config` over; the proxy starts with the first one.
    fn route(&self, config: &Config) -> Result<(), StartError> {
        if let Some(proxy) = self.proxy.load_full() {
            return Ok(proxy.reload(&config.pools)?);
        }
        if !config.pools.is_empty() {
            let mut mark = [0; 12];
            random::generator().fill_bytes(&mut mark);
            let (identity, state, letters) = (config.server.identity, &self.state, &self.letters);
            let proxy = Proxy::start(identity, &mark, &config.pools, state, letters)?;
            self.proxy.store(Some(Arc::new(proxy)));
        }
        Ok(())
    }

    /// The directory of users, where there is one.
    pub fn ldap(&self) -> Option<Arc<store::ldap::Directory>> {
        self.sources.load().ldap().cloned()
    }

    /// The way to home servers, once there is one.
    pub fn proxy(&self) -> Option<Arc<Proxy>> {
        self.proxy.load_full()
    }

    /// Whether a client with the agent is shown as not told.
    pub(crate) fn is_untold(&self, client: IpAddr) -> bool {
        self.untold.load().contains(&client)
    }

    /// These are, and no others.
    pub fn set_untold(&self, clients: BTreeSet<IpAddr>) {
        if **self.untold.load() != clients {
            self.untold.store(Arc::new(clients));
        }
    }

    /// What waits to be said to home servers.
    pub fn letters(&self) -> &Arc<Letters> {
        &self.letters
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The clients, users and policies in force.
    pub fn tables(&self) -> Arc<Tables> {
        self.tables.load_full()
    }

    pub(crate) fn tables_source(&self) -> Arc<ArcSwap<Tables>> {
        Arc::clone(&self.tables)
    }

    /// The gauges.
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// The pool for what blocks or burns CPU.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// The thread that speaks with databases and directories.
    pub fn stores(&self) -> &store::Runtime {
        &self.stores
    }

    /// Where accounts are looked up that aren't in the configuration.
    pub fn directory(&self) -> arc_swap::Guard<Arc<Directory>> {
        self.directory.load()
    }

    /// The databases and directories behind it.
    pub fn sources(&self) -> Arc<Sources> {
        self.sources.load_full()
    }

    /// The accounting store.
    pub fn accounting(&self) -> &Accounting {
        &self.accounting
    }

    /// Who counts sessions and hands out addresses.
    pub fn admissions(&self) -> &Admissions {
        &self.admissions
    }

    /// What became of requests, by core.
    pub fn outcomes(&self) -> &[Outcomes] {
        &self.outcomes
    }

    /// How long requests took, by core.
    pub fn latencies(&self) -> &Arc<[Latencies]> {
        &self.latencies
    }

    /// The records of decisions.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// What became of requests, by `answer.cause`, summed over the cores; those that came to pass.
    pub fn requests(&self) -> impl Iterator<Item = (String, u64)> {
        outcome::sum(&self.outcomes)
            .map(|(answer, cause, times)| (format!("{}.{}", answer.name(), cause.name()), times))
    }

    /// The devices of clients that are networks, heard lately: `(client's name, address)`.
    pub fn heard_lately(&self) -> Vec<(Arc<str>, IpAddr)> {
        self.heard.lately(clock::now())
    }

    pub(crate) fn heard(&self) -> &Heard {
        &self.heard
    }

    /// What became of the CoA-Requests and Disconnect-Requests of operators.
    pub fn dynauth(&self) -> &dynauth::Counters {
        &self.dynauth
    }

    /// Who guesses.
    pub fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Where slow hashes are verified.
    pub fn verifier(&self) -> &Arc<Verifier> {
        &self.verifier
    }

    /// Second factors under way.
    pub(crate) fn factors(&self) -> &Factors {
        &self.factors
    }

    /// EAP conversations under way.
    pub fn conversations(&self) -> &Arc<Rooms> {
        &self.conversations
    }

    /// Sources that are no clients, most recent last.
    pub fn strangers(&self) -> &Strangers {
        &self.strangers
    }

    pub(crate) fn mailbox(&self, core: usize) -> &Arc<Mailbox> {
        &self.mailboxes[core]
    }

    /// Starts or stops taking requests: see [`Vitals::set_taking`].
    pub fn set_taking(&self, taking: bool) {
        self.vitals.set_taking(taking);
        self.wake_cores();
    }

    pub(crate) fn wake_cores(&self) {
        for mailbox in &self.mailboxes {
            mailbox.wake();
        }
    }

    /// Keeps over a restart that this client sends Message-Authenticator: on a worker, since it waits for the
    /// disk. Called once per client.
    pub(crate) fn keep_learnt(&self, key: String) {
        let learnt = Arc::clone(&self.learnt);
        // A full queue: it is learnt again after the next start.
        let _ = self.workers.submit(clock::now().as_nanos(), move || learnt.add(key));
    }
}

impl Pool for Shared {
    fn submit(&self, stamp_ns: u64, job: Box<dyn FnOnce() + Send>) -> Result<(), QueueFull> {
        self.workers.submit(stamp_ns, job)
    }
}

impl Databases for Shared {
    fn probe_users(&self) -> Option<oneshot::Receiver<Result<(), String>>> {
        self.sources.load().sql().map(store::sql::Users::probe)
    }
}

/// Which `auto` clients were seen to send Message-Authenticator: one `name network` per line of a file.
#[derive(Debug)]
pub(crate) struct Learnt {
    state: Arc<StateDir>,
    keys: Mutex<BTreeSet<String>>,
}

impl Learnt {
    pub(crate) const FILE: &str = "message-authenticator.learnt";

    fn read(state: Arc<StateDir>) -> Result<Self, StateError> {
        let content = state.read(Self::FILE)?.unwrap_or_default();
        let keys = String::from_utf8_lossy(&content).lines().map(str::to_owned).collect();
        Ok(Self { state, keys: Mutex::new(keys) })
    }

    fn has(&self, key: &str) -> bool {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn add(&self, key: String) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key);
        let content: String = keys.iter().flat_map(|key| [key.as_str(), "\n"]).collect();
        if let Err(error) = self.state.write(Self::FILE, content.as_bytes()) {
            tracing::warn!("what was learnt about a client is lost at the next start: {error}");
        }
    }
}
