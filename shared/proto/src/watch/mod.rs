//! One server's watch over itself: when to warn its clients, when to have them back.
//!
//! ```text
//!            over the failover threshold, `failover_after` readings running;
//!            at once by queue delay, mandatory service, network;
//!            foreseen within `lead`, `failover_after` readings running
//!   Serving ------------------------------------------------> Shedding --+  another share each `shed_every`
//!      ^                                                       |    ^----+  while still over
//!      | every slot has passed                 the whole audience told
//!      |                                                       v
//!   Returning <---------------------------------------------- Away
//!      under the connection threshold, `connection_after` readings running, and `away_min` over
//!      (from Shedding too); over the failover threshold again: a relapse, `away_min` doubled
//!
//!   drain: any -> Draining -> Drained     quiesce: Serving, Returning -> Quiesced     resume: any -> Returning
//! ```
//!
//! The cause of the last transition is part of the state. In every phase requests are answered, until a drain has
//! ended. Between the two thresholds nothing moves: a run of readings is broken by one that falls short.

mod config;
mod state;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use crate::gauge::{Load, Parameter};
use crate::time::Instant;
use crate::trend::{Forecast, Outlook, Verdicts};

pub use config::{AWAY_MAX, Config, RETRY_BY_OPERATOR, RETRY_MIN};
pub use state::{Admission, Cause, DrainBy, Event, Phase};

/// The machine.
#[derive(Clone, Debug)]
pub struct Watch {
    config: Config,
    phase: Phase,
    cause: Cause,
    since: Instant,
    load: Load,
    /// Readings running over the failover threshold.
    over: u32,
    /// Readings running under the connection threshold.
    calm: u32,
    /// The share of the audience that has been told to leave and wasn't invited back, 0 to 1.
    moved: f64,
    /// How long "away at least" is at present.
    away: Duration,
    /// A FAILOVER up to then is a relapse.
    relapse_until: Option<Instant>,
    /// The operator wants no new clients.
    quiesced: bool,
    greeted: bool,
    outlook: Option<Outlook>,
    events: VecDeque<Event>,
}

impl Watch {
    /// A server that starts, with nobody told anything.
    pub fn new(config: Config, now: Instant) -> Watch {
        Watch {
            config,
            phase: Phase::Serving,
            cause: Cause::Started,
            since: now,
            load: Load::default(),
            over: 0,
            calm: 0,
            moved: 0.0,
            away: config.away_min,
            relapse_until: None,
            quiesced: false,
            greeted: !config.greet,
            outlook: config.lead.map(|lead| Outlook::new(lead, config.failover_threshold)),
            events: VecDeque::new(),
        }
    }

    /// The phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Why it is in that phase.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Since when.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The load of the last reading.
    pub fn load(&self) -> &Load {
        &self.load
    }

    /// The share of the audience that has been told to leave, 0 to 1.
    pub fn moved(&self) -> f64 {
        self.moved
    }

    /// Requests are to be answered: always, until a drain has ended.
    pub fn is_taking(&self) -> bool {
        self.phase != Phase::Drained
    }

    /// Readings running over the failover threshold, and under the connection threshold.
    pub fn runs(&self) -> (u32, u32) {
        (self.over, self.calm)
    }

    /// What became of warnings that were foreseen.
    pub fn verdicts(&self) -> Verdicts {
        self.outlook.as_ref().map(|outlook| *outlook.verdicts()).unwrap_or_default()
    }

    /// Whether a client that asks to come back may (RECONNECT-REQUEST).
    pub fn admission(&self, now: Instant) -> Admission {
        let retry = match self.phase {
            Phase::Serving | Phase::Returning { paused: false } => return Admission::Granted,
            Phase::Returning { paused: true } => RETRY_MIN,
            Phase::Shedding { next_step } => next_step.since(now),
            Phase::Away { until } => until.since(now),
            Phase::Draining { .. } | Phase::Drained | Phase::Quiesced => RETRY_BY_OPERATOR,
        };
        Admission::Refused { retry: retry.max(RETRY_MIN) }
    }

    /// Another configuration from now on; nothing moves before the next reading.
    pub fn reconfigure(&mut self, config: Config) {
        self.config = config;
        match (&mut self.outlook, config.lead) {
            (Some(outlook), Some(lead)) => outlook.reconfigure(lead, config.failover_threshold),
            (outlook, lead) => *outlook = lead.map(|lead| Outlook::new(lead, config.failover_threshold)),
        }
        self.away = self.away.clamp(config.away_min, AWAY_MAX.max(config.away_min));
    }

    /// What was measured up to now says nothing about what will be: the process stood still, or other limits hold.
    pub fn distrust(&mut self) {
        if let Some(outlook) = &mut self.outlook {
            outlook.distrust();
        }
    }

    /// A reading has become this load.
    pub fn handle_reading(&mut self, now: Instant, load: &Load) {
        self.load = *load;
        self.look_ahead(now);
        let is_over = load.value() > self.config.failover_threshold;
        let is_calm = load.value() < self.config.connection_threshold
            && load.urgent().is_none()
            && self.forecast().is_none();
        self.over = if is_over { self.over.saturating_add(1) } else { 0 };
        self.calm = if is_calm { self.calm.saturating_add(1) } else { 0 };
        let warning = self.warning();
        match self.phase {
            Phase::Serving | Phase::Quiesced => match warning {
                Some(cause) => self.step(now, cause),
                None => self.greet(),
            },
            Phase::Shedding { next_step } => self.look_again(now, next_step),
            Phase::Away { until } => {
                if now >= until {
                    self.try_return(now);
                }
            }
            Phase::Returning { paused } => match warning {
                Some(cause) => self.step(now, cause),
                None => self.admit_or_pause(paused),
            },
            Phase::Draining { .. } | Phase::Drained => {}
        }
    }

    /// Planned departure: everybody is told, then requests stop being taken.
    pub fn drain(&mut self, now: Instant, by: DrainBy) {
        match self.phase {
            Phase::Draining { .. } | Phase::Drained => {
                if by == DrainBy::Shutdown {
                    self.cause = by.into();
                }
            }
            _ => {
                let deadline = now + self.config.drain_deadline;
                self.moved = 1.0;
                self.enter(now, Phase::Draining { deadline }, by.into());
                self.warn(true, false, by.into());
            }
        }
    }

    /// Every receipt and conversation a drain waits for is in.
    pub fn handle_drained(&mut self, now: Instant) {
        if let Phase::Draining { .. } = self.phase {
            self.enter(now, Phase::Drained, Cause::NothingLeft);
            self.events.push_back(Event::StopTaking);
        }
    }

    /// The operator wants it back: takes requests and invites whoever was told to leave, however long ago. Does
    /// nothing while there is nothing to take back.
    pub fn resume(&mut self, now: Instant) {
        self.quiesced = false;
        match self.phase {
            Phase::Serving | Phase::Returning { .. } => return,
            Phase::Drained => self.events.push_back(Event::StartTaking),
            Phase::Quiesced if self.moved == 0.0 => return self.enter(now, Phase::Serving, Cause::Operator),
            _ => {}
        }
        let paused = self.is_too_busy_to_admit();
        self.enter(now, Phase::Returning { paused }, Cause::Operator);
        if !paused {
            self.events.push_back(Event::Invite { cause: Cause::Operator });
        }
    }

    /// The operator wants it to keep its clients and take no new ones. A server that has worse to do goes on with
    /// that, and invites nobody afterwards. One that drains is not to be quiesced.
    pub fn quiesce(&mut self, now: Instant) {
        match self.phase {
            Phase::Draining { .. } | Phase::Drained | Phase::Quiesced => return,
            Phase::Serving | Phase::Returning { paused: true } => {
                self.enter(now, Phase::Quiesced, Cause::Operator);
            }
            Phase::Returning { paused: false } => {
                self.enter(now, Phase::Quiesced, Cause::Operator);
                self.events.push_back(Event::Pause { cause: Cause::Operator });
            }
            Phase::Shedding { .. } | Phase::Away { .. } => {}
        }
        self.quiesced = true;
    }

    /// The slot of the last client invited has passed.
    pub fn handle_returned(&mut self, now: Instant) {
        if let Phase::Returning { paused: false } = self.phase {
            self.moved = 0.0;
            self.relapse_until = Some(now + self.away);
            self.enter(now, Phase::Serving, Cause::AllReturned);
        }
    }

    /// A deadline has passed; any other time does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Phase::Draining { deadline } = self.phase
            && now >= deadline
        {
            // What is still in conversation here won't be answered any more: let it go at once.
            self.warn(true, true, Cause::Deadline);
            self.enter(now, Phase::Drained, Cause::Deadline);
            self.events.push_back(Event::StopTaking);
        }
    }

    /// The drain's deadline: the only thing that doesn't wait for a reading.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Draining { deadline } => Some(deadline),
            _ => None,
        }
    }

    /// The next thing to do.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Why to warn now, if the last reading says so.
    fn warning(&self) -> Option<Cause> {
        if let Some(parameter) = self.load.urgent() {
            return Some(Cause::LimitReached { parameter });
        }
        if self.over >= self.config.failover_after { Some(self.overload()) } else { self.foreseen() }
    }

    fn look_ahead(&mut self, now: Instant) {
        // Once everybody has left, nobody is to be warned.
        let matters = !matches!(self.phase, Phase::Away { .. } | Phase::Draining { .. } | Phase::Drained);
        if let Some(outlook) = &mut self.outlook {
            outlook.handle_reading(now, &self.load, matters);
        }
    }

    fn forecast(&self) -> Option<Forecast> {
        self.outlook.as_ref().and_then(Outlook::forecast)
    }

    /// Why to warn of what is coming.
    fn foreseen(&self) -> Option<Cause> {
        let forecast = self.forecast().filter(|forecast| forecast.readings >= self.config.failover_after)?;
        let Forecast { parameter, remaining, readings, .. } = forecast;
        Some(Cause::Foreseen { parameter, remaining, readings })
    }

    fn overload(&self) -> Cause {
        Cause::Overload { parameter: self.load.worst(), load: self.load.percent(), readings: self.over }
    }

    /// In Shedding: move more, or have them back, or neither.
    fn look_again(&mut self, now: Instant, next_step: Instant) {
        let urgent = self.load.urgent().map(|parameter| Cause::LimitReached { parameter });
        let cause = urgent.or_else(|| (self.over > 0).then(|| self.overload())).or_else(|| self.foreseen());
        let is_total = |cause: &Cause| urgent.is_some() && cause.parameter().is_some_and(Parameter::is_total);
        if let Some(cause) = cause.filter(|cause| now >= next_step || is_total(cause)) {
            self.step(now, cause);
        } else if now >= self.earliest_return() {
            self.try_return(now);
        }
    }

    /// One share more is told to leave. What shedding can't mend (no network, a mandatory service down) moves all.
    fn step(&mut self, now: Instant, cause: Cause) {
        let is_relapse = matches!(self.phase, Phase::Returning { .. })
            || self.relapse_until.is_some_and(|until| now <= until);
        let is_first = !matches!(self.phase, Phase::Shedding { .. });
        if is_first {
            let away_max = AWAY_MAX.max(self.config.away_min);
            self.away = if is_relapse { (self.away * 2).min(away_max) } else { self.config.away_min };
            self.relapse_until = None;
        }
        // Those invited and not long back are told again; a relapse begins with as many as had left before.
        let before = if matches!(self.phase, Phase::Returning { .. }) { 0.0 } else { self.moved };
        let total = cause.parameter().is_some_and(Parameter::is_total);
        let wanted = if total { 1.0 } else { (before + self.config.shed).max(self.moved) };
        // A hair under the whole is the whole: 0.1 ten times over.
        self.moved = if wanted > 1.0 - 1e-9 { 1.0 } else { wanted };
        self.greeted = true;
        self.calm = 0;
        let phase = if self.moved >= 1.0 {
            Phase::Away { until: now + self.away }
        } else {
            Phase::Shedding { next_step: now + self.config.shed_every }
        };
        self.enter(now, phase, cause);
        self.warn(false, false, cause);
        let forecast = self.forecast().filter(|_| matches!(cause, Cause::Foreseen { .. }));
        if let Some(outlook) = &mut self.outlook {
            if let Some(forecast) = forecast {
                outlook.handle_warning(now, &forecast);
            }
            outlook.begin_anew();
        }
    }

    /// In Shedding: `away_min` after the last step.
    fn earliest_return(&self) -> Instant {
        self.since + self.away
    }

    fn try_return(&mut self, now: Instant) {
        if self.calm < self.config.connection_after {
            return;
        }
        let cause = Cause::Recovered { load: self.load.percent(), readings: self.calm };
        if self.quiesced {
            self.enter(now, Phase::Quiesced, Cause::Operator);
        } else {
            self.enter(now, Phase::Returning { paused: false }, cause);
            self.events.push_back(Event::Invite { cause });
        }
    }

    /// In Returning, and not over the failover threshold for long.
    fn admit_or_pause(&mut self, paused: bool) {
        if !paused && self.is_too_busy_to_admit() {
            self.phase = Phase::Returning { paused: true };
            self.events.push_back(Event::Pause { cause: Cause::too_busy(&self.load) });
        } else if paused && self.calm >= self.config.connection_after {
            self.phase = Phase::Returning { paused: false };
            let cause = Cause::Recovered { load: self.load.percent(), readings: self.calm };
            self.events.push_back(Event::Invite { cause });
        }
    }

    fn is_too_busy_to_admit(&self) -> bool {
        self.load.value() > self.config.connection_threshold || self.load.urgent().is_some()
    }

    /// In Serving, once after the start.
    fn greet(&mut self) {
        if !self.greeted && self.phase == Phase::Serving && self.calm >= self.config.connection_after {
            self.greeted = true;
            self.events.push_back(Event::Invite { cause: Cause::Started });
        }
    }

    fn warn(&mut self, everyone: bool, hard: bool, cause: Cause) {
        let load = self.load.percent();
        self.events.push_back(Event::Warn { share: self.moved, everyone, hard, cause, load });
    }

    fn enter(&mut self, now: Instant, to: Phase, cause: Cause) {
        let from = self.phase;
        self.phase = to;
        self.cause = cause;
        self.since = now;
        self.events.push_back(Event::Entered { from, to, cause });
    }
}
