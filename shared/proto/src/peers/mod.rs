//! Peers: the servers that tell each other how much they have to do, so that each knows whom it may send where.
//!
//! Every `interval`, and at once when a server takes other clients than before, it sends each peer a LOAD (type 9)
//! by each transport there is. No receipt is wanted: the next one follows soon, and who hears nothing for three
//! intervals knows nothing. What comes is judged as an agent judges notices: freshness, MAC, mark, and a
//! CHALLENGE where the clocks differ, which a LOAD answers. Marks aren't kept over a restart: what is replayed can't be
//! older than half a minute, and the next genuine LOAD overtakes it.

mod state;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forewarn_wire::notice::{self, Header, Identity, Kind, MAX_OCTETS, Notice, Reason, Takes, Tlv};
use rand_core::CryptoRng;

use crate::notice::issue::Path;
use crate::notice::verify::{Disposition, Inbox, Source};
use crate::notice::{Counts, KeyEntry, KeyRing, Mark, Refusal, Transport};
use crate::time::{Instant, Utc};
use state::Peer;

pub use state::{Known, SETTLING, View};

/// Peers, at most.
pub const PEERS_MAX: usize = 64;
/// A LOAD is in force for so many intervals.
const INTERVALS: u32 = 3;
/// A CHALLENGE of a peer is answered at most this often.
const ANSWER_EVERY: Duration = Duration::from_millis(500);

/// How this server speaks with its peers.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its identity.
    pub identity: Identity,
    /// Its number.
    pub sender: u32,
    /// See [`crate::notice::epoch_at_start`].
    pub epoch: u32,
    /// Between two LOADs.
    pub interval: Duration,
    /// A peer is full at this share of its configured capacity, 0 to 1.
    pub threshold: f64,
}

/// A peer as configured.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its identity, and where it is.
    pub address: IpAddr,
    /// The UDP port for notices of its.
    pub port: u16,
    /// The pair's keys; without any nothing is told, and nothing believed.
    pub keys: Vec<KeyEntry>,
    /// Requests a second that it bears at load 1.0, whatever it says itself; none: what it says.
    pub capacity: Option<f64>,
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Whom it takes.
    pub takes: Takes,
    /// Why, where it isn't everybody.
    pub reason: Reason,
    /// Its load, per cent.
    pub load: u8,
    /// Requests a second that it hears.
    pub rate: f64,
    /// How many more it can bear; none: it doesn't know.
    pub room: Option<f64>,
}

/// A message to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it is.
    pub to: SocketAddr,
    /// By this transport; none: by each there is.
    pub via: Option<Transport>,
    /// Octets in the buffer.
    pub len: usize,
}

impl Transmit {
    /// The ways to send it, of those transports that there are.
    pub fn paths(self, transports: &[Transport]) -> impl Iterator<Item = Path> {
        let wanted = transports.iter().filter(move |transport| self.via.is_none_or(|via| via == **transport));
        wanted.map(move |transport| match transport {
            Transport::Icmp => Path::Icmp(self.to.ip()),
            Transport::Udp => Path::Udp(self.to),
        })
    }
}

/// Answers to be sent: a LOAD to this peer, with the nonce it asked for.
#[derive(Clone, Copy, Debug)]
struct Due {
    peer: usize,
    nonce: Option<[u8; 16]>,
}

/// The machine: all peers of one server.
#[derive(Debug)]
pub struct Peers {
    config: Config,
    peers: Vec<Peer>,
    inbox: Inbox,
    /// The place of the last LOAD sent.
    mark: Mark,
    report: Option<Report>,
    next_at: Instant,
    due: VecDeque<Due>,
    sent: u64,
}

impl Peers {
    /// Nothing is known of anybody. At most [`PEERS_MAX`] of `entries`.
    pub fn new(config: Config, entries: Vec<Entry>, now: Instant) -> Peers {
        let peers: Vec<Peer> =
            entries.into_iter().take(PEERS_MAX).map(|entry| peer(&config, entry)).collect();
        Peers {
            inbox: inbox(&config, &peers, |_| None, now),
            mark: Mark::start_of(config.epoch),
            report: None,
            next_at: now,
            due: VecDeque::new(),
            sent: 0,
            peers,
            config,
        }
    }

    /// Other peers, or the same with other keys: what is known of those that stay is kept.
    pub fn reconfigure(&mut self, interval: Duration, threshold: f64, entries: Vec<Entry>, now: Instant) {
        (self.config.interval, self.config.threshold) = (interval, threshold);
        let before = std::mem::take(&mut self.peers);
        let place = |identity: Identity| before.iter().position(|peer| peer.identity == identity);
        self.peers = entries
            .into_iter()
            .take(PEERS_MAX)
            .map(|entry| {
                let new = peer(&self.config, entry);
                match place(new.identity) {
                    Some(old) => Peer { heard: before[old].heard, pledged: before[old].pledged, ..new },
                    None => new,
                }
            })
            .collect();
        let mark = |identity| place(identity).and_then(|old| self.inbox.mark(old));
        self.inbox = inbox(&self.config, &self.peers, mark, now);
        self.due.clear();
        self.next_at = now;
    }

    /// Whether there is any peer.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// What came, by what became of it.
    pub fn received(&self) -> &Counts {
        self.inbox.counts()
    }

    /// LOADs sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// What this server says of itself from now on. It says so at once when it takes others than before.
    pub fn set_report(&mut self, now: Instant, report: Report) {
        if self.report.is_none_or(|before| before.takes != report.takes) {
            self.next_at = self.next_at.min(now);
        }
        self.report = Some(report);
    }

    /// Whether a payload is one of a peer's, and nobody else's: a LOAD to this server, or a CHALLENGE that a peer has
    /// signed. Nothing is counted.
    pub fn concerns(&self, payload: &[u8]) -> bool {
        let Ok(unverified) = Notice::parse(payload) else { return false };
        let header = *unverified.peek().header();
        match header.kind {
            Kind::Load => header.client == self.config.identity,
            Kind::Challenge => self.verify_challenge(payload).is_some(),
            _ => false,
        }
    }

    /// A payload came that [concerns](Peers::concerns) peers, by `via`. What is refused is counted.
    ///
    /// # Errors
    /// Why it isn't believed.
    pub fn handle_message(
        &mut self,
        now: Instant,
        utc: Utc,
        via: Transport,
        payload: &[u8],
    ) -> Result<(), Refusal> {
        if let Some((peer, nonce)) = self.verify_challenge(payload) {
            self.answer(now, peer, nonce);
            return Ok(());
        }
        let accepted = self.inbox.handle_notice(now, utc, via, payload)?;
        if accepted.disposition == Disposition::Duplicate {
            return Ok(());
        }
        let header = *accepted.notice.header();
        let (takes, rate, room) = accepted.notice.room().unwrap_or((Takes::Anybody, 0, None));
        let report = Report {
            takes,
            reason: header.reason,
            load: header.load_percent,
            rate: f64::from(rate) / 1000.0,
            room: room.map(|room| f64::from(room) / 1000.0),
        };
        let until = now + Duration::from_secs(u64::from(header.validity_s));
        self.peers[accepted.server].hear(now, until, report);
        Ok(())
    }

    /// The peer that has signed this CHALLENGE, and its nonce.
    fn verify_challenge(&self, payload: &[u8]) -> Option<(usize, [u8; 16])> {
        let unverified = Notice::parse(payload).ok()?;
        let header = *unverified.peek().header();
        if header.kind != Kind::Challenge || header.server != self.config.identity {
            return None;
        }
        let index = self.peers.iter().position(|peer| peer.identity == header.client)?;
        let key = self.peers[index].telling.as_ref()?.find(header.key_id)?;
        Some((index, unverified.verify(key).ok()?.nonce()?))
    }

    /// Tells a peer that asked; seldom, so that whoever sends its question again costs nothing.
    fn answer(&mut self, now: Instant, peer: usize, nonce: [u8; 16]) {
        let asked = &mut self.peers[peer].answered;
        if asked.is_none_or(|last| now.since(last) >= ANSWER_EVERY) {
            *asked = Some(now);
            self.due.push_back(Due { peer, nonce: Some(nonce) });
        }
    }

    /// The next message that is due, written into `out`.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        utc: Utc,
        rng: &mut dyn CryptoRng,
        out: &mut [u8; MAX_OCTETS],
    ) -> Option<Transmit> {
        if self.next_at <= now && self.report.is_some() {
            self.next_at = now + self.config.interval;
            self.due.extend((0..self.peers.len()).map(|peer| Due { peer, nonce: None }));
        }
        while let Some(due) = self.due.pop_front() {
            if let Some(len) = self.write(due, utc, out) {
                self.sent += 1;
                return Some(Transmit { to: self.peers[due.peer].socket, via: None, len });
            }
        }
        let challenge = self.inbox.poll_transmit(now, utc, rng, out)?;
        Some(Transmit { to: self.peers[challenge.server].socket, via: challenge.via, len: challenge.len })
    }

    /// When [`Peers::poll_transmit`] has something next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.due.is_empty() {
            return Some(Instant::ZERO);
        }
        let next = self.report.filter(|_| !self.peers.is_empty()).map(|_| self.next_at);
        [next, self.inbox.poll_timeout()].into_iter().flatten().min()
    }

    /// A LOAD for one peer.
    fn write(&mut self, due: Due, utc: Utc, out: &mut [u8; MAX_OCTETS]) -> Option<usize> {
        let report = self.report?;
        let peer = self.peers.get(due.peer)?;
        let (key_id, key) = peer.telling.as_ref()?.sending();
        self.mark = self.mark.next();
        let validity = (self.config.interval * INTERVALS).as_secs_f64().ceil();
        let header = Header {
            key_id,
            reason: report.reason,
            sender: self.config.sender,
            epoch: self.mark.epoch,
            sequence: self.mark.sequence,
            utc_ms: utc.as_millis(),
            validity_s: validity as u16,
            load_percent: report.load.min(100),
            ..Header::new(Kind::Load, self.config.identity, peer.identity)
        };
        let milli = |figure: f64| (figure * 1000.0).round() as u32;
        let room = Tlv::Room { takes: report.takes, rate: milli(report.rate), room: report.room.map(milli) };
        let nonce = due.nonce.map(Tlv::Nonce);
        notice::write(out, &header, [room].into_iter().chain(nonce), key).ok()
    }

    /// All peers, in the order of the configuration.
    pub fn views(&self, now: Instant) -> impl Iterator<Item = View> {
        let sharers = 1 + self.peers.iter().filter(|peer| peer.has_begun_to_leave(now)).count();
        self.peers.iter().map(move |peer| {
            let others = sharers - usize::from(peer.has_begun_to_leave(now));
            peer.view(now, self.config.threshold, others)
        })
    }

    /// Clients with so many requests a second are sent to a peer: until its own figures show them, they count as its.
    pub fn pledge(&mut self, now: Instant, address: IpAddr, rate: f64) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.socket.ip() == address) {
            peer.pledge(now, rate);
        }
    }
}

fn peer(config: &Config, entry: Entry) -> Peer {
    let identity = Identity::from(entry.address);
    Peer {
        identity,
        socket: SocketAddr::new(entry.address, entry.port),
        telling: KeyRing::new(&entry.keys, config.identity, identity),
        keys: entry.keys,
        capacity: entry.capacity,
        heard: None,
        pledged: None,
        answered: None,
    }
}

/// What judges the LOADs of peers: they are the servers, and this one is their client.
fn inbox(config: &Config, peers: &[Peer], mark: impl Fn(Identity) -> Option<Mark>, now: Instant) -> Inbox {
    let source =
        |peer: &Peer| Source { server: peer.identity, keys: peer.keys.clone(), mark: mark(peer.identity) };
    Inbox::new(config.identity, config.sender, config.epoch, peers.iter().map(source), now)
}
