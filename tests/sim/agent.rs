//! An agent: its machines, joined as the agent joins them (front door, way upstream, inbox), what it keeps on disk,
//! and the NAS beside it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::dedup::{self, Check, Dedup, Slot};
use forewarn_proto::notice::verify::{Disposition, Inbox, Source};
use forewarn_proto::notice::{Mark, Transport, epoch_at_start};
use forewarn_proto::pool::{Kind, Pool, Server};
use forewarn_proto::switch;
use forewarn_proto::time::{Instant, Utc};
use forewarn_proto::upstream::{self, Answer, Event, Transmit, Upstream};
use forewarn_wire::notice::{MAX_OCTETS, Outcome, Reason};
use forewarn_wire::{MAX_PACKET, MessageAuthenticatorRule, Packet, RadiusKey};
use rand::rngs::StdRng;

use super::names;
use super::nas::{Name, Nas};
use super::network::{Parcel, What};

/// The address of the NAS, as the front door sees it.
const NAS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// How often one behind a NAT says HELLO.
const HELLO_EVERY: Duration = Duration::from_secs(20);

/// How an agent is set up.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) servers: usize,
    pub(crate) upstream: upstream::Config,
    /// It has only a ping socket: notices come as Echo Replies, after a HELLO.
    pub(crate) is_behind_nat: bool,
}

/// What an agent wants sent.
pub(crate) enum Out {
    /// To a home server.
    Request { transmit: Transmit, octets: Vec<u8> },
    /// To the NAS.
    Reply { name: Name, octets: Vec<u8> },
    /// To the NAS: nothing, ever.
    Silence { name: Name },
    /// About notices.
    Message { server: usize, via: Transport, octets: Vec<u8> },
}

/// What became of a notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Accepted,
    Duplicate,
    Refused,
}

/// What outlives a process.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) epoch: Option<u32>,
    pub(crate) marks: Vec<Option<Mark>>,
}

pub(crate) struct Agent {
    pub(crate) index: usize,
    pub(crate) config: Arc<Config>,
    pub(crate) nas: Nas,
    pub(crate) disk: Disk,
    /// None while it is stopped.
    pub(crate) process: Option<Process>,
    pub(crate) skew_ms: i64,
    /// What came while its process stood still.
    pub(crate) stalled: Option<Vec<Arrival>>,
}

/// Something for an agent.
pub(crate) enum Arrival {
    Parcel(Parcel),
    /// A request of the NAS's.
    Ask(usize),
}

impl Agent {
    pub(crate) fn new(index: usize, config: Arc<Config>) -> Agent {
        let disk = Disk { epoch: None, marks: vec![None; config.servers] };
        let nas = Nas::new(index, names::local_secret(index));
        Agent { index, config, nas, disk, process: None, skew_ms: 0, stalled: None }
    }

    pub(crate) fn start(&mut self, now: Instant, rng: &mut StdRng) {
        let epoch = epoch_at_start(self.disk.epoch, self.utc(now));
        self.disk.epoch = Some(epoch);
        self.process = Some(Process::new(self.index, &self.config, &self.disk.marks, epoch, now, rng));
    }

    pub(crate) fn utc(&self, now: Instant) -> Utc {
        names::calendar(now, self.skew_ms)
    }

    pub(crate) fn is_at_work(&self) -> bool {
        self.process.is_some() && self.stalled.is_none()
    }

    /// A notice comes in; the mark is kept after it was acted on.
    pub(crate) fn handle_notice(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        via: Transport,
        octets: &[u8],
    ) -> Verdict {
        let utc = self.utc(now);
        let Some(process) = &mut self.process else { return Verdict::Refused };
        let verdict = process.handle_notice(now, utc, rng, via, octets);
        for (server, mark) in self.disk.marks.iter_mut().enumerate() {
            *mark = process.inbox.mark(server);
        }
        verdict
    }

    pub(crate) fn handle_request(&mut self, now: Instant, rng: &mut StdRng, number: usize) {
        let asked = &self.nas.asked[number];
        if let Some(process) = &mut self.process {
            process.handle_request(now, rng, asked.kind, asked.port, &asked.octets);
        }
    }

    /// What it wants sent now.
    pub(crate) fn drain(&mut self, now: Instant, rng: &mut StdRng) -> Vec<Out> {
        let utc = self.utc(now);
        self.process.as_mut().map_or(Vec::new(), |process| process.drain(now, utc, rng))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.process.as_ref().filter(|_| self.stalled.is_none())?.poll_timeout()
    }
}

pub(crate) struct Process {
    pub(crate) upstream: Upstream,
    pub(crate) inbox: Inbox,
    pub(crate) dedup: Dedup,
    local: Arc<RadiusKey>,
    /// By server: what was acknowledged last, and by which transport its last notice came.
    outcomes: Vec<(Outcome, Option<Transport>)>,
    out: Vec<Out>,
    pub(crate) events: Vec<Event>,
    /// When the next HELLO is due, behind a NAT.
    hello: Option<Instant>,
}

impl Process {
    fn new(
        index: usize,
        config: &Config,
        marks: &[Option<Mark>],
        epoch: u32,
        now: Instant,
        rng: &mut StdRng,
    ) -> Process {
        let home = |server: usize| Server {
            name: format!("server-{server}"),
            identity: names::identity(names::server_address(server)),
            auth: names::server_socket(server, 1812),
            acct: names::server_socket(server, 1813),
            key: names::secret(index, server),
            require_message_authenticator: true,
            status_server: true,
        };
        let pool = Pool::new((0..config.servers).map(home).collect()).expect("different addresses");
        let sources = (0..config.servers).map(|server| Source {
            server: names::identity(names::server_address(server)),
            keys: names::notice_keys(index, server),
            mark: marks[server],
        });
        let identity = names::identity(names::agent_address(index));
        Process {
            upstream: Upstream::new(config.upstream.clone(), pool, now, rng),
            inbox: Inbox::new(identity, index as u32, epoch, sources, now),
            dedup: Dedup::new(dedup::Config { entries: 256, ..dedup::Config::default() }),
            local: Arc::new(names::local_secret(index)),
            outcomes: vec![(Outcome::Noted, None); config.servers],
            out: Vec::new(),
            events: Vec::new(),
            hello: config.is_behind_nat.then_some(now),
        }
    }

    fn handle_request(&mut self, now: Instant, rng: &mut StdRng, kind: Kind, port: u16, octets: &[u8]) {
        let request = Packet::parse(octets).unwrap();
        let request =
            request.verify_request(&self.local, MessageAuthenticatorRule::Required).expect("verified");
        let identifier = request.identifier();
        let key = dedup::Key { source: SocketAddr::new(NAS, port), identifier, socket: kind as u16 };
        match self.dedup.check(now, key, request.authenticator()) {
            Check::InProgress(_) | Check::Full => {}
            Check::Replay(octets) => {
                self.out.push(Out::Reply { name: (port, identifier), octets: octets.to_vec() });
            }
            Check::New { slot, replaced } => {
                if let Some(old) = replaced {
                    assert!(self.upstream.abandon(old.to_bits()), "what is in progress is in flight");
                }
                let taken =
                    self.upstream.handle_request(now, rng, slot.to_bits(), kind, &request, &self.local);
                if taken.is_err() {
                    self.dedup.forget(slot);
                }
            }
        }
    }

    /// Something came from a server's port.
    pub(crate) fn handle_parcel(&mut self, now: Instant, rng: &mut StdRng, parcel: &Parcel) {
        let What::Radius { kind, port } = parcel.what else { return };
        let from = names::server_socket(parcel.server, if kind == Kind::Auth { 1812 } else { 1813 });
        self.upstream.handle_datagram(now, rng, from, port, &parcel.octets);
    }

    fn handle_notice(
        &mut self,
        now: Instant,
        utc: Utc,
        rng: &mut StdRng,
        via: Transport,
        payload: &[u8],
    ) -> Verdict {
        let Ok(accepted) = self.inbox.handle_notice(now, utc, via, payload) else { return Verdict::Refused };
        let (server, mark, wants_ack) = (accepted.server, accepted.mark(), accepted.wants_ack());
        let disposition = accepted.disposition;
        if disposition == Disposition::Accepted {
            let outcome = self.upstream.handle_notice(now, rng, &accepted.notice);
            self.outcomes[server] = (outcome, Some(via));
        }
        if wants_ack {
            let mut buffer = [0; MAX_OCTETS];
            let (outcome, _) = self.outcomes[server];
            let written = self.inbox.acknowledge(server, mark, outcome, utc, &mut buffer);
            self.say(server, Some(via), &buffer[..written.unwrap()]);
        }
        match disposition {
            Disposition::Accepted => Verdict::Accepted,
            Disposition::Duplicate => Verdict::Duplicate,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, utc: Utc, rng: &mut StdRng) {
        self.dedup.handle_timeout(now);
        self.upstream.handle_timeout(now, rng);
        if self.hello.is_some_and(|at| at <= now) {
            self.hello = Some(now + HELLO_EVERY);
            let mut buffer = [0; MAX_OCTETS];
            for server in 0..self.outcomes.len() {
                let written = self.inbox.hello(server, utc, &mut buffer).unwrap();
                self.say(server, Some(Transport::Icmp), &buffer[..written]);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let upstream = self.upstream.poll_timeout().map(|(at, _)| at);
        let others = [self.inbox.poll_timeout(), self.dedup.poll_timeout(), self.hello];
        others.into_iter().chain([upstream]).flatten().min()
    }

    fn drain(&mut self, now: Instant, utc: Utc, rng: &mut StdRng) -> Vec<Out> {
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
                let server = server.index();
                let written = self.inbox.reconnect_request(server, Reason::TIME_OUT, utc, &mut notice);
                // The way it spoke last, once; then each there is.
                let via = self.outcomes[server].1.take();
                self.say(server, via, &notice[..written.unwrap()]);
            }
            self.events.push(event);
        }
        while let Some(transmit) = self.inbox.poll_transmit(now, utc, rng, &mut notice) {
            self.say(transmit.server, transmit.via, &notice[..transmit.len]);
        }
        std::mem::take(&mut self.out)
    }

    /// By `via`, or by each transport there is.
    fn say(&mut self, server: usize, via: Option<Transport>, octets: &[u8]) {
        for via in
            [Transport::Icmp, Transport::Udp].into_iter().filter(|one| via.is_none_or(|via| via == *one))
        {
            self.out.push(Out::Message { server, via, octets: octets.to_vec() });
        }
    }

    fn answer(&mut self, now: Instant, answer: Answer, buffer: &[u8]) {
        let (Answer::Reply { ticket, .. } | Answer::Silence { ticket, .. }) = answer;
        let slot = Slot::from_bits(ticket);
        let key = self.dedup.key(slot).expect("its asker is known as long as it is in progress");
        let name = (key.source.port(), key.identifier);
        if let Answer::Reply { len, .. } = answer {
            assert!(self.dedup.complete(now, slot, &buffer[..len]));
            self.out.push(Out::Reply { name, octets: buffer[..len].to_vec() });
        } else {
            assert!(self.dedup.forget(slot));
            self.out.push(Out::Silence { name });
        }
    }
}
