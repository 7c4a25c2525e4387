//! Three servers that tell each other their load: who is sent where, and what the operator does by hand.

use std::net::IpAddr;
use std::time::Duration;

use forewarn_tests::config::{self, NOTICE_KEY};
use forewarn_tests::stream::{Plan, Stream, Tally};
use forewarn_tests::{Agent, Folder, Hosts, Server, eventually, within};
use serde_json::Value;

/// Overloaded, but of use, while the file `calm` isn't in its folder.
const CALM: &str = r#"
[[service]]
name = "calm"
role = "dependent"
weight = 1.0
check = { kind = "command", command = ["test", "-e", "calm"] }
interval = "20ms"
fall = 1
rise = 1
hold_down = "100ms"
"#;
/// Requests a second through each agent.
const RATE: u32 = 60;
/// Two such agents fit into half of nine tenths of it, and not three: another server that sends its clients away may
/// want the other half.
const CAPACITY: &str = "capacity = 300";

struct Site {
    servers: Vec<Server>,
    agents: Vec<Agent>,
    hosts: Vec<IpAddr>,
    configs: Vec<String>,
    _hosts: Hosts,
}

const NAMES: [&str; 3] = ["east", "west", "north"];

impl Site {
    /// Agents that prefer east, then north, then west; and one client more, where none runs.
    fn open(agents: usize) -> Site {
        let mut hosts = Hosts::claim();
        let servers: Vec<IpAddr> = NAMES.iter().map(|_| hosts.host()).collect();
        let clients: Vec<IpAddr> = (0..=agents).map(|_| hosts.host()).collect();
        let config = |index: usize| {
            let capacity = if NAMES[index] == "west" { CAPACITY } else { "" };
            let peers = (0..3).filter(|&other| other != index).map(|other| {
                format!(
                    "[[peer]]\nname = \"{}\"\naddress = \"{}\"\nnotice_key = \"{}\"\n",
                    NAMES[other],
                    servers[other],
                    NOTICE_KEY.replace('0', if index + other == 1 { "a" } else { "b" }),
                )
            });
            let more =
                format!("{CALM}[peers]\ninterval = \"50ms\"\n{capacity}\n{}", peers.collect::<String>());
            let config = config::server(&hosts, NAMES[index], servers[index], &clients, &more);
            // What a busy machine delays is no part of this.
            config
                .replace("[health.limits]", "[health.limits]\nqueue_delay = \"off\"\nworkers_busy = \"off\"")
        };
        let configs: Vec<String> = (0..3).map(config).collect();
        let start = |config: &String| {
            let folder = Folder::new();
            folder.write("calm", "");
            Server::start_in(folder, config, &[])
        };
        let preferred = [("east", servers[0]), ("north", servers[2]), ("west", servers[1])];
        let site = Site {
            servers: configs.iter().map(start).collect(),
            agents: clients[..agents]
                .iter()
                .map(|host| Agent::start(&config::agent(*host, &preferred, "")))
                .collect(),
            hosts: clients,
            configs,
            _hosts: hosts,
        };
        eventually("all servers know each other", || {
            let knows = |server: &Server| {
                let status = server.status();
                status["peers"]
                    .as_array()
                    .is_some_and(|peers| peers.iter().all(|peer| peer["state"] == "open"))
            };
            site.servers.iter().all(knows).then_some(())
        });
        site
    }

    fn streams(&self) -> Vec<Stream> {
        let plan =
            |host: &IpAddr| Plan { rate: RATE, users: vec![("alice", "wonderland")], ..Plan::through(*host) };
        self.hosts[..self.agents.len()].iter().map(|host| Stream::start(plan(host))).collect()
    }

    /// With which server each agent is.
    fn currents(&self) -> Vec<String> {
        let current = |agent: &Agent| agent.status()["current"].as_str().unwrap_or("").to_owned();
        self.agents.iter().map(current).collect()
    }

    fn peer(&self, of: usize, name: &str) -> Value {
        let status = self.servers[of].status();
        let peers = status["peers"].as_array().expect("peers");
        peers.iter().find(|peer| peer["name"] == name).expect("a peer").clone()
    }

    fn client(&self, of: usize, name: &str) -> Value {
        let status = self.servers[of].status();
        let clients = status["clients"].as_array().expect("clients");
        clients.iter().find(|client| client["name"] == name).expect("a client").clone()
    }

    /// Tells a server something by the tool; what it printed, and whether it was done.
    fn forewarn(&self, server: usize, arguments: &[&str]) -> (String, bool) {
        let output = self.servers[server].forewarn(arguments);
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&said).into_owned(), output.status.success())
    }

    fn overload(&self, server: usize) {
        std::fs::remove_file(self.servers[server].folder().path().join("calm")).expect("it was calm");
    }
}

fn nothing_lost(tally: &Tally) {
    assert_eq!((tally.lost, tally.forged), (0, 0), "{tally:?}");
}

#[test]
fn no_server_is_sent_more_than_it_can_bear_and_none_that_is_overloaded_anybody() {
    let site = Site::open(4);
    let streams = site.streams();
    let asks = |agent: usize| site.client(0, &format!("agent-{agent}"))["rate"].as_f64().unwrap_or(0.0);
    within(Duration::from_secs(60), "it is known who asks how much", || {
        (0..4).all(|agent| asks(agent) > 48.0).then_some(())
    });
    site.overload(2);
    eventually("the others know of the overload", || {
        (site.peer(0, "north")["state"] == "leaving").then_some(())
    });
    let room = site.peer(0, "west")["headroom"].as_f64().expect("west has said its capacity");
    assert!((100.0..=135.0).contains(&room), "{room}");

    site.overload(0);
    eventually("two agents have moved", || {
        (site.currents().iter().filter(|current| *current == "west").count() == 2).then_some(())
    });
    eventually("the other two are known to stay", || {
        (site.servers[0].status()["watch"]["staying"] == 2).then_some(())
    });
    assert_eq!(site.currents().iter().filter(|current| *current == "east").count(), 2);
    let sent: Vec<Value> =
        (0..4).map(|agent| site.client(0, &format!("agent-{agent}"))["notice"]["to"].clone()).collect();
    assert_eq!(sent.iter().filter(|to| **to == "west").count(), 2, "{sent:?}");
    assert!(sent.iter().all(|to| to != "north"), "{sent:?}");
    let (page, _) = site.forewarn(0, &["status"]);
    assert!(page.contains("2 clients stay: no alternate has room for them"), "{page}");
    assert!(page.contains("leaving"), "{page}");

    // More room is found at the next look.
    site.servers[1].rewrite(&site.configs[1].replace(CAPACITY, "capacity = 1000"));
    assert!(site.forewarn(1, &["reload"]).1);
    eventually("all have moved", || site.currents().iter().all(|current| current == "west").then_some(()));
    assert_eq!(site.servers[0].status()["watch"]["staying"], 0);
    streams.into_iter().for_each(|stream| nothing_lost(&stream.finish()));
}

#[test]
fn the_operator_sends_clients_away_and_has_them_back() {
    let site = Site::open(2);
    eventually("both are with the first", || (site.currents() == ["east", "east"]).then_some(()));
    let streams = site.streams();
    let (said, done) = site.forewarn(0, &["shed", "--clients", "agent-0", "--to", "west"]);
    assert!(done && said.contains(&format!("agent-0 ({}): goes to west", site.hosts[0])), "{said}");
    assert_eq!(site.currents(), ["west", "east"]);
    let notice = site.client(0, "agent-0")["notice"].clone();
    assert_eq!((&notice["by_hand"], &notice["to"]), (&Value::Bool(true), &Value::from("west")), "{notice}");
    assert!(site.forewarn(0, &["status"]).0.contains("failover by hand"));

    // An overload comes and goes: the watch has its own back, and not the operator's.
    site.overload(0);
    eventually("the other has moved", || (site.currents()[1] != "east").then_some(()));
    site.servers[0].folder().write("calm", "");
    eventually("the other is back", || (site.currents()[1] == "east").then_some(()));
    eventually("it serves", || (site.servers[0].status()["watch"]["state"] == "serving").then_some(()));
    assert_eq!(site.currents(), ["west", "east"]);

    let (said, done) = site.forewarn(0, &["invite", "--group", "wifi/branch-0"]);
    assert!(done && said.contains("agent-0"), "{said}");
    eventually("it is back", || (site.currents() == ["east", "east"]).then_some(()));
    streams.into_iter().for_each(|stream| nothing_lost(&stream.finish()));
}

#[test]
fn clients_that_never_were_its_own_come_when_they_are_invited() {
    let site = Site::open(2);
    eventually("both are with the first", || (site.currents() == ["east", "east"]).then_some(()));
    let streams = site.streams();
    let (said, done) = site.forewarn(1, &["invite", "--clients", "agent-1"]);
    assert!(done, "{said}");
    eventually("it has come", || (site.currents() == ["east", "west"]).then_some(()));
    // A server that begins anew invites whoever left it; nobody has.
    eventually("it has all its traffic", || {
        let status = site.agents[1].status();
        let servers = status["servers"].as_array()?;
        let west = servers.iter().find(|server| server["name"] == "west")?;
        (west["weight"].as_f64() >= Some(1.0)).then_some(())
    });
    let (said, done) = site.forewarn(1, &["shed", "--clients", "agent-1"]);
    assert!(done, "{said}");
    eventually("it is home", || (site.currents() == ["east", "east"]).then_some(()));
    streams.into_iter().for_each(|stream| nothing_lost(&stream.finish()));
}

#[test]
fn who_was_not_told_is_shown() {
    let site = Site::open(1);
    let (said, done) = site.forewarn(0, &["shed", "--all"]);
    assert!(!done && said.contains(&format!("agent-1 ({}): gave no receipt", site.hosts[1])), "{said}");
    assert!(said.contains("1 of 2 clients gave no receipt"), "{said}");
    let (said, done) = site.forewarn(0, &["invite", "--clients", "agent-7"]);
    assert!(!done && said.contains("agent-7"), "{said}");
    let (said, done) = site.forewarn(0, &["shed", "--all", "--to", "south"]);
    assert!(!done && said.contains("west, north"), "{said}");
}

/// Requests that each of an agent's servers has answered, in the agent's order.
fn answered(agent: &Agent) -> Vec<f64> {
    let status = agent.status();
    let servers = status["servers"].as_array().expect("servers");
    servers.iter().map(|server| server["answered"].as_f64().expect("a count")).collect()
}

#[test]
fn a_part_of_the_traffic_moves_and_the_rest_if_that_was_not_enough() {
    let site = Site::open(1);
    eventually("it is with the first", || (site.currents() == ["east"]).then_some(()));
    let streams = site.streams();
    let reduced = |every: &str| {
        let keys = format!("[notice]\nreduction = \"40%\"\nshed_every = \"{every}\"\n");
        site.servers[0].rewrite(&site.configs[0].replace("[notice]\n", &keys));
        assert!(site.forewarn(0, &["reload"]).1);
    };
    reduced("1h");
    site.overload(0);
    let told = |what: &str| site.client(0, "agent-0")["notice"]["told"] == what;
    eventually("it is told", || told("told").then_some(()));
    let before = answered(&site.agents[0]);
    let moved = within(Duration::from_secs(20), "300 requests more", || {
        let now = answered(&site.agents[0]);
        let new: Vec<f64> = now.iter().zip(&before).map(|(now, before)| now - before).collect();
        let all: f64 = new.iter().sum();
        (all > 300.0).then(|| (all - new[0]) / all)
    });
    assert!((0.25..0.55).contains(&moved), "{moved}: about 40 % goes elsewhere");
    assert_eq!(site.currents(), ["east"], "most of it stays");

    // It is overloaded still: the rest follows.
    reduced("100ms");
    eventually("all of it has moved", || (site.currents() != ["east"]).then_some(()));
    site.servers[0].folder().write("calm", "");
    eventually("it is back", || (site.currents() == ["east"]).then_some(()));
    streams.into_iter().for_each(|stream| nothing_lost(&stream.finish()));
}
