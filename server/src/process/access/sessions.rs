//! What accounting has to say before a user is let in: how many sessions there are, and which address is free.

use std::net::IpAddr;
use std::sync::Arc;

use forewarn_wire::{Packet, number};

use super::Progress;
use crate::process::core::{Case, Desk, Turn, WaitsFor};
use crate::process::mailbox::Promise;
use crate::process::outcome::Cause;
use crate::process::tables::Tables;
use crate::store::accounting::pools::{holder_key, holder_nas};
use crate::store::accounting::{Record, text};
use crate::store::admission::{Admission, Question};
use crate::users::{Account, Source};

impl Progress {
    /// With what accounting's tables say.
    pub(in crate::process) fn with(self, answer: Admission) -> Self {
        match answer {
            Admission::Sessions(_) | Admission::SessionsAway => Self { sessions: Some(answer), ..self },
            _ => Self { address: Some(answer), ..self },
        }
    }
}

impl Desk {
    /// Simultaneous-Use: how many sessions has this user? A directory's users are counted however they were spelled.
    pub(super) fn count_sessions(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        account: &Account,
        progress: Progress,
    ) -> Turn {
        let user = text::user_name(self.asked_for(case));
        let alias = (account.source == Source::Ldap).then(|| text::user_name(account.name.as_bytes()));
        self.ask_accounting(tables, case, Question::Sessions { user, alias }, progress)
    }

    /// Pool-Name: an address, please.
    pub(super) fn ask_address(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        pool: &str,
        progress: Progress,
    ) -> Turn {
        let user = text::user_name(self.asked_for(case));
        let question = address_of(pool, user, case.request, case.route.to.ip());
        self.ask_accounting(tables, case, question, progress)
    }

    /// The name that accounting will come with: of EAP, the one that was proven, which the NAS is told.
    fn asked_for<'a>(&'a self, case: Case<'a>) -> &'a [u8] {
        let claim = self.eap.as_ref().and_then(|loan| loan.claim());
        let name = claim.map(|claim| claim.user.as_slice());
        name.or(case.request.find(number::USER_NAME)).unwrap_or_default()
    }

    fn ask_accounting(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        question: Question,
        progress: Progress,
    ) -> Turn {
        let Some(ticket) = self.wait(tables, case, WaitsFor::Others, progress) else {
            return Turn::Silence(Cause::TooManyInFlight);
        };
        let promise = Promise::new(ticket, Arc::clone(self.shared.mailbox(self.number.into())));
        match self.shared.admissions().ask(question, promise) {
            Ok(()) => Turn::Waits,
            Err(promise) => {
                promise.release();
                self.abandon(ticket);
                Turn::Silence(Cause::SourceFull)
            }
        }
    }
}

/// The holder is told by the same attributes by which accounting will tell it.
fn address_of(pool: &str, user: String, request: &Packet<'_>, source: IpAddr) -> Question {
    let holder = Record::holder(request, source);
    let (nas, key) = (holder_nas(&holder), holder_key(&holder).to_owned());
    Question::Address { pool: pool.to_owned(), nas, key, calling_station: holder.calling_station, user }
}
