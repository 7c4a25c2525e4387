//! A cgroup with a limit on memory, of either version.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Ends with what is in it.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    limit: u64,
    usage: &'static str,
    filler: Option<Child>,
}

impl Cgroup {
    /// A new one, with so many octets.
    ///
    /// # Panics
    /// When the kernel has no memory controller, or refuses.
    #[must_use]
    pub fn new(limit: u64) -> Cgroup {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (parent, knob, usage) = match v1.is_dir() {
            true => (v1, "memory.limit_in_bytes", "memory.usage_in_bytes"),
            false => (Path::new("/sys/fs/cgroup"), "memory.max", "memory.current"),
        };
        let path = parent.join(format!("forewarn-matrix-{:08x}", rand::random::<u32>()));
        fs::create_dir(&path).expect("root may make cgroups");
        fs::write(path.join(knob), limit.to_string()).expect("memory can be limited");
        Cgroup { path, limit, usage, filler: None }
    }

    /// What a command line starts with to run in it.
    #[must_use]
    pub fn under(&self) -> Vec<String> {
        let script = format!("echo $$ >{}/cgroup.procs && exec \"$@\"", self.path.display());
        ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
    }

    /// Somebody else in it takes memory, until so large a share of it is in use.
    ///
    /// # Panics
    /// When that can't be arranged.
    pub fn fill(&mut self, share: f64) {
        let used = fs::read_to_string(self.path.join(self.usage)).expect("memory is counted");
        let used: u64 = used.trim().parse().expect("a number of octets");
        let more = ((self.limit as f64 * share) as u64).saturating_sub(used);
        let under = self.under();
        // tail keeps what it may have to print, and sleep keeps it from printing.
        let script = format!("(head -c {more} /dev/zero; exec sleep 600) | tail -c {more} >/dev/null");
        let child = Command::new(&under[0])
            .args(&under[1..])
            .args(["sh", "-c", &script])
            .stdin(Stdio::null())
            .spawn();
        self.filler = Some(child.expect("a shell"));
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..200 {
            let pids = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
            for pid in pids.lines() {
                let _ = Command::new("kill").args(["-KILL", pid]).stderr(Stdio::null()).status();
            }
            if let Some(filler) = &mut self.filler {
                let _ = filler.wait();
            }
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
