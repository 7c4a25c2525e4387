//! The session table: FreeRADIUS's `radacct`, in SQLite.
//!
//! Column names are FreeRADIUS's, so that what reads one reads the other. Times are seconds since 1970, as its
//! SQLite queries write them. One column is ours: `nasidentifier`, without which an Accounting-On of one NAS
//! would close the sessions of all that share its address behind a proxy.
//!
//! Every statement gives the same table when its record comes twice, or after a later one of its session.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, named_params};

use super::{Record, Status};

/// How long another process (an operator's `sqlite3`) may hold the database before a batch fails.
const BUSY: Duration = Duration::from_secs(2);

/// A closed session whose Acct-Session-Id begins anew this long after its end is another session: the NAS has
/// started its count again. Nearer to the end, it is a Start that came late.
const REUSED_AFTER_SECS: i64 = 300;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS radacct (
        radacctid           INTEGER PRIMARY KEY,
        acctsessionid       TEXT NOT NULL DEFAULT '',
        acctuniqueid        TEXT NOT NULL DEFAULT '',
        username            TEXT NOT NULL DEFAULT '',
        realm               TEXT DEFAULT '',
        nasipaddress        TEXT NOT NULL DEFAULT '',
        nasidentifier       TEXT NOT NULL DEFAULT '',
        nasportid           TEXT,
        nasporttype         TEXT,
        acctstarttime       INTEGER,
        acctupdatetime      INTEGER,
        acctstoptime        INTEGER,
        acctinterval        INTEGER,
        acctsessiontime     INTEGER,
        acctauthentic       TEXT,
        connectinfo_start   TEXT,
        connectinfo_stop    TEXT,
        acctinputoctets     INTEGER,
        acctoutputoctets    INTEGER,
        calledstationid     TEXT NOT NULL DEFAULT '',
        callingstationid    TEXT NOT NULL DEFAULT '',
        acctterminatecause  TEXT NOT NULL DEFAULT '',
        servicetype         TEXT,
        framedprotocol      TEXT,
        framedipaddress     TEXT NOT NULL DEFAULT '',
        framedipv6address   TEXT NOT NULL DEFAULT '',
        framedipv6prefix    TEXT NOT NULL DEFAULT '',
        framedinterfaceid   TEXT NOT NULL DEFAULT '',
        delegatedipv6prefix TEXT NOT NULL DEFAULT '',
        class               TEXT
    );
    CREATE UNIQUE INDEX IF NOT EXISTS radacct_unique ON radacct (acctuniqueid);
    CREATE INDEX IF NOT EXISTS radacct_start ON radacct (acctstarttime);
    CREATE INDEX IF NOT EXISTS radacct_open_user ON radacct (username) WHERE acctstoptime IS NULL;
    CREATE INDEX IF NOT EXISTS radacct_open_nas ON radacct (nasipaddress) WHERE acctstoptime IS NULL;
";

/// What every kind of record inserts when it is the first of its session. The rest of each statement says what
/// it changes when it is not.
macro_rules! upsert {
    ($changes:literal) => {
        concat!(
            "INSERT INTO radacct (acctsessionid, acctuniqueid, username, realm, nasipaddress, nasidentifier,
                nasportid, nasporttype, acctstarttime, acctupdatetime, acctstoptime, acctsessiontime,
                acctauthentic, connectinfo_start, connectinfo_stop, acctinputoctets, acctoutputoctets,
                calledstationid, callingstationid, acctterminatecause, servicetype, framedprotocol,
                framedipaddress, framedipv6address, framedipv6prefix, framedinterfaceid,
                delegatedipv6prefix, class)
            VALUES (:session, :unique, :user, :realm, :nas, :identifier,
                :port, :port_type, :at - coalesce(:secs, 0), :at, :stop, coalesce(:secs, 0),
                :authentic, :info_start, :info_stop, coalesce(:input, 0), coalesce(:output, 0),
                :called, :calling, :cause, :service, :protocol,
                :address, :address6, :prefix6, :interface,
                :delegated6, :class)
            ON CONFLICT (acctuniqueid) DO UPDATE SET
                acctinputoctets = max(coalesce(acctinputoctets, 0), excluded.acctinputoctets),
                acctoutputoctets = max(coalesce(acctoutputoctets, 0), excluded.acctoutputoctets),
                acctupdatetime = max(coalesce(acctupdatetime, 0), excluded.acctupdatetime),
                framedipaddress = iif(excluded.framedipaddress = '', framedipaddress, excluded.framedipaddress),
                framedipv6address =
                    iif(excluded.framedipv6address = '', framedipv6address, excluded.framedipv6address),
                framedipv6prefix =
                    iif(excluded.framedipv6prefix = '', framedipv6prefix, excluded.framedipv6prefix),
                delegatedipv6prefix =
                    iif(excluded.delegatedipv6prefix = '', delegatedipv6prefix, excluded.delegatedipv6prefix),
                ",
            $changes
        )
    };
}

/// A Start that comes late knows better than the guess made without it when the session began.
const START: &str = upsert!(
    "acctstarttime = excluded.acctstarttime,
     connectinfo_start = excluded.connectinfo_start"
);

const INTERIM: &str = upsert!(
    "acctinterval = iif(excluded.acctupdatetime > acctupdatetime,
                        excluded.acctupdatetime - acctupdatetime, acctinterval),
     acctsessiontime = max(coalesce(acctsessiontime, 0), excluded.acctsessiontime)"
);

/// The earliest end counts: a repeated Stop is later, and so is the Accounting-On that closed the session for
/// want of it.
const STOP: &str = upsert!(
    "acctstoptime = min(coalesce(acctstoptime, excluded.acctstoptime), excluded.acctstoptime),
     acctsessiontime = coalesce(:secs, excluded.acctstoptime - acctstarttime),
     acctterminatecause = iif(excluded.acctterminatecause = '', acctterminatecause, excluded.acctterminatecause),
     connectinfo_stop = excluded.connectinfo_stop"
);

const SET_ASIDE: &str = "UPDATE radacct SET acctuniqueid = acctuniqueid || '-' || radacctid
    WHERE acctuniqueid = :unique AND acctstoptime < :at - :after";

const CLOSE_ALL: &str = "UPDATE radacct
    SET acctstoptime = :at, acctsessiontime = max(0, :at - acctstarttime), acctterminatecause = 'NAS-Reboot'
    WHERE acctstoptime IS NULL AND nasipaddress = :nas AND acctstarttime <= :at
        AND (:identifier = '' OR nasidentifier = :identifier)";

/// The open database. Used by one thread.
#[derive(Debug)]
pub struct Sessions {
    connection: Connection,
}

impl Sessions {
    /// Opens, or makes, the database.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        keep_private(path)?;
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // FULL: a commit has returned only when the log is on the disk.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.execute_batch(SCHEMA)?;
        connection.set_prepared_statement_cache_capacity(8);
        Ok(Self { connection })
    }

    /// Begins a transaction.
    pub fn begin(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map(Transaction)
    }
}

/// Makes a database that isn't there yet, readable by its owner only: it says who was where and when. SQLite gives the
/// files beside it the same mode.
fn keep_private(path: &Path) -> rusqlite::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(error.to_string()),
        )),
    }
}

/// Several records that become durable together. Dropped without a commit, none does.
#[derive(Debug)]
pub struct Transaction<'c>(rusqlite::Transaction<'c>);

impl Transaction<'_> {
    /// Adds a record.
    pub fn apply(&self, record: &Record) -> rusqlite::Result<()> {
        match record.status {
            Status::Start => {
                let aside = named_params! {
                    ":unique": record.unique_id, ":at": record.at, ":after": REUSED_AFTER_SECS,
                };
                self.0.prepare_cached(SET_ASIDE)?.execute(aside)?;
                self.upsert(START, &Record { session_secs: None, ..record.clone() }, None)
            }
            Status::Interim => self.upsert(INTERIM, record, None),
            Status::Stop => self.upsert(STOP, record, Some(record.at)),
            Status::On | Status::Off => {
                let all = named_params! {
                    ":at": record.at, ":nas": record.nas_address, ":identifier": record.nas_identifier,
                };
                self.0.prepare_cached(CLOSE_ALL)?.execute(all).map(|_| ())
            }
            Status::Other => Ok(()),
        }
    }

    fn upsert(&self, statement: &str, record: &Record, stop: Option<i64>) -> rusqlite::Result<()> {
        let (info_start, info_stop) = match stop {
            None => (record.connect_info.as_str(), ""),
            Some(_) => ("", record.connect_info.as_str()),
        };
        let parameters = named_params! {
            ":session": record.session_id, ":unique": record.unique_id, ":user": record.user_name,
            ":realm": record.realm, ":nas": record.nas_address, ":identifier": record.nas_identifier,
            ":port": record.nas_port, ":port_type": record.nas_port_type, ":at": record.at,
            ":secs": record.session_secs, ":stop": stop, ":authentic": record.authentic,
            ":info_start": info_start, ":info_stop": info_stop,
            ":input": record.input_octets, ":output": record.output_octets,
            ":called": record.called_station, ":calling": record.calling_station,
            ":cause": record.terminate_cause, ":service": record.service_type,
            ":protocol": record.framed_protocol, ":address": record.framed_address,
            ":address6": record.framed_ipv6_address, ":prefix6": record.framed_ipv6_prefix,
            ":interface": record.framed_interface, ":delegated6": record.delegated_ipv6_prefix,
            ":class": record.class,
        };
        self.0.prepare_cached(statement)?.execute(parameters).map(|_| ())
    }

    /// Makes them durable: they are on the disk when this has returned.
    pub fn commit(self) -> rusqlite::Result<()> {
        self.0.commit()
    }
}
