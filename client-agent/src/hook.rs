//! Hooks: commands for a device that can't use the front door, run when the agent moves.
//!
//! The facts come in `FWN_*` variables; the rest of the agent's environment stays here, since it may hold secrets
//! (`secret_env`). Each hook has a queue and a runner of its own: its commands run one after another, in the order
//! of what happened, each for at most its time-out. When the queue is full the oldest command is given up: what a
//! device wants to know is where things stand.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::process::Command;
use tokio::sync::Notify;
use tracing::{debug, warn};

use crate::config::{Hook, Occasion};

/// Commands waiting for one hook, at most.
pub const QUEUE_MAX: usize = 32;

/// What is passed on to a command: names without their `FWN_` and values.
pub type Facts = Vec<(&'static str, String)>;

/// All hooks of the agent.
#[derive(Debug, Default)]
pub struct Hooks {
    runners: Vec<Arc<Runner>>,
}

/// What the hooks have done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct HookCounts {
    /// Commands that ended with exit code 0.
    pub succeeded: u64,
    /// Commands that couldn't be started or ended otherwise.
    pub failed: u64,
    /// Commands killed at their time-out.
    pub timed_out: u64,
    /// Commands given up because their queue was full.
    pub given_up: u64,
}

#[derive(Debug)]
struct Runner {
    hook: Hook,
    folder: PathBuf,
    queue: Mutex<VecDeque<Facts>>,
    more: Notify,
    succeeded: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    given_up: AtomicU64,
}

impl Hooks {
    /// Starts a runner for each hook; commands run in `folder`. Must be called within the runtime.
    #[must_use]
    pub fn start(hooks: &[Hook], folder: &std::path::Path) -> Hooks {
        let runners = hooks
            .iter()
            .map(|hook| {
                let runner = Arc::new(Runner::new(hook.clone(), folder.to_path_buf()));
                tokio::spawn(Arc::clone(&runner).run());
                runner
            })
            .collect();
        Hooks { runners }
    }

    /// Whether anything would run on this occasion: spares building the facts.
    #[must_use]
    pub fn any(&self, on: Occasion) -> bool {
        self.runners.iter().any(|runner| runner.hook.on == on)
    }

    /// Queues the commands of this occasion. Never waits.
    pub fn happened(&self, on: Occasion, facts: &Facts) {
        for runner in self.runners.iter().filter(|runner| runner.hook.on == on) {
            runner.push(facts.clone());
        }
    }

    /// The counters of all hooks together.
    #[must_use]
    pub fn counts(&self) -> HookCounts {
        let mut sum = HookCounts::default();
        for runner in &self.runners {
            sum.succeeded += runner.succeeded.load(Ordering::Relaxed);
            sum.failed += runner.failed.load(Ordering::Relaxed);
            sum.timed_out += runner.timed_out.load(Ordering::Relaxed);
            sum.given_up += runner.given_up.load(Ordering::Relaxed);
        }
        sum
    }
}

impl Runner {
    fn new(hook: Hook, folder: PathBuf) -> Runner {
        Runner {
            hook,
            folder,
            queue: Mutex::new(VecDeque::with_capacity(QUEUE_MAX)),
            more: Notify::new(),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
        }
    }

    fn push(&self, facts: Facts) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() == QUEUE_MAX {
            queue.pop_front();
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
        queue.push_back(facts);
        drop(queue);
        self.more.notify_one();
    }

    fn pop(&self) -> Option<Facts> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    async fn run(self: Arc<Runner>) {
        loop {
            match self.pop() {
                Some(facts) => self.run_one(facts).await,
                None => self.more.notified().await,
            }
        }
    }

    async fn run_one(&self, facts: Facts) {
        let Some((program, arguments)) = self.hook.command.split_first() else { return };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("FWN_EVENT", self.hook.on.word())
            .envs(facts.into_iter().map(|(name, value)| (format!("FWN_{name}"), value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                warn!(hook = %program, %error, "a hook can't be started; check its command and its permissions");
                return;
            }
        };
        match tokio::time::timeout(self.hook.timeout, child.wait()).await {
            Ok(Ok(status)) if status.success() => {
                self.succeeded.fetch_add(1, Ordering::Relaxed);
                debug!(hook = %program, "a hook ended well");
            }
            Ok(Ok(status)) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                warn!(hook = %program, %status, "a hook failed; the agent goes on");
            }
            Ok(Err(error)) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                warn!(hook = %program, %error, "a hook was lost; the agent goes on");
            }
            Err(_) => {
                self.timed_out.fetch_add(1, Ordering::Relaxed);
                let _ = child.kill().await;
                warn!(hook = %program, limit = ?self.hook.timeout, "a hook took too long and was killed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn hook(command: &[&str], timeout: Duration) -> Hook {
        Hook { on: Occasion::Switch, command: command.iter().map(ToString::to_string).collect(), timeout }
    }

    async fn until(hooks: &Hooks, done: impl Fn(HookCounts) -> bool) -> HookCounts {
        for _ in 0..500 {
            let counts = hooks.counts();
            if done(counts) {
                return counts;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the hook never got there: {:?}", hooks.counts());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn facts_reach_the_command_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let script = "env > out";
        let hooks = Hooks::start(&[hook(&["/bin/sh", "-c", script], Duration::from_secs(5))], folder.path());
        assert!(hooks.any(Occasion::Switch));
        assert!(!hooks.any(Occasion::Notice));
        hooks.happened(Occasion::Notice, &vec![("TO", "nobody".into())]);
        hooks.happened(Occasion::Switch, &vec![("TO", "aaa west; rm -rf /".into())]);
        until(&hooks, |counts| counts.succeeded == 1).await;
        let out = std::fs::read_to_string(folder.path().join("out")).unwrap();
        assert!(out.contains("FWN_TO=aaa west; rm -rf /\n"), "{out}");
        assert!(out.contains("FWN_EVENT=switch\n"), "{out}");
        assert!(!out.contains("CARGO"), "{out}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_hook_that_hangs_is_killed_and_the_next_one_runs() {
        let folder = tempfile::tempdir().unwrap();
        let command = ["/bin/sh", "-c", "test \"$FWN_N\" = 1 && sleep 60; exit 0"];
        let hooks = Hooks::start(&[hook(&command, Duration::from_millis(300))], folder.path());
        hooks.happened(Occasion::Switch, &vec![("N", "1".into())]);
        hooks.happened(Occasion::Switch, &vec![("N", "2".into())]);
        let counts = until(&hooks, |counts| counts.succeeded == 1).await;
        assert_eq!(counts.timed_out, 1);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_full_queue_gives_up_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let hooks = Hooks::start(&[hook(&["/nonexistent/hook"], Duration::from_secs(1))], folder.path());
        for _ in 0..QUEUE_MAX + 3 {
            hooks.happened(Occasion::Switch, &Facts::new());
        }
        assert_eq!(hooks.counts().given_up, 3);
        let counts = until(&hooks, |counts| counts.failed == QUEUE_MAX as u64).await;
        assert_eq!(counts.succeeded, 0);
    }
}
