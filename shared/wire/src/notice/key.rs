//! The keys of notices and their three MACs.
//!
//! The input of each is server identity, client identity, then the whole message before the MAC. The secret is the
//! pair's `notice_key`, never the RADIUS secret, so that a captured notice is no oracle for passwords.

use core::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Identity, MAC_OCTETS};

/// Which MAC a key makes. It belongs to the key's configuration at both ends; a packet never chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MacKind {
    /// HMAC-MD5 keyed with the secret.
    HmacMd5 = 1,
    /// HMAC-SHA-256 truncated to 128 bits, keyed with a key derived for the pair.
    #[default]
    HmacSha256 = 2,
    /// MD5(secret | identities | message | secret).
    Md5 = 3,
}

impl MacKind {
    pub(super) fn from_wire(number: u8) -> Option<MacKind> {
        [MacKind::HmacMd5, MacKind::HmacSha256, MacKind::Md5].into_iter().find(|&kind| kind as u8 == number)
    }

    /// The kind that configurations call so: `hmac-md5`, `hmac-sha256` or `md5`.
    pub fn from_name(name: &str) -> Option<MacKind> {
        [MacKind::HmacMd5, MacKind::HmacSha256, MacKind::Md5].into_iter().find(|kind| kind.name() == name)
    }

    /// What configurations call it.
    pub const fn name(self) -> &'static str {
        match self {
            MacKind::HmacMd5 => "hmac-md5",
            MacKind::HmacSha256 => "hmac-sha256",
            MacKind::Md5 => "md5",
        }
    }
}

/// A `notice_key` of 32 octets or more. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct NoticeKey {
    kind: MacKind,
    secret: Zeroizing<Box<[u8]>>,
}

impl NoticeKey {
    /// Octets that a secret has to have at least.
    pub const MIN_OCTETS: usize = 32;

    /// Takes the decoded secret, for one kind of MAC.
    pub fn new(kind: MacKind, secret: &[u8]) -> Result<NoticeKey, KeyTooShort> {
        if secret.len() < Self::MIN_OCTETS {
            return Err(KeyTooShort { octets: secret.len() });
        }
        Ok(NoticeKey { kind, secret: Zeroizing::new(secret.into()) })
    }

    /// The key for notices between this server and this client, prepared: all that doesn't depend on the message is
    /// computed here, once.
    pub fn pair(&self, server: Identity, client: Identity) -> PairKey {
        let state = match self.kind {
            MacKind::HmacMd5 => State::HmacMd5(keyed(&self.secret, server, client)),
            MacKind::HmacSha256 => {
                let derived = derive(&self.secret, server, client);
                State::HmacSha256(keyed(&*derived, server, client))
            }
            MacKind::Md5 => State::Md5 {
                started: Md5::new().chain_update(&*self.secret).chain_update(server.0).chain_update(client.0),
                secret: self.secret.clone(),
            },
        };
        PairKey { server, client, state }
    }
}

impl fmt::Debug for NoticeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoticeKey({}, ..)", self.kind.name())
    }
}

/// The key of one server and one client. Never printed.
#[derive(Clone)]
pub struct PairKey {
    server: Identity,
    client: Identity,
    state: State,
}

/// A MAC that has already taken in all that comes before the message.
#[derive(Clone)]
enum State {
    HmacMd5(Hmac<Md5>),
    HmacSha256(Hmac<Sha256>),
    Md5 { started: Md5, secret: Zeroizing<Box<[u8]>> },
}

impl PairKey {
    /// Which MAC it makes.
    pub fn kind(&self) -> MacKind {
        match self.state {
            State::HmacMd5(_) => MacKind::HmacMd5,
            State::HmacSha256(_) => MacKind::HmacSha256,
            State::Md5 { .. } => MacKind::Md5,
        }
    }

    /// The server of the pair.
    pub fn server(&self) -> Identity {
        self.server
    }

    /// The client of the pair.
    pub fn client(&self) -> Identity {
        self.client
    }

    /// The MAC of everything before the MAC.
    pub(super) fn mac(&self, message: &[u8]) -> [u8; MAC_OCTETS] {
        match &self.state {
            State::HmacMd5(started) => started.clone().chain_update(message).finalize().into_bytes().into(),
            State::HmacSha256(started) => {
                let whole: [u8; 32] = started.clone().chain_update(message).finalize().into_bytes().into();
                core::array::from_fn(|index| whole[index])
            }
            State::Md5 { started, secret } => {
                started.clone().chain_update(message).chain_update(&**secret).finalize().into()
            }
        }
    }

    /// Whether `mac` is right for `message`, in constant time.
    pub(super) fn vouches(&self, message: &[u8], mac: &[u8]) -> bool {
        self.mac(message).ct_eq(mac).into()
    }
}

impl fmt::Debug for PairKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairKey({}, {} and {}, ..)", self.kind().name(), self.server, self.client)
    }
}

/// A MAC keyed and fed with the identities.
fn keyed<M: KeyInit + Mac>(secret: &[u8], server: Identity, client: Identity) -> M {
    let mac = <M as KeyInit>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.chain_update(server.0).chain_update(client.0)
}

/// HKDF-SHA-256 without salt: a key for this pair alone, so that a captured client knows no other's.
fn derive(secret: &[u8], server: Identity, client: Identity) -> Zeroizing<[u8; 32]> {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret)
        .expand_multi_info(&[INFO, &server.0, &client.0], &mut *derived)
        .expect("32 octets are one block of HKDF-SHA-256");
    derived
}

/// A `notice_key` that is too short to be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a notice key has at least 32 octets, this one {octets}; make one with `openssl rand -hex 32`")]
pub struct KeyTooShort {
    /// Octets given.
    pub octets: usize,
}

/// Binds the derived key to its use.
const INFO: &[u8] = b"forewarn notice 1";
