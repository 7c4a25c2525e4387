//! Home servers that warn the proxy in front of them: it obeys as an agent does.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use forewarn_tests::config::{self, NOTICE_KEY, SECRET};
use forewarn_tests::stream::{Plan, Stream, Tally};
use forewarn_tests::{Hosts, Server, eventually, within};
use serde_json::Value;

/// The proxy sends a request again after 1.8 s at the earliest (RFC 5080 section 2.2.1): what is answered sooner waited
/// for nobody's silence.
const LATEST: Duration = Duration::from_millis(1800);

struct Site {
    homes: Vec<Server>,
    proxy: Server,
    plan: Plan,
}

impl Site {
    /// Home servers and a proxy that has them as its pool `campus`, with `more` in each of both; `pool` is of the pool.
    fn open(homes: usize, pool: &str, home: &str) -> Site {
        let mut hosts = Hosts::claim();
        let proxy = hosts.host();
        let addresses: Vec<IpAddr> = (0..homes).map(|_| hosts.host()).collect();
        let name = |index: usize| format!("home-{}", index + 1);
        let servers: String = (0..homes)
            .map(|index| {
                format!(
                    "{{ name = \"{}\", address = \"{}\", secret = \"{SECRET}\", notice_key = \"{NOTICE_KEY}\" }},\n",
                    name(index),
                    addresses[index]
                )
            })
            .collect();
        let realms = format!(
            "[[pool]]\nname = \"campus\"\nservers = [\n{servers}]\n{pool}\n\
             failover = {{ drain_conversations = \"2s\" }}\nreconnect = {{ ramp = \"500ms\" }}\n\
             [[realm]]\nmatch = \"NULL\"\npool = \"campus\"\n"
        );
        let start = |index: usize| {
            let text = config::server(&hosts, &name(index), addresses[index], &[proxy], home);
            // On a busy machine they would warn of that, too.
            let calm = "processes = \"off\"\nqueue_delay = \"off\"\nworkers_busy = \"off\"";
            Server::start(&text.replace("processes = \"off\"", calm))
        };
        let homes = (0..homes).map(start).collect();
        let site = Site {
            homes,
            proxy: Server::start(&config::server(&hosts, "proxy", proxy, &[], &realms)),
            plan: Plan { secret: SECRET.to_owned(), ..Plan::through(proxy) },
        };
        eventually("the proxy begins with its first home server", || site.sends_to("home-1").then_some(()));
        site
    }

    fn pool(&self) -> Value {
        self.proxy.status()["pools"][0].clone()
    }

    fn sends_to(&self, home: &str) -> bool {
        self.pool()["current"] == home
    }

    fn home(&self, index: usize) -> Value {
        self.pool()["servers"][index].clone()
    }

    /// Each home server has said once what is in force, and answers.
    fn settled(&self) {
        eventually("traffic flows, and every home server has answered the challenge", || {
            let counters = self.proxy.status()["counters"].clone();
            let count = |kind: &str| counters[format!("proxy.notices.{kind}")].as_u64().unwrap_or(0);
            let heard = count("failover") + count("reconnect");
            (heard >= self.homes.len() as u64 && self.home(0)["answered"].as_u64() > Some(100)).then_some(())
        });
    }
}

fn nothing_lost(tally: &Tally) {
    assert_eq!((tally.lost, tally.forged), (0, 0), "{tally:?}");
    assert_eq!(tally.sent, tally.accepts + tally.accounted, "{tally:?}");
    assert!(tally.slowest <= LATEST, "{tally:?}");
}

fn micros(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a point in time, not {value}"))
}

#[test]
fn a_drain_at_home_loses_nothing_and_the_home_server_comes_back_in_its_slot() {
    let site = Site::open(2, "", "");
    let stream = Stream::start(site.plan.clone());
    site.settled();

    let drained = site.homes[0].forewarn(&["drain", "--wait"]);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    assert!(site.sends_to("home-2"));
    let switch = site.pool()["last_switch"].clone();
    assert_eq!((&switch["cause"], &switch["from"]), (&"notice".into(), &"home-1".into()), "{switch}");
    let moved = micros(&switch["first_request_at"]) - micros(&switch["caused_at"]);
    println!("microseconds from notice to first request: {moved}");
    assert_eq!(site.home(0)["standing"], "warned");
    // The home server knows that its proxy has gone.
    let told = |told: &str| {
        let clients = site.homes[0].status()["clients"].clone();
        let proxy =
            clients.as_array().and_then(|all| all.iter().find(|one| one["name"] == "agent-0").cloned());
        proxy.is_some_and(|proxy| proxy["notice"]["told"] == told && proxy["notice"]["outcome"] == "moved")
    };
    assert!(told("told"), "{}", site.homes[0].status()["clients"]);

    assert!(site.homes[0].forewarn(&["resume"]).status.success());
    eventually("it ramps", || (site.home(0)["standing"] == "returning").then_some(()));
    eventually("the traffic comes back", || {
        (site.sends_to("home-1") && site.home(0)["weight"].as_f64() >= Some(1.0)).then_some(())
    });
    let switch = site.pool()["last_switch"].clone();
    assert!(["invited", "notice-ended"].contains(&switch["cause"].as_str().unwrap_or("")), "{switch}");
    nothing_lost(&stream.finish());
    // The mark is on disk: what was obeyed can't be replayed after a restart.
    let marks = std::fs::read_to_string(site.proxy.folder().path().join("state/marks")).expect("the marks");
    assert_eq!(marks.lines().count(), 2, "{marks}");
}

#[test]
fn a_home_server_told_to_end_loses_nothing() {
    let mut site = Site::open(2, "", "");
    let stream = Stream::start(site.plan.clone());
    site.settled();
    site.homes[0].signal("TERM");
    assert!(site.homes[0].ended().success(), "{}", site.homes[0].log());
    assert!(site.sends_to("home-2"));
    assert_eq!(site.pool()["last_switch"]["cause"], "notice");
    nothing_lost(&stream.finish());
}

#[test]
fn kill_9_at_home_loses_nothing_for_a_nas_that_retransmits_and_moves_within_a_second() {
    let site = Site::open(2, "", "");
    let stream = Stream::start(Plan {
        repeat: Some(Duration::from_secs(2)),
        patience: Duration::from_secs(10),
        ..site.plan.clone()
    });
    site.settled();
    let killed = Instant::now();
    site.homes[0].signal("KILL");
    within(Duration::from_secs(3), "the traffic moves", || site.sends_to("home-2").then_some(()));
    let moved = killed.elapsed();
    let tally = stream.finish();
    assert_eq!(tally.lost, 0, "{tally:?}");
    assert!(moved <= Duration::from_secs(1), "moved after {moved:?}");
    assert_eq!(site.pool()["last_switch"]["cause"], "dead");
    println!("moved after {moved:?}; {tally:?}");
}
