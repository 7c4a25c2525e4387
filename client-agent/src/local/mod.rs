//! The front door: where unmodified NAS software sends its RADIUS.
//!
//! A datagram is judged in this order: known client, frame, code, authenticators, duplicate. What
//! is new goes to the servers, with the duplicate table's slot as its ticket; the reply comes back under the same
//! ticket and is kept there for retransmissions. Nothing here allocates per packet.

mod counts;
pub(crate) mod suspects;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::dedup::{self, Check, Dedup, Slot};
use forewarn_proto::time::Instant;
use forewarn_shell::udp::{Datagram, Outbound};
use forewarn_wire::{Code, MessageAuthenticatorRule, Packet, RadiusKey, Verified, Writer};
use ipnet::IpNet;
use tracing::{debug, warn};

use crate::config::{Kind, Listener};

pub use counts::{Counts, Fate};
use suspects::Suspects;

/// Requests remembered at once, in progress and answered: ten seconds at 800 requests a second. Beyond that the
/// oldest replies go first.
pub const REMEMBERED_MAX: usize = 8192;
/// Octets of reply buffers kept for reuse.
const RETAIN_OCTETS: usize = 1 << 20;
/// Each complaint about what comes in by a door is logged at most once in this time.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// So many packets of one sender running that don't verify, and the secret looks wrong.
const WRONG_SECRET_AFTER: u32 = 5;

/// Names a request from the NAS until it is answered or given up.
pub type Ticket = u64;

/// All listeners of an agent, without their sockets.
#[derive(Debug)]
pub struct FrontDoor {
    doors: Vec<Door>,
    dedup: Dedup,
    /// The local address each remembered request was sent to, by its slot.
    asked: Vec<IpAddr>,
    counts: Counts,
}

#[derive(Debug)]
struct Door {
    kind: Kind,
    address: SocketAddr,
    clients: Vec<IpNet>,
    key: Arc<RadiusKey>,
    rule: MessageAuthenticatorRule,
    suspects: Suspects,
    /// When each complaint was last made.
    said: [Option<Instant>; 3],
}

/// What only the operator can mend.
#[derive(Debug, Clone, Copy)]
enum Complaint {
    UnknownClient,
    NoMessageAuthenticator,
    WrongSecret,
}

/// What is to be done about a datagram.
#[derive(Debug)]
pub enum Verdict<'d> {
    /// Nothing more: answered into the outbound batch, or met with silence.
    Settled(Fate),
    /// Send it on.
    Forward {
        /// Its name from here on.
        ticket: Ticket,
        /// The request whose place it takes: nobody waits for that one any more.
        replaced: Option<Ticket>,
        /// Which port of a server it goes to.
        kind: Kind,
        /// The request, with the secret it came under in [`FrontDoor::key`].
        request: Verified<Packet<'d>>,
    },
}

/// Where a reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    /// The door it leaves by.
    pub door: usize,
    /// The NAS software.
    pub to: SocketAddr,
    /// The address that was asked.
    pub from: IpAddr,
}

impl FrontDoor {
    /// The doors of `listeners`, in their order; `seed` makes the duplicate table's order unpredictable.
    #[must_use]
    pub fn new(listeners: &[Listener], seed: u64) -> FrontDoor {
        let config = dedup::Config {
            entries: REMEMBERED_MAX,
            retain: RETAIN_OCTETS,
            seed,
            ..dedup::Config::default()
        };
        FrontDoor {
            doors: listeners.iter().map(Door::new).collect(),
            dedup: Dedup::new(config),
            asked: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// The secret shared with the NAS software behind a door.
    #[must_use]
    pub fn key(&self, door: usize) -> &Arc<RadiusKey> {
        &self.doors[door].key
    }

    /// The secret of the first door for accounting: what the spool keeps is signed anew under it.
    #[must_use]
    pub fn accounting_key(&self) -> Option<Arc<RadiusKey>> {
        self.doors.iter().find(|door| door.kind == Kind::Acct).map(|door| Arc::clone(&door.key))
    }

    /// What became of everything so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What became of retransmissions.
    #[must_use]
    pub fn duplicates(&self) -> &dedup::Counters {
        self.dedup.counters()
    }

    /// Judges a datagram that came in by `door`. An answer that needs no server is put into `out`.
    pub fn judge<'d>(
        &mut self,
        now: Instant,
        door: usize,
        datagram: &Datagram<'d>,
        out: &mut Outbound,
    ) -> Verdict<'d> {
        let verdict = match self.doors[door].admit(datagram) {
            Ok(request) if request.code() == Code::STATUS_SERVER => {
                Verdict::Settled(self.doors[door].answer_status(&request, datagram, out))
            }
            Ok(request) => self.remember(now, door, datagram, request, out),
            Err(fate) => Verdict::Settled(fate),
        };
        match verdict {
            Verdict::Settled(fate) => {
                self.counts.add(fate);
                self.doors[door].mention(now, fate, datagram);
            }
            Verdict::Forward { .. } => self.doors[door].suspects.acquit(datagram.from.ip()),
        }
        verdict
    }

    fn remember<'d>(
        &mut self,
        now: Instant,
        door: usize,
        datagram: &Datagram<'d>,
        request: Verified<Packet<'d>>,
        out: &mut Outbound,
    ) -> Verdict<'d> {
        let key = dedup::Key {
            source: datagram.from,
            identifier: request.identifier(),
            socket: u16::try_from(door).expect("listeners are few"),
        };
        match self.dedup.check(now, key, request.authenticator()) {
            Check::New { slot, replaced } => {
                let place = place(slot);
                if self.asked.len() <= place {
                    self.asked.resize(place + 1, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
                }
                self.asked[place] = datagram.to;
                Verdict::Forward {
                    ticket: slot.to_bits(),
                    replaced: replaced.map(Slot::to_bits),
                    kind: self.doors[door].kind,
                    request,
                }
            }
            Check::InProgress(_) => Verdict::Settled(Fate::DuplicateInProgress),
            Check::Replay(reply) => {
                // No room in the batch is no room in the socket: the NAS tries again.
                let _ = out.push(reply, datagram.from, Some(datagram.to));
                Verdict::Settled(Fate::DuplicateReplayed)
            }
            Check::Full => Verdict::Settled(Fate::Full),
        }
    }

    /// A request was taken by the servers' side.
    pub fn forwarded(&mut self, kind: Kind) {
        self.counts.add(match kind {
            Kind::Auth => Fate::ForwardedAuth,
            Kind::Acct => Fate::ForwardedAcct,
        });
    }

    /// A request gets no reply, for this reason: the NAS's next try is a new request.
    pub fn forget(&mut self, ticket: Ticket, fate: Fate) {
        self.dedup.forget(Slot::from_bits(ticket));
        self.counts.add(fate);
    }

    /// Answers an Accounting-Request on this agent's own account: its record is safe. The reply is written into
    /// `buffer`; it is kept as any other.
    pub fn acknowledge(
        &mut self,
        now: Instant,
        ticket: Ticket,
        request: &Packet<'_>,
        buffer: &mut [u8],
    ) -> Option<(Return, usize)> {
        let door = usize::from(self.dedup.key(Slot::from_bits(ticket))?.socket);
        let mut reply = Writer::new(buffer, Code::ACCOUNTING_RESPONSE, request.identifier());
        reply.proxy_states(request).ok()?;
        let length = reply.reply(&self.doors.get(door)?.key, request.authenticator()).ok()?.len();
        let back = self.complete(now, ticket, &buffer[..length])?;
        Some((back, length))
    }

    /// Keeps the reply to a request for its retransmissions and tells where it goes; `None` when nobody waits for
    /// it any more.
    pub fn complete(&mut self, now: Instant, ticket: Ticket, reply: &[u8]) -> Option<Return> {
        let slot = Slot::from_bits(ticket);
        let Some(key) = self.dedup.key(slot) else {
            self.counts.add(Fate::ReplyUnwanted);
            return None;
        };
        self.dedup.complete(now, slot, reply);
        self.counts.add(reply.first().map_or(Fate::OtherReply, |code| Fate::of_reply(Code(*code))));
        let from = self.asked.get(place(slot)).copied()?;
        Some(Return { door: usize::from(key.socket), to: key.source, from })
    }
}

/// A slot's index in the duplicate table.
fn place(slot: Slot) -> usize {
    (slot.to_bits() >> 32) as usize
}

impl Door {
    fn new(listener: &Listener) -> Door {
        Door {
            kind: listener.kind,
            address: listener.address,
            clients: listener.clients.clone(),
            key: listener.key.clone(),
            rule: match listener.require_message_authenticator {
                true => MessageAuthenticatorRule::Required,
                false => MessageAuthenticatorRule::Optional,
            },
            suspects: Suspects::default(),
            said: [None; 3],
        }
    }

    /// Client, frame, code, authenticators.
    fn admit<'d>(&self, datagram: &Datagram<'d>) -> Result<Verified<Packet<'d>>, Fate> {
        let source = datagram.from.ip().to_canonical();
        if !self.clients.iter().any(|network| network.contains(&source)) {
            return Err(Fate::UnknownClient);
        }
        if datagram.truncated {
            return Err(Fate::BadLength);
        }
        let request = Packet::parse(datagram.bytes)?;
        let expected = match self.kind {
            Kind::Auth => Code::ACCESS_REQUEST,
            Kind::Acct => Code::ACCOUNTING_REQUEST,
        };
        let code = request.peek().code();
        if code != expected && code != Code::STATUS_SERVER {
            return Err(Fate::UnknownCode);
        }
        Ok(request.verify_request(&self.key, self.rule)?)
    }

    /// Status-Server asks whether the next hop lives, and that is this agent (RFC 5997 section 4.2).
    fn answer_status(&self, request: &Packet<'_>, datagram: &Datagram<'_>, out: &mut Outbound) -> Fate {
        let code = match self.kind {
            Kind::Auth => Code::ACCESS_ACCEPT,
            Kind::Acct => Code::ACCOUNTING_RESPONSE,
        };
        let Some(buffer) = out.slot() else { return Fate::Full };
        let mut reply = Writer::new(buffer, code, request.identifier());
        if reply.message_authenticator().and_then(|reply| reply.proxy_states(request)).is_err() {
            return Fate::CannotForward;
        }
        let written = reply.reply(&self.key, request.authenticator()).map(<[u8]>::len);
        let Ok(length) = written else { return Fate::CannotForward };
        out.commit(length, datagram.from, Some(datagram.to));
        Fate::StatusServer
    }

    /// Tells the operator what only the operator can mend, and not too often.
    fn mention(&mut self, now: Instant, fate: Fate, datagram: &Datagram<'_>) {
        let (from, door) = (datagram.from, self.address);
        debug!(%door, %from, fate = fate.name(), "a datagram at the front door");
        let complaint = match fate {
            Fate::UnknownClient => Complaint::UnknownClient,
            Fate::MissingMessageAuthenticator => Complaint::NoMessageAuthenticator,
            _ if fate.is_wrong_secret() && self.suspects.accuse(from.ip()) >= WRONG_SECRET_AFTER => {
                Complaint::WrongSecret
            }
            _ => return,
        };
        let said = &mut self.said[complaint as usize];
        if said.is_some_and(|said| now.since(said) < SAY_EVERY) {
            return;
        }
        *said = Some(now);
        match complaint {
            Complaint::UnknownClient => warn!(
                "{from} is none of the `clients` of the [[listen]] at {door}: its packets meet silence; \
                 add its prefix if it is the NAS software"
            ),
            Complaint::NoMessageAuthenticator => warn!(
                "{from} sends Access-Requests without Message-Authenticator to {door}: they meet silence; update \
                 it, or set require_message_authenticator = \"no\" there"
            ),
            Complaint::WrongSecret => warn!(
                "the secret of {from} at {door} looks wrong: {WRONG_SECRET_AFTER} of its packets running don't \
                 verify; compare it with `secret` of that [[listen]]"
            ),
        }
    }
}
