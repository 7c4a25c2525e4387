//! `radacct` in PostgreSQL: a batch is a few statements and a commit.

use std::time::Duration;

use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::apply::{ApplyError, Fate};
use super::pools::Leases;
use super::record::Record;
use super::rounds::{Round, rounds};
use super::statements::{Dialect, Statements};
use crate::store::sql::connect::{Connector, Link, SqlError};

/// Closing the sessions of a NAS may take this long: it may have a million of them.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a connection is told first. The statements of a batch look rows up one by one in an index; a plan made for a
/// table that was small when the connection was young would read all of it for ever. Durability isn't to be had with
/// `synchronous_commit = off`.
const SETUP: &str =
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
    SET plan_cache_mode = force_generic_plan;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// The number of the transaction under way, and what became of one: known to every version from 10 on.
const TRANSACTION: &str = "SELECT txid_current()";
const FATE: &str = "SELECT txid_status($1)";

type Parameters<'p> = [&'p (dyn ToSql + Sync)];

/// The database, connected or not.
#[derive(Debug)]
pub struct PostgreSql {
    connector: Connector,
    class: bool,
    lease: Duration,
    open: Option<Open>,
}

/// A connection with its statements.
#[derive(Debug)]
struct Open {
    client: Link,
    start: Statement,
    missing: Statement,
    interim: Statement,
    stop: Statement,
    close: Statement,
    transaction: Statement,
    leases: Option<Leases>,
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
        Self { connector, class, lease, open: None }
    }

    /// How messages name it.
    pub fn shown(&self) -> &str {
        self.connector.shown()
    }

    /// Writes the records in one transaction. `before_commit` hears its number while it can still be given up.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn apply(
        &mut self,
        records: &[Record],
        before_commit: impl FnOnce(i64) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        let open = match self.open.take() {
            Some(open) if !open.client.is_closed() => open,
            _ => Open::new(&self.connector, self.class, self.lease).await?,
        };
        let written = open.write(&self.connector, records).await;
        let transaction = match written {
            Ok(transaction) => transaction,
            Err(error) if error.is_refusal() => {
                if self.connector.limited(open.run("ROLLBACK")).await.is_ok() {
                    self.open = Some(open);
                }
                return Err(error.into());
            }
            // The connection goes with the transaction.
            Err(error) => return Err(error.into()),
        };
        before_commit(transaction)?;
        match self.connector.limited(open.run("COMMIT")).await {
            Ok(()) => {
                self.open = Some(open);
                Ok(())
            }
            Err(error) => Err(ApplyError::InDoubt { what: error.to_string(), transaction }),
        }
    }

    /// What became of a transaction whose end was not heard.
    ///
    /// # Errors
    /// It can't be asked, or is still under way.
    pub async fn fate(&mut self, transaction: i64) -> Result<Fate, ApplyError> {
        let open = match self.open.take() {
            Some(open) if !open.client.is_closed() => open,
            _ => Open::new(&self.connector, self.class, self.lease).await?,
        };
        let asked = self
            .connector
            .limited(async { open.client.query_opt(FATE, &[&transaction]).await.map_err(SqlError::from) })
            .await;
        let fate = match asked {
            Ok(row) => row.and_then(|row| row.get::<_, Option<String>>(0)),
            // Another database, or this one restored from a copy.
            Err(error) if error.is_refusal() => None,
            Err(error) => return Err(error.into()),
        };
        self.open = Some(open);
        match fate.as_deref() {
            Some("committed") => Ok(Fate::Committed),
            Some("aborted") => Ok(Fate::Aborted),
            Some(_) => {
                Err(ApplyError::Away("a transaction of a broken connection is still under way".to_owned()))
            }
            None => Ok(Fate::Unknown),
        }
    }
}

impl Open {
    async fn new(connector: &Connector, class: bool, lease: Duration) -> Result<Self, SqlError> {
        let client = connector.connect("accounting", |_| ()).await?;
        let texts = Statements::new(Dialect::PostgreSql, class);
        connector
            .limited(async {
                client.batch_execute(SETUP).await?;
                let start = client.prepare(&texts.start).await?;
                let missing = client.prepare(&texts.missing).await?;
                let interim = client.prepare(&texts.interim).await?;
                let stop = client.prepare(&texts.stop).await?;
                let close = client.prepare(&texts.close).await?;
                let transaction = client.prepare(TRANSACTION).await?;
                let leases = Leases::prepare(&client, lease).await?;
                Ok(Self { client, start, missing, interim, stop, close, transaction, leases })
            })
            .await
    }

    async fn run(&self, text: &str) -> Result<(), SqlError> {
        Ok(self.client.batch_execute(text).await?)
    }

    /// Begins a transaction, writes, and gives its number.
    async fn write(&self, connector: &Connector, records: &[Record]) -> Result<i64, SqlError> {
        // Both are sent at once, and so are the statements of each round.
        let begun = async {
            let (begun, transaction) = tokio::join!(
                biased;
                self.client.batch_execute("BEGIN"),
                self.client.query_one(&self.transaction, &[])
            );
            begun?;
            Ok(transaction?.get::<_, i64>(0))
        };
        let transaction = connector.limited(begun).await?;
        for round in rounds(records) {
            if round.closes.is_empty() {
                connector.limited(self.write_round(&round)).await?;
            } else {
                self.write_closes(&round).await?;
            }
        }
        if let Some(leases) = &self.leases {
            connector.limited(leases.follow(&self.client, records)).await?;
        }
        Ok(transaction)
    }

    async fn write_round(&self, round: &Round<'_>) -> Result<(), SqlError> {
        let (starts, interims, stops) = tokio::join!(
            biased;
            self.insert(&self.start, &round.starts),
            self.update(&self.interim, &round.interims),
            self.update(&self.stop, &round.stops),
        );
        let (_, interims, stops) = (starts?, interims?, stops?);
        if interims < round.interims.len() as u64 {
            self.insert(&self.missing, &round.interims).await?;
        }
        if stops < round.stops.len() as u64 {
            self.insert(&self.missing, &round.stops).await?;
        }
        Ok(())
    }

    async fn write_closes(&self, round: &Round<'_>) -> Result<(), SqlError> {
        let work = async {
            let millis = CLOSE_TIMEOUT.as_millis();
            self.run(&format!("SET LOCAL statement_timeout = {millis}")).await?;
            for record in &round.closes {
                let nas = vec![Dialect::PostgreSql.nas(record)];
                let (at, cause) = (vec![record.at], vec![Dialect::PostgreSql.close_cause(record)]);
                self.client.execute(&self.close, &[&nas, &at, &cause]).await?;
            }
            Ok(())
        };
        let limited = tokio::time::timeout(CLOSE_TIMEOUT, work).await;
        limited.unwrap_or(Err(SqlError::Slow(CLOSE_TIMEOUT)))
    }

    async fn insert(&self, statement: &Statement, records: &[&Record]) -> Result<u64, SqlError> {
        if records.is_empty() {
            return Ok(0);
        }
        let nas: Vec<String> = records.iter().map(|record| Dialect::PostgreSql.nas(record)).collect();
        let firsts: Vec<_> = records.iter().map(|record| Dialect::PostgreSql.first(record)).collect();
        let text = |of: fn(&Record) -> &str| records.iter().map(|record| of(record)).collect::<Vec<&str>>();
        let at: Vec<i64> = records.iter().map(|record| record.at).collect();
        let parameters: &Parameters<'_> = &[
            &text(|record| &record.session_id),
            &text(|record| &record.unique_id),
            &text(|record| &record.user_name),
            &nas,
            &text(|record| &record.nas_port),
            &text(|record| &record.nas_port_type),
            &firsts.iter().map(|first| first.started).collect::<Vec<_>>(),
            &at,
            &firsts.iter().map(|first| first.stopped).collect::<Vec<_>>(),
            &firsts.iter().map(|first| first.secs).collect::<Vec<_>>(),
            &text(|record| &record.authentic),
            &firsts.iter().map(|first| first.info_start).collect::<Vec<_>>(),
            &firsts.iter().map(|first| first.info_stop).collect::<Vec<_>>(),
            &firsts.iter().map(|first| first.input).collect::<Vec<_>>(),
            &firsts.iter().map(|first| first.output).collect::<Vec<_>>(),
            &text(|record| &record.called_station),
            &text(|record| &record.calling_station),
            &firsts.iter().map(|first| first.cause).collect::<Vec<_>>(),
            &text(|record| &record.service_type),
            &text(|record| &record.framed_protocol),
            &text(|record| &record.framed_address),
            &text(|record| &record.framed_ipv6_address),
            &text(|record| &record.framed_ipv6_prefix),
            &text(|record| &record.framed_interface),
            &text(|record| &record.delegated_ipv6_prefix),
            &text(|record| &record.class),
        ];
        Ok(self.client.execute(statement, parameters).await?)
    }

    async fn update(&self, statement: &Statement, records: &[&Record]) -> Result<u64, SqlError> {
        if records.is_empty() {
            return Ok(0);
        }
        let text = |of: fn(&Record) -> &str| records.iter().map(|record| of(record)).collect::<Vec<&str>>();
        let number = |of: fn(&Record) -> i64| records.iter().map(|record| of(record)).collect::<Vec<i64>>();
        let parameters: &Parameters<'_> = &[
            &text(|record| &record.unique_id),
            &number(|record| record.at),
            &records.iter().map(|record| record.session_secs).collect::<Vec<_>>(),
            &number(|record| record.input_octets),
            &number(|record| record.output_octets),
            &text(|record| &record.terminate_cause),
            &text(|record| &record.connect_info),
            &text(|record| &record.framed_address),
            &text(|record| &record.framed_ipv6_address),
            &text(|record| &record.framed_ipv6_prefix),
            &text(|record| &record.framed_interface),
            &text(|record| &record.delegated_ipv6_prefix),
        ];
        Ok(self.client.execute(statement, parameters).await?)
    }
}
