//! Passwords whose verification has to wait, and those who guess.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use forewarn_shell::log::quoted;
use forewarn_wire::number;
use zeroize::Zeroizing;

use super::Progress;
use crate::process::core::{Case, Desk, Turn, WaitsFor};
use crate::process::failures::{Hold, Pair};
use crate::process::mailbox::{Finding, Promise};
use crate::process::outcome::Cause;
use crate::process::password::Password;
use crate::process::tables::Tables;
use crate::process::verifier::{Attempt, Digest, Refusal, Waiter};

impl Desk {
    /// A slow hash: on the pool, or with whoever asks the same.
    pub(super) fn verify_elsewhere(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        (digest, stored, given): (Digest, &Password, &[u8]),
        progress: Progress,
    ) -> Turn {
        let taken_up = Arc::new(AtomicBool::new(false));
        let Some(ticket) = self.wait(tables, case, WaitsFor::Worker(Arc::clone(&taken_up)), progress) else {
            return Turn::Silence(Cause::TooManyInFlight);
        };
        let promise = Promise::new(ticket, Arc::clone(self.shared.mailbox(self.number.into())));
        let user = case.request.find(number::USER_NAME).unwrap_or_default();
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

    /// Who is counted when this request fails.
    pub(super) fn pair(&self, case: Case<'_>, name: &[u8]) -> Pair {
        self.shared.failures().pair(name, case.route.to.ip().to_canonical())
    }

    /// Whether nothing of this request is looked at.
    pub(super) fn is_held(&self, tables: &Tables, case: Case<'_>, pair: Pair) -> bool {
        self.shared.failures().is_held(pair, case.arrived, tables.limits())
    }

    /// Counts a failure of the user at this address, and says so when it is one too many.
    pub(super) fn count_failure(&self, tables: &Tables, case: Case<'_>, pair: Pair) {
        let client = tables.client(case.client);
        let limits = tables.limits();
        if !self.shared.failures().fail(pair, case.arrived, limits) {
            return;
        }
        let user = case.request.find(number::USER_NAME).unwrap_or_default();
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

    /// The user is let in: earlier failures at this address don't count any more.
    pub(super) fn succeed(&self, tables: &Tables, case: Case<'_>) {
        if tables.limits().failures > 0 {
            let name = case.request.find(number::USER_NAME).unwrap_or_default();
            self.shared.failures().succeed(self.pair(case, name));
        }
    }
}
