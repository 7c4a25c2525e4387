//! Whether one server is alive (the watchdog of RFC 3539 section 3.4 with RFC 5997's Status-Server).
//!
//! ```text
//!        requests outstanding, nothing heard for `quiet`          unanswered            all unanswered
//!   Up ---------------------------------------------> Suspect --------------> Doubtful ---------------> Dead
//!    ^                   anything valid heard           |                        |                        |
//!    +--------------------------------------------------+                        |                        |
//!    +------------- several probes answered running, or anything when nobody else is alive --------------+
//! ```
//!
//! Each state but Up sends probes. Any valid reply is a sign of life, whichever request it answers; an invalid
//! one is nothing at all.
//!
//! A server that knows no Status-Server is never probed: silent for `silence` it is Dead, and `retry` later Up again,
//! so that requests find out.

use forewarn_wire::AUTHENTICATOR;
use rand_core::CryptoRng;

use super::config::DeadServer;
use crate::exchange::jittered;
use crate::pool::Kind;
use crate::time::Instant;

/// Identifiers of the first source port that only probes use: each may be answered late.
pub(super) const PROBE_IDENTIFIERS: u8 = 8;
/// The first of them.
const FIRST_PROBE: u8 = u8::MAX - PROBE_IDENTIFIERS + 1;

/// What is thought of a server's life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Nothing speaks against it.
    Up,
    /// A first probe is out.
    Suspect,
    /// A first probe was left unanswered.
    Doubtful,
    /// All were.
    Dead,
}

/// What a step of the clock or a sign of life changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// It entered another phase.
    Entered { before: Phase, phase: Phase },
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    kind: Kind,
    authenticator: [u8; AUTHENTICATOR],
    open: bool,
}

#[derive(Debug)]
pub(super) struct Detection {
    phase: Phase,
    /// It answers Status-Server.
    probed: bool,
    /// Back after `retry`, and sent nothing since: there is nothing to wait for.
    untried: bool,
    /// Requests outstanding, by kind.
    outstanding: [u32; 2],
    /// Since when there has always been one outstanding.
    waiting_since: Instant,
    /// When something valid was last heard, by kind.
    heard: [Instant; 2],
    /// The port that is probed: the one that was quiet when suspicion began, until it is lifted.
    suspect: Kind,
    probes: [Probe; PROBE_IDENTIFIERS as usize],
    /// Probes begun so far; the last one is the one that is waited for.
    begun: usize,
    /// The last probe is to be handed out for sending.
    to_send: bool,
    /// Unanswered probes running, the last one included while it is out; answered ones running.
    unanswered: u32,
    answered: u32,
    /// When the next step is due, in every phase but Up.
    next: Instant,
    /// The last probe was given more time, because the clock jumped.
    excused: bool,
}

impl Detection {
    pub(super) fn new(now: Instant, probed: bool) -> Detection {
        let unused = Probe { kind: Kind::Auth, authenticator: [0; AUTHENTICATOR], open: false };
        Detection {
            phase: Phase::Up,
            probed,
            untried: false,
            outstanding: [0; 2],
            waiting_since: now,
            heard: [now; 2],
            suspect: Kind::Auth,
            probes: [unused; PROBE_IDENTIFIERS as usize],
            begun: 0,
            to_send: false,
            unanswered: 0,
            answered: 0,
            next: now,
            excused: false,
        }
    }

    /// Goes on where another configuration was: who was silent is probed at once, and stays silent until it answers.
    pub(super) fn inherit(&mut self, now: Instant, phase: Phase) {
        if phase >= Phase::Doubtful {
            (self.phase, self.next) = (phase, now);
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding.iter().sum()
    }

    /// A request of this kind went out.
    pub(super) fn handle_sent(&mut self, now: Instant, kind: Kind) {
        if self.outstanding() == 0 || std::mem::take(&mut self.untried) {
            self.waiting_since = now;
        }
        self.outstanding[kind.index()] += 1;
    }

    /// A request of this kind is no longer waited for.
    pub(super) fn handle_ended(&mut self, kind: Kind) {
        let waiting = &mut self.outstanding[kind.index()];
        *waiting = waiting.saturating_sub(1);
    }

    /// A valid reply came; `alone` when no other server is alive. `probe` when it answers a probe.
    pub(super) fn handle_heard(
        &mut self,
        now: Instant,
        kind: Kind,
        probe: bool,
        alone: bool,
        config: &DeadServer,
    ) -> Change {
        self.heard[kind.index()] = now;
        self.unanswered = 0;
        self.untried = false;
        match self.phase {
            Phase::Up => Change::None,
            Phase::Suspect => self.enter(Phase::Up),
            Phase::Doubtful | Phase::Dead if !self.probed => self.enter(Phase::Up),
            Phase::Doubtful | Phase::Dead => {
                self.answered += u32::from(probe);
                if alone || self.answered >= config.revive_answers {
                    return self.enter(Phase::Up);
                }
                self.next = self.next.min(now + config.probe_interval);
                Change::None
            }
        }
    }

    /// Probes the server whatever is outstanding; nothing when that is under way.
    pub(super) fn examine(&mut self, now: Instant, rng: &mut dyn CryptoRng, config: &DeadServer) -> Change {
        match self.phase {
            Phase::Up => {
                let change = self.enter(Phase::Suspect);
                self.suspect = self.quieter();
                self.probe(now, rng, config);
                change
            }
            Phase::Suspect => Change::None,
            Phase::Doubtful | Phase::Dead => {
                self.next = now;
                Change::None
            }
        }
    }

    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        config: &DeadServer,
    ) -> Change {
        let Some(due) = self.poll_timeout(config).filter(|&due| due <= now) else { return Change::None };
        if !self.probed {
            return self.silent(now, due, rng, config);
        }
        if self.phase != Phase::Up && !self.excused && now.since(due) > config.probe_interval / 2 {
            // It was we who slept: the answer may be waiting to be read.
            self.excused = true;
            self.next = now + config.probe_interval / 4;
            return Change::None;
        }
        let phase = match self.phase {
            Phase::Up => return self.examine(now, rng, config),
            _ if self.unanswered >= config.probes => Phase::Dead,
            Phase::Suspect | Phase::Doubtful if self.unanswered >= 1 => Phase::Doubtful,
            same => same,
        };
        if self.unanswered > 0 {
            self.answered = 0;
        }
        let change = if phase == self.phase { Change::None } else { self.enter(phase) };
        self.probe(now, rng, config);
        change
    }

    pub(super) fn poll_timeout(&self, config: &DeadServer) -> Option<Instant> {
        match self.phase {
            Phase::Up if self.outstanding() == 0 || self.untried => None,
            Phase::Up if !self.probed => Some(self.quiet_since() + config.silence),
            Phase::Up => Some(self.quiet_since() + config.quiet),
            Phase::Suspect | Phase::Doubtful | Phase::Dead => Some(self.next),
        }
    }

    /// The probe to be sent now: its kind, identifier and authenticator.
    pub(super) fn take_probe(&mut self) -> Option<(Kind, u8, [u8; AUTHENTICATOR])> {
        if !std::mem::take(&mut self.to_send) {
            return None;
        }
        let index = (self.begun - 1) % self.probes.len();
        let probe = &self.probes[index];
        Some((probe.kind, FIRST_PROBE + index as u8, probe.authenticator))
    }

    /// The authenticator of the probe that a datagram may answer.
    pub(super) fn probe_named(&self, kind: Kind, identifier: u8) -> Option<&[u8; AUTHENTICATOR]> {
        let probe = &self.probes[usize::from(identifier.checked_sub(FIRST_PROBE)?)];
        (probe.open && probe.kind == kind).then_some(&probe.authenticator)
    }

    /// The probe was answered: once is enough.
    pub(super) fn close_probe(&mut self, identifier: u8) {
        if let Some(index) = identifier.checked_sub(FIRST_PROBE) {
            self.probes[usize::from(index)].open = false;
        }
    }

    /// Whether this name is one of the probes'.
    pub(super) fn is_probe(port: u16, identifier: u8) -> bool {
        port == 0 && identifier >= FIRST_PROBE
    }

    /// What is due of a server that can't be probed.
    fn silent(&mut self, now: Instant, due: Instant, rng: &mut dyn CryptoRng, config: &DeadServer) -> Change {
        if self.phase != Phase::Up {
            self.untried = true;
            return self.enter(Phase::Up);
        }
        if now.since(due) > config.silence / 2 {
            // It was we who slept: the answer may be waiting to be read.
            self.waiting_since = now;
            return Change::None;
        }
        self.next = now + jittered(config.retry, rng);
        self.enter(Phase::Dead)
    }

    /// Nothing at all was heard since then, while something was waited for.
    fn quiet_since(&self) -> Instant {
        self.waiting_since.max(self.heard[0]).max(self.heard[1])
    }

    fn enter(&mut self, phase: Phase) -> Change {
        let before = std::mem::replace(&mut self.phase, phase);
        if phase == Phase::Up {
            (self.unanswered, self.answered, self.to_send) = (0, 0, false);
        }
        Change::Entered { before, phase }
    }

    /// The port that is waited for; of both, the one that has been quiet for longer.
    fn quieter(&self) -> Kind {
        match self.outstanding {
            [0, acct] if acct > 0 => Kind::Acct,
            [_, acct] if acct > 0 && self.heard[1] < self.heard[0] => Kind::Acct,
            _ => Kind::Auth,
        }
    }

    fn probe(&mut self, now: Instant, rng: &mut dyn CryptoRng, config: &DeadServer) {
        let index = self.begun % self.probes.len();
        let mut authenticator = [0; AUTHENTICATOR];
        rng.fill_bytes(&mut authenticator);
        self.probes[index] = Probe { kind: self.suspect, authenticator, open: true };
        self.begun += 1;
        self.excused = false;
        self.to_send = true;
        self.unanswered += 1;
        let settled = self.phase == Phase::Dead && self.answered == 0;
        let wait = if settled { jittered(config.revive_interval, rng) } else { config.probe_interval };
        self.next = now + wait;
    }
}
