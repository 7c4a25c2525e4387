//! The way of one request, told step by step to whoever asked for it (`forewarn explain`). While the server serves
//! nobody listens, and no step is put together.

use std::net::IpAddr;
use std::sync::Arc;

use forewarn_wire::{Attributes, MessageAuthenticatorRule, Packet};
use serde::Serialize;

use super::core::Desk;
use super::outcome::Cause;
use super::password::Password;
use super::tables::Client;
use crate::config::{PolicyAction, ReplyAttribute, ReplyValue, RequireMessageAuthenticator};
use crate::policy::{EvaluationError, Facts, Policies, Watch};
use crate::users::{Account, Passwords, Step as Weighing, Witness};

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
    /// The policy, or the check item, that decided, as records name it.
    pub decided_by: Option<Arc<str>>,
    /// Which policy put an attribute into the reply: one entry for each value, in their order.
    pub set_by: Vec<(String, String)>,
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

    /// Which policy put in what, value by value.
    fn note<'a>(&mut self, policies: &Policies, set: impl Iterator<Item = (usize, &'a ReplyAttribute)>) {
        for (number, attribute) in set {
            let values = match &attribute.value {
                ReplyValue::Encoded(octets) => Attributes::parse(octets).map_or(1, Iterator::count),
                ReplyValue::Hidden { .. } => 1,
            };
            let set = (attribute.name.to_string(), policies.name(number).to_string());
            self.set_by.extend(std::iter::repeat_n(set, values));
        }
    }

    /// The request was resumed: it is looked at from the beginning of the chapter.
    pub(super) fn resume(&mut self) {
        self.steps.truncate(self.chapter);
    }
}

/// Listens while an account's check and reply items are weighed.
pub(super) struct Weighed<'s>(pub(super) &'s mut Story);

impl Witness for Weighed<'_> {
    fn see(&mut self, step: Weighing<'_>) {
        let what = match step {
            Weighing::Compared { section, item, held: true } => format!("{}: {item} holds", section.owner),
            Weighing::Compared { section, item, held: false } => {
                format!("{}: {item} doesn't hold", section.owner)
            }
            Weighing::Applies { section } => format!("{}: its items apply", section.owner),
            Weighing::Skipped { section } => format!("{}: its items don't apply", section.owner),
            Weighing::Control { section, item } => format!("{}: {item}", section.owner),
            Weighing::Reply { section, item } => format!("{}: {item} for the reply", section.owner),
            Weighing::Stopped { section } => {
                format!("{}: no Fall-Through, so no further group is looked at", section.owner)
            }
        };
        self.0.steps.push(Step::new(Step::CHECK, what));
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
            story.decided_by.clone_from(&self.trail.decided_by);
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

    /// Tells that no source knows the name.
    pub(super) fn tell_unknown(&mut self, name: &[u8]) {
        let Some(story) = &mut self.story else { return };
        let sources = self.shared.config().sources.iter().map(|source| source.name()).collect::<Vec<_>>();
        let what = format!("nobody is called {:?}", String::from_utf8_lossy(name));
        story.steps.push(Step::new(Step::USER, what).with("users.sources", sources.join(", ")));
    }

    /// Tells who it is, and with what the password is compared.
    pub(super) fn tell_account(&mut self, account: &Account, passwords: &Passwords<'_>, method: &str) {
        self.tell(|| {
            let what = format!("{:?} is a user of the source {}", &*account.name, account.source.name());
            let groups: Vec<&str> = account.groups.iter().collect();
            let step = Step::new(Step::USER, what);
            if groups.is_empty() { step } else { step.with("user.groups", groups.join(", ")) }
        });
        self.tell(|| {
            let forms: Vec<&str> = passwords.iter().map(Password::form).collect();
            let stored = if forms.is_empty() { "nothing".to_owned() } else { forms.join(", ") };
            let what = match method {
                "none" => "no credentials were sent".to_owned(),
                method => format!("the user is to be proven by {method}"),
            };
            let step = Step::new(Step::PASSWORD, what);
            let step = step.with("what is stored", stored);
            match &account.bind {
                Some(dn) => step.with("what the directory is asked", format!("a bind as {dn}")),
                None => step,
            }
        });
    }

    /// Tells whether the password is right.
    pub(super) fn tell_password(&mut self, right: bool) {
        self.tell(|| Step::new(Step::PASSWORD, if right { "it is right" } else { "it is wrong" }));
    }

    /// Tells what the policy that rejects puts into the reject.
    pub(super) fn tell_rejection(&mut self, policies: &Policies, number: usize) {
        if let Some(story) = &mut self.story {
            story.note(
                policies,
                policies.reply(number).attributes.iter().map(|attribute| (number, attribute)),
            );
        }
    }

    /// Tells what the policies that held do to the reply.
    pub(super) fn tell_edits(&mut self, policies: &Policies) {
        let Some(story) = &mut self.story else { return };
        let edits = policies.edits(&self.matched);
        story.note(policies, edits.attributes());
        for number in self.matched.numbers() {
            let reply = policies.reply(number);
            let names: Vec<&str> = reply.attributes.iter().map(|attribute| &*attribute.name).collect();
            let stay = edits.attributes().filter(|(by, _)| *by == number).count();
            let mut step = Step::new(Step::REPLY, format!("{:?} has a say in it", &**policies.name(number)));
            if !names.is_empty() {
                step = step.with("what it puts in", names.join(", "));
            }
            let kept = |key: &&(u32, Vec<u32>)| {
                reply
                    .attributes
                    .iter()
                    .any(|attribute| (attribute.vendor, &attribute.numbers) == (key.0, &key.1))
            };
            let removed = reply.replaces.len() - reply.replaces.iter().filter(kept).count();
            if removed > 0 {
                step = step.with("how many attributes it takes out", removed.to_string());
            }
            if stay < names.len() {
                let lost = names.len() - stay;
                step = step.with("how many of its own a later policy takes out", lost.to_string());
            }
            story.steps.push(step);
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
            (Ok(true), Some(PolicyAction::Route)) => ": it routes",
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
