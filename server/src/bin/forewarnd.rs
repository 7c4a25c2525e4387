//! forewarnd, the AAA server.

use std::process::ExitCode;

fn main() -> ExitCode {
    forewarn_server::run::main()
}
