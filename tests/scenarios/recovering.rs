//! Server and agent after one of them has lost its memory, its clock, or its life in the middle of things.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use forewarn_tests::stream::{Plan, Stream};
use forewarn_tests::{Agent, Folder, Hosts, Server, config, eventually, within};

/// Two who had lost touch are to agree again within this (by CHALLENGE, one a second at most).
const AGREED: Duration = Duration::from_secs(2);

/// What is needed to start each program, again and again.
struct Site {
    hosts: Hosts,
    east: IpAddr,
    west: IpAddr,
    agent: IpAddr,
}

impl Site {
    fn new() -> Site {
        let mut hosts = Hosts::claim();
        let (east, west, agent) = (hosts.host(), hosts.host(), hosts.host());
        Site { hosts, east, west, agent }
    }

    fn server(&self, name: &str, folder: Folder) -> Server {
        let host = if name == "east" { self.east } else { self.west };
        folder.write("well", "");
        Server::start_in(folder, &config::server(&self.hosts, name, host, &[self.agent], config::WELL), &[])
    }

    fn agent(&self, folder: Folder, environment: &[(&str, &str)]) -> Agent {
        let text = config::agent(self.agent, &[("east", self.east), ("west", self.west)], "");
        Agent::start_in(folder, &text, environment)
    }

    fn stream(&self) -> Stream {
        Stream::start(Plan { rate: 100, ..Plan::through(self.agent) })
    }
}

fn fail(server: &Server) {
    std::fs::remove_file(server.folder().path().join("well")).expect("it was well");
}

fn recover(server: &Server) {
    server.folder().write("well", "");
}

fn sends_to(agent: &Agent, server: &str) -> bool {
    agent.status()["current"] == server
}

fn is_home(agent: &Agent) -> bool {
    let status = agent.status();
    let east = &status["servers"][0];
    status["current"] == "east" && east["standing"] == "usable" && east["weight"].as_f64() >= Some(1.0)
}

/// The server drains, the agent leaves it by the notice; the server resumes, the agent returns.
fn goes_and_comes(server: &Server, agent: &Agent) {
    let drained = server.forewarn(&["drain", "--wait"]);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    eventually("the traffic moves", || sends_to(agent, "west").then_some(()));
    assert_eq!(agent.status()["last_switch"]["cause"], "notice");
    assert!(server.forewarn(&["resume"]).status.success());
    eventually("the traffic comes back", || is_home(agent).then_some(()));
}

/// libfaketime's file, whatever machine this is.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("every Debian has it").flatten();
    let found = folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.is_file());
    found.expect("Debian's package `faketime` is installed: `make test-packages`")
}

#[test]
fn an_agent_whose_clock_is_an_hour_slow_obeys_within_two_seconds() {
    obeys_with_its_clock_off_by("-3600");
}

#[test]
fn an_agent_whose_clock_is_an_hour_fast_obeys_within_two_seconds() {
    obeys_with_its_clock_off_by("+3600");
}

fn obeys_with_its_clock_off_by(seconds: &str) {
    let site = Site::new();
    let (east, _west) = (site.server("east", Folder::new()), site.server("west", Folder::new()));
    let library = faketime();
    let environment = [
        ("LD_PRELOAD", library.to_str().expect("a plain path")),
        ("FAKETIME", seconds),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let agent = site.agent(Folder::new(), &environment);
    let stream = site.stream();
    for _ in 0..2 {
        fail(&east);
        within(AGREED, "the traffic moves", || sends_to(&agent, "west").then_some(()));
        assert_eq!(agent.status()["last_switch"]["cause"], "notice");
        recover(&east);
        eventually("the traffic comes back", || is_home(&agent).then_some(()));
    }
    assert_eq!(stream.finish().lost, 0);
    assert!(agent.status()["notices"]["refused.stale"].as_u64() > Some(0), "its clock was off");
}

#[test]
fn a_server_that_lost_its_epoch_is_believed_within_two_seconds() {
    let site = Site::new();
    let folder = Folder::new();
    folder.write("state/epoch", "4000000000\n");
    let (east, _west) = (site.server("east", folder), site.server("west", Folder::new()));
    let agent = site.agent(Folder::new(), &[]);
    goes_and_comes(&east, &agent);

    let folder = east.kill();
    std::fs::remove_file(folder.path().join("state/epoch")).expect("it was kept");
    let east = site.server("east", folder);
    fail(&east);
    within(AGREED, "the traffic moves", || sends_to(&agent, "west").then_some(()));
    recover(&east);
    eventually("the traffic comes back", || is_home(&agent).then_some(()));
    goes_and_comes(&east, &agent);
}

#[test]
fn an_agent_that_lost_its_state_obeys() {
    let site = Site::new();
    let (east, _west) = (site.server("east", Folder::new()), site.server("west", Folder::new()));
    let agent = site.agent(Folder::new(), &[]);
    goes_and_comes(&east, &agent);
    drop(agent);
    let agent = site.agent(Folder::new(), &[]);
    goes_and_comes(&east, &agent);
}

/// As a device does whose clock was ahead when it last started, or stands still while it is off, and which keeps
/// nothing over a restart: its messages look older than what the server has had from it.
#[test]
fn an_agent_that_lost_its_state_and_starts_with_a_lower_epoch_is_heard_again() {
    let site = Site::new();
    let (east, _west) = (site.server("east", Folder::new()), site.server("west", Folder::new()));
    let folder = Folder::new();
    folder.write("state/epoch", "4000000000\n");
    let agent = site.agent(folder, &[]);
    goes_and_comes(&east, &agent);
    fail(&east);
    eventually("the traffic moves", || sends_to(&agent, "west").then_some(()));
    drop(agent);

    let agent = site.agent(Folder::new(), &[]);
    within(AGREED, "it learns that east is away", || sends_to(&agent, "west").then_some(()));
    within(AGREED, "its receipt counts", || {
        let clients = east.status()["clients"].as_array()?.clone();
        let client = clients.into_iter().find(|client| client["name"] == "agent-0")?;
        (client["notice"]["told"] == "told").then_some(())
    });
    recover(&east);
    eventually("the traffic comes back", || is_home(&agent).then_some(()));
    goes_and_comes(&east, &agent);
}

#[test]
fn an_agent_that_starts_in_the_middle_of_an_overload_learns_of_it() {
    let site = Site::new();
    let (east, _west) = (site.server("east", Folder::new()), site.server("west", Folder::new()));
    let agent = site.agent(Folder::new(), &[]);
    fail(&east);
    eventually("the traffic moves", || sends_to(&agent, "west").then_some(()));
    let folder = agent.kill();
    let agent = site.agent(folder, &[]);
    let started = Instant::now();
    within(AGREED, "it learns that east is away", || sends_to(&agent, "west").then_some(()));
    assert!(started.elapsed() < AGREED);
    recover(&east);
    eventually("the traffic comes back", || is_home(&agent).then_some(()));
}

#[test]
fn a_server_that_is_killed_and_restarted_while_its_agent_is_away_takes_it_back() {
    let site = Site::new();
    let (east, _west) = (site.server("east", Folder::new()), site.server("west", Folder::new()));
    let agent = site.agent(Folder::new(), &[]);
    let stream = site.stream();
    fail(&east);
    eventually("the traffic moves", || sends_to(&agent, "west").then_some(()));
    let _east = site.server("east", east.kill());
    eventually("the traffic comes back", || is_home(&agent).then_some(()));
    assert_eq!(stream.finish().lost, 0);
}

#[test]
fn nobody_is_without_a_server_when_all_are_overloaded() {
    let site = Site::new();
    let (east, west) = (site.server("east", Folder::new()), site.server("west", Folder::new()));
    let agent = site.agent(Folder::new(), &[]);
    let stream = site.stream();
    fail(&east);
    fail(&west);
    let warned = |place: usize| agent.status()["servers"][place]["standing"] == "warned";
    eventually("both have warned", || (warned(0) && warned(1)).then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    recover(&east);
    eventually("the traffic comes back", || is_home(&agent).then_some(()));
    recover(&west);
    let tally = stream.finish();
    assert_eq!((tally.lost, tally.forged), (0, 0), "{tally:?}");
}
