//! The matrix: whatever can happen to a server, an agent or the network between them, and what its clients lose.
//!
//! Three servers and some agents run on hosts of their own, with a NAS behind each agent. A [`Row`] is one thing that
//! happens to them; [`Row::run`] has it happen, and says what became of each request.

pub mod cgroup;
pub mod contest;
pub mod figures;
pub mod impair;
pub mod proxies;
pub mod rows;
pub mod site;
pub mod traffic;

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use site::{Campus, Program, Setting, Site};
pub use traffic::{Plan, Record, Told, Traffic};

/// How much of it could be known before, and so what is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The server can tell: nothing is lost, and no accept comes later than 250 ms.
    Foreseen,
    /// Nobody can tell: nothing is lost for a NAS that retransmits, and the last client has moved within a second.
    Unforeseen,
    /// The network is bad, or the machines: nothing is lost for a NAS that retransmits.
    Rough,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Class::Foreseen => "foreseen",
            Class::Unforeseen => "unforeseen",
            Class::Rough => "rough",
        })
    }
}

/// No accept of a failure that was foreseen comes later.
pub const LATEST: Duration = Duration::from_millis(250);
/// By then everybody has moved, in a failure that wasn't.
pub const MOVED: Duration = Duration::from_secs(1);

/// One thing that happens.
#[derive(Clone, Copy)]
pub struct Row {
    /// What.
    pub name: &'static str,
    /// What is promised.
    pub class: Class,
    /// Whether it takes so long that only the whole matrix has it.
    pub slow: bool,
    /// What is different from the usual setting.
    pub set: fn(&mut Setting, &Campus),
    /// What has happened before, without traffic.
    pub before: fn(&mut Site<'_>),
    /// Has it happen, with the traffic flowing; says when it began, and whom the clients should leave.
    pub event: fn(&mut Site<'_>) -> Event,
    /// What is promised besides.
    pub judge: fn(&Site<'_>) -> Result<(), String>,
}

/// Something happened.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// When it began.
    pub at: Instant,
    /// The servers that the clients should leave; none: they may do as they like.
    pub leave: &'static [usize],
}

/// What became of the requests.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The row's name.
    pub name: &'static str,
    /// Its class.
    pub class: Class,
    /// Requests, repetitions not counted.
    pub sent: usize,
    /// Unanswered ones.
    pub lost: usize,
    /// Of the answers, those that weren't accepts.
    pub refused: usize,
    /// The slowest accept or accounting answer, repetitions included.
    pub slowest: Duration,
    /// From the event until each client had had an answer from another server; none where nobody had to move.
    pub moved: Option<Duration>,
    /// What was missed.
    pub missed: Vec<String>,
}

impl Row {
    /// Has it happen, and says what became of the requests. What can't be carried out is missed.
    #[must_use]
    pub fn run(&self, campus: &Campus) -> Outcome {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.carry_out(campus)));
        result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
            let missed = vec![format!("not carried out: {text}")];
            let event = Event { at: Instant::now(), leave: &[] };
            Outcome::of(self, event, &Told::default(), missed)
        })
    }

    fn carry_out(&self, campus: &Campus) -> Outcome {
        let plan = if self.class == Class::Foreseen { Plan::ONCE } else { Plan::AGAIN };
        let mut setting = Setting::new(campus, plan);
        (self.set)(&mut setting, campus);
        let plan = setting.plan;
        let mut site = Site::open(campus, setting);
        site.everybody_is_home();
        (self.before)(&mut site);
        let fronts: Vec<_> = campus.edges.iter().map(|host| (host, plan)).collect();
        let traffic = Traffic::start(&fronts);
        std::thread::sleep(FLOWS);
        // On a busy machine somebody may have left already.
        site.everybody_is_home();
        let event = (self.event)(&mut site);
        std::thread::sleep(FLOWS);
        let missed = (self.judge)(&site).err().into_iter().collect();
        let told = traffic.finish();
        let outcome = Outcome::of(self, event, &told, missed);
        if !outcome.missed.is_empty() {
            keep_logs(self.name, &site);
        }
        outcome
    }
}

/// How long traffic flows before and after.
const FLOWS: Duration = Duration::from_millis(700);

impl Outcome {
    fn of(row: &Row, event: Event, told: &Told, mut missed: Vec<String>) -> Outcome {
        let requests = &told.requests;
        let answered = || requests.iter().filter_map(|r| r.answered.map(|at| (r, at)));
        let slowest =
            answered().filter(|(r, _)| r.positive).map(|(r, at)| at - r.sent).max().unwrap_or_default();
        let moved = (!event.leave.is_empty()).then(|| moved(event, told)).flatten();
        let outcome = Outcome {
            name: row.name,
            class: row.class,
            sent: requests.len(),
            lost: requests.iter().filter(|r| r.answered.is_none()).count(),
            refused: answered().filter(|(r, _)| !r.positive).count(),
            slowest,
            moved,
            missed: Vec::new(),
        };
        if outcome.lost > 0 {
            missed.push(format!("{} requests lost", outcome.lost));
        }
        if outcome.refused > 0 {
            missed.push(format!("{} requests refused", outcome.refused));
        }
        if told.forged > 0 {
            missed.push(format!("{} answers that don't verify", told.forged));
        }
        if row.class == Class::Foreseen && slowest > LATEST {
            missed.push(format!("an accept after {} ms", slowest.as_millis()));
        }
        if !event.leave.is_empty() && moved.is_none() {
            missed.push("not everybody was answered by another server".to_owned());
        }
        if row.class == Class::Unforeseen
            && let Some(moved) = moved.filter(|moved| *moved > MOVED)
        {
            missed.push(format!("the last one moved after {} ms", moved.as_millis()));
        }
        Outcome { missed, ..outcome }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "row": self.name,
            "class": self.class.to_string(),
            "sent": self.sent,
            "lost": self.lost,
            "refused": self.refused,
            "slowest_ms": self.slowest.as_secs_f64() * 1e3,
            "moved_ms": self.moved.map(|moved| moved.as_secs_f64() * 1e3),
            "missed": self.missed,
        })
    }

    /// The head of the table.
    pub const HEAD: &str =
        "class      what happens                          sent   lost  slowest accept     moved";
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { name, class, sent, lost, slowest, moved, missed, .. } = self;
        let moved = moved.map_or("-".to_owned(), |moved| format!("{} ms", moved.as_millis()));
        let slowest = format!("{} ms", slowest.as_millis());
        write!(f, "{class:<10} {name:<36} {sent:>5} {lost:>6} {slowest:>15} {moved:>9}")?;
        if missed.is_empty() { Ok(()) } else { write!(f, "   MISSED: {}", missed.join("; ")) }
    }
}

/// From the event until every front end had had an answer that another server gave; none when one never had.
fn moved(event: Event, told: &Told) -> Option<Duration> {
    let fronts = told.requests.iter().map(|r| r.front).max()? + 1;
    let mut first = vec![None::<Instant>; fronts];
    for request in &told.requests {
        let Some((at, by)) = request.answered.zip(request.by) else { continue };
        if at >= event.at && !event.leave.contains(&usize::from(by)) {
            let first = first[request.front].get_or_insert(at);
            *first = (*first).min(at);
        }
    }
    first
        .into_iter()
        .map(|first| first.map(|at| at - event.at))
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .max()
}

/// The ends of the logs, where somebody who wonders finds them.
fn keep_logs(name: &str, site: &Site<'_>) {
    let Some(folder) = std::env::var_os("FOREWARN_MATRIX_LOGS") else { return };
    let folder = std::path::Path::new(&folder).join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    // Logs that can't be kept aren't worth a failure.
    let _ = std::fs::create_dir_all(&folder);
    for (server, name) in site.servers.iter().zip(site::SERVERS) {
        let _ = std::fs::write(folder.join(name), server.as_ref().map_or(String::new(), |it| it.log()));
    }
    for (number, agent) in site.agents.iter().enumerate() {
        let log = agent.as_ref().map_or(String::new(), |it| it.log());
        let _ = std::fs::write(folder.join(format!("agent-{number}")), log);
    }
}
