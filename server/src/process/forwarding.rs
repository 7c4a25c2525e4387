//! Requests of other realms: on to a pool of home servers, and back.

use std::sync::Arc;

use forewarn_proto::pool::Kind;
use forewarn_proto::upstream::GiveUp;
use forewarn_shell::clock;
use forewarn_wire::{Code, number};

use super::access::Progress;
use super::core::{Case, Desk, Turn, WaitsFor, write_plain};
use super::mailbox::Promise;
use super::outcome::Cause;
use super::story::Policed;
use super::tables::Tables;
use crate::config::proxy::Realm;
use crate::policy::{Facts, Groups};
use crate::proxy::{Brought, Job, stripped};
use crate::users::Source;

impl Desk {
    /// The realm whose home servers a request is for: by a policy, else by its User-Name. An error is why that can't be
    /// said.
    pub(super) fn destination<'t>(
        &mut self,
        tables: &'t Tables,
        case: Case<'_>,
        name: &[u8],
    ) -> Result<Option<&'t Realm>, Cause> {
        let policies = tables.policies();
        if policies.routes() {
            let client = tables.client(case.client);
            // Takes no memory.
            let nobodys = Groups::default();
            let facts = Facts {
                is_machine: false,
                machine_name: "",
                machine_groups: &nobodys,
                certificate: None,
                client_name: &client.name,
                client_group: &client.group,
                client_address: case.route.to.ip().to_canonical(),
                user_name: "",
                user_groups: &nobodys,
                user_source: Source::File,
                request: case.request,
                method: "none",
                sessions: None,
                times: policies.times(clock::utc),
            };
            let mut watch = Policed { story: self.story.as_deref_mut(), policies, facts: &facts };
            match policies.route(&facts, &mut watch) {
                Ok(Some(realm)) => return Ok(Some(realm)),
                Ok(None) => {}
                Err(number) => {
                    self.trail.decided_by = Some(Arc::clone(policies.name(number)));
                    return Err(Cause::PolicyFailed);
                }
            }
        }
        Ok(tables.realm(name).filter(|realm| realm.pool.is_some()))
    }

    /// Hands a request on to the pool of its realm.
    pub(super) fn hand_on(&mut self, tables: &Arc<Tables>, case: Case<'_>, realm: &Realm) -> Turn {
        if let Some(story) = &mut self.story {
            // Who only asks what would be done sends nothing to anybody.
            story.handed_on = realm.pool.as_deref().map(str::to_owned);
            return Turn::Waits;
        }
        let Some(proxy) = self.shared.proxy() else { return Turn::Silence(Cause::HomeSilent) };
        let own = |attribute: &forewarn_wire::Attribute<'_>| {
            attribute.number == number::PROXY_STATE && proxy.is_own(attribute.value)
        };
        if case.request.attributes().any(|attribute| own(&attribute)) {
            return Turn::Silence(Cause::ProxyLoop);
        }
        let client = tables.client(case.client);
        let mut request = self.spare.pop().unwrap_or_default();
        if realm.strip {
            let Some(kept) = stripped(case.request, &client.key) else {
                return Turn::Silence(Cause::NotForwarded);
            };
            request = kept;
        } else {
            request.store(case.request);
        }
        let Some(ticket) = self.wait(tables, case, WaitsFor::Others, Progress::default()) else {
            return Turn::Silence(Cause::TooManyInFlight);
        };
        let promise = Promise::new(ticket, Arc::clone(self.shared.mailbox(self.number.into())));
        let kind = match case.request.code() {
            Code::ACCOUNTING_REQUEST => Kind::Acct,
            _ => Kind::Auth,
        };
        let job = Job { request, asker: Arc::clone(&client.key), kind, promise };
        let pool = realm.pool.as_deref().unwrap_or_default();
        match proxy.submit(pool, job) {
            Ok(()) => Turn::Waits,
            Err(job) => {
                job.promise.release();
                self.reuse(job.request);
                self.abandon(ticket);
                Turn::Silence(Cause::HomeFull)
            }
        }
    }

    /// A home server has answered, or none has.
    pub(super) fn brought(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        brought: Brought,
        out: &mut [u8],
    ) -> Turn {
        let (code, octets) = match brought {
            Brought::Reply { code, octets } => (code, octets),
            Brought::Nothing(GiveUp::TimeOut) => return Turn::Silence(Cause::HomeSilent),
            Brought::Nothing(GiveUp::Request | GiveUp::Reply) => return Turn::Silence(Cause::NotForwarded),
            Brought::Full => return Turn::Silence(Cause::HomeFull),
        };
        let cause = match code {
            Code::ACCESS_ACCEPT => Cause::HomeAccepted,
            Code::ACCESS_REJECT => Cause::HomeRejected,
            Code::ACCESS_CHALLENGE => Cause::HomeChallenged,
            Code::ACCOUNTING_RESPONSE => {
                // Written anew: where the realm was stripped, the home server's answers another authenticator.
                return match write_plain(out, code, tables.client(case.client), case.request) {
                    Ok(length) => Turn::Reply(Cause::HomeStored, length),
                    Err(_) => Turn::Silence(Cause::ReplyTooLong),
                };
            }
            _ => return Turn::Silence(Cause::NotForwarded),
        };
        match out.get_mut(..octets.len()) {
            Some(room) => {
                room.copy_from_slice(&octets);
                // The home server has delayed its reject, or had reasons not to.
                Turn::Reply(cause, octets.len())
            }
            None => Turn::Silence(Cause::ReplyTooLong),
        }
    }
}
