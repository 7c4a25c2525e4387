//! The memory cgroup of this process: how much of what it uses is page cache that can be had back.
//!
//! sysinfo tells its limit and its use, cache included; the cache stands in `memory.stat`, of which sysinfo reads
//! another line.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the cgroup's `memory.stat` is, and what its lines are called there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cgroup {
    stat: PathBuf,
    /// Names of the lines that count page cache which isn't pinned.
    lines: [&'static str; 2],
}

/// cgroup v1 counts the children in lines of their own.
const V1_LINES: [&str; 2] = ["total_inactive_file", "total_active_file"];
const V2_LINES: [&str; 2] = ["inactive_file", "active_file"];

impl Cgroup {
    /// None where memory isn't accounted by cgroup.
    pub(super) fn of_this_process() -> Option<Cgroup> {
        let paths = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        find(&paths, &mounts).filter(|cgroup| cgroup.stat.exists())
    }

    /// Octets of page cache that the kernel would give back before it refused memory.
    pub(super) fn reclaimable(&self) -> Option<u64> {
        sum(&fs::read_to_string(&self.stat).ok()?, self.lines)
    }
}

/// cgroups(7): the lines of `/proc/PID/cgroup` are `number:controllers:path`, version 2's with number 0 and without
/// controllers. As in sysinfo, a v1 memory controller goes before v2.
pub(super) fn find(paths: &str, mounts: &str) -> Option<Cgroup> {
    let entries: Vec<[&str; 3]> =
        paths.lines().filter_map(|line| line.splitn(3, ':').collect::<Vec<_>>().try_into().ok()).collect();
    let memory =
        entries.iter().find(|[_, controllers, _]| controllers.split(',').any(|name| name == "memory"));
    if let Some([_, _, path]) = memory {
        return Some(Cgroup { stat: stat(mounts, path, "cgroup", Some("memory"))?, lines: V1_LINES });
    }
    let [_, _, path] =
        entries.iter().find(|[number, controllers, _]| *number == "0" && controllers.is_empty())?;
    Some(Cgroup { stat: stat(mounts, path, "cgroup2", None)?, lines: V2_LINES })
}

/// Finds a cgroup's folder below the mount whose root holds it, and in it `memory.stat`. proc_pid_mountinfo(5): the
/// 4th field is the root, the 5th the mount point; after a lone `-` come type, source and options.
fn stat(mounts: &str, path: &str, kind: &str, option: Option<&str>) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut file_system = file_system.split(' ');
        let options = (file_system.next()? == kind).then(|| file_system.nth(1))??;
        if option.is_some_and(|wanted| !options.split(',').any(|option| option == wanted)) {
            return None;
        }
        let below = Path::new(path).strip_prefix(root).ok()?;
        Some(Path::new(point).join(below).join("memory.stat"))
    })
}

pub(super) fn sum(stat: &str, wanted: [&str; 2]) -> Option<u64> {
    let value = |name: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.trim().parse::<u64>().ok()
    };
    Some(value(wanted[0])? + value(wanted[1])?)
}
