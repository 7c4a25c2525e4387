//! PEAP version 0 (MS-PEAP): EAP within TLS, without the headers of its packets, and at the end a result that both sides
//! say under protection.

use std::sync::Arc;

use forewarn_wire::eap::Eap;

use crate::claim::{Claim, Verdict};
use crate::conversation::{Conversation, Step};
use crate::keys::Keys;
use crate::method::{Context, Reason};
use crate::settings::{Kind, Settings};
use crate::tls::Channel;

use super::binding::{self, Binding};
use super::keys::{keys, no_keys};
use super::{Inner, Inside};

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
}

enum Stage {
    /// The tunnel isn't there yet.
    Waiting,
    Talking(Box<Conversation>),
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
        Self { settings: Arc::clone(settings), stage: Stage::Waiting }
    }
}

impl Inner for Peap {
    fn begin(&mut self, _: &dyn Channel, context: &mut Context<'_>) -> Inside {
        let methods: Vec<Kind> = [Kind::MsChap2, Kind::Gtc].to_vec();
        let settings = Settings { methods, tls: None, ..Settings::clone(&self.settings) };
        let inner = Conversation::greet(Arc::new(settings), context.identifier);
        let request = inner.request()[HEADER..].to_vec();
        self.stage = Stage::Talking(Box::new(inner));
        Inside::Say(request)
    }

    fn handle_message(&mut self, message: &[u8], channel: &dyn Channel, context: &mut Context<'_>) -> Inside {
        match std::mem::replace(&mut self.stage, Stage::Waiting) {
            Stage::Waiting => Inside::Fail(Reason::Malformed),
            Stage::Talking(mut inner) => {
                // Its header again.
                let length = u16::try_from(HEADER + message.len()).unwrap_or(u16::MAX);
                let mut packet = vec![2, inner.request()[1]];
                packet.extend(length.to_be_bytes());
                packet.extend(message);
                let step = inner.handle_response(&packet, context.random);
                self.follow(inner, step, channel, context)
            }
            Stage::Succeeding { keys, binding } => succeeded(message, keys, binding),
            Stage::Failing(reason) => Inside::Fail(reason),
        }
    }

    fn handle_verdict(
        &mut self,
        verdict: &Verdict,
        channel: &dyn Channel,
        context: &mut Context<'_>,
    ) -> Inside {
        match std::mem::replace(&mut self.stage, Stage::Waiting) {
            Stage::Talking(mut inner) => {
                let step = inner.handle_verdict(verdict, context.random);
                self.follow(inner, step, channel, context)
            }
            _ => Inside::Fail(Reason::Malformed),
        }
    }
}

impl Peap {
    fn follow(
        &mut self,
        inner: Box<Conversation>,
        step: Step,
        channel: &dyn Channel,
        context: &mut Context<'_>,
    ) -> Inside {
        match step {
            Step::Request => {
                let request = inner.request()[HEADER..].to_vec();
                self.stage = Stage::Talking(inner);
                Inside::Say(request)
            }
            Step::Verify(claim) => {
                self.stage = Stage::Talking(inner);
                let method = match claim.method {
                    "eap-gtc" => "eap-peap-gtc",
                    _ => "eap-peap-mschapv2",
                };
                Inside::Verify(Claim { method, ..claim })
            }
            Step::Success(inner) => {
                let Some(tunnel) = keys(Kind::Peap, channel) else { return Inside::Fail(no_keys()) };
                // A method without keys has nothing to bind.
                let binding = inner.map(|inner| Binding::new(&tunnel, &inner, context.challenge()));
                let tlv = binding.as_ref().map(Binding::request).unwrap_or_default();
                let request = result(context.identifier, SUCCESS, &tlv);
                self.stage = Stage::Succeeding { keys: tunnel, binding };
                Inside::Say(request)
            }
            Step::Failure(reason) => {
                self.stage = Stage::Failing(reason);
                Inside::Say(result(context.identifier, FAILURE, &[]))
            }
            // Within a tunnel nothing is repeated or strays.
            Step::Ignored => Inside::Fail(Reason::Malformed),
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

/// The peer's acknowledgement has to say success, and be bound where it can be.
fn succeeded(message: &[u8], keys: Keys, binding: Option<Binding>) -> Inside {
    let Some(answer) = answer(message) else { return Inside::Fail(Reason::Malformed) };
    if answer.result != Some(SUCCESS) {
        return Inside::Fail(Reason::PeerRefuses);
    }
    match (binding, answer.binding) {
        (Some(binding), Some(value)) if binding.is_answered_by(value) => Inside::Succeed(binding.keys()),
        (Some(_), Some(_)) => Inside::Fail(Reason::PeerRefuses),
        // A peer that knows no binding says nothing of it.
        (_, None) | (None, Some(_)) => Inside::Succeed(keys),
    }
}

#[derive(Default)]
struct Answer<'a> {
    result: Option<u16>,
    binding: Option<&'a [u8]>,
}

/// A response of extensions, with its header.
fn answer(message: &[u8]) -> Option<Answer<'_>> {
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
            _ => {}
        }
        rest = &behind[length..];
    }
    Some(answer)
}
