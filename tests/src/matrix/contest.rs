//! The same failures with other people's proxies in the agents' place: agents and proxies stand side by side before the
//! same servers, and the same event, at the same instant, happens to all of them.

use std::fmt;
use std::fs::File;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Host, Hosts, config};

use super::proxies::Proxy;
use super::rows::foreseen::{THREADS, hanging_checks};
use super::site::{Campus, HASHED_EACH_TIME, Program, SERVERS, Setting, Site, agent};
use super::traffic::{Plan, Record, Told, Traffic};

/// How many of each kind.
pub const EACH: usize = 4;
/// Agents, and proxies of each kind.
pub const FRONTS: usize = EACH * (Proxy::ALL.len() + 1);
/// How long the proxies are watched after an event: FreeRADIUS's shipped settings, and Status-Server of radsecproxy's,
/// decide in less.
const WATCHED: Duration = Duration::from_secs(36);

/// Something that happens to the first server, and doesn't pass.
#[derive(Clone, Copy)]
pub struct Trial {
    /// What.
    pub name: &'static str,
    event: fn(&mut Site<'_>),
}

/// All trials.
pub const TRIALS: &[Trial] = &[
    Trial {
        name: "overload: its threads hang",
        event: |site| {
            let folder = site.east().folder().path().to_owned();
            for number in 0..THREADS {
                let file = File::create(folder.join(format!("hold/{number}"))).expect("a file");
                file.lock().expect("nobody else holds it for long");
                site.kept.push(Box::new(file));
            }
        },
    },
    Trial { name: "drain", event: |site| site.operate(&["drain"]) },
    Trial { name: "SIGTERM", event: |site| site.east().signal("TERM") },
    Trial { name: "kill -9", event: |site| site.east().signal("KILL") },
    Trial { name: "SIGSTOP", event: |site| site.east().signal("STOP") },
    Trial { name: "the server's link is down", event: |site| site.campus.servers[0].unplug() },
];

/// What one kind of front end made of a trial.
#[derive(Clone, Debug)]
pub struct Score {
    /// The trial's name.
    pub trial: &'static str,
    /// Agent, or which proxy.
    pub front: &'static str,
    /// Requests, repetitions not counted.
    pub sent: usize,
    /// Not answered within ten seconds.
    pub lost: usize,
    /// Answered by a reject, although the password is right.
    pub refused: usize,
    /// The slowest accept or accounting answer.
    pub slowest: Duration,
    /// From the event until the last of them had an answer from another server; none: not while it was watched.
    pub moved: Option<Duration>,
}

impl Trial {
    /// Has it happen to all kinds at once; a score for each.
    ///
    /// # Panics
    /// When programs don't start, or the kernel refuses something.
    #[must_use]
    pub fn run(&self, campus: &Campus) -> Vec<Score> {
        let (mut site, proxies) = set_up(campus);
        site.everybody_is_home();
        let fronts: Vec<_> = campus
            .edges
            .iter()
            .enumerate()
            // The others don't sign what they aren't asked to.
            .map(|(number, host)| (host, Plan { signed: number < EACH, ..Plan::AGAIN }))
            .collect();
        let traffic = Traffic::start(&fronts);
        std::thread::sleep(Duration::from_secs(1));
        // On a busy machine an agent may have left already.
        site.everybody_is_home();
        let at = Instant::now();
        (self.event)(&mut site);
        std::thread::sleep(WATCHED.saturating_sub(at.elapsed()));
        let told = traffic.finish();
        drop(proxies);
        let names = std::iter::once("forewarn-agent").chain(Proxy::ALL.map(Proxy::name));
        names.enumerate().map(|(kind, name)| Score::of(self.name, name, kind, at, &told)).collect()
    }
}

/// The servers, with agents and proxies before them.
fn set_up(campus: &Campus) -> (Site<'_>, Vec<super::proxies::RunningProxy>) {
    let (agents, others) = campus.edges.split_at(EACH);
    let keys: Vec<_> = agents.iter().map(Host::v4).collect();
    let strangers: String = others
        .iter()
        .map(|host| {
            let address = host.v4();
            format!(
                "\n[[client]]\nname = \"proxy at {address}\"\naddress = \"{address}\"\nsecret = \"{}\"\n\
                 require_message_authenticator = \"no\"\n",
                config::SECRET
            )
        })
        .collect();
    let unused = Hosts::claim();
    let servers = campus.servers.iter().zip(SERVERS).enumerate().map(|(number, (host, name))| {
        let more = format!("{strangers}{HASHED_EACH_TIME}");
        let text = config::server(&unused, name, host.v4(), &keys, &more);
        let config = text.replace("Hello, alice", &format!("This is number {number}"));
        Program { config, ..Program::default() }
    });
    let mut servers: Vec<Program> = servers.collect();
    servers[0].config.push_str(&format!("\n[workers]\nmax = {THREADS}\n{}", hanging_checks()));
    std::fs::create_dir(servers[0].folder.path().join("hold")).expect("a folder");
    let agents = agents.iter().map(|host| agent(campus, host.v4(), &[0, 1, 2])).collect();
    let site = Site::open(campus, Setting { servers, agents, plan: Plan::AGAIN, cgroup: None });
    let kinds = Proxy::ALL.into_iter().flat_map(|proxy| std::iter::repeat_n(proxy, EACH));
    let proxies = kinds.zip(others).map(|(proxy, host)| proxy.start(campus, host)).collect();
    (site, proxies)
}

impl Score {
    fn of(trial: &'static str, front: &'static str, kind: usize, event: Instant, told: &Told) -> Score {
        let theirs: Vec<&Record> =
            told.requests.iter().filter(|record| record.front / EACH == kind).collect();
        let answered = || theirs.iter().filter_map(|record| Some((record, record.answered?)));
        let accepts = answered().filter(|(record, _)| record.positive);
        let first_elsewhere = |front: usize| {
            let elsewhere = answered().filter(|(record, at)| {
                record.front == front && *at >= event && record.by.is_some_and(|by| by != 0)
            });
            elsewhere.map(|(_, at)| at - event).min()
        };
        let moved: Option<Vec<Duration>> = (kind * EACH..(kind + 1) * EACH).map(first_elsewhere).collect();
        Score {
            trial,
            front,
            sent: theirs.len(),
            lost: theirs.len() - answered().count(),
            refused: answered().filter(|(record, _)| !record.positive).count(),
            slowest: accepts.map(|(record, at)| at - record.sent).max().unwrap_or_default(),
            moved: moved.and_then(|moved| moved.into_iter().max()),
        }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "trial": self.trial,
            "front": self.front,
            "sent": self.sent,
            "lost": self.lost,
            "refused": self.refused,
            "slowest_ms": self.slowest.as_secs_f64() * 1e3,
            "moved_ms": self.moved.map(|moved| moved.as_secs_f64() * 1e3),
        })
    }

    /// The head of the table.
    pub const HEAD: &str = "what happens                in front of the servers         sent   lost  rejected  slowest accept     moved";
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Score { trial, front, sent, lost, refused, slowest, moved } = self;
        let moved = moved.map_or("never".to_owned(), |moved| format!("{} ms", moved.as_millis()));
        let slowest = format!("{} ms", slowest.as_millis());
        write!(f, "{trial:<27} {front:<30} {sent:>5} {lost:>6} {refused:>9} {slowest:>15} {moved:>9}")
    }
}
