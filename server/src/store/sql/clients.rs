//! The table `nas`: clients that a web front end keeps.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use forewarn_wire::RadiusKey;
use ipnet::IpNet;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::UsersError;
use super::connect::{Connector, Link, SqlError};
use crate::config::sql::{Engine, Sql};
use crate::config::{self, Coa, RequireMessageAuthenticator};
use crate::store::Runtime;

/// Rows that are read at most.
const ROWS_MAX: usize = 1_000_000;
/// Bad rows that are said one by one; the rest are counted.
const SAID_MAX: usize = 20;

const READ: &str = "SELECT CAST(id AS text), nasname, shortname, secret FROM nas ORDER BY id LIMIT 1000000";

/// The clients of the database, as they were when it was last read. Dropping it ends the reading.
#[derive(Debug)]
pub struct Clients(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    clients: ArcSwap<Vec<config::Client>>,
    changed: Notify,
}

/// A row: id, nasname, shortname, secret.
type Row = [Zeroizing<String>; 4];

impl Clients {
    /// Begins to read them, now and each `poll`.
    ///
    /// # Errors
    /// See [`UsersError`].
    pub fn start(sql: &Sql, runtime: &Runtime) -> Result<Self, UsersError> {
        let inner = Arc::new(Inner::default());
        let weak = Arc::downgrade(&inner);
        let poll = sql.poll;
        match &sql.engine {
            Engine::Sqlite { path } => {
                let (path, timeout) = (path.clone(), sql.timeout);
                let reader = thread::Builder::new().name("clients".into());
                reader.spawn(move || follow_sqlite(&weak, &path, timeout, poll))?;
            }
            Engine::PostgreSql(server) => {
                let connector = Connector::new(server, sql.timeout)?;
                runtime.spawn(follow_postgresql(weak, connector, poll));
            }
        }
        Ok(Self(inner))
    }

    /// As they were last read; none before the first time.
    pub fn latest(&self) -> Arc<Vec<config::Client>> {
        self.0.clients.load_full()
    }

    /// Returns when they have changed, or aren't read any more. Doesn't keep them.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::clone(&self.0);
        async move { inner.changed.notified().await }
    }
}

/// Reads them once. Waits for the database.
///
/// # Errors
/// What it says, for people.
pub fn read(sql: &Sql) -> Result<Vec<config::Client>, String> {
    let rows = match &sql.engine {
        Engine::Sqlite { path } => read_sqlite(path, sql.timeout).map_err(|error| error.to_string()),
        Engine::PostgreSql(server) => {
            let connector = Connector::new(server, sql.timeout).map_err(|error| error.to_string())?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            runtime.block_on(read_postgresql(&connector, &mut None)).map_err(|error| error.to_string())
        }
    };
    Ok(clients(&rows?))
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.0.changed.notify_one();
    }
}

/// What is remembered between two readings.
#[derive(Default)]
struct Reader {
    rows: Option<Vec<Row>>,
    failed: bool,
}

impl Reader {
    fn take(&mut self, inner: &Inner, read: Result<Vec<Row>, String>) {
        match read {
            Ok(rows) if self.rows.as_ref() == Some(&rows) => self.failed = false,
            Ok(rows) => {
                self.failed = false;
                let clients = clients(&rows);
                tracing::info!("the table nas has {} clients", clients.len());
                self.rows = Some(rows);
                inner.clients.store(Arc::new(clients));
                inner.changed.notify_one();
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::warn!(
                        "the clients of the table nas can't be read: {error}; those read before stay"
                    );
                }
            }
        }
    }
}

async fn follow_postgresql(inner: Weak<Inner>, connector: Connector, poll: Duration) {
    let (mut reader, mut connection) = (Reader::default(), None);
    while let Some(inner) = inner.upgrade() {
        let read = read_postgresql(&connector, &mut connection).await;
        reader.take(&inner, read.map_err(|error| error.to_string()));
        drop(inner);
        tokio::time::sleep(poll).await;
    }
}

async fn read_postgresql(connector: &Connector, connection: &mut Option<Link>) -> Result<Vec<Row>, SqlError> {
    // Back into its place only when it has served.
    let client = match connection.take().filter(|client| !client.is_closed()) {
        Some(client) => client,
        None => connector.connect("clients", drop).await?,
    };
    let rows = connector.limited(async { Ok(client.query(READ, &[]).await?) }).await?;
    let text = |row: &tokio_postgres::Row, column: usize| -> Result<_, SqlError> {
        Ok(Zeroizing::new(row.try_get::<_, Option<String>>(column)?.unwrap_or_default()))
    };
    let row = |row: &tokio_postgres::Row| Ok([text(row, 0)?, text(row, 1)?, text(row, 2)?, text(row, 3)?]);
    let rows = rows.iter().map(row).collect();
    *connection = Some(client);
    rows
}

fn follow_sqlite(inner: &Weak<Inner>, path: &Path, timeout: Duration, poll: Duration) {
    let mut reader = Reader::default();
    while let Some(inner) = inner.upgrade() {
        reader.take(&inner, read_sqlite(path, timeout).map_err(|error| error.to_string()));
        drop(inner);
        thread::sleep(poll);
    }
}

fn read_sqlite(path: &Path, timeout: Duration) -> rusqlite::Result<Vec<Row>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(timeout)?;
    let mut statement = database.prepare(READ)?;
    let text = |row: &rusqlite::Row<'_>, column: usize| -> rusqlite::Result<_> {
        Ok(Zeroizing::new(row.get::<_, Option<String>>(column)?.unwrap_or_default()))
    };
    let row = |row: &rusqlite::Row<'_>| Ok([text(row, 0)?, text(row, 1)?, text(row, 2)?, text(row, 3)?]);
    statement.query_map([], row)?.collect()
}

/// The clients that these rows are; a row that is none is said, and left out.
fn clients(rows: &[Row]) -> Vec<config::Client> {
    let (mut clients, mut bad) = (Vec::with_capacity(rows.len()), 0);
    let (mut names, mut networks) = (BTreeSet::new(), BTreeSet::new());
    for row in rows.iter().take(ROWS_MAX) {
        let made = client(row, &names).and_then(|client| match networks.insert(client.network) {
            true => Ok(client),
            false => Err(format!("an earlier row has {} too", client.network)),
        });
        match made {
            Ok(client) => {
                names.insert(Arc::clone(&client.name));
                clients.push(client);
            }
            Err(error) => {
                bad += 1;
                if bad <= SAID_MAX {
                    tracing::warn!("row {} of the table nas ({:?}) is no client: {error}", *row[0], *row[1]);
                }
            }
        }
    }
    if bad > SAID_MAX {
        tracing::warn!("{} more rows of the table nas are no clients", bad - SAID_MAX);
    }
    clients
}

fn client(row: &Row, names: &BTreeSet<Arc<str>>) -> Result<config::Client, String> {
    let [_, nasname, shortname, secret] = row;
    let network = network(nasname.trim())?;
    let key = RadiusKey::new(secret.as_bytes()).map_err(|_| "its secret is empty".to_owned())?;
    let name = if shortname.trim().is_empty() { nasname.trim() } else { shortname.trim() };
    let name = if names.contains(name) { format!("{name} ({network})") } else { name.to_owned() };
    // The table can't say it. What is known of one device can be learnt; of a network it can't.
    let message_authenticator = match network.prefix_len() == network.max_prefix_len() {
        true => RequireMessageAuthenticator::Auto,
        false => RequireMessageAuthenticator::Yes,
    };
    Ok(config::Client {
        name: name.into(),
        network,
        key,
        group: "".into(),
        message_authenticator,
        limit_proxy_state: false,
        without_agent: Default::default(),
        notice_keys: Vec::new(),
        coa: Coa::default(),
    })
}

/// An address, or a prefix.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let network = address.or_else(|_| text.parse::<IpNet>().map(|network| network.trunc()));
    network.map_err(|_| {
        "its nasname is neither an address nor a prefix; names of hosts aren't looked up, since a client is known by where it calls from".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(texts: [&str; 4]) -> Row {
        texts.map(|text| Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn rows_that_are_clients_become_some() {
        let rows = [
            row(["1", "192.0.2.1", "ap", "secret"]),
            row(["2", "198.51.100.0/24", "ap", "secret"]),
            row(["3", "2001:db8::1", "", "secret"]),
            row(["4", "ap.example.org", "by name", "secret"]),
            row(["5", "192.0.2.5", "no secret", ""]),
            row(["6", "192.0.2.1", "again", "secret"]),
        ];
        let clients = clients(&rows);
        let shown: Vec<_> = clients
            .iter()
            .map(|client| (&*client.name, client.network.to_string(), client.message_authenticator))
            .collect();
        assert_eq!(
            shown,
            [
                ("ap", "192.0.2.1/32".to_owned(), RequireMessageAuthenticator::Auto),
                ("ap (198.51.100.0/24)", "198.51.100.0/24".to_owned(), RequireMessageAuthenticator::Yes),
                ("2001:db8::1", "2001:db8::1/128".to_owned(), RequireMessageAuthenticator::Auto),
            ]
        );
    }
}
