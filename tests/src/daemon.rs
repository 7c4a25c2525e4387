//! Other people's servers as a test runs them: PostgreSQL, slapd, FreeRADIUS of Debian's packages, each in a temporary
//! folder, as the unprivileged user of its package when the tests are root's, killed at the end of the test.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::folder::Folder;
use crate::wait::{eventually, within};

/// How long a database may take to shut down or to recover; generous, since a busy machine is no failure.
const LONG: Duration = Duration::from_secs(60);

/// The unprivileged user that a daemon runs as when root runs the tests; anybody else runs it as themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account(Option<(u32, u32)>);

impl Account {
    /// The user `name` of the package, or nobody if there is none of that name.
    ///
    /// # Panics
    /// When the machine has neither.
    pub fn of(name: &str) -> Account {
        let root = fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0);
        if !root {
            return Account(None);
        }
        let users = fs::read_to_string("/etc/passwd").expect("a machine has users");
        let ids = |name: &str| {
            users.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                (fields.first() == Some(&name))
                    .then(|| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))?
            })
        };
        Account(Some(ids(name).or_else(|| ids("nobody")).expect("an unprivileged user")))
    }

    /// A command that will run as this user.
    pub fn command(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Gives it a folder and everything below.
    ///
    /// # Panics
    /// When that can't be done.
    pub fn take(self, path: &Path) {
        let Some((uid, gid)) = self.0 else { return };
        chown(path, Some(uid), Some(gid)).expect("root may give files away");
        if path.is_dir() && !path.is_symlink() {
            for entry in fs::read_dir(path).expect("a folder can be read") {
                self.take(&entry.expect("a folder can be read").path());
            }
        }
    }
}

/// A program of a package that isn't in every user's PATH.
///
/// # Panics
/// When `package` isn't installed (`make test` installs it).
pub fn packaged(package: &str, candidates: &[&str]) -> PathBuf {
    let found = candidates.iter().map(PathBuf::from).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{} of {package} isn't installed: make test installs it", candidates[0]))
}

/// A running daemon with its folder.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: &'static str,
    pub(crate) account: Account,
    pub(crate) folder: Folder,
    child: Option<Child>,
}

impl Daemon {
    /// A folder that belongs to the daemon's user, and nothing that runs.
    pub(crate) fn new(name: &'static str, user: &str) -> Daemon {
        let (account, folder) = (Account::of(user), Folder::new());
        account.take(folder.path());
        Daemon { name, account, folder, child: None }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder of that name in the daemon's.
    pub(crate) fn make(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a folder can be made");
        self.account.take(&path);
        path
    }

    /// A file of that name in the daemon's folder, its own.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.write(name, text);
        self.account.take(&path);
        path
    }

    /// Runs a command to its end, which has to be a good one; what it printed.
    pub(crate) fn run(&self, command: &mut Command) -> String {
        let output = command.current_dir(self.folder.path()).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {command:?}: {error}", self.name));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {command:?}: {}\n{said}{complaint}", self.name, output.status);
        said
    }

    /// Starts it, what it says going to `log`, and waits until `ready`.
    pub(crate) fn start(&mut self, command: &mut Command, mut ready: impl FnMut() -> bool) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).expect("a log");
        command.current_dir(self.folder.path()).stdout(log.try_clone().expect("a log")).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let child = self.child.insert(child);
        let ended =
            within(LONG, "the daemon is ready", || match child.try_wait().expect("a child can be asked") {
                Some(status) => Some(Some(status)),
                None => ready().then_some(None),
            });
        if let Some(status) = ended {
            self.child = None;
            panic!("{} ended at its start ({status}):\n{}", self.name, self.log());
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read(self.path("log")).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap_or_else(|| panic!("{} isn't running", self.name)).id()
    }

    /// It and all its children.
    pub(crate) fn family(&self) -> Vec<u32> {
        let Some(child) = &self.child else { return Vec::new() };
        let mut family = vec![child.id()];
        let processes = processes();
        let mut at = 0;
        while let Some(&parent) = family.get(at) {
            family.extend(processes.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        family
    }

    /// Sends all of them a signal by its name.
    pub(crate) fn signal_family(&self, name: &str) {
        for pid in self.family() {
            signal(pid, name);
        }
    }

    /// Sends the main process a signal and waits until it has ended.
    pub(crate) fn end(&mut self, signal_name: &str) {
        let Some(mut child) = self.child.take() else { return };
        signal(child.id(), signal_name);
        let what = format!("{} ends at SIG{signal_name}", self.name);
        within(LONG, &what, || child.try_wait().expect("a child can be asked"));
    }

    /// Kills all of them at one instant, as a power failure would, and waits until they are gone.
    pub(crate) fn kill(&mut self) {
        // Nobody may be born, nor clean up, while they die.
        self.signal_family("STOP");
        let family = self.family();
        for pid in &family {
            signal(*pid, "KILL");
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        eventually("the family is gone", || {
            let alive = processes();
            family.iter().all(|pid| alive.iter().all(|(other, _)| other != pid)).then_some(())
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            eprintln!("--- log of {} (its end) ---\n{}", self.name, tail.join("\n"));
        }
    }
}

/// Sends a process a signal by its name; one that is gone doesn't mind.
fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}

/// Every process of the machine that isn't a zombie, with its parent.
fn processes() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let parent = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold anything.
        let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
        (rest.next()? != "Z").then(|| rest.next()?.parse().ok())?
    };
    entries.flatten().filter_map(number).filter_map(|pid| Some((pid, parent(pid)?))).collect()
}
