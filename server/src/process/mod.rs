//! The life of one request: from a datagram to an answer and its cause.

mod access;
mod accounting;
mod core;
pub mod eap;
pub mod factors;
pub mod failures;
mod forwarding;
pub mod heard;
pub mod leaving;
pub mod ledger;
pub mod mailbox;
pub mod outcome;
pub mod password;
pub mod pending;
pub mod reply;
pub mod story;
pub mod tables;
pub mod totp;
mod trace;
pub mod verifier;

pub use self::core::{Arrival, Core, DUPLICATES_MAX, Departure, REJECT_DELAY, REJECT_JITTER};
pub use self::pending::Route;

#[cfg(test)]
mod tests;
