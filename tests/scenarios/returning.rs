//! Every way back to a server that was left, with real agents, under each kind of MAC (docs/claims.md).

use std::net::IpAddr;
use std::time::Duration;

use forewarn_tests::stream::{Plan, Stream};
use forewarn_tests::{Agent, Folder, Hosts, Server, config, eventually};

/// `notice_mac`: kinds 1, 2 and 3 on the wire.
const MACS: [&str; 3] = ["hmac-md5", "hmac-sha256", "md5"];
/// Slots of four agents are 300 ms apart.
const WINDOW: &str = "1200ms";
/// What two slots next to each other may come closer by: a busy machine is no failure.
const APART: Duration = Duration::from_millis(100);

/// Hosts for two servers and some agents.
struct Site {
    hosts: Hosts,
    east: IpAddr,
    west: IpAddr,
    agents: Vec<IpAddr>,
    mac: &'static str,
}

impl Site {
    fn new(agents: usize, mac: &'static str) -> Site {
        let mut hosts = Hosts::claim();
        let (east, west) = (hosts.host(), hosts.host());
        let agents = (0..agents).map(|_| hosts.host()).collect();
        Site { hosts, east, west, agents, mac }
    }

    fn keyed(&self, text: &str) -> String {
        text.replace("notice_key = ", &format!("notice_mac = \"{}\"\nnotice_key = ", self.mac))
    }

    fn text(&self, name: &str) -> String {
        let host = if name == "east" { self.east } else { self.west };
        let text = config::server(&self.hosts, name, host, &self.agents, config::WELL);
        self.keyed(&text.replace("window = \"500ms\"", &format!("window = \"{WINDOW}\"")))
    }

    fn server(&self, name: &str) -> Server {
        self.server_with(Folder::new(), &self.text(name))
    }

    #[allow(clippy::unused_self, reason = "a server of this site")]
    fn server_with(&self, folder: Folder, text: &str) -> Server {
        folder.write("well", "");
        Server::start_in(folder, text, &[])
    }

    /// Its first server is east; it asks to come back after `after`.
    fn agent(&self, number: usize, after: &str) -> Agent {
        self.agent_of(number, after, [("east", self.east), ("west", self.west)])
    }

    fn agent_of(&self, number: usize, after: &str, servers: [(&str, IpAddr); 2]) -> Agent {
        let text = config::agent(self.agents[number], &servers, "");
        Agent::start(
            &self.keyed(&text.replace("[reconnect]\n", &format!("[reconnect]\nafter = \"{after}\"\n"))),
        )
    }

    /// All agents, which come back of their own accord only after long.
    fn all_agents(&self) -> Vec<Agent> {
        let agents: Vec<Agent> = (0..self.agents.len()).map(|number| self.agent(number, "10m")).collect();
        eventually("all begin with east", || agents.iter().all(|agent| is_at(agent, "east")).then_some(()));
        agents
    }
}

/// The same with each kind of MAC, at the same time.
fn with_each_mac(agents: usize, story: impl Fn(Site) + Sync) {
    std::thread::scope(|scope| {
        for mac in MACS {
            let story = &story;
            scope.spawn(move || story(Site::new(agents, mac)));
        }
    });
}

fn fail(server: &Server) {
    std::fs::remove_file(server.folder().path().join("well")).expect("it was well");
}

fn recover(server: &Server) {
    server.folder().write("well", "");
}

fn is_at(agent: &Agent, server: &str) -> bool {
    agent.status()["current"] == server
}

fn cause(agent: &Agent) -> String {
    agent.status()["last_switch"]["cause"].as_str().unwrap_or_default().to_owned()
}

fn state(server: &Server) -> String {
    server.status()["watch"]["state"].as_str().expect("a state").to_owned()
}

fn accepts(server: &Server) -> u64 {
    let status = server.status();
    let requests = status["requests"].as_object().expect("counts");
    let accepts = requests.iter().filter(|(name, _)| name.starts_with("access-accept"));
    accepts.filter_map(|(_, count)| count.as_u64()).sum()
}

fn all_leave(agents: &[Agent]) {
    eventually("all leave", || agents.iter().all(|agent| is_at(agent, "west")).then_some(()));
    for agent in agents {
        assert_eq!(cause(agent), "notice");
    }
}

/// When it moved last, since 1970.
fn decided_at(agent: &Agent) -> Duration {
    Duration::from_micros(agent.status()["last_switch"]["decided_at"].as_u64().expect("it has moved"))
}

/// When each of them decided to come back, in that order.
fn arrivals(agents: &[Agent]) -> Vec<Duration> {
    eventually("all come back", || agents.iter().all(|agent| is_at(agent, "east")).then_some(()));
    let mut times: Vec<Duration> = agents.iter().map(decided_at).collect();
    times.sort_unstable();
    times
}

/// Claims 19, 20, 25, 31 and 32: by the server's request, when it is better than its connection threshold; all of
/// them, one set now and another later, no two at one time.
#[test]
fn the_server_invites_all_each_at_a_time_of_its_own() {
    with_each_mac(4, |site| {
        let (east, _west) = (site.server("east"), site.server("west"));
        let agents = site.all_agents();
        fail(&east);
        all_leave(&agents);
        recover(&east);
        let came = arrivals(&agents);
        assert!(came.windows(2).all(|two| two[1] - two[0] >= APART), "{}: {came:?}", site.mac);
        for agent in &agents {
            assert_eq!(cause(agent), "invited", "{}", site.mac);
        }
        eventually("it serves again", || (state(&east) == "serving").then_some(()));
    });
}

/// Claims 8, 9, 10, 27 and 28: a proper subset of the clients, by list, device group or place, leaves and comes back;
/// the others never moved.
#[test]
fn some_leave_and_those_come_back() {
    some_leave(|_| "{ clients = [\"agent-0\", \"agent-2\"] }".to_owned());
    some_leave(|_| "{ groups = [\"wifi/branch-0\", \"*-2\"] }".to_owned());
    some_leave(|site| {
        let [first, _, third] = site.agents[..] else { panic!("three agents") };
        let north = format!("{{ name = \"campus/north\", networks = [\"{first}/32\", \"{third}/32\"] }}");
        format!("{{ topology = \"campus/north\" }}\n\n[topology]\nnodes = [{north}]")
    });
}

fn some_leave(audience: impl Fn(&Site) -> String + Sync) {
    with_each_mac(3, |site| {
        let text = site
            .text("east")
            .replace("\n[reconnect]", &format!("audience = {}\n\n[reconnect]", audience(&site)));
        let (east, _west) = (site.server_with(Folder::new(), &text), site.server("west"));
        let agents = site.all_agents();
        fail(&east);
        let left = |number: usize| is_at(&agents[number], "west");
        eventually("the two leave", || (left(0) && left(2)).then_some(()));
        recover(&east);
        eventually("they come back", || agents.iter().all(|agent| is_at(agent, "east")).then_some(()));
        assert_eq!([&agents[0], &agents[2]].map(cause), ["invited", "invited"]);
        assert!(agents[1].status()["last_switch"].is_null(), "{}: it never moved", site.mac);
    });
}

/// Claims 17 and 28: by the client's own request, refused with a delay while the server is away and granted as soon
/// as it serves; and only some of those that left: the others don't ask yet.
#[test]
fn a_client_that_asks_is_refused_while_away_and_granted_afterwards() {
    with_each_mac(2, |site| {
        // It invites nobody by itself before 50 s are over.
        let reluctant = site.text("east").replace("connection_after = 2", "connection_after = 1000");
        let (east, _west) = (site.server_with(Folder::new(), &reluctant), site.server("west"));
        let agents = [site.agent(0, "1s"), site.agent(1, "10m")];
        fail(&east);
        all_leave(&agents);
        let refused = |agent: &Agent| agent.status()["notices"]["accepted.refused"].as_u64() > Some(0);
        eventually("it is refused", || refused(&agents[0]).then_some(()));
        assert!(is_at(&agents[0], "west"), "a refusal is no invitation");
        let east = site.server_with(east.kill(), &reluctant);
        eventually("it is granted its request", || is_at(&agents[0], "east").then_some(()));
        assert_eq!(cause(&agents[0]), "invited", "{}", site.mac);
        assert!(is_at(&agents[1], "west"), "{}: it hasn't asked", site.mac);
        assert_eq!(state(&east), "serving");
    });
}

/// Claims 18 and 29: by a time-out configured on each client, each at a time of its own, though the server says
/// nothing any more.
#[test]
fn clients_come_back_by_their_own_time_outs() {
    with_each_mac(2, |site| {
        let (east, _west) = (site.server("east"), site.server("west"));
        let agents = [site.agent(0, "1s"), site.agent(1, "3s")];
        fail(&east);
        all_leave(&agents);
        // Whoever is no client for notices is neither invited nor answered.
        let text = site.text("east");
        let silent: Vec<&str> = text.lines().filter(|line| !line.starts_with("notice_")).collect();
        let _east = site.server_with(east.kill(), &silent.join("\n"));
        eventually("both come back", || agents.iter().all(|agent| is_at(agent, "east")).then_some(()));
        assert_eq!([&agents[0], &agents[1]].map(cause), ["after", "after"], "{}", site.mac);
        let [first, second] = [&agents[0], &agents[1]].map(decided_at);
        assert!(second >= first + Duration::from_secs(1), "{}: each at its own time", site.mac);
    });
}

/// Claim 16 with a client of somebody else's: the server invites who never was its own; one of two, and the other
/// stays where it is.
#[test]
fn a_server_invites_clients_that_never_were_its_own() {
    with_each_mac(2, |site| {
        let (east, _west) = (site.server("east"), site.server("west"));
        let others = [("west", site.west), ("east", site.east)];
        let agents = [0, 1].map(|number| site.agent_of(number, "10m", others));
        eventually("all begin with west", || agents.iter().all(|agent| is_at(agent, "west")).then_some(()));
        let invited = east.forewarn(&["invite", "--clients", "agent-0"]);
        assert!(invited.status.success(), "{}", String::from_utf8_lossy(&invited.stderr));
        eventually("it comes", || is_at(&agents[0], "east").then_some(()));
        assert!(is_at(&agents[1], "west"), "{}: it wasn't invited", site.mac);
        fail(&east);
        eventually("it goes home", || is_at(&agents[0], "west").then_some(()));
    });
}

/// A server that takes no new clients keeps its own and has nobody back until the operator says so.
#[test]
fn a_quiesced_server_keeps_its_clients_and_takes_none_back() {
    with_each_mac(2, |site| {
        let (east, _west) = (site.server("east"), site.server("west"));
        let agents = [site.agent(0, "10m"), site.agent(1, "1s")];
        fail(&east);
        all_leave(&agents);
        assert!(east.forewarn(&["quiesce"]).status.success());
        recover(&east);
        eventually("it is quiesced", || (state(&east) == "quiesced").then_some(()));
        let refused = |agent: &Agent| agent.status()["notices"]["accepted.refused"].as_u64() > Some(0);
        eventually("who asks is refused", || refused(&agents[1]).then_some(()));
        assert!(agents.iter().all(|agent| is_at(agent, "west")), "{}: nobody is taken back", site.mac);
        assert!(east.forewarn(&["resume"]).status.success());
        eventually("they come back", || agents.iter().all(|agent| is_at(agent, "east")).then_some(()));

        assert!(east.forewarn(&["quiesce"]).status.success());
        eventually("it is quiesced again", || (state(&east) == "quiesced").then_some(()));
        let stream = Stream::start(Plan { rate: 50, ..Plan::through(site.agents[0]) });
        let told =
            || [&agents[0], &agents[1]].map(|agent| agent.status()["notices"]["accepted.failover"].clone());
        let (told_before, before) = (told(), accepts(&east));
        eventually("its own are served", || (accepts(&east) > before).then_some(()));
        assert_eq!(stream.finish().lost, 0);
        assert_eq!(told(), told_before, "{}: it keeps its own", site.mac);
    });
}
