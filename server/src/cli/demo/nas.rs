//! The NAS of the demo: a steady stream of real requests into the agent's front door, each answer verified.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::{clock, random};
use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer, number,
};
use tokio::net::UdpSocket;

use super::stage::{FRONT_DOOR, LOCAL_SECRET};

/// Requests per second, authentication and accounting together.
pub(super) const RATE: u64 = 300;
/// A request without an answer after this long is lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

const TICK: Duration = Duration::from_millis(10);
const PORTS_PER_KIND: usize = 8;

/// What became of the requests that were sent during one act.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) accepts: u64,
    pub(super) rejects: u64,
    pub(super) accounted: u64,
    pub(super) lost: u64,
    /// The slowest accept or accounting answer; rejects are delayed by design.
    pub(super) slowest: Duration,
}

impl Tally {
    pub(super) fn answered(&self) -> u64 {
        self.accepts + self.rejects + self.accounted
    }

    fn note(&mut self, outcome: Outcome, took: Duration) {
        match outcome {
            Outcome::Accept => self.accepts += 1,
            Outcome::Reject => self.rejects += 1,
            Outcome::Accounted => self.accounted += 1,
        }
        if outcome != Outcome::Reject {
            self.slowest = self.slowest.max(took);
        }
    }
}

/// The running traffic.
pub(super) struct Nas {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    act: AtomicUsize,
    /// One tally per act, and one for the second that runs.
    tallies: Mutex<(Vec<Tally>, Tally)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Accept,
    Reject,
    Accounted,
}

impl Nas {
    /// Starts the stream; requests belong to act 0 until [`Nas::act`] says otherwise.
    pub(super) fn start(acts: usize) -> io::Result<Nas> {
        let shared = Arc::new(Shared::default());
        shared.tallies().0.resize(acts, Tally::default());
        let key = RadiusKey::new(LOCAL_SECRET.as_bytes()).map_err(io::Error::other)?;
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("nas".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(tokio::task::LocalSet::new().run_until(stream(theirs, key)))
        })?;
        Ok(Nas { shared, thread: Some(thread) })
    }

    /// From now on requests belong to this act.
    pub(super) fn act(&self, act: usize) {
        self.shared.act.store(act, Ordering::Relaxed);
    }

    /// What happened since the last call.
    pub(super) fn lately(&self) -> Tally {
        std::mem::take(&mut self.shared.tallies().1)
    }

    /// Sends nothing more, and waits until each request is answered or lost.
    pub(super) fn finish(mut self) -> io::Result<Vec<Tally>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| io::Error::other("the demo's NAS panicked"))??;
        }
        Ok(self.shared.tallies().0.clone())
    }
}

impl Shared {
    fn tallies(&self) -> MutexGuard<'_, (Vec<Tally>, Tally)> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, sent: &Sent, outcome: Outcome) {
        let took = clock::now().since(sent.at);
        let mut tallies = self.tallies();
        tallies.0[sent.act].note(outcome, took);
        tallies.1.note(outcome, took);
    }
}

/// One source port with its 256 identifiers.
struct Port {
    socket: UdpSocket,
    code: Code,
    outstanding: std::cell::RefCell<Vec<Option<Sent>>>,
}

struct Sent {
    at: Instant,
    act: usize,
    authenticator: [u8; 16],
}

async fn stream(shared: Arc<Shared>, key: RadiusKey) -> io::Result<()> {
    let key = Rc::new(key);
    let mut ports = Vec::new();
    for (code, port) in [(Code::ACCESS_REQUEST, 1812), (Code::ACCOUNTING_REQUEST, 1813)] {
        for _ in 0..PORTS_PER_KIND {
            let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await?;
            socket.connect(SocketAddr::new(FRONT_DOOR, port)).await?;
            let outstanding = std::cell::RefCell::new((0..256).map(|_| None).collect());
            let port = Rc::new(Port { socket, code, outstanding });
            tokio::task::spawn_local(receive(Rc::clone(&port), Rc::clone(&key), Arc::clone(&shared)));
            ports.push(port);
        }
    }
    let mut rng = random::generator();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let started = clock::now();
    let mut count = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let due = u64::try_from(clock::now().since(started).as_millis()).unwrap_or(u64::MAX) * RATE / 1000;
        while count < due {
            send(count, &ports, &key, &shared, &mut rng).await;
            count += 1;
        }
        sweep(&ports, &shared);
    }
    while sweep(&ports, &shared) > 0 {
        ticks.tick().await;
    }
    Ok(())
}

/// Sends request number `count`: who it is for follows from the number.
async fn send(
    count: u64,
    ports: &[Rc<Port>],
    key: &RadiusKey,
    shared: &Shared,
    rng: &mut impl rand::CryptoRng,
) {
    let accounting = count % 10 >= 7;
    let lane = usize::try_from(count).unwrap_or_default() % PORTS_PER_KIND
        + if accounting { PORTS_PER_KIND } else { 0 };
    let port = &ports[lane];
    let Some(identifier) = free_identifier(port, count) else { return };
    let mut buffer = [0; 512];
    let mut authenticator = [0; 16];
    rng.fill_bytes(&mut authenticator);
    let request = if accounting {
        accounting_request(&mut buffer, identifier, count, key)
    } else {
        access_request(&mut buffer, identifier, count, key, &authenticator)
    };
    let Ok(request) = request else { return };
    if accounting {
        authenticator.copy_from_slice(&request[4..20]);
    }
    let act = shared.act.load(Ordering::Relaxed);
    port.outstanding.borrow_mut()[usize::from(identifier)] =
        Some(Sent { at: clock::now(), act, authenticator });
    {
        let mut tallies = shared.tallies();
        tallies.0[act].sent += 1;
        tallies.1.sent += 1;
    }
    // What the kernel refuses stays unanswered, and is counted as lost.
    let _ = port.socket.send(request).await;
}

fn free_identifier(port: &Port, count: u64) -> Option<u8> {
    let outstanding = port.outstanding.borrow();
    let first = count / (PORTS_PER_KIND as u64);
    (0..256)
        .map(|step| ((first + step) % 256) as u8)
        .find(|&identifier| outstanding[usize::from(identifier)].is_none())
}

fn access_request<'b>(
    buffer: &'b mut [u8],
    identifier: u8,
    count: u64,
    key: &RadiusKey,
    authenticator: &[u8; 16],
) -> Result<&'b [u8], forewarn_wire::WriteError> {
    let (user, password) = match count % 100 {
        6 => ("alice", "not her password"),
        n if n % 10 == 5 => ("bob", "builder"),
        _ => ("alice", "wonderland"),
    };
    let mut writer = Writer::new(buffer, Code::ACCESS_REQUEST, identifier);
    writer
        .message_authenticator()?
        .attribute(number::USER_NAME, user.as_bytes())?
        .user_password(key, authenticator, password.as_bytes())?
        .attribute(number::NAS_IDENTIFIER, b"demo-nas")?
        .integer(number::NAS_PORT, (count % 48) as u32)?;
    writer.request(key, RequestAuthenticator::Chosen(*authenticator))
}

fn accounting_request<'b>(
    buffer: &'b mut [u8],
    identifier: u8,
    count: u64,
    key: &RadiusKey,
) -> Result<&'b [u8], forewarn_wire::WriteError> {
    // 7 starts a session, 8 reports on it, 9 ends it.
    let status = match count % 10 {
        7 => 1,
        8 => 3,
        _ => 2,
    };
    let session = format!("demo-{}", count / 10);
    let mut writer = Writer::new(buffer, Code::ACCOUNTING_REQUEST, identifier);
    writer
        .attribute(number::USER_NAME, b"alice")?
        .attribute(number::NAS_IDENTIFIER, b"demo-nas")?
        .attribute(number::ACCT_SESSION_ID, session.as_bytes())?
        .integer(number::ACCT_STATUS_TYPE, status)?
        .integer(number::ACCT_SESSION_TIME, 60 * (status - 1))?;
    writer.request(key, RequestAuthenticator::Computed)
}

async fn receive(port: Rc<Port>, key: Rc<RadiusKey>, shared: Arc<Shared>) {
    let mut buffer = [0; 4096];
    loop {
        // A refused port (the agent isn't up yet) is an error of one call only.
        let Ok(length) = port.socket.recv(&mut buffer).await else { continue };
        let Ok(packet) = Packet::parse(&buffer[..length]) else { continue };
        let slot = usize::from(packet.peek().identifier());
        let Some(sent) = port.outstanding.borrow_mut()[slot].take() else { continue };
        match packet.verify_reply(&key, port.code, &sent.authenticator, MessageAuthenticatorRule::Required) {
            Ok(reply) => shared.note(
                &sent,
                match reply.code() {
                    Code::ACCESS_ACCEPT => Outcome::Accept,
                    Code::ACCOUNTING_RESPONSE => Outcome::Accounted,
                    _ => Outcome::Reject,
                },
            ),
            // Not the answer: the request goes on waiting.
            Err(_) => port.outstanding.borrow_mut()[slot] = Some(sent),
        }
    }
}

/// Counts as lost what has waited long enough; gives the number that still wait.
fn sweep(ports: &[Rc<Port>], shared: &Shared) -> usize {
    let now = clock::now();
    let mut waiting = 0;
    for port in ports {
        for slot in port.outstanding.borrow_mut().iter_mut() {
            match slot {
                Some(sent) if now.since(sent.at) >= PATIENCE => {
                    let mut tallies = shared.tallies();
                    tallies.0[sent.act].lost += 1;
                    tallies.1.lost += 1;
                    *slot = None;
                }
                Some(_) => waiting += 1,
                None => {}
            }
        }
    }
    waiting
}
