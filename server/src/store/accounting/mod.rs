//! Accounting: sessions in `radacct`, in embedded SQLite or in PostgreSQL.
//!
//! The cores hand records in and go on. The writer takes all that wait into one transaction; only when its commit has
//! returned are they reported as stored, and answered. What comes while a commit runs is the next transaction, so that
//! durability costs one disk write per batch and not per record.
//!
//! While the database is away, records go to the spool: answered when they are on the disk there, and written to the
//! database in order when it is back. `task` is the thread that does both.

mod apply;
mod figures;
pub mod pools;
mod postgres;
mod record;
mod refused;
pub mod rounds;
mod sqlite;
pub mod statements;
mod task;
#[cfg(test)]
mod tests;
pub mod text;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use forewarn_proto::time::Utc;
use forewarn_wire::Kept;
use tokio::sync::Notify;

use super::sql::connect::Connector;
use super::tls::TlsError;
use crate::config;
use crate::config::sql::{Engine, SQLITE_FILE};
use crate::process::mailbox::Promise;
use crate::vitals::{QueueVitals, Vitals};
use forewarn_shell::spool::{Spool, SpoolError};

pub use apply::{ApplyError, Fate};
pub use figures::Figures;
pub use postgres::PostgreSql;
pub use record::{Record, RecordError, Status};
pub use sqlite::Sqlite;

/// Records that may wait for the writer, unless configured otherwise: about a second of a disk that is fast.
pub const DEFAULT_QUEUE_MAX: usize = 16_384;
/// Records in one transaction at most, so that the first doesn't wait for ever longer.
pub const BATCH_MAX: usize = 1024;
/// The spool's folder in `state_dir`.
pub const SPOOL_FOLDER: &str = "spool";

/// The accounting store. Dropping it writes what waits, and joins the writer.
#[derive(Debug)]
pub struct Accounting {
    inner: Arc<Inner>,
    writer: Option<JoinHandle<()>>,
}

/// One verified Accounting-Request on its way to the disk.
#[derive(Debug)]
pub struct Entry {
    /// Whom to tell.
    pub promise: Promise,
    /// The request.
    pub request: Kept,
    /// Where it came from.
    pub source: IpAddr,
    /// When it was received.
    pub received: Utc,
    /// The same on the monotonic clock, nanoseconds.
    pub stamp_ns: u64,
}

/// Where sessions are kept, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database.
    pub engine: Engine,
    /// Of a statement.
    pub timeout: Duration,
    /// `[accounting]`
    pub accounting: config::sql::Accounting,
    /// The folder of what this server remembers.
    pub state_dir: PathBuf,
    /// Records that may wait for the writer.
    pub queue_max: usize,
}

impl Settings {
    /// What the configuration says; `state_dir` is its folder.
    pub fn of(config: &config::Config, state_dir: &Path) -> Self {
        let sql = config.sql.as_ref().filter(|sql| sql.accounting);
        let embedded = || Engine::Sqlite { path: state_dir.join(SQLITE_FILE) };
        Self {
            engine: sql.map_or_else(embedded, |sql| sql.engine.clone()),
            timeout: sql.map_or(Duration::from_secs(2), |sql| sql.timeout),
            accounting: config.accounting,
            state_dir: state_dir.to_owned(),
            queue_max: DEFAULT_QUEUE_MAX,
        }
    }
}

/// The store can't be opened: the environment's, or the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not open.
    #[error(
        "the accounting database {path} can't be opened: {cause}; it has to be in a folder that can be written"
    )]
    Open {
        /// The file.
        path: String,
        /// What SQLite says.
        cause: rusqlite::Error,
    },
    /// The spool can't be read.
    #[error("records that wait for the database can't be read: {0}")]
    Spool(#[from] SpoolError),
    /// The database can't be reached as configured.
    #[error("[sql]: {0}")]
    Tls(#[from] TlsError),
    /// The system has no thread to give.
    #[error("the accounting writer can't start: {0}")]
    Thread(std::io::Error),
}

impl Accounting {
    /// Opens the store and starts its writer. A database server that can't be reached is no error: it is away.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(settings: Settings, vitals: Arc<Vitals>) -> Result<Self, StoreError> {
        let Settings { engine, timeout, accounting, state_dir, queue_max } = settings;
        let (class, lease) = (accounting.class, accounting.lease);
        let database = match engine {
            Engine::Sqlite { path } => {
                let wrong = |cause| StoreError::Open { path: path.display().to_string(), cause };
                task::Database::Sqlite(Box::new(Sqlite::open(&path, class, lease).map_err(wrong)?))
            }
            Engine::PostgreSql(server) => {
                let connector = Connector::new(&server, timeout)?;
                task::Database::PostgreSql(Box::new(PostgreSql::new(connector, class, lease)))
            }
        };
        let folder = state_dir.join(SPOOL_FOLDER);
        let spool = Spool::open(&folder, accounting.spool_max)?.limited_by("[accounting] spool_max");
        vitals.store().set_max(1);
        let state = State { entries: VecDeque::with_capacity(queue_max), stopping: false };
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            ready: Notify::new(),
            queue_max,
            vitals,
            figures: Figures::default(),
        });
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
        let runtime = runtime.map_err(StoreError::Thread)?;
        let task = task::Packed::new(Arc::clone(&inner), database, spool, &folder);
        let writer =
            thread::Builder::new().name("accounting".into()).spawn(move || runtime.block_on(task.run()));
        Ok(Self { inner, writer: Some(writer.map_err(StoreError::Thread)?) })
    }

    /// Hands a record in. Never waits for the disk.
    ///
    /// # Errors
    /// The queue is full; the entry comes back.
    pub fn submit(&self, entry: Entry) -> Result<(), Box<Entry>> {
        let mut state = self.inner.lock();
        if state.entries.len() >= self.inner.queue_max || state.stopping {
            self.inner.gauges().refuse();
            return Err(Box::new(entry));
        }
        state.entries.push_back(entry);
        self.inner.show_queue(&state);
        drop(state);
        self.inner.ready.notify_one();
        Ok(())
    }

    /// What it counts.
    pub fn figures(&self) -> &Figures {
        &self.inner.figures
    }
}

impl Drop for Accounting {
    fn drop(&mut self) {
        self.inner.lock().stopping = true;
        self.inner.ready.notify_one();
        if let Some(writer) = self.writer.take() {
            // It contains its panics; one that it could not contain has been printed.
            let _ = writer.join();
        }
    }
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    ready: Notify,
    queue_max: usize,
    vitals: Arc<Vitals>,
    figures: Figures,
}

#[derive(Debug)]
struct State {
    entries: VecDeque<Entry>,
    stopping: bool,
}

/// What [`Inner::take`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Some,
    Nothing,
    /// None are left and none will come.
    Ended,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gauges(&self) -> &QueueVitals {
        self.vitals.store()
    }

    fn show_queue(&self, state: &State) {
        self.gauges().set_queue(state.entries.len(), state.entries.front().map(|entry| entry.stamp_ns));
    }

    /// Takes up to `most` records.
    fn take(&self, most: usize, into: &mut Vec<Entry>) -> Taken {
        let mut state = self.lock();
        let count = state.entries.len().min(most);
        into.extend(state.entries.drain(..count));
        self.show_queue(&state);
        match count {
            0 if state.stopping && state.entries.is_empty() => Taken::Ended,
            0 => Taken::Nothing,
            _ => Taken::Some,
        }
    }
}
