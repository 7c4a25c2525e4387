//! RADIUS packets and forewarn notices: bytes to types and back.
//!
//! Everything here is pure and allocates nothing while decoding or encoding: values borrow from the datagram,
//! replies are written into a buffer of the caller's. What came from the network is [`Unverified`] until a key
//! has vouched for it; only the verifying functions make a [`Verified`].
//!
//! ```
//! use forewarn_wire::{Code, MessageAuthenticatorRule, Packet, RadiusKey, Writer, hide::user_password, number};
//!
//! fn answer<'b>(datagram: &[u8], key: &RadiusKey, out: &'b mut [u8]) -> Option<&'b [u8]> {
//!     let request = Packet::parse(datagram).ok()?;
//!     let request = request.verify_request(key, MessageAuthenticatorRule::Required).ok()?;
//!     let mut clear = [0; user_password::MAX];
//!     let hidden = request.find(number::USER_PASSWORD)?;
//!     let password = user_password::reveal(key, request.authenticator(), hidden, &mut clear).ok()?;
//!     let code = if password == b"wonderland" { Code::ACCESS_ACCEPT } else { Code::ACCESS_REJECT };
//!     let mut reply = Writer::new(out, code, request.identifier());
//!     reply.message_authenticator().ok()?;
//!     reply.proxy_states(&request).ok()?;
//!     reply.reply(key, request.authenticator()).ok()
//! }
//! # assert!(answer(&[0; 20], &RadiusKey::new(b"testing123testing123").unwrap(), &mut [0; 4096]).is_none());
//! ```
#![forbid(unsafe_code)]

pub mod attribute;
pub mod authenticator;
pub mod code;
pub mod eap;
pub mod error;
pub mod forward;
pub mod hide;
pub mod keep;
pub mod key;
pub mod mschap;
pub mod notice;
pub mod number;
pub mod packet;
pub mod state;
pub mod verified;
pub mod write;

pub use attribute::{Attribute, Attributes};
pub use authenticator::MessageAuthenticatorRule;
pub use code::Code;
pub use error::{Forgery, FrameError, HideError, WriteError};
pub use keep::Kept;
pub use key::{EmptySecret, RadiusKey};
pub use packet::Packet;
pub use verified::{Unverified, Verified};
pub use write::{RequestAuthenticator, VendorFormat, Writer};

/// The UDP port of authentication (RFC 2865 section 3).
pub const AUTH_PORT: u16 = 1812;
/// The UDP port of accounting (RFC 2866 section 3).
pub const ACCT_PORT: u16 = 1813;
/// The UDP port of CoA-Requests and Disconnect-Requests (RFC 5176 section 2).
pub const COA_PORT: u16 = 3799;
/// Octets of a packet without attributes.
pub const MIN_PACKET: usize = 20;
/// Octets of the longest packet (RFC 2865 section 3).
pub const MAX_PACKET: usize = 4096;
/// Octets of the longest attribute value (RFC 2865 section 5).
pub const MAX_VALUE: usize = 253;
/// Octets of a Request or Response Authenticator.
pub const AUTHENTICATOR: usize = 16;
