//! Failures on hosts of their own, as tables: `make matrix`, `make compare`.

#![allow(clippy::disallowed_methods, reason = "a measurement looks at the clock")]

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use forewarn_tests::matrix::contest::{self, Score, TRIALS};
use forewarn_tests::matrix::figures::{Figure, enduring, telling};
use forewarn_tests::matrix::rows::rows;
use forewarn_tests::matrix::{Campus, Class, Outcome};
use forewarn_tests::{Network, network};

/// Has happen to servers and agents on network namespaces what can happen, and says what their clients lost.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The matrix: each row with what it promises; fails when one doesn't keep it.
    Rows {
        #[command(flatten)]
        how: How,
        /// Agents, and NASes, on hosts of their own.
        #[arg(long, default_value_t = 20)]
        agents: usize,
    },
    /// Some of it with FreeRADIUS and radsecproxy in the agent's place.
    Compare {
        #[command(flatten)]
        how: How,
    },
    /// How fast everybody is told, what lies cost an agent, and its memory; fails when a goal is missed.
    Figures {
        #[command(flatten)]
        how: How,
    },
}

#[derive(Args)]
struct How {
    /// Those whose names hold this; all when absent.
    #[arg(long, default_value = "")]
    only: String,
    /// One JSON object on a line for each.
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
            eprintln!("this needs network namespaces: {error}");
            return ExitCode::FAILURE;
        }
    }
    match arguments.what {
        What::Rows { how, agents } => matrix(&how, agents),
        What::Compare { how } => compare(&how),
        What::Figures { how } => measure(&how),
    }
}

fn matrix(how: &How, agents: usize) -> ExitCode {
    let campus = Campus::new(agents);
    if !how.json {
        println!("{}", Outcome::HEAD);
    }
    let mut is_good = true;
    let all = [Class::Foreseen, Class::Unforeseen, Class::Rough].into_iter().flat_map(rows);
    for row in all.filter(|row| row.name.contains(&how.only)) {
        let outcome = row.run(&campus);
        is_good &= outcome.missed.is_empty();
        if how.json {
            println!("{}", outcome.json());
        } else {
            println!("{outcome}");
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn compare(how: &How) -> ExitCode {
    let campus = Campus::new(contest::FRONTS);
    if !how.json {
        println!("{}", Score::HEAD);
    }
    for trial in TRIALS.iter().filter(|trial| trial.name.contains(&how.only)) {
        for score in trial.run(&campus) {
            if how.json {
                println!("{}", score.json());
            } else {
                println!("{score}");
            }
        }
    }
    ExitCode::SUCCESS
}

fn measure(how: &How) -> ExitCode {
    if cfg!(debug_assertions) && !how.json {
        println!("(a debug build: figures worth quoting come from `make figures`)");
    }
    let mut network = Network::new();
    let mut is_good = true;
    for (name, measure) in [("telling", telling as fn(&mut Network) -> Vec<Figure>), ("enduring", enduring)] {
        if !name.contains(&how.only) {
            continue;
        }
        for figure in measure(&mut network) {
            is_good &= figure.is_good();
            if how.json {
                println!("{}", figure.json());
            } else {
                println!("{figure}");
            }
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
