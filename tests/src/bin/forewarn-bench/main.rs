//! The house's figures, measured on this machine: `make bench`.
//!
//! Each section prints what it measured and nothing else; `--only codec,server` runs some of them. Programs are those beside
//! this one, so that a release build measures a release build.

#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

mod allocations;
mod codec;
mod daemons;
mod eap;
mod freeradius;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures forewarn on this machine.
#[derive(Parser)]
struct Arguments {
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Sections to run; all when absent.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Rows of the section `eap` whose words are all in it, as in "EAP-TLS ECDSA resumed"; all when absent.
    #[arg(long, default_value = "")]
    row: String,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Nanoseconds for a packet's bytes.
    Codec,
    /// forewarnd at saturation: requests per second, CPU per request, memory.
    Server,
    /// The same through forewarn-agent.
    Agent,
    /// Latency at 500 requests per second through the agent.
    Latency,
    /// Heap allocations per request (needs valgrind).
    Allocations,
    /// Sizes of the programs.
    Size,
    /// Look-ups in PostgreSQL, cold and cached, beside FreeRADIUS's.
    Users,
    /// Durable accounting into PostgreSQL, beside FreeRADIUS's.
    Accounting,
    /// EAP over TLS, full handshakes and resumed ones, beside FreeRADIUS's.
    Eap,
}

impl Section {
    const ALL: [Section; 9] = [
        Section::Codec,
        Section::Server,
        Section::Agent,
        Section::Latency,
        Section::Allocations,
        Section::Size,
        Section::Users,
        Section::Accounting,
        Section::Eap,
    ];
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let duration = Duration::try_from_secs_f64(arguments.seconds).unwrap_or(Duration::from_secs(5));
    if cfg!(debug_assertions) {
        println!("(a debug build: figures of a release build come from `make bench`)\n");
    }
    for section in
        Section::ALL.into_iter().filter(|s| arguments.only.is_empty() || arguments.only.contains(s))
    {
        let done = match section {
            Section::Codec => {
                codec::measure();
                Ok(())
            }
            Section::Server => daemons::server(duration),
            Section::Agent => daemons::agent(duration),
            Section::Latency => daemons::latency(duration),
            Section::Allocations => allocations::measure(),
            Section::Users => freeradius::users(duration),
            Section::Accounting => freeradius::accounting(duration),
            Section::Eap => eap::measure(duration, &arguments.row),
            Section::Size => {
                daemons::sizes();
                Ok(())
            }
        };
        if let Err(error) = done {
            eprintln!("{section:?}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
