//! All services: each one's machine, and the checks under way.

use std::sync::Arc;

use forewarn_proto::holddown::{self, HoldDown};
use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use forewarn_shell::control::ServiceStatus;
use tokio::sync::mpsc;

use super::check::{self, CheckContext, Finding, StillDying};
use super::show;
use crate::config::{Check, Role, Service};

/// A check that has ended.
#[derive(Debug)]
pub struct Checked {
    /// Which service, in the order of the configuration.
    index: usize,
    /// The configuration it was of.
    generation: u64,
    finding: Finding,
}

/// The services of the configuration.
pub struct Services {
    entries: Vec<Entry>,
    context: CheckContext,
    results: mpsc::UnboundedSender<Checked>,
    /// Tells checks of a configuration that was replaced from those of the one in force.
    generation: u64,
}

struct Entry {
    service: Arc<Service>,
    machine: HoldDown,
    dying: StillDying,
    /// What the last check found.
    text: String,
}

impl Services {
    /// The services, none of them judged yet, and where the results of their checks come out. At most one check of
    /// each is under way, so that the queue is as long as the list.
    pub fn new(
        services: &[Service],
        context: CheckContext,
        now: Instant,
    ) -> (Services, mpsc::UnboundedReceiver<Checked>) {
        let (results, receiver) = mpsc::unbounded_channel();
        let mut all = Services { entries: Vec::new(), context, results, generation: 0 };
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
                known.map_or_else(
                    || Entry {
                        service: Arc::new(service.clone()),
                        machine: HoldDown::new(rules(service), now),
                        dying: StillDying::default(),
                        text: "not checked yet".to_owned(),
                    },
                    |index| {
                        let mut entry = before.swap_remove(index);
                        // The result of a check under way won't be taken: make another.
                        entry.machine.restart_check(now);
                        entry
                    },
                )
            })
            .collect();
    }

    /// Begins the checks that are due. Needs a runtime.
    pub fn begin_due(&mut self, now: Instant) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if !entry.machine.begin(now) {
                continue;
            }
            let (service, context) = (Arc::clone(&entry.service), self.context.clone());
            let (results, generation) = (self.results.clone(), self.generation);
            let dying = Arc::clone(&entry.dying);
            tokio::spawn(async move {
                let finding = check::check(&service.check, service.timeout, &context, &dying).await;
                // Nobody listens any more: the server ends.
                let _ = results.send(Checked { index, generation, finding });
            });
        }
    }

    /// A check has ended.
    pub fn handle(&mut self, now: Instant, checked: Checked) {
        let Some(entry) =
            self.entries.get_mut(checked.index).filter(|_| checked.generation == self.generation)
        else {
            return;
        };
        let before = (entry.machine.state(), entry.machine.failed());
        entry.machine.handle_outcome(now, checked.finding.outcome);
        entry.text = checked.finding.text;
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

    /// When the next check is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.machine.poll_timeout()).min()
    }

    /// How many mandatory services have failed, and the weights of the dependent ones that have, added up.
    pub fn failed(&self) -> (u32, f64) {
        let failed = self.entries.iter().filter(|entry| entry.machine.failed());
        failed.fold((0, 0.0), |(mandatory, dependent), entry| match entry.service.role {
            Role::Mandatory => (mandatory + 1, dependent),
            Role::Dependent { weight } => (mandatory, dependent + weight),
        })
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
        };
        self.entries.iter().map(status).collect()
    }
}

/// `process` and `pid_file` hold down at the first failure (SPEC 4.2): there is no "maybe" about a process.
fn rules(service: &Service) -> holddown::Config {
    let at_once = matches!(service.check, Check::Process { .. } | Check::PidFile { .. });
    holddown::Config {
        interval: service.interval,
        fall: if at_once { 1 } else { service.fall },
        rise: service.rise,
        hold_down: service.hold_down,
    }
}
