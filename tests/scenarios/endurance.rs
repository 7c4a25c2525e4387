//! What must hold however often it happens: deaths of forewarnd and of PostgreSQL under load, and databases that are away,
//! slow, or cut off. CI runs a slice; `make endurance` runs the full counts (FOREWARN_KILLS, FOREWARN_OUTAGE).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use forewarn_tests::postgres::Stop;
use forewarn_tests::stream::{self, Stream};
use forewarn_tests::teller::Told;
use forewarn_tests::wait::within;
use forewarn_tests::{Hosts, Postgres, Server, Teller, config, eventually};

/// How often something is killed.
fn kills() -> u32 {
    std::env::var("FOREWARN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

/// How long the database is away.
fn outage() -> Duration {
    let seconds = std::env::var("FOREWARN_OUTAGE").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(10))
}

/// How long an answer may take that needs no database: the promise where the machine is the test's own, and otherwise less
/// than any time-out that it could have waited for.
fn promptly() -> Duration {
    let alone = std::env::var_os("FOREWARN_OUTAGE").is_some();
    if alone { Duration::from_millis(100) } else { Duration::from_millis(1500) }
}

/// Long enough for a recovery on a busy machine.
const RECOVERY: Duration = Duration::from_secs(120);

#[test]
fn every_acknowledged_record_is_there_once_whatever_is_killed() {
    kill_under(500, kills(), |_, _| ());
}

/// So many at one time that they are written over two connections: before each death the table is held for a moment.
#[test]
fn every_acknowledged_record_is_there_once_in_a_storm_too() {
    let writing = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'forewarn accounting'";
    kill_under(2000, kills().div_ceil(2), |database, death| {
        database.execute("BEGIN; LOCK TABLE radacct; SELECT pg_sleep(0.3); COMMIT");
        if death == 0 {
            within(RECOVERY, "two connections write", || (database.count(writing) == 2).then_some(()));
        }
    });
}

/// Kills forewarnd or PostgreSQL, at random instants, so many times, under `rate` records a second; `before` each,
/// its number, something else may happen.
fn kill_under(rate: u32, kills: u32, before: impl Fn(&Postgres, u32)) {
    let mut hosts = Hosts::claim();
    let mut database = Postgres::with_schema(hosts.host());
    let (address, nas) = (hosts.host(), hosts.host());
    let text = config::server(&hosts, "east", address, &[], &(database.section() + "users = false\n"));
    let mut server = Server::start(&text);
    let teller = Teller::start((address, 1813).into(), nas, rate, RECOVERY);
    let seed = u64::from(std::process::id());
    println!("seed {seed:#x}");
    let mut state = seed;
    for death in 0..kills {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        before(&database, death);
        std::thread::sleep(Duration::from_millis(200 + (state >> 33) % 1000));
        if state >> 63 == 0 {
            let folder = server.kill();
            server = Server::start_in(folder, &text, &[]);
        } else {
            database.kill();
            std::thread::sleep(Duration::from_millis((state >> 40) % 700));
            database.start_again();
        }
    }
    let told = teller.finish();
    println!(
        "{kills} kills at {rate}/s: {} sessions, {} repetitions, slowest {:?}",
        told.started.len(),
        told.repeated,
        told.slowest
    );
    assert_eq!(told.lost, 0);
    assert!(told.started.len() as u32 > 100 * kills, "{}", told.started.len());
    all_there(&database, &told);
}

/// Each acknowledged record is in its row, each session has one row, and there are no rows of anything else.
fn all_there(database: &Postgres, told: &Told) {
    let wanted = "SELECT count(*) FROM radacct WHERE acctstoptime IS NOT NULL AND acctsessiontime = 60";
    within(RECOVERY, "the spool is drained", || {
        (database.count(wanted) >= told.stopped.len() as u64).then_some(())
    });
    let rows = database.rows("SELECT acctsessionid, acctstoptime IS NOT NULL FROM radacct");
    let started: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let stopped: BTreeSet<&str> =
        rows.iter().filter(|row| row[1] == "t").map(|row| row[0].as_str()).collect();
    assert_eq!(started.len(), rows.len(), "a session with two rows");
    assert!(rows.len() as u64 <= told.begun, "rows of nothing that was told");
    for (what, told, found) in [("Start", &told.started, &started), ("Stop", &told.stopped, &stopped)] {
        let missing: Vec<&String> = told.iter().filter(|session| !found.contains(session.as_str())).collect();
        assert!(missing.is_empty(), "{} acknowledged {what}s are gone: {:?}", missing.len(), missing.first());
    }
}

/// A service that looks at the database.
const WATCHED: &str = r#"
[[service]]
name = "database"
role = "dependent"
check = { kind = "sql" }
interval = "200ms"
fall = 2
rise = 2
hold_down = "500ms"
weight = 0.1
"#;

struct Site {
    database: RefCell<Postgres>,
    server: Server,
    address: std::net::IpAddr,
    nas: std::net::IpAddr,
}

impl Site {
    /// A server over a database of users and sessions, with the users of the load in its cache.
    fn open() -> Site {
        let mut hosts = Hosts::claim();
        let database = Postgres::with_schema(hosts.host());
        database.execute(
            "INSERT INTO radcheck (username, attribute, op, value) VALUES
               ('dora', 'Cleartext-Password', ':=', 'explorer'), ('emil', 'Cleartext-Password', ':=', 'detective')",
        );
        let (address, nas) = (hosts.host(), hosts.host());
        let more = database.section()
            + "cache = \"1s\"\ntimeout = \"2s\"\n[users]\nsources = [\"sql\"]\n[log]\ndecisions = \"none\"\n"
            + WATCHED;
        let server = Server::start(&config::server(&hosts, "east", address, &[], &more));
        let site = Site { database: RefCell::new(database), server, address, nas };
        eventually("the users are known", || {
            let tally = site.load(50, &mut || std::thread::sleep(Duration::from_secs(1)));
            (tally.accepts > 0 && tally.others == 0 && tally.lost == 0).then_some(())
        });
        site
    }

    /// Authentication at `rate` of users that are cached, while `during` lasts.
    fn load(&self, rate: u32, during: &mut dyn FnMut()) -> stream::Tally {
        let stream = Stream::start(stream::Plan {
            to: (self.address, 1812).into(),
            secret: config::SECRET.to_owned(),
            rate,
            accounting: 0,
            users: vec![("dora", "explorer"), ("emil", "detective")],
            repeat: None,
            patience: Duration::from_secs(10),
        });
        during();
        stream.finish()
    }

    fn service_is(&self, state: &str) {
        within(RECOVERY, &format!("the watch sees the database {state}"), || {
            let status = self.server.try_status()?;
            let services = status["services"].as_array()?;
            services.iter().find(|s| s["name"] == "database" && s["state"] == state).map(drop)
        });
    }

    /// The load goes on through `during`: users that are known are answered, promptly; accounting is acknowledged, and there
    /// in the end.
    fn endures(&self, during: &mut dyn FnMut()) {
        let teller = Teller::start((self.address, 1813).into(), self.nas, 200, RECOVERY);
        let tally = self.load(200, during);
        let told = teller.finish();
        println!("{tally:?}; {} sessions, slowest record {:?}", told.started.len(), told.slowest);
        assert_eq!((tally.lost, tally.others, tally.forged), (0, 0, 0), "{tally:?}");
        assert!(tally.slowest < promptly(), "{tally:?}");
        assert_eq!(told.lost, 0);
        assert!(!told.stopped.is_empty());
        all_there(&self.database.borrow(), &told);
    }
}

#[test]
fn a_database_that_is_away_takes_nobody_with_it() {
    let site = Site::open();
    site.service_is("running");
    site.endures(&mut || {
        site.database.borrow_mut().stop(Stop::Fast);
        site.service_is("not-running");
        std::thread::sleep(outage());
        site.database.borrow_mut().start_again();
        site.service_is("running");
    });
}

#[test]
fn a_database_that_is_slow_takes_nobody_with_it() {
    let site = Site::open();
    site.endures(&mut || {
        let database = site.database.borrow();
        database.slow_reads("radcheck", Duration::from_secs(5));
        database.slow_writes("radacct", Duration::from_secs(5));
        std::thread::sleep(outage());
        database.slow_writes("radacct", Duration::ZERO);
        database.slow_reads("radcheck", Duration::ZERO);
    });
}

#[test]
fn cut_connections_are_made_again() {
    let site = Site::open();
    site.endures(&mut || {
        for _ in 0..5 {
            site.database.borrow().cut_connections();
            std::thread::sleep(Duration::from_millis(500));
        }
    });
}
