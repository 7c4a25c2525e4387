//! The database of a configuration, as commands that end soon use it: one statement after the other.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forewarn_shell::config::Layers;
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::config::sql::{Engine, Sql};
use crate::config::{self, Config};
use crate::store::sql::connect::{Connector, Link, NO_TABLE, SqlError};
use crate::store::sql::schema::{self, Kind, Part, Plan, Shape};
use crate::store::sql::statements::Dialect;
use crate::store::sql::{create_file, notice_channel, write_ahead};

/// How long SQLite is waited for while a server writes.
const BUSY: Duration = Duration::from_secs(10);

/// What to do about a file that this user can't read or write.
const NOT_ALLOWED: &str = "run it as the server's user, or set [sql] path";

/// The configuration in `file`.
///
/// # Errors
/// It can't be used, each mistake on a line; or it has no `[sql]`.
pub(super) fn configuration(file: &Path) -> Result<(Config, Sql), String> {
    let loaded =
        config::load(&Layers::file(file).process_environment()).map_err(|wrong| wrong.to_string())?;
    let Some(sql) = loaded.config.sql.clone() else {
        return Err(format!(
            "{} has no [sql]; add it, with engine = \"sqlite\" or engine = \"postgresql\" and where that is",
            file.display()
        ));
    };
    Ok((loaded.config, sql))
}

/// An open database.
pub(super) enum Database {
    Sqlite(Connection),
    PostgreSql(Box<Server>),
}

/// A connection to PostgreSQL, and what drives it.
pub(super) struct Server {
    runtime: Runtime,
    client: Link,
    connector: Connector,
}

/// A row: texts, or NULL.
pub(super) type Row = Vec<Option<String>>;

impl Database {
    /// Opens it. SQLite's file is made when it isn't there, or, unless `make`, taken for empty.
    pub(super) fn open(sql: &Sql, make: bool) -> Result<Self, String> {
        match &sql.engine {
            // Nothing is made, and nothing is there: the same as an empty one.
            Engine::Sqlite { path } if !make && !path.exists() => {
                Connection::open_in_memory().map(Self::Sqlite).map_err(told)
            }
            Engine::Sqlite { path } => sqlite(path, make).map_err(|error| {
                let advice = match make || path.exists() {
                    true => NOT_ALLOWED,
                    false => "`forewarn db init` makes it",
                };
                format!("{} can't be opened: {error}; {advice}", path.display())
            }),
            Engine::PostgreSql(server) => {
                let runtime = Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| error.to_string())?;
                let connector =
                    Connector::new(server, sql.timeout.max(BUSY)).map_err(|error| error.to_string())?;
                let client = runtime.block_on(connector.connect("tool", drop));
                let client =
                    client.map_err(|error| format!("{} can't be reached: {error}", connector.shown()))?;
                Ok(Self::PostgreSql(Box::new(Server { runtime, client, connector })))
            }
        }
    }

    fn dialect(&self) -> Dialect {
        match self {
            Database::Sqlite(_) => Dialect::Sqlite,
            Database::PostgreSql(_) => Dialect::PostgreSql,
        }
    }

    /// Runs a statement whose parameters `?1`, `?2` are texts. How many rows it touched.
    pub(super) fn execute(&self, statement: &str, parameters: &[&str]) -> Result<u64, String> {
        match self {
            Database::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(statement).map_err(told)?;
                statement.execute(params_from_iter(parameters)).map(|count| count as u64).map_err(told)
            }
            Database::PostgreSql(server) => server.runtime.block_on(async {
                let (text, types) = (numbered(statement), vec![Type::TEXT; parameters.len()]);
                let statement = server.client.prepare_typed(&text, &types);
                let ran = server.connector.limited(async {
                    Ok(server.client.execute(&statement.await?, &bound(parameters)).await?)
                });
                ran.await.map_err(|error: SqlError| error.to_string())
            }),
        }
    }

    /// The rows of a query whose columns and parameters are texts.
    pub(super) fn query(&self, statement: &str, parameters: &[&str]) -> Result<Vec<Row>, String> {
        match self {
            Database::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(statement).map_err(told)?;
                let columns = statement.column_count();
                let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
                let rows = statement.query_map(params_from_iter(parameters), row).map_err(told)?;
                rows.collect::<Result<_, _>>().map_err(told)
            }
            Database::PostgreSql(server) => server.runtime.block_on(async {
                let (text, types) = (numbered(statement), vec![Type::TEXT; parameters.len()]);
                let statement = server.client.prepare_typed(&text, &types);
                let asked = server.connector.limited(async {
                    let rows = server.client.query(&statement.await?, &bound(parameters)).await?;
                    let row = |row: &tokio_postgres::Row| {
                        (0..row.len()).map(|column| row.try_get(column)).collect()
                    };
                    Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
                });
                asked.await.map_err(|error: SqlError| error.to_string())
            }),
        }
    }

    /// Runs statements that give nothing.
    pub(super) fn run(&self, statements: &str) -> Result<(), String> {
        match self {
            Database::Sqlite(connection) => connection.execute_batch(statements).map_err(told),
            Database::PostgreSql(server) => {
                let ran =
                    server.connector.limited(async { Ok(server.client.batch_execute(statements).await?) });
                server.runtime.block_on(ran).map_err(|error: SqlError| error.to_string())
            }
        }
    }

    /// Runs `work` in a transaction, which is taken back when it fails.
    pub(super) fn together<T>(&self, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        self.run(match self {
            Database::Sqlite(_) => "BEGIN IMMEDIATE",
            Database::PostgreSql(_) => "BEGIN",
        })?;
        let done = work();
        self.run(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        done
    }

    /// Tells the servers that use this database what has changed; the empty name is anything. SQLite has nobody to
    /// tell.
    pub(super) fn tell(&self, name: &str) -> Result<(), String> {
        match self {
            Database::Sqlite(_) => Ok(()),
            Database::PostgreSql(_) => {
                let statement = format!("SELECT CAST(pg_notify('{}', ?1) AS text)", notice_channel());
                self.query(&statement, &[name]).map(drop)
            }
        }
    }

    /// What is missing of the schema, and what differs.
    pub(super) fn plan(&self) -> Result<Plan, String> {
        let dialect = self.dialect();
        let (parts, tables) = (schema::parts(dialect), schema::tables(dialect));
        let (wanted, found) = match self {
            Database::Sqlite(connection) => {
                let wanted = schema::wanted_of_sqlite().map_err(told)?;
                (wanted, Shape::of_sqlite(connection, &tables).map_err(told)?)
            }
            Database::PostgreSql(server) => {
                let looked = server.connector.limited(async {
                    let found = Shape::of_postgresql(&*server.client, &tables).await?;
                    Ok((shape_wanted(&server.client, &parts, &tables).await?, found))
                });
                server.runtime.block_on(looked).map_err(|error: SqlError| error.to_string())?
            }
        };
        Ok(schema::plan(&parts, &wanted, &found))
    }

    /// The statements that have the database say what has changed.
    pub(super) fn notify(&self) -> String {
        schema::notify(self.dialect())
    }
}

/// What the schema makes, as temporary tables that are taken back.
async fn shape_wanted(
    client: &Client,
    parts: &[Part],
    tables: &[String],
) -> Result<Shape, tokio_postgres::Error> {
    let mut text = "BEGIN;".to_owned();
    for part in parts {
        text.push_str(&if part.kind == Kind::Table { schema::temporary(part) } else { part.text.clone() });
        text.push(';');
    }
    client.batch_execute(&text).await?;
    let shape = Shape::of_postgresql(client, tables).await;
    client.batch_execute("ROLLBACK").await?;
    shape
}

fn sqlite(path: &Path, make: bool) -> rusqlite::Result<Database> {
    if make {
        create_file(path)?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    if make {
        write_ahead(&connection, BUSY)?;
    }
    Ok(Database::Sqlite(connection))
}

/// `?1` as PostgreSQL writes it.
fn numbered(statement: &str) -> String {
    statement.replace('?', "$")
}

fn bound<'p>(parameters: &'p [&'p str]) -> Vec<&'p (dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter as &(dyn ToSql + Sync)).collect()
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` has it
fn told(error: rusqlite::Error) -> String {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => format!("{text}; {NOT_ALLOWED}"),
        _ if text.contains("no such table") => format!("{text}; {NO_TABLE}"),
        _ => text,
    }
}

/// How messages name a database.
pub(super) fn shown(sql: &Sql) -> Arc<str> {
    match &sql.engine {
        Engine::Sqlite { path } => path.display().to_string().into(),
        Engine::PostgreSql(server) => server.shown().into(),
    }
}
