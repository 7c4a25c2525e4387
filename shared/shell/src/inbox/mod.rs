//! What a client does about notices besides obeying them, an agent and a proxy alike: it believes them or not
//! ([`forewarn_proto::notice::verify`]), signs receipts, asks to come back, and has its marks.
//!
//! How messages leave is the caller's affair: see [`Outbox`]. A receipt goes back the way its notice came, and only
//! ever to the configured address of the server whose key signed the notice: a spoofed source gets nothing.

mod refusals;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forewarn_proto::notice::verify::{self, Source};
use forewarn_proto::notice::{KeyEntry, Mark, Transport};
use forewarn_proto::time::{Instant, Utc};
use forewarn_wire::notice::{Identity, MAX_OCTETS, Outcome, Reason};
use rand_core::CryptoRng;

use crate::marks::Marks;

pub use refusals::Refusals;

/// A server that may send notices, as configured.
#[derive(Debug, Clone)]
pub struct Home {
    /// Its address, which is its identity in notices too.
    pub address: IpAddr,
    /// Where it takes messages by UDP.
    pub port: u16,
    /// The pair's keys; empty: it sends no notices.
    pub keys: Vec<KeyEntry>,
}

/// The ways on which messages leave.
pub trait Outbox {
    /// Sends a message by this way, if there is one. False: it couldn't leave. ICMP has no use for the port.
    fn send(&mut self, via: Transport, to: SocketAddr, octets: &[u8]) -> bool;
}

/// The inbox of one client.
#[derive(Debug)]
pub struct Inbox {
    machine: verify::Inbox,
    peers: Vec<Peer>,
    message: Box<[u8; MAX_OCTETS]>,
    counters: InboxCounters,
}

/// One server.
#[derive(Debug)]
struct Peer {
    address: IpAddr,
    port: u16,
    /// The way its last accepted notice came, until it has been asked something that way.
    via: Option<Transport>,
    /// What was done about that notice.
    outcome: Outcome,
    has_acted: bool,
    /// The port that it came from by UDP.
    heard_port: Option<u16>,
    /// When a receipt was last repeated, by ICMP and by UDP.
    repeated: [Option<Instant>; 2],
}

/// A receipt is repeated at most this often to one server by one way: a captured notice must not make us sign and send
/// as often as somebody likes. The server's own repeats are further apart.
const REPEATED_EVERY: Duration = Duration::from_millis(50);

impl Peer {
    fn receipt_port(&self) -> u16 {
        self.heard_port.unwrap_or(self.port)
    }
}

/// What the inbox sent and couldn't send; each only rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InboxCounters {
    /// Receipts.
    pub receipts: u64,
    /// RECONNECT-REQUESTs.
    pub reconnect_requests: u64,
    /// HELLOs.
    pub hellos: u64,
    /// Messages that couldn't leave: no room, or refused by the kernel.
    pub unsent: u64,
}

impl Inbox {
    /// The inbox of `client` in this epoch of it, with the marks that were kept. CHALLENGEs are due at once.
    #[must_use]
    pub fn new(client: IpAddr, epoch: u32, homes: &[Home], marks: &Marks, now: Instant) -> Inbox {
        let mark_of =
            |identity: Identity| marks.iter().find(|(other, _)| *other == identity).map(|(_, mark)| *mark);
        let sources = homes.iter().map(|home| {
            let server = Identity::from(home.address);
            Source { server, keys: home.keys.clone(), mark: mark_of(server) }
        });
        let machine = verify::Inbox::new(Identity::from(client), std::process::id(), epoch, sources, now);
        let peer = |home: &Home| Peer {
            address: home.address,
            port: home.port,
            via: None,
            outcome: Outcome::Noted,
            has_acted: false,
            heard_port: None,
            repeated: [None; 2],
        };
        Inbox {
            machine,
            peers: homes.iter().map(peer).collect(),
            message: Box::new([0; MAX_OCTETS]),
            counters: InboxCounters::default(),
        }
    }

    /// The machine, to look at.
    #[must_use]
    pub fn machine(&self) -> &verify::Inbox {
        &self.machine
    }

    /// The machine, to judge what came in.
    pub fn machine_mut(&mut self) -> &mut verify::Inbox {
        &mut self.machine
    }

    /// What it sent.
    #[must_use]
    pub fn counters(&self) -> InboxCounters {
        self.counters
    }

    /// The server at this address.
    #[must_use]
    pub fn server_at(&self, address: IpAddr) -> Option<usize> {
        self.peers.iter().position(|peer| peer.address == address)
    }

    /// The marks as they are to be saved.
    #[must_use]
    pub fn marks(&self) -> Marks {
        let mark =
            |(index, peer): (usize, &Peer)| Some((Identity::from(peer.address), self.machine.mark(index)?));
        self.peers.iter().enumerate().filter_map(mark).collect()
    }

    /// A notice of this server was acted on, with this outcome.
    pub fn acted(&mut self, server: usize, via: Transport, outcome: Outcome) {
        if let Some(peer) = self.peers.get_mut(server) {
            (peer.via, peer.outcome, peer.has_acted) = (Some(via), outcome, true);
        }
    }

    /// Whether any notice of this server was acted on yet.
    #[must_use]
    pub fn has_acted(&self, server: usize) -> bool {
        self.peers.get(server).is_some_and(|peer| peer.has_acted)
    }

    /// What was done about the last notice of this server.
    #[must_use]
    pub fn outcome(&self, server: usize) -> Outcome {
        self.peers.get(server).map_or(Outcome::Noted, |peer| peer.outcome)
    }

    /// Acknowledges the notice at `mark` the way it came: by UDP to the port it came `from`, if the address is the
    /// server's own.
    pub fn acknowledge(
        &mut self,
        server: usize,
        mark: Mark,
        outcome: Outcome,
        utc: Utc,
        (via, from): (Transport, SocketAddr),
        outbox: &mut impl Outbox,
    ) {
        let Ok(length) = self.machine.acknowledge(server, mark, outcome, utc, &mut self.message) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(server) else { return };
        if via == Transport::Udp && from.ip() == peer.address {
            peer.heard_port = Some(from.port());
        }
        let port = peer.receipt_port();
        self.counters.receipts += 1;
        self.send(server, Some(via), port, length, outbox);
    }

    /// Acknowledges it once more, if it is time to: a notice that is known came again by this way. Anybody may have sent
    /// it, from any port; the receipt goes to the port of what was new.
    pub fn acknowledge_again(
        &mut self,
        server: usize,
        mark: Mark,
        (now, utc): (Instant, Utc),
        via: Transport,
        outbox: &mut impl Outbox,
    ) {
        let Some(peer) = self.peers.get_mut(server) else { return };
        let repeated = &mut peer.repeated[usize::from(via == Transport::Udp)];
        if repeated.is_some_and(|last| now.since(last) < REPEATED_EVERY) {
            return;
        }
        *repeated = Some(now);
        let (port, outcome) = (peer.receipt_port(), peer.outcome);
        let Ok(length) = self.machine.acknowledge(server, mark, outcome, utc, &mut self.message) else {
            return;
        };
        self.counters.receipts += 1;
        self.send(server, Some(via), port, length, outbox);
    }

    /// Asks a server whether this client may come back: the way it spoke last, and by each there is once a question
    /// that way has met silence.
    pub fn ask_reconnect(&mut self, server: usize, reason: Reason, utc: Utc, outbox: &mut impl Outbox) {
        let Ok(length) = self.machine.reconnect_request(server, reason, utc, &mut self.message) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(server) else { return };
        let (via, port) = (peer.via.take(), peer.port);
        self.counters.reconnect_requests += 1;
        self.send(server, via, port, length, outbox);
    }

    /// Sends the CHALLENGEs that are due.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        utc: Utc,
        rng: &mut dyn CryptoRng,
        outbox: &mut impl Outbox,
    ) {
        while let Some(transmit) = self.machine.poll_transmit(now, utc, rng, &mut self.message) {
            let port = self.peers.get(transmit.server).map_or(0, |peer| peer.port);
            self.send(transmit.server, transmit.via, port, transmit.len, outbox);
        }
    }

    /// When to call [`Inbox::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    /// Tells every server by HELLO that this client can be told by ICMP, on the way this message goes.
    pub fn say_hello(&mut self, utc: Utc, outbox: &mut impl Outbox) {
        for server in 0..self.peers.len() {
            // A server without notice keys is told nothing.
            if let Ok(length) = self.machine.hello(server, utc, &mut self.message) {
                self.counters.hellos += 1;
                self.send(server, Some(Transport::Icmp), 0, length, outbox);
            }
        }
    }

    /// Sends the first `length` octets of the message to the server's configured address, by `via` or by each way
    /// there is.
    fn send(
        &mut self,
        server: usize,
        via: Option<Transport>,
        port: u16,
        length: usize,
        outbox: &mut impl Outbox,
    ) {
        let Some(peer) = self.peers.get(server) else { return };
        let (octets, to) = (&self.message[..length], SocketAddr::new(peer.address, port));
        for way in [Transport::Icmp, Transport::Udp] {
            if via.is_none_or(|via| via == way) {
                self.counters.unsent += u64::from(!outbox.send(way, to, octets));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use forewarn_proto::notice::verify::Disposition;
    use forewarn_wire::notice::{self, Flags, Header, Kind, MacKind, NoticeKey};

    use super::*;

    const UTC: Utc = Utc::from_millis(1_800_000_000_000);

    impl Outbox for Vec<(Transport, u16)> {
        fn send(&mut self, via: Transport, to: SocketAddr, _: &[u8]) -> bool {
            self.push((via, to.port()));
            true
        }
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn a_captured_notice_has_receipts_repeated_seldom_and_to_no_other_port() {
        let key = NoticeKey::new(MacKind::HmacSha256, &[7; 32]).unwrap();
        let keys = vec![KeyEntry { id: 1, key: key.clone(), send: true }];
        let home = Home { address: address(11), port: 3798, keys };
        let mut inbox = Inbox::new(address(21), 9, &[home], &Marks::new(), Instant::ZERO);
        let (server, client) = (Identity::from(address(11)), Identity::from(address(21)));
        let header = Header {
            key_id: 1,
            epoch: 5,
            sequence: 1,
            utc_ms: UTC.as_millis(),
            flags: Flags::ACK_WANTED,
            ..Header::new(Kind::Failover, server, client)
        };
        let mut octets = [0; MAX_OCTETS];
        let length = notice::write(&mut octets, &header, None, &key.pair(server, client)).unwrap();
        let hear = |inbox: &mut Inbox, now| {
            let accepted =
                inbox.machine_mut().handle_notice(now, UTC, Transport::Udp, &octets[..length]).unwrap();
            (accepted.mark(), accepted.disposition)
        };
        let mut sent = Vec::new();
        let (mark, _) = hear(&mut inbox, Instant::ZERO);
        assert!(!inbox.has_acted(0));
        inbox.acted(0, Transport::Udp, Outcome::Moved);
        let from = SocketAddr::new(address(11), 4000);
        inbox.acknowledge(0, mark, Outcome::Moved, UTC, (Transport::Udp, from), &mut sent);
        for millis in 0..200 {
            let now = Instant::from_millis(millis);
            assert_eq!(hear(&mut inbox, now), (mark, Disposition::Duplicate));
            inbox.acknowledge_again(0, mark, (now, UTC), Transport::Udp, &mut sent);
        }
        assert_eq!(sent, [(Transport::Udp, 4000); 5], "at once, and each 50 ms");
        let now = Instant::from_millis(200);
        inbox.acknowledge_again(0, mark, (now, UTC), Transport::Icmp, &mut sent);
        assert_eq!(sent.len(), 6, "each way for itself: the other may be blocked");
    }
}
