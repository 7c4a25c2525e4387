//! An Accounting-Request as FreeRADIUS's queries see it.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use forewarn_dict::Dictionary;
use forewarn_proto::time::Utc;
use forewarn_wire::{Attribute, Packet, number};
use md5::{Digest, Md5};

use super::text;

/// What FreeRADIUS's `insert_acct_class` puts in front of the 32 digits of its Class.
const CLASS_PREFIX: &[u8] = b"ai:";
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Acct-Status-Type (RFC 2866 section 5.1), as far as it concerns sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    #[default]
    Other,
}

/// What is kept of one Accounting-Request. Texts of attributes that are absent are empty; all are as
/// [`text::column`] writes them, the user's name as [`text::user_name`] does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// What happened.
    pub status: Status,
    /// When, seconds since 1970.
    pub at: i64,
    /// FreeRADIUS's Acct-Unique-Session-Id, 32 hexadecimal digits: names the session, and its row.
    pub unique_id: String,
    /// Acct-Session-Id.
    pub session_id: String,
    /// User-Name.
    pub user_name: String,
    /// NAS-IPv6-Address, else NAS-IP-Address, else where the request came from.
    pub nas_address: Option<IpAddr>,
    /// NAS-IP-Address, else where the request came from; `None` where that is IPv6.
    pub nas_address_v4: Option<Ipv4Addr>,
    /// NAS-Port-Id, else NAS-Port.
    pub nas_port: String,
    /// NAS-Port: what an address of a pool is held by.
    pub pool_key: String,
    /// NAS-Port-Type, by name.
    pub nas_port_type: String,
    /// Acct-Session-Time, seconds.
    pub session_secs: Option<i64>,
    /// Acct-Authentic, by name.
    pub authentic: String,
    /// Connect-Info.
    pub connect_info: String,
    /// Acct-Input-Octets with its gigawords (RFC 2869 section 5.1); 0 where absent.
    pub input_octets: i64,
    /// Acct-Output-Octets with its gigawords; 0 where absent.
    pub output_octets: i64,
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
    /// Class, `0x` and hexadecimal digits.
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
    /// What of a request tells who holds an address: NAS, port and station.
    pub fn holder(request: &Packet<'_>, source: IpAddr) -> Self {
        let nas = Nas::new(request, source);
        let port = attribute(request, number::NAS_PORT).and_then(|attribute| attribute.integer());
        Self {
            nas_address: Some(nas.address()),
            nas_address_v4: nas.v4,
            pool_key: port.map(|port| port.to_string()).unwrap_or_default(),
            calling_station: text::column(request.find(number::CALLING_STATION_ID).unwrap_or_default()),
            ..Self::default()
        }
    }

    /// Reads a request that came from `source` at `received`.
    ///
    /// # Errors
    /// It says too little.
    pub fn new(request: &Packet<'_>, source: IpAddr, received: Utc) -> Result<Self, RecordError> {
        let integer = |wanted| attribute(request, wanted).and_then(|attribute| attribute.integer());
        let words = |wanted| text::column(request.find(wanted).unwrap_or_default());
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
        let nas = Nas::new(request, source);
        let pool_key = integer(number::NAS_PORT).map(|port| port.to_string()).unwrap_or_default();
        // One expansion within another: FreeRADIUS writes what it has written.
        let nas_port = text::column(words(number::NAS_PORT_ID).as_bytes());
        Ok(Self {
            status,
            at: event_time(request, received),
            unique_id: unique_id(request, &nas),
            session_id: text::column(session_id),
            user_name: text::user_name(request.find(number::USER_NAME).unwrap_or_default()),
            nas_address: Some(nas.address()),
            nas_address_v4: nas.v4,
            nas_port: if nas_port.is_empty() { pool_key.clone() } else { nas_port },
            pool_key,
            nas_port_type: named(request, number::NAS_PORT_TYPE),
            session_secs: integer(number::ACCT_SESSION_TIME).map(i64::from),
            authentic: named(request, number::ACCT_AUTHENTIC),
            connect_info: words(number::CONNECT_INFO),
            input_octets: octets(request, number::ACCT_INPUT_OCTETS, number::ACCT_INPUT_GIGAWORDS),
            output_octets: octets(request, number::ACCT_OUTPUT_OCTETS, number::ACCT_OUTPUT_GIGAWORDS),
            called_station: words(number::CALLED_STATION_ID),
            calling_station: words(number::CALLING_STATION_ID),
            terminate_cause: named(request, number::ACCT_TERMINATE_CAUSE),
            service_type: service_type(request),
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

fn class(octets: &[u8]) -> String {
    if octets.is_empty() {
        return String::new();
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
    name.map_or_else(|| value.to_string(), |name| text::column(name.as_bytes()))
}

/// Service-Type by name. Who has a Framed-Protocol is Framed-User, whether the NAS says so or not: FreeRADIUS's
/// `preprocess` adds it.
fn service_type(request: &Packet<'_>) -> String {
    let told = named(request, number::SERVICE_TYPE);
    if told.is_empty() && request.find(number::FRAMED_PROTOCOL).is_some() {
        return "Framed-User".to_owned();
    }
    told
}

/// Addresses and prefixes as the dictionary shows them.
fn shown(request: &Packet<'_>, wanted: u8) -> String {
    let Some(value) = request.find(wanted) else { return String::new() };
    let dictionary = Dictionary::embedded();
    let known = dictionary.attribute_by_number(0, &[u32::from(wanted)]);
    known.map(|attribute| text::column(dictionary.display(attribute, value).as_bytes())).unwrap_or_default()
}

fn octets(request: &Packet<'_>, low: u8, high: u8) -> i64 {
    let word = |wanted| attribute(request, wanted).and_then(|attribute| attribute.integer()).unwrap_or(0);
    // As two's complement, which is what both engines' own shift gives beyond their greatest number.
    (u64::from(word(high)) << 32 | u64::from(word(low))).cast_signed()
}

/// RFC 2869 section 5.3, else the time of receipt less RFC 2866 section 5.2.
fn event_time(request: &Packet<'_>, received: Utc) -> i64 {
    let integer = |wanted| attribute(request, wanted).and_then(|attribute| attribute.integer());
    let received = i64::try_from(received.as_millis() / 1000).unwrap_or(i64::MAX);
    let stamped = integer(number::EVENT_TIMESTAMP).map(i64::from);
    stamped.unwrap_or_else(|| received - i64::from(integer(number::ACCT_DELAY_TIME).unwrap_or(0)))
}

/// Who the NAS says it is; where it doesn't say, where the request came from says it, in that family.
struct Nas {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    source: IpAddr,
}

impl Nas {
    fn new(request: &Packet<'_>, source: IpAddr) -> Self {
        let source = source.to_canonical();
        let v4 = request.find(number::NAS_IP_ADDRESS).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
        let v6 = request.find(number::NAS_IPV6_ADDRESS).and_then(|octets| <[u8; 16]>::try_from(octets).ok());
        let (mut v4, mut v6) = (v4.map(Ipv4Addr::from), v6.map(Ipv6Addr::from));
        match source {
            IpAddr::V4(address) => v4 = v4.or(Some(address)),
            IpAddr::V6(address) => v6 = v6.or(Some(address)),
        }
        Self { v4, v6, source }
    }

    fn address(&self) -> IpAddr {
        self.v6.map(IpAddr::V6).or(self.v4.map(IpAddr::V4)).unwrap_or(self.source)
    }
}

/// Acct-Unique-Session-Id as FreeRADIUS's policy `acct_unique` makes it: from a Class that it or we gave out, with the
/// Acct-Session-Id; else from what tells a session apart on most NASes.
fn unique_id(request: &Packet<'_>, nas: &Nas) -> String {
    let octets = |wanted| request.find(wanted).unwrap_or_default();
    let session = octets(number::ACCT_SESSION_ID);
    let mut line = Vec::with_capacity(128);
    if let Some(token) = class_token(octets(number::CLASS)) {
        line.extend_from_slice(token);
        line.push(b',');
        line.extend_from_slice(session);
    } else {
        let port = attribute(request, number::NAS_PORT).and_then(|attribute| attribute.integer());
        let address = nas.address().to_string();
        let port = port.map(|port| port.to_string()).unwrap_or_default();
        let parts = [
            octets(number::USER_NAME),
            session,
            address.as_bytes(),
            octets(number::NAS_IDENTIFIER),
            octets(number::NAS_PORT_ID),
            port.as_bytes(),
        ];
        for (number, part) in parts.into_iter().enumerate() {
            if number > 0 {
                line.push(b',');
            }
            line.extend_from_slice(part.split(|octet| *octet == 0).next().unwrap_or_default());
        }
    }
    // FreeRADIUS's `md5` passes over white space in front.
    let mut digits = [0; 32];
    for (pair, octet) in digits.chunks_exact_mut(2).zip(Md5::digest(line.trim_ascii_start())) {
        pair.copy_from_slice(&[DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]]);
    }
    digits.iter().copied().map(char::from).collect()
}

/// The 32 digits of `ai:0123..`.
fn class_token(class: &[u8]) -> Option<&[u8]> {
    let token = class.strip_prefix(CLASS_PREFIX)?.get(..32)?;
    token.iter().all(u8::is_ascii_hexdigit).then_some(token)
}
