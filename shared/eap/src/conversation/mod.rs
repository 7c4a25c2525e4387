//! One peer's way from its identity to success or failure (RFC 3748 section 4).

mod saved;

use std::sync::Arc;

use forewarn_wire::eap::{Eap, EapCode, method};
use rand_core::Rng;

use crate::claim::{Claim, Verdict};
use crate::keys::Keys;
use crate::method::{Context, Judged, Method, Next, Reason};
use crate::settings::{Kind, Settings};
use crate::{gtc, md5, mschapv2, pwd, tunnel};

pub(crate) use saved::put;

/// Octets of an identity: as many as a User-Name carries.
const IDENTITY_MAX: usize = 253;

/// One conversation with one peer.
pub struct Conversation {
    settings: Arc<Settings>,
    identity: Vec<u8>,
    /// Of the request that is out.
    identifier: u8,
    /// The request that is out, whole; empty: another server's is.
    request: Vec<u8>,
    stage: Stage,
    /// What the peer has refused, by number.
    refused: Vec<u8>,
    rounds: u32,
    octets: usize,
}

enum Stage {
    /// The peer is to say who it is.
    Identity,
    /// A method's request is out; the first one may still be refused.
    Method { kind: Kind, first: bool, method: Box<dyn Method> },
    /// A claim is being looked at.
    Judged { kind: Kind, judged: Box<dyn Judged>, claim: Claim },
    /// There is no more to say.
    Over,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = [("rounds", self.rounds as usize), ("octets", self.octets)];
        let mut shown = f.debug_struct("Conversation");
        fields.into_iter().for_each(|(name, value)| {
            shown.field(name, &value);
        });
        shown.finish_non_exhaustive()
    }
}

/// What follows.
#[derive(Debug)]
pub enum Step {
    /// [`Conversation::request`] is to be sent.
    Request,
    /// Somebody who knows accounts has to look at this; [`Conversation::handle_verdict`] takes what they find.
    Verify(Claim),
    /// The end: EAP-Success. Methods without keys have none.
    Success(Option<Keys>),
    /// The end: EAP-Failure.
    Failure(Reason),
    /// Nothing: the packet isn't an answer to the request that is out (RFC 3748 section 4.1).
    Ignored,
}

impl Conversation {
    /// One that asks who the peer is; its first request is ready. `identifier` is that request's, at random.
    pub fn greet(settings: Arc<Settings>, identifier: u8) -> Self {
        let mut conversation = Self {
            settings,
            identity: Vec::new(),
            identifier,
            request: Vec::new(),
            stage: Stage::Identity,
            refused: Vec::new(),
            rounds: 0,
            octets: 0,
        };
        conversation.put(method::IDENTITY, &[]);
        conversation
    }

    /// One with a peer that has said who it is unasked, as its NAS does for the server. `None`: this isn't that.
    pub fn begin(settings: Arc<Settings>, packet: &[u8], random: &mut dyn Rng) -> Option<(Self, Step)> {
        let response = Eap::parse(packet)?;
        if response.code != EapCode::Response || response.method != Some(method::IDENTITY) {
            return None;
        }
        let mut conversation = Self::greet(settings, response.identifier);
        let step = conversation.handle_response(packet, random);
        Some((conversation, step))
    }

    /// The request that is out, whole. Empty right after [`restore`](Self::restore).
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// The identifier of the request that is out.
    pub fn identifier(&self) -> u8 {
        self.identifier
    }

    /// The request that is out counts by another identifier: that of the packet it travelled in, where it has no header of
    /// its own (PEAP).
    pub(crate) fn renumber(&mut self, identifier: u8) {
        self.identifier = identifier;
    }

    /// Who the peer said it is, in the clear.
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// The method at hand, as policies and records name it.
    pub fn method(&self) -> &'static str {
        match &self.stage {
            Stage::Method { kind, .. } | Stage::Judged { kind, .. } => kind.record(),
            Stage::Identity | Stage::Over => "eap",
        }
    }

    /// Whether a claim is being looked at.
    pub fn is_judged(&self) -> bool {
        matches!(self.stage, Stage::Judged { .. })
    }

    /// Why it will fail, whatever the peer answers to the request that is out. Some answer nothing.
    pub fn fails(&self) -> Option<&Reason> {
        match &self.stage {
            Stage::Method { method, .. } => method.fails(),
            _ => None,
        }
    }

    /// Whether taking this packet burns CPU, so that it had better be done elsewhere.
    pub fn is_costly(&self, packet: &[u8]) -> bool {
        match (&self.stage, Eap::parse(packet)) {
            (Stage::Method { kind, method, .. }, Some(response)) => {
                response.method == Some(kind.number()) && method.is_costly(response.data)
            }
            _ => false,
        }
    }

    /// Whether taking the verdict on the claim that is being looked at burns CPU.
    pub fn is_verdict_costly(&self) -> bool {
        matches!(&self.stage, Stage::Judged { judged, .. } if judged.is_costly())
    }

    /// Takes what the peer sends.
    pub fn handle_response(&mut self, packet: &[u8], random: &mut dyn Rng) -> Step {
        self.rounds = self.rounds.saturating_add(1);
        self.octets = self.octets.saturating_add(packet.len());
        let limits = self.settings.limits;
        if self.rounds > limits.rounds || self.octets > limits.octets {
            return self.end(Reason::TooLong);
        }
        let Some(Eap { code: EapCode::Response, identifier, method: Some(number), data }) =
            Eap::parse(packet)
        else {
            return Step::Ignored;
        };
        if identifier != self.identifier {
            // The answer to the one before: what followed from it may have been lost.
            let was_before = identifier == self.identifier.wrapping_sub(1) && self.rounds > 2;
            return if was_before && self.is_asking() { Step::Request } else { Step::Ignored };
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Identity if number == method::IDENTITY => self.identified(data, random),
            Stage::Method { first: true, kind, .. } if number == method::NAK => {
                self.refused.push(kind.number());
                self.offer(Some(data), random)
            }
            Stage::Method { kind, method, .. } if number == kind.number() => {
                let Self { identity, identifier, .. } = self;
                let mut context = Context { identity, identifier: *identifier, random };
                let next = method.handle_response(data, &mut context);
                self.follow(kind, false, next)
            }
            // Nobody could say what is to be thought of it, so that it wasn't answered.
            Stage::Judged { kind, judged, claim } if number == kind.number() => {
                let again = claim.clone();
                self.stage = Stage::Judged { kind, judged, claim };
                Step::Verify(again)
            }
            stage => {
                self.stage = stage;
                Step::Ignored
            }
        }
    }

    /// Takes what was found of the claim.
    pub fn handle_verdict(&mut self, verdict: &Verdict, random: &mut dyn Rng) -> Step {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Judged { kind, judged, .. } => {
                let Self { identity, identifier, .. } = self;
                let mut context = Context { identity, identifier: *identifier, random };
                let next = judged.handle_verdict(verdict, &mut context);
                self.follow(kind, false, next)
            }
            stage => {
                self.stage = stage;
                Step::Ignored
            }
        }
    }

    fn is_asking(&self) -> bool {
        !self.request.is_empty() && matches!(self.stage, Stage::Identity | Stage::Method { .. })
    }

    /// RFC 3748 section 5.1: what is behind a NUL isn't part of it.
    fn identified(&mut self, data: &[u8], random: &mut dyn Rng) -> Step {
        let identity = data.split(|octet| *octet == 0).next().unwrap_or_default();
        if identity.is_empty() || identity.len() > IDENTITY_MAX {
            return self.end(Reason::Malformed);
        }
        self.identity = identity.to_vec();
        self.offer(None, random)
    }

    /// Begins the first method that the peer hasn't refused, of those that it `wants` if it has said so (RFC 3748
    /// section 5.3.1).
    fn offer(&mut self, wants: Option<&[u8]>, random: &mut dyn Rng) -> Step {
        let fits = |kind: &&Kind| {
            let number = kind.number();
            !self.refused.contains(&number) && wants.is_none_or(|wants| wants.contains(&number))
        };
        let settings = Arc::clone(&self.settings);
        let Some(kind) = settings.methods.iter().find(fits).copied() else {
            return self.end(Reason::NoCommonMethod);
        };
        let Self { identity, identifier, .. } = self;
        let mut context = Context { identity, identifier: *identifier, random };
        let next = match kind {
            Kind::Md5 => md5::begin(&mut context),
            Kind::Gtc => gtc::begin(),
            Kind::Teap | Kind::Peap | Kind::Ttls | Kind::Tls => tunnel::begin(kind, &settings),
            Kind::Pwd => pwd::begin(&settings, &mut context),
            Kind::MsChap2 => mschapv2::begin(&settings.server_name, settings.tries, &mut context),
        };
        self.follow(kind, true, next)
    }

    fn follow(&mut self, kind: Kind, first: bool, next: Next) -> Step {
        match next {
            Next::Ask(method, data) => {
                self.identifier = self.identifier.wrapping_add(1);
                self.put(kind.number(), &data);
                self.stage = Stage::Method { kind, first, method };
                Step::Request
            }
            Next::Verify(judged, claim) => {
                self.stage = Stage::Judged { kind, judged, claim: claim.clone() };
                Step::Verify(claim)
            }
            Next::Succeed(keys) => {
                self.stage = Stage::Over;
                Step::Success(keys)
            }
            Next::Fail(reason) => self.end(reason),
        }
    }

    fn end(&mut self, reason: Reason) -> Step {
        self.stage = Stage::Over;
        Step::Failure(reason)
    }

    fn put(&mut self, number: u8, data: &[u8]) {
        let request = Eap { code: EapCode::Request, identifier: self.identifier, method: Some(number), data };
        self.request.clear();
        self.request.resize(Eap::HEADER + 1 + data.len(), 0);
        // A request of more octets than EAP can say has none; none of ours is that long.
        if request.write(&mut self.request).is_none() {
            self.request.clear();
        }
    }
}
