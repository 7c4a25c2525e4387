//! The servers of a machine for `forewarn status`, of an agent and of a proxy alike, and the words for what they did.

use forewarn_proto::pool::ServerId;
use forewarn_proto::switch::{Back, Cause, Standing};
use forewarn_proto::time::Instant;
use forewarn_proto::upstream::{Phase, ServerStatus, Upstream};
use forewarn_wire::notice::{Kind, Outcome};

use super::moves::{Micros, Move, cause_name};
use crate::clock;
use crate::control::{SwitchStatus, UpstreamStatus};

/// Points in time as the control socket shows them, as of one look at both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    /// The moment of the look.
    pub now: Instant,
    micros: Micros,
}

impl Calendar {
    /// The look.
    #[must_use]
    pub fn read() -> Calendar {
        Calendar { now: clock::now(), micros: clock::utc_nanos() / 1000 }
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn of(&self, instant: Instant) -> Micros {
        let ago = self.now.since(instant).as_micros() as Micros;
        let ahead = instant.since(self.now).as_micros() as Micros;
        self.micros.saturating_sub(ago).saturating_add(ahead)
    }
}

/// How each server stands, and since when.
#[derive(Debug, Default)]
pub struct Standings {
    known: Vec<(&'static str, Instant)>,
}

impl Standings {
    /// All servers as they are at the start.
    #[must_use]
    pub fn new(servers: usize, now: Instant) -> Standings {
        Standings { known: vec![("usable", now); servers] }
    }

    /// Notes what has changed.
    pub fn look(&mut self, now: Instant, machine: &Upstream) {
        for server in machine.pool().ids() {
            let standing = standing(now, &machine.status(now, server));
            if let Some(known) = self.known.get_mut(server.index())
                && known.0 != standing
            {
                *known = (standing, now);
            }
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

/// All servers of a machine, in order of preference.
#[must_use]
pub fn servers(machine: &Upstream, standings: &Standings, calendar: Calendar) -> Vec<UpstreamStatus> {
    machine.pool().ids().map(|server| one(machine, standings, calendar, server)).collect()
}

fn one(machine: &Upstream, standings: &Standings, calendar: Calendar, server: ServerId) -> UpstreamStatus {
    let home = machine.pool().server(server);
    let status = machine.status(calendar.now, server);
    let standing = standing(calendar.now, &status);
    UpstreamStatus {
        name: home.name.clone(),
        address: home.identity.to_string(),
        standing: standing.to_owned(),
        cause: cause(calendar.now, &status, home.status_server),
        since: calendar.of(standings.since(server, standing, calendar.now)),
        weight: f64::from(status.share_percent) / 100.0,
        sent: status.counters.sent + status.counters.moved_here + status.counters.retransmitted,
        answered: status.counters.answered,
        outstanding: u64::from(status.outstanding),
        heard_at: status.heard.map(|heard| calendar.of(heard)),
        requires_message_authenticator: home.require_message_authenticator,
        without_message_authenticator: status.counters.without_message_authenticator,
    }
}

/// A move of the traffic.
#[must_use]
pub fn switch(machine: &Upstream, last: &Move) -> SwitchStatus {
    let name = |server| machine.pool().server(server).name.clone();
    SwitchStatus {
        from: name(last.from),
        to: name(last.to),
        cause: cause_name(last.cause).to_owned(),
        caused_at: last.caused_at,
        decided_at: last.decided_at,
        first_request_at: last.first_request_at,
    }
}

/// One word for how a server stands.
fn standing(now: Instant, status: &ServerStatus) -> &'static str {
    match (status.phase, status.standing) {
        (Phase::Dead, _) => "dead",
        (Phase::Suspect | Phase::Doubtful, Standing::Open) | (Phase::Doubtful, _) => "suspect",
        (_, Standing::Open) => "usable",
        (_, Standing::Ramping { .. }) => "returning",
        (_, Standing::Away { notice, .. }) if now < notice.until => "warned",
        (_, Standing::Away { .. }) => "last-resort",
    }
}

fn cause(now: Instant, status: &ServerStatus, probed: bool) -> String {
    let life = match status.phase {
        Phase::Up => None,
        Phase::Suspect => Some("quiet: being probed"),
        Phase::Doubtful => Some("left a probe unanswered"),
        Phase::Dead if !probed => Some("silent; requests will try it again"),
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
        (None, None) if status.heard.is_none() => "not heard yet".to_owned(),
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
        Back::Invited { at } => format!("invited this client back in {:.1} s", seconds(at)),
        Back::Probed => "comes back when it answers a probe".to_owned(),
    }
}

/// Why traffic goes where it goes, for people.
#[must_use]
pub fn why(cause: Cause, from: &str, to: &str) -> String {
    match cause {
        Cause::Preferred => format!("{to} is the preferred server"),
        Cause::Notice { reason, hard: false } => format!("{from} asked to be left ({reason})"),
        Cause::Notice { reason, hard: true } => format!("{from} is about to stop ({reason})"),
        Cause::Unanswered => format!("{from} left a probe unanswered"),
        Cause::Invited => format!("{to} invited this client back, and its slot has come"),
        Cause::NoticeEnded => format!("{to} took its notice back"),
        Cause::After => format!("[reconnect] after has passed, and {to} answers"),
        Cause::Revived => format!("{to} answers again"),
    }
}

/// A notice's kind, by its name.
#[must_use]
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Failover => "FAILOVER",
        Kind::Reconnect => "RECONNECT",
        Kind::Ack => "ACK",
        Kind::Hello => "HELLO",
        Kind::ReconnectRequest => "RECONNECT-REQUEST",
        Kind::Refused => "REFUSED",
        Kind::PeerDown => "PEER-DOWN",
        Kind::Challenge => "CHALLENGE",
        Kind::Load => "LOAD",
    }
}

/// What was done about a notice, for people.
#[must_use]
pub fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Moved => "moved",
        Outcome::AlreadyAway => "already away",
        Outcome::LastUsable => "stayed: it is the last usable server",
        Outcome::NoAlternate => "stayed: none of its alternates is configured here",
        Outcome::Noted | Outcome::Other(_) => "noted",
    }
}
