//! What a source knows of one name.

use std::sync::Arc;

use forewarn_dict::Dictionary;

use super::Source;
use super::plan::Plan;
use super::rows::{RowError, Rows};
use super::section::Section;
use crate::config;
use crate::policy::Groups;

/// What a source knows of one name: immutable, shared by cores and caches.
#[derive(Debug)]
pub struct Account {
    /// The name, as the source has it.
    pub name: Arc<str>,
    /// The source.
    pub source: Source,
    /// The groups it is in, for policies.
    pub groups: Groups,
    /// The DN as which a bind shows whether a password is right, where the directory keeps it to itself.
    pub bind: Option<Arc<str>>,
    /// The groups' names, in the order of the source.
    pub(super) group_names: Box<[Arc<str>]>,
    /// Its own rows, then those of its groups.
    pub(super) sections: Box<[Section]>,
    pub(super) faults: Box<[RowError]>,
    /// What it means for every request, where that doesn't depend on the request.
    pub(super) plan: Option<Plan>,
}

impl Account {
    /// From the rows of a database, understood once. What isn't understood is in [`faults`](Self::faults).
    pub fn from_rows(name: &str, source: Source, rows: &Rows<'_>, dictionary: &Dictionary) -> Self {
        let mut faults = Vec::new();
        let own = Section::new(name, false, [&rows.check, &rows.reply], dictionary, &mut faults);
        let mut sections = vec![own];
        for group in rows.groups.iter().take(usize::from(u16::MAX) - 1) {
            let lists = [&*group.check, &*group.reply];
            sections.push(Section::new(group.name, true, lists, dictionary, &mut faults));
        }
        let mut account = Self {
            name: name.into(),
            source,
            groups: Groups::new(rows.groups.iter().map(|group| group.name)),
            group_names: sections[1..].iter().map(|section| Arc::clone(&section.owner)).collect(),
            bind: None,
            sections: sections.into(),
            faults: faults.into(),
            plan: None,
        };
        account.plan = Plan::of(&account);
        account
    }

    /// Of somebody no source knows, whose certificate is enough: nothing but the name.
    pub fn of_certificate(name: &str) -> Self {
        let rows = Rows { check: Vec::new(), reply: Vec::new(), groups: Vec::new() };
        Self::from_rows(name, Source::Certificate, &rows, Dictionary::embedded())
    }

    /// Rows that aren't understood, to be said once to the operator when the account is read.
    pub fn faults(&self) -> &[RowError] {
        &self.faults
    }

    /// The groups' names, in the order of the source.
    pub fn group_names(&self) -> &[Arc<str>] {
        &self.group_names
    }

    /// Whether it means the same for every request.
    pub fn is_fixed(&self) -> bool {
        self.plan.is_some()
    }
}

impl From<&config::User> for Account {
    fn from(user: &config::User) -> Self {
        Self {
            name: Arc::clone(&user.name),
            source: Source::File,
            groups: Groups::new(user.groups.iter().map(AsRef::as_ref)),
            group_names: user.groups.iter().cloned().collect(),
            bind: None,
            sections: Box::default(),
            faults: Box::default(),
            plan: Some(Plan::of_user(user)),
        }
    }
}
