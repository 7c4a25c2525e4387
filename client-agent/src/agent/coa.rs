//! The sockets of the doors for CoA: one towards the servers, one towards the NAS software.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use forewarn_shell::udp::Inbound;

use super::{Door, StartError};
use crate::coa::{Relay, Verdict};
use crate::config::Config;

/// All doors for CoA.
pub(crate) struct Desk {
    relay: Relay,
    doors: Vec<Both>,
    /// Datagrams lost because a socket had no room.
    blocked: u64,
}

/// One door's sockets.
struct Both {
    servers: Door,
    nas: Door,
}

impl Desk {
    /// Binds them, on the current runtime.
    pub(super) fn open(config: &Config) -> Result<Desk, StartError> {
        let both = |listener: &crate::config::CoaListener| -> Result<Both, StartError> {
            let own = SocketAddr::new(towards(listener.nas.ip(), config.address), 0);
            Ok(Both { servers: Door::open(listener.address)?, nas: Door::open(own)? })
        };
        let doors = config.coa.iter().map(both).collect::<Result<_, _>>()?;
        Ok(Desk { relay: Relay::new(config), doors, blocked: 0 })
    }

    pub(crate) fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Datagrams not sent because a socket had no room.
    pub(crate) fn blocked(&self) -> u64 {
        self.blocked
    }

    /// Datagrams that the kernel dropped because nobody read them in time.
    pub(crate) fn dropped(&self) -> u64 {
        self.doors.iter().map(|both| both.servers.socket.drops() + both.nas.socket.drops()).sum()
    }

    /// Where the servers reach it, in the order of the configuration.
    pub(crate) fn listening(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.doors.iter().map(|both| both.servers.socket.local_addr())
    }

    /// Reads a batch of what the servers ask, from each door.
    pub(super) fn read_requests(&mut self, cx: &mut Context<'_>, inbound: &mut Inbound) -> bool {
        let Desk { relay, doors, blocked } = self;
        let mut busy = false;
        for (number, Both { servers, nas }) in doors.iter_mut().enumerate() {
            match servers.socket.poll_receive(cx, inbound) {
                Poll::Pending => continue,
                Poll::Ready(Err(_)) => busy = true,
                Poll::Ready(Ok(_)) => {
                    busy = true;
                    let to = relay.nas(number);
                    for datagram in inbound.iter() {
                        match relay.judge(inbound.read_at(), clock::utc(), number, &datagram) {
                            Verdict::Silence(_) => {}
                            Verdict::Answer(bytes) => {
                                *blocked += servers.push(bytes, datagram.from, Some(datagram.to));
                            }
                            Verdict::HandOver(bytes) => *blocked += nas.push(bytes, to, None),
                        }
                    }
                    *blocked += servers.flush() + nas.flush();
                }
            }
        }
        busy
    }

    /// Reads a batch of the NAS software's answers, from each door.
    pub(super) fn read_answers(&mut self, cx: &mut Context<'_>, inbound: &mut Inbound) -> bool {
        let Desk { relay, doors, blocked } = self;
        let mut busy = false;
        for (number, Both { servers, nas }) in doors.iter_mut().enumerate() {
            match nas.socket.poll_receive(cx, inbound) {
                Poll::Pending => continue,
                // Nobody listens there: the server's retransmission will find out whether that has changed.
                Poll::Ready(Err(_)) => busy = true,
                Poll::Ready(Ok(_)) => {
                    busy = true;
                    for datagram in inbound.iter() {
                        let (now, from) = (inbound.read_at(), datagram.from);
                        if let Some(back) = relay.handle_answer(now, number, from, datagram.bytes) {
                            *blocked += servers.push(back.bytes, back.to, Some(back.from));
                        }
                    }
                    *blocked += servers.flush();
                }
            }
        }
        busy
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.relay.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.relay.handle_timeout(now);
    }
}

/// The address that the NAS software is called from: on loopback the one it knows loopback by, elsewhere the identity.
fn towards(nas: IpAddr, identity: IpAddr) -> IpAddr {
    match nas {
        _ if !nas.is_loopback() && nas.is_ipv4() == identity.is_ipv4() => identity,
        IpAddr::V4(_) if nas.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) if nas.is_loopback() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
