//! `forewarn db init`: the tables of FreeRADIUS in the database of a configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use forewarn_shell::log::escaped;
use serde::Serialize;

use super::database::{Database, configuration, shown};
use super::screen;

#[derive(Debug, Subcommand)]
pub(super) enum DbCommand {
    /// Create what is missing of FreeRADIUS's tables and indexes; what is there is left as it is
    Init(InitArgs),
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The server's configuration file
    #[arg(short, long, value_name = "FILE", default_value = "/etc/forewarn/server.toml")]
    config: PathBuf,
    /// Print the statements, and run none
    #[arg(long)]
    dry_run: bool,
    /// Add triggers by which the database tells servers at once which user has changed
    #[arg(long)]
    notify: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What was found and done.
#[derive(Debug, Serialize)]
struct Report {
    database: String,
    /// As `table radcheck`, `index radcheck_username`.
    missing: Vec<String>,
    created: bool,
    differences: Vec<String>,
    #[serde(skip)]
    statements: Vec<String>,
}

pub(super) fn run(command: &DbCommand) -> ExitCode {
    let DbCommand::Init(args) = command;
    match init(args) {
        Ok(report) if args.json => screen::say_json(&report),
        Ok(report) => show(&report),
        Err(error) => {
            eprintln!("forewarn: {}", escaped(&error));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn init(args: &InitArgs) -> Result<Report, String> {
    let (_, sql) = configuration(&args.config)?;
    let database = Database::open(&sql, !args.dry_run)?;
    let plan = database.plan()?;
    let names = plan.missing.iter().map(|part| format!("{} {}", part.kind.name(), part.name));
    let mut report = Report {
        database: shown(&sql).to_string(),
        missing: names.collect(),
        created: !args.dry_run,
        differences: plan.differences,
        statements: plan.missing.into_iter().map(|part| part.text).collect(),
    };
    if args.notify {
        report.missing.push("triggers that tell of changes".to_owned());
        report.statements.push(database.notify().trim_end().trim_end_matches(';').to_owned());
    }
    if !args.dry_run {
        database.together(|| report.statements.iter().try_for_each(|statement| database.run(statement)))?;
    }
    Ok(report)
}

fn show(report: &Report) {
    if !report.created {
        report.statements.iter().for_each(|statement| screen::say(&format!("{statement};")));
    }
    for difference in &report.differences {
        screen::say(&format!("-- differs: {difference}"));
    }
    let database = &report.database;
    let verb = if report.created { "created" } else { "missing" };
    match report.missing.len() {
        0 => screen::say(&format!("-- {database}: nothing is missing")),
        _ => screen::say(&format!("-- {database}: {verb} {}", report.missing.join(", "))),
    }
}
