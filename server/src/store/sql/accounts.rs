//! From the lines of a batch to accounts: what both engines do with what they read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use forewarn_dict::Dictionary;
use forewarn_proto::time::Instant;

use super::lines::{Found, LINES_MAX, Lines};
use crate::users::{Account, GroupRows, Lookup, Rows, Source};

/// Groups in memory at most.
const GROUPS_MAX: usize = 100_000;
/// Between two log lines about rows that can't be understood.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Makes accounts. Groups, which many users share, are kept by name.
#[derive(Debug)]
pub(super) struct Accounts {
    dictionary: ArcSwap<Dictionary>,
    /// How long a group is taken to be as it was read.
    keep: Duration,
    groups: Mutex<HashMap<Arc<str>, Group>>,
    /// Rows that couldn't be understood.
    faults: AtomicU64,
    line: Mutex<Option<Instant>>,
}

/// The lines of one group, which stand at number 0, and until when they count.
#[derive(Debug, Clone)]
struct Group {
    lines: Arc<Lines>,
    index: usize,
    until: Instant,
}

/// The groups of one batch.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Arc<str>, Group>);

impl Accounts {
    pub(super) fn new(dictionary: Arc<Dictionary>, keep: Duration) -> Self {
        let (groups, line) = (Mutex::default(), Mutex::default());
        let dictionary = ArcSwap::new(dictionary);
        Self { dictionary, keep, groups, faults: AtomicU64::new(0), line }
    }

    /// Takes another dictionary over.
    pub(super) fn take_dictionary(&self, dictionary: Arc<Dictionary>) {
        self.dictionary.store(dictionary);
    }

    /// The groups of these users that are in memory, and the names of those that have to be asked for.
    pub(super) fn groups(&self, users: &Lines, now: Instant) -> (Known, Vec<Arc<str>>) {
        let (mut known, mut missing) = (HashMap::new(), Vec::new());
        let groups = self.lock();
        for name in users.groups() {
            if known.contains_key(name) {
                continue;
            }
            match groups.get_key_value(name) {
                Some((name, group)) if now < group.until => {
                    known.insert(Arc::clone(name), group.clone());
                }
                _ => {
                    let name: Arc<str> = name.into();
                    let nothing = Group { lines: Arc::default(), index: 0, until: now };
                    known.insert(Arc::clone(&name), nothing);
                    missing.push(name);
                }
            }
        }
        (Known(known), missing)
    }

    /// Keeps the groups of these names that were asked for.
    pub(super) fn learn(&self, known: &mut Known, names: &[Arc<str>], mut lines: Lines, now: Instant) {
        lines.sort();
        let (lines, until) = (Arc::new(lines), now + self.keep);
        let mut groups = self.lock();
        if groups.len() + names.len() > GROUPS_MAX {
            groups.clear();
        }
        for (index, name) in names.iter().enumerate() {
            let group = Group { lines: Arc::clone(&lines), index, until };
            known.0.insert(Arc::clone(name), group.clone());
            groups.insert(Arc::clone(name), group);
        }
    }

    /// The account of `name` from its lines and its groups.
    pub(super) fn account(&self, name: &str, found: Found<'_>, known: &Known, now: Instant) -> Lookup {
        if found.len() > LINES_MAX {
            self.complain(1, now, || format!("user {name:?} has {} rows, of which at most {LINES_MAX} may be: not served; remove what is there by mistake", found.len()));
            return Lookup::Away;
        }
        let groups = found.groups().filter_map(|name| {
            let (name, group) = known.0.get_key_value(name)?;
            let found = group.lines.of(group.index);
            Some(GroupRows { name, check: found.check(), reply: found.reply() })
        });
        let rows = Rows { check: found.check(), reply: found.reply(), groups: groups.collect() };
        if rows.is_unknown() {
            return Lookup::Unknown;
        }
        let account = Account::from_rows(name, Source::Sql, &rows, &self.dictionary.load());
        if let Some(first) = account.faults().first() {
            self.complain(account.faults().len(), now, || format!("{first}; whoever needs it is rejected"));
        }
        Lookup::Known(Arc::new(account))
    }

    /// Groups have to be asked for anew.
    pub(super) fn forget_groups(&self) {
        self.lock().clear();
    }

    /// Rows that couldn't be understood, each time they were read.
    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Relaxed)
    }

    fn complain(&self, count: usize, now: Instant, what: impl FnOnce() -> String) {
        self.faults.fetch_add(count as u64, Relaxed);
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.is_none_or(|line| now >= line + LINE_EVERY) {
            *line = Some(now);
            tracing::warn!("{}", what());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
