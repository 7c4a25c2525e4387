//! What an operator tells a running program: drain, resume, quiesce, reload.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use forewarn_shell::control::{self, Reply, Request};
use forewarn_shell::log::escaped;

use super::{dynauth, hand, screen, target};

/// A draining server says how far it is every second.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);
/// Checking a large configuration takes a while.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn drain(target: Option<&Path>, json: bool, wait: bool) -> ExitCode {
    tell(target, json, &Request::Drain { wait }, DRAIN_PATIENCE)
}

pub(super) fn resume(target: Option<&Path>, json: bool) -> ExitCode {
    tell(target, json, &Request::Resume, target::PATIENCE)
}

pub(super) fn quiesce(target: Option<&Path>, json: bool) -> ExitCode {
    tell(target, json, &Request::Quiesce, target::PATIENCE)
}

pub(super) fn flush(target: Option<&Path>, json: bool, user: Option<String>) -> ExitCode {
    tell(target, json, &Request::FlushCache { user }, target::PATIENCE)
}

pub(super) fn reload(target: Option<&Path>, json: bool) -> ExitCode {
    tell(target, json, &Request::Reload, RELOAD_PATIENCE)
}

pub(super) fn tell(target: Option<&Path>, json: bool, request: &Request, patience: Duration) -> ExitCode {
    let socket = match target::socket(target) {
        Ok(socket) => socket,
        Err(nobody) => {
            eprintln!("forewarn: {nobody}");
            return ExitCode::FAILURE;
        }
    };
    let mut done = false;
    let asked = control::ask(&socket, request, patience, |reply| {
        done |= matches!(reply, Reply::Done { .. });
        show(&reply, json);
    });
    if let Err(error) = asked {
        eprintln!("forewarn: {}: {error}", socket.display());
        return ExitCode::FAILURE;
    }
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(reply: &Reply, json: bool) {
    if json {
        return screen::say_json(reply);
    }
    match reply {
        Reply::Progress { message } | Reply::Done { message } => screen::say(&lines(message)),
        Reply::Refused { errors } => errors.iter().for_each(|error| eprintln!("{}", lines(error))),
        Reply::Session { result } => screen::say(&lines(&dynauth::in_words(result))),
        Reply::Told { clients } => screen::say(&lines(&hand::in_words(clients))),
        Reply::Status { .. } => {}
    }
}

/// What a program says may quote what it was sent; line by line it can do no harm.
fn lines(text: &str) -> String {
    text.lines().map(|line| escaped(line).to_string()).collect::<Vec<_>>().join("\n")
}
