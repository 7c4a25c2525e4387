//! Who is in the roster: clients of the configuration, and devices of those that are networks.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use forewarn_proto::notice::issue::{ClientId, Standing};
use forewarn_proto::time::Instant;
use forewarn_proto::watch::Phase;
use forewarn_wire::notice::{Identity, Notice};

use super::Campaign;
use crate::announce::roster::{self, Known};
use crate::config::{self, Config};
use crate::process::heard;

impl Campaign {
    /// Clients of the configuration in, those that are none any more out.
    pub(super) fn enrol(&mut self, now: Instant) {
        let config = Arc::clone(&self.config);
        let is_current = |known: &Known| {
            let client = self.networks.client_of(&config.clients, known.address);
            client.is_some_and(|client| client.name == known.name && !client.notice_keys.is_empty())
        };
        let gone: Vec<ClientId> =
            self.roster.iter().filter(|(_, known)| !is_current(known)).map(|(&id, _)| id).collect();
        for id in gone {
            self.strike(id);
        }
        self.renew_devices(&config);
        let single = config.clients.iter().filter(|client| client.is_single());
        let new = single.filter_map(|client| self.add(now, client, client.network.addr())).collect();
        let number = |client: &config::Client| {
            let identity = Identity::from(client.network.addr().to_canonical());
            self.issuer.find(identity).filter(|_| client.is_single())
        };
        self.singles = config.clients.iter().map(number).collect();
        self.rates_of_networks.retain(|name, _| config.clients.iter().any(|client| client.name == *name));
        self.welcome(now, new);
    }

    /// Devices of networks that are known already get the keys and the group of this configuration.
    fn renew_devices(&mut self, config: &Config) {
        for known in self.roster.values_mut().filter(|known| known.heard.is_some()) {
            if let Some(client) = self.networks.client_of(&config.clients, known.address) {
                known.group = Arc::clone(&client.group);
                // It has its place, and a key: that was looked at before.
                let _ = self.issuer.add(Identity::from(known.address), &roster::keys(&client.notice_keys));
            }
        }
    }

    /// The devices of clients that are networks, heard lately, by the client's name.
    pub fn set_devices(&mut self, now: Instant, devices: &[(Arc<str>, IpAddr)]) {
        let config = Arc::clone(&self.config);
        let mut new = BTreeSet::new();
        for (name, address) in devices {
            let client = self.networks.client_of(&config.clients, *address);
            if let Some(client) = client.filter(|client| client.name == *name && !client.is_single()) {
                new.extend(self.add(now, client, *address));
            }
        }
        self.forget_silent(now);
        self.welcome(now, new);
    }

    pub(super) fn hear(&mut self, now: Instant, id: ClientId) {
        if let Some(heard) = self.roster.get_mut(&id).and_then(|known| known.heard.as_mut()) {
            *heard = now;
        }
    }

    /// Devices of networks that haven't been heard for long, and for which nothing is in force, make room.
    fn forget_silent(&mut self, now: Instant) {
        let is_silent = |known: &Known| known.heard.is_some_and(|heard| now.since(heard) > heard::LATELY);
        let is_clear =
            |id: ClientId| self.issuer.view(id).is_some_and(|view| matches!(view.standing, Standing::Clear));
        let silent = self.roster.iter().filter(|(id, known)| is_silent(known) && is_clear(**id));
        for id in silent.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.strike(id);
        }
    }

    /// Has `client` at `address` told from now on; answers its number when it is new.
    fn add(&mut self, now: Instant, client: &config::Client, address: IpAddr) -> Option<ClientId> {
        let identity = Identity::from(address.to_canonical());
        // Keys cost some cryptography to prepare: not again for each device at each look.
        if let Some(id) = self.issuer.find(identity).filter(|_| !client.is_single()) {
            self.hear(now, id);
            return None;
        }
        let id = self.issuer.add(identity, &roster::keys(&client.notice_keys)).ok()?;
        if let Some(known) = self.roster.get_mut(&id) {
            known.rename(client);
            return None;
        }
        self.roster.insert(id, Known::new(client, address, now));
        Some(id)
    }

    /// While everybody is away, or the whole audience, whoever joins it is told to leave as well.
    fn welcome(&mut self, now: Instant, mut new: BTreeSet<ClientId>) {
        let Some(warning) = self.warning.filter(|_| !new.is_empty()) else { return };
        match self.watch.phase() {
            Phase::Draining { .. } | Phase::Drained => {}
            Phase::Away { .. } if warning.everyone => {}
            Phase::Away { .. } => {
                let audience: BTreeSet<ClientId> = self.audience_ids().into_iter().collect();
                new.retain(|id| audience.contains(id));
            }
            _ => return,
        }
        let topology = Arc::clone(&self.topology);
        let mut seats = self.seats(now, &topology, warning, None);
        let mut staying = 0;
        for id in new {
            staying += usize::from(!self.send_away(now, id, warning, &mut seats));
        }
        self.pledge(now, &seats);
        self.wait(now, self.staying() + staying, warning);
    }

    pub(super) fn strike(&mut self, id: ClientId) {
        self.issuer.remove(id);
        self.roster.remove(&id);
        self.not_told.retain(|&not_told| not_told != id);
    }

    /// An agent in a client's network that calls for the first time. Struck off again unless its MAC is right.
    pub(super) fn newcomer(&mut self, now: Instant, payload: &[u8]) -> Option<ClientId> {
        let identity = Notice::parse(payload).ok()?.peek().header().client;
        if self.issuer.find(identity).is_some() {
            return None;
        }
        let config = Arc::clone(&self.config);
        let client = self.networks.client_of(&config.clients, identity.address());
        let new = self.add(now, client.filter(|client| !client.is_single())?, identity.address())?;
        // Anybody can send what only costs us something: who is to be told is thought over for the genuine alone.
        if self.issuer.is_genuine(payload) {
            self.welcome(now, BTreeSet::from([new]));
        }
        Some(new)
    }
}
