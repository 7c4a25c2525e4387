//! A verified packet that outlives its datagram.

use crate::packet::Facts;
use crate::{MAX_PACKET, Packet, Verified};

/// Room for one verified packet: in-flight requests stay here until they are answered, so that they can be sent
/// again. The room is used again and again; only its growth allocates.
#[derive(Clone, Default)]
pub struct Kept {
    bytes: Vec<u8>,
    facts: Option<Facts>,
}

impl Kept {
    /// Empty, without room yet.
    pub const fn new() -> Kept {
        Kept { bytes: Vec::new(), facts: None }
    }

    /// Empty, with room for any packet: storing never allocates.
    pub fn with_full_room() -> Kept {
        Kept { bytes: Vec::with_capacity(MAX_PACKET), facts: None }
    }

    /// Keeps a copy of `packet` in place of what was there.
    pub fn store(&mut self, packet: &Verified<Packet<'_>>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(packet.bytes());
        self.facts = Some(packet.facts());
    }

    /// The packet, still verified: nobody could change it here.
    pub fn packet(&self) -> Option<Verified<Packet<'_>>> {
        self.facts.map(|facts| Verified::new(Packet::framed(&self.bytes, facts)))
    }

    /// Forgets the packet and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.facts = None;
    }
}

impl core::fmt::Debug for Kept {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.packet() {
            Some(packet) => write!(f, "Kept({:?})", *packet),
            None => f.write_str("Kept(nothing)"),
        }
    }
}
