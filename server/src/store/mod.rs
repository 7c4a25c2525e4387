//! What is kept outside the configuration: accounts in databases and directories, sessions, and records that wait for a
//! database.

pub mod accounting;
pub mod admission;
pub mod cache;
pub mod directory;
pub mod ldap;
mod runtime;
pub mod sessions;
pub mod sources;
pub mod sql;
pub mod standing;
pub mod tls;

pub use accounting::{Accounting, Entry, StoreError};
pub use runtime::Runtime;
