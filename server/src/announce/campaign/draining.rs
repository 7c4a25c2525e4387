//! The end of a drain: what it waits for, who is pressed before it, and the last word.

use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::notice::issue::{ClientId, Standing, Told};
use forewarn_proto::time::Instant;
use forewarn_proto::watch::{Cause, Phase};
use forewarn_wire::notice::Outcome;

use super::{Campaign, Warning};

/// How long receipts and requests must both be nothing until a drain counts as done: a request that a core hasn't
/// read yet is not counted yet.
const DRAIN_QUIET: Duration = Duration::from_millis(100);
/// How often a drain is looked at.
pub(super) const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// How long a drain that has come to its deadline still tells its clients so, at most.
pub(super) const LAST_WORD: Duration = Duration::from_secs(1);

/// What there is still to do here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Underway {
    /// Requests that aren't answered yet.
    pub requests: u64,
    /// Conversations that go on, of those that [`Campaign::waits_for_before`] names.
    pub conversations: u64,
}

impl Underway {
    fn is_nothing(self) -> bool {
        self == Underway::default()
    }
}

/// How far a drain is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drain {
    /// All receipts were in for the first time.
    told_at: Option<Instant>,
    /// Since then they have been, and no conversation goes on.
    calm_since: Option<Instant>,
    /// Since then no request is under way besides.
    quiet_since: Option<Instant>,
}

impl Campaign {
    /// A drain ends when nothing has been under way for a moment. Who stays, since it has no other server, is pressed
    /// before that: it goes on asking, so that requests need not have ended then, and at half the deadline nothing
    /// need.
    pub(super) fn follow_drain(&mut self, now: Instant, deadline: Instant, underway: Underway) {
        let began = self.watch.since();
        let are_told = self.issuer.awaited() == 0;
        if are_told {
            self.drain.told_at.get_or_insert(now);
        }
        let for_a_moment = |since: &mut Option<Instant>, holds: bool| {
            *since = if holds { since.or(Some(now)) } else { None };
            since.is_some_and(|since| now.since(since) >= DRAIN_QUIET)
        };
        let is_calm = for_a_moment(&mut self.drain.calm_since, are_told && underway.conversations == 0);
        let is_quiet = for_a_moment(&mut self.drain.quiet_since, are_told && underway.is_nothing());
        let is_late = began + deadline.since(began) / 2 <= now;
        if (is_calm || is_late) && self.press(now) {
            (self.drain.calm_since, self.drain.quiet_since) = (None, None);
        } else if is_quiet {
            self.watch.handle_drained(now);
            self.obey(now);
        }
    }

    /// A drain waits for conversations that began before this: before it had told everybody. None while it doesn't wait.
    pub fn waits_for_before(&self, now: Instant) -> Option<Instant> {
        matches!(self.watch.phase(), Phase::Draining { .. }).then(|| self.drain.told_at.unwrap_or(now))
    }

    /// A drain came to its deadline, and not everybody has had the last word and one repeat of it: the process has to
    /// stay for that, but not for long.
    pub fn has_a_last_word(&self, now: Instant) -> bool {
        self.watch.phase() == Phase::Drained
            && self.watch.cause() == Cause::Deadline
            && now < self.watch.since() + LAST_WORD
            && self.issuer.hardly_told() > 0
    }

    /// A client that stayed, since its other servers had warned it too, is told once more before requests stop
    /// being taken, and hard: then it takes the least loaded of the others (SPEC 6). Answers whether there was one.
    fn press(&mut self, now: Instant) -> bool {
        let stays = |told: Told| {
            matches!(told, Told::Told { outcome: Outcome::LastUsable | Outcome::NoAlternate, .. })
        };
        let is_asked = |standing: &Standing| matches!(standing, Standing::Leave(leave) if !leave.hard);
        let staying = self.issuer.clients().filter(|view| stays(view.told) && is_asked(view.standing));
        let ids: Vec<ClientId> = staying.map(|view| view.id).collect();
        let (Some(warning), false) = (self.warning, ids.is_empty()) else { return false };
        let warning = Warning { hard: true, must: true, ..warning }.settled();
        let topology = Arc::clone(&self.topology);
        let mut seats = self.seats(now, &topology, warning, None);
        for &id in &ids {
            self.send_away(now, id, warning, &mut seats);
        }
        tracing::info!(reason = %warning.reason, "telling {} clients that stayed to leave, hard", ids.len());
        true
    }
}
