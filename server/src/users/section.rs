//! The rows of one user or one group, understood.

use std::sync::Arc;

use forewarn_dict::Dictionary;

use super::item::{Item, ItemValue};
use super::parse::{Problem, item};
use super::rows::{Row, RowEffect, RowError, RowTable};
use super::value;

/// Most items a list may have.
pub(super) const ITEMS_MAX: usize = 1000;

/// One user's or one group's check and reply items.
#[derive(Debug)]
pub struct Section {
    /// The user's or the group's name.
    pub owner: Arc<str>,
    /// Conditions and control items.
    pub check: List,
    /// What goes into the reply.
    pub reply: List,
}

/// The rows of one table.
#[derive(Debug, Default)]
pub struct List {
    /// Those that were understood.
    pub items: Vec<Item>,
    /// There are rows, whether understood or not.
    pub has_rows: bool,
    /// The first row that makes the whole list unusable, as FreeRADIUS has it: a number among the account's faults.
    pub refused: Option<usize>,
}

/// What Fall-Through says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallThrough {
    /// Nothing.
    Default,
    /// Go on.
    Yes,
    /// Stop here.
    No,
}

impl Section {
    /// From its rows.
    pub fn new(
        owner: &str,
        is_group: bool,
        rows: [&[Row<'_>]; 2],
        dictionary: &Dictionary,
        faults: &mut Vec<RowError>,
    ) -> Self {
        let [check, reply] = rows;
        let (check_table, reply_table) = match is_group {
            false => (RowTable::Check, RowTable::Reply),
            true => (RowTable::GroupCheck, RowTable::GroupReply),
        };
        Self {
            owner: owner.into(),
            check: List::new(owner, check_table, check, dictionary, faults),
            reply: List::new(owner, reply_table, reply, dictionary, faults),
        }
    }

    /// By the first Fall-Through of its reply list.
    pub fn fall_through(&self) -> FallThrough {
        let found = self.reply.items.iter().find(|item| &*item.place.name == "Fall-Through");
        match found.map(|item| &item.value) {
            None => FallThrough::Default,
            Some(ItemValue::Octets(octets)) => match value::unsigned(octets) {
                1 => FallThrough::Yes,
                2 => FallThrough::Default,
                _ => FallThrough::No,
            },
            Some(_) => FallThrough::No,
        }
    }
}

impl List {
    fn new(
        owner: &str,
        table: RowTable,
        rows: &[Row<'_>],
        dictionary: &Dictionary,
        faults: &mut Vec<RowError>,
    ) -> Self {
        let mut list = Self { has_rows: !rows.is_empty(), ..Self::default() };
        for row in rows.iter().take(ITEMS_MAX) {
            let mut report = |problem: Problem| {
                faults.push(RowError {
                    table,
                    id: row.id,
                    owner: owner.to_owned(),
                    attribute: row.attribute.unwrap_or_default().to_owned(),
                    effect: problem.effect,
                    what: problem.what,
                    hint: problem.hint,
                });
                (problem.effect == RowEffect::TableRefused).then(|| faults.len() - 1)
            };
            match item(row, table.is_check(), dictionary) {
                Ok((mut item, remark)) => {
                    remark.map(&mut report);
                    if table.is_check() && item.may_decide() {
                        let record = format!("{} row {} ({owner:?}): {item}", table.name(), row.id);
                        item.record = Some(record.into());
                    }
                    list.items.push(item);
                }
                Err(problem) => list.refused = list.refused.or(report(problem)),
            }
        }
        if rows.len() > ITEMS_MAX {
            faults.push(RowError {
                table,
                id: rows[ITEMS_MAX].id,
                owner: owner.to_owned(),
                attribute: String::new(),
                effect: RowEffect::TableRefused,
                what: format!("{} rows are too many", rows.len()),
                hint: format!("at most {ITEMS_MAX}"),
            });
            list.refused = list.refused.or(Some(faults.len() - 1));
        }
        list
    }
}
