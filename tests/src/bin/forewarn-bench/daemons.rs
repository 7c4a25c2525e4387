//! The built programs under load.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use forewarn_tests::folder::Folder;
use forewarn_tests::load::{Kind, LoadError, Pace, Plan, Report, run};
use forewarn_tests::program::built;
use forewarn_tests::{Agent, Hosts, Server};

/// The secret between server and clients.
pub(crate) const SECRET: &str = "testing123testing123";
/// The secret between agent and NAS.
pub(crate) const LOCAL_SECRET: &str = "localsecretlocalsecret";

/// forewarnd at saturation, each kind of request.
pub(crate) fn server(duration: Duration) -> Result<(), LoadError> {
    let mut hosts = Hosts::claim();
    let (host, nas) = (hosts.host(), hosts.host());
    let server = Server::start(&server_config(host, &[nas]));
    for (name, kind, port) in KINDS {
        let plan = Plan {
            kind,
            from: Some(nas),
            duration,
            processes: vec![server.pid()],
            ..Plan::saturate(SocketAddr::new(host, port), SECRET)
        };
        show(&format!("forewarnd, {name}, closed loop of 4 ports x 32"), &run(&plan)?);
    }
    Ok(())
}

/// The same through the agent; its cost and the server's.
pub(crate) fn agent(duration: Duration) -> Result<(), LoadError> {
    let (_hosts, host, server, agent) = pair();
    for (name, kind, port) in [KINDS[0], KINDS[2]] {
        let plan = Plan {
            kind,
            duration,
            processes: vec![agent.pid(), server.pid()],
            ..Plan::saturate(SocketAddr::new(host, port), LOCAL_SECRET)
        };
        show(
            &format!("through forewarn-agent (first process), {name}, closed loop of 4 ports x 32"),
            &run(&plan)?,
        );
    }
    Ok(())
}

/// What a NAS sees on an ordinary day.
pub(crate) fn latency(duration: Duration) -> Result<(), LoadError> {
    let (_hosts, host, server, agent) = pair();
    let plan = Plan {
        pace: Pace::Rate(500.0),
        duration,
        processes: vec![agent.pid(), server.pid()],
        ..Plan::saturate(SocketAddr::new(host, 1812), LOCAL_SECRET)
    };
    show("through forewarn-agent, PAP, 500 requests per second", &run(&plan)?);
    Ok(())
}

/// What is to be copied to a device: the programs without their symbols, where `strip` is installed.
pub(crate) fn sizes() {
    let folder = Folder::new();
    for name in ["forewarnd", "forewarn-agent", "forewarn"] {
        let (whole, bare) = (built(name), folder.path().join(name));
        let stripped = Command::new("strip").arg("-o").arg(&bare).arg(&whole).status();
        let octets = |path| fs::metadata(path).map_or(0, |metadata| metadata.len()) as f64 / 1e6;
        match stripped.is_ok_and(|status| status.success()) {
            true => println!("{name:<16} {:>6.1} MB, {:.1} MB with symbols", octets(&bare), octets(&whole)),
            false => println!("{name:<16} {:>6.1} MB with symbols", octets(&whole)),
        }
    }
    println!();
}

/// A server and an agent before it, and where the agent listens.
fn pair() -> (Hosts, IpAddr, Server, Agent) {
    let mut hosts = Hosts::claim();
    let (home, host) = (hosts.host(), hosts.host());
    let server = Server::start(&server_config(home, &[host]));
    let agent = Agent::start(&agent_config(host, home));
    (hosts, host, server, agent)
}

fn show(name: &str, report: &Report) {
    println!("{name}\n{report}");
}

/// A server as one would run it, except that being saturated is no reason to warn anybody here.
pub(crate) fn server_config(host: IpAddr, clients: &[IpAddr]) -> String {
    let mut text = format!(
        r#"
[server]
name = "bench"
identity = "{host}"
state_dir = "state"

[[listen]]
kind = "auth"
transport = "udp"
address = "{host}:1812"

[[listen]]
kind = "acct"
transport = "udp"
address = "{host}:1813"

[[user]]
name = "alice"
password = "wonderland"
reply = {{ Session-Timeout = 3600, Reply-Message = "Hello, alice" }}

[health.limits]
workers_busy = "off"
queue_delay = "off"
memory = "off"
cpu = "off"
network = "off"
processes = "off"

[drain]
deadline = "1s"
"#
    );
    for (index, client) in clients.iter().enumerate() {
        text.push_str(&format!(
            "\n[[client]]\nname = \"client-{index}\"\naddress = \"{client}\"\nsecret = \"{SECRET}\"\n"
        ));
    }
    text
}

/// An agent with one server.
pub(crate) fn agent_config(host: IpAddr, home: IpAddr) -> String {
    format!(
        r#"
[agent]
name = "bench-agent"
identity = "{host}"
state_dir = "state"

[[listen]]
kind = "auth"
address = "{host}:1812"
clients = ["127.0.0.0/8"]
secret = "{LOCAL_SECRET}"

[[listen]]
kind = "acct"
address = "{host}:1813"
clients = ["127.0.0.0/8"]
secret = "{LOCAL_SECRET}"

[inbox]
udp = "{host}:3798"

[[server]]
name = "bench"
address = "{home}"
secret = "{SECRET}"
"#
    )
}

const KINDS: [(&str, Kind, u16); 4] = [
    ("PAP", Kind::Pap, 1812),
    ("CHAP", Kind::Chap, 1812),
    ("accounting", Kind::Acct, 1813),
    ("Status-Server", Kind::Status, 1812),
];
