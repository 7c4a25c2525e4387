//! A server: its readings go through gauge, watch, audience and campaign as forewarnd's do; requests are answered at a
//! pace, one after the other, so that too many of them make a delay that it measures itself.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::dedup::{self, Check, Dedup, Slot};
use forewarn_proto::gauge::{Busy, Limits, Load, Reading};
use forewarn_proto::notice::issue::{Origin, Path};
use forewarn_proto::notice::{Transport, epoch_at_start};
use forewarn_proto::pool::Kind;
use forewarn_proto::time::{Instant, Utc};
use forewarn_proto::watch::{Cause, DrainBy, Phase};
use forewarn_server::announce::campaign::{Campaign, Order, Underway};
use forewarn_server::config::Config;
use forewarn_wire::notice::MAX_OCTETS;
use forewarn_wire::{Code, MAX_PACKET, MessageAuthenticatorRule, Packet, RadiusKey, Writer, number};

use rand::rngs::StdRng;

use super::agenda::Due;
use super::names;
use super::nas::Number;
use super::network::{Parcel, What};

/// Between two readings that a late request has asked for.
const POKED_EVERY: Duration = Duration::from_millis(50);
/// How often who asks how much is looked at.
const TOTALS_EVERY: Duration = Duration::from_secs(1);
/// A queue longer than this is full.
const QUEUE_MAX: Duration = Duration::from_secs(2);

/// What is wrong with a server.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Condition {
    /// How long a request takes it.
    pub(crate) pace: Duration,
    /// What works on requests stands still; Status-Server is answered all the same.
    pub(crate) hangs: bool,
    pub(crate) cpu: f64,
    pub(crate) mandatory_failed: bool,
}

/// How a server is set up.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) config: Arc<Config>,
    pub(crate) pace: Duration,
    /// Every so many requests are rejected, a second late, and challenged: 0 for none.
    pub(crate) rejects: u64,
    pub(crate) challenges: u64,
}

/// A request that is being worked on.
#[derive(Clone, Copy)]
pub(crate) struct Job {
    agent: usize,
    number: Number,
    kind: Kind,
    port: u16,
    identifier: u8,
    authenticator: [u8; 16],
    code: Code,
    slot: Slot,
    came: Instant,
}

pub(crate) struct Server {
    pub(crate) index: usize,
    pub(crate) setup: Setup,
    pub(crate) condition: Condition,
    /// The secrets, by agent.
    keys: Vec<RadiusKey>,
    /// The last epoch, on disk.
    pub(crate) epoch: Option<u32>,
    /// Accounting that is on disk.
    pub(crate) recorded: BTreeSet<Number>,
    /// Starts so far.
    pub(crate) starts: u32,
    pub(crate) process: Option<Process>,
    pub(crate) skew_ms: i64,
    /// What came while its process stood still.
    pub(crate) stalled: Option<Vec<Arrival>>,
}

/// Something for a server.
pub(crate) enum Arrival {
    Parcel(Parcel),
    /// Another server's load, or a question for this one's.
    Load {
        via: Transport,
        octets: Vec<u8>,
    },
    /// A request is done.
    Done {
        start: u32,
        job: Job,
    },
}

pub(crate) struct Process {
    pub(crate) campaign: Campaign,
    dedup: Dedup,
    limits: Limits,
    pub(crate) taking: bool,
    /// When the last request in the queue is done.
    free_at: Instant,
    in_flight: u64,
    /// Requests that hang.
    hung: Vec<Job>,
    next_reading: Instant,
    last_reading: Instant,
    /// Requests heard, by agent, and when they are told next.
    heard: Vec<u64>,
    totals_at: Instant,
    pub(crate) load: Load,
    /// Requests taken up so far, and the longest that one had to wait.
    pub(crate) taken: u64,
    pub(crate) longest_wait: Duration,
}

impl Server {
    pub(crate) fn new(index: usize, setup: Setup) -> Server {
        Server {
            index,
            condition: Condition { pace: setup.pace, hangs: false, cpu: 0.1, mandatory_failed: false },
            keys: setup.config.clients.iter().map(|client| client.key.clone()).collect(),
            setup,
            epoch: None,
            recorded: BTreeSet::new(),
            starts: 0,
            process: None,
            skew_ms: 0,
            stalled: None,
        }
    }

    pub(crate) fn start(&mut self, now: Instant) {
        let epoch = epoch_at_start(self.epoch, self.utc(now));
        self.epoch = Some(epoch);
        self.starts += 1;
        let mut campaign = Campaign::new(Arc::clone(&self.setup.config), epoch, now);
        campaign.set_transports(vec![Transport::Icmp, Transport::Udp]);
        self.process = Some(Process {
            campaign,
            dedup: Dedup::new(dedup::Config { entries: 1024, ..dedup::Config::default() }),
            limits: Limits::default(),
            taking: true,
            free_at: now,
            in_flight: 0,
            hung: Vec::new(),
            next_reading: now,
            last_reading: Instant::ZERO,
            heard: vec![0; self.keys.len()],
            totals_at: now,
            load: Load::default(),
            taken: 0,
            longest_wait: Duration::ZERO,
        });
    }

    /// Another configuration holds from now on.
    pub(crate) fn reload(&mut self, now: Instant, config: Arc<Config>) {
        if let Some(process) = &mut self.process {
            process.campaign.reload(now, Arc::clone(&config));
        }
        self.setup.config = config;
    }

    pub(crate) fn utc(&self, now: Instant) -> Utc {
        names::calendar(now, self.skew_ms)
    }

    pub(crate) fn is_at_work(&self) -> bool {
        self.process.is_some() && self.stalled.is_none()
    }

    /// Whether it answers what reaches it, and soon.
    pub(crate) fn is_good(&self) -> bool {
        let is_taking = self.process.as_ref().is_some_and(|process| process.taking);
        is_taking && self.stalled.is_none() && !self.condition.hangs && self.condition.pace == self.setup.pace
    }

    /// Takes a datagram; a reply that leaves at once, or a job and when it is done.
    pub(crate) fn handle_radius(&mut self, now: Instant, parcel: &Parcel) -> Taken {
        let What::Radius { kind, port } = parcel.what else { return Taken::Nothing };
        let Some(process) = self.process.as_mut().filter(|process| process.taking) else {
            return Taken::Nothing;
        };
        let key = &self.keys[parcel.agent];
        let verified = Packet::parse(&parcel.octets)
            .ok()
            .and_then(|packet| packet.verify_request(key, MessageAuthenticatorRule::Required).ok());
        let Some(request) = verified else { return Taken::Nothing };
        process.heard[parcel.agent] += 1;
        let mut job = Job {
            agent: parcel.agent,
            number: Number(0),
            kind,
            port,
            identifier: request.identifier(),
            authenticator: *request.authenticator(),
            code: if kind == Kind::Auth { Code::ACCESS_ACCEPT } else { Code::ACCOUNTING_RESPONSE },
            slot: Slot::from_bits(u64::MAX),
            came: now,
        };
        if request.code() == Code::STATUS_SERVER {
            return Taken::Reply(job.reply(self.index, job.write(self.index, &self.keys)));
        }
        let source = SocketAddr::new(names::agent_address(parcel.agent), 40_000 + port);
        let key = dedup::Key { source, identifier: job.identifier, socket: kind as u16 };
        job.slot = match process.dedup.check(now, key, &job.authenticator) {
            Check::New { slot, .. } => slot,
            Check::Replay(octets) => {
                let octets = octets.to_vec();
                return Taken::Reply(job.reply(self.index, octets));
            }
            Check::InProgress(_) | Check::Full => return Taken::Nothing,
        };
        job.number = Number::of(&request).expect("a request of ours");
        job.code = self.setup.decide(kind, job.number, request.find(number::STATE).is_some());
        let waits = process.free_at.since(now);
        if waits > QUEUE_MAX {
            process.dedup.forget(job.slot);
            return Taken::Nothing;
        }
        process.free_at = process.free_at.max(now) + self.condition.pace;
        process.in_flight += 1;
        process.taken += 1;
        process.longest_wait = process.longest_wait.max(waits);
        let late = if job.code == Code::ACCESS_REJECT { Duration::from_secs(1) } else { Duration::ZERO };
        let job_done = process.free_at + late;
        self.poke(now);
        Taken::Job(job, job_done)
    }

    /// A request is done, unless it hangs: then it is done when it hangs no longer.
    pub(crate) fn handle_done(&mut self, now: Instant, start: u32, job: Job) -> Option<Parcel> {
        if start != self.starts {
            return None;
        }
        let hangs = self.condition.hangs;
        let process = self.process.as_mut()?;
        if hangs {
            process.hung.push(job);
            self.poke(now);
            return None;
        }
        process.in_flight -= 1;
        if job.kind == Kind::Acct {
            self.recorded.insert(job.number);
        }
        let octets = job.write(self.index, &self.keys);
        process.dedup.complete(now, job.slot, &octets);
        Some(job.reply(self.index, octets))
    }

    /// It works again: what hung is done.
    pub(crate) fn thaw(&mut self) -> Vec<Job> {
        self.condition.hangs = false;
        self.process.as_mut().map_or(Vec::new(), |process| std::mem::take(&mut process.hung))
    }

    pub(crate) fn handle_message(&mut self, now: Instant, parcel: &Parcel) {
        let What::Notice { via } = parcel.what else { return };
        let from = names::agent_address(parcel.agent);
        let origin = match via {
            Transport::Icmp => Origin::Icmp { from, id: parcel.agent as u16 },
            Transport::Udp => Origin::Udp { from: SocketAddr::new(from, names::NOTICE_PORT) },
        };
        let utc = self.utc(now);
        if let Some(process) = &mut self.process {
            process.campaign.handle_message(now, utc, origin, &parcel.octets);
        }
    }

    /// Takes a reading if one is due, and does what is due; answers whether a reading was taken.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        let condition = self.condition;
        let Some(process) = &mut self.process else { return false };
        let is_due = process.next_reading <= now;
        if process.totals_at <= now {
            process.campaign.handle_totals(now, &process.heard);
            process.totals_at = now + TOTALS_EVERY;
        }
        if is_due {
            let reading = process.reading(now, &condition);
            process.load = process.limits.load(&reading);
            process.campaign.handle_load(now, &process.load);
            process.last_reading = now;
            process.next_reading = now + self.setup.config.health.interval;
        }
        process.campaign.handle_timeout(now, Underway { requests: process.in_flight, conversations: 0 });
        while let Some(order) = process.campaign.poll_order() {
            process.taking = order == Order::StartTaking;
        }
        is_due
    }

    /// The next notice to be sent; by ICMP to whom registered by a ping socket only if it goes there.
    pub(crate) fn poll_notice(
        &mut self,
        now: Instant,
        is_behind_nat: impl Fn(usize) -> bool,
    ) -> Option<Notice> {
        let utc = self.utc(now);
        let process = self.process.as_mut().filter(|_| self.stalled.is_none())?;
        let mut buffer = [0; MAX_OCTETS];
        let transmit = process.campaign.poll_transmit(now, utc, &mut buffer)?;
        let (to, via, reaches) = match transmit.to {
            Path::Icmp(to) => (to, Transport::Icmp, !is_behind_nat(names::agent_at(to))),
            Path::IcmpReply { to, .. } => (to, Transport::Icmp, true),
            Path::Udp(to) => (to.ip(), Transport::Udp, true),
        };
        let octets = buffer[..transmit.len].to_vec();
        Some(Notice { agent: names::agent_at(to), via, octets, reaches })
    }

    pub(crate) fn handle_load(&mut self, now: Instant, via: Transport, octets: &[u8]) {
        let (utc, from) = (self.utc(now), names::server_address(self.index));
        let origin = match via {
            Transport::Icmp => Origin::Icmp { from, id: 0 },
            Transport::Udp => Origin::Udp { from: SocketAddr::new(from, names::NOTICE_PORT) },
        };
        if let Some(process) = &mut self.process {
            process.campaign.handle_message(now, utc, origin, octets);
        }
    }

    /// The next word to another server; by one transport, since all are as good.
    pub(crate) fn poll_load(&mut self, now: Instant, rng: &mut StdRng) -> Option<Due> {
        let utc = self.utc(now);
        let process = self.process.as_mut().filter(|_| self.stalled.is_none())?;
        let mut buffer = [0; MAX_OCTETS];
        let transmit = process.campaign.poll_peer(now, utc, rng, &mut buffer)?;
        let octets = buffer[..transmit.len].to_vec();
        let via = transmit.via.unwrap_or(Transport::Udp);
        Some(Due::Load { server: names::server_at(transmit.to.ip()), via, octets })
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let process = self.process.as_ref().filter(|_| self.stalled.is_none())?;
        let own = [process.next_reading, process.totals_at];
        process.campaign.poll_timeout(now).into_iter().chain(own).min()
    }

    /// The process is told to end, and has done so.
    pub(crate) fn has_drained_for_good(&self) -> bool {
        self.process.as_ref().is_some_and(|process| {
            let watch = process.campaign.watch();
            let by_operator = matches!(watch.cause(), Cause::Operator);
            watch.phase() == Phase::Drained && !by_operator
        })
    }

    pub(crate) fn drain(&mut self, now: Instant, by: DrainBy) {
        if let Some(process) = &mut self.process {
            process.campaign.drain(now, by);
        }
    }

    /// A request waits for longer than it should: a reading at once.
    fn poke(&mut self, now: Instant) {
        let Some(process) = &mut self.process else { return };
        let limit = process.limits.queue_delay.unwrap_or(Duration::MAX);
        if process.queue_delay(now) >= limit {
            process.next_reading = process.next_reading.min(now.max(process.last_reading + POKED_EVERY));
        } else if !process.hung.is_empty() {
            process.next_reading = process.next_reading.min(now + limit);
        }
    }
}

/// What became of a request.
pub(crate) enum Taken {
    Nothing,
    Reply(Parcel),
    Job(Job, Instant),
}

/// A notice on its way.
pub(crate) struct Notice {
    pub(crate) agent: usize,
    pub(crate) via: Transport,
    pub(crate) octets: Vec<u8>,
    /// A NAT doesn't stop it.
    pub(crate) reaches: bool,
}

impl Process {
    fn queue_delay(&self, now: Instant) -> Duration {
        let hung = self.hung.first().map_or(Duration::ZERO, |job| now.since(job.came));
        hung.max(self.free_at.since(now))
    }

    fn reading(&self, now: Instant, condition: &Condition) -> Reading {
        Reading {
            queue_delay: Some(self.queue_delay(now)),
            cpu: Some(condition.cpu),
            mandatory_failed: u32::from(condition.mandatory_failed),
            in_flight: Some(Busy { busy: self.in_flight as u32, max: 16_384 }),
            ..Reading::default()
        }
    }
}

impl Setup {
    fn decide(&self, kind: Kind, number: Number, has_state: bool) -> Code {
        let every = |every: u64| every != 0 && number.0 % every == every - 1;
        match kind {
            Kind::Acct => Code::ACCOUNTING_RESPONSE,
            Kind::Auth if has_state => Code::ACCESS_ACCEPT,
            Kind::Auth if every(self.challenges) => Code::ACCESS_CHALLENGE,
            Kind::Auth if every(self.rejects) => Code::ACCESS_REJECT,
            Kind::Auth => Code::ACCESS_ACCEPT,
        }
    }
}

impl Job {
    fn reply(&self, server: usize, octets: Vec<u8>) -> Parcel {
        let what = What::Radius { kind: self.kind, port: self.port };
        Parcel { agent: self.agent, server, to: super::network::End::Agent, what, octets }
    }

    fn write(&self, server: usize, keys: &[RadiusKey]) -> Vec<u8> {
        let mut buffer = [0; MAX_PACKET];
        let mut writer = Writer::new(&mut buffer, self.code, self.identifier);
        if self.code != Code::ACCOUNTING_RESPONSE {
            writer.message_authenticator().unwrap();
        }
        if self.code == Code::ACCESS_CHALLENGE {
            let state = [&[server as u8][..], &self.authenticator].concat();
            writer.attribute(number::STATE, &state).unwrap();
        }
        writer.reply(&keys[self.agent], &self.authenticator).unwrap().to_vec()
    }
}
