//! Passwords whose verification has to wait, and those who guess.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use forewarn_eap::Verdict;
use forewarn_shell::log::quoted;
use zeroize::Zeroizing;

use super::Progress;
use crate::process::core::{Case, Desk, Turn, WaitsFor};
use crate::process::failures::{Hold, Pair};
use crate::process::mailbox::{Finding, Promise};
use crate::process::outcome::Cause;
use crate::process::password::Password;
use crate::process::tables::Tables;
use crate::process::verifier::{Attempt, Digest, Refusal, Waiter};
use crate::users::{Account, Authorization, Passwords};

/// In the place of how many hashes were tried: the directory was asked, too.
pub(super) const BOUND: u8 = u8::MAX;

/// What shows next whether a password is right.
pub(super) enum Next<'a> {
    /// Nothing: it is known.
    Known(bool),
    /// Nothing: there is none it could be compared with.
    NoPassword,
    /// A slow hash.
    Hash((Digest, &'a Password, &'a [u8])),
    /// A bind as this entry.
    Bind(&'a Arc<str>),
}

impl Desk {
    /// What is quick comes first, then one slow hash after the other, each once. A directory is asked last, where it
    /// keeps a password to itself: a bind that fails may count there.
    pub(super) fn next_proof<'a>(
        &self,
        tables: &Tables,
        case: Case<'_>,
        account: &'a Account,
        passwords: &Passwords<'a>,
        given: &'a [u8],
        progress: &mut Progress,
    ) -> Next<'a> {
        if passwords.is_empty() && account.bind.is_none() {
            return Next::NoPassword;
        }
        if progress.tried == 0
            && passwords.for_pap().any(|password| !password.is_slow() && password.matches(given))
        {
            return Next::Known(true);
        }
        let (verifier, keep) = (self.shared.verifier(), tables.limits().verified);
        let digest = |password: &Password| verifier.digest(account.name.as_bytes(), password, given);
        let slow = || passwords.for_pap().filter(|password| password.is_slow());
        if progress.tried == 0 && slow().any(|password| verifier.knows(&digest(password), case.arrived, keep))
        {
            return Next::Known(true);
        }
        if let Some(password) = slow().nth(progress.tried.into()) {
            progress.tried += 1;
            return Next::Hash((digest(password), password, given));
        }
        match &account.bind {
            Some(dn) if progress.tried < BOUND => {
                progress.tried = BOUND;
                Next::Bind(dn)
            }
            _ => Next::Known(false),
        }
    }

    /// A slow hash: on the pool, or with whoever asks the same.
    pub(super) fn verify_elsewhere(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        user: &[u8],
        (digest, stored, given): (Digest, &Password, &[u8]),
        progress: Progress,
    ) -> Turn {
        let taken_up = Arc::new(AtomicBool::new(false));
        let Some(ticket) = self.wait(tables, case, WaitsFor::Worker(Arc::clone(&taken_up)), progress) else {
            return Turn::Silence(Cause::TooManyInFlight);
        };
        let promise = Promise::new(ticket, Arc::clone(self.shared.mailbox(self.number.into())));
        let given = Zeroizing::new(given.to_vec());
        let attempt = Attempt { digest, user: user.into(), stored: stored.clone(), given };
        let waiter = Waiter { promise, taken_up };
        let stamp_ns = case.arrived.as_nanos();
        let (waiter, cause) =
            match self.shared.verifier().verify(self.shared.workers(), stamp_ns, attempt, waiter) {
                Ok(()) => return Turn::Waits,
                Err(Refusal::User(waiter)) => (waiter, Cause::UserBusy),
                Err(Refusal::Full(waiter)) => (waiter, Cause::WorkersFull),
            };
        waiter.promise.release();
        self.abandon(ticket);
        Turn::Silence(cause)
    }

    /// The directory is asked to let the user in.
    pub(super) fn bind_elsewhere(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        dn: &Arc<str>,
        given: &[u8],
        progress: Progress,
    ) -> Turn {
        let Some(directory) = self.shared.ldap() else { return Turn::Silence(Cause::SourceAway) };
        let Some(ticket) = self.wait(tables, case, WaitsFor::Others, progress) else {
            return Turn::Silence(Cause::TooManyInFlight);
        };
        let promise = Promise::new(ticket, Arc::clone(self.shared.mailbox(self.number.into())));
        let (dn, given) = (Arc::clone(dn), Zeroizing::new(given.to_vec()));
        self.shared.stores().spawn(async move {
            // What isn't text is nobody's password there.
            let Ok(given) = std::str::from_utf8(&given) else {
                return promise.keep(Finding::Password(false));
            };
            promise.keep(match directory.verify(&dn, given).await {
                Ok(right) => Finding::Password(right),
                Err(_) => Finding::Unverified,
            });
        });
        Turn::Waits
    }

    /// Whether nothing of this user's request is looked at.
    pub(super) fn is_held(&self, tables: &Tables, case: Case<'_>, user: &[u8]) -> bool {
        self.shared.failures().is_held(self.pair(case, user), case.arrived, tables.limits())
    }

    /// Counts a failure of the user at this address, and says so when it is one too many.
    pub(super) fn count_failure(&self, tables: &Tables, case: Case<'_>, user: &[u8]) {
        let client = tables.client(case.client);
        let limits = tables.limits();
        if !self.shared.failures().fail(self.pair(case, user), case.arrived, limits) {
            return;
        }
        let address = case.route.to.ip().to_canonical();
        let until = case.arrived + limits.hold;
        let hold = Hold { user: user.into(), address, failures: limits.failures, until };
        if self.shared.failures().note(hold, case.arrived) {
            tracing::warn!(
                "user {} has failed {} times within {:?} by client {:?} ({address}): rejected unseen there for {:?}; if that isn't somebody guessing, a device has an old password",
                quoted(user),
                limits.failures,
                limits.within,
                client.name,
                limits.hold
            );
        }
    }

    /// A failure that was counted in advance was none.
    pub(super) fn forgive_failure(&self, case: Case<'_>, user: &[u8]) {
        self.shared.failures().forgive(self.pair(case, user));
    }

    /// The password goes to the method that asks for it. That is a guess, whether or not its peer is heard of again, and
    /// a failure until it is shown to be none.
    pub(super) fn lend_secret(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        user: &[u8],
        authorization: &Authorization<'_>,
        out: &mut [u8],
    ) -> Turn {
        let client = tables.client(case.client);
        let cause = match (authorization.passwords.clear_texts().next(), self.eap.take()) {
            (Some(secret), Some(loan)) => {
                let verdict = Verdict::Secret(Zeroizing::new(secret.to_vec()));
                let turn = self.eap_verdict_elsewhere(tables, case, loan, verdict);
                // Where there is nobody to work on it, the password stays here.
                if let Turn::Waits = turn {
                    self.count_failure(tables, case, user);
                }
                return turn;
            }
            (_, loan) => {
                self.eap = loan;
                let none = authorization.passwords.is_empty();
                if none { Cause::NoPassword } else { Cause::PwdNeedsClearText }
            }
        };
        self.reject_as(client, case, cause, authorization, out)
    }

    /// The user is let in: earlier failures at this address don't count any more.
    pub(super) fn succeed(&self, tables: &Tables, case: Case<'_>, user: &[u8]) {
        if tables.limits().failures > 0 {
            self.shared.failures().succeed(self.pair(case, user));
        }
    }

    /// Who is counted when this request fails.
    fn pair(&self, case: Case<'_>, user: &[u8]) -> Pair {
        self.shared.failures().pair(user, case.route.to.ip().to_canonical())
    }
}
