//! The packets of EAP: Access-Challenge, and what EAP adds to an Access-Accept (RFC 3579).

use forewarn_eap::Keys;
use forewarn_wire::mschap::{MICROSOFT, attribute};
use forewarn_wire::{Code, WriteError, Writer, number};

use super::Underway;
use crate::process::access::has_attribute;
use crate::process::core::{Case, Desk, Turn, write_plain};
use crate::process::outcome::Cause;
use crate::process::reply::Hiding;
use crate::process::tables::{Client, Tables};

/// The code of EAP-Success, and of EAP-Failure (RFC 3748 section 4.2).
const EAP_SUCCESS: u8 = 3;
const EAP_FAILURE: u8 = 4;
/// Session-Timeout of a challenge: how long a NAS waits for its peer, seconds (RFC 3579 section 2.3.2, RFC 3580
/// section 3.17). People type passwords.
const PATIENCE: u32 = 30;

impl Desk {
    /// The Access-Challenge with the request that the conversation at hand has ready.
    pub(super) fn challenge_eap(
        &mut self,
        tables: &Tables,
        case: Case<'_>,
        cause: Cause,
        out: &mut [u8],
    ) -> Turn {
        let client = tables.client(case.client);
        let Some((loan, state)) = self.eap_state(tables, case) else {
            return Turn::Silence(Cause::WorkerFailed);
        };
        let mut write = || {
            let mut writer = Writer::new(out, Code::ACCESS_CHALLENGE, case.request.identifier());
            writer.message_authenticator()?;
            writer.eap_message(loan.conversation.request())?;
            writer.attribute(number::STATE, &state)?;
            writer.integer(number::SESSION_TIMEOUT, PATIENCE)?;
            writer.proxy_states(case.request)?;
            writer.reply(&client.key, case.request.authenticator()).map(<[u8]>::len)
        };
        match write() {
            Ok(length) => Turn::Reply(cause, length),
            Err(_) => Turn::Silence(Cause::ReplyTooLong),
        }
    }

    /// The Access-Reject of a packet whose conversation isn't here. At once: nobody guesses by it, and the peer begins
    /// anew the sooner.
    pub(super) fn reject_stray(&mut self, client: &Client, case: Case<'_>, out: &mut [u8]) -> Turn {
        let written = match eap_identifier(case) {
            None => write_plain(out, Code::ACCESS_REJECT, client, case.request),
            Some(identifier) => {
                let mut writer = Writer::new(out, Code::ACCESS_REJECT, case.request.identifier());
                writer
                    .message_authenticator()
                    .and_then(|writer| writer.eap_message(&[EAP_FAILURE, identifier, 0, 4]))
                    .and_then(|writer| writer.proxy_states(case.request))
                    .map(|_| ())
                    .and_then(|()| writer.reply(&client.key, case.request.authenticator()).map(<[u8]>::len))
            }
        };
        match written {
            Ok(length) => Turn::Reply(Cause::EapStray, length),
            Err(_) => Turn::Silence(Cause::ReplyTooLong),
        }
    }
}

/// EAP-Success, the name that was proven, and the keys (RFC 3579 sections 2.2 and 3.16). Where sessions count, accounting
/// has to have that name.
pub(in crate::process) fn write_success(
    writer: &mut Writer<'_>,
    hiding: &mut Hiding<'_>,
    underway: &Underway,
    is_counted: bool,
) -> Result<(), WriteError> {
    if let Some([_, identifier, ..]) = hiding.request.find(number::EAP_MESSAGE) {
        writer.eap_message(&[EAP_SUCCESS, *identifier, 0, 4])?;
    }
    // Who asks for a name that doesn't tell who it is isn't told.
    let is_veiled = !is_counted && has_attribute(writer.written(), number::CHARGEABLE_USER_IDENTITY);
    if let Some(claim) = underway.claim()
        && !is_veiled
        && !has_attribute(writer.written(), number::USER_NAME)
    {
        // A name that no User-Name can carry is left to the request's.
        let _ = writer.attribute(number::USER_NAME, &claim.user);
    }
    let Some(Some(keys)) = underway.ended() else { return Ok(()) };
    write_keys(writer, hiding, keys)?;
    // RFC 7268 section 2.2: asked for by a NUL; anything else counts as not there.
    match (hiding.request.find(number::EAP_KEY_NAME), keys.session_id()) {
        (Some([0]), Some(session_id)) => writer.attribute(number::EAP_KEY_NAME, session_id).map(|_| ()),
        _ => Ok(()),
    }
}

/// RFC 2548 sections 2.4.2 and 2.4.3: which is which is said from the NAS's side.
fn write_keys(writer: &mut Writer<'_>, hiding: &mut Hiding<'_>, keys: &Keys) -> Result<(), WriteError> {
    hiding.write_vendor(writer, MICROSOFT, attribute::RECEIVE_KEY, keys.receive())?;
    hiding.write_vendor(writer, MICROSOFT, attribute::SEND_KEY, keys.send())
}

fn eap_identifier(case: Case<'_>) -> Option<u8> {
    match case.request.find(number::EAP_MESSAGE) {
        Some([_, identifier, ..]) => Some(*identifier),
        _ => None,
    }
}
