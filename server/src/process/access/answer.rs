//! Access-Accept and Access-Reject.

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use forewarn_wire::hide::user_password;
use forewarn_wire::mschap::{self, Answer, ErrorCode, MICROSOFT, attribute};
use forewarn_wire::{Attributes, Code, Packet, VendorFormat, WriteError, Writer, number};
use rand_core::Rng;
use zeroize::Zeroizing;

use super::credentials::{Credentials, Microsoft, fitting_hash};
use super::cui;
use crate::process::core::{Case, Desk, Turn};
use crate::process::eap::write_success;
use crate::process::outcome::Cause;
use crate::process::reply::{Hiding, write_all};
use crate::process::tables::{Client, Tables};
use crate::users::Authorization;

/// The code of EAP-Failure, and the octets of that packet (RFC 3748 section 4.2).
const EAP_FAILURE: u8 = 4;
/// MS-MPPE-Encryption-Policy: allowed, not required (RFC 2548 section 2.4.4).
const ENCRYPTION_ALLOWED: u32 = 1;
/// MS-MPPE-Encryption-Types: 40 or 128 bits (RFC 2548 section 2.4.5).
const ENCRYPTION_40_OR_128: u32 = 6;
/// Reply-Message of a reject by Simultaneous-Use.
const TOO_MANY_SESSIONS: &[u8] = b"This account has as many sessions as it may have";

/// Who is let in, and with which address of a pool.
#[derive(Clone, Copy)]
pub(super) struct Granted<'a> {
    pub(super) user: &'a [u8],
    pub(super) address: Option<IpAddr>,
    /// Whether sessions count, which accounting tells by name.
    pub(super) is_counted: bool,
}

impl Desk {
    /// The Access-Accept: what the user gets, what the policies that matched make of it, and MS-CHAP's proof and keys.
    /// Without credentials it is Auth-Type that lets the user in.
    pub(super) fn accept(
        &mut self,
        tables: &Tables,
        case: Case<'_>,
        authorization: &Authorization<'_>,
        credentials: Option<&Credentials<'_>>,
        granted: Granted<'_>,
        out: &mut [u8],
    ) -> Turn {
        self.tell_edits(tables.policies());
        let client = tables.client(case.client);
        let policies = tables.policies();
        let edits = policies.edits(&self.matched);
        let mut hiding =
            Hiding { key: &client.key, request: case.request, random: &mut self.random, salt: None };
        let mut writer = Writer::new(out, Code::ACCESS_ACCEPT, case.request.identifier());
        let written = writer
            .message_authenticator()
            .map(|_| ())
            .and_then(|()| authorization.reply.write(&mut writer, &mut hiding, &edits, authorization.longest))
            .and_then(|()| write_address(&mut writer, granted.address))
            .and_then(|()| cui::write(&mut writer, tables.cui(), granted.user, case.request))
            .and_then(|()| match self.eap.as_deref() {
                Some(underway) => write_success(&mut writer, &mut hiding, underway, granted.is_counted),
                None => write_proof(&mut writer, &mut hiding, authorization, credentials),
            })
            .and_then(|()| writer.proxy_states(case.request).map(|_| ()))
            .and_then(|()| writer.reply(&client.key, case.request.authenticator()).map(<[u8]>::len));
        match written {
            Ok(length) if credentials.is_some() && self.eap.is_some() => Turn::Reply(Cause::Eap, length),
            Ok(length) => Turn::Reply(credentials.map_or(Cause::AuthTypeAccept, Credentials::cause), length),
            Err(_) => Turn::Silence(Cause::ReplyTooLong),
        }
    }

    /// An Access-Reject, for its time.
    pub(in crate::process) fn reject(
        &mut self,
        client: &Client,
        case: Case<'_>,
        cause: Cause,
        out: &mut [u8],
    ) -> Turn {
        let challenge = self.challenge();
        rejected(cause, write_reject(client, case.request, cause, challenge, out, |_| Ok(())))
    }

    /// An Access-Reject, with what the account has for such.
    pub(super) fn reject_as(
        &mut self,
        client: &Client,
        case: Case<'_>,
        cause: Cause,
        authorization: &Authorization<'_>,
        out: &mut [u8],
    ) -> Turn {
        self.note_item(cause, authorization);
        let challenge = self.challenge();
        let mut hiding =
            Hiding { key: &client.key, request: case.request, random: &mut self.random, salt: None };
        let more = |writer: &mut Writer<'_>| authorization.reply.write_rejected(writer, &mut hiding);
        rejected(cause, write_reject(client, case.request, cause, challenge, out, more))
    }

    /// An Access-Reject for one session too many. As with FreeRADIUS it tells the user that, and nothing that the account
    /// has for replies.
    pub(super) fn reject_session(
        &mut self,
        client: &Client,
        case: Case<'_>,
        authorization: &Authorization<'_>,
        out: &mut [u8],
    ) -> Turn {
        let cause = Cause::TooManySessions;
        self.note_item(cause, authorization);
        let challenge = self.challenge();
        let more =
            |writer: &mut Writer<'_>| writer.attribute(number::REPLY_MESSAGE, TOO_MANY_SESSIONS).map(|_| ());
        rejected(cause, write_reject(client, case.request, cause, challenge, out, more))
    }

    /// The policy of this number rejects, with what it has to say.
    pub(super) fn reject_by(
        &mut self,
        tables: &Tables,
        case: Case<'_>,
        number: usize,
        out: &mut [u8],
    ) -> Turn {
        self.trail.decided_by = Some(Arc::clone(tables.policies().record(number)));
        self.tell_rejection(tables.policies(), number);
        let client = tables.client(case.client);
        let attributes = &tables.policies().reply(number).attributes;
        let challenge = self.challenge();
        let mut hiding =
            Hiding { key: &client.key, request: case.request, random: &mut self.random, salt: None };
        let more = |writer: &mut Writer<'_>| write_all(writer, &mut hiding, attributes);
        rejected(Cause::Policy, write_reject(client, case.request, Cause::Policy, challenge, out, more))
    }

    /// The check item that decides, for the record.
    fn note_item(&mut self, cause: Cause, authorization: &Authorization<'_>) {
        if let Some(item) = authorization.decided_by(cause) {
            self.trail.decided_by = Some(Arc::clone(item));
        }
    }

    /// For another try, should the peer want one.
    fn challenge(&mut self) -> [u8; mschap::CHALLENGE_2] {
        let mut challenge = [0; mschap::CHALLENGE_2];
        self.random.fill_bytes(&mut challenge);
        challenge
    }
}

/// The address of a pool (RFC 2865 section 5.8, RFC 6911 section 3.1).
fn write_address(writer: &mut Writer<'_>, address: Option<IpAddr>) -> Result<(), WriteError> {
    match address {
        Some(IpAddr::V4(address)) => {
            writer.attribute(number::FRAMED_IP_ADDRESS, &address.octets()).map(|_| ())
        }
        Some(IpAddr::V6(address)) => {
            writer.attribute(number::FRAMED_IPV6_ADDRESS, &address.octets()).map(|_| ())
        }
        None => Ok(()),
    }
}

fn rejected(cause: Cause, written: Result<usize, WriteError>) -> Turn {
    match written {
        Ok(length) => Turn::Reject(cause, length),
        Err(_) => Turn::Silence(Cause::ReplyTooLong),
    }
}

/// `more` writes what this reject has besides what every reject has.
fn write_reject(
    client: &Client,
    request: &Packet<'_>,
    cause: Cause,
    challenge: [u8; mschap::CHALLENGE_2],
    out: &mut [u8],
    more: impl FnOnce(&mut Writer<'_>) -> Result<(), WriteError>,
) -> Result<usize, WriteError> {
    let mut writer = Writer::new(out, Code::ACCESS_REJECT, request.identifier());
    writer.message_authenticator()?;
    // RFC 3579 section 2.6.3: the reject of an EAP conversation carries EAP-Failure.
    if let Some([_, identifier, ..]) = request.find(number::EAP_MESSAGE) {
        writer.eap_message(&[EAP_FAILURE, *identifier, 0, 4])?;
    }
    more(&mut writer)?;
    if let Some(told) = explain(cause)
        && let Some((identifier, is_version2)) = Microsoft::of(request).tried()
    {
        write_error(&mut writer, identifier, is_version2, told, challenge)?;
    }
    writer.proxy_states(request)?;
    writer.reply(&client.key, request.authenticator()).map(<[u8]>::len)
}

/// MS-CHAP-Error (RFC 2548 section 2.1.4; its text: RFC 2433 section 5, RFC 2759 section 6).
fn write_error(
    writer: &mut Writer<'_>,
    identifier: u8,
    is_version2: bool,
    (code, message): (ErrorCode, &str),
    challenge: [u8; mschap::CHALLENGE_2],
) -> Result<(), WriteError> {
    let retries = u8::from(code == ErrorCode::Wrong);
    let mut text = [0; 128];
    let mut rest = &mut text[1..];
    let room = rest.len();
    let code = code as u16;
    // What doesn't fit is left out; all of it fits.
    let _ = if is_version2 {
        let challenge = u128::from_be_bytes(challenge);
        write!(rest, "E={code} R={retries} C={challenge:032x} V=3 M={message}")
    } else {
        let challenge = u128::from_be_bytes(challenge) as u64;
        write!(rest, "E={code} R={retries} C={challenge:016x} V=2")
    };
    let octets = room - rest.len();
    text[0] = identifier;
    writer.vendor(MICROSOFT, VendorFormat::STANDARD, attribute::ERROR, &text[..=octets]).map(|_| ())
}

/// What a peer is told of a cause: enough to ask the user for another password, and no more. `None`: it wasn't MS-CHAP
/// that failed, and no code says what did.
fn explain(cause: Cause) -> Option<(ErrorCode, &'static str)> {
    match cause {
        Cause::PasswordChange => Some((ErrorCode::ChangingPassword, "The password can't be changed here")),
        Cause::Policy | Cause::PolicyFailed | Cause::NoSecondFactor => {
            Some((ErrorCode::NoDialIn, "Access is not permitted"))
        }
        Cause::Expired | Cause::AccountDisabled => {
            Some((ErrorCode::AccountDisabled, "The account is disabled"))
        }
        Cause::OutsideLoginTime => Some((ErrorCode::RestrictedHours, "Not at this hour")),
        Cause::AuthTypeReject
        | Cause::AuthTypeOther
        | Cause::BadRow
        | Cause::TooManySessions
        | Cause::PoolEmpty => None,
        _ => Some((ErrorCode::Wrong, "Authentication failed")),
    }
}

/// What follows from an MS-CHAP response that fits: the server's own proof, and the keys of MPPE. An attribute of MPPE
/// that the user or a policy has set stays as it is.
fn write_proof(
    writer: &mut Writer<'_>,
    hiding: &mut Hiding<'_>,
    authorization: &Authorization<'_>,
    credentials: Option<&Credentials<'_>>,
) -> Result<(), WriteError> {
    let Some(Credentials::MsChap(answer)) = credentials else { return Ok(()) };
    let name = hiding.request.find(number::USER_NAME).unwrap_or_default();
    let Some(hash) = fitting_hash(answer, &authorization.passwords, name) else { return Ok(()) };
    let hash_of_hash = mschap::hash_of_hash(&hash);
    match answer {
        Answer::Version1 { .. } => {
            // RFC 2548 section 2.4.1: the LAN Manager key, the NT key, and padding. As everybody does, the NT key is the
            // hash of the hash; nothing of the LAN Manager hash leaves.
            let mut keys = Zeroizing::new([0; 32]);
            keys[8..24].copy_from_slice(hash_of_hash.as_slice());
            let mut hidden = [0; 32];
            let authenticator = hiding.request.authenticator();
            let hidden = user_password::hide(hiding.key, authenticator, keys.as_slice(), &mut hidden)
                .map_err(|_| WriteError::TooLong { number: number::VENDOR_SPECIFIC, octets: keys.len() })?;
            writer.vendor(MICROSOFT, VendorFormat::STANDARD, attribute::MPPE_KEYS, hidden)?;
        }
        Answer::Version2 { identifier, challenge, peer, response } => {
            let challenge = mschap::challenge_hash(peer, challenge, mschap::bare_name(name));
            let proof = mschap::authenticator_response(&hash_of_hash, response, &challenge);
            let mut success = [*identifier; 1 + mschap::AUTHENTICATOR_RESPONSE];
            success[1..].copy_from_slice(&proof);
            writer.vendor(MICROSOFT, VendorFormat::STANDARD, attribute::SUCCESS_2, &success)?;
            let keys = mschap::StartKeys::new(&hash_of_hash, response);
            hiding.write_vendor(writer, MICROSOFT, attribute::RECEIVE_KEY, keys.receive.as_slice())?;
            hiding.write_vendor(writer, MICROSOFT, attribute::SEND_KEY, keys.send.as_slice())?;
        }
    }
    for (number, value) in [
        (attribute::ENCRYPTION_POLICY, ENCRYPTION_ALLOWED),
        (attribute::ENCRYPTION_TYPES, ENCRYPTION_40_OR_128),
    ] {
        if !has_microsoft(writer.written(), number) {
            writer.vendor(MICROSOFT, VendorFormat::STANDARD, number, &value.to_be_bytes())?;
        }
    }
    Ok(())
}

/// Whether a list has this attribute already.
pub(in crate::process) fn has_attribute(written: &[u8], number: u8) -> bool {
    Attributes::parse(written).into_iter().flatten().any(|attribute| attribute.number == number)
}

/// Whether a list has this attribute of Microsoft's already.
fn has_microsoft(written: &[u8], number: u32) -> bool {
    let inner = Attributes::parse(written).into_iter().flatten().filter_map(|attribute| attribute.vendor());
    let microsoft = inner.filter(|inner| inner.vendor == MICROSOFT);
    microsoft
        .filter_map(|inner| inner.attributes(VendorFormat::STANDARD))
        .any(|mut attributes| attributes.any(|attribute| attribute.number == number))
}
