//! What a database in FreeRADIUS's schema says of one name, as its rows stand there.

use std::fmt;

/// One row of `radcheck`, `radreply`, `radgroupcheck` or `radgroupreply`. `None` is SQL's NULL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Row<'a> {
    /// `id`, for messages.
    pub id: i64,
    /// `attribute`
    pub attribute: Option<&'a str>,
    /// `op`; PostgreSQL pads `char(2)` with blanks, which don't count.
    pub op: Option<&'a str>,
    /// `value`
    pub value: Option<&'a str>,
}

/// One group of a user, from `radusergroup`, with that group's rows.
#[derive(Debug, Clone, Default)]
pub struct GroupRows<'a> {
    /// `groupname`
    pub name: &'a str,
    /// `radgroupcheck`, by id.
    pub check: Vec<Row<'a>>,
    /// `radgroupreply`, by id.
    pub reply: Vec<Row<'a>>,
}

/// All of them for one name.
#[derive(Debug, Clone, Default)]
pub struct Rows<'a> {
    /// `radcheck`, by id.
    pub check: Vec<Row<'a>>,
    /// `radreply`, by id.
    pub reply: Vec<Row<'a>>,
    /// Its groups, by priority.
    pub groups: Vec<GroupRows<'a>>,
}

impl Rows<'_> {
    /// Whether the database doesn't know the name. Rows of `radreply` alone don't make a user: FreeRADIUS looks at
    /// them only after those of `radcheck`.
    pub fn is_unknown(&self) -> bool {
        self.check.is_empty() && self.groups.is_empty()
    }
}

/// The table of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowTable {
    /// `radcheck`
    Check,
    /// `radreply`
    Reply,
    /// `radgroupcheck`
    GroupCheck,
    /// `radgroupreply`
    GroupReply,
}

impl RowTable {
    /// Whether its rows are check items.
    pub fn is_check(self) -> bool {
        matches!(self, RowTable::Check | RowTable::GroupCheck)
    }

    /// Its name in the schema.
    pub fn name(self) -> &'static str {
        match self {
            RowTable::Check => "radcheck",
            RowTable::Reply => "radreply",
            RowTable::GroupCheck => "radgroupcheck",
            RowTable::GroupReply => "radgroupreply",
        }
    }
}

/// What comes of a row that isn't understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowEffect {
    /// As in FreeRADIUS its whole table is unusable for this user or group: a request that comes as far is rejected.
    TableRefused,
    /// The row does nothing.
    LeftOut,
}

/// A row that isn't understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The table.
    pub table: RowTable,
    /// `id`
    pub id: i64,
    /// The user, or the group.
    pub owner: String,
    /// `attribute`; empty: NULL.
    pub attribute: String,
    /// What comes of it.
    pub effect: RowEffect,
    /// What is wrong. Never quotes a secret.
    pub what: String,
    /// What would be right.
    pub hint: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, owner, attribute, what, hint, .. } = self;
        let effect = match self.effect {
            RowEffect::TableRefused => "whoever needs this table is rejected",
            RowEffect::LeftOut => "the row does nothing",
        };
        write!(f, "{} row {id} ({owner:?}, {attribute:?}): {what}; {effect}", self.table.name())?;
        if hint.is_empty() { Ok(()) } else { write!(f, "; would be right: {hint}") }
    }
}

impl std::error::Error for RowError {}
