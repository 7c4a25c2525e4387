//! Accounting on disk: SQLite, one writer thread, group commit.
//!
//! The cores hand records in and go on. The writer takes all that wait into one transaction; only after its
//! commit has returned (WAL with `synchronous = FULL`: the log is on the disk) are they reported as stored, and
//! answered. What comes while a commit runs is the next transaction, so that durability costs one disk write per
//! batch and not per record.

pub mod cache;
pub mod directory;
pub mod ldap;
mod record;
mod runtime;
mod session;
pub mod sources;
pub mod sql;
pub mod tls;
mod writer;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use forewarn_proto::time::Utc;
use forewarn_wire::Kept;

use crate::process::mailbox::Promise;
use crate::vitals::{QueueVitals, Vitals};

pub use record::{Record, RecordError, Status};
pub use runtime::Runtime;
pub use session::Sessions;

/// Records that may wait for the writer, unless configured otherwise: about a second of a disk that is fast.
pub const DEFAULT_QUEUE_MAX: usize = 16_384;
/// Records in one transaction at most, so that the first doesn't wait for ever longer.
pub const BATCH_MAX: usize = 1024;
/// The database's name in `state_dir`.
pub const FILE: &str = "accounting.sqlite";

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
    /// The system has no thread to give.
    #[error("the accounting writer can't start: {0}")]
    Thread(std::io::Error),
}

impl Accounting {
    /// Opens (or makes) the database at `path` and starts its writer, behind a queue of `queue_max` records.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path, queue_max: usize, vitals: Arc<Vitals>) -> Result<Self, StoreError> {
        let sessions = Sessions::open(path)
            .map_err(|cause| StoreError::Open { path: path.display().to_string(), cause })?;
        vitals.store().set_max(1);
        let state = State { entries: VecDeque::with_capacity(queue_max), stopping: false };
        let inner = Arc::new(Inner { state: Mutex::new(state), ready: Condvar::new(), queue_max, vitals });
        let writer = writer::Writer::new(path.to_owned(), sessions);
        let shared = Arc::clone(&inner);
        let writer = thread::Builder::new().name("accounting".into()).spawn(move || writer.run(&shared));
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
}

impl Drop for Accounting {
    fn drop(&mut self) {
        self.inner.lock().stopping = true;
        self.inner.ready.notify_all();
        if let Some(writer) = self.writer.take() {
            // It contains its panics; one that it could not contain has been printed.
            let _ = writer.join();
        }
    }
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    ready: Condvar,
    queue_max: usize,
    vitals: Arc<Vitals>,
}

#[derive(Debug)]
struct State {
    entries: VecDeque<Entry>,
    stopping: bool,
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

    /// Waits for records and takes up to [`BATCH_MAX`]. False: none are left and none will come.
    fn next_batch(&self, batch: &mut Vec<Entry>) -> bool {
        let mut state = self.lock();
        while state.entries.is_empty() {
            if state.stopping {
                return false;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.entries.len().min(BATCH_MAX);
        batch.extend(state.entries.drain(..count));
        self.show_queue(&state);
        true
    }
}

#[cfg(test)]
mod tests;
