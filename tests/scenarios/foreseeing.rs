//! What is coming: a server that warns before its limit is reached, and what an operator's own load makes of a reading.

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::{Agent, Folder, Hosts, Nas, Server, eventually};

/// The only thread of the pool waits for a lock as long as the test holds that: whoever needs the thread waits, each
/// second a second longer.
const HOLDS: &str = r#"
[workers]
max = 1

[[service]]
name = "hold"
role = "dependent"
weight = 0.0
interval = "50ms"
timeout = "60s"
check = { kind = "command", command = ["flock", "hold", "true"] }
"#;

#[test]
fn a_queue_that_grows_is_warned_of_before_its_limit() {
    let mut hosts = Hosts::claim();
    let (east_at, west_at, agent_at) = (hosts.host(), hosts.host(), hosts.host());
    let text = config::server(&hosts, "east", east_at, &[agent_at], HOLDS)
        .replace("[health]\n", "[health]\nlead = \"2s\"\n")
        .replace("[health.limits]\n", "[health.limits]\nqueue_delay = \"6s\"\nworkers_busy = \"off\"\n");
    let east = Server::start_in(Folder::new(), &text, &[]);
    let _west = Server::start(&config::server(&hosts, "west", west_at, &[agent_at], ""));
    let agent = Agent::start(&config::agent(agent_at, &[("east", east_at), ("west", west_at)], ""));
    let sends_to = |server: &str| agent.status()["current"] == server;
    eventually("the agent begins with its first server", || sends_to("east").then_some(()));

    let held = std::fs::File::create(east.folder().path().join("hold")).expect("a file of the test's own");
    held.lock().expect("nobody else holds it for long");
    eventually("the check waits for it", || {
        let parameters = east.status()["load"]["parameters"].clone();
        let workers = parameters.as_array()?.iter().find(|row| row["name"] == "workers_busy")?.clone();
        (workers["value"] == "1 of 1").then_some(())
    });
    let nas = Nas::with_secret(east_at, SECRET);
    // Bob's password is hashed slowly, which is work for the thread that isn't free.
    nas.send_access(&nas.access("bob", 1, None));
    eventually("the traffic moves", || sends_to("west").then_some(()));
    let status = east.status();
    let cause = status["watch"]["cause"].as_str().expect("a sentence");
    assert!(cause.starts_with("queue delay will be too high in"), "{cause}");
    assert!(status["load"]["value"].as_f64() < Some(0.9), "not there yet: {}", status["load"]);
    assert_eq!(status["watch"]["foreseen"]["warnings"], 1);

    eventually("it was right", || (east.status()["watch"]["foreseen"]["confirmed"] == 1).then_some(()));
    drop(held);
    eventually("the traffic comes back", || sends_to("east").then_some(()));
}

#[test]
fn an_operators_own_load_warns_and_one_that_is_no_number_is_counted() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let folder = Folder::new();
    folder.write("well", "");
    let service = config::WELL.replace("mandatory", "dependent");
    let expression = "service[\"it\"].failed ? 0.95 : 1 / reading.links_down";
    let text = config::server(&hosts, "east", host, &[], &service)
        .replace("[health]\n", &format!("[health]\nload = '{expression}'\n"));
    let server = Server::start_in(folder, &text, &[]);
    let load = eventually("a reading is expressed", || {
        let load = server.status()["load"].clone();
        (load["expression_failures"].as_u64() > Some(1)).then_some(load)
    });
    assert_eq!(load["expression"], expression);
    assert_eq!(server.status()["watch"]["state"], "serving", "the worst parameter counts: {load}");
    assert_eq!(server.log().matches("the load expression").count(), 1, "{}", server.log());

    std::fs::remove_file(server.folder().path().join("well")).expect("it was well");
    eventually("it warns", || (server.status()["watch"]["state"] == "away").then_some(()));
    let cause = server.status()["watch"]["cause"].clone();
    assert!(cause.as_str().is_some_and(|cause| cause.contains("by load expression")), "{cause}");
}
