//! The address metrics are asked for at: HTTP, bounded in everything, on the thread of the stores and not on one that
//! serves requests.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use forewarn_shell::clock;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Sleep;

use super::figures::Figures;
use super::page::Dialect;
use super::scrape::Scrape;
use crate::shared::Shared;

/// Connections at one time; others wait to be accepted.
const CONNECTIONS: usize = 8;
/// How long a connection may live, whatever comes over it.
const LIFETIME: Duration = Duration::from_secs(60);
/// How long a connection may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a scrape may take, the wait for the one before it included.
const SCRAPE: Duration = Duration::from_secs(5);

/// Asks the director for its figures.
pub type Ask = mpsc::Sender<oneshot::Sender<Figures>>;
/// Where the director is asked.
pub type Asked = mpsc::Receiver<oneshot::Sender<Figures>>;

/// The address can't be had.
#[derive(Debug, thiserror::Error)]
#[error("[metrics] listen {address} can't be had: {error}; name an address of this host and a free port")]
pub struct ListenError {
    address: SocketAddr,
    error: io::Error,
}

/// Serves metrics until it is dropped.
#[derive(Debug)]
pub struct Metrics {
    shared: Arc<Shared>,
    ask: Ask,
    started_at: f64,
    serving: Option<(SocketAddr, AbortHandle)>,
    /// Held while a page is written, set at the end: whoever writes one must not be the last to hold `shared`, whose
    /// end waits for the thread it is written on.
    ended: Arc<Mutex<bool>>,
}

impl Metrics {
    /// Serves at the address of the configuration, if there is one. Gives where it asks for the director's figures.
    ///
    /// # Errors
    /// The address can't be had.
    pub fn start(shared: Arc<Shared>) -> Result<(Metrics, Asked), ListenError> {
        let (ask, asked) = mpsc::channel(1);
        let started_at = clock::utc_nanos() as f64 / 1e9;
        let mut metrics = Metrics { shared, ask, started_at, serving: None, ended: Arc::default() };
        metrics.reload()?;
        Ok((metrics, asked))
    }

    /// Goes over to the address of the configuration in force, if it is another.
    ///
    /// # Errors
    /// It can't be had; the old one goes on.
    pub fn reload(&mut self) -> Result<(), ListenError> {
        let wanted = self.shared.config().metrics.listen;
        if wanted == self.serving.as_ref().map(|(address, _)| *address) {
            return Ok(());
        }
        let serving = wanted.map(|address| self.serve(address)).transpose()?;
        self.end();
        self.serving = serving;
        Ok(())
    }

    /// Bound here and now, so that who asks for it hears of what is wrong.
    fn serve(&self, address: SocketAddr) -> Result<(SocketAddr, AbortHandle), ListenError> {
        let wrong = |error| ListenError { address, error };
        let runtime = self.shared.stores().handle();
        let socket = std::net::TcpListener::bind(address).map_err(wrong)?;
        socket.set_nonblocking(true).map_err(wrong)?;
        let _entered = runtime.enter();
        let listener = TcpListener::from_std(socket).map_err(wrong)?;
        let listener = Bounded { listener, permits: Arc::new(Semaphore::new(CONNECTIONS)) };
        let desk = Desk {
            shared: Arc::downgrade(&self.shared),
            ask: self.ask.clone(),
            ended: Arc::clone(&self.ended),
            one: Arc::new(Semaphore::new(1)),
            started_at: self.started_at,
        };
        let router =
            Router::new().route("/metrics", get(metrics)).route("/", get(root)).with_state(Arc::new(desk));
        let task = runtime.spawn(async move {
            // It has no end of its own.
            let _ = axum::serve(listener, router).await;
        });
        Ok((address, task.abort_handle()))
    }

    fn end(&mut self) {
        if let Some((_, task)) = self.serving.take() {
            task.abort();
        }
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.end();
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

#[derive(Debug)]
struct Desk {
    shared: Weak<Shared>,
    ask: Ask,
    ended: Arc<Mutex<bool>>,
    one: Arc<Semaphore>,
    started_at: f64,
}

async fn root() -> &'static str {
    "forewarnd; its figures are at /metrics\n"
}

async fn metrics(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let dialect = Dialect::of(accept);
    match tokio::time::timeout(SCRAPE, page(&desk, dialect)).await {
        Ok(Some(page)) => ([(header::CONTENT_TYPE, dialect.content_type())], page).into_response(),
        Ok(None) => (StatusCode::SERVICE_UNAVAILABLE, "the server is ending\n").into_response(),
        Err(_) => {
            let text = "the server didn't come to it in time; ask again\n";
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

/// The page; one is made at a time. None: the server is ending.
async fn page(desk: &Desk, dialect: Dialect) -> Option<String> {
    let _one = desk.one.acquire().await.ok()?;
    let (sender, figures) = oneshot::channel();
    desk.ask.send(sender).await.ok()?;
    let figures = figures.await.ok()?;
    let (shared, started_at, ended) = (Weak::clone(&desk.shared), desk.started_at, Arc::clone(&desk.ended));
    // Writing a page of many clients takes milliseconds, and databases are spoken with on this thread.
    let written = tokio::task::spawn_blocking(move || {
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        if *ended {
            return None;
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape { shared: shared.upgrade()?, figures, started_at }));
        dialect.write(&registry).ok()
    });
    written.await.ok()?
}

/// Accepts so many connections at a time, and ends those that dawdle.
struct Bounded {
    listener: TcpListener,
    permits: Arc<Semaphore>,
}

impl axum::serve::Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            // It is never closed.
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, address)) => return (Connection::new(stream, permit), address),
                Err(error) => {
                    tracing::debug!(%error, "a connection for metrics can't be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with an end.
struct Connection {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    patience: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit) -> Self {
        let sleep = |length| Box::pin(tokio::time::sleep(length));
        Self { stream, end: sleep(LIFETIME), patience: sleep(PATIENCE), _permit: permit }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let over =
            self.end.as_mut().poll(context).is_ready() || self.patience.as_mut().poll(context).is_ready();
        if over { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    fn renew(&mut self) {
        self.patience.as_mut().reset(clock::deadline(clock::now() + PATIENCE));
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        self.renew();
        Poll::Ready(read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, octets));
        self.renew();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
