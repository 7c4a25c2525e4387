//! Keys of TEAP (RFC 9930 section 5): one chain by the inner methods' MSKs, one by their EMSKs.
//!
//! TLS 1.2 has its PRF for them, TLS 1.3 its exporter, with labels by the pattern of RFC 9427 section 2.2.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Sha256, Sha384};
use zeroize::Zeroizing;

use crate::keys::Keys;
use crate::settings::Kind;
use crate::tls::Hash;
use crate::tunnel::Outer;
use crate::tunnel::keys::session_id;

/// Octets of S-IMCK and of CMK.
const LINK: usize = 40;
pub(super) const CMK: usize = 20;
const IMSK: usize = 32;
/// Octets of the MSK of EAP-MSCHAPv2.
const MSCHAPV2: usize = 32;

type Link = Zeroizing<[u8; LINK]>;

/// Keys of the compound MACs.
pub(super) struct Compound {
    pub(super) msk: Zeroizing<[u8; CMK]>,
    pub(super) emsk: Option<Zeroizing<[u8; CMK]>>,
}

/// Both chains.
pub(super) struct Chain {
    seed: Link,
    msk: Link,
    emsk: Link,
    /// Whether any inner method had keys.
    is_keyed: bool,
}

impl Chain {
    /// Of the tunnel alone. `None`: it has no keys.
    pub(super) fn new(outer: &Outer<'_>) -> Option<Self> {
        let mut seed = Zeroizing::new([0; LINK]);
        let number = [Kind::Teap.number()];
        let context = outer.channel.is_13().then_some(&number[..]);
        let exported = outer.channel.export(b"EXPORTER: teap session key seed", context, seed.as_mut_slice());
        exported.then(|| Self { msk: seed.clone(), emsk: seed.clone(), seed, is_keyed: false })
    }

    /// One more link, of an inner method that has succeeded with these keys, or without any (section 5.2).
    pub(super) fn extend(&mut self, inner: Option<&Keys>, outer: &Outer<'_>) -> Option<Compound> {
        self.is_keyed |= inner.is_some();
        let by_msk = session_key(inner, outer)?;
        let msk = next(&mut self.msk, &by_msk, outer)?;
        let emsk = match inner.and_then(Keys::emsk) {
            Some(emsk) => {
                let mut by_emsk = Zeroizing::new([0; IMSK]);
                binding_key(emsk, outer, &mut by_emsk)?;
                Some(next(&mut self.emsk, &by_emsk, outer)?)
            }
            None => None,
        };
        Some(Compound { msk, emsk })
    }

    /// The session's keys, by the chain that the peer has shown to have (section 5.4). Without an inner method that has
    /// keys they are the tunnel's.
    pub(super) fn keys(&self, by_emsk: bool, outer: &Outer<'_>) -> Option<Keys> {
        let link = match (self.is_keyed, by_emsk) {
            (false, _) => &self.seed,
            (true, true) => &self.emsk,
            (true, false) => &self.msk,
        };
        let mut msk = Zeroizing::new(vec![0; 64]);
        derive(link.as_slice(), "Session Key Generating Function", &[], outer, &mut msk)?;
        let mut emsk = Zeroizing::new(vec![0; 64]);
        derive(link.as_slice(), "Extended Session Key Generating Function", &[], outer, &mut emsk)?;
        let keys = Keys::new(msk).with_emsk(emsk);
        // Up to TLS 1.2 it is made of a message that only a library of TLS sees (RFC 5929 section 3.1).
        match outer.channel.is_13().then(|| session_id(Kind::Teap, outer)).flatten() {
            Some(session_id) => Some(keys.with_session_id(session_id)),
            None => Some(keys),
        }
    }
}

/// IMSK by the MSK: its first octets; of TLS 1.3 exported by it; or all zero.
fn session_key(inner: Option<&Keys>, outer: &Outer<'_>) -> Option<Zeroizing<[u8; IMSK]>> {
    let mut key = Zeroizing::new([0; IMSK]);
    let Some(inner) = inner else { return Some(key) };
    let mut msk = Zeroizing::new(inner.msk().to_vec());
    if msk.len() == MSCHAPV2 {
        // As EAP-FAST has it: the halves are exchanged (section 3.6.3).
        msk.rotate_left(MSCHAPV2 / 2);
    }
    match outer.channel.is_13() {
        true => binding_key(&msk, outer, &mut key)?,
        false => {
            let octets = msk.len().min(IMSK);
            key[..octets].copy_from_slice(&msk[..octets]);
        }
    }
    Some(key)
}

fn binding_key(secret: &[u8], outer: &Outer<'_>, out: &mut [u8; IMSK]) -> Option<()> {
    const LABEL: &str = "TEAPbindkey@ietf.org";
    if outer.channel.is_13() {
        return outer.channel.export(LABEL.as_bytes(), Some(secret), out).then_some(());
    }
    // A NUL, and the length of all that could be had (RFC 5295).
    prf(outer.channel.hash(), secret, &[LABEL.as_bytes(), &[0, 0, 64]], out);
    Some(())
}

/// Goes on with a chain; gives the key of its compound MAC.
fn next(link: &mut Link, key: &[u8; IMSK], outer: &Outer<'_>) -> Option<Zeroizing<[u8; CMK]>> {
    let mut material = Zeroizing::new([0; LINK + CMK]);
    derive(link.as_slice(), "Inner Methods Compound Keys", key, outer, material.as_mut_slice())?;
    let mut compound = Zeroizing::new([0; CMK]);
    link.copy_from_slice(&material[..LINK]);
    compound.copy_from_slice(&material[LINK..]);
    Some(compound)
}

fn derive(secret: &[u8], label: &str, seed: &[u8], outer: &Outer<'_>, out: &mut [u8]) -> Option<()> {
    if outer.channel.is_13() {
        let context = Zeroizing::new([secret, seed].concat());
        let label = format!("EXPORTER: {label}");
        return outer.channel.export(label.as_bytes(), Some(&context), out).then_some(());
    }
    prf(outer.channel.hash(), secret, &[label.as_bytes(), seed], out);
    Some(())
}

/// The PRF of TLS 1.2 with the hash of the connection (RFC 5246 section 5).
pub(super) fn prf(hash: Hash, secret: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    let mut before = hmac(hash, secret, seed);
    for part in out.chunks_mut(before.len()) {
        let block = hmac(hash, secret, &[&[before.as_slice()], seed].concat());
        part.copy_from_slice(&block[..part.len()]);
        before = hmac(hash, secret, &[&before]);
    }
}

/// HMAC with the hash of the connection.
pub(super) fn hmac(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    macro_rules! of {
        ($hash:ty) => {{
            let mut mac = Hmac::<$hash>::new_from_slice(key).expect("any length will do");
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().to_vec()
        }};
    }
    Zeroizing::new(match hash {
        Hash::Sha256 => of!(Sha256),
        Hash::Sha384 => of!(Sha384),
    })
}
