//! MS-CHAP version 1 and 2 (RFC 2433, RFC 2759), and the keys that follow from them (RFC 3079).
//!
//! Pure arithmetic on challenges and hashes, for PPP's RADIUS attributes (RFC 2548) and for EAP-MSCHAPv2 alike. It rests
//! on DES and MD4: whoever sees an exchange can find the password's NT hash in hours, so it belongs into a tunnel.

pub mod attribute;
mod hash;
mod keys;
mod response;

pub use attribute::{Answer, ErrorCode, MICROSOFT};
pub use hash::{HASH, lm_hash, nt_hash};
pub use keys::{KEY, StartKeys};
pub use response::{
    AUTHENTICATOR_RESPONSE, CHALLENGE, CHALLENGE_2, RESPONSE, authenticator_response, bare_name,
    challenge_hash, hash_of_hash, response, response_matches,
};

#[cfg(test)]
mod tests;
