//! The stage: a temporary folder with three configurations in it, and the three processes that run them.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The server that gets into trouble, and the name its clients know it by.
pub(super) const EAST: Actor = Actor { name: "aaa-east", program: "forewarnd", file: "server.toml" };
/// Its alternate.
pub(super) const WEST: Actor = Actor { name: "aaa-west", program: "forewarnd", file: "server.toml" };
/// The agent in front of the NAS.
pub(super) const AGENT: Actor = Actor { name: "ap-17", program: "forewarn-agent", file: "agent.toml" };

/// The agent's front door, where the NAS sends its RADIUS.
pub(super) const FRONT_DOOR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 21));
/// The secret between the NAS and the agent, as in the documented agent.toml.
pub(super) const LOCAL_SECRET: &str = "localsecretlocalsecret";
/// Threads in the worker pool of the documented server.toml.
pub(super) const POOL_THREADS: usize = 16;

const SERVER_TOML: &str = include_str!("../../../../docs/examples/server.toml");
const AGENT_TOML: &str = include_str!("../../../../docs/examples/agent.toml");

/// Shown to the reader: the whole difference between the documented servers and the demo's.
pub(super) const SERVER_OVERLAY: &str = r#"[[user]]                           # a slow hash: its check needs a thread of the pool
name = "bob"
password_hash = "$6$rounds=1000$forewarn$dK/Yn/3hQG.UNu6pYac5DYjruCpoeg09NGvd1AdJRncOPX78U9nP78LbRobIz7MZdQ7IY9Q8rdFovyTSoWSZa."

[health]
interval = "100ms"
away_min = "3s"

[health.limits]                    # two servers on one machine share its CPU, memory and processes
cpu = "off"
memory = "off"
processes = "off"
queue_delay = "1s"                 # nor is a machine that stalls for a moment what is shown

[limits]                           # hashed each time, as if bob were somebody new each time
verified = "0s"

[reconnect]
window = "3s"

[drain]
deadline = "2s"
"#;

/// The agent's: it only shortens times.
pub(super) const AGENT_OVERLAY: &str = r#"[failover]
drain_conversations = "2s"

[reconnect]
ramp = "3s"
"#;

/// Act 2: the same server, with nobody to warn.
const QUIET_OVERLAY: &str = "[notice]\naudience = { clients = [] }\n";

/// One program with its configuration.
#[derive(Clone, Copy)]
pub(super) struct Actor {
    pub(super) name: &'static str,
    program: &'static str,
    file: &'static str,
}

/// Everything that has to be cleaned away at the end.
pub(super) struct Stage {
    folder: PathBuf,
    keep: bool,
    programs: PathBuf,
    running: Vec<(Actor, Child)>,
}

impl Stage {
    /// Writes the three configurations. `keep` leaves folder and processes behind.
    pub(super) fn build(keep: bool) -> io::Result<Stage> {
        let programs = std::env::current_exe()?;
        let programs = programs.parent().map(Path::to_path_buf).unwrap_or_default();
        for program in [EAST.program, AGENT.program] {
            if !programs.join(program).is_file() {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("{program} is not beside this program; build it (make run builds all three)"),
                ));
            }
        }
        let folder = std::env::temp_dir().join(format!("forewarn-demo-{}", std::process::id()));
        let stage = Stage { folder, keep, programs, running: Vec::new() };
        let west = SERVER_TOML
            .replace("127.0.0.12", "other")
            .replace("127.0.0.11", "127.0.0.12")
            .replace("other", "127.0.0.11")
            .replace("aaa-east", "aaa-west")
            .replace(
                "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
                "1f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f1",
            );
        stage.write(EAST, SERVER_TOML, &format!("{SERVER_OVERLAY}{}", holds()))?;
        stage.write(WEST, &west, SERVER_OVERLAY)?;
        stage.write(AGENT, AGENT_TOML, AGENT_OVERLAY)?;
        fs::create_dir_all(stage.folder(EAST).join("hold"))?;
        Ok(stage)
    }

    /// Starts one program; its log goes to a file in its folder.
    pub(super) fn start(&mut self, actor: Actor) -> io::Result<()> {
        let folder = self.folder(actor);
        let log = File::create(folder.join("log"))?;
        let child = Command::new(self.programs.join(actor.program))
            .arg("-c")
            .arg(folder.join(actor.file))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.running.push((actor, child));
        Ok(())
    }

    /// Whether a program that was started has ended by itself, with the end of its log.
    pub(super) fn fallen(&mut self) -> Option<String> {
        let (actor, status) = self
            .running
            .iter_mut()
            .find_map(|(actor, child)| child.try_wait().ok().flatten().map(|status| (*actor, status)))?;
        Some(format!("{} ended ({status}):\n{}", actor.name, self.log_tail(actor)))
    }

    /// `kill -9`: no warning, no good-bye.
    pub(super) fn kill(&mut self, actor: Actor) -> io::Result<()> {
        if let Some(at) = self.running.iter().position(|(running, _)| running.name == actor.name) {
            let (_, mut child) = self.running.remove(at);
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// The process id of a running program.
    pub(super) fn pid(&self, actor: Actor) -> Option<u32> {
        self.running.iter().find(|(running, _)| running.name == actor.name).map(|(_, child)| child.id())
    }

    /// The control socket of a program.
    pub(super) fn control(&self, actor: Actor) -> PathBuf {
        self.folder(actor).join("state").join(actor.name).join("control.sock")
    }

    /// Puts the overlay of act 2 in place, or takes it away; the server reads it at its next reload.
    pub(super) fn hush(&self, quiet: bool) -> io::Result<()> {
        let path = self.folder(EAST).join("conf.d/quiet.toml");
        if quiet { fs::write(path, QUIET_OVERLAY) } else { fs::remove_file(path) }
    }

    /// Takes the locks `range` of the checks that block; they are released when the files are dropped.
    pub(super) fn hold(&self, range: std::ops::Range<usize>) -> io::Result<Vec<File>> {
        range
            .map(|index| {
                let file = File::create(self.folder(EAST).join(format!("hold/{index}")))?;
                file.lock()?;
                Ok(file)
            })
            .collect()
    }

    /// Where everything lies.
    pub(super) fn root(&self) -> &Path {
        &self.folder
    }

    fn folder(&self, actor: Actor) -> PathBuf {
        self.folder.join(actor.name)
    }

    fn write(&self, actor: Actor, main: &str, overlay: &str) -> io::Result<()> {
        let folder = self.folder(actor);
        fs::create_dir_all(folder.join("conf.d"))?;
        private(&folder.join(actor.file), main)?;
        private(&folder.join("conf.d/demo.toml"), overlay)
    }

    fn log_tail(&self, actor: Actor) -> String {
        let mut text = String::new();
        if let Ok(mut file) = File::open(self.folder(actor).join("log")) {
            let length = file.metadata().map_or(0, |data| data.len());
            // A tail that begins inside a character isn't worth an error here.
            let _ = file.seek(SeekFrom::Start(length.saturating_sub(4096)));
            let _ = file.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        for (_, child) in &mut self.running {
            // Already gone is as good as killed.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// How long a program may take to open its control socket.
pub(super) const START_LIMIT: Duration = Duration::from_secs(10);

/// Sixteen checks of dependent services without weight. Each waits for a lock, which is free until the demo takes
/// it: work that blocks on real threads of the real pool.
fn holds() -> String {
    let mut text = String::from(
        "\n# work that blocks: each check waits for a lock that the demo takes and gives back\n",
    );
    for index in 0..POOL_THREADS {
        text.push_str(&format!(
            "[[service]]\nname = \"hold-{index}\"\nrole = \"dependent\"\nweight = 0.0\ninterval = \"250ms\"\n\
             timeout = \"60s\"\ncheck = {{ kind = \"command\", command = [\"flock\", \"hold/{index}\", \"true\"] }}\n"
        ));
    }
    text
}

/// A file with secrets in it is nobody else's to read.
fn private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}
