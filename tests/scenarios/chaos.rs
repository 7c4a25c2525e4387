//! Servers that fail in any order, one at a time: a NAS that retransmits notices nothing.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use forewarn_tests::stream::{Plan, Stream};
use forewarn_tests::{Agent, Folder, Hosts, Server, config, eventually};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(5);

struct Site {
    hosts: Hosts,
    addresses: [IpAddr; 2],
    agent: IpAddr,
}

impl Site {
    fn start(&self, place: usize, folder: Folder) -> Server {
        folder.write("well", "");
        let name = ["east", "west"][place];
        let text = config::server(&self.hosts, name, self.addresses[place], &[self.agent], config::WELL);
        Server::start_in(folder, &text, &[])
    }
}

#[test]
fn whatever_befalls_one_server_at_a_time_loses_nothing() {
    let seed = std::env::var("FOREWARN_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| rand::rng().next_u64());
    eprintln!("FOREWARN_TEST_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);

    let mut hosts = Hosts::claim();
    let (addresses, agent) = ([hosts.host(), hosts.host()], hosts.host());
    let site = Site { hosts, addresses, agent };
    let mut servers = [0, 1].map(|place| Some(site.start(place, Folder::new())));
    let text = config::agent(agent, &[("east", addresses[0]), ("west", addresses[1])], "");
    let agent = Agent::start(&text);
    let stream = Stream::start(Plan {
        rate: 200,
        repeat: Some(Duration::from_secs(2)),
        patience: Duration::from_secs(8),
        ..Plan::through(site.agent)
    });

    let started = Instant::now();
    while started.elapsed() < TROUBLE {
        let place = rng.random_range(0..2);
        let pause = Duration::from_millis(rng.random_range(50..900));
        let Some(server) = servers[place].take() else { continue };
        let trouble = rng.random_range(0..4);
        eprintln!("{:?}: trouble {trouble} at {place} for {pause:?}", started.elapsed());
        let server = match trouble {
            0 => {
                std::fs::remove_file(server.folder().path().join("well")).expect("it was well");
                std::thread::sleep(pause);
                server.folder().write("well", "");
                server
            }
            1 => {
                let folder = server.kill();
                std::thread::sleep(pause);
                site.start(place, folder)
            }
            2 => {
                server.signal("STOP");
                std::thread::sleep(pause);
                server.signal("CONT");
                server
            }
            _ => {
                assert!(server.forewarn(&["drain"]).status.success());
                std::thread::sleep(pause);
                assert!(server.forewarn(&["resume"]).status.success());
                server
            }
        };
        servers[place] = Some(server);
    }
    eventually("the traffic comes home", || {
        let status = agent.status();
        let east = &status["servers"][0];
        (status["current"] == "east" && east["standing"] == "usable").then_some(())
    });
    let tally = stream.finish();
    assert_eq!((tally.lost, tally.forged, tally.others), (0, 0, 0), "{tally:?}\n{}", agent.log());
}
