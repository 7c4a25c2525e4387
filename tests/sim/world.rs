//! All hosts, and the order in which things happen. After each step what must hold is checked.

use std::time::Duration;

use forewarn_proto::pool::Kind;
use forewarn_proto::time::Instant;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::agenda::{Agenda, Due, Host, about};
use super::agent::{self, Agent};
use super::ledger::Ledger;
use super::model::Model;
use super::nas::{AGAIN, Number};
use super::network::{End, Link, Parcel};
use super::server::{self, Server};
use super::setup::Setup;

/// Datagrams remembered, to come once more.
const OLD_MAX: usize = 64;
/// Steps without any time passing.
const STEPS_MAX: usize = 100_000;

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) rng: StdRng,
    pub(crate) setup: Setup,
    pub(crate) agents: Vec<Agent>,
    pub(crate) models: Vec<Option<Model>>,
    pub(crate) servers: Vec<Server>,
    /// By agent and server.
    pub(crate) links: Vec<Vec<Link>>,
    pub(crate) agenda: Agenda,
    pub(crate) ledger: Ledger,
    pub(crate) old: Vec<Parcel>,
    /// Users come, and fate strikes.
    pub(crate) is_day: bool,
    pub(crate) is_loud: bool,
    /// One number for each thing that happened.
    pub(crate) trace: Vec<u64>,
    /// Servers that answered at the last look, as bits.
    pub(crate) good: u32,
}

impl World {
    pub(crate) fn new(seed: u64, setup: impl FnOnce(&mut StdRng) -> Setup, is_loud: bool) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let setup = setup(&mut rng);
        let (agents, servers) = (setup.agents.len(), setup.servers.len());
        let mut world = World {
            now: Instant::from_millis(1_000),
            rng,
            agents: setup
                .agents
                .iter()
                .enumerate()
                .map(|(index, config)| Agent::new(index, config.clone()))
                .collect(),
            models: (0..agents).map(|_| None).collect(),
            servers: setup
                .servers
                .iter()
                .enumerate()
                .map(|(index, setup)| Server::new(index, setup.clone()))
                .collect(),
            links: vec![vec![Link::FAIR; servers]; agents],
            agenda: Agenda::default(),
            ledger: Ledger::default(),
            old: Vec::new(),
            is_day: false,
            is_loud,
            trace: Vec::new(),
            good: 0,
            setup,
        };
        for server in 0..servers {
            world.start(Host::Server(server));
        }
        for agent in 0..agents {
            world.start(Host::Agent(agent));
        }
        world
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut steps = 0;
        while let Some((at, due)) = self.agenda.next(end) {
            steps = if at > self.now { 0 } else { steps + 1 };
            assert!(steps < STEPS_MAX, "somebody's deadline never passes");
            self.now = self.now.max(at);
            self.happen(due);
        }
        self.now = end;
    }

    pub(crate) fn add(&mut self, after: Duration, due: Due) {
        self.agenda.add(self.now + after, due);
    }

    /// Users come to every agent from now on.
    pub(crate) fn open(&mut self) {
        self.is_day = true;
        for agent in 0..self.agents.len() {
            let after = about(self.setup.every, self.rng.random());
            self.add(after, Due::Traffic { agent });
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Arrive(parcel) => self.arrive(parcel),
            Due::Done { server, start, job } => self.at_server(server, server::Arrival::Done { start, job }),
            Due::Load { server, via, octets } => {
                self.at_server(server, server::Arrival::Load { via, octets });
            }
            Due::Ask { agent, number } => self.try_to_ask(agent, number),
            Due::AtNas { agent, number, octets } => self.handle_answer(agent, number, &octets),
            Due::Traffic { agent } if self.is_day => {
                self.ask_anything(agent);
                let after = about(self.setup.every, self.rng.random());
                self.add(after, Due::Traffic { agent });
            }
            Due::Fate if self.is_day => {
                self.strike();
                let after = about(self.setup.blows, self.rng.random());
                self.add(after, Due::Fate);
            }
            Due::Traffic { .. } | Due::Fate => {}
            Due::Resume(host) => self.resume(host),
            Due::Start(host) => self.start(host),
            Due::Timer(Host::Agent(agent)) => self.handle_agent_timeout(agent),
            Due::Timer(Host::Server(server)) => self.settle_server(server),
        }
    }

    fn arrive(&mut self, parcel: Parcel) {
        match parcel.to {
            End::Agent => self.at_agent(parcel.agent, agent::Arrival::Parcel(parcel)),
            End::Server => self.at_server(parcel.server, server::Arrival::Parcel(parcel)),
        }
    }

    /// Starts a process that doesn't run.
    pub(crate) fn start(&mut self, host: Host) {
        self.note("start", host, 0);
        match host {
            Host::Agent(index) => {
                let agent = &mut self.agents[index];
                if agent.process.is_none() {
                    self.models[index] = Some(Model::new(agent));
                    agent.start(self.now, &mut self.rng);
                    self.settle_agent(index, None);
                }
            }
            Host::Server(index) => {
                if self.servers[index].process.is_none() {
                    self.servers[index].start(self.now);
                    self.settle_server(index);
                }
            }
        }
        self.review();
    }

    /// A process that was stopped goes on: it reads what came, before or after it looks at the time.
    pub(crate) fn resume(&mut self, host: Host) {
        self.note("resume", host, 0);
        match host {
            Host::Agent(index) => {
                let Some(stalled) = self.agents[index].stalled.take() else { return };
                if self.rng.random() {
                    self.handle_agent_timeout(index);
                }
                stalled.into_iter().for_each(|arrival| self.at_agent(index, arrival));
                self.handle_agent_timeout(index);
            }
            Host::Server(index) => {
                let Some(stalled) = self.servers[index].stalled.take() else { return };
                if self.rng.random() {
                    self.settle_server(index);
                }
                stalled.into_iter().for_each(|arrival| self.at_server(index, arrival));
                self.settle_server(index);
            }
        }
        self.review();
    }

    pub(crate) fn phase(&self, server: usize) -> &'static str {
        self.servers[server]
            .process
            .as_ref()
            .map_or("gone", |process| process.campaign.watch().phase().name())
    }

    /// Through the network: late, lost or twice.
    pub(crate) fn send(&mut self, parcel: Parcel) {
        let link = &self.links[parcel.agent][parcel.server];
        let copies = link.carry(&mut self.rng, &parcel);
        if self.is_day {
            if self.old.len() < OLD_MAX {
                self.old.push(parcel.clone());
            } else if self.rng.random_range(0..20) == 0 {
                let place = self.rng.random_range(0..OLD_MAX);
                self.old[place] = parcel.clone();
            }
        }
        if let [_, Some(late)] = copies {
            self.add(late, Due::Arrive(parcel.clone()));
        }
        if let [Some(late), _] = copies {
            self.add(late, Due::Arrive(parcel));
        }
    }

    fn try_to_ask(&mut self, agent: usize, number: usize) {
        let asked = &mut self.agents[agent].nas.asked[number];
        if !asked.is_open() {
            return self.check_lost(agent, number);
        }
        asked.tries += 1;
        self.add(AGAIN, Due::Ask { agent, number });
        self.at_agent(agent, agent::Arrival::Ask(number));
    }

    /// A user comes, whose name may be that of one who still waits.
    fn ask_anything(&mut self, agent: usize) {
        let kind = if self.rng.random_range(0..4) == 0 { Kind::Acct } else { Kind::Auth };
        let is_impatient = self.rng.random_range(0..30) == 0;
        let mut open = self.agents[agent].nas.open();
        let instead_of = open.find(|(_, asked)| is_impatient && asked.kind == kind).map(|(number, _)| number);
        drop(open);
        self.ask(agent, kind, None, instead_of);
    }

    pub(crate) fn ask(&mut self, agent: usize, kind: Kind, state: Option<&[u8]>, instead_of: Option<usize>) {
        let number = self.agents[agent].nas.ask(self.now, &mut self.rng, kind, state, instead_of);
        self.agents[agent].nas.asked[number].answerable = self.answerable(agent);
        self.try_to_ask(agent, number);
    }

    /// An answer reaches the NAS: the first one of a request continues its conversation; all say the same.
    fn handle_answer(&mut self, agent: usize, number: usize, octets: &[u8]) {
        self.note("answer", Host::Agent(agent), (number as u64) << 8 | u64::from(octets[0]));
        let nas = &mut self.agents[agent].nas;
        nas.handle_reply(self.now, number, octets);
        let asked = &nas.asked[number];
        if asked.kind == Kind::Acct {
            let whose = Number::new(agent, number);
            let is_recorded = self.servers.iter().any(|server| server.recorded.contains(&whose));
            assert!(is_recorded, "accounting {whose:?} was acknowledged before anybody had it");
        }
        if asked.replies.len() == 1
            && !asked.is_replaced
            && let Some(state) = nas.state(number)
        {
            self.ask(agent, Kind::Auth, Some(&state), None);
        }
    }

    pub(crate) fn note(&mut self, what: &'static str, who: Host, more: u64) {
        if self.is_loud {
            println!("{:>14} {what} {who:?} {more:#x}", self.now.as_nanos() / 1_000);
        }
        let (kind, index) = match who {
            Host::Agent(index) => (0, index as u64),
            Host::Server(index) => (1, index as u64),
        };
        let line = [self.now.as_nanos(), what.len() as u64, kind, index, more];
        let fold = |hash: u64, word: &u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        self.trace.push(line.iter().fold(0, fold));
    }
}
