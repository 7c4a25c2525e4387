//! A batch on its way to the database, until it has landed.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use super::ground::Ground;
use crate::contained::contained;
use crate::store::accounting::apply::{ApplyError, Fate};
use crate::store::accounting::{Entry, PostgreSql, Record, Sqlite};
use forewarn_shell::spool::{self, Doubt, Place};

/// Which engine.
pub(in crate::store::accounting) enum Database {
    Sqlite(Box<Sqlite>),
    PostgreSql(Box<PostgreSql>),
}

impl Database {
    /// How messages name it.
    pub(super) fn shown(&self) -> String {
        match self {
            Database::Sqlite(database) => database.shown(),
            Database::PostgreSql(database) => database.shown().to_owned(),
        }
    }
}

/// A record on its way.
pub(super) struct Carried {
    pub(super) record: Record,
    /// Whom to answer; `None`: answered already, it comes out of the spool.
    pub(super) entry: Option<Entry>,
    /// As the spool keeps it.
    pub(super) kept: spool::Entry,
    /// Where it ends in the spool it comes out of.
    pub(super) end: Option<Place>,
}

/// A batch that was under way.
pub(super) struct Landed {
    pub(super) database: Database,
    pub(super) batch: Vec<Carried>,
    /// So many of them, from the first on, are done with.
    pub(super) done: usize,
    /// So many after those were in the transaction that failed.
    pub(super) tried: usize,
    /// Why the others aren't.
    pub(super) error: Option<ApplyError>,
}

pub(super) type Flight = Pin<Box<dyn Future<Output = Landed>>>;

/// The batch under way has landed; never while there is none.
pub(super) async fn landing(flight: &mut Option<Flight>) -> Landed {
    match flight {
        Some(flight) => flight.await,
        None => std::future::pending().await,
    }
}

/// Brings a batch to the database. A record that is refused for what it says is found by halves, and set aside.
pub(super) async fn fly(
    mut database: Database,
    mut batch: Vec<Carried>,
    ground: Rc<RefCell<Ground>>,
) -> Landed {
    if let Err(error) = settle(&mut database, &mut batch, &ground).await {
        return Landed { database, batch, done: 0, tried: 0, error: Some(error) };
    }
    let mut records: Vec<Record> =
        batch.iter_mut().map(|carried| std::mem::take(&mut carried.record)).collect();
    let mut done = 0;
    let mut most = records.len();
    loop {
        let count = most.min(records.len());
        let rest = records.split_off(count);
        let end = batch.get((done + count).wrapping_sub(1)).and_then(|carried| carried.end);
        let error = match database.apply(&mut records, end, &ground).await {
            Ok(()) => {
                ground.borrow_mut().done(count, end);
                done += count;
                None
            }
            Err(ApplyError::Refused(why)) if count == 1 => {
                match ground.borrow_mut().refuse(&batch[done].kept, end, &why) {
                    Ok(()) => done += 1,
                    Err(error) => return Landed { database, batch, done, tried: 0, error: Some(error) },
                }
                None
            }
            Err(error) => Some(error),
        };
        match error {
            None => {
                records = rest;
                most = records.len();
            }
            Some(ApplyError::Refused(_)) => {
                most = count / 2;
                records.extend(rest);
            }
            Some(error) => return Landed { database, batch, done, tried: count, error: Some(error) },
        }
        if records.is_empty() {
            return Landed { database, batch, done, tried: 0, error: None };
        }
    }
}

/// Finds out what became of a transaction in doubt, before its records are written again.
async fn settle(
    database: &mut Database,
    batch: &mut Vec<Carried>,
    ground: &Rc<RefCell<Ground>>,
) -> Result<(), ApplyError> {
    let Some(doubt) = ground.borrow().spool.doubt() else { return Ok(()) };
    let fate = match database {
        Database::Sqlite(_) => Fate::Unknown,
        Database::PostgreSql(database) => {
            let doubtful = batch.iter().filter(|carried| carried.end.is_some_and(|end| end <= doubt.end));
            database.fate(doubt.transaction, doubtful.map(|carried| &carried.record)).await?
        }
    };
    let mut ground = ground.borrow_mut();
    let noted = match fate {
        Fate::Committed => {
            batch.retain(|carried| carried.end.is_none_or(|end| end > doubt.end));
            ground.inner.figures.drained(doubt.records);
            ground.spool.believe_doubt()
        }
        Fate::Aborted | Fate::Unknown => ground.spool.forget_doubt(),
    };
    noted.map_err(|error| ApplyError::Full(error.to_string()))
}

impl Database {
    /// The records come back whatever becomes of them.
    async fn apply(
        &mut self,
        records: &mut Vec<Record>,
        end: Option<Place>,
        ground: &Rc<RefCell<Ground>>,
    ) -> Result<(), ApplyError> {
        match self {
            Database::PostgreSql(database) => {
                let count = records.len() as u64;
                let noted = end.map(|end| {
                    move |transaction| {
                        let doubt = Doubt { end, records: count, transaction };
                        let noted = ground.borrow_mut().spool.about_to_commit(doubt);
                        noted.map_err(|error| ApplyError::Full(error.to_string()))
                    }
                });
                database.apply(records, noted).await
            }
            Database::Sqlite(database) => {
                // SQLite waits for the disk and for others' locks: on a thread where nobody else waits.
                let mut given = database.take();
                let taken = std::mem::take(records);
                let work = move || {
                    // After a panic the connection is dropped, which rolls its transaction back.
                    let applied = contained(|| given.apply(&taken));
                    let applied = applied.unwrap_or_else(|panicked| {
                        given = given.take();
                        Err(ApplyError::Away(panicked.to_string()))
                    });
                    (given, taken, applied)
                };
                match tokio::task::spawn_blocking(work).await {
                    Ok((given, taken, applied)) => {
                        **database = given;
                        *records = taken;
                        applied
                    }
                    Err(error) => Err(ApplyError::Away(error.to_string())),
                }
            }
        }
    }
}
