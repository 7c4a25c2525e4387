//! What is coming: from the last readings of what fills up, the time until the failover threshold.
//!
//! A line is laid through the last readings of a parameter by the medians of Theil and Sen, which a third of the
//! readings can be wrong without moving. The line says where the parameter stands; how fast it rises is taken from the
//! slower quarter of the slopes between any two readings, so that noise, whose slopes go both ways, rises not at all.
//! A parameter that has come as high before and has gone back by itself (a heap that is collected, a nightly job)
//! isn't foreseen below that height: what fell there may fall there again.

mod fit;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::VecDeque;
use std::time::Duration;

use crate::gauge::{Load, Parameter};
use crate::time::Instant;

pub use verdict::{LEAVING, Verdicts};

use fit::{Line, Point};
use verdict::Judge;

/// What is looked at: what fills up. The others jump, or are the host's.
pub const FORESEEN: [Parameter; 3] = [Parameter::QueueDelay, Parameter::Latency, Parameter::Memory];

/// Fewer readings say nothing.
pub const READINGS_MIN: usize = 8;

/// More are not looked at: readings that come faster are thinned out.
pub const READINGS_MAX: usize = 32;

/// A fall by this share of the limit is a turn, and a height passed by less isn't passed: peaks of one kind differ.
pub const TURN: f64 = 0.02;

/// How long a height is remembered from which a parameter went back by itself, at least; twice that at the most.
pub const REMEMBERED: Duration = Duration::from_secs(300);

/// What is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Of this parameter.
    pub parameter: Parameter,
    /// It reaches the failover threshold after this.
    pub remaining: Duration,
    /// Readings running that said so.
    pub readings: u32,
    /// What it came to at the first of them: 1 is its limit.
    first: f64,
    /// And at the last.
    last: f64,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Outlook {
    lead: Duration,
    threshold: f64,
    trends: [Trend; FORESEEN.len()],
    judge: Judge,
}

impl Outlook {
    /// Warnings may go out when less than `lead` is left until a load of `threshold`.
    pub fn new(lead: Duration, threshold: f64) -> Outlook {
        Outlook { lead, threshold, trends: FORESEEN.map(Trend::new), judge: Judge::default() }
    }

    /// Another lead or threshold: what was foreseen by the old ones counts no more, what was counted stays.
    pub fn reconfigure(&mut self, lead: Duration, threshold: f64) {
        if (self.lead, self.threshold) != (lead, threshold) {
            (self.lead, self.threshold) = (lead, threshold);
            self.distrust();
        }
    }

    /// A reading has become this load; `matters` unless everybody has left anyhow. Warnings that went out are judged
    /// by it.
    pub fn handle_reading(&mut self, now: Instant, load: &Load, matters: bool) {
        if let Some((parameter, height)) = self.judge.handle_reading(now, load, self.lead, self.threshold)
            && let Some(trend) = self.trends.iter_mut().find(|trend| trend.parameter == parameter)
        {
            trend.past.note(now, height);
        }
        for trend in &mut self.trends {
            let Some(part) = load.part(trend.parameter) else {
                trend.forget();
                continue;
            };
            if matters || !ends_with_requests(trend.parameter) {
                trend.turn(now, part, self.threshold);
            }
            if matters {
                trend.handle(now, part, self.lead, self.threshold);
            } else {
                trend.forget();
            }
        }
    }

    /// The nearest of what is foreseen.
    pub fn forecast(&self) -> Option<Forecast> {
        let all = self.trends.iter().filter_map(|trend| trend.forecast);
        all.min_by_key(|forecast| forecast.remaining)
    }

    /// Clients are told to leave because of this forecast. Whether it was right will be seen.
    pub fn handle_warning(&mut self, now: Instant, forecast: &Forecast) {
        self.judge.handle_warning(now, forecast);
    }

    /// Clients leave: what ends with their requests goes back because of that, and not by itself.
    pub fn begin_anew(&mut self) {
        for trend in &mut self.trends {
            trend.forget();
            if ends_with_requests(trend.parameter) {
                (trend.highest, trend.past) = (0.0, Past::default());
            }
        }
    }

    /// What was measured last says nothing about what will be.
    pub fn distrust(&mut self) {
        self.trends.iter_mut().for_each(Trend::forget);
    }

    /// What became of the warnings.
    pub fn verdicts(&self) -> &Verdicts {
        self.judge.verdicts()
    }
}

/// Whether it falls because clients leave. They don't take the memory with them that they cost.
fn ends_with_requests(parameter: Parameter) -> bool {
    parameter != Parameter::Memory
}

/// One parameter's.
#[derive(Clone, Debug)]
struct Trend {
    parameter: Parameter,
    /// The last readings, oldest first.
    points: VecDeque<Point>,
    /// The highest since it last turned.
    highest: f64,
    past: Past,
    forecast: Option<Forecast>,
}

impl Trend {
    fn new(parameter: Parameter) -> Trend {
        Trend {
            parameter,
            points: VecDeque::with_capacity(READINGS_MAX + 1),
            highest: 0.0,
            past: Past::default(),
            forecast: None,
        }
    }

    fn forget(&mut self) {
        self.points.clear();
        self.forecast = None;
    }

    /// Remembers from where it has come back.
    fn turn(&mut self, now: Instant, part: f64, threshold: f64) {
        if part < self.highest - TURN {
            // From over the threshold it has come back too late to be waited for.
            if self.highest < threshold {
                self.past.note(now, self.highest);
            }
            self.highest = part;
        }
        self.highest = self.highest.max(part);
    }

    fn handle(&mut self, now: Instant, part: f64, lead: Duration, threshold: f64) {
        let spacing = lead / READINGS_MAX as u32;
        if self.points.back().is_some_and(|last| now.since(last.at) < spacing) {
            return;
        }
        self.points.push_back(Point { at: now, value: part });
        while self.points.len() > READINGS_MAX
            || (self.points.len() > READINGS_MIN && now.since(self.points[0].at) > lead)
        {
            self.points.pop_front();
        }
        let running = self.forecast.take();
        self.forecast = self.remaining(now, part, lead, threshold).map(|remaining| Forecast {
            parameter: self.parameter,
            remaining,
            readings: running.map_or(0, |forecast| forecast.readings) + 1,
            first: running.map_or(part, |forecast| forecast.first),
            last: part,
        });
    }

    /// The time until the threshold, if it rises and less than `lead` is left.
    fn remaining(&mut self, now: Instant, part: f64, lead: Duration, threshold: f64) -> Option<Duration> {
        let span = now.since(self.points.front()?.at);
        let known = self.past.highest(now);
        if self.points.len() < READINGS_MIN || span < lead / 2 || (known > 0.0 && part < known + TURN) {
            return None;
        }
        let line = Line::through(self.points.make_contiguous(), now)?;
        // A reading far under the line is where it turns.
        if line.rise <= 0.0 || part < line.level - line.scatter - line.rise * span.as_secs_f64() / 4.0 {
            return None;
        }
        let seconds = (threshold - line.level.max(part)).max(0.0) / line.rise;
        Duration::try_from_secs_f64(seconds).ok().filter(|remaining| *remaining < lead)
    }
}

/// The heights that a parameter has come back from, over one span of [`REMEMBERED`] and the one before.
#[derive(Clone, Debug, Default)]
struct Past {
    began: Instant,
    highest: f64,
    highest_before: f64,
}

impl Past {
    fn note(&mut self, now: Instant, value: f64) {
        self.turn(now);
        self.highest = self.highest.max(value);
    }

    fn highest(&mut self, now: Instant) -> f64 {
        self.turn(now);
        self.highest.max(self.highest_before)
    }

    fn turn(&mut self, now: Instant) {
        let passed = now.since(self.began);
        if passed >= REMEMBERED {
            self.highest_before = if passed < 2 * REMEMBERED { self.highest } else { 0.0 };
            self.highest = 0.0;
            self.began = now;
        }
    }
}
