//! What was proven within sessions of TLS that may be resumed, and how many handshakes there were.
//!
//! A ticket of TLS leaves before anything is said within the tunnel (TLS 1.2: before its handshake is over), so it
//! proves nobody. What was proven is remembered here, by the ticket's name, once the conversation has come to its good
//! end; without that a tunnel's ticket isn't taken, and a whole handshake follows. EAP-TLS needs none of it: its proof is
//! the certificate, which is in the ticket.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use forewarn_eap::{Fingerprint, Kind, Session};
use forewarn_shell::random;
use hmac::{Hmac, KeyInit as _, Mac as _};
use quick_cache::sync::Cache;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::tickets::NAME;
use crate::users::Passwords;

/// Sessions that are remembered; beyond, the oldest goes, and costs its peer a whole handshake.
const MOST: usize = 100_000;

/// Whole sessions of TLS 1.2 that are kept for those who take no tickets, a kilobyte or two each.
const MOST_STORED: usize = 20_000;

/// Of this process, over reloads of its configuration.
pub static SESSIONS: LazyLock<Sessions> = LazyLock::new(|| Sessions::new(MOST));

/// See above.
#[derive(Debug)]
pub struct Sessions {
    /// Of fingerprints.
    key: Hmac<Sha256>,
    proven: Mutex<Proven>,
    stored: Cache<Vec<u8>, Arc<Stored>>,
    most: usize,
    full: AtomicU64,
    resumed: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Proven {
    by_name: HashMap<[u8; NAME], Entry>,
    /// The oldest first; some may be forgotten already.
    order: VecDeque<[u8; NAME]>,
}

/// What is known of a session.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Who was proven, one after the other.
    pub(super) proven: Vec<Session>,
    /// When a proof was seen last, seconds since 1970: resuming is none.
    pub(super) since: u64,
}

/// A session of TLS 1.2, by its ID.
pub(super) struct Stored {
    /// Its method: no other resumes it.
    pub(super) kind: Kind,
    /// What its connection's tickets are called.
    pub(super) name: [u8; NAME],
    /// The session, as rustls has it.
    pub(super) session: Zeroizing<Vec<u8>>,
    /// When its handshake was, seconds since 1970.
    pub(super) since: u64,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// How handshakes ended, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// With all there is to it.
    Full,
    /// By a ticket.
    Resumed,
    /// Not at all.
    Failed,
}

impl Sessions {
    fn new(most: usize) -> Self {
        let (full, resumed, failed) = Default::default();
        let mut key = Zeroizing::new([0; 32]);
        random::fill(key.as_mut_slice());
        Self {
            key: Hmac::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length"),
            proven: Mutex::default(),
            stored: Cache::new(most.min(MOST_STORED)),
            most,
            full,
            resumed,
            failed,
        }
    }

    /// What an account's password is compared with, in a digest under a key of this process. The order of passwords of
    /// equal rank doesn't count: a directory has none.
    pub(in crate::process) fn fingerprint(&self, passwords: &Passwords<'_>) -> Fingerprint {
        let mut fingerprint = [0; 32];
        for (place, password) in (0_u8..).zip(passwords.iter()) {
            let place = if passwords.are_equal() { 0 } else { place };
            let mut mac = self.key.clone();
            for part in [password.form().as_bytes(), password.identity()] {
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part);
            }
            mac.update(&[place]);
            let digest = mac.finalize().into_bytes();
            fingerprint.iter_mut().zip(digest).for_each(|(octet, other)| *octet ^= other);
        }
        fingerprint
    }

    /// Remembers what was proven.
    pub(super) fn keep(&self, name: [u8; NAME], entry: Entry) {
        let mut proven = self.lock();
        if proven.by_name.insert(name, entry).is_none() {
            proven.order.push_back(name);
        }
        while proven.order.len() > self.most {
            if let Some(oldest) = proven.order.pop_front() {
                proven.by_name.remove(&oldest);
            }
        }
    }

    /// What was proven by whom a ticket of this name was given to.
    pub(super) fn of(&self, name: &[u8; NAME]) -> Option<Entry> {
        self.lock().by_name.get(name).cloned()
    }

    /// What was proven counts no more.
    pub(super) fn forget(&self, name: &[u8; NAME]) {
        self.lock().by_name.remove(name);
    }

    /// Keeps a session of TLS 1.2.
    pub(super) fn store(&self, id: Vec<u8>, session: Stored) {
        self.stored.insert(id, Arc::new(session));
    }

    /// The session of this ID.
    pub(super) fn stored(&self, id: &[u8]) -> Option<Arc<Stored>> {
        self.stored.get(id)
    }

    /// Counts a handshake.
    pub(super) fn count(&self, handshake: Handshake) {
        self.counter(handshake).fetch_add(1, Relaxed);
    }

    /// How many ended like this.
    pub fn counted(&self, handshake: Handshake) -> u64 {
        self.counter(handshake).load(Relaxed)
    }

    /// How many are remembered.
    pub fn kept(&self) -> usize {
        self.lock().by_name.len()
    }

    fn counter(&self, handshake: Handshake) -> &AtomicU64 {
        match handshake {
            Handshake::Full => &self.full,
            Handshake::Resumed => &self.resumed,
            Handshake::Failed => &self.failed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Proven> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::password::Password;

    #[test]
    fn the_oldest_sessions_make_way() {
        let sessions = Sessions::new(2);
        for name in 0..3 {
            let session = Session { method: "eap-ttls-pap", user: vec![name], fingerprint: [0; 32] };
            sessions.keep([name; NAME], Entry { proven: vec![session], since: 0 });
        }
        assert!(sessions.of(&[0; NAME]).is_none());
        let known = sessions.of(&[2; NAME]).map(|entry| entry.proven[0].user.clone());
        assert_eq!((known, sessions.kept()), (Some(vec![2]), 2));
    }

    #[test]
    fn whatever_changes_of_a_password_changes_the_fingerprint() {
        let sessions = Sessions::new(1);
        let clear = |text: &str| Password::clear(text.as_bytes()).unwrap();
        let digits = "0cb6948805f797bf2a82807973b89537";
        let print = |stored: &[Password], equal| {
            let mut passwords = Passwords::new(equal);
            stored.iter().for_each(|password| assert!(passwords.add(password)));
            sessions.fingerprint(&passwords)
        };
        let both = [clear("wonderland"), Password::nt_hash(digits).unwrap()];
        let turned = [both[1].clone(), both[0].clone()];
        let lm = Password::of_attribute("LM-Password", digits.as_bytes()).unwrap().unwrap();
        let all = [
            print(&[], false),
            print(&[clear("wonderland")], false),
            print(&[clear("wonderlamp")], false),
            print(&both[1..], false),
            print(&[lm], false),
            print(&both, false),
            print(&turned, false),
        ];
        for (number, one) in all.iter().enumerate() {
            assert!(!all[..number].contains(one), "{number}");
        }
        assert_eq!(print(&both, true), print(&turned, true), "a directory has no order");
        assert_eq!(all[1], print(&[clear("wonderland")], false));
        assert_ne!(all[1], Sessions::new(1).fingerprint(&Passwords::default()), "another process");
    }
}
