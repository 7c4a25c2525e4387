//! TLVs of TEAP (RFC 9930 section 4.2): read all at once, each known one at most once, and written.

/// Numbers.
pub(super) const AUTHORITY_ID: u16 = 1;
pub(super) const IDENTITY_TYPE: u16 = 2;
pub(super) const RESULT: u16 = 3;
pub(super) const NAK: u16 = 4;
pub(super) const ERROR: u16 = 5;
const CHANNEL_BINDING: u16 = 6;
const VENDOR_SPECIFIC: u16 = 7;
pub(super) const REQUEST_ACTION: u16 = 8;
pub(super) const EAP_PAYLOAD: u16 = 9;
pub(super) const INTERMEDIATE_RESULT: u16 = 10;
pub(super) const CRYPTO_BINDING: u16 = 12;
pub(super) const PASSWORD_REQUEST: u16 = 13;
pub(super) const PASSWORD: u16 = 14;

/// Of Result and Intermediate-Result.
pub(super) const SUCCESS: u16 = 1;
pub(super) const FAILURE: u16 = 2;

const MANDATORY: u16 = 0x8000;
const NUMBER: u16 = 0x3fff;

/// What a peer says at one time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub(super) identity_type: Option<u16>,
    pub(super) result: Option<u16>,
    pub(super) intermediate_result: Option<u16>,
    /// What it asks for before the end: the status it takes instead.
    pub(super) action: Option<u8>,
    /// The number of what it doesn't take.
    pub(super) nak: Option<u16>,
    /// The worst of its errors.
    pub(super) error: Option<u32>,
    pub(super) binding: Option<&'a [u8]>,
    pub(super) eap: Option<&'a [u8]>,
    /// A name and a password.
    pub(super) password: Option<(&'a [u8], &'a [u8])>,
}

/// Why it can't be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// A length that lies, a value that isn't one, one TLV twice.
    Malformed,
    /// A mandatory TLV that nobody knows here: its vendor, and its number.
    Unknown(u32, u16),
}

/// Reads a message. What is optional and not understood counts as not there.
pub(super) fn parse(message: &[u8]) -> Result<Said<'_>, Odd> {
    let mut said = Said::default();
    let mut unknown = None;
    let mut rest = message;
    while !rest.is_empty() {
        let (&[a, b, c, d], behind) = rest.split_first_chunk::<4>().ok_or(Odd::Malformed)?;
        let (head, length) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])));
        let (value, behind) = behind.split_at_checked(length).ok_or(Odd::Malformed)?;
        rest = behind;
        match head & NUMBER {
            IDENTITY_TYPE => put(&mut said.identity_type, number(value))?,
            RESULT => put(&mut said.result, number(value))?,
            INTERMEDIATE_RESULT => put(&mut said.intermediate_result, number(value))?,
            REQUEST_ACTION => put(&mut said.action, value.first().copied())?,
            // Several may be there; one decides.
            NAK => said.nak = Some(value.get(4..).and_then(number).ok_or(Odd::Malformed)?),
            ERROR => {
                let code = u32::from_be_bytes(value.try_into().map_err(|_| Odd::Malformed)?);
                said.error = said.error.max(Some(code));
            }
            CRYPTO_BINDING => put(&mut said.binding, Some(value))?,
            EAP_PAYLOAD => put(&mut said.eap, Some(value))?,
            PASSWORD => put(&mut said.password, password(value))?,
            // Nobody has asked for what it says, and it can't be refused (section 4.2.7).
            CHANNEL_BINDING => {}
            VENDOR_SPECIFIC if head & MANDATORY != 0 => {
                let (vendor, _) = value.split_first_chunk().ok_or(Odd::Malformed)?;
                unknown = unknown.or(Some(Odd::Unknown(u32::from_be_bytes(*vendor), VENDOR_SPECIFIC)));
            }
            other if head & MANDATORY != 0 => unknown = unknown.or(Some(Odd::Unknown(0, other))),
            _ => {}
        }
    }
    match unknown {
        // Section 4.2.5: a result isn't answered by a NAK.
        Some(_) if said.result.is_some() => Err(Odd::Malformed),
        Some(unknown) => Err(unknown),
        None => Ok(said),
    }
}

fn put<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), Odd> {
    match (&place, value) {
        (None, Some(value)) => *place = Some(value),
        _ => return Err(Odd::Malformed),
    }
    Ok(())
}

fn number(value: &[u8]) -> Option<u16> {
    value.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

/// Two lengths, and what they are of; neither is 0 (section 4.2.15).
fn password(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let counted = |value: &[u8]| {
        value.split_first().map(|(length, _)| usize::from(*length)).filter(|length| *length > 0)
    };
    let (name, rest) = value.get(1..)?.split_at_checked(counted(value)?)?;
    let password = rest.get(1..)?;
    (counted(rest)? == password.len()).then_some((name, password))
}

/// Writes one that has to be understood.
pub(super) fn put_mandatory(out: &mut Vec<u8>, number: u16, value: &[u8]) {
    put_with(out, number | MANDATORY, value);
}

/// Writes one that needn't be.
pub(super) fn put_optional(out: &mut Vec<u8>, number: u16, value: &[u8]) {
    put_with(out, number, value);
}

fn put_with(out: &mut Vec<u8>, head: u16, value: &[u8]) {
    out.extend(head.to_be_bytes());
    // What a server says in one TLV has far fewer octets.
    out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(value);
}

/// Says that one isn't known.
pub(super) fn nak(vendor: u32, number: u16) -> Vec<u8> {
    let mut out = Vec::new();
    put_mandatory(&mut out, NAK, &[&vendor.to_be_bytes()[..], &number.to_be_bytes()].concat());
    out
}
