//! Watching the stage: asks server and agent for their status, and tells the reader what changes.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use forewarn_shell::control::{self, AgentStatus, Reply, Request, ServerStatus, Status};

use super::nas::{Nas, Tally};
use super::stage::{AGENT, Actor, EAST, Stage};

/// How often both are asked.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(5);

/// What was seen at the last look.
#[derive(Default)]
pub(super) struct View {
    /// The server in trouble; absent when it doesn't answer.
    pub(super) east: Option<ServerStatus>,
    pub(super) agent: Option<AgentStatus>,
}

impl View {
    /// The state of the first server's watch.
    pub(super) fn state(&self) -> &str {
        self.east.as_ref().map_or("gone", |east| east.watch.state.as_str())
    }

    /// The server that the agent sends new requests to.
    pub(super) fn current(&self) -> &str {
        self.agent.as_ref().map_or("", |agent| agent.current.as_str())
    }

    /// Whether all the traffic is back at the first server.
    pub(super) fn is_home(&self) -> bool {
        self.current() == EAST.name && self.share() >= 1.0
    }

    /// The share of the traffic that the agent gives to the first server, 0.0 to 1.0: the ramp, on the way back.
    fn share(&self) -> f64 {
        let servers = self.agent.as_ref().map_or(&[][..], |agent| &agent.servers);
        servers.iter().find(|server| server.name == EAST.name).map_or(0.0, |server| server.weight)
    }
}

/// The reader's screen, and what stands on it.
pub(super) struct Show {
    started: Instant,
    second: u64,
    colour: bool,
    interrupted: Arc<AtomicBool>,
    pub(super) view: View,
}

impl Show {
    pub(super) fn new() -> Show {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let interrupted = Arc::new(AtomicBool::new(false));
        watch_for_interrupt(Arc::clone(&interrupted));
        Show { started: clock::now(), second: 0, colour, interrupted, view: View::default() }
    }

    /// A heading.
    pub(super) fn heading(&self, text: &str) {
        println!("\n{}", self.paint("1", text));
    }

    /// A line with the time before it.
    pub(super) fn line(&self, who: &str, what: &str) {
        let at = clock::now().since(self.started).as_secs_f64();
        println!("{at:7.2} s  {who:<9} {what}");
        // A reader who has closed the pipe is none.
        let _ = io::stdout().flush();
    }

    /// Looks, and shows what changed, until `done` or the limit; says which.
    pub(super) fn until(
        &mut self,
        stage: &mut Stage,
        nas: Option<&Nas>,
        limit: Duration,
        mut done: impl FnMut(&View) -> bool,
    ) -> io::Result<bool> {
        let end = clock::now() + limit;
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted"));
            }
            if let Some(why) = stage.fallen() {
                return Err(io::Error::other(why));
            }
            self.look(stage);
            if let Some(nas) = nas {
                self.traffic(nas);
            }
            if done(&self.view) {
                return Ok(true);
            }
            if clock::now() >= end {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Green for good, red for bad, where there is colour.
    pub(super) fn verdict(&self, good: bool, text: &str) -> String {
        self.paint(if good { "32" } else { "31" }, text)
    }

    fn look(&mut self, stage: &Stage) {
        let next = View {
            east: match status(stage, EAST) {
                Some(Status::Server(east)) => Some(*east),
                _ => None,
            },
            agent: match status(stage, AGENT) {
                Some(Status::Agent(agent)) => Some(*agent),
                _ => None,
            },
        };
        let before = std::mem::replace(&mut self.view, next);
        if self.view.state() != before.state() {
            let why = self.view.east.as_ref().map_or("no answer", |east| east.watch.cause.as_str());
            self.line(EAST.name, &format!("{}: {why}", self.paint("1", self.view.state())));
        }
        if self.view.current() != before.current() && !self.view.current().is_empty() {
            let why = self.view.agent.as_ref().map_or("", |agent| agent.why.as_str());
            self.line(AGENT.name, &format!("sends to {}: {why}", self.paint("1", self.view.current())));
        }
    }

    fn traffic(&mut self, nas: &Nas) {
        let second = clock::now().since(self.started).as_secs();
        if second <= self.second {
            return;
        }
        self.second = second;
        let Tally { sent, accepts, rejects, accounted, lost, slowest } = nas.lately();
        let load =
            self.view.east.as_ref().map_or("   -".to_owned(), |east| format!("{:4.2}", east.load.value));
        let lost = self.verdict(lost == 0, &format!("lost {lost:3}"));
        self.line(
            "traffic",
            &format!(
                "sent {sent:3}  accepts {accepts:3}  accounted {accounted:3}  rejects {rejects:2}  {lost}  slowest {:6.1} ms  | {} load {load} share {:3.0} %",
                slowest.as_secs_f64() * 1000.0,
                EAST.name,
                self.view.share() * 100.0,
            ),
        );
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Asks a program to do something, and gives its last word.
pub(super) fn command(stage: &Stage, actor: Actor, request: &Request) -> io::Result<String> {
    let mut last = None;
    control::ask(&stage.control(actor), request, PATIENCE, |reply| last = Some(reply))?;
    match last {
        Some(Reply::Done { message }) => Ok(message),
        Some(Reply::Refused { errors }) => Err(io::Error::other(errors.join("\n"))),
        other => Err(io::Error::other(format!("an answer that doesn't belong to {request:?}: {other:?}"))),
    }
}

fn status(stage: &Stage, actor: Actor) -> Option<Status> {
    let mut answer = None;
    control::ask(&stage.control(actor), &Request::Status, PATIENCE, |reply| answer = Some(reply)).ok()?;
    match answer {
        Some(Reply::Status { status }) => Some(status),
        _ => None,
    }
}

/// Ctrl-C ends the demo in order: processes and folder go with it.
fn watch_for_interrupt(interrupted: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            interrupted.store(true, Ordering::Relaxed);
        }
    });
}
