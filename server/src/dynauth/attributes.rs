//! What goes into a CoA-Request or Disconnect-Request (RFC 5176 sections 3 and 3.6).

use std::net::IpAddr;

use forewarn_dict::{Carrier, Dictionary, PairError, Value};
use forewarn_wire::number::{
    ACCT_MULTI_SESSION_ID, ACCT_SESSION_ID, ACCT_TERMINATE_CAUSE, CALLED_STATION_ID, CALLING_STATION_ID,
    CHARGEABLE_USER_IDENTITY, CLASS, ERROR_CAUSE, EVENT_TIMESTAMP, FRAMED_INTERFACE_ID, FRAMED_IP_ADDRESS,
    FRAMED_IPV6_PREFIX, MESSAGE_AUTHENTICATOR, NAS_IDENTIFIER, NAS_IP_ADDRESS, NAS_IPV6_ADDRESS, NAS_PORT,
    NAS_PORT_ID, PROXY_STATE, REPLY_MESSAGE, SERVICE_TYPE, STATE, USER_NAME, VENDOR_SPECIFIC,
};

use super::session::{self, Session};
use crate::store::accounting::text;

/// What tells the NAS and the session (RFC 5176 section 3).
const IDENTIFYING: &[u8] = &[
    USER_NAME,
    NAS_IP_ADDRESS,
    NAS_PORT,
    FRAMED_IP_ADDRESS,
    VENDOR_SPECIFIC,
    CALLED_STATION_ID,
    CALLING_STATION_ID,
    NAS_IDENTIFIER,
    ACCT_SESSION_ID,
    ACCT_MULTI_SESSION_ID,
    NAS_PORT_ID,
    CHARGEABLE_USER_IDENTITY,
    NAS_IPV6_ADDRESS,
    FRAMED_INTERFACE_ID,
    FRAMED_IPV6_PREFIX,
];
/// What a Disconnect-Request may carry besides (section 3.6).
const BESIDES: &[u8] = &[REPLY_MESSAGE, CLASS, ACCT_TERMINATE_CAUSE];
/// What is the protocol's own, and not an operator's to write.
const OURS: &[u8] = &[PROXY_STATE, EVENT_TIMESTAMP, MESSAGE_AUTHENTICATOR, ERROR_CAUSE];
/// Service-Type "Authorize Only" (section 3.2).
const AUTHORIZE_ONLY: u32 = 17;

/// One attribute of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// The dictionary's name.
    pub name: String,
    /// The outermost number: 26 for a vendor's.
    pub number: u8,
    /// The octets of its value.
    pub value: Vec<u8>,
    /// The whole attribute as it stands in the packet.
    pub wire: Vec<u8>,
}

impl std::fmt::Debug for Given {
    /// Values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads `NAME = VALUE`; quotes around the value are taken off.
///
/// # Errors
/// What is wrong and what would be right, for people.
pub(super) fn read(dictionary: &Dictionary, text: &str) -> Result<Given, String> {
    let wrong = || format!("{text:?} is no attribute; write 'NAME = VALUE', as in 'Session-Timeout = 600'");
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || value.is_empty() {
        return Err(wrong());
    }
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let pair = dictionary.pair(name, Value::Text(value)).map_err(|error| error.to_string())?;
    let path = pair.attribute().path();
    let number = match path.carrier {
        Carrier::Standard => path.numbers.first().copied().unwrap_or_default() as u8,
        Carrier::Vendor(_) => VENDOR_SPECIFIC,
        Carrier::ExtendedVendor { attribute, .. } => attribute,
    };
    let wire = pair.wire().map_err(|error| match error {
        PairError::Hidden { name } => format!(
            "{name} is hidden on the wire, and in such requests it wouldn't be hidden well \
             (draft-ietf-radext-deprecating-radius); set it in the reply to an Access-Request"
        ),
        error => error.to_string(),
    })?;
    Ok(Given { name: pair.attribute().name().to_owned(), number, value: pair.value().to_vec(), wire })
}

/// Whether `given` may tell a session to its NAS.
///
/// # Errors
/// Why not, for people.
pub(super) fn check_identifying(given: &Given, disconnect: bool) -> Result<(), String> {
    if IDENTIFYING.contains(&given.number) || (disconnect && BESIDES.contains(&given.number)) {
        return Ok(());
    }
    let name = &given.name;
    Err(match disconnect {
        _ if OURS.contains(&given.number) => format!("{name} is written by forewarnd itself; leave it out"),
        true => format!(
            "{name} tells no session, and a NAS refuses a Disconnect-Request with anything else (RFC 5176 section 3); \
             leave it out"
        ),
        false => {
            format!("{name} tells no session; if it is to be changed, write --set instead of --attribute")
        }
    })
}

/// Whether these may be set by a CoA-Request.
///
/// # Errors
/// Everything that is wrong, for people.
pub(super) fn check_set(set: &[Given]) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    for Given { name, number, .. } in set {
        if OURS.contains(number) {
            wrong.push(format!("{name} is written by forewarnd itself; leave it out"));
        } else if IDENTIFYING.contains(number) && *number != VENDOR_SPECIFIC {
            wrong.push(format!(
                "{name} only tells the session and can't be changed by a CoA-Request (RFC 5176 section 3.6); write \
                 --attribute to tell it"
            ));
        }
    }
    let authorize_only =
        set.iter().any(|given| given.number == SERVICE_TYPE && given.value == AUTHORIZE_ONLY.to_be_bytes());
    if authorize_only && !set.iter().any(|given| given.number == STATE) {
        wrong.push("Service-Type = Authorize-Only needs a State too (RFC 5176 section 3.3); add --set 'State = 0x..'".into());
    }
    if authorize_only && set.iter().any(|given| ![SERVICE_TYPE, STATE].contains(&given.number)) {
        wrong.push(
            "with Service-Type = Authorize-Only nothing else can be set (RFC 5176 section 3.2); leave the rest out".into(),
        );
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// What tells this session to its NAS, as far as its accounting says.
pub(super) fn of_session(session: &Session) -> Vec<Given> {
    let mut all = Vec::new();
    let mut add = |name: &str, number: u8, value: &[u8]| all.extend(plain(name, number, value));
    add("User-Name", USER_NAME, &text::original_name(&session.user));
    match session::nas(session) {
        Some(IpAddr::V4(address)) => add("NAS-IP-Address", NAS_IP_ADDRESS, &address.octets()),
        Some(IpAddr::V6(address)) => add("NAS-IPv6-Address", NAS_IPV6_ADDRESS, &address.octets()),
        None => {}
    }
    add("Acct-Session-Id", ACCT_SESSION_ID, &text::original(&session.id));
    add("Calling-Station-Id", CALLING_STATION_ID, &text::original(&session.calling_station));
    all
}

/// What an operator says of a session by `--user` and `--session`.
pub(super) fn of_words(user: Option<&str>, session: Option<&str>) -> Vec<Given> {
    let user = user.and_then(|user| plain("User-Name", USER_NAME, user.as_bytes()));
    let session = session.and_then(|session| plain("Acct-Session-Id", ACCT_SESSION_ID, session.as_bytes()));
    user.into_iter().chain(session).collect()
}

/// `base`, with `given` in the place of those of the same number (vendors' apart), and without those named.
pub(super) fn merge(base: Vec<Given>, given: &[Given], without: &[String]) -> Vec<Given> {
    let replaced =
        |one: &Given| one.number != VENDOR_SPECIFIC && given.iter().any(|other| other.number == one.number);
    let named = |one: &Given| without.iter().any(|name| name.eq_ignore_ascii_case(&one.name));
    let kept = base.into_iter().filter(|one| !replaced(one));
    kept.chain(given.iter().cloned()).filter(|one| !named(one)).collect()
}

/// One attribute of octets; nothing where there are none, or too many for one.
fn plain(name: &str, number: u8, value: &[u8]) -> Option<Given> {
    let length = u8::try_from(value.len() + 2).ok().filter(|length| *length > 2)?;
    let wire = [&[number, length], value].concat();
    Some(Given { name: name.to_owned(), number, value: value.to_vec(), wire })
}
