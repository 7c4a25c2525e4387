//! ICMP Echo as a carrier of notices: out through surge-ping's socket, in through a raw socket behind a
//! kernel filter.
//!
//! The filter lets through Echo Requests (or Replies) whose payload starts with the notice's magic, so that
//! ordinary pings wake nobody.

mod ping;
mod ping_socket;
mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::io;

pub use ping::{PingError, Pinger};
pub use ping_socket::PingSocket;
pub use receive::{Echo, Receiver};
pub use send::Sender;

/// The longest payload that is sent: a notice (512) and room to spare.
pub const PAYLOAD: usize = 1024;

/// Octets before an Echo's payload: type, code, checksum, identifier, sequence (RFC 792, RFC 4443 section 4.1).
const HEADER: usize = 8;

/// The two kinds of Echo message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Echo Request: 8, in ICMPv6 128.
    Request,
    /// Echo Reply: 0, in ICMPv6 129.
    Reply,
}

impl Kind {
    const fn number(self, v6: bool) -> u8 {
        match (self, v6) {
            (Kind::Request, false) => 8,
            (Kind::Reply, false) => 0,
            (Kind::Request, true) => 128,
            (Kind::Reply, true) => 129,
        }
    }
}

/// Why there is no ICMP.
#[derive(Debug, thiserror::Error)]
pub enum IcmpError {
    /// A raw socket needs a privilege this process lacks.
    #[error(
        "no ICMP: a raw socket needs CAP_NET_RAW, so notices go by UDP only. \
         Grant it with `setcap cap_net_raw+ep {program}`, or with `AmbientCapabilities=CAP_NET_RAW` in the systemd unit"
    )]
    NotPermitted {
        /// The program to grant it to.
        program: String,
    },
    /// A ping socket is for the groups of a range that this process isn't in.
    #[error(
        "no ICMP: a ping socket is for the groups in net.ipv4.ping_group_range ({range}), so notices come by UDP only. \
         Widen it with `sysctl -w net.ipv4.ping_group_range='0 2147483647'`, or grant CAP_NET_RAW"
    )]
    NoPingSocket {
        /// The range now.
        range: String,
    },
    /// Something else.
    #[error("no ICMP: {0}")]
    Io(#[from] io::Error),
}

impl IcmpError {
    fn new(error: io::Error) -> IcmpError {
        if error.kind() == io::ErrorKind::PermissionDenied {
            let program =
                std::env::current_exe().map_or_else(|_| "PROGRAM".into(), |path| path.display().to_string());
            IcmpError::NotPermitted { program }
        } else {
            IcmpError::Io(error)
        }
    }
}
