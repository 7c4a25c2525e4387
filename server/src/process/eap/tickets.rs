//! Tickets of TLS (RFC 5077, RFC 8446 section 4.6.1), sealed by keys that all servers of a cluster derive from a secret
//! of their configuration.
//!
//! Each period has a key of its own, and the ones before and after it are taken too: clocks differ, and a ticket lives
//! as long as a period does. So is each of several secrets, of which the first seals: a new one goes last in every
//! server's list, then first, and the old one goes when its last ticket has.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use forewarn_shell::random;
use zeroize::Zeroizing;

/// Octets of a ticket's own name, by which a server remembers what was proven.
pub(super) const NAME: usize = 16;

/// Format, period, the secret's identifier.
const HEAD: usize = 1 + 8 + IDENTIFIER;
const FORMAT: u8 = 1;
const IDENTIFIER: usize = 4;
const TIME: usize = 8;

/// What tickets are sealed with.
pub struct Tickets {
    secrets: Vec<Shared>,
    lifetime: u64,
}

struct Shared {
    identifier: [u8; IDENTIFIER],
    key: Prk,
}

/// An opened ticket.
#[derive(PartialEq, Eq)]
pub(super) struct Ticket {
    /// Its name.
    pub(super) name: [u8; NAME],
    /// When there was a whole handshake, seconds since 1970: a session that is resumed isn't younger for it.
    pub(super) since: u64,
    /// The session.
    pub(super) session: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("name", &self.name).field("since", &self.since).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl Tickets {
    /// Under these secrets, of which there is at least one; the first seals. `lifetime` is a ticket's and a key's.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>, lifetime: Duration) -> Self {
        let derived = secrets.into_iter().map(|secret| {
            let key = Salt::new(HKDF_SHA256, b"forewarn EAP tickets").extract(secret);
            let mut identifier = [0; IDENTIFIER];
            derive(&key, &[b"identifier"], &mut identifier);
            Shared { identifier, key }
        });
        Self { secrets: derived.collect(), lifetime: lifetime.as_secs().max(1) }
    }

    /// How long a ticket is good, seconds.
    pub(super) fn lifetime(&self) -> u64 {
        self.lifetime
    }

    /// A ticket, at so many seconds since 1970. `purpose`: only who has the same opens it. `None`: it can't be sealed.
    pub(super) fn seal(&self, now: u64, purpose: u8, opened: &Ticket) -> Option<Vec<u8>> {
        let Ticket { name, since, session } = opened;
        let secret = self.secrets.first()?;
        let period = now / self.lifetime;
        let mut ticket = vec![FORMAT];
        ticket.extend(period.to_be_bytes());
        ticket.extend(secret.identifier);
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce);
        let mut sealed = [&name[..], &since.to_be_bytes(), session].concat();
        let about = about(&ticket, purpose);
        let key = secret.key_of(period)?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(about), &mut sealed)
            .ok()?;
        ticket.extend(nonce);
        ticket.append(&mut sealed);
        Some(ticket)
    }

    /// Opens one. `None`: it isn't of these secrets, of another purpose, or too old.
    pub(super) fn open(&self, now: u64, purpose: u8, ticket: &[u8]) -> Option<Ticket> {
        let (head, rest) = ticket.split_first_chunk::<HEAD>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let period = u64::from_be_bytes(*head[1..].first_chunk()?);
        let secret = self.secrets.iter().find(|secret| head[1 + 8..] == secret.identifier)?;
        (head[0] == FORMAT && (now / self.lifetime).abs_diff(period) <= 1).then_some(())?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened =
            secret.key_of(period)?.open_in_place(nonce, Aad::from(about(head, purpose)), &mut sealed);
        let (name, rest) = opened.ok()?.split_first_chunk::<NAME>()?;
        let (since, session) = rest.split_first_chunk::<TIME>()?;
        let since = u64::from_be_bytes(*since);
        let is_young = now.saturating_sub(since) < self.lifetime;
        is_young.then(|| Ticket { name: *name, since, session: session.to_vec().into() })
    }
}

impl Shared {
    fn key_of(&self, period: u64) -> Option<LessSafeKey> {
        let mut key = Zeroizing::new([0; 32]);
        derive(&self.key, &[b"period", &period.to_be_bytes()], key.as_mut_slice());
        UnboundKey::new(&AES_256_GCM, key.as_slice()).ok().map(LessSafeKey::new)
    }
}

/// What is authenticated besides the session.
fn about(head: &[u8], purpose: u8) -> [u8; HEAD + 1] {
    let mut about = [purpose; HEAD + 1];
    about[..HEAD].copy_from_slice(head);
    about
}

struct Octets(usize);

impl KeyType for Octets {
    fn len(&self) -> usize {
        self.0
    }
}

/// A key, or a number, from a secret and what it is for.
pub(super) fn derive(key: &Prk, info: &[&[u8]], out: &mut [u8]) {
    let expanded = key.expand(info, Octets(out.len())).and_then(|okm| okm.fill(out));
    expanded.expect("it is asked for a few octets");
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const NOW: u64 = 1_800_000_000;

    fn tickets(secrets: &[&[u8]]) -> Tickets {
        Tickets::new(secrets.iter().copied(), Duration::from_secs(HOUR))
    }

    fn session() -> Ticket {
        Ticket { name: [7; NAME], since: NOW, session: b"the session".to_vec().into() }
    }

    #[test]
    fn a_session_isn_t_younger_for_a_new_ticket() {
        let tickets = tickets(&[b"a secret"]);
        let opened = tickets.open(NOW + HOUR - 1, 13, &tickets.seal(NOW, 13, &session()).unwrap()).unwrap();
        let again = tickets.seal(NOW + HOUR - 1, 13, &opened).unwrap();
        assert_eq!(tickets.open(NOW + HOUR - 1, 13, &again), Some(session()));
        assert_eq!(tickets.open(NOW + HOUR, 13, &again), None);
    }

    #[test]
    fn any_server_with_the_secret_opens_a_ticket_as_long_as_it_lives() {
        let (one, other) = (tickets(&[b"a secret"]), tickets(&[b"a secret"]));
        let ticket = one.seal(NOW, 13, &session()).unwrap();
        let opened = Some(session());
        assert_eq!(other.open(NOW, 13, &ticket), opened);
        assert_eq!(other.open(NOW - 120, 13, &ticket), opened, "its clock is behind");
        assert_eq!(other.open(NOW + HOUR - 1, 13, &ticket), opened, "the next period");
        assert_eq!(other.open(NOW + HOUR, 13, &ticket), None, "its life is over");
        assert_eq!(other.open(NOW, 21, &ticket), None, "another method's");
        assert_eq!(tickets(&[b"another"]).open(NOW, 13, &ticket), None);
    }

    #[test]
    fn a_secret_is_replaced_without_a_gap() {
        let steps =
            [tickets(&[b"old"]), tickets(&[b"old", b"new"]), tickets(&[b"new", b"old"]), tickets(&[b"new"])];
        for pair in steps.windows(2) {
            for (seals, opens) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                let ticket = seals.seal(NOW, 13, &session()).unwrap();
                // The last step waits until the old secret's tickets are over.
                let is_last = opens.secrets.len() + seals.secrets.len() == 3 && opens.secrets.len() == 1;
                let is_opened = opens.open(NOW, 13, &ticket).is_some();
                assert!(is_opened || is_last, "{} to {}", seals.secrets.len(), opens.secrets.len());
            }
        }
    }

    #[test]
    fn an_altered_ticket_is_none() {
        let tickets = tickets(&[b"a secret"]);
        let ticket = tickets.seal(NOW, 13, &session()).unwrap();
        for place in 0..ticket.len() {
            let mut altered = ticket.clone();
            altered[place] ^= 1;
            assert_eq!(tickets.open(NOW, 13, &altered), None, "octet {place}");
            assert_eq!(tickets.open(NOW, 13, &ticket[..place]), None, "its first {place}");
        }
    }
}
