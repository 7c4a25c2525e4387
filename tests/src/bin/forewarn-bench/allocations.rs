//! How often a request asks for memory, seen from outside: valgrind counts all allocations of two runs of the same length, one
//! with few requests and one with many; the difference belongs to the requests.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use forewarn_tests::folder::Folder;
use forewarn_tests::load::{LoadError, Pace, Plan, run};
use forewarn_tests::program::built;
use forewarn_tests::{Hosts, Server};

use crate::daemons::{LOCAL_SECRET, SECRET, agent_config, server_config};

/// Measures both daemons; says so where valgrind isn't installed.
pub(crate) fn measure() -> Result<(), LoadError> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("heap allocations: not measured, valgrind isn't installed\n");
        return Ok(());
    }
    let mut hosts = Hosts::claim();
    let (home, nas) = (hosts.host(), hosts.host());
    report("forewarnd", |rate| {
        counted("forewarnd", "server.toml", &server_config(home, &[nas]), home, SECRET, Some(nas), rate)
    })?;
    let agent = hosts.host();
    let _server = Server::start(&server_config(home, &[agent]));
    report("forewarn-agent", |rate| {
        counted("forewarn-agent", "agent.toml", &agent_config(agent, home), agent, LOCAL_SECRET, None, rate)
    })?;
    println!();
    Ok(())
}

fn report(name: &str, mut run: impl FnMut(f64) -> Result<Counted, LoadError>) -> Result<(), LoadError> {
    let (few, again, many) = (run(FEW)?, run(FEW)?, run(MANY)?);
    let requests = many.requests.saturating_sub(few.requests);
    let more = many.allocations as f64 - few.allocations as f64;
    println!("{name}: {:.4} heap allocations per request", more / (requests.max(1) as f64));
    println!(
        "  ({more} more in a run with {requests} requests more; two runs of the same differ by {})",
        few.allocations.abs_diff(again.allocations)
    );
    Ok(())
}

/// What a run under valgrind brought.
struct Counted {
    requests: u64,
    allocations: u64,
}

/// Runs a daemon under valgrind, loads it, ends it.
fn counted(
    program: &str,
    file: &str,
    config: &str,
    host: IpAddr,
    secret: &str,
    from: Option<IpAddr>,
    rate: f64,
) -> Result<Counted, LoadError> {
    let folder = Folder::new();
    let config = folder.write(file, config);
    let log = folder.path().join("valgrind");
    let child = Command::new("valgrind")
        .arg(format!("--log-file={}", log.display()))
        .args(["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"])
        .arg(built(program))
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut daemon = Daemon(child);
    let plan = Plan {
        from,
        ports: 2,
        pace: Pace::Rate(50.0),
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(300),
        ..Plan::saturate(SocketAddr::new(host, 1812), secret)
    };
    // Valgrind takes its time to start; warm caches are part of the steady state.
    for attempt in 0.. {
        if run(&plan)?.tally.answered > 0 {
            break;
        }
        if attempt == 20 {
            return Err(std::io::Error::other(format!("{program} doesn't answer under valgrind")).into());
        }
    }
    let many = Plan { pace: Pace::Rate(MANY), duration: Duration::from_secs(2), ..plan.clone() };
    run(&many)?;
    let report = run(&Plan { pace: Pace::Rate(rate), duration: Duration::from_secs(6), ..plan })?;
    daemon.end();
    let log = fs::read_to_string(log)?;
    let allocations =
        total(&log).ok_or_else(|| std::io::Error::other(format!("valgrind says nothing: {log}")))?;
    Ok(Counted { requests: report.tally.answered, allocations })
}

/// The count in `total heap usage: 1,234 allocs, ...`.
fn total(log: &str) -> Option<u64> {
    let (_, rest) = log.split_once("total heap usage: ")?;
    rest.split_once(" allocs")?.0.replace(',', "").parse().ok()
}

/// A child that never outlives the measurement.
struct Daemon(Child);

impl Daemon {
    /// Asks it to end, and waits.
    fn end(&mut self) {
        let _ = Command::new("kill").arg("-TERM").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Requests per second of the two runs.
const FEW: f64 = 50.0;
const MANY: f64 = 1000.0;
