//! Our tables and Debian's, as PostgreSQL's catalogue has them once each is loaded.

use std::fs;

use forewarn_tests::postgres::FREERADIUS_SCHEMA;
use forewarn_tests::{Hosts, Postgres};

/// The tables of address pools, in the same package.
const POOLS: &str = "/etc/freeradius/3.0/mods-config/sql/ippool/postgresql/schema.sql";
const OURS: &str = include_str!("../../../server/src/store/sql/schema/postgresql.sql");

const COLUMNS: &str = "SELECT table_name, column_name, udt_name, character_maximum_length, is_nullable, column_default \
     FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position";
const INDEXES: &str = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2";

#[test]
fn our_tables_are_those_of_freeradius() {
    let mut hosts = Hosts::claim();
    let (theirs, ours) = (Postgres::start(hosts.host()), Postgres::start(hosts.host()));
    for file in [FREERADIUS_SCHEMA, POOLS] {
        theirs.execute(&fs::read_to_string(file).expect("freeradius-config is installed"));
    }
    ours.execute(OURS);
    for (what, query, least) in [("columns", COLUMNS, 60), ("indexes", INDEXES, 10)] {
        let (theirs, ours) = (theirs.rows(query), ours.rows(query));
        let missing: Vec<_> = theirs.iter().filter(|row| !ours.contains(row)).collect();
        let further: Vec<_> = ours.iter().filter(|row| !theirs.contains(row)).collect();
        assert!(
            missing.is_empty() && further.is_empty(),
            "{what}: not ours {missing:#?}, not theirs {further:#?}"
        );
        assert_eq!(theirs, ours, "{what}: the order");
        assert!(theirs.len() > least, "{what}: {}", theirs.len());
    }
}
