//! Look-ups on embedded SQLite: one thread that reads.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forewarn_shell::clock;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Inner;
use super::connect::Backoff;
use super::lines::Lines;
use super::queue::Batch;
use super::schema::complete_sqlite;
use super::statements::{Dialect, GROUPS, USERS};

/// How often the thread looks up from an empty queue: for probes, and for what has changed.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often to try what SQLite doesn't wait for by itself.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// Keeps the database open and looks up what waits, until the queue is closed.
pub(super) fn serve(inner: &Arc<Inner>, path: &Path, timeout: Duration) {
    let mut backoff = Backoff::default();
    while !inner.queue.is_closed() {
        let cause = match open(path, timeout) {
            Err(error) => error,
            Ok(database) => {
                backoff.reset();
                inner.standing.rise();
                let ended = run(inner, &database);
                inner.standing.fall();
                let Err(error) = ended else { return };
                error
            }
        };
        if inner.standing.fail(&cause.to_string()) {
            inner.queue.give_up();
        }
        std::thread::sleep(backoff.next_wait());
    }
}

/// Makes a database that isn't there yet, with its folder, for its owner only: secrets and who was where are in it.
/// SQLite gives the files beside it the same mode.
///
/// # Errors
/// It can't be made.
pub fn create_file(path: &Path) -> rusqlite::Result<()> {
    let made =
        path.parent().map_or(Ok(()), |folder| DirBuilder::new().recursive(true).mode(0o700).create(folder));
    let made = made.and_then(|()| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path));
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(error.to_string()),
        )),
    }
}

/// Has SQLite write ahead: who reads then doesn't wait for who writes. A file stays that way once it is. For this one
/// step SQLite itself doesn't wait for others (its busy handler would let two that do the same wait for each other), so
/// it is tried again for as long as `patience`.
///
/// # Errors
/// SQLite's: somebody else held the database all the time, or it can't be written.
pub fn write_ahead(database: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let deadline = clock::now() + patience;
    loop {
        match database.pragma_update(None, "journal_mode", "wal") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && clock::now() < deadline =>
            {
                std::thread::sleep(TRY_EVERY);
            }
            done => return done,
        }
    }
}

/// Opens the database for reading, with all its tables. It has answered a look-up.
fn open(path: &Path, timeout: Duration) -> rusqlite::Result<Connection> {
    create_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(timeout)?;
    write_ahead(&database, timeout)?;
    let made = complete_sqlite(&mut database)?;
    if !made.missing.is_empty() {
        tracing::info!(
            "{}: created {} tables and indexes that were missing",
            path.display(),
            made.missing.len()
        );
    }
    database.pragma_update(None, "query_only", true)?;
    database.set_prepared_statement_cache_capacity(8);
    read(&database, USERS, &[""])?;
    read(&database, GROUPS, &[""])?;
    Ok(database)
}

fn run(inner: &Arc<Inner>, database: &Connection) -> rusqlite::Result<()> {
    let mut seen = mark(database)?;
    loop {
        let Some(mut batch) = inner.queue.next_within(LOOK_EVERY) else { return Ok(()) };
        if !batch.is_empty() {
            look_up(inner, database, &mut batch)?;
        }
        // Nothing but a look into memory, unless somebody has written.
        let now = mark_since(database, seen)?;
        if now.number != seen.number {
            inner.changed(None);
        }
        seen = now;
        if let Some(asked) = inner.probes.try_lock().ok().and_then(|mut probes| probes.try_recv().ok()) {
            let probed = read(database, USERS, &[""]).map(drop);
            // Whoever asked may have lost patience.
            let _ = asked.send(probed.as_ref().copied().map_err(ToString::to_string));
            probed?;
        }
    }
}

/// Where the database stands: SQLite's own number grows with each commit of others, ours with changes of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    data_version: i64,
    number: i64,
}

fn mark(database: &Connection) -> rusqlite::Result<Mark> {
    // A database without our triggers tells nothing of users: what is in memory has its time.
    let number = database.prepare_cached("SELECT number FROM forewarn_changes");
    let number = number.and_then(|mut number| number.query_row([], |row| row.get(0))).unwrap_or(0);
    Ok(Mark { data_version: data_version(database)?, number })
}

fn mark_since(database: &Connection, seen: Mark) -> rusqlite::Result<Mark> {
    if data_version(database)? == seen.data_version { Ok(seen) } else { mark(database) }
}

fn data_version(database: &Connection) -> rusqlite::Result<i64> {
    database.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// Answers all names of a batch. On an error they go back into the queue.
fn look_up(inner: &Inner, database: &Connection, batch: &mut Batch) -> rusqlite::Result<()> {
    let mut users = read(database, USERS, &batch.names())?;
    users.sort();
    let now = clock::now();
    let (mut known, missing) = inner.accounts.groups(&users, now);
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|name| &**name).collect();
        inner.accounts.learn(&mut known, &missing, read(database, GROUPS, &names)?, now);
    }
    inner.answer(batch, &users, &known);
    Ok(())
}

fn read(database: &Connection, statement: &str, names: &[&str]) -> rusqlite::Result<Lines> {
    let names = serde_json::Value::from(names).to_string();
    let mut statement = database.prepare_cached(&Dialect::Sqlite.text(statement))?;
    let mut rows = statement.query([names])?;
    let mut lines = Lines::default();
    while let Some(row) = rows.next()? {
        // SQLite keeps in a column what was put there: a number is no text, and what isn't UTF-8 isn't either.
        let mut texts = [String::new(), String::new(), String::new()];
        let mut found = [None; 3];
        for ((place, text), column) in found.iter_mut().zip(&mut texts).zip(3..) {
            *place = match row.get_ref(column)? {
                rusqlite::types::ValueRef::Text(octets) => std::str::from_utf8(octets).ok(),
                rusqlite::types::ValueRef::Integer(number) => {
                    *text = number.to_string();
                    Some(text.as_str())
                }
                rusqlite::types::ValueRef::Real(number) => {
                    *text = number.to_string();
                    Some(text.as_str())
                }
                _ => None,
            };
        }
        let number = |column| row.get::<_, Option<i64>>(column).map(Option::unwrap_or_default);
        lines.push((number(0)?, number(1)?, number(2)?), found);
    }
    Ok(lines)
}
