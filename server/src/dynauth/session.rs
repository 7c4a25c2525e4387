//! Which live sessions an operator means.

use std::net::IpAddr;

use crate::config::Config;
use crate::store::accounting::Settings;
use crate::store::sessions;

pub use crate::store::sessions::{Filter, Session};

/// Sessions that one command may be for.
pub const SESSIONS_MAX: usize = 1000;

/// The live sessions that match, the oldest first; one more than [`SESSIONS_MAX`] where there are more. They are
/// looked for where accounting keeps them, on a thread that may wait.
///
/// # Errors
/// What the database says, for people.
pub(super) async fn live(config: &Config, filter: &Filter) -> Result<Vec<Session>, String> {
    let Settings { engine, timeout, .. } = Settings::of(config, &config.server.state_dir);
    let (filter, most) = (filter.clone(), SESSIONS_MAX as u32 + 1);
    let found = tokio::task::spawn_blocking(move || sessions::find(&engine, timeout, &filter, most));
    found.await.map_err(|error| error.to_string())?
}

/// The address that its NAS calls itself by, if it is one.
pub(super) fn nas(session: &Session) -> Option<IpAddr> {
    session.nas.parse().ok()
}
