//! `forewarn import freeradius DIR`: a FreeRADIUS 3 installation as forewarn's configuration, with an account of what
//! was translated and what was not, line by line.

mod clients;
mod modules;
pub(super) mod output;
mod proxy;
mod report;
mod syntax;
mod users;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use forewarn_shell::config::Layers;
use forewarn_shell::log::escaped;
use serde::Serialize;

use self::output::Toml;
use self::report::{Entry, Fate, Report};
use self::syntax::Section;
use super::screen;
use crate::config;

/// The main file of what is written.
const SERVER: &str = "server.toml";
/// The users, where there are any.
const USERS: &str = "users.toml";

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// From FreeRADIUS 3: clients.conf, the users file, proxy.conf, listeners, and the connections of sql and ldap
    Freeradius(Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// FreeRADIUS's configuration folder, such as /etc/freeradius/3.0
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The folder to write server.toml (and users.toml) to; it is made where it isn't there
    #[arg(long, short, value_name = "DIR", default_value = "forewarn-imported")]
    output: PathBuf,
    /// Write over files that are there already
    #[arg(long)]
    force: bool,
    /// Write nothing, only report
    #[arg(long)]
    dry_run: bool,
    /// The address by which clients know this server
    #[arg(long, value_name = "ADDRESS")]
    identity: Option<IpAddr>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// What is printed in the end.
#[derive(Debug, Serialize)]
struct Outcome {
    /// What was written.
    files: Vec<PathBuf>,
    entries: Vec<Entry>,
    /// What `forewarn check` says of it.
    findings: Vec<String>,
    /// Whether it can be used as it stands.
    usable: bool,
}

/// Exit code 0: it was written, and loads.
pub(super) fn run(command: &ImportCommand) -> ExitCode {
    let ImportCommand::Freeradius(args) = command;
    match import(args) {
        Ok(outcome) => {
            if args.json {
                screen::say_json(&outcome);
            } else {
                show(&outcome);
            }
            if outcome.usable { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("{}", escaped(&why));
            ExitCode::FAILURE
        }
    }
}

fn import(args: &Args) -> Result<Outcome, String> {
    let main = args.folder.join("radiusd.conf");
    if !main.is_file() {
        return Err(format!(
            "{} has no radiusd.conf; give FreeRADIUS's configuration folder, such as /etc/freeradius/3.0",
            args.folder.display()
        ));
    }
    let mut report = Report::default();
    // The installation may be a copy that lies elsewhere than it was.
    let mut variables = BTreeMap::from([("raddbdir".to_owned(), args.folder.display().to_string())]);
    let (mut top, unread) = syntax::read(&main, &mut variables);
    for unread in unread {
        report.not_translated(&unread.spot, "could not be read", unread.why);
    }
    let modules: Vec<Section> = top.all("modules").flat_map(|outer| outer.sections.clone()).collect();
    let servers: Vec<Section> = top.all("server").cloned().collect();
    top.sections.retain(|section| section.name != "modules");

    let (mut toml, mut users) = (Toml::default(), Toml::default());
    let identity = args.identity.or_else(|| identity(&servers));
    head(&mut toml, &variables, identity, &mut report, &main);
    modules::listens(&servers, &mut toml, &mut report);
    clients::translate(&top, &mut toml, &mut report);
    for file in users_files(&args.folder, &modules) {
        let mut policies = Toml::default();
        users::translate(&file, &mut users, &mut policies, &mut report);
        append(&mut toml, policies);
    }
    modules::modules(&modules, &mut toml, &mut report);
    proxy::translate(&top, &mut toml, &mut report);
    if !users.is_empty() {
        toml.table("[users]");
        toml.text("file", USERS);
    }
    finish(args, toml, users, report)
}

fn head(
    toml: &mut Toml,
    variables: &BTreeMap<String, String>,
    identity: Option<IpAddr>,
    report: &mut Report,
    main: &Path,
) {
    toml.comment("Made by `forewarn import freeradius`. It holds secrets: not everybody may read it.");
    toml.table("[server]");
    let name = variables.get("name").map_or("radius", String::as_str);
    toml.text("name", name);
    let spot = syntax::Spot { file: main.to_owned(), line: 0 };
    match identity {
        Some(identity) => toml.text("identity", &identity.to_string()),
        None => {
            toml.comment(
                "The address by which clients know this server; FreeRADIUS doesn't need to know it.",
            );
            toml.text("identity", "127.0.0.1");
            let word = "no listener has an address of its own: set [server] identity, or give --identity";
            report.not_translated(&spot, "the server's address", word);
        }
    }
    toml.text("state_dir", &format!("/var/lib/forewarn/{name}"));
    for (name, value) in variables {
        let word = match name.as_str() {
            "cleanup_delay" => "replies are kept 10 s for their duplicates",
            "max_requests" => "see [workers] in_flight",
            "max_request_time" => "see the time-outs of [sql] and [ldap]",
            _ => continue,
        };
        report.not_needed(&spot, format!("{name} = {value}"), word);
    }
}

/// The first address of a listener that clients can know it by: not any address, nor this machine's own.
fn identity(servers: &[Section]) -> Option<IpAddr> {
    let servers = servers.iter().filter(|server| !modules::is_inner(server));
    let listens = servers.flat_map(|server| server.all("listen"));
    let addresses = listens.filter_map(|listen| {
        let item = ["ipaddr", "ipv4addr", "ipv6addr"].iter().find_map(|name| listen.item(name))?;
        item.value.parse::<IpAddr>().ok()
    });
    addresses.into_iter().find(|address| !address.is_unspecified() && !address.is_loopback())
}

/// What the `files` modules read; where none says, FreeRADIUS's usual place.
fn users_files(folder: &Path, modules: &[Section]) -> Vec<PathBuf> {
    let files = modules.iter().filter(|module| module.name == "files");
    let named: Vec<PathBuf> = files
        .filter_map(|files| {
            let item = files.item("usersfile").or_else(|| files.item("filename"))?;
            let text =
                item.value.replace("${moddir}", &folder.join("mods-config/files").display().to_string());
            Some(PathBuf::from(text))
        })
        .collect();
    let usual = [folder.join("mods-config/files/authorize"), folder.join("users")];
    let found = if named.is_empty() { usual.to_vec() } else { named };
    let mut files: Vec<PathBuf> = Vec::new();
    for file in found.into_iter().filter_map(|file| fs::canonicalize(file).ok()) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

fn append(toml: &mut Toml, further: Toml) {
    let text = further.into_text();
    if !text.is_empty() {
        toml.table(text.trim_end());
    }
}

fn finish(args: &Args, toml: Toml, users: Toml, report: Report) -> Result<Outcome, String> {
    let mut texts = vec![(SERVER, toml.into_text())];
    if !users.is_empty() {
        texts.push((USERS, users.into_text()));
    }
    let mut files = Vec::new();
    let scratch;
    let folder = if args.dry_run {
        scratch = Scratch::new().map_err(|error| format!("a temporary folder can't be made: {error}"))?;
        scratch.0.clone()
    } else {
        args.output.clone()
    };
    fs::create_dir_all(&folder).map_err(|error| format!("{} can't be made: {error}", folder.display()))?;
    for (name, text) in &texts {
        let file = folder.join(name);
        write(&file, text, args.force).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!(
                    "{} is there already; --force writes over it, --output DIR goes elsewhere",
                    file.display()
                )
            }
            _ => format!("{} can't be written: {error}", file.display()),
        })?;
        files.push(file);
    }
    let (findings, usable) = match config::load(&Layers::file(folder.join(SERVER))) {
        Ok(loaded) => (loaded.warnings, true),
        Err(findings) => (findings, false),
    };
    let findings = findings.0.iter().map(ToString::to_string).collect();
    let files = if args.dry_run { Vec::new() } else { files };
    Ok(Outcome { files, entries: report.into_entries(), findings, usable })
}

/// A folder that is gone in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("forewarn-import-{}", std::process::id()));
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Readable by its owner only: there are secrets in it.
fn write(file: &Path, text: &str, force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(file)?.write_all(text.as_bytes())
}

fn show(outcome: &Outcome) {
    for Entry { file, line, what, fate, word } in &outcome.entries {
        let place = if *line == 0 { file.clone() } else { format!("{file}:{line}") };
        screen::say(&escaped(&format!("{place}: {what}: {}: {word}", fate.name())).to_string());
    }
    let count = |wanted: Fate| outcome.entries.iter().filter(|entry| entry.fate == wanted).count();
    screen::say(&format!(
        "\n{} translated, {} not needed, {} not translated",
        count(Fate::Translated),
        count(Fate::NotNeeded),
        count(Fate::NotTranslated)
    ));
    for file in &outcome.files {
        screen::say(&format!("written: {}", file.display()));
    }
    for finding in &outcome.findings {
        eprintln!("{}", escaped(finding));
    }
}

#[cfg(test)]
mod tests;
