//! Access-Request: PAP and CHAP (RFC 2865), then policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use forewarn_wire::hide::{chap_matches, user_password};
use forewarn_wire::{Attribute, Code, Packet, RadiusKey, WriteError, Writer, number};
use zeroize::Zeroizing;

use super::core::{Case, Desk, Turn};
use super::mailbox::{Finding, Promise};
use super::outcome::Cause;
use super::reply::Hiding;
use super::tables::{Client, Tables, User};
use crate::policy::{Facts, RequestFacts, Verdict};

/// The code of EAP-Failure, and the octets of that packet (RFC 3748 section 4.2).
const EAP_FAILURE: u8 = 4;

/// What a request brings to prove who asks.
enum Credentials<'a> {
    Pap(&'a [u8]),
    Chap { identifier: u8, response: &'a [u8; 16], challenge: &'a [u8] },
}

impl Credentials<'_> {
    fn method(&self) -> &'static str {
        match self {
            Credentials::Pap(_) => "pap",
            Credentials::Chap { .. } => "chap",
        }
    }

    fn cause(&self) -> Cause {
        match self {
            Credentials::Pap(_) => Cause::Password,
            Credentials::Chap { .. } => Cause::Chap,
        }
    }
}

/// Finds the credentials; a password is revealed into `clear`.
fn credentials<'a>(
    request: &Packet<'a>,
    key: &RadiusKey,
    clear: &'a mut [u8; user_password::MAX],
) -> Result<Credentials<'a>, Cause> {
    let (mut password, mut chap, mut challenge) = (None, None, None);
    for Attribute { number, value, .. } in request.attributes() {
        match number {
            number::USER_PASSWORD => password = password.or(Some(value)),
            number::CHAP_PASSWORD => chap = chap.or(Some(value)),
            number::CHAP_CHALLENGE => challenge = challenge.or(Some(value)),
            number::EAP_MESSAGE => return Err(Cause::EapNotOffered),
            _ => {}
        }
    }
    if let Some(hidden) = password {
        let password = user_password::reveal(key, request.authenticator(), hidden, clear);
        return password.map(Credentials::Pap).map_err(|_| Cause::BadCredentials);
    }
    // RFC 2865 section 5.3: one octet of identifier, sixteen of response.
    let (identifier, response) =
        chap.ok_or(Cause::NoCredentials)?.split_first().ok_or(Cause::BadCredentials)?;
    let response = response.try_into().map_err(|_| Cause::BadCredentials)?;
    let challenge = challenge.unwrap_or(request.authenticator());
    Ok(Credentials::Chap { identifier: *identifier, response, challenge })
}

impl Desk {
    /// Decides, or hands the decision to a worker.
    pub(super) fn access(&mut self, tables: &Arc<Tables>, case: Case<'_>, out: &mut [u8]) -> Turn {
        let client = tables.client(case.client);
        let Some(name) = case.request.find(number::USER_NAME) else {
            return reject(client, case, Cause::NoUserName, out);
        };
        let mut clear = Zeroizing::new([0; user_password::MAX]);
        let credentials = match credentials(case.request, &client.key, &mut clear) {
            Ok(credentials) => credentials,
            Err(cause) => return reject(client, case, cause, out),
        };
        let Some(user) = tables.user(name) else {
            return reject(client, case, Cause::UnknownUser, out);
        };
        match &credentials {
            Credentials::Pap(given) if user.password.is_slow() => {
                self.verify_elsewhere(tables, case, name, given)
            }
            Credentials::Pap(given) if user.password.matches(given) => {
                self.admit(tables, case, user, &credentials, out)
            }
            Credentials::Pap(_) => reject(client, case, Cause::WrongPassword, out),
            Credentials::Chap { identifier, response, challenge } => match user.password.clear_text() {
                None => reject(client, case, Cause::ChapNeedsClearText, out),
                Some(text) if chap_matches(*identifier, text, challenge, response) => {
                    self.admit(tables, case, user, &credentials, out)
                }
                Some(_) => reject(client, case, Cause::WrongPassword, out),
            },
        }
    }

    /// A slow hash: on the pool.
    fn verify_elsewhere(&mut self, tables: &Arc<Tables>, case: Case<'_>, name: &[u8], given: &[u8]) -> Turn {
        let taken_up = Arc::new(AtomicBool::new(false));
        let Some(ticket) = self.wait(tables, case, Some(Arc::clone(&taken_up))) else {
            return Turn::Silence(Cause::TooManyInFlight);
        };
        let promise = Promise::new(ticket, Arc::clone(self.shared.mailbox(self.number.into())));
        let (name, given) = (Box::<[u8]>::from(name), Zeroizing::new(given.to_vec()));
        let tables = Arc::clone(tables);
        let submitted = self.shared.workers().submit(case.arrived.as_nanos(), move || {
            taken_up.store(true, Ordering::Relaxed);
            let right = tables.user(&name).is_some_and(|user| user.password.matches(&given));
            promise.keep(Finding::Password(right));
        });
        if submitted.is_ok() {
            return Turn::Waits;
        }
        // The promise, dropped with the job, has reported; with its slot gone, that report is stale.
        self.abandon(ticket);
        Turn::Silence(Cause::WorkersFull)
    }

    /// The worker has decided.
    pub(super) fn decided(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        right: bool,
        out: &mut [u8],
    ) -> Turn {
        let client = tables.client(case.client);
        let user = case.request.find(number::USER_NAME).and_then(|name| tables.user(name));
        match user {
            Some(user) if right => self.admit(tables, case, user, &Credentials::Pap(&[]), out),
            _ => reject(client, case, Cause::WrongPassword, out),
        }
    }

    /// Who they are is proven; policy has the last word.
    fn admit(
        &mut self,
        tables: &Tables,
        case: Case<'_>,
        user: &User,
        credentials: &Credentials<'_>,
        out: &mut [u8],
    ) -> Turn {
        let client = tables.client(case.client);
        let policies = tables.policies();
        self.matched.clear();
        if !policies.is_empty() {
            let facts = Facts {
                client_name: &client.name,
                client_group: &client.group,
                client_address: case.route.to.ip().to_canonical(),
                user_name: &user.name,
                user_groups: &user.groups,
                request: request_facts(case.request, credentials.method()),
            };
            match policies.evaluate(&self.root, &facts, &mut self.matched) {
                Verdict::Accept => {}
                Verdict::Reject(_) => return reject(client, case, Cause::Policy, out),
                Verdict::Failed(_) => return reject(client, case, Cause::PolicyFailed, out),
            }
        }
        let replies = self.matched.iter().map(|number| policies.reply(*number));
        let mut hiding =
            Hiding { key: &client.key, request: case.request, random: &mut self.random, salt: None };
        let mut writer = Writer::new(out, Code::ACCESS_ACCEPT, case.request.identifier());
        let written = writer
            .message_authenticator()
            .map(|_| ())
            .and_then(|()| user.reply.write(&mut writer, &mut hiding, replies))
            .and_then(|()| writer.proxy_states(case.request).map(|_| ()))
            .and_then(|()| writer.reply(&client.key, case.request.authenticator()).map(<[u8]>::len));
        match written {
            Ok(length) => Turn::Reply(credentials.cause(), length),
            Err(_) => Turn::Silence(Cause::ReplyTooLong),
        }
    }
}

/// An Access-Reject, for its time.
fn reject(client: &Client, case: Case<'_>, cause: Cause, out: &mut [u8]) -> Turn {
    match write_reject(client, case.request, out) {
        Ok(length) => Turn::Reject(cause, length),
        Err(_) => Turn::Silence(Cause::ReplyTooLong),
    }
}

fn write_reject(client: &Client, request: &Packet<'_>, out: &mut [u8]) -> Result<usize, WriteError> {
    let mut writer = Writer::new(out, Code::ACCESS_REJECT, request.identifier());
    writer.message_authenticator()?;
    // RFC 3579 section 2.6.3: the reject of an EAP conversation carries EAP-Failure.
    if let Some([_, identifier, ..]) = request.find(number::EAP_MESSAGE) {
        writer.eap_message(&[EAP_FAILURE, *identifier, 0, 4])?;
    }
    writer.proxy_states(request)?;
    writer.reply(&client.key, request.authenticator()).map(<[u8]>::len)
}

fn request_facts<'a>(request: &Packet<'a>, method: &'a str) -> RequestFacts<'a> {
    let mut facts = RequestFacts { method, ..RequestFacts::default() };
    for attribute in request.attributes() {
        let value = attribute.value;
        match attribute.number {
            number::USER_NAME => facts.user_name = value,
            number::CALLED_STATION_ID => facts.called_station_id = value,
            number::CALLING_STATION_ID => facts.calling_station_id = value,
            number::NAS_IDENTIFIER => facts.nas_identifier = value,
            number::NAS_PORT_ID => facts.nas_port_id = value,
            number::NAS_IP_ADDRESS => facts.nas_ip_address = attribute.ipv4().map(Into::into),
            number::NAS_IPV6_ADDRESS if facts.nas_ip_address.is_none() => {
                facts.nas_ip_address = attribute.ipv6().map(Into::into);
            }
            number::NAS_PORT => facts.nas_port = attribute.integer(),
            number::NAS_PORT_TYPE => facts.nas_port_type = attribute.integer(),
            number::SERVICE_TYPE => facts.service_type = attribute.integer(),
            number::FRAMED_PROTOCOL => facts.framed_protocol = attribute.integer(),
            _ => {}
        }
    }
    facts
}
