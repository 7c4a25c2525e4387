//! A peer that authenticates again after its server has sent everybody away: what its certificate proved at the first
//! server counts at the other, whoever it was that switched.

use std::net::IpAddr;

use forewarn_tests::authority::Key;
use forewarn_tests::config::{self, LOCAL_SECRET, NOTICE_KEY, SECRET};
use forewarn_tests::{Agent, Hosts, Server, eventually};

use super::resumption::{KEYS, both, handshakes, version};
use super::tunnels::{METHODS, Site};

/// Two servers with the same key of tickets, both of which warn who is in front of them.
struct Pair {
    hosts: Hosts,
    site: Site,
    in_front: IpAddr,
    at: [IpAddr; 2],
    servers: [Server; 2],
}

impl Pair {
    fn start() -> Pair {
        let mut hosts = Hosts::claim();
        let (in_front, at) = (hosts.host(), [hosts.host(), hosts.host()]);
        let site = Site::new(Key::Ecdsa);
        let eap = site.eap("", KEYS);
        let start = |name, host| Server::start(&config::server(&hosts, name, host, &[in_front], &eap));
        let servers = [start("east", at[0]), start("west", at[1])];
        Pair { hosts, site, in_front, at, servers }
    }

    /// Authenticates twice; before the second time the first server is drained, and `has_left` says when whoever is in
    /// front has left it. Then it is put back.
    fn moves(&mut self, secret: &str, is_13: bool, has_left: impl Fn() -> bool + Sync) {
        let lines = format!("identity=\"alice\"\n{}", version(is_13));
        let peer = self.site.peer(METHODS[0], &self.site.alice, &lines);
        let [east, west] = &self.servers;
        let before = [handshakes(east), handshakes(west)];
        let said = both(self.hosts.host(), [self.in_front; 2], secret, &peer, || {
            assert!(east.forewarn(&["drain"]).status.success());
            eventually("the first server is left", || has_left().then_some(()));
        });
        assert!(said.success, "{}", said.text);
        let after = [handshakes(east), handshakes(west)];
        let seen: [_; 2] = std::array::from_fn(|at| (after[at].0 - before[at].0, after[at].1 - before[at].1));
        assert_eq!(seen, [(1, 0), (0, 1)], "whole at the first, resumed at the other: {}", said.text);
        assert!(east.forewarn(&["resume"]).status.success());
    }
}

#[test]
fn behind_an_agent_that_is_warned() {
    let mut pair = Pair::start();
    let [east, west] = pair.at;
    let agent = Agent::start(&config::agent(pair.in_front, &[("east", east), ("west", west)], ""));
    for is_13 in [false, true] {
        eventually("everything goes to the first", || {
            let status = agent.status();
            (status["current"] == "east" && status["servers"][0]["weight"].as_f64() >= Some(1.0))
                .then_some(())
        });
        pair.moves(LOCAL_SECRET, is_13, || {
            let status = agent.status();
            status["current"] == "west" && status["last_switch"]["cause"] == "notice"
        });
    }
}

#[test]
fn behind_a_proxy_that_is_warned() {
    let mut pair = Pair::start();
    let servers = ["east", "west"].iter().zip(pair.at).map(|(name, host)| {
        format!(
            "{{ name = \"{name}\", address = \"{host}\", secret = \"{SECRET}\", notice_key = \"{NOTICE_KEY}\" }},\n"
        )
    });
    let pool = format!(
        "[[pool]]\nname = \"home\"\nservers = [\n{}]\nreconnect = {{ ramp = \"500ms\" }}\n\
         [[realm]]\nmatch = \"NULL\"\npool = \"home\"\n",
        servers.collect::<String>()
    );
    let proxy = Server::start(&config::server(&pair.hosts, "proxy", pair.in_front, &[], &pool));
    let home = || proxy.status()["pools"][0].clone();
    for is_13 in [false, true] {
        eventually("everything goes to the first", || {
            let home = home();
            (home["current"] == "east" && home["servers"][0]["weight"].as_f64() >= Some(1.0)).then_some(())
        });
        pair.moves(SECRET, is_13, || {
            let home = home();
            home["current"] == "west" && home["last_switch"]["cause"] == "notice"
        });
    }
}
