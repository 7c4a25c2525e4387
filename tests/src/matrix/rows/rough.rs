//! Networks that lose, and machines that stand still.

use std::time::{Duration, Instant};

use crate::config;
use crate::matrix::impair::{Impaired, Impairment};
use crate::matrix::site::{SERVERS, agent};
use crate::matrix::{Campus, Class, Event, Plan, Row, Setting, Site};

use super::QUIET;

const ROUGH: Row = Row { class: Class::Rough, ..QUIET };

/// For how long the first server's service flaps, how often, and its hold-down.
const FLAPPING: (Duration, u32, u64) = (Duration::from_secs(6), 100, 2);

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "10 % of packets are lost",
        slow: true,
        set: |setting, _| setting.plan = Plan::STUBBORN,
        event: |_| losing(10),
        ..ROUGH
    },
    Row {
        name: "30 % of packets are lost",
        slow: true,
        set: |setting, _| setting.plan = Plan::STUBBORN,
        event: |_| losing(30),
        ..ROUGH
    },
    Row {
        name: "drain on a long, uneven road",
        event: |site| {
            site.kept.push(Box::new(Impaired::by(Impairment {
                delay: Duration::from_millis(20),
                jitter: Duration::from_millis(40),
                lost: 0.02,
                doubled: 0.05,
            })));
            std::thread::sleep(Duration::from_secs(1));
            let at = Instant::now();
            site.operate(&["drain", "--wait"]);
            site.left(at, &[0])
        },
        ..ROUGH
    },
    Row {
        name: "SIGSTOP for 0.5 s",
        event: |site| {
            let at = Instant::now();
            site.east().signal("STOP");
            std::thread::sleep(Duration::from_millis(500));
            site.east().signal("CONT");
            Event { at, leave: &[] }
        },
        ..ROUGH
    },
    Row {
        name: "drain, half of the agents restarted",
        event: |site| {
            let at = Instant::now();
            site.operate(&["drain"]);
            for number in (0..site.agents.len()).step_by(2) {
                site.restart_agent(number);
            }
            site.left(at, &[0])
        },
        ..ROUGH
    },
    Row {
        name: "two servers overloaded at once",
        set: |setting, campus| {
            only_services_count(setting);
            for server in [0, 1] {
                setting.with_service(server, config::WELL);
            }
            for (it, host) in setting.agents.iter_mut().zip(&campus.edges).step_by(2) {
                *it = agent(campus, host.v4(), &[1, 0, 2]);
            }
        },
        event: |site| {
            let at = Instant::now();
            site.is_well(0, false);
            site.is_well(1, false);
            site.left(at, &[0, 1])
        },
        judge: |site| {
            let wandered = |agent: &forewarn_shell::control::AgentStatus| {
                agent.current != SERVERS[2] || agent.switches.values().sum::<u64>() > 2
            };
            match site.agents().into_iter().filter(wandered).count() {
                0 => Ok(()),
                some => Err(format!("{some} agents wandered about")),
            }
        },
        ..ROUGH
    },
    Row {
        name: "a service flaps 100 times a minute",
        set: |setting, _| {
            only_services_count(setting);
            let (_, _, hold_down) = FLAPPING;
            let flapping = config::WELL.replace("\"100ms\"", &format!("\"{hold_down}s\""));
            setting.with_service(0, &flapping);
        },
        event: flap,
        judge: |site| {
            let (time, _, hold_down) = FLAPPING;
            let most = time.as_secs() / hold_down + 1;
            let away = |agent: &forewarn_shell::control::AgentStatus| {
                agent.switches.get("notice").copied().unwrap_or_default()
            };
            match site.agents().iter().map(away).max() {
                Some(switches) if switches > most => {
                    Err(format!("{switches} switches in {time:?}, with a hold-down of {hold_down} s"))
                }
                Some(0) | None => Err("nobody noticed".to_owned()),
                Some(_) => Ok(()),
            }
        },
        ..ROUGH
    },
];

/// A busy machine is nobody's overload.
fn only_services_count(setting: &mut Setting) {
    for server in &mut setting.servers {
        let limits = "[health.limits]\nqueue_delay = \"off\"\nworkers_busy = \"off\"\n";
        server.config = server.config.replace("[health.limits]\n", limits);
    }
}

fn losing(percent: u32) -> Event {
    let at = Instant::now();
    Campus::fault(&[&format!("numgen random mod 100 < {percent} drop")]);
    std::thread::sleep(Duration::from_secs(4));
    Event { at, leave: &[] }
}

fn flap(site: &mut Site<'_>) -> Event {
    let (time, a_minute, _) = FLAPPING;
    let at = Instant::now();
    let half = Duration::from_secs(30) / a_minute;
    for count in 0.. {
        if at.elapsed() >= time {
            break;
        }
        site.is_well(0, count % 2 == 1);
        std::thread::sleep(half);
    }
    Event { at, leave: &[] }
}
