//! Binding, alone or as a group of which the kernel picks one socket per datagram.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use libc::c_int;
use socket2::{Domain, Protocol, Socket, Type};

use super::holder::{Holder, holder};
use super::sys;

/// How to bind.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Octets of receive buffer asked for; beyond the machine's limit only with CAP_NET_ADMIN, otherwise up
    /// to it.
    pub receive_buffer: usize,
    /// Octets of send buffer asked for, likewise.
    pub send_buffer: usize,
    /// Whether each datagram comes with the local address it was sent to, the kernel's receive stamp and its count of drops:
    /// a fifth of what the kernel's handing a datagram over costs.
    pub envelopes: bool,
}

impl Default for Options {
    /// 8 MiB to receive (about 7,000 requests: three quarters of a second at full speed), 4 MiB to send.
    fn default() -> Options {
        Options { receive_buffer: 8 << 20, send_buffer: 4 << 20, envelopes: true }
    }
}

/// A bound socket that no runtime knows yet: it can be sent to the thread that will own it.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    local: SocketAddr,
    receive_buffer: usize,
    envelopes: bool,
}

impl Bound {
    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Octets of receive buffer that the kernel gave (it counts its own overhead, and doubles what it is
    /// asked for).
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    pub(super) fn has_envelopes(&self) -> bool {
        self.envelopes
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }
}

/// Why an address can't be bound.
#[derive(Debug)]
pub enum BindError {
    /// Somebody has it.
    InUse {
        /// The address.
        address: SocketAddr,
        /// Who, where `/proc` tells.
        holder: Option<Holder>,
    },
    /// This machine doesn't have the address.
    NoSuchAddress(SocketAddr),
    /// A port below 1024, and no right to it.
    Denied(SocketAddr),
    /// Something else.
    Io {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, error: io::Error) -> BindError {
        match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { address, holder: holder(address) },
            io::ErrorKind::AddrNotAvailable => BindError::NoSuchAddress(address),
            io::ErrorKind::PermissionDenied => BindError::Denied(address),
            _ => BindError::Io { address, error },
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::InUse { address, holder: Some(holder) } => {
                write!(f, "UDP {address} is in use by {holder}: stop it, or listen elsewhere")
            }
            BindError::InUse { address, holder: None } => {
                write!(f, "UDP {address} is in use by another user's process: stop it, or listen elsewhere")
            }
            BindError::NoSuchAddress(address) => {
                write!(f, "{} is no address of this machine: add it, or listen elsewhere", address.ip())
            }
            BindError::Denied(address) => {
                write!(f, "UDP {address} may not be bound: a port below 1024 needs CAP_NET_BIND_SERVICE")
            }
            BindError::Io { address, error } => write!(f, "UDP {address} can't be bound: {error}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BindError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Binds one socket, alone: refused when anybody else has the address and port. Port 0 picks a free one.
pub fn bind(address: SocketAddr, options: &Options) -> Result<Bound, BindError> {
    open(address, options, false).map_err(|error| BindError::new(address, error))
}

/// Binds `size` sockets to one address. The kernel gives each datagram to the socket whose index is the
/// RADIUS identifier (the second octet) modulo `size`, so that a retransmission meets its original. The
/// sockets are in the order of these indices; none may be closed before all are.
///
/// A group of sockets can share its port with any other group of the same user, so that it is first bound
/// plainly, to find out whether another process has it.
pub fn bind_group(address: SocketAddr, size: usize, options: &Options) -> Result<Vec<Bound>, BindError> {
    let wrong = |error| BindError::new(address, error);
    if size <= 1 {
        return Ok(vec![bind(address, options)?]);
    }
    let plain = open(address, options, false).map_err(wrong)?;
    let address = plain.local;
    drop(plain);
    let mut group = vec![open(address, options, true).map_err(wrong)?];
    let modulus = u32::try_from(size).map_err(|_| wrong(io::ErrorKind::InvalidInput.into()))?;
    sys::attach_reuseport_filter(group[0].socket.as_fd(), &by_identifier(modulus)).map_err(wrong)?;
    for _ in 1..size {
        group.push(open(address, options, true).map_err(wrong)?);
    }
    Ok(group)
}

/// A = payload[1]; A %= size; return A. A payload without a second octet ends the program with 0: the first
/// socket.
fn by_identifier(size: u32) -> [libc::sock_filter; 3] {
    let instruction =
        |code: u32, k| libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 0, k };
    [
        instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 1),
        instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, size),
        instruction(libc::BPF_RET | BPF_A, 0),
    ]
}

/// `BPF_A` of `linux/filter.h`: what the program returns is the accumulator.
const BPF_A: u32 = 0x10;

fn open(address: SocketAddr, options: &Options, shared: bool) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_port(shared)?;
    let fd = socket.as_fd();
    let on = c_int::from(options.envelopes);
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        sys::set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, on)?;
        sys::set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT)?;
    } else {
        sys::set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, on)?;
        // A RADIUS packet may be longer than a path's MTU, and a lost "fragmentation needed" would lose it
        // for good.
        sys::set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?;
    }
    sys::set_option(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, on)?;
    sys::set_option(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, on)?;
    buffer(fd, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, options.receive_buffer)?;
    buffer(fd, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, options.send_buffer)?;
    socket.bind(&address.into())?;
    let receive_buffer = socket.recv_buffer_size()?;
    let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(Bound { socket, local, receive_buffer, envelopes: options.envelopes })
}

/// A receive buffer for a burst, for a socket of another kind.
pub(crate) fn receive_burst(fd: BorrowedFd<'_>) -> io::Result<()> {
    buffer(fd, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, Options::default().receive_buffer)
}

/// Beyond the machine's limit where that is allowed, else as far as it goes.
fn buffer(fd: BorrowedFd<'_>, force: c_int, within_limits: c_int, octets: usize) -> io::Result<()> {
    let octets = c_int::try_from(octets).unwrap_or(c_int::MAX);
    sys::set_option(fd, libc::SOL_SOCKET, force, octets)
        .or_else(|_| sys::set_option(fd, libc::SOL_SOCKET, within_limits, octets))
}
