//! Which live sessions an operator means.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, named_params};

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

const OPEN: &str = "SELECT username, acctsessionid, nasipaddress, callingstationid FROM radacct
    WHERE acctstoptime IS NULL
        AND (:user IS NULL OR username = :user)
        AND (:session IS NULL OR acctsessionid = :session)
        AND (:calling IS NULL OR callingstationid = :calling)
        AND (:framed IS NULL OR framedipaddress = :framed)
    ORDER BY acctstarttime, radacctid LIMIT :limit";

/// The live sessions that match, the oldest first; one more than [`SESSIONS_MAX`] where there are more. Waits for the
/// disk.
///
/// # Errors
/// What the database says, for people.
pub fn open_sessions(database: &Path, filter: &Filter) -> Result<Vec<Session>, String> {
    let said = |error: rusqlite::Error| {
        format!("the sessions in {} can't be looked up: {error}", database.display())
    };
    if !database.exists() {
        return Ok(Vec::new());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(said)?;
    let mut statement = connection.prepare(OPEN).map_err(said)?;
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
    rows.and_then(Iterator::collect).map_err(said)
}
