//! All services: each one's machine, and the checks under way.

use std::sync::Arc;

use forewarn_proto::holddown::{self, HoldDown, Outcome, Restart};
use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use forewarn_shell::control::ServiceStatus;
use tokio::sync::mpsc;

use super::check::{self, CheckContext, Finding, StillDying};
use super::show;
use crate::config::{Check, Role, Service};

/// A check or a restart that has ended.
#[derive(Debug)]
pub struct Checked {
    what: What,
    finding: Finding,
}

#[derive(Debug)]
enum What {
    /// The check of a service, by its place in the configuration of this generation.
    Check { index: usize, generation: u64 },
    /// The restart of the service with this name. Reloads don't undo it.
    Restart { name: Arc<str> },
}

/// The services of the configuration.
pub struct Services {
    entries: Vec<Entry>,
    context: CheckContext,
    results: mpsc::UnboundedSender<Checked>,
    /// Tells checks of a configuration that was replaced from those of the one in force.
    generation: u64,
    /// This server leaves: its services may be meant to.
    draining: bool,
    /// Checks that began earlier failed because this process stood still, if they failed.
    trusted_since: Instant,
}

struct Entry {
    service: Arc<Service>,
    machine: HoldDown,
    dying: StillDying,
    /// When the last check began.
    began: Instant,
    /// What the last check found.
    text: String,
    restarts: Option<Restarts>,
}

/// How a service is restarted, and how that went.
struct Restarts {
    machine: Restart,
    dying: StillDying,
    /// What the last attempt came to.
    text: String,
}

impl Services {
    /// The services, none of them judged yet, and where the results of their checks come out. At most one check and one
    /// restart of each is under way, so that the queue is at most twice as long as the list.
    pub fn new(
        services: &[Service],
        context: CheckContext,
        now: Instant,
    ) -> (Services, mpsc::UnboundedReceiver<Checked>) {
        let (results, receiver) = mpsc::unbounded_channel();
        let mut all = Services {
            entries: Vec::new(),
            context,
            results,
            generation: 0,
            draining: false,
            trusted_since: Instant::ZERO,
        };
        all.reload(services, now);
        (all, receiver)
    }

    /// Takes another list over. A service that is the same in both keeps its standing.
    pub fn reload(&mut self, services: &[Service], now: Instant) {
        self.generation += 1;
        let mut before = std::mem::take(&mut self.entries);
        self.entries = services
            .iter()
            .map(|service| {
                let known = before.iter().position(|entry| *entry.service == *service);
                if let Some(index) = known {
                    let mut entry = before.swap_remove(index);
                    // The result of a check under way won't be taken: make another.
                    entry.machine.restart_check(now);
                    return entry;
                }
                let namesake = before.iter_mut().find(|entry| entry.service.name == service.name);
                Entry {
                    service: Arc::new(service.clone()),
                    machine: HoldDown::new(rules(service), now),
                    dying: StillDying::default(),
                    began: now,
                    text: "not checked yet".to_owned(),
                    restarts: restarts(service, namesake.and_then(|entry| entry.restarts.take())),
                }
            })
            .collect();
    }

    /// Begins the checks that are due. Needs a runtime.
    pub fn begin_due(&mut self, now: Instant) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if !entry.machine.begin(now) {
                continue;
            }
            entry.began = now;
            let (service, context) = (Arc::clone(&entry.service), self.context.clone());
            let (results, generation) = (self.results.clone(), self.generation);
            let dying = Arc::clone(&entry.dying);
            tokio::spawn(async move {
                let finding = check::check(&service.check, service.timeout, &context, &dying).await;
                // Nobody listens any more: the server ends.
                let _ = results.send(Checked { what: What::Check { index, generation }, finding });
            });
        }
        self.restart_due(now);
    }

    /// Restarts what has failed, unless this server is leaving itself.
    fn restart_due(&mut self, now: Instant) {
        if self.draining {
            return;
        }
        for entry in &mut self.entries {
            let Some(restarts) = &mut entry.restarts else { continue };
            if !restarts.machine.begin(now) {
                continue;
            }
            let attempt = restarts.machine.attempts();
            tracing::warn!(service = %entry.service.name, attempt, "restarting a service that has failed");
            let (service, context) = (Arc::clone(&entry.service), self.context.clone());
            let (results, dying) = (self.results.clone(), Arc::clone(&restarts.dying));
            tokio::spawn(async move {
                let Some(restart) = &service.restart else { return };
                let finding = check::command(&restart.command, restart.timeout, &context, &dying).await;
                let what = What::Restart { name: Arc::clone(&service.name) };
                let _ = results.send(Checked { what, finding });
            });
        }
    }

    /// Whether this server is leaving: then nothing is restarted.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// This process stood still until `now`: failures of checks under way don't count.
    pub fn distrust(&mut self, now: Instant) {
        self.trusted_since = now;
    }

    /// A check or a restart has ended.
    pub fn handle(&mut self, now: Instant, checked: Checked) {
        match checked.what {
            What::Check { index, generation } if generation == self.generation => {
                self.handle_check(now, index, checked.finding);
            }
            What::Check { .. } => {}
            What::Restart { name } => self.handle_restart(now, &name, checked.finding),
        }
    }

    fn handle_restart(&mut self, now: Instant, name: &str, finding: Finding) {
        let entry = self.entries.iter_mut().find(|entry| *entry.service.name == *name);
        let Some(restarts) = entry.and_then(|entry| entry.restarts.as_mut()) else { return };
        restarts.machine.handle_end(now);
        if finding.outcome == Outcome::Success {
            tracing::info!(service = %name, "restarted: {}", finding.text);
        } else {
            tracing::warn!(service = %name, "the restart failed: {}", finding.text);
        }
        restarts.text = finding.text;
    }

    fn handle_check(&mut self, now: Instant, index: usize, mut finding: Finding) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        if finding.outcome == Outcome::Failure && entry.began < self.trusted_since {
            finding = Finding::nothing(format!("{}; not counted, this process stood still", finding.text));
        }
        let before = (entry.machine.state(), entry.machine.failed());
        entry.machine.handle_outcome(now, finding.outcome);
        entry.text = finding.text;
        match (&mut entry.restarts, finding.outcome) {
            (Some(restarts), Outcome::Success) => restarts.machine.handle_success(now),
            (Some(restarts), Outcome::Failure) if entry.machine.failed() => {
                restarts.machine.handle_failure(now);
            }
            _ => {}
        }
        let after = (entry.machine.state(), entry.machine.failed());
        if before != after {
            let (name, state) = (&entry.service.name, after.0);
            if after.1 {
                tracing::warn!(service = %name, %state, "a service isn't well: {}", entry.text);
            } else {
                tracing::info!(service = %name, %state, "{}", entry.text);
            }
        }
    }

    /// When the next check or restart is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let checks = self.entries.iter().filter_map(|entry| entry.machine.poll_timeout());
        let restarts =
            self.entries.iter().filter_map(|entry| entry.restarts.as_ref()?.machine.poll_timeout());
        checks.chain(restarts.filter(|_| !self.draining)).min()
    }

    /// How many mandatory services have failed, and the weights of the dependent ones that have, added up.
    pub fn failed(&self) -> (u32, f64) {
        let failed = self.entries.iter().filter(|entry| entry.machine.failed());
        failed.fold((0, 0.0), |(mandatory, dependent), entry| match entry.service.role {
            Role::Mandatory => (mandatory + 1, dependent),
            Role::Dependent { weight } => (mandatory, dependent + weight),
        })
    }

    /// Whether the service of this name has failed.
    pub fn has_failed(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| &*entry.service.name == name && entry.machine.failed())
    }

    /// For status.
    pub fn statuses(&self) -> Vec<ServiceStatus> {
        let status = |entry: &Entry| ServiceStatus {
            name: entry.service.name.to_string(),
            role: show::role(entry.service.role).to_owned(),
            state: show::service_state(entry.machine.state()).to_owned(),
            cause: entry.text.clone(),
            since: clock::micros_since_1970(entry.machine.since()),
            weight: match entry.service.role {
                Role::Mandatory => 1.0,
                Role::Dependent { weight } => weight,
            },
            restarts: entry.restarts.as_ref().map(|restarts| restarts.machine.attempts()),
            restarted: entry.restarts.as_ref().map(|restarts| restarts.text.clone()).unwrap_or_default(),
        };
        self.entries.iter().map(status).collect()
    }
}

/// The restarts of a service. One under way by an older configuration is gone on with: never two at a time.
fn restarts(service: &Service, before: Option<Restarts>) -> Option<Restarts> {
    let waits = service.restart.as_ref()?.waits;
    let Some(mut restarts) = before else {
        let machine = Restart::new(waits);
        return Some(Restarts { machine, dying: StillDying::default(), text: String::new() });
    };
    restarts.machine.set_waits(waits);
    Some(restarts)
}

/// `process` and `pid_file` hold down at the first failure: there is no "maybe" about a process.
fn rules(service: &Service) -> holddown::Config {
    let at_once = matches!(service.check, Check::Process { .. } | Check::PidFile { .. });
    holddown::Config {
        interval: service.interval,
        fall: if at_once { 1 } else { service.fall },
        rise: service.rise,
        hold_down: service.hold_down,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use forewarn_proto::holddown::Waits;

    use super::super::tests::{command, real, run_until, service};
    use super::*;
    use crate::config;

    /// A service that is well while `folder` has a file `up`, checked each 10 ms, and restarted by `words`.
    fn restarted(folder: &Path, words: &[&str], hold_down: Duration) -> Service {
        let up = folder.join("up");
        let check = command(&["test", "-e", up.to_str().expect("a plain path")]);
        let waits = Waits { first: Duration::from_millis(20), most: Duration::from_millis(40) };
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let timeout = Duration::from_secs(10);
        let restart = Some(config::Restart { command: words, timeout, waits });
        Service { restart, hold_down, ..service("directory", check, Role::Mandatory) }
    }

    #[tokio::test]
    async fn a_service_that_has_failed_is_restarted_and_clears() {
        let folder = tempfile::tempdir().expect("a folder");
        let up = folder.path().join("up");
        let words = ["touch", up.to_str().expect("a plain path")];
        let one = restarted(folder.path(), &words, Duration::from_millis(50));
        let (mut services, mut results) = Services::new(&[one], real(), clock::now());
        run_until(&mut services, &mut results, |services| services.failed().0 == 1).await;
        run_until(&mut services, &mut results, |services| services.statuses()[0].state == "running").await;
        let status = &services.statuses()[0];
        assert_eq!((status.restarts, &*status.restarted), (Some(1), "exit status 0"), "once was enough");
    }

    #[tokio::test]
    async fn a_check_that_failed_while_this_process_stood_still_does_not_count() {
        let check = command(&["false"]);
        let one = Service { fall: 1, ..service("directory", check, Role::Mandatory) };
        let (mut services, mut results) = Services::new(&[one], real(), clock::now());
        services.begin_due(clock::now());
        let ended = results.recv().await.expect("a result");
        services.distrust(clock::now());
        services.handle(clock::now(), ended);
        assert_eq!(services.failed().0, 0, "{:?}", services.statuses());
        run_until(&mut services, &mut results, |services| services.failed().0 == 1).await;
    }

    #[tokio::test]
    async fn one_that_stays_down_is_restarted_again_and_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = restarted(folder.path(), &["false"], Duration::ZERO);
        let (mut services, mut results) = Services::new(&[one], real(), clock::now());
        run_until(&mut services, &mut results, |services| {
            let status = &services.statuses()[0];
            status.restarts >= Some(3) && status.restarted.contains("exit status: 1")
        })
        .await;
    }

    #[tokio::test]
    async fn a_server_that_leaves_restarts_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = restarted(folder.path(), &["true"], Duration::ZERO);
        let (mut services, mut results) = Services::new(&[one], real(), clock::now());
        services.set_draining(true);
        run_until(&mut services, &mut results, |services| {
            services.statuses()[0].state == "not-running" && services.failed().0 == 1
        })
        .await;
        assert_eq!(services.statuses()[0].restarts, Some(0));
        assert!(services.poll_timeout() != Some(Instant::ZERO), "nor does it keep the director awake");
        services.set_draining(false);
        run_until(&mut services, &mut results, |services| services.statuses()[0].restarts >= Some(1)).await;
    }

    #[tokio::test]
    async fn a_reload_does_not_start_a_second_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = restarted(folder.path(), &["sleep", "5"], Duration::ZERO);
        let (mut services, mut results) = Services::new(std::slice::from_ref(&one), real(), clock::now());
        run_until(&mut services, &mut results, |services| services.statuses()[0].restarts == Some(1)).await;
        let other = Service { rise: one.rise + 1, ..one };
        services.reload(&[other], clock::now());
        run_until(&mut services, &mut results, |services| services.failed().0 == 1).await;
        assert_eq!(services.statuses()[0].restarts, Some(1));
        let name: Arc<str> = "directory".into();
        let finding = Finding { outcome: Outcome::Failure, text: "killed".to_owned() };
        services.handle(clock::now(), Checked { what: What::Restart { name }, finding });
        run_until(&mut services, &mut results, |services| services.statuses()[0].restarts == Some(2)).await;
    }
}
