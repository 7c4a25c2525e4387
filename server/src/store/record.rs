//! An Accounting-Request as a row: RFC 2866 attributes in FreeRADIUS's columns.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use forewarn_dict::Dictionary;
use forewarn_proto::time::Utc;
use forewarn_wire::{Attribute, Packet, number};
use sha2::{Digest, Sha256};

/// An Event-Timestamp further from our clock than this, back or forth, is a NAS without a clock: the time of
/// receipt less Acct-Delay-Time is used instead.
const EVENT_BACK_MAX_SECS: i64 = 31 * 86_400;
const EVENT_FORTH_MAX_SECS: i64 = 86_400;

/// Acct-Status-Type (RFC 2866 section 5.1), as far as it concerns sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// A session began.
    Start,
    /// A session ended.
    Stop,
    /// A session goes on.
    Interim,
    /// The NAS has started: its sessions are over.
    On,
    /// The NAS stops: its sessions are over.
    Off,
    /// Tunnel and vendor types (RFC 2867): nothing of a session to keep, but answered.
    Other,
}

/// What is kept of one Accounting-Request. Texts of attributes that are absent are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub status: Status,
    /// When, seconds since 1970.
    pub at: i64,
    /// Digest of NAS identity, Acct-Session-Id and User-Name, 32 hexadecimal digits: the same on every server.
    pub unique_id: String,
    /// Acct-Session-Id.
    pub session_id: String,
    /// User-Name.
    pub user_name: String,
    /// The realm in it (`user@realm`).
    pub realm: String,
    /// NAS-IP-Address, else NAS-IPv6-Address, else where it came from.
    pub nas_address: String,
    /// NAS-Identifier.
    pub nas_identifier: String,
    /// NAS-Port-Id, else NAS-Port.
    pub nas_port: String,
    /// NAS-Port-Type, by name.
    pub nas_port_type: String,
    /// Acct-Session-Time, seconds.
    pub session_secs: Option<i64>,
    /// Acct-Authentic, by name.
    pub authentic: String,
    /// Connect-Info.
    pub connect_info: String,
    /// Acct-Input-Octets with its gigawords (RFC 2869 section 5.1).
    pub input_octets: Option<i64>,
    /// Acct-Output-Octets with its gigawords.
    pub output_octets: Option<i64>,
    /// Called-Station-Id.
    pub called_station: String,
    /// Calling-Station-Id.
    pub calling_station: String,
    /// Acct-Terminate-Cause, by name.
    pub terminate_cause: String,
    /// Service-Type, by name.
    pub service_type: String,
    /// Framed-Protocol, by name.
    pub framed_protocol: String,
    /// Framed-IP-Address.
    pub framed_address: String,
    /// Framed-IPv6-Address.
    pub framed_ipv6_address: String,
    /// Framed-IPv6-Prefix.
    pub framed_ipv6_prefix: String,
    /// Framed-Interface-Id.
    pub framed_interface: String,
    /// Delegated-IPv6-Prefix.
    pub delegated_ipv6_prefix: String,
    /// Class, as text where it is printable, else `0x` and hexadecimal digits.
    pub class: String,
}

/// The request says too little (RFC 2866 section 4.1): the client's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// No Acct-Status-Type.
    #[error("no Acct-Status-Type")]
    NoStatusType,
    /// No Acct-Session-Id, and a session is meant.
    #[error("no Acct-Session-Id")]
    NoSessionId,
}

impl Record {
    /// Reads a request that came from `source` at `received`.
    ///
    /// # Errors
    /// It says too little.
    pub fn new(request: &Packet<'_>, source: IpAddr, received: Utc) -> Result<Self, RecordError> {
        let integer = |wanted| attribute(request, wanted).and_then(|attribute| attribute.integer());
        let words = |wanted| text(request.find(wanted).unwrap_or_default());
        let status = match integer(number::ACCT_STATUS_TYPE).ok_or(RecordError::NoStatusType)? {
            1 => Status::Start,
            2 => Status::Stop,
            3 => Status::Interim,
            7 => Status::On,
            8 => Status::Off,
            _ => Status::Other,
        };
        let session_id = request.find(number::ACCT_SESSION_ID).unwrap_or_default();
        if session_id.is_empty() && matches!(status, Status::Start | Status::Stop | Status::Interim) {
            return Err(RecordError::NoSessionId);
        }
        let user_name = words(number::USER_NAME);
        let realm = user_name.rsplit_once('@').map(|(_, realm)| realm.to_owned()).unwrap_or_default();
        let nas_port = words(number::NAS_PORT_ID);
        let port_number = || integer(number::NAS_PORT).map(|port| port.to_string()).unwrap_or_default();
        Ok(Self {
            status,
            at: event_time(request, received),
            unique_id: unique_id(request, source),
            session_id: text(session_id),
            realm,
            user_name,
            nas_address: nas_address(request, source).to_string(),
            nas_identifier: words(number::NAS_IDENTIFIER),
            nas_port: if nas_port.is_empty() { port_number() } else { nas_port },
            nas_port_type: named(request, number::NAS_PORT_TYPE),
            session_secs: integer(number::ACCT_SESSION_TIME).map(i64::from),
            authentic: named(request, number::ACCT_AUTHENTIC),
            connect_info: words(number::CONNECT_INFO),
            input_octets: octets(request, number::ACCT_INPUT_OCTETS, number::ACCT_INPUT_GIGAWORDS),
            output_octets: octets(request, number::ACCT_OUTPUT_OCTETS, number::ACCT_OUTPUT_GIGAWORDS),
            called_station: words(number::CALLED_STATION_ID),
            calling_station: words(number::CALLING_STATION_ID),
            terminate_cause: named(request, number::ACCT_TERMINATE_CAUSE),
            service_type: named(request, number::SERVICE_TYPE),
            framed_protocol: named(request, number::FRAMED_PROTOCOL),
            framed_address: shown(request, number::FRAMED_IP_ADDRESS),
            framed_ipv6_address: shown(request, number::FRAMED_IPV6_ADDRESS),
            framed_ipv6_prefix: shown(request, number::FRAMED_IPV6_PREFIX),
            framed_interface: shown(request, number::FRAMED_INTERFACE_ID),
            delegated_ipv6_prefix: shown(request, number::DELEGATED_IPV6_PREFIX),
            class: class(request.find(number::CLASS).unwrap_or_default()),
        })
    }
}

fn attribute<'p>(request: &Packet<'p>, wanted: u8) -> Option<Attribute<'p>> {
    request.attributes().find(|attribute| attribute.number == wanted)
}

/// Text as the database can show it: what isn't UTF-8, and NUL (which would end the text for most readers),
/// becomes U+FFFD. Everything else is data, bound and never part of a statement.
fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).replace('\0', "\u{fffd}")
}

fn class(octets: &[u8]) -> String {
    let printable = |text: &&str| text.chars().all(|letter| !letter.is_control());
    if let Some(text) = std::str::from_utf8(octets).ok().filter(printable) {
        return text.to_owned();
    }
    octets.iter().fold(String::from("0x"), |mut shown, octet| {
        let _ = write!(shown, "{octet:02x}");
        shown
    })
}

/// An enumerated value by its name in the dictionary, or its number.
fn named(request: &Packet<'_>, wanted: u8) -> String {
    let Some(value) = attribute(request, wanted).and_then(|attribute| attribute.integer()) else {
        return String::new();
    };
    let dictionary = Dictionary::embedded();
    let known = dictionary.attribute_by_number(0, &[u32::from(wanted)]);
    let name = known.and_then(|attribute| dictionary.value_name(attribute, u64::from(value)));
    name.map_or_else(|| value.to_string(), str::to_owned)
}

/// Addresses and prefixes as the dictionary shows them.
fn shown(request: &Packet<'_>, wanted: u8) -> String {
    let Some(value) = request.find(wanted) else { return String::new() };
    let dictionary = Dictionary::embedded();
    let known = dictionary.attribute_by_number(0, &[u32::from(wanted)]);
    known.map(|attribute| dictionary.display(attribute, value)).unwrap_or_default()
}

fn octets(request: &Packet<'_>, low: u8, high: u8) -> Option<i64> {
    let low = attribute(request, low).and_then(|attribute| attribute.integer());
    let high = attribute(request, high).and_then(|attribute| attribute.integer());
    let total = u64::from(high.unwrap_or(0)) << 32 | u64::from(low.unwrap_or(0));
    (low.is_some() || high.is_some()).then(|| i64::try_from(total).unwrap_or(i64::MAX))
}

/// RFC 2869 section 5.3, else the time of receipt less RFC 2866 section 5.2.
fn event_time(request: &Packet<'_>, received: Utc) -> i64 {
    let integer = |wanted| attribute(request, wanted).and_then(|attribute| attribute.integer());
    let received = i64::try_from(received.as_millis() / 1000).unwrap_or(i64::MAX);
    let plausible = received - EVENT_BACK_MAX_SECS..=received + EVENT_FORTH_MAX_SECS;
    let stamped = integer(number::EVENT_TIMESTAMP).map(i64::from).filter(|at| plausible.contains(at));
    stamped.unwrap_or_else(|| received - i64::from(integer(number::ACCT_DELAY_TIME).unwrap_or(0)))
}

fn nas_address(request: &Packet<'_>, source: IpAddr) -> IpAddr {
    let v4 = request.find(number::NAS_IP_ADDRESS).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
    let v6 = request.find(number::NAS_IPV6_ADDRESS).and_then(|octets| <[u8; 16]>::try_from(octets).ok());
    match (v4, v6) {
        (Some(octets), _) => IpAddr::V4(Ipv4Addr::from(octets)),
        (None, Some(octets)) => IpAddr::V6(Ipv6Addr::from(octets)),
        (None, None) => source.to_canonical(),
    }
}

/// The same request gives the same id whichever server it reaches and by whichever way: only what the NAS says
/// of itself goes in, and where it says nothing (against RFC 2866 section 4.1), where the request came from.
fn unique_id(request: &Packet<'_>, source: IpAddr) -> String {
    let mut digest = Sha256::new();
    let identifier = request.find(number::NAS_IDENTIFIER).unwrap_or_default();
    let address = nas_address(request, source).to_string();
    let session = request.find(number::ACCT_SESSION_ID).unwrap_or_default();
    let user = request.find(number::USER_NAME).unwrap_or_default();
    for part in [address.as_bytes(), identifier, session, user] {
        // Each with its length, so that no octet can move from one part to the next.
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(16).fold(String::with_capacity(32), |mut id, octet| {
        let _ = write!(id, "{octet:02x}");
        id
    })
}
