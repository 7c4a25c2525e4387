use std::net::IpAddr;
use std::path::Path;

use forewarn_wire::{Code, MessageAuthenticatorRule, Packet, number};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

use super::*;
use crate::process::mailbox::{Finding, Mailbox, Ticket, Unstored};
use crate::testing::{self, Ask};
use forewarn_shell::spool;

/// 2024-01-01, when the requests of these tests are received.
const RECEIVED: i64 = 1_704_067_200;

const START: u32 = 1;
const STOP: u32 = 2;
const INTERIM: u32 = 3;
const ON: u32 = 7;
const OFF: u32 = 8;

fn kept(ask: &Ask<'_>) -> Kept {
    let octets = ask.octets();
    let packet = Packet::parse(&octets).unwrap();
    let mut kept = Kept::new();
    kept.store(&packet.verify_request(&testing::key(), MessageAuthenticatorRule::Required).unwrap());
    kept
}

fn source() -> IpAddr {
    testing::source().ip()
}

fn record_at(secs: i64, ask: &Ask<'_>) -> Record {
    let received = Utc::from_millis((RECEIVED + secs) as u64 * 1000);
    Record::new(&kept(ask).packet().unwrap(), source(), received).unwrap()
}

/// A database with these records, each written when it was received: seconds after [`RECEIVED`].
fn written(records: &[(i64, Ask<'_>)]) -> (TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SQLITE_FILE);
    let mut database = Sqlite::open(&path, true, Duration::from_secs(60)).unwrap();
    let records: Vec<_> = records.iter().map(|(secs, ask)| record_at(*secs, ask)).collect();
    database.apply(&records).unwrap();
    let connection = Connection::open(&path).unwrap();
    (folder, connection)
}

/// What one row says: times as seconds after [`RECEIVED`].
#[derive(Debug, PartialEq, Eq)]
struct Row {
    start: Option<i64>,
    update: Option<i64>,
    stop: Option<i64>,
    secs: Option<i64>,
    input: Option<i64>,
    output: Option<i64>,
    cause: String,
}

fn rows(connection: &Connection) -> Vec<Row> {
    let sql = "SELECT acctstarttime - ?1, acctupdatetime - ?1, acctstoptime - ?1, acctsessiontime,
        acctinputoctets, acctoutputoctets, acctterminatecause FROM radacct ORDER BY radacctid";
    let mut statement = connection.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            start: row.get(0)?,
            update: row.get(1)?,
            stop: row.get(2)?,
            secs: row.get(3)?,
            input: row.get(4)?,
            output: row.get(5)?,
            cause: row.get(6)?,
        })
    };
    statement.query_map([RECEIVED], row).unwrap().map(Result::unwrap).collect()
}

/// Session-Time, octets in and out.
fn usage(secs: u32, input: u32, output: u32) -> Vec<(u8, Vec<u8>)> {
    vec![
        (number::ACCT_SESSION_TIME, secs.to_be_bytes().to_vec()),
        (number::ACCT_INPUT_OCTETS, input.to_be_bytes().to_vec()),
        (number::ACCT_OUTPUT_OCTETS, output.to_be_bytes().to_vec()),
    ]
}

fn ask(status: u32, session: &str, more: Vec<(u8, Vec<u8>)>) -> Ask<'static> {
    let mut ask = Ask::accounting(status, session, &[]);
    ask.attributes.extend(more);
    ask
}

/// One session in four records: begun at 0, told of at 60 and 120, ended at 150.
fn session() -> Vec<(i64, Ask<'static>)> {
    let stop = ask(STOP, "s-1", usage(150, 300, 3000)).with(number::ACCT_TERMINATE_CAUSE, &[0, 0, 0, 1]);
    vec![
        (0, ask(START, "s-1", vec![])),
        (60, ask(INTERIM, "s-1", usage(60, 100, 1000))),
        (120, ask(INTERIM, "s-1", usage(120, 200, 2000))),
        (150, stop),
    ]
}

fn ended() -> Row {
    Row {
        start: Some(0),
        update: Some(150),
        stop: Some(150),
        secs: Some(150),
        input: Some(300),
        output: Some(3000),
        cause: "User-Request".into(),
    }
}

#[test]
fn a_session_is_one_row_however_often_its_records_come() {
    let records = session();
    // In SQLite, FreeRADIUS's Stop leaves the time of the last update alone.
    let ended = || Row { update: Some(120), ..ended() };
    let orders: &[&[usize]] = &[&[0, 1, 2, 3], &[0, 0, 1, 1, 2, 2, 3, 3], &[0, 1, 1, 2, 3, 3, 3]];
    for order in orders {
        let (_folder, connection) = written(&order.iter().map(|at| records[*at].clone()).collect::<Vec<_>>());
        assert_eq!(rows(&connection), [ended()], "{order:?}");
    }
}

#[test]
fn a_start_that_comes_after_the_stop_says_when_it_began() {
    let records = session();
    let (_folder, connection) = written(&[records[3].clone(), (1, records[0].1.clone())]);
    assert_eq!(rows(&connection), [Row { start: Some(1), update: Some(1), ..ended() }]);
}

#[test]
fn a_session_whose_start_was_lost_is_reckoned_from_its_length() {
    let records = session();
    let (_folder, connection) = written(&records[1..2]);
    let row = &rows(&connection)[0];
    assert_eq!((row.start, row.update, row.stop, row.input), (Some(0), Some(60), None, Some(100)));
    let (_folder, connection) = written(&records[3..]);
    assert_eq!(rows(&connection), [ended()]);
}

#[test]
fn a_record_without_a_length_leaves_none() {
    let (_folder, connection) = written(&[(0, ask(START, "s-1", vec![])), (90, ask(STOP, "s-1", vec![]))]);
    let row = &rows(&connection)[0];
    assert_eq!((row.secs, row.stop), (None, Some(90)));
}

#[test]
fn gigawords_count() {
    let more = vec![
        (number::ACCT_INPUT_OCTETS, vec![0, 0, 0, 5]),
        (number::ACCT_INPUT_GIGAWORDS, vec![0, 0, 0, 2]),
        (number::ACCT_OUTPUT_GIGAWORDS, vec![0, 0, 0, 1]),
    ];
    let (_folder, connection) = written(&[(0, ask(STOP, "s-1", more))]);
    let row = &rows(&connection)[0];
    assert_eq!((row.input, row.output), (Some((2 << 32) + 5), Some(1 << 32)));
}

#[test]
fn on_and_off_close_the_sessions_of_their_nas_only() {
    let of = |status, session: &str, nas: u8| {
        let mut ask = ask(status, session, vec![]);
        ask.attributes.retain(|(number, _)| *number != number::NAS_IP_ADDRESS);
        ask.with(number::NAS_IP_ADDRESS, &[192, 0, 2, nas])
    };
    for status in [ON, OFF] {
        let (_folder, connection) = written(&[
            (0, of(START, "a", 1)),
            (2, of(START, "c", 2)),
            (30, of(STOP, "d", 1)),
            (40, of(status, "", 1).with(number::ACCT_TERMINATE_CAUSE, &[0, 0, 0, 11])),
            (50, of(START, "e", 1)),
            // A copy of it that comes late closes nothing that began since.
            (40, of(status, "", 1)),
        ]);
        let found: Vec<_> =
            rows(&connection).into_iter().map(|row| (row.stop, row.secs, row.cause)).collect();
        let open = || (None, Some(0), String::new());
        let closed = (Some(40), Some(40), "NAS-Reboot".to_owned());
        assert_eq!(found, [closed, open(), (Some(30), None, String::new()), open()]);
    }
}

fn md5(text: &str) -> String {
    use md5::Digest as _;
    md5::Md5::digest(text).iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn the_unique_id_is_freeradius_own() {
    let base = ask(START, "s-1", vec![]);
    let id = |ask: &Ask<'_>| record_at(0, ask).unique_id;
    assert_eq!(id(&base), md5("alice,s-1,192.0.2.21,,,"));
    let full = base
        .clone()
        .with(number::NAS_IDENTIFIER, b"ap")
        .with(number::NAS_PORT_ID, b"wlan0")
        .with(number::NAS_PORT, &[0, 0, 0, 7]);
    assert_eq!(id(&full), md5("alice,s-1,192.0.2.21,ap,wlan0,7"));
    let six = base
        .clone()
        .with(number::NAS_IPV6_ADDRESS, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(id(&six), md5("alice,s-1,2001:db8::1,,,"));
    let ours = base.clone().with(number::CLASS, b"ai:0123456789abcdef0123456789ABCDEF and more");
    assert_eq!(id(&ours), md5("0123456789abcdef0123456789ABCDEF,s-1"));
    for other in [&b"ai:0123"[..], b"xx:0123456789abcdef0123456789abcdef"] {
        assert_eq!(id(&base.clone().with(number::CLASS, other)), id(&base));
    }
}

#[test]
fn times_are_the_events() {
    let delayed = ask(START, "s-1", vec![(number::ACCT_DELAY_TIME, vec![0, 0, 0, 40])]);
    assert_eq!(record_at(100, &delayed).at, RECEIVED + 60);
    let stamp =
        |secs: i64| vec![(number::EVENT_TIMESTAMP, ((RECEIVED + secs) as u32).to_be_bytes().to_vec())];
    assert_eq!(record_at(100, &ask(START, "s-1", stamp(70))).at, RECEIVED + 70);
}

#[test]
fn hostile_texts_are_data() {
    let hostile: &[&[u8]] = &[
        b"' OR 1=1; DROP TABLE radacct; --",
        b"\\'; \"; `",
        b"nul\0inside",
        b"\x1b[2J\r\n",
        b"\xff\xfe not utf-8",
        &[b'x'; 253],
        "\u{440}\u{202e}\u{441}".as_bytes(),
    ];
    let records: Vec<_> = hostile
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let mut ask = ask(START, &format!("s-{number}"), vec![]);
            ask.attributes.retain(|(number, _)| *number != number::USER_NAME);
            (
                0,
                ask.with(number::USER_NAME, text)
                    .with(number::CALLING_STATION_ID, text)
                    .with(number::CLASS, text),
            )
        })
        .collect();
    let (_folder, connection) = written(&records);
    let mut statement = connection.prepare("SELECT username, class FROM radacct ORDER BY radacctid").unwrap();
    let found =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let found: Vec<_> = found.map(Result::unwrap).collect();
    for ((name, class), text) in found.iter().zip(hostile) {
        assert_eq!(*name, text::user_name(text));
        assert!(class.starts_with("0x") && class.len() == 2 + 2 * text.len());
    }
    assert_eq!(found.len(), hostile.len());
}

#[test]
fn columns_are_filled_by_name() {
    let full = ask(START, "s-1", usage(0, 0, 0))
        .with(number::NAS_PORT, &[0, 0, 0, 7])
        .with(number::NAS_PORT_TYPE, &[0, 0, 0, 19])
        .with(number::SERVICE_TYPE, &[0, 0, 0, 2])
        .with(number::FRAMED_PROTOCOL, &[0, 0, 0, 1])
        .with(number::ACCT_AUTHENTIC, &[0, 0, 0, 1])
        .with(number::FRAMED_IP_ADDRESS, &[10, 0, 0, 1])
        .with(number::FRAMED_IPV6_PREFIX, &[0, 64, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1])
        .with(number::CONNECT_INFO, b"CONNECT 54Mbps 802.11g")
        .with(number::CALLED_STATION_ID, b"called")
        .with(number::CALLING_STATION_ID, b"calling");
    let (_folder, connection) = written(&[(0, full)]);
    let columns = "acctsessionid, username, nasipaddress, nasportid, nasporttype, servicetype, framedprotocol,
        acctauthentic, framedipaddress, framedipv6prefix, connectinfo_start, calledstationid, callingstationid";
    let row = connection
        .query_row(&format!("SELECT {columns} FROM radacct"), [], |row| {
            (0..13).map(|column| row.get::<_, Value>(column)).collect::<Result<Vec<_>, _>>()
        })
        .unwrap();
    let texts: Vec<_> = row
        .iter()
        .map(|value| match value {
            Value::Text(text) => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        texts,
        [
            "s-1",
            "alice",
            "192.0.2.21",
            "7",
            "Wireless-802.11",
            "Framed-User",
            "PPP",
            "RADIUS",
            "10.0.0.1",
            "2001:db8:0:1::/64",
            "CONNECT 54Mbps 802.11g",
            "called",
            "calling",
        ]
    );
}

/// A store, and the core that hears from it.
struct Store {
    accounting: Accounting,
    mailbox: Arc<Mailbox>,
    vitals: Arc<Vitals>,
}

/// A database in `folder` behind a queue of so many records.
fn settings(folder: &Path, queue_max: usize) -> Settings {
    Settings {
        engine: Engine::Sqlite { path: folder.join(SQLITE_FILE) },
        timeout: Duration::from_secs(2),
        accounting: config::sql::Accounting::default(),
        state_dir: folder.to_owned(),
        queue_max,
    }
}

impl Store {
    fn open(settings: Settings) -> Self {
        let vitals = Arc::new(Vitals::new(1));
        let accounting = Accounting::open(settings, Arc::clone(&vitals)).unwrap();
        Self { accounting, mailbox: Arc::new(Mailbox::with_room(16)), vitals }
    }

    fn submit(&self, slot: u32, ask: &Ask<'_>) -> Result<(), Box<Entry>> {
        let ticket = Ticket { core: 0, slot, generation: 0 };
        self.accounting.submit(Entry {
            promise: Promise::new(ticket, Arc::clone(&self.mailbox)),
            request: kept(ask),
            source: source(),
            received: Utc::from_millis(RECEIVED as u64 * 1000),
            stamp_ns: 1,
        })
    }

    fn count(&self, name: &str) -> u64 {
        let figures = self.accounting.figures();
        let gauges = figures.gauges(0).map(|(name, gauge)| (name, gauge as u64));
        figures.counts().chain(gauges).find(|(other, _)| *other == name).unwrap().1
    }

    /// Waits until a counter says so.
    fn until(&self, name: &str, wanted: u64) {
        let started = forewarn_shell::clock::now();
        while self.count(name) != wanted {
            assert!(
                forewarn_shell::clock::now().since(started) < Duration::from_secs(20),
                "{name} is {}, not {wanted}",
                self.count(name)
            );
            thread::yield_now();
        }
    }

    /// What was reported so far, by slot.
    fn reports(&self) -> Vec<(u32, Result<(), Unstored>)> {
        verdicts(&self.mailbox)
    }

    /// Ends the store and gives what it reported.
    fn finish(self) -> Vec<(u32, Result<(), Unstored>)> {
        let Self { accounting, mailbox, .. } = self;
        drop(accounting);
        verdicts(&mailbox)
    }
}

fn verdicts(mailbox: &Mailbox) -> Vec<(u32, Result<(), Unstored>)> {
    let mut reports = VecDeque::new();
    mailbox.take(&mut reports);
    let verdict = |(ticket, finding): (Ticket, Finding)| match finding {
        Finding::Stored(verdict, _) => (ticket.slot, verdict),
        other => panic!("{other:?}"),
    };
    reports.into_iter().map(verdict).collect()
}

#[test]
fn many_records_are_all_reported_and_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path(), 10_000));
    for slot in 0..3000 {
        store.submit(slot, &ask(START, &format!("s-{slot}"), vec![])).unwrap();
    }
    store
        .submit(3000, &Ask { message_authenticator: false, ..Ask::new(Code::ACCOUNTING_REQUEST, &[]) })
        .unwrap();
    let vitals = Arc::clone(&store.vitals);
    let mut reports = store.finish();
    reports.sort_by_key(|(slot, _)| *slot);
    assert_eq!(reports.len(), 3001);
    assert_eq!(reports.pop(), Some((3000, Err(Unstored::Incomplete))));
    assert!(reports.iter().all(|(_, verdict)| verdict.is_ok()));
    assert_eq!((vitals.store().done(), vitals.store().queued(), vitals.store().busy()), (3001, 0, 0));
    let connection = Connection::open(folder.path().join(SQLITE_FILE)).unwrap();
    assert_eq!(rows(&connection).len(), 3000);
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn its_files_are_the_owners_whatever_the_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path(), 10));
    let files = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().unwrap().is_file());
    let modes: Vec<u32> = files.map(|file| file.metadata().unwrap().permissions().mode() & 0o777).collect();
    assert_eq!(modes, [0o600; 3], "the database, its log and the log's index");
    let spool = folder.path().join(SPOOL_FOLDER);
    assert_eq!(spool.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    drop(store);
}

#[test]
fn a_full_queue_gives_the_record_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path(), 0));
    let entry = store.submit(0, &ask(START, "s-1", vec![])).unwrap_err();
    entry.promise.release();
    assert_eq!(store.vitals.store().refused(), 1);
    assert!(store.finish().is_empty());
}

#[test]
fn while_the_database_is_held_by_another_records_are_spooled_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path(), 100));
    let mut other = Connection::open(folder.path().join(SQLITE_FILE)).unwrap();
    let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).unwrap();
    store.submit(0, &ask(START, "s-1", vec![])).unwrap();
    store.until("accounting.spooled", 1);
    assert_eq!((store.reports(), store.count("accounting.database-away")), (vec![(0, Ok(()))], 1));
    store.submit(1, &ask(STOP, "s-1", usage(7, 1, 2))).unwrap();
    store.submit(2, &ask(START, "s-2", vec![])).unwrap();
    store.until("accounting.spooled", 3);
    assert_eq!(store.count("spool.records"), 3);
    drop(held);
    store.until("accounting.drained", 3);
    store.until("accounting.database-away", 0);
    assert_eq!((store.count("spool.records"), store.count("spool.octets")), (0, 0));
    let rows = rows(&other);
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].secs, rows[1].stop), (Some(7), None));
    // And it goes on without the spool.
    store.submit(3, &ask(STOP, "s-2", vec![])).unwrap();
    assert_eq!(store.finish().len(), 3);
}

#[test]
fn what_a_killed_server_had_spooled_is_drained_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&folder.path().join(SPOOL_FOLDER), 1 << 20).unwrap();
    let records = session().into_iter().map(|(secs, ask)| spool::Entry {
        received: (RECEIVED + secs) as u64 * 1000,
        source: source(),
        packet: ask.octets(),
    });
    spool.append(records.collect::<Vec<_>>().iter()).unwrap();
    drop(spool);
    let store = Store::open(settings(folder.path(), 10));
    store.until("accounting.drained", 4);
    drop(store);
    let connection = Connection::open(folder.path().join(SQLITE_FILE)).unwrap();
    assert_eq!(rows(&connection), [Row { update: Some(120), ..ended() }]);
}

#[test]
fn a_full_spool_keeps_its_records_and_answers_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), 100);
    settings.accounting.spool_max = 150;
    let store = Store::open(settings);
    let mut other = Connection::open(folder.path().join(SQLITE_FILE)).unwrap();
    let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).unwrap();
    store.submit(0, &ask(START, "s-1", vec![])).unwrap();
    store.until("accounting.spooled", 1);
    store.submit(1, &ask(START, "s-2", vec![])).unwrap();
    store.submit(2, &ask(START, "s-3", vec![])).unwrap();
    store.until("accounting.unstored", 2);
    let mut reports = store.reports();
    reports.sort_by_key(|(slot, _)| *slot);
    assert_eq!(reports, [(0, Ok(())), (1, Err(Unstored::Failed)), (2, Err(Unstored::Failed))]);
    drop(held);
    store.until("accounting.drained", 1);
}

#[test]
fn a_record_that_the_database_refuses_is_set_aside_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path(), 100));
    let connection = Connection::open(folder.path().join(SQLITE_FILE)).unwrap();
    let picky = "CREATE TRIGGER picky BEFORE INSERT ON radacct WHEN new.acctsessionid IN ('s-3', 's-11')
        BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    connection.execute_batch(picky).unwrap();
    for slot in 0..20 {
        store.submit(slot, &ask(START, &format!("s-{slot}"), vec![])).unwrap();
    }
    store.until("accounting.stored", 18);
    store.until("accounting.refused-by-database", 2);
    let reports = store.finish();
    assert_eq!(reports.len(), 20);
    assert!(reports.iter().all(|(_, verdict)| verdict.is_ok()), "they are kept");
    assert_eq!(rows(&connection).len(), 18);
    let kept = std::fs::read_to_string(folder.path().join(SPOOL_FOLDER).join("refused")).unwrap();
    assert_eq!(kept.lines().count(), 2);
    assert!(kept.lines().all(|line| line.contains("not this one")), "{kept}");
}

#[test]
fn a_folder_that_is_not_there_says_so() {
    let vitals = Arc::new(Vitals::new(1));
    let error = Accounting::open(settings(Path::new("/nonexistent"), 10), vitals).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/radius.sqlite"), "{error}");
}

#[test]
fn a_batch_is_as_few_rounds_as_its_sessions_allow() {
    let record =
        |status, session: &str| Record { status, unique_id: session.to_owned(), ..Record::default() };
    let batch = [
        record(Status::Start, "b"),
        record(Status::Start, "a"),
        record(Status::Interim, "c"),
        record(Status::Stop, "a"),
        record(Status::Other, ""),
        record(Status::On, ""),
        record(Status::Off, ""),
        record(Status::Start, "a"),
    ];
    let found: Vec<_> = rounds::rounds(batch.iter())
        .iter()
        .map(|round| [&round.starts, &round.interims, &round.stops, &round.closes].map(Vec::len))
        .collect();
    assert_eq!(found, [[2, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2], [1, 0, 0, 0]]);
    let first = &rounds::rounds(batch.iter())[0].starts;
    assert_eq!(first[0].unique_id, "a", "rows are locked in one order");
}
