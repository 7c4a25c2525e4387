//! The sockets: notices out by ICMP and UDP, agents' messages in by both.

use std::net::{IpAddr, SocketAddr};

use forewarn_proto::notice::Transport;
use forewarn_proto::notice::issue::{Origin, Path};
use forewarn_shell::icmp::{IcmpError, Kind, Receiver, Sender};
use forewarn_shell::udp::{self, BindError, Inbound, Options, Outbound, Socket};
use forewarn_wire::notice::MAGIC;

use crate::config::{Config, NoticeTransport};

/// Room for some hundred receipts that come at once, and no more: they are small, and repeated.
const BUFFER: usize = 1 << 20;

/// What is open.
pub(super) struct Post {
    udp: Option<Udp>,
    icmp: Option<Icmp>,
    /// What can't be done, and how to change that.
    complaints: Vec<String>,
    settings: Settings,
    refused: u64,
}

/// What the sockets depend on; another one has them opened anew.
#[derive(Clone, PartialEq, Eq)]
struct Settings {
    identity: IpAddr,
    listen: Option<SocketAddr>,
    udp: bool,
    icmp: bool,
}

impl Settings {
    fn of(config: &Config) -> Settings {
        let has = |transport| config.notice.transports.contains(&transport);
        Settings {
            identity: config.server.identity,
            listen: config.notice.listen,
            udp: has(NoticeTransport::Udp),
            icmp: has(NoticeTransport::Icmp),
        }
    }
}

struct Udp {
    socket: Socket,
    inbound: Inbound,
    outbound: Outbound,
    /// What notices leave from.
    source: IpAddr,
    has_news: bool,
}

struct Icmp {
    sender: Sender,
    receiver: Receiver,
    inbound: Inbound,
    has_news: bool,
}

impl Post {
    pub(super) fn open(config: &Config) -> Result<Post, BindError> {
        let settings = Settings::of(config);
        let udp = if settings.udp { open_udp(&settings)? } else { None };
        let mut complaints = Vec::new();
        if settings.udp && udp.is_none() {
            complaints.push("no notices by UDP: [notice] has no `listen` for the receipts".to_owned());
        }
        let icmp = if settings.icmp {
            open_icmp(settings.identity)
                .inspect_err(|error| {
                    tracing::warn!("{error}");
                    complaints.push(error.to_string());
                })
                .ok()
        } else {
            None
        };
        Ok(Post { udp, icmp, complaints, settings, refused: 0 })
    }

    /// Opens the sockets anew where the configuration says otherwise now.
    pub(super) fn reopen(&mut self, config: &Config) -> Result<(), BindError> {
        if Settings::of(config) == self.settings {
            return Ok(());
        }
        let refused = self.refused;
        if Settings::of(config).listen == self.settings.listen {
            // The address is ours and can't be bound twice.
            self.udp = None;
        }
        *self = Post::open(config)?;
        self.refused = refused;
        Ok(())
    }

    /// The configured transports that work, in their order.
    pub(super) fn transports(&self, config: &Config) -> Vec<Transport> {
        let working = |transport: &NoticeTransport| match transport {
            NoticeTransport::Icmp => self.icmp.as_ref().map(|_| Transport::Icmp),
            NoticeTransport::Udp => self.udp.as_ref().map(|_| Transport::Udp),
        };
        config.notice.transports.iter().filter_map(working).collect()
    }

    pub(super) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Datagrams that the kernel wouldn't send.
    pub(super) fn refused(&self) -> u64 {
        self.refused + self.udp.as_ref().map_or(0, |udp| udp.outbound.refused())
    }

    /// Returns when agents have said something. Never, when there is nothing to hear by.
    pub(super) async fn receive(&mut self) {
        let udp = async {
            match &mut self.udp {
                Some(udp) => {
                    let received = udp.socket.receive(&mut udp.inbound).await;
                    note("UDP", &mut udp.has_news, received);
                }
                None => std::future::pending().await,
            }
        };
        let icmp = async {
            match &mut self.icmp {
                Some(icmp) => {
                    let received = icmp.receiver.receive(&mut icmp.inbound).await;
                    note("ICMP", &mut icmp.has_news, received);
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! { () = udp => {}, () = icmp => {} }
    }

    /// What they said.
    pub(super) fn received(&self) -> impl Iterator<Item = (Origin, &[u8])> {
        let udp = self.udp.iter().filter(|udp| udp.has_news).flat_map(|udp| udp.inbound.iter());
        let icmp = self.icmp.iter().filter(|icmp| icmp.has_news);
        let echoes = icmp.flat_map(|icmp| icmp.receiver.echoes(&icmp.inbound));
        udp.map(|datagram| (Origin::Udp { from: datagram.from }, datagram.bytes))
            .chain(echoes.map(|echo| (Origin::Icmp { from: echo.from, id: echo.identifier }, echo.payload)))
    }

    /// What they said has been dealt with.
    pub(super) fn done(&mut self) {
        if let Some(udp) = &mut self.udp {
            udp.has_news = false;
        }
        if let Some(icmp) = &mut self.icmp {
            icmp.has_news = false;
        }
    }

    /// Sends a notice; by UDP when the batch is full or [`Post::flush`]ed.
    pub(super) async fn send(&mut self, to: Path, payload: &[u8]) {
        let sent = match (to, &self.icmp, &mut self.udp) {
            (Path::Icmp(to), Some(icmp), _) => icmp.sender.request(to, payload).await,
            (Path::IcmpReply { to, id }, Some(icmp), _) => icmp.sender.reply(to, id, 0, payload).await,
            (Path::Udp(to), _, Some(udp)) => return udp.push(payload, to).await,
            _ => return,
        };
        if let Err(error) = sent {
            self.refused += 1;
            tracing::debug!(%error, "a notice can't be sent by ICMP");
        }
    }

    /// Sends what [`Post::send`] has collected.
    pub(super) async fn flush(&mut self) {
        if let Some(udp) = &mut self.udp {
            udp.flush().await;
        }
    }
}

impl Udp {
    async fn push(&mut self, payload: &[u8], to: SocketAddr) {
        if self.outbound.push(payload, to, Some(self.source)).is_err() {
            self.flush().await;
            // Empty now, so there is room.
            let _ = self.outbound.push(payload, to, Some(self.source));
        }
    }

    async fn flush(&mut self) {
        if !self.outbound.is_empty()
            && let Err(error) = self.socket.send(&mut self.outbound).await
        {
            tracing::warn!(%error, "notices can't be sent by UDP");
            self.outbound.clear();
        }
    }
}

fn note(transport: &str, has_news: &mut bool, received: std::io::Result<usize>) {
    match received {
        Ok(_) => *has_news = true,
        Err(error) => tracing::debug!(%error, "receiving by {transport}"),
    }
}

fn open_udp(settings: &Settings) -> Result<Option<Udp>, BindError> {
    let Some(listen) = settings.listen else { return Ok(None) };
    let bound =
        udp::bind(listen, &Options { receive_buffer: BUFFER, send_buffer: BUFFER, ..Options::default() })?;
    let address = bound.local_addr();
    let socket = Socket::new(bound).map_err(|error| BindError::Io { address, error })?;
    let source = if listen.ip().is_unspecified() { settings.identity } else { listen.ip() };
    let (inbound, outbound) = (Inbound::new(), Outbound::new());
    Ok(Some(Udp { socket, inbound, outbound, source, has_news: false }))
}

fn open_icmp(identity: IpAddr) -> Result<Icmp, IcmpError> {
    let receiver = Receiver::open(identity, Kind::Request, MAGIC)?;
    let sender = Sender::new(identity)?;
    Ok(Icmp { sender, receiver, inbound: Inbound::new(), has_news: false })
}
