//! `[limits]` and `[second_factor]`: what guessing is met with.

use std::sync::Arc;
use std::time::Duration;

/// `[limits]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wrong passwords of one user from one address after which they are rejected unseen; 0: never.
    pub failures: u32,
    /// The time in which they count together.
    pub within: Duration,
    /// How long they are rejected unseen.
    pub hold: Duration,
    /// How long a password that fitted a slow hash isn't hashed again; zero: it is hashed each time.
    pub verified: Duration,
}

impl Limits {
    /// Most failures that can be counted.
    pub const FAILURES_MAX: u32 = 1000;
}

impl Default for Limits {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { failures: 10, within: minute, hold: minute, verified: 5 * minute }
    }
}

/// `[second_factor]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// Where the code is.
    pub mode: FactorMode,
    /// What an Access-Challenge asks.
    pub prompt: Arc<str>,
    /// How long the answer to one may take.
    pub timeout: Duration,
}

impl Default for SecondFactor {
    fn default() -> Self {
        Self { mode: FactorMode::Append, prompt: "One-time code:".into(), timeout: Duration::from_secs(60) }
    }
}

/// `mode` of `[second_factor]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FactorMode {
    /// Behind the password, in the same User-Password.
    Append,
    /// In the User-Password that answers an Access-Challenge.
    Challenge,
}
