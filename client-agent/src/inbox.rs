//! The inbox: where notices come in, and where the agent's own messages leave.
//!
//! Two ways: a raw ICMP socket behind a kernel filter, and UDP with the same signed bytes. Without the privilege for
//! the first, or behind a NAT, a ping socket: it registers by HELLO, and notices come back on it as Echo Replies. What
//! a message says is judged and answered by [`forewarn_shell::inbox`], as in a proxy.

use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use forewarn_proto::notice::verify;
use forewarn_proto::notice::{Mark, Transport};
use forewarn_proto::time::{Instant, Utc};
use forewarn_shell::icmp::{self, Echo, IcmpError, PingSocket, Receiver};
use forewarn_shell::inbox::{self, Home, InboxCounters, Outbox};
use forewarn_shell::marks::Marks;
use forewarn_shell::udp::{self, BindError, Flushed, Inbound, Options, Outbound, Socket};
use forewarn_wire::notice::{MAGIC, MAX_OCTETS, Notice, Outcome, Reason};
use rand_core::CryptoRng;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::config::Config;

/// A HELLO goes out so often, ± 10 %: the shortest a NAT may remember the way is 30 s (RFC 5508 says 60 s).
pub const HELLO_EVERY: Duration = Duration::from_secs(20);
/// Messages waiting to leave by ICMP, at most.
pub const ICMP_QUEUE_MAX: usize = 64;

/// Why there is no inbox.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The UDP port can't be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The socket can't be used on this runtime.
    #[error("the inbox can't be used: {0}")]
    Io(#[from] std::io::Error),
}

/// The inbox of one agent.
pub struct Inbox {
    desk: inbox::Inbox,
    ways: Ways,
    complaint: Option<String>,
}

/// Its sockets.
struct Ways {
    udp: Option<Udp>,
    icmp: Option<Icmp>,
}

struct Udp {
    socket: Socket,
    out: Outbound,
}

/// ICMP, as this process may use it.
enum Icmp {
    /// Echo Requests both ways.
    Raw { receiver: Receiver, letters: mpsc::Sender<Letter> },
    /// Echo Requests out, Echo Replies in; the next HELLO is due then.
    Ping { socket: PingSocket, hello: Instant },
}

/// A message on its way out by ICMP.
struct Letter {
    to: IpAddr,
    octets: [u8; MAX_OCTETS],
    length: usize,
}

/// A payload that came in.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'b> {
    /// By which transport.
    pub via: Transport,
    /// From where; anybody can write any.
    pub from: SocketAddr,
    /// When the kernel received it; by UDP, when it was read.
    pub arrived: Instant,
    /// It.
    pub payload: &'b [u8],
}

impl Inbox {
    /// Opens what the configuration names, on the current runtime. Without the privilege for ICMP it goes on by UDP
    /// and says how to grant it.
    ///
    /// # Errors
    /// When the UDP port can't be bound.
    pub fn open(config: &Config, epoch: u32, marks: &Marks, now: Instant) -> Result<Inbox, InboxError> {
        let home = |server: &crate::config::Server| Home {
            address: server.address,
            port: server.notice_port,
            keys: server.notice_keys.clone(),
        };
        let homes: Vec<Home> = config.servers.iter().map(home).collect();
        let desk = inbox::Inbox::new(config.identity, epoch, &homes, marks, now);
        let udp = match config.inbox.udp {
            Some(address) => Some(Udp::open(address)?),
            None => None,
        };
        let mut complaint = None;
        let icmp = match config.inbox.icmp {
            true if config.is_behind_nat() => Icmp::ping(config.address, now)
                .inspect_err(|refused| complaint = Some(format!("{refused}: no notice passes the NAT")))
                .ok(),
            true => Icmp::open(config.address, now, &mut complaint),
            false => None,
        };
        if let Some(complaint) = &mut complaint {
            if icmp.is_none() && udp.is_none() {
                complaint.push_str("; and [inbox] transports doesn't name udp: no notice can come in");
            }
            warn!("{complaint}");
        }
        Ok(Inbox { desk, ways: Ways { udp, icmp }, complaint })
    }

    /// The machine, to look at.
    #[must_use]
    pub fn machine(&self) -> &verify::Inbox {
        self.desk.machine()
    }

    /// The machine, to judge what came in.
    pub fn machine_mut(&mut self) -> &mut verify::Inbox {
        self.desk.machine_mut()
    }

    /// What it can't do, and how to change that.
    #[must_use]
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// What it sent.
    #[must_use]
    pub fn counters(&self) -> InboxCounters {
        let refused = self.ways.udp.as_ref().map_or(0, |udp| udp.out.refused());
        let counters = self.desk.counters();
        InboxCounters { unsent: counters.unsent + refused, ..counters }
    }

    /// Datagrams the kernel dropped because nobody read them in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let udp = self.ways.udp.as_ref().map_or(0, |udp| udp.socket.drops());
        udp + match &self.ways.icmp {
            Some(Icmp::Raw { receiver, .. }) => receiver.drops(),
            Some(Icmp::Ping { socket, .. }) => socket.drops(),
            None => 0,
        }
    }

    /// The marks as they are to be saved.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.desk.marks()
    }

    /// Reads one batch of UDP datagrams into `inbound`; pending when there is nothing to read.
    pub fn poll_udp(&self, cx: &mut Context<'_>, inbound: &mut Inbound) -> Poll<Batch> {
        match &self.ways.udp {
            Some(udp) => udp.socket.poll_receive(cx, inbound).map(|result| batch(&result)),
            None => Poll::Pending,
        }
    }

    /// Reads one batch of Echo messages into `inbound`; pending when there is nothing to read.
    pub fn poll_icmp(&self, cx: &mut Context<'_>, inbound: &mut Inbound) -> Poll<Batch> {
        match &self.ways.icmp {
            Some(Icmp::Raw { receiver, .. }) => receiver.poll_receive(cx, inbound),
            Some(Icmp::Ping { socket, .. }) => socket.poll_receive(cx, inbound),
            None => return Poll::Pending,
        }
        .map(|result| batch(&result))
    }

    /// What a batch that came by `via` holds at `index`. None when there is nothing, or only our own message: the
    /// peer's kernel sends it back to a ping socket.
    #[must_use]
    pub fn arrival<'b>(&self, via: Transport, inbound: &'b Inbound, index: usize) -> Option<Arrival<'b>> {
        let of_echo = |echo: Echo<'b>| Arrival {
            via,
            from: SocketAddr::new(echo.from, 0),
            arrived: echo.arrived,
            payload: echo.payload,
        };
        match (via, &self.ways.icmp) {
            (Transport::Udp, _) => inbound.get(index).map(|datagram| Arrival {
                via,
                from: datagram.from,
                arrived: datagram.arrived,
                payload: datagram.bytes,
            }),
            (Transport::Icmp, Some(Icmp::Raw { receiver, .. })) => receiver.echo(inbound, index).map(of_echo),
            (Transport::Icmp, Some(Icmp::Ping { socket, .. })) => {
                socket.echo(inbound, index).map(of_echo).filter(|arrival| !is_ours(arrival.payload))
            }
            (Transport::Icmp, None) => None,
        }
    }

    /// A notice of this server was acted on, with this outcome.
    pub fn acted(&mut self, server: usize, via: Transport, outcome: Outcome) {
        self.desk.acted(server, via, outcome);
    }

    /// Whether any notice of this server was acted on yet.
    #[must_use]
    pub fn has_acted(&self, server: usize) -> bool {
        self.desk.has_acted(server)
    }

    /// Acknowledges the notice at `mark` the way it came.
    pub fn acknowledge(
        &mut self,
        server: usize,
        mark: Mark,
        outcome: Outcome,
        utc: Utc,
        arrival: &Arrival<'_>,
    ) {
        self.desk.acknowledge(server, mark, outcome, utc, (arrival.via, arrival.from), &mut self.ways);
    }

    /// Acknowledges it once more, if it is time to.
    pub fn acknowledge_again(&mut self, server: usize, mark: Mark, moment: (Instant, Utc), via: Transport) {
        self.desk.acknowledge_again(server, mark, moment, via, &mut self.ways);
    }

    /// Asks a server whether this agent may come back.
    pub fn ask_reconnect(&mut self, server: usize, reason: Reason, utc: Utc) {
        self.desk.ask_reconnect(server, reason, utc, &mut self.ways);
    }

    /// Sends the HELLOs and CHALLENGEs that are due.
    pub fn handle_timeout(&mut self, now: Instant, utc: Utc, rng: &mut dyn CryptoRng) {
        if self.ways.hello_is_due(now, rng) {
            self.desk.say_hello(utc, &mut self.ways);
        }
        self.desk.handle_timeout(now, utc, rng, &mut self.ways);
    }

    /// When to call [`Inbox::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let hello = match &self.ways.icmp {
            Some(Icmp::Ping { hello, .. }) => Some(*hello),
            Some(Icmp::Raw { .. }) | None => None,
        };
        self.desk.poll_timeout().into_iter().chain(hello).min()
    }
}

impl Ways {
    /// Whether every server is to be told by which ping socket this agent can be told, before a NAT forgets the way.
    fn hello_is_due(&mut self, now: Instant, rng: &mut dyn CryptoRng) -> bool {
        match &mut self.icmp {
            Some(Icmp::Ping { hello, .. }) if *hello <= now => {
                let tenth = HELLO_EVERY / 10;
                let jitter = (2 * tenth).mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX));
                *hello = now + (HELLO_EVERY - tenth) + jitter;
                true
            }
            _ => false,
        }
    }
}

impl Outbox for Ways {
    fn send(&mut self, via: Transport, to: SocketAddr, octets: &[u8]) -> bool {
        match via {
            Transport::Icmp => self.icmp.as_ref().is_none_or(|icmp| icmp.send(octets, to.ip())),
            Transport::Udp => self.udp.as_mut().is_none_or(|udp| udp.send(octets, to)),
        }
    }
}

impl Udp {
    fn open(address: SocketAddr) -> Result<Udp, InboxError> {
        let options = Options { receive_buffer: BUFFER_OCTETS, send_buffer: BUFFER_OCTETS, envelopes: false };
        Ok(Udp { socket: Socket::new(udp::bind(address, &options)?)?, out: Outbound::new() })
    }

    fn send(&mut self, octets: &[u8], to: SocketAddr) -> bool {
        let sent =
            self.out.push(octets, to, None).is_ok() && self.socket.flush(&mut self.out) == Flushed::Done;
        self.out.clear();
        sent
    }
}

impl Icmp {
    /// A raw socket, or else a ping socket; none without either. `complaint` says what is missing, and how to get it.
    fn open(own: IpAddr, now: Instant, complaint: &mut Option<String>) -> Option<Icmp> {
        let refused = match Icmp::raw(own) {
            Ok(raw) => return Some(raw),
            Err(refused) => refused,
        };
        *complaint = Some(refused.to_string());
        if !matches!(refused, IcmpError::NotPermitted { .. }) {
            return None;
        }
        let ping = Icmp::ping(own, now).ok()?;
        *complaint = Some(format!(
            "no raw ICMP socket: notices come as Echo Replies to a ping socket, and by UDP. To have them as Echo \
             Requests, grant CAP_NET_RAW: `setcap cap_net_raw+ep {}`, or `AmbientCapabilities=CAP_NET_RAW` in the \
             systemd unit",
            std::env::current_exe()
                .map_or_else(|_| "forewarn-agent".into(), |path| path.display().to_string())
        ));
        Some(ping)
    }

    /// A ping socket, which says HELLO at once.
    fn ping(own: IpAddr, now: Instant) -> Result<Icmp, IcmpError> {
        Ok(Icmp::Ping { socket: PingSocket::open(own, MAGIC)?, hello: now })
    }

    fn raw(own: IpAddr) -> Result<Icmp, IcmpError> {
        let receiver = Receiver::open(own, icmp::Kind::Request, MAGIC)?;
        let sender = icmp::Sender::new(own)?;
        let (letters, post) = mpsc::channel(ICMP_QUEUE_MAX);
        tokio::spawn(carry(sender, post));
        Ok(Icmp::Raw { receiver, letters })
    }

    fn send(&self, octets: &[u8], to: IpAddr) -> bool {
        match self {
            Icmp::Raw { letters, .. } => {
                let mut letter = Letter { to, octets: [0; MAX_OCTETS], length: octets.len() };
                letter.octets[..octets.len()].copy_from_slice(octets);
                letters.try_send(letter).is_ok()
            }
            Icmp::Ping { socket, .. } => socket.send(to, octets).is_ok(),
        }
    }
}

/// Whether this is a message that only agents send.
fn is_ours(payload: &[u8]) -> bool {
    Notice::parse(payload).is_ok_and(|notice| notice.peek().header().kind.is_from_agent())
}

/// Carries letters out, one after another.
async fn carry(sender: icmp::Sender, mut post: mpsc::Receiver<Letter>) {
    while let Some(letter) = post.recv().await {
        if let Err(error) = sender.request(letter.to, &letter.octets[..letter.length]).await {
            debug!(%error, to = %letter.to, "a message can't leave by ICMP");
        }
    }
}

/// Whether a socket that was ready had anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// It had, and the batch holds it.
    Filled,
    /// It had an error to tell; the batch still holds what it held before.
    Failed,
}

fn batch(result: &std::io::Result<usize>) -> Batch {
    match result {
        Ok(_) => Batch::Filled,
        Err(error) => {
            debug!(%error, "reading from the inbox");
            Batch::Failed
        }
    }
}

/// Room for a burst of notices, and for the forged ones that come during a pause: a genuine one among them must find
/// some. The kernel gives what it has been told to give at most (`net.core.rmem_max`).
const BUFFER_OCTETS: usize = 4 * 1024 * 1024;
