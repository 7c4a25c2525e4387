//! The agent between a scripted NAS and scripted home servers: each story says what is done to it, and what it does.

mod carried;
mod dead;
mod door;
mod notices;
mod ordinary;
mod ping;
mod six;
mod spool;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use forewarn_shell::control::{self, AgentStatus, Reply, Request, Status};
use forewarn_shell::privilege::{self, Capability};
use forewarn_tests::home::Heard;
use forewarn_tests::{Agent, Folder, HOME_SECRET, HomeServer, Hosts, LOCAL_SECRET, Nas, NoticeDesk, within};

/// How long a reply may take that needs nothing but loopback.
const SOON: Duration = Duration::from_secs(2);
/// How long silence is listened to.
const QUIET: Duration = Duration::from_millis(300);

/// A NAS, an agent, and home servers in order of preference, each with a desk for notices.
struct Site {
    nas: Nas,
    agent: Agent,
    homes: Vec<HomeServer>,
    desks: Vec<NoticeDesk>,
    address: IpAddr,
    _hosts: Option<Hosts>,
}

impl Site {
    fn new(homes: usize) -> Site {
        Site::with(homes, "", &[])
    }

    /// `more` is appended to the agent's configuration, `environment` overrides it.
    fn with(homes: usize, more: &str, environment: &[(&str, &str)]) -> Site {
        Site::build(homes, environment, |config| config + more)
    }

    fn build(homes: usize, environment: &[(&str, &str)], change: impl FnOnce(String) -> String) -> Site {
        let mut hosts = Hosts::claim();
        let address = hosts.host();
        let homes = (0..homes).map(|_| hosts.host()).collect();
        Site { _hosts: Some(hosts), ..Site::at(address, homes, environment, change) }
    }

    /// On these addresses, which are this test's alone.
    fn at(
        address: IpAddr,
        homes: Vec<IpAddr>,
        environment: &[(&str, &str)],
        change: impl FnOnce(String) -> String,
    ) -> Site {
        let config = change(configuration(address, &homes));
        let homes: Vec<_> = homes.into_iter().map(HomeServer::start).collect();
        let desks: Vec<_> = homes.iter().map(|home| NoticeDesk::open(home.address(), address)).collect();
        let agent = Agent::start_in(Folder::new(), &config, environment);
        for desk in &desks {
            // The agent asks at its start what is in force: nothing.
            assert!(desk.hears_anything(SOON), "a challenge");
            desk.forget_received();
        }
        Site { nas: Nas::new(address), agent, homes, desks, address, _hosts: None }
    }

    /// The agent again, on the state it left, after it has ended.
    fn restarted(self, config: &str) -> Site {
        let Site { nas, agent, homes, desks, address, _hosts } = self;
        let agent = Agent::start_in(agent.kill(), config, &[]);
        for desk in &desks {
            desk.forget_received();
        }
        Site { nas, agent, homes, desks, address, _hosts }
    }

    fn address(&self) -> IpAddr {
        self.address
    }

    fn status(&self) -> AgentStatus {
        status(self.agent.folder().path())
    }

    fn current(&self) -> String {
        self.status().current
    }

    /// A counter of refused notices, requests or anything else.
    fn count(&self, name: &str) -> u64 {
        let status = self.status();
        let found = [&status.notices, &status.requests, &status.counters, &status.switches]
            .into_iter()
            .find_map(|counts| counts.get(name));
        found.copied().unwrap_or(0)
    }

    /// Waits until a counter has reached `least`.
    fn until_count(&self, name: &str, least: u64) {
        within(SOON, name, || (self.count(name) >= least).then_some(()));
    }

    /// Asks as `user` and gives the place of the home server that answered.
    fn served_by(&self, user: &str) -> usize {
        let reply = self.nas.ask(user, 200, SOON);
        assert!(reply.is_some(), "{user} gets an answer:\n{}", self.agent.log());
        let home = self.homes.iter().position(|home| !home.heard_of(user).is_empty());
        home.expect("a home server has answered")
    }

    /// Waits until the home server at `place` has heard of `user`.
    fn heard(&self, place: usize, user: &str) -> Heard {
        within(SOON, user, || self.homes[place].heard_of(user).into_iter().next())
    }
}

/// Runs the test called `name` again, alone in a network namespace of its own that `setup` prepares; whether that was
/// possible. A program may make namespaces only with CAP_SYS_ADMIN.
fn in_a_network_of_its_own(name: &str, setup: &str) -> bool {
    if !privilege::may(Capability::CAP_SYS_ADMIN) {
        eprintln!("no CAP_SYS_ADMIN, so no network namespace: nothing to show");
        return false;
    }
    let script = format!("ip link set lo up && {setup} && exec \"$0\" \"$@\"");
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", &script])
        .arg(std::env::current_exe().expect("a test has a program file"))
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

/// Whether this is the test that [`in_a_network_of_its_own`] runs.
fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Set in a network namespace that a test has made for itself.
const INSIDE: &str = "FOREWARN_TEST_INSIDE";

fn socket(folder: &Path) -> PathBuf {
    control::path(&folder.join("state"))
}

fn status(folder: &Path) -> AgentStatus {
    let mut found = None;
    control::ask(&socket(folder), &Request::Status, SOON, |reply| {
        if let Reply::Status { status: Status::Agent(status) } = reply {
            found = Some(*status);
        }
    })
    .expect("the agent answers");
    found.expect("with its status")
}

/// Quick times, nothing that depends on the machine's rights.
fn configuration(address: IpAddr, homes: &[IpAddr]) -> String {
    let mut text = format!(
        r#"
[agent]
name = "agent"
identity = "{address}"
state_dir = "state"

[[listen]]
kind = "auth"
address = "{auth}"
secret = "{LOCAL_SECRET}"

[[listen]]
kind = "acct"
address = "{acct}"
secret = "{LOCAL_SECRET}"

[inbox]
transports = ["udp"]

[failover]
drain_conversations = "1s"

[reconnect]
ramp = "500ms"
"#,
        auth = SocketAddr::new(address, 1812),
        acct = SocketAddr::new(address, 1813),
    );
    for (index, home) in homes.iter().enumerate() {
        let key = NoticeDesk::key_text(*home);
        text.push_str(&format!(
            "\n[[server]]\nname = \"home-{index}\"\naddress = \"{home}\"\nsecret = \"{HOME_SECRET}\"\n\
             notice_key = \"{key}\"\n"
        ));
    }
    text
}
