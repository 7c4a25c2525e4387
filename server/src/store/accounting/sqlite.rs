//! `radacct` in embedded SQLite.
//!
//! The columns are FreeRADIUS's own (its schema for SQLite), and so is what is in them: times are seconds since 1970.
//! Of its indices there are those its queries need; each of the others would cost every record.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};

use super::apply::ApplyError;
use super::pools::{Following, SqliteLeases, holder_key, holder_nas};
use super::record::{Record, Status};
use super::statements::{Dialect, Statements};
use crate::store::sql::write_ahead;

/// How long another process (an operator's `sqlite3`) may hold the database before a batch fails.
const BUSY: Duration = Duration::from_secs(2);

/// What accounting needs; `forewarn db init` makes the tables of users beside it.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS radacct (
        radacctid           INTEGER PRIMARY KEY AUTOINCREMENT,
        acctsessionid       varchar(64) NOT NULL default '',
        acctuniqueid        varchar(32) NOT NULL default '',
        username            varchar(64) NOT NULL default '',
        realm               varchar(64) default '',
        nasipaddress        varchar(15) NOT NULL default '',
        nasportid           varchar(32) default NULL,
        nasporttype         varchar(32) default NULL,
        acctstarttime       datetime NULL default NULL,
        acctupdatetime      datetime NULL default NULL,
        acctstoptime        datetime NULL default NULL,
        acctinterval        int(12) default NULL,
        acctsessiontime     int(12) default NULL,
        acctauthentic       varchar(32) default NULL,
        connectinfo_start   varchar(128) default NULL,
        connectinfo_stop    varchar(128) default NULL,
        acctinputoctets     bigint(20) default NULL,
        acctoutputoctets    bigint(20) default NULL,
        calledstationid     varchar(50) NOT NULL default '',
        callingstationid    varchar(50) NOT NULL default '',
        acctterminatecause  varchar(32) NOT NULL default '',
        servicetype         varchar(32) default NULL,
        framedprotocol      varchar(32) default NULL,
        framedipaddress     varchar(15) NOT NULL default '',
        framedipv6address   varchar(45) NOT NULL default '',
        framedipv6prefix    varchar(45) NOT NULL default '',
        framedinterfaceid   varchar(44) NOT NULL default '',
        delegatedipv6prefix varchar(45) NOT NULL default '',
        class               varchar(64) default NULL
    );
    CREATE UNIQUE INDEX IF NOT EXISTS acctuniqueid ON radacct(acctuniqueid);
    CREATE INDEX IF NOT EXISTS username ON radacct(username);
    CREATE INDEX IF NOT EXISTS acctstarttime ON radacct(acctstarttime);
    CREATE INDEX IF NOT EXISTS acctstoptime ON radacct(acctstoptime);
    CREATE INDEX IF NOT EXISTS nasipaddress ON radacct(nasipaddress);
    CREATE TABLE IF NOT EXISTS nasreload (
        nasipaddress        varchar(15) PRIMARY KEY,
        reloadtime          datetime NOT NULL
    );
";

/// The database, open or not.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    class: bool,
    lease: Duration,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    statements: Statements,
    /// Where there is a `radippool`.
    leases: Option<SqliteLeases>,
}

/// What SQLite's errors mean for a batch.
impl From<rusqlite::Error> for ApplyError {
    fn from(error: rusqlite::Error) -> Self {
        let what = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => ApplyError::Full(what),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
                ApplyError::Refused(what)
            }
            _ => ApplyError::Away(what),
        }
    }
}

impl Sqlite {
    /// Opens, or makes, the database at `path`.
    ///
    /// # Errors
    /// It doesn't open.
    pub fn open(path: &Path, class: bool, lease: Duration) -> rusqlite::Result<Self> {
        let open = Open::new(path, class)?;
        Ok(Self { path: path.to_owned(), class, lease, open: Some(open) })
    }

    /// This database in other hands: what is left opens it anew.
    pub fn take(&mut self) -> Self {
        let Self { path, class, lease, open } = self;
        Self { path: path.clone(), class: *class, lease: *lease, open: open.take() }
    }

    /// How messages name it.
    pub fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Writes the records in one transaction; it is on the disk when this has returned. After a failure the database
    /// is opened anew.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub fn apply(&mut self, records: &[Record]) -> Result<(), ApplyError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&self.path, self.class)?,
        };
        open.write(records, i64::try_from(self.lease.as_secs()).unwrap_or(i64::MAX))?;
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn new(path: &Path, class: bool) -> rusqlite::Result<Self> {
        keep_private(path)?;
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        write_ahead(&connection, BUSY)?;
        // FULL: a commit has returned only when the log is on the disk.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.execute_batch(SCHEMA)?;
        connection.set_prepared_statement_cache_capacity(16);
        let has_pools = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'radippool')",
            [],
            |row| row.get::<_, bool>(0),
        )?;
        let leases = has_pools.then(SqliteLeases::default);
        Ok(Self { connection, statements: Statements::new(Dialect::Sqlite, class), leases })
    }

    fn write(&mut self, records: &[Record], lease_secs: i64) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for record in records {
            write(&transaction, &self.statements, record)?;
        }
        if let Some(leases) = &self.leases {
            follow(&transaction, leases, records, lease_secs)?;
        }
        transaction.commit()
    }
}

fn write(connection: &Connection, statements: &Statements, record: &Record) -> rusqlite::Result<()> {
    let changed = match record.status {
        Status::Start => return insert(connection, &statements.start, record),
        Status::Interim => update(connection, &statements.interim, record)?,
        Status::Stop => update(connection, &statements.stop, record)?,
        Status::On | Status::Off => {
            let dialect = Dialect::Sqlite;
            let given = params![dialect.nas(record), record.at, dialect.close_cause(record)];
            connection.prepare_cached(&statements.close)?.execute(given)?;
            return Ok(());
        }
        Status::Other => return Ok(()),
    };
    if changed == 0 {
        return insert(connection, &statements.missing, record);
    }
    Ok(())
}

/// In the order of [`super::statements::INSERT_GIVEN`].
fn insert(connection: &Connection, statement: &str, record: &Record) -> rusqlite::Result<()> {
    let first = Dialect::Sqlite.first(record);
    let given = params![
        record.session_id,
        record.unique_id,
        record.user_name,
        Dialect::Sqlite.nas(record),
        record.nas_port,
        record.nas_port_type,
        first.started,
        record.at,
        first.stopped,
        first.secs,
        record.authentic,
        first.info_start,
        first.info_stop,
        first.input,
        first.output,
        record.called_station,
        record.calling_station,
        first.cause,
        record.service_type,
        record.framed_protocol,
        record.framed_address,
        record.framed_ipv6_address,
        record.framed_ipv6_prefix,
        record.framed_interface,
        record.delegated_ipv6_prefix,
        record.class,
    ];
    connection.prepare_cached(statement)?.execute(given).map(|_| ())
}

/// In the order of [`super::statements::UPDATE_GIVEN`].
fn update(connection: &Connection, statement: &str, record: &Record) -> rusqlite::Result<usize> {
    let given = params![
        record.unique_id,
        record.at,
        record.session_secs,
        record.input_octets,
        record.output_octets,
        record.terminate_cause,
        record.connect_info,
        record.framed_address,
        record.framed_ipv6_address,
        record.framed_ipv6_prefix,
        record.framed_interface,
        record.delegated_ipv6_prefix,
    ];
    connection.prepare_cached(statement)?.execute(given)
}

/// What the records mean for the addresses of pools.
fn follow(
    connection: &Connection,
    leases: &SqliteLeases,
    records: &[Record],
    lease_secs: i64,
) -> rusqlite::Result<()> {
    let Following { closed, kept, freed } = Following::of(records);
    for nas in closed {
        connection.prepare_cached(leases.close)?.execute([nas])?;
    }
    for (statement, records) in [(&leases.keep, kept), (&leases.free, freed)] {
        for record in records.into_iter().filter(|record| !record.framed_address.is_empty()) {
            let given = params![
                holder_nas(record),
                holder_key(record),
                record.framed_address,
                record.user_name,
                record.calling_station,
                lease_secs,
            ];
            connection.prepare_cached(statement)?.execute(given)?;
        }
    }
    Ok(())
}

/// Makes a database that isn't there yet, readable by its owner only: it says who was where and when. SQLite gives the
/// files beside it the same mode.
pub(crate) fn keep_private(path: &Path) -> rusqlite::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(error.to_string()),
        )),
    }
}
