//! `forewarn status`: what running servers and agents say of themselves, for people or as JSON.

mod agent;
mod blastradius;
mod layout;
mod server;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use forewarn_shell::clock;
use forewarn_shell::control::Status;
use forewarn_shell::log::harmless_json;

use super::{screen, target};
use layout::Page;

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);
/// Puts the cursor home and clears the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Exit code 0 when everyone who was meant answered; without a target, when at least one did.
pub(super) fn run(target: Option<&Path>, json: bool, watch: bool, blastradius: bool) -> ExitCode {
    let about = if blastradius { About::BlastRadius } else { About::Everything };
    let terminal = io::stdout().is_terminal();
    loop {
        let Look { mut page, troubles, good } = look(target, json, terminal, about);
        for trouble in troubles {
            // Who watches looks at one place.
            if watch && !json {
                page.push_str(&format!("{trouble}\n"));
            } else {
                eprintln!("forewarn: {trouble}");
            }
        }
        let before = match (watch && !json, terminal) {
            (true, true) => CLEAR,
            (true, false) => "\n",
            (false, _) => "",
        };
        let is_read = screen::show(&format!("{before}{page}"));
        if !is_read || !watch {
            return if good { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        std::thread::sleep(EVERY);
    }
}

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Everything,
    BlastRadius,
}

/// One look.
struct Look {
    page: String,
    /// Who doesn't answer, and why.
    troubles: Vec<String>,
    /// It is all that was asked for.
    good: bool,
}

fn look(target: Option<&Path>, json: bool, terminal: bool, about: About) -> Look {
    let (sockets, nobody) = match target::sockets(target) {
        Ok(sockets) => (sockets, None),
        Err(nobody) => (Vec::new(), Some(nobody.to_string())),
    };
    let mut troubles: Vec<String> = nobody.into_iter().collect();
    let mut statuses = Vec::with_capacity(sockets.len());
    for socket in &sockets {
        match target::status(socket) {
            Ok(status) => statuses.push(status),
            Err(error) => troubles.push(format!("{} doesn't answer: {}", socket.display(), meaning(&error))),
        }
    }
    let good = !statuses.is_empty() && (target.is_none() || troubles.is_empty());
    let page = if json { as_json(&statuses) } else { as_text(&statuses, terminal, about) };
    Look { page, troubles, good }
}

fn meaning(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the program that made it has ended".to_owned(),
        io::ErrorKind::PermissionDenied => "only the program's user and root may ask".to_owned(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time; is it stopped?".to_owned(),
        _ => error.to_string(),
    }
}

fn as_json(statuses: &[Status]) -> String {
    match serde_json::to_string(statuses) {
        Ok(text) => format!("{}\n", harmless_json(&text)),
        Err(error) => {
            eprintln!("forewarn: the status can't be written as JSON: {error}");
            "[]\n".to_owned()
        }
    }
}

fn as_text(statuses: &[Status], colour: bool, about: About) -> String {
    let colour = colour && std::env::var_os("NO_COLOR").is_none();
    let now_us = clock::utc_nanos() / 1000;
    let pages: Vec<String> = statuses
        .iter()
        .map(|status| {
            let mut page = Page::new(colour, now_us);
            match (status, about) {
                (Status::Server(server), About::Everything) => server::write(&mut page, server),
                (Status::Agent(agent), About::Everything) => agent::write(&mut page, agent),
                (Status::Server(server), About::BlastRadius) => blastradius::server(&mut page, server),
                (Status::Agent(agent), About::BlastRadius) => blastradius::agent(&mut page, agent),
            }
            page.finish()
        })
        .collect();
    pages.join("\n")
}
