//! Three servers and the agents before them, each on a host of its own.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use forewarn_shell::control::{AgentStatus, ServerStatus, Status};

use crate::network::at_the_router;
use crate::wait::eventually;
use crate::{Agent, Folder, Host, Hosts, Network, Server, config};

use super::Event;
use super::cgroup::Cgroup;
use super::traffic::Plan;

/// Names of the servers, in the order that agents prefer them.
pub const SERVERS: [&str; 3] = ["east", "west", "south"];

/// A slow hash is to cost something, as if the user were somebody new each time.
pub(super) const HASHED_EACH_TIME: &str = "\n[limits]\nverified = \"0s\"\n";

/// The hosts, whatever runs on them.
#[derive(Debug)]
pub struct Campus {
    /// Three, at the first switch.
    pub servers: Vec<Host>,
    /// Where the agents are, and the NASes: at the second.
    pub edges: Vec<Host>,
    _network: Network,
}

impl Campus {
    /// Hosts for three servers and so many agents, with a router between them.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn new(agents: usize) -> Campus {
        let mut network = Network::new();
        Campus {
            servers: SERVERS.iter().map(|_| network.host()).collect(),
            edges: (0..agents).map(|_| network.edge()).collect(),
            _network: network,
        }
    }

    /// What the router does to packets between the switches from now on: rules of nftables for its forward hook. One
    /// string, one rule; none: it passes all.
    ///
    /// # Panics
    /// When nftables refuses them.
    pub fn fault(rules: &[&str]) {
        at_the_router("nft delete table inet fault 2>/dev/null || true");
        if rules.is_empty() {
            return;
        }
        let rules = rules.join("\n");
        let chain = format!("chain passing {{\ntype filter hook forward priority 0;\n{rules}\n}}");
        at_the_router(&format!("nft 'table inet fault {{\n{chain}\n}}'"));
    }
}

/// A program that is going to be started.
#[derive(Debug, Default)]
pub struct Program {
    /// Its configuration.
    pub config: String,
    /// Its environment besides.
    pub environment: Vec<(String, String)>,
    /// The program it runs under.
    pub under: Vec<String>,
    /// Its folder.
    pub folder: Folder,
}

impl Program {
    /// Lets it see another time of day, by libfaketime. Other clocks go on as they are.
    ///
    /// # Panics
    /// When libfaketime isn't installed.
    pub fn live_at(&mut self, offset: &str) {
        let library = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
            .map(|machine| format!("/usr/lib/{machine}/faketime/libfaketimeMT.so.1"))
            .into_iter()
            .find(|path| Path::new(path).is_file())
            .expect("libfaketime is installed: make test installs it");
        for (name, value) in
            [("LD_PRELOAD", library.as_str()), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]
        {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// What is going to run, and be sent.
#[derive(Debug)]
pub struct Setting {
    /// The servers.
    pub servers: Vec<Program>,
    /// The agents.
    pub agents: Vec<Program>,
    /// The NASes' requests.
    pub plan: Plan,
    /// Of the first server.
    pub cgroup: Option<Cgroup>,
}

impl Setting {
    /// Quick timers, everybody well.
    #[must_use]
    pub fn new(campus: &Campus, plan: Plan) -> Setting {
        let edges: Vec<IpAddr> = campus.edges.iter().map(Host::v4).collect();
        let unused = Hosts::claim();
        let servers = campus.servers.iter().zip(SERVERS).enumerate().map(|(number, (host, name))| {
            let config = config::server(&unused, name, host.v4(), &edges, HASHED_EACH_TIME)
                // The answer tells who gave it.
                .replace("Hello, alice", &format!("This is number {number}"));
            Program { config, ..Program::default() }
        });
        let servers = servers.collect();
        let agents = edges.iter().map(|edge| agent(campus, *edge, &[0, 1, 2])).collect();
        Setting { servers, agents, plan, cgroup: None }
    }

    /// Gives a server the service that [`Site::is_well`] has fail.
    pub fn with_service(&mut self, server: usize, service: &str) {
        let it = &mut self.servers[server];
        it.config.push_str(service);
        it.folder.write("well", "");
    }
}

/// An agent that prefers the servers in this order.
#[must_use]
pub fn agent(campus: &Campus, edge: IpAddr, order: &[usize]) -> Program {
    let servers: Vec<_> =
        order.iter().map(|&number| (SERVERS[number], campus.servers[number].v4())).collect();
    Program { config: config::agent(edge, &servers, ""), ..Program::default() }
}

/// All of it, running.
#[derive(Debug)]
pub struct Site<'c> {
    /// The hosts.
    pub campus: &'c Campus,
    /// The servers; one that has ended is none.
    pub servers: Vec<Option<Server>>,
    /// The agents.
    pub agents: Vec<Option<Agent>>,
    /// Of the first server.
    pub cgroup: Option<Cgroup>,
    /// Locks, processes and whatever else is to last until the end.
    pub kept: Vec<Box<dyn std::any::Any>>,
}

impl<'c> Site<'c> {
    /// Starts everything, side by side.
    ///
    /// # Panics
    /// When something doesn't come up, with its log.
    pub fn open(campus: &'c Campus, setting: Setting) -> Site<'c> {
        let servers: Vec<_> = setting
            .servers
            .into_iter()
            .zip(&campus.servers)
            .map(|(it, host)| Server::spawn_on(host, &it.under, it.folder, &it.config, &it.environment))
            .collect();
        let servers: Vec<_> = servers.into_iter().map(|server| Some(server.await_ready())).collect();
        let agents: Vec<_> = setting
            .agents
            .into_iter()
            .zip(&campus.edges)
            .map(|(it, host)| Agent::spawn_on(host, &it.under, it.folder, &it.config, &it.environment))
            .collect();
        let agents = agents.into_iter().map(|agent| Some(agent.await_ready())).collect();
        Site { campus, servers, agents, cgroup: setting.cgroup, kept: Vec::new() }
    }

    /// The server that everybody prefers.
    ///
    /// # Panics
    /// When it has ended.
    pub fn east(&self) -> &Server {
        self.servers[0].as_ref().expect("it runs")
    }

    /// Runs the operator's tool beside it, to a good end.
    ///
    /// # Panics
    /// When it has another.
    pub fn operate(&self, arguments: &[&str]) {
        let output = self.east().forewarn(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes a server's service fail, or well again.
    ///
    /// # Panics
    /// When the server has ended.
    pub fn is_well(&self, server: usize, well: bool) {
        let folder = self.servers[server].as_ref().expect("it runs").folder();
        if well {
            folder.write("well", "");
        } else {
            // Gone already is what is wanted.
            let _ = std::fs::remove_file(folder.path().join("well"));
        }
    }

    /// What a server says of itself.
    ///
    /// # Panics
    /// When it says nothing.
    #[must_use]
    pub fn server(&self, number: usize) -> ServerStatus {
        let server = self.servers[number].as_ref().expect("it runs");
        match eventually("a server's status", || server.asked()) {
            Status::Server(status) => *status,
            Status::Agent(_) => panic!("{} is an agent", SERVERS[number]),
        }
    }

    /// What the agents say of themselves, those that run.
    ///
    /// # Panics
    /// When one says nothing.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentStatus> {
        let status = |agent: &Agent| match eventually("an agent's status", || agent.asked()) {
            Status::Agent(status) => *status,
            Status::Server(_) => panic!("an agent is a server"),
        };
        self.agents.iter().flatten().map(status).collect()
    }

    /// Waits until every agent sends to the server it likes best.
    ///
    /// # Panics
    /// When one doesn't.
    pub fn everybody_is_home(&self) {
        eventually("every agent is at its first server", || {
            let home = |agent: &AgentStatus| {
                let first = &agent.servers[0];
                agent.current == first.name && first.standing == "usable" && first.weight >= 1.0
            };
            self.agents().iter().all(home).then_some(())
        });
    }

    /// Something began at that time that should have every client leave these servers: waits until they have, but not for
    /// ever. Whether they did is told by the traffic.
    #[must_use]
    pub fn left(&self, at: Instant, leave: &'static [usize]) -> Event {
        let is_there = |agent: &AgentStatus| leave.iter().any(|&number| agent.current == SERVERS[number]);
        while at.elapsed() < PATIENCE && self.agents().iter().any(is_there) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Event { at, leave }
    }

    /// What a server runs on.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn config(&self, server: usize) -> String {
        let folder = self.servers[server].as_ref().expect("it runs").folder();
        std::fs::read_to_string(folder.path().join("server.toml")).expect("it runs on it")
    }

    /// Kills a server and starts it again, in another environment, after a change to its folder.
    ///
    /// # Panics
    /// When it doesn't come up, with its log.
    pub fn restart_server(
        &mut self,
        number: usize,
        environment: &[(String, String)],
        change: impl FnOnce(&Path),
    ) {
        let config = self.config(number);
        let folder = self.servers[number].take().expect("it runs").kill();
        change(folder.path());
        let host = &self.campus.servers[number];
        let server = Server::spawn_on(host, &[], folder, &config, environment);
        self.servers[number] = Some(server.await_ready());
    }

    /// Kills an agent and starts it again, on what it left.
    ///
    /// # Panics
    /// When it doesn't come up, with its log.
    pub fn restart_agent(&mut self, number: usize) {
        let folder = self.agents[number].take().expect("it runs").kill();
        let config = std::fs::read_to_string(folder.path().join("agent.toml")).expect("it ran on it");
        let agent = Agent::spawn_on(&self.campus.edges[number], &[], folder, &config, &[]);
        self.agents[number] = Some(agent.await_ready());
    }

    /// Starts a program that ends with the site.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn keep_running(&mut self, program: &str, arguments: &[&str]) {
        let child = Command::new(program).args(arguments).stdin(Stdio::null()).spawn();
        self.kept.push(Box::new(Kept(child.expect("a program of every machine"))));
    }
}

/// How long clients may take to leave; longer than anybody promises.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that ends with the site.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        Campus::fault(&[]);
        for host in &self.campus.servers {
            host.repair();
        }
    }
}
