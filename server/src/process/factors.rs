//! Second factors under way: the State that an Access-Challenge carries, and which codes were used.
//!
//! A State says itself all that is to be known: until when it counts, for which user and which address, under a key of
//! this process. So it takes no room here until it comes back; then its number is remembered until it is too old anyway,
//! and it counts no second time.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::random;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::totp::TOLERANCE;

/// Octets of a State.
pub const STATE: usize = 36;
/// States that came back, and users whose code was used, remembered at most; beyond, nobody is let in by one.
pub const REMEMBERED_MAX: usize = 262_144;

const MAGIC: &[u8; 4] = b"FW2F";
const TAG: usize = 16;

/// The rooms of second factors.
#[derive(Debug)]
pub struct Factors {
    key: Hmac<Sha256>,
    hasher: RandomState,
    /// Of States that came back: the number, and until when it counted.
    seen: Mutex<HashMap<u64, Instant>>,
    /// The last step each user has used a code of.
    used: Mutex<HashMap<u64, u64>>,
}

/// What a State was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// Not one of a second factor.
    Foreign,
    /// Too old, of somebody else, of another process, or not as it was sent.
    Stale,
    /// Good: it stands for a right password.
    Good(Number),
}

/// The number of a good State, to be taken once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    number: u64,
    until: Instant,
}

impl Default for Factors {
    fn default() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        random::fill(key.as_mut_slice());
        Self {
            key: Hmac::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length"),
            hasher: RandomState::new(),
            seen: Mutex::default(),
            used: Mutex::default(),
        }
    }
}

impl Factors {
    /// The State for a user whose password is right.
    pub fn seal(&self, user: &[u8], address: IpAddr, until: Instant, number: u64) -> [u8; STATE] {
        let mut state = [0; STATE];
        state[..4].copy_from_slice(MAGIC);
        state[4..12].copy_from_slice(&until.as_nanos().to_be_bytes());
        state[12..20].copy_from_slice(&number.to_be_bytes());
        let tag = self.tag(&state[..20], user, address);
        state[20..].copy_from_slice(&tag);
        state
    }

    /// Looks at a State that came back.
    pub fn open(&self, state: &[u8], user: &[u8], address: IpAddr, now: Instant) -> Opened {
        let Ok(state) = <&[u8; STATE]>::try_from(state) else { return Opened::Foreign };
        if !state.starts_with(MAGIC) {
            return Opened::Foreign;
        }
        let word = |start: usize| u64::from_be_bytes(std::array::from_fn(|place| state[start + place]));
        let until = Instant::ZERO + Duration::from_nanos(word(4));
        let same = self.tag(&state[..20], user, address).ct_eq(&state[20..]);
        if bool::from(same) && until > now {
            Opened::Good(Number { number: word(12), until })
        } else {
            Opened::Stale
        }
    }

    /// Takes a State's number. False: it was taken before.
    pub fn take(&self, number: Number, now: Instant) -> bool {
        let mut seen = held(&self.seen);
        if seen.len() >= REMEMBERED_MAX {
            seen.retain(|_, until| *until > now);
        }
        seen.len() < REMEMBERED_MAX && seen.insert(number.number, number.until).is_none()
    }

    /// Takes a user's code of this step. False: that code or a later one was used before (RFC 6238 section 5.2).
    pub fn use_code(&self, user: &[u8], step: u64) -> bool {
        let mut used = held(&self.used);
        if used.len() >= REMEMBERED_MAX {
            used.retain(|_, last| *last + 2 * TOLERANCE + 1 >= step);
        }
        let user = self.hasher.hash_one(user);
        let room = used.len() < REMEMBERED_MAX;
        match used.get_mut(&user) {
            Some(last) if *last >= step => false,
            Some(last) => {
                *last = step;
                true
            }
            None => room && used.insert(user, step).is_none(),
        }
    }

    fn tag(&self, head: &[u8], user: &[u8], address: IpAddr) -> [u8; TAG] {
        let address: Ipv6Addr = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let mut mac = self.key.clone();
        mac.update(head);
        mac.update(&address.octets());
        mac.update(user);
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|place| whole[place])
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 21));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 22));

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn a_state_is_of_one_user_at_one_address_for_a_while_and_counts_once() {
        let factors = Factors::default();
        let state = factors.seal(b"alice", AP, at(60), 7);
        let Opened::Good(number) = factors.open(&state, b"alice", AP, at(59)) else { panic!("stale") };
        assert!(factors.take(number, at(59)));
        assert!(!factors.take(number, at(59)));
        for (user, address, now) in [(b"alice", AP, at(60)), (b"alicf", AP, at(1)), (b"alice", OTHER, at(1))]
        {
            assert_eq!(factors.open(&state, user, address, now), Opened::Stale);
        }
        assert_eq!(Factors::default().open(&state, b"alice", AP, at(1)), Opened::Stale, "of another process");
        for place in MAGIC.len()..STATE {
            let mut forged = state;
            forged[place] ^= 1;
            assert_eq!(factors.open(&forged, b"alice", AP, at(1)), Opened::Stale);
        }
        assert_eq!(factors.open(b"somebody else's state", b"alice", AP, at(1)), Opened::Foreign);
        assert_eq!(factors.open(&[0; STATE], b"alice", AP, at(1)), Opened::Foreign);
    }

    #[test]
    fn a_code_is_used_once_and_none_before_it() {
        let factors = Factors::default();
        assert!(factors.use_code(b"alice", 10));
        assert!(!factors.use_code(b"alice", 10));
        assert!(!factors.use_code(b"alice", 9));
        assert!(factors.use_code(b"bob", 10));
        assert!(factors.use_code(b"alice", 11));
    }
}
