//! A server that wants to come first, though its client never left it.
//!
//! A RECONNECT means whoever left; one that says [`Flags::COME`](forewarn_wire::notice::Flags::COME) means whoever
//! hears it. From its slot on that server is offered the traffic before all others, with a ramp, until it asks to be
//! left or another one calls.

use std::time::Duration;

use forewarn_wire::notice::Outcome;

use super::{Cause, Life, RAMP_FROM_PERCENT, Standing, Switch, ramping};
use crate::pool::ServerId;
use crate::time::Instant;

/// A call that hasn't been followed yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Call {
    pub(super) server: ServerId,
    /// When its slot begins.
    pub(super) at: Instant,
}

impl Switch {
    /// A server calls: it comes first from its slot on.
    pub(super) fn handle_call(&mut self, now: Instant, server: ServerId, slot: Duration) -> Outcome {
        let was_at = self.current;
        let outcome = self.invite(now, server, slot, Cause::Invited);
        self.call = Some(Call { server, at: now + slot });
        if slot.is_zero() {
            self.follow_call(now);
        }
        if outcome == Outcome::Noted && was_at != server { Outcome::Moved } else { outcome }
    }

    /// The slot of a server that called begins.
    pub(super) fn follow_call(&mut self, now: Instant) {
        let Some(Call { server, .. }) = self.call.take_if(|call| call.at <= now) else { return };
        self.first = Some(server);
        let is_elsewhere = self.current != server && self.others_carry(now, server);
        let place = self.place_mut(server);
        if is_elsewhere && place.standing == Standing::Open && place.life == Life::Alive {
            place.standing = ramping(now, RAMP_FROM_PERCENT);
        }
        self.reconsider(now, Cause::Invited);
    }

    /// A server asks to be left: it doesn't call any more.
    pub(super) fn end_call(&mut self, server: ServerId) {
        self.call.take_if(|call| call.server == server);
        self.first.take_if(|first| *first == server);
    }
}
