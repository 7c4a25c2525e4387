//! The keys of one pair of server and client; two of them make a rotation without a gap.

use forewarn_wire::notice::{Identity, NoticeKey, PairKey};

/// One configured key.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// The number that names it in a notice.
    pub id: u8,
    /// The secret and its kind of MAC.
    pub key: NoticeKey,
    /// It signs what is sent. With none marked, the first does.
    pub send: bool,
}

/// The keys of one pair, prepared. All of them are accepted; one signs.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Vec<(u8, PairKey)>,
    sending: usize,
}

impl KeyRing {
    /// Prepares `entries` for this server and this client; none without any.
    pub fn new(entries: &[KeyEntry], server: Identity, client: Identity) -> Option<KeyRing> {
        if entries.is_empty() {
            return None;
        }
        let keys = entries.iter().map(|entry| (entry.id, entry.key.pair(server, client))).collect();
        let sending = entries.iter().position(|entry| entry.send).unwrap_or(0);
        Some(KeyRing { keys, sending })
    }

    /// The key that a notice names.
    pub fn find(&self, id: u8) -> Option<&PairKey> {
        self.keys.iter().find(|(key_id, _)| *key_id == id).map(|(_, key)| key)
    }

    /// The key that signs, with its number.
    pub fn sending(&self) -> (u8, &PairKey) {
        let (id, key) = &self.keys[self.sending];
        (*id, key)
    }

    /// The client of the pair.
    pub fn client(&self) -> Identity {
        self.sending().1.client()
    }

    /// The server of the pair.
    pub fn server(&self) -> Identity {
        self.sending().1.server()
    }
}
