//! Whether warnings that were foreseen were right.
//!
//! | verdict | within twice the lead of the warning |
//! |---|---|
//! | confirmed | a reading came over the failover threshold all the same |
//! | false | none did, and the parameter turned by itself |
//! | averted | none did, and nobody can say what would have been: the clients had left |
//!
//! It turned by itself when a reading is below the first of those that foresaw it: of memory, which clients that leave
//! don't give back, any reading; of queue delay and latency, which end with the requests, one within [`LEAVING`].

use std::time::Duration;

use crate::gauge::{Load, Parameter};
use crate::time::Instant;

use super::{Forecast, ends_with_requests};

/// Sooner than this after the warning nothing is shorter because clients leave: the request that waits longest came
/// before it.
pub const LEAVING: Duration = Duration::from_millis(100);

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Warnings that went out because of what was foreseen.
    pub foreseen: u64,
    /// It came.
    pub confirmed: u64,
    /// It wouldn't have come.
    pub false_alarms: u64,
    /// It didn't come, since clients left.
    pub averted: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Judge {
    verdicts: Verdicts,
    open: Option<Open>,
}

/// A warning that isn't judged yet.
#[derive(Clone, Debug)]
struct Open {
    parameter: Parameter,
    at: Instant,
    /// The first reading of those that foresaw it.
    first: f64,
    highest: f64,
    turned: bool,
}

impl Judge {
    pub(super) fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }

    pub(super) fn handle_warning(&mut self, now: Instant, forecast: &Forecast) {
        self.verdicts.foreseen += 1;
        // A second one while the first isn't judged: that is judged as it stands.
        self.close();
        let Forecast { parameter, first, last, .. } = *forecast;
        self.open = Some(Open { parameter, at: now, first, highest: last, turned: false });
    }

    /// Nothing came over the threshold.
    fn close(&mut self) -> Option<(Parameter, f64)> {
        let Open { parameter, highest, turned, .. } = self.open.take()?;
        *if turned { &mut self.verdicts.false_alarms } else { &mut self.verdicts.averted } += 1;
        turned.then_some((parameter, highest))
    }

    /// Judges by a reading; of a false alarm, the parameter and the height from which it went back by itself.
    pub(super) fn handle_reading(
        &mut self,
        now: Instant,
        load: &Load,
        lead: Duration,
        threshold: f64,
    ) -> Option<(Parameter, f64)> {
        let open = self.open.as_mut()?;
        let passed = now.since(open.at);
        if passed > 2 * lead {
            return self.close();
        }
        if load.value() > threshold {
            self.verdicts.confirmed += 1;
            self.open = None;
            return None;
        }
        if let Some(part) = load.part(open.parameter) {
            open.highest = open.highest.max(part);
            let shows = !ends_with_requests(open.parameter) || passed <= LEAVING;
            open.turned |= shows && part < open.first;
        }
        None
    }
}
