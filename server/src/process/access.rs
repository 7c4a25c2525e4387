//! Access-Request: PAP and CHAP (RFC 2865), then policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use forewarn_shell::clock;
use forewarn_wire::hide::{chap_matches, user_password};
use forewarn_wire::{Attribute, Code, Packet, RadiusKey, WriteError, Writer, number};
use zeroize::Zeroizing;

use super::core::{Case, Desk, Turn, WaitsFor};
use super::mailbox::{Finding, Promise};
use super::outcome::Cause;
use super::password::Password;
use super::reply::{Hiding, write_all};
use super::tables::{Client, Tables};
use crate::policy::{Facts, Verdict};
use crate::users::{Account, Authorization, Lookup, authorize};

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

/// What was found out about an Access-Request so far. Each step takes its answer from here, or asks for it and leaves
/// the request to wait; the answer brings it back to [`Desk::proceed`], from the beginning.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// What the sources besides the configuration know of the name.
    pub(super) account: Option<Lookup>,
    /// Whether the password is right.
    pub(super) password: Option<bool>,
}

impl Desk {
    /// Decides, or asks whoever knows.
    pub(super) fn access(&mut self, tables: &Arc<Tables>, case: Case<'_>, out: &mut [u8]) -> Turn {
        self.proceed(tables, case, Progress::default(), out)
    }

    /// Decides with what is known by now.
    pub(super) fn proceed(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        mut progress: Progress,
        out: &mut [u8],
    ) -> Turn {
        let client = tables.client(case.client);
        let Some(name) = case.request.find(number::USER_NAME) else {
            return reject(client, case, Cause::NoUserName, out);
        };
        if let Some(realm) = tables.realm(name).filter(|realm| realm.pool.is_some()) {
            return self.hand_on(tables, case, realm);
        }
        let mut clear = Zeroizing::new([0; user_password::MAX]);
        let credentials = match credentials(case.request, &client.key, &mut clear) {
            Ok(credentials) => credentials,
            Err(cause) => return reject(client, case, cause, out),
        };
        self.trail.method = credentials.method();
        let elsewhere;
        let account = match tables.user(name) {
            Some(account) => account,
            None => match progress.account.clone().or_else(|| self.shared.directory().known(name)) {
                Some(Lookup::Known(account)) => {
                    progress.account = Some(Lookup::Known(Arc::clone(&account)));
                    elsewhere = account;
                    &*elsewhere
                }
                Some(Lookup::Unknown) => return reject(client, case, Cause::UnknownUser, out),
                Some(Lookup::Away) => return Turn::Silence(Cause::SourceAway),
                None => return self.ask_sources(tables, case, name, progress),
            },
        };
        let authorization = authorize(account, case.request);
        let passwords = &authorization.passwords;
        let right = match (&credentials, progress.password) {
            (_, Some(right)) => right,
            (Credentials::Pap(given), None) => {
                let Some(password) = passwords.iter().next() else {
                    return reject(client, case, Cause::NoPassword, out);
                };
                if password.is_slow() {
                    return self.verify_elsewhere(tables, case, password, given, progress);
                }
                password.matches(given)
            }
            (Credentials::Chap { identifier, response, challenge }, None) => match passwords.clear_text() {
                None => return reject(client, case, Cause::ChapNeedsClearText, out),
                Some(text) => chap_matches(*identifier, text, challenge, response),
            },
        };
        if !right {
            return reject(client, case, Cause::WrongPassword, out);
        }
        self.admit(tables, case, account, &authorization, &credentials, out)
    }

    /// The sources behind the configuration are asked who this is.
    fn ask_sources(&mut self, tables: &Arc<Tables>, case: Case<'_>, name: &[u8], progress: Progress) -> Turn {
        let Some(ticket) = self.wait(tables, case, WaitsFor::Others, progress) else {
            return Turn::Silence(Cause::TooManyInFlight);
        };
        let promise = Promise::new(ticket, Arc::clone(self.shared.mailbox(self.number.into())));
        match self.shared.directory().ask(name, promise) {
            Ok(()) => Turn::Waits,
            Err(promise) => {
                promise.release();
                self.abandon(ticket);
                Turn::Silence(Cause::SourceFull)
            }
        }
    }

    /// A slow hash: on the pool.
    fn verify_elsewhere(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        password: &Password,
        given: &[u8],
        progress: Progress,
    ) -> Turn {
        let taken_up = Arc::new(AtomicBool::new(false));
        let Some(ticket) = self.wait(tables, case, WaitsFor::Worker(Arc::clone(&taken_up)), progress) else {
            return Turn::Silence(Cause::TooManyInFlight);
        };
        let promise = Promise::new(ticket, Arc::clone(self.shared.mailbox(self.number.into())));
        let (password, given) = (password.clone(), Zeroizing::new(given.to_vec()));
        let submitted = self.shared.workers().submit(case.arrived.as_nanos(), move || {
            taken_up.store(true, Ordering::Relaxed);
            promise.keep(Finding::Password(password.matches(&given)));
        });
        if submitted.is_ok() {
            return Turn::Waits;
        }
        // The promise, dropped with the job, has reported; with its slot gone, that report is stale.
        self.abandon(ticket);
        Turn::Silence(Cause::WorkersFull)
    }

    /// Who they are is proven; policy has the last word.
    fn admit(
        &mut self,
        tables: &Tables,
        case: Case<'_>,
        account: &Account,
        authorization: &Authorization<'_>,
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
                user_name: &account.name,
                user_groups: &account.groups,
                user_source: account.source,
                request: case.request,
                method: credentials.method(),
                sessions: None,
                times: policies.times(clock::utc),
            };
            match policies.evaluate(&facts, &mut self.matched, &mut ()) {
                Verdict::Accept => {}
                // Nobody has one yet.
                Verdict::SecondFactor(_) => return reject(client, case, Cause::NoSecondFactor, out),
                Verdict::Reject(number) => return self.reject_by(tables, case, number, out),
                Verdict::Failed(number) => {
                    self.trail.decided_by = Some(Arc::clone(policies.name(number)));
                    return reject(client, case, Cause::PolicyFailed, out);
                }
            }
        }
        let edits = policies.edits(&self.matched);
        let mut hiding =
            Hiding { key: &client.key, request: case.request, random: &mut self.random, salt: None };
        let mut writer = Writer::new(out, Code::ACCESS_ACCEPT, case.request.identifier());
        let written = writer
            .message_authenticator()
            .map(|_| ())
            .and_then(|()| authorization.reply.write(&mut writer, &mut hiding, &edits))
            .and_then(|()| writer.proxy_states(case.request).map(|_| ()))
            .and_then(|()| writer.reply(&client.key, case.request.authenticator()).map(<[u8]>::len));
        match written {
            Ok(length) => Turn::Reply(credentials.cause(), length),
            Err(_) => Turn::Silence(Cause::ReplyTooLong),
        }
    }

    /// The policy of this number rejects, with what it has to say.
    fn reject_by(&mut self, tables: &Tables, case: Case<'_>, number: usize, out: &mut [u8]) -> Turn {
        self.trail.decided_by = Some(Arc::clone(tables.policies().name(number)));
        let client = tables.client(case.client);
        let attributes = &tables.policies().reply(number).attributes;
        let mut hiding =
            Hiding { key: &client.key, request: case.request, random: &mut self.random, salt: None };
        let more = |writer: &mut Writer<'_>| write_all(writer, &mut hiding, attributes);
        rejected(Cause::Policy, write_reject(client, case.request, out, more))
    }
}

/// An Access-Reject, for its time.
fn reject(client: &Client, case: Case<'_>, cause: Cause, out: &mut [u8]) -> Turn {
    rejected(cause, write_reject(client, case.request, out, |_| Ok(())))
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
    writer.proxy_states(request)?;
    writer.reply(&client.key, request.authenticator()).map(<[u8]>::len)
}
