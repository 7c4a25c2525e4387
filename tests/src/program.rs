//! forewarnd and forewarn-agent as a test runs them: the built programs, a folder of their own, gone at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use std::time::Duration;

use forewarn_shell::control::{self, Reply, Status};
use serde_json::Value;

use crate::folder::Folder;
use crate::network::Host;
use crate::wait::eventually;

/// A built program: beside this one, or, from a test, one folder up.
///
/// # Panics
/// When `name` isn't there: `cargo build --workspace` makes it.
pub fn built(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a program has a file");
    let mut places = this.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    places
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{name} isn't built: cargo build --workspace"))
}

/// Runs the operator's tool to its end.
///
/// # Panics
/// When it can't be started.
pub fn forewarn(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(built("forewarn"))
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("forewarn starts")
}

/// Runs `program` on a configuration that it is expected to refuse, to its end.
///
/// # Panics
/// When it can't be started.
pub fn refused(program: &str, config: &Path) -> Output {
    // A program that doesn't refuse would run for ever.
    Command::new("timeout")
        .arg("20")
        .arg(built(program))
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// What takes CAP_NET_RAW from a program, whoever starts it.
const WITHOUT_RAW: &[&str] = &["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"];

/// What a program runs under that runs by itself.
const DIRECTLY: &[&str] = &[];

/// A running forewarnd.
#[derive(Debug)]
pub struct Server(Running);

/// A running forewarn-agent.
#[derive(Debug)]
pub struct Agent(Running);

impl Server {
    /// Starts it on `config` (as `server.toml` of a folder of its own) and waits until it answers on its control
    /// socket.
    ///
    /// # Panics
    /// When it doesn't, with its log.
    pub fn start(config: &str) -> Server {
        Server::start_in(Folder::new(), config, &[])
    }

    /// The same in a folder that has things in it already, with environment variables.
    ///
    /// # Panics
    /// As [`Server::start`].
    pub fn start_in(folder: Folder, config: &str, environment: &[(&str, &str)]) -> Server {
        Server(Running::start(DIRECTLY, "forewarnd", "server.toml", folder, config, environment))
    }

    /// The same on a host of its own.
    ///
    /// # Panics
    /// As [`Server::start`].
    pub fn start_on(host: &Host, folder: Folder, config: &str) -> Server {
        let server = Server::spawn_on(host, &[], folder, config, &[]);
        server.await_ready()
    }

    /// The same under another program besides, with environment variables, and without waiting for it:
    /// [`Server::await_ready`] does, so that several may start side by side.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn spawn_on(
        host: &Host,
        under: &[String],
        folder: Folder,
        config: &str,
        environment: &[(String, String)],
    ) -> Server {
        let under = [&host.prefix(), under].concat();
        Server(Running::spawn(&under, "forewarnd", "server.toml", folder, config, environment))
    }

    /// Waits until it answers on its control socket.
    ///
    /// # Panics
    /// When it doesn't, with its log.
    pub fn await_ready(mut self) -> Server {
        self.0.wait_until_ready();
        self
    }

    /// Ends it at once, and gives its folder for the next one.
    pub fn kill(self) -> Folder {
        self.0.kill()
    }

    /// As [`Server::start`], without the right to raw sockets.
    ///
    /// # Panics
    /// As [`Server::start`].
    pub fn start_without_raw(config: &str) -> Server {
        Server(Running::start(WITHOUT_RAW, "forewarnd", "server.toml", Folder::new(), config, &[]))
    }

    /// From now on its files may be written up to that length only ("unlimited": any): what a full disk is, for one
    /// process.
    ///
    /// # Panics
    /// When that can't be arranged.
    pub fn let_files_grow_to(&self, octets: &str) {
        let (pid, limit) = (format!("--pid={}", self.pid()), format!("--fsize={octets}:unlimited"));
        let status =
            Command::new("prlimit").args([pid, limit]).status().expect("prlimit (util-linux) starts");
        assert!(status.success());
    }
}

impl Agent {
    /// As [`Server::start`], with `agent.toml`.
    ///
    /// # Panics
    /// When it doesn't come up, with its log.
    pub fn start(config: &str) -> Agent {
        Agent::start_in(Folder::new(), config, &[])
    }

    /// As [`Server::start_in`].
    ///
    /// # Panics
    /// As [`Agent::start`].
    pub fn start_in(folder: Folder, config: &str, environment: &[(&str, &str)]) -> Agent {
        Agent(Running::start(DIRECTLY, "forewarn-agent", "agent.toml", folder, config, environment))
    }

    /// The same on a host of its own, there with the right to raw sockets or without.
    ///
    /// # Panics
    /// As [`Agent::start`].
    pub fn start_on(host: &Host, may_use_raw: bool, folder: Folder, config: &str) -> Agent {
        let without = WITHOUT_RAW.iter().map(ToString::to_string).collect::<Vec<_>>();
        let under = if may_use_raw { &[][..] } else { &without };
        Agent::spawn_on(host, under, folder, config, &[]).await_ready()
    }

    /// As [`Server::spawn_on`].
    ///
    /// # Panics
    /// When it can't be started.
    pub fn spawn_on(
        host: &Host,
        under: &[String],
        folder: Folder,
        config: &str,
        environment: &[(String, String)],
    ) -> Agent {
        let under = [&host.prefix(), under].concat();
        Agent(Running::spawn(&under, "forewarn-agent", "agent.toml", folder, config, environment))
    }

    /// As [`Server::await_ready`].
    ///
    /// # Panics
    /// When it doesn't come up, with its log.
    pub fn await_ready(mut self) -> Agent {
        self.0.wait_until_ready();
        self
    }

    /// Ends it at once, and gives its folder for the next one.
    pub fn kill(self) -> Folder {
        self.0.kill()
    }

    /// As [`Agent::start`], without the right to raw sockets.
    ///
    /// # Panics
    /// As [`Agent::start`].
    pub fn start_without_raw(config: &str) -> Agent {
        Agent(Running::start(WITHOUT_RAW, "forewarn-agent", "agent.toml", Folder::new(), config, &[]))
    }
}

impl std::ops::Deref for Server {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.0
    }
}

impl std::ops::DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Running {
        &mut self.0
    }
}

impl std::ops::Deref for Agent {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.0
    }
}

impl std::ops::DerefMut for Agent {
    fn deref_mut(&mut self) -> &mut Running {
        &mut self.0
    }
}

/// A process with its folder; killed when dropped.
#[derive(Debug)]
pub struct Running {
    folder: Option<Folder>,
    file: &'static str,
    child: Child,
}

impl Running {
    fn start(
        under: &[impl AsRef<std::ffi::OsStr>],
        program: &str,
        file: &'static str,
        folder: Folder,
        config: &str,
        environment: &[(&str, &str)],
    ) -> Running {
        let mut running = Running::spawn(under, program, file, folder, config, environment);
        running.wait_until_ready();
        running
    }

    fn spawn(
        under: &[impl AsRef<std::ffi::OsStr>],
        program: &str,
        file: &'static str,
        folder: Folder,
        config: &str,
        environment: &[(impl AsRef<std::ffi::OsStr>, impl AsRef<std::ffi::OsStr>)],
    ) -> Running {
        let path = folder.write(file, config);
        let log = fs::File::create(folder.path().join("log")).expect("a log file");
        let program = built(program);
        let mut command = match under {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        let child = command
            .arg("-c")
            .arg(path)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        Running { folder: Some(folder), file, child }
    }

    fn wait_until_ready(&mut self) {
        let ready = eventually("the control socket answers", || {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return Some(Err(status));
            }
            self.asked().map(|_| Ok(()))
        });
        if let Err(status) = ready {
            panic!("{} ended at its start ({status}):\n{}", self.file, self.log());
        }
    }

    /// Its folder.
    ///
    /// # Panics
    /// Never while it runs.
    pub fn folder(&self) -> &Folder {
        self.folder.as_ref().expect("the folder stays until the end")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What `forewarn status --json` prints for it.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub fn status(&self) -> Value {
        self.try_status().unwrap_or_else(|| panic!("no status:\n{}", self.log()))
    }

    /// Its status, when it answers.
    pub fn try_status(&self) -> Option<Value> {
        let output = forewarn(self.folder().path(), &["status", "--json"]);
        if !output.status.success() {
            return None;
        }
        let value: Value = serde_json::from_slice(&output.stdout).ok()?;
        // One program, one entry.
        match value {
            Value::Array(mut list) if list.len() == 1 => list.pop(),
            Value::Array(_) => None,
            value => Some(value),
        }
    }

    /// What it says of itself, asked without the operator's tool, when it answers.
    pub fn asked(&self) -> Option<Status> {
        let sockets = control::discover(&[self.folder().path().to_owned()]);
        let [socket] = &sockets[..] else { return None };
        let mut told = None;
        let answered = control::ask(socket, &control::Request::Status, Duration::from_secs(2), |reply| {
            if let Reply::Status { status } = reply {
                told = Some(status);
            }
        });
        answered.ok().and(told)
    }

    /// Runs the operator's tool beside it.
    pub fn forewarn(&self, arguments: &[&str]) -> Output {
        forewarn(self.folder().path(), arguments)
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder().path().join("log")).unwrap_or_default()
    }

    /// Waits until it has logged `text`; gives everything it has logged.
    ///
    /// # Panics
    /// When it doesn't.
    pub fn says(&self, text: &str) -> String {
        let what = format!("{} says {text:?}", self.file);
        eventually(&what, || Some(self.log()).filter(|log| log.contains(text)))
    }

    /// Writes its configuration anew, for a reload.
    pub fn rewrite(&self, config: &str) {
        self.folder().write(self.file, config);
    }

    /// Sends a signal by its name: `"HUP"`, `"TERM"`, `"KILL"`, `"STOP"`, `"CONT"`.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "signal {name}");
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it doesn't.
    pub fn ended(&mut self) -> ExitStatus {
        eventually("the process ends", || self.child.try_wait().expect("a child can be asked"))
    }

    /// Ends it at once, and gives its folder for the next one.
    ///
    /// # Panics
    /// Never.
    pub fn kill(mut self) -> Folder {
        self.end();
        self.folder.take().expect("the folder stays until the end")
    }

    fn end(&mut self) {
        // Already gone is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() && self.folder.is_some() {
            eprintln!("--- log of {} ---\n{}", self.file, self.log());
        }
    }
}
