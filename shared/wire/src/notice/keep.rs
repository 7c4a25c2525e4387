//! A verified notice that outlives its datagram.

use super::{Header, MAX_OCTETS, MacKind, Notice};
use crate::Verified;

/// A verified notice on its way to whoever acts on it.
#[derive(Clone)]
pub struct KeptNotice {
    octets: [u8; MAX_OCTETS],
    length: usize,
    mac: MacKind,
    header: Header,
}

impl KeptNotice {
    /// A copy of `notice`.
    #[must_use]
    pub fn new(notice: &Verified<Notice<'_>>) -> KeptNotice {
        let bytes = notice.bytes();
        let mut octets = [0; MAX_OCTETS];
        // No notice is longer: parsing sees to it.
        let length = bytes.len().min(MAX_OCTETS);
        octets[..length].copy_from_slice(&bytes[..length]);
        KeptNotice { octets, length, mac: notice.mac, header: notice.header }
    }

    /// The notice, still verified: nobody could change it here.
    pub fn notice(&self) -> Verified<Notice<'_>> {
        Verified::new(Notice { bytes: &self.octets[..self.length], mac: self.mac, header: self.header })
    }
}

impl core::fmt::Debug for KeptNotice {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Kept({:?})", *self.notice())
    }
}
