//! The system calls that no crate offers in this form: `recvmmsg` and `sendmmsg` with ancillary data per
//! message, and socket options.
//!
//! **The one module of the house with `unsafe` in it.** The proof, in one place:
//!
//! - `ReceiveBatch` and `SendBatch` each own one heap block (`Storage`) through a `NonNull` made by
//!   `Box::into_raw`, freed by their `Drop` and
//!   by nothing else. The block never moves, so the pointers inside it (headers to iovecs, iovecs to buffers)
//!   stay valid
//!   as long as the owner lives. They are all derived from that same root pointer.
//! - No reference into the block outlives the method call that made it, except the slices handed out by
//!   `get`/`slot`, which borrow the owner:
//!   while one lives, the owner can't be passed (`&mut`) to a system call.
//! - The kernel writes at most `iov_len`, `msg_namelen` and `msg_controllen` octets, which are set to the
//!   sizes of the arrays they point to
//!   before each call, and it reports in `msg_len` and the `n` returned how much it wrote; lengths are taken
//!   `min` the array's size all the same.
//! - The block is zeroed at birth, and each of its types (octets, C integers, raw pointers) is valid as zeros.
//! - The pointers are never shared between threads: sending the owner sends all of it, hence `Send`; there
//!   are no `&self` methods that call the kernel.
#![allow(unsafe_code)]
// The C types differ between glibc and musl.
#![allow(clippy::unnecessary_cast)]

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull, addr_of_mut};

use libc::{c_int, c_void, cmsghdr, iovec, mmsghdr, msghdr, sockaddr_storage, socklen_t};
use tokio::io::unix::AsyncFd;

/// Datagrams per system call, at most.
pub const BATCH: usize = 64;
/// Octets kept of each datagram: the longest RADIUS packet (RFC 2865 section 3). What is longer is padding,
/// and cut off.
pub const DATAGRAM: usize = 4096;
/// Room for the ancillary data of one message: packet info (40 for v6), stamp (32), drop count (24).
const CONTROL: usize = 128;

/// Aligned as the kernel wants control messages.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

#[repr(C)]
struct Storage {
    headers: [mmsghdr; BATCH],
    iovecs: [iovec; BATCH],
    names: [sockaddr_storage; BATCH],
    controls: [Control; BATCH],
    buffers: [[u8; DATAGRAM]; BATCH],
}

/// Owner of one `Storage`; see the module's proof.
struct Block(NonNull<Storage>);

// SAFETY: the block is owned, and every pointer in it points into it (see the module's proof).
unsafe impl Send for Block {}

impl Block {
    fn new() -> Block {
        // SAFETY: all of `Storage`'s fields are valid as zeros.
        let storage = unsafe { Box::<Storage>::new_zeroed().assume_init() };
        let root = Box::into_raw(storage);
        for index in 0..BATCH {
            // SAFETY: `root` is live and exclusively ours; `index` is in bounds of each array; only places
            // are taken, no references.
            unsafe {
                let iov = addr_of_mut!((*root).iovecs[index]);
                (*iov).iov_base = addr_of_mut!((*root).buffers[index]).cast::<c_void>();
                (*iov).iov_len = DATAGRAM;
                let header = addr_of_mut!((*root).headers[index].msg_hdr);
                (*header).msg_name = addr_of_mut!((*root).names[index]).cast::<c_void>();
                (*header).msg_iov = iov;
                (*header).msg_iovlen = 1;
                (*header).msg_control = addr_of_mut!((*root).controls[index]).cast::<c_void>();
            }
        }
        // SAFETY: `Box::into_raw` never answers null.
        Block(unsafe { NonNull::new_unchecked(root) })
    }

    fn header(&mut self, index: usize) -> &mut mmsghdr {
        assert!(index < BATCH);
        // SAFETY: live, in bounds, and borrowed through `&mut self`.
        unsafe { &mut *addr_of_mut!((*self.0.as_ptr()).headers[index]) }
    }

    fn buffer(&self, index: usize) -> &[u8; DATAGRAM] {
        assert!(index < BATCH);
        // SAFETY: live, in bounds, initialised; the kernel writes only in methods that take `&mut self`.
        unsafe { &*addr_of_mut!((*self.0.as_ptr()).buffers[index]) }
    }

    fn buffer_mut(&mut self, index: usize) -> &mut [u8; DATAGRAM] {
        assert!(index < BATCH);
        // SAFETY: as above, borrowed through `&mut self`.
        unsafe { &mut *addr_of_mut!((*self.0.as_ptr()).buffers[index]) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw` in `new`, freed here only.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// What came with one datagram.
#[derive(Clone, Copy)]
pub(super) struct Envelope {
    pub(super) length: usize,
    pub(super) truncated: bool,
    pub(super) from: SocketAddr,
    /// The local address it was sent to; unspecified when the kernel didn't say.
    pub(super) to: IpAddr,
    /// Nanoseconds since 1970 at which the kernel received it; 0 when it didn't say.
    pub(super) stamp: u64,
    /// Datagrams that the socket had dropped when this one was queued (modulo 2^32); None when it didn't say.
    pub(super) drops: Option<u32>,
}

const NO_ENVELOPE: Envelope = Envelope {
    length: 0,
    truncated: false,
    from: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
    to: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    stamp: 0,
    drops: None,
};

/// Up to [`BATCH`] received datagrams.
pub(super) struct ReceiveBatch {
    block: Block,
    envelopes: Box<[Envelope; BATCH]>,
    length: usize,
}

impl ReceiveBatch {
    pub(super) fn new() -> ReceiveBatch {
        let mut block = Block::new();
        for index in 0..BATCH {
            prepare_to_receive(&mut block.header(index).msg_hdr);
        }
        ReceiveBatch { block, envelopes: Box::new([NO_ENVELOPE; BATCH]), length: 0 }
    }

    /// Receives what is there, without waiting: one system call. `WouldBlock` when nothing is.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for index in 0..self.length {
            prepare_to_receive(&mut self.block.header(index).msg_hdr);
        }
        self.length = 0;
        // SAFETY: only the place is taken; the array is live.
        let headers = unsafe { addr_of_mut!((*self.block.0.as_ptr()).headers) }.cast::<mmsghdr>();
        // SAFETY: `headers` points to BATCH headers, whose pointers and sizes are set as the module's proof
        // says.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers,
                BATCH as u32,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?.min(BATCH);
        for index in 0..received {
            self.envelopes[index] = self.open(index);
        }
        self.length = received;
        Ok(received)
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &Envelope)> {
        let envelope = self.envelopes[..self.length].get(index)?;
        Some((&self.block.buffer(index)[..envelope.length], envelope))
    }

    /// Reads the name and the ancillary data of a message just received.
    fn open(&mut self, index: usize) -> Envelope {
        let root = self.block.0.as_ptr();
        let header = self.block.header(index);
        let mut envelope = Envelope {
            length: (header.msg_len as usize).min(DATAGRAM),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            ..NO_ENVELOPE
        };
        let message: *const msghdr = &raw const header.msg_hdr;
        // SAFETY: the kernel has set `msg_controllen` to what it wrote into the control array that
        // `msg_control` points to; the CMSG walk stays within it, and each payload is read unaligned only
        // when its length says that it is whole.
        unsafe {
            envelope.from = socket_address(&raw const (*root).names[index]).unwrap_or(envelope.from);
            let mut control = libc::CMSG_FIRSTHDR(message);
            while !control.is_null() {
                read_control(control, &mut envelope);
                control = libc::CMSG_NXTHDR(message, control);
            }
        }
        envelope
    }
}

fn prepare_to_receive(header: &mut msghdr) {
    header.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
    header.msg_controllen = CONTROL as _;
    header.msg_flags = 0;
}

/// # Safety
/// `control` is a control message the kernel wrote.
unsafe fn read_control(control: *const cmsghdr, envelope: &mut Envelope) {
    // SAFETY: by the caller's promise; payloads are read only when `cmsg_len` covers them.
    unsafe {
        let data = libc::CMSG_DATA(control);
        let holds = |octets: usize| (*control).cmsg_len as usize >= libc::CMSG_LEN(octets as u32) as usize;
        match ((*control).cmsg_level, (*control).cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if holds(size_of::<libc::in_pktinfo>()) => {
                let info = ptr::read_unaligned(data.cast::<libc::in_pktinfo>());
                // The address to answer from: for a unicast datagram the one it was sent to.
                envelope.to = IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if holds(size_of::<libc::in6_pktinfo>()) => {
                let info = ptr::read_unaligned(data.cast::<libc::in6_pktinfo>());
                envelope.to = IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr));
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) if holds(size_of::<libc::timespec>()) => {
                let stamp = ptr::read_unaligned(data.cast::<libc::timespec>());
                let seconds = u64::try_from(stamp.tv_sec).unwrap_or(0);
                envelope.stamp =
                    seconds.saturating_mul(1_000_000_000) + u64::try_from(stamp.tv_nsec).unwrap_or(0);
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) if holds(size_of::<u32>()) => {
                envelope.drops = Some(ptr::read_unaligned(data.cast::<u32>()));
            }
            _ => {}
        }
    }
}

/// # Safety
/// `name` points to a live, initialised `sockaddr_storage`.
unsafe fn socket_address(name: *const sockaddr_storage) -> Option<SocketAddr> {
    // SAFETY: `sockaddr_storage` is larger than, and aligned for, each of the two.
    unsafe {
        match c_int::from((*name).ss_family) {
            libc::AF_INET => {
                let v4 = ptr::read(name.cast::<libc::sockaddr_in>());
                let address = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddr::V4(SocketAddrV4::new(address, u16::from_be(v4.sin_port))))
            }
            libc::AF_INET6 => {
                let v6 = ptr::read(name.cast::<libc::sockaddr_in6>());
                let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let (port, flow) = (u16::from_be(v6.sin6_port), u32::from_be(v6.sin6_flowinfo));
                Some(SocketAddr::V6(SocketAddrV6::new(address, port, flow, v6.sin6_scope_id)))
            }
            _ => None,
        }
    }
}

/// Up to [`BATCH`] datagrams to send, each from an address of its own.
pub(super) struct SendBatch {
    block: Block,
    /// The next to send.
    head: usize,
    /// The next to fill.
    tail: usize,
}

/// What became of one `sendmmsg`.
pub(super) enum Sent {
    /// Some left.
    Some,
    /// The first of them can't be sent, for this reason, and was skipped.
    Refused(io::Error),
    /// The socket's send buffer is full.
    Blocked,
}

impl SendBatch {
    pub(super) fn new() -> SendBatch {
        SendBatch { block: Block::new(), head: 0, tail: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.tail - self.head
    }

    /// The buffer of the next datagram; None when the batch is full.
    pub(super) fn slot(&mut self) -> Option<&mut [u8; DATAGRAM]> {
        if self.head == self.tail {
            (self.head, self.tail) = (0, 0);
        }
        (self.tail < BATCH).then(|| self.block.buffer_mut(self.tail))
    }

    /// Puts what was written into [`SendBatch::slot`] into the batch.
    pub(super) fn commit(&mut self, length: usize, to: SocketAddr, from: Option<IpAddr>) {
        assert!(self.tail < BATCH, "slot() answered a buffer");
        let index = self.tail;
        let root = self.block.0.as_ptr();
        // SAFETY: live, in bounds, exclusively ours; `control` has room for the largest packet info, so that
        // CMSG_FIRSTHDR isn't null.
        unsafe {
            (*root).iovecs[index].iov_len = length.min(DATAGRAM);
            let header = addr_of_mut!((*root).headers[index].msg_hdr);
            (*header).msg_namelen = write_address(addr_of_mut!((*root).names[index]), to);
            (*header).msg_controllen = 0;
            if let Some(from) = from {
                (*header).msg_controllen = CONTROL as _;
                (*header).msg_controllen = write_source(libc::CMSG_FIRSTHDR(header), from) as _;
            }
        }
        self.tail += 1;
    }

    /// One system call.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>) -> Sent {
        let count = (self.tail - self.head) as u32;
        let sent = {
            // SAFETY: headers[head..tail] were filled by `commit`; they point into the block.
            unsafe {
                let first = addr_of_mut!((*self.block.0.as_ptr()).headers[self.head]);
                libc::sendmmsg(socket.as_raw_fd(), first, count, libc::MSG_DONTWAIT as _)
            }
        };
        match usize::try_from(sent) {
            Ok(sent) => {
                self.head = (self.head + sent).min(self.tail);
                Sent::Some
            }
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Sent::Blocked,
                error if error.kind() == io::ErrorKind::Interrupted => Sent::Some,
                error => {
                    self.head += 1;
                    Sent::Refused(error)
                }
            },
        }
    }

    /// Forgets what was not sent.
    pub(super) fn clear(&mut self) {
        (self.head, self.tail) = (0, 0);
    }
}

/// # Safety
/// `name` points to a live `sockaddr_storage`.
unsafe fn write_address(name: *mut sockaddr_storage, address: SocketAddr) -> socklen_t {
    // SAFETY: `sockaddr_storage` is larger than, and aligned for, each of the two.
    unsafe {
        match address {
            SocketAddr::V4(v4) => {
                let mut raw: libc::sockaddr_in = std::mem::zeroed();
                raw.sin_family = libc::AF_INET as _;
                raw.sin_port = v4.port().to_be();
                raw.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
                ptr::write(name.cast(), raw);
                size_of::<libc::sockaddr_in>() as socklen_t
            }
            SocketAddr::V6(v6) => {
                let mut raw: libc::sockaddr_in6 = std::mem::zeroed();
                raw.sin6_family = libc::AF_INET6 as _;
                raw.sin6_port = v6.port().to_be();
                raw.sin6_flowinfo = v6.flowinfo().to_be();
                raw.sin6_addr.s6_addr = v6.ip().octets();
                raw.sin6_scope_id = v6.scope_id();
                ptr::write(name.cast(), raw);
                size_of::<libc::sockaddr_in6>() as socklen_t
            }
        }
    }
}

/// Writes the packet info that makes `source` the datagram's source address; answers the control data's length.
///
/// # Safety
/// `control` points to CONTROL octets aligned for a `cmsghdr`.
unsafe fn write_source(control: *mut cmsghdr, source: IpAddr) -> usize {
    // SAFETY: by the caller's promise; the payload is written unaligned, within CMSG_SPACE of its size, which
    // CONTROL exceeds.
    unsafe {
        match source {
            IpAddr::V4(v4) => {
                let mut info: libc::in_pktinfo = std::mem::zeroed();
                info.ipi_spec_dst.s_addr = u32::from(v4).to_be();
                (*control).cmsg_level = libc::IPPROTO_IP;
                (*control).cmsg_type = libc::IP_PKTINFO;
                write_control(control, info)
            }
            IpAddr::V6(v6) => {
                let mut info: libc::in6_pktinfo = std::mem::zeroed();
                info.ipi6_addr.s6_addr = v6.octets();
                (*control).cmsg_level = libc::IPPROTO_IPV6;
                (*control).cmsg_type = libc::IPV6_PKTINFO;
                write_control(control, info)
            }
        }
    }
}

/// # Safety
/// As for [`write_source`].
unsafe fn write_control<T>(control: *mut cmsghdr, payload: T) -> usize {
    let size = size_of::<T>() as u32;
    // SAFETY: by the caller's promise.
    unsafe {
        (*control).cmsg_len = libc::CMSG_LEN(size) as _;
        ptr::write_unaligned(libc::CMSG_DATA(control).cast::<T>(), payload);
        libc::CMSG_SPACE(size) as usize
    }
}

/// Registers a socket with the current runtime.
pub(crate) fn register(socket: socket2::Socket) -> io::Result<AsyncFd<socket2::Socket>> {
    // SAFETY: a `Socket` owns its descriptor, answers the same one always, and can't be closed through the
    // `&` that `AsyncFd` lends.
    unsafe { AsyncFd::register(socket) }.map_err(io::Error::from)
}

/// The descriptor of a surge-ping socket, which lends it only as a number.
pub(crate) fn descriptor(socket: &surge_ping::AsyncSocket) -> BorrowedFd<'_> {
    // SAFETY: the descriptor is open as long as the socket lives, which the borrow outlasts.
    unsafe { BorrowedFd::borrow_raw(socket.get_native_sock()) }
}

/// Sets a socket option that is a C integer.
pub(crate) fn set_option(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    set_raw(socket, level, name, &value)
}

/// Attaches a classic BPF program that answers the index of the reuseport group's socket a datagram goes to.
/// It sees the datagram from the UDP payload on.
pub(super) fn attach_reuseport_filter(
    socket: BorrowedFd<'_>,
    program: &[libc::sock_filter],
) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The kernel copies the program; it doesn't write through the pointer, which is only spelt `*mut`.
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    set_raw(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

/// Sets the ICMPv6 type filter (RFC 3542 section 3.2): only `types` pass.
pub(crate) fn set_icmp6_filter(socket: BorrowedFd<'_>, types: &[u8]) -> io::Result<()> {
    let mut blocked = [u32::MAX; 8];
    for icmp_type in types {
        blocked[usize::from(icmp_type >> 5)] &= !(1 << (icmp_type & 31));
    }
    /// `ICMP6_FILTER` at level `IPPROTO_ICMPV6`.
    const ICMP6_FILTER: c_int = 1;
    set_raw(socket, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &blocked)
}

/// How many datagrams this socket has dropped, modulo 2^32.
pub(super) fn drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    /// `SK_MEMINFO_DROPS` and `SK_MEMINFO_VARS` of `linux/sock_diag.h`.
    const DROPS: usize = 8;
    const VARS: usize = 9;
    let mut figures = [0_u32; VARS];
    let mut length = size_of_val(&figures) as socklen_t;
    // SAFETY: the kernel writes at most `length` octets, which is the size of the array.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            figures.as_mut_ptr().cast::<c_void>(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(figures[DROPS]) } else { Err(io::Error::last_os_error()) }
}

fn set_raw<T>(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as socklen_t;
    // SAFETY: `value` is live and `length` octets long for the call; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, ptr::from_ref(value).cast::<c_void>(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
