//! `[sql]` and `[accounting]`.

use std::path::PathBuf;
use std::time::Duration;

use forewarn_shell::config::{Table, Wrong};

use super::super::Server;
use super::super::sql::{Accounting, Engine, PostgreSql, SQLITE_FILE, Sql, Tls};

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

/// Least of `spool_max`: one segment, and room to drain it.
const SPOOL_LEAST: u64 = 1 << 20;

/// What only one engine has.
const SQLITE_ONLY: &[&str] = &["path"];
const POSTGRESQL_ONLY: &[&str] = &[
    "host",
    "port",
    "database",
    "user",
    "password",
    "password_file",
    "password_env",
    "tls",
    "ca",
    "connections",
];

/// `[sql]`. `None`: there is none, or something was reported.
pub(super) fn sql(root: &Table<'_>, server: Option<&Server>) -> Option<Sql> {
    let table = root.optional_table("sql")?;
    let engines = [("sqlite", false), ("postgresql", true)];
    let is_server = table.choice("engine", &engines, &["mysql"]).or(false);
    let (engine, others, other) = match is_server {
        true => (postgresql(&table).map(Engine::PostgreSql), SQLITE_ONLY, "sqlite"),
        false => (sqlite(&table, server), POSTGRESQL_ONLY, "postgresql"),
    };
    for key in others.iter().filter(|key| table.has(key)) {
        let _ = table.value(key);
        let what = format!("`{key}` is of engine = \"{other}\"");
        table.error(key, Wrong::new(what, format!("remove it, or write engine = \"{other}\"")));
    }
    let connections = if is_server { table.integer("connections").within(1, 64).or(2) } else { 1 };
    let duration = |key, least, default| table.duration(key).within(least, DAY).or(default);
    let flag = |key, default| table.boolean(key).or(default);
    let timeout = duration("timeout", MILLISECOND, Duration::from_secs(2));
    let (users, accounting) = (flag("users", true), flag("accounting", true));
    let (clients, post_auth) = (flag("clients", false), flag("post_auth", false));
    let cache = duration("cache", Duration::ZERO, MINUTE);
    let negative_cache = duration("negative_cache", Duration::ZERO, Duration::from_secs(5));
    let stale = duration("stale", Duration::ZERO, 60 * MINUTE);
    let cache_size = table.integer("cache_size").within(1, 10_000_000).or(100_000);
    let poll = duration("poll", Duration::from_millis(100), Duration::from_secs(10));
    table.finish();
    Some(Sql {
        engine: engine?,
        connections,
        timeout,
        users,
        accounting,
        clients,
        post_auth,
        cache,
        negative_cache,
        stale,
        cache_size,
        poll,
    })
}

fn sqlite(table: &Table<'_>, server: Option<&Server>) -> Option<Engine> {
    let path = table.path("path").optional();
    let path = path.or_else(|| Some(server?.state_dir.join(SQLITE_FILE)))?;
    Some(Engine::Sqlite { path: std::path::absolute(path).ok()? })
}

fn postgresql(table: &Table<'_>) -> Option<PostgreSql> {
    let host = table.text("host").then(host).or("/run/postgresql".to_owned());
    let port = table.integer("port").within(1, u16::MAX).or(5432);
    let database = table.text("database").or("radius".to_owned());
    let user = table.text("user").or("radius".to_owned());
    let password = table.secret("password").optional();
    let tls = table.choice("tls", &[("off", false), ("require", true)], &[]).optional();
    let ca = table.path("ca").then(readable).optional();
    let mut server = PostgreSql { host, port, database, user, password, tls: None };
    let is_folder = server.host.starts_with('/');
    match tls.unwrap_or(!server.is_local()) {
        true if is_folder => {
            let hint = "write tls = \"off\", or the host's name";
            table.error("tls", Wrong::new("a socket's folder has no TLS", hint));
        }
        true => server.tls = Some(Tls { ca }),
        false if ca.is_some() => {
            let hint = "write tls = \"require\", or remove `ca`";
            table.error("ca", Wrong::new("`ca` is for a connection with TLS, and tls is off", hint));
        }
        false if !server.is_local() => {
            let what = "without TLS, passwords and hashes cross the network as they are";
            table.warning("tls", Wrong::new(what, "write tls = \"require\", and `ca`"));
        }
        false => {}
    }
    Some(server)
}

/// An absolute folder, a name or an address.
fn host(host: String) -> Result<String, Wrong> {
    if host.contains(|letter: char| letter.is_whitespace() || letter == ',' || letter.is_control()) {
        let hint = "write one: \"/run/postgresql\", \"db.example.org\" or \"192.0.2.1\"";
        return Err(Wrong::new(format!("{host:?} is no socket's folder, name or address"), hint));
    }
    Ok(host)
}

fn readable(path: PathBuf) -> Result<PathBuf, Wrong> {
    match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(path),
        Ok(_) => Err(Wrong::new(format!("{} is no file", path.display()), "write a PEM file's name")),
        Err(error) => Err(Wrong::new(format!("{}: {error}", path.display()), "write a PEM file's name")),
    }
}

/// `[accounting]`
pub(super) fn accounting(root: &Table<'_>) -> Accounting {
    let table = root.table("accounting");
    let Accounting { spool_max, class, lease } = Accounting::default();
    let accounting = Accounting {
        spool_max: table.size("spool_max").within(SPOOL_LEAST, u64::MAX >> 1).or(spool_max),
        class: table.boolean("class").or(class),
        lease: table.duration("lease").within(Duration::from_secs(1), 365 * DAY).or(lease),
    };
    table.finish();
    accounting
}
