//! What happened, for people and for hooks. Nothing here is in the way of a packet: the machines' events are kept
//! until everything has been sent, then told.

use std::collections::VecDeque;

use forewarn_proto::notice::Transport;
use forewarn_proto::notice::verify::Refusal;
use forewarn_proto::pool::ServerId;
use forewarn_proto::switch::{self, Cause};
use forewarn_proto::time::Instant;
use forewarn_proto::upstream::{Event, Phase};
use forewarn_shell::inbox::Refusals;
use forewarn_shell::upstream::moves::{Move, cause_name};
use forewarn_shell::upstream::show::{kind_name, outcome_name, why};
use forewarn_wire::notice::{Header, Kind, Outcome};
use tracing::{debug, info, warn};

use crate::config::{Config, Occasion};
use crate::hook::{Facts, HookCounts, Hooks};
use crate::inbox::Arrival;

/// Untold items kept, at most; the oldest goes first.
const UNTOLD_MAX: usize = 256;

/// What is still to be told, and to whom.
pub(crate) struct News {
    agent: String,
    identity: String,
    servers: Vec<(String, String)>,
    hooks: Hooks,
    untold: VecDeque<Item>,
    refusals: Refusals,
}

enum Item {
    Moved(Move),
    Event(Event),
    Notice(NoticeFacts),
}

/// An accepted notice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoticeFacts {
    pub(crate) server: ServerId,
    pub(crate) via: Transport,
    pub(crate) header: Header,
    pub(crate) outcome: Outcome,
}

impl News {
    pub(crate) fn new(config: &Config, hooks: Hooks) -> News {
        let server = |server: &crate::config::Server| (server.name.clone(), server.address.to_string());
        News {
            agent: config.name.clone(),
            identity: config.identity.to_string(),
            servers: config.servers.iter().map(server).collect(),
            hooks,
            untold: VecDeque::with_capacity(UNTOLD_MAX),
            refusals: Refusals::default(),
        }
    }

    pub(crate) fn hooks(&self) -> HookCounts {
        self.hooks.counts()
    }

    /// The name of a server.
    pub(crate) fn name(&self, server: ServerId) -> &str {
        self.servers.get(server.index()).map_or("?", |(name, _)| name)
    }

    pub(crate) fn moved(&mut self, moved: Move) {
        self.push(Item::Moved(moved));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.push(Item::Event(event));
    }

    pub(crate) fn notice(&mut self, facts: NoticeFacts) {
        self.push(Item::Notice(facts));
    }

    /// A notice wasn't believed. It is counted elsewhere; here it is mentioned, and seldom.
    pub(crate) fn refused(&mut self, now: Instant, arrival: &Arrival<'_>, refusal: &Refusal) {
        debug!(from = %arrival.from.ip(), via = arrival.via.name(), %refusal, "a notice was refused");
        if let Some(text) = self.refusals.mention(now, arrival.from.ip(), arrival.via, refusal) {
            warn!("{text}");
        }
    }

    /// Tells everything that is untold.
    pub(crate) fn tell(&mut self) {
        while let Some(item) = self.untold.pop_front() {
            match item {
                Item::Moved(moved) => self.tell_move(&moved),
                Item::Event(event) => self.tell_event(event),
                Item::Notice(facts) => self.tell_notice(&facts),
            }
        }
    }

    fn push(&mut self, item: Item) {
        if self.untold.len() == UNTOLD_MAX {
            self.untold.pop_front();
        }
        self.untold.push_back(item);
    }

    fn tell_move(&self, moved: &Move) {
        let (from, to) = (self.name(moved.from), self.name(moved.to));
        info!("traffic moves from {from} to {to}: {}", why(moved.cause, from, to));
        if !self.hooks.any(Occasion::Switch) {
            return;
        }
        let mut facts = self.facts();
        facts.push(("CAUSE", cause_name(moved.cause).to_owned()));
        if let Cause::Notice { reason, hard } = moved.cause {
            facts.push(("REASON", reason.to_string()));
            facts.push(("HARD", u8::from(hard).to_string()));
        }
        for (name, address, server) in [("FROM", "FROM_ADDRESS", moved.from), ("TO", "TO_ADDRESS", moved.to)]
        {
            facts.extend(self.named(name, address, server));
        }
        facts.push(("TIME_MS", (moved.decided_at / 1000).to_string()));
        self.hooks.happened(Occasion::Switch, &facts);
    }

    fn tell_event(&self, event: Event) {
        match event {
            Event::Switch(switch::Event::Switched { .. }) => {}
            Event::Switch(switch::Event::AskReconnect { server }) => {
                info!("asking {} whether this agent may come back", self.name(server));
            }
            Event::Switch(switch::Event::DrainEnded { server }) => {
                info!("conversations no longer stay with {}", self.name(server));
            }
            Event::Switch(switch::Event::Settled { server }) => {
                info!("{} has all its traffic again", self.name(server));
            }
            Event::Life { server, before, phase } => {
                let name = self.name(server);
                match phase {
                    Phase::Up if before == Phase::Suspect => debug!("{name} answers the probe"),
                    Phase::Up => info!("{name} answers again"),
                    Phase::Suspect => debug!("{name} is quiet: probing it"),
                    Phase::Doubtful => warn!("{name} left a probe unanswered: requests go elsewhere"),
                    Phase::Dead => warn!("{name} is dead: it answers no probe; it is probed on"),
                }
            }
        }
    }

    fn tell_notice(&self, facts: &NoticeFacts) {
        let NoticeFacts { server, via, header, outcome } = facts;
        let (name, via, did) = (self.name(*server), via.name(), outcome_name(*outcome));
        // What a CHALLENGE gets when nothing is in force.
        if header.kind == Kind::Failover && header.reduction_percent == 0 && header.validity_s == 0 {
            info!("{name} says by {via}: nothing is in force; {did}");
        } else {
            info!(
                "{name} says by {via}: {} (reduction {} %, load {} %, {}); {did}",
                kind_name(header.kind),
                header.reduction_percent,
                header.load_percent,
                header.reason,
            );
        }
        if !self.hooks.any(Occasion::Notice) {
            return;
        }
        let mut told = self.facts();
        told.extend(self.named("SERVER", "SERVER_ADDRESS", *server));
        told.extend([
            ("TYPE", kind_name(header.kind).to_owned()),
            ("REASON", header.reason.to_string()),
            ("REDUCTION", header.reduction_percent.to_string()),
            ("LOAD", header.load_percent.to_string()),
            ("VALIDITY", header.validity_s.to_string()),
            ("OUTCOME", outcome_name(*outcome).to_owned()),
        ]);
        self.hooks.happened(Occasion::Notice, &told);
    }

    fn facts(&self) -> Facts {
        vec![("AGENT", self.agent.clone()), ("IDENTITY", self.identity.clone())]
    }

    fn named(
        &self,
        name: &'static str,
        address: &'static str,
        server: ServerId,
    ) -> impl Iterator<Item = (&'static str, String)> {
        let found = self.servers.get(server.index()).cloned();
        found.into_iter().flat_map(move |(called, at)| [(name, called), (address, at)])
    }
}
