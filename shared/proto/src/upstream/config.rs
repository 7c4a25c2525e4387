//! The limits and times of an [`Upstream`](super::Upstream).

use std::time::Duration;

use crate::exchange::Timing;
use crate::switch;

/// All that is configured about the way to the servers, but the servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// When Access-Requests are sent again and given up.
    pub auth: Timing,
    /// When Accounting-Requests are. No limit on transmissions (RFC 5080 section 2.2.1).
    pub acct: Timing,
    /// When a silent server is taken for dead.
    pub dead_server: DeadServer,
    /// When and how servers are changed.
    pub switch: switch::Config,
    /// Requests in flight, at most; more are refused.
    pub in_flight: usize,
    /// Source ports to call from, 256 identifiers each: the caller has that many sockets, numbered from 0.
    pub ports: u16,
    /// Conversations whose server is remembered by their State; the oldest is forgotten first.
    pub conversations: usize,
    /// How long the next round of a conversation may take.
    pub conversation_age: Duration,
    /// Octets of packet buffers kept for reuse. Below it nothing is allocated or freed in steady state.
    pub retain: usize,
    /// A proxy's own mark: the Proxy-State it adds to each request and takes off the reply (RFC 2865 section 5.33).
    pub proxy_state: Option<Box<[u8]>>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            auth: Timing::default(),
            acct: Timing { transmissions: 0, ..Timing::default() },
            dead_server: DeadServer::default(),
            switch: switch::Config::default(),
            in_flight: 4096,
            ports: 16,
            conversations: 4096,
            conversation_age: Duration::from_secs(60),
            retain: 2 << 20,
            proxy_state: None,
        }
    }
}

impl Config {
    /// The same, but no time so short that the machine would do nothing else.
    pub(super) fn sound(mut self) -> Config {
        for timing in [&mut self.auth, &mut self.acct] {
            timing.initial = timing.initial.max(LEAST);
        }
        let dead = &mut self.dead_server;
        for interval in [
            &mut dead.quiet,
            &mut dead.probe_interval,
            &mut dead.revive_interval,
            &mut dead.silence,
            &mut dead.retry,
        ] {
            *interval = (*interval).max(LEAST);
        }
        dead.probes = dead.probes.max(1);
        self
    }
}

/// No interval is shorter.
const LEAST: Duration = Duration::from_millis(1);

/// `[dead_server]`: what a notice can't foresee (after RFC 3539 section 3.4, but faster).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeadServer {
    /// Requests outstanding and nothing at all heard from the server for this long: probe it.
    pub quiet: Duration,
    /// Between one Status-Server and the next; how long one may take to be answered.
    pub probe_interval: Duration,
    /// This many unanswered: dead.
    pub probes: u32,
    /// Between probes of a dead server that answers none, ± 10 %.
    pub revive_interval: Duration,
    /// This many answered running: alive.
    pub revive_answers: u32,
    /// A server that knows no Status-Server: requests outstanding and nothing heard from it for this long, dead. Longer
    /// than any server delays its rejects.
    pub silence: Duration,
    /// And after this long, ± 10 %, it gets requests again, with the ramp: they are its probes.
    pub retry: Duration,
}

impl Default for DeadServer {
    fn default() -> DeadServer {
        DeadServer {
            quiet: Duration::from_millis(300),
            probe_interval: Duration::from_millis(200),
            probes: 3,
            revive_interval: Duration::from_secs(1),
            revive_answers: 3,
            silence: Duration::from_secs(3),
            retry: Duration::from_secs(30),
        }
    }
}
