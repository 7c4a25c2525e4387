//! forewarn, the operator's tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    forewarn_server::cli::main()
}
