//! What the operator does by hand: sending clients away, and having them come.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use forewarn_proto::audience::{Audience, Glob};
use forewarn_proto::notice::issue::{ClientId, Told};
use forewarn_proto::time::Instant;
use forewarn_proto::watch::Phase;
use forewarn_shell::control::{ClientTold, Whom};
use forewarn_wire::notice::Reason;

use super::{Campaign, Warning};
use crate::announce::show::outcome_name;

/// What was begun by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByHand {
    /// These are being told.
    pub told: Vec<ClientId>,
    /// These stay: no alternate has room for them.
    pub staying: Vec<ClientId>,
}

/// How clients are sent away by hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shed {
    /// There; none: to the alternates, as the watch would.
    pub to: Option<IpAddr>,
    /// This share of their load, 0 to 1.
    pub share: f64,
    /// Whether there is room or not.
    pub force: bool,
}

impl Campaign {
    /// The operator sends clients away: they stay away until the operator has them back.
    ///
    /// # Errors
    /// For people: nobody is meant, or everybody is away anyway.
    pub fn shed(&mut self, now: Instant, whom: &Whom, shed: Shed) -> Result<ByHand, String> {
        let phase = self.watch.phase();
        if let Phase::Draining { .. } | Phase::Drained = phase {
            return Err(format!("the server is {phase}: everybody was told to leave"));
        }
        let ids = self.meant(whom)?;
        let (gone, new) = self.divide(ids, shed.share);
        let load = self.watch.load().percent();
        let warning = Warning {
            reduction: 100,
            everyone: false,
            hard: false,
            must: shed.force,
            by_hand: true,
            reason: Reason::OPERATOR,
            load,
        };
        let topology = Arc::clone(&self.topology);
        let mut seats = self.seats(now, &topology, warning, shed.to);
        let mut done = ByHand::default();
        for id in gone.into_iter().chain(new) {
            if let Some(known) = self.roster.get_mut(&id).filter(|_| shed.to.is_some()) {
                // Wherever it is, it is to be there.
                known.gone = None;
            }
            if self.send_away(now, id, warning, &mut seats) {
                if let Some(known) = self.roster.get_mut(&id) {
                    known.by_hand = true;
                }
                done.told.push(id);
            } else {
                done.staying.push(id);
            }
        }
        self.pledge(now, &seats);
        tracing::info!("by hand: telling {} clients to leave", done.told.len());
        Ok(done)
    }

    /// The operator has clients come, whether they ever were this server's or not.
    ///
    /// # Errors
    /// For people: nobody is meant, or the server takes nobody at present.
    pub fn invite_by_hand(&mut self, now: Instant, whom: &Whom) -> Result<ByHand, String> {
        let ids = self.meant(whom)?;
        let (phase, cause) = (self.watch.phase(), self.watch.cause());
        match phase {
            Phase::Serving | Phase::Returning { paused: false } => {}
            Phase::Draining { .. } | Phase::Drained | Phase::Quiesced => {
                return Err(format!("the server is {phase} and takes nobody; forewarn resume comes first"));
            }
            Phase::Shedding { .. } | Phase::Away { .. } | Phase::Returning { paused: true } => {
                for id in &ids {
                    if let Some(known) = self.roster.get_mut(id) {
                        known.by_hand = false;
                    }
                }
                return Err(format!(
                    "the server is {phase} ({cause}) and invites nobody now; who was sent away by hand comes back with the \
                     others, as the load allows"
                ));
            }
        }
        self.invite_all(now, &ids, true, Reason::OPERATOR);
        Ok(ByHand { told: ids, staying: Vec::new() })
    }

    /// Whether none of them is being told any more.
    pub fn have_been_told(&self, ids: &[ClientId]) -> bool {
        let is_telling = |id: &ClientId| {
            self.issuer.view(*id).is_some_and(|view| matches!(view.told, Told::Telling { .. }))
        };
        !ids.iter().any(is_telling)
    }

    /// What became of it, client by client.
    pub fn outcome(&self, by_hand: &ByHand) -> Vec<ClientTold> {
        let told = by_hand.told.iter().map(|&id| (id, true));
        let staying = by_hand.staying.iter().map(|&id| (id, false));
        told.chain(staying).filter_map(|(id, was_told)| self.client_told(id, was_told)).collect()
    }

    fn client_told(&self, id: ClientId, was_told: bool) -> Option<ClientTold> {
        let known = self.roster.get(&id)?;
        let told = self.issuer.view(id)?.told;
        let at = known.gone.as_ref().and_then(|gone| gone.at).filter(|_| was_told && self.is_away(id));
        let (outcome, took) = match told {
            _ if !was_told => ("no-room".to_owned(), None),
            Told::Told { outcome, took, .. } => (outcome_name(outcome), Some(took)),
            Told::Telling { .. } => ("telling".to_owned(), None),
            Told::NotTold { .. } | Told::Nothing => ("not-told".to_owned(), None),
        };
        Some(ClientTold {
            name: known.name.to_string(),
            address: known.address.to_string(),
            to: at.map(|address| self.config.peers.name_of(address)),
            outcome,
            took_us: took.map(|took| took.as_micros() as u64),
        })
    }

    /// The clients that an operator means: those of them that can be told.
    fn meant(&self, whom: &Whom) -> Result<Vec<ClientId>, String> {
        let audience = match whom {
            Whom::All => Audience::All,
            Whom::Clients(names) => {
                let known: BTreeSet<&str> = self.roster.values().map(|known| &*known.name).collect();
                let unknown: Vec<&str> =
                    names.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
                if !unknown.is_empty() {
                    return Err(format!(
                        "no client that can be told is called {}; it needs a [[client]] of that name with a notice_key, and \
                         a network's device must have been heard",
                        unknown.join(", ")
                    ));
                }
                Audience::Clients(names.iter().cloned().collect())
            }
            Whom::Groups(globs) => Audience::Groups(globs.iter().map(|glob| Glob::new(glob)).collect()),
            Whom::Topology(path) => Audience::Topology(path.clone()),
        };
        let ids = self.select(&audience);
        if ids.is_empty() {
            return Err("nobody who can be told is meant by that".to_owned());
        }
        Ok(ids)
    }

    /// The server that an operator calls so: a peer's name, or the address of any other.
    ///
    /// # Errors
    /// For people: there is none.
    pub fn alternate_called(&self, name: &str) -> Result<IpAddr, String> {
        let peers = &self.config.peers.list;
        let peer = peers.iter().find(|peer| *peer.name == *name).map(|peer| peer.address);
        let address = peer.or_else(|| name.parse().ok());
        address.filter(|address| *address != self.config.server.identity).ok_or_else(|| {
            let names: Vec<&str> = peers.iter().map(|peer| &*peer.name).collect();
            format!("{name:?} is neither a [[peer]] ({}) nor another server's address", names.join(", "))
        })
    }
}
