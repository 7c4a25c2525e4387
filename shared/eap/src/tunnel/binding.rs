//! Crypto-binding of PEAPv0 (MS-PEAP sections 2.2.8.1.1 and 3.1.5.5): both ends show that tunnel and inner method have
//! the same ends, so that nobody sits between them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use zeroize::Zeroizing;

use crate::keys::Keys;

/// The TLV's number, and the octets of its value.
pub(super) const NUMBER: u16 = 12;
pub(super) const VALUE: usize = 56;

const REQUEST: u8 = 0;
const RESPONSE: u8 = 1;
const MAC: usize = 20;
const PEAP: u8 = 25;

/// What is bound.
pub(super) struct Binding {
    ipmk: Zeroizing<[u8; 40]>,
    cmk: Zeroizing<[u8; 20]>,
    nonce: [u8; 32],
}

impl Binding {
    /// Of the tunnel's keys and those of the inner method.
    pub(super) fn new(tunnel: &Keys, inner: &Keys, nonce: [u8; 32]) -> Self {
        let mut isk = Zeroizing::new([0; 32]);
        let octets = inner.msk().len().min(isk.len());
        isk[..octets].copy_from_slice(&inner.msk()[..octets]);
        let mut material = Zeroizing::new([0; 60]);
        prf(&tunnel.msk()[..40], b"Inner Methods Compound Keys", isk.as_slice(), material.as_mut_slice());
        let mut binding = Self { ipmk: Zeroizing::new([0; 40]), cmk: Zeroizing::new([0; 20]), nonce };
        binding.ipmk.copy_from_slice(&material[..40]);
        binding.cmk.copy_from_slice(&material[40..]);
        binding
    }

    /// Of a session that is resumed: no inner method has keys.
    pub(super) fn resumed(tunnel: &Keys, nonce: [u8; 32]) -> Self {
        let mut binding = Self { ipmk: Zeroizing::new([0; 40]), cmk: Zeroizing::new([0; 20]), nonce };
        binding.ipmk.copy_from_slice(&tunnel.msk()[..40]);
        binding.cmk.copy_from_slice(&tunnel.msk()[40..60]);
        binding
    }

    /// The TLV of the server's request, header and all.
    pub(super) fn request(&self) -> Vec<u8> {
        let mut tlv = head(REQUEST);
        tlv.extend(self.nonce);
        let mac = self.mac(&tlv);
        tlv.extend(mac);
        tlv
    }

    /// Whether this is the value of the peer's answer.
    pub(super) fn is_answered_by(&self, value: &[u8]) -> bool {
        let Some((said, mac)) = value.split_last_chunk::<MAC>() else { return false };
        let mut tlv = head(RESPONSE);
        let is_head = said.len() == VALUE - MAC && said[..4] == tlv[4..8];
        tlv.extend(said.get(4..).unwrap_or_default());
        let mut expected = Hmac::<Sha1>::new_from_slice(self.cmk.as_slice()).expect("any length will do");
        [&tlv[..], &[0; MAC], &[PEAP]].into_iter().for_each(|part| expected.update(part));
        is_head && expected.verify_slice(mac).is_ok()
    }

    /// The session's keys, by the name that the tunnel's have.
    pub(super) fn keys(&self, tunnel: &Keys) -> Keys {
        let mut session = Zeroizing::new(vec![0; 128]);
        prf(self.ipmk.as_slice(), b"Session Key Generating Function", &[0], &mut session);
        let emsk = Zeroizing::new(session.split_off(64));
        let session_id = tunnel.session_id().unwrap_or_default().to_vec();
        Keys::new(session).with_emsk(emsk).with_session_id(session_id)
    }

    fn mac(&self, tlv: &[u8]) -> [u8; MAC] {
        let mut mac = Hmac::<Sha1>::new_from_slice(self.cmk.as_slice()).expect("any length will do");
        [tlv, &[0; MAC], &[PEAP]].into_iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

/// Number, length, nothing, both sides' version, what it is.
fn head(subtype: u8) -> Vec<u8> {
    let mut head = NUMBER.to_be_bytes().to_vec();
    head.extend((VALUE as u16).to_be_bytes());
    head.extend([0, 0, 0, subtype]);
    head
}

/// PRF+ of PEAPv0.
fn prf(key: &[u8], label: &[u8], seed: &[u8], out: &mut [u8]) {
    let mut before = Zeroizing::new([0; MAC]);
    for (number, part) in (1_u8..).zip(out.chunks_mut(MAC)) {
        let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("any length will do");
        if number > 1 {
            mac.update(before.as_slice());
        }
        [label, seed, &[number, 0, 0]].into_iter().for_each(|part| mac.update(part));
        before.copy_from_slice(&mac.finalize().into_bytes());
        part.copy_from_slice(&before[..part.len()]);
    }
}
