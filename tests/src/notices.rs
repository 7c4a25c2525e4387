//! The notices of a scripted home server: signed ones, and everything an attacker could make of them.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use forewarn_wire::notice::{
    self, Flags, Header, Identity, Kind, MAX_OCTETS, MacKind, Notice, NoticeKey, Outcome, PairKey, Reason,
    Tlv, UDP_PORT,
};

/// A home server's end of the notice channel to one agent, by UDP.
pub struct NoticeDesk {
    socket: UdpSocket,
    key: PairKey,
    server: Identity,
    client: Identity,
    agent: SocketAddr,
    /// The epoch of the next notice.
    pub epoch: u32,
    /// The sequence of the last notice.
    pub sequence: u32,
    /// Milliseconds added to the real time in each notice.
    pub clock_offset_ms: i64,
}

/// A verified message from the agent.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// When it came.
    pub at: Instant,
    /// Its fixed fields.
    pub header: Header,
    /// What it acknowledges.
    pub acked: Option<(u32, u32, Outcome)>,
    /// The nonce of a challenge.
    pub nonce: Option<[u8; 16]>,
}

impl NoticeDesk {
    /// The desk of the server at `server` for the agent at `agent`; binds port 3798 of the server's address.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn open(server: IpAddr, agent: IpAddr) -> NoticeDesk {
        let (identity, client) = (Identity::from(server), Identity::from(agent));
        NoticeDesk {
            socket: UdpSocket::bind((server, UDP_PORT)).expect("the notice port is free"),
            key: NoticeDesk::key(server, MacKind::HmacSha256).pair(identity, client),
            server: identity,
            client,
            agent: SocketAddr::new(agent, UDP_PORT),
            epoch: utc_ms() as u32 / 1000,
            sequence: 0,
            clock_offset_ms: 0,
        }
    }

    /// The notice key of `server` as the configuration writes it.
    pub fn key_text(server: IpAddr) -> String {
        key_octets(server).iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn key(server: IpAddr, kind: MacKind) -> NoticeKey {
        NoticeKey::new(kind, &key_octets(server)).expect("32 octets")
    }

    /// Signs with another kind of MAC from now on.
    pub fn sign_with(&mut self, kind: MacKind) {
        self.key = NoticeDesk::key(self.server.address(), kind).pair(self.server, self.client);
    }

    /// Signs with a key nobody gave us: a forger.
    pub fn forget_key(&mut self) {
        let key = NoticeKey::new(MacKind::HmacSha256, &[0x55; 32]).expect("32 octets");
        self.key = key.pair(self.server, self.client);
    }

    /// The next notice of this kind, as bytes: sequence and time filled in.
    ///
    /// # Panics
    /// When the TLVs don't fit.
    pub fn write(&mut self, kind: Kind, change: impl FnOnce(&mut Header), tlvs: &[Tlv<'_>]) -> Vec<u8> {
        self.sequence += 1;
        let mut header = Header::new(kind, self.server, self.client);
        header.flags = Flags::ACK_WANTED;
        header.key_id = 1;
        header.epoch = self.epoch;
        header.sequence = self.sequence;
        header.utc_ms = utc_ms().saturating_add_signed(self.clock_offset_ms);
        header.validity_s = 30;
        change(&mut header);
        let mut buffer = [0; MAX_OCTETS];
        let length =
            notice::write(&mut buffer, &header, tlvs.iter().copied(), &self.key).expect("a notice that fits");
        buffer[..length].to_vec()
    }

    /// A FAILOVER of everything.
    pub fn failover(&mut self, alternates: &[IpAddr]) -> Vec<u8> {
        let tlvs: Vec<_> = alternates.iter().map(|address| Tlv::alternate(1, *address)).collect();
        let change = |header: &mut Header| {
            header.reduction_percent = 100;
            header.load_percent = 95;
            header.reason = Reason::WORKERS;
        };
        self.write(Kind::Failover, change, &tlvs)
    }

    /// A FAILOVER of everything that doesn't wait for conversations.
    pub fn hard_failover(&mut self) -> Vec<u8> {
        let change = |header: &mut Header| {
            header.reduction_percent = 100;
            header.flags = Flags::ACK_WANTED | Flags::HARD;
            header.reason = Reason::SHUTDOWN;
        };
        self.write(Kind::Failover, change, &[])
    }

    /// A RECONNECT with a slot.
    pub fn reconnect(&mut self, slot: Duration) -> Vec<u8> {
        let slot = Tlv::Slot { ms: slot.as_millis() as u32 };
        self.write(Kind::Reconnect, |header| header.reason = Reason::RECOVERED, &[slot])
    }

    /// Sends bytes to the agent's inbox.
    ///
    /// # Panics
    /// When sending fails.
    pub fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.agent).expect("sent");
    }

    /// The next message of the agent that verifies, if one comes within `limit`.
    ///
    /// # Panics
    /// When something comes that doesn't verify.
    pub fn receive(&self, limit: Duration) -> Option<Receipt> {
        let mut buffer = [0; 2048];
        self.socket.set_read_timeout(Some(limit)).expect("a time-out");
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        Some(self.read(&buffer[..length]))
    }

    /// Reads a message of the agent's, however it came.
    ///
    /// # Panics
    /// When it doesn't verify.
    pub fn read(&self, octets: &[u8]) -> Receipt {
        let notice = Notice::parse(octets).expect("a notice").verify(&self.key).expect("the agent's MAC");
        Receipt { at: Instant::now(), header: *notice.header(), acked: notice.acked(), nonce: notice.nonce() }
    }

    /// The next receipt, challenges skipped, if one comes within `limit`.
    pub fn receipt(&self, limit: Duration) -> Option<Outcome> {
        let start = Instant::now();
        while let Some(left) = limit.checked_sub(start.elapsed()) {
            let message = self.receive(left.max(Duration::from_millis(1)))?;
            if let Some((epoch, sequence, outcome)) = message.acked
                && (epoch, sequence) == (self.epoch, self.sequence)
            {
                return Some(outcome);
            }
        }
        None
    }

    /// Whether anything comes within `limit`, whatever it is.
    ///
    /// # Panics
    /// Never for a time that isn't zero.
    pub fn hears_anything(&self, limit: Duration) -> bool {
        self.socket.set_read_timeout(Some(limit)).expect("a time-out");
        self.socket.recv(&mut [0; 2048]).is_ok()
    }

    /// Throws away what has come so far.
    pub fn forget_received(&self) {
        while self.hears_anything(Duration::from_millis(20)) {}
    }
}

fn key_octets(server: IpAddr) -> [u8; 32] {
    let identity = Identity::from(server);
    std::array::from_fn(|index| identity.0[index % 16] ^ (index as u8).wrapping_mul(29) ^ 0xa5)
}

fn utc_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
