//! The notices of home servers: believed or not here, obeyed by every pool that has the server, acknowledged.
//!
//! The announcer's sockets are the only ones where notices come in and messages leave, so payloads and [`Letter`]s pass
//! through its hands; what they mean is decided here, with the agent's own code ([`forewarn_shell::inbox`]).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forewarn_proto::notice::verify::Disposition;
use forewarn_proto::notice::{Mark, Transport};
use forewarn_proto::time::Instant;
use forewarn_shell::inbox::{Home, Inbox, Outbox, Refusals};
use forewarn_shell::marks::{self, Keeper, Marks};
use forewarn_shell::state::StateDir;
use forewarn_shell::upstream::show::{kind_name, outcome_name};
use forewarn_shell::{clock, random};
use forewarn_wire::notice::{Identity, KeptNotice, Kind, MAX_OCTETS, Notice, Outcome, Reason};
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;

use super::line::Order;

/// Messages to home servers that may wait to leave.
const LETTERS_MAX: usize = 1024;

/// A message on its way to a home server.
#[derive(Debug, Clone)]
pub struct Letter {
    /// By this way.
    pub via: Transport,
    /// Where it goes. ICMP has no use for the port.
    pub to: SocketAddr,
    octets: [u8; MAX_OCTETS],
    length: usize,
}

impl Letter {
    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

/// Messages that wait to leave.
#[derive(Debug, Default)]
pub struct Letters {
    queue: Mutex<VecDeque<Letter>>,
    arrived: Notify,
}

impl Letters {
    /// Returns when there may be one.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// The next one.
    pub fn take(&self) -> Option<Letter> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Outbox for &Letters {
    fn send(&mut self, via: Transport, to: SocketAddr, payload: &[u8]) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() == LETTERS_MAX {
            return false;
        }
        let mut octets = [0; MAX_OCTETS];
        octets[..payload.len()].copy_from_slice(payload);
        queue.push_back(Letter { via, to, octets, length: payload.len() });
        drop(queue);
        self.arrived.notify_one();
        true
    }
}

/// The inbox of this proxy as a client of its home servers.
#[derive(Debug)]
pub(super) struct Notices {
    identity: IpAddr,
    state: Arc<StateDir>,
    letters: Arc<Letters>,
    inner: Mutex<Inner>,
    /// A deadline may have come nearer.
    sooner: Notify,
}

#[derive(Debug)]
struct Inner {
    inbox: Inbox,
    keeper: Keeper,
    /// By server, in the inbox's order.
    homes: Vec<Obeyed>,
    counts: KindCounts,
    refusals: Refusals,
    random: StdRng,
}

/// A home server and who obeys it.
#[derive(Debug)]
struct Obeyed {
    address: IpAddr,
    name: String,
    pools: Vec<Sender<Order>>,
    /// The notice that is being acted on.
    acting: Option<Acting>,
}

#[derive(Debug, Clone, Copy)]
struct Acting {
    mark: Mark,
    via: Transport,
    from: SocketAddr,
    wants_ack: bool,
    kind: Kind,
    reduction_percent: u8,
    reason: Reason,
    /// Pools that haven't said what they did.
    open: usize,
    outcome: Outcome,
    /// Every pool knew what it says, and it is but an answer to a CHALLENGE.
    is_known: bool,
}

/// Notices acted on, by kind.
#[derive(Debug, Clone, Copy, Default)]
struct KindCounts {
    failover: u64,
    reconnect: u64,
    refused: u64,
    unheard: u64,
}

/// A home server that sends notices, its name, and the pools that have it.
pub(super) type Obedience = (Home, String, Vec<Sender<Order>>);

impl Notices {
    /// The inbox of the server at `identity`.
    ///
    /// # Errors
    /// The system has no thread to give, or the epoch can't be kept.
    pub(super) fn open(
        identity: IpAddr,
        state: &Arc<StateDir>,
        letters: &Arc<Letters>,
    ) -> std::io::Result<Notices> {
        let keeper = Keeper::start(Arc::clone(state))?;
        let inbox = Inbox::new(identity, 0, &[], &Marks::new(), clock::now());
        let inner = Inner {
            inbox,
            keeper,
            homes: Vec::new(),
            counts: KindCounts::default(),
            refusals: Refusals::default(),
            random: random::generator(),
        };
        let (state, letters) = (Arc::clone(state), Arc::clone(letters));
        Ok(Notices { identity, state, letters, inner: Mutex::new(inner), sooner: Notify::new() })
    }

    /// Listens to these from now on, in a new epoch; each is asked what is in force. Marks are kept.
    pub(super) fn obey(&self, homes: Vec<Obedience>) {
        let epoch = match self.state.next_epoch(clock::utc()) {
            Ok(epoch) => epoch,
            Err(error) => {
                // The clock alone: right as long as it isn't set back.
                tracing::warn!("home servers may not believe what this proxy says after a restart: {error}");
                clock::utc().as_secs_u32()
            }
        };
        let mut inner = self.lock();
        // What is in memory is newer than what is on the disk.
        let mut known = inner.inbox.marks();
        known.extend(marks::read(&self.state));
        let sources: Vec<Home> = homes.iter().map(|(home, ..)| home.clone()).collect();
        inner.inbox = Inbox::new(self.identity, epoch, &sources, &known, clock::now());
        let obeyed =
            |(home, name, pools): Obedience| Obeyed { address: home.address, name, pools, acting: None };
        inner.homes = homes.into_iter().map(obeyed).collect();
        drop(inner);
        self.sooner.notify_one();
    }

    /// Takes what came to the notice sockets. False: it isn't from one of our home servers, or isn't for a client.
    pub(super) fn handle(&self, via: Transport, from: SocketAddr, payload: &[u8]) -> bool {
        let Ok(unverified) = Notice::parse(payload) else { return false };
        let header = *unverified.peek().header();
        // A LOAD is said to a peer, in the peers' own stream.
        let is_for_clients = !header.kind.is_from_agent() && header.kind != Kind::Load;
        if !is_for_clients || header.client != Identity::from(self.identity) {
            return false;
        }
        let mut inner = self.lock();
        let Inner { inbox, homes, counts, keeper, refusals, .. } = &mut *inner;
        if !homes.iter().any(|home| Identity::from(home.address) == header.server) {
            return false;
        }
        let utc = clock::utc();
        let accepted = match inbox.machine_mut().handle_notice(clock::now(), utc, via, payload) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                tracing::debug!(%from, via = via.name(), %refusal, "a home server's notice was refused");
                if let Some(text) = refusals.mention(clock::now(), from.ip(), via, &refusal) {
                    tracing::warn!("{text}");
                }
                self.sooner.notify_one();
                return true;
            }
        };
        let (server, mark, wants_ack) = (accepted.server, accepted.mark(), accepted.wants_ack());
        let kept = KeptNotice::new(&accepted.notice);
        let Some(home) = homes.get_mut(server) else { return true };
        if accepted.disposition == Disposition::Duplicate {
            // While pools still act on it, their word is waited for.
            if wants_ack && home.acting.is_none() {
                inbox.acknowledge_again(server, mark, (clock::now(), utc), via, &mut &*self.letters);
            }
            return true;
        }
        counts.add(header.kind);
        let mut acting = Acting {
            mark,
            via,
            from,
            wants_ack,
            kind: header.kind,
            reduction_percent: header.reduction_percent,
            reason: header.reason,
            open: 0,
            outcome: Outcome::Noted,
            is_known: inbox.has_acted(server),
        };
        for pool in &home.pools {
            match pool.try_send(Order::Notice(Box::new(kept.clone()))) {
                Ok(()) => acting.open += 1,
                Err(_) => counts.unheard += 1,
            }
        }
        home.acting = (acting.open > 0).then_some(acting);
        if acting.open == 0 {
            keeper.save(&inbox.marks());
        }
        true
    }

    /// A pool did this about the notice at `mark`, or knew it already. Once all have, it is acknowledged, and the mark
    /// kept.
    pub(super) fn acted(&self, server: Identity, mark: Mark, outcome: Outcome, is_known: bool) {
        let mut inner = self.lock();
        let Inner { inbox, homes, keeper, .. } = &mut *inner;
        let Some(server) = homes.iter().position(|home| Identity::from(home.address) == server) else {
            return;
        };
        let home = &mut homes[server];
        let Some(acting) = home.acting.as_mut().filter(|acting| acting.mark == mark) else { return };
        acting.open -= 1;
        acting.outcome = graver(acting.outcome, outcome);
        acting.is_known &= is_known;
        if acting.open > 0 {
            return;
        }
        let Acting { via, from, wants_ack, kind, reduction_percent, reason, outcome, is_known, .. } = *acting;
        home.acting = None;
        inbox.acted(server, via, outcome);
        if wants_ack {
            let to = (via, from);
            inbox.acknowledge(server, mark, outcome, clock::utc(), to, &mut &*self.letters);
        }
        if is_known {
            keeper.renew(&inbox.marks());
            return;
        }
        keeper.save(&inbox.marks());
        let (name, via, kind) = (&home.name, via.name(), kind_name(kind));
        let did = outcome_name(outcome);
        tracing::info!(
            "home server {name:?} says by {via}: {kind} (reduction {reduction_percent} %, {reason}); {did}"
        );
    }

    /// Asks a home server whether its traffic may come back.
    pub(super) fn ask_reconnect(&self, server: Identity) {
        let mut inner = self.lock();
        if let Some(server) = inner.inbox.server_at(server.address()) {
            let utc = clock::utc();
            inner.inbox.ask_reconnect(server, Reason::TIME_OUT, utc, &mut &*self.letters);
        }
    }

    /// Sends challenges when they are due, for as long as there is a proxy.
    pub(super) async fn keep_time(self: Arc<Notices>) {
        loop {
            let due = self.lock().inbox.poll_timeout().unwrap_or(Instant::FAR);
            tokio::select! {
                () = clock::sleep_until(due), if due != Instant::FAR => {
                    let mut inner = self.lock();
                    let Inner { inbox, random, .. } = &mut *inner;
                    inbox.handle_timeout(clock::now(), clock::utc(), random, &mut &*self.letters);
                }
                () = self.sooner.notified() => {}
            }
        }
    }

    /// What was counted, by dotted name.
    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        let inner = self.lock();
        let (refused, sent, kinds) = (inner.inbox.machine().counts(), inner.inbox.counters(), inner.counts);
        let (saved, failed) = inner.keeper.counts();
        vec![
            ("proxy.notices.failover", kinds.failover),
            ("proxy.notices.reconnect", kinds.reconnect),
            ("proxy.notices.refused-return", kinds.refused),
            ("proxy.notices.unheard", kinds.unheard),
            ("proxy.notices.duplicate", refused.duplicate),
            ("proxy.notices.unknown-key", refused.unknown_key),
            ("proxy.notices.wrong-kind", refused.wrong_kind),
            ("proxy.notices.stale", refused.stale),
            ("proxy.notices.bad-mac", refused.bad_mac),
            ("proxy.notices.replay", refused.replay),
            ("proxy.notices.challenges", refused.challenges),
            ("proxy.notices.receipts", sent.receipts),
            ("proxy.notices.reconnect-requests", sent.reconnect_requests),
            ("proxy.notices.unsent", sent.unsent),
            ("proxy.marks.saved", saved),
            ("proxy.marks.failed", failed),
        ]
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KindCounts {
    fn add(&mut self, kind: Kind) {
        match kind {
            Kind::Failover => self.failover += 1,
            Kind::Reconnect => self.reconnect += 1,
            Kind::Refused => self.refused += 1,
            // Nothing else is for clients.
            _ => {}
        }
    }
}

/// Of what two pools did, what the home server has to know: one that stays is what keeps it busy.
fn graver(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome: Outcome| match outcome {
        Outcome::LastUsable => 4,
        Outcome::NoAlternate => 3,
        Outcome::Moved => 2,
        Outcome::AlreadyAway => 1,
        Outcome::Noted | Outcome::Other(_) => 0,
    };
    if rank(other) > rank(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use forewarn_proto::notice::KeyEntry;
    use forewarn_wire::notice::{self, Header, MacKind, NoticeKey};

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn a_home_server_that_is_a_peer_too_says_its_load_to_the_peers() {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(StateDir::open(folder.path()).unwrap());
        let notices = Notices::open(address(11), &state, &Arc::default()).unwrap();
        let key = NoticeKey::new(MacKind::HmacSha256, &[7; 32]).unwrap();
        let keys = vec![KeyEntry { id: 1, key: key.clone(), send: true }];
        let home = Home { address: address(12), port: 3798, keys };
        notices.obey(vec![(home, "west".to_owned(), Vec::new())]);
        let (from, to) = (Identity::from(address(12)), Identity::from(address(11)));
        let say = |kind, sequence| {
            let utc_ms = clock::utc().as_millis();
            let header = Header { key_id: 1, epoch: 5, sequence, utc_ms, ..Header::new(kind, from, to) };
            let mut octets = [0; MAX_OCTETS];
            let length = notice::write(&mut octets, &header, None, &key.pair(from, to)).unwrap();
            notices.handle(Transport::Udp, SocketAddr::new(address(12), 3798), &octets[..length])
        };
        assert!(!say(Kind::Load, 900), "a peer's affair, and in a stream of its own");
        assert!(say(Kind::Failover, 1));
        let counts = notices.counts();
        let counted = |name: &str| counts.iter().find(|(known, _)| *known == name).unwrap().1;
        assert_eq!((counted("proxy.notices.failover"), counted("proxy.notices.replay")), (1, 0));
    }
}
