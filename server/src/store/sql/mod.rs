//! SQL databases: the tables of FreeRADIUS, on PostgreSQL and on embedded SQLite.

mod accounts;
mod changes;
pub mod clients;
pub mod connect;
mod lines;
pub mod post_auth;
mod postgres;
mod queue;
pub mod schema;
mod sqlite;
pub mod statements;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::thread;

use forewarn_dict::Dictionary;
use forewarn_shell::clock;
use tokio::sync::{Mutex, mpsc, oneshot};

use self::accounts::{Accounts, Known};
use self::connect::Connector;
use self::lines::Lines;
use self::queue::{Batch, Queue};
pub use self::sqlite::{create_file, write_ahead};
use super::Runtime;
use super::cache::Keep;
use super::directory::{Directory, Query, Source, WeakDirectory};
use super::standing::Standing;
use super::tls::TlsError;
use crate::config::sql::{Engine, Sql};
use crate::users::Lookup;

/// The channel on which PostgreSQL says what has changed: the name of a user, or nothing, which means anything.
pub fn notice_channel() -> &'static str {
    "forewarn"
}

/// Probes that may wait.
const PROBES_MAX: usize = 16;

/// The users of a database. Dropping it ends what asks there.
#[derive(Debug)]
pub struct Users {
    inner: Arc<Inner>,
    probe: mpsc::Sender<Probe>,
    keep: Keep,
}

/// Whoever wants to know whether the database answers.
type Probe = oneshot::Sender<Result<(), String>>;

/// What those who ask share.
#[derive(Debug)]
struct Inner {
    queue: Arc<Queue>,
    standing: Standing,
    accounts: Accounts,
    probes: Mutex<mpsc::Receiver<Probe>>,
    /// Who is told of changes.
    directory: std::sync::Mutex<WeakDirectory>,
    changes: AtomicU64,
    batches: AtomicU64,
    names: AtomicU64,
}

/// What was counted about look-ups in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsersCounts {
    /// Batches answered.
    pub batches: u64,
    /// Names in them.
    pub names: u64,
    /// Rows that couldn't be understood, each time they were read.
    pub faults: u64,
    /// Times the database told of a change, or was seen to have changed.
    pub changes: u64,
    /// Times the database went away.
    pub losses: u64,
    /// Connections that answer.
    pub live: u32,
}

/// Users can't be looked up, and never will be with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The certificates to trust.
    #[error("[sql]: {0}")]
    Tls(#[from] TlsError),
    /// The system has no thread to give.
    #[error("the thread that looks up users can't start: {0}")]
    Thread(#[from] io::Error),
}

impl Users {
    /// Begins to ask a database, which may be away for now.
    ///
    /// # Errors
    /// See [`UsersError`].
    pub fn start(sql: &Sql, dictionary: Arc<Dictionary>, runtime: &Runtime) -> Result<Self, UsersError> {
        let keep = Keep { found: sql.cache, negative: sql.negative_cache, stale: sql.stale };
        let (probe, probes) = mpsc::channel(PROBES_MAX);
        let means = "users in memory are served for the time of `stale`, others get no answer";
        let what = match &sql.engine {
            Engine::Sqlite { path } => format!("the users' database {}", path.display()),
            Engine::PostgreSql(server) => format!("the users' database {}", server.shown()),
        };
        let inner = Arc::new(Inner {
            queue: Arc::default(),
            standing: Standing::new(what, means),
            accounts: Accounts::new(dictionary, sql.cache),
            probes: Mutex::new(probes),
            directory: std::sync::Mutex::default(),
            changes: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            names: AtomicU64::new(0),
        });
        match &sql.engine {
            Engine::Sqlite { path } => {
                let (path, timeout, inner) = (path.clone(), sql.timeout, Arc::clone(&inner));
                let reader = thread::Builder::new().name("users".into());
                reader.spawn(move || sqlite::serve(&inner, &path, timeout))?;
            }
            Engine::PostgreSql(server) => {
                let connector = Connector::new(server, sql.timeout)?;
                for _ in 0..sql.connections {
                    runtime.spawn(postgres::serve(Arc::clone(&inner), connector.clone()));
                }
                runtime.spawn(changes::serve(Arc::clone(&inner), connector, sql.poll));
            }
        }
        Ok(Self { inner, probe, keep })
    }

    /// Asks whether the database answers a look-up: the answer, or why there is none, comes later.
    pub fn probe(&self) -> oneshot::Receiver<Result<(), String>> {
        let (answer, answered) = oneshot::channel();
        if self.inner.standing.is_away() {
            let _ = answer.send(Err(self.inner.standing.state().0));
        } else if let Err(full) = self.probe.try_send(answer) {
            let _ = full.into_inner().send(Err("too many want to know".to_owned()));
        }
        answered
    }

    /// Has this directory told of changes.
    pub fn tell(&self, directory: &Directory) {
        *self.inner.directory.lock().unwrap_or_else(PoisonError::into_inner) = directory.downgrade();
    }

    /// Takes another dictionary over, for what is read from now on.
    pub fn take_dictionary(&self, dictionary: Arc<Dictionary>) {
        self.inner.accounts.take_dictionary(dictionary);
    }

    /// Whether it can be asked.
    pub fn standing(&self) -> &Standing {
        &self.inner.standing
    }

    /// What was counted.
    pub fn counts(&self) -> UsersCounts {
        let inner = &self.inner;
        UsersCounts {
            batches: inner.batches.load(Relaxed),
            names: inner.names.load(Relaxed),
            faults: inner.accounts.faults(),
            changes: inner.changes.load(Relaxed),
            losses: inner.standing.losses(),
            live: inner.standing.live(),
        }
    }
}

impl Source for Users {
    fn look_up(&self, query: Query) {
        if self.is_away() {
            query.answer(Lookup::Away);
        } else {
            self.inner.queue.push(query);
        }
    }

    fn is_away(&self) -> bool {
        self.inner.standing.is_away()
    }

    fn keep(&self) -> Keep {
        self.keep
    }

    fn refresh(&self) {
        self.inner.accounts.forget_groups();
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.inner.queue.close();
    }
}

impl Inner {
    /// A user has changed; without a name, or with the empty one, anything may have.
    fn changed(&self, name: Option<&str>) {
        self.changes.fetch_add(1, Relaxed);
        let directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let Some(directory) = directory else { return };
        match name.filter(|name| !name.is_empty()) {
            Some(name) => {
                directory.forget(name);
            }
            // Nobody was said to be gone: those in memory are still of use during an outage.
            None => directory.expire(),
        }
    }

    /// Answers the names of a batch from the lines that were found.
    fn answer(&self, batch: &mut Batch, lines: &Lines, known: &Known) {
        let now = clock::now();
        self.count(batch);
        for (index, query) in batch.take().enumerate() {
            let lookup = self.accounts.account(query.name(), lines.of(index), known, now);
            query.answer(lookup);
        }
    }

    /// The database can't have such names.
    fn answer_unknown(&self, batch: &mut Batch) {
        self.count(batch);
        batch.take().for_each(|query| query.answer(Lookup::Unknown));
    }

    fn count(&self, batch: &Batch) {
        self.batches.fetch_add(1, Relaxed);
        self.names.fetch_add(batch.len() as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests;
