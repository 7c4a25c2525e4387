//! Programs that stand still for a while, as on a machine that swaps or a hypervisor that takes its time; and an agent
//! that has been at work for long.

use std::time::{Duration, Instant};

use forewarn_tests::stream::{Plan, Stream};
use forewarn_tests::{Agent, Hosts, Nas, Server, config, eventually, within};

struct Site {
    east: Server,
    _west: Server,
    agent: Agent,
    plan: Plan,
}

impl Site {
    fn open() -> Site {
        let mut hosts = Hosts::claim();
        let (east, west, agent) = (hosts.host(), hosts.host(), hosts.host());
        // A busy machine is nobody's overload here.
        let server = |name, host| {
            config::server(&hosts, name, host, &[agent], "").replace(
                "[health.limits]\n",
                "[health.limits]\nqueue_delay = \"off\"\nworkers_busy = \"off\"\n",
            )
        };
        let site = Site {
            east: Server::start(&server("east", east)),
            _west: Server::start(&server("west", west)),
            agent: Agent::start(&config::agent(agent, &[("east", east), ("west", west)], "")),
            plan: Plan {
                rate: 200,
                repeat: Some(Duration::from_secs(1)),
                patience: Duration::from_secs(10),
                ..Plan::through(agent)
            },
        };
        eventually("the agent begins with its first server", || site.sends_to("east").then_some(()));
        site
    }

    fn stream(&self) -> Stream {
        let stream = Stream::start(self.plan.clone());
        eventually("traffic flows", || {
            (self.agent.status()["servers"][0]["answered"].as_u64() > Some(50)).then_some(())
        });
        stream
    }

    fn sends_to(&self, server: &str) -> bool {
        self.agent.status()["current"] == server
    }

    fn is_home(&self) -> bool {
        let status = self.agent.status();
        let east = &status["servers"][0];
        status["current"] == "east" && east["standing"] == "usable" && east["weight"].as_f64() >= Some(1.0)
    }

    /// Kilobytes resident, and descriptors open, of the agent.
    fn weight(&self) -> (u64, usize) {
        let process = format!("/proc/{}", self.agent.pid());
        let status = std::fs::read_to_string(format!("{process}/status")).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
        let kilobytes = resident.trim().trim_end_matches(" kB").parse().expect("a number");
        (kilobytes, std::fs::read_dir(format!("{process}/fd")).expect("it runs").count())
    }
}

#[test]
fn a_server_that_hangs_is_left_within_a_second_and_returned_to() {
    let site = Site::open();
    let stream = site.stream();
    let hung = Instant::now();
    site.east.signal("STOP");
    within(Duration::from_secs(3), "the traffic moves", || site.sends_to("west").then_some(()));
    let moved = hung.elapsed();
    std::thread::sleep(Duration::from_secs(1));
    site.east.signal("CONT");
    eventually("the traffic comes back", || site.is_home().then_some(()));
    let tally = stream.finish();
    assert_eq!((tally.lost, tally.forged, tally.others), (0, 0, 0), "{tally:?}");
    assert!(moved <= Duration::from_secs(1), "moved after {moved:?}");
}

#[test]
fn a_server_that_stood_still_warns_nobody_because_of_it() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    // What waited for two seconds is far past this; what a busy machine lets wait is not.
    let limits = "[health.limits]\nqueue_delay = \"800ms\"\nworkers_busy = \"off\"\n";
    let text = config::server(&hosts, "east", host, &[host], "").replace("[health.limits]\n", limits);
    let east = Server::start(&text);
    let standing = || {
        let watch = east.status()["watch"].clone();
        (watch["state"].clone(), watch["cause"].clone())
    };
    let read_at = || east.status()["load"]["read_at"].as_u64().expect("a time");
    eventually("it serves", || (standing().0 == "serving").then_some(()));
    let before = standing();
    let nas = Nas::with_secret(host, config::SECRET);
    east.signal("STOP");
    // Slow hashes: some of them still wait when readings count again.
    let requests: Vec<_> = (0..=255).map(|identifier| nas.access("bob", identifier, None)).collect();
    for request in &requests {
        nas.send_access(request);
    }
    std::thread::sleep(Duration::from_secs(2));
    east.signal("CONT");
    let resumed = read_at();
    eventually("readings of a second", || (read_at() > resumed + 1_000_000).then_some(()));
    assert_eq!(standing(), before);
    east.says("this process stood still for");
}

#[test]
fn an_agent_that_stood_still_blames_nobody() {
    let site = Site::open();
    let stream = site.stream();
    for _ in 0..3 {
        site.agent.signal("STOP");
        std::thread::sleep(Duration::from_millis(700));
        site.agent.signal("CONT");
        assert!(site.sends_to("east"));
    }
    let tally = stream.finish();
    assert_eq!((tally.lost, tally.forged), (0, 0), "{tally:?}");
    let switches = site.agent.status()["switches"].clone();
    assert_eq!(switches.as_object().map_or(0, serde_json::Map::len), 0, "{switches}");
}

#[test]
fn an_agent_neither_grows_nor_leaks_however_often_it_moves() {
    let site = Site::open();
    let stream = Stream::start(Plan { rate: 500, ..site.plan.clone() });
    let round = || {
        assert!(site.east.forewarn(&["drain", "--wait"]).status.success());
        eventually("the traffic moves", || site.sends_to("west").then_some(()));
        assert!(site.east.forewarn(&["resume"]).status.success());
        eventually("the traffic comes back", || site.is_home().then_some(()));
    };
    round();
    round();
    let (before, open) = site.weight();
    for _ in 0..4 {
        round();
    }
    let (after, still_open) = site.weight();
    assert_eq!(stream.finish().lost, 0);
    assert!(still_open <= open, "{open} descriptors, then {still_open}");
    // The table of duplicates fills for its first ten seconds: 500 requests a second, some hundred octets each.
    assert!(after < before + 2048, "{before} kB, then {after} kB");
}
