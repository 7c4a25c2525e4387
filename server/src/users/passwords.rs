//! The forms in which one user's password is stored.

use super::item::{Item, Meaning};
use crate::process::password::Password;

/// An NT hash, stored or made.
pub type NtHash<'a> = std::borrow::Cow<'a, zeroize::Zeroizing<[u8; forewarn_wire::mschap::HASH]>>;

/// The forms in which one user's password is stored, in the order of the source. Of a directory's user they are
/// passwords of equal rank (RFC 4519 section 2.41), any of which lets in; elsewhere the first of a kind counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passwords<'a> {
    places: [Option<&'a Password>; Passwords::MAX],
    any: bool,
}

impl<'a> Passwords<'a> {
    /// Passwords that count; more are ignored.
    pub const MAX: usize = 8;

    /// None yet; `any`: they will be of equal rank.
    pub fn new(any: bool) -> Self {
        Self { places: [None; Self::MAX], any }
    }

    /// Adds one. False: there is no room.
    pub fn add(&mut self, password: &'a Password) -> bool {
        match self.places.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(password);
                true
            }
            None => false,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'a Password> {
        self.places.iter().copied().flatten()
    }

    /// Whether they are of equal rank.
    pub fn are_equal(&self) -> bool {
        self.any
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places[0].is_none()
    }

    /// What PAP is verified with.
    pub fn for_pap(&self) -> impl Iterator<Item = &'a Password> {
        self.iter().take(self.most())
    }

    /// The NT hashes that MS-CHAP is verified with: those that are stored, else those of clear texts.
    pub fn nt_hashes(&self) -> impl Iterator<Item = NtHash<'a>> {
        let stored = self.iter().any(Password::is_nt_hash);
        let counts = move |password: &&Password| !stored || password.is_nt_hash();
        self.iter().filter(counts).filter_map(Password::as_nt_hash).take(self.most())
    }

    /// Those in clear text, which CHAP is verified with.
    pub fn clear_texts(&self) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter_map(Password::clear_text).take(self.most())
    }

    fn most(&self) -> usize {
        if self.any { Self::MAX } else { 1 }
    }
}

/// In the order of the list. Password-With-Header stands for what it says it is, behind the others, and counts for
/// nothing when there is one of that form already. Nothing comes behind one that can't match: it counts as the first.
/// Neither holds of those of equal rank.
#[allow(clippy::needless_pass_by_value, reason = "an iterator is handed over, also where it is cloned")]
pub(super) fn passwords<'a>(items: impl Iterator<Item = &'a Item> + Clone, any: bool) -> Passwords<'a> {
    let mut passwords = Passwords::new(any);
    let (mut blocked, mut is_first) = (false, true);
    for late in [false, true] {
        for item in items.clone() {
            let Meaning::Password { password, with_header } = &item.meaning else { continue };
            if *with_header != late {
                continue;
            }
            match password {
                None => blocked |= is_first && !any,
                Some(password)
                    if late && !any && passwords.iter().any(|there| there.form() == password.form()) => {}
                Some(password) => {
                    passwords.add(password);
                }
            }
            is_first = false;
        }
    }
    if blocked { Passwords::default() } else { passwords }
}
