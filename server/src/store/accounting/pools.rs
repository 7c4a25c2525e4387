//! Addresses of `radippool`: handed out at an Access-Accept, kept by Start and Interim-Update, given back by Stop,
//! Accounting-On and -Off.
//!
//! The table and what happens to its rows are FreeRADIUS's `sqlippool`'s. An address is held by NAS and `pool_key`:
//! the NAS-Port, and where a NAS sends none the Calling-Station-Id; FreeRADIUS would give everybody on such a NAS the
//! same address.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use tokio_postgres::{Client, Statement};

use super::record::{Record, Status};
use super::statements::Dialect;
use crate::store::sql::connect::SqlError;

/// How often an empty pool table is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The address that this NAS and key had last, whoever has it now.
const EXISTING: &str = "UPDATE radippool SET {holder}
    WHERE id = (SELECT id FROM radippool
        WHERE pool_name = {1} AND nasipaddress = {2} AND pool_key = {3}
        ORDER BY expiry_time DESC LIMIT 1 {lock})
    RETURNING {address}";

/// The one that has been free for longest.
const FIND: &str = "UPDATE radippool SET {holder}
    WHERE id = (SELECT id FROM radippool
        WHERE pool_name = {1} AND expiry_time < {now}
        ORDER BY expiry_time LIMIT 1 {lock})
    RETURNING {address}";

/// Whether there is such a pool at all.
const KNOWN: &str = "SELECT EXISTS (SELECT 1 FROM radippool WHERE pool_name = {1})";

const HOLDER: &str = "nasipaddress = {2}, pool_key = {3}, callingstationid = {4}, username = {5},
    expiry_time = {later:6}";

/// The statements of one engine, with its own parameters. Those that hand out take: pool, NAS, key, calling station,
/// user, and the length of the lease in seconds.
#[derive(Debug)]
pub struct PoolStatements {
    /// Its text is `EXISTING`.
    pub existing: String,
    /// Its text is `FIND`.
    pub find: String,
    /// Its text is `KNOWN`.
    pub known: String,
}

impl PoolStatements {
    /// Those of `dialect`.
    pub fn new(dialect: Dialect) -> Self {
        let fill = |text: &str| fill(&text.replace("{holder}", HOLDER), dialect);
        Self { existing: fill(EXISTING), find: fill(FIND), known: fill(KNOWN) }
    }
}

fn fill(text: &str, dialect: Dialect) -> String {
    let (mark, now, later, lock, address) = match dialect {
        Dialect::PostgreSql => (
            '$',
            "LOCALTIMESTAMP(0)",
            "LOCALTIMESTAMP(0) + make_interval(secs => $6)",
            "FOR UPDATE SKIP LOCKED",
            "host(framedipaddress)",
        ),
        Dialect::Sqlite => {
            ('?', "datetime('now')", "datetime('now', ?6 || ' seconds')", "", "framedipaddress")
        }
    };
    let mut text = text
        .replace("{now}", now)
        .replace("{later:6}", later)
        .replace("{lock}", lock)
        .replace("{address}", address);
    for number in 1..=5 {
        text = text.replace(&format!("{{{number}}}"), &format!("{mark}{number}"));
    }
    text
}

/// What a batch of records means for the addresses its sessions hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Following<'r> {
    /// NASes whose addresses are all given back, first.
    pub closed: Vec<String>,
    /// Sessions that go on: their lease begins anew.
    pub kept: Vec<&'r Record>,
    /// Sessions that are over.
    pub freed: Vec<&'r Record>,
}

/// The NAS as a pool's rows name it.
pub fn holder_nas(record: &Record) -> String {
    let address = record.nas_address_v4.map(IpAddr::V4).or(record.nas_address);
    address.map(|address| address.to_string()).unwrap_or_default()
}

/// What a pool's rows name the session by.
pub fn holder_key(record: &Record) -> &str {
    if record.pool_key.is_empty() { &record.calling_station } else { &record.pool_key }
}

impl<'r> Following<'r> {
    /// The last word of a batch about each NAS and key.
    pub fn of(records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut closed = HashSet::new();
        let mut last: HashMap<(String, &str), &'r Record> = HashMap::new();
        for record in records {
            let nas = holder_nas(record);
            match record.status {
                Status::On | Status::Off => {
                    last.retain(|(other, _), _| *other != nas);
                    closed.insert(nas);
                }
                Status::Start | Status::Interim | Status::Stop => {
                    last.insert((nas, holder_key(record)), record);
                }
                Status::Other => {}
            }
        }
        let mut closed: Vec<_> = closed.into_iter().collect();
        closed.sort_unstable();
        let mut last: Vec<_> = last.into_values().collect();
        last.sort_unstable_by(|a, b| a.unique_id.cmp(&b.unique_id));
        let (freed, kept) = last.into_iter().partition(|record| record.status == Status::Stop);
        Self { closed, kept, freed }
    }
}

const LOOK: &str = "SELECT EXISTS (SELECT 1 FROM radippool)";

/// `radippool` in PostgreSQL, as accounting sees it.
#[derive(Debug)]
pub struct Leases {
    keep: Statement,
    free: Statement,
    close: Statement,
    look: Statement,
    secs: f64,
    /// When the table is looked at for rows; `None`: it has some.
    look_at: Mutex<Option<Instant>>,
}

impl Leases {
    /// `None`: there is no such table.
    ///
    /// # Errors
    /// The database doesn't answer.
    pub async fn prepare(client: &Client, lease: Duration) -> Result<Option<Self>, SqlError> {
        let there = client.query_one("SELECT to_regclass('radippool') IS NOT NULL", &[]).await?;
        if !there.get::<_, bool>(0) {
            return Ok(None);
        }
        let given = "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[])
            AS given(nas, key, held, user_name, calling, start)
            WHERE nasipaddress = nas AND pool_key = key AND (start OR (framedipaddress = NULLIF(held, '')::inet
                AND username = user_name AND callingstationid = calling))";
        let past = "LOCALTIMESTAMP(0) - interval '1 second'";
        let set = "UPDATE radippool SET expiry_time =";
        let keep = format!("{set} LOCALTIMESTAMP(0) + make_interval(secs => $7) {given}");
        let close = format!("{set} {past} WHERE nasipaddress = ANY($1)");
        Ok(Some(Self {
            keep: client.prepare(&keep).await?,
            free: client.prepare(&format!("{set} {past} {given}")).await?,
            close: client.prepare(&close).await?,
            look: client.prepare(LOOK).await?,
            secs: lease.as_secs_f64(),
            look_at: Mutex::new(Some(Instant::ZERO)),
        }))
    }

    /// Within the transaction of the records.
    ///
    /// # Errors
    /// The database's.
    pub async fn follow(&self, client: &Client, records: &[&Record]) -> Result<(), SqlError> {
        if !self.in_use(client).await? {
            return Ok(());
        }
        let Following { closed, kept, freed } = Following::of(records.iter().copied());
        if !closed.is_empty() {
            client.execute(&self.close, &[&closed]).await?;
        }
        for (statement, records) in [(&self.keep, kept), (&self.free, freed)] {
            if records.is_empty() {
                continue;
            }
            let nas: Vec<_> = records.iter().map(|record| holder_nas(record)).collect();
            let text = |of: fn(&Record) -> &str| records.iter().map(|record| of(record)).collect::<Vec<_>>();
            let (keys, held) = (text(holder_key), text(|record| &record.framed_address));
            let (users, calling) = (text(|record| &record.user_name), text(|record| &record.calling_station));
            let starts: Vec<_> = records.iter().map(|record| record.status == Status::Start).collect();
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
                [&nas, &keys, &held, &users, &calling, &starts, &self.secs];
            let count = statement.params().len();
            client.execute(statement, &parameters[..count]).await?;
        }
        Ok(())
    }

    /// Whether any pool has an address: looked at now and then, until one has.
    ///
    /// # Errors
    /// The database's.
    pub async fn in_use(&self, client: &Client) -> Result<bool, SqlError> {
        let look_at = *self.look_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(look_at) = look_at else { return Ok(true) };
        let now = clock::now();
        if now < look_at {
            return Ok(false);
        }
        let found: bool = client.query_one(&self.look, &[]).await?.get(0);
        let next = if found { None } else { Some(now + LOOK_EVERY) };
        *self.look_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = next;
        Ok(found)
    }
}

/// The same in SQLite: one record at a time, each statement with the parameters NAS, key, address, user, calling
/// station, and the length of the lease in seconds. The first is for a Start.
#[derive(Debug)]
pub struct SqliteLeases {
    /// A session goes on.
    pub keep: String,
    /// A session is over.
    pub free: String,
    /// A NAS's sessions are over: only the NAS is given.
    pub close: &'static str,
}

impl Default for SqliteLeases {
    fn default() -> Self {
        let rows = "WHERE nasipaddress = ?1 AND pool_key = ?2 AND framedipaddress = ?3 AND username = ?4
            AND callingstationid = ?5";
        Self {
            keep: format!("UPDATE radippool SET expiry_time = datetime('now', ?6 || ' seconds') {rows}"),
            free: format!("UPDATE radippool SET expiry_time = datetime('now') {rows} AND ?6 IS NOT NULL"),
            close: "UPDATE radippool SET expiry_time = datetime('now') WHERE nasipaddress = ?1",
        }
    }
}
