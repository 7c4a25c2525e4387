//! Loads a RADIUS server, verifies every answer, and says what it cost.
//!
//!     radload 127.0.0.11:1812 --secret testing123testing123 --pid "$(pidof forewarnd)"

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use forewarn_tests::load::{Kind, Pace, Plan, run};

/// Loads a RADIUS server with PAP, CHAP, accounting or Status-Server requests and verifies every answer.
#[derive(Parser)]
struct Arguments {
    /// The server, with its port.
    to: SocketAddr,
    /// The secret shared with it.
    #[arg(long)]
    secret: String,
    /// What to ask.
    #[arg(long, value_enum, default_value = "pap")]
    kind: Asked,
    /// User-Name.
    #[arg(long, default_value = "alice")]
    user: String,
    /// The password.
    #[arg(long, default_value = "wonderland")]
    password: String,
    /// The address to send from.
    #[arg(long)]
    from: Option<IpAddr>,
    /// Source ports.
    #[arg(long, default_value_t = 4)]
    ports: usize,
    /// Threads that share the ports.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Closed loop: requests outstanding on each port, at most 255.
    #[arg(long, default_value_t = 32, conflicts_with = "rate")]
    window: u8,
    /// Open loop: requests per second altogether.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds to measure.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds to load before measuring.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Seconds after which an unanswered request is lost.
    #[arg(long, default_value_t = 3.0)]
    patience: f64,
    /// Seconds after which an unanswered request is sent again.
    #[arg(long)]
    repeat: Option<f64>,
    /// A process whose CPU time and memory to measure; may be given several times.
    #[arg(long)]
    pid: Vec<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What to ask.
#[derive(Clone, Copy, ValueEnum)]
enum Asked {
    Pap,
    Chap,
    Acct,
    Status,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seconds = |given: f64| Duration::try_from_secs_f64(given).unwrap_or_default();
    let plan = Plan {
        to: arguments.to,
        from: arguments.from,
        secret: arguments.secret.into_bytes(),
        kind: match arguments.kind {
            Asked::Pap => Kind::Pap,
            Asked::Chap => Kind::Chap,
            Asked::Acct => Kind::Acct,
            Asked::Status => Kind::Status,
        },
        user: arguments.user,
        users: 0,
        password: arguments.password,
        ports: arguments.ports,
        threads: arguments.threads,
        pace: arguments.rate.map_or(Pace::Window(arguments.window), Pace::Rate),
        warm_up: seconds(arguments.warm_up),
        duration: seconds(arguments.seconds),
        limit: None,
        repeat: arguments.repeat.map(seconds),
        patience: seconds(arguments.patience),
        signed: true,
        processes: arguments.pid,
    };
    match run(&plan) {
        Ok(report) if arguments.json => println!("{:#}", report.to_json()),
        Ok(report) => print!("{report}"),
        Err(error) => {
            eprintln!("radload: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
