//! Looking at one service once.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use forewarn_proto::holddown::Outcome;
use forewarn_shell::clock;
use forewarn_shell::icmp::{PingError, Pinger};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{http, radius};
use crate::config::Check;
use crate::workers::{QueueFull, Workers};

/// What a check found, and in what words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// For the machine.
    pub outcome: Outcome,
    /// For people.
    pub text: String,
}

impl Finding {
    pub(super) fn success(text: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Success, text: text.into() }
    }

    pub(super) fn failure(text: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Failure, text: text.into() }
    }

    pub(super) fn nothing(text: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::NoResult, text: text.into() }
    }
}

/// Threads for work that blocks: the pool that requests use, and that is measured.
pub trait Pool: Send + Sync {
    /// Hands in a job that arrived at `stamp_ns`.
    ///
    /// # Errors
    /// There is no room in the queue.
    fn submit(&self, stamp_ns: u64, job: Box<dyn FnOnce() + Send>) -> Result<(), QueueFull>;
}

impl Pool for Workers {
    fn submit(&self, stamp_ns: u64, job: Box<dyn FnOnce() + Send>) -> Result<(), QueueFull> {
        Workers::submit(self, stamp_ns, job)
    }
}

/// The databases that requests are answered from: the connections that are checked are those.
pub trait Databases: Send + Sync {
    /// Asks the users' database for a sign of life; the answer comes later. `None`: there is none.
    fn probe_users(&self) -> Option<oneshot::Receiver<Result<(), String>>>;
}

/// What checks need besides what they check.
#[derive(Clone)]
pub struct CheckContext {
    /// For those that block.
    pub pool: Arc<dyn Pool>,
    /// For those of databases.
    pub databases: Arc<dyn Databases>,
    /// Where commands run: the configuration's folder.
    pub folder: PathBuf,
    /// What Status-Server requests are sent from: this server, as others know it.
    pub identity: IpAddr,
}

/// Set while a killed command of a service hasn't died yet, as happens on a disk that hangs: until it has, no other is
/// started, or they would pile up.
pub type StillDying = Arc<AtomicBool>;

/// Makes one check, which takes `patience` at the most; longer is a failure.
pub async fn check(check: &Check, patience: Duration, context: &CheckContext, dying: &StillDying) -> Finding {
    match check {
        Check::Tcp { address } => tcp(*address, patience).await,
        Check::Icmp { address } => icmp(*address, patience).await,
        // `/proc` is memory: reading it never waits.
        Check::Process { name } => process(name),
        Check::PidFile { path } => {
            let path = path.clone();
            on_pool(context, patience, move || pid_file(&path)).await
        }
        Check::Http(wanted) => http::check(wanted, patience).await,
        Check::Radius(server) => radius::check(server, context.identity, patience).await,
        Check::Sql => sql(&*context.databases, patience).await,
        Check::Command { command: words } => command(words, patience, context, dying).await,
    }
}

/// Runs a command on the pool, with `patience` for a free thread and as much for its end.
pub(super) async fn command(
    words: &[String],
    patience: Duration,
    context: &CheckContext,
    dying: &StillDying,
) -> Finding {
    if dying.load(Ordering::Acquire) {
        return Finding::failure("the last one was killed and hasn't died yet");
    }
    let (words, folder, dying) = (words.to_vec(), context.folder.clone(), Arc::clone(dying));
    on_pool(context, patience, move || run(&words, &folder, patience, &dying)).await
}

async fn tcp(address: SocketAddr, patience: Duration) -> Finding {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Finding::success("connected"),
        Ok(Err(error)) => Finding::failure(error.to_string()),
        Err(_) => Finding::failure(format!("no connection within {patience:?}")),
    }
}

async fn sql(databases: &dyn Databases, patience: Duration) -> Finding {
    let Some(answered) = databases.probe_users() else {
        return Finding::nothing("the configuration in force has no users' database");
    };
    match timeout(patience, answered).await {
        Ok(Ok(Ok(()))) => Finding::success("answered a look-up"),
        Ok(Ok(Err(cause))) => Finding::failure(cause),
        Ok(Err(_)) => Finding::failure("the connection broke"),
        Err(_) => Finding::failure(format!("no answer within {patience:?}")),
    }
}

async fn icmp(address: IpAddr, patience: Duration) -> Finding {
    match Pinger::new().ping(address, patience).await {
        Ok(took) => Finding::success(format!("answered in {:.1} ms", took.as_secs_f64() * 1000.0)),
        // Not the service's fault, so not held against it; status shows it.
        Err(PingError::Icmp(error)) => Finding::nothing(error.to_string()),
        Err(error) => Finding::failure(error.to_string()),
    }
}

/// A live process of this name: its command name (which the kernel cuts to 15 octets) or its program's file name.
fn process(name: &str) -> Finding {
    let Ok(entries) = fs::read_dir("/proc") else { return Finding::nothing("/proc can't be read") };
    let found = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|&pid| is_called(pid, name) && is_alive(pid));
    match found {
        Some(pid) => Finding::success(format!("process {pid}")),
        None => Finding::failure("no such process"),
    }
}

/// `TASK_COMM_LEN` less the terminating zero.
const COMM_OCTETS: usize = 15;

fn is_called(pid: u32, name: &str) -> bool {
    let Ok(comm) = fs::read(format!("/proc/{pid}/comm")) else { return false };
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    if comm == name.as_bytes() {
        return true;
    }
    // A name that was cut, or a program that runs under another one (a script, a renamed thread).
    let might_be_cut = comm.len() == COMM_OCTETS && name.as_bytes().starts_with(comm);
    let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let program = arguments.split(|&octet| octet == 0).next().unwrap_or_default();
    let file = program.rsplit(|&octet| octet == b'/').next().unwrap_or_default();
    file == name.as_bytes() || (might_be_cut && arguments.is_empty())
}

/// It runs, or could: a zombie is dead and waits to be buried.
fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name in parentheses may hold anything; the state follows the last one (proc_pid_stat(5)).
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X' | 'x'))
}

fn pid_file(path: &Path) -> Finding {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return Finding::failure(format!("{}: {error}", path.display())),
    };
    let Ok(pid) = text.trim().parse::<u32>() else {
        return Finding::failure(format!("{} holds no process number", path.display()));
    };
    if is_alive(pid) {
        Finding::success(format!("process {pid}"))
    } else {
        Finding::failure(format!("process {pid} doesn't run"))
    }
}

/// Runs `work` on the pool. Work that found no thread within `patience` isn't done at all, and says nothing.
async fn on_pool(
    context: &CheckContext,
    patience: Duration,
    work: impl FnOnce() -> Finding + Send + 'static,
) -> Finding {
    let (began, has_begun) = oneshot::channel();
    let (done, is_done) = oneshot::channel();
    let given_up = Arc::new(AtomicBool::new(false));
    let cancelled = Arc::clone(&given_up);
    let job = move || {
        if !cancelled.load(Ordering::Acquire) && began.send(()).is_ok() {
            // Nobody waits any more: the configuration was reloaded.
            let _ = done.send(work());
        }
    };
    if context.pool.submit(clock::now().as_nanos(), Box::new(job)).is_err() {
        return Finding::nothing("the worker pool's queue is full");
    }
    if !matches!(timeout(patience, has_begun).await, Ok(Ok(()))) {
        given_up.store(true, Ordering::Release);
        return Finding::nothing(format!("no thread of the worker pool was free within {patience:?}"));
    }
    is_done.await.unwrap_or_else(|_| Finding::nothing("the check ended without a word"))
}

/// The longest sleep between two looks at a running command.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs a command, without a shell, to its end; kills it when that takes longer than `patience`.
fn run(command: &[String], folder: &Path, patience: Duration, dying: &StillDying) -> Finding {
    let [program, arguments @ ..] = command else { return Finding::failure("no command") };
    let child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own, so that what it starts can be killed with it.
        .process_group(0)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Finding::failure(format!("{program} can't be run: {error}")),
    };
    match wait(&mut child, patience) {
        Ok(Some(status)) if status.success() => Finding::success("exit status 0"),
        Ok(Some(status)) => Finding::failure(status.to_string()),
        Ok(None) => {
            bury(child, dying);
            Finding::failure(format!("killed after {patience:?}"))
        }
        Err(error) => Finding::failure(error.to_string()),
    }
}

/// Waits for a command's end, but not longer than `patience`.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let began = clock::now();
    let mut sleep = Duration::from_millis(1);
    loop {
        let status = child.try_wait()?;
        if status.is_some() || clock::now().since(began) >= patience {
            return Ok(status);
        }
        thread::sleep(sleep);
        sleep = (sleep * 2).min(LOOK_EVERY);
    }
}

/// Kills a command, and what it has started. One that doesn't die of it is waited for elsewhere, since this thread is wanted.
fn bury(mut child: Child, dying: &StillDying) {
    // It may have ended in this moment; that is as good. Its number stays its own until it is waited for.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    if !matches!(wait(&mut child, DEATH), Ok(None)) {
        return;
    }
    dying.store(true, Ordering::Release);
    let dead = Arc::clone(dying);
    let waiting = thread::Builder::new().name("undertaker".to_owned()).spawn(move || {
        let _ = child.wait();
        dead.store(false, Ordering::Release);
    });
    if waiting.is_err() {
        // It stays a zombie; the next check may go on.
        dying.store(false, Ordering::Release);
    }
}

/// How long a killed command may take to die.
const DEATH: Duration = Duration::from_millis(500);
