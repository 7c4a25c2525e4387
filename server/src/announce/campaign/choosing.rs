//! Who is told to leave, and where each of them is sent.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use forewarn_proto::audience::{Audience, Member, Placed, Rules, Seat, Seats, Topology, step};
use forewarn_proto::gauge::Parameter;
use forewarn_proto::notice::issue::{Alternate, ClientId, Leave, Standing};
use forewarn_proto::peers::Known as PeerKnown;
use forewarn_proto::stagger;
use forewarn_proto::time::Instant;
use forewarn_proto::watch::Phase;
use forewarn_wire::notice::Identity;

use super::{Announced, Campaign, Warning};
use crate::announce::roster::{Gone, Known};
use crate::config::{self, Order};

/// A server whose oldest request has waited for so many limits serves nobody: nothing is gained by staying with it.
const STANDS_STILL: f64 = 30.0;

/// Clients that should leave and stay, since no alternate has room for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    count: usize,
    warning: Warning,
    /// When it is looked again.
    at: Instant,
}

impl Campaign {
    /// This share of those meant is to be away; who is already is told what is so now.
    pub(super) fn warn(&mut self, now: Instant, share: f64, warning: Warning) {
        let warning = warning.settled();
        self.warning = Some(warning);
        self.announced = Some(Announced::Warning);
        let ids = if warning.everyone { self.roster.keys().copied().collect() } else { self.audience_ids() };
        let (gone, new) = self.divide(ids, share);
        let topology = Arc::clone(&self.topology);
        let mut seats = self.seats(now, &topology, warning, None);
        let mut staying = 0;
        for &id in &gone {
            // What the operator has sent away is told again only if it must find another place.
            if warning.must || self.roster.get(&id).is_some_and(|known| !known.by_hand) {
                staying += usize::from(!self.send_away(now, id, warning, &mut seats));
            }
        }
        for &id in &new {
            staying += usize::from(!self.send_away(now, id, warning, &mut seats));
        }
        self.pledge(now, &seats);
        let told = gone.len() + new.len() - staying;
        tracing::info!(reason = %warning.reason, hard = warning.hard, "telling {told} clients to leave");
        self.wait(now, staying, warning);
        if staying > 0 {
            tracing::warn!(
                "{staying} clients stay, or a part of their traffic: no alternate has room for it"
            );
        }
    }

    /// So many clients stay for now that were meant by a warning.
    pub(super) fn wait(&mut self, now: Instant, count: usize, warning: Warning) {
        let at = now + self.config.notice.shed_every;
        self.waiting = (count > 0).then_some(Waiting { count, warning, at });
    }

    /// Who took a part of its traffic away takes the rest, if that part wasn't enough.
    fn take_the_rest(&mut self, now: Instant) {
        let load = self.watch.load();
        let is_over = self.watch.runs().0 >= self.config.health.failover_after;
        let is_away = matches!(self.watch.phase(), Phase::Away { .. });
        let is_due = self.watch.since() + self.config.notice.shed_every <= now;
        if let Some(warning) =
            self.warning.filter(|warning| is_over && is_away && is_due && warning.reduction < 100)
        {
            let warning = Warning { load: load.percent(), reduction: 100, ..warning };
            self.warn(now, self.watch.moved(), warning);
        }
    }

    /// Who couldn't be sent anywhere may find room now, and has to go if this server stands still.
    pub(super) fn look_again(&mut self, now: Instant) {
        self.take_the_rest(now);
        let load = self.watch.load();
        let is_over = load.value() > self.config.health.failover_threshold;
        let stands_still = load.part(Parameter::QueueDelay).is_some_and(|delay| delay >= STANDS_STILL);
        let is_away = matches!(self.watch.phase(), Phase::Away { .. });
        let is_due = |waiting: &Waiting| stands_still || (is_over && waiting.at <= now);
        if let Some(Waiting { warning, .. }) = self.waiting.filter(|waiting| is_away && is_due(waiting)) {
            let must = warning.must || stands_still;
            self.warn(now, self.watch.moved(), Warning { load: load.percent(), must, ..warning });
        }
    }

    /// Clients that should leave and stay, since no alternate has room for them.
    pub fn staying(&self) -> usize {
        self.waiting.map_or(0, |waiting| waiting.count)
    }

    /// Those of `ids` that are away already, and those that have to leave for this share of their load to be away.
    pub(super) fn divide(&self, mut ids: Vec<ClientId>, share: f64) -> (Vec<ClientId>, Vec<ClientId>) {
        let weight = |id: &ClientId| self.roster.get(id).map_or(0.0, |known| self.weight(*id, known));
        let place = |id: &ClientId| self.roster.get(id).map(|known| self.place(known));
        ids.sort_by_cached_key(|id| match self.config.notice.order {
            // Rates aren't below nothing, so their bits have their order.
            Order::Heaviest => (Reverse(weight(id).to_bits()), place(id), *id),
            Order::Any => (Reverse(0), place(id), *id),
        });
        let clients: Vec<(f64, bool)> = ids.iter().map(|id| (weight(id), self.is_away(*id))).collect();
        let new = step(&clients, share).into_iter().map(|index| ids[index]).collect();
        let gone = ids.iter().zip(&clients).filter(|(_, (_, is_away))| *is_away).map(|(&id, _)| id).collect();
        (gone, new)
    }

    pub(super) fn is_away(&self, id: ClientId) -> bool {
        self.issuer.view(id).is_some_and(|view| matches!(view.standing, Standing::Leave(_)))
    }

    /// Requests a second of a client; of one that is away as many as it had.
    fn weight(&self, id: ClientId, known: &Known) -> f64 {
        known.gone.as_ref().filter(|_| self.is_away(id)).map_or(known.asks, |gone| gone.rate)
    }

    /// The alternates, or only this one, with nobody at them yet.
    pub(super) fn seats<'t>(
        &self,
        now: Instant,
        topology: &'t Arc<Topology>,
        warning: Warning,
        only: Option<IpAddr>,
    ) -> Seats<'t> {
        let known: BTreeMap<IpAddr, Option<PeerKnown>> =
            self.peers.views(now).map(|view| (view.address, view.known)).collect();
        let nearer_only = matches!(self.audience, Audience::Nearer(_)) && !warning.must && !warning.by_hand;
        let by_distance = self.config.notice.alternates_by_distance || nearer_only;
        let rules = Rules {
            server: self.config.server.identity,
            topology: by_distance.then_some(&**topology),
            nearer_only,
            must: warning.must,
            alike: self.rate.per_second(),
        };
        let only = only.map(|address| config::Alternate { address, weight: 0 });
        let alternates = only.as_ref().map_or(&self.config.notice.alternates[..], std::slice::from_ref);
        let seat = |alternate: &config::Alternate| Seat {
            address: alternate.address,
            weight: alternate.weight,
            known: known.get(&alternate.address).copied().flatten(),
        };
        Seats::new(alternates.iter().map(seat), rules)
    }

    /// Peers count those who are on their way to them.
    pub(super) fn pledge(&mut self, now: Instant, seats: &Seats<'_>) {
        for (address, rate) in seats.taken() {
            self.peers.pledge(now, address, rate);
        }
    }

    /// Has a client told to leave; false where no alternate has room for it.
    pub(super) fn send_away(
        &mut self,
        now: Instant,
        id: ClientId,
        warning: Warning,
        seats: &mut Seats<'_>,
    ) -> bool {
        let Some(standing) = self.leave(id, warning, seats) else { return false };
        self.issuer.set(now, id, standing);
        true
    }

    /// What a client is told that is to leave. One that is away stays where it was sent, unless it must be elsewhere.
    pub(super) fn leave(
        &mut self,
        id: ClientId,
        warning: Warning,
        seats: &mut Seats<'_>,
    ) -> Option<Standing> {
        let is_away = self.is_away(id);
        let known = self.roster.get_mut(&id)?;
        let before = known.gone.as_ref().filter(|_| is_away);
        let rate = before.map_or(known.asks, |gone| gone.rate);
        let reduction = warning.reduction;
        let part = |percent: u8| rate * f64::from(percent) / 100.0;
        // What is away already is at some alternate, and counted there.
        let more = part(reduction.saturating_sub(before.map_or(0, |gone| gone.reduction)));
        let fits_there = |gone: &Gone, seats: &mut Seats<'_>| match gone.at {
            Some(at) if gone.reduction < reduction => seats.widen(at, more),
            _ => true,
        };
        let gone = match before.filter(|gone| !warning.must && fits_there(gone, seats)) {
            Some(gone) => Gone { reduction, ..gone.clone() },
            None => {
                // Elsewhere all of it is more; who must go has found no room anywhere, wherever it is.
                let expected = if warning.must { more } else { part(reduction) };
                let Placed { at, alternates } = seats.place(known.address, expected)?;
                let alternate = |(address, weight)| Alternate { address, weight };
                let alternates: Arc<[Alternate]> = alternates.into_iter().map(alternate).collect();
                Gone { rate, reduction, at, alternates }
            }
        };
        let alternates = Arc::clone(&gone.alternates);
        known.gone = Some(gone);
        Some(Standing::Leave(Leave {
            reduction: warning.reduction,
            hard: warning.hard,
            validity: self.config.notice.validity,
            reason: warning.reason,
            load: warning.load,
            alternates,
        }))
    }

    pub(super) fn audience_ids(&self) -> Vec<ClientId> {
        self.select(&self.audience)
    }

    /// The clients that an audience names.
    pub(super) fn select(&self, audience: &Audience) -> Vec<ClientId> {
        let ids: Vec<ClientId> = self.roster.keys().copied().collect();
        let members: Vec<Member> = self.roster.values().map(Known::member).collect();
        let chosen = audience.select(&members, &self.topology, self.config.server.identity);
        chosen.into_iter().map(|index| ids[index]).collect()
    }

    pub(super) fn place(&self, known: &Known) -> u64 {
        stagger::place(&Identity::from(known.address).0, self.epoch)
    }
}
