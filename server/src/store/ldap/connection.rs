//! Connections to the directory: some for searches, which share them, and some for binds, which don't.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchResult};
use rustls::ClientConfig;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config::ldap::Ldap as Config;

/// After a failure to connect to any server, the next try is at least this much later; what comes in between fails at
/// once, so that a directory that is away costs no request its time-out.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A connection for binds that has been idle for so long is asked something harmless first.
const DOUBT_AFTER: Duration = Duration::from_secs(5);
/// One line about a directory that is away, at most this often.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// The directory can't be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the LDAP directory can't be asked: {0}")]
pub struct Away(String);

impl Away {
    pub(super) fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl From<LdapError> for Away {
    fn from(error: LdapError) -> Self {
        Self::new(error)
    }
}

/// The servers, and which of them was last reached.
pub(super) struct Servers {
    urls: Vec<String>,
    settings: LdapConnSettings,
    bind: Option<(String, Zeroizing<String>)>,
    timeout: Duration,
    current: AtomicUsize,
    retry_at: AtomicU64,
    here: AtomicBool,
    told: Told,
}

/// What the operator has been told.
#[derive(Debug, Default)]
struct Told {
    /// When the last line about it was written, nanoseconds.
    line_at: AtomicU64,
    /// Why it is away, and since when it is, or isn't.
    state: StdMutex<(String, Option<Instant>)>,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").field("urls", &self.urls).finish_non_exhaustive()
    }
}

impl Servers {
    pub(super) fn new(config: &Config, tls: Option<Arc<ClientConfig>>) -> Self {
        let mut settings =
            LdapConnSettings::new().set_conn_timeout(config.timeout).set_starttls(config.starttls);
        if let Some(tls) = tls {
            settings = settings.set_config(tls);
        }
        let bind = config.bind.as_ref().map(|(dn, password)| {
            (dn.clone(), Zeroizing::new(String::from_utf8_lossy(password.octets()).into_owned()))
        });
        Self {
            urls: config.servers.clone(),
            settings,
            bind,
            timeout: config.timeout,
            current: AtomicUsize::new(0),
            retry_at: AtomicU64::new(0),
            here: AtomicBool::new(true),
            told: Told::default(),
        }
    }

    pub(super) fn are_here(&self) -> bool {
        self.here.load(Relaxed)
    }

    /// Why nobody answers (empty: somebody does), and since when; `None`: nobody was asked yet.
    pub(super) fn state(&self) -> (String, Option<Instant>) {
        self.told.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says when the directory goes away, and when it is back.
    pub(super) fn note(&self, failure: Option<&Away>) {
        let was_here = self.here.swap(failure.is_none(), Relaxed);
        let now = clock::now();
        {
            let mut state = self.told.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.1.is_none() || was_here != failure.is_none() {
                state.1 = Some(now);
            }
            state.0 = failure.map(|Away(why)| why.clone()).unwrap_or_default();
        }
        match failure {
            None if !was_here => tracing::info!("the LDAP directory answers again"),
            Some(why) if was_here || now >= Instant::from_nanos(self.told.line_at.load(Relaxed)) => {
                self.told.line_at.store((now + LINE_EVERY).as_nanos(), Relaxed);
                tracing::warn!(
                    "{why}; users that only it knows get no answer until it is back, those in memory go on"
                );
            }
            _ => {}
        }
    }

    /// A connection to the first server that takes one, from the one last reached on.
    async fn connect(&self) -> Result<Ldap, Away> {
        let now = clock::now().as_nanos();
        if now < self.retry_at.load(Relaxed) {
            return Err(Away::new("no server could be reached a moment ago"));
        }
        let first = self.current.load(Relaxed);
        let mut why = Away::new("no server is configured");
        for turn in 0..self.urls.len() {
            let number = (first + turn) % self.urls.len();
            let url = &self.urls[number];
            match timeout(self.timeout, LdapConnAsync::with_settings(self.settings.clone(), url)).await {
                Ok(Ok((connection, ldap))) => {
                    tokio::spawn(async move {
                        if let Err(error) = connection.drive().await {
                            tracing::debug!(%error, "a connection to the directory ended");
                        }
                    });
                    self.current.store(number, Relaxed);
                    return Ok(ldap);
                }
                Ok(Err(error)) => why = Away(format!("{url}: {error}")),
                Err(_) => why = Away(format!("{url}: no connection within {:?}", self.timeout)),
            }
        }
        self.rest();
        Err(why)
    }

    /// Nobody is called for a while.
    fn rest(&self) {
        self.retry_at.store((clock::now() + RETRY_AFTER).as_nanos(), Relaxed);
    }

    /// A connection that may search.
    async fn connect_to_search(&self) -> Result<Ldap, Away> {
        let mut ldap = self.connect().await?;
        if let Some((dn, password)) = &self.bind {
            let bound = ldap.with_timeout(self.timeout).simple_bind(dn, password).await;
            // One that takes connections and says nothing is away too: others don't wait for the same in turn.
            let bound = bound.inspect_err(|_| self.rest())?;
            if bound.rc != 0 {
                return Err(Away(format!(
                    "it refuses bind_dn {dn:?} ({}); check bind_dn and bind_password",
                    bound.rc
                )));
            }
        }
        Ok(ldap)
    }
}

/// Connections that searches share: a connection carries many at a time.
#[derive(Debug)]
pub(super) struct Searchers {
    servers: Arc<Servers>,
    connections: Vec<Mutex<Option<Open>>>,
    next: AtomicUsize,
}

struct Open(Ldap);

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open")
    }
}

impl Searchers {
    pub(super) fn new(servers: Arc<Servers>, connections: usize) -> Self {
        let connections = (0..connections).map(|_| Mutex::new(None)).collect();
        Self { servers, connections, next: AtomicUsize::new(0) }
    }

    /// Searches; once more over a new connection where the old one turns out to be dead.
    pub(super) async fn search<F>(&self, ask: impl Fn(Ldap) -> F) -> Result<SearchResult, Away>
    where
        F: Future<Output = Result<SearchResult, LdapError>>,
    {
        let number = self.next.fetch_add(1, Relaxed) % self.connections.len();
        let place = &self.connections[number];
        let mut failure = Away::new("no connection");
        for _ in 0..2 {
            let (ldap, is_new) = self.connection(place).await?;
            failure = match timeout(self.servers.timeout, ask(ldap)).await {
                Ok(Ok(result)) => return Ok(result),
                Ok(Err(error)) => Away::from(error),
                Err(_) => Away(format!("no answer within {:?}", self.servers.timeout)),
            };
            // Whoever else waits on it finds out by themselves.
            *place.lock().await = None;
            if is_new {
                break;
            }
        }
        Err(failure)
    }

    /// The connection of this place, made anew where it is closed: then true goes with it.
    async fn connection(&self, place: &Mutex<Option<Open>>) -> Result<(Ldap, bool), Away> {
        let mut open = place.lock().await;
        if let Some(Open(ldap)) = &mut *open
            && !ldap.is_closed()
        {
            return Ok((ldap.clone(), false));
        }
        let ldap = self.servers.connect_to_search().await?;
        *open = Some(Open(ldap.clone()));
        Ok((ldap, true))
    }
}

/// Connections for binds, which change who a connection is: one bind at a time on each.
#[derive(Debug)]
pub(super) struct Binders {
    servers: Arc<Servers>,
    /// The latest used is the last, with the time from which on it is doubted.
    idle: Mutex<Vec<(Open, Instant)>>,
    room: Semaphore,
}

impl Binders {
    pub(super) fn new(servers: Arc<Servers>, connections: usize) -> Self {
        Self { servers, idle: Mutex::default(), room: Semaphore::new(connections) }
    }

    pub(super) async fn bind(&self, dn: &str, password: &str) -> Result<LdapResult, Away> {
        let wait = self.servers.timeout;
        let room = timeout(wait, self.room.acquire()).await;
        let Ok(Ok(_room)) = room else { return Err(Away::new("all connections for binds are busy")) };
        let mut ldap = match self.idle().await {
            Some(ldap) => ldap,
            None => self.servers.connect().await?,
        };
        // Once: whether a bind without an answer was counted against the user nobody knows.
        let result = ldap.with_timeout(wait).simple_bind(dn, password).await?;
        self.idle.lock().await.push((Open(ldap), clock::now() + DOUBT_AFTER));
        Ok(result)
    }

    /// A connection from before that is still alive.
    async fn idle(&self) -> Option<Ldap> {
        loop {
            let (Open(mut ldap), doubted_from) = self.idle.lock().await.pop()?;
            if ldap.is_closed() {
                continue;
            }
            if clock::now() < doubted_from {
                return Some(ldap);
            }
            // Whatever it says; the directory may have closed it, or somebody in between has forgotten it.
            let asked = ldap.with_timeout(self.servers.timeout).search(
                "",
                Scope::Base,
                "(objectClass=*)",
                vec!["1.1"],
            );
            if asked.await.is_ok() {
                return Some(ldap);
            }
            // The others have been idle for longer.
            self.idle.lock().await.clear();
        }
    }
}
