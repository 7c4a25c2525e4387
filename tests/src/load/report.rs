//! What a run brought.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Kind, Latencies};

/// The outcome of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was asked.
    pub kind: Option<Kind>,
    /// How long was measured: as planned, or, of a limited number of requests, until the last answer.
    pub duration: Duration,
    /// Counts.
    pub tally: Tally,
    /// From sending (or, in the open loop, from when it was due, if that was over 2 ms ago) to the answer; measured time only.
    pub latencies: Latencies,
    /// What the watched processes used.
    pub costs: Vec<Cost>,
}

/// Counts; all of the whole run, except where it says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests, repetitions not counted.
    pub sent: u64,
    /// Repetitions.
    pub repeated: u64,
    /// Answers whose authenticators are right.
    pub answered: u64,
    /// Those of them that came while measuring.
    pub answered_in_time: u64,
    /// Access-Accepts and Accounting-Responses among them.
    pub positive: u64,
    /// Access-Rejects and -Challenges among them.
    pub negative: u64,
    /// Requests whose patience ran out.
    pub lost: u64,
    /// Answers to nothing outstanding: a second one, or too late.
    pub stray: u64,
    /// Datagrams that aren't answers of this server: malformed, or a wrong authenticator.
    pub bad: u64,
    /// Requests that couldn't be sent when due, because no identifier was free.
    pub held_back: u64,
}

/// What a process used while measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Which process.
    pub pid: u32,
    /// Its CPU time, user and system.
    pub cpu: Duration,
    /// How many requests were answered meanwhile.
    pub requests: u64,
    /// Its resident memory at the end, in KiB.
    pub resident_kib: u64,
    /// Its resident memory at its peak, in KiB.
    pub peak_kib: u64,
}

impl Cost {
    /// CPU microseconds per answered request.
    pub fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / (self.requests.max(1) as f64)
    }
}

impl Report {
    /// Adds another port's or thread's.
    pub fn merge(&mut self, other: &Report) {
        let (a, b) = (&mut self.tally, &other.tally);
        a.sent += b.sent;
        a.repeated += b.repeated;
        a.answered += b.answered;
        a.answered_in_time += b.answered_in_time;
        a.positive += b.positive;
        a.negative += b.negative;
        a.lost += b.lost;
        a.stray += b.stray;
        a.bad += b.bad;
        a.held_back += b.held_back;
        self.latencies.merge(&other.latencies);
        self.duration = self.duration.max(other.duration);
    }

    /// Right answers per second while measuring.
    pub fn rate(&self) -> f64 {
        self.tally.answered_in_time as f64 / self.duration.as_secs_f64().max(1e-9)
    }

    /// Everything, for programs.
    pub fn to_json(&self) -> Value {
        let Tally { sent, repeated, answered, positive, negative, lost, stray, bad, held_back, .. } =
            self.tally;
        let micros = |percent| self.latencies.percentile(percent).as_secs_f64() * 1e6;
        json!({
            "answers_per_second": self.rate(),
            "sent": sent, "repeated": repeated, "answered": answered, "positive": positive, "negative": negative,
            "lost": lost, "stray": stray, "bad": bad, "held_back": held_back,
            "latency_us": {
                "p50": micros(50.0), "p90": micros(90.0), "p99": micros(99.0), "p99_9": micros(99.9),
                "slowest": self.latencies.slowest().as_secs_f64() * 1e6,
            },
            "processes": self.costs.iter().map(|cost| json!({
                "pid": cost.pid, "cpu_us_per_request": cost.cpu_micros(), "cpu_s": cost.cpu.as_secs_f64(),
                "resident_kib": cost.resident_kib, "peak_kib": cost.peak_kib,
            })).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.tally;
        writeln!(f, "{:>10.0} answers/s over {:.1} s", self.rate(), self.duration.as_secs_f64())?;
        writeln!(f, "  sent {}  answered {} ({} yes, {} no)", t.sent, t.answered, t.positive, t.negative)?;
        writeln!(
            f,
            "  lost {}  bad {}  stray {}  repeated {}  held back {}",
            t.lost, t.bad, t.stray, t.repeated, t.held_back
        )?;
        write!(f, "  latency")?;
        for (name, percent) in [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)] {
            write!(f, "  {name} {}", Short(self.latencies.percentile(percent)))?;
        }
        writeln!(f, "  slowest {}", Short(self.latencies.slowest()))?;
        for cost in &self.costs {
            writeln!(
                f,
                "  process {}  {:.2} us CPU per request  resident {:.1} MB  peak {:.1} MB",
                cost.pid,
                cost.cpu_micros(),
                cost.resident_kib as f64 / 1024.0,
                cost.peak_kib as f64 / 1024.0
            )?;
        }
        Ok(())
    }
}

/// A duration in the unit that suits it.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_secs_f64() * 1e6;
        match micros {
            ..1000.0 => write!(f, "{micros:.0} us"),
            1000.0..1e6 => write!(f, "{:.1} ms", micros / 1e3),
            _ => write!(f, "{:.2} s", micros / 1e6),
        }
    }
}
