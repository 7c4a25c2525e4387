//! forewarnd beside FreeRADIUS 3.2 on the same PostgreSQL, in the same run: look-ups of 100,000 users, cold and cached, and
//! durable accounting. Each figure comes with the server's CPU time per request and the database's, and with a ratio.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forewarn_tests::freeradius::Options;
use forewarn_tests::load::{Kind, LoadError, Pace, Plan, Report, run};
use forewarn_tests::{FreeRadius, Hosts, Postgres, Server, config, eventually};

use crate::daemons::server_config;

/// Users in the tables, each with a password and two reply attributes, one in two in a group with two more.
const USERS: u32 = 100_000;
/// FreeRADIUS's threads, and with them its connections: what served it best of 2, 8 and 32 (look-ups, accounting).
const THREADS: [usize; 2] = [8, 32];
/// Outstanding requests (ports, window); each server is measured with each, and its best without losses counts.
const WINDOWS: [(usize, u8); 3] = [(2, 32), (4, 64), (8, 128)];

/// PAP, each of the users once, then all of them over and over.
pub(crate) fn users(duration: Duration) -> Result<(), LoadError> {
    let mut hosts = Hosts::claim();
    let database = Postgres::with_schema(hosts.host());
    fill(&database);
    let (their_address, our_address, nas) = (hosts.host(), hosts.host(), hosts.host());
    let options = Options { threads: THREADS[0], ..Options::default() };
    let theirs = FreeRadius::start_with(their_address, &database, options);
    let theirs = Subject {
        name: "FreeRADIUS",
        to: theirs.auth(),
        pid: theirs.pid(),
        secret: config::SECRET,
        signed: false,
        _held: Held::Theirs(theirs),
    };
    let once = |subject: &Subject, (ports, window)| {
        let processes = subject.processes(&database);
        run(&Plan {
            users: USERS,
            limit: Some(u64::from(USERS)),
            duration: Duration::from_secs(600),
            warm_up: Duration::ZERO,
            ..subject.plan(Kind::Pap, nas, ports, window, processes)
        })
    };
    let again = |subject: &Subject, (ports, window)| {
        let processes = subject.processes(&database);
        run(&Plan { users: USERS, duration, ..subject.plan(Kind::Pap, nas, ports, window, processes) })
    };
    let mut cold = Contest::new("PAP, 100,000 users in PostgreSQL, each once (cold)");
    let mut cached = Contest::new("PAP, the same users again (cached)");
    for window in WINDOWS {
        // FreeRADIUS keeps nothing: the first time is like every other.
        let report = again(&theirs, window)?;
        cold.theirs(window, &report);
        cached.theirs(window, &report);
    }
    drop(theirs);
    for window in WINDOWS {
        // A new server knows nobody.
        let server = start(our_address, nas, &database);
        let ours = Subject {
            name: "forewarnd",
            to: (our_address, 1812).into(),
            pid: server.pid(),
            secret: crate::daemons::SECRET,
            signed: true,
            _held: Held::Ours(server),
        };
        cold.ours(window, &once(&ours, window)?);
        cached.ours(window, &again(&ours, window)?);
    }
    cold.show(5.0);
    cached.show(10.0);
    Ok(())
}

/// Start, Interim-Update and Stop of one session after the other, answered after the commit.
pub(crate) fn accounting(duration: Duration) -> Result<(), LoadError> {
    let mut hosts = Hosts::claim();
    let database = Postgres::with_schema(hosts.host());
    // As `forewarn db init` makes it, for both.
    database.execute("ALTER TABLE radacct SET (fillfactor = 50)");
    let (their_address, our_address, nas) = (hosts.host(), hosts.host(), hosts.host());
    let mut contest =
        Contest::new("accounting into PostgreSQL, Start, Interim-Update, Stop, answered once durable");
    let measure = |subject: &Subject, (ports, window)| {
        // Connections are made when they are needed: then they are among the processes whose time is measured.
        let brief = subject.plan(Kind::Acct, nas, ports, window, Vec::new());
        run(&Plan { warm_up: Duration::ZERO, duration: Duration::from_millis(500), ..brief })?;
        database.execute("TRUNCATE radacct");
        let processes = subject.processes(&database);
        let report = run(&Plan { duration, ..subject.plan(Kind::Acct, nas, ports, window, processes) })?;
        check(&database, &report);
        Ok::<_, LoadError>(report)
    };
    let options = Options { threads: THREADS[1], ..Options::default() };
    let theirs = FreeRadius::start_with(their_address, &database, options);
    let theirs = Subject {
        name: "FreeRADIUS",
        to: theirs.acct(),
        pid: theirs.pid(),
        secret: config::SECRET,
        signed: false,
        _held: Held::Theirs(theirs),
    };
    for window in WINDOWS {
        contest.theirs(window, &measure(&theirs, window)?);
    }
    drop(theirs);
    let server = start(our_address, nas, &database);
    let ours = Subject {
        name: "forewarnd",
        to: (our_address, 1813).into(),
        pid: server.pid(),
        secret: crate::daemons::SECRET,
        signed: true,
        _held: Held::Ours(server),
    };
    for window in WINDOWS {
        contest.ours(window, &measure(&ours, window)?);
    }
    contest.show_against(40_000.0);
    Ok(())
}

/// A server that is measured, and what keeps it alive.
struct Subject {
    name: &'static str,
    to: SocketAddr,
    pid: u32,
    secret: &'static str,
    signed: bool,
    _held: Held,
}

#[allow(dead_code, reason = "held until the end")]
enum Held {
    Theirs(FreeRadius),
    Ours(Server),
}

impl Subject {
    /// The server first, then the database's.
    fn processes(&self, database: &Postgres) -> Vec<u32> {
        [vec![self.pid], database.processes()].concat()
    }

    fn plan(&self, kind: Kind, nas: IpAddr, ports: usize, window: u8, processes: Vec<u32>) -> Plan {
        eprintln!("  {}, {} outstanding ...", self.name, ports * usize::from(window));
        Plan {
            kind,
            from: Some(nas),
            user: "user".to_owned(),
            ports,
            pace: Pace::Window(window),
            patience: Duration::from_secs(5),
            signed: self.signed,
            processes,
            ..Plan::saturate(self.to, self.secret)
        }
    }
}

/// One measurement of a server.
struct Figure {
    outstanding: usize,
    rate: f64,
    server: f64,
    database: f64,
    p50: Duration,
    p99: Duration,
    lost: u64,
    refused: u64,
}

impl Figure {
    fn of((ports, window): (usize, u8), report: &Report) -> Figure {
        let server = report.costs.first().map_or(0.0, forewarn_tests::load::Cost::cpu_micros);
        let database = report.costs.iter().skip(1).map(forewarn_tests::load::Cost::cpu_micros).sum();
        Figure {
            outstanding: ports * usize::from(window),
            rate: report.rate(),
            server,
            database,
            p50: report.latencies.percentile(50.0),
            p99: report.latencies.percentile(99.0),
            lost: report.tally.lost,
            refused: report.tally.negative,
        }
    }
}

/// What is compared.
struct Contest {
    name: &'static str,
    theirs: Vec<Figure>,
    ours: Vec<Figure>,
}

impl Contest {
    fn new(name: &'static str) -> Contest {
        Contest { name, theirs: Vec::new(), ours: Vec::new() }
    }

    fn theirs(&mut self, window: (usize, u8), report: &Report) {
        self.theirs.push(Figure::of(window, report));
    }

    fn ours(&mut self, window: (usize, u8), report: &Report) {
        self.ours.push(Figure::of(window, report));
    }

    /// The table and the ratio of the best of each, beside the goal.
    fn show(&self, goal: f64) {
        self.table();
        println!("  ratio {:.1} (goal {goal:.0})\n", best(&self.ours) / best(&self.theirs).max(1e-9));
    }

    /// The same where the goal is a rate.
    fn show_against(&self, goal: f64) {
        self.table();
        let (theirs, ours) = (best(&self.theirs), best(&self.ours));
        println!("  ratio {:.1}, {ours:.0} records/s (goal {goal:.0})\n", ours / theirs.max(1e-9));
    }

    fn table(&self) {
        println!("{}", self.name);
        println!(
            "  {:<11} {:>11} {:>10} {:>14} {:>16} {:>9} {:>9} {:>6} {:>8}",
            "",
            "outstanding",
            "answers/s",
            "server us/req",
            "database us/req",
            "p50 ms",
            "p99 ms",
            "lost",
            "rejected"
        );
        for (name, figures) in [("FreeRADIUS", &self.theirs), ("forewarnd", &self.ours)] {
            for figure in figures {
                println!(
                    "  {name:<11} {:>11} {:>10.0} {:>14.1} {:>16.1} {:>9.2} {:>9.2} {:>6} {:>8}",
                    figure.outstanding,
                    figure.rate,
                    figure.server,
                    figure.database,
                    figure.p50.as_secs_f64() * 1e3,
                    figure.p99.as_secs_f64() * 1e3,
                    figure.lost,
                    figure.refused
                );
            }
        }
    }
}

/// The best rate without losses, or, with losses everywhere, the best.
fn best(figures: &[Figure]) -> f64 {
    let rates = |clean: bool| {
        let kept = figures.iter().filter(move |figure| !clean || (figure.lost == 0 && figure.refused == 0));
        kept.map(|figure| figure.rate).fold(0.0, f64::max)
    };
    if rates(true) > 0.0 { rates(true) } else { rates(false) }
}

fn start(address: IpAddr, nas: IpAddr, database: &Postgres) -> Server {
    let more = "cache = \"1h\"\ncache_size = 200000\n[log]\ndecisions = \"none\"\n";
    let server = Server::start(&(server_config(address, &[nas]) + &database.section() + more));
    // Its connections are among the processes whose time is measured.
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    eventually("forewarnd is connected", || (database.count(connected) > 0).then_some(()));
    server
}

/// Fills the tables as an administration would have.
fn fill(database: &Postgres) {
    database.execute(&format!(
        "INSERT INTO radcheck (username, attribute, op, value)
           SELECT 'user' || lpad(n::text, 6, '0'), 'Cleartext-Password', ':=', 'wonderland' FROM generate_series(0, {last}) n;
         INSERT INTO radreply (username, attribute, op, value)
           SELECT 'user' || lpad(n::text, 6, '0'), 'Session-Timeout', ':=', '3600' FROM generate_series(0, {last}) n;
         INSERT INTO radreply (username, attribute, op, value)
           SELECT 'user' || lpad(n::text, 6, '0'), 'Reply-Message', ':=', 'Hello' FROM generate_series(0, {last}) n;
         INSERT INTO radusergroup (username, groupname, priority)
           SELECT 'user' || lpad(n::text, 6, '0'), 'staff', 1 FROM generate_series(0, {last}, 2) n;
         INSERT INTO radgroupreply (groupname, attribute, op, value)
           VALUES ('staff', 'Tunnel-Type', ':=', 'VLAN'), ('staff', 'Tunnel-Private-Group-Id', ':=', '120');",
        last = USERS - 1
    ));
    database.execute("ANALYZE");
}

/// What was answered is there: each session once, and ended if its last record was answered.
fn check(database: &Postgres, report: &Report) {
    let rows =
        database.rows("SELECT count(*), count(DISTINCT acctuniqueid), count(acctstoptime) FROM radacct");
    let counts: Vec<u64> = rows[0].iter().filter_map(|value| value.parse().ok()).collect();
    let answered = report.tally.answered;
    // Of a session at most three records were answered.
    let least = answered.div_ceil(3);
    assert!(counts[0] == counts[1] && counts[0] >= least, "{counts:?} rows for {answered} answers");
}
