//! Requests of other realms: handed to their pool of home servers, and brought back.
//!
//! One thread drives all pools, each a machine of its own ([`forewarn_proto::upstream`], as in the agent). The cores
//! hand requests in through bounded queues, and the answers come back as findings. What home servers say of their
//! fitness is obeyed with the agent's own code: see `notices`.

mod line;
mod notices;
mod strip;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use forewarn_proto::notice::Transport;
use forewarn_proto::pool::{Kind, PoolError};
use forewarn_proto::upstream::{self, GiveUp};
use forewarn_shell::control::PoolStatus;
use forewarn_shell::state::StateDir;
use forewarn_shell::upstream::DriverError;
use forewarn_wire::{Code, Kept, RadiusKey};
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::oneshot;

use crate::config::proxy::{HomeServer, Pool as PoolConfig};
use crate::process::mailbox::Promise;
use crate::store::Runtime;

use line::{Ends, Line, Order};
use notices::{Notices, Obedience};

pub use notices::{Letter, Letters};
pub use strip::stripped;

/// Requests that may wait to be taken over by a pool.
pub const QUEUE_MAX: usize = 4096;
/// Requests of one pool on their way at one time.
const IN_FLIGHT_MAX: usize = 8192;
/// Source ports of one pool: 256 requests each can wait for one server.
const PORTS: u16 = 16;
/// Notices and questions that may wait for a pool.
const ORDERS_MAX: usize = 64;
/// How long a pool may take to say how it is.
const SHOWN_WITHIN: Duration = Duration::from_millis(500);
/// What an EAP conversation of a supplicant that walks off may hold on to.
const CONVERSATION_AGE: Duration = Duration::from_secs(60);

/// A request on its way to a home server.
#[derive(Debug)]
pub struct Job {
    /// The request, verified.
    pub request: Kept,
    /// The secret it came under.
    pub asker: Arc<RadiusKey>,
    /// What it is about.
    pub kind: Kind,
    /// Whom to tell.
    pub promise: Promise,
}

/// What came of it.
#[derive(Debug)]
pub enum Brought {
    /// A reply, ready for the asker.
    Reply {
        /// Its code.
        code: Code,
        /// Its octets.
        octets: Box<[u8]>,
    },
    /// None came.
    Nothing(GiveUp),
    /// Too many are on their way already.
    Full,
}

/// How often, of one pool.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests handed in.
    pub requests: AtomicU64,
    /// Replies brought back.
    pub answered: AtomicU64,
    /// Requests that nobody answered in time.
    pub timed_out: AtomicU64,
    /// Requests, or replies, that could not be written for the other side.
    pub unforwardable: AtomicU64,
    /// Requests refused because too many were on their way.
    pub refused: AtomicU64,
    /// Requests on their way now.
    pub in_flight: AtomicU64,
    /// Times the servers were changed.
    pub switches: AtomicU64,
}

/// All pools in force.
#[derive(Debug)]
pub struct Proxy {
    runtime: Runtime,
    identity: IpAddr,
    /// Marks what went through here: a request that carries it has come round in a circle.
    mark: Box<[u8]>,
    notices: Arc<Notices>,
    pools: RwLock<Vec<Pool>>,
}

#[derive(Debug, Clone)]
struct Pool {
    config: PoolConfig,
    queue: Sender<Job>,
    orders: Sender<Order>,
    counters: Arc<Counters>,
}

/// A pool can't be driven.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The system has no thread to give.
    #[error("the proxy's thread can't start: {0}")]
    Thread(#[from] std::io::Error),
    /// Its servers are none.
    #[error("[[pool]] {name:?}: {cause}")]
    Pool {
        /// The pool.
        name: Arc<str>,
        /// Why.
        cause: PoolError,
    },
    /// It has no way to its servers.
    #[error("[[pool]] {name:?}: {cause}")]
    Driver {
        /// The pool.
        name: Arc<str>,
        /// Why.
        cause: DriverError,
    },
}

impl Proxy {
    /// Opens the ways to all pools, from `identity`. `mark` is 1 to 253 octets that no other proxy has. `state` keeps the
    /// last notice of each home server; what is said to them is put into `letters`.
    ///
    /// # Errors
    /// See [`ProxyError`].
    pub fn start(
        identity: IpAddr,
        mark: &[u8],
        pools: &[PoolConfig],
        state: &Arc<StateDir>,
        letters: &Arc<Letters>,
    ) -> Result<Self, ProxyError> {
        let runtime = Runtime::start("proxy")?;
        let notices = Arc::new(Notices::open(identity, state, letters)?);
        runtime.spawn(Arc::clone(&notices).keep_time());
        let proxy = Self { runtime, identity, mark: mark.into(), notices, pools: RwLock::default() };
        proxy.reload(pools)?;
        Ok(proxy)
    }

    /// Takes other pools over. One that hasn't changed goes on as it is; requests on their way in one that has gone
    /// are still answered. One that has changed takes over what is known of its servers, and their conversations.
    ///
    /// # Errors
    /// See [`ProxyError`]; the pools in force stay.
    pub fn reload(&self, pools: &[PoolConfig]) -> Result<(), ProxyError> {
        let mut fresh = Vec::with_capacity(pools.len());
        let mut orders = Vec::new();
        for config in pools {
            let kept = self.read().iter().find(|pool| pool.config.is_like(config)).cloned();
            fresh.push(match kept {
                Some(pool) => pool,
                None => {
                    let before = self.read().iter().find(|pool| pool.config.name == config.name).cloned();
                    let (heir, legacy) = before.as_ref().map(|_| oneshot::channel()).unzip();
                    orders.extend(before.map(|pool| pool.orders).zip(heir));
                    self.open(config, legacy)?
                }
            });
        }
        self.notices.obey(senders_of_notices(pools, &fresh));
        *self.pools.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        // Now that they get nothing more. Where there is no room for the order, the heir begins with nothing.
        for (before, heir) in orders {
            drop(before.try_send(Order::HandOver(heir)));
        }
        Ok(())
    }

    fn open(
        &self,
        config: &PoolConfig,
        legacy: Option<oneshot::Receiver<upstream::Legacy>>,
    ) -> Result<Pool, ProxyError> {
        let name = || Arc::clone(&config.name);
        let servers = config.servers().map_err(|cause| ProxyError::Pool { name: name(), cause })?;
        let machine = upstream::Config {
            in_flight: IN_FLIGHT_MAX,
            ports: PORTS,
            conversation_age: CONVERSATION_AGE,
            proxy_state: Some(self.mark.clone()),
            switch: config.switch.clone(),
            dead_server: config.dead_server,
            ..upstream::Config::default()
        };
        let counters = Arc::new(Counters::default());
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let ends = Ends {
            name: name(),
            jobs,
            orders: ordered,
            counters: Arc::clone(&counters),
            notices: Arc::clone(&self.notices),
            legacy,
        };
        let _entered = self.runtime.handle().enter();
        let line = Line::open(self.identity, machine, servers, ends);
        let line = line.map_err(|cause| ProxyError::Driver { name: name(), cause })?;
        self.runtime.spawn(line.work());
        Ok(Pool { config: config.clone(), queue, orders, counters })
    }

    /// Hands a request to the pool of this name.
    ///
    /// # Errors
    /// Its queue is full, or there is no such pool (any more); the job comes back.
    pub fn submit(&self, pool: &str, job: Job) -> Result<(), Box<Job>> {
        let pools = self.read();
        let Some(pool) = pools.iter().find(|open| *open.config.name == *pool) else {
            return Err(Box::new(job));
        };
        pool.counters.requests.fetch_add(1, Relaxed);
        pool.queue.try_send(job).map_err(|refused| {
            pool.counters.refused.fetch_add(1, Relaxed);
            Box::new(refused.into_inner())
        })
    }

    /// Whether a Proxy-State is this proxy's own.
    pub fn is_own(&self, proxy_state: &[u8]) -> bool {
        proxy_state == &*self.mark
    }

    /// What was counted, by pool.
    pub fn counters(&self) -> Vec<(Arc<str>, Arc<Counters>)> {
        let pools = self.read();
        pools.iter().map(|pool| (Arc::clone(&pool.config.name), Arc::clone(&pool.counters))).collect()
    }

    /// Takes what came to the notice sockets. False: no home server of ours has sent it, or it isn't for a client.
    pub fn handle_notice(&self, via: Transport, from: SocketAddr, payload: &[u8]) -> bool {
        self.notices.handle(via, from, payload)
    }

    /// What was counted of notices, by dotted name.
    pub fn notice_counts(&self) -> Vec<(&'static str, u64)> {
        self.notices.counts()
    }

    /// How the pools are, in the order of the configuration. One that doesn't say in time is missing.
    pub async fn status(&self) -> Vec<PoolStatus> {
        let orders: Vec<Sender<Order>> = self.read().iter().map(|pool| pool.orders.clone()).collect();
        let mut statuses = Vec::with_capacity(orders.len());
        for order in orders {
            let (asked, shown) = oneshot::channel();
            if order.try_send(Order::Show(asked)).is_ok()
                && let Ok(Ok(status)) = tokio::time::timeout(SHOWN_WITHIN, shown).await
            {
                statuses.push(status);
            }
        }
        statuses
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Pool>> {
        self.pools.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each home server that sends notices, with all pools that have it.
fn senders_of_notices(configured: &[PoolConfig], open: &[Pool]) -> Vec<Obedience> {
    let mut found: BTreeMap<IpAddr, (&HomeServer, Vec<Sender<Order>>)> = BTreeMap::new();
    for (config, pool) in configured.iter().zip(open) {
        for server in &config.servers {
            let (known, pools) = found.entry(server.address).or_insert((server, Vec::new()));
            if known.notice_keys.is_empty() {
                *known = server;
            }
            pools.push(pool.orders.clone());
        }
    }
    let all = found.into_values().filter(|(server, _)| !server.notice_keys.is_empty());
    all.map(|(server, pools)| (server.home(), server.name.clone(), pools)).collect()
}
