//! Who users are: what a source knows of a name, and what that means for one request.
//!
//! An [`Account`] is what a source (the configuration, SQL, LDAP) knows of one name. It is immutable and shared by
//! cores and caches. [`authorize`] looks at it with one request in hand and gives an [`Authorization`]: what proves
//! the user, and what they get.

mod rows;

use std::sync::Arc;

use forewarn_dict::Dictionary;
use forewarn_wire::Packet;

use crate::config;
use crate::policy::Groups;
use crate::process::password::Password;
use crate::process::reply::Template;

pub use rows::{GroupRows, Row, RowError, RowTable, Rows};

/// Where an account comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// `[[user]]` and `[users] file`.
    File,
    /// `[sql]`
    Sql,
    /// `[ldap]`
    Ldap,
}

impl Source {
    /// As policies and people name it.
    pub fn name(self) -> &'static str {
        match self {
            Source::File => "file",
            Source::Sql => "sql",
            Source::Ldap => "ldap",
        }
    }
}

/// What a source knows of one name.
#[derive(Debug)]
pub struct Account {
    /// The name, as the source has it.
    pub name: Arc<str>,
    /// The source.
    pub source: Source,
    /// What a password is compared with.
    pub password: Option<Password>,
    /// The groups it is in, for policies.
    pub groups: Groups,
    /// What goes into its Access-Accept.
    pub reply: Template,
    /// The DN as which a bind shows whether a password is right, where the directory keeps it to itself.
    pub bind: Option<Arc<str>>,
}

impl Account {
    /// From the rows of a database, understood once. What can't be understood is in [`faults`](Self::faults).
    pub fn from_rows(name: &str, source: Source, rows: &Rows<'_>, dictionary: &Dictionary) -> Self {
        let _ = dictionary;
        let password = rows.check.iter().find(|row| row.attribute == Some("Cleartext-Password"));
        let password = password.and_then(|row| Password::clear(row.value?.as_bytes()).ok());
        Self {
            name: name.into(),
            source,
            password,
            groups: Groups::new(rows.groups.iter().map(|group| group.name)),
            reply: Template::default(),
            bind: None,
        }
    }

    /// Rows that could not be understood, to be said once to the operator when the account is read.
    pub fn faults(&self) -> &[RowError] {
        &[]
    }
}

impl From<&config::User> for Account {
    fn from(user: &config::User) -> Self {
        Self {
            name: Arc::clone(&user.name),
            source: Source::File,
            password: Some(user.password.clone()),
            groups: Groups::new(user.groups.iter().map(AsRef::as_ref)),
            reply: Template::new(&user.reply),
            bind: None,
        }
    }
}

/// What asking the sources for a name came to.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// One of them knows it.
    Known(Arc<Account>),
    /// All of them were asked, and none knows it.
    Unknown,
    /// One that might know it can't be asked at present.
    Away,
}

/// What an account means for one request.
#[derive(Debug)]
pub struct Authorization<'a> {
    /// What a password is compared with; empty: this account has none that counts for this request.
    pub passwords: Passwords<'a>,
    /// What goes into the Access-Accept.
    pub reply: &'a Template,
}

/// The forms in which one user's password is stored, in the order of the source.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passwords<'a>([Option<&'a Password>; Passwords::MAX]);

impl<'a> Passwords<'a> {
    /// Forms that count; more are ignored.
    pub const MAX: usize = 4;

    /// Adds one. False: there is no room.
    pub fn add(&mut self, password: &'a Password) -> bool {
        match self.0.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(password);
                true
            }
            None => false,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'a Password> {
        self.0.iter().copied().flatten()
    }

    /// The one in clear text.
    pub fn clear_text(&self) -> Option<&'a [u8]> {
        self.iter().find_map(Password::clear_text)
    }
}

/// What `account` means for `request`.
pub fn authorize<'a>(account: &'a Account, _request: &Packet<'_>) -> Authorization<'a> {
    let mut passwords = Passwords::default();
    if let Some(password) = &account.password {
        passwords.add(password);
    }
    Authorization { passwords, reply: &account.reply }
}
