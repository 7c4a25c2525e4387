//! `forewarn user`: the users of a database in FreeRADIUS's schema.
//!
//! Whatever is written here FreeRADIUS and its web front ends read as well. What is written is first understood as the
//! server would understand it, so that a row it couldn't use isn't made.

mod add;
mod hash;
mod import;
mod item;
mod list;
pub(super) mod prompt;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use forewarn_shell::control::{self, Reply, Request};
use forewarn_shell::log::escaped;
use zeroize::Zeroizing;

use self::hash::Form;
use super::database::{Database, configuration};
use super::screen;
use crate::config::Config;
use crate::config::sql::Sql;

/// The longest User-Name an attribute can carry, octets (RFC 2865 section 5).
const NAME_MAX: usize = 253;
/// How long a running server may take to forget a user.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user; without --password-file or --password-env the password is asked for
    Add(AddArgs),
    /// Delete users with everything that is said of them
    Del(DelArgs),
    /// Show users; never their passwords
    List(ListArgs),
    /// Change a user's password
    Passwd(PasswdArgs),
    /// Add users from a CSV file with the columns name, password, groups (separated by blanks)
    Import(ImportArgs),
}

#[derive(Debug, Args)]
struct Where {
    /// The server's configuration file, whose [sql] says where the database is
    #[arg(short, long, value_name = "FILE", default_value = "/etc/forewarn/server.toml")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct PasswordArgs {
    /// The password is this file's first line; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    password_file: Option<PathBuf>,
    /// The password is this environment variable's value
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,
    /// How it is stored. crypt-sha512, ssha512, ssha and bcrypt serve PAP; nt serves PAP and MS-CHAP (PEAP); none keeps
    /// the clear text, which serves CHAP too
    #[arg(long, value_enum, default_value_t = Form::CryptSha512)]
    hash: Form,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// The User-Name
    name: String,
    #[command(flatten)]
    password: PasswordArgs,
    /// No password: another check item proves the user, or a group's
    #[arg(long, conflicts_with_all = ["password_file", "password_env"])]
    no_password: bool,
    /// A group to be in, the first one first; any number. GROUP:PRIORITY for another place
    #[arg(long, value_name = "GROUP[:PRIORITY]")]
    group: Vec<String>,
    /// A check item, as in 'NAS-IP-Address == 192.0.2.1'; any number
    #[arg(long, value_name = "ATTR OP VALUE")]
    check: Vec<String>,
    /// A reply item, as in 'Session-Timeout := 3600'; any number
    #[arg(long, value_name = "ATTR OP VALUE")]
    reply: Vec<String>,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct DelArgs {
    /// User-Names
    #[arg(required = true)]
    names: Vec<String>,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// User-Names; without any, all users
    names: Vec<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct PasswdArgs {
    /// The User-Name
    name: String,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The CSV file; `-` is standard input
    file: PathBuf,
    /// How passwords are stored: see `forewarn user add --help`
    #[arg(long, value_enum, default_value_t = Form::CryptSha512)]
    hash: Form,
    /// Users who are there already get the new password and groups; otherwise they are an error
    #[arg(long)]
    replace: bool,
    /// Leave out the lines with errors; otherwise one error leaves out all
    #[arg(long)]
    skip: bool,
    #[command(flatten)]
    at: Where,
}

pub(super) fn run(command: UserCommand) -> ExitCode {
    let done = match command {
        UserCommand::Add(args) => add::add(&args),
        UserCommand::Del(args) => add::del(&args),
        UserCommand::List(args) => list::list(&args),
        UserCommand::Passwd(args) => add::passwd(&args),
        UserCommand::Import(args) => import::import(&args),
    };
    match done {
        Ok(message) => {
            if !message.is_empty() {
                let lines: Vec<_> = message.lines().map(|line| escaped(line).to_string()).collect();
                screen::say(&lines.join("\n"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            error.lines().for_each(|line| eprintln!("forewarn: {}", escaped(line)));
            ExitCode::FAILURE
        }
    }
}

/// The users of a configuration's database.
struct Users {
    config: Config,
    database: Database,
}

impl Users {
    fn open(at: &Where) -> Result<Self, String> {
        let (config, sql): (Config, Sql) = configuration(&at.config)?;
        let database = Database::open(&sql, false)?;
        Ok(Self { config, database })
    }

    /// Has the servers that use the database forget what they know of these users; without names, of all.
    fn changed(&self, names: &[&str]) -> Result<(), String> {
        for name in names {
            self.database.tell(name)?;
        }
        if names.is_empty() {
            self.database.tell("")?;
        }
        // The server of this configuration, if it runs: at once, and whatever its connections are like.
        let socket = control::path(&self.config.server.state_dir);
        let all = [None];
        let named: Vec<Option<&str>> = names.iter().map(|name| Some(*name)).collect();
        for user in if names.is_empty() { &all[..] } else { &named } {
            let request = Request::FlushCache { user: user.map(str::to_owned) };
            let ignore = |_: Reply| {};
            if control::ask(&socket, &request, PATIENCE, ignore).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn exists(&self, name: &str) -> Result<bool, String> {
        const ANY: &str = "\
            SELECT '1' FROM radcheck WHERE username = ?1 UNION ALL SELECT '1' FROM radreply WHERE username = ?1
            UNION ALL SELECT '1' FROM radusergroup WHERE username = ?1 LIMIT 1";
        Ok(!self.database.query(ANY, &[name])?.is_empty())
    }
}

/// A name that a request can carry and a database can hold.
fn name_of(name: &str) -> Result<&str, String> {
    match name.len() {
        0 => Err("a user needs a name".to_owned()),
        1..=NAME_MAX if !name.contains('\0') => Ok(name),
        1..=NAME_MAX => Err(format!("{name:?}: a name with a NUL can't be stored")),
        length => Err(format!("a name of {length} octets doesn't fit into a request; {NAME_MAX} do")),
    }
}

/// The password, by way of a file, the environment or the terminal; never of the command line, which everybody can see.
fn password_of(args: &PasswordArgs, name: &str) -> Result<Zeroizing<String>, String> {
    let password = match (&args.password_file, &args.password_env) {
        (Some(file), _) => first_line(file)?,
        (None, Some(variable)) => Zeroizing::new(
            std::env::var(variable).map_err(|error| format!("environment variable {variable}: {error}"))?,
        ),
        (None, None) => prompt::password(name).map_err(|error| format!("no password: {error}"))?,
    };
    if password.is_empty() {
        return Err("the password is empty: it would let in everybody who knows the name".to_owned());
    }
    Ok(password)
}

fn first_line(file: &Path) -> Result<Zeroizing<String>, String> {
    let text = read(file)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// A file's text, or standard input's.
fn read(file: &Path) -> Result<Zeroizing<String>, String> {
    let text = match file == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    text.map(Zeroizing::new).map_err(|error| format!("{}: {error}", file.display()))
}
