//! What a process uses, from `/proc`.

use std::fs;
use std::time::Duration;

/// CPU time and memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// User and system time since its start, all threads.
    pub cpu: Duration,
    /// Resident memory now, in KiB.
    pub resident_kib: u64,
    /// Resident memory at its peak, in KiB.
    pub peak_kib: u64,
}

/// What the process uses, or `None` when it is gone.
pub fn usage(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    Some(Usage { cpu: cpu(pid)?, resident_kib: kib("VmRSS")?, peak_kib: kib("VmHWM")? })
}

/// Fields 14 and 15 of `/proc/PID/stat`, counted after the name in parentheses, which may hold anything.
fn cpu(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(TICK * u32::try_from(ticks()? + ticks()?).ok()?)
}

/// The unit of those fields: Linux shows 100 a second to programs on every architecture that matters here.
const TICK: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let mine = usage(std::process::id()).unwrap();
        assert!(mine.resident_kib > 100 && mine.peak_kib >= mine.resident_kib);
        assert!(usage(u32::MAX).is_none());
    }
}
