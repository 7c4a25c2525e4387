//! The assembly: configuration, state, sockets, and the one loop that owns them all.

use std::path::Path;
use std::process::ExitCode;

use crate::{cli, config};

/// Runs the agent until it is told to stop.
pub fn main(file: &Path, overrides: &[(String, String)]) -> ExitCode {
    let (_config, _found) = match config::load(file, overrides) {
        Ok(loaded) => loaded,
        Err(found) => return cli::refuse(file, &found),
    };
    eprintln!("forewarn-agent: nothing to run yet");
    ExitCode::FAILURE
}
