//! Notice keys as operators have them: one for a whole network, two during a rotation, and not the same at both ends.

use std::net::IpAddr;
use std::time::Duration;

use forewarn_tests::config::{self, NOTICE_KEY};
use forewarn_tests::stream::{Plan, Stream};
use forewarn_tests::{Agent, Folder, Hosts, Server, eventually, within};
use serde_json::Value;

const OTHER_KEY: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

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

    fn server_text(&self, change: impl FnOnce(String) -> String) -> String {
        change(config::server(&self.hosts, "east", self.east, &[self.agent], ""))
    }

    /// The agent as one of a network of clients.
    fn with_a_network(&self, text: &str) -> String {
        let single = format!("name = \"agent-0\"\naddress = \"{}\"", self.agent);
        assert!(text.contains(&single));
        // The test's hosts without notices are a /24; a longer prefix goes before it.
        let network = self.hosts.prefix().replace("/24", "/28");
        text.replace(&single, &format!("name = \"branch\"\naddress = \"{network}\""))
    }

    fn west(&self) -> Server {
        Server::start(&config::server(&self.hosts, "west", self.west, &[self.agent], ""))
    }

    fn agent(&self, change: impl FnOnce(String) -> String) -> Agent {
        let servers = [("east", self.east), ("west", self.west)];
        let agent = Agent::start(&change(config::agent(self.agent, &servers, "")));
        eventually("the agent begins with its first server", || sends_to(&agent, "east").then_some(()));
        agent
    }
}

/// One key's line, replaced wherever it stands.
fn with_keys(text: &str, keys: &str) -> String {
    let line = format!("notice_key = \"{NOTICE_KEY}\"\n");
    assert!(text.contains(&line), "{text}");
    text.replace(&line, &format!("{keys}\n"))
}

fn sends_to(agent: &Agent, server: &str) -> bool {
    agent.status()["current"] == server
}

fn goes_and_comes(server: &Server, agent: &Agent) {
    let drained = server.forewarn(&["drain", "--wait"]);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    eventually("the traffic moves", || sends_to(agent, "west").then_some(()));
    assert_eq!(agent.status()["last_switch"]["cause"], "notice");
    assert!(server.forewarn(&["resume"]).status.success());
    eventually("the traffic comes back", || sends_to(agent, "east").then_some(()));
}

fn told(server: &Server, client: &str) -> Value {
    let status = server.status();
    let clients = status["clients"].as_array().expect("a list").clone();
    let found = clients.into_iter().find(|entry| entry["name"] == *client);
    found.unwrap_or_else(|| panic!("no client {client}: {status}"))["notice"].clone()
}

#[test]
fn an_agent_that_belongs_to_a_network_of_clients_is_told_by_its_own_key() {
    let site = Site::new();
    let east = Server::start(&site.server_text(|text| site.with_a_network(&text)));
    let _west = site.west();
    let agent = site.agent(|text| text);
    let stream = Stream::start(Plan { rate: 100, ..Plan::through(site.agent) });
    goes_and_comes(&east, &agent);
    goes_and_comes(&east, &agent);
    assert_eq!(stream.finish().lost, 0);
}

/// The server hears of it by its requests alone: the agent has no reason to say anything.
#[test]
fn an_overload_soon_after_a_restart_is_told_to_the_devices_of_a_network() {
    let site = Site::new();
    let well = "[[service]]\nname = \"it\"\nrole = \"mandatory\"\ninterval = \"20ms\"\nfall = 1\n\
                check = { kind = \"command\", command = [\"test\", \"-e\", \"well\"] }\n";
    let text = site.server_text(|text| site.with_a_network(&text) + well);
    let folder = Folder::new();
    folder.write("well", "");
    let east = Server::start_in(folder, &text, &[]);
    let _west = site.west();
    let agent = site.agent(|text| text);
    let east = Server::start_in(east.kill(), &text, &[]);
    let stream = Stream::start(Plan { rate: 100, ..Plan::through(site.agent) });
    eventually("requests reach it", || {
        (agent.status()["servers"][0]["answered"].as_u64() > Some(10)).then_some(())
    });
    std::fs::remove_file(east.folder().path().join("well")).expect("it was well");
    within(Duration::from_secs(2), "the traffic moves", || sends_to(&agent, "west").then_some(()));
    assert_eq!(agent.status()["last_switch"]["cause"], "notice");
    assert_eq!(stream.finish().lost, 0);
}

#[test]
fn keys_are_rotated_without_a_gap() {
    let both = |send: u8| {
        let key = |id: u8, key: &str| format!("{{ id = {id}, key = \"{key}\", send = {} }}", id == send);
        format!("notice_keys = [{}, {}]", key(1, NOTICE_KEY), key(2, OTHER_KEY))
    };
    let site = Site::new();
    let east = Server::start(&site.server_text(|text| text));
    let _west = site.west();
    // First the agent learns the new key too, then the server, which then signs with it; last the old one goes.
    let agent = site.agent(|text| with_keys(&text, &both(1)));
    goes_and_comes(&east, &agent);
    for keys in [both(1), both(2)] {
        east.rewrite(&site.server_text(|text| with_keys(&text, &keys)));
        assert!(east.forewarn(&["reload"]).status.success());
        goes_and_comes(&east, &agent);
    }
    drop(agent);
    let only_new = format!("notice_keys = [{{ id = 2, key = \"{OTHER_KEY}\" }}]");
    let agent = site.agent(|text| with_keys(&text, &only_new));
    goes_and_comes(&east, &agent);
}

#[test]
fn another_kind_of_mac_at_the_other_end_moves_nothing_and_is_counted() {
    let site = Site::new();
    let east = Server::start(&site.server_text(|text| text));
    let _west = site.west();
    let agent =
        site.agent(|text| with_keys(&text, &format!("notice_key = \"{NOTICE_KEY}\"\nnotice_mac = \"md5\"")));
    assert!(east.forewarn(&["drain"]).status.success());
    let refused = |agent: &Agent| agent.status()["notices"]["refused.bad-mac"].as_u64();
    eventually("it is counted", || (refused(&agent) > Some(0)).then_some(()));
    assert!(sends_to(&agent, "east"));
    assert_ne!(told(&east, "agent-0")["told"], "told");
}
