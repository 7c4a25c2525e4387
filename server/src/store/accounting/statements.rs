//! The statements of `radacct`: one text of each, for both engines.
//!
//! They leave what FreeRADIUS's own queries for the same engine leave (its `queries.conf`). Where those differ between
//! the engines, the text has a marker in braces. FreeRADIUS tries one query after the other until one changes a row:
//! what its second and third query of a kind add up to is in one statement here.
//!
//! Every statement reads its values from `given`, which is one row or many: with PostgreSQL the arrays of a batch, so
//! that a thousand records are three statements and a commit.

use super::record::{Record, Status};

/// How an engine writes what differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL: `timestamp with time zone`, `inet`, and NULL for what a request doesn't say.
    PostgreSql,
    /// SQLite: seconds since 1970, text, and the empty text for what a request doesn't say.
    Sqlite,
}

/// A parameter: its name in `given`, and its PostgreSQL type.
type Parameter = (&'static str, &'static str);

/// What `INSERT` reads, in this order.
pub const INSERT_GIVEN: &[Parameter] = &[
    ("session_id", "text"),
    ("unique_id", "text"),
    ("user_name", "text"),
    ("nas", "text"),
    ("port", "text"),
    ("port_type", "text"),
    ("started", "bigint"),
    ("updated", "bigint"),
    ("stopped", "bigint"),
    ("secs", "bigint"),
    ("authentic", "text"),
    ("info_start", "text"),
    ("info_stop", "text"),
    ("input", "bigint"),
    ("output", "bigint"),
    ("called", "text"),
    ("calling", "text"),
    ("cause", "text"),
    ("service", "text"),
    ("protocol", "text"),
    ("address", "text"),
    ("address6", "text"),
    ("prefix6", "text"),
    ("interface", "text"),
    ("delegated6", "text"),
    ("class", "text"),
];

/// What `INTERIM` and `STOP` read, in this order.
pub const UPDATE_GIVEN: &[Parameter] = &[
    ("unique_id", "text"),
    ("at", "bigint"),
    ("secs", "bigint"),
    ("input", "bigint"),
    ("output", "bigint"),
    ("cause", "text"),
    ("info", "text"),
    ("address", "text"),
    ("address6", "text"),
    ("prefix6", "text"),
    ("interface", "text"),
    ("delegated6", "text"),
];

/// What `CLOSE` reads.
pub const CLOSE_GIVEN: &[Parameter] = &[("nas", "text"), ("at", "bigint"), ("cause", "text")];

/// The session's first record makes its row.
const INSERT: &str =
    "INSERT INTO radacct (acctsessionid, acctuniqueid, username, realm, nasipaddress, nasportid,
        nasporttype, acctstarttime, acctupdatetime, acctstoptime, acctsessiontime, acctauthentic,
        connectinfo_start, connectinfo_stop, acctinputoctets, acctoutputoctets, calledstationid,
        callingstationid, acctterminatecause, servicetype, framedprotocol, framedipaddress,
        framedipv6address, framedipv6prefix, framedinterfaceid, delegatedipv6prefix{class column})
    SELECT session_id, unique_id, {text:user_name}, {nothing}, {inet:nas}, {optional:port},
        {text:port_type}, {time:started}, {time:updated}, {time:stopped}, secs, {text:authentic},
        info_start, info_stop, input, output, {text:called},
        {text:calling}, cause, {text:service}, {text:protocol}, {optional inet:address},
        {optional inet:address6}, {optional inet:prefix6}, {optional:interface},
        {optional inet:delegated6}{class}
    FROM {given}
    WHERE true {unless there}
    ON CONFLICT (acctuniqueid) ";

/// A Start knows better than the guess made without it, also after the Stop.
const ON_START: &str = "DO UPDATE SET acctstarttime = excluded.acctstarttime,
    acctupdatetime = excluded.acctupdatetime, connectinfo_start = excluded.connectinfo_start";

/// An Interim-Update or a Stop without a Start, unless somebody was faster.
const ON_OTHERS: &str = "DO NOTHING";

/// So that a row that is there costs no number of the sequence.
const UNLESS_THERE: &str =
    "AND NOT EXISTS (SELECT 1 FROM radacct AS there WHERE there.acctuniqueid = given.unique_id)";

/// The session goes on. A record that comes twice leaves the interval as it was: FreeRADIUS's would become 0.
const INTERIM: &str = "UPDATE radacct SET
        framedipaddress = {optional inet:address}, framedipv6address = {optional inet:address6},
        framedipv6prefix = {optional inet:prefix6}, framedinterfaceid = {optional:interface},
        delegatedipv6prefix = {optional inet:delegated6}, acctsessiontime = secs,
        acctinterval = {interval}, acctupdatetime = {time:at}, acctinputoctets = input,
        acctoutputoctets = output
    FROM {given}
    WHERE acctuniqueid = unique_id {while open}";

/// The session is over, or was over and the Stop comes again.
const STOP: &str = "UPDATE radacct SET
        acctstoptime = {time:at}, acctsessiontime = {length}, acctinputoctets = input,
        acctoutputoctets = output, acctterminatecause = {text:cause}, connectinfo_stop = {text:info}{stop too}
    FROM {given}
    WHERE acctuniqueid = unique_id";

/// The NAS was started or stops: what it has open is over.
const CLOSE: &str = "UPDATE radacct SET acctstoptime = {time:at}, acctsessiontime = {age},
        acctterminatecause = cause{close too}
    FROM {given}
    WHERE acctstoptime IS NULL AND nasipaddress = {inet:nas} AND acctstarttime <= {time:at}";

/// The statements of one engine.
#[derive(Debug)]
pub struct Statements {
    /// A Start: reads [`INSERT_GIVEN`].
    pub start: String,
    /// Whatever of an Interim-Update or a Stop has no row yet: reads [`INSERT_GIVEN`].
    pub missing: String,
    /// Reads [`UPDATE_GIVEN`].
    pub interim: String,
    /// Reads [`UPDATE_GIVEN`].
    pub stop: String,
    /// Accounting-On and -Off: reads [`CLOSE_GIVEN`].
    pub close: String,
}

impl Statements {
    /// Those of `dialect`; `class`: Class is written too, as FreeRADIUS does with its `class` section filled in.
    pub fn new(dialect: Dialect, class: bool) -> Self {
        let fill = |text: &str, given: &[Parameter]| filled(text, dialect, class, given);
        let insert = |rest: &str, unless_there: &str| {
            fill(&format!("{INSERT}{rest}").replace("{unless there}", unless_there), INSERT_GIVEN)
        };
        Self {
            start: insert(ON_START, ""),
            missing: insert(ON_OTHERS, UNLESS_THERE),
            interim: fill(INTERIM, UPDATE_GIVEN),
            stop: fill(STOP, UPDATE_GIVEN),
            close: fill(CLOSE, CLOSE_GIVEN),
        }
    }
}

/// The text with its markers replaced.
fn filled(text: &str, dialect: Dialect, class: bool, given: &[Parameter]) -> String {
    let mut filled = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (marker, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(&dialect.write(marker, class, given));
        rest = after;
    }
    filled + rest
}

impl Dialect {
    fn write(self, marker: &str, class: bool, given: &[Parameter]) -> String {
        use Dialect::{PostgreSql, Sqlite};

        if let Some((kind, name)) = marker.split_once(':') {
            return match (self, kind) {
                (PostgreSql, "time") => format!("to_timestamp({name})"),
                (PostgreSql, "text") => format!("COALESCE({name}, '')"),
                (PostgreSql, "inet") => format!("{name}::inet"),
                (PostgreSql, "optional") => format!("NULLIF({name}, '')"),
                (PostgreSql, "optional inet") => format!("NULLIF({name}, '')::inet"),
                _ => name.to_owned(),
            };
        }
        match (self, marker) {
            (PostgreSql, "given") => {
                let arrays = given.iter().enumerate();
                let arrays: Vec<_> =
                    arrays.map(|(number, (_, kind))| format!("${}::{kind}[]", number + 1)).collect();
                let names: Vec<_> = given.iter().map(|(name, _)| *name).collect();
                format!("unnest({}) AS given({})", arrays.join(", "), names.join(", "))
            }
            (Sqlite, "given") => {
                let names = given.iter().enumerate();
                let names: Vec<_> =
                    names.map(|(number, (name, _))| format!("?{} AS {name}", number + 1)).collect();
                format!("(SELECT {}) AS given", names.join(", "))
            }
            (_, "class column") if class => ", class".to_owned(),
            (_, "class") if class => format!(", {}", self.write("text:class", class, given)),
            (PostgreSql, "nothing") => "NULL".to_owned(),
            (Sqlite, "nothing") => "''".to_owned(),
            // In other words than the partial indexes': they would be read whole for one batch while the planner knows
            // a small table. The unique index is looked into, row by row.
            (PostgreSql, "while open") => "AND COALESCE(acctstoptime, 'infinity') = 'infinity'".to_owned(),
            (PostgreSql, "interval") => "CASE WHEN acctupdatetime = to_timestamp(at)
                AND acctsessiontime IS NOT DISTINCT FROM secs AND acctinputoctets = input
                AND acctoutputoctets = output
                THEN acctinterval
                ELSE at - EXTRACT(EPOCH FROM COALESCE(acctupdatetime, acctstarttime)) END"
                .to_owned(),
            (Sqlite, "interval") => "0".to_owned(),
            (PostgreSql, "length") => "COALESCE(secs, at - EXTRACT(EPOCH FROM acctstarttime))".to_owned(),
            (Sqlite, "length") => "secs".to_owned(),
            (PostgreSql, "age") => "at - EXTRACT(EPOCH FROM acctstarttime)".to_owned(),
            (Sqlite, "age") => "at - acctstarttime".to_owned(),
            (PostgreSql, "stop too") => filled(
                ", acctupdatetime = {time:at}, framedipaddress = {optional inet:address},
                framedipv6address = {optional inet:address6}, framedipv6prefix = {optional inet:prefix6},
                framedinterfaceid = {optional:interface},
                delegatedipv6prefix = {optional inet:delegated6}",
                self,
                class,
                given,
            ),
            (PostgreSql, "close too") => ", acctupdatetime = to_timestamp(at)".to_owned(),
            _ => String::new(),
        }
    }

    /// The address that names the NAS in its column: FreeRADIUS's queries for SQLite only know IPv4.
    pub fn nas(self, record: &Record) -> String {
        match self {
            Dialect::PostgreSql => record.nas_address.map(|address| address.to_string()).unwrap_or_default(),
            Dialect::Sqlite => record.nas_address_v4.map(|address| address.to_string()).unwrap_or_default(),
        }
    }

    /// Why an Accounting-On or -Off ends its sessions.
    pub fn close_cause(self, record: &Record) -> &str {
        match self {
            Dialect::PostgreSql if record.terminate_cause.is_empty() => "NAS-Reboot",
            _ => &record.terminate_cause,
        }
    }

    /// What a row has that this record makes, besides what the record itself says.
    pub fn first(self, record: &Record) -> First<'_> {
        use Dialect::{PostgreSql, Sqlite};

        let nothing = match self {
            PostgreSql => None,
            Sqlite => Some(""),
        };
        let at = record.at;
        let length = record.session_secs.unwrap_or(0);
        let info = record.connect_info.as_str();
        let first = First {
            started: at,
            stopped: None,
            secs: record.session_secs,
            info_start: info,
            info_stop: nothing,
            cause: nothing,
            input: record.input_octets,
            output: record.output_octets,
        };
        match (self, record.status) {
            (_, Status::Start) => First { secs: Some(0), input: 0, output: 0, ..first },
            (PostgreSql, Status::Stop) => First {
                started: at - length,
                stopped: Some(at),
                cause: Some(&record.terminate_cause),
                ..first
            },
            (Sqlite, Status::Stop) => First {
                started: at - length,
                stopped: Some(at),
                cause: Some(&record.terminate_cause),
                info_start: "",
                info_stop: Some(info),
                ..first
            },
            (PostgreSql, _) => first,
            (Sqlite, _) => First { started: at - length, ..first },
        }
    }
}

/// See [`Dialect::first`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First<'r> {
    /// acctstarttime, seconds since 1970.
    pub started: i64,
    /// acctstoptime.
    pub stopped: Option<i64>,
    /// acctsessiontime.
    pub secs: Option<i64>,
    /// connectinfo_start.
    pub info_start: &'r str,
    /// connectinfo_stop.
    pub info_stop: Option<&'r str>,
    /// acctterminatecause.
    pub cause: Option<&'r str>,
    /// acctinputoctets.
    pub input: i64,
    /// acctoutputoctets.
    pub output: i64,
}
