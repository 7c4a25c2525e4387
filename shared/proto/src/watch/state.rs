//! Where a server stands, and why.

use std::fmt;
use std::time::Duration;

use crate::gauge::{Load, Parameter};
use crate::time::Instant;

/// The phase a server is in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    /// Takes everybody.
    Serving,
    /// Overloaded: a share of the audience has been told to leave; at `next_step` it looks again.
    Shedding {
        /// Not before this does another share leave.
        next_step: Instant,
    },
    /// The whole audience has been told to leave.
    Away {
        /// Not before this is anybody invited back.
        until: Instant,
    },
    /// Those told to leave are invited back.
    Returning {
        /// The load is above the connection threshold: nobody more is admitted for now.
        paused: bool,
    },
    /// Everybody has been told to leave for good; requests are answered until receipts and conversations are in, or
    /// the deadline.
    Draining {
        /// Then requests aren't taken any more.
        deadline: Instant,
    },
    /// A drain has ended: requests aren't taken.
    Drained,
    /// The operator lets it keep its own clients and take no new ones.
    Quiesced,
}

impl Phase {
    /// As shown to an operator.
    pub const fn name(&self) -> &'static str {
        match self {
            Phase::Serving => "Serving",
            Phase::Shedding { .. } => "Shedding",
            Phase::Away { .. } => "Away",
            Phase::Returning { .. } => "Returning",
            Phase::Draining { .. } => "Draining",
            Phase::Drained => "Drained",
            Phase::Quiesced => "Quiesced",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why the last transition was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// The server started.
    Started,
    /// Load over the failover threshold, so many readings running.
    Overload {
        /// The worst parameter.
        parameter: Option<Parameter>,
        /// The load, per cent.
        load: u8,
        /// How many readings running.
        readings: u32,
    },
    /// A limit that warns at once was reached.
    LimitReached {
        /// Whose.
        parameter: Parameter,
    },
    /// A parameter rises to the failover threshold, so many readings running.
    Foreseen {
        /// Which.
        parameter: Parameter,
        /// When it will be there, from the last of them.
        remaining: Duration,
        /// How many readings running said so.
        readings: u32,
    },
    /// Load under the connection threshold, so many readings running.
    Recovered {
        /// The load, per cent.
        load: u8,
        /// How many readings running.
        readings: u32,
    },
    /// Load over the connection threshold while clients return.
    TooBusyToAdmit {
        /// The worst parameter.
        parameter: Option<Parameter>,
        /// The load, per cent.
        load: u8,
    },
    /// Each client's slot has passed.
    AllReturned,
    /// The operator said so.
    Operator,
    /// The process was told to end.
    Shutdown,
    /// The drain ended because every receipt and conversation was in.
    NothingLeft,
    /// The drain ended by its deadline.
    Deadline,
}

impl Cause {
    /// The parameter behind it, where there is one.
    pub const fn parameter(&self) -> Option<Parameter> {
        match *self {
            Cause::Overload { parameter, .. } | Cause::TooBusyToAdmit { parameter, .. } => parameter,
            Cause::LimitReached { parameter } | Cause::Foreseen { parameter, .. } => Some(parameter),
            _ => None,
        }
    }

    pub(super) fn too_busy(load: &Load) -> Cause {
        Cause::TooBusyToAdmit { parameter: load.worst(), load: load.percent() }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |parameter: &Option<Parameter>| parameter.map_or("nothing measured", Parameter::name);
        match self {
            Cause::Started => f.write_str("started"),
            Cause::Overload { parameter, load, readings } => {
                write!(f, "load {load} % by {}, {readings} readings running", by(parameter))
            }
            Cause::LimitReached { parameter } => write!(f, "{parameter} at its limit"),
            Cause::Foreseen { parameter, remaining, readings } => {
                let seconds = remaining.as_secs_f64();
                write!(f, "{parameter} will be too high in {seconds:.1} s, {readings} readings running")
            }
            Cause::Recovered { load, readings } => write!(f, "load {load} %, {readings} readings running"),
            Cause::TooBusyToAdmit { parameter, load } => {
                write!(f, "load {load} % by {}: admits nobody for now", by(parameter))
            }
            Cause::AllReturned => f.write_str("every client's slot has passed"),
            Cause::Operator => f.write_str("operator"),
            Cause::Shutdown => f.write_str("shutting down"),
            Cause::NothingLeft => f.write_str("every receipt and conversation is in"),
            Cause::Deadline => f.write_str("the drain's deadline passed"),
        }
    }
}

/// What the watch wants done, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// The phase changed; for the log and for status.
    Entered {
        /// From this.
        from: Phase,
        /// To this.
        to: Phase,
        /// Because of this.
        cause: Cause,
    },
    /// Clients are to leave.
    Warn {
        /// The share of the audience (0 to 1) that is away once this is done, those told before included.
        share: f64,
        /// Not the audience but every client that can be told.
        everyone: bool,
        /// Don't wait for conversations.
        hard: bool,
        /// Why.
        cause: Cause,
        /// Per cent.
        load: u8,
    },
    /// Everybody who was told to leave and isn't admitted yet gets a slot.
    Invite {
        /// Why.
        cause: Cause,
    },
    /// Whoever's slot hasn't come yet is to stay away after all.
    Pause {
        /// Why.
        cause: Cause,
    },
    /// Requests aren't taken any more.
    StopTaking,
    /// Requests are taken again.
    StartTaking,
}

/// Who asks for a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainBy {
    /// `forewarn drain`.
    Operator,
    /// SIGTERM: the process ends when the drain has.
    Shutdown,
}

impl From<DrainBy> for Cause {
    fn from(by: DrainBy) -> Cause {
        match by {
            DrainBy::Operator => Cause::Operator,
            DrainBy::Shutdown => Cause::Shutdown,
        }
    }
}

/// Whether a client that asks to come back may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It gets a slot.
    Granted,
    /// It may ask again after this.
    Refused {
        /// Counted from now.
        retry: Duration,
    },
}
