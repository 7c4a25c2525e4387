//! What is asked of the tables: one text for each statement, with marks where the engines differ.

/// Which dialect a text is to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL's.
    PostgreSql,
    /// SQLite's.
    Sqlite,
}

/// What a line of [`USERS`] and [`GROUPS`] is of: a row of the check table, of the reply table, or of radusergroup.
pub(super) const CHECK: i64 = 0;
pub(super) const REPLY: i64 = 1;
pub(super) const MEMBER: i64 = 2;

/// Everything about some users. Of each line: the user's number in the list, from 1; what the line is of; what orders
/// it (an id, or the priority of a group); attribute (or the group's name), operator, value.
///
/// There is no ORDER BY: the lines of one user are few, and sorting them here costs less than sorting all there.
pub(super) const USERS: &str = "\
SELECT n.i, CAST(0 AS bigint), CAST(t.id AS bigint), t.attribute, t.op, t.value
  FROM {names} JOIN radcheck t ON t.username = n.name
UNION ALL
SELECT n.i, CAST(1 AS bigint), CAST(t.id AS bigint), t.attribute, t.op, t.value
  FROM {names} JOIN radreply t ON t.username = n.name
UNION ALL
SELECT n.i, CAST(2 AS bigint), CAST(t.priority AS bigint), t.groupname, NULL, NULL
  FROM {names} JOIN radusergroup t ON t.username = n.name";

/// Everything about some groups, likewise.
pub(super) const GROUPS: &str = "\
SELECT n.i, CAST(0 AS bigint), CAST(t.id AS bigint), t.attribute, t.op, t.value
  FROM {names} JOIN radgroupcheck t ON t.groupname = n.name
UNION ALL
SELECT n.i, CAST(1 AS bigint), CAST(t.id AS bigint), t.attribute, t.op, t.value
  FROM {names} JOIN radgroupreply t ON t.groupname = n.name";

impl Dialect {
    /// A statement in this dialect. Its one parameter is the list of names: an array of texts, or JSON.
    pub(super) fn text(self, statement: &str) -> String {
        let names = match self {
            Dialect::PostgreSql => "unnest($1::text[]) WITH ORDINALITY AS n(name, i)",
            Dialect::Sqlite => "(SELECT key + 1 AS i, value AS name FROM json_each(?1)) AS n",
        };
        statement.replace("{names}", names)
    }
}
