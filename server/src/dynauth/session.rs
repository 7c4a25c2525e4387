//! Which live sessions an operator means.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, named_params};
use tokio::sync::oneshot;
use tokio_postgres::types::ToSql;

use crate::config::Config;
use crate::config::sql::Engine;
use crate::shared::Shared;
use crate::store::accounting::Settings;
use crate::store::sql::connect::{Connector, SqlError};

/// Sessions that one command may be for.
pub const SESSIONS_MAX: usize = 1000;

/// A live session, as its accounting says. Texts that accounting didn't give are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// User-Name.
    pub user: String,
    /// Acct-Session-Id: the NAS's own, which may be another session's on another NAS.
    pub id: String,
    /// NAS-IP-Address or NAS-IPv6-Address: what the NAS calls itself.
    pub nas_address: String,
    /// Calling-Station-Id.
    pub calling_station: String,
}

/// What the sessions have in common; what is absent may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// User-Name.
    pub user: Option<String>,
    /// Acct-Session-Id.
    pub session: Option<String>,
    /// Calling-Station-Id.
    pub calling_station: Option<String>,
    /// Framed-IP-Address.
    pub framed_address: Option<Ipv4Addr>,
}

impl Filter {
    /// Whether it lets every session through.
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }
}

impl Session {
    /// The address that the NAS calls itself by, if it is one.
    pub fn nas(&self) -> Option<IpAddr> {
        self.nas_address.parse().ok()
    }
}

/// The sessions that have begun and not ended; the parameters are named for SQLite and numbered for PostgreSQL.
macro_rules! open {
    ($nas:literal, $framed:literal, $user:literal, $session:literal, $calling:literal, $address:literal, $limit:literal) => {
        concat!(
            "SELECT coalesce(username, ''), acctsessionid, ",
            $nas,
            ", coalesce(callingstationid, '') FROM radacct
            WHERE acctstoptime IS NULL
                AND (",
            $user,
            " IS NULL OR username = ",
            $user,
            ")
                AND (",
            $session,
            " IS NULL OR acctsessionid = ",
            $session,
            ")
                AND (",
            $calling,
            " IS NULL OR callingstationid = ",
            $calling,
            ")
                AND (",
            $address,
            " IS NULL OR ",
            $framed,
            " = ",
            $address,
            ")
            ORDER BY acctstarttime, radacctid LIMIT ",
            $limit
        )
    };
}

const SQLITE: &str =
    open!("nasipaddress", "framedipaddress", ":user", ":session", ":calling", ":framed", ":limit");
const POSTGRESQL: &str = open!(
    "host(nasipaddress)",
    "host(framedipaddress)",
    "$1::text",
    "$2::text",
    "$3::text",
    "$4::text",
    "$5::bigint"
);

/// The live sessions that match, the oldest first; one more than [`SESSIONS_MAX`] where there are more. They are
/// looked for where accounting keeps them.
///
/// # Errors
/// What the database says, for people.
pub(super) async fn live(shared: &Shared, config: &Config, filter: &Filter) -> Result<Vec<Session>, String> {
    let Settings { engine, timeout, .. } = Settings::of(config, &config.server.state_dir);
    let filter = filter.clone();
    let found = match engine {
        Engine::Sqlite { path } => {
            let looked = tokio::task::spawn_blocking(move || in_sqlite(&path, timeout, &filter));
            looked.await.map_err(|error| error.to_string())
        }
        Engine::PostgreSql(server) => {
            let connector = Connector::new(&server, timeout).map_err(|error| format!("[sql]: {error}"))?;
            let (tell, told) = oneshot::channel();
            shared.stores().spawn(async move {
                // An operator who has gone wants nothing any more.
                let _ = tell.send(in_postgresql(&connector, &filter).await);
            });
            told.await.map_err(|error| error.to_string())
        }
    };
    found?.map_err(|error| format!("the live sessions can't be looked up: {error}"))
}

fn in_sqlite(path: &Path, timeout: Duration, filter: &Filter) -> Result<Vec<Session>, String> {
    let read = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(timeout)?;
        let mut statement = connection.prepare(SQLITE)?;
        let parameters = named_params! {
            ":user": filter.user, ":session": filter.session, ":calling": filter.calling_station,
            ":framed": filter.framed_address.map(|address| address.to_string()),
            ":limit": SESSIONS_MAX as i64 + 1,
        };
        let rows = statement.query_map(parameters, |row| {
            Ok(Session {
                user: row.get(0)?,
                id: row.get(1)?,
                nas_address: row.get(2)?,
                calling_station: row.get(3)?,
            })
        });
        rows?.collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(|error| format!("{}: {error}", path.display()))
}

async fn in_postgresql(connector: &Connector, filter: &Filter) -> Result<Vec<Session>, String> {
    let read = async {
        let client = connector.connect("sessions", |_| {}).await?;
        let framed = filter.framed_address.map(|address| address.to_string());
        let limit = SESSIONS_MAX as i64 + 1;
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&filter.user, &filter.session, &filter.calling_station, &framed, &limit];
        let rows = connector.limited(async { Ok(client.query(POSTGRESQL, &parameters).await?) }).await?;
        let session = |row: &tokio_postgres::Row| {
            Ok(Session {
                user: row.try_get(0)?,
                id: row.try_get(1)?,
                nas_address: row.try_get(2)?,
                calling_station: row.try_get(3)?,
            })
        };
        rows.iter().map(session).collect::<Result<Vec<_>, tokio_postgres::Error>>().map_err(SqlError::from)
    };
    read.await.map_err(|error| format!("{}: {error}", connector.shown()))
}
