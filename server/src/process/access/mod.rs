//! Access-Request: PAP and CHAP (RFC 2865), MS-CHAP (RFC 2433, RFC 2759), then policy.

mod answer;
mod credentials;
mod cui;
mod factor;
mod named;
mod sessions;
mod verify;

use std::sync::Arc;

use forewarn_eap::{Claim, Kind, Proof as Proven};
use forewarn_shell::clock;
use forewarn_wire::hide::user_password;
use forewarn_wire::{mschap, number};
use zeroize::Zeroizing;

use super::core::{Case, Desk, Turn, WaitsFor};
use super::eap::sessions::SESSIONS;
use super::mailbox::Promise;
use super::outcome::Cause;
use super::story::{Policed, Weighed};
use super::tables::Tables;
use crate::policy::{Facts, Groups, Verdict};
use crate::store::admission::Admission;
use crate::users::{
    Account, Asker, AuthType, Authorization, Lookup, Refusal, Room, authorize, authorize_seen,
};

use answer::Granted;
pub(super) use answer::has_attribute;
use credentials::{Credentials, fitting_hash};
use factor::Proof;
use named::is_machine;
use verify::Next;

/// What was found out about an Access-Request so far. Each step takes its answer from here, or asks for it and leaves
/// the request to wait; the answer brings it back to [`Desk::proceed`], from the beginning.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// What the sources besides the configuration know of the name.
    pub(super) account: Option<Lookup>,
    /// Whether the password is right; false: it is none of those that were `tried`.
    pub(super) password: Option<bool>,
    /// So many passwords that are slow to verify were tried, and then the bind.
    pub(super) tried: u8,
    /// Whether a second factor is proven.
    pub(super) factor: bool,
    /// How many sessions the user has open.
    pub(super) sessions: Option<Admission>,
    /// The session's address.
    pub(super) address: Option<Admission>,
}

impl Progress {
    /// The password is right: a conversation has shown it before.
    pub(super) fn proven() -> Self {
        Self { password: Some(true), ..Self::default() }
    }

    /// Whether a directory has verified the password.
    fn was_bound(&self) -> bool {
        self.tried == verify::BOUND
    }

    /// Whether nothing is known yet.
    fn is_beginning(&self) -> bool {
        self.account.is_none() && self.password.is_none()
    }

    /// Whether nothing of the credentials was looked at yet.
    fn is_unproven(&self) -> bool {
        self.password.is_none() && self.tried == 0
    }
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
        progress: Progress,
        out: &mut [u8],
    ) -> Turn {
        let mut room = std::mem::take(&mut self.room);
        let turn = self.proceed_in(tables, case, progress, &mut room, out);
        self.room = room;
        self.eap_turn(tables, case, turn, out)
    }

    pub(super) fn proceed_in(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        mut progress: Progress,
        room: &mut Room,
        out: &mut [u8],
    ) -> Turn {
        let client = tables.client(case.client);
        let claim = self.eap.as_ref().and_then(|loan| loan.claim().cloned());
        let mut clear = Zeroizing::new([0; user_password::MAX]);
        let (name, credentials) = match &claim {
            Some(claim) => (claim.user.as_slice(), Some(Credentials::of(claim))),
            None => {
                let has_eap = case.request.has_eap_message();
                // With EAP the peer says who it is (RFC 3579 section 2.1).
                let name = case.request.find(number::USER_NAME).or(has_eap.then_some(&[]));
                let Some(name) = name else {
                    return self.reject(client, case, Cause::NoUserName, out);
                };
                match self.destination(tables, case, name) {
                    Ok(Some(realm)) => return self.hand_on(tables, case, realm),
                    Ok(None) if has_eap => return self.eap(tables, case, room, out),
                    Ok(None) => {}
                    Err(cause) => return self.reject(client, case, cause, out),
                }
                match Credentials::find(case.request, &client.key, &mut clear) {
                    Ok(credentials) => (name, Some(credentials)),
                    // There is still Auth-Type := Accept.
                    Err(Cause::NoCredentials) => (name, None),
                    Err(cause) => return self.reject(client, case, cause, out),
                }
            }
        };
        let method = match &claim {
            Some(claim) => claim.method,
            None => credentials.as_ref().map_or("none", Credentials::method),
        };
        self.trail.method = method;
        // What is shown now was a guess when the secret was asked for, and counted then.
        let was_counted = matches!(credentials, Some(Credentials::Shown { .. }));
        let was_beginning = progress.is_beginning();
        if was_beginning && !was_counted && self.is_held(tables, case, name) {
            return self.reject(client, case, Cause::TooManyFailures, out);
        }
        let elsewhere;
        let account = match tables.user(name) {
            Some(account) => account,
            None => match progress.account.clone().or_else(|| self.shared.directory().known(name)) {
                Some(Lookup::Known(account)) => {
                    progress.account = Some(Lookup::Known(Arc::clone(&account)));
                    elsewhere = account;
                    &*elsewhere
                }
                Some(Lookup::Unknown) if self.is_enough(tables, claim.as_deref()) => {
                    elsewhere = Arc::new(Account::of_certificate(&String::from_utf8_lossy(name)));
                    &*elsewhere
                }
                Some(Lookup::Unknown) => {
                    self.tell_unknown(name);
                    if !was_counted {
                        self.count_failure(tables, case, name);
                    }
                    return self.reject(client, case, Cause::UnknownUser, out);
                }
                Some(Lookup::Away) => return Turn::Silence(Cause::SourceAway),
                None => return self.ask_sources(tables, case, name, progress),
            },
        };
        // However it was spelled: a directory knows one user by many names.
        let user = account.name.as_bytes();
        // TEAP asks for the one and then for the other, by what a peer has typed: no machine is its own user.
        let is_teap = claim.as_ref().is_some_and(|claim| claim.method.starts_with(Kind::Teap.record()));
        if is_teap && !is_machine(name) && is_machine(user) {
            return self.reject(client, case, Cause::EapOtherIdentity, out);
        }
        // Others may have failed while this one waited.
        let is_other = user != name || !was_beginning;
        if is_other && progress.is_unproven() && !was_counted && self.is_held(tables, case, user) {
            return self.reject(client, case, Cause::TooManyFailures, out);
        }
        let named = named::octets(case.request, claim.as_deref());
        let named = named.as_deref().map(named::packet);
        let asker = Asker {
            request: named.as_ref().unwrap_or(case.request),
            password: credentials.as_ref().and_then(Credentials::given_password),
            method: match &claim {
                Some(_) => Some(AuthType::Eap),
                None => credentials.as_ref().map(Credentials::auth_type),
            },
            source: case.route.to.ip(),
            client: &client.name,
            group: &client.group,
            now: clock::utc().as_millis() / 1000,
        };
        let authorization = match &mut self.story {
            None => authorize(account, &asker, room),
            Some(story) => authorize_seen(account, &asker, room, &mut Weighed(story)),
        };
        self.tell_account(account, &authorization.passwords, method);
        if let Some(Refusal::Row(error)) = authorization.refusal {
            self.trail.decided_by = Some(error.to_string().into());
        }
        if let Some(cause) = refused(&authorization, credentials.as_ref(), claim.is_some()) {
            return self.reject_as(client, case, cause, &authorization, out);
        }
        let credentials = match (credentials, authorization.auth_type) {
            (credentials, Some(AuthType::Accept)) if !matches!(credentials, Some(Credentials::Secret)) => {
                if let Some(turn) = self.eap_is_right(tables, case, account, None, (false, None), out) {
                    return turn;
                }
                return self.admit(tables, case, account, &authorization, None, progress, out);
            }
            (None, _) => return self.reject_as(client, case, Cause::NoCredentials, &authorization, out),
            (Some(credentials), _) => credentials,
        };
        // MS-CHAPv2 has the name in what it hashes; within EAP it says which.
        let hashed_name = match claim.as_deref().map(|claim| &claim.proof) {
            Some(Proven::MsChap2 { name, .. }) => name.as_slice(),
            _ => name,
        };
        let mut proof = match self.factor(tables, case, &authorization, credentials, &mut progress) {
            Ok(proof) => proof,
            Err(cause) => {
                if cause.is_failure() {
                    self.count_failure(tables, case, user);
                }
                return self.reject_as(client, case, cause, &authorization, out);
            }
        };
        if let Credentials::Secret = proof.credentials {
            return self.lend_secret(tables, case, user, &authorization, out);
        }
        let right = match (&proof.credentials, progress.password) {
            (Credentials::Pap(given), verdict) if verdict != Some(true) => {
                match self.next_proof(tables, case, account, &authorization.passwords, given, &mut progress) {
                    Next::Known(right) => right,
                    Next::NoPassword => {
                        return self.reject_as(client, case, Cause::NoPassword, &authorization, out);
                    }
                    Next::Hash(attempt) => {
                        return self.verify_elsewhere(tables, case, user, attempt, progress);
                    }
                    Next::Bind(dn) => return self.bind_elsewhere(tables, case, dn, given, progress),
                }
            }
            (_, Some(right)) => right,
            (credentials, None) => match credentials.fit(&authorization.passwords, hashed_name) {
                Ok(fit) => fit,
                Err(cause) => return self.reject_as(client, case, cause, &authorization, out),
            },
        };
        self.tell_password(right);
        // Whoever waits for something else comes by here again.
        if right && was_counted && progress.password.is_none() {
            self.forgive_failure(case, user);
        }
        if !right {
            if !was_counted {
                self.count_failure(tables, case, user);
            }
            return self.reject_as(client, case, Cause::WrongPassword, &authorization, out);
        }
        if !self.use_code(user, &mut proof, &mut progress) {
            self.count_failure(tables, case, user);
            return self.reject_as(client, case, Cause::WrongCode, &authorization, out);
        }
        progress.password = Some(true);
        let hash_of_hash = match (&claim, &proof.credentials) {
            (Some(_), Credentials::MsChap(answer)) => {
                fitting_hash(answer, &authorization.passwords, hashed_name)
                    .map(|hash| mschap::hash_of_hash(&hash))
            }
            _ => None,
        };
        // A directory's bind looks at more than the password, and a code counts once: both are wanted each time.
        let lasts = self.eap.is_some() && !progress.was_bound() && !progress.factor;
        let lasts = lasts.then(|| SESSIONS.fingerprint(&authorization.passwords));
        let found = (progress.factor, lasts);
        if let Some(turn) = self.eap_is_right(tables, case, account, hash_of_hash, found, out) {
            return turn;
        }
        self.admit(tables, case, account, &authorization, Some(&proof), progress, out)
    }

    /// Whether a claim is enough without an account.
    fn is_enough(&self, tables: &Tables, claim: Option<&Claim>) -> bool {
        let has_certificate = claim.is_some_and(|claim| matches!(claim.proof, Proven::Certificate(_)));
        has_certificate && tables.eap().is_some_and(|eap| !eap.needs_account)
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

    /// Who they are is proven; policy has the last word.
    #[allow(clippy::too_many_arguments, reason = "what is known of a request by now, part by part")]
    fn admit(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        account: &Account,
        authorization: &Authorization<'_>,
        proof: Option<&Proof<'_>>,
        progress: Progress,
        out: &mut [u8],
    ) -> Turn {
        let client = tables.client(case.client);
        let policies = tables.policies();
        let counts = authorization.simultaneous_use.is_some() || policies.looks_at_sessions();
        if counts && progress.sessions.is_none() {
            return self.count_sessions(tables, case, account, progress);
        }
        // Who can't be counted is let in.
        let sessions = match progress.sessions {
            Some(Admission::Sessions(open)) => Some(u32::try_from(open).unwrap_or(u32::MAX)),
            _ => None,
        };
        if let (Some(most), Some(open)) = (authorization.simultaneous_use, sessions)
            && open >= most
        {
            return self.reject_session(client, case, authorization, out);
        }
        self.matched.clear();
        if !policies.is_empty() {
            let claim = self.eap.as_ref().and_then(|loan| loan.claim().cloned());
            let said = match &claim {
                Some(claim) => &claim.user,
                None => case.request.find(number::USER_NAME).unwrap_or_default(),
            };
            let certificate = match claim.as_deref().map(|claim| &claim.proof) {
                Some(Proven::Certificate(certificate)) => Some(&**certificate),
                _ => None,
            };
            let named = named::octets(case.request, claim.as_deref());
            let named = named.as_deref().map(named::packet);
            // However it was spelled: a directory minds neither blanks nor case.
            let is_machine = [said, account.name.as_bytes()].iter().any(|name| is_machine(name));
            let machine = self.eap.as_ref().and_then(|loan| loan.machine().cloned());
            // Takes no memory.
            let nobodys = Groups::default();
            let (machine_name, machine_groups) = match &machine {
                Some(machine) => (&*machine.name, &machine.groups),
                None if is_machine => (&*account.name, &account.groups),
                None => ("", &nobodys),
            };
            let facts = Facts {
                is_machine,
                machine_name,
                machine_groups,
                certificate,
                client_name: &client.name,
                client_group: &client.group,
                client_address: case.route.to.ip().to_canonical(),
                user_name: &account.name,
                user_groups: &account.groups,
                user_source: account.source,
                request: named.as_ref().unwrap_or(case.request),
                method: self.trail.method,
                sessions,
                times: policies.times(clock::utc),
            };
            let mut watch = Policed { story: self.story.as_deref_mut(), policies, facts: &facts };
            match policies.evaluate(&facts, &mut self.matched, &mut watch) {
                Verdict::Accept => {}
                Verdict::SecondFactor(number) => {
                    if authorization.totp.is_none() || proof.is_none() {
                        self.trail.decided_by = Some(Arc::clone(policies.name(number)));
                        return self.reject_as(client, case, Cause::NoSecondFactor, authorization, out);
                    }
                }
                Verdict::Reject(number) => return self.reject_by(tables, case, number, out),
                Verdict::Failed(number) => {
                    self.trail.decided_by = Some(Arc::clone(policies.name(number)));
                    return self.reject(client, case, Cause::PolicyFailed, out);
                }
            }
        }
        // Who has a secret needs a code, whatever the policies say.
        if authorization.totp.is_some() && proof.is_some_and(|proof| !proof.is_twofold) {
            return self.ask_for_code(tables, case, out);
        }
        // Who has an address takes none from the pool, as with FreeRADIUS's `sqlippool`.
        let edits = policies.edits(&self.matched);
        let pool = authorization.pool.filter(|_| !authorization.reply.has(number::FRAMED_IP_ADDRESS, &edits));
        let address = match (pool, progress.address) {
            (None, _) | (_, Some(Admission::NoPool)) => None,
            (_, Some(Admission::Address(address))) => Some(address),
            // Who only wants to know what would be answered holds no address.
            (Some(_), None) if self.story.is_some() => None,
            (Some(pool), None) => return self.ask_address(tables, case, pool, progress),
            (_, Some(Admission::PoolEmpty)) => {
                return self.reject_as(client, case, Cause::PoolEmpty, authorization, out);
            }
            (_, Some(_)) => return Turn::Silence(Cause::PoolAway),
        };
        self.succeed(tables, case, account.name.as_bytes());
        let granted = Granted { user: account.name.as_bytes(), address, is_counted: counts };
        self.accept(tables, case, authorization, proof.map(|proof| &proof.credentials), granted, out)
    }
}

/// Why an account is of no use to this request, before its credentials are looked at.
fn refused(
    authorization: &Authorization<'_>,
    credentials: Option<&Credentials<'_>>,
    is_eap: bool,
) -> Option<Cause> {
    match authorization.refusal {
        Some(Refusal::Row(_)) => return Some(Cause::BadRow),
        Some(Refusal::Expired) => return Some(Cause::Expired),
        Some(Refusal::OutsideHours) => return Some(Cause::OutsideLoginTime),
        Some(Refusal::Closed) => return Some(Cause::AccountDisabled),
        None => {}
    }
    // They are no password that a condition could be put before.
    if matches!(credentials, Some(Credentials::Certificate | Credentials::Resumed(_)))
        && authorization.is_unmet
    {
        return Some(Cause::NoPassword);
    }
    match authorization.auth_type {
        None | Some(AuthType::Accept) => None,
        Some(AuthType::Reject) => Some(Cause::AuthTypeReject),
        Some(AuthType::Eap) if is_eap => None,
        asked if asked == credentials.map(Credentials::auth_type) => None,
        Some(_) => Some(Cause::AuthTypeOther),
    }
}
