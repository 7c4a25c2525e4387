//! What a database's tables look like.

use std::collections::BTreeMap;

use rusqlite::Connection;
use tokio_postgres::GenericClient;

/// The tables of a database that the schema speaks of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Shape(BTreeMap<String, Table>);

/// One of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// Rather than a view.
    pub(super) is_table: bool,
    columns: BTreeMap<String, Column>,
    /// What each index is, without its name: `UNIQUE (username)`.
    pub(super) indexes: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    data_type: String,
    not_null: bool,
    default: Option<String>,
}

impl Shape {
    pub(super) fn table(&self, name: &str) -> Option<&Table> {
        self.0.get(name)
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = (&str, &Table)> {
        self.0.iter().map(|(name, table)| (name.as_str(), table))
    }

    /// Of the tables of these names in SQLite.
    ///
    /// # Errors
    /// The database's.
    pub fn of_sqlite(database: &Connection, names: &[String]) -> rusqlite::Result<Self> {
        let mut shape = Shape::default();
        for name in names {
            let kind = database.query_row(
                "SELECT type FROM sqlite_master WHERE lower(name) = ?1 AND type IN ('table', 'view')",
                [name],
                |row| row.get::<_, String>(0),
            );
            let is_table = match kind {
                Ok(kind) => kind == "table",
                Err(rusqlite::Error::QueryReturnedNoRows) => continue,
                Err(error) => return Err(error),
            };
            let mut table = Table { is_table, ..Table::default() };
            let mut columns = database.prepare(
                "SELECT lower(name), lower(type), \"notnull\", dflt_value FROM pragma_table_info(?1)",
            )?;
            let mut rows = columns.query([name])?;
            while let Some(row) = rows.next()? {
                let default: Option<String> = row.get(3)?;
                let default = default.filter(|default| !default.eq_ignore_ascii_case("null"));
                let column =
                    Column { data_type: row.get(1)?, not_null: row.get(2)?, default: default.map(unquoted) };
                table.columns.insert(row.get(0)?, column);
            }
            let mut indexes =
                database.prepare("SELECT name, \"unique\" FROM pragma_index_list(?1) WHERE origin = 'c'")?;
            let mut rows = indexes.query([name])?;
            while let Some(row) = rows.next()? {
                let (index, unique): (String, bool) = (row.get(0)?, row.get(1)?);
                let columns: String = database.query_row(
                    "SELECT group_concat(name, ', ') FROM (SELECT lower(name) AS name FROM pragma_index_info(?1) ORDER BY seqno)",
                    [&index],
                    |row| row.get(0),
                )?;
                let unique = if unique { "UNIQUE " } else { "" };
                table.indexes.insert(index, format!("{unique}({columns})"));
            }
            shape.0.insert(name.clone(), table);
        }
        Ok(shape)
    }

    /// Of the tables of these names that a PostgreSQL connection sees when it doesn't name a schema.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_postgresql(
        client: &impl GenericClient,
        names: &[String],
    ) -> Result<Self, tokio_postgres::Error> {
        const COLUMNS: &str = "\
            SELECT c.relname::text, c.relkind IN ('r', 'p', 'f'), a.attname::text,
                   format_type(a.atttypid, a.atttypmod), a.attnotnull,
                   CASE WHEN a.attidentity <> '' THEN 'nextval' ELSE pg_get_expr(d.adbin, d.adrelid) END
              FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
             WHERE c.relname = ANY($1::text[]) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
               AND pg_table_is_visible(c.oid)";
        const INDEXES: &str = "\
            SELECT c.relname::text, i.relname::text, pg_get_indexdef(x.indexrelid)
              FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
             WHERE c.relname = ANY($1::text[]) AND pg_table_is_visible(c.oid)";
        let mut shape = Shape::default();
        for row in client.query(COLUMNS, &[&names]).await? {
            let table = shape.0.entry(row.try_get(0)?).or_default();
            table.is_table = row.try_get(1)?;
            let default: Option<String> = row.try_get(5)?;
            // The name of the sequence tells nothing.
            let default = default.map(|default| match default.starts_with("nextval") {
                true => "nextval".to_owned(),
                false => default,
            });
            let column = Column { data_type: row.try_get(3)?, not_null: row.try_get(4)?, default };
            table.columns.insert(row.try_get(2)?, column);
        }
        for row in client.query(INDEXES, &[&names]).await? {
            let table = shape.0.entry(row.try_get(0)?).or_default();
            let definition: &str = row.try_get(2)?;
            let unique = if definition.starts_with("CREATE UNIQUE") { "UNIQUE " } else { "" };
            let what = definition.split_once(" USING btree ").map_or(definition, |(_, what)| what);
            table.indexes.insert(row.try_get(1)?, format!("{unique}{what}"));
        }
        Ok(shape)
    }
}

/// SQLite gives the text of a default, and some write numbers with quotes.
fn unquoted(default: String) -> String {
    match default.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(number) if number.parse::<i64>().is_ok() => number.to_owned(),
        _ => default,
    }
}

/// What of a table isn't as it should be, apart from indexes that can be created. One sentence each.
pub(super) fn differences(name: &str, wanted: &Table, found: &Table) -> Vec<String> {
    let mut differences = Vec::new();
    for (column, wanted) in &wanted.columns {
        match found.columns.get(column) {
            None => differences.push(format!("{name} has no column {column} ({})", wanted.shown())),
            Some(found) if found != wanted => differences.push(format!(
                "{name}.{column} is {}, and in FreeRADIUS's schema {}",
                found.shown(),
                wanted.shown()
            )),
            Some(_) => {}
        }
    }
    let more: Vec<&str> = found
        .columns
        .keys()
        .filter(|column| !wanted.columns.contains_key(*column))
        .map(String::as_str)
        .collect();
    if !more.is_empty() {
        differences.push(format!("{name} has more columns: {}", more.join(", ")));
    }
    differences
}

impl Column {
    fn shown(&self) -> String {
        let Self { data_type, not_null, default } = self;
        let null = if *not_null { " NOT NULL" } else { "" };
        let default = default.as_ref().map(|default| format!(" DEFAULT {default}")).unwrap_or_default();
        format!("{data_type}{null}{default}")
    }
}
