//! Receiving: a raw socket behind a kernel filter.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use forewarn_proto::time::Instant;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::{HEADER, IcmpError, Kind};
use crate::udp::{self, Datagram, Inbound, sys};

/// Receives the Echo messages of one kind, to one address, whose payload starts with four given octets.
#[derive(Debug)]
pub struct Receiver {
    socket: udp::Socket,
    kind: Kind,
    v6: bool,
}

/// One received Echo message.
#[derive(Clone, Copy, Debug)]
pub struct Echo<'b> {
    /// The sender's address. Anybody can write any.
    pub from: IpAddr,
    /// The local address it was sent to.
    pub to: IpAddr,
    /// For replies to it.
    pub identifier: u16,
    /// For replies to it.
    pub sequence: u16,
    /// What it carries.
    pub payload: &'b [u8],
    /// When the kernel received it.
    pub arrived: Instant,
}

impl Receiver {
    /// Opens the socket on the current runtime. `local` may be unspecified.
    ///
    /// First nothing passes, then what was queued meanwhile is thrown away, then the filter proper is
    /// attached and locked: so nothing unfiltered is ever read, and nobody can replace the filter after
    /// privileges are dropped.
    ///
    /// # Errors
    /// Without CAP_NET_RAW, or when `local` is no address of this machine.
    pub fn open(local: IpAddr, kind: Kind, magic: [u8; 4]) -> Result<Receiver, IcmpError> {
        let v6 = local.is_ipv6();
        let (domain, protocol) =
            if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
        let socket = Socket::new(domain, Type::RAW, Some(protocol)).map_err(IcmpError::new)?;
        socket.set_nonblocking(true)?;
        socket.attach_filter(&[drop_all()])?;
        let descriptor = socket.as_fd();
        let number = kind.number(v6);
        if v6 {
            sys::set_icmp6_filter(descriptor, &[number])?;
            sys::set_option(descriptor, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
        } else {
            // Blocks the types whose bits are set (icmp(7), "ICMP_FILTER").
            sys::set_option(descriptor, libc::SOL_RAW, ICMP_FILTER, !(1 << number))?;
        }
        sys::set_option(descriptor, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        sys::set_option(descriptor, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
        // A server's agents acknowledge a warning all at once.
        udp::receive_burst(descriptor)?;
        let address = SocketAddr::new(local, 0);
        socket.bind(&address.into())?;
        drain(&socket)?;
        let magic = u32::from_be_bytes(magic);
        if v6 {
            socket.attach_filter(&wanted_v6(number, magic))?;
        } else {
            socket.attach_filter(&wanted_v4(number, magic))?;
        }
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_LOCK_FILTER, 1)?;
        Ok(Receiver { socket: udp::Socket::raw(socket, address)?, kind, v6 })
    }

    /// Waits until something is there and reads up to [`udp::BATCH`] messages of it; answers how many, at
    /// least one.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn receive(&self, batch: &mut Inbound) -> io::Result<usize> {
        self.socket.receive(batch).await
    }

    /// As [`Receiver::receive`]; one task may poll it at a time.
    pub fn poll_receive(&self, cx: &mut Context<'_>, batch: &mut Inbound) -> Poll<io::Result<usize>> {
        self.socket.poll_receive(cx, batch)
    }

    /// The messages of a batch.
    pub fn echoes<'b>(&'b self, batch: &'b Inbound) -> impl Iterator<Item = Echo<'b>> {
        (0..batch.len()).filter_map(|index| self.echo(batch, index))
    }

    /// The message of a batch at `index`.
    pub fn echo<'b>(&self, batch: &'b Inbound, index: usize) -> Option<Echo<'b>> {
        read(self.kind, self.v6, &batch.get(index)?)
    }

    /// How many messages the kernel has dropped because the receive queue was full.
    pub fn drops(&self) -> u64 {
        self.socket.drops()
    }
}

fn read<'b>(kind: Kind, v6: bool, datagram: &Datagram<'b>) -> Option<Echo<'b>> {
    let (to, message) = if v6 { (datagram.to, datagram.bytes) } else { strip_ip_header(datagram.bytes)? };
    Echo::parse(kind.number(v6), to, message, datagram)
}

impl<'b> Echo<'b> {
    /// The Echo message of that type; None when it is none.
    pub(super) fn parse(
        number: u8,
        to: IpAddr,
        message: &'b [u8],
        datagram: &Datagram<'b>,
    ) -> Option<Echo<'b>> {
        let (header, payload) = message.split_at_checked(HEADER)?;
        // The filter has seen to it; looked at again, since a filter is no parser.
        if header[0] != number || header[1] != 0 {
            return None;
        }
        Some(Echo {
            from: datagram.from.ip(),
            to,
            identifier: u16::from_be_bytes([header[4], header[5]]),
            sequence: u16::from_be_bytes([header[6], header[7]]),
            payload,
            arrived: datagram.arrived,
        })
    }
}

/// A raw IPv4 socket delivers the IP header (RFC 791 section 3.1), a raw IPv6 socket doesn't.
fn strip_ip_header(packet: &[u8]) -> Option<(IpAddr, &[u8])> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    Some((IpAddr::V4(Ipv4Addr::from(to)), packet.get(length.max(20)..)?))
}

/// Reads until nothing is left.
fn drain(socket: &Socket) -> io::Result<()> {
    let mut octet = [std::mem::MaybeUninit::uninit()];
    loop {
        match socket.recv(&mut octet) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `ICMP_FILTER` at level `SOL_RAW`.
const ICMP_FILTER: libc::c_int = 1;

// Classic BPF, as in `linux/bpf_common.h`.
const LOAD_IP_HEADER_LENGTH: u16 = 0xb1; // X = 4 * (packet[k] & 0xf)
const LOAD_OCTET: u16 = 0x30; // A = packet[k]
const LOAD_OCTET_AT_X: u16 = 0x50; // A = packet[X + k]
const LOAD_WORD: u16 = 0x20;
const LOAD_WORD_AT_X: u16 = 0x40;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

fn drop_all() -> SockFilter {
    SockFilter::new(RETURN, 0, 0, 0)
}

fn pass() -> SockFilter {
    SockFilter::new(RETURN, 0, 0, u32::MAX)
}

/// Sees the packet from the IP header on, whose length varies.
fn wanted_v4(number: u8, magic: u32) -> [SockFilter; 7] {
    [
        SockFilter::new(LOAD_IP_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LOAD_OCTET_AT_X, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, u32::from(number)),
        SockFilter::new(LOAD_WORD_AT_X, 0, 0, 8),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, magic),
        pass(),
        drop_all(),
    ]
}

/// Sees the packet from the ICMPv6 header on.
fn wanted_v6(number: u8, magic: u32) -> [SockFilter; 6] {
    [
        SockFilter::new(LOAD_OCTET, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, u32::from(number)),
        SockFilter::new(LOAD_WORD, 0, 0, 8),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, magic),
        pass(),
        drop_all(),
    ]
}
