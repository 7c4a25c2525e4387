//! Which alternate each client is sent to, so that none gets more than it can bear.
//!
//! A client goes to the first of the alternates that takes it: those known to be well before those nothing is known
//! of; the nearest first, where distance counts; the heaviest weight first; then the one that is least full with it.
//! Where no alternate is known of, all are named as they were configured, and the client chooses.

use std::cmp::{Ordering, Reverse};
use std::net::IpAddr;

use forewarn_wire::notice::Takes;

use super::{Distance, Topology};
use crate::peers::Known;

/// An alternate, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seat {
    /// Its identity.
    pub address: IpAddr,
    /// Its weight among the alternates; 0: none given.
    pub weight: u8,
    /// What it said last; none: it is no peer, or silent.
    pub known: Option<Known>,
}

/// How clients are seated.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'t> {
    /// The server they leave.
    pub server: IpAddr,
    /// Alternates are tried in order of distance from the client in it.
    pub topology: Option<&'t Topology>,
    /// Only what is nearer to the client than `server` will do.
    pub nearer_only: bool,
    /// They have to go, whether there is room or not: what doesn't fit is spread evenly.
    pub must: bool,
    /// Requests a second that an alternate is taken to bear when nobody has said; for balance only, never as a bound.
    pub alike: f64,
}

/// Where a client was seated.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The alternate that it is expected at; none: it chooses itself.
    pub at: Option<IpAddr>,
    /// What it is told, best first: each with its weight.
    pub alternates: Vec<(IpAddr, u8)>,
}

/// What a client without a request of late counts for: a little, so that many of them are spread too.
const LEAST: f64 = 0.001;

/// How good an alternate is for a client; the first is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    /// It takes whoever comes, and this client fits.
    Fits,
    /// Nothing is known of it.
    Unknown,
    /// It would rather keep to its own (quiesced, overloaded, or with its clients on their way back), and has room.
    Closed,
    /// It has no room.
    Full,
    /// It asks its own to leave.
    Leaving,
}

/// The alternates of one decision, and who was seated at them so far.
#[derive(Clone, Debug)]
pub struct Seats<'t> {
    rules: Rules<'t>,
    seats: Vec<Seat>,
    /// Requests a second, by seat.
    taken: Vec<f64>,
}

impl<'t> Seats<'t> {
    /// Nobody is seated. `seats` stand in the order they were given in.
    pub fn new(seats: impl IntoIterator<Item = Seat>, rules: Rules<'t>) -> Seats<'t> {
        let seats: Vec<Seat> = seats.into_iter().filter(|seat| seat.address != rules.server).collect();
        Seats { taken: vec![0.0; seats.len()], seats, rules }
    }

    /// A place for a client that is expected to ask so many times a second; none where none can take it.
    pub fn place(&mut self, client: IpAddr, rate: f64) -> Option<Placed> {
        let mut distances: Vec<Distance> = vec![Distance(0); self.seats.len()];
        if let Some(topology) = self.rules.topology {
            for (distance, seat) in distances.iter_mut().zip(&self.seats) {
                *distance = topology.distance(client, seat.address);
            }
        }
        let mut order: Vec<usize> = (0..self.seats.len()).collect();
        if let Some(topology) = self.rules.topology.filter(|_| self.rules.nearer_only) {
            let own = topology.distance(client, self.rules.server);
            order.retain(|&seat| distances[seat] < own);
            if order.is_empty() {
                return None;
            }
        }
        if self.seats.iter().all(|seat| seat.known.is_none()) {
            order.sort_by_key(|&seat| distances[seat]);
            let named = |&seat: &usize| (self.seats[seat].address, self.seats[seat].weight);
            return Some(Placed { at: None, alternates: order.iter().map(named).collect() });
        }
        let rate = rate.max(LEAST);
        let tiers: Vec<Tier> = (0..self.seats.len()).map(|seat| self.tier(seat, rate)).collect();
        let rank = |seat: usize| {
            // Among those that have no room, neither distance nor weight makes one better.
            let (distance, weight) = match tiers[seat] {
                Tier::Fits | Tier::Unknown => (distances[seat], self.seats[seat].weight),
                Tier::Closed | Tier::Full | Tier::Leaving => (Distance(0), 0),
            };
            (tiers[seat], distance, Reverse(weight))
        };
        order.sort_by(|&a, &b| {
            rank(a).cmp(&rank(b)).then_with(|| fuller(self.fullness(a, rate), self.fullness(b, rate)))
        });
        let &first = order.first()?;
        if tiers[first] > Tier::Closed && !self.rules.must {
            return None;
        }
        let worst = tiers[first].max(Tier::Unknown);
        order.retain(|&seat| tiers[seat] <= worst);
        self.taken[first] += rate;
        let weights = (0..order.len()).rev().map(|behind| u8::try_from(behind + 1).unwrap_or(u8::MAX));
        let alternates = order.iter().map(|&seat| self.seats[seat].address).zip(weights).collect();
        Some(Placed { at: self.seats[first].known.map(|_| self.seats[first].address), alternates })
    }

    /// What was promised: each alternate that is known of, with the requests a second of those seated there.
    pub fn taken(&self) -> impl Iterator<Item = (IpAddr, f64)> + '_ {
        let known = self.seats.iter().zip(&self.taken).filter(|(seat, _)| seat.known.is_some());
        known.map(|(seat, &taken)| (seat.address, taken)).filter(|(_, taken)| *taken > 0.0)
    }

    /// So much more at the seat of somebody who sits there already; false where there is no room for it.
    pub fn widen(&mut self, at: IpAddr, rate: f64) -> bool {
        let Some(seat) = self.seats.iter().position(|seat| seat.address == at) else { return false };
        let fits = self.rules.must || self.tier(seat, rate) <= Tier::Closed;
        self.taken[seat] += if fits { rate } else { 0.0 };
        fits
    }

    fn tier(&self, seat: usize, rate: f64) -> Tier {
        let Some(known) = &self.seats[seat].known else { return Tier::Unknown };
        let left = known.headroom().map(|headroom| headroom - self.taken[seat]);
        match known.report.takes {
            Takes::Nobody => Tier::Leaving,
            _ if left.is_some_and(|left| left < rate) => Tier::Full,
            Takes::ItsOwn => Tier::Closed,
            Takes::Anybody | Takes::Other(_) => Tier::Fits,
        }
    }

    /// How full it is with so much more: 1.0 is full.
    fn fullness(&self, seat: usize, rate: f64) -> f64 {
        let Some(known) = &self.seats[seat].known else { return 0.0 };
        let more = self.taken[seat] + rate;
        match known.full_at {
            Some(full_at) => (known.used + more) / full_at.max(LEAST),
            None => f64::from(known.report.load) / 100.0 + more / self.rules.alike.max(LEAST),
        }
    }
}

fn fuller(a: f64, b: f64) -> Ordering {
    a.total_cmp(&b)
}
