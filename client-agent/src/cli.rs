//! The command line of `forewarn-agent`.
//!
//! Exit codes: 0 done, 1 not (the configuration is wrong, or the agent couldn't start), 2 the command line isn't
//! understood.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use forewarn_shell::config::Diagnostics;

use crate::config;

/// A local RADIUS front door that acts on a server's warning in milliseconds.
#[derive(Debug, Parser)]
#[command(name = "forewarn-agent", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = "/etc/forewarn/agent.toml")]
    config: PathBuf,
    /// Overrides a key of the configuration, as in reconnect.ramp=3s; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    /// How the log is written; the same as log.format
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check configuration files: every error, with file, line and column
    Check {
        /// Configuration files of agents
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print everything found as one JSON array
        #[arg(long)]
        json: bool,
    },
}

/// Does what the command line of this process says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Check { files, json }) => check(&files, json),
        None => {
            let format = cli.run.log_format.map(|format| ("log.format".to_owned(), format));
            let overrides: Vec<_> = cli.run.set.into_iter().chain(format).collect();
            crate::run::main(&cli.run.config, &overrides)
        }
    }
}

fn check(files: &[PathBuf], json: bool) -> ExitCode {
    let mut all = Diagnostics::default();
    for file in files {
        let found = match config::load(file, &[]) {
            Ok((config, found)) => {
                if !json {
                    print(&found);
                    println!("{}: {}", file.display(), summary(&config));
                }
                found
            }
            Err(found) => {
                if !json {
                    print(&found);
                }
                found
            }
        };
        all.extend(found);
    }
    if json {
        match serde_json::to_string(&all) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("the result can't be written as JSON: {error}"),
        }
    }
    if all.is_usable() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(found: &Diagnostics) {
    for diagnostic in &found.0 {
        eprintln!("{diagnostic}");
    }
}

fn summary(config: &config::Config) -> String {
    let told = config.servers.iter().filter(|server| !server.notice_keys.is_empty()).count();
    format!(
        "good: agent {}, {} in front of {}, {told} of which can warn it",
        config.name,
        count(config.listeners.len(), "listener"),
        count(config.servers.len(), "server"),
    )
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, as in reconnect.ramp=3s".to_owned()),
    }
}
