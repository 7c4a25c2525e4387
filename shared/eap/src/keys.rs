//! What a method leaves to both sides: the master session key (RFC 3748 section 7.10).

use zeroize::Zeroizing;

/// The keys of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    msk: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// From an MSK: of 64 octets, or of the 32 that EAP-MSCHAPv2 has.
    pub fn new(msk: Zeroizing<Vec<u8>>) -> Self {
        Self { msk }
    }

    /// The MSK.
    pub fn msk(&self) -> &[u8] {
        &self.msk
    }

    /// What the NAS receives with: MS-MPPE-Recv-Key (RFC 3579 section 3.16, RFC 5216 section 2.3), the first half.
    pub fn receive(&self) -> &[u8] {
        &self.msk[..self.msk.len() / 2]
    }

    /// What the NAS sends with: MS-MPPE-Send-Key, the second half.
    pub fn send(&self) -> &[u8] {
        &self.msk[self.msk.len() / 2..]
    }
}
