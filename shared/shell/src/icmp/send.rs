//! Sending: surge-ping's socket, from the address that clients know.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use socket2::{SockFilter, SockRef, Type};
use surge_ping::{AsyncSocket, Config, ICMP};

use super::{HEADER, IcmpError, Kind, PAYLOAD};
use crate::udp::sys;

/// Sends Echo messages, with "don't fragment" set, from one address.
pub struct Sender {
    v4: Option<AsyncSocket>,
    v6: Option<AsyncSocket>,
    identifier: u16,
    sequence: AtomicU16,
}

impl Sender {
    /// Opens a socket for `source`'s family bound to it, and one for the other family where that is possible.
    ///
    /// Without CAP_NET_RAW it falls back to an unprivileged ping socket, which this user may have by
    /// `net.ipv4.ping_group_range`.
    ///
    /// # Errors
    /// When neither is permitted, or `source` is no address of this machine.
    pub fn new(source: IpAddr) -> Result<Sender, IcmpError> {
        let own = open(source)?;
        let (v4, v6) = match source {
            IpAddr::V4(_) => (Some(own), open(Ipv6Addr::UNSPECIFIED.into()).ok()),
            IpAddr::V6(_) => (open(Ipv4Addr::UNSPECIFIED.into()).ok(), Some(own)),
        };
        #[allow(clippy::cast_possible_truncation)]
        // any 16 bits do: they only tell our echoes from other programs'
        let identifier = std::process::id() as u16;
        Ok(Sender { v4, v6, identifier, sequence: AtomicU16::new(0) })
    }

    /// Sends an Echo Request.
    ///
    /// # Errors
    /// What the kernel says, which may be the answer to an earlier message; the next may go through.
    pub async fn request(&self, to: IpAddr, payload: &[u8]) -> io::Result<()> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        self.send(to, Kind::Request, (self.identifier, sequence), payload).await
    }

    /// Sends an Echo Reply to the Echo Request of that identifier and sequence, which opened a way through a
    /// NAT.
    ///
    /// # Errors
    /// As [`Sender::request`]; always without CAP_NET_RAW.
    pub async fn reply(&self, to: IpAddr, identifier: u16, sequence: u16, payload: &[u8]) -> io::Result<()> {
        self.send(to, Kind::Reply, (identifier, sequence), payload).await
    }

    async fn send(&self, to: IpAddr, kind: Kind, numbers: (u16, u16), payload: &[u8]) -> io::Result<()> {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let socket = socket.as_ref().ok_or(io::ErrorKind::AddrNotAvailable)?;
        if socket.get_type() == Type::DGRAM && kind == Kind::Reply {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut message = [0; HEADER + PAYLOAD];
        let message = message.get_mut(..HEADER + payload.len()).ok_or(io::ErrorKind::InvalidInput)?;
        message[0] = kind.number(to.is_ipv6());
        message[4..6].copy_from_slice(&numbers.0.to_be_bytes());
        message[6..8].copy_from_slice(&numbers.1.to_be_bytes());
        message[HEADER..].copy_from_slice(payload);
        if to.is_ipv4() {
            // For ICMPv6 the kernel does it, since the addresses are part of the sum (RFC 4443 section 2.3).
            let sum = checksum(message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        socket.send_to(message, &SocketAddr::new(to, 0)).await.map(drop)
    }
}

fn open(source: IpAddr) -> Result<AsyncSocket, IcmpError> {
    let kind = if source.is_ipv4() { ICMP::V4 } else { ICMP::V6 };
    let config =
        Config::builder().kind(kind).sock_type_hint(Type::RAW).bind(SocketAddr::new(source, 0)).build();
    let socket = AsyncSocket::new(&config).map_err(IcmpError::new)?;
    let descriptor = sys::descriptor(&socket);
    // Nobody reads this socket: what comes in is dropped by the kernel rather than queued.
    SockRef::from(&descriptor).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])?;
    if source.is_ipv4() {
        sys::set_option(descriptor, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)?;
    }
    Ok(socket)
}

/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;

/// The Internet checksum (RFC 1071) of a message whose checksum field is zero.
pub(super) fn checksum(message: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in message.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
