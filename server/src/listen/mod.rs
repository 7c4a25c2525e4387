//! The listener cores: a thread each, with a runtime and a socket of every listen address of its own.
//!
//! All sockets are bound before any is read, so that a group never changes size while it lives; the kernel
//! picks the core by the packet's identifier, so that duplicates meet.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use forewarn_shell::udp::{self, BindError, Bound, Flushed, Inbound, Outbound, Socket};
use tokio::runtime;

use crate::config::{Config, ListenKind};
use crate::process::mailbox::Mailbox;
use crate::process::{Arrival, Core, Departure};
use crate::shared::Shared;

/// Turns without a sleep after which the runtime is let look at the other sockets.
const YIELD_EVERY: u32 = 4;

/// Bound sockets, not read yet: one of each address for every core.
#[derive(Debug)]
pub struct Sockets {
    cores: Vec<Vec<(ListenKind, Bound)>>,
    addresses: Vec<(ListenKind, SocketAddr)>,
}

impl Sockets {
    /// The addresses, in the order of the configuration; with the port the kernel picked, where it was 0.
    pub fn addresses(&self) -> &[(ListenKind, SocketAddr)] {
        &self.addresses
    }
}

/// Binds every listen address, for every core.
///
/// # Errors
/// Everything that can't be bound, and why.
pub fn bind(config: &Config) -> Result<Sockets, Vec<BindError>> {
    let size = config.server.cores.max(1);
    let mut cores: Vec<Vec<(ListenKind, Bound)>> = (0..size).map(|_| Vec::new()).collect();
    let (mut addresses, mut errors) = (Vec::new(), Vec::new());
    for listen in &config.listens {
        match udp::bind_group(listen.address, size, &udp::Options::default()) {
            Ok(group) => {
                addresses.extend(group.first().map(|bound| (listen.kind, bound.local_addr())));
                for (core, bound) in cores.iter_mut().zip(group) {
                    core.push((listen.kind, bound));
                }
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(Sockets { cores, addresses }) } else { Err(errors) }
}

/// Running cores.
#[derive(Debug)]
pub struct Cores {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    control: Arc<Control>,
}

/// What the cores tell and are told besides their gauges.
#[derive(Debug)]
struct Control {
    stopping: AtomicBool,
    /// By core: datagrams the kernel dropped for want of room in a receive queue.
    dropped: Box<[AtomicU64]>,
    /// By core: replies the kernel would not send.
    refused: Box<[AtomicU64]>,
}

/// Starts a thread for each core.
///
/// # Errors
/// The system has no thread, or no runtime, to give. Cores already started are stopped.
pub fn start(shared: &Arc<Shared>, sockets: Sockets) -> io::Result<Cores> {
    let zeros = || (0..sockets.cores.len()).map(|_| AtomicU64::new(0)).collect();
    let control = Arc::new(Control { stopping: AtomicBool::new(false), dropped: zeros(), refused: zeros() });
    let mut cores = Cores { shared: Arc::clone(shared), threads: Vec::new(), control };
    for (number, bound) in sockets.cores.into_iter().enumerate() {
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (shared, control) = (Arc::clone(shared), Arc::clone(&cores.control));
        let listeners = {
            let _entered = runtime.enter();
            let listener = |(kind, bound)| Socket::new(bound).map(|socket| Listener::new(kind, socket));
            bound.into_iter().map(listener).collect::<io::Result<Vec<_>>>()?
        };
        let thread = thread::Builder::new().name(format!("core-{number}")).spawn(move || {
            let _alarm = Alarm(number);
            let core = Core::new(number as u16, Arc::clone(&shared));
            let mailbox = Arc::clone(shared.mailbox(number));
            let scratch = Box::new([0; udp::DATAGRAM]);
            let turns = Loop { number, shared, mailbox, control, core, listeners, first: 0, scratch };
            runtime.block_on(turns.run());
        })?;
        cores.threads.push(thread);
    }
    Ok(cores)
}

impl Cores {
    /// Datagrams the kernel dropped because a receive queue was full.
    pub fn dropped(&self) -> u64 {
        self.control.dropped.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Replies the kernel would not send: no route, no such source address.
    pub fn refused(&self) -> u64 {
        self.control.refused.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Stops and joins them. Requests under way are given up: stop taking and wait for
    /// [`crate::vitals::Vitals::in_flight`] to end first.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.control.stopping.store(true, Relaxed);
        self.shared.wake_cores();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a listener core panicked");
            }
        }
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.end();
    }
}

/// Says at once that a core has panicked. Its sockets close, and the kernel gives their share to the other
/// cores; its gauges stay as busy as they were, so that the load tells the clients to leave.
struct Alarm(usize);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("core {} panicked: what it was working on is lost; restart the server", self.0);
        }
    }
}

/// One socket and its batches.
struct Listener {
    kind: ListenKind,
    socket: Socket,
    inbound: Inbound,
    outbound: Outbound,
}

impl Listener {
    fn new(kind: ListenKind, socket: Socket) -> Self {
        Self { kind, socket, inbound: Inbound::new(), outbound: Outbound::new() }
    }
}

/// What ended a sleep.
enum Wake {
    /// This listener has a batch.
    Batch(usize),
    /// A report, a deadline or a change of settings.
    Other,
}

struct Loop {
    number: usize,
    shared: Arc<Shared>,
    /// This core's own, so that going to sleep touches nothing that other cores touch.
    mailbox: Arc<Mailbox>,
    control: Arc<Control>,
    core: Core,
    listeners: Vec<Listener>,
    /// The listener asked first in the next turn, so that none is served before the others for ever.
    first: usize,
    /// Where replies that don't go out with their batch are written.
    scratch: Box<[u8; udp::DATAGRAM]>,
}

impl Loop {
    /// Turn after turn: a batch of one socket, what has been found out, what is due; then sleep.
    async fn run(mut self) {
        let vitals = Arc::clone(self.shared.vitals());
        let vitals = &vitals.cores()[self.number];
        vitals.wake(clock::now().as_nanos());
        let mut awake_turns = 0;
        while !self.control.stopping.load(Relaxed) {
            awake_turns += 1;
            if awake_turns % YIELD_EVERY == 0 {
                // Lets the runtime look at the other sockets.
                tokio::task::yield_now().await;
            }
            let wake = match self.read_now() {
                Some(listener) => Wake::Batch(listener),
                None => {
                    awake_turns = 0;
                    vitals.sleep(clock::now().as_nanos());
                    let wake = self.sleep().await;
                    vitals.wake(clock::now().as_nanos());
                    wake
                }
            };
            self.core.begin();
            if let Wake::Batch(listener) = wake {
                self.first = listener + 1;
                self.answer_batch(listener).await;
            }
            let now = clock::now();
            self.answer_findings(now).await;
            self.answer_delayed(now).await;
            self.core.show(now, None);
        }
        vitals.sleep(clock::now().as_nanos());
    }

    /// A batch of the first socket, from `first` on, that has one without waiting.
    fn read_now(&mut self) -> Option<usize> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match self.poll_read(&mut context) {
            Poll::Ready(listener) => Some(listener),
            Poll::Pending => None,
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        let count = self.listeners.len();
        for turn in 0..count {
            let index = (self.first + turn) % count;
            let listener = &mut self.listeners[index];
            match listener.socket.poll_receive(context, &mut listener.inbound) {
                Poll::Ready(Ok(_)) => {
                    self.control.dropped[self.number].store(self.kernel_drops(), Relaxed);
                    return Poll::Ready(index);
                }
                // An ICMP error for an earlier reply is reported here; there is nothing to do about it.
                Poll::Ready(Err(error)) => tracing::debug!(%error, "a socket reports an error"),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    fn kernel_drops(&self) -> u64 {
        self.listeners.iter().map(|listener| listener.socket.drops()).sum()
    }

    async fn sleep(&mut self) -> Wake {
        let mailbox = Arc::clone(&self.mailbox);
        let due = self.core.poll_timeout().unwrap_or(Instant::FAR);
        tokio::select! {
            biased;
            index = std::future::poll_fn(|context| self.poll_read(context)) => Wake::Batch(index),
            () = mailbox.arrived() => Wake::Other,
            () = clock::sleep_until(due), if due != Instant::FAR => Wake::Other,
        }
    }

    async fn answer_batch(&mut self, index: usize) {
        let Self { core, listeners, .. } = self;
        let Listener { kind, socket, inbound, outbound } = &mut listeners[index];
        let now = inbound.read_at();
        core.show(now, inbound.get(0).map(|datagram| datagram.arrived));
        for datagram in inbound.iter() {
            let arrival = Arrival {
                socket: index as u16,
                kind: *kind,
                source: datagram.from,
                local: datagram.to,
                arrived: datagram.arrived,
                octets: datagram.bytes,
            };
            let Some(out) = outbound.slot() else { break };
            if let Some(Departure { route, length }) = core.handle_arrival(now, &arrival, out) {
                outbound.commit(length, route.to, Some(route.from));
            }
        }
        flush(socket, outbound).await;
        core.handle_departed(clock::now);
    }

    async fn answer_findings(&mut self, now: Instant) {
        if !self.core.collect() {
            return;
        }
        while let Some(departure) = self.core.handle_finding(now, &mut *self.scratch) {
            if let Some(departure) = departure {
                self.send(departure).await;
            }
        }
        self.flush_all().await;
    }

    async fn answer_delayed(&mut self, now: Instant) {
        let mut any = false;
        while let Some(departure) = self.core.poll_delayed(now, &mut *self.scratch) {
            self.send(departure).await;
            any = true;
        }
        if any {
            self.flush_all().await;
        }
    }

    /// Puts what is in the scratch buffer into its socket's batch.
    async fn send(&mut self, departure: Departure) {
        let Departure { route, length } = departure;
        let octets = &self.scratch[..length];
        let Listener { socket, outbound, .. } = &mut self.listeners[usize::from(route.socket)];
        if outbound.push(octets, route.to, Some(route.from)).is_err() {
            flush(socket, outbound).await;
            // Empty now.
            let _ = outbound.push(octets, route.to, Some(route.from));
        }
    }

    async fn flush_all(&mut self) {
        for Listener { socket, outbound, .. } in &mut self.listeners {
            flush(socket, outbound).await;
        }
        self.core.handle_departed(clock::now);
        let refused = self.listeners.iter().map(|listener| listener.outbound.refused()).sum();
        self.control.refused[self.number].store(refused, Relaxed);
    }
}

/// Sends a batch; waits only where the socket's buffer is full.
async fn flush(socket: &Socket, outbound: &mut Outbound) {
    if socket.flush(outbound) == Flushed::Blocked && socket.send(outbound).await.is_err() {
        outbound.clear();
    }
}

#[cfg(test)]
mod tests;
