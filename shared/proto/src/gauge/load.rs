//! The load and what makes it up.

use std::fmt;

/// What can make a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parameter {
    /// Busy threads of the worker pool.
    Workers,
    /// Busy time of the busiest listener core.
    Listeners,
    /// Requests received and not yet answered.
    InFlight,
    /// Age of the oldest waiting request.
    QueueDelay,
    /// Mean latency.
    Latency,
    /// Memory share.
    Memory,
    /// CPU share.
    Cpu,
    /// Process count.
    Processes,
    /// Datagrams dropped at full receive queues.
    ReceiveDrops,
    /// Time that somebody waited for a CPU.
    CpuPressure,
    /// Time that somebody waited for memory.
    MemoryPressure,
    /// Time that somebody waited for a disk.
    IoPressure,
    /// A lost link or gateway.
    Network,
    /// A failed mandatory service.
    MandatoryService,
    /// Failed dependent services, by weight.
    DependentServices,
    /// The operator's own expression.
    Expression,
}

impl Parameter {
    /// All of them, in the order of [`Load::part`].
    pub const ALL: [Parameter; 16] = [
        Parameter::Workers,
        Parameter::Listeners,
        Parameter::InFlight,
        Parameter::QueueDelay,
        Parameter::Latency,
        Parameter::Memory,
        Parameter::Cpu,
        Parameter::Processes,
        Parameter::ReceiveDrops,
        Parameter::CpuPressure,
        Parameter::MemoryPressure,
        Parameter::IoPressure,
        Parameter::Network,
        Parameter::MandatoryService,
        Parameter::DependentServices,
        Parameter::Expression,
    ];

    /// Its limit reached warns at once, without waiting for `failover_after` readings.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Parameter::QueueDelay | Parameter::Network | Parameter::MandatoryService)
    }

    /// The server can't do its job at all, however few clients it keeps: shedding a share is no remedy.
    pub const fn is_total(self) -> bool {
        matches!(self, Parameter::Network | Parameter::MandatoryService)
    }

    /// As shown to an operator.
    pub const fn name(self) -> &'static str {
        match self {
            Parameter::Workers => "workers",
            Parameter::Listeners => "listener cores",
            Parameter::InFlight => "requests in flight",
            Parameter::QueueDelay => "queue delay",
            Parameter::Latency => "latency",
            Parameter::Memory => "memory",
            Parameter::Cpu => "cpu",
            Parameter::Processes => "processes",
            Parameter::ReceiveDrops => "receive drops",
            Parameter::CpuPressure => "cpu pressure",
            Parameter::MemoryPressure => "memory pressure",
            Parameter::IoPressure => "io pressure",
            Parameter::Network => "network",
            Parameter::MandatoryService => "mandatory service",
            Parameter::DependentServices => "dependent services",
            Parameter::Expression => "load expression",
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How near to its limits a server is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    value: f64,
    worst: Option<Parameter>,
    urgent: Option<Parameter>,
    parts: [Option<f64>; Parameter::ALL.len()],
}

impl Load {
    /// 0 (idle) to 1 (at a limit, or past it).
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The same in whole per cent, 0 to 100.
    pub fn percent(&self) -> u8 {
        (self.value * 100.0).round() as u8
    }

    /// What the value comes from; none while nothing counts.
    pub fn worst(&self) -> Option<Parameter> {
        self.worst
    }

    /// The parameter whose limit is reached and that warns at once.
    pub fn urgent(&self) -> Option<Parameter> {
        self.urgent
    }

    /// One parameter as a multiple of its limit (1.0 = at the limit, more = past it); none when it wasn't
    /// measured or doesn't count.
    pub fn part(&self, parameter: Parameter) -> Option<f64> {
        self.parts[parameter as usize]
    }

    pub(super) fn count(&mut self, parameter: Parameter, scaled: Option<f64>) {
        let Some(scaled) = scaled else { return };
        self.parts[parameter as usize] = Some(scaled);
        let clipped = scaled.clamp(0.0, 1.0);
        if self.worst.is_none() || clipped > self.value {
            self.value = clipped;
            self.worst = Some(parameter);
        }
        // The total ones come last in counting order and take the place of a mere delay.
        if scaled >= 1.0 && parameter.is_urgent() && (self.urgent.is_none() || parameter.is_total()) {
            self.urgent = Some(parameter);
        }
    }

    pub(super) fn express(&mut self, value: f64) {
        self.parts[Parameter::Expression as usize] = Some(value);
        if self.urgent.is_some_and(Parameter::is_total) {
            return;
        }
        self.value = value.clamp(0.0, 1.0);
        self.worst = Some(Parameter::Expression);
    }
}
