//! Readings and services as `forewarn status` shows them.

use forewarn_proto::gauge::{Limits, Load, Parameter, Reading};
use forewarn_proto::holddown::State;
use forewarn_shell::clock;
use forewarn_shell::control::{LoadStatus, ParameterStatus};

use super::Health;
use crate::config;

impl Health {
    /// The last reading for status, beside the thresholds of `health`.
    pub fn status(&self, health: &config::Health) -> LoadStatus {
        let mut status = LoadStatus {
            failover_threshold: health.failover_threshold,
            connection_threshold: health.connection_threshold,
            ..LoadStatus::default()
        };
        if let Some((expression, failures)) = self.expression() {
            status.expression = Some(expression.source().to_owned());
            status.expression_failures = failures;
        }
        if let Some((at, reading, load)) = self.last() {
            status.value = load.value();
            status.worst = load.worst().map(Parameter::name).unwrap_or_default().to_owned();
            status.read_at = clock::micros_since_1970(*at);
            status.parameters = parameters(reading, load, &self.limits);
            if let Some(value) = load.part(Parameter::Expression) {
                let (name, shown) = ("load".to_owned(), Some(format!("{value:.2}")));
                let row = ParameterStatus { name, value: shown, limit: None, load: Some(value) };
                status.parameters.push(row);
            }
        }
        status
    }
}

fn parameters(reading: &Reading, load: &Load, limits: &Limits) -> Vec<ParameterStatus> {
    let row = |name: &str, value: Option<String>, limit: Option<String>, part: Option<Parameter>| {
        let load = part.and_then(|part| load.part(part));
        ParameterStatus { name: name.to_owned(), value, limit, load }
    };
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let count = |number: u32| number.to_string();
    let delay = |delay: std::time::Duration| format!("{:.1} ms", delay.as_secs_f64() * 1000.0);
    let pressure = |stalled: fn(&forewarn_proto::gauge::Pressure) -> f64| {
        reading.pressure.as_ref().map(|pressure| percent(stalled(pressure)))
    };
    let busy_limit = limits.workers_busy.map(percent);
    let network = reading.network.map(|network| match (network.links_down, network.gateway_lost) {
        (0, false) => "up".to_owned(),
        (0, true) => "gateway lost".to_owned(),
        (down, false) => format!("{down} links down"),
        (down, true) => format!("{down} links down, gateway lost"),
    });
    let workers = reading.workers.map(|workers| format!("{} of {}", workers.busy, workers.max));
    let a_second = |drops: f64| format!("{drops:.0} a second");
    let drops = reading.network.map(|network| a_second(network.receive_drops));
    let in_flight = reading.in_flight.map(|requests| format!("{} of {}", requests.busy, requests.max));
    vec![
        row("workers_busy", workers, busy_limit.clone(), Some(Parameter::Workers)),
        row("listeners_busy", reading.listeners.map(percent), busy_limit, Some(Parameter::Listeners)),
        row(
            "queue_delay",
            reading.queue_delay.map(delay),
            limits.queue_delay.map(delay),
            Some(Parameter::QueueDelay),
        ),
        row("latency", reading.latency.map(delay), limits.latency.map(delay), Some(Parameter::Latency)),
        row("in_flight", in_flight, limits.in_flight.map(percent), Some(Parameter::InFlight)),
        row("memory", reading.memory.map(percent), limits.memory.map(percent), Some(Parameter::Memory)),
        row("cpu", reading.cpu.map(percent), limits.cpu.map(percent), Some(Parameter::Cpu)),
        row(
            "processes",
            reading.processes.map(count),
            limits.processes.map(count),
            Some(Parameter::Processes),
        ),
        row("receive_drops", drops, limits.receive_drops.map(a_second), Some(Parameter::ReceiveDrops)),
        row(
            "cpu_pressure",
            pressure(|pressure| pressure.cpu),
            limits.cpu_pressure.map(percent),
            Some(Parameter::CpuPressure),
        ),
        row(
            "memory_pressure",
            pressure(|pressure| pressure.memory),
            limits.memory_pressure.map(percent),
            Some(Parameter::MemoryPressure),
        ),
        row(
            "io_pressure",
            pressure(|pressure| pressure.io),
            limits.io_pressure.map(percent),
            Some(Parameter::IoPressure),
        ),
        row("network", network, limits.network.then(|| "up".to_owned()), Some(Parameter::Network)),
        row("mandatory_services", Some(failed(reading)), None, Some(Parameter::MandatoryService)),
        row("dependent_services", dependent(reading), None, Some(Parameter::DependentServices)),
    ]
}

fn failed(reading: &Reading) -> String {
    match reading.mandatory_failed {
        0 => "all well".to_owned(),
        count => format!("{count} failed"),
    }
}

fn dependent(reading: &Reading) -> Option<String> {
    Some(format!("{:.2} failed, by weight", reading.dependent_failed))
}

pub(super) fn role(role: config::Role) -> &'static str {
    match role {
        config::Role::Mandatory => "mandatory",
        config::Role::Dependent { .. } => "dependent",
    }
}

pub(super) fn service_state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Running => "running",
        State::NotRunning => "not-running",
        State::HoldDown { .. } => "hold-down",
    }
}
