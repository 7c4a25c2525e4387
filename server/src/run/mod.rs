//! forewarnd: start, run, reload, end.
//!
//! The main thread directs: it takes readings, tells clients, answers operators and takes signals. The listener
//! cores, the worker pool and the accounting writer are threads of their own; the director never works for a packet.

mod director;
mod hand;
mod panic;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use forewarn_shell::clock;
use forewarn_shell::config::{Diagnostics, Layers};
use forewarn_shell::control::{self, Listener};
use forewarn_shell::log;
use forewarn_shell::state::{StateDir, StateError};
use forewarn_shell::udp::BindError;
use tokio::signal::unix::{SignalKind, signal};

use crate::announce::Announcer;
use crate::config::{self, Config};
use crate::listen;
use crate::metrics::{ListenError, Metrics};
use crate::shared::{self, Shared};

use director::Director;

/// forewarnd: a RADIUS AAA server that warns its clients before it fails.
#[derive(Debug, Parser)]
#[command(name = "forewarnd", version)]
struct Options {
    /// The configuration file; conf.d/*.toml beside it is read too
    #[arg(short, long, value_name = "FILE", default_value = "/etc/forewarn/server.toml")]
    config: PathBuf,
    /// Overrides one key, as in health.interval=2s; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    /// How the log is written; the same as log.format, and in force before the configuration is read
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    log_format: Option<String>,
}

/// Runs the server with this process's arguments until it is told to end. Exit code 0: it was told to; 1: it can't
/// start or go on; 101: a defect of ours.
pub fn main() -> ExitCode {
    let options = Options::parse();
    let _log = log::to_stderr(options.log_format.as_deref().map(log::Format::named).unwrap_or_default());
    panic::end_the_process();
    let layers = layers(&options);
    match run(&options.config, &layers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match &error {
                RunError::Config(found) => found.log(),
                other => other.to_string().lines().for_each(|line| tracing::error!("{line}")),
            }
            ExitCode::FAILURE
        }
    }
}

fn layers(options: &Options) -> Layers {
    let layers = Layers::file(&options.config).process_environment();
    let format = options.log_format.iter().map(|format| ("log.format".to_owned(), format.clone()));
    options
        .set
        .iter()
        .cloned()
        .chain(format)
        .fold(layers, |layers, (key, value)| layers.override_with(key, value))
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, as in health.interval=2s".to_owned()),
    }
}

/// Why the server isn't running. One line each.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("{0}")]
    Config(Diagnostics),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{}", lines(.0))]
    Bind(Vec<BindError>),
    #[error(transparent)]
    Start(#[from] shared::StartError),
    #[error(transparent)]
    Metrics(#[from] ListenError),
    #[error("the control socket {} can't be made: {error}", path.display())]
    Control { path: PathBuf, error: std::io::Error },
    #[error("the system refuses what the server needs: {0}")]
    System(#[from] std::io::Error),
}

fn lines(errors: &[BindError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The order matters: what can be wrong is found out before anything is changed or read.
fn run(file: &Path, layers: &Layers) -> Result<(), RunError> {
    let config::Loaded { config, warnings } = config::load(layers).map_err(RunError::Config)?;
    log::apply(&config.log.settings);
    for warning in warnings.warnings() {
        tracing::warn!("{warning}");
    }
    let config = Arc::new(config);
    let state = Arc::new(StateDir::open(&config.server.state_dir)?);
    if let Some(complaint) = state.complaint() {
        tracing::warn!("{complaint}");
    }
    let sockets = listen::bind(&config).map_err(RunError::Bind)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    // Taken, so that a file that may not grow (RLIMIT_FSIZE) is what a full disk is, the write's error, and not the
    // end of the process.
    let _file_size = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    let path = control::path(state.path());
    let control = Listener::bind(&path).map_err(|error| RunError::Control { path, error })?;
    let shared = Shared::start(Arc::clone(&config), &state)?;
    let epoch = state.next_epoch(clock::utc())?;
    let announcer =
        Announcer::open(Arc::clone(&shared), epoch).map_err(|error| RunError::Bind(vec![error]))?;
    let addresses = sockets.addresses().to_vec();
    let running = Running {
        file: std::path::absolute(file)?,
        layers: layers.clone(),
        state,
        shared: Arc::clone(&shared),
    };
    let metrics = Metrics::start(Arc::clone(&shared))?;
    let mut director = Director::new(running, announcer, metrics)?;
    let cores = listen::start(&shared, sockets)?;
    for (kind, address) in addresses {
        tracing::info!(%address, "listening for {}", kind.name());
    }
    announce_start(&config);
    runtime.block_on(director.run(&control, &cores));
    // Nothing waits for an answer any more, or nobody wants to wait.
    cores.stop();
    drop((director, control, entered));
    if shared.vitals().pool().busy() > 0 {
        // What a worker is at (a check that hangs, a slow hash) can't be answered any more: not worth waiting for.
        // What the store has acknowledged is on disk.
        std::mem::forget(shared);
    } else {
        drop(shared);
    }
    runtime.shutdown_background();
    tracing::info!("ended");
    Ok(())
}

/// What a running server is made of, besides its cores.
#[derive(Debug)]
struct Running {
    file: PathBuf,
    layers: Layers,
    state: Arc<StateDir>,
    shared: Arc<Shared>,
}

fn announce_start(config: &Config) {
    tracing::info!(
        name = config.server.name,
        identity = %config.server.identity,
        cores = config.server.cores,
        workers = config.workers.max,
        clients = config.clients.len(),
        users = config.users.len(),
        "serving"
    );
}
