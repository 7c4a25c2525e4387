//! The sealed part of a State: what a conversation knows, for any server of a cluster that derives the same keys.
//!
//! ```text
//! format  period, its last octet  nonce (12)  sealed: [client (8)  until (8)  the conversation]  tag (16)
//! ```
//!
//! Authenticated with it is all that stands before, the issuing server's name and its secret number for the conversation
//! included. Keys are as those of tickets are: one for each period, of each of several secrets, of which the first seals.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use forewarn_wire::state::{self, STATE_MAX};
use zeroize::Zeroizing;

use super::tickets::derive;

/// Seconds that a key seals.
const PERIOD: u64 = 3600;
/// No State counts longer than this, milliseconds: the longest [eap] timeout, and a minute for clocks that differ.
const UNTIL_MAX: u64 = 660_000;

const FORMAT: u8 = 1;
/// Format and period.
const HEAD: usize = 2;
const CLIENT: usize = 8;
const UNTIL: usize = 8;
const TAG: usize = 16;

/// What States are sealed with.
pub struct Seals {
    secrets: Vec<Prk>,
    /// The key that seals now: deriving it takes as long as sealing does.
    current: ArcSwapOption<(u64, LessSafeKey)>,
}

/// Why nobody goes on with a sealed State here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not as it was sealed, or under a key that isn't known here.
    NotAuthentic,
    /// Given out to another client.
    OtherClient,
    /// Too old, or by a clock that is far ahead.
    TooOld,
    /// Its method isn't allowed here.
    NotAllowed,
    /// Taken before, and over.
    Used,
    /// Too many were taken lately.
    Full,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 6] = [
        Refusal::NotAuthentic,
        Refusal::OtherClient,
        Refusal::TooOld,
        Refusal::NotAllowed,
        Refusal::Used,
        Refusal::Full,
    ];

    /// The counter of those.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::NotAuthentic => "eap.refused-states.not-authentic",
            Refusal::OtherClient => "eap.refused-states.other-client",
            Refusal::TooOld => "eap.refused-states.too-old",
            Refusal::NotAllowed => "eap.refused-states.not-allowed",
            Refusal::Used => "eap.refused-states.used",
            Refusal::Full => "eap.refused-states.full",
        }
    }
}

/// What was sealed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsealed<'r> {
    /// How long it counts yet, milliseconds.
    pub(super) left: u64,
    /// The conversation.
    pub(super) saved: &'r [u8],
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seals").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

impl Seals {
    /// Under these secrets, of which there is at least one; the first seals.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let salt = Salt::new(HKDF_SHA256, b"forewarn EAP states");
        let secrets = secrets.into_iter().map(|secret| salt.extract(secret)).collect();
        Self { secrets, current: ArcSwapOption::empty() }
    }

    /// Seals what `save` writes behind the first `length` octets of a State for `client`, and says how many octets it has
    /// then. Times are milliseconds since 1970: now, and until when it counts. `None`: there is nothing to seal, or it
    /// doesn't fit; what stands behind is rubbish.
    pub(super) fn seal(
        &self,
        (now, until): (u64, u64),
        client: &str,
        nonce: [u8; NONCE_LEN],
        (state, length): (&mut [u8; STATE_MAX], usize),
        save: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        let period = period(now);
        let (about, rest) = state.split_at_mut_checked(length + HEAD)?;
        about[length..].copy_from_slice(&[FORMAT, period as u8]);
        let (place, rest) = rest.split_first_chunk_mut()?;
        *place = nonce;
        let most = rest.len().checked_sub(TAG)?;
        let (head, room) = rest[..most].split_at_mut_checked(CLIENT + UNTIL)?;
        head[..CLIENT].copy_from_slice(&digest_of(client));
        head[CLIENT..].copy_from_slice(&until.to_be_bytes());
        let end = CLIENT + UNTIL + save(room)?;
        let key = self.current(period)?;
        let (nonce, about) = (Nonce::assume_unique_for_key(nonce), Aad::from(&*about));
        let tag = key.1.seal_in_place_separate_tag(nonce, about, &mut rest[..end]).ok()?;
        rest[end..end + TAG].copy_from_slice(tag.as_ref());
        Some(length + HEAD + NONCE_LEN + end + TAG)
    }

    /// Opens the sealed part of a State that `client` brings; `now` as above.
    ///
    /// # Errors
    /// When nobody is to go on with it.
    pub(super) fn open<'r>(
        &self,
        now: u64,
        client: &str,
        state: &[u8],
        room: &'r mut [u8; STATE_MAX],
    ) -> Result<Unsealed<'r>, Refusal> {
        let length = self.unseal(period(now), state, room).ok_or(Refusal::NotAuthentic)?;
        let (of, rest) = room[..length].split_first_chunk::<CLIENT>().ok_or(Refusal::NotAuthentic)?;
        let (until, saved) = rest.split_first_chunk::<UNTIL>().ok_or(Refusal::NotAuthentic)?;
        if *of != digest_of(client) {
            return Err(Refusal::OtherClient);
        }
        match u64::from_be_bytes(*until).saturating_sub(now) {
            left @ 1..=UNTIL_MAX => Ok(Unsealed { left, saved }),
            _ => Err(Refusal::TooOld),
        }
    }

    /// Octets of what was sealed, now at the front of `room`.
    fn unseal(&self, now: u64, state: &[u8], room: &mut [u8; STATE_MAX]) -> Option<usize> {
        let sealed = state::parts(state)?.sealed;
        let (about, rest) = state.split_at_checked(state.len() - sealed.len() + HEAD)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let (&[FORMAT, last], true) = (about.last_chunk::<HEAD>()?, sealed.len() <= room.len()) else {
            return None;
        };
        // Clocks differ, and a State of the period before may still count.
        let period =
            [now, now.saturating_sub(1), now + 1].into_iter().find(|period| *period as u8 == last)?;
        self.secrets.iter().find_map(|secret| {
            let content = &mut room[..sealed.len()];
            content.copy_from_slice(sealed);
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let opened = key_of(secret, period)?.open_in_place(nonce, Aad::from(about), content);
            opened.ok().map(|opened| opened.len())
        })
    }

    /// The key that seals in this period.
    fn current(&self, period: u64) -> Option<Arc<(u64, LessSafeKey)>> {
        if let Some(current) = self.current.load_full().filter(|current| current.0 == period) {
            return Some(current);
        }
        let current = Arc::new((period, key_of(self.secrets.first()?, period)?));
        self.current.store(Some(Arc::clone(&current)));
        Some(current)
    }
}

fn period(now: u64) -> u64 {
    now / 1000 / PERIOD
}

fn key_of(secret: &Prk, period: u64) -> Option<LessSafeKey> {
    let mut key = Zeroizing::new([0; 32]);
    derive(secret, &[b"period", &period.to_be_bytes()], key.as_mut_slice());
    UnboundKey::new(&AES_256_GCM, key.as_slice()).ok().map(LessSafeKey::new)
}

/// What tells clients apart: it is sealed, so that nobody looks for another name that has the same.
fn digest_of(client: &str) -> [u8; CLIENT] {
    let digest = digest::digest(&digest::SHA256, client.as_bytes());
    std::array::from_fn(|place| digest.as_ref()[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const UNTIL: u64 = NOW + 60_000;
    const SAVED: &[u8] = b"a conversation";

    fn seals(secrets: &[&[u8]]) -> Seals {
        Seals::new(secrets.iter().copied())
    }

    /// A State of the server "east", for the client "ap".
    fn state(seals: &Seals, saved: &[u8]) -> Option<Vec<u8>> {
        let head = [&state::MAGIC[..], &[7; state::BEFORE_NAME - 4], &[4], b"east"].concat();
        let mut room = [0; STATE_MAX];
        room[..head.len()].copy_from_slice(&head);
        let length = seals.seal((NOW, UNTIL), "ap", [9; NONCE_LEN], (&mut room, head.len()), |room| {
            room.get_mut(..saved.len())?.copy_from_slice(saved);
            Some(saved.len())
        })?;
        Some(room[..length].to_vec())
    }

    fn open(seals: &Seals, now: u64, client: &str, state: &[u8]) -> Result<(u64, Vec<u8>), Refusal> {
        let mut room = [0; STATE_MAX];
        seals.open(now, client, state, &mut room).map(|unsealed| (unsealed.left, unsealed.saved.to_vec()))
    }

    #[test]
    fn any_server_with_the_secret_opens_a_state_while_it_counts() {
        let (one, other) = (seals(&[b"a secret"]), seals(&[b"a secret"]));
        let state = state(&one, SAVED).unwrap();
        assert_eq!(state::server(&state), Some(&b"east"[..]));
        assert_eq!(open(&other, NOW, "ap", &state), Ok((60_000, SAVED.to_vec())));
        assert_eq!(open(&other, UNTIL - 1, "ap", &state), Ok((1, SAVED.to_vec())));
        assert_eq!(open(&other, UNTIL, "ap", &state), Err(Refusal::TooOld));
        assert_eq!(open(&other, UNTIL - UNTIL_MAX - 1, "ap", &state), Err(Refusal::TooOld));
        assert_eq!(open(&other, UNTIL + 3 * PERIOD * 1000, "ap", &state), Err(Refusal::NotAuthentic));
        assert_eq!(open(&other, NOW, "ap2", &state), Err(Refusal::OtherClient));
        assert_eq!(open(&seals(&[b"another"]), NOW, "ap", &state), Err(Refusal::NotAuthentic));
    }

    #[test]
    fn an_altered_state_is_refused_wherever_it_was_altered() {
        let seals = seals(&[b"a secret"]);
        let state = state(&seals, SAVED).unwrap();
        for place in 0..state.len() {
            for bit in 0..8 {
                let mut altered = state.clone();
                altered[place] ^= 1 << bit;
                assert_eq!(open(&seals, NOW, "ap", &altered), Err(Refusal::NotAuthentic), "octet {place}");
            }
            assert_eq!(open(&seals, NOW, "ap", &state[..place]), Err(Refusal::NotAuthentic), "{place}");
        }
        let longer = [&state[..], &[0; 9]].concat();
        assert_eq!(open(&seals, NOW, "ap", &longer), Err(Refusal::NotAuthentic));
    }

    #[test]
    fn a_secret_is_replaced_without_a_gap_and_periods_overlap() {
        let (old, both, new) = (seals(&[b"old"]), seals(&[b"new", b"old"]), seals(&[b"new"]));
        assert!(open(&both, NOW, "ap", &state(&old, SAVED).unwrap()).is_ok());
        assert!(open(&new, NOW, "ap", &state(&both, SAVED).unwrap()).is_ok());
        assert!(open(&old, NOW, "ap", &state(&both, SAVED).unwrap()).is_err());
        // NOW is the first moment of a period.
        assert_eq!(NOW % (PERIOD * 1000), 0);
        let state = state(&old, SAVED).unwrap();
        assert_eq!(open(&old, NOW - 1, "ap", &state), Ok((60_001, SAVED.to_vec())), "its clock is behind");
    }

    #[test]
    fn what_doesn_t_fit_isn_t_sealed() {
        let seals = seals(&[b"a secret"]);
        let overhead = state::BEFORE_NAME + 1 + 4 + HEAD + NONCE_LEN + CLIENT + super::UNTIL + TAG;
        let most = STATE_MAX - overhead;
        let whole = state(&seals, &vec![3; most]).unwrap();
        assert_eq!(whole.len(), STATE_MAX);
        assert_eq!(open(&seals, NOW, "ap", &whole), Ok((60_000, vec![3; most])));
        assert_eq!(state(&seals, &vec![3; most + 1]), None);
    }
}
