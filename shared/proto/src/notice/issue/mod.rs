//! The server's half: what is in force for each client, and telling it until it acknowledges.
//!
//! Each notice states all that is in force for the pair, so there is never more than one on its way to a client: a
//! later one takes the place of the earlier. It is sent at 0, 0.2, 0.6, 1.4 and 3 s by the transport acknowledged
//! last, joined by the next transport at 0.2 s; then the client is "not told".

mod client;
mod config;
mod pace;
#[cfg(test)]
mod tests;
mod text;
mod window;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use forewarn_wire::Verified;
use forewarn_wire::notice::{Identity, Kind, MAX_OCTETS, Notice, Outcome, Reason};

use super::verify::Disposition;
use super::{Counts, KeyEntry, KeyRing, Mark, Refusal, Transport};
use crate::time::{Instant, Utc};
use client::{Again, Client, Current, Refused, Registered};
use pace::Pace;
use window::{Position, Window};

pub use client::{ALTERNATES_MAX, Alternate, ClientId, Invitation, Leave, Origin, Path, Standing, Told};
pub use config::{CLIENTS_MAX, Config};

/// When a notice is sent, counted from its first datagram.
pub const REPEATS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(600),
    Duration::from_millis(1_400),
    Duration::from_millis(3_000),
];

/// How long after the last of [`REPEATS`] a receipt is still waited for.
pub const GRACE: Duration = Duration::from_secs(1);

/// How long a HELLO's path is used: three of the agent's intervals of 20 s.
pub const REGISTRATION: Duration = Duration::from_secs(60);

/// What an agent said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Heard {
    /// A receipt. For the notice in force it is the first time `is_news`; anything else changes nothing.
    Receipt {
        /// Of this client.
        client: ClientId,
        /// What it did.
        outcome: Outcome,
        /// From the decision to this receipt.
        took: Duration,
        /// It hadn't said so before.
        is_news: bool,
    },
    /// It registered a way to be told.
    Hello {
        /// This client.
        client: ClientId,
    },
    /// It asks to come back: [`Issuer::set`] an invitation, or [`Issuer::refuse`].
    ReconnectRequest {
        /// This client.
        client: ClientId,
    },
    /// It asked what is in force; the answer is on its way.
    Challenge {
        /// This client.
        client: ClientId,
    },
    /// The message before once more, by another transport.
    Repeated {
        /// From this client.
        client: ClientId,
    },
}

/// Something that happened with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// All attempts went without a receipt.
    NotTold {
        /// This client.
        client: ClientId,
    },
}

/// A datagram to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To this client.
    pub client: ClientId,
    /// This way.
    pub to: Path,
    /// Octets in the buffer.
    pub len: usize,
    /// It is the first datagram of its notice.
    pub is_first: bool,
}

/// What went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Notices issued.
    pub issued: u64,
    /// Of them: FAILOVERs, those that say that nothing is in force among them.
    pub failovers: u64,
    /// Of them: RECONNECTs.
    pub reconnects: u64,
    /// Of them: REFUSEDs.
    pub refusals: u64,
    /// Datagrams, the first of each notice included.
    pub datagrams: u64,
    /// Notices acknowledged.
    pub acknowledged: u64,
    /// Notices given up.
    pub not_told: u64,
    /// Clients that found no place in the table.
    pub no_place: u64,
}

/// A client can't be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// It has no notice key.
    #[error("the client has no notice key")]
    NoKey,
    /// There are as many as the limit allows.
    #[error("there is no place for another client that can be told")]
    Full,
}

/// A client for status.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Its number.
    pub id: ClientId,
    /// Its identity.
    pub identity: Identity,
    /// What is in force for it.
    pub standing: &'a Standing,
    /// Whether it knows.
    pub told: Told,
}

/// The machine of one server: all its clients.
#[derive(Debug)]
pub struct Issuer {
    config: Config,
    /// The last notice's place.
    mark: Mark,
    clients: Vec<Option<Client>>,
    free: Vec<u32>,
    by_identity: BTreeMap<Identity, ClientId>,
    /// Who has a datagram due, or a receipt to give up, and when.
    queue: BTreeSet<(Instant, ClientId)>,
    pace: Pace,
    pending: usize,
    /// Of those pending: who knew already.
    reminded: usize,
    events: VecDeque<Event>,
    received: Counts,
    sent: Sent,
}

impl Issuer {
    /// An issuer that knows nobody yet.
    pub fn new(config: Config) -> Issuer {
        Issuer {
            mark: Mark::start_of(config.epoch),
            pace: Pace::new(config.rate),
            config,
            clients: Vec::new(),
            free: Vec::new(),
            by_identity: BTreeMap::new(),
            queue: BTreeSet::new(),
            pending: 0,
            reminded: 0,
            events: VecDeque::new(),
            received: Counts::default(),
            sent: Sent::default(),
        }
    }

    /// Other transports, port, rate and bound, from the next datagram on. An attempt under way begins anew if the
    /// transports are others: which of them it has used says nothing any more.
    pub fn reconfigure(&mut self, transports: Vec<Transport>, udp_port: u16, rate: u32, clients_max: usize) {
        self.pace.set_rate(rate);
        if transports != self.config.transports {
            let clients = self.clients.iter_mut().flatten();
            clients.filter_map(|client| client.current.as_mut()).for_each(|current| current.used = 0);
        }
        self.config = Config { transports, udp_port, rate, clients_max, ..self.config.clone() };
    }

    /// A client that can be told. One of this identity that is known already gets these keys and keeps the rest.
    pub fn add(&mut self, identity: Identity, keys: &[KeyEntry]) -> Result<ClientId, AddError> {
        let keys = KeyRing::new(keys, self.config.server, identity).ok_or(AddError::NoKey)?;
        if let Some(&id) = self.by_identity.get(&identity) {
            if let Some(client) = self.client_mut(id) {
                client.keys = keys;
            }
            return Ok(id);
        }
        if self.by_identity.len() >= self.config.clients_max {
            self.sent.no_place += 1;
            return Err(AddError::Full);
        }
        let index = self.free.pop().unwrap_or(self.clients.len() as u32);
        let id = ClientId(index);
        if index as usize == self.clients.len() {
            self.clients.push(None);
        }
        self.clients[index as usize] = Some(Client::new(keys));
        self.by_identity.insert(identity, id);
        Ok(id)
    }

    /// A client that isn't told any more.
    pub fn remove(&mut self, id: ClientId) {
        self.unqueue(id);
        if let Some(client) = self.clients.get_mut(id.0 as usize).and_then(Option::take) {
            self.by_identity.remove(&client.identity);
            self.free.push(id.0);
        }
    }

    /// The client of this identity.
    pub fn find(&self, identity: Identity) -> Option<ClientId> {
        self.by_identity.get(&identity).copied()
    }

    /// The identity of a client.
    pub fn identity(&self, id: ClientId) -> Option<Identity> {
        Some(self.client(id)?.identity)
    }

    /// All clients, in order of identity.
    pub fn clients(&self) -> impl Iterator<Item = View<'_>> {
        self.by_identity.values().filter_map(|&id| self.view(id))
    }

    /// One client.
    pub fn view(&self, id: ClientId) -> Option<View<'_>> {
        let client = self.client(id)?;
        Some(View { id, identity: client.identity, standing: &client.standing, told: client.told })
    }

    /// Clients that are being told at present.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Those of them that don't know yet, as far as they have said: what a drain waits for. Who asks once more by
    /// CHALLENGE holds nobody up.
    pub fn awaited(&self) -> usize {
        self.pending - self.reminded
    }

    /// What came in, by what became of it.
    pub fn received(&self) -> &Counts {
        &self.received
    }

    /// What went out.
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// The place of the last notice issued.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// From now on this is in force for a client, and it is told so. False when it knows already, or is being told.
    pub fn set(&mut self, now: Instant, id: ClientId, standing: Standing) -> bool {
        let Some(client) = self.client_mut(id) else { return false };
        let refused = client.current.as_ref().is_some_and(|current| current.refused.is_some());
        let knows = matches!(client.told, Told::Told { .. } | Told::Telling { .. });
        if client.standing == standing && knows && !refused {
            return false;
        }
        client.standing = standing;
        self.issue(now, id, None, None);
        true
    }

    /// Tells a client once more what is in force: it asked.
    pub fn repeat(&mut self, now: Instant, id: ClientId) {
        self.issue(now, id, None, None);
    }

    /// Nothing is in force for a client any more, and there is no need to say so: it knows its slot, and the slot has
    /// passed. One that doesn't know stays invited, for the day it asks.
    pub fn settle(&mut self, id: ClientId) {
        if let Some(client) = self.client_mut(id)
            && matches!(client.told, Told::Told { .. })
        {
            client.standing = Standing::Clear;
        }
    }

    /// A client may not come back yet: it may ask again after `retry`. What is in force stays so.
    pub fn refuse(&mut self, now: Instant, id: ClientId, retry: Duration, reason: Reason, load: u8) {
        self.issue(now, id, Some(Refused { until: now + retry, reason, load }), None);
    }

    /// A payload came from an agent. What is refused is counted.
    pub fn handle_message(&mut self, now: Instant, origin: Origin, payload: &[u8]) -> Result<Heard, Refusal> {
        let judged = self.judge(now, payload);
        match judged {
            Ok((client, disposition, message)) => {
                self.received.accept(disposition);
                match disposition {
                    Disposition::Accepted => Ok(self.hear(now, client, origin, &message)),
                    Disposition::Duplicate => Ok(Heard::Repeated { client }),
                }
            }
            Err(refusal) => {
                self.received.refuse(refusal);
                Err(refusal)
            }
        }
    }

    /// Whether a payload is what the client that it names may say, and its MAC is right. Nothing is counted.
    pub fn is_genuine(&self, payload: &[u8]) -> bool {
        self.verify(payload).is_ok()
    }

    fn verify<'a>(&self, payload: &'a [u8]) -> Result<(ClientId, Verified<Notice<'a>>), Refusal> {
        let unverified = Notice::parse(payload).map_err(Refusal::Malformed)?;
        let header = *unverified.peek().header();
        let known = self.find(header.client).filter(|_| header.server == self.config.server);
        let id = known.ok_or(Refusal::UnknownSender)?;
        let client = self.client(id).ok_or(Refusal::UnknownSender)?;
        let key = client.keys.find(header.key_id).ok_or(Refusal::UnknownKey { id: header.key_id })?;
        if !header.kind.is_from_agent() {
            return Err(Refusal::WrongKind { kind: header.kind });
        }
        Ok((id, unverified.verify(key).map_err(Refusal::BadMac)?))
    }

    /// By MAC and by the agent's own marks, not by time. One that was overtaken on its way is heard once. An agent that has lost its epoch, with a clock that was ahead
    /// before or stands still while it is off, is behind its mark; it is heard all the same where it cannot be an echo
    /// of its past: see [`Client::hears_again`].
    fn judge<'a>(
        &mut self,
        now: Instant,
        payload: &'a [u8],
    ) -> Result<(ClientId, Disposition, Verified<Notice<'a>>), Refusal> {
        let (id, message) = self.verify(payload)?;
        let mark = Mark { epoch: message.header().epoch, sequence: message.header().sequence };
        let client = self.client_mut(id).ok_or(Refusal::UnknownSender)?;
        let Some(window) = &mut client.window else {
            client.window = Some(Window::at(mark));
            return Ok((id, Disposition::Accepted, message));
        };
        match window.take(mark) {
            Position::New => {}
            Position::Newest => return Ok((id, Disposition::Duplicate, message)),
            Position::Behind => {
                let again = client.hears_again(now, &message).ok_or(Refusal::Replay { mark })?;
                if again == Again::FromHere {
                    client.window = Some(Window::at(mark));
                }
            }
        }
        Ok((id, Disposition::Accepted, message))
    }

    fn hear(&mut self, now: Instant, id: ClientId, origin: Origin, message: &Verified<Notice<'_>>) -> Heard {
        match message.header().kind {
            Kind::Ack => self.hear_receipt(now, id, origin, message),
            Kind::Hello => {
                self.register(now, id, origin);
                Heard::Hello { client: id }
            }
            Kind::Challenge => {
                if let Some(client) = self.client_mut(id) {
                    client.preferred = Some(origin.transport());
                }
                self.received.challenges += 1;
                self.issue(now, id, None, message.nonce());
                Heard::Challenge { client: id }
            }
            _ => Heard::ReconnectRequest { client: id },
        }
    }

    fn hear_receipt(
        &mut self,
        now: Instant,
        id: ClientId,
        origin: Origin,
        receipt: &Verified<Notice<'_>>,
    ) -> Heard {
        let (epoch, sequence, outcome) = receipt.acked().unwrap_or((0, 0, Outcome::Noted));
        let old = Heard::Receipt { client: id, outcome, took: Duration::ZERO, is_news: false };
        let Some(client) = self.client_mut(id) else { return old };
        let Some(current) = &client.current else { return old };
        if current.mark != (Mark { epoch, sequence }) || matches!(client.told, Told::Told { .. }) {
            return old;
        }
        let took = now.since(current.issued);
        client.told = Told::Told { at: now, took, outcome, by: origin.transport() };
        client.preferred = Some(origin.transport());
        self.unqueue(id);
        self.sent.acknowledged += 1;
        Heard::Receipt { client: id, outcome, took, is_news: true }
    }

    /// A HELLO: this way in is a way out. Whoever couldn't be told before is told now.
    fn register(&mut self, now: Instant, id: ClientId, origin: Origin) {
        let until = now + REGISTRATION;
        let Some(client) = self.client_mut(id) else { return };
        match origin {
            Origin::Icmp { from, id } => {
                let path = Path::IcmpReply { to: from, id };
                client.icmp_registered = Some(Registered { path, until });
            }
            Origin::Udp { from } => {
                client.udp_registered = Some(Registered { path: Path::Udp(from), until });
            }
        }
        if let Told::NotTold { .. } = client.told {
            self.start(now, id);
        }
    }

    /// The next datagram that is due, written into `out`.
    pub fn poll_transmit(&mut self, now: Instant, utc: Utc, out: &mut [u8; MAX_OCTETS]) -> Option<Transmit> {
        loop {
            let &(due, id) = self.queue.first()?;
            if due > now {
                return None;
            }
            let attempt = self.client(id)?.current.as_ref()?.attempt;
            if attempt >= REPEATS.len() || self.config.transports.is_empty() {
                self.give_up(now, id);
                continue;
            }
            if self.pace.ready() > now {
                return None;
            }
            self.pace.take(now);
            if let Some(transmit) = self.transmit(now, utc, id, out) {
                return Some(transmit);
            }
        }
    }

    /// When [`Issuer::poll_transmit`] has something next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let &(due, _) = self.queue.first()?;
        Some(due.max(self.pace.ready()))
    }

    /// Until then the pace holds nothing back: who isn't told by then won't be served any more all the same.
    pub fn hurry(&mut self, until: Instant) {
        self.pace.hurry(until);
    }

    /// Clients that have had less than the first datagram of their notice and one repeat, and gave no receipt.
    pub fn hardly_told(&self) -> usize {
        let current = |id: ClientId| self.client(id).and_then(|client| client.current.as_ref());
        self.queue.iter().filter(|&&(_, id)| current(id).is_some_and(|current| current.attempt < 2)).count()
    }

    /// The next thing that happened; ask after [`Issuer::poll_transmit`] has nothing left.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A new notice takes the place of whatever was being told.
    fn issue(&mut self, now: Instant, id: ClientId, refused: Option<Refused>, nonce: Option<[u8; 16]>) {
        if self.client(id).is_none() {
            return;
        }
        self.unqueue(id);
        let (mark, is_refused) = (self.mark.next(), refused.is_some());
        let Some(client) = self.client_mut(id) else { return };
        let has_known = match client.told {
            Told::Told { .. } => true,
            Told::Telling { .. } => client.current.as_ref().is_some_and(|current| current.knew),
            Told::Nothing | Told::NotTold { .. } => false,
        };
        client.current = Some(Current {
            mark,
            issued: now,
            refused,
            nonce,
            knew: has_known && nonce.is_some(),
            started: None,
            attempt: 0,
            used: 0,
            due: None,
        });
        let is_invited = matches!(client.standing, Standing::Invited(_));
        match (is_refused, is_invited) {
            (true, _) => self.sent.refusals += 1,
            (false, true) => self.sent.reconnects += 1,
            (false, false) => self.sent.failovers += 1,
        }
        self.mark = mark;
        self.sent.issued += 1;
        self.start(now, id);
    }

    /// The current notice is told, from the first attempt on.
    fn start(&mut self, now: Instant, id: ClientId) {
        self.unqueue(id);
        let Some(client) = self.client_mut(id) else { return };
        client.told = Told::Telling { since: now };
        let Some(current) = &mut client.current else { return };
        (current.started, current.attempt, current.used, current.due) = (None, 0, 0, Some(now));
        let knew = current.knew;
        self.queue.insert((now, id));
        self.pending += 1;
        self.reminded += usize::from(knew);
    }

    fn give_up(&mut self, now: Instant, id: ClientId) {
        self.unqueue(id);
        if let Some(client) = self.client_mut(id) {
            client.told = Told::NotTold { since: now };
        }
        self.sent.not_told += 1;
        self.events.push_back(Event::NotTold { client: id });
    }

    fn unqueue(&mut self, id: ClientId) {
        let Some(current) = self.client_mut(id).and_then(|client| client.current.as_mut()) else { return };
        if let Some(due) = current.due.take() {
            let knew = current.knew;
            self.queue.remove(&(due, id));
            self.pending -= 1;
            self.reminded -= usize::from(knew);
        }
    }

    /// One datagram of a client whose turn it is; moves it on to its next transport or its next attempt.
    fn transmit(
        &mut self,
        now: Instant,
        utc: Utc,
        id: ClientId,
        out: &mut [u8; MAX_OCTETS],
    ) -> Option<Transmit> {
        let transports = self.config.transports.len();
        let (server, sender, udp_port) = (self.config.server, self.config.sender, self.config.udp_port);
        let client = self.clients.get_mut(id.0 as usize)?.as_mut()?;
        let (attempt, used) = client.current.as_ref().map(|current| (current.attempt, current.used))?;
        let transport = client.transport(&self.config.transports, used)?;
        let to = client.path(transport, udp_port, now);
        let written = text::write(client, server, sender, now, utc, out);
        let current = client.current.as_mut()?;
        let is_first = current.started.is_none() && attempt == 0;
        let started = *current.started.get_or_insert(now);
        current.used += 1;
        if current.used >= transports.min(attempt + 1) {
            current.attempt += 1;
            current.used = 0;
            let after = REPEATS.get(current.attempt).copied().unwrap_or(REPEATS[REPEATS.len() - 1] + GRACE);
            let due = current.due.replace(started + after)?;
            self.queue.remove(&(due, id));
            self.queue.insert((started + after, id));
        }
        let len = written?;
        self.sent.datagrams += 1;
        Some(Transmit { client: id, to, len, is_first })
    }

    fn client(&self, id: ClientId) -> Option<&Client> {
        self.clients.get(id.0 as usize)?.as_ref()
    }

    fn client_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(id.0 as usize)?.as_mut()
    }
}
