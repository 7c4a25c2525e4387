//! What is remembered about a client while the server runs, over reloads of its configuration too.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use forewarn_proto::time::Instant;

/// Forged packets running, without a good one between them, after which the secret is said to look wrong.
pub const WRONG_SECRET_AFTER: u32 = 5;

/// Nanoseconds between two log lines of one kind about one client.
const LINE_EVERY_NS: u64 = 60_000_000_000;

/// One client's counters and what was learnt about it.
#[derive(Debug)]
pub struct Ledger {
    cores: Box<[Counts]>,
    sends_message_authenticator: AtomicBool,
    forged_running: AtomicU32,
    last_line_ns: [AtomicU64; Complaint::COUNT],
}

/// One core's counts of one client; only that core writes.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counts {
    requests: AtomicU64,
    without: Sightings,
    with: Sightings,
    eap: AtomicU64,
}

/// How often something was seen, and when last, in nanoseconds of the monotonic clock.
#[derive(Debug, Default)]
struct Sightings {
    count: AtomicU64,
    last_ns: AtomicU64,
}

impl Sightings {
    fn add(&self, now: Instant) {
        add_one(&self.count);
        self.last_ns.store(now.as_nanos(), Relaxed);
    }
}

/// Access-Requests of one client that were seen since the start, of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many.
    pub count: u64,
    /// When the last one came; absent: none has.
    pub last: Option<Instant>,
}

/// What an operator is told about a client in the log, each at most once a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Complaint {
    /// Forged packets running: most likely the secrets differ.
    WrongSecret,
    /// Dropped by `require_message_authenticator`.
    NoMessageAuthenticator,
    /// Dropped by `limit_proxy_state`.
    ProxyState,
    /// EAP without Message-Authenticator.
    EapWithoutMessageAuthenticator,
}

impl Complaint {
    const COUNT: usize = 4;
}

impl Ledger {
    /// Empty, for so many cores.
    pub fn new(cores: usize, sends_message_authenticator: bool) -> Self {
        Self {
            cores: (0..cores).map(|_| Counts::default()).collect(),
            sends_message_authenticator: AtomicBool::new(sends_message_authenticator),
            forged_running: AtomicU32::new(0),
            last_line_ns: [const { AtomicU64::new(0) }; Complaint::COUNT],
        }
    }

    /// The cores it has room for.
    pub fn cores(&self) -> usize {
        self.cores.len()
    }

    /// Datagrams received from it.
    pub fn requests(&self) -> u64 {
        self.cores.iter().map(|counts| counts.requests.load(Relaxed)).sum()
    }

    /// Access-Requests without EAP-Message that came without Message-Authenticator: who would break if it were
    /// required. Nothing vouches for them, so they may be anybody's.
    pub fn without_message_authenticator(&self) -> Seen {
        self.sum(|counts| &counts.without)
    }

    /// Verified Access-Requests without EAP-Message that came with Message-Authenticator: it would go on.
    pub fn with_message_authenticator(&self) -> Seen {
        self.sum(|counts| &counts.with)
    }

    /// Verified Access-Requests with EAP-Message: they have it always, and say nothing of the client's others.
    pub fn eap_requests(&self) -> u64 {
        self.cores.iter().map(|counts| counts.eap.load(Relaxed)).sum()
    }

    fn sum(&self, of: impl Fn(&Counts) -> &Sightings) -> Seen {
        let count = self.cores.iter().map(|counts| of(counts).count.load(Relaxed)).sum();
        let last_ns = self.cores.iter().map(|counts| of(counts).last_ns.load(Relaxed)).max();
        Seen { count, last: last_ns.filter(|last_ns| *last_ns > 0).map(Instant::from_nanos) }
    }

    /// Whether it was seen to send Message-Authenticator, by the rules of `auto`.
    pub fn sends_message_authenticator(&self) -> bool {
        self.sends_message_authenticator.load(Relaxed)
    }

    /// Learns that it sends Message-Authenticator. True the first time.
    pub fn learn(&self) -> bool {
        !self.sends_message_authenticator() && !self.sends_message_authenticator.swap(true, Relaxed)
    }

    pub(super) fn count_request(&self, core: usize) {
        add_one(&self.cores[core].requests);
    }

    pub(super) fn note_without_message_authenticator(&self, core: usize, now: Instant) {
        self.cores[core].without.add(now);
    }

    pub(super) fn note_with_message_authenticator(&self, core: usize, now: Instant) {
        self.cores[core].with.add(now);
    }

    pub(super) fn count_eap(&self, core: usize) {
        add_one(&self.cores[core].eap);
    }

    /// A packet verified: the secrets are the same.
    pub(super) fn vouched(&self) {
        if self.forged_running.load(Relaxed) != 0 {
            self.forged_running.store(0, Relaxed);
        }
    }

    /// A packet did not verify. True once the secret looks wrong.
    pub(super) fn forged(&self) -> bool {
        self.forged_running.fetch_add(1, Relaxed) + 1 >= WRONG_SECRET_AFTER
    }

    /// Whether this complaint may be written now.
    pub(super) fn may_complain(&self, complaint: Complaint, now_ns: u64) -> bool {
        let last = &self.last_line_ns[complaint as usize];
        let last_ns = last.load(Relaxed);
        (last_ns == 0 || now_ns.saturating_sub(last_ns) >= LINE_EVERY_NS)
            && last.compare_exchange(last_ns, now_ns.max(1), Relaxed, Relaxed).is_ok()
    }
}

/// One writer: a plain load and store do.
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_looks_wrong_after_some_forged_packets_running() {
        let ledger = Ledger::new(1, false);
        for _ in 1..WRONG_SECRET_AFTER {
            assert!(!ledger.forged());
        }
        assert!(ledger.forged());
        ledger.vouched();
        assert!(!ledger.forged());
    }

    #[test]
    fn a_line_of_a_kind_comes_once_a_minute() {
        let ledger = Ledger::new(1, false);
        assert!(ledger.may_complain(Complaint::WrongSecret, 5));
        assert!(!ledger.may_complain(Complaint::WrongSecret, 5 + LINE_EVERY_NS - 1));
        assert!(ledger.may_complain(Complaint::ProxyState, 6));
        assert!(ledger.may_complain(Complaint::WrongSecret, 5 + LINE_EVERY_NS));
    }

    #[test]
    fn learning_happens_once() {
        let ledger = Ledger::new(1, false);
        assert!(ledger.learn());
        assert!(!ledger.learn());
        assert!(!Ledger::new(1, true).learn());
    }
}
