//! What a request leaves behind besides its answer: the record of the decision, and how long it took.

use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use forewarn_wire::{Code, Packet, number};

use super::core::{Case, Desk};
use super::outcome::{Answer, Cause};
use super::tables::Tables;
use crate::decisions::{Decision, Trail};
use crate::metrics::latency::Kind;
use crate::store::sql::post_auth;

impl Desk {
    /// Leaves the record of what was decided, where it is wanted. A reject is recorded here and counted when it leaves.
    pub(super) fn record(&mut self, tables: &Tables, case: Case<'_>, user: &[u8], cause: Cause) {
        let Trail { method, decided_by, is_recorded, .. } = std::mem::take(&mut self.trail);
        let decisions = self.shared.decisions();
        // A conversation is one decision, at its end.
        if is_recorded || !decisions.wants(cause) || cause == Cause::EapContinues {
            return;
        }
        let method = match case.request.code() {
            Code::ACCOUNTING_REQUEST => status_type(case.request),
            _ => method,
        };
        let at = clock::now();
        let decision = Decision {
            cause,
            at,
            latency_ns: u64::try_from(at.since(case.arrived).as_nanos()).unwrap_or(u64::MAX),
            source: case.route.to,
            client: &tables.client(case.client).name,
            user,
            calling_station: case.request.find(number::CALLING_STATION_ID).unwrap_or_default(),
            method,
            decided_by: decided_by.as_deref().unwrap_or_default(),
        };
        decisions.record(self.number.into(), &decision);
        self.recorded = true;
    }

    /// Has the database told what became of an Access-Request, where that is wanted.
    pub(super) fn post_auth(&self, case: Case<'_>, user: &[u8], cause: Cause, reply: &[u8]) {
        let Some(post_auth) = &*self.shared.post_auth() else { return };
        let answer = match cause.answer() {
            Answer::Accept if case.request.code() == Code::ACCESS_REQUEST => "Access-Accept",
            Answer::Reject => "Access-Reject",
            _ => return,
        };
        let find = |number| case.request.find(number).unwrap_or_default();
        let reply = Packet::parse(reply);
        let class =
            reply.as_ref().ok().and_then(|reply| reply.peek().find(number::CLASS)).unwrap_or_default();
        let (called, calling) = (find(number::CALLED_STATION_ID), find(number::CALLING_STATION_ID));
        post_auth.add(post_auth::Row::new(user, answer, called, calling, class));
    }

    /// A reply to what arrived then is written, and goes out with its batch.
    pub(super) fn departs(&mut self, arrived: Instant, kind: Kind, answer: Answer) {
        if self.departing.len() == self.departing.capacity() {
            self.departed(clock::now());
        }
        self.departing.push((arrived, kind, answer));
    }

    pub(super) fn departed(&mut self, now: Instant) {
        let latencies = &self.shared.latencies()[usize::from(self.number)];
        for (arrived, kind, answer) in self.departing.drain(..) {
            latencies.note(kind, answer, u64::try_from(now.since(arrived).as_nanos()).unwrap_or(u64::MAX));
        }
    }
}

/// Acct-Status-Type (RFC 2866 section 5.1), as records name it.
fn status_type(request: &Packet<'_>) -> &'static str {
    let value = request.attributes().find(|attribute| attribute.number == number::ACCT_STATUS_TYPE);
    match value.and_then(|attribute| attribute.integer()) {
        Some(1) => "start",
        Some(2) => "stop",
        Some(3) => "interim-update",
        Some(7) => "accounting-on",
        Some(8) => "accounting-off",
        Some(_) => "other",
        None => "",
    }
}
