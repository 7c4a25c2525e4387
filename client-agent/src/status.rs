//! What `forewarn status` shows of an agent.

use forewarn_proto::pool::ServerId;
use forewarn_proto::switch::{Back, Standing};
use forewarn_proto::time::Instant;
use forewarn_proto::upstream::{Phase, ServerStatus};
use forewarn_shell::clock;
use forewarn_shell::control::{AgentStatus, Counts, Program, SwitchStatus, UpstreamStatus};

use crate::agent::{Agent, Core};
use crate::moves::{Micros, Move, cause_name};
use crate::news;

/// Points in time as the control socket shows them, as of one look at both clocks.
#[derive(Clone, Copy)]
struct Calendar {
    now: Instant,
    micros: Micros,
}

impl Calendar {
    fn read() -> Calendar {
        Calendar { now: clock::now(), micros: clock::utc_nanos() / 1000 }
    }

    fn of(&self, instant: Instant) -> Micros {
        let ago = self.now.since(instant).as_micros() as Micros;
        let ahead = instant.since(self.now).as_micros() as Micros;
        self.micros.saturating_sub(ago).saturating_add(ahead)
    }
}

/// The agent as it is now; `program` says who it is.
pub(crate) fn status(agent: &Agent, program: Program) -> AgentStatus {
    let calendar = Calendar::read();
    let core = agent.core();
    let machine = core.driver.machine();
    let (current, since, cause) = machine.current();
    let name = |server| core.news.name(server).to_owned();
    let from = core.moves.last().map_or(current, |last| last.from);
    let servers = machine.pool().ids();
    AgentStatus {
        program: Program {
            complaints: core.inbox.complaint().map(str::to_owned).into_iter().collect(),
            ..program
        },
        current: name(current),
        why: news::why(cause, core.news.name(from), core.news.name(current)),
        since: calendar.of(since),
        servers: servers.map(|server| upstream(agent, calendar, server)).collect(),
        last_switch: core.moves.last().map(|last| last_switch(core, last)),
        switches: core.moves.counts().map(|(cause, count)| (cause.to_owned(), count)).collect(),
        in_flight: machine.in_flight() as u64,
        notices: notices(core),
        requests: core.front.counts().iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        counters: counters(core),
    }
}

fn last_switch(core: &Core, last: &Move) -> SwitchStatus {
    SwitchStatus {
        from: core.news.name(last.from).to_owned(),
        to: core.news.name(last.to).to_owned(),
        cause: cause_name(last.cause).to_owned(),
        caused_at: last.caused_at,
        decided_at: last.decided_at,
        first_request_at: last.first_request_at,
    }
}

fn upstream(agent: &Agent, calendar: Calendar, server: ServerId) -> UpstreamStatus {
    let core = agent.core();
    let home = core.driver.machine().pool().server(server);
    let status = core.driver.machine().status(calendar.now, server);
    let standing = standing(calendar.now, &status);
    UpstreamStatus {
        name: home.name.clone(),
        address: home.identity.to_string(),
        standing: standing.to_owned(),
        cause: cause(calendar.now, &status),
        since: calendar.of(core.standings.since(server, standing, calendar.now)),
        weight: f64::from(status.share_percent) / 100.0,
        sent: status.counters.sent + status.counters.moved_here + status.counters.retransmitted,
        answered: status.counters.answered,
        outstanding: u64::from(status.outstanding),
        heard_at: status.heard.map(|heard| calendar.of(heard)),
        requires_message_authenticator: home.require_message_authenticator,
        without_message_authenticator: status.counters.without_message_authenticator,
    }
}

/// One word for how a server stands.
pub(crate) fn standing(now: Instant, status: &ServerStatus) -> &'static str {
    match (status.phase, status.standing) {
        (Phase::Dead, _) => "dead",
        (Phase::Suspect | Phase::Doubtful, Standing::Open) | (Phase::Doubtful, _) => "suspect",
        (_, Standing::Open) => "usable",
        (_, Standing::Ramping { .. }) => "returning",
        (_, Standing::Away { notice, .. }) if now < notice.until => "warned",
        (_, Standing::Away { .. }) => "last-resort",
    }
}

fn cause(now: Instant, status: &ServerStatus) -> String {
    let life = match status.phase {
        Phase::Up => None,
        Phase::Suspect => Some("quiet: being probed"),
        Phase::Doubtful => Some("left a probe unanswered"),
        Phase::Dead => Some("answers no probe"),
    };
    let said = match status.standing {
        Standing::Open => None,
        Standing::Ramping { from_percent, .. } => Some(format!("traffic returns, from {from_percent} %")),
        Standing::Away { notice, back, .. } => Some(format!(
            "asked to be left ({}, reduction {} %, load {} %{}){}; {}",
            notice.reason,
            notice.reduction_percent,
            notice.load_percent,
            if notice.hard { ", hard" } else { "" },
            if now < notice.until { "" } else { ", which has expired" },
            back_text(now, back)
        )),
    };
    match (life, said) {
        (None, None) => "answers".to_owned(),
        (Some(life), None) => life.to_owned(),
        (None, Some(said)) => said,
        (Some(life), Some(said)) => format!("{life}; {said}"),
    }
}

fn back_text(now: Instant, back: Back) -> String {
    let seconds = |at: Instant| at.since(now).as_secs_f64();
    match back {
        Back::Ask { at } => format!("will be asked in {:.0} s", seconds(at)),
        Back::Asking { tries, .. } => format!("asked {tries} times, no answer yet"),
        Back::Invited { at } => format!("invited this agent back in {:.1} s", seconds(at)),
        Back::Probed => "comes back when it answers a probe".to_owned(),
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

/// How each server stands, and since when.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    known: Vec<(&'static str, Instant)>,
}

impl Standings {
    /// All servers as they are at the start.
    pub(crate) fn new(servers: usize, now: Instant) -> Standings {
        Standings { known: vec![("usable", now); servers] }
    }

    /// Notes what has changed.
    pub(crate) fn look(&mut self, now: Instant, server: ServerId, standing: &'static str) {
        if let Some(known) = self.known.get_mut(server.index())
            && known.0 != standing
        {
            *known = (standing, now);
        }
    }

    /// Since when a server has stood so.
    fn since(&self, server: ServerId, standing: &'static str, now: Instant) -> Instant {
        match self.known.get(server.index()) {
            Some((known, since)) if *known == standing => *since,
            _ => now,
        }
    }
}
