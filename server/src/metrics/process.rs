//! The process itself, as the kernel counts it, under the names every Prometheus client has.

use std::fs;

/// Clock ticks per second in what `/proc` shows (`USER_HZ`): the same on all machines Linux runs on today.
const TICKS: f64 = 100.0;

/// What the kernel says of this process; what it doesn't say is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// User and system.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
}

impl Process {
    pub(super) fn read() -> Process {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |name: &str| Some(1024 * field(&status, name)?.parse::<u64>().ok()?);
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Process {
            cpu_seconds: fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat)),
            resident_bytes: kib("VmRSS:"),
            virtual_bytes: kib("VmSize:"),
            threads: field(&status, "Threads:").and_then(|threads| threads.parse().ok()),
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
            max_fds: field(&limits, "Max open files").and_then(|most| most.parse().ok()),
        }
    }
}

/// The first word behind `name` on its line.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()
}

/// Of `/proc/PID/stat`: the program's name is between parentheses and may hold anything; user and system time are the
/// 12th and 13th word behind it.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut words = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks = words.next()?.parse::<f64>().ok()? + words.next()?.parse::<f64>().ok()?;
    Some(ticks / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_this_process() {
        let process = Process::read();
        assert!(process.resident_bytes.is_some_and(|octets| octets > 1 << 20), "{process:?}");
        assert!(process.cpu_seconds.is_some() && process.threads >= Some(1), "{process:?}");
        assert!(process.open_fds >= Some(3) && process.max_fds >= process.open_fds, "{process:?}");
    }

    #[test]
    fn a_programs_name_may_look_like_fields() {
        let stat = "7 (a) 1 2 (b) S 1 7 7 0 -1 0 1 2 3 4 250 150 0 0 20 0 1 0 5";
        assert_eq!(cpu_seconds(stat), Some(4.0));
    }
}
