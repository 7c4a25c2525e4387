//! Connections to a PostgreSQL server, and what its errors mean.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Notification};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::sql::PostgreSql;
use crate::store::tls::{self, TlsError};

/// First and last wait between two tries to reach a server that is away.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(5);
/// How long a connection that was given up has to say so to its server.
const LEAVE: Duration = Duration::from_secs(1);

/// Opens connections to one server, all of them alike.
#[derive(Clone)]
pub struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    timeout: Duration,
    shown: Arc<str>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the configuration: it holds the password.
        f.debug_struct("Connector").field("server", &self.shown).finish_non_exhaustive()
    }
}

/// What to do about a table that isn't there.
pub const NO_TABLE: &str = "`forewarn db init` makes the tables";

/// The database didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// It can't be reached, is ending, or refuses everybody: the same may succeed later.
    #[error("{0}")]
    Away(String),
    /// It took longer than it may: the same may succeed later.
    #[error("no answer within {} ms", .0.as_millis())]
    Slow(Duration),
    /// It understood, and refuses these values: they will be refused again.
    #[error("{0}")]
    Refused(String),
    /// The schema, a privilege or the statement is wrong: the operator's to mend, then the same succeeds.
    #[error("{0}")]
    Unusable(String),
}

/// A connection. When it is dropped it ends, soon, even if the server has stopped answering.
#[derive(Debug)]
pub struct Link {
    client: Client,
    /// Who drives it sees when this is gone.
    _held: oneshot::Sender<()>,
}

impl Deref for Link {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl SqlError {
    /// Whether the values are to blame, and the database isn't.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl From<tokio_postgres::Error> for SqlError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(told) = error.as_db_error() else {
            // A value that can't be encoded for its column is the value's fault; everything else is the connection's.
            let chain = shown(&error);
            return match error.into_source() {
                Some(source) if source.is::<tokio_postgres::types::WrongType>() => Self::Unusable(chain),
                _ => Self::Away(chain),
            };
        };
        let what = match told.detail() {
            Some(detail) => format!("{} ({detail})", told.message()),
            None => told.message().to_owned(),
        };
        match told.code() {
            code if *code == SqlState::QUERY_CANCELED => Self::Away(what),
            code if *code == SqlState::UNDEFINED_TABLE => Self::Unusable(format!("{what}; {NO_TABLE}")),
            code => match &code.code()[..2] {
                // Data exceptions and violated constraints.
                "22" | "23" => Self::Refused(what),
                // Syntax, names and privileges; a feature that isn't there.
                "0A" | "42" | "3F" => Self::Unusable(what),
                _ => Self::Away(what),
            },
        }
    }
}

/// The error and what caused it: tokio-postgres says only "db error" or "error connecting to server" by itself.
fn shown(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl Connector {
    /// For this server; `timeout` is of connecting and of each statement.
    ///
    /// # Errors
    /// The certificates that TLS needs can't be had.
    pub fn new(server: &PostgreSql, timeout: Duration) -> Result<Self, TlsError> {
        let mut config = Config::new();
        config
            .host(&server.host)
            .port(server.port)
            .dbname(&server.database)
            .user(&server.user)
            .connect_timeout(timeout)
            .tcp_user_timeout(timeout.max(Duration::from_secs(1)) * 2)
            .keepalives_idle(Duration::from_secs(30))
            .ssl_mode(if server.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        if let Some(password) = &server.password {
            config.password(password.octets());
        }
        let tls = match &server.tls {
            None => None,
            Some(tls) => {
                let client = tls::client(tls.ca.as_deref())?;
                Some(MakeRustlsConnect::new(client.as_ref().clone()))
            }
        };
        Ok(Self { config, tls, timeout, shown: server.shown().into() })
    }

    /// Opens a connection, and leaves what drives it to the runtime this runs on. It shows up there as
    /// `forewarn PURPOSE`. Notifications (`LISTEN`) go to `heard`. When the connection breaks, what waits for it fails,
    /// and [`Client::is_closed`] says so.
    ///
    /// # Errors
    /// It can't be opened.
    pub async fn connect(
        &self,
        purpose: &str,
        heard: impl FnMut(Notification) + Send + 'static,
    ) -> Result<Link, SqlError> {
        let client = self.limited(self.open(purpose, heard)).await?;
        // By statement and not as options of the connection, which a pooler in between refuses.
        let timeout = self.timeout.as_millis();
        self.limited(async {
            client.batch_execute(&format!("SET statement_timeout = {timeout}")).await.map_err(SqlError::from)
        })
        .await?;
        Ok(client)
    }

    async fn open(
        &self,
        purpose: &str,
        heard: impl FnMut(Notification) + Send + 'static,
    ) -> Result<Link, SqlError> {
        let mut config = self.config.clone();
        config.application_name(format!("forewarn {purpose}"));
        let (_held, given_up) = oneshot::channel();
        match &self.tls {
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                tokio::spawn(until_left(drive(connection, heard), given_up));
                Ok(Link { client, _held })
            }
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                tokio::spawn(until_left(drive(connection, heard), given_up));
                Ok(Link { client, _held })
            }
        }
    }

    /// What `work` gives, unless it takes longer than a statement may (and a little, so that the server's own limit
    /// comes first and says so).
    ///
    /// # Errors
    /// Those of `work`, and [`SqlError::Slow`].
    pub async fn limited<T>(&self, work: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
        let limit = self.timeout + self.timeout / 4;
        tokio::time::timeout(limit, work).await.unwrap_or(Err(SqlError::Slow(self.timeout)))
    }

    /// How messages name the server.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Of a statement.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Drives a connection; when it is given up, only until it has taken its leave. A server that has stopped reading would
/// otherwise be waited for as long as it keeps the connection.
async fn until_left(driving: impl Future<Output = ()>, given_up: oneshot::Receiver<()>) {
    tokio::pin!(driving);
    tokio::select! {
        () = &mut driving => {}
        // Nothing is ever sent.
        _ = given_up => {
            let _ = tokio::time::timeout(LEAVE, driving).await;
        }
    }
}

/// Moves a connection's octets until it ends. How it ended is told to whoever waits for an answer.
async fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>, mut heard: impl FnMut(Notification))
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
        match message {
            AsyncMessage::Notification(notification) => heard(notification),
            AsyncMessage::Notice(notice) => tracing::debug!("the database says: {notice}"),
            _ => {}
        }
    }
}

/// How long to wait before the next try: twice as long each time, up to `RETRY_LAST`.
#[derive(Debug, Default)]
pub struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let next = self.last.map_or(RETRY_FIRST, |last| (last * 2).min(RETRY_LAST));
        self.last = Some(next);
        next
    }

    /// It worked: the next failure begins anew.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_was_given_up_ends_although_its_server_says_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (held, given_up) = oneshot::channel();
            let driver = tokio::spawn(until_left(std::future::pending(), given_up));
            tokio::task::yield_now().await;
            assert!(!driver.is_finished());
            drop(held);
            tokio::time::timeout(10 * LEAVE, driver).await.unwrap().unwrap();
        });
    }
}
