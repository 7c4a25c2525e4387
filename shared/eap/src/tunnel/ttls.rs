//! EAP-TTLS version 0 (RFC 5281): PAP, CHAP, MS-CHAP and MS-CHAPv2 within TLS. The challenges follow from the tunnel, so
//! that no response of another connection fits.

use forewarn_wire::mschap::{self, MICROSOFT, attribute};
use zeroize::Zeroizing;

use crate::claim::{Claim, Proof, Verdict};
use crate::method::{Context, Reason};
use crate::settings::Kind;
use crate::tls::Channel;

use super::avp::{self, Avp};
use super::keys::{keys, no_keys};
use super::{Inner, Inside};

/// Numbers of RADIUS (RFC 5281 section 11.2).
const USER_NAME: u32 = 1;
const USER_PASSWORD: u32 = 2;
const CHAP_PASSWORD: u32 = 3;
const CHAP_CHALLENGE: u32 = 60;
/// As User-Password has.
const PASSWORD_MAX: usize = 128;

/// Waits for the peer's credentials, or has sent the proof of the server.
#[derive(Default)]
pub(super) struct Ttls {
    /// Of MS-CHAPv2: what the server's proof is made of.
    answered: Option<Proof>,
    is_proven: bool,
}

impl Inner for Ttls {
    fn begin(&mut self, _: &dyn Channel, _: &mut Context<'_>) -> Inside {
        Inside::Listen
    }

    fn handle_message(&mut self, message: &[u8], channel: &dyn Channel, _: &mut Context<'_>) -> Inside {
        match (self.is_proven, message.is_empty()) {
            (true, true) => match keys(Kind::Ttls, channel) {
                Some(keys) => Inside::Succeed(keys),
                None => Inside::Fail(no_keys()),
            },
            (true, false) => Inside::Fail(Reason::PeerRefuses),
            (false, true) => Inside::Listen,
            (false, false) => match claim(message, channel) {
                Some(claim) => {
                    self.answered = Some(claim.proof.clone());
                    Inside::Verify(claim)
                }
                None => Inside::Fail(Reason::Malformed),
            },
        }
    }

    fn handle_verdict(&mut self, verdict: &Verdict, channel: &dyn Channel, _: &mut Context<'_>) -> Inside {
        let Verdict::Right { hash_of_hash } = verdict else { return Inside::Fail(Reason::Refused) };
        match (self.answered.take(), hash_of_hash) {
            (Some(Proof::MsChap2 { identifier, challenge, peer, response, name }), Some(hash)) => {
                self.is_proven = true;
                let challenge = mschap::challenge_hash(&peer, &challenge, mschap::bare_name(&name));
                let proof = mschap::authenticator_response(hash, &response, &challenge);
                let value = [&[identifier], &proof[..]].concat();
                Inside::Say(avp::vendor(MICROSOFT, attribute::SUCCESS_2, &value))
            }
            // The peer wants a proof, and there is nothing to make one of.
            (Some(Proof::MsChap2 { .. }), None) => Inside::Fail(Reason::Refused),
            _ => match keys(Kind::Ttls, channel) {
                Some(keys) => Inside::Succeed(keys),
                None => Inside::Fail(no_keys()),
            },
        }
    }
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
