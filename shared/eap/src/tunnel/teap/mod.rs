//! TEAP version 1 (RFC 9930): passwords and EAP within TLS, for a machine, a user or one after the other, each bound to the
//! tunnel, and at the end a result that both sides say under protection.

mod binding;
mod chain;
mod tlv;

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::claim::{Claim, Proof, Verdict};
use crate::keys::Keys;
use crate::method::{Context, Reason};
use crate::settings::{IdentityType, Kind, Settings, Within};
use crate::tls::Session;

use super::inner::{Heard, Talk};
use super::keys::no_keys;
use super::{Inner, Inside, Outer};

use binding::Binding;
use chain::Chain;
use tlv::{FAILURE, Odd, SUCCESS, Said};

pub(super) const VERSION: u8 = 1;

const PROMPT: &[u8] = b"Password: ";
/// As User-Name and User-Password have.
const NAME_MAX: usize = 253;
const PASSWORD_MAX: usize = 128;

/// Error codes (section 4.2.6).
const INNER_METHOD: u32 = 1001;
const INNER_NOT_SUPPORTED: u32 = 1032;
const COMPROMISED: u32 = 2001;
const UNEXPECTED: u32 = 2002;
/// From here on they are fatal.
const FATAL: u32 = 2000;

/// What the server says before TLS begins: whose it is (section 4.2.2).
pub(super) fn preamble(settings: &Settings) -> Vec<u8> {
    let mut preamble = Vec::new();
    tlv::put_optional(&mut preamble, tlv::AUTHORITY_ID, settings.server_name.as_bytes());
    preamble
}

pub(super) struct Teap {
    settings: Arc<Settings>,
    /// Who is still to be proven; the first is at it.
    left: Vec<IdentityType>,
    /// What this identity hasn't been offered yet, the next one last.
    ways: Vec<Way>,
    chain: Option<Chain>,
    /// Is out, and to be answered before anything else counts.
    binding: Option<Binding>,
    /// The Intermediate-Result that is out.
    intermediate: Option<u16>,
    stage: Stage,
}

/// How an identity is proven.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Eap,
    Password,
}

enum Stage {
    /// The tunnel isn't there yet.
    Waiting,
    /// It resumes a session: the first of its identities is looked at anew, and these are still to be.
    Resuming(std::vec::IntoIter<Session>),
    Talking(Box<Talk>),
    /// A name and a password are asked for.
    Asking,
    /// They are looked at.
    Judging,
    /// The result is out: success, by which chain once its binding was answered.
    Ending {
        by_emsk: bool,
    },
    /// The result is out: failure.
    Failing(Reason),
}

impl Teap {
    pub(super) fn new(settings: &Arc<Settings>) -> Self {
        Self {
            settings: Arc::clone(settings),
            left: settings.identities.clone(),
            ways: Vec::new(),
            chain: None,
            binding: None,
            intermediate: None,
            stage: Stage::Waiting,
        }
    }
}

impl Inner for Teap {
    fn is_costly(&self) -> bool {
        matches!(&self.stage, Stage::Talking(talk) if talk.is_costly())
    }

    fn fails(&self) -> Option<&Reason> {
        if let Stage::Talking(talk) = &self.stage { talk.fails() } else { None }
    }

    fn begin(&mut self, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        self.chain = Chain::new(outer);
        if self.chain.is_none() {
            return Inside::Fail(no_keys());
        }
        let resumed = outer.channel.resumed();
        if self.is_asked_for(&resumed) {
            return self.look_again(resumed.into_iter(), outer, context);
        }
        self.ways = ways(&self.settings);
        self.offer(Vec::new(), context)
    }

    /// What was bound comes first, then results, then what goes on (section 4.3).
    fn handle_message(&mut self, message: &[u8], outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        if let Stage::Failing(reason) = &self.stage {
            return Inside::Fail(reason.clone());
        }
        let said = match tlv::parse(message) {
            Ok(said) => said,
            // The peer may say it without, and the request stands.
            Err(Odd::Unknown(vendor, number)) => return Inside::Say(tlv::nak(vendor, number)),
            Err(Odd::Malformed) => return self.refuse(UNEXPECTED, Reason::Malformed),
        };
        if said.result == Some(FAILURE) || said.error.is_some_and(|code| code >= FATAL) {
            return Inside::Fail(Reason::PeerRefuses);
        }
        if let Some(refused) = self.settle(&said, outer) {
            return refused;
        }
        self.go_on(&said, outer, context)
    }

    fn handle_verdict(&mut self, verdict: &Verdict, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        match std::mem::replace(&mut self.stage, Stage::Waiting) {
            Stage::Talking(talk) => {
                let heard = talk.handle_verdict(verdict, context.random);
                self.follow(heard, outer, context)
            }
            Stage::Judging => match verdict {
                Verdict::Right { .. } => self.proven(None, outer, context),
                _ => self.refuse(INNER_METHOD, Reason::Refused),
            },
            Stage::Resuming(left) => match verdict {
                Verdict::Right { .. } => self.look_again(left, outer, context),
                // Nobody was asked for anything, so that nothing of it has failed.
                _ => self.refuse_after(Vec::new(), INNER_METHOD, Reason::Refused),
            },
            _ => Inside::Fail(Reason::Malformed),
        }
    }
}

impl Teap {
    /// Whether a session proves who is to be proven now, by what is allowed now. Otherwise it only spares the handshake.
    fn is_asked_for(&self, resumed: &[Session]) -> bool {
        let proven = resumed.iter().map(|session| IdentityType::of(&session.user));
        let is_allowed = |session: &Session| self.settings.allows_within(session.method);
        proven.eq(self.settings.identities.iter().copied()) && resumed.iter().all(is_allowed)
    }

    /// The next identity of the session that is resumed, and then the end: nothing more is proven (section 3.5).
    fn look_again(
        &mut self,
        mut left: std::vec::IntoIter<Session>,
        outer: &Outer<'_>,
        context: &mut Context<'_>,
    ) -> Inside {
        let Some(session) = left.next() else {
            self.left.clear();
            let mut out = Vec::new();
            return match self.bind(None, &mut out, outer, context) {
                Some(()) => self.conclude(out),
                None => Inside::Fail(no_keys()),
            };
        };
        self.stage = Stage::Resuming(left);
        Inside::Verify(session.claim())
    }

    /// Asks the identity at hand for the next proof. `out`: what goes before.
    fn offer(&mut self, mut out: Vec<u8>, context: &mut Context<'_>) -> Inside {
        let (Some(identity), Some(way)) = (self.left.first(), self.ways.pop()) else {
            return self.refuse(INNER_NOT_SUPPORTED, Reason::InnerNotAllowed);
        };
        tlv::put_mandatory(&mut out, tlv::IDENTITY_TYPE, &identity.number().to_be_bytes());
        match way {
            Way::Eap => {
                let talk = Talk::greet(Kind::Teap, &self.settings, context.identifier);
                tlv::put_mandatory(&mut out, tlv::EAP_PAYLOAD, talk.request());
                self.stage = Stage::Talking(talk);
            }
            Way::Password => {
                tlv::put_mandatory(&mut out, tlv::PASSWORD_REQUEST, PROMPT);
                self.stage = Stage::Asking;
            }
        }
        Inside::Say(out)
    }

    /// What was out before this message: its binding and its intermediate result. Gives the refusal, if it comes to that.
    fn settle(&mut self, said: &Said<'_>, outer: &Outer<'_>) -> Option<Inside> {
        let intermediate = self.intermediate.take();
        let Some(binding) = self.binding.take() else {
            let is_odd = said.binding.is_some()
                || said.intermediate_result.is_some_and(|result| Some(result) != intermediate);
            return is_odd.then(|| self.refuse(UNEXPECTED, Reason::Malformed));
        };
        let checked = said.binding.ok_or(COMPROMISED).and_then(|answer| binding.check(answer, outer));
        let bound = match checked {
            Ok(bound) => bound,
            Err(code) => return Some(self.refuse(code, Reason::PeerRefuses)),
        };
        if let Stage::Ending { by_emsk } = &mut self.stage {
            *by_emsk = bound;
        }
        match said.intermediate_result {
            result if result == intermediate => None,
            Some(FAILURE) => Some(self.refuse(INNER_METHOD, Reason::PeerRefuses)),
            _ => Some(self.refuse(UNEXPECTED, Reason::Malformed)),
        }
    }

    fn go_on(&mut self, said: &Said<'_>, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        let stage = std::mem::replace(&mut self.stage, Stage::Waiting);
        match (stage, said) {
            (Stage::Ending { by_emsk }, Said { result: Some(SUCCESS), .. }) => {
                match self.chain.as_ref().and_then(|chain| chain.keys(by_emsk, outer)) {
                    Some(keys) => Inside::Succeed(keys),
                    None => Inside::Fail(no_keys()),
                }
            }
            // Nothing more is done here: it has the status that it takes instead (section 4.2.9).
            (stage @ Stage::Ending { .. }, Said { result: None, action: Some(status), .. }) => {
                if u16::from(*status) != SUCCESS {
                    return self.refuse(UNEXPECTED, Reason::PeerRefuses);
                }
                self.stage = stage;
                let mut out = Vec::new();
                tlv::put_mandatory(&mut out, tlv::RESULT, &SUCCESS.to_be_bytes());
                Inside::Say(out)
            }
            (_, Said { result: Some(_), .. }) => self.refuse(UNEXPECTED, Reason::Malformed),
            (Stage::Talking(_), Said { nak: Some(tlv::EAP_PAYLOAD), .. })
            | (Stage::Asking, Said { nak: Some(tlv::PASSWORD_REQUEST), .. }) => {
                self.offer(Vec::new(), context)
            }
            (Stage::Talking(talk), Said { eap: Some(packet), password: None, .. }) => {
                if !self.is_identity_asked(said) {
                    return self.refuse(UNEXPECTED, Reason::OtherIdentity);
                }
                let heard = talk.handle_response(packet, context.random);
                self.follow(heard, outer, context)
            }
            (Stage::Asking, Said { password: Some((name, password)), eap: None, .. }) => {
                if !self.is_identity_asked(said) {
                    return self.refuse(UNEXPECTED, Reason::OtherIdentity);
                }
                if name.len() > NAME_MAX || password.len() > PASSWORD_MAX {
                    return self.refuse(INNER_METHOD, Reason::Malformed);
                }
                let proof = Proof::Password(Zeroizing::new(password.to_vec()));
                let claim = Claim { method: "eap-teap-password", user: name.to_vec(), proof };
                self.verify(claim, Stage::Judging)
            }
            _ => self.refuse(UNEXPECTED, Reason::Malformed),
        }
    }

    /// A server may take another identity than it has asked for (section 4.2.3). Here the order is the configuration's:
    /// the peer doesn't choose which is last.
    fn is_identity_asked(&self, said: &Said<'_>) -> bool {
        let asked = self.left.first().map(|identity| identity.number());
        said.identity_type.is_none() || said.identity_type == asked
    }

    /// The claim is to be looked at, if its name is of the identity that was asked for: what the peer says of its type
    /// proves nothing.
    fn verify(&mut self, claim: Claim, stage: Stage) -> Inside {
        if self.left.first() != Some(&IdentityType::of(&claim.user)) {
            return self.refuse(INNER_METHOD, Reason::OtherIdentity);
        }
        self.stage = stage;
        Inside::Verify(claim)
    }

    fn follow(&mut self, heard: Heard, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        match heard {
            Heard::Ask(talk) => {
                let mut out = Vec::new();
                tlv::put_mandatory(&mut out, tlv::EAP_PAYLOAD, talk.request());
                self.stage = Stage::Talking(talk);
                Inside::Say(out)
            }
            Heard::Verify(talk, claim) => self.verify(claim, Stage::Talking(talk)),
            Heard::Succeed(keys) => self.proven(keys.as_ref(), outer, context),
            // None of the methods of EAP: a password may do.
            Heard::Fail(Reason::InnerNotAllowed) if !self.ways.is_empty() => {
                let mut out = Vec::new();
                tlv::put_mandatory(&mut out, tlv::INTERMEDIATE_RESULT, &FAILURE.to_be_bytes());
                tlv::put_mandatory(&mut out, tlv::ERROR, &INNER_NOT_SUPPORTED.to_be_bytes());
                self.intermediate = Some(FAILURE);
                self.offer(out, context)
            }
            Heard::Fail(reason) => self.refuse(INNER_METHOD, reason),
        }
    }

    /// The identity at hand is proven: it is bound, and the next one's turn, or the end.
    fn proven(&mut self, keys: Option<&Keys>, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        let mut out = Vec::new();
        tlv::put_mandatory(&mut out, tlv::INTERMEDIATE_RESULT, &SUCCESS.to_be_bytes());
        self.intermediate = Some(SUCCESS);
        if self.bind(keys, &mut out, outer, context).is_none() {
            return Inside::Fail(no_keys());
        }
        self.left.remove(0);
        if !self.left.is_empty() {
            self.ways = ways(&self.settings);
            return self.offer(out, context);
        }
        self.conclude(out)
    }

    /// Binds these keys, or none (section 5.2).
    fn bind(
        &mut self,
        keys: Option<&Keys>,
        out: &mut Vec<u8>,
        outer: &Outer<'_>,
        context: &mut Context<'_>,
    ) -> Option<()> {
        let binding = Binding::new(self.chain.as_mut()?.extend(keys, outer)?, context.challenge());
        tlv::put_mandatory(out, tlv::CRYPTO_BINDING, &binding.request(outer));
        self.binding = Some(binding);
        Some(())
    }

    /// Says that it has succeeded, behind what is bound.
    fn conclude(&mut self, mut out: Vec<u8>) -> Inside {
        tlv::put_mandatory(&mut out, tlv::RESULT, &SUCCESS.to_be_bytes());
        self.stage = Stage::Ending { by_emsk: false };
        Inside::Say(out)
    }

    /// Says that it has failed, and why (section 3.9.3); whatever the peer answers is the end.
    fn refuse(&mut self, code: u32, reason: Reason) -> Inside {
        let mut out = Vec::new();
        if code < FATAL {
            tlv::put_mandatory(&mut out, tlv::INTERMEDIATE_RESULT, &FAILURE.to_be_bytes());
        }
        self.refuse_after(out, code, reason)
    }

    fn refuse_after(&mut self, mut out: Vec<u8>, code: u32, reason: Reason) -> Inside {
        tlv::put_mandatory(&mut out, tlv::RESULT, &FAILURE.to_be_bytes());
        tlv::put_mandatory(&mut out, tlv::ERROR, &code.to_be_bytes());
        self.stage = Stage::Failing(reason);
        Inside::Say(out)
    }
}

/// What an identity is offered, the first one last: EAP, a password, or one after the other, as they stand in the
/// configuration. Of EAP only what has keys to bind (section 3.6.4).
fn ways(settings: &Settings) -> Vec<Way> {
    let mut ways = Vec::new();
    for inner in &settings.inner {
        let way = match inner {
            Within::Eap(kind) if kind.has_keys() => Way::Eap,
            Within::Pap => Way::Password,
            _ => continue,
        };
        if !ways.contains(&way) {
            ways.insert(0, way);
        }
    }
    ways
}

#[cfg(test)]
mod tests;
