//! What befalls a world: one blow after another, then peace. And what must be answered all the same.

use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::notice::epoch_at_start;
use forewarn_proto::notice::issue::{Standing as Told, Told as Knows};
use forewarn_proto::pool::Kind;
use forewarn_proto::switch::{Alternates, Standing};
use forewarn_proto::watch::{DrainBy, Phase};
use forewarn_server::config::Audience;
use rand::RngExt;

use super::agenda::{Due, Host, about};
use super::names::{self, millis};
use super::network::{End, Link};
use super::server::Server;
use super::world::World;

/// After this long in peace everything is as it was in the beginning.
const PEACE_MAX: Duration = Duration::from_secs(600);
/// How often to look whether it is.
const LOOK: Duration = Duration::from_secs(5);
/// A NAS has given up everything asked before this.
const PATIENCE: Duration = Duration::from_secs(33);

impl World {
    /// Users all along, and one blow of fate after another.
    pub(crate) fn bad_day(&mut self, duration: Duration) {
        self.open();
        let after = about(self.setup.blows, self.rng.random());
        self.add(after, Due::Fate);
        self.run(duration);
        self.is_day = false;
    }

    /// Everybody is well, nobody stands still, the operator wants everybody back, and the network is fair.
    pub(crate) fn heal(&mut self) {
        for link in self.links.iter_mut().flatten() {
            *link = Link::FAIR;
        }
        for server in 0..self.servers.len() {
            let config = Arc::clone(&self.setup.servers[server].config);
            self.servers[server].reload(self.now, config);
            self.mend(server);
            self.resume(Host::Server(server));
            self.start(Host::Server(server));
            self.call_back(server);
        }
        for agent in 0..self.agents.len() {
            self.resume(Host::Agent(agent));
            self.start(Host::Agent(agent));
        }
        self.review();
    }

    /// The operator wants it back, if it was he who sent it away.
    fn call_back(&mut self, server: usize) {
        let by_operator = |phase| matches!(phase, Phase::Draining { .. } | Phase::Drained | Phase::Quiesced);
        if let Some(process) = &mut self.servers[server].process
            && by_operator(process.campaign.watch().phase())
        {
            process.campaign.resume(self.now);
        }
        self.settle_server(server);
    }

    /// The morning after: as long as it takes until everybody serves and every agent is where it belongs. Then new
    /// requests are answered.
    pub(crate) fn morning(&mut self) {
        self.heal();
        let end = self.now + PEACE_MAX;
        self.run(PATIENCE);
        while let Err(why) = self.is_settled() {
            assert!(self.now < end, "{why}, after {PEACE_MAX:?} in peace");
            self.run(LOOK);
            (0..self.servers.len()).for_each(|server| self.call_back(server));
        }
        self.check_all_ended();
        for agent in 0..self.agents.len() {
            let first = self.agents[agent].nas.asked.len();
            for kind in [Kind::Acct, Kind::Auth, Kind::Auth, Kind::Acct, Kind::Auth] {
                self.ask(agent, kind, None, None);
            }
            self.run(millis(3_000));
            let lost =
                self.agents[agent].nas.asked[first..].iter().filter(|asked| asked.replies.is_empty()).count();
            assert_eq!(lost, 0, "lost with everybody well and the weather fair");
        }
        self.run(PATIENCE);
        self.check_all_ended();
    }

    /// What a server says is in force is what its clients do, and that is nothing: all are back.
    fn is_settled(&self) -> Result<(), String> {
        for server in &self.servers {
            let Some(process) = &server.process else {
                return Err(format!("server {} is gone", server.index));
            };
            let phase = process.campaign.watch().phase();
            if phase != Phase::Serving {
                return Err(format!("server {} is {phase}", server.index));
            }
            for view in process.campaign.issuer().clients() {
                let agent = names::agent_at(view.identity.address());
                // One that couldn't be invited may have come back by itself; that is looked at below.
                let knows = matches!(view.told, Knows::Told { .. } | Knows::Nothing | Knows::NotTold { .. });
                if matches!(view.standing, Told::Leave(_)) || !knows {
                    return Err(format!(
                        "server {}: agent {agent}: {:?}, {:?}",
                        server.index, view.standing, view.told
                    ));
                }
            }
        }
        for agent in &self.agents {
            let Some(process) = &agent.process else { return Err(format!("agent {} is gone", agent.index)) };
            for id in process.upstream.pool().ids() {
                let standing = process.upstream.status(self.now, id).standing;
                if standing != Standing::Open {
                    return Err(format!("agent {}: {id}: {standing:?}", agent.index));
                }
            }
            let (current, _, _) = process.upstream.current();
            if current.index() != 0 {
                return Err(format!("agent {} is still with {current}", agent.index));
            }
        }
        Ok(())
    }

    /// Everything asked has ended: answered, or given up by the NAS; and nobody works on anything any more.
    fn check_all_ended(&mut self) {
        for agent in &mut self.agents {
            assert_eq!(agent.nas.open().count(), 0);
            let Some(process) = &agent.process else { continue };
            assert_eq!(process.upstream.in_flight(), 0);
            for server in process.upstream.pool().ids() {
                assert_eq!(process.upstream.status(self.now, server).outstanding, 0);
            }
        }
    }

    pub(crate) fn strike(&mut self) {
        let (agent, server) =
            (self.rng.random_range(0..self.agents.len()), self.rng.random_range(0..self.servers.len()));
        match self.rng.random_range(0..10) {
            0..=5 => self.strike_server(server),
            6 | 7 => self.strike_agent(agent),
            _ => self.strike_network(agent, server),
        }
        self.review();
    }

    fn strike_server(&mut self, index: usize) {
        let blow = self.rng.random_range(0..21);
        self.note("strike", Host::Server(index), blow);
        let (now, skew_ms, pause) = (self.now, self.skew(), self.pause());
        let server = &mut self.servers[index];
        match blow {
            0 | 1 => {
                server.process = None;
                server.stalled = None;
            }
            2 | 3 => return self.start(Host::Server(index)),
            4..=6 => server.condition.hangs = true,
            7 => server.condition.pace = millis(self.rng.random_range(50..400)),
            8 => server.condition.cpu = self.rng.random_range(0.6..1.0),
            9 => server.condition.mandatory_failed = true,
            10..=12 => self.mend(index),
            13 => server.drain(now, DrainBy::Operator),
            14 => server.drain(now, DrainBy::Shutdown),
            15 => {
                if let Some(process) = &mut server.process {
                    process.campaign.quiesce(now);
                }
            }
            16 => {
                if let Some(process) = &mut server.process {
                    process.campaign.resume(now);
                }
            }
            17 if server.is_at_work() => {
                server.stalled = Some(Vec::new());
                self.add(pause, Due::Resume(Host::Server(index)));
            }
            18 => server.skew_ms = skew_ms,
            // Epochs are seconds: who loses the last one and starts again within the same begins it twice.
            19 if server.epoch < Some(epoch_at_start(None, server.utc(now))) => server.epoch = None,
            20 => self.reload(index),
            _ => {}
        }
        self.settle_server(index);
    }

    /// Another configuration: other steps, and the last client leaves it or comes back.
    fn reload(&mut self, index: usize) {
        let server = &mut self.servers[index];
        let whole = &self.setup.servers[index].config;
        let mut config = (**whole).clone();
        if server.setup.config.clients.len() == whole.clients.len() {
            config.clients.pop();
        }
        config.notice.shed = [1.0, 0.5][self.rng.random_range(0..2)];
        server.reload(self.now, Arc::new(config));
    }

    fn strike_agent(&mut self, index: usize) {
        let blow = self.rng.random_range(0..8);
        self.note("strike", Host::Agent(index), blow);
        let (skew_ms, pause) = (self.skew(), self.pause());
        let agent = &mut self.agents[index];
        match blow {
            0..=2 => {
                (agent.process, agent.stalled) = (None, None);
                if blow == 1 {
                    agent.disk.marks.fill(None);
                }
                if blow == 2 {
                    agent.disk.epoch = None;
                }
                self.models[index] = None;
                let after = millis(self.rng.random_range(1..1_500));
                self.add(after, Due::Start(Host::Agent(index)));
            }
            3 | 4 if agent.is_at_work() => {
                agent.stalled = Some(Vec::new());
                self.add(pause, Due::Resume(Host::Agent(index)));
            }
            5 | 6 => agent.skew_ms = skew_ms,
            _ => {}
        }
        let timeout = self.agents[index].poll_timeout();
        self.agenda.arm(Host::Agent(index), timeout);
    }

    fn strike_network(&mut self, agent: usize, server: usize) {
        let blow = self.rng.random_range(0..10);
        self.note("strike the way to", Host::Server(server), blow);
        let may_storm = self.setup.may_storm;
        match blow {
            0 | 1 if may_storm => self.links[agent][server].storm(&mut self.rng),
            2 if may_storm => {
                for link in self.links.iter_mut().flatten() {
                    link.storm(&mut self.rng);
                }
            }
            3 => self.links[agent][server].cut = [true; 2],
            4 => self.links[agent][server].cut[self.rng.random_range(0..2)] = true,
            5 => self.links[agent][server].blocked[self.rng.random_range(0..2)] = true,
            6 => self.links[agent][server].blocked = [true; 2],
            7 | 8 => self.send_old(),
            _ => self.links[agent][server] = Link::FAIR,
        }
    }

    /// Something comes once more, as it was, falsified, or to somebody else.
    fn send_old(&mut self) {
        if self.old.is_empty() {
            return;
        }
        let mut parcel = self.old[self.rng.random_range(0..self.old.len())].clone();
        match self.rng.random_range(0..4) {
            0 => {
                let place = self.rng.random_range(0..parcel.octets.len());
                parcel.octets[place] ^= 1 << self.rng.random_range(0..8);
            }
            1 if parcel.to == End::Agent => parcel.agent = self.rng.random_range(0..self.agents.len()),
            _ => {}
        }
        self.add(Duration::ZERO, Due::Arrive(parcel));
    }

    fn mend(&mut self, index: usize) {
        let server = &mut self.servers[index];
        let (start, done) = (server.starts, server.thaw());
        let pace = server.setup.pace;
        server.condition = super::server::Condition { pace, hangs: false, cpu: 0.1, mandatory_failed: false };
        for job in done {
            self.add(Duration::ZERO, Due::Done { server: index, start, job });
        }
    }

    /// A clock is set: a little, by more than a notice's freshness, by an hour; or right.
    fn skew(&mut self) -> i64 {
        [0, 0, 5_000, -5_000, 45_000, -45_000, 3_600_000, -3_600_000][self.rng.random_range(0..8)]
    }

    fn pause(&mut self) -> Duration {
        millis([50, 300, 700, 2_000, 10_000][self.rng.random_range(0..5)])
    }

    pub(crate) fn good_servers(&self) -> u32 {
        let good = self.servers.iter().filter(|server| server.is_good());
        good.fold(0, |bits, server| bits | 1 << server.index)
    }

    /// The servers that can answer this agent's requests for sure, as bits: those that answer, are reached, and from
    /// which nothing keeps it. A server that answers Status-Server and nothing else keeps it, unless it says so.
    pub(crate) fn answerable(&self, agent: usize) -> u32 {
        let links = &self.links[agent];
        let is_lossy = links.iter().any(|link| link.loss_percent > 0);
        let keeps = self.servers.iter().any(|server| {
            let link = &links[server.index];
            let config = &server.setup.config.notice;
            let is_slow = server.condition.hangs || server.condition.pace != server.setup.pace;
            let is_client = agent < server.setup.config.clients.len();
            let tells =
                config.shed >= 1.0 && config.audience == Audience::All && is_client && link.is_whole();
            server.is_at_work() && is_slow && !link.is_cut() && !(tells && self.names_enough(agent, server))
        });
        if !self.agents[agent].is_at_work() || is_lossy || keeps {
            return 0;
        }
        let good = self.servers.iter().filter(|server| server.is_good() && !links[server.index].is_cut());
        good.fold(0, |bits, server| bits | 1 << server.index)
    }

    /// Whether a server that asks this agent to leave tells it where to go, if it goes nowhere else.
    fn names_enough(&self, agent: usize, server: &Server) -> bool {
        let only_named = self.agents[agent].config.upstream.switch.alternates == Alternates::Notice;
        let named = &server.setup.config.notice.alternates;
        let is_named = |other: &Server| {
            other.is_good() && named.iter().any(|one| one.address == names::server_address(other.index))
        };
        !only_named || self.servers.iter().any(is_named)
    }

    /// Something has changed: who can answer what waits.
    pub(crate) fn review(&mut self) {
        for agent in 0..self.agents.len() {
            let answerable = self.answerable(agent);
            self.agents[agent].nas.open().for_each(|(_, asked)| asked.answerable &= answerable);
        }
    }

    /// When a server could answer a request all the time it was waited for, it was answered.
    pub(crate) fn check_lost(&self, agent: usize, number: usize) {
        let asked = &self.agents[agent].nas.asked[number];
        let is_lost = asked.replies.is_empty() && !asked.is_replaced && !asked.in_conversation;
        assert!(
            !is_lost || asked.answerable == 0 || self.setup.may_lose,
            "request {number} of agent {agent}, of {:?}, was lost at {:?} though servers {:#b} could answer it",
            asked.at,
            self.now,
            asked.answerable
        );
    }
}
