//! Who has called: devices of clients that are networks, and strangers.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forewarn_proto::time::Instant;

/// How long a device counts as heard lately.
pub const LATELY: Duration = Duration::from_secs(3600);
/// Devices remembered at most.
pub const DEVICES_MAX: usize = 65_536;
/// Strangers remembered at most.
pub const STRANGERS_MAX: usize = 64;

/// A core tells of one device at most this often.
const RENEW_EVERY: Duration = Duration::from_secs(60);
/// A core tells of a stranger at most this often.
const STRANGER_EVERY: Duration = Duration::from_millis(100);
/// Between two log lines about strangers.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Places of a core's filter.
const PLACES: usize = 4096;

/// The devices of clients that are networks, heard lately: each gets notices of its own.
#[derive(Debug, Default)]
pub struct Heard {
    devices: Mutex<BTreeMap<(Arc<str>, IpAddr), Instant>>,
    refused: AtomicU64,
}

impl Heard {
    /// The devices heard lately, `(client's name, address)`, in order.
    pub fn lately(&self, now: Instant) -> Vec<(Arc<str>, IpAddr)> {
        let held = self.held();
        held.iter().filter(|(_, at)| now.since(**at) <= LATELY).map(|(device, _)| device.clone()).collect()
    }

    /// Devices that were not remembered because the bound was reached.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    fn note(&self, client: &Arc<str>, address: IpAddr, now: Instant) {
        let mut held = self.held();
        if held.len() >= DEVICES_MAX {
            held.retain(|_, at| now.since(*at) <= LATELY);
        }
        if held.len() < DEVICES_MAX || held.contains_key(&(Arc::clone(client), address)) {
            held.insert((Arc::clone(client), address), now);
        } else {
            self.refused.fetch_add(1, Relaxed);
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<(Arc<str>, IpAddr), Instant>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sources that are no clients, for the operator.
#[derive(Debug, Default)]
pub struct Strangers {
    latest: Mutex<VecDeque<IpAddr>>,
    line_at_ns: AtomicU64,
}

impl Strangers {
    /// The latest, most recent last.
    pub fn latest(&self) -> Vec<IpAddr> {
        self.held().iter().copied().collect()
    }

    /// True when a line about it may be written now.
    fn note(&self, address: IpAddr, now: Instant) -> bool {
        let mut held = self.held();
        held.retain(|known| *known != address);
        if held.len() >= STRANGERS_MAX {
            held.pop_front();
        }
        held.push_back(address);
        let line_at_ns = self.line_at_ns.load(Relaxed);
        let next_ns = (now + LINE_EVERY).as_nanos();
        now.as_nanos() >= line_at_ns
            && self.line_at_ns.compare_exchange(line_at_ns, next_ns, Relaxed, Relaxed).is_ok()
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<IpAddr>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One core's memory of what it has told lately, so that the shared tables are locked rarely.
#[derive(Debug)]
pub struct Ear {
    told: Box<[(u64, Instant)]>,
    stranger_at: Instant,
}

impl Default for Ear {
    fn default() -> Self {
        Self { told: vec![(0, Instant::ZERO); PLACES].into(), stranger_at: Instant::ZERO }
    }
}

impl Ear {
    /// A device of a client that is a network has called.
    pub fn hear(&mut self, heard: &Heard, client: &Arc<str>, address: IpAddr, now: Instant) {
        let mark = mark(client, address);
        let place = &mut self.told[(mark % PLACES as u64) as usize];
        if place.0 == mark && now.since(place.1) < RENEW_EVERY {
            return;
        }
        *place = (mark, now);
        heard.note(client, address, now);
    }

    /// A stranger has called. True when a line about it may be written.
    pub fn hear_stranger(&mut self, strangers: &Strangers, address: IpAddr, now: Instant) -> bool {
        if now < self.stranger_at {
            return false;
        }
        self.stranger_at = now + STRANGER_EVERY;
        strangers.note(address, now)
    }
}

/// Of the pair, for telling it from its neighbours in the filter; a collision only renews too often.
fn mark(client: &Arc<str>, address: IpAddr) -> u64 {
    let octets = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let folded = (octets as u64) ^ ((octets >> 64) as u64) ^ (Arc::as_ptr(client).cast::<u8>() as u64);
    folded.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn at(secs: u64) -> Instant {
        Instant::from_millis(secs * 1000)
    }

    #[test]
    fn devices_are_heard_for_a_while() {
        let heard = Heard::default();
        let mut ear = Ear::default();
        let client: Arc<str> = Arc::from("branch");
        ear.hear(&heard, &client, address(1), at(100_000));
        ear.hear(&heard, &client, address(2), at(101_000));
        ear.hear(&heard, &client, address(1), at(101_000));
        let both = vec![(Arc::clone(&client), address(1)), (Arc::clone(&client), address(2))];
        assert_eq!(heard.lately(at(104_000)), both);
        assert_eq!(heard.lately(at(104_601)), []);
    }

    #[test]
    fn strangers_are_few_and_the_latest() {
        let strangers = Strangers::default();
        let mut ear = Ear::default();
        assert!(ear.hear_stranger(&strangers, address(1), at(100)));
        assert!(!ear.hear_stranger(&strangers, address(2), at(100)), "too soon to be noted");
        assert!(!ear.hear_stranger(&strangers, address(3), at(101)), "noted, but no line");
        assert!(ear.hear_stranger(&strangers, address(1), at(111)));
        assert_eq!(strangers.latest(), [address(3), address(1)]);
        for number in 0..200 {
            ear.hear_stranger(&strangers, address(number), at(200 + u64::from(number)));
        }
        assert_eq!(strangers.latest().len(), STRANGERS_MAX);
        assert_eq!(strangers.latest().last(), Some(&address(199)));
    }
}
