//! The assembly: configuration, state folder, sockets, control socket, signals, and the one loop that owns them all.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use forewarn_shell::config::Diagnostics;
use forewarn_shell::control::{self, Asked, Program, Reply, Request, Status};
use forewarn_shell::marks::{self, Keeper};
use forewarn_shell::state::StateDir;
use forewarn_shell::{clock, log};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::agent::Agent;
use crate::config::{self, Config, Kind};
use crate::hook::Hooks;
use crate::status;

/// Runs the agent until it is told to stop.
pub fn main(file: &Path, overrides: &[(String, String)]) -> ExitCode {
    // `--log-format` holds from the first line on.
    let format = overrides.iter().rev().find(|(key, _)| key == "log.format");
    let _log = log::to_stderr(format.map(|(_, name)| log::Format::named(name)).unwrap_or_default());
    let (config, found) = match config::load(file, overrides) {
        Ok(loaded) => loaded,
        Err(found) => return refuse(file, &found),
    };
    log::apply(&config.log);
    for warning in found.warnings() {
        warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(run(config, file, overrides)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

type Failure = Box<dyn std::error::Error>;

async fn run(config: Config, file: &Path, overrides: &[(String, String)]) -> Result<(), Failure> {
    let state = Arc::new(StateDir::open(&config.state_dir)?);
    if let Some(complaint) = state.complaint() {
        warn!("{complaint}");
    }
    let epoch = state.next_epoch(clock::utc())?;
    let known = marks::read(&state);
    let keeper = Keeper::start(Arc::clone(&state))?;
    let hooks = Hooks::start(&config.hooks, &config.folder);
    let mut agent = Agent::open(config, epoch, &known, keeper, hooks)?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut stop = Stop::new()?;
    let mut desk = Desk::open(&agent, file, overrides)?;
    for (address, listener) in agent.listening().zip(&agent.config().listeners) {
        let what = match listener.kind {
            Kind::Auth => "authentication",
            Kind::Acct => "accounting",
        };
        info!("listening for {what} on {address}");
    }
    for (address, listener) in agent.listening_for_coa().zip(&agent.config().coa) {
        info!("listening for CoA on {address}, for the NAS software at {}", listener.nas);
    }
    let servers: Vec<_> = agent.config().servers.iter().map(|server| server.name.as_str()).collect();
    info!("{} is ready; servers, in order: {}", agent.config().name, servers.join(", "));
    loop {
        tokio::select! {
            () = agent.work() => {}
            Some(asked) = desk.requests.recv() => desk.answer(&agent, &asked),
            _ = hangup.recv() => for line in desk.reload() { warn!("{line}"); },
            () = stop.wanted() => break,
        }
    }
    info!("stopping: {} requests on their way", agent.in_flight());
    tokio::select! {
        () = agent.finish() => {}
        () = tokio::time::sleep(GRACE) => warn!("{} requests were still on their way", agent.in_flight()),
        () = stop.wanted() => {}
    }
    info!("stopped");
    Ok(())
}

/// The signals that end it.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Stop> {
        Ok(Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Where operators are answered.
struct Desk {
    requests: mpsc::Receiver<Asked>,
    program: Program,
    file: std::path::PathBuf,
    overrides: Vec<(String, String)>,
}

impl Desk {
    fn open(agent: &Agent, file: &Path, overrides: &[(String, String)]) -> std::io::Result<Desk> {
        let config = agent.config();
        let listener = control::Listener::bind(&control::path(&config.state_dir))?;
        let (asked, requests) = mpsc::channel(ASKED_MAX);
        tokio::spawn(async move { listener.serve(asked).await });
        let program = Program {
            name: config.name.clone(),
            identity: config.identity.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: clock::utc_nanos() / 1000,
            config: std::path::absolute(file)?.display().to_string(),
            state_dir: std::path::absolute(&config.state_dir)?.display().to_string(),
            reloads: 0,
            complaints: Vec::new(),
        };
        Ok(Desk { requests, program, file: file.to_path_buf(), overrides: overrides.to_vec() })
    }

    fn answer(&self, agent: &Agent, asked: &Asked) {
        let reply = match asked.request {
            Request::Status => {
                let status = status::status(agent, self.program.clone());
                Reply::Status { status: Status::Agent(Box::new(status)) }
            }
            Request::Reload => Reply::Refused { errors: self.reload() },
            Request::Drain { .. }
            | Request::Resume
            | Request::Quiesce
            | Request::Shed { .. }
            | Request::Invite { .. }
            | Request::FlushCache { .. }
            | Request::Disconnect { .. }
            | Request::Coa { .. } => {
                Reply::Refused { errors: vec!["this is an agent; ask a server".to_owned()] }
            }
        };
        asked.reply(reply);
    }

    /// An agent reads its configuration once: what is in flight and what the servers have said belongs to it. So a
    /// reload only checks the file, and says what to do.
    fn reload(&self) -> Vec<String> {
        let checked = match config::load(&self.file, &self.overrides) {
            Ok(_) => Vec::new(),
            Err(found) => found.errors().map(ToString::to_string).collect(),
        };
        let advice = if checked.is_empty() {
            "an agent reads its configuration at its start: the file is good, restart the agent to use it; its \
             servers tell it again what is in force"
        } else {
            "an agent reads its configuration at its start: mend the file before you restart it; the running one goes on"
        };
        checked.into_iter().chain([advice.to_owned()]).collect()
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    error!("{error}");
    ExitCode::FAILURE
}

/// Says what is wrong with the configuration.
fn refuse(file: &Path, found: &Diagnostics) -> ExitCode {
    found.log();
    error!("{} can't be used", file.display());
    ExitCode::FAILURE
}

/// Operators' requests waiting.
const ASKED_MAX: usize = 16;
/// How long a stop waits for requests on their way.
const GRACE: Duration = Duration::from_secs(2);
