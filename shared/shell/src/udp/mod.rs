//! UDP in batches: up to 64 datagrams a system call in each direction, each with the local address it came to
//! or leaves from, the kernel's receive stamp, and the count of what the kernel had to drop. Nothing is
//! allocated after the batches are made.
//!
//! ```no_run
//! # async fn serve() -> std::io::Result<()> {
//! use forewarn_shell::udp::{Inbound, Options, Outbound, Socket, bind_group};
//!
//! // On the main thread, before anything reads: one socket per core, the identifier picks the core.
//! let mut group = bind_group("127.0.0.11:1812".parse().unwrap(), 2, &Options::default()).unwrap();
//! // On each core:
//! let socket = Socket::new(group.remove(0))?;
//! let (mut inbound, mut outbound) = (Inbound::new(), Outbound::new());
//! loop {
//!     socket.receive(&mut inbound).await?;
//!     for datagram in inbound.iter() {
//!         let Some(buffer) = outbound.slot() else { break };
//!         buffer[..2].copy_from_slice(b"ok");
//!         outbound.commit(2, datagram.from, Some(datagram.to));
//!     }
//!     socket.send(&mut outbound).await;
//! }
//! # }
//! ```

mod bind;
mod holder;
pub(crate) mod sys;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use forewarn_proto::time::Instant;
use tokio::io::unix::AsyncFd;

pub(crate) use bind::receive_burst;
pub use bind::{BindError, Bound, Options, bind, bind_group};
pub use holder::{Holder, holder};
pub use sys::{BATCH, DATAGRAM};

use crate::clock;
use sys::{ReceiveBatch, SendBatch, Sent};

/// Datagrams received by one system call. 260 KiB of address space, of which only what was used is resident.
pub struct Inbound {
    batch: ReceiveBatch,
    read: Read,
}

/// When a batch was read, on both clocks: the kernel stamps datagrams with the calendar, and ages are wanted.
#[derive(Clone, Copy)]
struct Read {
    at: Instant,
    at_utc_nanos: u64,
    /// Whether the calendar has gone on like the monotonic clock since the batch before.
    steady: bool,
}

/// The two clocks may drift apart by this much between two batches (an adjusted calendar is slewed by 0.5 ms
/// a second). More is a step, and would make datagrams look hours old.
const STEP_NANOS: u64 = 20_000_000;

impl Read {
    const NEVER: Read = Read { at: Instant::ZERO, at_utc_nanos: 0, steady: false };

    fn after(self, at: Instant, at_utc_nanos: u64) -> Read {
        let apart = |read: &Read| read.at_utc_nanos.wrapping_sub(read.at.as_nanos());
        let read = Read { at, at_utc_nanos, steady: false };
        let step = apart(&read).wrapping_sub(apart(&self));
        Read { steady: step.min(step.wrapping_neg()) < STEP_NANOS, ..read }
    }

    /// When a datagram of that stamp arrived: when it was read, where that can't be told.
    fn arrival(&self, stamp: u64) -> Instant {
        if stamp == 0 || !self.steady {
            return self.at;
        }
        self.at.before(Duration::from_nanos(self.at_utc_nanos.saturating_sub(stamp)))
    }
}

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'b> {
    /// At most [`DATAGRAM`] octets.
    pub bytes: &'b [u8],
    /// Whether there was more.
    pub truncated: bool,
    /// The sender.
    pub from: SocketAddr,
    /// The local address it was sent to, from which the answer has to leave; unspecified without
    /// [`Options::envelopes`].
    pub to: IpAddr,
    /// When the kernel received it; when it was read, where the kernel didn't stamp it or the calendar was
    /// set meanwhile.
    pub arrived: Instant,
}

impl Inbound {
    /// An empty batch.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Inbound {
        let read = Read::NEVER.after(clock::now(), clock::utc_nanos());
        Inbound { batch: ReceiveBatch::new(), read }
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the batch was read: the `now` of everything in it.
    pub fn read_at(&self) -> Instant {
        self.read.at
    }

    /// The datagram at `index`, if there are so many.
    pub fn get(&self, index: usize) -> Option<Datagram<'_>> {
        let (bytes, envelope) = self.batch.get(index)?;
        Some(Datagram {
            bytes,
            truncated: envelope.truncated,
            from: envelope.from,
            to: envelope.to,
            arrived: self.read.arrival(envelope.stamp),
        })
    }

    /// The datagrams, in the order in which they arrived.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// Datagrams to be sent by one system call, each from an address of its own.
pub struct Outbound {
    batch: SendBatch,
    refused: u64,
}

/// There is no room in the batch: send it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch is full")]
pub struct Full;

/// Whether a batch went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// All of it.
    Done,
    /// The rest is still in the batch: the socket's buffer is full.
    Blocked,
}

impl Outbound {
    /// An empty batch.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Outbound {
        Outbound { batch: SendBatch::new(), refused: 0 }
    }

    /// How many datagrams wait in it.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer to write the next datagram into; None when the batch is full. Nothing is kept until
    /// [`Outbound::commit`].
    pub fn slot(&mut self) -> Option<&mut [u8; DATAGRAM]> {
        self.batch.slot()
    }

    /// Keeps the first `length` octets of the [`Outbound::slot`] for `to`, to leave `from` this local address
    /// (None: the kernel picks).
    ///
    /// # Panics
    /// When the batch is full, which `slot` would have told.
    pub fn commit(&mut self, length: usize, to: SocketAddr, from: Option<IpAddr>) {
        self.batch.commit(length, to, from);
    }

    /// Copies `bytes` (at most [`DATAGRAM`]) into the batch.
    pub fn push(&mut self, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> Result<(), Full> {
        let slot = self.slot().ok_or(Full)?;
        let length = bytes.len().min(slot.len());
        slot[..length].copy_from_slice(&bytes[..length]);
        self.commit(length, to, from);
        Ok(())
    }

    /// Forgets what wasn't sent.
    pub fn clear(&mut self) {
        self.batch.clear();
    }

    /// How many datagrams the kernel wouldn't send (no route, no such source address, not permitted), since
    /// the batch was made.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// A bound socket on the runtime of this thread.
#[derive(Debug)]
pub struct Socket {
    socket: AsyncFd<socket2::Socket>,
    local: SocketAddr,
    drops: AtomicU64,
    /// Whether datagrams tell how many were dropped before them.
    envelopes: bool,
}

impl Socket {
    /// Registers the socket with the current runtime.
    pub fn new(bound: Bound) -> io::Result<Socket> {
        let (local, envelopes) = (bound.local_addr(), bound.has_envelopes());
        let socket = sys::register(bound.into_socket())?;
        Ok(Socket { socket, local, drops: AtomicU64::new(0), envelopes })
    }

    /// A raw socket, to be read in the same batches.
    pub(crate) fn raw(socket: socket2::Socket, local: SocketAddr) -> io::Result<Socket> {
        Ok(Socket { socket: sys::register(socket)?, local, drops: AtomicU64::new(0), envelopes: true })
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How many datagrams the kernel has dropped because the receive queue was full, as told by those that
    /// came after; without [`Options::envelopes`] as the kernel tells now.
    pub fn drops(&self) -> u64 {
        if !self.envelopes {
            sys::drops(self.socket.get_ref().as_fd()).ok().into_iter().for_each(|drops| self.dropped(drops));
        }
        self.drops.load(Ordering::Relaxed)
    }

    /// Takes down the kernel's count, which it keeps modulo 2^32.
    fn dropped(&self, drops: u32) {
        let before = self.drops.load(Ordering::Relaxed);
        #[allow(clippy::cast_possible_truncation)] // modulo 2^32 here too
        let since = drops.wrapping_sub(before as u32);
        self.drops.store(before + u64::from(since), Ordering::Relaxed);
    }

    /// Waits until something is there and reads up to [`BATCH`] datagrams of it; answers how many, at least
    /// one. Nothing is lost when the future is dropped.
    pub async fn receive(&self, batch: &mut Inbound) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_receive(cx, batch)).await
    }

    /// As [`Socket::receive`]; one task may poll it at a time.
    pub fn poll_receive(&self, cx: &mut Context<'_>, batch: &mut Inbound) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.socket.poll_read_ready(cx))?;
            match self.try_receive(batch) {
                Ok(0) => guard.clear_ready(),
                Ok(received) => {
                    // Fewer than asked for: the queue was empty. What comes now raises a new edge, so no call
                    // is spent on finding out that there is nothing.
                    if received < BATCH {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(received));
                }
                Err(error) => {
                    // Nothing is registered yet, and there may be datagrams behind the error: polled again,
                    // even by who ignores it.
                    cx.waker().wake_by_ref();
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// Reads what is there, without waiting; 0 when nothing is.
    pub fn try_receive(&self, batch: &mut Inbound) -> io::Result<usize> {
        let received = loop {
            match batch.batch.receive(self.socket.get_ref().as_fd()) {
                Ok(received) => break received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        batch.read = batch.read.after(clock::now(), clock::utc_nanos());
        if let Some(drops) =
            batch.batch.get(received.saturating_sub(1)).and_then(|(_, envelope)| envelope.drops)
        {
            self.dropped(drops);
        }
        Ok(received)
    }

    /// Sends the whole batch, waiting for room in the socket's buffer where there is none. Datagrams that the
    /// kernel refuses are skipped and counted ([`Outbound::refused`]).
    pub async fn send(&self, batch: &mut Outbound) -> io::Result<()> {
        while self.flush(batch) == Flushed::Blocked {
            let mut guard = self.socket.writable().await?;
            if self.flush(batch) == Flushed::Done {
                break;
            }
            guard.clear_ready();
        }
        Ok(())
    }

    /// Sends as much of the batch as the socket's buffer takes, without waiting. Refused datagrams are
    /// skipped and counted.
    pub fn flush(&self, batch: &mut Outbound) -> Flushed {
        while !batch.is_empty() {
            match batch.batch.send(self.socket.get_ref().as_fd()) {
                Sent::Some => {}
                Sent::Refused(error) => {
                    batch.refused += 1;
                    tracing::debug!(%error, "a datagram can't be sent");
                }
                Sent::Blocked => return Flushed::Blocked,
            }
        }
        Flushed::Done
    }
}
