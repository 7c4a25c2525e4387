//! The directory as a source of accounts.

use std::sync::Arc;

use forewarn_dict::Dictionary;
use tokio::runtime::Handle;

use super::{Directory, Found};
use crate::store::cache::Keep;
use crate::store::directory::{Query, Source};
use crate::users::{self, Account, GroupRows, Lookup, Row, Rows};

/// Looks accounts up in a directory.
#[derive(Debug)]
pub struct Users {
    directory: Arc<Directory>,
    dictionary: Arc<Dictionary>,
    runtime: Handle,
}

impl Users {
    /// Of this directory; `runtime` is where it is spoken with.
    pub fn new(directory: Arc<Directory>, dictionary: Arc<Dictionary>, runtime: Handle) -> Self {
        Self { directory, dictionary, runtime }
    }
}

impl Source for Users {
    fn look_up(&self, query: Query) {
        let (directory, dictionary) = (Arc::clone(&self.directory), Arc::clone(&self.dictionary));
        self.runtime.spawn(async move {
            let lookup = match directory.look_up(query.name()).await {
                Ok(Some(found)) => Lookup::Known(Arc::new(account(&found, &dictionary))),
                Ok(None) => Lookup::Unknown,
                Err(_) => Lookup::Away,
            };
            query.answer(lookup);
        });
    }

    fn is_away(&self) -> bool {
        // Asked all the same: while it is away it says so at once, and what is asked finds out that it is back.
        false
    }

    fn keep(&self) -> Keep {
        self.directory.keep()
    }
}

/// As if a database had it: what the entry holds are items with the operator `:=`.
fn account(found: &Found, dictionary: &Dictionary) -> Account {
    let set =
        |attribute, value| Row { id: 0, attribute: Some(attribute), op: Some(":="), value: Some(value) };
    let passwords = found.passwords.iter().filter_map(|(attribute, value)| {
        let value = std::str::from_utf8(value.octets()).ok()?;
        Some(set(*attribute, value))
    });
    let added = |attribute, value| Row { op: Some("+="), ..set(attribute, value) };
    let rows = Rows {
        check: passwords.collect(),
        reply: found
            .reply
            .iter()
            .map(|(attribute, value)| added(attribute.as_str(), value.as_str()))
            .collect(),
        groups: found.groups.iter().map(|name| GroupRows { name, ..GroupRows::default() }).collect(),
    };
    let mut account = Account::from_rows(&found.name, users::Source::Ldap, &rows, dictionary);
    account.bind = found.binds.then(|| found.dn.as_str().into());
    account
}
