//! Notices: the server's half ([`issue`]) and the agent's ([`verify`]).
//!
//! The bytes are `forewarn_wire::notice`'s; here is what to say, how often, and what to believe.

mod error;
pub mod issue;
mod keys;
#[cfg(test)]
mod tests;
pub mod verify;

use forewarn_wire::notice::Reason;

use crate::gauge::Parameter;
use crate::time::Utc;
use crate::watch::Cause;

pub use error::{Counts, Refusal};
pub use keys::{KeyEntry, KeyRing};

/// How a notice travels. The order of preference is the configuration's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// ICMP Echo Requests (and Replies, to whoever registered by a ping socket).
    Icmp,
    /// The same signed bytes by UDP.
    Udp,
}

impl Transport {
    /// As configurations call it.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Icmp => "icmp",
            Transport::Udp => "udp",
        }
    }
}

/// A place in a sender's stream of notices: the epoch first, the sequence within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mark {
    /// Rises at each start of the sender.
    pub epoch: u32,
    /// Rises with each notice.
    pub sequence: u32,
}

impl Mark {
    /// Before the first notice of an epoch.
    pub const fn start_of(epoch: u32) -> Mark {
        Mark { epoch, sequence: 0 }
    }

    /// The next place. After 2^32 notices the epoch rises by one; at a restart it is well past that again.
    #[must_use]
    pub const fn next(self) -> Mark {
        match self.sequence.checked_add(1) {
            Some(sequence) => Mark { epoch: self.epoch, sequence },
            None => Mark { epoch: self.epoch.saturating_add(1), sequence: 1 },
        }
    }
}

/// The epoch of a sender that starts now: one more than the last, and never behind the calendar, so that a sender
/// that lost its last one is above it all the same.
pub fn epoch_at_start(persisted: Option<u32>, utc: Utc) -> u32 {
    persisted.map_or(0, |last| last.saturating_add(1)).max(utc.as_secs_u32())
}

/// The reason that a notice gives for what the watch decided.
pub fn reason_of(cause: Cause) -> Reason {
    match cause {
        Cause::Operator => Reason::OPERATOR,
        Cause::Shutdown | Cause::Deadline | Cause::NothingLeft => Reason::SHUTDOWN,
        Cause::Recovered { .. } | Cause::AllReturned => Reason::RECOVERED,
        Cause::Started => Reason::UNSPECIFIED,
        Cause::Overload { .. }
        | Cause::LimitReached { .. }
        | Cause::Foreseen { .. }
        | Cause::TooBusyToAdmit { .. } => cause.parameter().map_or(Reason::UNSPECIFIED, reason_of_parameter),
    }
}

fn reason_of_parameter(parameter: Parameter) -> Reason {
    match parameter {
        Parameter::Workers | Parameter::Listeners | Parameter::InFlight => Reason::WORKERS,
        Parameter::QueueDelay | Parameter::Latency | Parameter::ReceiveDrops => Reason::QUEUE_DELAY,
        Parameter::Memory | Parameter::MemoryPressure => Reason::MEMORY,
        Parameter::Cpu | Parameter::CpuPressure => Reason::CPU,
        Parameter::IoPressure => Reason::UNSPECIFIED,
        Parameter::Processes => Reason::PROCESSES,
        Parameter::Network => Reason::NETWORK,
        Parameter::MandatoryService => Reason::MANDATORY_SERVICE,
        Parameter::DependentServices => Reason::DEPENDENT_SERVICES,
        Parameter::Expression => Reason::LOAD_EXPRESSION,
    }
}
