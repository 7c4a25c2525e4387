//! A core at its desk, without sockets and with a clock of the test's.

mod access;
mod accounting;
mod blastradius;
mod duplicates;
mod eap;
mod guessing;
mod heap;
mod mschap;
mod silence;
mod taken;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_wire::{Code, MessageAuthenticatorRule, Packet};
use tempfile::TempDir;

use super::outcome::Cause;
use super::{Arrival, Core};
use crate::config::{Config, ListenKind};
use crate::shared::Shared;
use crate::testing::{self, Ask};

/// How long real threads (workers, the accounting writer) may take.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    shared: Arc<Shared>,
    core: Core,
    now: Instant,
    folder: TempDir,
}

impl Bench {
    fn new(config: Config) -> Self {
        let (folder, shared) = testing::shared(config);
        let core = Core::new(0, Arc::clone(&shared));
        Self { shared, core, now: Instant::from_millis(86_400_000), folder }
    }

    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    fn arrive(&mut self, kind: ListenKind, source: SocketAddr, octets: &[u8]) -> Option<Vec<u8>> {
        let local = IpAddr::from([192, 0, 2, 11]);
        let socket = u16::from(kind == ListenKind::Acct);
        let arrival = Arrival { socket, kind, source, local, arrived: self.now, octets };
        let mut out = [0; 4096];
        self.core.begin();
        let departure = self.core.handle_arrival(self.now, &arrival, &mut out);
        self.core.show(self.now, None);
        departure.map(|departure| {
            assert_eq!((departure.route.to, departure.route.from), (source, local));
            out[..departure.length].to_vec()
        })
    }

    fn auth(&mut self, ask: &Ask<'_>) -> Option<Vec<u8>> {
        self.arrive(ListenKind::Auth, testing::source(), &ask.octets())
    }

    fn acct(&mut self, ask: &Ask<'_>) -> Option<Vec<u8>> {
        self.arrive(ListenKind::Acct, testing::source(), &ask.octets())
    }

    /// Waits for the next report of a worker or the writer, and goes on with its request.
    fn settle(&mut self) -> Option<Vec<u8>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mailbox = Arc::clone(self.shared.mailbox(0));
        while !self.core.collect() {
            runtime.block_on(async {
                tokio::time::timeout(PATIENCE, mailbox.arrived()).await.expect("a report");
            });
        }
        let mut out = [0; 4096];
        let departure = self.core.handle_finding(self.now, &mut out).expect("collected");
        departure.map(|departure| out[..departure.length].to_vec())
    }

    fn delayed(&mut self) -> Option<Vec<u8>> {
        let mut out = [0; 4096];
        self.core.poll_delayed(self.now, &mut out).map(|departure| out[..departure.length].to_vec())
    }

    /// The reject that is under way, at its time.
    fn rejected(&mut self) -> Option<Vec<u8>> {
        assert!(self.delayed().is_none(), "before its time");
        self.wait(999);
        assert!(self.delayed().is_none(), "before its time");
        self.wait(101);
        self.delayed()
    }

    /// The reject whose verdict came late, at its time.
    fn rejected_now(&mut self) -> Option<Vec<u8>> {
        self.wait(1100);
        self.delayed()
    }

    fn counted(&self, cause: Cause) -> u64 {
        self.shared.outcomes()[0].of(cause)
    }
}

/// Verifies a reply to `ask` as its client does, and gives its code and attributes.
#[track_caller]
fn reply(octets: Option<Vec<u8>>, ask: &Ask<'_>) -> (Code, Vec<(u8, Vec<u8>)>) {
    let octets = octets.expect("a reply");
    let request = ask.octets();
    let authenticator = request[4..20].try_into().unwrap();
    let packet = Packet::parse(&octets).unwrap();
    let packet = packet
        .verify_reply(&testing::key(), ask.code, authenticator, MessageAuthenticatorRule::Required)
        .unwrap_or_else(|forgery| panic!("{forgery}"));
    assert_eq!(packet.identifier(), ask.identifier);
    if ask.code != Code::ACCOUNTING_REQUEST {
        assert!(packet.starts_with_message_authenticator());
    }
    let attributes = packet.attributes().map(|attribute| (attribute.number, attribute.value.to_vec()));
    (packet.code(), attributes.filter(|(number, _)| *number != 80).collect())
}

#[track_caller]
fn code(octets: Option<Vec<u8>>, ask: &Ask<'_>) -> Code {
    reply(octets, ask).0
}
