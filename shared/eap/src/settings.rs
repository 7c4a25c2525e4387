//! What a conversation offers, and how far it goes.

use forewarn_wire::eap::method;

/// The methods there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// MD5-Challenge (RFC 3748 section 5.4).
    Md5,
    /// Generic Token Card (RFC 3748 section 5.6).
    Gtc,
    /// EAP-MSCHAPv2.
    MsChap2,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::MsChap2, Kind::Gtc, Kind::Md5];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Md5 => "md5",
            Kind::Gtc => "gtc",
            Kind::MsChap2 => "mschapv2",
        }
    }

    /// Its name in policies and records.
    pub fn record(self) -> &'static str {
        match self {
            Kind::Md5 => "eap-md5",
            Kind::Gtc => "eap-gtc",
            Kind::MsChap2 => "eap-mschapv2",
        }
    }

    /// Its number (IANA, "EAP registry").
    pub fn number(self) -> u8 {
        match self {
            Kind::Md5 => method::MD5_CHALLENGE,
            Kind::Gtc => method::GTC,
            Kind::MsChap2 => method::MSCHAPV2,
        }
    }
}

/// What a conversation offers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The methods that are allowed. The first is offered first.
    pub methods: Vec<Kind>,
    /// Passwords a peer may try in one conversation, where its method lets it (EAP-MSCHAPv2). With one, a peer is told
    /// that there is no other try, and nobody waits for a user who isn't there.
    pub tries: u8,
    /// How this server calls itself, to peers that show it.
    pub server_name: String,
    /// How far one goes.
    pub limits: Limits,
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
