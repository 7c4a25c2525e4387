//! The driver of [`forewarn_proto::upstream`]: its source ports, and the way of its datagrams in and out.
//!
//! The agent and a proxy both drive it, on a thread of their own each:
//!
//! ```text
//!   poll_receive    what the servers say  -> the machine
//!   machine_mut     what else happens     -> the machine
//!   transmit        the machine           -> the servers
//! ```
//!
//! After anything that went into the machine, [`Driver::transmit`]; then answers and events are polled from
//! the machine, and its next deadline. Nothing is allocated after the sockets are bound.

pub mod config;
pub mod moves;
pub mod show;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use forewarn_proto::pool::Pool;
use forewarn_proto::time::Instant;
use forewarn_proto::upstream::{Config, Transmit, Upstream};
use forewarn_wire::MAX_PACKET;
use rand_core::CryptoRng;

use crate::udp::{self, BindError, Flushed, Inbound, Options, Outbound, Socket};

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A source port can't be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A socket can't be used on this runtime.
    #[error("a source port can't be used: {0}")]
    Io(#[from] std::io::Error),
}

/// The machine and its sockets.
pub struct Driver {
    machine: Upstream,
    ports: Vec<Port>,
    scratch: Box<[u8; MAX_PACKET]>,
    blocked: u64,
    trouble: u64,
}

/// One source port.
struct Port {
    socket: Socket,
    out: Outbound,
}

/// What the sockets couldn't do; each only rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverCounters {
    /// Datagrams not sent because the socket's buffer was full. They are sent again when their time comes.
    pub blocked: u64,
    /// Datagrams the kernel refused to send.
    pub refused: u64,
    /// Replies the kernel dropped because nobody read them in time.
    pub dropped: u64,
    /// Times a socket reported an error on reading.
    pub trouble: u64,
}

impl Driver {
    /// Binds [`Config::ports`] source ports of `identity`, on the current runtime.
    ///
    /// # Errors
    /// When `identity` is no address of this machine, or it has no port left.
    pub fn bind(
        identity: IpAddr,
        config: Config,
        pool: Pool,
        now: Instant,
        rng: &mut dyn CryptoRng,
    ) -> Result<Driver, DriverError> {
        let options = Options { receive_buffer: BUFFER_OCTETS, send_buffer: BUFFER_OCTETS, envelopes: false };
        let port = |_| -> Result<Port, DriverError> {
            let bound = udp::bind(SocketAddr::new(identity, 0), &options)?;
            Ok(Port { socket: Socket::new(bound)?, out: Outbound::new() })
        };
        let ports = (0..config.ports).map(port).collect::<Result<Vec<_>, _>>()?;
        let machine = Upstream::new(config, pool, now, rng);
        Ok(Driver { machine, ports, scratch: Box::new([0; MAX_PACKET]), blocked: 0, trouble: 0 })
    }

    /// The machine, to look at.
    pub fn machine(&self) -> &Upstream {
        &self.machine
    }

    /// The machine, to be told something or polled.
    pub fn machine_mut(&mut self) -> &mut Upstream {
        &mut self.machine
    }

    /// Reads at most one batch from each source port into the machine, `inbound` being room for it. Ready
    /// when anything came; pending when all were empty, and this task is woken when one no longer is.
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        inbound: &mut Inbound,
        rng: &mut dyn CryptoRng,
    ) -> Poll<()> {
        let mut came = Poll::Pending;
        for (number, port) in self.ports.iter().enumerate() {
            match port.socket.poll_receive(cx, inbound) {
                Poll::Pending => {}
                Poll::Ready(Ok(_)) => {
                    came = Poll::Ready(());
                    // At most 65,535 ports exist.
                    let number = u16::try_from(number).unwrap_or(u16::MAX);
                    let now = inbound.read_at();
                    for datagram in inbound.iter() {
                        self.machine.handle_datagram(now, rng, datagram.from, number, datagram.bytes);
                    }
                }
                Poll::Ready(Err(error)) => {
                    came = Poll::Ready(());
                    self.trouble += 1;
                    tracing::debug!(%error, "reading from a source port");
                }
            }
        }
        came
    }

    /// Sends everything the machine has to send; `sent` hears of each datagram once it has left.
    pub fn transmit(&mut self, mut sent: impl FnMut(&Transmit)) {
        while let Some(transmit) = self.machine.poll_transmit(&mut self.scratch) {
            let Some(port) = self.ports.get_mut(usize::from(transmit.port)) else { continue };
            let octets = &self.scratch[..transmit.len];
            if port.out.push(octets, transmit.to, None).is_err() {
                self.blocked += port.flush();
                // The batch is empty now.
                let _ = port.out.push(octets, transmit.to, None);
            }
            sent(&transmit);
        }
        for port in &mut self.ports {
            self.blocked += port.flush();
        }
    }

    /// The local addresses of the source ports.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.ports.iter().map(|port| port.socket.local_addr())
    }

    /// What the sockets couldn't do.
    pub fn counters(&self) -> DriverCounters {
        DriverCounters {
            blocked: self.blocked,
            refused: self.ports.iter().map(|port| port.out.refused()).sum(),
            dropped: self.ports.iter().map(|port| port.socket.drops()).sum(),
            trouble: self.trouble,
        }
    }
}

impl Port {
    /// Sends the batch. What the socket has no room for is lost, as it would be in a full network: waiting
    /// would hold up everybody.
    fn flush(&mut self) -> u64 {
        if self.out.is_empty() || self.socket.flush(&mut self.out) == Flushed::Done {
            return 0;
        }
        let lost = self.out.len() as u64;
        self.out.clear();
        lost
    }
}

/// Of each source port, in each direction: its 256 identifiers can't fill it.
const BUFFER_OCTETS: usize = 1 << 20;
