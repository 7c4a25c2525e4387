//! What telling everybody takes, and what it costs an agent to be lied to.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forewarn_shell::control::Status;
use forewarn_shell::udp::{Options, Outbound, Socket, bind};
use forewarn_wire::notice::{
    Flags, Header, Identity, Kind, MAGIC, MAX_OCTETS, MacKind, NoticeKey, Reason, UDP_PORT, write,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};
use socket2::{Domain, Protocol, SockAddr, Type};

use crate::load::{Usage, usage};
use crate::network::Host;
use crate::wait::eventually;
use crate::{Agent, Folder, Hosts, Network, Server, config};

use super::traffic::{Plan, Told, Traffic};

/// A figure beside what is wanted.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What is measured.
    pub name: &'static str,
    /// What came out.
    pub value: f64,
    /// It should be less.
    pub goal: f64,
    /// Of both.
    pub unit: &'static str,
    /// What else there is to know.
    pub note: String,
}

impl Figure {
    /// Whether it is as wanted.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.value < self.goal
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let Figure { name, value, goal, unit, note } = self;
        json!({ "figure": name, "value": value, "goal": goal, "unit": unit, "note": note })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure { name, value, goal, unit, note } = self;
        let missed = if self.is_good() { "" } else { "   MISSED" };
        write!(f, "{name:<58} {value:>8.1} {unit:<8} (goal {goal:.0}; {note}){missed}")
    }
}

/// Clients of the server that tells all of them.
const CLIENTS: u32 = 10_000;
/// Forged notices a second.
const FORGED: u64 = 100_000;
/// How long each measurement takes.
const MEASURED: Duration = Duration::from_secs(5);

/// From the first notice on the wire to the last one, for each transport: 10,000 clients, each with its own, unpaced.
///
/// # Panics
/// When the programs don't start, or somebody isn't told.
#[must_use]
pub fn telling(network: &mut Network) -> Vec<Figure> {
    let (host, crowd) = (network.host(), network.host());
    host.run(&format!("ip route add 10.128.0.0/16 via {}", crowd.v4()));
    // All of them are here; nobody answers, so that this machine's time is the server's.
    crowd.run(
        "ip route add local 10.128.0.0/16 dev lo
         echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all",
    );
    let clients: Vec<IpAddr> = (0..CLIENTS).map(|number| client(number).into()).collect();
    let tell = |transport: &str, name| {
        let notice = format!("[notice]\nrate = 1000000\ntransports = [\"{transport}\"]\n");
        let text = config::server(&Hosts::claim(), "east", host.v4(), &clients, "")
            .replace("[notice]\n", &notice)
            .replace("[health.limits]\n", "[health.limits]\nqueue_delay = \"off\"\nworkers_busy = \"off\"\n");
        let server = Server::start_on(&host, Folder::new(), &text);
        let tap = Tap::on(&crowd);
        let cpu = || usage(server.pid()).expect("it runs").cpu;
        let before = cpu();
        assert!(server.forewarn(&["drain"]).status.success());
        eventually("everybody is told", || {
            (tap.count.load(Ordering::Relaxed) == u64::from(CLIENTS)).then_some(())
        });
        let took = cpu().saturating_sub(before);
        let (first, last) = tap.finish();
        let note = format!(
            "{CLIENTS} clients, each with a notice signed for it, no pacing; {} ms of the server's CPU",
            took.as_millis()
        );
        let value = (last - first).as_secs_f64() * 1e3;
        Figure { name, value, goal: 250.0, unit: "ms", note }
    };
    vec![
        tell("icmp", "from the first notice on the wire to the last, ICMP"),
        tell("udp", "from the first notice on the wire to the last, UDP"),
    ]
}

/// An agent's CPU while it is lied to 100,000 times a second, and its memory at 1,000 requests a second.
///
/// # Panics
/// When the programs don't start, or a request is lost.
#[must_use]
pub fn enduring(network: &mut Network) -> Vec<Figure> {
    let (east, liar, edge) = (network.host(), network.host(), network.edge());
    let unused = Hosts::claim();
    let text = config::server(&unused, "east", east.v4(), &[edge.v4()], "");
    let _server = Server::start_on(&east, Folder::new(), &text);
    let text = config::agent(edge.v4(), &[("east", east.v4())], "");
    let agent = Agent::start_on(&edge, true, Folder::new(), &text);

    let (quiet, told) = while_traffic_flows(&edge, &agent, 500, MEASURED);
    nothing_lost(&told);
    let mut figures = Vec::new();
    for (by_icmp, name) in [
        (false, "agent's CPU while it ignores forged notices, UDP"),
        (true, "agent's CPU while it ignores forged notices, ICMP"),
    ] {
        let flood = Flood::from(&liar, east.v4(), edge.v4(), by_icmp);
        let sent = || flood.sent.load(Ordering::Relaxed);
        let before = (Instant::now(), sent(), refused(&agent));
        let (usage, told) = while_traffic_flows(&edge, &agent, 500, MEASURED);
        let (over, sent, judged) = (before.0.elapsed(), sent() - before.1, refused(&agent) - before.2);
        flood.finish();
        nothing_lost(&told);
        let per_second = |count: u64| count as f64 / over.as_secs_f64();
        figures.push(Figure {
            name,
            value: usage.share() * 100.0,
            goal: 20.0,
            unit: "% core",
            note: format!(
                "{:.0} forged a second, {:.0} of them read, 500 requests a second and none lost; {:.1} % without",
                per_second(sent),
                per_second(judged),
                quiet.share() * 100.0
            ),
        });
    }
    // Longer than answers are remembered.
    let (usage, told) = while_traffic_flows(&edge, &agent, 1000, Duration::from_secs(15));
    nothing_lost(&told);
    figures.push(Figure {
        name: "agent's resident memory",
        value: usage.after.resident_kib as f64 / 1024.0,
        goal: 10.0,
        unit: "MiB",
        note: format!(
            "1,000 requests a second for 15 s; {:.1} MiB at its peak, {:.1} % of a core",
            usage.after.peak_kib as f64 / 1024.0,
            usage.share() * 100.0
        ),
    });
    figures
}

/// What a process used in a span.
struct Used {
    before: Usage,
    after: Usage,
    over: Duration,
}

impl Used {
    fn share(&self) -> f64 {
        self.after.cpu.saturating_sub(self.before.cpu).as_secs_f64() / self.over.as_secs_f64()
    }
}

fn while_traffic_flows(edge: &Host, agent: &Agent, rate: u32, span: Duration) -> (Used, Told) {
    let traffic = Traffic::start(&[(edge, Plan { rate, ..Plan::ONCE })]);
    // A start has its own costs.
    std::thread::sleep(Duration::from_millis(500));
    let (started, before) = (Instant::now(), usage(agent.pid()).expect("it runs"));
    std::thread::sleep(span);
    let (over, after) = (started.elapsed(), usage(agent.pid()).expect("it runs"));
    (Used { before, after, over }, traffic.finish())
}

fn nothing_lost(told: &Told) {
    let lost = told.requests.iter().filter(|request| request.answered.is_none()).count();
    assert_eq!((lost, told.forged), (0, 0), "of {} requests", told.requests.len());
}

/// Notices that the agent has read and refused.
fn refused(agent: &Agent) -> u64 {
    match eventually("the agent's status", || agent.asked()) {
        Status::Agent(status) => {
            let refused = status.notices.iter().filter(|(name, _)| name.starts_with("refused."));
            refused.map(|(_, count)| count).sum()
        }
        Status::Server(_) => panic!("the agent is a server"),
    }
}

fn client(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 128, 0, 1)) + number)
}

/// Takes down who has been told, where all clients are.
struct Tap {
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Instant, Instant)>,
}

/// ETH_P_IP, in network order.
const IPV4: i32 = 0x0800_u16.to_be() as i32;

impl Tap {
    fn on(host: &Host) -> Tap {
        let network = host.namespace().expect("a host's network");
        let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (Arc::clone(&count), Arc::clone(&stop));
        let (ready, open) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a network");
            let mut socket = socket2::Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(IPV4)))
                .expect("root may listen to packets");
            socket.set_recv_buffer_size(4 << 20).expect("a buffer");
            socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
            ready.send(()).expect("somebody waits");
            let mut told = BTreeSet::new();
            let (mut first, mut last) = (None, Instant::now());
            let mut packet = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                let Ok(length) = socket.read(&mut packet) else { continue };
                let payload = packet.get(28..length).unwrap_or_default();
                if payload.starts_with(&MAGIC)
                    && told.insert([packet[16], packet[17], packet[18], packet[19]])
                {
                    last = Instant::now();
                    first.get_or_insert(last);
                    counted.store(told.len() as u64, Ordering::Relaxed);
                }
            }
            (first.unwrap_or(last), last)
        });
        open.recv().expect("it listens");
        Tap { count, stop, thread }
    }

    /// When the first was told, and the last.
    fn finish(self) -> (Instant, Instant) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the tap ends in order")
    }
}

/// Forged notices, as good as they get without the key: everything is right but the MAC.
struct Flood {
    stop: Arc<AtomicBool>,
    /// How many there were.
    sent: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

/// One alone doesn't manage [`FORGED`] by ICMP: the kernel sends each Echo Request, takes it in and answers it on its time.
const LIARS: u64 = 2;
/// So many go out together of each, a millisecond apart.
const TOGETHER: u64 = FORGED / LIARS / 1000;

impl Flood {
    fn from(host: &Host, server: IpAddr, agent: IpAddr, by_icmp: bool) -> Flood {
        let network = Arc::new(host.namespace().expect("a host's network"));
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let liar = || {
            let (stopped, counted, network) = (Arc::clone(&stop), Arc::clone(&sent), Arc::clone(&network));
            std::thread::spawn(move || {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("root may enter a network");
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(flood(&stopped, &counted, server, agent, by_icmp));
            })
        };
        let threads = (0..LIARS).map(|_| liar()).collect();
        Flood { stop, sent, threads }
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("the flood ends in order");
        }
    }
}

async fn flood(stop: &AtomicBool, counted: &AtomicU64, server: IpAddr, agent: IpAddr, by_icmp: bool) {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let socket = Socket::new(bind(any, &Options::default()).expect("a free port")).expect("a socket");
    let raw = socket2::Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).expect("root may");
    let (to, there) = (SocketAddr::new(agent, UDP_PORT), SockAddr::from(SocketAddr::new(agent, 0)));
    let mut batch = Outbound::new();
    let (started, mut sent) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let (forged, before) = (forged(server, agent, by_icmp), sent);
        for _ in 0..TOGETHER {
            if by_icmp {
                // What the kernel has no room for is not sent.
                sent += u64::from(raw.send_to(&forged, &there).is_ok());
            } else {
                if batch.push(&forged, to, None).is_err() {
                    socket.send(&mut batch).await.expect("sent");
                    batch.push(&forged, to, None).expect("there is room now");
                }
                sent += 1;
            }
        }
        socket.send(&mut batch).await.expect("sent");
        counted.fetch_add(sent - before, Ordering::Relaxed);
        let due = Duration::from_micros(sent * 1_000_000 * LIARS / FORGED);
        if let Some(early) = due.checked_sub(started.elapsed()) {
            tokio::time::sleep(early).await;
        }
    }
}

/// A FAILOVER of everything, of this moment, later than all before it; as an Echo Request where that is wanted.
fn forged(server: IpAddr, agent: IpAddr, by_icmp: bool) -> Vec<u8> {
    let (server, agent) = (Identity::from(server), Identity::from(agent));
    let key = NoticeKey::new(MacKind::HmacSha256, &[0x55; 32]).expect("32 octets").pair(server, agent);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut header = Header::new(Kind::Failover, server, agent);
    header.flags = Flags::ACK_WANTED;
    header.key_id = 1;
    header.epoch = u32::MAX;
    header.sequence = 1;
    header.utc_ms = now.as_millis() as u64;
    header.validity_s = 30;
    header.reduction_percent = 100;
    header.reason = Reason::SHUTDOWN;
    let mut buffer = [0; MAX_OCTETS];
    let length = write(&mut buffer, &header, std::iter::empty(), &key).expect("a notice fits");
    if !by_icmp {
        return buffer[..length].to_vec();
    }
    let mut echo = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
    echo.extend_from_slice(&buffer[..length]);
    let sum: u32 = echo
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default()))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !(((folded & 0xffff) + (folded >> 16)) as u16);
    echo[2..4].copy_from_slice(&checksum.to_be_bytes());
    echo
}
