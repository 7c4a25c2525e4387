//! What a method leaves to both sides (RFC 5247 section 1.4): the master session key and, where it has them, the extended
//! one and the session's name.

use zeroize::Zeroizing;

/// The keys of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    msk: Zeroizing<Vec<u8>>,
    emsk: Zeroizing<Vec<u8>>,
    session_id: Vec<u8>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// From an MSK: of 64 octets, or of the 32 that EAP-MSCHAPv2 has.
    pub fn new(msk: Zeroizing<Vec<u8>>) -> Self {
        Self { msk, emsk: Zeroizing::new(Vec::new()), session_id: Vec::new() }
    }

    /// With an EMSK, of 64 octets.
    #[must_use]
    pub fn with_emsk(self, emsk: Zeroizing<Vec<u8>>) -> Self {
        Self { emsk, ..self }
    }

    /// With a Session-Id: the method's number and what tells the session from the method's others.
    #[must_use]
    pub fn with_session_id(self, session_id: Vec<u8>) -> Self {
        Self { session_id, ..self }
    }

    /// The MSK.
    pub fn msk(&self) -> &[u8] {
        &self.msk
    }

    /// The EMSK, which leaves neither side. `None`: the method has none.
    pub fn emsk(&self) -> Option<&[u8]> {
        (!self.emsk.is_empty()).then_some(&self.emsk)
    }

    /// The Session-Id, which is no secret. `None`: the method has none.
    pub fn session_id(&self) -> Option<&[u8]> {
        (!self.session_id.is_empty()).then_some(&self.session_id)
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
