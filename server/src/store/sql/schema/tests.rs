//! Plans for SQLite; those for PostgreSQL are tested with a real one.

use super::*;

fn plan_for(database: &Connection) -> Plan {
    let found = Shape::of_sqlite(database, &tables(Dialect::Sqlite)).unwrap();
    plan(&parts(Dialect::Sqlite), &wanted_of_sqlite().unwrap(), &found)
}

#[test]
fn both_engines_have_the_same_tables() {
    let names = tables(Dialect::Sqlite);
    assert_eq!(names, tables(Dialect::PostgreSql));
    assert_eq!(names.len(), 10);
}

#[test]
fn an_empty_database_misses_everything_and_then_nothing() {
    let database = Connection::open_in_memory().unwrap();
    let plan = plan_for(&database);
    assert_eq!((plan.missing.len(), plan.differences.len()), (parts(Dialect::Sqlite).len(), 0));
    for part in plan.missing {
        database.execute_batch(&part.text).unwrap();
    }
    assert_eq!(plan_for(&database), Plan::default());
    database.execute_batch(&notify(Dialect::Sqlite)).unwrap();
    database.execute_batch(&notify(Dialect::Sqlite)).unwrap();
    assert_eq!(plan_for(&database), Plan::default());
}

#[test]
fn one_that_is_ours_from_the_beginning_counts_changes() {
    let mut database = Connection::open_in_memory().unwrap();
    assert!(!complete_sqlite(&mut database).unwrap().missing.is_empty());
    assert_eq!(complete_sqlite(&mut database).unwrap(), Plan::default());
    database.execute_batch("INSERT INTO radcheck (username) VALUES ('alice'); DELETE FROM radcheck").unwrap();
    let number: i64 =
        database.query_row("SELECT number FROM forewarn_changes", [], |row| row.get(0)).unwrap();
    assert_eq!(number, 2);
}

#[test]
fn what_is_there_is_spoken_of_and_left_alone() {
    let database = Connection::open_in_memory().unwrap();
    database
        .execute_batch(
            "CREATE TABLE radcheck (id INTEGER PRIMARY KEY AUTOINCREMENT, username varchar(32) NOT NULL DEFAULT '',
                attribute varchar(64) NOT NULL DEFAULT '', op char(2) NOT NULL DEFAULT '==', note text);
             CREATE INDEX an_index_of_ours ON radcheck (username);",
        )
        .unwrap();
    let plan = plan_for(&database);
    assert!(plan.missing.iter().all(|part| part.table != "radcheck"), "the index has another name, no more");
    assert_eq!(
        plan.differences,
        [
            "radcheck.username is varchar(32) NOT NULL DEFAULT '', and in FreeRADIUS's schema varchar(64) NOT NULL DEFAULT ''",
            "radcheck has no column value (varchar(253) NOT NULL DEFAULT '')",
            "radcheck has more columns: note",
        ]
    );
}
