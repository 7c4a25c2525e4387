//! The matrix of failures on hosts of their own, as a table: `make matrix`.

#![allow(clippy::disallowed_methods, reason = "a measurement looks at the clock")]

use std::process::ExitCode;

use clap::Parser;
use forewarn_tests::matrix::rows::rows;
use forewarn_tests::matrix::{Campus, Class, Outcome};
use forewarn_tests::network;

/// Has everything happen to servers and agents on network namespaces that can happen, and says what their clients lost.
#[derive(Parser)]
struct Arguments {
    /// Rows whose names hold this; all when absent.
    #[arg(long, default_value = "")]
    only: String,
    /// Agents, and NASes, on hosts of their own.
    #[arg(long, default_value_t = 20)]
    agents: usize,
    /// One JSON object on a line for each row.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match network::moved_in() {
        Ok(None) => {}
        Ok(Some(status)) if status.success() => return ExitCode::SUCCESS,
        Ok(Some(_)) => return ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the matrix needs network namespaces: {error}");
            return ExitCode::FAILURE;
        }
    }
    let campus = Campus::new(arguments.agents);
    if !arguments.json {
        println!("{}", Outcome::HEAD);
    }
    let mut is_good = true;
    let all = [Class::Foreseen, Class::Unforeseen, Class::Rough].into_iter().flat_map(rows);
    for row in all.filter(|row| row.name.contains(&arguments.only)) {
        let outcome = row.run(&campus);
        is_good &= outcome.missed.is_empty();
        if arguments.json {
            println!("{}", outcome.json());
        } else {
            println!("{outcome}");
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
