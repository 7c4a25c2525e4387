//! One source port: 256 identifiers, and what is outstanding on them.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::udp::{Inbound, Options, Outbound, Socket, bind};
use forewarn_shell::{clock, random};
use forewarn_wire::hide::chap_response;
use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, WriteError, Writer, number,
};
use rand::Rng;
use rand::rngs::StdRng;

use super::{Kind, Measured, Pace, Plan, Report};

/// A port with its requests.
pub(super) struct Port {
    plan: Plan,
    key: RadiusKey,
    measured: Measured,
    number: usize,
    socket: Socket,
    inbound: Inbound,
    outbound: Outbound,
    slots: Vec<Slot>,
    outstanding: usize,
    /// Where the search for a free identifier goes on.
    next: u8,
    /// How many requests were begun.
    begun: u64,
    rng: StdRng,
    report: Report,
}

/// A request on one identifier.
struct Slot {
    busy: bool,
    /// When latency begins.
    since: Instant,
    sent: Instant,
    code: Code,
    authenticator: [u8; 16],
    length: usize,
    bytes: [u8; ROOM],
}

impl Port {
    pub(super) fn new(plan: &Plan, key: RadiusKey, measured: Measured, number: usize) -> io::Result<Port> {
        let any = match plan.to {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let local = SocketAddr::new(plan.from.unwrap_or(any), 0);
        let bound = bind(local, &Options::default()).map_err(|error| io::Error::other(error.to_string()))?;
        let slot = || Slot {
            busy: false,
            since: Instant::ZERO,
            sent: Instant::ZERO,
            code: Code::ACCESS_REQUEST,
            authenticator: [0; 16],
            length: 0,
            bytes: [0; ROOM],
        };
        Ok(Port {
            plan: plan.clone(),
            key,
            measured,
            number,
            socket: Socket::new(bound)?,
            inbound: Inbound::new(),
            outbound: Outbound::new(),
            slots: (0..256).map(|_| slot()).collect(),
            outstanding: 0,
            next: 0,
            begun: 0,
            rng: random::generator(),
            report: Report::default(),
        })
    }

    /// Sends and receives until the measured time is over and nothing is outstanding.
    pub(super) async fn run(mut self) -> io::Result<Report> {
        let started = clock::now();
        let beat = match self.plan.pace {
            Pace::Window(_) => Duration::from_millis(20),
            Pace::Rate(_) => Duration::from_millis(1),
        };
        let mut tick = tokio::time::interval(beat);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut looked = started;
        loop {
            let now = clock::now();
            if now < self.measured.to && !self.is_exhausted() {
                self.begin(started, now)?;
            } else if self.outstanding == 0 {
                return Ok(self.report);
            }
            if now.since(looked) >= LOOK {
                looked = now;
                self.look_after(now);
            }
            self.socket.send(&mut self.outbound).await?;
            tokio::select! {
                received = self.socket.receive(&mut self.inbound) => {
                    received?;
                    self.take_in();
                }
                _ = tick.tick() => {}
            }
        }
    }

    /// Whether the plan's limit is reached: port k of n sends the requests k, k + n, k + 2n, ...
    fn is_exhausted(&self) -> bool {
        let next = self.begun * self.plan.ports.max(1) as u64 + self.number as u64;
        self.plan.limit.is_some_and(|limit| next >= limit)
    }

    /// Begins as many requests as are due.
    fn begin(&mut self, started: Instant, now: Instant) -> io::Result<()> {
        match self.plan.pace {
            Pace::Window(window) => {
                while self.outstanding < usize::from(window.max(1))
                    && self.outbound.len() < BATCH
                    && !self.is_exhausted()
                {
                    self.ask(now, now)?;
                }
            }
            Pace::Rate(rate) => {
                // Each port takes its turn: port k of n sends the requests k, k + n, k + 2n, ...
                let ports = self.plan.ports.max(1) as f64;
                while self.outbound.len() < BATCH && !self.is_exhausted() {
                    let turn = (self.begun as f64).mul_add(ports, self.number as f64);
                    let due = started + Duration::from_secs_f64(turn / rate.max(1e-3));
                    if due > now {
                        break;
                    }
                    if self.outstanding == self.slots.len() {
                        self.report.tally.held_back += 1;
                        self.begun += 1;
                        continue;
                    }
                    let late = now.since(due) > Duration::from_millis(2);
                    self.ask(if late { due } else { now }, now)?;
                }
            }
        }
        Ok(())
    }

    /// Writes one request, on the next free identifier, into the batch.
    fn ask(&mut self, since: Instant, now: Instant) -> io::Result<()> {
        while self.slots[usize::from(self.next)].busy {
            self.next = self.next.wrapping_add(1);
        }
        let identifier = self.next;
        self.next = identifier.wrapping_add(1);
        let mut authenticator = [0; 16];
        self.rng.fill_bytes(&mut authenticator);
        let slot = &mut self.slots[usize::from(identifier)];
        let question = Question { plan: &self.plan, key: &self.key, port: self.number, number: self.begun };
        let length = question.write(&mut slot.bytes, identifier, authenticator).map_err(io::Error::other)?;
        let bytes = &slot.bytes[..length];
        slot.code = Code(bytes[0]);
        slot.authenticator.copy_from_slice(&bytes[4..20]);
        (slot.busy, slot.since, slot.sent, slot.length) = (true, since, now, length);
        self.outbound.push(bytes, self.plan.to, self.plan.from).map_err(io::Error::other)?;
        self.begun += 1;
        self.outstanding += 1;
        self.report.tally.sent += 1;
        Ok(())
    }

    /// Judges every datagram of the batch.
    fn take_in(&mut self) {
        let now = clock::now();
        for datagram in self.inbound.iter() {
            let tally = &mut self.report.tally;
            let Ok(packet) = Packet::parse(datagram.bytes) else {
                tally.bad += 1;
                continue;
            };
            let slot = &mut self.slots[usize::from(packet.peek().identifier())];
            if datagram.from != self.plan.to {
                tally.bad += 1;
                continue;
            }
            let rule = match self.plan.signed {
                true => MessageAuthenticatorRule::Required,
                false => MessageAuthenticatorRule::Optional,
            };
            match packet.verify_reply(&self.key, slot.code, &slot.authenticator, rule) {
                Err(_) if !slot.busy => tally.stray += 1,
                Err(_) => tally.bad += 1,
                Ok(_) if !slot.busy => tally.stray += 1,
                Ok(reply) => {
                    slot.busy = false;
                    self.outstanding -= 1;
                    tally.answered += 1;
                    match reply.code() {
                        Code::ACCESS_ACCEPT | Code::ACCOUNTING_RESPONSE => tally.positive += 1,
                        _ => tally.negative += 1,
                    }
                    if self.measured.from <= now && now < self.measured.to {
                        tally.answered_in_time += 1;
                        self.report.latencies.record(now.since(slot.since));
                        if self.plan.limit.is_some() {
                            self.report.duration = now.since(self.measured.from);
                        }
                    }
                }
            }
        }
    }

    /// Repeats what is due and gives up what is lost.
    fn look_after(&mut self, now: Instant) {
        for slot in self.slots.iter_mut().filter(|slot| slot.busy) {
            if now.since(slot.since) >= self.plan.patience {
                slot.busy = false;
                self.outstanding -= 1;
                self.report.tally.lost += 1;
            } else if self.plan.repeat.is_some_and(|after| now.since(slot.sent) >= after)
                && self.outbound.push(&slot.bytes[..slot.length], self.plan.to, self.plan.from).is_ok()
            {
                slot.sent = now;
                self.report.tally.repeated += 1;
            }
        }
    }
}

/// One request to be written.
struct Question<'a> {
    plan: &'a Plan,
    key: &'a RadiusKey,
    port: usize,
    number: u64,
}

impl Question<'_> {
    /// Writes it and answers its length.
    fn write(
        &self,
        buffer: &mut [u8; ROOM],
        identifier: u8,
        authenticator: [u8; 16],
    ) -> Result<usize, WriteError> {
        let plan = self.plan;
        let code = match plan.kind {
            Kind::Pap | Kind::Chap => Code::ACCESS_REQUEST,
            Kind::Acct => Code::ACCOUNTING_REQUEST,
            Kind::Status => Code::STATUS_SERVER,
        };
        let mut writer = Writer::new(buffer, code, identifier);
        if code.has_chosen_authenticator() {
            writer.message_authenticator()?;
        }
        match plan.kind {
            Kind::Pap => {
                writer.attribute(number::USER_NAME, self.user().as_bytes())?;
                writer.user_password(self.key, &authenticator, plan.password.as_bytes())?;
            }
            Kind::Chap => {
                let mut value = [identifier; 17];
                value[1..].copy_from_slice(&chap_response(
                    identifier,
                    plan.password.as_bytes(),
                    &authenticator,
                ));
                writer.attribute(number::USER_NAME, self.user().as_bytes())?;
                writer.attribute(number::CHAP_PASSWORD, &value)?;
            }
            Kind::Acct => self.session(&mut writer)?,
            Kind::Status => {}
        }
        if plan.kind != Kind::Status {
            self.place(&mut writer)?;
        }
        let authenticator = match code.has_chosen_authenticator() {
            true => RequestAuthenticator::Chosen(authenticator),
            false => RequestAuthenticator::Computed,
        };
        Ok(writer.request(self.key, authenticator)?.len())
    }

    /// The one user, or the next of them.
    fn user(&self) -> Cow<'_, str> {
        let plan = self.plan;
        if plan.users == 0 {
            return Cow::Borrowed(&plan.user);
        }
        let turn = self.number * plan.ports.max(1) as u64 + self.port as u64;
        Cow::Owned(format!("{}{:06}", plan.user, turn % u64::from(plan.users)))
    }

    /// Start, interim and stop of each session: of 256 sessions the starts, then the interims, then the stops, so that
    /// a session's records are told one after the other and not side by side.
    fn session(&self, writer: &mut Writer<'_>) -> Result<(), WriteError> {
        let (block, within) = (self.number / (3 * SESSIONS), self.number % (3 * SESSIONS));
        let (step, session) = ((within / SESSIONS) as usize, block * SESSIONS + within % SESSIONS);
        let mut id = *b"load-0000-0000000000000000";
        hex(&mut id[5..9], self.port as u64);
        hex(&mut id[10..], session + (u64::from(std::process::id()) << 40));
        writer.integer(number::ACCT_STATUS_TYPE, [START, INTERIM, STOP][step])?;
        writer.attribute(number::ACCT_SESSION_ID, &id)?;
        writer.attribute(number::USER_NAME, self.user().as_bytes())?;
        if step > 0 {
            writer.integer(number::ACCT_SESSION_TIME, 60 * step as u32)?;
            writer.integer(number::ACCT_INPUT_OCTETS, 1_000_000)?;
            writer.integer(number::ACCT_OUTPUT_OCTETS, 2_000_000)?;
        }
        Ok(())
    }

    /// What an access point says of itself and of its station.
    fn place(&self, writer: &mut Writer<'_>) -> Result<(), WriteError> {
        writer.attribute(number::NAS_IDENTIFIER, b"load")?;
        writer.integer(number::NAS_PORT, self.port as u32)?;
        writer.integer(number::NAS_PORT_TYPE, WIRELESS)?;
        writer.integer(number::SERVICE_TYPE, FRAMED)?;
        writer.attribute(number::CALLED_STATION_ID, b"02-00-00-00-00-01:load")?;
        writer.attribute(number::CALLING_STATION_ID, b"02-00-00-00-00-02")?;
        Ok(())
    }
}

/// The last digits of a number, in hexadecimal.
fn hex(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

/// Octets of the longest request here.
const ROOM: usize = 512;
/// Sessions that a port tells of side by side: as many as it has identifiers.
const SESSIONS: u64 = 256;
/// Requests written before they are sent.
const BATCH: usize = forewarn_shell::udp::BATCH;
/// How often repetitions and losses are looked for.
const LOOK: Duration = Duration::from_millis(20);
/// Acct-Status-Type (RFC 2866 section 5.1).
const START: u32 = 1;
const STOP: u32 = 2;
const INTERIM: u32 = 3;
/// NAS-Port-Type Wireless-802.11 (RFC 2865 section 5.41).
const WIRELESS: u32 = 19;
/// Service-Type Framed (RFC 2865 section 5.6).
const FRAMED: u32 = 2;
