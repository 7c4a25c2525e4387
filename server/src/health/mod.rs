//! Health, measured: readings of this process and its machine, and the services it needs.
//!
//! Every figure is real: the pool that is measured is the pool that does the work, the cores measured are the
//! threads that read the sockets. What a figure amounts to is [`forewarn_proto::gauge`]'s affair.

mod cgroup;
pub mod check;
mod expression;
mod gateway;
mod http;
mod machine;
mod network;
mod radius;
mod service;
mod show;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::gauge::{Busy, Limits, Load, Reading};
use forewarn_proto::time::Instant;

use crate::config::{Config, HealthLimits};
use crate::metrics::latency::{self, Latencies};
use crate::vitals::Vitals;

pub use check::{CheckContext, Databases, Finding, Pool};
pub use expression::LoadExpression;
pub use service::{Checked, Services};

use machine::Machine;
use network::Network;

/// Takes readings.
#[derive(Debug)]
pub struct Health {
    vitals: Arc<Vitals>,
    latencies: Arc<[Latencies]>,
    /// Requests that may be in flight.
    in_flight_max: u32,
    limits: Limits,
    expression: Option<LoadExpression>,
    /// Readings of which it made nothing.
    expression_failures: u64,
    machine: Machine,
    network: Network,
    /// Busy nanoseconds of each core at the last reading, and when that was.
    cores_before: Option<(u64, Vec<u64>)>,
    /// Requests answered up to the last reading, and how long they took together, nanoseconds.
    answered_before: (u64, u64),
    /// The greatest age of a request since the last reading but one.
    delay_before: Duration,
    /// How long ago a pause ended: no request has waited for longer.
    known_for: Duration,
    last: Option<(Instant, Reading, Load)>,
}

impl Health {
    /// Ready for its first reading.
    pub fn new(config: &Config, vitals: Arc<Vitals>, latencies: Arc<[Latencies]>) -> Health {
        Health {
            vitals,
            in_flight_max: u32::try_from(config.workers.in_flight).unwrap_or(u32::MAX),
            limits: limits(&config.health.limits),
            expression: config.health.load.clone(),
            expression_failures: 0,
            machine: Machine::new(),
            network: Network::new(config),
            cores_before: None,
            answered_before: latency::answered(&latencies),
            latencies,
            delay_before: Duration::ZERO,
            known_for: Duration::MAX,
            last: None,
        }
    }

    /// Other limits and addresses from the next reading on.
    pub fn reload(&mut self, config: &Config) {
        self.limits = limits(&config.health.limits);
        if self.expression != config.health.load {
            self.expression_failures = 0;
        }
        self.expression.clone_from(&config.health.load);
        self.network.reload(config);
    }

    /// Measures everything, with the services as `services` says they stand, and answers what load that is. `late` is
    /// how long after its time this reading is taken.
    pub fn read(&mut self, now: Instant, late: Duration, services: &Services) -> Load {
        let pool = self.vitals.pool();
        let (mandatory_failed, dependent_failed) = services.failed();
        let reading = Reading {
            workers: Some(Busy { busy: pool.busy().min(pool.max()), max: pool.max() }),
            listeners: self.listeners(now.as_nanos()),
            in_flight: Some(self.in_flight()),
            queue_delay: Some(self.queue_delay(now.as_nanos(), late)),
            latency: self.latency(),
            memory: self.machine.memory(),
            cpu: self.machine.cpu(now),
            processes: machine::processes(),
            pressure: machine::pressure(),
            network: self.network.read(now),
            mandatory_failed,
            dependent_failed,
        };
        let load = self.load(&reading, services);
        self.last = Some((now, reading, load));
        load
    }

    /// By the operator's expression; where that makes no number of the reading, and without one, by the worst parameter.
    fn load(&mut self, reading: &Reading, services: &Services) -> Load {
        let load = self.limits.load(reading);
        let Some(expression) = &self.expression else { return load };
        if let Some(value) = expression.evaluate(reading, &load, &|name| services.has_failed(name)) {
            return self.limits.load_expressed(reading, value);
        }
        self.expression_failures += 1;
        if self.expression_failures == 1 {
            let source = expression.source();
            tracing::warn!(
                "the load expression {source:?} gives no number, as by dividing by zero: the worst parameter is the load as long as it doesn't; said once, then counted"
            );
        }
        load
    }

    /// The expression, and how many readings it made nothing of since it was loaded.
    pub fn expression(&self) -> Option<(&LoadExpression, u64)> {
        self.expression.as_ref().map(|expression| (expression, self.expression_failures))
    }

    /// Measures everything only to measure from there: this process stood still, and a reading wouldn't count.
    pub fn begin_anew(&mut self, now: Instant, services: &Services) {
        let last = self.last.take();
        self.read(now, Duration::ZERO, services);
        self.last = last;
        self.delay_before = Duration::ZERO;
    }

    /// The ages of requests are known for so long: what they waited while this process stood still isn't counted.
    pub fn set_known_for(&mut self, known_for: Duration) {
        self.known_for = known_for;
    }

    /// The last reading and its load.
    pub fn last(&self) -> Option<&(Instant, Reading, Load)> {
        self.last.as_ref()
    }

    /// The busy share of the busiest core since the last reading; none at the first.
    fn listeners(&mut self, now_ns: u64) -> Option<f64> {
        let busy: Vec<u64> = self.vitals.cores().iter().map(|core| core.busy_ns(now_ns)).collect();
        let before = self.cores_before.replace((now_ns, busy.clone()));
        let (then_ns, before) = before?;
        let passed_ns = now_ns.checked_sub(then_ns).filter(|passed_ns| *passed_ns > 0)?;
        let busiest_ns = busy.iter().zip(before).map(|(now, then)| now.saturating_sub(then)).max()?;
        Some((busiest_ns as f64 / passed_ns as f64).min(1.0))
    }

    fn in_flight(&self) -> Busy {
        let busy = u32::try_from(self.vitals.in_flight()).unwrap_or(u32::MAX);
        Busy { busy, max: self.in_flight_max }
    }

    /// How long the requests answered since the last reading took on average; none when none was.
    fn latency(&mut self) -> Option<Duration> {
        let (count, sum_ns) = latency::answered(&self.latencies);
        let (count_before, sum_before_ns) = std::mem::replace(&mut self.answered_before, (count, sum_ns));
        let count = count.checked_sub(count_before).filter(|count| *count > 0)?;
        Some(Duration::from_nanos(sum_ns.saturating_sub(sum_before_ns) / count))
    }

    /// The age of the oldest request that waits.
    ///
    /// A core that is late shows it only in the ages at which it takes requests off its socket; and when we are late
    /// ourselves, what waits now may wait because the whole machine stood still for a moment, which is over. Both
    /// count when they were so in the last two readings running.
    fn queue_delay(&mut self, now_ns: u64, late: Duration) -> Duration {
        let peak = self.vitals.take_queue_delay_peak().min(self.known_for);
        let waits = self.vitals.queue_delay(now_ns).min(self.known_for);
        let is_doubtful = late >= DOUBTFUL_WHEN_LATE;
        let seen = if is_doubtful { peak.max(waits) } else { peak };
        let lasting = seen.min(std::mem::replace(&mut self.delay_before, seen));
        if is_doubtful { lasting } else { waits.max(lasting) }
    }
}

/// A reading this late is no judge of delays: half of the smallest limit worth setting.
const DOUBTFUL_WHEN_LATE: Duration = Duration::from_millis(50);

fn limits(limits: &HealthLimits) -> Limits {
    Limits {
        workers_busy: limits.workers_busy,
        in_flight: limits.in_flight,
        queue_delay: limits.queue_delay,
        latency: limits.latency,
        memory: limits.memory,
        cpu: limits.cpu,
        processes: limits.processes,
        receive_drops: limits.receive_drops.map(f64::from),
        cpu_pressure: limits.cpu_pressure,
        memory_pressure: limits.memory_pressure,
        io_pressure: limits.io_pressure,
        network: limits.network,
    }
}
