//! MPPE's keys (RFC 3079 section 3).
//!
//! RADIUS carries the start keys for 128 bits; for 40 and 56 bits the NAS takes their first eight octets, and reduces
//! what follows from them itself.

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::hash::HASH;
use super::response::RESPONSE;

/// Octets of a start key.
pub const KEY: usize = 16;

/// What the server's side sends and receives with, at the beginning of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct StartKeys {
    /// MS-MPPE-Send-Key.
    pub send: Zeroizing<[u8; KEY]>,
    /// MS-MPPE-Recv-Key.
    pub receive: Zeroizing<[u8; KEY]>,
}

impl std::fmt::Debug for StartKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartKeys").finish_non_exhaustive()
    }
}

impl StartKeys {
    /// Of version 2 (RFC 3079 section 3.4), from the hash of the NT hash and the peer's response.
    pub fn new(hash_of_hash: &[u8; HASH], response: &[u8; RESPONSE]) -> Self {
        let master = first(
            Sha1::new()
                .chain_update(hash_of_hash)
                .chain_update(response)
                .chain_update(b"This is the MPPE Master Key"),
        );
        Self { send: start_key(&master, FROM_SERVER), receive: start_key(&master, FROM_CLIENT) }
    }
}

const FROM_CLIENT: &[u8] =
    b"On the client side, this is the send key; on the server side, it is the receive key.";
const FROM_SERVER: &[u8] =
    b"On the client side, this is the receive key; on the server side, it is the send key.";

/// GetAsymmetricStartKey.
fn start_key(master: &[u8; KEY], direction: &[u8]) -> Zeroizing<[u8; KEY]> {
    first(
        Sha1::new()
            .chain_update(master)
            .chain_update([0; 40])
            .chain_update(direction)
            .chain_update([0xf2; 40]),
    )
}

fn first(sha1: Sha1) -> Zeroizing<[u8; KEY]> {
    let digest = Zeroizing::new(<[u8; 20]>::from(sha1.finalize()));
    Zeroizing::new(std::array::from_fn(|place| digest[place]))
}
