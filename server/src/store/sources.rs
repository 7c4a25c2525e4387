//! The sources of accounts of a configuration, in its order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Runtime;
use super::cache::Keep;
use super::directory::{Directory, Query, Source};
use super::tls::TlsError;
use super::{ldap, sql};
use crate::config::Config;
use crate::config::ldap::Ldap;
use crate::config::sql::Sql;
use crate::users::{self, Account, Lookup};

/// Accounts in the cache, where `[sql]` doesn't say.
const CACHE_SIZE: usize = 100_000;

/// The sources in force, and what they were made from.
#[derive(Debug)]
pub struct Sources {
    order: Vec<users::Source>,
    sql_config: Option<Sql>,
    sql: Option<Arc<sql::Users>>,
    /// What `[sql]` says, whether or not it is a source of users.
    whole_sql: Option<Sql>,
    clients: Option<Arc<sql::clients::Clients>>,
    post_auth: Option<Arc<sql::post_auth::PostAuth>>,
    ldap_config: Option<Ldap>,
    ldap: Option<Arc<ldap::Directory>>,
}

/// A source can't be asked with these settings, ever: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// `[sql]`
    #[error(transparent)]
    Sql(#[from] sql::UsersError),
    /// `[ldap]`
    #[error("[ldap] {0}")]
    Ldap(#[from] TlsError),
}

impl Sources {
    /// Starts the sources of a configuration. Those that `before` has with the same settings go on.
    ///
    /// # Errors
    /// See [`SourcesError`].
    pub fn start(config: &Config, runtime: &Runtime, before: Option<&Sources>) -> Result<Self, SourcesError> {
        let sql_config = config.sql.clone().filter(|_| config.sources.contains(&users::Source::Sql));
        let same = before.filter(|before| before.sql_config == sql_config);
        let sql = match (&sql_config, same.and_then(|same| same.sql.clone())) {
            (_, Some(same)) => {
                same.take_dictionary(Arc::clone(&config.dictionary));
                Some(same)
            }
            (Some(sql), None) => {
                let dictionary = Arc::clone(&config.dictionary);
                Some(Arc::new(sql::Users::start(sql, dictionary, runtime)?))
            }
            (None, None) => None,
        };
        let ldap_config = config.ldap.clone().filter(|_| config.sources.contains(&users::Source::Ldap));
        let same = before.filter(|before| before.ldap_config == ldap_config);
        let ldap = match (&ldap_config, same.and_then(|same| same.ldap.clone())) {
            (_, Some(same)) => Some(same),
            (Some(ldap), None) => Some(Arc::new(ldap::Directory::new(ldap.clone())?)),
            (None, None) => None,
        };
        let (clients, post_auth) = match before.filter(|before| before.whole_sql == config.sql) {
            Some(same) => (same.clients.clone(), same.post_auth.clone()),
            None => {
                let wanted = |wants: fn(&Sql) -> bool| config.sql.as_ref().filter(|sql| wants(sql));
                let clients = wanted(|sql| sql.clients).map(|sql| sql::clients::Clients::start(sql, runtime));
                let post_auth =
                    wanted(|sql| sql.post_auth).map(|sql| sql::post_auth::PostAuth::start(sql, runtime));
                (clients.transpose()?.map(Arc::new), post_auth.transpose()?.map(Arc::new))
            }
        };
        let whole_sql = config.sql.clone();
        let order = config.sources.clone();
        Ok(Self { order, sql_config, sql, whole_sql, clients, post_auth, ldap_config, ldap })
    }

    /// The directory over them. `None`: that of `before` serves on, and has only to ask anew.
    pub fn directory(
        &self,
        config: &Config,
        runtime: &Runtime,
        before: Option<&Sources>,
    ) -> Option<Directory> {
        let same = |before: &Sources| {
            before.order == self.order
                && before.sql_config == self.sql_config
                // An account of the directory is read with the dictionary of its day.
                && before.ldap_config.is_none()
                && self.ldap_config.is_none()
        };
        if self.file_is_first() && before.is_some_and(same) {
            return None;
        }
        let mut sources: Vec<Arc<dyn Source>> = Vec::new();
        for (number, source) in self.order.iter().enumerate() {
            match source {
                // The cores look there by themselves.
                users::Source::File if number == 0 => {}
                users::Source::Certificate => {}
                users::Source::File => sources.push(Arc::new(File::new(config))),
                users::Source::Sql => sources.extend(self.sql.clone().map(|sql| sql as Arc<dyn Source>)),
                users::Source::Ldap => sources.extend(self.ldap.clone().map(|directory| {
                    let dictionary = Arc::clone(&config.dictionary);
                    let users = ldap::Users::new(directory, dictionary, runtime.handle().clone());
                    Arc::new(users) as Arc<dyn Source>
                })),
            }
        }
        let size = self.sql_config.as_ref().map_or(CACHE_SIZE, |sql| sql.cache_size);
        let directory = Directory::new(sources, size, runtime.handle().clone());
        if let Some(sql) = &self.sql {
            sql.tell(&directory);
        }
        Some(directory)
    }

    /// The users of `[sql]`.
    pub fn sql(&self) -> Option<&sql::Users> {
        self.sql.as_deref()
    }

    /// The clients of `[sql]`, where it has some.
    pub fn clients(&self) -> Option<&Arc<sql::clients::Clients>> {
        self.clients.as_ref()
    }

    /// The way into radpostauth, where that is wanted.
    pub fn post_auth(&self) -> Option<&Arc<sql::post_auth::PostAuth>> {
        self.post_auth.as_ref()
    }

    /// The directory of `[ldap]`.
    pub fn ldap(&self) -> Option<&Arc<ldap::Directory>> {
        self.ldap.as_ref()
    }

    fn file_is_first(&self) -> bool {
        self.order.first() == Some(&users::Source::File)
    }
}

/// The users of the configuration, where another source is asked before them.
#[derive(Debug)]
struct File(HashMap<Arc<str>, Arc<Account>>);

impl File {
    fn new(config: &Config) -> Self {
        let account = |user: &crate::config::User| (Arc::clone(&user.name), Arc::new(Account::from(user)));
        Self(config.users.iter().map(account).collect())
    }
}

impl Source for File {
    fn look_up(&self, query: Query) {
        let lookup =
            self.0.get(query.name()).map_or(Lookup::Unknown, |account| Lookup::Known(account.clone()));
        query.answer(lookup);
    }

    fn is_away(&self) -> bool {
        false
    }

    /// As long as this configuration is in force. That an account is here may change before that, when the source
    /// before this one comes to know it.
    fn keep(&self) -> Keep {
        const MINUTE: Duration = Duration::from_secs(60);
        Keep { found: MINUTE, negative: MINUTE, stale: Duration::ZERO }
    }
}
