//! A constant stream of requests, as a busy NAS sends them: each answer verified, each loss counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer, number,
};

/// What to send, how fast.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where authentication goes; accounting goes to the next port.
    pub to: SocketAddr,
    /// The secret with it.
    pub secret: String,
    /// Requests per second.
    pub rate: u32,
    /// One request in so many is accounting; 0: none.
    pub accounting: u32,
    /// Users and their passwords, in turn.
    pub users: Vec<(&'static str, &'static str)>,
    /// After how long an unanswered request is sent again, the same octets; at most twice.
    pub repeat: Option<Duration>,
    /// After how long it is lost.
    pub patience: Duration,
}

impl Plan {
    /// 500 requests a second through an agent, one in five accounting, one in ten against a slow hash; no repetitions.
    pub fn through(agent: IpAddr) -> Plan {
        let mut users = vec![("alice", "wonderland"); 9];
        users.push(("bob", "builder"));
        Plan {
            to: (agent, 1812).into(),
            secret: crate::config::LOCAL_SECRET.to_owned(),
            rate: 500,
            accounting: 5,
            users,
            repeat: None,
            patience: Duration::from_secs(5),
        }
    }
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests, repetitions not counted.
    pub sent: u64,
    /// Access-Accepts.
    pub accepts: u64,
    /// Access-Rejects and -Challenges.
    pub others: u64,
    /// Accounting-Responses.
    pub accounted: u64,
    /// Unanswered within the patience.
    pub lost: u64,
    /// Answers that don't verify.
    pub forged: u64,
    /// The slowest accept or accounting answer, repetitions included.
    pub slowest: Duration,
}

/// The running stream.
#[derive(Debug)]
pub struct Stream {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Tally>>,
}

impl Stream {
    /// Starts it.
    pub fn start(plan: Plan) -> Stream {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || Sender::new(plan).run(&stopped));
        Stream { stop, thread: Some(thread) }
    }

    /// Sends nothing more, waits until everything is answered or lost, and counts.
    ///
    /// # Panics
    /// When the sender has.
    pub fn finish(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("finished once").join().expect("the stream's thread ends in order")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

const PORTS_PER_KIND: usize = 16;

struct Sender {
    plan: Plan,
    key: RadiusKey,
    ports: Vec<Port>,
    tally: Tally,
    count: u64,
}

struct Port {
    socket: UdpSocket,
    code: Code,
    outstanding: Vec<Option<Sent>>,
    next: u8,
}

struct Sent {
    first: Instant,
    last: Instant,
    times: u32,
    octets: Vec<u8>,
}

impl Sender {
    fn new(plan: Plan) -> Sender {
        let key = RadiusKey::new(plan.secret.as_bytes()).expect("a secret");
        let accounting = SocketAddr::new(plan.to.ip(), plan.to.port() + 1);
        let ports = [(Code::ACCESS_REQUEST, plan.to), (Code::ACCOUNTING_REQUEST, accounting)]
            .into_iter()
            .flat_map(|(code, to)| (0..PORTS_PER_KIND).map(move |_| Port::open(code, to)))
            .collect();
        Sender { plan, key, ports, tally: Tally::default(), count: 0 }
    }

    fn run(mut self, stop: &AtomicBool) -> Tally {
        let started = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let due = started.elapsed().as_micros() as u64 * u64::from(self.plan.rate) / 1_000_000;
            while self.count < due {
                self.send();
                self.count += 1;
            }
            self.receive();
            self.sweep();
            std::thread::sleep(Duration::from_micros(500));
        }
        while self.sweep() > 0 {
            self.receive();
            std::thread::sleep(Duration::from_micros(500));
        }
        self.tally
    }

    fn send(&mut self) {
        let count = self.count;
        let accounting = self.plan.accounting > 0 && count.is_multiple_of(u64::from(self.plan.accounting));
        let lane = count as usize % PORTS_PER_KIND + if accounting { PORTS_PER_KIND } else { 0 };
        let port = &mut self.ports[lane];
        let Some(identifier) = port.free_identifier() else {
            // All 256 wait for an answer: that is a loss too.
            self.tally.sent += 1;
            self.tally.lost += 1;
            return;
        };
        let (user, password) = self.plan.users[count as usize % self.plan.users.len()];
        let mut buffer = [0; 512];
        let mut writer = Writer::new(&mut buffer, port.code, identifier);
        let written = if accounting {
            let session = format!("stream-{count}");
            writer
                .attribute(number::USER_NAME, user.as_bytes())
                .and_then(|w| w.attribute(number::NAS_IDENTIFIER, b"stream"))
                .and_then(|w| w.attribute(number::ACCT_SESSION_ID, session.as_bytes()))
                .and_then(|w| w.integer(number::ACCT_STATUS_TYPE, 1))
                .map(drop)
                .and_then(|()| writer.request(&self.key, RequestAuthenticator::Computed))
        } else {
            let authenticator: [u8; 16] = rand::random();
            writer
                .message_authenticator()
                .and_then(|w| w.attribute(number::USER_NAME, user.as_bytes()))
                .and_then(|w| w.user_password(&self.key, &authenticator, password.as_bytes()))
                .and_then(|w| w.attribute(number::NAS_IDENTIFIER, b"stream"))
                .map(drop)
                .and_then(|()| writer.request(&self.key, RequestAuthenticator::Chosen(authenticator)))
        };
        let octets = written.expect("a request fits in 512 octets").to_vec();
        // What the kernel refuses stays unanswered, and is counted as lost.
        let _ = port.socket.send(&octets);
        let now = Instant::now();
        port.outstanding[usize::from(identifier)] = Some(Sent { first: now, last: now, times: 1, octets });
        self.tally.sent += 1;
    }

    fn receive(&mut self) {
        let mut buffer = [0; 4096];
        for port in &mut self.ports {
            while let Ok(length) = port.socket.recv(&mut buffer) {
                let Ok(packet) = Packet::parse(&buffer[..length]) else {
                    self.tally.forged += 1;
                    continue;
                };
                let slot = &mut port.outstanding[usize::from(packet.peek().identifier())];
                let Some(sent) = slot else { continue };
                let mut authenticator = [0; 16];
                authenticator.copy_from_slice(&sent.octets[4..20]);
                let Ok(reply) = packet.verify_reply(
                    &self.key,
                    port.code,
                    &authenticator,
                    MessageAuthenticatorRule::Required,
                ) else {
                    self.tally.forged += 1;
                    continue;
                };
                let took = sent.first.elapsed();
                match reply.code() {
                    Code::ACCESS_ACCEPT => self.tally.accepts += 1,
                    Code::ACCOUNTING_RESPONSE => self.tally.accounted += 1,
                    _ => self.tally.others += 1,
                }
                if matches!(reply.code(), Code::ACCESS_ACCEPT | Code::ACCOUNTING_RESPONSE) {
                    self.tally.slowest = self.tally.slowest.max(took);
                }
                *slot = None;
            }
        }
    }

    /// Repeats what has to be repeated, gives up what has waited too long; how many still wait.
    fn sweep(&mut self) -> usize {
        let now = Instant::now();
        let mut waiting = 0;
        for port in &mut self.ports {
            for slot in &mut port.outstanding {
                let Some(sent) = slot else { continue };
                if now.duration_since(sent.first) >= self.plan.patience {
                    self.tally.lost += 1;
                    *slot = None;
                    continue;
                }
                waiting += 1;
                let due = self.plan.repeat.is_some_and(|after| now.duration_since(sent.last) >= after);
                if due && sent.times < 3 {
                    let _ = port.socket.send(&sent.octets);
                    sent.last = now;
                    sent.times += 1;
                }
            }
        }
        waiting
    }
}

impl Port {
    fn open(code: Code, to: SocketAddr) -> Port {
        // Every loopback address would answer to each other; the tests' clients are 127.0.0.1.
        let from: IpAddr = match to.ip() {
            to if to.is_loopback() && to.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((from, 0)).expect("a free port");
        socket.connect(to).expect("a way there");
        socket.set_nonblocking(true).expect("a socket");
        Port { socket, code, outstanding: (0..256).map(|_| None).collect(), next: 0 }
    }

    fn free_identifier(&mut self) -> Option<u8> {
        for _ in 0..256 {
            let identifier = self.next;
            self.next = self.next.wrapping_add(1);
            if self.outstanding[usize::from(identifier)].is_none() {
                return Some(identifier);
            }
        }
        None
    }
}
