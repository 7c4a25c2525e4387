//! `radacct` in PostgreSQL: a batch is a few statements and a commit, or twice that on two connections.
//!
//! A backend is one process of the database's: a batch whose sessions are shared between two of them is written in
//! less time, and one writes while the other waits for the disk. Both commit before anything is answered. What has
//! an order across sessions goes over one connection: Accounting-On and -Off, leases, and what comes out of the spool.

mod open;

use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::clock;

use super::apply::{ApplyError, Fate};
use super::record::{Record, Status};
use crate::store::sql::connect::{Connector, SqlError};

use open::Open;

/// What became of a transaction: known to every version from 10 on.
const FATE: &str = "SELECT txid_status($1)";
/// Whether it wrote any of these sessions. After a crash PostgreSQL gives the numbers of transactions that it has no trace
/// of to others: the number alone proves nothing.
const TRACE: &str =
    "SELECT EXISTS (SELECT FROM radacct WHERE acctuniqueid = ANY($1) AND xmin = $2::text::xid)";
/// Fewer records than this aren't worth a second commit.
const SHARED_MIN: usize = 32;
/// A database that has no second connection to give is asked for one again after this.
const SECOND_AGAIN: Duration = Duration::from_secs(30);

/// The database, connected or not.
#[derive(Debug)]
pub struct PostgreSql {
    connector: Connector,
    class: bool,
    lease: Duration,
    first: Option<Open>,
    second: Option<Open>,
    second_at: Instant,
}

impl From<SqlError> for ApplyError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Refused(why) => ApplyError::Refused(why),
            other => ApplyError::Away(other.to_string()),
        }
    }
}

impl PostgreSql {
    /// Not connected yet.
    pub fn new(connector: Connector, class: bool, lease: Duration) -> Self {
        Self { connector, class, lease, first: None, second: None, second_at: Instant::ZERO }
    }

    /// How messages name it.
    pub fn shown(&self) -> &str {
        self.connector.shown()
    }

    /// Writes the records, and has the database commit them. Where it may, `noted` is `None`, in two transactions at
    /// one time; else `noted` hears the number of the only one while it can still be given up.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn apply(
        &mut self,
        records: &[Record],
        noted: Option<impl FnOnce(i64) -> Result<(), ApplyError>>,
    ) -> Result<(), ApplyError> {
        let first = match self.first.take() {
            Some(open) if !open.client.is_closed() => open,
            _ => Open::new(&self.connector, self.class, self.lease).await?,
        };
        if noted.is_none()
            && records.len() >= SHARED_MIN
            && records.iter().all(|record| !matches!(record.status, Status::On | Status::Off))
            && !self.connector.limited(first.follows_leases()).await?
            && let Some(second) = self.take_second().await
        {
            return self.apply_shared(first, second, records).await;
        }
        let records: Vec<&Record> = records.iter().collect();
        let written = first.write(&self.connector, &records).await;
        let transaction = match written {
            Ok(transaction) => transaction,
            Err(error) => {
                // But for a refusal, the connection goes with the transaction.
                if error.is_refusal() {
                    self.first = first.rolled_back(&self.connector).await;
                }
                return Err(error.into());
            }
        };
        if let Some(noted) = noted {
            noted(transaction)?;
        }
        match first.commit(&self.connector).await {
            Ok(()) => {
                self.first = Some(first);
                Ok(())
            }
            Err(error) => {
                Err(ApplyError::InDoubt { what: error.to_string(), transaction: Some(transaction) })
            }
        }
    }

    /// Half of the sessions over each connection.
    async fn apply_shared(
        &mut self,
        first: Open,
        second: Open,
        records: &[Record],
    ) -> Result<(), ApplyError> {
        let (one, other): (Vec<&Record>, Vec<&Record>) = records.iter().partition(|record| is_first(record));
        let connector = &self.connector;
        let written = tokio::join!(first.write(connector, &one), second.write(connector, &other));
        let (one, other) = match written {
            (Ok(one), Ok(other)) => (one, other),
            (one, other) => {
                let errors = [one.err(), other.err()];
                let keeps = errors.each_ref().map(|error| error.as_ref().is_none_or(SqlError::is_refusal));
                if keeps[0] {
                    self.first = first.rolled_back(&self.connector).await;
                }
                if keeps[1] {
                    self.second = second.rolled_back(&self.connector).await;
                }
                // That a value is refused will be found again, once the database is there.
                let mut errors: Vec<SqlError> = errors.into_iter().flatten().collect();
                errors.sort_by_key(SqlError::is_refusal);
                let worst = errors.into_iter().next().map(ApplyError::from);
                return Err(worst.unwrap_or_else(|| ApplyError::Away(String::new())));
            }
        };
        let committed = tokio::join!(first.commit(connector), second.commit(connector));
        let (what, transaction) = match committed {
            (Ok(()), Ok(())) => {
                (self.first, self.second) = (Some(first), Some(second));
                return Ok(());
            }
            // The one that is known of is in the database, and so everything is if the other is too.
            (Err(what), Ok(())) => (what, Some(one)),
            (Ok(()), Err(what)) => (what, Some(other)),
            // Written again, they leave the same rows.
            (Err(what), Err(_)) => (what, None),
        };
        Err(ApplyError::InDoubt { what: what.to_string(), transaction })
    }

    async fn take_second(&mut self) -> Option<Open> {
        if let Some(open) = self.second.take().filter(|open| !open.client.is_closed()) {
            return Some(open);
        }
        let now = clock::now();
        if now < self.second_at {
            return None;
        }
        self.second_at = now + SECOND_AGAIN;
        Open::new(&self.connector, self.class, self.lease).await.ok()
    }

    /// What became of a transaction whose end was not heard, by which `records` were written and nobody's since.
    ///
    /// # Errors
    /// It can't be asked, or is still under way.
    pub async fn fate(
        &mut self,
        transaction: i64,
        records: impl Iterator<Item = &Record>,
    ) -> Result<Fate, ApplyError> {
        let open = match self.first.take() {
            Some(open) if !open.client.is_closed() => open,
            _ => Open::new(&self.connector, self.class, self.lease).await?,
        };
        let sessions: Vec<&str> = records.map(|record| record.unique_id.as_str()).collect();
        // Rows have the lower half of the number.
        let number = (transaction & 0xffff_ffff).to_string();
        let asked = self
            .connector
            .limited(async {
                let fate = open.client.query_opt(FATE, &[&transaction]).await?;
                let wrote = open.client.query_one(TRACE, &[&sessions, &number]).await?;
                Ok((fate.and_then(|row| row.get::<_, Option<String>>(0)), wrote.get::<_, bool>(0)))
            })
            .await;
        let fate = match asked {
            Ok(fate) => fate,
            // Another database, or this one restored from a copy.
            Err(error) if error.is_refusal() => (None, false),
            Err(error) => return Err(error.into()),
        };
        self.first = Some(open);
        match (fate.0.as_deref(), fate.1) {
            (Some("committed"), true) => Ok(Fate::Committed),
            (Some("aborted"), _) => Ok(Fate::Aborted),
            (Some("committed") | None, _) => Ok(Fate::Unknown),
            (Some(_), _) => {
                Err(ApplyError::Away("a transaction of a broken connection is still under way".to_owned()))
            }
        }
    }
}

/// Which connection a session's records go over, all of them: by the last digit of its name.
fn is_first(record: &Record) -> bool {
    record.unique_id.bytes().next_back().is_some_and(|digit| digit & 1 == 0)
}
