//! One client, as the issuer knows it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forewarn_wire::notice::{Identity, Kind, Notice, Outcome, Reason};

use super::window::Window;
use crate::notice::{KeyRing, Mark, Transport};
use crate::time::Instant;

/// A client's number in the issuer, good until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub(super) u32);

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// An Echo Request to this address.
    Icmp(IpAddr),
    /// An Echo Reply to the ping socket that registered with this identifier.
    IcmpReply {
        /// To there.
        to: IpAddr,
        /// The ping socket's identifier.
        id: u16,
    },
    /// A datagram.
    Udp(SocketAddr),
}

/// Where a message of an agent came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An Echo Request.
    Icmp {
        /// Its source.
        from: IpAddr,
        /// Its identifier, by which a ping socket gets replies.
        id: u16,
    },
    /// A datagram.
    Udp {
        /// Its source.
        from: SocketAddr,
    },
}

impl Origin {
    /// The transport it came by.
    pub const fn transport(&self) -> Transport {
        match self {
            Origin::Icmp { .. } => Transport::Icmp,
            Origin::Udp { .. } => Transport::Udp,
        }
    }
}

/// What is in force for a client.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Standing {
    /// Nothing.
    #[default]
    Clear,
    /// It is to leave.
    Leave(Leave),
    /// It may come back.
    Invited(Invitation),
}

/// A FAILOVER.
#[derive(Clone, Debug, PartialEq)]
pub struct Leave {
    /// How much of its traffic, per cent.
    pub reduction: u8,
    /// Don't wait for conversations.
    pub hard: bool,
    /// How long it is in force; then the server is a last resort.
    pub validity: Duration,
    /// Why.
    pub reason: Reason,
    /// Per cent.
    pub load: u8,
    /// Where it could go, best first, with weights. No more than [`ALTERNATES_MAX`] are sent.
    pub alternates: Arc<[Alternate]>,
}

/// A RECONNECT.
#[derive(Clone, Debug, PartialEq)]
pub struct Invitation {
    /// Its slot.
    pub at: Instant,
    /// The window all slots are in.
    pub window: Duration,
    /// It is to come even if it never left: see [`Flags::COME`](forewarn_wire::notice::Flags::COME).
    pub come: bool,
    /// Why.
    pub reason: Reason,
    /// Per cent.
    pub load: u8,
}

/// A server to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternate {
    /// Its identity.
    pub address: IpAddr,
    /// Its share against the others' weights; 0: none given.
    pub weight: u8,
}

/// Alternates in one notice: with this many IPv6 ones and a nonce it still has less than 512 octets.
pub const ALTERNATES_MAX: usize = 16;

/// Whether a client knows what is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// There was nothing to tell.
    #[default]
    Nothing,
    /// It is being told.
    Telling {
        /// Since then.
        since: Instant,
    },
    /// It said that it knows.
    Told {
        /// When its receipt came.
        at: Instant,
        /// From the decision to its receipt.
        took: Duration,
        /// What it did.
        outcome: Outcome,
        /// The transport its receipt came by.
        by: Transport,
    },
    /// All attempts went without a receipt.
    NotTold {
        /// Since then.
        since: Instant,
    },
}

/// A REFUSED, which is said once and is no standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) until: Instant,
    pub(super) reason: Reason,
    pub(super) load: u8,
}

/// The notice that is being told, or was told last.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) mark: Mark,
    pub(super) issued: Instant,
    pub(super) refused: Option<Refused>,
    pub(super) nonce: Option<[u8; 16]>,
    /// It had given its receipt already when it asked for this by CHALLENGE.
    pub(super) knew: bool,
    /// When the first datagram went out; the repeats count from there.
    pub(super) started: Option<Instant>,
    pub(super) attempt: usize,
    /// Transports used already in this attempt.
    pub(super) used: usize,
    /// Its place in the queue; none when it is done with.
    pub(super) due: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) identity: Identity,
    pub(super) keys: KeyRing,
    pub(super) standing: Standing,
    pub(super) current: Option<Current>,
    pub(super) told: Told,
    /// The transport acknowledged last.
    pub(super) preferred: Option<Transport>,
    /// Which of its messages have come.
    pub(super) window: Option<Window>,
    /// When a CHALLENGE from behind the mark was last answered.
    pub(super) challenged: Option<Instant>,
    pub(super) icmp_registered: Option<Registered>,
    pub(super) udp_registered: Option<Registered>,
}

/// What a message from behind the mark is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It is answered, and the mark stays.
    Once,
    /// The mark is where it stands: the agent has begun anew.
    FromHere,
}

/// CHALLENGEs from behind the mark are answered at most this often; an agent sends one a second.
const CHALLENGED_EVERY: Duration = Duration::from_millis(500);

/// A way to a client that its HELLO showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registered {
    pub(super) path: Path,
    pub(super) until: Instant,
}

impl Client {
    pub(super) fn new(keys: KeyRing) -> Client {
        Client {
            identity: keys.client(),
            keys,
            standing: Standing::Clear,
            current: None,
            told: Told::Nothing,
            preferred: None,
            window: None,
            challenged: None,
            icmp_registered: None,
            udp_registered: None,
        }
    }

    /// What a message from behind the mark is good for, its MAC being right; nothing if it may be a replay that does
    /// harm. A CHALLENGE asks for what is in force, and to tell that once more harms nobody if it is seldom. A receipt
    /// for the notice that is being told can't be older than that notice: the agent counts from there.
    pub(super) fn hears_again(&mut self, now: Instant, message: &Notice<'_>) -> Option<Again> {
        match message.header().kind {
            Kind::Challenge if self.challenged.is_none_or(|last| now.since(last) >= CHALLENGED_EVERY) => {
                self.challenged = Some(now);
                Some(Again::Once)
            }
            Kind::Ack if !matches!(self.told, Told::Told { .. }) => {
                let (epoch, sequence, _) = message.acked()?;
                let current = self.current.as_ref()?;
                (current.mark == Mark { epoch, sequence }).then_some(Again::FromHere)
            }
            _ => None,
        }
    }

    /// Where a datagram by `transport` goes now.
    pub(super) fn path(&self, transport: Transport, udp_port: u16, now: Instant) -> Path {
        let registered = match transport {
            Transport::Icmp => self.icmp_registered,
            Transport::Udp => self.udp_registered,
        };
        match (registered.filter(|registered| registered.until > now), transport) {
            (Some(registered), _) => registered.path,
            (None, Transport::Icmp) => Path::Icmp(self.identity.address()),
            (None, Transport::Udp) => Path::Udp(SocketAddr::new(self.identity.address(), udp_port)),
        }
    }

    /// The transport of the `nth` datagram of an attempt: the one acknowledged last, then the others in order. None
    /// where there are no more.
    pub(super) fn transport(&self, transports: &[Transport], nth: usize) -> Option<Transport> {
        let first = self.preferred.and_then(|preferred| transports.iter().position(|t| *t == preferred));
        let index = match (first, nth) {
            (None, _) => nth,
            (Some(first), 0) => first,
            (Some(first), _) if nth <= first => nth - 1,
            (Some(_), _) => nth,
        };
        transports.get(index).copied()
    }
}
