//! Receiving without privilege: an agent's own ping keeps a way open, and notices come back on it as Echo
//! Replies. It leads through a NAT as well.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, Socket, Type};

use super::receive::Echo;
use super::{HEADER, IcmpError, Kind, PAYLOAD};
use crate::udp::{self, Inbound, Outbound, sys};

/// A ping socket (icmp(7)): sends Echo Requests, receives the replies to them whose payload starts with four
/// given octets.
///
/// The first reply to each is the peer's kernel's, with the same payload: whoever reads has to expect its own
/// messages back.
pub struct PingSocket {
    socket: udp::Socket,
    local: IpAddr,
    magic: [u8; 4],
    sequence: AtomicU16,
    outbound: Mutex<Outbound>,
}

impl PingSocket {
    /// Opens the socket on the current runtime, bound to `local`. The kernel picks the identifier.
    ///
    /// # Errors
    /// When this process' groups aren't in `net.ipv4.ping_group_range`, or `local` is no address of this
    /// machine.
    pub fn open(local: IpAddr, magic: [u8; 4]) -> Result<PingSocket, IcmpError> {
        let v6 = local.is_ipv6();
        let (domain, protocol) =
            if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
        let socket = Socket::new(domain, Type::DGRAM, Some(protocol)).map_err(refused)?;
        socket.set_nonblocking(true)?;
        let address = SocketAddr::new(local, 0);
        socket.bind(&address.into())?;
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        if !v6 {
            sys::set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)?;
        }
        Ok(PingSocket {
            socket: udp::Socket::raw(socket, address)?,
            local,
            magic,
            sequence: AtomicU16::new(0),
            outbound: Mutex::new(Outbound::new()),
        })
    }

    /// Sends an Echo Request.
    ///
    /// # Errors
    /// When it is too long, can't be sent now, or the kernel refuses it.
    pub fn send(&self, to: IpAddr, payload: &[u8]) -> io::Result<()> {
        if payload.len() > PAYLOAD {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let mut outbound = self.outbound.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        outbound.clear();
        let refused = outbound.refused();
        let message = outbound.slot().ok_or(io::ErrorKind::WouldBlock)?;
        message[..HEADER].fill(0);
        // The kernel fills in the identifier and the checksum.
        message[0] = Kind::Request.number(to.is_ipv6());
        message[6..HEADER].copy_from_slice(&sequence.to_be_bytes());
        message[HEADER..HEADER + payload.len()].copy_from_slice(payload);
        outbound.commit(HEADER + payload.len(), SocketAddr::new(to, 0), None);
        match self.socket.flush(&mut outbound) {
            udp::Flushed::Blocked => Err(io::ErrorKind::WouldBlock.into()),
            udp::Flushed::Done if outbound.refused() > refused => Err(io::ErrorKind::HostUnreachable.into()),
            udp::Flushed::Done => Ok(()),
        }
    }

    /// Waits until something is there and reads up to [`udp::BATCH`] messages of it; answers how many, at
    /// least one.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn receive(&self, batch: &mut Inbound) -> io::Result<usize> {
        self.socket.receive(batch).await
    }

    /// As [`PingSocket::receive`]; one task may poll it at a time.
    pub fn poll_receive(&self, cx: &mut Context<'_>, batch: &mut Inbound) -> Poll<io::Result<usize>> {
        self.socket.poll_receive(cx, batch)
    }

    /// How many messages the kernel has dropped because the receive queue was full.
    pub fn drops(&self) -> u64 {
        self.socket.drops()
    }

    /// The messages of a batch that start with the magic.
    pub fn echoes<'b>(&'b self, batch: &'b Inbound) -> impl Iterator<Item = Echo<'b>> {
        (0..batch.len()).filter_map(|index| self.echo(batch, index))
    }

    /// The message of a batch at `index`, if that one starts with the magic.
    pub fn echo<'b>(&self, batch: &'b Inbound, index: usize) -> Option<Echo<'b>> {
        let (datagram, number) = (batch.get(index)?, Kind::Reply.number(self.local.is_ipv6()));
        let echo = Echo::parse(number, self.local, datagram.bytes, &datagram)?;
        echo.payload.starts_with(&self.magic).then_some(echo)
    }
}

fn refused(error: io::Error) -> IcmpError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let range = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
            IcmpError::NoPingSocket { range: range.split_whitespace().collect::<Vec<_>>().join(" to ") }
        }
        _ => IcmpError::Io(error),
    }
}
