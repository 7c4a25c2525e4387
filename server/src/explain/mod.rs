//! What would become of one Access-Request, found out without a socket: a core of a server that was made for it gets the
//! packet and tells the steps. It is the code that serves, with the sources of the configuration asked for real; only
//! what would leave a trace (accounting, records, home servers) is taken out before.

mod reply;
mod request;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use forewarn_shell::clock;
use forewarn_shell::state::{StateDir, StateError};
use forewarn_wire::Packet;

use crate::config::sql::Engine;
use crate::config::{Config, Decisions, ListenKind};
use crate::process::outcome::Cause;
use crate::process::story::{Step, Story};
use crate::process::{Arrival, Core, REJECT_DELAY, REJECT_JITTER};
use crate::shared::{Learnt, Shared, StartError};
use crate::store::accounting::Settings;
use crate::store::sql::clients;

pub use reply::Replied;
pub use request::{Ask, AskError, Given, Method};

/// How long sources and workers may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What would become of it.
#[derive(Debug)]
pub struct Explanation {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// How it ended.
    pub end: End,
    /// The policy, or the check item, that decided, where one did.
    pub decided_by: Option<Arc<str>>,
    /// The answer's attributes, where there is one.
    pub reply: Vec<Replied>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// This server decides, for this cause.
    Decided(Cause),
    /// It is handed on to this pool.
    HandedOn(String),
}

/// It can't be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The request can't be made.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Who asks may be a client of the database.
    #[error(
        "the clients of the table nas can't be read: {0}; see whether the database is up, or name one of the configuration"
    )]
    Clients(String),
    /// The server to be asked can't be made.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A folder for it can't be made.
    #[error("a temporary folder can't be made: {0}; set TMPDIR to one that this user may write to")]
    Folder(#[from] io::Error),
    /// That folder can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nobody answered in time.
    #[error("the sources didn't answer within {} s; see whether they are up", PATIENCE.as_secs())]
    Patience,
}

/// Finds out what would become of `ask`.
///
/// # Errors
/// See [`ExplainError`].
pub fn explain(config: Config, ask: &Ask) -> Result<Explanation, ExplainError> {
    let config = with_clients_of_the_database(config, ask)?;
    let address = ask.address(&config)?;
    let packet = ask.packet(&config, address)?;
    let folder = Folder::new()?;
    // What was learnt about clients counts here too; it can't be read by everybody.
    let _ = fs::copy(config.server.state_dir.join(Learnt::FILE), folder.path().join(Learnt::FILE));
    let state = Arc::new(StateDir::open(folder.path())?);
    let dictionary = Arc::clone(&config.dictionary);
    let asked = asked(&config, folder.path());
    let shared = Shared::start_asking(Arc::new(harmless(config)), &state, &asked)?;
    let mut core = Core::new(0, Arc::clone(&shared));
    core.listen();
    let mut out = [0; 4096];
    let answer = answer(&shared, &mut core, address, &packet, &mut out)?;
    let Story { steps, cause, decided_by, handed_on, set_by, .. } = core.story().unwrap_or_default();
    let end = match (handed_on, cause) {
        (Some(pool), _) => End::HandedOn(pool),
        (None, Some(cause)) => End::Decided(cause),
        (None, None) => return Err(ExplainError::Patience),
    };
    let reply = answer.and_then(|length| Packet::parse(&out[..length]).ok());
    let mut reply = reply.map(|reply| reply::described(&dictionary, reply.peek())).unwrap_or_default();
    reply::attributed(&mut reply, &set_by);
    Ok(Explanation { steps, end, decided_by, reply })
}

/// The configuration with the clients of the table `nas` too, where those count. A database that is away doesn't matter to a
/// client of the configuration.
fn with_clients_of_the_database(mut config: Config, ask: &Ask) -> Result<Config, ExplainError> {
    let Some(sql) = config.sql.as_mut().filter(|sql| sql.clients) else { return Ok(config) };
    sql.clients = false;
    match clients::read(sql) {
        Ok(more) => {
            // Of a network that both have, the configuration says more.
            let known: BTreeSet<_> = config.clients.iter().map(|client| client.network.trunc()).collect();
            config.clients.extend(more.into_iter().filter(|client| !known.contains(&client.network.trunc())));
        }
        Err(why) if ask.client_of(&config).is_none() => return Err(ExplainError::Clients(why)),
        Err(_) => {}
    }
    Ok(config)
}

/// Where sessions are counted: where the server counts them, since that leaves no trace. A file that isn't there stays so.
fn asked(config: &Config, folder: &Path) -> Settings {
    let settings = Settings::of(config, &config.server.state_dir);
    match settings.engine {
        Engine::Sqlite { ref path } if !path.exists() => Settings::of(&harmless(config.clone()), folder),
        _ => settings,
    }
}

/// The configuration without what would leave a trace, or ask home servers.
fn harmless(mut config: Config) -> Config {
    config.server.cores = 1;
    config.log.decisions = Decisions::None;
    config.log.decision_file = None;
    config.pools.clear();
    if let Some(sql) = &mut config.sql {
        sql.accounting = false;
        sql.post_auth = false;
    }
    config
}

/// The octets of the answer in `out`, if there is one.
fn answer(
    shared: &Arc<Shared>,
    core: &mut Core,
    address: IpAddr,
    packet: &[u8],
    out: &mut [u8],
) -> Result<Option<usize>, ExplainError> {
    let now = clock::now();
    let local = shared.config().server.identity;
    let source = (address, 1812).into();
    let kind = ListenKind::Auth;
    let arrival = Arrival { socket: 0, kind, source, local, arrived: now, octets: packet };
    core.begin();
    if let Some(departure) = core.handle_arrival(now, &arrival, out) {
        return Ok(Some(departure.length));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mailbox = Arc::clone(shared.mailbox(0));
    let deadline = now + PATIENCE;
    loop {
        // A reject's delay is for who guesses passwords.
        if let Some(departure) = core.poll_delayed(clock::now() + REJECT_DELAY + REJECT_JITTER, out) {
            return Ok(Some(departure.length));
        }
        if core.in_flight() == 0 {
            return Ok(None);
        }
        runtime.block_on(async {
            tokio::select! {
                () = mailbox.arrived() => {}
                () = clock::sleep_until(deadline) => {}
            }
        });
        if clock::now() >= deadline {
            return Err(ExplainError::Patience);
        }
        while core.collect() {
            if let Some(Some(departure)) = core.handle_finding(clock::now(), out) {
                return Ok(Some(departure.length));
            }
        }
    }
}

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut mark = [0; 8];
        forewarn_shell::random::fill(&mut mark);
        let name = format!("forewarn-explain-{:016x}", u64::from_be_bytes(mark));
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whoever cleans the system's temporary folder finds it otherwise.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests;
