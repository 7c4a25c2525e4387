//! EAP-TTLS version 0 (RFC 5281): PAP, CHAP, MS-CHAP, MS-CHAPv2 or EAP within TLS. The challenges follow from the tunnel, so
//! that no response of another connection fits.

use std::sync::Arc;

use forewarn_wire::mschap::{self, MICROSOFT, attribute};
use zeroize::Zeroizing;

use crate::claim::{Claim, Proof, Verdict};
use crate::method::{Context, Reason};
use crate::settings::{Kind, Settings, Within};
use crate::tls::Channel;

use super::avp::{self, Avp};
use super::inner::{Heard, Talk};
use super::keys::{keys, no_keys};
use super::{Inner, Inside, Outer};

/// Numbers of RADIUS (RFC 5281 section 11.2).
const USER_NAME: u32 = 1;
const USER_PASSWORD: u32 = 2;
const CHAP_PASSWORD: u32 = 3;
const CHAP_CHALLENGE: u32 = 60;
const EAP_MESSAGE: u32 = 79;
/// As User-Password has.
const PASSWORD_MAX: usize = 128;

/// To a peer that resumes by TLS 1.3: it needn't say anything (RFC 9427 section 2.2, as of RFC 9190 section 2.5).
const COMMITMENT: u8 = 0;

pub(super) struct Ttls {
    settings: Arc<Settings>,
    stage: Stage,
}

enum Stage {
    /// The peer is to say who it is, and to prove it.
    Listening,
    /// It resumes a session, whose user is looked at anew.
    Resuming,
    /// Credentials are looked at: what the server's own proof is made of.
    Answered(Proof),
    /// The server's proof was said, and is to be acknowledged.
    Proven,
    /// By EAP, and whether the peer has shown its password itself: nothing that could be another's.
    Talking(Box<Talk>, bool),
    Over,
}

impl Ttls {
    pub(super) fn new(settings: &Arc<Settings>) -> Self {
        Self { settings: Arc::clone(settings), stage: Stage::Listening }
    }
}

impl Inner for Ttls {
    fn is_costly(&self) -> bool {
        matches!(&self.stage, Stage::Talking(talk, _) if talk.is_costly())
    }

    fn fails(&self) -> Option<&Reason> {
        if let Stage::Talking(talk, _) = &self.stage { talk.fails() } else { None }
    }

    fn begin(&mut self, outer: &Outer<'_>, _: &mut Context<'_>) -> Inside {
        let Some(session) = outer.channel.resumed().pop() else { return Inside::Listen };
        if !self.settings.allows_within(session.method) {
            return Inside::Fail(Reason::InnerNotAllowed);
        }
        self.stage = Stage::Resuming;
        Inside::Verify(session.claim())
    }

    fn handle_message(&mut self, message: &[u8], outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        match (std::mem::replace(&mut self.stage, Stage::Over), message.is_empty()) {
            (Stage::Proven, true) => succeed(outer),
            (Stage::Proven, false) => Inside::Fail(Reason::PeerRefuses),
            (stage @ (Stage::Listening | Stage::Talking(..)), true) => {
                self.stage = stage;
                Inside::Listen
            }
            (Stage::Listening, false) => self.listen(message, outer, context),
            (Stage::Talking(talk, is_shown), false) => {
                let Some(packet) = eap_message(message) else { return Inside::Fail(Reason::Malformed) };
                let heard = talk.handle_response(packet, context.random);
                self.follow(heard, is_shown, outer)
            }
            (Stage::Answered(_) | Stage::Resuming | Stage::Over, _) => Inside::Fail(Reason::Malformed),
        }
    }

    fn handle_verdict(&mut self, verdict: &Verdict, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        match (std::mem::replace(&mut self.stage, Stage::Over), verdict) {
            (Stage::Talking(talk, is_shown), _) => {
                let heard = talk.handle_verdict(verdict, context.random);
                self.follow(heard, is_shown, outer)
            }
            (Stage::Resuming, Verdict::Right { .. }) if outer.channel.is_13() => {
                match keys(Kind::Ttls, outer) {
                    Some(keys) => Inside::SayLast(vec![COMMITMENT], keys),
                    None => Inside::Fail(no_keys()),
                }
            }
            (Stage::Resuming, Verdict::Right { .. }) => succeed(outer),
            (Stage::Answered(proof), Verdict::Right { hash_of_hash, .. }) => match (proof, hash_of_hash) {
                (Proof::MsChap2 { identifier, challenge, peer, response, name }, Some(hash)) => {
                    self.stage = Stage::Proven;
                    let challenge = mschap::challenge_hash(&peer, &challenge, mschap::bare_name(&name));
                    let proof = mschap::authenticator_response(hash, &response, &challenge);
                    let value = [&[identifier], &proof[..]].concat();
                    Inside::Say(avp::vendor(MICROSOFT, attribute::SUCCESS_2, &value))
                }
                // The peer wants a proof, and there is nothing to make one of.
                (Proof::MsChap2 { .. }, None) => Inside::Fail(Reason::Refused),
                _ => succeed(outer),
            },
            _ => Inside::Fail(Reason::Refused),
        }
    }
}

impl Ttls {
    /// The peer's first message: credentials, or who it is, to be proven by EAP.
    fn listen(&mut self, message: &[u8], outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        if let Some(packet) = eap_message(message) {
            let heard = Talk::begin(Kind::Ttls, &self.settings, packet, context.random);
            return self.follow(heard, false, outer);
        }
        let Some(claim) = claim(message, outer.channel) else { return Inside::Fail(Reason::Malformed) };
        let within = match claim.proof {
            Proof::Password(_) => Within::Pap,
            Proof::Chap { .. } => Within::Chap,
            Proof::MsChap1 { .. } => Within::MsChap,
            _ => Within::Eap(Kind::MsChap2),
        };
        if !self.settings.inner.contains(&within) {
            return Inside::Fail(Reason::InnerNotAllowed);
        }
        self.stage = Stage::Answered(claim.proof.clone());
        Inside::Verify(claim)
    }

    fn follow(&mut self, heard: Heard, is_shown: bool, outer: &Outer<'_>) -> Inside {
        match heard {
            Heard::Ask(talk) => {
                let request = avp::standard(EAP_MESSAGE, talk.request());
                self.stage = Stage::Talking(talk, is_shown);
                Inside::Say(request)
            }
            Heard::Verify(talk, claim) => {
                let is_shown = matches!(claim.proof, Proof::Password(_));
                self.stage = Stage::Talking(talk, is_shown);
                Inside::Verify(claim)
            }
            // Success isn't said within (RFC 5281 section 11.2.1), and nothing binds what was.
            Heard::Succeed(_) if is_shown => succeed(outer),
            Heard::Succeed(_) => match succeed(outer) {
                Inside::Succeed(keys) => Inside::SucceedUnbound(keys),
                failure => failure,
            },
            Heard::Fail(reason) => Inside::Fail(reason),
        }
    }
}

fn succeed(outer: &Outer<'_>) -> Inside {
    match keys(Kind::Ttls, outer) {
        Some(keys) => Inside::Succeed(keys),
        None => Inside::Fail(no_keys()),
    }
}

/// The EAP packet of a message, which is in one piece (RFC 5281 section 11.2.1).
fn eap_message(message: &[u8]) -> Option<&[u8]> {
    let avps = avp::parse(message)?;
    let found = avps.iter().find(|Avp { vendor, number, .. }| (*vendor, *number) == (0, EAP_MESSAGE));
    found.map(|avp| avp.value)
}

/// What a message claims.
fn claim(message: &[u8], channel: &dyn Channel) -> Option<Claim> {
    let avps = avp::parse(message)?;
    let find = |vendor, number| {
        let found = avps.iter().find(|Avp { vendor: of, number: is, .. }| (*of, *is) == (vendor, number));
        found.map(|avp| avp.value)
    };
    let user = find(0, USER_NAME).filter(|user| !user.is_empty() && user.len() <= 253)?.to_vec();
    let (method, proof) = if let Some(password) = find(0, USER_PASSWORD) {
        // Padded with NULs, so that its length doesn't tell (section 11.2.5).
        let end = password.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        let password = password[..end].to_vec();
        (password.len() <= PASSWORD_MAX).then_some(())?;
        ("eap-ttls-pap", Proof::Password(Zeroizing::new(password)))
    } else if let Some(password) = find(0, CHAP_PASSWORD) {
        let [challenge @ .., identifier] = &implicit::<17>(channel)?;
        let (given, response) = password.split_first()?;
        let same = find(0, CHAP_CHALLENGE)? == challenge && given == identifier;
        same.then_some(())?;
        let (identifier, challenge) = (*identifier, challenge.to_vec());
        ("eap-ttls-chap", Proof::Chap { identifier, challenge, response: response.try_into().ok()? })
    } else {
        mschap_of(&user, find(MICROSOFT, attribute::CHALLENGE_ATTRIBUTE)?, &find, channel)?
    };
    Some(Claim { method, user, proof })
}

fn mschap_of<'a>(
    user: &[u8],
    challenge: &[u8],
    find: &impl Fn(u32, u32) -> Option<&'a [u8]>,
    channel: &dyn Channel,
) -> Option<(&'static str, Proof)> {
    if let Some(response) = find(MICROSOFT, attribute::RESPONSE_2) {
        let response: &[u8; 50] = response.try_into().ok()?;
        let [ours @ .., identifier] = &implicit::<17>(channel)?;
        (ours == challenge && response[0] == *identifier).then_some(())?;
        let proof = Proof::MsChap2 {
            identifier: *identifier,
            challenge: *ours,
            peer: *response[2..].first_chunk()?,
            response: *response.last_chunk()?,
            name: user.to_vec(),
        };
        return Some(("eap-ttls-mschapv2", proof));
    }
    let response: &[u8; 50] = find(MICROSOFT, attribute::RESPONSE_1)?.try_into().ok()?;
    let [ours @ .., identifier] = &implicit::<9>(channel)?;
    (ours == challenge && response[0] == *identifier).then_some(())?;
    let nt = (response[1] & 1 == 1).then(|| *response.last_chunk().expect("it has fifty octets"));
    let proof = Proof::MsChap1 { identifier: *identifier, challenge: *ours, response: nt };
    Some(("eap-ttls-mschap", proof))
}

/// The challenge of a connection, and the identifier behind it (section 11.1).
fn implicit<const OCTETS: usize>(channel: &dyn Channel) -> Option<[u8; OCTETS]> {
    let mut challenge = [0; OCTETS];
    channel.export(b"ttls challenge", None, &mut challenge).then_some(challenge)
}
