//! The tables there should be, the tables there are, and what is missing.
//!
//! What should be is written once, as SQL. What that SQL makes is found out by running it where it harms nobody (in
//! memory, or as temporary tables that are taken back), and compared with what the database has. What is missing can
//! be created; what is there is never altered, only spoken of.

mod shape;

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior};

use super::statements::Dialect;

pub use shape::Shape;

const POSTGRESQL: &str = include_str!("postgresql.sql");
const SQLITE: &str = include_str!("sqlite.sql");
const POSTGRESQL_NOTIFY: &str = include_str!("notify.postgresql.sql");
const SQLITE_NOTIFY: &str = include_str!("notify.sqlite.sql");

/// One statement of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it makes.
    pub kind: Kind,
    /// The name of that.
    pub name: String,
    /// The table it belongs to.
    pub table: String,
    /// It.
    pub text: String,
}

/// What a statement makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A table.
    Table,
    /// An index.
    Index,
}

impl Kind {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Table => "table",
            Kind::Index => "index",
        }
    }
}

/// What is to be done to a database.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is missing and can be created, in this order.
    pub missing: Vec<Part>,
    /// What is there and isn't as it should be. One sentence each.
    pub differences: Vec<String>,
}

/// The statements that make the tables, on an engine.
pub fn parts(dialect: Dialect) -> Vec<Part> {
    let text = match dialect {
        Dialect::PostgreSql => POSTGRESQL,
        Dialect::Sqlite => SQLITE,
    };
    statements(text).filter_map(|text| part(&text)).collect()
}

/// The statements that have the database say what of the users and clients has changed: on PostgreSQL by NOTIFY on the
/// channel `forewarn`, on SQLite by a number that grows. They may be run again.
pub fn notify(dialect: Dialect) -> String {
    match dialect {
        Dialect::PostgreSql => POSTGRESQL_NOTIFY.to_owned(),
        Dialect::Sqlite => SQLITE_NOTIFY.to_owned(),
    }
}

/// What the schema makes on SQLite, found out in memory.
///
/// # Errors
/// SQLite's.
pub fn wanted_of_sqlite() -> rusqlite::Result<Shape> {
    let database = Connection::open_in_memory()?;
    for part in parts(Dialect::Sqlite) {
        database.execute_batch(&part.text)?;
    }
    Shape::of_sqlite(&database, &tables(Dialect::Sqlite))
}

/// Creates what an SQLite database misses that has no users' table at all: it is ours from the beginning, and says what
/// has changed too. Any other is left alone: what it misses may be missing for a reason.
///
/// # Errors
/// SQLite's.
pub fn complete_sqlite(database: &mut Connection) -> rusqlite::Result<Plan> {
    let tables = tables(Dialect::Sqlite);
    let missing = |database: &Connection| -> rusqlite::Result<Plan> {
        Ok(plan(&parts(Dialect::Sqlite), &wanted_of_sqlite()?, &Shape::of_sqlite(database, &tables)?))
    };
    if !is_ours(&missing(database)?) {
        return Ok(Plan::default());
    }
    // Again, as the only writer: another program may be at the same.
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let plan = missing(&transaction)?;
    if !is_ours(&plan) {
        return Ok(Plan::default());
    }
    for part in &plan.missing {
        transaction.execute_batch(&part.text)?;
    }
    transaction.execute_batch(SQLITE_NOTIFY)?;
    transaction.commit()?;
    Ok(plan)
}

/// Whether every users' table is missing.
fn is_ours(plan: &Plan) -> bool {
    const USERS: [&str; 5] = ["radcheck", "radreply", "radusergroup", "radgroupcheck", "radgroupreply"];
    let is_missing = |name| plan.missing.iter().any(|part| part.kind == Kind::Table && part.name == name);
    USERS.into_iter().all(is_missing)
}

/// Compares what there is with what there should be.
pub fn plan(parts: &[Part], wanted: &Shape, found: &Shape) -> Plan {
    let mut plan = Plan::default();
    for part in parts {
        let there = found.table(&part.table);
        let is_missing = match (part.kind, there) {
            (_, None) => true,
            (Kind::Table, Some(_)) => false,
            (Kind::Index, Some(there)) => {
                let wanted = wanted.table(&part.table).and_then(|table| table.indexes.get(&part.name));
                there.is_table && wanted.is_some_and(|index| !there.indexes.values().any(|has| has == index))
            }
        };
        if is_missing {
            plan.missing.push(part.clone());
        }
    }
    for (name, wanted) in wanted.tables() {
        let Some(found) = found.table(name) else { continue };
        plan.differences.extend(shape::differences(name, wanted, found));
    }
    plan
}

/// The statements of a text without its comments. None of ours has a semicolon within.
fn statements(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
    let text: String = lines.collect::<Vec<_>>().join("\n");
    let statements = text.split(';').map(|statement| statement.trim().to_owned());
    statements.filter(|statement| !statement.is_empty()).collect::<Vec<_>>().into_iter()
}

/// `CREATE TABLE name (..)` or `CREATE [UNIQUE] INDEX name ON table (..)`.
fn part(text: &str) -> Option<Part> {
    let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "UNIQUE").collect();
    let (kind, name, table) = match words.as_slice() {
        ["CREATE", "TABLE", name, ..] => (Kind::Table, *name, *name),
        ["CREATE", "INDEX", name, "ON", table, ..] => (Kind::Index, *name, *table),
        _ => return None,
    };
    Some(Part { kind, name: name.to_owned(), table: table.to_owned(), text: text.to_owned() })
}

/// What `CREATE TABLE` has to be for a table that nobody else sees.
pub fn temporary(part: &Part) -> String {
    part.text.replacen("CREATE TABLE", "CREATE TEMPORARY TABLE", 1)
}

/// The tables of the schema.
pub fn tables(dialect: Dialect) -> Vec<String> {
    let names = parts(dialect).into_iter().map(|part| (part.table, ()));
    names.collect::<BTreeMap<_, _>>().into_keys().collect()
}

#[cfg(test)]
mod tests;
