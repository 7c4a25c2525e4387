//! The machine, or the part of it that a cgroup leaves us: memory, CPU, processes, pressure.

use std::fs;

use forewarn_proto::gauge::Pressure;
use forewarn_proto::time::Instant;
use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::cgroup::Cgroup;

/// What sysinfo remembers between readings.
#[derive(Debug)]
pub(super) struct Machine {
    /// None where sysinfo finds no system it knows.
    system: Option<System>,
    own: Pid,
    cgroup: Option<Cgroup>,
    /// When CPU time was last looked at, and what it came to: nothing at the first look, which has no span.
    cpu: Option<(Instant, Option<f64>)>,
}

impl Machine {
    pub(super) fn new() -> Machine {
        let own = Pid::from_u32(std::process::id());
        Machine { system: System::new().ok(), own, cgroup: Cgroup::of_this_process(), cpu: None }
    }

    /// The share of memory in use: of the cgroup's limit where there is one, else of the machine.
    pub(super) fn memory(&mut self) -> Option<f64> {
        let system = self.system.as_mut()?;
        let own = ProcessesToUpdate::Some(&[self.own]);
        system.refresh_processes_specifics(own, false, ProcessRefreshKind::nothing());
        let limits = system.process(self.own).and_then(sysinfo::Process::cgroup_limits);
        if let Some(limits) = limits.filter(|limits| limits.total_memory > 0) {
            let used = limits.total_memory.saturating_sub(limits.free_memory);
            let cache = self.cgroup.as_ref().and_then(Cgroup::reclaimable).unwrap_or(0);
            return Some(used.saturating_sub(cache) as f64 / limits.total_memory as f64);
        }
        system.refresh_memory_specifics(sysinfo::MemoryRefreshKind::nothing().with_ram());
        let (total, available) = (system.total_memory(), system.available_memory());
        (total > 0).then(|| total.saturating_sub(available) as f64 / total as f64)
    }

    /// The busy share of all CPUs since the last look. Spans shorter than sysinfo can measure give the last figure again.
    pub(super) fn cpu(&mut self, now: Instant) -> Option<f64> {
        if let Some((then, share)) = self.cpu
            && now.since(then) < MINIMUM_CPU_UPDATE_INTERVAL
        {
            return share;
        }
        let system = self.system.as_mut()?;
        system.refresh_cpu_usage();
        let share = f64::from(system.global_cpu_usage()) / 100.0;
        let share = self.cpu.is_some().then(|| share.clamp(0.0, 1.0));
        self.cpu = Some((now, share));
        share
    }
}

/// How many processes there are. The names in `/proc` are enough: sysinfo would read each one's files.
pub(super) fn processes() -> Option<u32> {
    let entries = fs::read_dir("/proc").ok()?;
    let is_process = |name: &std::ffi::OsStr| name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit);
    let count = entries.flatten().filter(|entry| is_process(&entry.file_name())).count();
    u32::try_from(count).ok()
}

/// Pressure stalls, where the kernel tells (sysinfo doesn't).
pub(super) fn pressure() -> Option<Pressure> {
    let share = |what: &str| {
        let text = fs::read_to_string(format!("/proc/pressure/{what}")).ok()?;
        some_avg10(&text)
    };
    Some(Pressure { cpu: share("cpu")?, memory: share("memory")?, io: share("io")? })
}

/// The share of the last ten seconds in which somebody waited, out of a file of `/proc/pressure`.
pub(super) fn some_avg10(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let value = line.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?;
    let percent: f64 = value.parse().ok()?;
    Some(percent / 100.0)
}
