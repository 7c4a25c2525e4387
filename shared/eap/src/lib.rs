//! EAP (RFC 3748), the authenticator's side: conversations and methods.
//!
//! A [`Conversation`] takes a peer's responses and says what follows from each: a request to send, a [`Claim`] to verify
//! by whoever knows accounts, or an end. It reads no clock, draws no random number of its own and speaks to nobody; how
//! long one may last is a matter of who keeps them. Everything a peer can make grow has a limit ([`Limits`]).
//!
//! Within one, a method is a value that each response consumes ([`Method`]): an answer out of turn finds no state in
//! which it would count.

#![forbid(unsafe_code)]

mod claim;
mod conversation;
mod gtc;
mod hello;
mod keys;
mod md5;
mod method;
mod mschapv2;
mod pwd;
mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tls;
mod tunnel;

pub use claim::{Claim, Proof, Verdict};
pub use conversation::{Conversation, Step};
pub use keys::Keys;
pub use method::{Context, Judged, Method, Next, Reason};
pub use settings::{IdentityType, Kind, Limits, Pwd, PwdGroup, Settings, Within};
pub use tls::{Broken, Certificate, Channel, Fingerprint, Hash, Offer, Session, Tls};

#[cfg(test)]
mod tests;
