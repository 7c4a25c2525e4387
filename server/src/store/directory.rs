//! Where accounts are looked up that aren't in the configuration: the sources behind it, in their order.

use crate::process::mailbox::{Finding, Promise};
use crate::users::Lookup;

/// The sources of accounts besides the configuration, and what of them is in memory.
#[derive(Debug, Default)]
pub struct Directory {}

impl Directory {
    /// What is known of this name without asking anybody: from the cache, or because there is nobody to ask.
    pub fn known(&self, _name: &[u8]) -> Option<Lookup> {
        Some(Lookup::Unknown)
    }

    /// Asks; the promise is kept with [`Finding::Account`].
    ///
    /// # Errors
    /// Too many wait for an answer already; the promise comes back.
    pub fn ask(&self, _name: &[u8], promise: Promise) -> Result<(), Promise> {
        promise.keep(Finding::Account(Lookup::Unknown));
        Ok(())
    }
}
