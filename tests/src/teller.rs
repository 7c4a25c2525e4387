//! A NAS that reports sessions, repeats what isn't answered, and remembers what was acknowledged.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer, number,
};

use crate::config::SECRET;

const PORTS: usize = 16;
/// An unanswered record goes out again, the same octets.
const REPEAT: Duration = Duration::from_millis(700);
const START: u32 = 1;
const STOP: u32 = 2;

/// What became of the records.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Sessions whose Start was acknowledged.
    pub started: BTreeSet<String>,
    /// Sessions whose Stop was.
    pub stopped: BTreeSet<String>,
    /// Sessions whose Start went out, acknowledged or not.
    pub begun: u64,
    /// Records that were never answered.
    pub lost: u64,
    /// Repetitions.
    pub repeated: u64,
    /// From a record's first sending to its answer, at most.
    pub slowest: Duration,
}

/// The running NAS.
#[derive(Debug)]
pub struct Teller {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Told>>,
}

impl Teller {
    /// Reports `rate` records a second from `from` to `to`: each session's Start, and once that is acknowledged its Stop.
    /// A record is given up after `patience`.
    pub fn start(to: SocketAddr, from: IpAddr, rate: u32, patience: Duration) -> Teller {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || Desk::open(to, from, patience).run(rate, &stopped));
        Teller { stop, thread: Some(thread) }
    }

    /// Begins nothing more, waits until everything is answered or given up.
    ///
    /// # Panics
    /// When its thread has.
    pub fn finish(mut self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("finished once").join().expect("the teller ends in order")
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Desk {
    key: RadiusKey,
    patience: Duration,
    ports: Vec<Port>,
    /// Sessions whose Stop is due.
    ending: VecDeque<String>,
    told: Told,
    turn: usize,
}

struct Port {
    socket: UdpSocket,
    waiting: Vec<Option<Waiting>>,
    next: u8,
}

struct Waiting {
    session: String,
    status: u32,
    first: Instant,
    last: Instant,
    octets: Vec<u8>,
}

impl Desk {
    fn open(to: SocketAddr, from: IpAddr, patience: Duration) -> Desk {
        let port = || {
            let socket = UdpSocket::bind((from, 0)).expect("a free port");
            socket.connect(to).expect("a way there");
            socket.set_nonblocking(true).expect("a socket");
            Port { socket, waiting: (0..256).map(|_| None).collect(), next: 0 }
        };
        Desk {
            key: RadiusKey::new(SECRET.as_bytes()).expect("a secret"),
            patience,
            ports: (0..PORTS).map(|_| port()).collect(),
            ending: VecDeque::new(),
            told: Told::default(),
            turn: 0,
        }
    }

    fn run(mut self, rate: u32, stop: &AtomicBool) -> Told {
        let started = Instant::now();
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            let due = started.elapsed().as_micros() as u64 * u64::from(rate) / 1_000_000;
            while sent < due {
                self.tell();
                sent += 1;
            }
            self.listen();
            self.sweep();
            std::thread::sleep(Duration::from_millis(1));
        }
        while self.sweep() > 0 || !self.ending.is_empty() {
            while !self.ending.is_empty() && self.tell() {}
            self.listen();
            std::thread::sleep(Duration::from_millis(1));
        }
        self.told
    }

    /// The next record: a Stop that is due, else a new session's Start. False when every identifier is taken.
    fn tell(&mut self) -> bool {
        self.turn += 1;
        let at = self.turn % PORTS;
        let Some(identifier) = self.ports[at].free() else { return false };
        let (session, status) = match self.ending.pop_front() {
            Some(session) => (session, STOP),
            None => {
                self.told.begun += 1;
                (format!("told-{}-{}", std::process::id(), self.told.begun), START)
            }
        };
        let mut buffer = [0; 512];
        let mut writer = Writer::new(&mut buffer, Code::ACCOUNTING_REQUEST, identifier);
        writer
            .attribute(number::USER_NAME, b"told")
            .and_then(|w| w.attribute(number::NAS_IP_ADDRESS, &[192, 0, 2, 1]))
            .and_then(|w| w.attribute(number::ACCT_SESSION_ID, session.as_bytes()))
            .and_then(|w| w.integer(number::ACCT_STATUS_TYPE, status))
            .and_then(|w| w.integer(number::ACCT_SESSION_TIME, 60 * (status - 1)))
            .expect("room");
        let octets = writer.request(&self.key, RequestAuthenticator::Computed).expect("room").to_vec();
        let now = Instant::now();
        let port = &mut self.ports[at];
        // What can't be sent is repeated like what is lost on the way.
        let _ = port.socket.send(&octets);
        port.waiting[usize::from(identifier)] =
            Some(Waiting { session, status, first: now, last: now, octets });
        true
    }

    fn listen(&mut self) {
        let mut buffer = [0; 4096];
        for port in &mut self.ports {
            // A port nobody listens on is reported once for each sending; the next read may have more.
            for _ in 0..512 {
                let length = match port.socket.recv(&mut buffer) {
                    Ok(length) => length,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(_) => continue,
                };
                let Ok(packet) = Packet::parse(&buffer[..length]) else { continue };
                let slot = &mut port.waiting[usize::from(packet.peek().identifier())];
                let Some(waiting) = slot else { continue };
                let mut authenticator = [0; 16];
                authenticator.copy_from_slice(&waiting.octets[4..20]);
                let rule = MessageAuthenticatorRule::Optional;
                if packet.verify_reply(&self.key, Code::ACCOUNTING_REQUEST, &authenticator, rule).is_err() {
                    continue;
                }
                let Some(waiting) = slot.take() else { continue };
                self.told.slowest = self.told.slowest.max(waiting.first.elapsed());
                if waiting.status == START {
                    self.ending.push_back(waiting.session.clone());
                    self.told.started.insert(waiting.session);
                } else {
                    self.told.stopped.insert(waiting.session);
                }
            }
        }
    }

    /// Repeats what is due, gives up what has waited too long; how many still wait.
    fn sweep(&mut self) -> usize {
        let now = Instant::now();
        let mut left = 0;
        for port in &mut self.ports {
            for slot in &mut port.waiting {
                let Some(waiting) = slot else { continue };
                if now.duration_since(waiting.first) >= self.patience {
                    self.told.lost += 1;
                    *slot = None;
                    continue;
                }
                left += 1;
                if now.duration_since(waiting.last) >= REPEAT {
                    let _ = port.socket.send(&waiting.octets);
                    waiting.last = now;
                    self.told.repeated += 1;
                }
            }
        }
        left
    }
}

impl Port {
    fn free(&mut self) -> Option<u8> {
        (0..256).find_map(|_| {
            let identifier = self.next;
            self.next = self.next.wrapping_add(1);
            self.waiting[usize::from(identifier)].is_none().then_some(identifier)
        })
    }
}
