//! radpostauth: a row for each Accept and Reject, written behind the answer. Passwords are never written.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use forewarn_shell::clock;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;

use super::UsersError;
use super::connect::{Backoff, Connector, Link, SqlError};
use crate::config::sql::{Engine, Sql};
use crate::store::Runtime;

/// Rows that may wait to be written; more are dropped, and counted.
pub const QUEUE_MAX: usize = 16_384;
/// Rows of one statement or transaction.
const BATCH_MAX: usize = 500;

/// What became of one Access-Request.
#[derive(Debug, Clone)]
pub struct Row {
    /// When, seconds since 1970.
    pub at: f64,
    /// `username`, `reply`, `calledstationid`, `callingstationid`, `class`; empty: none.
    pub texts: [String; 5],
}

/// The columns of [`Row::texts`]. FreeRADIUS's SQLite schema has fewer of them, and so have older databases.
const COLUMNS: [&str; 5] = ["username", "reply", "calledstationid", "callingstationid", "class"];

/// The way into radpostauth. Dropping it ends the writing.
#[derive(Debug)]
pub struct PostAuth {
    rows: mpsc::Sender<Row>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
}

impl PostAuth {
    /// Begins to write.
    ///
    /// # Errors
    /// See [`UsersError`].
    pub fn start(sql: &Sql, runtime: &Runtime) -> Result<Self, UsersError> {
        let (rows, queue) = mpsc::channel(QUEUE_MAX);
        let counts = Arc::new(Counts::default());
        let counting = Arc::clone(&counts);
        match &sql.engine {
            Engine::Sqlite { path } => {
                let (path, timeout) = (path.clone(), sql.timeout);
                let writer = thread::Builder::new().name("post-auth".into());
                writer.spawn(move || write_sqlite(queue, &counting, &path, timeout))?;
            }
            Engine::PostgreSql(server) => {
                let connector = Connector::new(server, sql.timeout)?;
                runtime.spawn(write_postgresql(queue, counting, connector));
            }
        }
        Ok(Self { rows, counts })
    }

    /// Hands a row in; it is dropped when too many wait.
    pub fn add(&self, row: Row) {
        if self.rows.try_send(row).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Rows that were written, and dropped.
    pub fn counts(&self) -> (u64, u64) {
        (self.counts.written.load(Relaxed), self.counts.dropped.load(Relaxed))
    }
}

/// What the operator is told while rows can't be written: once each time.
#[derive(Default)]
struct Complaint(bool);

impl Complaint {
    fn failed(&mut self, error: &str) {
        if !std::mem::replace(&mut self.0, true) {
            tracing::warn!(
                "radpostauth can't be written: {error}; answers go out all the same, and rows that find no room are dropped"
            );
        }
    }

    fn done(&mut self) {
        if std::mem::take(&mut self.0) {
            tracing::info!("radpostauth is written again");
        }
    }
}

async fn write_postgresql(mut queue: mpsc::Receiver<Row>, counts: Arc<Counts>, connector: Connector) {
    let (mut batch, mut open) = (Vec::with_capacity(BATCH_MAX), None);
    let (mut backoff, mut complaint) = (Backoff::default(), Complaint::default());
    while queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
        loop {
            match insert_postgresql(&connector, &mut open, &batch).await {
                Ok(()) => {
                    counts.written.fetch_add(batch.len() as u64, Relaxed);
                    backoff.reset();
                    complaint.done();
                    break;
                }
                Err(error) if error.is_refusal() => {
                    complaint.failed(&error.to_string());
                    counts.dropped.fetch_add(batch.len() as u64, Relaxed);
                    break;
                }
                Err(error) => complaint.failed(&error.to_string()),
            }
            if queue.is_closed() {
                return;
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
        batch.clear();
    }
}

/// A connection, and the statement for the columns there are.
type Open = (Link, String, Vec<usize>);

async fn insert_postgresql(
    connector: &Connector,
    open: &mut Option<Open>,
    batch: &[Row],
) -> Result<(), SqlError> {
    const THERE: &str =
        "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass('radpostauth') AND attnum > 0";
    // Back into its place only when it has served.
    let (client, statement, columns) = match open.take().filter(|(client, ..)| !client.is_closed()) {
        Some(open) => open,
        None => {
            let client = connector.connect("post-auth", drop).await?;
            let there = connector.limited(async { Ok(client.query(THERE, &[]).await?) }).await?;
            let has =
                |name: &str| there.iter().any(|row| row.try_get::<_, &str>(0).is_ok_and(|has| has == name));
            let columns: Vec<usize> = (0..COLUMNS.len()).filter(|column| has(COLUMNS[*column])).collect();
            let names: Vec<&str> = columns.iter().map(|column| COLUMNS[*column]).collect();
            let arrays: String =
                (2..2 + columns.len()).map(|number| format!(", ${number}::text[]")).collect();
            let values: String = names.iter().map(|name| format!(", nullif({name}, '')")).collect();
            let names = names.join(", ");
            let statement = format!(
                "INSERT INTO radpostauth (authdate, pass, {names}) SELECT to_timestamp(at), ''{values} FROM unnest($1::float8[]{arrays}) AS t(at, {names})"
            );
            // A user's name may be empty in a request, and may not be NULL here.
            (client, statement.replace("nullif(username, '')", "username"), columns)
        }
    };
    let at: Vec<f64> = batch.iter().map(|row| row.at).collect();
    let texts: Vec<Vec<&str>> =
        columns.iter().map(|column| batch.iter().map(|row| row.texts[*column].as_str()).collect()).collect();
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&at];
    parameters.extend(texts.iter().map(|texts| texts as &(dyn ToSql + Sync)));
    connector.limited(async { Ok(client.execute(&statement, &parameters).await?) }).await?;
    *open = Some((client, statement, columns));
    Ok(())
}

fn write_sqlite(mut queue: mpsc::Receiver<Row>, counts: &Counts, path: &Path, timeout: Duration) {
    let (mut backoff, mut complaint) = (Backoff::default(), Complaint::default());
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        while let Err(error) = insert_sqlite(path, timeout, &batch) {
            complaint.failed(&error.to_string());
            if queue.is_closed() {
                return;
            }
            thread::sleep(backoff.next_wait());
        }
        counts.written.fetch_add(batch.len() as u64, Relaxed);
        backoff.reset();
        complaint.done();
        batch.clear();
    }
}

fn insert_sqlite(path: &Path, timeout: Duration, batch: &[Row]) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(timeout)?;
    let has = |name: &str| {
        let there = database.prepare("SELECT 1 FROM pragma_table_info('radpostauth') WHERE lower(name) = ?1");
        there.and_then(|mut there| there.exists([name]))
    };
    let mut columns = Vec::new();
    for (number, name) in COLUMNS.iter().enumerate() {
        if has(name)? {
            columns.push(number);
        }
    }
    let names: Vec<&str> = columns.iter().map(|column| COLUMNS[*column]).collect();
    let values: String = (2..2 + columns.len()).map(|number| format!(", ?{number}")).collect();
    // As FreeRADIUS writes it: a text, by the clock of this place.
    let statement = format!(
        "INSERT INTO radpostauth (authdate, pass, {}) VALUES (strftime('%Y-%m-%d %H:%M:%f', ?1, 'unixepoch', 'localtime'), ''{values})",
        names.join(", ")
    );
    let transaction = database.transaction()?;
    for row in batch {
        let mut parameters: Vec<rusqlite::types::Value> = vec![row.at.into()];
        parameters.extend(columns.iter().map(|column| row.texts[*column].clone().into()));
        transaction.prepare_cached(&statement)?.execute(params_from_iter(parameters))?;
    }
    transaction.commit()
}

impl Row {
    /// Of a request and its answer, now.
    pub fn new(
        user: &[u8],
        reply: &'static str,
        called_station: &[u8],
        calling_station: &[u8],
        class: &[u8],
    ) -> Self {
        // A database's text is UTF-8 without NUL.
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).replace('\0', "\u{fffd}");
        let class = match class {
            [] => String::new(),
            // Octets, as FreeRADIUS prints such.
            octets => octets.iter().fold("0x".to_owned(), |text, octet| text + &format!("{octet:02x}")),
        };
        let texts = [text(user), reply.to_owned(), text(called_station), text(calling_station), class];
        Self { at: clock::utc_nanos() as f64 / 1e9, texts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::schema::parts;
    use crate::store::sql::statements::Dialect;

    #[test]
    fn a_row_has_what_the_table_has_room_for_and_no_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("radius.sqlite");
        let database = Connection::open(&path).unwrap();
        parts(Dialect::Sqlite).iter().for_each(|part| database.execute_batch(&part.text).unwrap());
        let rows = [
            Row::new(b"o'hara\0", "Access-Accept", b"ap", b"00-11", b"\x01\xff"),
            Row::new(b"", "Access-Reject", b"", b"", b""),
        ];
        insert_sqlite(&path, Duration::from_secs(5), &rows).unwrap();
        let read = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
        let mut statement =
            database.prepare("SELECT username, pass, reply, class FROM radpostauth ORDER BY id").unwrap();
        let rows: Vec<[String; 4]> = statement.query_map([], read).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows[0], ["o'hara\u{fffd}", "", "Access-Accept", "0x01ff"]);
        assert_eq!(rows[1], ["", "", "Access-Reject", ""]);
    }
}
