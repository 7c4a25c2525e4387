//! Policies: CEL conditions compiled and checked when the configuration is loaded, evaluated per request.
//!
//! The `cel` crate parses and interprets; what it lacks, types at load, is `check`'s. A condition sees
//! `client.*`, `user.*` and `request.*` (all of them in [`Fact`]), and can do nothing but look.

mod check;
mod fact;

use std::sync::Arc;

use cel::common::types::CelBool;
use cel::{Context, IdedExpr, Value};

use crate::config::{Policy, PolicyAction, PolicyReply};
use crate::contained::contained;

pub use fact::{Fact, Facts, Groups, NUMBER_ABSENT, RequestFacts};

/// A condition, parsed and checked: it gives a truth value.
#[derive(Debug)]
pub struct Condition {
    expression: IdedExpr,
}

impl Condition {
    /// Parses and checks a condition.
    ///
    /// # Errors
    /// Everything wrong with it, each with its place in the text.
    pub fn compile(source: &str) -> Result<Self, Vec<Fault>> {
        check::compile(source).map(|expression| Self { expression })
    }

    /// Whether it holds. `root` is [`root`]'s.
    ///
    /// # Errors
    /// It could not be evaluated: a division by zero, an overflow, an index out of bounds, a defect of the
    /// interpreter.
    fn holds(&self, root: &Context<'static, 'static>, facts: &Facts<'_>) -> Result<bool, EvaluationError> {
        // The interpreter is others' work and sees what others send; nothing of it outlives the scope.
        let truth = contained(|| {
            let mut scope = root.new_inner_scope();
            scope.set_variable_resolver(facts);
            let value = Value::resolve_val(&self.expression, &scope).ok()?;
            value.downcast_ref::<CelBool>().map(|truth| *truth.inner())
        });
        truth.ok().flatten().ok_or(EvaluationError)
    }
}

/// The functions conditions may call. Costly to make, so a core makes it once.
pub fn root() -> Context<'static, 'static> {
    Context::default()
}

/// Something wrong with a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Octets from the beginning of the condition's text.
    pub offset: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub hint: String,
}

/// A condition could not be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a policy's condition could not be evaluated")]
pub struct EvaluationError;

/// All policies, in order.
#[derive(Debug, Default)]
pub struct Policies {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    when: Option<Condition>,
    action: Option<PolicyAction>,
    name: Arc<str>,
    reason: Arc<str>,
    reply: PolicyReply,
}

/// What the policies say of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted, by a policy or because none was against it.
    Accept,
    /// As `Accept`, once a second factor is proven: the policy of this number asks for it.
    SecondFactor(usize),
    /// The policy of this number rejects.
    Reject(usize),
    /// The condition of the policy of this number could not be evaluated. To be rejected: a policy that
    /// can't be read may be the one that was to keep somebody out.
    Failed(usize),
}

impl Policies {
    /// Compiles them.
    ///
    /// # Errors
    /// Each fault with the number of its policy.
    pub fn compile(policies: &[Policy]) -> Result<Self, Vec<(usize, Fault)>> {
        let mut rules = Vec::with_capacity(policies.len());
        let mut faults = Vec::new();
        for (number, policy) in policies.iter().enumerate() {
            let when = match policy.when.as_ref().map(|when| Condition::compile(&when.source)).transpose() {
                Ok(when) => when,
                Err(found) => {
                    faults.extend(found.into_iter().map(|fault| (number, fault)));
                    continue;
                }
            };
            let reason = Arc::clone(policy.reason.as_ref().unwrap_or(&policy.name));
            let name = Arc::clone(&policy.name);
            rules.push(Rule { when, action: policy.action, name, reason, reply: policy.reply.clone() });
        }
        if faults.is_empty() { Ok(Self { rules }) } else { Err(faults) }
    }

    /// Whether there are none: then nothing needs evaluating.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Evaluates in order. The numbers of those that hold and put something into the reply go to `matched`.
    pub fn evaluate(
        &self,
        root: &Context<'static, 'static>,
        facts: &Facts<'_>,
        matched: &mut Vec<usize>,
    ) -> Verdict {
        matched.clear();
        let mut accept = Verdict::Accept;
        for (number, rule) in self.rules.iter().enumerate() {
            match rule.when.as_ref().map_or(Ok(true), |when| when.holds(root, facts)) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(EvaluationError) => return Verdict::Failed(number),
            }
            if rule.action == Some(PolicyAction::Reject) {
                return Verdict::Reject(number);
            }
            if !rule.reply.is_empty() {
                matched.push(number);
            }
            match rule.action {
                Some(PolicyAction::Accept) => return accept,
                Some(PolicyAction::SecondFactor) => accept = Verdict::SecondFactor(number),
                Some(PolicyAction::Reject) | None => {}
            }
        }
        accept
    }

    /// What the policy of this number does to the reply.
    pub fn reply(&self, number: usize) -> &PolicyReply {
        &self.rules[number].reply
    }

    /// Its name.
    pub fn name(&self, number: usize) -> &Arc<str> {
        &self.rules[number].name
    }

    /// Why the policy of this number decides as it does: its `reason`, else its name.
    pub fn reason(&self, number: usize) -> &Arc<str> {
        &self.rules[number].reason
    }
}

#[cfg(test)]
mod tests;
