//! The NASes: one behind each front end, in its network, all of them driven by one thread, so that they cost little.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer, number,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::network::Host;

/// What the NASes send.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Requests per second, of all of them together.
    pub rate: u32,
    /// An unanswered request is sent again, the same octets, so long after the first time.
    pub repeat: &'static [Duration],
    /// After this it is lost.
    pub patience: Duration,
    /// The secret with the front ends.
    pub secret: &'static str,
    /// Whether an answer needs a Message-Authenticator.
    pub signed: bool,
}

impl Plan {
    /// A NAS that sends each request once.
    pub const ONCE: Plan = Plan {
        rate: 500,
        repeat: &[],
        patience: Duration::from_secs(5),
        secret: crate::config::LOCAL_SECRET,
        signed: true,
    };
    /// One that sends an unanswered request twice more.
    pub const AGAIN: Plan = Plan {
        repeat: &[Duration::from_secs(2), Duration::from_secs(4)],
        patience: Duration::from_secs(10),
        ..Plan::ONCE
    };
    /// One that goes on as RFC 5080 section 2.2.1 has it: IRT 2 s, doubled, MRC 5, MRD 30 s.
    pub const STUBBORN: Plan = Plan {
        repeat: &[
            Duration::from_secs(2),
            Duration::from_secs(6),
            Duration::from_secs(14),
            Duration::from_secs(30),
        ],
        patience: Duration::from_secs(31),
        ..Plan::ONCE
    };
}

/// One request, repetitions not counted.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Behind which front end.
    pub front: usize,
    /// When it was sent first.
    pub sent: Instant,
    /// When it was answered.
    pub answered: Option<Instant>,
    /// By which server, where the answer tells: the number after its Reply-Message's last blank.
    pub by: Option<u8>,
    /// Whether the answer was an Access-Accept or an Accounting-Response.
    pub positive: bool,
}

/// The running traffic.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Told>>,
}

/// What became of all requests.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// All of them, in no order.
    pub requests: Vec<Record>,
    /// Answers that don't verify.
    pub forged: u64,
}

impl Traffic {
    /// Starts a NAS on each of these hosts.
    ///
    /// # Panics
    /// When their networks can't be entered.
    pub fn start(fronts: &[(&Host, Plan)]) -> Traffic {
        let fronts: Vec<_> = fronts
            .iter()
            .map(|(host, plan)| (host.namespace().expect("a host's network"), host.v4(), *plan))
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let nases = fronts.into_iter().map(|(network, front, plan)| {
                // Of this thread alone: nobody else notices.
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("root may enter a network");
                Nas::open(front, plan).expect("sockets in a network of its own")
            });
            Nases { nases: nases.collect(), told: Told::default(), sent: 0 }.run(&stopped)
        });
        Traffic { stop, thread: Some(thread) }
    }

    /// Sends nothing more, waits until everything is answered or lost.
    ///
    /// # Panics
    /// When the NASes' thread has.
    pub fn finish(mut self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("finished once").join().expect("the NASes' thread ends in order")
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Nases {
    nases: Vec<Nas>,
    told: Told,
    sent: u64,
}

struct Nas {
    plan: Plan,
    key: RadiusKey,
    /// For authentication and for accounting, in turn.
    ports: Vec<Port>,
    sent: u64,
}

struct Port {
    socket: UdpSocket,
    code: Code,
    outstanding: Vec<Option<Waiting>>,
    next: u8,
}

struct Waiting {
    record: Record,
    repeated: usize,
    octets: Vec<u8>,
}

/// Source ports of each kind, 256 identifiers each.
const PORTS: usize = 4;
/// Of ten requests two are accounting, and one of the others is for a user with a slow hash.
const TEN: [Asked; 10] = {
    let mut ten = [Asked::Alice; 10];
    (ten[2], ten[5], ten[7]) = (Asked::Accounting, Asked::Bob, Asked::Accounting);
    ten
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Alice,
    Bob,
    Accounting,
}

impl Nases {
    fn run(mut self, stop: &AtomicBool) -> Told {
        let started = Instant::now();
        let mut looked = started;
        let mut waiting = 1;
        while !stop.load(Ordering::Relaxed) || waiting > 0 {
            if !stop.load(Ordering::Relaxed) {
                self.send(started.elapsed());
            }
            self.listen();
            if looked.elapsed() >= Duration::from_millis(5) {
                looked = Instant::now();
                waiting = self.nases.iter_mut().map(|nas| nas.sweep(&mut self.told)).sum();
            }
        }
        self.told
    }

    /// What is due, each NAS in its turn.
    fn send(&mut self, elapsed: Duration) {
        let rate = self.nases.iter().map(|nas| nas.plan.rate).max().unwrap_or(1);
        let due = elapsed.as_micros() as u64 * u64::from(rate) / 1_000_000;
        let count = self.nases.len();
        while self.sent < due {
            let front = self.sent as usize % count;
            self.nases[front].send(front, &mut self.told);
            self.sent += 1;
        }
    }

    /// Waits for an answer, for a millisecond at most, and takes in what there is.
    fn listen(&mut self) {
        let ready: Vec<bool> = {
            let sockets = self.nases.iter().flat_map(|nas| &nas.ports);
            let mut fds: Vec<_> = sockets.map(|port| PollFd::new(&port.socket, PollFlags::IN)).collect();
            let patience = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            // Interrupted is as good as nothing there.
            let _ = poll(&mut fds, Some(&patience));
            fds.iter().map(|fd| !fd.revents().is_empty()).collect()
        };
        let told = &mut self.told;
        let ports = self.nases.iter_mut().flat_map(|nas| {
            let (key, signed) = (&nas.key, nas.plan.signed);
            nas.ports.iter_mut().map(move |port| (port, key, signed))
        });
        for ((port, key, signed), _) in ports.zip(ready).filter(|(_, ready)| *ready) {
            port.receive(key, signed, told);
        }
    }
}

impl Nas {
    fn open(front: IpAddr, plan: Plan) -> io::Result<Nas> {
        let mut ports = Vec::new();
        for (code, port) in [(Code::ACCESS_REQUEST, 1812), (Code::ACCOUNTING_REQUEST, 1813)] {
            for _ in 0..PORTS {
                ports.push(Port::open(code, SocketAddr::new(front, port))?);
            }
        }
        let key = RadiusKey::new(plan.secret.as_bytes()).map_err(io::Error::other)?;
        Ok(Nas { plan, key, ports, sent: 0 })
    }

    fn send(&mut self, front: usize, told: &mut Told) {
        let asked = TEN[(self.sent % 10) as usize];
        let lane = self.sent as usize % PORTS + if asked == Asked::Accounting { PORTS } else { 0 };
        let session = format!("nas-{front}-{}", self.sent);
        self.sent += 1;
        let record = Record { front, sent: Instant::now(), answered: None, by: None, positive: false };
        let port = &mut self.ports[lane];
        let Some(identifier) = port.free_identifier() else {
            // All 256 wait for an answer: that is a loss too.
            told.requests.push(record);
            return;
        };
        let octets = write(&self.key, asked, &session, identifier);
        // What the kernel refuses stays unanswered.
        let _ = port.socket.send(&octets);
        port.outstanding[usize::from(identifier)] = Some(Waiting { record, repeated: 0, octets });
    }

    /// Repeats what has to be repeated, gives up what has waited too long; how many still wait.
    fn sweep(&mut self, told: &mut Told) -> usize {
        let mut waiting = 0;
        for port in &mut self.ports {
            for slot in &mut port.outstanding {
                let Some(request) = slot else { continue };
                let age = request.record.sent.elapsed();
                if age >= self.plan.patience {
                    told.requests.push(request.record);
                    *slot = None;
                    continue;
                }
                waiting += 1;
                if self.plan.repeat.get(request.repeated).is_some_and(|&after| age >= after) {
                    let _ = port.socket.send(&request.octets);
                    request.repeated += 1;
                }
            }
        }
        waiting
    }
}

impl Port {
    fn open(code: Code, to: SocketAddr) -> io::Result<Port> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(to)?;
        socket.set_nonblocking(true)?;
        Ok(Port { socket, code, outstanding: (0..256).map(|_| None).collect(), next: 0 })
    }

    fn receive(&mut self, key: &RadiusKey, signed: bool, told: &mut Told) {
        let mut buffer = [0; 4096];
        loop {
            let length = match self.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A front end that isn't there is reported once for each request; the next one may be an answer.
                Err(_) => continue,
            };
            let Ok(packet) = Packet::parse(&buffer[..length]) else {
                told.forged += 1;
                continue;
            };
            let slot = &mut self.outstanding[usize::from(packet.peek().identifier())];
            let Some(waiting) = slot else { continue };
            let mut authenticator = [0; 16];
            authenticator.copy_from_slice(&waiting.octets[4..20]);
            let rule = match signed && self.code != Code::ACCOUNTING_REQUEST {
                true => MessageAuthenticatorRule::Required,
                false => MessageAuthenticatorRule::Optional,
            };
            let Ok(reply) = packet.verify_reply(key, self.code, &authenticator, rule) else {
                told.forged += 1;
                continue;
            };
            waiting.record.answered = Some(Instant::now());
            waiting.record.positive = matches!(reply.code(), Code::ACCESS_ACCEPT | Code::ACCOUNTING_RESPONSE);
            waiting.record.by = reply.find(number::REPLY_MESSAGE).and_then(server_number);
            told.requests.push(waiting.record);
            *slot = None;
        }
    }

    fn free_identifier(&mut self) -> Option<u8> {
        (0..256).find_map(|_| {
            let identifier = self.next;
            self.next = self.next.wrapping_add(1);
            self.outstanding[usize::from(identifier)].is_none().then_some(identifier)
        })
    }
}

fn server_number(message: &[u8]) -> Option<u8> {
    std::str::from_utf8(message).ok()?.rsplit(' ').next()?.parse().ok()
}

fn write(key: &RadiusKey, asked: Asked, session: &str, identifier: u8) -> Vec<u8> {
    let mut buffer = [0; 512];
    let written = if asked == Asked::Accounting {
        let mut writer = Writer::new(&mut buffer, Code::ACCOUNTING_REQUEST, identifier);
        writer
            .attribute(number::USER_NAME, b"alice")
            .and_then(|w| w.attribute(number::NAS_IDENTIFIER, b"matrix"))
            .and_then(|w| w.attribute(number::ACCT_SESSION_ID, session.as_bytes()))
            .and_then(|w| w.integer(number::ACCT_STATUS_TYPE, 1))
            .map(drop)
            .and_then(|()| writer.request(key, RequestAuthenticator::Computed))
    } else {
        let (user, password) = match asked {
            Asked::Bob => ("bob", "builder"),
            _ => ("alice", "wonderland"),
        };
        let authenticator: [u8; 16] = rand::random();
        let mut writer = Writer::new(&mut buffer, Code::ACCESS_REQUEST, identifier);
        writer
            .message_authenticator()
            .and_then(|w| w.attribute(number::USER_NAME, user.as_bytes()))
            .and_then(|w| w.user_password(key, &authenticator, password.as_bytes()))
            .and_then(|w| w.attribute(number::NAS_IDENTIFIER, b"matrix"))
            .map(drop)
            .and_then(|()| writer.request(key, RequestAuthenticator::Chosen(authenticator)))
    };
    written.expect("a request fits in 512 octets").to_vec()
}
