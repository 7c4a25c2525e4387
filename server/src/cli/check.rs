//! `forewarn check`: configurations of servers and of agents, told apart by what they hold.
//!
//! A server's is resolved here, as forewarnd does it. An agent's is the agent's own to judge: the sibling program
//! `forewarn-agent check --json` is asked.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use forewarn_shell::config::{Diagnostic, Diagnostics, Document, Layers, Severity};
use forewarn_shell::log::escaped;
use serde::Serialize;

use super::screen;
use crate::config::{Config, resolve};

/// Exit code 0 only when each file can be used as it stands.
pub(super) fn run(files: &[PathBuf], json: bool) -> ExitCode {
    let verdicts: Vec<Verdict> = files.iter().map(|file| verdict(file)).collect();
    if json {
        screen::say_json(&verdicts);
    } else {
        verdicts.iter().for_each(show);
    }
    if verdicts.iter().all(|verdict| verdict.usable) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was found about one file.
#[derive(Debug, Serialize)]
struct Verdict {
    file: PathBuf,
    kind: Kind,
    usable: bool,
    /// What a good one holds, in a few words.
    summary: String,
    findings: Diagnostics,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Server,
    Agent,
    /// It can't be read, or isn't TOML.
    Unknown,
}

fn verdict(file: &Path) -> Verdict {
    let (kind, summary, findings) = match Document::load(&Layers::file(file).process_environment()) {
        Err(findings) => (Kind::Unknown, String::new(), findings),
        Ok(document) if document.root_has("agent") => agent(file),
        Ok(document) => server(&document),
    };
    Verdict { file: file.to_path_buf(), kind, usable: findings.is_usable(), summary, findings }
}

fn server(document: &Document) -> (Kind, String, Diagnostics) {
    match resolve(document) {
        Ok(loaded) => (Kind::Server, summary(&loaded.config), loaded.warnings),
        Err(findings) => (Kind::Server, String::new(), findings),
    }
}

fn agent(file: &Path) -> (Kind, String, Diagnostics) {
    match ask_sibling(file) {
        Ok(findings) => (Kind::Agent, "an agent".to_owned(), findings),
        Err(error) => {
            let finding = Diagnostic {
                severity: Severity::Error,
                file: file.to_path_buf(),
                line: 0,
                column: 0,
                what: format!("is an agent's, and forewarn-agent can't be asked about it: {error}"),
                hint: "install forewarn-agent beside this program, or on the PATH".to_owned(),
            };
            (Kind::Agent, String::new(), Diagnostics(vec![finding]))
        }
    }
}

/// What `forewarn-agent check --json` says: the program beside this one, else the one on the PATH.
fn ask_sibling(file: &Path) -> io::Result<Diagnostics> {
    const NAME: &str = "forewarn-agent";
    let beside = std::env::current_exe()?.with_file_name(NAME);
    let program = if beside.is_file() { beside } else { PathBuf::from(NAME) };
    let output = Command::new(program)
        .arg("check")
        .arg("--json")
        .arg("--")
        .arg(file)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn show(verdict: &Verdict) {
    for finding in &verdict.findings.0 {
        eprintln!("{}", escaped(&finding.to_string()));
    }
    let outcome = match verdict.findings.errors().count() {
        0 => format!("good: {}", verdict.summary),
        1 => "1 error".to_owned(),
        errors => format!("{errors} errors"),
    };
    screen::say(&escaped(&format!("{}: {outcome}", verdict.file.display())).to_string());
}

fn summary(config: &Config) -> String {
    let count = |number: usize, noun: &str| match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    };
    let told = config.clients.iter().filter(|client| !client.notice_keys.is_empty()).count();
    let load = config.health.load.as_ref().map(|load| format!(", load = {}", load.source()));
    format!(
        "server {}, {}, {} ({told} with a notice key), {}, {}, {}{}",
        config.server.name,
        count(config.listens.len(), "listener"),
        count(config.clients.len(), "client"),
        count(config.users.len(), "user"),
        count(config.policies.len(), "policy").replace("policys", "policies"),
        count(config.services.len(), "service"),
        load.unwrap_or_default(),
    )
}
