//! `forewarn`, the operator's tool.
//!
//! Exit codes: 0 done, 1 not (what was asked for is wrong, refused or away), 2 the command line isn't understood.

mod check;
mod command;
mod database;
mod db;
pub mod demo;
mod dict;
mod dynauth;
mod explain;
mod hand;
mod import;
mod pki;
mod screen;
mod sessions;
mod status;
mod target;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Looks at, and steers, forewarn's servers and agents.
#[derive(Debug, Parser)]
#[command(name = "forewarn", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show two servers and an agent failing over under load, on this machine
    Demo(demo::Args),
    /// Check configuration files of servers and agents: every error, with file, line and column
    Check(CheckArgs),
    /// Show running servers and agents
    Status(StatusArgs),
    /// Have a server leave without loss: notices to all its clients, then it stops taking requests
    Drain(DrainArgs),
    /// Have a server take its clients back after drain or quiesce
    Resume(TargetArgs),
    /// Have a server keep the clients it has and invite no others
    Quiesce(TargetArgs),
    /// Have a server send some of its clients elsewhere, by hand; only invite or resume has them back
    Shed(hand::ShedArgs),
    /// Have a server invite clients, whether they ever were its own or not
    Invite(hand::InviteArgs),
    /// Have a server or agent read its configuration again
    Reload(TargetArgs),
    /// Have the NAS of live sessions end them (RFC 5176): those of a user, one by its id, or straight at a NAS
    Disconnect(dynauth::DisconnectArgs),
    /// Have the NAS of live sessions change their authorization (RFC 5176)
    Coa(dynauth::CoaArgs),
    /// Show the live sessions, as accounting tells of them
    Sessions(sessions::SessionsArgs),
    /// Say what would become of a request, step by step, and what to change
    Explain(explain::ExplainArgs),
    /// Prepare the database of a server's [sql]
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Add, delete, show and import the users of the database of a server's [sql]
    #[command(subcommand)]
    User(user::UserCommand),
    /// Have a server forget what it remembers of users that are kept elsewhere
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Look at RADIUS dictionaries
    #[command(subcommand)]
    Dict(DictCommand),
    /// Make a configuration from another server's
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Make certificates for trying 802.1X out: not for production
    #[command(subcommand)]
    Pki(pki::PkiCommand),
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Configuration files, of servers or agents
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct TargetArgs {
    /// A control socket, a folder that holds one, or the name of a server or agent; without it, the only one that runs
    #[arg(value_name = "SOCKET|DIR|NAME")]
    target: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// A control socket, a folder that holds one, or the name of a server or agent; without it, every one found below
    /// the working directory, /run and /var/lib/forewarn
    #[arg(value_name = "SOCKET|DIR|NAME")]
    target: Option<PathBuf>,
    /// Print a JSON array with an object for each; with --watch one array per line
    #[arg(long)]
    json: bool,
    /// Show it again every second
    #[arg(long, short)]
    watch: bool,
    /// Show who is open to BlastRADIUS (CVE-2024-3596), who would break if it were closed, and the line to change
    #[arg(long)]
    blastradius: bool,
}

#[derive(Debug, Args)]
struct DrainArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Return only when the drain has ended
    #[arg(long, short)]
    wait: bool,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// Have a server forget what it remembers, so that it asks the database or directory anew
    Flush {
        #[command(flatten)]
        target: TargetArgs,
        /// Of this user only
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum DictCommand {
    /// Load dictionary files or folders and report what they define
    Check {
        /// Dictionary files, or folders that hold a file named `dictionary`
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
}

/// Runs the tool with this process's arguments.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args.files, args.json),
        Command::Status(args) => status::run(args.target.as_deref(), args.json, args.watch, args.blastradius),
        Command::Drain(args) => command::drain(args.target.target.as_deref(), args.target.json, args.wait),
        Command::Resume(args) => command::resume(args.target.as_deref(), args.json),
        Command::Quiesce(args) => command::quiesce(args.target.as_deref(), args.json),
        Command::Shed(args) => hand::shed(args),
        Command::Invite(args) => hand::invite(args),
        Command::Reload(args) => command::reload(args.target.as_deref(), args.json),
        Command::Disconnect(args) => dynauth::disconnect(args),
        Command::Coa(args) => dynauth::coa(args),
        Command::Sessions(args) => sessions::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Db(command) => db::run(&command),
        Command::User(command) => user::run(command),
        Command::Cache(CacheCommand::Flush { target, user }) => {
            command::flush(target.target.as_deref(), target.json, user)
        }
        Command::Dict(DictCommand::Check { paths }) => dict::check(&paths),
        Command::Import(command) => import::run(&command),
        Command::Pki(command) => pki::run(&command),
    }
}
