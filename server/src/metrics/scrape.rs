//! Everything there is, as one page. Names and helps are here, and nowhere else.

use std::fmt;
use std::sync::Arc;

use forewarn_proto::gauge::{Load, Parameter};
use forewarn_shell::clock;
use forewarn_shell::control::PeerStatus;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::figures::Figures;
use super::help;
use super::latency::{self, Kind};
use super::page::Page;
use super::process::Process;
use crate::control;
use crate::process::outcome::{Answer, Cause};
use crate::shared::Shared;

/// Where the watch can stand.
const PHASES: [&str; 7] = ["serving", "shedding", "away", "returning", "draining", "drained", "quiesced"];
/// What a service can be.
const SERVICE_STATES: [&str; 4] = ["running", "starting", "not-running", "hold-down"];

/// What a peer can be.
const PEER_STATES: [&str; 5] = ["open", "closed", "leaving", "silent", "unheard"];

/// What a database or directory can be.
const STORE_STATES: [&str; 3] = ["running", "starting", "away"];

/// How a home server can stand.
const STANDINGS: [&str; 6] = ["usable", "warned", "last-resort", "suspect", "dead", "returning"];

/// One look at everything.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) shared: Arc<Shared>,
    pub(super) figures: Figures,
    /// Seconds since 1970.
    pub(super) started_at: f64,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.requests(&mut page)?;
        self.counted(&mut page)?;
        self.stores(&mut page)?;
        self.health(&mut page)?;
        self.peers(&mut page)?;
        self.notices(&mut page)?;
        self.pools(&mut page)?;
        self.clients(&mut page)?;
        self.program(&mut page)
    }
}

impl Scrape {
    fn requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let outcomes = self.shared.outcomes();
        let times = |cause: Cause| outcomes.iter().map(|core| core.of(cause)).sum::<u64>();
        let series = Cause::ALL
            .iter()
            .map(|cause| ([("answer", cause.answer().name()), ("cause", cause.name())], times(*cause)));
        page.counters("requests", "Packets received, by what was answered and why.", series)?;
        let mut series = Vec::new();
        for kind in Kind::ALL {
            for answer in Answer::ALL {
                let sum = latency::sum(self.shared.latencies(), kind, answer);
                if sum.buckets.iter().any(|count| *count > 0) {
                    series.push(([("kind", kind.name()), ("answer", answer.name())], sum));
                }
            }
        }
        let help = "From the kernel's receipt of a request to the departure of its answer, rejects with their delay.";
        page.latencies("request_duration_seconds", help, series)?;
        let now_ns = clock::now().as_nanos();
        let cores = self.shared.vitals().cores().iter().enumerate();
        let busy: Vec<_> =
            cores.map(|(number, core)| (number.to_string(), core.busy_ns(now_ns) as f64 / 1e9)).collect();
        let series = busy.iter().map(|(number, seconds)| ([("core", number.as_str())], *seconds));
        page.counters(
            "listeners_busy_seconds",
            "Time each listener core was not asleep, since the start.",
            series,
        )
    }

    /// What has a dotted name: `forewarn status` shows the same counters.
    fn counted(&self, page: &mut Page<'_>) -> fmt::Result {
        for (name, count) in &self.figures.counters {
            page.counter(&help::metric_name(name), &help::of(name), *count)?;
        }
        for (name, value) in control::gauges(&self.shared) {
            page.gauge(&help::metric_name(name), &help::of(name), Some(value))?;
        }
        Ok(())
    }

    fn stores(&self, page: &mut Page<'_>) -> fmt::Result {
        let stores = control::stores(&self.shared);
        let states = stores.iter().flat_map(|store| {
            STORE_STATES.map(|state| {
                let labels = [("store", store.name.as_str()), ("state", state)];
                (labels, f64::from(u8::from(store.state == state)))
            })
        });
        page.gauges("store_state", "1 for the state each database or directory is in.", states)?;
        let certificates = control::certificates(&self.shared);
        let ends = certificates
            .iter()
            .map(|it| ([("kind", it.kind.as_str()), ("subject", it.subject.as_str())], it.expires_at as f64));
        let help = "When what EAP needs of certificates runs out, seconds since 1970.";
        page.gauges("eap_certificate_expiry_seconds", help, ends)
    }

    fn health(&self, page: &mut Page<'_>) -> fmt::Result {
        let Figures { phase, since, share, reading, services, .. } = &self.figures;
        let states = PHASES.map(|name| ([("state", name)], f64::from(u8::from(name == phase))));
        page.gauges("watch_state", "1 for the state the server is in.", states)?;
        page.gauge("watch_state_since_seconds", "Since when it is in it, seconds since 1970.", Some(*since))?;
        page.gauge("watch_moved_ratio", "The share of the audience that was asked to leave.", Some(*share))?;
        let help = "Clients that should leave and stay, since no alternate has room for them.";
        page.gauge("clients_staying", help, Some(self.figures.staying as f64))?;
        let config = self.shared.config();
        let thresholds = [
            ([("threshold", "failover")], config.health.failover_threshold),
            ([("threshold", "connection")], config.health.connection_threshold),
        ];
        page.gauges("load_threshold_ratio", "The loads that warn clients and invite them back.", thresholds)?;
        let load = reading.as_ref().map(|(_, load)| load);
        page.gauge("load_ratio", "The load: 1 is at a limit.", load.map(Load::value))?;
        let parts = Parameter::ALL
            .into_iter()
            .filter_map(|part| Some(([("parameter", part.name())], load?.part(part)?)));
        page.gauges("load_part_ratio", "What each parameter adds to the load: 1 at its limit.", parts)?;
        let help = "Times readings didn't count because this process had stood still or its clock was set.";
        page.counter("readings_doubted", help, self.figures.doubts)?;
        if let Some(failures) = self.figures.expression_failures {
            let help = "Readings of which the load expression gave no number.";
            page.counter("load_expression_failures", help, failures)?;
        }
        let foreseen = self.figures.foreseen;
        let help = "Warnings that went out because of what was foreseen.";
        page.counter("foreseen_warnings", help, foreseen.warnings)?;
        let verdicts = [
            ([("verdict", "confirmed")], foreseen.confirmed),
            ([("verdict", "false")], foreseen.false_alarms),
            ([("verdict", "averted")], foreseen.averted),
        ];
        page.counters("foreseen_verdicts", "What became of warnings that were foreseen.", verdicts)?;
        let reading = reading.as_ref().map(|(reading, _)| reading);
        let figures = [
            (
                "memory_ratio",
                "Memory in use, of the cgroup's limit or the machine.",
                reading.and_then(|r| r.memory),
            ),
            ("cpu_ratio", "CPU in use on the machine.", reading.and_then(|r| r.cpu)),
            (
                "listeners_busy_ratio",
                "Busy share of the busiest listener core.",
                reading.and_then(|r| r.listeners),
            ),
            ("processes", "Processes on the machine.", reading.and_then(|r| r.processes).map(f64::from)),
            (
                "latency_mean_seconds",
                "From receipt to answer, the mean since the last reading; without rejects.",
                reading.and_then(|r| r.latency).map(|latency| latency.as_secs_f64()),
            ),
            (
                "receive_drops_per_second",
                "Datagrams a second that found a receive queue full.",
                reading.and_then(|r| r.network).map(|network| network.receive_drops),
            ),
            (
                "links_down",
                "Interfaces listened on whose link is down.",
                reading.and_then(|r| r.network).map(|network| f64::from(network.links_down)),
            ),
            (
                "gateway_lost",
                "1 while the gateway is lost.",
                reading.and_then(|r| r.network).map(|network| f64::from(u8::from(network.gateway_lost))),
            ),
        ];
        for (name, help, value) in figures {
            page.gauge(name, help, value)?;
        }
        let pressure = reading.and_then(|reading| reading.pressure).map(|pressure| {
            [
                ([("resource", "cpu")], pressure.cpu),
                ([("resource", "memory")], pressure.memory),
                ([("resource", "io")], pressure.io),
            ]
        });
        let help = "The share of the last ten seconds in which something waited for the resource.";
        page.gauges("pressure_ratio", help, pressure.into_iter().flatten())?;
        let states = services.iter().flat_map(|service| {
            SERVICE_STATES.map(|state| {
                let labels =
                    [("service", service.name.as_str()), ("role", service.role.as_str()), ("state", state)];
                (labels, f64::from(u8::from(service.state == state)))
            })
        });
        page.gauges("service_state", "1 for the state each service is in.", states)?;
        let restarts = services
            .iter()
            .filter_map(|service| Some(([("service", service.name.as_str())], service.restarts?)));
        page.counters("service_restarts", "Times a service was restarted because it had failed.", restarts)
    }

    fn peers(&self, page: &mut Page<'_>) -> fmt::Result {
        let peers = &self.figures.peers;
        let states = peers.iter().flat_map(|peer| {
            PEER_STATES.map(|state| {
                let labels = [("peer", peer.name.as_str()), ("state", state)];
                (labels, f64::from(u8::from(peer.state == state)))
            })
        });
        page.gauges("peer_state", "1 for the state each peer is in.", states)?;
        let now = clock::micros_since_1970(clock::now());
        let figure = |of: fn(&PeerStatus, u64) -> Option<f64>| {
            let series = peers.iter().map(move |peer| ([("peer", peer.name.as_str())], of(peer, now)));
            series.filter_map(|(labels, value)| Some((labels, value?)))
        };
        page.gauges(
            "peer_load_ratio",
            "The load each peer has told: 1 is at a limit.",
            figure(|peer, _| peer.load),
        )?;
        let help = "Requests a second that each peer has, those of clients on their way to it included.";
        page.gauges("peer_requests_per_second", help, figure(|peer, _| peer.rate))?;
        let help = "Requests a second that may still be sent to each peer, as far as its capacity is known.";
        page.gauges("peer_headroom_requests_per_second", help, figure(|peer, _| peer.headroom))?;
        let age = figure(|peer, now| Some(now.saturating_sub(peer.heard_at?) as f64 / 1e6));
        page.gauges("peer_age_seconds", "How long ago each peer was last heard.", age)
    }

    fn notices(&self, page: &mut Page<'_>) -> fmt::Result {
        let notices = self.figures.notices.iter().map(|(name, count)| ([("event", name.as_str())], *count));
        page.counters("notices", "Notices and messages of agents, by what became of them.", notices)?;
        let told = self.figures.told.iter().map(|(name, count)| ([("told", name.as_str())], *count as f64));
        page.gauges(
            "clients_told",
            "Clients that can be told, by what they know of the notice in force.",
            told,
        )
    }

    /// Nothing where there is no pool.
    fn pools(&self, page: &mut Page<'_>) -> fmt::Result {
        let pools = &self.figures.pools;
        if pools.is_empty() {
            return Ok(());
        }
        let servers =
            || pools.iter().flat_map(|pool| pool.servers.iter().map(|server| (pool.name.as_str(), server)));
        let label = |pool, name| [("pool", pool), ("server", name)];
        let standings = servers().flat_map(|(pool, server)| {
            STANDINGS.map(|standing| {
                let labels = [("pool", pool), ("server", &*server.name), ("standing", standing)];
                (labels, f64::from(u8::from(server.standing == standing)))
            })
        });
        page.gauges("home_server_standing", "1 for how each home server stands.", standings)?;
        let shares = servers().map(|(pool, server)| (label(pool, &server.name), server.weight));
        page.gauges(
            "home_server_share_ratio",
            "The share of its requests that each home server gets.",
            shares,
        )?;
        let outstanding =
            servers().map(|(pool, server)| (label(pool, &server.name), server.outstanding as f64));
        page.gauges("home_server_outstanding", "Requests that wait for each home server.", outstanding)?;
        let sent = servers().map(|(pool, server)| (label(pool, &server.name), server.sent));
        let help = "Requests sent to each home server, those sent again included.";
        page.counters("home_server_requests", help, sent)?;
        let answered = servers().map(|(pool, server)| (label(pool, &server.name), server.answered));
        page.counters("home_server_answers", "Valid replies of each home server.", answered)?;
        let switches = pools.iter().flat_map(|pool| {
            let of = |(cause, count): (&String, &u64)| {
                ([("pool", pool.name.clone()), ("cause", cause.clone())], *count)
            };
            pool.switches.iter().map(of).collect::<Vec<_>>()
        });
        let switches: Vec<_> = switches.collect();
        let switches = switches
            .iter()
            .map(|([pool, cause], count)| ([(pool.0, pool.1.as_str()), (cause.0, cause.1.as_str())], *count));
        page.counters("pool_switches", "Times each pool moved, by what moved it.", switches)
    }

    fn clients(&self, page: &mut Page<'_>) -> fmt::Result {
        let tables = self.shared.tables();
        let config = self.shared.config();
        page.gauge("clients", "Clients in the configuration.", Some(tables.clients().len() as f64))?;
        let shown = if config.metrics.per_client { config.metrics.clients_max } else { 0 };
        let (own, others) = tables.clients().split_at(shown.min(tables.clients().len()));
        let series = own.iter().map(|client| ([("client", &*client.name)], client.ledger.requests()));
        page.counters("client_requests", "Packets received from each client, up to `clients_max`.", series)?;
        let series = own
            .iter()
            .map(|client| ([("client", &*client.name)], client.ledger.without_message_authenticator().count));
        let help = "Access-Requests of each client that came without Message-Authenticator.";
        page.counters("client_without_message_authenticator", help, series)?;
        let rest = others.iter().map(|client| client.ledger.requests()).sum::<u64>();
        page.counter(
            "other_clients_requests",
            "Packets received from clients without counters of their own.",
            rest,
        )
    }

    fn program(&self, page: &mut Page<'_>) -> fmt::Result {
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        page.gauges("build_info", "1; which program this is.", [(labels, 1.0)])?;
        page.counter("reloads", "Reloads of the configuration that were applied.", self.figures.reloads)?;
        let process = Process::read();
        let count = |figure: Option<u64>| figure.map(|figure| figure as f64);
        let gauge = MetricType::Gauge;
        page.standard(
            "process_cpu_seconds",
            "CPU time of the process, user and system.",
            MetricType::Counter,
            process.cpu_seconds,
        )?;
        page.standard(
            "process_start_time_seconds",
            "When it started, seconds since 1970.",
            gauge,
            Some(self.started_at),
        )?;
        page.standard(
            "process_resident_memory_bytes",
            "Its resident memory.",
            gauge,
            count(process.resident_bytes),
        )?;
        page.standard(
            "process_virtual_memory_bytes",
            "Its virtual memory.",
            gauge,
            count(process.virtual_bytes),
        )?;
        page.standard("process_threads", "Its threads.", gauge, count(process.threads))?;
        page.standard("process_open_fds", "Its open files and sockets.", gauge, count(process.open_fds))?;
        page.standard("process_max_fds", "How many it may open.", gauge, count(process.max_fds))
    }
}
