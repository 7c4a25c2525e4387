//! How much each client asks, and what peers are told of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::notice::reason_of;
use forewarn_proto::peers::{self, Report};
use forewarn_proto::time::{Instant, Utc};
use forewarn_proto::watch::Phase;
use forewarn_wire::notice::{MAX_OCTETS, Reason, Takes};
use rand_core::CryptoRng;

use super::Campaign;
use crate::announce::rate::Rate;
use crate::announce::roster::{self, Known};
use crate::config::Config;

/// What a client asked this long ago weighs a third of what it asks now.
const MEMORY: Duration = Duration::from_secs(10);
/// The same for all together: peers want to know soon.
const MEMORY_OF_ALL: Duration = Duration::from_secs(2);

impl Campaign {
    /// What each client has asked since the start: those of the configuration in its order, then others.
    pub fn handle_totals(&mut self, now: Instant, totals: &[u64]) {
        self.rate.count(now, totals.iter().sum(), MEMORY_OF_ALL);
        let mut all = 0;
        for (&id, &total) in self.singles.iter().zip(totals) {
            if let Some(known) = id.and_then(|id| self.roster.get_mut(&id)) {
                known.rate.count(now, total, MEMORY);
                known.asks = known.rate.per_second();
                all += total;
            }
        }
        self.rate_of_singles.count(now, all, MEMORY_OF_ALL);
        self.keep_up();
        let networks = self.config.clients.iter().zip(totals).filter(|(client, _)| !client.is_single());
        for (client, &total) in networks {
            self.rates_of_networks.entry(Arc::clone(&client.name)).or_default().count(now, total, MEMORY);
        }
        self.divide_among_devices();
        self.update_report(now);
    }

    /// What is remembered long enough to tell one client from another is late when all begin to ask more: together they
    /// ask what they ask now.
    fn keep_up(&mut self) {
        let singles = |known: &&mut Known| known.heard.is_none();
        let remembered: f64 = self.roster.values_mut().filter(singles).map(|known| known.asks).sum();
        let now = self.rate_of_singles.per_second();
        if remembered > 0.0 && now > remembered {
            for known in self.roster.values_mut().filter(singles) {
                known.asks *= now / remembered;
            }
        }
    }

    /// Each device of a network counts for an equal share of what the network asks: they aren't counted apart.
    fn divide_among_devices(&mut self) {
        let mut devices: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        for known in self.roster.values().filter(|known| known.heard.is_some()) {
            *devices.entry(Arc::clone(&known.name)).or_default() += 1;
        }
        for known in self.roster.values_mut().filter(|known| known.heard.is_some()) {
            let all = self.rates_of_networks.get(&known.name).map_or(0.0, Rate::per_second);
            known.asks = all / f64::from(devices.get(&known.name).copied().unwrap_or(1));
        }
    }

    /// What peers are told from now on.
    pub(super) fn update_report(&mut self, now: Instant) {
        let load = self.watch.load();
        let threshold = self.config.health.failover_threshold;
        let takes = match self.watch.phase() {
            Phase::Shedding { .. } | Phase::Away { .. } | Phase::Draining { .. } | Phase::Drained => {
                Takes::Nobody
            }
            Phase::Quiesced | Phase::Returning { .. } => Takes::ItsOwn,
            Phase::Serving if load.value() > threshold => Takes::ItsOwn,
            Phase::Serving => Takes::Anybody,
        };
        let reason =
            if takes == Takes::Anybody { Reason::UNSPECIFIED } else { reason_of(self.watch.cause()) };
        let rate = self.rate.per_second();
        // By its requests or by its load, whichever leaves less.
        let room = self.config.peers.capacity.map(|capacity| {
            (capacity * threshold - rate).min(capacity * (threshold - load.value())).max(0.0)
        });
        self.peers.set_report(now, Report { takes, reason, load: load.percent(), rate, room });
    }

    /// The peers, as far as they are known.
    pub fn peers(&self) -> &peers::Peers {
        &self.peers
    }

    /// Requests a second of late.
    pub fn rate(&self) -> f64 {
        self.rate.per_second()
    }

    /// The next datagram for a peer that is due.
    pub fn poll_peer(
        &mut self,
        now: Instant,
        utc: Utc,
        rng: &mut dyn CryptoRng,
        out: &mut [u8; MAX_OCTETS],
    ) -> Option<peers::Transmit> {
        self.peers.poll_transmit(now, utc, rng, out)
    }
}

/// The peers of a configuration.
pub(super) fn entries(config: &Config) -> Vec<peers::Entry> {
    let entry = |peer: &crate::config::Peer| peers::Entry {
        address: peer.address,
        port: peer.port,
        keys: roster::keys(&peer.notice_keys),
        capacity: peer.capacity,
    };
    config.peers.list.iter().map(entry).collect()
}
