//! What `forewarn status` shows of an agent.

use forewarn_proto::time::Instant;
use forewarn_shell::control::{AgentStatus, Counts, Program};
use forewarn_shell::upstream::show::{self, Calendar};

use crate::agent::{Agent, Core};

/// The agent as it is now; `program` says who it is.
pub(crate) fn status(agent: &Agent, program: Program) -> AgentStatus {
    let calendar = Calendar::read();
    let core = agent.core();
    let machine = core.driver.machine();
    let (current, since, cause) = machine.current();
    let name = |server| core.news.name(server).to_owned();
    let from = core.moves.last().map_or(current, |last| last.from);
    AgentStatus {
        program: Program {
            complaints: core.inbox.complaint().map(str::to_owned).into_iter().collect(),
            ..program
        },
        current: name(current),
        why: show::why(cause, core.news.name(from), core.news.name(current)),
        since: calendar.of(since),
        servers: show::servers(machine, &core.standings, calendar),
        last_switch: core.moves.last().map(|last| show::switch(machine, last)),
        switches: core.moves.counts().map(|(cause, count)| (cause.to_owned(), count)).collect(),
        in_flight: machine.in_flight() as u64,
        notices: notices(core),
        requests: core.front.counts().iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        counters: counters(core),
    }
}

fn notices(core: &Core) -> Counts {
    let counts = core.inbox.machine().counts();
    let sent = core.inbox.counters();
    let kinds = core.kinds;
    let pairs = [
        ("accepted.failover", kinds.failover),
        ("accepted.reconnect", kinds.reconnect),
        ("accepted.refused", kinds.refused),
        ("accepted.load", kinds.load),
        ("duplicate", counts.duplicate),
        ("refused.malformed", counts.malformed),
        ("refused.unknown-sender", counts.unknown_sender),
        ("refused.unknown-key", counts.unknown_key),
        ("refused.wrong-kind", counts.wrong_kind),
        ("refused.stale", counts.stale),
        ("refused.bad-mac", counts.bad_mac),
        ("refused.replay", counts.replay),
        ("sent.challenge", counts.challenges),
        ("sent.receipt", sent.receipts),
        ("sent.reconnect-request", sent.reconnect_requests),
        ("sent.hello", sent.hellos),
        ("unsent", sent.unsent),
        ("dropped-by-kernel", core.inbox.dropped()),
    ];
    pairs.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

fn counters(core: &Core) -> Counts {
    let machine = core.driver.machine();
    let all = machine.counters();
    let duplicates = core.front.duplicates();
    let sockets = core.driver.counters();
    let hooks = core.news.hooks();
    let (saved, failed) = core.keeper.counts();
    let mut counts: Counts = [
        ("upstream.requests", all.requests),
        ("upstream.answered", all.answered),
        ("upstream.timed-out", all.timed_out),
        ("upstream.refused-full", all.refused_full),
        ("upstream.refused-no-identifier", all.refused_no_identifier),
        ("upstream.stuck", all.stuck),
        ("upstream.unforwardable", all.unforwardable),
        ("upstream.abandoned", all.abandoned),
        ("upstream.unknown-sender", all.unknown_sender),
        ("upstream.events-lost", all.events_lost),
        ("upstream.blocked", sockets.blocked),
        ("upstream.refused-by-kernel", sockets.refused),
        ("upstream.dropped-by-kernel", sockets.dropped),
        ("upstream.trouble", sockets.trouble),
        ("front.dropped-by-kernel", core.dropped_at_doors()),
        ("front.blocked", core.blocked),
        ("duplicates.in-progress", duplicates.in_progress),
        ("duplicates.replayed", duplicates.replayed),
        ("duplicates.replaced", duplicates.replaced),
        ("duplicates.evicted", duplicates.evicted),
        ("duplicates.abandoned", duplicates.abandoned),
        ("duplicates.refused", duplicates.refused),
        ("log.lost", forewarn_shell::log::lost()),
        ("hooks.succeeded", hooks.succeeded),
        ("hooks.failed", hooks.failed),
        ("hooks.timed-out", hooks.timed_out),
        ("hooks.given-up", hooks.given_up),
        ("marks.saved", saved),
        ("marks.failed", failed),
    ]
    .into_iter()
    .map(|(name, count)| (name.to_owned(), count))
    .collect();
    if let Some(spool) = &core.spool {
        let (held, all) = (spool.held(), spool.counts());
        let own = [
            ("spool.waiting", held.records),
            ("spool.octets", held.octets),
            ("spool.kept", all.kept),
            ("spool.not-kept", all.not_kept),
            ("spool.delivered", all.delivered),
            ("spool.undeliverable", all.undeliverable),
        ];
        counts.extend(own.map(|(name, count)| (name.to_owned(), count)));
    }
    if core.coa.listening().next().is_some() {
        let all = core.coa.relay().counts().iter();
        let own = [("coa.blocked", core.coa.blocked()), ("coa.dropped-by-kernel", core.coa.dropped())];
        counts.extend(all.chain(own).map(|(name, count)| (name.to_owned(), count)));
    }
    for (id, home) in machine.pool().iter() {
        let server = machine.status(Instant::ZERO, id).counters;
        let own = [
            ("moved-here", server.moved_here),
            ("retransmitted", server.retransmitted),
            ("probes", server.probes),
            ("probes-answered", server.probes_answered),
            ("unexpected", server.unexpected),
            ("malformed", server.malformed),
            ("without-message-authenticator", server.without_message_authenticator),
            ("forged", server.forged),
        ];
        counts.extend(own.map(|(name, count)| (format!("{}.{name}", home.name), count)));
    }
    counts
}
