//! PEAP version 0 (MS-PEAP): EAP within TLS, without the headers of its packets, and at the end a result that both sides
//! say under protection.

use std::sync::Arc;

use forewarn_wire::eap::Eap;
use zeroize::Zeroizing;

use crate::claim::{Proof, Verdict};
use crate::keys::Keys;
use crate::method::{Context, Reason};
use crate::settings::{Kind, Settings};

use super::binding::{self, Binding};
use super::inner::{Heard, Talk};
use super::keys::{keys, no_keys};
use super::{Inner, Inside, Outer};

/// Octets of an EAP header, which is left out within.
const HEADER: usize = 4;
/// The type of extensions, which has its header.
const EXTENSIONS: u8 = 33;
/// The Result TLV, mandatory.
const RESULT: u16 = 0x8003;
const MANDATORY: u16 = 0x8000;
const SUCCESS: u16 = 1;
const FAILURE: u16 = 2;

pub(super) struct Peap {
    settings: Arc<Settings>,
    stage: Stage,
    /// Whether the peer has shown its password itself, or the session that is resumed: nothing that could be another's.
    is_shown: bool,
}

enum Stage {
    /// The tunnel isn't there yet.
    Waiting,
    /// It resumes a session, whose user is looked at anew.
    Resuming,
    Talking(Box<Talk>),
    /// Success was said, and is to be acknowledged.
    Succeeding {
        keys: Keys,
        binding: Option<Binding>,
    },
    /// Failure was.
    Failing(Reason),
}

impl Peap {
    pub(super) fn new(settings: &Arc<Settings>) -> Self {
        Self { settings: Arc::clone(settings), stage: Stage::Waiting, is_shown: false }
    }
}

impl Inner for Peap {
    fn is_costly(&self) -> bool {
        matches!(&self.stage, Stage::Talking(talk) if talk.is_costly())
    }

    fn fails(&self) -> Option<&Reason> {
        if let Stage::Talking(talk) = &self.stage { talk.fails() } else { None }
    }

    fn begin(&mut self, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        if let Some(session) = outer.channel.resumed().pop() {
            if !self.settings.allows_within(session.method) {
                return self.refuse(Reason::InnerNotAllowed, context);
            }
            (self.stage, self.is_shown) = (Stage::Resuming, true);
            return Inside::Verify(session.claim());
        }
        let talk = Talk::greet(Kind::Peap, &self.settings, context.identifier);
        self.ask(talk)
    }

    fn handle_message(&mut self, message: &[u8], outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        match std::mem::replace(&mut self.stage, Stage::Waiting) {
            Stage::Waiting | Stage::Resuming => Inside::Fail(Reason::Malformed),
            Stage::Talking(mut talk) => {
                // Its header again, with the identifier of what it travels in.
                talk.renumber(context.identifier);
                let length = u16::try_from(HEADER + message.len()).unwrap_or(u16::MAX);
                // There may be a password in it.
                let mut packet = Zeroizing::new(Vec::with_capacity(HEADER + message.len()));
                packet.extend([2, context.identifier]);
                packet.extend(length.to_be_bytes());
                packet.extend(message);
                let heard = talk.handle_response(&packet, context.random);
                self.follow(heard, outer, context)
            }
            Stage::Succeeding { keys, binding } => self.succeeded(message, keys, binding),
            Stage::Failing(reason) => Inside::Fail(reason),
        }
    }

    fn handle_verdict(&mut self, verdict: &Verdict, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        match std::mem::replace(&mut self.stage, Stage::Waiting) {
            Stage::Talking(talk) => {
                let heard = talk.handle_verdict(verdict, context.random);
                self.follow(heard, outer, context)
            }
            Stage::Resuming => self.resume(verdict, outer, context),
            _ => Inside::Fail(Reason::Malformed),
        }
    }
}

impl Peap {
    /// The result is all there is to say (MS-PEAP section 3.3.7.1).
    fn resume(&mut self, verdict: &Verdict, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        let Verdict::Right { .. } = verdict else { return self.refuse(Reason::Refused, context) };
        let Some(keys) = keys(Kind::Peap, outer) else { return Inside::Fail(no_keys()) };
        let binding = Binding::resumed(&keys, context.challenge());
        let request = result(context.identifier, SUCCESS, &binding.request());
        self.stage = Stage::Succeeding { keys, binding: Some(binding) };
        Inside::Say(request)
    }

    fn refuse(&mut self, reason: Reason, context: &Context<'_>) -> Inside {
        self.stage = Stage::Failing(reason);
        Inside::Say(result(context.identifier, FAILURE, &[]))
    }

    fn ask(&mut self, talk: Box<Talk>) -> Inside {
        let request = talk.request()[HEADER..].to_vec();
        self.stage = Stage::Talking(talk);
        Inside::Say(request)
    }

    fn follow(&mut self, heard: Heard, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        match heard {
            Heard::Ask(talk) => self.ask(talk),
            Heard::Verify(talk, claim) => {
                self.is_shown = matches!(claim.proof, Proof::Password(_));
                self.stage = Stage::Talking(talk);
                Inside::Verify(claim)
            }
            Heard::Succeed(inner) => {
                let Some(tunnel) = keys(Kind::Peap, outer) else { return Inside::Fail(no_keys()) };
                // A method without keys has nothing to bind.
                let binding = inner.map(|inner| Binding::new(&tunnel, &inner, context.challenge()));
                let tlv = binding.as_ref().map(Binding::request).unwrap_or_default();
                let request = result(context.identifier, SUCCESS, &tlv);
                self.stage = Stage::Succeeding { keys: tunnel, binding };
                Inside::Say(request)
            }
            Heard::Fail(reason) => self.refuse(reason, context),
        }
    }

    /// The peer's acknowledgement has to say success, and be bound where it can be.
    fn succeeded(&self, message: &[u8], keys: Keys, binding: Option<Binding>) -> Inside {
        let Some(answer) = answer(message) else { return Inside::Fail(Reason::Malformed) };
        if answer.result != Some(SUCCESS) {
            return Inside::Fail(Reason::PeerRefuses);
        }
        match (binding, answer.binding) {
            (Some(binding), Some(value)) if binding.is_answered_by(value) => {
                Inside::Succeed(binding.keys(&keys))
            }
            (Some(_), Some(_)) => Inside::Fail(Reason::PeerRefuses),
            // A peer that knows no binding says nothing of it.
            (_, None) | (None, Some(_)) if self.is_shown => Inside::Succeed(keys),
            (_, None) | (None, Some(_)) => Inside::SucceedUnbound(keys),
        }
    }
}

/// An EAP-Request of extensions: the result, and more.
fn result(identifier: u8, result: u16, more: &[u8]) -> Vec<u8> {
    let length = (HEADER + 1 + 6 + more.len()) as u16;
    let mut request = vec![1, identifier.wrapping_add(1)];
    request.extend(length.to_be_bytes());
    request.push(EXTENSIONS);
    request.extend(RESULT.to_be_bytes());
    request.extend(2_u16.to_be_bytes());
    request.extend(result.to_be_bytes());
    request.extend(more);
    request
}

#[derive(Default)]
pub(super) struct Answer<'a> {
    result: Option<u16>,
    pub(super) binding: Option<&'a [u8]>,
}

/// A response of extensions, with its header.
pub(super) fn answer(message: &[u8]) -> Option<Answer<'_>> {
    let response = Eap::parse(message)?;
    (response.method == Some(EXTENSIONS)).then_some(())?;
    let mut rest = response.data;
    let mut answer = Answer::default();
    while let Some((head, behind)) = rest.split_first_chunk::<4>() {
        let [a, b, c, d] = *head;
        let (number, length) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])));
        let value = behind.get(..length)?;
        match number & !MANDATORY {
            3 => answer.result = Some(u16::from_be_bytes(*value.first_chunk()?)),
            binding::NUMBER if length == binding::VALUE => answer.binding = Some(value),
            binding::NUMBER => return None,
            _ => {}
        }
        rest = &behind[length..];
    }
    Some(answer)
}
