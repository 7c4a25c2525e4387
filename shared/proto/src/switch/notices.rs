//! What verified notices do to the decision.

use std::cmp::Reverse;
use std::time::Duration;

use forewarn_wire::Verified;
use forewarn_wire::notice::{Flags, Header, Identity, Kind, Notice, Outcome};
use rand_core::CryptoRng;

use super::{Back, Cause, Conversations, InForce, Standing, Strategy, Switch};
use crate::exchange::jittered;
use crate::pool::ServerId;
use crate::time::Instant;

impl Switch {
    /// Acts on a notice and answers what to acknowledge. The latest notice of a server is all that is in force
    /// of it. One from an unknown server, or of a kind that is no order to a client, is only noted.
    pub fn handle_notice(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        notice: &Verified<Notice<'_>>,
    ) -> Outcome {
        let header = notice.header();
        let Some(server) = self.by_identity(header.server) else { return Outcome::Noted };
        match header.kind {
            Kind::Failover if header.reduction_percent == 0 || header.validity_s == 0 => {
                self.invite(now, server, slot(notice, rng), Cause::NoticeEnded)
            }
            Kind::Failover => self.leave(now, rng, server, notice),
            // Where all have their turns, nobody can come first.
            Kind::Reconnect
                if header.flags.contains(Flags::COME) && self.config.strategy == Strategy::Failover =>
            {
                self.handle_call(now, server, slot(notice, rng))
            }
            Kind::Reconnect => self.invite(now, server, slot(notice, rng), Cause::Invited),
            Kind::Refused => {
                let delay = self.refusal(notice, rng);
                if let Standing::Away { back, .. } = &mut self.place_mut(server).standing {
                    *back = Back::Ask { at: now + delay };
                }
                Outcome::Noted
            }
            Kind::Load => {
                if let Standing::Away { notice, .. } = &mut self.place_mut(server).standing {
                    notice.load_percent = header.load_percent;
                }
                Outcome::Noted
            }
            Kind::Ack | Kind::Hello | Kind::ReconnectRequest | Kind::PeerDown | Kind::Challenge => {
                Outcome::Noted
            }
        }
    }

    /// Whether a notice is the answer to a CHALLENGE and says what is in force of its server already: it renews that, and
    /// nothing else happens.
    pub fn is_in_force(&self, notice: &Verified<Notice<'_>>) -> bool {
        let server = self.by_identity(notice.header().server);
        server.is_some_and(|server| self.renews(server, notice))
    }

    /// A server that has invited us, or answered no question, has had its say since: what it says now is news.
    fn renews(&self, server: ServerId, notice: &Verified<Notice<'_>>) -> bool {
        let header = notice.header();
        let place = self.place(server);
        let has_ended = header.reduction_percent == 0 || header.validity_s == 0;
        notice.nonce().is_some()
            && match (header.kind, place.standing) {
                (Kind::Failover, Standing::Open | Standing::Ramping { .. }) => has_ended,
                (Kind::Reconnect, Standing::Open | Standing::Ramping { .. }) => {
                    !header.flags.contains(Flags::COME)
                }
                (Kind::Failover, Standing::Away { notice: before, back, .. }) => {
                    matches!(back, Back::Ask { .. } | Back::Asking { .. })
                        && !has_ended
                        && before.reduction_percent == header.reduction_percent
                        && before.hard == header.flags.contains(Flags::HARD)
                        && before.reason == header.reason
                        && self.named(server, notice).eq(place.alternates.iter().copied())
                }
                _ => false,
            }
    }

    pub(super) fn by_identity(&self, identity: Identity) -> Option<ServerId> {
        self.ids().find(|&id| self.place(id).identity == identity)
    }

    fn leave(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        server: ServerId,
        notice: &Verified<Notice<'_>>,
    ) -> Outcome {
        let in_force = in_force(now, notice.header());
        let ask = Back::Ask { at: now + jittered(self.config.after, rng) };
        // Or whoever has us ask what is in force, again and again, would put the day off when we ask to come back.
        let back = match self.place(server).standing {
            Standing::Away { back, .. } if self.renews(server, notice) => back,
            _ => ask,
        };
        let (was_at, carried) = (self.current, self.carries(now, server));
        let before = self.place(server).standing;
        let conversations = self.conversations(now, before, &in_force);
        self.select_alternates(server, notice);
        if in_force.reduction_percent >= 100 {
            self.end_call(server);
        }
        self.place_mut(server).standing = Standing::Away { notice: in_force, back, conversations };
        self.errands.left |= server.bit();
        if conversations == Conversations::Elsewhere {
            self.errands.drained |= server.bit();
        }
        self.reconsider(now, Cause::Notice { reason: in_force.reason, hard: in_force.hard });
        let known = matches!(before, Standing::Away { notice, .. }
            if notice.reduction_percent >= in_force.reduction_percent);
        let left = was_at == server && self.current != server;
        let others = self.others_carry(now, server);
        match (carried, others) {
            _ if left => Outcome::Moved,
            (_, false) if self.current == server => self.stays(server),
            _ if known => Outcome::AlreadyAway,
            (true, true) => Outcome::Moved,
            _ => Outcome::Noted,
        }
    }

    /// Conversations stay with a server that wants less of the traffic, not with one that wants none for longer
    /// than the drain, and not at all with one about to stop. A repeated notice doesn't lengthen the drain.
    fn conversations(&self, now: Instant, before: Standing, in_force: &InForce) -> Conversations {
        let running = match before {
            Standing::Away { conversations, .. } => conversations,
            Standing::Open | Standing::Ramping { .. } => Conversations::Stay,
        };
        match running {
            _ if in_force.hard => Conversations::Elsewhere,
            _ if in_force.reduction_percent < 100 => Conversations::Stay,
            Conversations::Stay => Conversations::Until(now + self.config.drain_conversations),
            running => running,
        }
    }

    /// Remembers the servers the notice names that are configured here, the heaviest first. They only *select*.
    fn select_alternates(&mut self, server: ServerId, notice: &Verified<Notice<'_>>) {
        let named = self.named(server, notice);
        let alternates = &mut self.place_mut(server).alternates;
        alternates.clear();
        alternates.extend(named);
    }

    fn named(
        &self,
        server: ServerId,
        notice: &Verified<Notice<'_>>,
    ) -> impl Iterator<Item = ServerId> + use<> {
        let known = |(weight, address): (u8, std::net::IpAddr)| {
            let id = self.by_identity(Identity::from(address)).filter(|&id| id != server)?;
            Some((weight, id))
        };
        let mut named: Vec<(u8, ServerId)> = notice.alternates().filter_map(known).collect();
        named.sort_by_key(|&(weight, _)| Reverse(weight));
        named.into_iter().map(|(_, id)| id)
    }

    /// Why a server that asked to be left is not.
    fn stays(&self, server: ServerId) -> Outcome {
        let named = !self.place(server).alternates.is_empty();
        let by_notice_only = self.config.alternates == super::Alternates::Notice;
        if by_notice_only && !named { Outcome::NoAlternate } else { Outcome::LastUsable }
    }

    /// Whether any traffic goes to the server now.
    fn carries(&self, now: Instant, server: ServerId) -> bool {
        if self.config.strategy == Strategy::RoundRobin {
            return self.current == server || self.place(server).share(now, &self.config) > 0;
        }
        for &id in &self.order {
            let share = self.place(id).share(now, &self.config);
            match id == server {
                true if share > 0 => return true,
                false if share >= super::WHOLE => return false,
                _ => {}
            }
        }
        self.current == server
    }

    pub(super) fn invite(&mut self, now: Instant, server: ServerId, slot: Duration, cause: Cause) -> Outcome {
        let place = self.place_mut(server);
        match &mut place.standing {
            Standing::Open | Standing::Ramping { .. } => {
                if place.life != super::Life::Alive {
                    self.errands.probe |= server.bit();
                }
                return Outcome::Noted;
            }
            Standing::Away { back, .. } => *back = Back::Invited { at: now + slot },
        }
        if slot.is_zero() {
            self.start_return(now, server, cause);
        }
        Outcome::Moved
    }

    /// How long a refusal tells us to wait: its slot, else its validity, else `after`; never no time at all.
    fn refusal(&self, notice: &Verified<Notice<'_>>, rng: &mut dyn CryptoRng) -> Duration {
        let told = match (notice.slot_ms(), notice.header().validity_s) {
            (Some(ms), _) => Duration::from_millis(u64::from(ms)),
            (None, 0) => self.config.after,
            (None, seconds) => Duration::from_secs(u64::from(seconds)),
        };
        jittered(told.max(LEAST_REFUSAL), rng)
    }
}

/// A refusal holds at least this long, whatever it says.
const LEAST_REFUSAL: Duration = Duration::from_secs(1);

fn in_force(now: Instant, header: &Header) -> InForce {
    InForce {
        reduction_percent: header.reduction_percent,
        hard: header.flags.contains(Flags::HARD),
        reason: header.reason,
        load_percent: header.load_percent,
        received: now,
        until: now + Duration::from_secs(u64::from(header.validity_s)),
    }
}

/// When we may come back: in the slot we were given, else anywhere in the window.
fn slot(notice: &Verified<Notice<'_>>, rng: &mut dyn CryptoRng) -> Duration {
    match notice.slot_ms() {
        Some(ms) => Duration::from_millis(u64::from(ms)),
        None => {
            let window = Duration::from_secs(u64::from(notice.header().stagger_s));
            window.mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX))
        }
    }
}
