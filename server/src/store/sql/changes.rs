//! Learning that users have changed in the database, before what is in memory has had its time.
//!
//! PostgreSQL says so itself where `forewarn db init --notify` was run (NOTIFY, with the user's name), on a connection
//! that does nothing else. Behind that its own statistics are looked at each `poll`: how many rows of the users' tables
//! were ever inserted, updated or deleted. That costs microseconds whatever the tables hold, and needs no trigger; it
//! doesn't say which user it was, so everybody is asked for anew.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forewarn_shell::clock;
use tokio::sync::Notify;
use tokio_postgres::Client;

use super::connect::{Backoff, Connector, Link, SqlError};
use super::{Inner, notice_channel};

/// Names that may wait to be forgotten; more, and everything is.
const HEARD_MAX: usize = 4096;

/// Of the users' tables: how often they were written to, and which files they are, which TRUNCATE changes.
const MARK: &str = "\
SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint, coalesce(sum(pg_relation_filenode(relid)::bigint), 0)::bigint
  FROM pg_stat_all_tables
 WHERE relid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)";
const TABLES: [&str; 5] = ["radcheck", "radreply", "radusergroup", "radgroupcheck", "radgroupreply"];

/// What was heard and not acted on yet.
#[derive(Debug, Default)]
struct Heard {
    names: Mutex<VecDeque<String>>,
    arrival: Notify,
}

/// Listens and looks until the users aren't looked up any more.
pub(super) async fn serve(inner: Arc<Inner>, connector: Connector, poll: Duration) {
    let mut backoff = Backoff::default();
    let mut is_first = true;
    while !inner.queue.is_closed() {
        let heard = Arc::new(Heard::default());
        let ended = match listen(&connector, &heard).await {
            Err(error) => error,
            Ok(client) => {
                backoff.reset();
                // What was said while nobody listened is lost.
                if !std::mem::take(&mut is_first) {
                    inner.changed(None);
                }
                match watch(&inner, &connector, &client, &heard, poll).await {
                    Err(error) => error,
                    Ok(()) => return,
                }
            }
        };
        tracing::debug!("changes of users aren't heard of at present: {ended}");
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

async fn listen(connector: &Connector, heard: &Arc<Heard>) -> Result<Link, SqlError> {
    let hearing = Arc::clone(heard);
    let client =
        connector.connect("changes", move |notification| hearing.hear(notification.payload())).await?;
    let listen = format!("LISTEN {}", notice_channel());
    connector.limited(async { Ok(client.batch_execute(&listen).await?) }).await?;
    Ok(client)
}

async fn watch(
    inner: &Inner,
    connector: &Connector,
    client: &Client,
    heard: &Heard,
    poll: Duration,
) -> Result<(), SqlError> {
    let mut seen = mark(connector, client).await?;
    // A change is told at once, and in the statistics a little later: in this interval, or the next.
    let (mut told, mut told_before) = (false, false);
    let mut due = clock::now() + poll;
    while !inner.queue.is_closed() {
        tokio::select! {
            () = heard.arrival.notified() => {
                told = true;
                heard.take().into_iter().for_each(|name| inner.changed(Some(&name)));
            }
            () = clock::sleep_until(due) => {
                due = clock::now() + poll;
                let now = mark(connector, client).await?;
                if now != seen && !told && !told_before {
                    inner.changed(None);
                }
                seen = now;
                told_before = std::mem::take(&mut told);
            }
        }
    }
    Ok(())
}

async fn mark(connector: &Connector, client: &Client) -> Result<(i64, i64), SqlError> {
    connector
        .limited(async {
            let row = client.query_one(MARK, &[&&TABLES[..]]).await?;
            Ok((row.try_get(0)?, row.try_get(1)?))
        })
        .await
}

impl Heard {
    fn hear(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= HEARD_MAX {
            names.clear();
            names.push_back(String::new());
        } else {
            names.push_back(name.to_owned());
        }
        drop(names);
        self.arrival.notify_one();
    }

    fn take(&self) -> VecDeque<String> {
        std::mem::take(&mut *self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
