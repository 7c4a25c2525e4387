//! The live sessions: rows of `radacct` without an end.

use std::net::IpAddr;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::accounting::text;
use super::sql::connect::{Connector, SqlError};
use crate::config::sql::Engine;

/// A live session, as its accounting says. Texts that accounting didn't give are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Session {
    /// User-Name, as the database has it.
    pub user: String,
    /// Acct-Session-Id: the NAS's own, which may be another session's on another NAS.
    pub id: String,
    /// What the NAS calls itself.
    pub nas: String,
    /// NAS-Port-Id, else NAS-Port.
    pub port: String,
    /// When it began, seconds since 1970.
    pub started: Option<i64>,
    /// When it was last heard of, seconds since 1970.
    pub updated: Option<i64>,
    /// Octets from the user.
    pub input: i64,
    /// Octets to the user.
    pub output: i64,
    /// Framed-IP-Address, else Framed-IPv6-Address.
    pub address: String,
    /// Calling-Station-Id.
    pub calling_station: String,
}

/// What the sessions have in common; what is absent may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// User-Name.
    pub user: Option<String>,
    /// What the NAS calls itself.
    pub nas: Option<IpAddr>,
    /// Acct-Session-Id.
    pub session: Option<String>,
    /// Calling-Station-Id.
    pub calling_station: Option<String>,
    /// Framed-IP-Address.
    pub framed_address: Option<IpAddr>,
}

/// What differs is in braces: numbers are parameters.
const OPEN: &str =
    "SELECT COALESCE(username, ''), acctsessionid, {nas}, COALESCE(nasportid, ''), {started}, {updated},
        COALESCE(acctinputoctets, 0), COALESCE(acctoutputoctets, 0), {address}, COALESCE(callingstationid, '')
    FROM radacct
    WHERE acctstoptime IS NULL AND ({1} IS NULL OR username = {1}) AND ({2} IS NULL OR {nas} = {2})
        AND ({3} IS NULL OR acctsessionid = {3}) AND ({4} IS NULL OR callingstationid = {4})
        AND ({5} IS NULL OR {framed} = {5})
    ORDER BY acctstarttime, radacctid LIMIT {6}";

fn filled(is_sqlite: bool) -> String {
    let parts = match is_sqlite {
        true => [
            ("{nas}", "nasipaddress"),
            ("{started}", "acctstarttime"),
            ("{updated}", "acctupdatetime"),
            ("{address}", "CASE framedipaddress WHEN '' THEN framedipv6address ELSE framedipaddress END"),
            ("{framed}", "framedipaddress"),
        ],
        false => [
            ("{nas}", "host(nasipaddress)"),
            ("{started}", "EXTRACT(EPOCH FROM acctstarttime)::bigint"),
            ("{updated}", "EXTRACT(EPOCH FROM acctupdatetime)::bigint"),
            ("{address}", "COALESCE(host(framedipaddress), host(framedipv6address), '')"),
            ("{framed}", "host(framedipaddress)"),
        ],
    };
    let text = parts.iter().fold(OPEN.to_owned(), |text, (from, to)| text.replace(from, to));
    (1..=6).fold(text, |text, number| {
        let kind = if number == 6 { "bigint" } else { "text" };
        let parameter = if is_sqlite { format!("?{number}") } else { format!("${number}::{kind}") };
        text.replace(&format!("{{{number}}}"), &parameter)
    })
}

/// The live sessions that match, the oldest first; at most so many. Waits for the disk or the server: not for a thread
/// that serves requests.
///
/// # Errors
/// What the database says, for people.
pub fn find(engine: &Engine, timeout: Duration, filter: &Filter, most: u32) -> Result<Vec<Session>, String> {
    let column = |text: &Option<String>| text.as_deref().map(|text| text::column(text.as_bytes()));
    let shown = |address: Option<IpAddr>| address.map(|address| address.to_string());
    let given = [
        filter.user.as_deref().map(|user| text::user_name(user.as_bytes())),
        shown(filter.nas),
        column(&filter.session),
        column(&filter.calling_station),
        shown(filter.framed_address),
    ];
    match engine {
        Engine::Sqlite { path } => {
            let said =
                |error: rusqlite::Error| format!("the sessions in {} can't be read: {error}", path.display());
            if !path.exists() {
                return Ok(Vec::new());
            }
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags).map_err(said)?;
            connection.busy_timeout(timeout).map_err(said)?;
            in_sqlite(&connection, &given, most).map_err(said)
        }
        Engine::PostgreSql(server) => {
            let connector = Connector::new(server, timeout).map_err(|error| error.to_string())?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            let found = runtime.block_on(in_postgresql(&connector, &given, most));
            found.map_err(|error| format!("the sessions in {} can't be read: {error}", connector.shown()))
        }
    }
}

fn in_sqlite(
    connection: &Connection,
    given: &[Option<String>; 5],
    most: u32,
) -> rusqlite::Result<Vec<Session>> {
    let mut statement = connection.prepare(&filled(true))?;
    let [user, nas, session, calling, framed] = given;
    let rows = statement.query_map((user, nas, session, calling, framed, most), |row| {
        Ok(Session {
            user: row.get(0)?,
            id: row.get(1)?,
            nas: row.get(2)?,
            port: row.get(3)?,
            started: row.get(4)?,
            updated: row.get(5)?,
            input: row.get(6)?,
            output: row.get(7)?,
            address: row.get(8)?,
            calling_station: row.get(9)?,
        })
    })?;
    rows.collect()
}

async fn in_postgresql(
    connector: &Connector,
    given: &[Option<String>; 5],
    most: u32,
) -> Result<Vec<Session>, SqlError> {
    let client = connector.connect("sessions", |_| ()).await?;
    let [user, nas, session, calling, framed] = given;
    let most = i64::from(most);
    let rows = connector
        .limited(async {
            Ok(client.query(&filled(false), &[user, nas, session, calling, framed, &most]).await?)
        })
        .await?;
    let session = |row: &tokio_postgres::Row| Session {
        user: row.get(0),
        id: row.get(1),
        nas: row.get(2),
        port: row.get(3),
        started: row.get(4),
        updated: row.get(5),
        input: row.get(6),
        output: row.get(7),
        address: row.get(8),
        calling_station: row.get(9),
    };
    Ok(rows.iter().map(session).collect())
}
