//! What a machine of another configuration takes over: conversations, and what is known of the servers.

use forewarn_wire::notice::Identity;

use super::{Phase, Upstream};
use crate::pool::ServerId;
use crate::switch;
use crate::time::Instant;

/// What one machine leaves to the next, by the servers' identities. Requests in flight stay with the one that sent them.
#[derive(Clone, Debug)]
pub struct Legacy {
    switch: switch::Legacy,
    phases: Vec<(Identity, Phase)>,
    seed: u64,
    conversations: Vec<(u64, Identity, Instant)>,
}

impl Upstream {
    /// What there is to be taken over.
    pub fn bequeath(&self) -> Legacy {
        let identity = |server: ServerId| self.pool.server(server).identity;
        let phase = |id: ServerId| (identity(id), self.lines[id.index()].detection.phase());
        let conversations = self.conversations.all();
        Legacy {
            switch: self.switch.bequeath(),
            phases: self.pool.ids().map(phase).collect(),
            seed: self.seed,
            conversations: conversations
                .map(|(state, server, until)| (state, identity(server), until))
                .collect(),
        }
    }

    /// Takes it over, before the first request.
    pub fn inherit(&mut self, now: Instant, legacy: &Legacy) {
        let by_identity = |wanted: Identity| {
            self.pool.iter().find(|(_, server)| server.identity == wanted).map(|(id, _)| id)
        };
        let known = legacy.conversations.iter().filter(|(_, _, until)| *until > now);
        let known =
            known.filter_map(|&(state, identity, until)| Some((state, by_identity(identity)?, until)));
        self.seed = legacy.seed;
        self.conversations.inherit(legacy.seed, known);
        for &(identity, phase) in &legacy.phases {
            if let Some(id) = by_identity(identity) {
                self.lines[id.index()].detection.inherit(now, phase);
            }
        }
        self.switch.inherit(now, &legacy.switch);
    }
}
