//! The fixed fields of a notice.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::ops::BitOr;

use super::{HEADER_OCTETS, MAGIC, MacKind, NoticeError, NoticeWriteError, VERSION};

/// The fixed fields, in natural units. The lengths and the MAC kind are the writer's affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the notice says.
    pub kind: Kind,
    /// How it is to be treated.
    pub flags: Flags,
    /// Which of the pair's keys signed it.
    pub key_id: u8,
    /// Why it is sent.
    pub reason: Reason,
    /// The sender's number; tells senders on behalf of a server apart.
    pub sender: u32,
    /// The sender's epoch: rises at each start.
    pub epoch: u32,
    /// The sender's sequence within the epoch: rises with each notice to this client.
    pub sequence: u32,
    /// When it was signed, in milliseconds since 1970 UTC.
    pub utc_ms: u64,
    /// How long it is in force, in seconds; 0 ends what was.
    pub validity_s: u16,
    /// How much of the client's traffic should leave, in percent.
    pub reduction_percent: u8,
    /// The server's load, in percent.
    pub load_percent: u8,
    /// Over how many seconds the clients should spread.
    pub stagger_s: u16,
    /// Which server it is about.
    pub server: Identity,
    /// Which client it is for, or comes from.
    pub client: Identity,
}

impl Header {
    /// A header that says nothing but who and to whom: everything else is zero.
    pub const fn new(kind: Kind, server: Identity, client: Identity) -> Header {
        Header {
            kind,
            flags: Flags::NONE,
            key_id: 0,
            reason: Reason::UNSPECIFIED,
            sender: 0,
            epoch: 0,
            sequence: 0,
            utc_ms: 0,
            validity_s: 0,
            reduction_percent: 0,
            load_percent: 0,
            stagger_s: 0,
            server,
            client,
        }
    }

    /// Reads the fields whose values the layout doesn't decide.
    pub(super) fn read(fixed: &[u8; HEADER_OCTETS]) -> Result<Header, NoticeError> {
        let [reduction_percent, load_percent] = array(fixed, 34);
        if let Some(&wrong) = [reduction_percent, load_percent].iter().find(|&&percent| percent > 100) {
            return Err(NoticeError::Percent(wrong));
        }
        Ok(Header {
            kind: Kind::from_wire(fixed[6]).ok_or(NoticeError::Kind(fixed[6]))?,
            flags: Flags(fixed[7]),
            key_id: fixed[10],
            reason: Reason(fixed[11]),
            sender: u32::from_be_bytes(array(fixed, 12)),
            epoch: u32::from_be_bytes(array(fixed, 16)),
            sequence: u32::from_be_bytes(array(fixed, 20)),
            utc_ms: u64::from_be_bytes(array(fixed, 24)),
            validity_s: u16::from_be_bytes(array(fixed, 32)),
            reduction_percent,
            load_percent,
            stagger_s: u16::from_be_bytes(array(fixed, 36)),
            server: Identity(array(fixed, 40)),
            client: Identity(array(fixed, 56)),
        })
    }

    /// Writes all fields; `out` has [`HEADER_OCTETS`].
    pub(super) fn write(
        &self,
        out: &mut [u8],
        mac: MacKind,
        total: usize,
        tlvs: usize,
    ) -> Result<(), NoticeWriteError> {
        let percents = [self.reduction_percent, self.load_percent];
        if let Some(&wrong) = percents.iter().find(|&&percent| percent > 100) {
            return Err(NoticeWriteError::Percent(wrong));
        }
        let mut put = Put { out, at: 0 };
        put.octets(&MAGIC);
        put.octets(&[VERSION, mac as u8, self.kind as u8, self.flags.0]);
        put.octets(&(total as u16).to_be_bytes());
        put.octets(&[self.key_id, self.reason.0]);
        put.octets(&self.sender.to_be_bytes());
        put.octets(&self.epoch.to_be_bytes());
        put.octets(&self.sequence.to_be_bytes());
        put.octets(&self.utc_ms.to_be_bytes());
        put.octets(&self.validity_s.to_be_bytes());
        put.octets(&percents);
        put.octets(&self.stagger_s.to_be_bytes());
        put.octets(&(tlvs as u16).to_be_bytes());
        put.octets(&self.server.0);
        put.octets(&self.client.0);
        Ok(())
    }
}

/// Total length and TLV octets.
pub(super) fn lengths(fixed: &[u8; HEADER_OCTETS]) -> (usize, usize) {
    let number = |at| usize::from(u16::from_be_bytes(array(fixed, at)));
    (number(8), number(38))
}

/// Fields one after the other.
struct Put<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Put<'_> {
    fn octets(&mut self, octets: &[u8]) {
        self.out[self.at..self.at + octets.len()].copy_from_slice(octets);
        self.at += octets.len();
    }
}

/// `N` octets from `at`; every use is within the fixed fields.
fn array<const N: usize>(fixed: &[u8; HEADER_OCTETS], at: usize) -> [u8; N] {
    core::array::from_fn(|index| fixed[at + index])
}

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Move `reduction_percent` of the traffic elsewhere. With reduction 0 and validity 0: nothing is in force.
    Failover = 1,
    /// Come back, in your slot of the stagger window.
    Reconnect = 2,
    /// A notice was received, and this was done.
    Ack = 3,
    /// An agent registers where it can be told.
    Hello = 4,
    /// An agent asks to come back.
    ReconnectRequest = 5,
    /// Not yet; ask again after the slot's delay.
    Refused = 6,
    /// Another server is down.
    PeerDown = 7,
    /// An agent asks for proof of freshness: echo the nonce.
    Challenge = 8,
    /// The server's load, for information.
    Load = 9,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Kind; 9] = [
        Kind::Failover,
        Kind::Reconnect,
        Kind::Ack,
        Kind::Hello,
        Kind::ReconnectRequest,
        Kind::Refused,
        Kind::PeerDown,
        Kind::Challenge,
        Kind::Load,
    ];

    fn from_wire(number: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|&kind| kind as u8 == number)
    }

    /// Whether only agents send it: ACK, HELLO, RECONNECT-REQUEST, CHALLENGE.
    pub const fn is_from_agent(self) -> bool {
        matches!(self, Kind::Ack | Kind::Hello | Kind::ReconnectRequest | Kind::Challenge)
    }
}

/// How a notice is to be treated; unknown bits are kept and mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// None at all.
    pub const NONE: Flags = Flags(0);
    /// An ACK is wanted.
    pub const ACK_WANTED: Flags = Flags(1);
    /// It was sent before.
    pub const RETRANSMISSION: Flags = Flags(2);
    /// Don't wait for conversations.
    pub const HARD: Flags = Flags(4);
    /// Sent on behalf of another server.
    pub const ON_BEHALF: Flags = Flags(8);
    /// Of a RECONNECT: it means whoever hears it, and not only who has left.
    pub const COME: Flags = Flags(16);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// `self` less the bits of `other`.
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        self.with(other)
    }
}

/// Why a notice is sent; for people, so that unknown ones are values too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Reason(pub u8);

impl Reason {
    /// Not said.
    pub const UNSPECIFIED: Reason = Reason(0);
    /// Worker threads or listener cores are busy.
    pub const WORKERS: Reason = Reason(1);
    /// Requests wait too long.
    pub const QUEUE_DELAY: Reason = Reason(2);
    /// Memory is short.
    pub const MEMORY: Reason = Reason(3);
    /// The CPU is busy.
    pub const CPU: Reason = Reason(4);
    /// Too many processes.
    pub const PROCESSES: Reason = Reason(5);
    /// A link or the gateway is lost.
    pub const NETWORK: Reason = Reason(6);
    /// A mandatory service has failed.
    pub const MANDATORY_SERVICE: Reason = Reason(7);
    /// Dependent services have failed.
    pub const DEPENDENT_SERVICES: Reason = Reason(8);
    /// An operator said so.
    pub const OPERATOR: Reason = Reason(9);
    /// The server shuts down.
    pub const SHUTDOWN: Reason = Reason(10);
    /// The configured load expression.
    pub const LOAD_EXPRESSION: Reason = Reason(11);
    /// The server is well again.
    pub const RECOVERED: Reason = Reason(12);
    /// A time-out.
    pub const TIME_OUT: Reason = Reason(13);

    /// The reason in a few words, or `None` for one we don't know.
    pub const fn name(self) -> Option<&'static str> {
        const NAMES: [&str; 14] = [
            "unspecified",
            "workers busy",
            "queue delay",
            "memory",
            "cpu",
            "processes",
            "network",
            "mandatory service",
            "dependent services",
            "operator",
            "shutdown",
            "load expression",
            "recovered",
            "time-out",
        ];
        if (self.0 as usize) < NAMES.len() { Some(NAMES[self.0 as usize]) } else { None }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "reason {}", self.0),
        }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who a server or client is: its configured address, IPv4 mapped into IPv6. Not the address seen on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub [u8; 16]);

impl Identity {
    /// The address, IPv4 unmapped.
    pub fn address(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from(self.0)).to_canonical()
    }
}

impl From<IpAddr> for Identity {
    fn from(address: IpAddr) -> Identity {
        Identity(match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
