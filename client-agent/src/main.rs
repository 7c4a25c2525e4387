//! forewarn-agent: a local RADIUS front door that acts on a server's warning in milliseconds.

use std::process::ExitCode;

fn main() -> ExitCode {
    forewarn_agent::cli::main()
}
