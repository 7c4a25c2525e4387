//! What an Access-Request asks of accounting's tables: how many sessions the user has open (Simultaneous-Use), and an
//! address of a pool (Pool-Name).
//!
//! Both as FreeRADIUS asks: its `simul_count_query`, and its `sqlippool`. A session that waits in the spool isn't
//! counted yet.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::runtime::Handle;
use tokio::sync::Mutex as Turn;
use tokio_postgres::Statement;

use super::accounting::Settings;
use super::accounting::pools::PoolStatements;
use super::accounting::statements::Dialect;
use super::sql::connect::{Connector, Link, SqlError};
use super::tls::TlsError;
use crate::config::sql::Engine;
use crate::process::mailbox::{Finding, Promise};

/// Questions under way at one time; more are refused.
const QUESTIONS_MAX: u64 = 4096;

const COUNT: &str = "SELECT COUNT(*) FROM radacct a LEFT OUTER JOIN nasreload n USING (nasipaddress)
    WHERE {same} AND acctstoptime IS NULL
        AND (a.acctstarttime > n.reloadtime OR n.reloadtime IS NULL)";

/// The name as it is.
const EXACTLY: &str = "username = {1}";

/// Two names of one user, where neither case nor blanks around them matter.
const LOOSELY: &str = "lower(trim(username)) IN (lower(trim({1})), lower(trim({2})))";

/// The statement that counts, for an engine's way of writing parameters.
fn count(same: &str, mark: char) -> String {
    COUNT.replace("{same}", same).replace("{1}", &format!("{mark}1")).replace("{2}", &format!("{mark}2"))
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// How many sessions the user has open. The name as accounting writes it.
    Sessions {
        /// User-Name.
        user: String,
        /// What a directory calls them, which takes other spellings for the same.
        alias: Option<String>,
    },
    /// An address of a pool. All as accounting writes it.
    Address {
        /// Pool-Name.
        pool: String,
        /// What the NAS calls itself.
        nas: String,
        /// What holds the address: NAS-Port, else Calling-Station-Id; empty: nothing does, and the address isn't found again.
        key: String,
        /// Calling-Station-Id.
        calling_station: String,
        /// User-Name.
        user: String,
    },
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// So many are open.
    Sessions(u64),
    /// This address is the user's, for the length of a lease.
    Address(IpAddr),
    /// The pool has no address left.
    PoolEmpty,
    /// There is no such pool.
    NoPool,
    /// The sessions can't be counted at present.
    SessionsAway,
    /// The pool can't be asked at present.
    PoolAway,
}

/// Who answers. Shared by the cores.
#[derive(Debug)]
pub struct Admissions {
    handle: Handle,
    lease_secs: i64,
    database: Database,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    under_way: AtomicU64,
    asked: AtomicU64,
    away: AtomicU64,
    pool_empty: AtomicU64,
}

#[derive(Debug, Clone)]
enum Database {
    Sqlite(Arc<Mutex<Option<Connection>>>, Arc<PathBuf>, Duration),
    PostgreSql(Arc<Server>),
}

#[derive(Debug)]
struct Server {
    connector: Connector,
    open: Turn<Option<Arc<Open>>>,
}

#[derive(Debug)]
struct Open {
    client: Link,
    count: Statement,
    count_loosely: Statement,
    /// Where there is a `radippool`.
    pools: Option<[Statement; 3]>,
}

impl Admissions {
    /// Over the database of accounting. Nothing is asked, and nothing connected, before the first question.
    ///
    /// # Errors
    /// The certificates that TLS needs can't be had.
    pub fn new(settings: &Settings, handle: Handle) -> Result<Self, TlsError> {
        let database = match &settings.engine {
            Engine::Sqlite { path } => {
                Database::Sqlite(Arc::default(), Arc::new(path.clone()), settings.timeout)
            }
            Engine::PostgreSql(server) => {
                let connector = Connector::new(server, settings.timeout)?;
                Database::PostgreSql(Arc::new(Server { connector, open: Turn::new(None) }))
            }
        };
        let lease_secs = i64::try_from(settings.accounting.lease.as_secs()).unwrap_or(i64::MAX);
        Ok(Self { handle, lease_secs, database, counts: Arc::default() })
    }

    /// Asks; the answer comes as [`Finding::Admission`].
    ///
    /// # Errors
    /// Too many ask; the promise comes back.
    pub fn ask(&self, question: Question, promise: Promise) -> Result<(), Promise> {
        if self.counts.under_way.fetch_add(1, Relaxed) >= QUESTIONS_MAX {
            self.counts.under_way.fetch_sub(1, Relaxed);
            return Err(promise);
        }
        self.counts.asked.fetch_add(1, Relaxed);
        let (counts, database, lease_secs) =
            (Arc::clone(&self.counts), self.database.clone(), self.lease_secs);
        let away = match question {
            Question::Sessions { .. } => Admission::SessionsAway,
            Question::Address { .. } => Admission::PoolAway,
        };
        self.handle.spawn(async move {
            let answer = database.answer(question, lease_secs).await.unwrap_or_else(|error| {
                tracing::debug!("accounting's tables can't be asked: {error}");
                away
            });
            match answer {
                Admission::SessionsAway | Admission::PoolAway => counts.away.fetch_add(1, Relaxed),
                Admission::PoolEmpty => counts.pool_empty.fetch_add(1, Relaxed),
                _ => 0,
            };
            counts.under_way.fetch_sub(1, Relaxed);
            promise.keep(Finding::Admission(answer));
        });
        Ok(())
    }

    /// Name and count of each.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let of = |count: &AtomicU64| count.load(Relaxed);
        [
            ("admission.asked", of(&self.counts.asked)),
            ("admission.away", of(&self.counts.away)),
            ("admission.pool-empty", of(&self.counts.pool_empty)),
        ]
        .into_iter()
    }
}

impl Database {
    async fn answer(&self, question: Question, lease_secs: i64) -> Result<Admission, String> {
        match self {
            Database::Sqlite(open, path, timeout) => {
                let (open, path, timeout) = (Arc::clone(open), Arc::clone(path), *timeout);
                let work = move || {
                    let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                    let connection = match open.take() {
                        Some(connection) => connection,
                        None => connect(&path, timeout)?,
                    };
                    let answer = in_sqlite(&connection, &question, lease_secs)?;
                    *open = Some(connection);
                    Ok(answer)
                };
                let answered = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
                answered.map_err(|error: rusqlite::Error| error.to_string())
            }
            Database::PostgreSql(server) => {
                server.answer(&question, lease_secs).await.map_err(|error| error.to_string())
            }
        }
    }
}

fn connect(path: &Path, timeout: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(timeout)?;
    connection.pragma_update(None, "synchronous", "full")?;
    Ok(connection)
}

fn in_sqlite(connection: &Connection, question: &Question, lease_secs: i64) -> rusqlite::Result<Admission> {
    let (pool, nas, key, calling_station, user) = match question {
        Question::Sessions { user, alias } => {
            let counted: i64 = match alias {
                None => {
                    let mut count = connection.prepare_cached(&count(EXACTLY, '?'))?;
                    count.query_row([user], |row| row.get(0))?
                }
                Some(alias) => {
                    let mut count = connection.prepare_cached(&count(LOOSELY, '?'))?;
                    count.query_row([user, alias], |row| row.get(0))?
                }
            };
            return Ok(Admission::Sessions(counted.unsigned_abs()));
        }
        Question::Address { pool, nas, key, calling_station, user } => {
            (pool, nas, key, calling_station, user)
        }
    };
    let is_there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'radippool')";
    if !connection.query_row(is_there, [], |row| row.get::<_, bool>(0))? {
        return Ok(Admission::NoPool);
    }
    let statements = PoolStatements::new(Dialect::Sqlite);
    for statement in [&statements.existing, &statements.find] {
        if key.is_empty() && statement == &statements.existing {
            continue;
        }
        let given = params![pool, nas, key, calling_station, user, lease_secs];
        let mut statement = connection.prepare_cached(statement)?;
        let found = statement.query_row(given, |row| row.get::<_, String>(0)).optional()?;
        if let Some(address) = found.and_then(|address| address.parse().ok()) {
            return Ok(Admission::Address(address));
        }
    }
    let known = connection.query_row(&statements.known, [pool], |row| row.get::<_, bool>(0))?;
    Ok(if known { Admission::PoolEmpty } else { Admission::NoPool })
}

impl Server {
    async fn answer(&self, question: &Question, lease_secs: i64) -> Result<Admission, SqlError> {
        let open = self.open().await?;
        let answered = self.connector.limited(open.answer(question, lease_secs)).await;
        if answered.is_err() {
            // Whatever else waits for it finds out by itself.
            let mut place = self.open.lock().await;
            if place.as_ref().is_some_and(|other| Arc::ptr_eq(other, &open)) {
                *place = None;
            }
        }
        answered
    }

    /// The connection, which all questions share: they are sent one behind the other without waiting.
    async fn open(&self) -> Result<Arc<Open>, SqlError> {
        let mut place = self.open.lock().await;
        if let Some(open) = place.as_ref().filter(|open| !open.client.is_closed()) {
            return Ok(Arc::clone(open));
        }
        let open = Arc::new(Open::new(&self.connector).await?);
        *place = Some(Arc::clone(&open));
        Ok(open)
    }
}

impl Open {
    async fn new(connector: &Connector) -> Result<Self, SqlError> {
        let client = connector.connect("admission", |_| ()).await?;
        let prepared = connector.limited(async {
            let exactly = client.prepare(&count(EXACTLY, '$')).await?;
            let loosely = client.prepare(&count(LOOSELY, '$')).await?;
            let there = client.query_one("SELECT to_regclass('radippool') IS NOT NULL", &[]).await?;
            let pools = match there.get::<_, bool>(0) {
                false => None,
                true => {
                    let texts = PoolStatements::new(Dialect::PostgreSql);
                    let existing = client.prepare(&texts.existing).await?;
                    let find = client.prepare(&texts.find).await?;
                    Some([existing, find, client.prepare(&texts.known).await?])
                }
            };
            Ok((exactly, loosely, pools))
        });
        let (count, count_loosely, pools) = prepared.await?;
        Ok(Self { client, count, count_loosely, pools })
    }

    async fn answer(&self, question: &Question, lease_secs: i64) -> Result<Admission, SqlError> {
        let (pool, nas, key, calling_station, user) = match question {
            Question::Sessions { user, alias } => {
                let row = match alias {
                    None => self.client.query_one(&self.count, &[user]).await?,
                    Some(alias) => self.client.query_one(&self.count_loosely, &[user, alias]).await?,
                };
                return Ok(Admission::Sessions(row.get::<_, i64>(0).unsigned_abs()));
            }
            Question::Address { pool, nas, key, calling_station, user } => {
                (pool, nas, key, calling_station, user)
            }
        };
        let Some([existing, find, known]) = &self.pools else { return Ok(Admission::NoPool) };
        let secs = lease_secs as f64;
        for statement in [(!key.is_empty()).then_some(existing), Some(find)].into_iter().flatten() {
            let given: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                [pool, nas, key, calling_station, user, &secs];
            let found = self.client.query_opt(statement, &given).await?;
            let address = found.and_then(|row| row.get::<_, Option<String>>(0));
            if let Some(address) = address.and_then(|address| address.parse().ok()) {
                return Ok(Admission::Address(address));
            }
        }
        let known: bool = self.client.query_one(known, &[pool]).await?.get(0);
        Ok(if known { Admission::PoolEmpty } else { Admission::NoPool })
    }
}
