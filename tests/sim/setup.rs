//! The worlds there are: small ones by chance, for many seeds.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use forewarn_proto::switch::{self, Alternates};
use forewarn_proto::upstream;
use forewarn_server::config::{self, Audience, Config, NoticeKeyEntry, RequireMessageAuthenticator};
use forewarn_shell::config::Layers;
use ipnet::IpNet;
use rand::RngExt;
use rand::rngs::StdRng;

use super::agent;
use super::names::{self, millis};
use super::server;

/// Agents, servers, and how lively it gets.
pub(crate) struct Setup {
    pub(crate) agents: Vec<Arc<agent::Config>>,
    pub(crate) servers: Vec<server::Setup>,
    /// Mean time between two requests of one agent.
    pub(crate) every: Duration,
    /// Mean time between two blows of fate.
    pub(crate) blows: Duration,
    /// Whether the network ever loses anything.
    pub(crate) may_storm: bool,
    /// Requests that are lost are counted in the end, by whoever asks.
    pub(crate) may_lose: bool,
}

impl Setup {
    /// One to four agents, one to three servers.
    pub(crate) fn small(rng: &mut StdRng) -> Setup {
        let servers = [1, 2, 2, 3, 3][rng.random_range(0..5)];
        let agents = [1, 1, 1, 2, 2, 4][rng.random_range(0..6)];
        Setup {
            agents: (0..agents).map(|_| agent_config(rng, servers)).collect(),
            servers: (0..servers).map(|server| server_setup(rng, server, servers, agents)).collect(),
            every: millis(rng.random_range(150..600)),
            blows: millis(rng.random_range(700..4_000)),
            may_storm: rng.random_range(0..2) > 0,
            may_lose: false,
        }
    }
}

impl Setup {
    /// So many agents; three servers of these paces, of which the first is everybody's and names the others.
    pub(crate) fn crowd(agents: usize, every: Duration, paces: [Duration; 3]) -> Setup {
        let mut upstream = upstream_config();
        upstream.switch.ramp = millis(5_000);
        let agent = Arc::new(agent::Config { servers: 3, upstream, is_behind_nat: false });
        let server = |index: usize| {
            let mut config = named(index, agents);
            config.health.away_min = millis(10_000);
            let others = (0..3).filter(|&other| other != index);
            let alternate = |other| config::Alternate { address: names::server_address(other), weight: 0 };
            config.notice.alternates = others.map(alternate).collect();
            config.peers.list = peers(index, 3);
            config.peers.capacity = Some(paces[index].as_secs_f64().recip());
            server::Setup { config: Arc::new(config), pace: paces[index], rejects: 0, challenges: 0 }
        };
        Setup {
            agents: vec![agent; agents],
            servers: (0..3).map(server).collect(),
            every,
            blows: Duration::ZERO,
            may_storm: false,
            may_lose: true,
        }
    }
}

/// A table for few conversations and requests: a small world is set up often.
pub(crate) fn upstream_config() -> upstream::Config {
    upstream::Config { ports: 1, conversations: 64, in_flight: 200, ..upstream::Config::default() }
}

fn agent_config(rng: &mut StdRng, servers: usize) -> Arc<agent::Config> {
    let mut upstream = upstream_config();
    upstream.switch = switch::Config {
        alternates: match rng.random_range(0..6) {
            0 => Alternates::Configured,
            1 => Alternates::Notice,
            _ => Alternates::NoticeThenConfigured,
        },
        drain_conversations: millis(rng.random_range(500..10_000)),
        after: millis(rng.random_range(8_000..30_000)),
        ramp: millis(rng.random_range(500..8_000)),
        ..switch::Config::default()
    };
    Arc::new(agent::Config { servers, upstream, is_behind_nat: rng.random_range(0..6) == 0 })
}

fn server_setup(rng: &mut StdRng, server: usize, servers: usize, agents: usize) -> server::Setup {
    let mut config = named(server, agents);
    config.health.interval = millis([500, 1_000][rng.random_range(0..2)]);
    config.health.failover_after = rng.random_range(1..4);
    config.health.connection_after = rng.random_range(1..4);
    config.health.away_min = millis(rng.random_range(2_000..6_000));
    config.health.lead = [None, Some(millis(2_000)), Some(millis(8_000))][rng.random_range(0..3)];
    config.drain.deadline = millis(rng.random_range(1_000..6_000));
    config.reconnect.window = millis(rng.random_range(0..6_000));
    config.reconnect.rate = rng.random_range(1..50);
    config.notice.shed = [1.0, 1.0, 0.5, 0.3][rng.random_range(0..4)];
    config.notice.shed_every = millis(rng.random_range(1_000..3_000));
    config.notice.validity = millis(rng.random_range(1_000..40_000));
    config.notice.audience = match rng.random_range(0..8) {
        0 => Audience::Groups(vec!["even".into()]),
        1 => Audience::Farthest(0.5),
        _ => Audience::All,
    };
    let mut others: Vec<usize> = (0..servers).filter(|&other| other != server).collect();
    others.truncate(rng.random_range(0..=others.len()));
    if rng.random() {
        others.reverse();
    }
    let alternate = |&other: &usize| config::Alternate { address: names::server_address(other), weight: 0 };
    config.notice.alternates = others.iter().map(alternate).collect();
    if rng.random() {
        config.peers.list = peers(server, servers);
        config.peers.capacity = rng.random::<bool>().then(|| rng.random_range(1.0..40.0));
    }
    server::Setup {
        config: Arc::new(config),
        pace: Duration::from_micros(rng.random_range(50..5_000)),
        rejects: rng.random_range(0..6),
        challenges: rng.random_range(0..8),
    }
}

/// What a configuration file that says little amounts to; read once.
static PLAIN: LazyLock<Config> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let file: PathBuf = folder.path().join("server.toml");
    let text = "[server]\nname = \"a server\"\nidentity = \"192.0.2.11\"\nstate_dir = \"state\"\n\
                [[listen]]\nkind = \"auth\"\naddress = \"192.0.2.11:1812\"\n\
                [[client]]\nname = \"an agent\"\naddress = \"198.18.0.1\"\nsecret = \"testing123testing123\"\n";
    std::fs::write(&file, text).expect("writable");
    config::load(&Layers::file(&file)).unwrap_or_else(|errors| panic!("{errors}")).config
});

/// All others are peers of this server.
fn peers(server: usize, servers: usize) -> Vec<config::Peer> {
    let others = (0..servers).filter(|&other| other != server);
    let peer = |other| config::Peer {
        name: format!("server-{other}").into(),
        address: names::server_address(other),
        port: names::NOTICE_PORT,
        notice_keys: vec![NoticeKeyEntry { id: 1, key: names::peer_key(server, other), send: true }],
        capacity: None,
    };
    others.map(peer).collect()
}

/// The configuration of this server, with all agents as clients.
pub(crate) fn named(server: usize, agents: usize) -> Config {
    let mut config = PLAIN.clone();
    config.server.name = format!("server-{server}");
    config.server.identity = names::server_address(server);
    let plain = config.clients[0].clone();
    config.clients = (0..agents)
        .map(|agent| config::Client {
            name: format!("agent-{agent}").into(),
            network: IpNet::from(names::agent_address(agent)),
            key: names::secret(agent, server),
            group: if agent % 2 == 0 { "even" } else { "odd" }.into(),
            message_authenticator: RequireMessageAuthenticator::Yes,
            notice_keys: vec![NoticeKeyEntry { id: 1, key: names::notice_key(agent, server), send: true }],
            ..plain.clone()
        })
        .collect();
    config
}
