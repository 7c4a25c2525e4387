//! EAP within a tunnel: one more conversation, of the methods that are allowed there. PEAP, EAP-TTLS and TEAP share it;
//! how its packets are carried is theirs.

use std::sync::Arc;

use rand_core::Rng;

use crate::claim::{Claim, Verdict};
use crate::conversation::{Conversation, Step};
use crate::keys::Keys;
use crate::method::Reason;
use crate::settings::{Kind, Settings, Within};

/// Octets of TLS in one packet within, at least: the tunnel has fragments of its own.
const FRAGMENT_MIN: usize = 1024;

/// A conversation within the tunnel of `outer`.
pub(super) struct Talk {
    outer: Kind,
    conversation: Conversation,
}

/// What follows within.
pub(super) enum Heard {
    /// [`Talk::request`] is to be sent.
    Ask(Box<Talk>),
    Verify(Box<Talk>, Claim),
    Succeed(Option<Keys>),
    Fail(Reason),
}

impl Talk {
    /// One that asks who the peer is.
    pub(super) fn greet(outer: Kind, settings: &Settings, identifier: u8) -> Box<Self> {
        let conversation = Conversation::greet(within(outer, settings), identifier);
        Box::new(Self { outer, conversation })
    }

    /// One with a peer that says unasked who it is.
    pub(super) fn begin(outer: Kind, settings: &Settings, packet: &[u8], random: &mut dyn Rng) -> Heard {
        match Conversation::begin(within(outer, settings), packet, random) {
            Some((conversation, step)) => Box::new(Self { outer, conversation }).follow(step),
            None => Heard::Fail(Reason::Malformed),
        }
    }

    /// The request that is out, whole.
    pub(super) fn request(&self) -> &[u8] {
        self.conversation.request()
    }

    /// Whether what the peer says may burn CPU: a handshake within.
    pub(super) fn is_costly(&self) -> bool {
        self.conversation.method() == Kind::Tls.record()
    }

    /// See [`Conversation::fails`].
    pub(super) fn fails(&self) -> Option<&Reason> {
        self.conversation.fails()
    }

    /// See [`Conversation::renumber`].
    pub(super) fn renumber(&mut self, identifier: u8) {
        self.conversation.renumber(identifier);
    }

    pub(super) fn handle_response(mut self: Box<Self>, packet: &[u8], random: &mut dyn Rng) -> Heard {
        let step = self.conversation.handle_response(packet, random);
        self.follow(step)
    }

    pub(super) fn handle_verdict(mut self: Box<Self>, verdict: &Verdict, random: &mut dyn Rng) -> Heard {
        let step = self.conversation.handle_verdict(verdict, random);
        self.follow(step)
    }

    fn follow(self: Box<Self>, step: Step) -> Heard {
        match step {
            Step::Request => Heard::Ask(self),
            Step::Verify(claim) => {
                let method = name(self.outer, claim.method);
                Heard::Verify(self, Claim { method, ..claim })
            }
            Step::Success(keys) => Heard::Succeed(keys),
            Step::Failure(Reason::NoCommonMethod) => Heard::Fail(Reason::InnerNotAllowed),
            Step::Failure(reason) => Heard::Fail(reason),
            // Within a tunnel nothing is repeated or strays.
            Step::Ignored => Heard::Fail(Reason::Malformed),
        }
    }
}

/// What is offered within.
fn within(outer: Kind, settings: &Settings) -> Arc<Settings> {
    let methods = settings.inner.iter().filter_map(|inner| match inner {
        // RFC 9930 section 3.6.4: TEAP has nothing that can't be bound.
        Within::Eap(kind) => (outer != Kind::Teap || kind.has_keys()).then_some(*kind),
        Within::Pap | Within::Chap | Within::MsChap => None,
    });
    let fragment = settings.fragment.max(FRAGMENT_MIN);
    Arc::new(Settings {
        methods: methods.collect(),
        inner: Vec::new(),
        binds: false,
        resumes: false,
        fragment,
        ..settings.clone()
    })
}

/// What policies and records call a method within another.
fn name(outer: Kind, inner: &'static str) -> &'static str {
    const NAMES: [(Kind, &str, &str); 10] = [
        (Kind::Peap, "eap-mschapv2", "eap-peap-mschapv2"),
        (Kind::Peap, "eap-gtc", "eap-peap-gtc"),
        (Kind::Peap, "eap-md5", "eap-peap-md5"),
        (Kind::Peap, "eap-tls", "eap-peap-tls"),
        (Kind::Ttls, "eap-mschapv2", "eap-ttls-mschapv2"),
        (Kind::Ttls, "eap-gtc", "eap-ttls-gtc"),
        (Kind::Ttls, "eap-md5", "eap-ttls-md5"),
        (Kind::Ttls, "eap-tls", "eap-ttls-tls"),
        (Kind::Teap, "eap-mschapv2", "eap-teap-mschapv2"),
        (Kind::Teap, "eap-tls", "eap-teap-tls"),
    ];
    let found = NAMES.iter().find(|(of, is, _)| (*of, *is) == (outer, inner));
    found.map_or(inner, |(_, _, name)| name)
}
