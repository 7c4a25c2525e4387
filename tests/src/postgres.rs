//! PostgreSQL of Debian's packages: a database cluster of its own for one test, in a temporary folder, as an
//! unprivileged user, durable as shipped (fsync on), reached by a private Unix socket and by TCP with TLS offered.
//!
//! ```no_run
//! use forewarn_tests::{Hosts, Postgres};
//! let mut hosts = Hosts::claim();
//! let mut database = Postgres::with_schema(hosts.host());
//! database.execute("INSERT INTO radcheck (username, attribute, op, value) VALUES ('a', 'Cleartext-Password', ':=', 'b')");
//! assert_eq!(database.rows("SELECT username, value FROM radcheck"), [["a", "b"]]);
//! let section = database.section(); // `[sql]` of a forewarnd that uses it
//! database.kill(); // at once, all of its processes
//! database.start_again();
//! ```

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::certificate::Certificate;
use crate::daemon::Daemon;
use crate::load::usage;
use crate::wait::eventually;

/// The tables, columns, types and indexes of FreeRADIUS 3.2, in Debian's freeradius-config.
pub const FREERADIUS_SCHEMA: &str = "/etc/freeradius/3.0/mods-config/sql/main/postgresql/schema.sql";

/// What stands for NULL in [`Postgres::rows`].
pub const NULL: &str = "\\N";

const PORT: u16 = 5432;
const FIELD: char = '\u{1f}';
const RECORD: char = '\u{1e}';

/// A cluster with one database.
#[derive(Debug)]
pub struct Postgres {
    daemon: Daemon,
    bin: PathBuf,
    address: IpAddr,
    certificate: Certificate,
}

/// How PostgreSQL is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Connections are cut, transactions rolled back, the rest is written out.
    Fast,
    /// At once, to be recovered from the log at the next start.
    Immediate,
}

/// A lock that somebody holds on a table; gone when dropped.
#[derive(Debug)]
pub struct Lock(Child);

impl Postgres {
    /// The database's name, its owner's (a superuser of this cluster), and the owner's password. The socket asks for
    /// none; TCP does (SCRAM).
    pub const DATABASE: &str = "radius";
    /// See [`Self::DATABASE`].
    pub const USER: &str = "radius";
    /// See [`Self::DATABASE`].
    pub const PASSWORD: &str = "radius' \\password";

    /// Starts one with an empty database on `address`, port 5432.
    ///
    /// # Panics
    /// When it doesn't come up, with its log.
    pub fn start(address: IpAddr) -> Postgres {
        Postgres::start_with(address, &[])
    }

    /// The same with settings of postgresql.conf, as (`"log_statement"`, `"all"`).
    ///
    /// # Panics
    /// As [`Postgres::start`].
    pub fn start_with(address: IpAddr, settings: &[(&str, &str)]) -> Postgres {
        let daemon = Daemon::new("PostgreSQL", "postgres");
        daemon.make("run");
        let certificate = Certificate::make(daemon.folder.path(), address);
        daemon.account.take(daemon.folder.path());
        let mut postgres = Postgres { daemon, bin: binaries(), address, certificate };
        let password = postgres.daemon.write("password", Self::PASSWORD);
        let mut initdb = postgres.daemon.account.command(postgres.bin.join("initdb"));
        initdb.args(["--pgdata", "data", "--username", Self::USER, "--encoding", "UTF8", "--locale", "C"]);
        initdb.args([
            "--auth-local",
            "trust",
            "--auth-host",
            "scram-sha-256",
            "--no-sync",
            "--no-instructions",
        ]);
        initdb.arg("--pwfile").arg(password).env_clear();
        postgres.daemon.run(&mut initdb);
        let mut text = format!(
            "listen_addresses = '{address}'\nport = {PORT}\nunix_socket_directories = '{}'\n\
             ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n\
             log_line_prefix = '%m [%p] '\nlc_messages = 'C'\n",
            postgres.socket().display(),
            postgres.certificate.certificate.display(),
            postgres.certificate.key.display(),
        );
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{value}'\n"));
        }
        postgres.daemon.write("data/conf.d/tests.conf", &text);
        let file = postgres.daemon.path("data/postgresql.conf");
        let shipped = fs::read_to_string(&file).expect("initdb wrote its configuration");
        fs::write(file, shipped + "\ninclude_dir = 'conf.d'\n").expect("the configuration can be written");
        postgres.start_again();
        postgres.ask_in("postgres", &format!("CREATE DATABASE {}", Self::DATABASE));
        postgres
    }

    /// Starts one with FreeRADIUS's tables in it, empty.
    ///
    /// # Panics
    /// As [`Postgres::start`]; when freeradius-config isn't installed.
    pub fn with_schema(address: IpAddr) -> Postgres {
        let postgres = Postgres::start(address);
        postgres.load_schema();
        postgres
    }

    /// Makes FreeRADIUS's tables.
    ///
    /// # Panics
    /// When that can't be done.
    pub fn load_schema(&self) {
        let schema = fs::read_to_string(FREERADIUS_SCHEMA).expect("freeradius-config is installed");
        self.execute(&schema);
    }

    /// The folder of its socket: what `host` of `[sql]` names.
    pub fn socket(&self) -> PathBuf {
        self.daemon.path("run")
    }

    /// Where it listens for TCP.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.address, PORT)
    }

    /// What vouches for it over TLS.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// `[sql]` of a forewarnd that uses it over the socket; further keys may follow it.
    pub fn section(&self) -> String {
        format!(
            "\n[sql]\nengine = \"postgresql\"\nhost = \"{}\"\nport = {PORT}\ndatabase = \"{}\"\nuser = \"{}\"\npassword = '''{}'''\n",
            self.socket().display(),
            Self::DATABASE,
            Self::USER,
            Self::PASSWORD
        )
    }

    /// Runs statements, in one transaction; what they print, unaligned.
    ///
    /// # Panics
    /// When one fails.
    pub fn execute(&self, sql: &str) -> String {
        self.ask_in(Self::DATABASE, sql)
    }

    /// The rows of one query, NULL as [`NULL`].
    ///
    /// # Panics
    /// When it fails.
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let printed = self.execute(sql);
        let records = printed.trim_end_matches('\n').split(RECORD).filter(|record| !record.is_empty());
        records.map(|record| record.split(FIELD).map(ToOwned::to_owned).collect()).collect()
    }

    /// The one value of one query.
    ///
    /// # Panics
    /// When it fails, or gives anything but one value.
    pub fn value(&self, sql: &str) -> String {
        let mut rows = self.rows(sql);
        match (rows.pop().as_deref(), rows.len()) {
            (Some([value]), 0) => value.clone(),
            other => panic!("{sql}: not one value: {other:?}"),
        }
    }

    /// The same as a number.
    ///
    /// # Panics
    /// As [`Postgres::value`], and when it isn't one.
    pub fn count(&self, sql: &str) -> u64 {
        let value = self.value(sql);
        value.parse().unwrap_or_else(|_| panic!("{sql}: {value}"))
    }

    /// Runs statements while it may be away: `None` when they couldn't be.
    pub fn try_execute(&self, sql: &str) -> Option<String> {
        let output = self.client(Self::DATABASE).arg("-c").arg(sql).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Everything in it, schema and rows, but for the rows of `tables`, as `pg_dump` writes it.
    ///
    /// # Panics
    /// When that can't be done.
    pub fn dump_without(&self, tables: &[&str]) -> String {
        let mut command = Command::new(self.bin.join("pg_dump"));
        command.args(["--username", Self::USER, "--dbname", Self::DATABASE, "--port", &PORT.to_string()]);
        command.arg("--host").arg(self.socket()).stdin(Stdio::null());
        for table in tables {
            command.arg(format!("--exclude-table-data={table}*"));
        }
        let dump = self.daemon.run(&mut command);
        // Later versions fence it with a word of the day.
        let is_fence = |line: &&str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
        dump.split_inclusive('\n').filter(|line| !is_fence(line)).collect()
    }

    /// A `psql` towards it, as a command to be given more arguments.
    pub fn client(&self, database: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"]);
        command.args(["--field-separator", &FIELD.to_string(), "--record-separator", &RECORD.to_string()]);
        command.args(["--pset", &format!("null={NULL}"), "--username", Self::USER, "--dbname", database]);
        command.arg("--host").arg(self.socket()).args(["--port", &PORT.to_string()]);
        command.env("PGCONNECT_TIMEOUT", "20").stdin(Stdio::null());
        command
    }

    fn ask_in(&self, database: &str, sql: &str) -> String {
        let mut command = self.client(database);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // CREATE DATABASE can't be in a transaction.
        if database == Self::DATABASE {
            command.arg("--single-transaction");
        }
        let mut child = command.spawn().expect("psql starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let text = sql.as_bytes().to_vec();
        let writer = std::thread::spawn(move || {
            // What psql says when it stopped reading tells more.
            let _ = stdin.write_all(&text);
        });
        let output = child.wait_with_output().expect("psql ends");
        let _ = writer.join();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql: {complaint}\nin: {}", sql.get(..2000).unwrap_or(sql));
        String::from_utf8(output.stdout).expect("a UTF-8 database")
    }

    /// Locks a table against everybody (readers too), until the lock is dropped: what is asked of it waits.
    ///
    /// # Panics
    /// When the lock isn't granted.
    pub fn lock(&self, table: &str) -> Lock {
        let mut command = self.client(Self::DATABASE);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("PGAPPNAME", "lock of a test");
        let mut child = command.spawn().expect("psql starts");
        let sql = format!("BEGIN;\nLOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;\n");
        child.stdin.as_mut().expect("a pipe").write_all(sql.as_bytes()).expect("psql reads");
        let held = format!(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE application_name = 'lock of a test' \
             AND granted AND mode = 'AccessExclusiveLock' AND relation = '{table}'::regclass"
        );
        eventually("the lock is granted", || (self.count(&held) > 0).then_some(()));
        Lock(child)
    }

    /// From now on every statement that writes to `table` first sleeps so long; zero: no longer.
    ///
    /// # Panics
    /// When the trigger can't be made.
    pub fn slow_writes(&self, table: &str, sleep: Duration) {
        let mut sql = format!("DROP TRIGGER IF EXISTS slow ON {table};\n");
        if !sleep.is_zero() {
            sql.push_str(&format!(
                "CREATE OR REPLACE FUNCTION slow_{table}() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN PERFORM pg_sleep({}); RETURN NULL; END $$;\n\
                 CREATE TRIGGER slow BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION slow_{table}();\n",
                sleep.as_secs_f64()
            ));
        }
        self.execute(&sql);
    }

    /// From now on every query of `table` first sleeps so long (it becomes a view of itself); zero: no longer.
    ///
    /// # Panics
    /// When the view can't be made.
    pub fn slow_reads(&self, table: &str, sleep: Duration) {
        let is_view = format!("SELECT relkind = 'v' FROM pg_class WHERE oid = '{table}'::regclass");
        if self.value(&is_view) == "t" {
            self.execute(&format!("DROP VIEW {table};\nALTER TABLE {table}_behind RENAME TO {table};"));
        }
        if !sleep.is_zero() {
            self.execute(&format!(
                "ALTER TABLE {table} RENAME TO {table}_behind;\n\
                 CREATE VIEW {table} AS WITH slow AS MATERIALIZED (SELECT pg_sleep({}) AS done) \
                 SELECT {table}_behind.* FROM slow CROSS JOIN {table}_behind WHERE slow.done IS NOT NULL;",
                sleep.as_secs_f64()
            ));
        }
    }

    /// Cuts every connection but its own.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub fn cut_connections(&self) {
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
    }

    /// Whether it has been started and not stopped since.
    pub fn is_running(&self) -> bool {
        self.daemon.is_running()
    }

    /// Stops it in order.
    ///
    /// # Panics
    /// When it doesn't stop.
    pub fn stop(&mut self, how: Stop) {
        self.daemon.end(match how {
            Stop::Fast => "INT",
            Stop::Immediate => "QUIT",
        });
    }

    /// Kills all of its processes at one instant.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again on what it had, and waits until it answers.
    ///
    /// # Panics
    /// When it doesn't, with its log.
    pub fn start_again(&mut self) {
        // A crash leaves these; their owner is gone, but its number may be somebody else's by now.
        for left in ["data/postmaster.pid", "run/.s.PGSQL.5432.lock"] {
            let _ = fs::remove_file(self.daemon.path(left));
        }
        let mut command = self.daemon.account.command(self.bin.join("postgres"));
        command.arg("-D").arg(self.daemon.path("data")).env("LC_ALL", "C");
        let mut probe = self.client("postgres");
        probe.args(["-c", "SELECT 1"]).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemon.start(&mut command, || probe.status().is_ok_and(|status| status.success()));
    }

    /// Stops the clock for all of its processes: connections stay, nothing answers.
    pub fn pause(&self) {
        self.daemon.signal_family("STOP");
    }

    /// Ends [`Postgres::pause`].
    pub fn resume(&self) {
        self.daemon.signal_family("CONT");
    }

    /// All of its processes, for measuring.
    pub fn processes(&self) -> Vec<u32> {
        self.daemon.family()
    }

    /// The CPU time of all its processes that run now, for comparisons while connections stay.
    pub fn cpu(&self) -> Duration {
        self.daemon.family().iter().filter_map(|pid| Some(usage(*pid)?.cpu)).sum()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Its folder, in which a test may leave files of its own.
    pub fn folder(&self) -> &Path {
        self.daemon.folder.path()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The end of its input ends the transaction.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The folder of the newest PostgreSQL installed.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .max();
    newest.expect("postgresql isn't installed: make test installs it").1
}
