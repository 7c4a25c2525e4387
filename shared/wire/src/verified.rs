//! What the network said, and what a key vouched for.

use core::ops::Deref;

/// Something that is well-formed but that nobody vouched for yet. Look, but don't act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "verify it, or say with `peek` that it need not be"]
pub struct Unverified<T>(T);

impl<T> Unverified<T> {
    /// Wraps what has just been parsed.
    pub(crate) const fn new(value: T) -> Self {
        Unverified(value)
    }

    /// The content, for finding the key or counting; never for acting on it.
    pub const fn peek(&self) -> &T {
        &self.0
    }

    /// The content, for the verifying functions.
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

/// Something a key vouched for. Only verifying makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// For the verifying functions of this crate.
    pub(crate) const fn new(value: T) -> Self {
        Verified(value)
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
