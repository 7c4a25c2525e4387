//! Many supplicants at once, one after the other in each place, and what they cost the servers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::Supplicant;
use super::radius::{End, Ended, Session};
use crate::load::{Latencies, Usage, usage};

/// Who comes, how many, how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub to: SocketAddr,
    /// The address to send from; the kernel's choice when absent.
    pub from: Option<IpAddr>,
    /// The secret shared with it.
    pub secret: String,
    /// How many conversations at once, each from a port of its own.
    pub at_once: usize,
    /// Not measured.
    pub warm_up: Duration,
    /// Measured. Then those underway come to their end.
    pub duration: Duration,
    /// Ends once so many have begun; never when absent.
    pub limit: Option<usize>,
    /// A request is repeated each time this has passed.
    pub repeat: Duration,
    /// Then the conversation is lost.
    pub patience: Duration,
    /// Processes whose CPU time is measured.
    pub processes: Vec<u32>,
}

impl Plan {
    /// Sixteen at once for five seconds, after one.
    pub fn saturate(to: SocketAddr, secret: &str) -> Plan {
        Plan {
            to,
            from: None,
            secret: secret.to_owned(),
            at_once: 16,
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(5),
            limit: None,
            repeat: Duration::from_secs(2),
            patience: Duration::from_secs(10),
            processes: Vec::new(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How long was measured.
    pub duration: Duration,
    /// Conversations that ended while measuring, with an Access-Accept and the right keys.
    pub accepted: u64,
    /// All that were, of the whole run.
    pub accepted_in_all: u64,
    /// Those of the measured whose session of TLS was resumed.
    pub resumed: u64,
    /// Access-Requests of the measured.
    pub requests: u64,
    /// How the others ended, of the whole run.
    pub failed: Vec<End>,
    /// From the first request to the Accept, of the measured.
    pub latencies: Latencies,
    /// CPU time of the processes while measuring, in their order.
    pub cpu: Vec<Duration>,
}

impl Report {
    /// Authentications per second.
    pub fn rate(&self) -> f64 {
        self.accepted as f64 / self.duration.as_secs_f64().max(1e-9)
    }

    /// CPU microseconds of all processes per authentication.
    pub fn cpu_micros(&self) -> f64 {
        self.cpu.iter().sum::<Duration>().as_secs_f64() * 1e6 / (self.accepted.max(1) as f64)
    }
}

/// Runs the plan. `next` gives the supplicant that comes into a place next.
///
/// # Errors
/// When sockets can't be had.
pub fn run(plan: &Plan, mut next: impl FnMut(usize) -> Supplicant) -> io::Result<Report> {
    let mut places = (0..plan.at_once).map(|_| Place::new(plan)).collect::<io::Result<Vec<_>>>()?;
    let mut report = Report::default();
    let begin = Instant::now() + plan.warm_up;
    let end = begin + plan.duration;
    let (mut before, mut after): (Option<Vec<Usage>>, Option<Vec<Usage>>) = (None, None);
    let used = || plan.processes.iter().filter_map(|pid| usage(*pid)).collect();
    let mut begun = 0;
    loop {
        let now = Instant::now();
        if before.is_none() && now >= begin {
            before = Some(used());
        }
        let may_begin = now < end && plan.limit.is_none_or(|limit| begun < limit);
        if after.is_none() && now >= end {
            after = Some(used());
        }
        for (number, place) in places.iter_mut().enumerate() {
            if place.talk.is_none() && now < end && plan.limit.is_none_or(|limit| begun < limit) {
                place.begin(Session::new(next(number), &plan.secret), now);
                begun += 1;
            }
        }
        if !may_begin && places.iter().all(|place| place.talk.is_none()) {
            break;
        }
        wait(&places)?;
        for place in &mut places {
            if let Some((ended, took)) = place.go_on(plan) {
                let now = Instant::now();
                let is_measured = (begin..end).contains(&now);
                match ended {
                    ended if ended.is_in() => {
                        report.accepted_in_all += 1;
                        if is_measured {
                            report.accepted += 1;
                            report.resumed += u64::from(ended.was_resumed);
                            report.requests += u64::from(ended.requests);
                            report.latencies.record(took);
                        }
                    }
                    ended => report.failed.push(ended.end),
                }
            }
        }
    }
    report.duration = Instant::now().min(end).saturating_duration_since(begin);
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_else(used));
    report.cpu =
        before.iter().zip(&after).map(|(before, after)| after.cpu.saturating_sub(before.cpu)).collect();
    Ok(report)
}

/// A port, and who is there.
struct Place {
    socket: UdpSocket,
    identifier: u8,
    talk: Option<Talk>,
}

struct Talk {
    session: Session,
    request: Vec<u8>,
    begun: Instant,
    asked: Instant,
    sent: Instant,
}

impl Place {
    fn new(plan: &Plan) -> io::Result<Place> {
        let local = plan.from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let socket = UdpSocket::bind((local, 0))?;
        socket.connect(plan.to)?;
        socket.set_nonblocking(true)?;
        Ok(Place { socket, identifier: 0, talk: None })
    }

    fn begin(&mut self, session: Session, now: Instant) {
        self.talk = Some(Talk { session, request: Vec::new(), begun: now, asked: now, sent: now });
        self.ask();
    }

    /// The next request of the conversation.
    fn ask(&mut self) {
        let Some(talk) = &mut self.talk else { return };
        self.identifier = self.identifier.wrapping_add(1);
        let mut room = [0; 4096];
        talk.request = talk.session.request(self.identifier, &mut room).to_vec();
        (talk.asked, talk.sent) = (Instant::now(), Instant::now());
        // Lost here is as good as lost on the way: it is repeated.
        let _ = self.socket.send(&talk.request);
    }

    /// Takes what has come; gives the end, and how long it took.
    fn go_on(&mut self, plan: &Plan) -> Option<(Ended, Duration)> {
        let mut room = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut room) {
            let talk = self.talk.as_mut()?;
            match talk.session.handle_reply(&room[..length]) {
                None => {}
                Some(None) => self.ask(),
                Some(Some(ended)) => return self.talk.take().map(|talk| (ended, talk.begun.elapsed())),
            }
        }
        let talk = self.talk.as_mut()?;
        if talk.asked.elapsed() > plan.patience {
            let ended = talk.session.ended(End::Silence, &[]);
            return self.talk.take().map(|talk| (ended, talk.begun.elapsed()));
        }
        if talk.sent.elapsed() > plan.repeat {
            talk.sent = Instant::now();
            let _ = self.socket.send(&talk.request);
        }
        None
    }
}

/// Until something comes, or something may have to be repeated.
fn wait(places: &[Place]) -> io::Result<()> {
    let mut polled: Vec<PollFd<'_>> =
        places.iter().map(|place| PollFd::new(&place.socket, PollFlags::IN)).collect();
    let beat = rustix::event::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    match poll(&mut polled, Some(&beat)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
