//! What a server knows before its clients feel it.

use std::fs::File;
use std::thread::available_parallelism;
use std::time::Instant;

use crate::config;
use crate::matrix::cgroup::Cgroup;
use crate::matrix::{Campus, Row, Site};

use super::{NO_ICMP, QUIET};

/// Threads of the first server's pool, where they are the matter.
pub(in crate::matrix) const THREADS: usize = 8;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "CPU: the machine is busy",
        event: |site| {
            // Everybody's start has kept the machine busy too: only now is it looked at.
            let mut config = site.config(0);
            set(&mut config, "cpu = \"off\"", "cpu = 0.98");
            site.east().rewrite(&config);
            site.operate(&["reload"]);
            let at = Instant::now();
            for _ in 0..available_parallelism().map_or(1, usize::from) {
                // Busy, but out of everybody's way.
                site.keep_running("nice", &["-n", "19", "sh", "-c", "while :; do :; done"]);
            }
            site.left(at, &[0])
        },
        ..QUIET
    },
    Row {
        name: "memory: its cgroup is full",
        set: |setting, _| {
            let cgroup = Cgroup::new(256 << 20);
            set(&mut setting.servers[0].config, "memory = \"off\"", "memory = 0.92");
            setting.servers[0].under = cgroup.under();
            setting.cgroup = Some(cgroup);
        },
        event: |site| {
            let at = Instant::now();
            site.cgroup.as_mut().expect("it has one").fill(0.96);
            site.left(at, &[0])
        },
        ..QUIET
    },
    Row {
        name: "threads: all of its pool hang",
        set: |setting, _| {
            let first = &mut setting.servers[0];
            first.config.push_str(&format!("\n[workers]\nmax = {THREADS}\n{}", hanging_checks()));
            std::fs::create_dir(first.folder.path().join("hold")).expect("a folder");
        },
        event: |site| {
            let at = Instant::now();
            let folder = site.east().folder().path().to_owned();
            for number in 0..THREADS {
                let file = File::create(folder.join(format!("hold/{number}"))).expect("a file");
                file.lock().expect("nobody else holds it for long");
                site.kept.push(Box::new(file));
            }
            site.left(at, &[0])
        },
        ..QUIET
    },
    Row {
        name: "processes: too many",
        set: |setting, campus| {
            let many = processes() + campus.edges.len() + 80;
            set(&mut setting.servers[0].config, "processes = \"off\"", &format!("processes = {many}"));
        },
        event: |site| {
            let at = Instant::now();
            for _ in 0..120 {
                site.keep_running("sleep", &["60"]);
            }
            site.left(at, &[0])
        },
        ..QUIET
    },
    Row {
        name: "a mandatory service fails",
        set: |setting, _| setting.with_service(0, config::WELL),
        event: its_service_fails,
        ..QUIET
    },
    Row {
        name: "a dependent service of weight 1 fails",
        set: |setting, _| {
            let dependent = config::WELL.replace("\"mandatory\"", "\"dependent\"\nweight = 1.0");
            setting.with_service(0, &dependent);
        },
        event: its_service_fails,
        ..QUIET
    },
    Row { name: "drain", event: drained, ..QUIET },
    Row {
        name: "SIGTERM",
        event: |site| {
            let at = Instant::now();
            site.east().signal("TERM");
            site.left(at, &[0])
        },
        ..QUIET
    },
    Row {
        name: "drain where ICMP is blocked",
        event: |site| {
            Campus::fault(&[NO_ICMP]);
            drained(site)
        },
        judge: |site| {
            let status = site.server(0);
            let told = status.clients.iter().filter_map(|client| client.notice.as_ref());
            let by_udp = told.filter(|told| told.transport.as_deref() == Some("udp")).count();
            match by_udp == site.agents.len() {
                true => Ok(()),
                false => Err(format!("only {by_udp} were told by UDP")),
            }
        },
        ..QUIET
    },
    Row {
        name: "drain, the server's clock an hour ahead",
        set: |setting, _| {
            let first = &mut setting.servers[0];
            first.live_at("+1h");
            // The kernel's stamps on datagrams stay as they are, as they wouldn't with a clock that is really wrong.
            set(&mut first.config, "[health.limits]\n", "[health.limits]\nqueue_delay = \"off\"\n");
        },
        event: drained,
        ..QUIET
    },
    Row {
        name: "drain, the agents' clocks an hour behind",
        set: |setting, _| setting.agents.iter_mut().for_each(|agent| agent.live_at("-1h")),
        event: drained,
        ..QUIET
    },
    Row {
        name: "drain, its epoch lost and its clock behind",
        before: |site| {
            // What agents remember of the first life is later than anything the second one says.
            site.operate(&["drain", "--wait"]);
            site.operate(&["resume"]);
            site.everybody_is_home();
            let mut behind = crate::matrix::Program::default();
            behind.live_at("-1h");
            site.restart_server(0, &behind.environment, |folder| {
                std::fs::remove_file(folder.join("state/epoch")).expect("it had one");
            });
            site.everybody_is_home();
        },
        event: drained,
        ..QUIET
    },
];

fn its_service_fails(site: &mut Site<'_>) -> crate::matrix::Event {
    let at = Instant::now();
    site.is_well(0, false);
    site.left(at, &[0])
}

fn drained(site: &mut Site<'_>) -> crate::matrix::Event {
    let at = Instant::now();
    site.operate(&["drain", "--wait"]);
    site.left(at, &[0])
}

/// Replaces what must be there.
fn set(config: &mut String, old: &str, new: &str) {
    assert!(config.contains(old), "{old:?} isn't in {config}");
    *config = config.replace(old, new);
}

/// Checks of weightless services, each waiting for a lock: work that blocks threads of the pool.
pub(in crate::matrix) fn hanging_checks() -> String {
    let check = |number: usize| {
        format!(
            "[[service]]\nname = \"hold-{number}\"\nrole = \"dependent\"\nweight = 0.0\ninterval = \"100ms\"\ntimeout = \"60s\"\n\
             check = {{ kind = \"command\", command = [\"flock\", \"hold/{number}\", \"true\"] }}\n"
        )
    };
    (0..THREADS).map(check).collect()
}

/// How many there are on the machine, as servers count them.
fn processes() -> usize {
    let entries = std::fs::read_dir("/proc").expect("a machine has processes");
    let is_process = |name: &str| name.bytes().all(|octet| octet.is_ascii_digit());
    entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_process)).count()
}
