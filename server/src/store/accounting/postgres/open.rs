//! One connection: its statements, and how it writes a batch.

use std::time::Duration;

use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::super::pools::Leases;
use super::super::record::Record;
use super::super::rounds::{Round, rounds};
use super::super::statements::{Dialect, Statements};
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

/// The number of the transaction under way.
const TRANSACTION: &str = "SELECT txid_current()";

type Parameters<'p> = [&'p (dyn ToSql + Sync)];

/// A connection with its statements.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) client: Link,
    start: Statement,
    missing: Statement,
    interim: Statement,
    stop: Statement,
    close: Statement,
    transaction: Statement,
    leases: Option<Leases>,
}

impl Open {
    /// Connects, and prepares what it will say.
    pub(super) async fn new(connector: &Connector, class: bool, lease: Duration) -> Result<Self, SqlError> {
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

    /// Whether what is written decides who holds an address of a pool.
    pub(super) async fn follows_leases(&self) -> Result<bool, SqlError> {
        match &self.leases {
            Some(leases) => leases.in_use(&self.client).await,
            None => Ok(false),
        }
    }

    /// Commits. An error leaves it in doubt.
    pub(super) async fn commit(&self, connector: &Connector) -> Result<(), SqlError> {
        connector.limited(self.run("COMMIT")).await
    }

    /// Gives the transaction up; the connection too if that fails.
    pub(super) async fn rolled_back(self, connector: &Connector) -> Option<Self> {
        connector.limited(self.run("ROLLBACK")).await.is_ok().then_some(self)
    }

    /// Begins a transaction, writes, and gives its number.
    pub(super) async fn write(&self, connector: &Connector, records: &[&Record]) -> Result<i64, SqlError> {
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
        for round in rounds(records.iter().copied()) {
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
        let text = |of| texts(records, of);
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
        let text = |of| texts(records, of);
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

/// A column of texts. One that no record has anything in is sent without a single one, and read as NULLs, which count
/// as the empty text.
fn texts<'r>(records: &[&'r Record], of: fn(&Record) -> &str) -> Vec<&'r str> {
    match records.iter().all(|record| of(record).is_empty()) {
        true => Vec::new(),
        false => records.iter().map(|record| of(record)).collect(),
    }
}
