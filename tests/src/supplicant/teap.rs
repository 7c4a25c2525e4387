//! TEAP (RFC 9930), from the peer's side: what it proves, what it computes of it, and how it cheats where it is told to.

use std::sync::{Arc, Mutex, PoisonError};

use forewarn_wire::eap::method;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustls::{CipherSuite, ClientConnection, HandshakeKind, ProtocolVersion};
use sha2::{Sha256, Sha384};

use super::{Fault, Inside, Supplicant};

const IDENTITY_TYPE: u16 = 2;
const RESULT: u16 = 3;
const NAK: u16 = 4;
const ERROR: u16 = 5;
const EAP_PAYLOAD: u16 = 9;
const INTERMEDIATE_RESULT: u16 = 10;
const CRYPTO_BINDING: u16 = 12;
const PASSWORD_REQUEST: u16 = 13;
const PASSWORD: u16 = 14;
const MANDATORY: u16 = 0x8000;
const SUCCESS: [u8; 2] = [0, 1];
const FAILURE: [u8; 2] = [0, 2];
/// Within a Crypto-Binding TLV, header and all: the nonce's last octet, and the MACs.
const NONCE_END: usize = 4 + 4 + 31;
const EMSK_MAC: usize = NONCE_END + 1;
const MSK_MAC: usize = EMSK_MAC + 20;

/// What it proves one identity with.
pub enum Credential {
    /// By EAP.
    Eap(Supplicant),
    /// By a name and a password as they are.
    Password(String, String),
}

/// How it cheats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// Not at all.
    None,
    /// It answers by the MSK alone, as who has no EMSK.
    MskOnly,
    /// It alters the MAC by the MSK.
    MskMac,
    /// It alters the MAC by the EMSK.
    EmskMac,
    /// It answers with another nonce.
    Nonce,
    /// It leaves out the binding.
    NoBinding,
    /// It says success before anything was proven.
    Early,
    /// Its first TLV is longer than what is there.
    Long,
    /// It says two things at once.
    Twice,
    /// It says something mandatory that nobody knows, and says it without when it is told.
    Unknown,
    /// It has heard another server's name in the clear than this server said.
    Preamble,
    /// It calls itself a machine, whatever it is asked for.
    Machine,
    /// It proves a user where a machine is asked for, and a machine where a user is, and says so.
    Other,
    /// It speaks half a TLV.
    Half,
}

/// What it has heard of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Authority-ID.
    pub authority: Vec<u8>,
    /// Codes of errors.
    pub errors: Vec<u32>,
    /// Numbers of TLVs that it doesn't know.
    pub naks: Vec<u16>,
    /// Whose identities it has asked for.
    pub identities: Vec<u16>,
}

/// TEAP's peer.
pub struct Teap {
    /// By the identity's number.
    credentials: Vec<(u16, Credential)>,
    /// Of them, who is at it.
    at: usize,
    trick: Trick,
    preamble: Vec<u8>,
    chains: Option<[Vec<u8>; 2]>,
    /// Whether it was asked for any proof.
    is_asked: bool,
    is_keyed: bool,
    msk: Option<Vec<u8>>,
    before: Vec<u8>,
    heard: Arc<Mutex<Heard>>,
}

impl Teap {
    /// A user.
    pub fn user(credential: Credential) -> Teap {
        Teap::new(vec![(1, credential)])
    }

    /// Identities by their numbers: 1 a user, 2 a machine.
    pub fn new(credentials: Vec<(u16, Credential)>) -> Teap {
        Teap {
            credentials,
            at: 0,
            trick: Trick::None,
            preamble: Vec::new(),
            chains: None,
            is_asked: false,
            is_keyed: false,
            msk: None,
            before: Vec::new(),
            heard: Arc::default(),
        }
    }

    /// The same, cheating.
    #[must_use]
    pub fn cheating(self, trick: Trick) -> Teap {
        Teap { trick, ..self }
    }

    /// What it hears.
    pub fn heard(&self) -> Arc<Mutex<Heard>> {
        Arc::clone(&self.heard)
    }

    fn note(&self, note: impl FnOnce(&mut Heard)) {
        note(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn answer(&mut self, said: &[u8], connection: &ClientConnection) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        let tlvs = parse(said)?;
        let find = |number| tlvs.iter().find(|(is, ..)| *is == number);
        for (number, value, _) in &tlvs {
            match *number {
                ERROR => self
                    .note(|heard| heard.errors.extend(value.first_chunk().copied().map(u32::from_be_bytes))),
                NAK => {
                    self.note(|heard| heard.naks.extend(value.last_chunk().copied().map(u16::from_be_bytes)));
                    return Ok(self.before.clone());
                }
                _ => {}
            }
        }
        if find(RESULT).is_some_and(|(_, value, _)| *value == FAILURE) {
            put(&mut out, RESULT, &FAILURE);
            return Ok(out);
        }
        self.is_asked |= find(EAP_PAYLOAD).is_some() || find(PASSWORD_REQUEST).is_some();
        if !self.is_asked {
            // RFC 9930 section 3.5: only a session that is resumed stands for who it is, and nothing within has a result.
            let is_resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
            if !is_resumed || find(INTERMEDIATE_RESULT).is_some() || find(CRYPTO_BINDING).is_none() {
                return Err(Fault::new("a server that wants no proof"));
            }
        }
        if let Some((_, _, whole)) = find(CRYPTO_BINDING) {
            let answer = self.bind(whole, connection)?;
            if self.trick != Trick::NoBinding {
                out.extend(answer);
            }
        }
        for number in [INTERMEDIATE_RESULT, RESULT] {
            if let Some((_, value, _)) = find(number) {
                put(&mut out, number, value);
            }
        }
        if let Some((_, value, _)) = find(IDENTITY_TYPE) {
            let asked = u16::from_be_bytes([value[0], value[1]]);
            self.note(|heard| heard.identities.push(asked));
            let offered = if self.trick == Trick::Other { 3 - asked } else { asked };
            self.at = self.credentials.iter().position(|(number, _)| *number == offered).unwrap_or(0);
            let number = if self.trick == Trick::Machine { 2 } else { self.credentials[self.at].0 };
            put(&mut out, IDENTITY_TYPE, &number.to_be_bytes());
        }
        let credential = &mut self.credentials[self.at].1;
        match (find(EAP_PAYLOAD), find(PASSWORD_REQUEST), credential) {
            (Some((_, packet, _)), _, Credential::Eap(supplicant)) => {
                put(&mut out, EAP_PAYLOAD, &supplicant.handle_request(packet)?);
            }
            (_, Some(_), Credential::Password(name, password)) => {
                let (name, password) = (name.as_bytes(), password.as_bytes());
                let value = [&[name.len() as u8], name, &[password.len() as u8], password].concat();
                put(&mut out, PASSWORD, &value);
            }
            (Some(_), ..) => put(&mut out, NAK, &[0, 0, 0, 0, 0, EAP_PAYLOAD as u8]),
            (_, Some(_), _) => put(&mut out, NAK, &[0, 0, 0, 0, 0, PASSWORD_REQUEST as u8]),
            _ => {}
        }
        Ok(out)
    }

    /// Looks at the server's MACs, and makes its own; goes on with the chains.
    fn bind(&mut self, whole: &[u8], connection: &ClientConnection) -> Result<Vec<u8>, Fault> {
        let (msk, emsk) = match &self.credentials[self.at].1 {
            Credential::Eap(supplicant) if self.is_asked => (supplicant.msk(), supplicant.emsk()),
            _ => (None, None),
        };
        self.is_keyed |= msk.is_some();
        let seed = seed(connection)?;
        let [by_msk, by_emsk] = self.chains.take().unwrap_or([seed.clone(), seed.clone()]);
        let (by_msk, msk_key) = link(connection, &by_msk, &msk_key(connection, msk)?)?;
        let (by_emsk, emsk_key) = match emsk {
            Some(emsk) => {
                let (chain, key) = link(connection, &by_emsk, &bind_key(connection, &emsk)?)?;
                (chain, Some(key))
            }
            None => (by_emsk, None),
        };
        let mac = |key: &[u8], tlv: &[u8]| {
            let mut bare = tlv.to_vec();
            bare[EMSK_MAC..].fill(0);
            hmac(connection, key, &[&bare, &[method::TEAP], &self.preamble])[..20].to_vec()
        };
        let flags = whole[7] >> 4;
        let is_right = mac(&msk_key, whole) == whole[MSK_MAC..]
            && emsk_key.as_ref().is_none_or(|key| mac(key, whole) == whole[EMSK_MAC..MSK_MAC]);
        if self.trick != Trick::Preamble && (!is_right || flags != if emsk_key.is_some() { 3 } else { 2 }) {
            return Err(Fault::new("somebody sits between the tunnel's ends"));
        }
        let emsk_key = emsk_key.filter(|_| self.trick != Trick::MskOnly);
        let mut answer = whole.to_vec();
        answer[7] = if emsk_key.is_some() { 0x31 } else { 0x21 };
        answer[NONCE_END] |= 1;
        answer[NONCE_END - 1] ^= u8::from(self.trick == Trick::Nonce);
        let by_msk_mac = mac(&msk_key, &answer);
        let by_emsk_mac = emsk_key.as_ref().map_or(vec![0; 20], |key| mac(key, &answer));
        answer[MSK_MAC..].copy_from_slice(&by_msk_mac);
        answer[EMSK_MAC..MSK_MAC].copy_from_slice(&by_emsk_mac);
        answer[MSK_MAC] ^= u8::from(self.trick == Trick::MskMac);
        answer[EMSK_MAC] ^= u8::from(self.trick == Trick::EmskMac);
        let last = match (self.is_keyed, &emsk_key) {
            (false, _) => &seed,
            (true, Some(_)) => &by_emsk,
            (true, None) => &by_msk,
        };
        self.msk = Some(derive(connection, last, "Session Key Generating Function", &[], 64)?);
        self.chains = Some([by_msk, by_emsk]);
        Ok(answer)
    }
}

impl Inside for Teap {
    fn handle_preamble(&mut self, said: &[u8]) -> Vec<u8> {
        self.note(|heard| heard.authority = said.get(4..).unwrap_or_default().to_vec());
        // Vendor-Specific, of a vendor that nobody knows; optional, as all are here.
        let own = [0, 7, 0, 6, 0, 0, 0xab, 0xcd, 1, 2].to_vec();
        self.preamble = [said, &own].concat();
        self.preamble[4] ^= u8::from(self.trick == Trick::Preamble);
        own
    }

    fn handle_message(&mut self, said: &[u8], connection: &ClientConnection) -> Result<Vec<u8>, Fault> {
        if said.is_empty() {
            return Ok(Vec::new());
        }
        let is_first = self.before.is_empty();
        let mut answer = self.answer(said, connection)?;
        if is_first {
            self.before = answer.clone();
            match self.trick {
                Trick::Early => {
                    answer.clear();
                    put(&mut answer, RESULT, &SUCCESS);
                }
                Trick::Long => answer[3] += 1 + answer.len() as u8,
                Trick::Half => answer.truncate(3),
                Trick::Twice => answer.extend(self.before.clone()),
                Trick::Unknown => put(&mut answer, 100, b"?"),
                _ => {}
            }
        }
        Ok(answer)
    }

    fn msk(&self, tunnel: Vec<u8>) -> Vec<u8> {
        self.msk.clone().unwrap_or(tunnel)
    }
}

/// Number, value, and both with the header.
type Tlv<'a> = (u16, &'a [u8], &'a [u8]);

fn parse(mut said: &[u8]) -> Result<Vec<Tlv<'_>>, Fault> {
    let mut tlvs = Vec::new();
    while let Some((&[a, b, c, d], behind)) = said.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([c, d]));
        let value = behind.get(..length).ok_or_else(|| Fault::new("a TLV that ends early"))?;
        tlvs.push((u16::from_be_bytes([a, b]) & 0x3fff, value, &said[..4 + length]));
        said = &behind[length..];
    }
    Ok(tlvs)
}

fn put(out: &mut Vec<u8>, number: u16, value: &[u8]) {
    out.extend((MANDATORY | number).to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
}

fn is_13(connection: &ClientConnection) -> bool {
    connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
}

fn export(
    connection: &ClientConnection,
    label: &str,
    context: Option<&[u8]>,
    octets: usize,
) -> Result<Vec<u8>, Fault> {
    connection.export_keying_material(vec![0; octets], label.as_bytes(), context).map_err(Fault::new)
}

/// RFC 9930 section 5.1; of TLS 1.3 RFC 9427 section 2.2.
fn seed(connection: &ClientConnection) -> Result<Vec<u8>, Fault> {
    let context = is_13(connection).then_some(&[method::TEAP][..]);
    export(connection, "EXPORTER: teap session key seed", context, 40)
}

/// The next link of a chain, and the key of its MACs (section 5.2).
fn link(connection: &ClientConnection, chain: &[u8], key: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let mut material = derive(connection, chain, "Inner Methods Compound Keys", key, 60)?;
    let compound = material.split_off(40);
    Ok((material, compound))
}

fn msk_key(connection: &ClientConnection, msk: Option<Vec<u8>>) -> Result<Vec<u8>, Fault> {
    match msk {
        None => Ok(vec![0; 32]),
        Some(msk) => {
            // EAP-FAST-MSCHAPv2 (RFC 9930 section 3.6.3).
            let msk = if msk.len() == 32 { [&msk[16..], &msk[..16]].concat() } else { msk };
            if is_13(connection) { bind_key(connection, &msk) } else { Ok(msk[..32].to_vec()) }
        }
    }
}

fn bind_key(connection: &ClientConnection, secret: &[u8]) -> Result<Vec<u8>, Fault> {
    let label = "TEAPbindkey@ietf.org";
    match is_13(connection) {
        true => export(connection, label, Some(secret), 32),
        false => Ok(prf(connection, secret, label, &[0, 0, 64], 32)),
    }
}

fn derive(
    connection: &ClientConnection,
    chain: &[u8],
    label: &str,
    more: &[u8],
    octets: usize,
) -> Result<Vec<u8>, Fault> {
    match is_13(connection) {
        true => export(connection, &format!("EXPORTER: {label}"), Some(&[chain, more].concat()), octets),
        false => Ok(prf(connection, chain, label, more, octets)),
    }
}

/// RFC 5246 section 5.
fn prf(connection: &ClientConnection, secret: &[u8], label: &str, seed: &[u8], octets: usize) -> Vec<u8> {
    let seed = [label.as_bytes(), seed].concat();
    let (mut a, mut out) = (seed.clone(), Vec::new());
    while out.len() < octets {
        a = hmac(connection, secret, &[&a]);
        out.extend(hmac(connection, secret, &[&a, &seed]));
    }
    out.truncate(octets);
    out
}

fn hmac(connection: &ClientConnection, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let whole = parts.concat();
    let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
    match suite {
        Some(
            CipherSuite::TLS13_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ) => {
            let mut mac = Hmac::<Sha384>::new_from_slice(key).expect("any length will do");
            mac.update(&whole);
            mac.finalize().into_bytes().to_vec()
        }
        _ => {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
            mac.update(&whole);
            mac.finalize().into_bytes().to_vec()
        }
    }
}
