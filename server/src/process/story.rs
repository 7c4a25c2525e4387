//! The way of one request, told step by step to whoever asked for it (`forewarn explain`). While the server serves
//! nobody listens, and no step is put together.

use std::net::IpAddr;

use forewarn_wire::{MessageAuthenticatorRule, Packet};
use serde::Serialize;

use super::core::Desk;
use super::outcome::Cause;
use super::tables::Client;
use crate::config::{PolicyAction, RequireMessageAuthenticator};
use crate::policy::{EvaluationError, Facts, Policies, Watch};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which: one of the `STAGE`s, stable.
    pub stage: &'static str,
    /// What happened there, in a sentence.
    pub what: String,
    /// What was looked at, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<(String, String)>,
}

impl Step {
    /// The client was found by its address.
    pub const CLIENT: &'static str = "client";
    /// The rule about Message-Authenticator, and the packet's authenticity.
    pub const AUTHENTICITY: &'static str = "authenticity";
    /// The realm of the name, where it is another server's.
    pub const REALM: &'static str = "realm";
    /// The sources were asked for the name.
    pub const USER: &'static str = "user";
    /// The account's items were compared with the request.
    pub const CHECK: &'static str = "check";
    /// The password was looked at.
    pub const PASSWORD: &'static str = "password";
    /// A policy was evaluated.
    pub const POLICY: &'static str = "policy";
    /// The reply was put together.
    pub const REPLY: &'static str = "reply";

    /// A step without details.
    pub fn new(stage: &'static str, what: impl Into<String>) -> Self {
        Self { stage, what: what.into(), details: Vec::new() }
    }

    /// With what was looked at.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.push((name.into(), value.into()));
        self
    }
}

/// The steps of one request, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// In order.
    pub steps: Vec<Step>,
    /// How it ended. `None`: it waits, or is another server's to answer.
    pub cause: Option<Cause>,
    /// The pool that it would be handed on to.
    pub handed_on: Option<String>,
    /// Steps that aren't told again when a request that waited is looked at anew, from the beginning.
    chapter: usize,
}

impl Story {
    /// What is told from here on is told anew when the request is resumed.
    pub(super) fn begin_chapter(&mut self) {
        self.chapter = self.steps.len();
    }

    /// The request was resumed: it is looked at from the beginning of the chapter.
    pub(super) fn resume(&mut self) {
        self.steps.truncate(self.chapter);
    }
}

impl Desk {
    /// Tells a step, if somebody listens.
    pub(super) fn tell(&mut self, step: impl FnOnce() -> Step) {
        if let Some(story) = &mut self.story {
            story.steps.push(step());
        }
    }

    /// Tells how it ends.
    pub(super) fn tell_end(&mut self, cause: Cause) {
        if let Some(story) = &mut self.story {
            story.cause = Some(cause);
        }
    }

    /// Tells who asks, or that nobody does.
    pub(super) fn tell_client(&mut self, address: IpAddr, client: Option<&Client>) {
        self.tell(|| match client {
            None => {
                Step::new(Step::CLIENT, format!("no [[client]] has the address {}", address.to_canonical()))
            }
            Some(client) => {
                let what =
                    format!("{} is client {:?}: {}", address.to_canonical(), &*client.name, client.network);
                let step = Step::new(Step::CLIENT, what);
                if client.group.is_empty() { step } else { step.with("client.group", &*client.group) }
            }
        });
        if client.is_none() {
            self.tell_end(Cause::UnknownClient);
        }
    }

    /// Tells whether the packet is from who it says it is, by the rule that it met. `None`: nobody listens.
    pub(super) fn tell_authenticity(
        &mut self,
        client: &Client,
        rule: Option<MessageAuthenticatorRule>,
        request: Result<&Packet<'_>, Cause>,
    ) {
        let Some(rule) = rule else { return };
        self.tell(|| {
            let step = match request {
                Ok(request) if request.has_message_authenticator() => {
                    Step::new(Step::AUTHENTICITY, "the packet has a Message-Authenticator, and it is right")
                }
                Ok(_) => {
                    Step::new(Step::AUTHENTICITY, "the packet has no Message-Authenticator, and needs none")
                }
                Err(cause) => Step::new(Step::AUTHENTICITY, cause.meaning().trim_end_matches('.')),
            };
            step.with("require_message_authenticator", demand(client, rule))
        });
        match request {
            Ok(_) => {
                if let Some(story) = &mut self.story {
                    story.begin_chapter();
                }
            }
            Err(cause) => self.tell_end(cause),
        }
    }
}

/// What a client's Access-Requests need, in the words of its configuration.
fn demand(client: &Client, rule: MessageAuthenticatorRule) -> &'static str {
    match (client.message_authenticator, rule) {
        (RequireMessageAuthenticator::Yes, _) => "yes",
        (RequireMessageAuthenticator::Auto, MessageAuthenticatorRule::Required) => {
            "auto, and it was seen to send it"
        }
        (RequireMessageAuthenticator::Auto, _) => "auto, and it was not yet seen to send it",
        (RequireMessageAuthenticator::No, MessageAuthenticatorRule::OptionalUnlessProxyState) => {
            "no, but limit_proxy_state"
        }
        (RequireMessageAuthenticator::No, _) => "no",
    }
}

/// Tells what becomes of each policy, if somebody listens.
pub(super) struct Policed<'l> {
    pub(super) story: Option<&'l mut Story>,
    pub(super) policies: &'l Policies,
    pub(super) facts: &'l Facts<'l>,
}

impl Watch for Policed<'_> {
    fn policy(&mut self, number: usize, held: Result<bool, EvaluationError>) {
        let Some(story) = &mut self.story else { return };
        let condition = self.policies.condition(number);
        let truth = match (held, condition) {
            (Ok(true), None) => "applies to everybody",
            (Ok(true), Some(_)) => "holds",
            (Ok(false), _) => "doesn't hold",
            (Err(_), _) => "can't be evaluated",
        };
        let does = match (held, self.policies.action(number)) {
            (Ok(true), Some(PolicyAction::Accept)) => ": it accepts, and no further policy is looked at",
            (Ok(true), Some(PolicyAction::Reject)) => ": it rejects",
            (Ok(true), Some(PolicyAction::SecondFactor)) => ": it requires a second factor",
            _ => "",
        };
        let mut step = Step::new(Step::POLICY, format!("{:?} {truth}{does}", &**self.policies.name(number)));
        step.details = condition.map(|condition| condition.looks_at(self.facts)).unwrap_or_default();
        if held == Ok(true) && self.policies.action(number) == Some(PolicyAction::Reject) {
            step = step.with("reason", &**self.policies.reason(number));
        }
        story.steps.push(step);
    }
}
