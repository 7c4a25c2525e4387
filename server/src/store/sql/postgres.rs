//! Look-ups on PostgreSQL: a few connections, each with a few batches under way.

use std::sync::Arc;
use std::time::Duration;

use forewarn_shell::clock;
use futures_util::TryStreamExt as _;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::Inner;
use super::connect::{Backoff, Connector, Link, SqlError};
use super::lines::Lines;
use super::queue::Batch;
use super::statements::{Dialect, GROUPS, USERS};

/// Batches under way on one connection: while the server is at one, the next is already there.
const LANES: usize = 2;

/// How often an idle connection is looked at, whether it is still one.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Looks up by index whatever the statistics say: they are missing when they would be needed most, after users were
/// imported. A table without an index is still read, once for each batch.
const SETTINGS: &str = "\
SET default_transaction_read_only = on;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_mergejoin = off;
SET plan_cache_mode = force_generic_plan";

/// A connection with its statements prepared.
struct Session {
    client: Link,
    users: Statement,
    groups: Statement,
}

/// Keeps one connection up and looks up what waits, until the queue is closed.
pub(super) async fn serve(inner: Arc<Inner>, connector: Connector) {
    let mut backoff = Backoff::default();
    while !inner.queue.is_closed() {
        let cause = match Session::open(&connector).await {
            Err(error) => error,
            Ok(session) => {
                backoff.reset();
                inner.standing.rise();
                let error = session.run(&inner, &connector).await;
                inner.standing.fall();
                let Err(error) = error else { return };
                tracing::debug!("a connection for look-ups ended: {error}");
                if session.client.is_closed() {
                    // A server that was restarted is often there again at once: nobody is told before it isn't.
                    continue;
                }
                error
            }
        };
        if inner.standing.fail(&cause.to_string()) {
            inner.queue.give_up();
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

impl Session {
    /// Ready means: it has answered a look-up, so that the tables are there, readable and not locked.
    async fn open(connector: &Connector) -> Result<Self, SqlError> {
        let client = connector.connect("look-ups", drop).await?;
        let session = connector.limited(async {
            client.batch_execute(SETTINGS).await?;
            let users = client.prepare(&Dialect::PostgreSql.text(USERS)).await?;
            let groups = client.prepare(&Dialect::PostgreSql.text(GROUPS)).await?;
            Ok(Session { client, users, groups })
        });
        let session = session.await?;
        session.probe(connector).await?;
        Ok(session)
    }

    async fn probe(&self, connector: &Connector) -> Result<(), SqlError> {
        self.read(connector, &self.users, &[""]).await?;
        self.read(connector, &self.groups, &[""]).await.map(drop)
    }

    /// Until the queue is closed, or the connection is no good any more.
    async fn run(&self, inner: &Arc<Inner>, connector: &Connector) -> Result<(), SqlError> {
        let lane = || async {
            while let Some(batch) = inner.queue.next().await {
                self.look_up(inner, connector, batch).await?;
            }
            Ok(())
        };
        const { assert!(LANES == 2) };
        tokio::try_join!(lane(), lane(), self.watch(inner, connector)).map(drop)
    }

    /// Answers whoever wants to know whether the connection is well.
    async fn watch(&self, inner: &Arc<Inner>, connector: &Connector) -> Result<(), SqlError> {
        loop {
            let asked = tokio::select! {
                asked = async { inner.probes.lock().await.recv().await } => asked,
                () = tokio::time::sleep(LOOK_EVERY) => match self.client.is_closed() {
                    true => return Err(SqlError::Away("the server closed the connection".to_owned())),
                    false => continue,
                },
            };
            let Some(asked) = asked else { return Ok(()) };
            let probed = self.probe(connector).await;
            // Whoever asked may have lost patience.
            let _ = asked.send(probed.as_ref().copied().map_err(ToString::to_string));
            probed?;
        }
    }

    /// Answers all names of a batch. On an error they go back into the queue.
    async fn look_up(&self, inner: &Inner, connector: &Connector, batch: Batch) -> Result<(), SqlError> {
        let mut batches = vec![batch];
        while let Some(mut batch) = batches.pop() {
            let read = self.read(connector, &self.users, &batch.names()).await;
            match read {
                // A name that the database's encoding doesn't have: which one is found by halves.
                Err(error) if error.is_refusal() && batch.len() > 1 => {
                    batches.push(batch.halve());
                    batches.push(batch);
                }
                Err(error) if error.is_refusal() => inner.answer_unknown(&mut batch),
                Err(error) => {
                    if !self.client.is_closed() {
                        // Too slow: who waits for these has waited long enough.
                        batches.push(batch);
                        batches.iter_mut().for_each(Batch::give_up);
                    }
                    return Err(error);
                }
                Ok(mut users) => {
                    users.sort();
                    let now = clock::now();
                    let (mut known, missing) = inner.accounts.groups(&users, now);
                    if !missing.is_empty() {
                        let names: Vec<&str> = missing.iter().map(|name| &**name).collect();
                        let lines = self.read(connector, &self.groups, &names).await?;
                        inner.accounts.learn(&mut known, &missing, lines, now);
                    }
                    inner.answer(&mut batch, &users, &known);
                }
            }
        }
        Ok(())
    }

    async fn read(
        &self,
        connector: &Connector,
        statement: &Statement,
        names: &[&str],
    ) -> Result<Lines, SqlError> {
        connector
            .limited(async {
                let parameters: [&(dyn ToSql + Sync); 1] = [&names];
                let rows = self.client.query_raw(statement, parameters).await?;
                let mut rows = std::pin::pin!(rows);
                let mut lines = Lines::default();
                while let Some(row) = rows.try_next().await? {
                    let number = |column| row.try_get(column);
                    lines.push(
                        (number(0)?, number(1)?, number(2)?),
                        [3, 4, 5].map(|column| text(&row, column)),
                    );
                }
                Ok(lines)
            })
            .await
    }
}

/// A text; what isn't UTF-8 (a database without an encoding has such) counts as NULL.
fn text(row: &Row, column: usize) -> Option<&str> {
    row.try_get(column).unwrap_or(None)
}
