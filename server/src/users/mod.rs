//! Who users are: what a source knows of a name, and what that means for one request.
//!
//! An [`Account`] is what a source (the configuration, SQL, LDAP) knows of one name. It is immutable and shared by
//! cores and caches. [`authorize`] looks at it with one request in hand and gives an [`Authorization`]: what proves
//! the user, and what they get.

mod account;
mod authorize;
mod clock;
mod control;
mod expand;
mod item;
mod login_time;
mod meaning;
mod merge;
mod operator;
mod parse;
mod passwords;
mod place;
mod plan;
mod reply;
mod resolve;
mod rows;
mod section;
mod value;
mod witness;

use std::sync::Arc;

pub use account::Account;
pub use authorize::{Authorization, Refusal, authorize, authorize_seen};
pub use item::{Asker, AuthType, Item};
pub use operator::Operator;
pub use passwords::{NtHash, Passwords};
pub use reply::Reply;
pub use resolve::Room;
pub use rows::{GroupRows, Row, RowEffect, RowError, RowTable, Rows};
pub use section::Section;
pub use witness::{Step, Witness};

/// Where an account comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// `[[user]]` and `[users] file`.
    File,
    /// `[sql]`
    Sql,
    /// `[ldap]`
    Ldap,
    /// None: a certificate alone is enough.
    Certificate,
}

impl Source {
    /// As policies and people name it.
    pub fn name(self) -> &'static str {
        match self {
            Source::File => "file",
            Source::Sql => "sql",
            Source::Ldap => "ldap",
            Source::Certificate => "certificate",
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

#[cfg(test)]
mod tests;
