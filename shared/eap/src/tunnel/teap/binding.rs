//! Crypto-Binding of TEAP (RFC 9930 sections 4.2.13 and 5.3): both sides show that tunnel and inner methods have the same
//! ends, and that nobody has altered what was said before the tunnel.

use subtle::ConstantTimeEq as _;

use crate::settings::Kind;
use crate::tunnel::Outer;

use super::chain::{CMK, Compound, hmac};
use super::tlv;

const VERSION: u8 = 1;
const REQUEST: u8 = 0;
const RESPONSE: u8 = 1;
/// Flags: which MACs are there.
const BY_EMSK: u8 = 1;
const BY_MSK: u8 = 2;
const NONCE: usize = 32;
/// Octets of a value, and where its parts begin.
const VALUE: usize = 76;
const EMSK_MAC: usize = 4 + NONCE;
const MSK_MAC: usize = EMSK_MAC + CMK;

/// Error codes (section 4.2.6).
const INVALID: u32 = 2003;
const NO_MSK_MAC: u32 = 2004;
const WRONG_MSK_MAC: u32 = 2005;
const WRONG_EMSK_MAC: u32 = 2007;

/// One that is out.
pub(super) struct Binding {
    compound: Compound,
    nonce: [u8; NONCE],
}

impl Binding {
    /// With these keys.
    pub(super) fn new(compound: Compound, mut nonce: [u8; NONCE]) -> Self {
        nonce[NONCE - 1] &= !1;
        Self { compound, nonce }
    }

    /// The value of the server's TLV.
    pub(super) fn request(&self, outer: &Outer<'_>) -> Vec<u8> {
        let flags = if self.compound.emsk.is_some() { BY_EMSK | BY_MSK } else { BY_MSK };
        let mut value = vec![0, VERSION, VERSION, flags << 4 | REQUEST];
        value.extend(self.nonce);
        value.resize(VALUE, 0);
        let by_emsk = self.compound.emsk.as_deref().map(|key| mac(outer, key, &value));
        let by_msk = mac(outer, &self.compound.msk, &value);
        value[MSK_MAC..].copy_from_slice(&by_msk);
        if let Some(by_emsk) = by_emsk {
            value[EMSK_MAC..MSK_MAC].copy_from_slice(&by_emsk);
        }
        value
    }

    /// Looks at the peer's answer: whether it is bound by the EMSK. Each MAC that is there has to be right.
    ///
    /// # Errors
    /// The code of what is wrong with it.
    pub(super) fn check(&self, answer: &[u8], outer: &Outer<'_>) -> Result<bool, u32> {
        let answer: &[u8; VALUE] = answer.try_into().map_err(|_| INVALID)?;
        let [_, version, received, what, ..] = *answer;
        let (flags, subtype) = (what >> 4, what & 0x0f);
        let mut nonce = self.nonce;
        nonce[NONCE - 1] |= 1;
        let is_one = (version, received, subtype) == (VERSION, VERSION, RESPONSE)
            && matches!(flags, 1..=3)
            && answer[4..EMSK_MAC] == nonce;
        is_one.then_some(()).ok_or(INVALID)?;
        let mut value = *answer;
        value[EMSK_MAC..].fill(0);
        let is_right = |key: &[u8; CMK], given: &[u8]| bool::from(mac(outer, key, &value).ct_eq(given));
        if flags & BY_MSK != 0 && !is_right(&self.compound.msk, &answer[MSK_MAC..]) {
            return Err(WRONG_MSK_MAC);
        }
        match (flags & BY_EMSK != 0, self.compound.emsk.as_deref()) {
            (true, Some(key)) if is_right(key, &answer[EMSK_MAC..MSK_MAC]) => Ok(true),
            (true, Some(_)) => Err(WRONG_EMSK_MAC),
            // What it is made of isn't known here, so that the other has to be there.
            (true, None) if flags & BY_MSK == 0 => Err(NO_MSK_MAC),
            // A peer whose inner method exports no EMSK has the other chain, as section 5.2 lets it.
            _ => Ok(false),
        }
    }
}

/// Over a TLV without MACs, the method's number, and what both sides said before the tunnel.
fn mac(outer: &Outer<'_>, key: &[u8; CMK], value: &[u8]) -> [u8; CMK] {
    let mut whole = Vec::with_capacity(4 + VALUE);
    tlv::put_mandatory(&mut whole, tlv::CRYPTO_BINDING, value);
    let mac = hmac(outer.channel.hash(), key, &[&whole, &[Kind::Teap.number()], outer.preamble]);
    *mac.first_chunk().expect("both hashes have more octets")
}
