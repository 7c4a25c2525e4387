//! Load: many requests, each answer verified, and what they cost the servers. `radload` and `forewarn-bench` stand on it.

mod histogram;
mod port;
mod process;
mod report;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use forewarn_wire::{EmptySecret, RadiusKey};

pub use histogram::Latencies;
pub use process::{Usage, usage};
pub use report::{Cost, Report, Tally};

use port::Port;

/// What to send where, how fast, how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server's address and port.
    pub to: SocketAddr,
    /// The address to send from; the kernel's choice when absent.
    pub from: Option<IpAddr>,
    /// The secret shared with the server.
    pub secret: Vec<u8>,
    /// What is asked.
    pub kind: Kind,
    /// The user's name, or its beginning when there are several.
    pub user: String,
    /// Several users: their names end in six digits, and each is asked for in turn; 0: one.
    pub users: u32,
    /// The user's password.
    pub password: String,
    /// How many source ports, each with 256 identifiers.
    pub ports: usize,
    /// How many threads share the ports.
    pub threads: usize,
    /// How fast.
    pub pace: Pace,
    /// Not measured: until caches are warm and the connection of everything is made.
    pub warm_up: Duration,
    /// Measured.
    pub duration: Duration,
    /// Ends once so many requests are sent, and measures until the last answer; never when absent.
    pub limit: Option<u64>,
    /// An unanswered request is sent again, the same octets, each time this has passed; never when absent.
    pub repeat: Option<Duration>,
    /// Then it is lost.
    pub patience: Duration,
    /// Whether an answer needs a Message-Authenticator. Accounting-Responses don't, whatever this says.
    pub signed: bool,
    /// Processes whose CPU time and memory are measured.
    pub processes: Vec<u32>,
}

impl Plan {
    /// As fast as the server answers: PAP for alice from four ports, five seconds after one of warming up.
    pub fn saturate(to: SocketAddr, secret: &str) -> Plan {
        Plan {
            to,
            from: None,
            secret: secret.as_bytes().to_vec(),
            kind: Kind::Pap,
            user: "alice".to_owned(),
            users: 0,
            password: "wonderland".to_owned(),
            ports: 4,
            threads: 1,
            pace: Pace::Window(32),
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(5),
            limit: None,
            repeat: None,
            patience: Duration::from_secs(3),
            signed: true,
            processes: Vec::new(),
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Access-Request with User-Password.
    Pap,
    /// Access-Request with CHAP-Password.
    Chap,
    /// Accounting-Request: start, interim and stop of one session after the other.
    Acct,
    /// Status-Server.
    Status,
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Closed loop: so many requests outstanding on each port, the next one as soon as one is answered.
    Window(u8),
    /// Open loop: so many requests per second altogether, whatever the answers do.
    Rate(f64),
}

/// The first instant that is measured, and the first that isn't any more.
#[derive(Clone, Copy, Debug)]
struct Measured {
    from: Instant,
    to: Instant,
}

/// Runs the plan to its end, and to the end of the last request's patience.
pub fn run(plan: &Plan) -> Result<Report, LoadError> {
    let key = RadiusKey::new(&plan.secret)?;
    let from = clock::now() + Duration::from_millis(50) + plan.warm_up;
    let measured = Measured { from, to: from + plan.duration };
    let threads = plan.threads.clamp(1, plan.ports.max(1));
    let mut report = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                let key = key.clone();
                let numbers = (first..plan.ports.max(1)).step_by(threads);
                scope.spawn(move || drive(plan, &key, measured, numbers))
            })
            .collect();
        let mut cost = Costs::begin(&plan.processes, measured);
        if plan.limit.is_none() {
            cost.end(measured);
        }
        let mut report = Report::default();
        for worker in workers {
            report.merge(&worker.join().expect("a load thread doesn't panic")?);
        }
        if plan.limit.is_some() {
            cost.end(Measured { from, to: clock::now() });
        } else {
            report.duration = plan.duration;
        }
        report.costs = cost.per_request(report.tally.answered_in_time);
        Ok::<_, io::Error>(report)
    })?;
    report.kind = Some(plan.kind);
    Ok(report)
}

/// The ports of one thread, on one runtime.
fn drive(
    plan: &Plan,
    key: &RadiusKey,
    measured: Measured,
    numbers: impl Iterator<Item = usize>,
) -> io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut tasks = Vec::new();
        for number in numbers {
            let port = Port::new(plan, key.clone(), measured, number)?;
            tasks.push(tokio::task::spawn_local(port.run()));
        }
        let mut report = Report::default();
        for task in tasks {
            report.merge(&task.await.map_err(io::Error::other)??);
        }
        Ok(report)
    })
}

/// What the watched processes had used when measuring began, and when it ended.
struct Costs(Vec<(u32, Option<Usage>, Option<Usage>)>);

impl Costs {
    /// Sleeps until the measured time begins.
    fn begin(processes: &[u32], measured: Measured) -> Costs {
        thread::sleep(measured.from.since(clock::now()));
        Costs(processes.iter().map(|&pid| (pid, usage(pid), None)).collect())
    }

    /// Sleeps until it ends.
    fn end(&mut self, measured: Measured) {
        thread::sleep(measured.to.since(clock::now()));
        for (pid, _, after) in &mut self.0 {
            *after = usage(*pid);
        }
    }

    fn per_request(&self, requests: u64) -> Vec<Cost> {
        self.0
            .iter()
            .filter_map(|&(pid, before, after)| {
                let (before, after) = (before?, after?);
                let cpu = after.cpu.saturating_sub(before.cpu);
                Some(Cost { pid, cpu, requests, resident_kib: after.resident_kib, peak_kib: after.peak_kib })
            })
            .collect()
    }
}

/// The plan can't be carried out.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The secret is empty.
    #[error(transparent)]
    Secret(#[from] EmptySecret),
    /// A socket or a thread can't be had.
    #[error("the load can't be made: {0}")]
    Io(#[from] io::Error),
}
