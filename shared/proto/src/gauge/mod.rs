//! From a reading to a load: what was measured, against its limits, as one figure from 0 to 1.
//!
//! Each parameter is scaled so that 1.0 is its limit; the load is the worst of them, or what the operator's
//! expression makes of the reading. A parameter that wasn't measured, or whose limit is off, doesn't count.

mod doubt;
mod load;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use doubt::{AGAIN, Doubt, Doubted, PAUSE, PULSE, SETTLE};
pub use load::{Load, Parameter};

/// One measurement of everything; `None` is "not measured this time".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The worker pool, for work that blocks or burns CPU.
    pub workers: Option<Busy>,
    /// The share of its time that the busiest listener core was not asleep, 0 to 1.
    pub listeners: Option<f64>,
    /// Requests received and not yet answered, of those there may be.
    pub in_flight: Option<Busy>,
    /// Age of the oldest request that waits, from the kernel's receive stamp.
    pub queue_delay: Option<Duration>,
    /// From the receipt of a request to the departure of its answer: the mean of those answered since the last
    /// reading. Rejects, which leave late on purpose, are not among them.
    pub latency: Option<Duration>,
    /// Share of the memory in use, 0 to 1; page cache that can be reclaimed is not in use.
    pub memory: Option<f64>,
    /// Share of the CPU in use, 0 to 1.
    pub cpu: Option<f64>,
    /// Processes on the host.
    pub processes: Option<u32>,
    /// Time that work stood still for want of something.
    pub pressure: Option<Pressure>,
    /// Links and gateway.
    pub network: Option<Network>,
    /// Mandatory services that have failed.
    pub mandatory_failed: u32,
    /// The weights of the dependent services that have failed, added up.
    pub dependent_failed: f64,
}

/// How many of how many are busy, or taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// At work.
    pub busy: u32,
    /// There are.
    pub max: u32,
}

impl Busy {
    /// The busy share, 0 to 1; nothing of nothing is 0.
    pub fn share(self) -> f64 {
        if self.max == 0 { 0.0 } else { f64::from(self.busy) / f64::from(self.max) }
    }
}

/// Pressure stalls of the last ten seconds, each a share of the time, 0 to 1 (`some avg10` of the kernel).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Somebody waited for a CPU.
    pub cpu: f64,
    /// Somebody waited for memory.
    pub memory: f64,
    /// Somebody waited for a disk.
    pub io: f64,
}

/// What connects this host to its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Network {
    /// Interfaces listened on whose link is down.
    pub links_down: u32,
    /// The gateway's neighbour entry or route is lost; false where there is no gateway to lose.
    pub gateway_lost: bool,
    /// Datagrams a second that the kernel dropped because a receive queue was full.
    pub receive_drops: f64,
}

impl Network {
    /// A listened-on link or the gateway is lost.
    pub fn lost(self) -> bool {
        self.links_down > 0 || self.gateway_lost
    }
}

/// What is too much; `None` is "off": measured and shown, not counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Busy share of the worker pool and of the listener cores.
    pub workers_busy: Option<f64>,
    /// Share of the requests that may be in flight.
    pub in_flight: Option<f64>,
    /// Age of the oldest waiting request.
    pub queue_delay: Option<Duration>,
    /// Mean latency.
    pub latency: Option<Duration>,
    /// Memory share.
    pub memory: Option<f64>,
    /// CPU share.
    pub cpu: Option<f64>,
    /// Process count.
    pub processes: Option<u32>,
    /// Datagrams a second dropped at full receive queues.
    pub receive_drops: Option<f64>,
    /// Share of the time in which somebody waited for a CPU.
    pub cpu_pressure: Option<f64>,
    /// Share of the time in which somebody waited for memory.
    pub memory_pressure: Option<f64>,
    /// Share of the time in which somebody waited for a disk.
    pub io_pressure: Option<f64>,
    /// A lost link or gateway is load 1.0.
    pub network: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            workers_busy: Some(0.95),
            in_flight: Some(0.95),
            queue_delay: Some(Duration::from_millis(100)),
            latency: None,
            memory: Some(0.92),
            cpu: Some(0.95),
            processes: None,
            receive_drops: Some(100.0),
            cpu_pressure: None,
            memory_pressure: None,
            io_pressure: None,
            network: true,
        }
    }
}

impl Limits {
    /// The load that `reading` amounts to: the worst parameter.
    pub fn load(&self, reading: &Reading) -> Load {
        let mut load = Load::default();
        if let Some(workers) = reading.workers {
            load.count(Parameter::Workers, scaled(workers.share(), self.workers_busy));
        }
        load.count(Parameter::Listeners, optional(reading.listeners, self.workers_busy));
        load.count(Parameter::InFlight, optional(reading.in_flight.map(Busy::share), self.in_flight));
        load.count(Parameter::QueueDelay, optional(seconds(reading.queue_delay), seconds(self.queue_delay)));
        load.count(Parameter::Latency, optional(seconds(reading.latency), seconds(self.latency)));
        load.count(Parameter::Memory, optional(reading.memory, self.memory));
        load.count(Parameter::Cpu, optional(reading.cpu, self.cpu));
        load.count(
            Parameter::Processes,
            optional(reading.processes.map(f64::from), self.processes.map(f64::from)),
        );
        let drops = reading.network.map(|network| network.receive_drops);
        load.count(Parameter::ReceiveDrops, optional(drops, self.receive_drops));
        let pressure = |of: fn(Pressure) -> f64| reading.pressure.map(of);
        load.count(Parameter::CpuPressure, optional(pressure(|of| of.cpu), self.cpu_pressure));
        load.count(Parameter::MemoryPressure, optional(pressure(|of| of.memory), self.memory_pressure));
        load.count(Parameter::IoPressure, optional(pressure(|of| of.io), self.io_pressure));
        if let Some(network) = reading.network.filter(|_| self.network) {
            load.count(Parameter::Network, Some(f64::from(u8::from(network.lost()))));
        }
        load.count(Parameter::MandatoryService, Some(f64::from(u8::from(reading.mandatory_failed > 0))));
        load.count(Parameter::DependentServices, finite(reading.dependent_failed).map(|sum| sum.min(1.0)));
        load
    }

    /// The load that the operator's expression made of `reading`: its value, clipped to 0..=1, in place of the
    /// worst. What makes a server useless at once (a failed mandatory service, a lost network) stays 1.0.
    /// An expression that gave no finite number is as none.
    pub fn load_expressed(&self, reading: &Reading, value: f64) -> Load {
        let mut load = self.load(reading);
        if let Some(value) = finite(value) {
            load.express(value);
        }
        load
    }
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

fn optional(value: Option<f64>, limit: Option<f64>) -> Option<f64> {
    scaled(value?, limit)
}

/// `value` as a multiple of `limit`. A limit of nothing is passed by anything.
fn scaled(value: f64, limit: Option<f64>) -> Option<f64> {
    let (value, limit) = (finite(value)?.max(0.0), finite(limit?)?);
    if limit > 0.0 { Some(value / limit) } else { Some(if value > 0.0 { 1.0 } else { 0.0 }) }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
