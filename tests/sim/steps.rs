//! One step of an agent or a server: what comes in, what leaves, and what must hold after it.

use std::time::Duration;

use rand::RngExt;

use super::agenda::{Due, Host};
use super::agent::{self, Out, Verdict};
use super::names;
use super::nas::Number;
use super::network::{End, Parcel, What};
use super::server::{self, Taken};
use super::world::World;

/// From one server to another; they have a network of their own.
const LOAD_TAKES: Duration = Duration::from_micros(200);
/// What a socket holds while its process stands still.
const STALLED_MAX: usize = 100;

impl World {
    pub(crate) fn at_agent(&mut self, index: usize, arrival: agent::Arrival) {
        let agent = &mut self.agents[index];
        if let Some(stalled) = &mut agent.stalled {
            if stalled.len() < STALLED_MAX {
                stalled.push(arrival);
            }
            return;
        }
        let (now, rng) = (self.now, &mut self.rng);
        let (Some(model), Some(process)) = (&mut self.models[index], &mut agent.process) else { return };
        let mut repeated = None;
        match arrival {
            agent::Arrival::Ask(number) => {
                let whose = Number::new(index, number);
                repeated = model.requests.asked(agent.nas.asked[number].name(), whose).then_some(whose);
                agent.handle_request(now, rng, number);
                self.note("asked", Host::Agent(index), number as u64);
            }
            agent::Arrival::Parcel(parcel) => match parcel.what {
                What::Radius { port, .. } => {
                    process.handle_parcel(now, rng, &parcel);
                    self.note("reply", Host::Agent(index), u64::from(port) << 32 | parcel.server as u64);
                }
                What::Notice { via } => {
                    let expected = model.expect((now, agent.utc(now)), index, &self.ledger, &parcel.octets);
                    let verdict = agent.handle_notice(now, rng, via, &parcel.octets);
                    assert_eq!(verdict, expected, "a notice of server {} to agent {index}", parcel.server);
                    if verdict == Verdict::Accepted {
                        model.accept(now, index, &self.ledger, &parcel.octets);
                        self.ledger.accept(parcel.server, &parcel.octets);
                    }
                    self.note("notice", Host::Agent(index), (verdict as u64) << 32 | parcel.server as u64);
                }
            },
        }
        self.settle_agent(index, repeated);
    }

    pub(crate) fn handle_agent_timeout(&mut self, index: usize) {
        let agent = &mut self.agents[index];
        let utc = agent.utc(self.now);
        if let Some(process) = agent.process.as_mut().filter(|_| agent.stalled.is_none()) {
            process.handle_timeout(self.now, utc, &mut self.rng);
            self.settle_agent(index, None);
        }
    }

    /// Sends what an agent wants sent, and checks what must hold.
    pub(crate) fn settle_agent(&mut self, index: usize, repeated: Option<Number>) {
        let now = self.now;
        for out in self.agents[index].drain(now, &mut self.rng) {
            let Some(model) = &mut self.models[index] else { return };
            match out {
                Out::Request { transmit, octets } => {
                    model.check_transmit(now, &transmit, &octets, repeated);
                    let what = What::Radius { kind: transmit.kind, port: transmit.port };
                    let server = transmit.server.index();
                    self.send(Parcel { agent: index, server, to: End::Server, what, octets });
                }
                Out::Message { server, via, octets } => {
                    model.said(server, &octets);
                    let what = What::Notice { via };
                    self.send(Parcel { agent: index, server, to: End::Server, what, octets });
                }
                Out::Reply { name, octets } => {
                    let number = model.requests.ended(now, name, Some(&octets)).index();
                    self.add(Duration::from_micros(20), Due::AtNas { agent: index, number, octets });
                }
                Out::Silence { name } => {
                    model.requests.ended(now, name, None);
                }
            }
        }
        let agent = &mut self.agents[index];
        if let (Some(model), Some(process)) = (&mut self.models[index], &mut agent.process) {
            if self.is_loud {
                process
                    .events
                    .iter()
                    .for_each(|event| println!("{:>14} agent {index}: {event:?}", now.as_nanos() / 1_000));
            }
            model.check(now, process);
        }
        self.agenda.arm(Host::Agent(index), agent.poll_timeout());
    }

    pub(crate) fn at_server(&mut self, index: usize, arrival: server::Arrival) {
        let (now, server) = (self.now, &mut self.servers[index]);
        if let Some(stalled) = &mut server.stalled {
            if stalled.len() < STALLED_MAX {
                stalled.push(arrival);
            }
            return;
        }
        match arrival {
            server::Arrival::Done { start, job } => {
                if let Some(reply) = server.handle_done(now, start, job) {
                    self.send(reply);
                }
            }
            server::Arrival::Load { via, octets } => server.handle_load(now, via, &octets),
            server::Arrival::Parcel(parcel) => match parcel.what {
                What::Radius { .. } => match server.handle_radius(now, &parcel) {
                    Taken::Nothing => {}
                    Taken::Reply(reply) => self.send(reply),
                    Taken::Job(job, at) => {
                        let start = server.starts;
                        self.agenda.add(at, Due::Done { server: index, start, job });
                    }
                },
                What::Notice { .. } => {
                    server.handle_message(now, &parcel);
                    let client = names::identity(names::agent_address(parcel.agent));
                    self.ledger.check_told(server, client);
                    self.note("message", Host::Server(index), parcel.agent as u64);
                }
            },
        }
        self.settle_server(index);
    }

    /// Does what is due at a server, sends its notices, and checks what must hold.
    pub(crate) fn settle_server(&mut self, index: usize) {
        let now = self.now;
        if !self.servers[index].is_at_work() {
            return self.agenda.arm(Host::Server(index), None);
        }
        let before = self.phase(index);
        let read = self.servers[index].handle_timeout(now);
        let agents = &self.agents;
        let mut notices = Vec::new();
        while let Some(notice) =
            self.servers[index].poll_notice(now, |agent| agents[agent].config.is_behind_nat)
        {
            notices.push(notice);
        }
        for notice in notices {
            let behind_nat = self.agents[notice.agent].config.is_behind_nat;
            self.ledger.send(index, &notice.octets, behind_nat);
            if notice.reaches {
                let what = What::Notice { via: notice.via };
                self.send(Parcel {
                    agent: notice.agent,
                    server: index,
                    to: End::Agent,
                    what,
                    octets: notice.octets,
                });
            }
        }
        while let Some(load) = self.servers[index].poll_load(now, &mut self.rng) {
            self.add(LOAD_TAKES, load);
        }
        let server = &mut self.servers[index];
        if let Some(process) = &mut server.process {
            process.campaign.report();
        }
        self.ledger.check_server(now, server, read);
        let ends = server.has_drained_for_good();
        self.agenda.arm(Host::Server(index), server.poll_timeout(now));
        if self.is_loud && self.phase(index) != before {
            println!("{:>14} server {index}: {before} -> {}", now.as_nanos() / 1_000, self.phase(index));
        }
        if ends {
            self.servers[index].process = None;
            let after = Duration::from_millis(self.rng.random_range(100..3_000));
            self.add(after, Due::Start(Host::Server(index)));
        }
        let good = self.good_servers();
        if good != self.good {
            self.good = good;
            self.review();
        }
    }
}
