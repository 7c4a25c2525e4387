//! Users in an LDAP directory (RFC 4511): found by a search, verified by their entry's password or by a bind.
//!
//! Whatever a request brings is escaped before it stands in a filter (RFC 4515 section 3), and a bind never carries
//! an empty password, which directories take for anonymous (RFC 4513 section 5.1.2).

mod connection;
mod entry;
mod source;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use forewarn_proto::time::Instant;
use ldap3::{Scope as LdapScope, SearchOptions};

use self::connection::{Binders, Searchers, Servers};
use crate::config::ldap::{Ldap as Config, Scope};
use crate::contained::contained;
use crate::store::cache::Keep;
use crate::store::tls::{self, TlsError};

pub use self::connection::Away;
pub use self::entry::Found;
pub use self::source::Users;

/// Entries that a search for groups may give; more are ignored.
const GROUPS_MAX: i32 = 1000;

/// Result codes of RFC 4511 section 4.1.9 that say no to who binds, and not that the directory is unwell.
const REFUSALS: [u32; 5] = [19, 48, 49, 50, 53];

/// A directory. Its connections are made when they are needed, and again when they break.
#[derive(Debug)]
pub struct Directory {
    config: Config,
    servers: Arc<Servers>,
    searchers: Searchers,
    binders: Binders,
    counters: Counters,
}

/// How often.
#[derive(Debug, Default)]
pub struct Counters {
    /// Searches for a user.
    pub searches: AtomicU64,
    /// Binds as a user.
    pub binds: AtomicU64,
    /// Operations that found no directory, or none in time.
    pub away: AtomicU64,
    /// Names that more than one entry has.
    pub ambiguous: AtomicU64,
    /// Passwords of entries that have more than count.
    pub passwords_left_out: AtomicU64,
}

impl Directory {
    /// Of this configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// The authorities to trust can't be read, where TLS is wanted.
    pub fn new(config: Config) -> Result<Self, TlsError> {
        let wants_tls = config.starttls || config.servers.iter().any(|server| server.starts_with("ldaps:"));
        let tls = if wants_tls { Some(tls::client(config.ca.as_deref())?) } else { None };
        let servers = Arc::new(Servers::new(&config, tls));
        Ok(Self {
            searchers: Searchers::new(Arc::clone(&servers), config.connections),
            binders: Binders::new(Arc::clone(&servers), config.connections),
            servers,
            config,
            counters: Counters::default(),
        })
    }

    /// What the directory knows of a name. `None`: nothing.
    ///
    /// # Errors
    /// No server can be asked, or none answers in time.
    pub async fn look_up(&self, name: &str) -> Result<Option<Found>, Away> {
        self.counters.searches.fetch_add(1, Relaxed);
        let found = self.search_user(name).await;
        self.note(&found);
        found
    }

    /// Whether the directory lets this DN in with this password.
    ///
    /// # Errors
    /// As [`Directory::look_up`].
    pub async fn verify(&self, dn: &str, password: &str) -> Result<bool, Away> {
        if password.is_empty() || dn.is_empty() {
            return Ok(false);
        }
        self.counters.binds.fetch_add(1, Relaxed);
        let verified = self.bind(dn, password).await;
        self.note(&verified);
        verified
    }

    /// Whether a server answers.
    pub async fn is_well(&self) -> bool {
        let ask = self.searchers.search(|mut ldap| async move {
            ldap.search("", LdapScope::Base, "(objectClass=*)", vec!["1.1"]).await
        });
        let answered = ask.await;
        self.note(&answered);
        answered.is_ok()
    }

    /// Whether the last operation found a server; true before the first.
    pub fn is_here(&self) -> bool {
        self.servers.are_here()
    }

    /// Why it can't be asked (empty: it can), and since when; `None`: it wasn't asked yet.
    pub fn state(&self) -> (String, Option<Instant>) {
        self.servers.state()
    }

    /// How long its answers are kept.
    pub fn keep(&self) -> Keep {
        let Config { cache, negative_cache, stale, .. } = self.config;
        Keep { found: cache, negative: negative_cache, stale }
    }

    /// How often.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn note<T>(&self, outcome: &Result<T, Away>) {
        if outcome.is_err() {
            self.counters.away.fetch_add(1, Relaxed);
        }
        self.servers.note(outcome.as_ref().err());
    }

    async fn bind(&self, dn: &str, password: &str) -> Result<bool, Away> {
        let result = self.binders.bind(dn, password).await?;
        match result.rc {
            0 => Ok(true),
            code if REFUSALS.contains(&code) => Ok(false),
            // No such object: deleted since it was found.
            32 => Ok(false),
            _ => Err(Away::new(result)),
        }
    }

    async fn search_user(&self, name: &str) -> Result<Option<Found>, Away> {
        let filter = filled(&self.config.user_filter, name, "");
        let attributes = entry::wanted(&self.config);
        // A second one is enough to know that it isn't clear who is meant.
        let mut entries = self.entries(&self.config.base, filter, attributes, 2).await?;
        let entry = match entries.len() {
            0 => return Ok(None),
            1 => entries.remove(0),
            _ => {
                self.counters.ambiguous.fetch_add(1, Relaxed);
                tracing::warn!(
                    "the directory has more than one entry for user {name:?}: taken for unknown; make [ldap] user_filter or base narrower"
                );
                return Ok(None);
            }
        };
        let mut found = Found::read(entry, &self.config);
        self.counters.passwords_left_out.fetch_add(found.left_out as u64, Relaxed);
        if let Some(groups) = &self.config.groups {
            // Of several spellings, `memberUid` knows one.
            let filter = filled(&groups.filter, &found.name, &found.dn);
            let entries = self.entries(&groups.base, filter, vec![groups.name.clone()], GROUPS_MAX).await?;
            found.add_groups(entries, &groups.name);
        }
        Ok(Some(found))
    }

    async fn entries(
        &self,
        base: &str,
        filter: String,
        attributes: Vec<String>,
        most: i32,
    ) -> Result<Vec<ldap3::SearchEntry>, Away> {
        let scope = match self.config.scope {
            Scope::One => LdapScope::OneLevel,
            Scope::Subtree => LdapScope::Subtree,
        };
        let base = base.to_owned();
        let result = self.searchers.search(move |mut ldap| {
            let (base, filter, attributes) = (base.clone(), filter.clone(), attributes.clone());
            async move {
                ldap.with_search_options(SearchOptions::new().sizelimit(most));
                ldap.search(&base, scope, &filter, attributes).await
            }
        });
        let ldap3::SearchResult(entries, result) = result.await?;
        match result.rc {
            // Success; the size limit is reached, which is ours.
            0 | 4 => {}
            // There is no such base: nobody below it.
            32 => return Ok(Vec::new()),
            _ => return Err(Away::new(result)),
        }
        let entries = entries.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        // The crate panics on what isn't an entry.
        contained(|| entries.map(ldap3::SearchEntry::construct).collect())
            .map_err(|_| Away::new("an answer that isn't LDAP"))
    }
}

/// A filter for this user: what is filled in is data, also where it looks like a place to be filled.
fn filled(filter: &str, user: &str, dn: &str) -> String {
    let (user, dn) = (ldap3::ldap_escape(user), ldap3::ldap_escape(dn));
    let parts: Vec<String> = filter.split("{user}").map(|part| part.replace("{dn}", &dn)).collect();
    parts.join(&user)
}

#[cfg(test)]
mod tests;
