//! What a conversation offers, and how far it goes.

use std::sync::Arc;

use forewarn_wire::eap::method;

use crate::tls::Tls;

/// The methods there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// MD5-Challenge (RFC 3748 section 5.4).
    Md5,
    /// Generic Token Card (RFC 3748 section 5.6).
    Gtc,
    /// EAP-MSCHAPv2.
    MsChap2,
    /// EAP-TLS (RFC 5216, RFC 9190).
    Tls,
    /// EAP-TTLS (RFC 5281).
    Ttls,
    /// PEAP version 0.
    Peap,
    /// EAP-PWD (RFC 5931).
    Pwd,
    /// TEAP (RFC 9930).
    Teap,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] =
        [Kind::Teap, Kind::Peap, Kind::Ttls, Kind::Tls, Kind::Pwd, Kind::MsChap2, Kind::Gtc, Kind::Md5];

    /// Whether it goes over TLS.
    pub fn needs_tls(self) -> bool {
        matches!(self, Kind::Tls | Kind::Ttls | Kind::Peap | Kind::Teap)
    }

    /// Whether it leaves keys.
    pub fn has_keys(self) -> bool {
        !matches!(self, Kind::Md5 | Kind::Gtc)
    }

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Md5 => "md5",
            Kind::Gtc => "gtc",
            Kind::MsChap2 => "mschapv2",
            Kind::Tls => "tls",
            Kind::Ttls => "ttls",
            Kind::Peap => "peap",
            Kind::Pwd => "pwd",
            Kind::Teap => "teap",
        }
    }

    /// Its name in policies and records.
    pub fn record(self) -> &'static str {
        match self {
            Kind::Md5 => "eap-md5",
            Kind::Gtc => "eap-gtc",
            Kind::MsChap2 => "eap-mschapv2",
            Kind::Tls => "eap-tls",
            Kind::Ttls => "eap-ttls",
            Kind::Peap => "eap-peap",
            Kind::Pwd => "eap-pwd",
            Kind::Teap => "eap-teap",
        }
    }

    /// Its number (IANA, "EAP registry").
    pub fn number(self) -> u8 {
        match self {
            Kind::Md5 => method::MD5_CHALLENGE,
            Kind::Gtc => method::GTC,
            Kind::MsChap2 => method::MSCHAPV2,
            Kind::Tls => method::TLS,
            Kind::Ttls => method::TTLS,
            Kind::Peap => method::PEAP,
            Kind::Pwd => method::PWD,
            Kind::Teap => method::TEAP,
        }
    }
}

/// What may go on within a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Within {
    /// A method of EAP; [`Kind::MsChap2`] is MS-CHAPv2 as EAP-TTLS has it, too.
    Eap(Kind),
    /// A password as it is (RFC 5281 section 11.2.5, RFC 9930 section 3.6.2).
    Pap,
    /// CHAP (RFC 5281 section 11.2.2).
    Chap,
    /// MS-CHAP version 1 (RFC 5281 section 11.2.3).
    MsChap,
}

impl Within {
    /// All of them.
    pub const ALL: [Within; 7] = [
        Within::Eap(Kind::MsChap2),
        Within::Eap(Kind::Tls),
        Within::Eap(Kind::Gtc),
        Within::Eap(Kind::Md5),
        Within::Pap,
        Within::Chap,
        Within::MsChap,
    ];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Within::Eap(kind) => kind.name(),
            Within::Pap => "pap",
            Within::Chap => "chap",
            Within::MsChap => "mschap",
        }
    }
}

/// Whose identity TEAP asks for (RFC 9930 section 4.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentityType {
    /// Who sits there.
    User,
    /// What they sit at.
    Machine,
}

impl IdentityType {
    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            IdentityType::User => "user",
            IdentityType::Machine => "machine",
        }
    }

    /// Whose a name is: Windows's machines call themselves `host/NAME` or `NAME$`, with or without a realm.
    pub fn of(name: &[u8]) -> Self {
        let is_host = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"host/"));
        let bare = name.split(|octet| *octet == b'@').next().unwrap_or_default();
        if is_host || bare.ends_with(b"$") { IdentityType::Machine } else { IdentityType::User }
    }

    /// Its number.
    pub fn number(self) -> u16 {
        match self {
            IdentityType::User => 1,
            IdentityType::Machine => 2,
        }
    }
}

/// What a conversation offers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The methods that are allowed. The first is offered first.
    pub methods: Vec<Kind>,
    /// What is allowed within a tunnel. Of the methods of EAP, the first is offered first.
    pub inner: Vec<Within>,
    /// Whose identities TEAP asks for, one after the other.
    pub identities: Vec<IdentityType>,
    /// Passwords a peer may try in one conversation, where its method lets it (EAP-MSCHAPv2). With one, a peer is told
    /// that there is no other try, and nobody waits for a user who isn't there.
    pub tries: u8,
    /// Whether what is proven within PEAP and EAP-TTLS has to be bound to the tunnel, unless the peer shows its password itself:
    /// what isn't may be another's.
    pub binds: bool,
    /// How this server calls itself, to peers that show it.
    pub server_name: String,
    /// What makes TLS connections, where a method needs them.
    pub tls: Option<Arc<dyn Tls>>,
    /// Whether it may resume sessions. Within a tunnel none may be (RFC 9930 section 3.6.4).
    pub resumes: bool,
    /// Octets of TLS, or of EAP-PWD, in one packet, at most.
    pub fragment: usize,
    /// What EAP-PWD goes by.
    pub pwd: Pwd,
    /// How far one goes.
    pub limits: Limits,
}

impl Settings {
    /// Whether what goes on within this method, as policies and records name it, is allowed.
    pub(crate) fn allows_within(&self, method: &str) -> bool {
        let within = match method.rsplit('-').next() {
            // As TEAP calls it.
            Some("password") => Some(Within::Pap.name()),
            within => within,
        };
        self.inner.iter().any(|allowed| Some(allowed.name()) == within)
    }
}

/// What EAP-PWD goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pwd {
    /// The group.
    pub group: PwdGroup,
    /// How this server calls itself: the password's point depends on it.
    pub server_id: String,
}

/// EAP-PWD's groups (IANA, "Group Description" of IKE): elliptic curves over a prime field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PwdGroup {
    /// NIST P-256, which everybody has.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

impl PwdGroup {
    /// All of them.
    pub const ALL: [PwdGroup; 3] = [PwdGroup::P256, PwdGroup::P384, PwdGroup::P521];

    /// Its number.
    pub fn number(self) -> u16 {
        match self {
            PwdGroup::P256 => 19,
            PwdGroup::P384 => 20,
            PwdGroup::P521 => 21,
        }
    }
}

/// How far a conversation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Responses of the peer.
    pub rounds: u32,
    /// Octets of all its responses together.
    pub octets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rounds: 100, octets: 65_536 }
    }
}
