//! The promise: a constant stream through the agent, and a server that goes. Nothing is lost when it could warn.

use std::process::Command;
use std::time::{Duration, Instant};

use forewarn_tests::config;
use forewarn_tests::stream::{Plan, Stream, Tally};
use forewarn_tests::{Agent, Folder, Hosts, Server, eventually, within};
use serde_json::Value;

/// No accept may come later than this in a failure that was foreseen.
const LATEST: Duration = Duration::from_millis(250);

/// Two servers and an agent; the checks of the first server's services wait for locks in its folder.
struct Site {
    east: Server,
    west: Server,
    agent: Agent,
    plan: Plan,
}

impl Site {
    fn open() -> Site {
        Site::with(&format!("\n[workers]\nmax = 8\n{}", holding_checks(8)))
    }

    fn with(more_east: &str) -> Site {
        let mut hosts = Hosts::claim();
        let (east, west, agent) = (hosts.host(), hosts.host(), hosts.host());
        let folder = Folder::new();
        std::fs::create_dir(folder.path().join("hold")).expect("a folder");
        let site = Site {
            east: Server::start_in(folder, &config::server(&hosts, "east", east, &[agent], more_east), &[]),
            west: Server::start(&config::server(&hosts, "west", west, &[agent], "")),
            agent: Agent::start(&config::agent(agent, &[("east", east), ("west", west)], "")),
            plan: Plan::through(agent),
        };
        eventually("the agent begins with its first server", || site.sends_to("east").then_some(()));
        site
    }

    /// Takes the locks of `count` checks: as many threads of the pool wait for them.
    fn hold(&self, count: usize) -> Vec<std::fs::File> {
        (0..count)
            .map(|index| {
                let file = std::fs::File::create(self.east.folder().path().join(format!("hold/{index}")))
                    .expect("a file of the test's own");
                file.lock().expect("nobody else holds it for long");
                file
            })
            .collect()
    }

    fn sends_to(&self, server: &str) -> bool {
        self.agent.status()["current"] == server
    }

    fn watch(&self) -> String {
        self.east
            .try_status()
            .map_or(String::new(), |status| status["watch"]["state"].as_str().unwrap_or("").to_owned())
    }

    fn is_home(&self) -> bool {
        let status = self.agent.status();
        let ramped = status["servers"].as_array().is_some_and(|servers| {
            servers.iter().any(|s| s["name"] == "east" && s["weight"].as_f64() >= Some(1.0))
        });
        status["current"] == "east" && ramped
    }
}

/// Checks of weightless services, each waiting for a lock: work that blocks threads of the pool.
fn holding_checks(count: usize) -> String {
    (0..count)
        .map(|index| {
            format!(
                "[[service]]\nname = \"hold-{index}\"\nrole = \"dependent\"\nweight = 0.0\ninterval = \"100ms\"\ntimeout = \"60s\"\n\
                 check = {{ kind = \"command\", command = [\"flock\", \"hold/{index}\", \"true\"] }}\n"
            )
        })
        .collect()
}

fn nothing_lost(tally: &Tally) {
    assert_eq!(tally.lost, 0, "{tally:?}");
    assert_eq!(tally.forged, 0, "{tally:?}");
    assert_eq!(tally.sent, tally.accepts + tally.accounted, "{tally:?}");
    assert!(tally.slowest <= LATEST, "{tally:?}");
}

fn micros(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a point in time, not {value}"))
}

#[test]
fn an_overload_loses_nothing_and_the_traffic_comes_back() {
    let site = Site::open();
    let stream = Stream::start(site.plan.clone());
    eventually("traffic flows", || {
        (site.agent.status()["servers"][0]["answered"].as_u64() > Some(100)).then_some(())
    });

    let held = site.hold(8);
    eventually("the traffic moves", || site.sends_to("west").then_some(()));
    assert_ne!(site.watch(), "serving");
    let switch = site.agent.status()["last_switch"].clone();
    assert_eq!(switch["cause"], "notice", "{switch}");

    drop(held);
    eventually("the traffic comes back", || site.is_home().then_some(()));
    nothing_lost(&stream.finish());
}

#[test]
fn a_drain_loses_nothing_and_resume_takes_the_clients_back() {
    let site = Site::open();
    let stream = Stream::start(site.plan.clone());
    eventually("traffic flows", || {
        (site.agent.status()["servers"][0]["answered"].as_u64() > Some(100)).then_some(())
    });

    let drained = site.east.forewarn(&["drain", "--wait"]);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    assert_eq!(site.watch(), "drained");
    assert!(site.sends_to("west"));

    assert!(site.east.forewarn(&["resume"]).status.success());
    eventually("the traffic comes back", || site.is_home().then_some(()));
    nothing_lost(&stream.finish());
}

#[test]
fn sigterm_loses_nothing() {
    let mut site = Site::open();
    let stream = Stream::start(site.plan.clone());
    eventually("traffic flows", || {
        (site.agent.status()["servers"][0]["answered"].as_u64() > Some(100)).then_some(())
    });

    site.east.signal("TERM");
    assert!(site.east.ended().success(), "{}", site.east.log());
    assert!(site.sends_to("west"));
    nothing_lost(&stream.finish());
}

#[test]
fn kill_9_loses_nothing_for_a_nas_that_retransmits_and_moves_within_a_second() {
    let site = Site::open();
    let stream = Stream::start(Plan {
        repeat: Some(Duration::from_secs(2)),
        patience: Duration::from_secs(10),
        ..site.plan.clone()
    });
    eventually("traffic flows", || {
        (site.agent.status()["servers"][0]["answered"].as_u64() > Some(100)).then_some(())
    });

    let killed = Instant::now();
    site.east.signal("KILL");
    within(Duration::from_secs(3), "the traffic moves", || site.sends_to("west").then_some(()));
    let moved = killed.elapsed();
    let tally = stream.finish();
    assert_eq!(tally.lost, 0, "{tally:?}");
    assert!(moved <= Duration::from_secs(1), "moved after {moved:?}");
}

#[test]
fn the_first_request_on_the_alternate_leaves_within_5_ms_of_the_notice() {
    let site = Site::open();
    let stream = Stream::start(site.plan.clone());
    eventually("traffic flows", || {
        (site.agent.status()["servers"][0]["answered"].as_u64() > Some(100)).then_some(())
    });

    // FOREWARN_SWITCHES=20 for a figure worth quoting.
    let switches = std::env::var("FOREWARN_SWITCHES").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let mut delays = Vec::new();
    for _ in 0..switches {
        assert!(site.east.forewarn(&["drain", "--wait"]).status.success());
        let switch = eventually("a request on the alternate", || {
            let switch = site.agent.status()["last_switch"].clone();
            (switch["to"] == "west" && !switch["first_request_at"].is_null()).then_some(switch)
        });
        delays.push(micros(&switch["first_request_at"]).saturating_sub(micros(&switch["caused_at"])));
        assert!(site.east.forewarn(&["resume"]).status.success());
        eventually("the traffic comes back", || site.is_home().then_some(()));
    }
    nothing_lost(&stream.finish());
    delays.sort_unstable();
    println!("microseconds from notice to first request: {delays:?}");
    assert!(delays[delays.len() / 2] <= 5_000, "microseconds from notice to first request: {delays:?}");
}

#[test]
fn rejects_move_nothing() {
    let site = Site::open();
    let mut plan = site.plan.clone();
    plan.users = vec![("alice", "not her password")];
    plan.accounting = 0;
    plan.rate = 50;
    let stream = Stream::start(plan);
    // Longer than the agent needs to call a server dead.
    let watched = Instant::now();
    while watched.elapsed() < Duration::from_secs(3) {
        assert!(site.sends_to("east"), "{}", site.agent.status());
        std::thread::sleep(Duration::from_millis(100));
    }
    let tally = stream.finish();
    assert_eq!((tally.lost, tally.accepts), (0, 0), "{tally:?}");
    assert_eq!(tally.others, tally.sent, "{tally:?}");
    assert_eq!(site.agent.status()["switches"].as_object().map(serde_json::Map::len).unwrap_or(0), 0);
}

#[test]
fn accounting_is_durable_once_answered() {
    let site = Site::open();
    let mut plan = site.plan.clone();
    plan.accounting = 1;
    let stream = Stream::start(plan);
    eventually("traffic flows", || {
        (site.agent.status()["servers"][0]["answered"].as_u64() > Some(300)).then_some(())
    });
    site.east.signal("KILL");
    eventually("the traffic moves", || site.sends_to("west").then_some(()));
    let tally = stream.finish();

    let mut sessions = std::collections::BTreeSet::new();
    for server in [&site.east, &site.west] {
        let found = Command::new("find")
            .arg(server.folder().path())
            .args(["-name", "*.sqlite", "-o", "-name", "*.db"])
            .output()
            .expect("find is everywhere");
        for path in String::from_utf8_lossy(&found.stdout).lines() {
            let database = rusqlite::Connection::open(path).expect("a database");
            let mut rows = database.prepare("SELECT acctsessionid FROM radacct").expect("the table");
            let rows = rows.query_map([], |row| row.get::<_, String>(0)).expect("rows");
            sessions.extend(rows.map(|row| row.expect("a session")));
        }
    }
    assert!(sessions.len() as u64 >= tally.accounted, "{} sessions stored, {tally:?}", sessions.len());
}
