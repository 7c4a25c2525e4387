//! `[[pool]]` and `[[realm]]`: who is asked about users that aren't this server's own.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use forewarn_proto::notice::KeyEntry;
use forewarn_proto::upstream::DeadServer;
use forewarn_proto::{pool, switch};
use forewarn_shell::config::Secret;
use forewarn_shell::inbox::Home;
use forewarn_wire::RadiusKey;
use forewarn_wire::notice::Identity;
use regex::Regex;

use super::NoticeKeyEntry;

/// `[[pool]]`: home servers, in order of preference.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its name.
    pub name: Arc<str>,
    /// Its servers, 1 to [`pool::MAX_SERVERS`].
    pub servers: Vec<HomeServer>,
    /// Who gets which request, what a notice does, and how a server is returned to.
    pub switch: switch::Config,
    /// How a server that died without a word is found out.
    pub dead_server: DeadServer,
}

/// One of `servers`.
#[derive(Debug, Clone)]
pub struct HomeServer {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: IpAddr,
    /// Where Access-Requests go.
    pub auth_port: u16,
    /// Where Accounting-Requests go.
    pub acct_port: u16,
    /// Where it takes receipts and challenges by UDP.
    pub notice_port: u16,
    /// The secret shared with it.
    pub key: RadiusKey,
    /// Whether its replies without Message-Authenticator are discarded (CVE-2024-3596).
    pub require_message_authenticator: bool,
    /// Whether it answers Status-Server.
    pub status_server: bool,
    /// The keys its notices may be signed with; empty: it sends none.
    pub notice_keys: Vec<NoticeKeyEntry>,
    /// The same as it was written, to tell whether a reload changes it.
    pub secret: Secret,
}

impl PartialEq for HomeServer {
    fn eq(&self, other: &HomeServer) -> bool {
        // The notice keys are the inbox's affair, which is made anew at each reload.
        let facts = |one: &HomeServer| {
            let ports = (one.auth_port, one.acct_port, one.notice_port);
            (one.address, ports, one.require_message_authenticator, one.status_server)
        };
        self.name == other.name && facts(self) == facts(other) && self.secret == other.secret
    }
}

impl Eq for HomeServer {}

impl Pool {
    /// Whether both are asked in the same way.
    pub fn is_like(&self, other: &Pool) -> bool {
        let times = |pool: &Pool| (pool.switch.clone(), pool.dead_server);
        self.name == other.name && self.servers == other.servers && times(self) == times(other)
    }

    /// The servers as the machine takes them.
    ///
    /// # Errors
    /// There are none or too many, or two are the same; the configuration's check has said so before.
    pub fn servers(&self) -> Result<pool::Pool, pool::PoolError> {
        let server = |server: &HomeServer| pool::Server {
            name: server.name.clone(),
            identity: Identity::from(server.address),
            auth: SocketAddr::new(server.address, server.auth_port),
            acct: SocketAddr::new(server.address, server.acct_port),
            key: server.key.clone(),
            require_message_authenticator: server.require_message_authenticator,
            status_server: server.status_server,
        };
        pool::Pool::new(self.servers.iter().map(server).collect())
    }
}

impl HomeServer {
    /// It as a sender of notices.
    pub fn home(&self) -> Home {
        let entry = |entry: &NoticeKeyEntry| {
            let NoticeKeyEntry { id, key, send } = entry.clone();
            KeyEntry { id, key, send }
        };
        let keys = self.notice_keys.iter().map(entry).collect();
        Home { address: self.address, port: self.notice_port, keys }
    }
}

/// `[[realm]]`
#[derive(Debug, Clone)]
pub struct Realm {
    /// Which realms are meant.
    pub matching: Matching,
    /// The name of its pool. `None`: this server's own.
    pub pool: Option<Arc<str>>,
    /// Whether the home server gets the User-Name without its realm.
    pub strip: bool,
}

/// `match`, in lower case: realms don't tell upper from lower (RFC 7542 section 2.4).
#[derive(Debug, Clone)]
pub enum Matching {
    /// `example.org`
    Exact(String),
    /// `*.example.org`: everything below it. Held as `.example.org`.
    Below(String),
    /// `/expression/`, of the whole realm.
    Expression(Regex),
    /// `NULL`: a name without a realm.
    Null,
    /// `DEFAULT`: a realm that no other one matches.
    Default,
}

/// The realm of a User-Name (RFC 7542 section 2.2): what follows its last `@`. `None`: it has none.
pub fn realm_of(user_name: &[u8]) -> Option<&[u8]> {
    let at = user_name.iter().rposition(|octet| *octet == b'@')?;
    Some(&user_name[at + 1..])
}

/// Realms, to be looked up by User-Name.
#[derive(Debug, Default)]
pub struct Realms {
    /// In lower case.
    exact: HashMap<Box<[u8]>, Realm>,
    others: Vec<Realm>,
}

impl Realms {
    /// Of the configuration.
    pub fn new(realms: &[Realm]) -> Self {
        let mut sorted = Self::default();
        for realm in realms {
            match &realm.matching {
                Matching::Exact(name) => {
                    sorted.exact.insert(name.to_ascii_lowercase().into_bytes().into(), realm.clone());
                }
                _ => sorted.others.push(realm.clone()),
            }
        }
        sorted
    }

    /// Which one a User-Name belongs to: exact ones first, then the longest suffix, then expressions in their order,
    /// then `DEFAULT`. `None`: this server's own.
    pub fn of(&self, user_name: &[u8]) -> Option<&Realm> {
        if self.exact.is_empty() && self.others.is_empty() {
            return None;
        }
        let first = |wanted: fn(&Matching) -> bool| self.others.iter().find(|realm| wanted(&realm.matching));
        let Some(name) = realm_of(user_name) else {
            return first(|matching| matches!(matching, Matching::Null));
        };
        // No User-Name is longer than an attribute (RFC 2865 section 5).
        let mut lower = [0; 253];
        let lower = &mut lower[..name.len().min(253)];
        lower.copy_from_slice(&name[..lower.len()]);
        lower.make_ascii_lowercase();
        // What isn't text is nobody's realm.
        let text = std::str::from_utf8(lower).ok();
        let exact = self.exact.get(&*lower);
        let below = || {
            let length = |realm: &&Realm| match &realm.matching {
                Matching::Below(suffix) if ends_with(lower, suffix.as_bytes()) => suffix.len(),
                _ => 0,
            };
            self.others.iter().filter(|realm| length(realm) > 0).max_by_key(length)
        };
        let expression = || {
            let text = text?;
            self.others.iter().find(
                |realm| matches!(&realm.matching, Matching::Expression(expression) if expression.is_match(text)),
            )
        };
        exact
            .or_else(below)
            .or_else(expression)
            .or_else(|| first(|matching| matches!(matching, Matching::Default)))
    }
}

/// Whether `name`, in lower case, is below `suffix`.
fn ends_with(name: &[u8], suffix: &[u8]) -> bool {
    name.len() > suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm(matching: Matching, pool: &str) -> Realm {
        Realm { matching, pool: Some(pool.into()), strip: false }
    }

    fn pool_of(realms: &[Realm], name: &str) -> Option<String> {
        Realms::new(realms).of(name.as_bytes()).and_then(|realm| realm.pool.as_deref().map(str::to_owned))
    }

    #[test]
    fn the_most_exact_realm_is_meant() {
        let realms = [
            realm(Matching::Default, "0"),
            realm(Matching::Expression(Regex::new("(?i)^(?:.*\\.edu)$").unwrap()), "1"),
            realm(Matching::Below(".example.org".into()), "2"),
            realm(Matching::Below(".lab.example.org".into()), "3"),
            realm(Matching::Exact("lab.example.org".into()), "4"),
            realm(Matching::Null, "5"),
        ];
        let expected = [
            ("a@LAB.example.org", "4"),
            ("a@x.lab.example.org", "3"),
            ("a@y.Example.Org", "2"),
            ("a@example.org", "0"),
            ("a@b@uni.edu", "1"),
            ("alice", "5"),
            ("alice@", "0"),
        ];
        for (name, pool) in expected {
            assert_eq!(pool_of(&realms, name), Some(pool.to_owned()), "{name}");
        }
        assert_eq!(pool_of(&realms[1..5], "alice"), None);
        assert_eq!(pool_of(&realms[1..5], "a@elsewhere"), None);
    }
}
