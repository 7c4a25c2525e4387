//! Server, alternate, agent and NAS as machines of their own, with a network between them that can fail.

mod matrix;
mod nat;
mod replay;
mod wired;

use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use forewarn_proto::notice::Transport;
use forewarn_tests::network::{at_the_router, is_mine};
use forewarn_tests::stream::{Plan, Stream, Tally};
use forewarn_tests::{Agent, Folder, Host, Hosts, Network, Server, config, eventually, within};
use serde_json::Value;

/// No accept may come later than this in a failure that was foreseen.
const LATEST: Duration = Duration::from_millis(250);

/// Which addresses are used.
#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

/// Each program on a host of its own; the test is the NAS.
struct Site {
    agent: Agent,
    in_front: String,
    east: Server,
    _west: Server,
    at: [Host; 3],
    plan: Plan,
}

impl Site {
    /// Agents with the right to raw sockets or without; `transports` at both ends.
    fn open(family: Family, may_use_raw: bool, transports: &str, prepare: impl FnOnce(&[Host; 3])) -> Site {
        let mut network = Network::new();
        let at = [network.host(), network.host(), network.host()];
        prepare(&at);
        let address = |host: &Host| match family {
            Family::V4 => host.v4(),
            Family::V6 => host.v6(),
        };
        let [east, west, agent]: [IpAddr; 3] = std::array::from_fn(|place| address(&at[place]));
        let unused = Hosts::claim();
        let text = |name, host| {
            let text = config::server(&unused, name, host, &[agent], config::WELL);
            text.replace("[notice]\n", &format!("[notice]\ntransports = {transports}\n"))
        };
        let in_front = config::agent(agent, &[("east", east), ("west", west)], "")
            .replace("clients = [\"127.0.0.0/8\"]", &format!("clients = {:?}", Network::PREFIXES))
            .replace("[reconnect]\n", "[reconnect]\nafter = \"1s\"\n")
            .replace("[inbox]\n", &format!("[inbox]\ntransports = {transports}\n"));
        let site = Site {
            east: Server::start_on(&at[0], well(), &text("east", east)),
            _west: Server::start_on(&at[1], well(), &text("west", west)),
            agent: Agent::start_on(&at[2], may_use_raw, Folder::new(), &in_front),
            plan: Plan::through(agent),
            in_front,
            at,
        };
        eventually("the agent begins with its first server", || site.sends_to("east").then_some(()));
        site
    }

    /// Kills the agent and starts it again, on the state it left.
    fn restart_agent(&mut self) {
        let folder = self.agent.folder().path().to_owned();
        let kept = Folder::new();
        self.agent.signal("KILL");
        self.agent.ended();
        std::fs::rename(folder.join("state"), kept.path().join("state")).expect("on the same disk");
        self.agent = Agent::start_on(&self.at[2], true, kept, &self.in_front);
    }

    fn sends_to(&self, server: &str) -> bool {
        self.agent.status()["current"] == server
    }

    /// A stream that flows already.
    fn stream(&self, plan: Plan) -> Stream {
        let stream = Stream::start(plan);
        eventually("traffic flows", || {
            (self.agent.status()["servers"][0]["answered"].as_u64() > Some(100)).then_some(())
        });
        stream
    }

    fn is_home(&self) -> bool {
        let status = self.agent.status();
        let east = &status["servers"][0];
        status["current"] == "east" && east["standing"] == "usable" && east["weight"].as_f64() >= Some(1.0)
    }

    /// What the server knows of telling the agent.
    fn told(&self) -> Value {
        let status = self.east.status();
        let clients = status["clients"].as_array().expect("a list");
        clients.iter().find(|client| client["name"] == "agent-0").expect("the agent")["notice"].clone()
    }

    /// A drain and a resume that lose nothing; the transport of the first receipt.
    fn drains_and_resumes(&self) -> String {
        let stream = self.stream(self.plan.clone());
        let drained = self.east.forewarn(&["drain", "--wait"]);
        assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
        assert!(self.sends_to("west"));
        assert_eq!(self.agent.status()["last_switch"]["cause"], "notice");
        let transport = self.told()["transport"].as_str().expect("told").to_owned();
        assert!(self.east.forewarn(&["resume"]).status.success());
        eventually("the traffic comes back", || self.is_home().then_some(()));
        nothing_lost(&stream.finish());
        transport
    }
}

/// A folder in which the service is well.
fn well() -> Folder {
    let folder = Folder::new();
    folder.write("well", "");
    folder
}

fn nothing_lost(tally: &Tally) {
    assert_eq!((tally.lost, tally.forged), (0, 0), "{tally:?}");
    assert_eq!(tally.sent, tally.accepts + tally.accounted, "{tally:?}");
    assert!(tally.slowest <= LATEST, "{tally:?}");
}

#[test]
fn a_drain_is_told_by_icmp_from_host_to_host() {
    if is_mine("namespaces::a_drain_is_told_by_icmp_from_host_to_host") {
        let site = Site::open(Family::V4, true, "[\"icmp\"]", |_| {});
        assert_eq!(site.drains_and_resumes(), "icmp");
    }
}

#[test]
fn a_drain_is_told_by_icmp_over_ipv6() {
    if is_mine("namespaces::a_drain_is_told_by_icmp_over_ipv6") {
        let site = Site::open(Family::V6, true, "[\"icmp\"]", |_| {});
        assert_eq!(site.drains_and_resumes(), "icmp");
    }
}

#[test]
fn where_icmp_is_filtered_udp_carries_the_notice() {
    if is_mine("namespaces::where_icmp_is_filtered_udp_carries_the_notice") {
        let site =
            Site::open(Family::V4, true, "[\"icmp\", \"udp\"]", |[.., agent]| agent.filter(Transport::Icmp));
        assert_eq!(site.drains_and_resumes(), "udp");
    }
}

/// A raw socket is refused to it, a ping socket isn't.
fn told_by_echo_replies(family: Family) {
    let site = Site::open(family, false, "[\"icmp\"]", |[.., agent]| {
        agent.run("echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range");
    });
    assert_eq!(site.drains_and_resumes(), "icmp");
}

#[test]
fn a_drain_is_told_by_echo_replies_from_host_to_host() {
    if is_mine("namespaces::a_drain_is_told_by_echo_replies_from_host_to_host") {
        told_by_echo_replies(Family::V4);
    }
}

#[test]
fn a_drain_is_told_by_echo_replies_over_ipv6() {
    if is_mine("namespaces::a_drain_is_told_by_echo_replies_over_ipv6") {
        told_by_echo_replies(Family::V6);
    }
}

#[test]
fn a_question_that_one_transport_loses_goes_by_the_other() {
    if is_mine("namespaces::a_question_that_one_transport_loses_goes_by_the_other") {
        let site = Site::open(Family::V4, true, "[\"icmp\", \"udp\"]", |_| {});
        std::fs::remove_file(site.east.folder().path().join("well")).expect("it was well");
        eventually("the traffic moves", || site.sends_to("west").then_some(()));
        let by_icmp = site.agent.log().contains("east says by icmp: FAILOVER (reduction 100");
        let (lost, left) = if by_icmp { (Transport::Icmp, "udp") } else { (Transport::Udp, "icmp") };
        site.at[2].filter(lost);
        // Else it would take silence for leave to come back to a server that is overloaded.
        eventually("it is refused", || {
            assert!(site.sends_to("west"), "{}", site.agent.log());
            site.agent.log().contains(&format!("east says by {left}: REFUSED")).then_some(())
        });
    }
}

#[test]
fn an_agent_that_may_neither_open_raw_nor_ping_sockets_is_told_by_udp_and_says_so_once() {
    let name =
        "namespaces::an_agent_that_may_neither_open_raw_nor_ping_sockets_is_told_by_udp_and_says_so_once";
    if is_mine(name) {
        let site = Site::open(Family::V4, false, "[\"icmp\", \"udp\"]", |_| {});
        assert_eq!(site.drains_and_resumes(), "udp");
        let log = site.agent.log();
        assert_eq!(
            log.matches("CAP_NET_RAW").count(),
            log.matches("setcap cap_net_raw").count() * 2,
            "{log}"
        );
        assert_eq!(log.matches("setcap cap_net_raw").count(), 1, "{log}");
    }
}

#[test]
fn a_server_whose_cable_is_pulled_is_left_within_a_second_and_returned_to() {
    if is_mine("namespaces::a_server_whose_cable_is_pulled_is_left_within_a_second_and_returned_to") {
        let site = Site::open(Family::V4, true, "[\"icmp\", \"udp\"]", |_| {});
        let patient = Plan {
            repeat: Some(Duration::from_secs(2)),
            patience: Duration::from_secs(10),
            ..site.plan.clone()
        };
        let stream = site.stream(patient);
        let pulled = Instant::now();
        site.at[0].unplug();
        within(Duration::from_secs(3), "the traffic moves", || site.sends_to("west").then_some(()));
        let moved = pulled.elapsed();
        assert_eq!(site.agent.status()["last_switch"]["cause"], "dead");
        site.at[0].plug();
        eventually("the traffic comes back", || site.is_home().then_some(()));
        let tally = stream.finish();
        assert_eq!((tally.lost, tally.forged), (0, 0), "{tally:?}");
        assert!(moved <= Duration::from_secs(1), "moved after {moved:?}");
    }
}

/// Datagrams that want to go through the gateway, until it is dropped.
struct Outward(Child);

impl Outward {
    fn from(host: &Host) -> Outward {
        let prefix = host.prefix();
        let mut command = Command::new(&prefix[0]);
        command.args(&prefix[1..]).args([
            "bash",
            "-c",
            "while :; do echo >/dev/udp/fd98::1/9; sleep 0.1; done",
        ]);
        Outward(command.stderr(Stdio::null()).spawn().expect("bash is installed"))
    }
}

impl Drop for Outward {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_gateway_of_ipv6_that_falls_silent_is_a_reason_to_leave() {
    if is_mine("namespaces::a_gateway_of_ipv6_that_falls_silent_is_a_reason_to_leave") {
        let answers = |word: &str| at_the_router(&format!("ip -6 addr {word} fd99::77/64 dev switch nodad"));
        let site = Site::open(Family::V6, true, "[\"icmp\", \"udp\"]", |[east, ..]| {
            answers("add");
            // Asked sooner whether it is still there than the kernel's half a minute.
            east.run(
                "ip -6 route add default via fd99::77
                 echo 500 >/proc/sys/net/ipv6/neigh/eth0/base_reachable_time_ms
                 echo 1 >/proc/sys/net/ipv6/neigh/eth0/delay_first_probe_time",
            );
        });
        let _outward = Outward::from(&site.at[0]);
        let lost = || site.east.status().to_string().contains("gateway lost");
        assert!(!lost());
        answers("del");
        eventually("the traffic moves", || site.sends_to("west").then_some(()));
        assert!(lost(), "{}", site.east.status());
        answers("add");
        eventually("the traffic comes back", || site.is_home().then_some(()));
    }
}
