//! The agent's machines, joined as the agent joins them: front door, way upstream, inbox.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::dedup::{self, Check, Dedup, Slot};
use forewarn_proto::notice::Transport;
use forewarn_proto::notice::verify::{Disposition, Inbox, Source};
use forewarn_proto::pool::{Kind, Pool, Server, ServerId};
use forewarn_proto::switch;
use forewarn_proto::time::{Instant, Utc};
use forewarn_proto::upstream::{Answer, Config, Event, Transmit, Upstream};
use forewarn_wire::notice::{self, Identity, MAX_OCTETS, Outcome};
use forewarn_wire::{MAX_PACKET, MessageAuthenticatorRule, Packet, RadiusKey};
use rand::rngs::StdRng;

use super::home::{CLIENT, address, notice_keys, secret};

/// The NAS, as the front door sees it.
const NAS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// What the agent wants sent.
pub(super) enum Out {
    /// To a home server.
    Request { transmit: Transmit, octets: Vec<u8> },
    /// To the NAS's port.
    Reply { port: u16, identifier: u8, octets: Vec<u8> },
    /// A message about notices.
    Message { server: usize, octets: Vec<u8> },
}

pub(super) struct Agent {
    pub(super) upstream: Upstream,
    pub(super) inbox: Inbox,
    pub(super) dedup: Dedup,
    local: Arc<RadiusKey>,
    /// What was acknowledged last, by server: a duplicate gets it again.
    outcomes: Vec<Outcome>,
    out: Vec<Out>,
    pub(super) events: Vec<Event>,
    /// Requests of the NAS's that are not in flight any more, by port and identifier.
    pub(super) ended: BTreeSet<(u16, u8)>,
    /// Notices accepted in this step: server and kind.
    pub(super) accepted: Vec<(usize, notice::Kind)>,
}

impl Agent {
    pub(super) fn new(now: Instant, rng: &mut StdRng, servers: usize, local: RadiusKey) -> Agent {
        let home = |index: usize| Server {
            name: format!("home-{index}"),
            identity: Identity::from(address(index)),
            auth: SocketAddr::new(address(index), 1812),
            acct: SocketAddr::new(address(index), 1813),
            key: secret(index),
            require_message_authenticator: true,
        };
        let pool = Pool::new((0..servers).map(home).collect()).unwrap();
        let mut config = Config { ports: 2, ..Config::default() };
        config.switch.after = Duration::from_secs(20);
        config.switch.ramp = Duration::from_secs(5);
        let sources = (0..servers).map(|index| Source {
            server: Identity::from(address(index)),
            keys: notice_keys(index),
            mark: None,
        });
        Agent {
            upstream: Upstream::new(config, pool, now, rng),
            inbox: Inbox::new(Identity::from(CLIENT), 21, 1, sources, now),
            dedup: Dedup::new(dedup::Config::default()),
            local: Arc::new(local),
            outcomes: vec![Outcome::Noted; servers],
            out: Vec::new(),
            events: Vec::new(),
            ended: BTreeSet::new(),
            accepted: Vec::new(),
        }
    }

    pub(super) fn handle_nas(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        kind: Kind,
        port: u16,
        octets: &[u8],
    ) {
        let request = Packet::parse(octets).unwrap();
        let request =
            request.verify_request(&self.local, MessageAuthenticatorRule::Required).expect("verified");
        let identifier = request.identifier();
        let key = dedup::Key { source: SocketAddr::new(NAS, port), identifier, socket: kind as u16 };
        match self.dedup.check(now, key, request.authenticator()) {
            Check::InProgress(_) | Check::Full => {}
            Check::Replay(octets) => self.out.push(Out::Reply { port, identifier, octets: octets.to_vec() }),
            Check::New { slot, replaced } => {
                if let Some(old) = replaced {
                    self.upstream.abandon(old.to_bits());
                }
                let ticket = slot.to_bits();
                self.ended.remove(&(port, identifier));
                let taken = self.upstream.handle_request(now, rng, ticket, kind, &request, &self.local);
                if taken.is_err() {
                    self.ended.insert((port, identifier));
                    self.dedup.forget(slot);
                }
            }
        }
    }

    pub(super) fn handle_reply(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        from: SocketAddr,
        port: u16,
        octets: &[u8],
    ) {
        self.upstream.handle_datagram(now, rng, from, port, octets);
    }

    pub(super) fn handle_notice(&mut self, now: Instant, utc: Utc, rng: &mut StdRng, payload: &[u8]) {
        let Ok(accepted) = self.inbox.handle_notice(now, utc, Transport::Udp, payload) else { return };
        let (server, mark) = (accepted.server, accepted.mark());
        if accepted.disposition == Disposition::Accepted {
            self.accepted.push((server, accepted.notice.header().kind));
            self.outcomes[server] = self.upstream.handle_notice(now, rng, &accepted.notice);
        }
        if accepted.wants_ack() {
            let mut buffer = [0; MAX_OCTETS];
            let written = self.inbox.acknowledge(server, mark, self.outcomes[server], utc, &mut buffer);
            self.out.push(Out::Message { server, octets: buffer[..written.unwrap()].to_vec() });
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, rng: &mut StdRng) {
        self.dedup.handle_timeout(now);
        self.upstream.handle_timeout(now, rng);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let upstream = self.upstream.poll_timeout().map(|(at, _)| at);
        [upstream, self.inbox.poll_timeout(), self.dedup.poll_timeout()].into_iter().flatten().min()
    }

    /// All that is to be sent now.
    pub(super) fn drain(&mut self, now: Instant, utc: Utc, rng: &mut StdRng) -> Vec<Out> {
        let mut buffer = [0; MAX_PACKET];
        let mut notice = [0; MAX_OCTETS];
        while let Some(transmit) = self.upstream.poll_transmit(&mut buffer) {
            self.out.push(Out::Request { transmit, octets: buffer[..transmit.len].to_vec() });
        }
        while let Some(answer) = self.upstream.poll_answer(&mut buffer) {
            self.answer(now, answer, &buffer);
        }
        while let Some(event) = self.upstream.poll_event() {
            if let Event::Switch(switch::Event::AskReconnect { server }) = event {
                let written =
                    self.inbox.reconnect_request(server.index(), notice::Reason(0), utc, &mut notice);
                let octets = notice[..written.unwrap()].to_vec();
                self.out.push(Out::Message { server: server.index(), octets });
            }
            self.events.push(event);
        }
        while let Some(transmit) = self.inbox.poll_transmit(now, utc, rng, &mut notice) {
            let octets = notice[..transmit.len].to_vec();
            self.out.push(Out::Message { server: transmit.server, octets });
        }
        std::mem::take(&mut self.out)
    }

    fn answer(&mut self, now: Instant, answer: Answer, buffer: &[u8]) {
        let (Answer::Reply { ticket, .. } | Answer::Silence { ticket, .. }) = answer;
        let slot = Slot::from_bits(ticket);
        let key = self.dedup.key(slot).expect("its asker is known as long as it is in progress");
        let (port, identifier) = (key.source.port(), key.identifier);
        self.ended.insert((port, identifier));
        let Answer::Reply { len, .. } = answer else {
            assert!(self.dedup.forget(slot));
            return;
        };
        assert!(self.dedup.complete(now, slot, &buffer[..len]));
        self.out.push(Out::Reply { port, identifier, octets: buffer[..len].to_vec() });
    }

    pub(super) fn current(&self) -> ServerId {
        self.upstream.current().0
    }
}
