//! Having clients back: slots, and whoever's slot doesn't come after all.

use std::sync::Arc;

use forewarn_proto::notice::issue::{ClientId, Invitation, Standing, Told};
use forewarn_proto::notice::reason_of;
use forewarn_proto::stagger;
use forewarn_proto::time::Instant;
use forewarn_proto::watch::{Cause, Phase};
use forewarn_wire::notice::{Outcome, Reason};

use super::{Announced, Campaign, Warning};

impl Campaign {
    /// Slots for all that are away; at the start, for everybody, since who is away is not known.
    pub(super) fn invite(&mut self, now: Instant, cause: Cause) {
        let is_meant =
            |standing: &Standing| matches!(standing, Standing::Leave(_)) || cause == Cause::Started;
        let away: Vec<ClientId> =
            self.issuer.clients().filter(|view| is_meant(view.standing)).map(|view| view.id).collect();
        let is_by_hand = |id: &ClientId| self.roster.get(id).is_some_and(|known| known.by_hand);
        // What the operator has sent away, nobody else has back.
        let (by_hand, ids): (Vec<_>, Vec<_>) =
            away.into_iter().partition(|id| cause != Cause::Operator && is_by_hand(id));
        self.invite_all(now, &ids, false, reason_of(cause));
        // Nobody to wait for is nobody to wait for.
        self.settle_at.get_or_insert(now);
        if !by_hand.is_empty() {
            tracing::info!("{} clients that the operator sent away stay there", by_hand.len());
        }
    }

    /// Gives each a slot. With `come` they are to come even if they never left.
    pub(super) fn invite_all(&mut self, now: Instant, ids: &[ClientId], come: bool, reason: Reason) {
        let identities: Vec<[u8; 16]> =
            ids.iter().filter_map(|&id| self.issuer.identity(id)).map(|identity| identity.0).collect();
        let reconnect = self.reconnect();
        let window = reconnect.window_for(ids.len());
        let load = self.watch.load().percent();
        self.announced = Some(Announced::Invitation);
        for (&id, slot) in ids.iter().zip(reconnect.slots(&identities, self.epoch)) {
            self.invite_one(now, id, Invitation { at: now + slot, window, come, reason, load });
        }
        if !ids.is_empty() {
            tracing::info!("inviting {} clients over {:.1} s", ids.len(), window.as_secs_f64());
        }
    }

    pub(super) fn invite_one(&mut self, now: Instant, id: ClientId, invitation: Invitation) {
        let at = invitation.at;
        self.issuer.set(now, id, Standing::Invited(invitation));
        if let Some(known) = self.roster.get_mut(&id) {
            known.by_hand = false;
        }
        self.settle_at = Some(self.settle_at.map_or(at, |settle_at| settle_at.max(at)));
    }

    /// Slots are given out in Serving too, after the start; whoever waits for one of those isn't admitted either.
    pub(super) fn hold_back(&mut self, now: Instant) {
        if let Phase::Returning { paused: true } | Phase::Quiesced = self.watch.phase() {
            self.pause(now, self.watch.cause());
        }
    }

    /// Those whose slots haven't come yet stay away after all; not who said that it had never left.
    pub(super) fn pause(&mut self, now: Instant, cause: Cause) {
        let load = self.watch.load().percent();
        let reason = reason_of(cause);
        let warning = Warning {
            everyone: false,
            hard: false,
            must: false,
            by_hand: false,
            reduction: 100,
            reason,
            load,
        };
        let waiting =
            |standing: &Standing| matches!(standing, Standing::Invited(invitation) if invitation.at > now);
        let is_here = |told: Told| matches!(told, Told::Told { outcome: Outcome::Noted, .. });
        let views = self.issuer.clients().filter(|view| waiting(view.standing) && !is_here(view.told));
        let ids: Vec<ClientId> = views.map(|view| view.id).collect();
        // They are where they were sent, as far as that is known; elsewhere nobody asks whether there is room.
        let topology = Arc::clone(&self.topology);
        let mut seats = self.seats(now, &topology, Warning { must: true, ..warning }, None);
        for &id in &ids {
            self.send_away(now, id, warning, &mut seats);
        }
        if ids.is_empty() {
            return;
        }
        tracing::info!("{cause}: {} clients whose slots haven't come stay away", ids.len());
    }

    /// Slots have passed: nothing is in force for those clients any more.
    pub(super) fn settle(&mut self, now: Instant) {
        let mut later: Option<Instant> = None;
        let mut passed = Vec::new();
        for view in self.issuer.clients() {
            match view.standing {
                Standing::Invited(Invitation { at, .. }) if *at > now => {
                    later = Some(later.map_or(*at, |later| later.max(*at)));
                }
                Standing::Invited(_) => passed.push(view.id),
                _ => {}
            }
        }
        for id in passed {
            self.issuer.settle(id);
        }
        self.settle_at = later;
        if later.is_none() {
            self.watch.handle_returned(now);
            self.obey(now);
        }
    }

    /// A receipt that came after its slot.
    pub(super) fn settle_one(&mut self, now: Instant, id: ClientId) {
        let standing = self.issuer.view(id).map(|view| view.standing);
        if matches!(standing, Some(Standing::Invited(Invitation { at, .. })) if *at <= now) {
            self.issuer.settle(id);
        }
    }

    pub(super) fn reconnect(&self) -> stagger::Config {
        stagger::Config { window: self.config.reconnect.window, rate: self.config.reconnect.rate }
    }
}
