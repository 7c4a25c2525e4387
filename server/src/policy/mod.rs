//! Policies: CEL conditions, parsed, checked and turned into operations when the configuration is loaded, evaluated per
//! request.
//!
//! The `cel` crate parses; what it lacks, types at load and an evaluation that takes no memory, is ours (`check`,
//! `op`), and its interpreter is the oracle of the tests. A condition sees `client.*`, `user.*`, `request.*`,
//! `session.*` and `time.*` ([`Fact`], and every attribute of the dictionary), and can do nothing but look.

mod check;
mod clock;
mod fact;
mod kind;
mod locate;
mod matched;
mod op;
pub(crate) mod parse;
mod value;

use std::sync::Arc;

use forewarn_dict::Dictionary;
use forewarn_proto::time::Utc;

use crate::config::proxy::Realm;
use crate::config::{Policy, PolicyAction, PolicyReply};

pub use clock::{Times, Zone};
pub use fact::{Clock, Fact, Facts, Groups, METHODS, NUMBER_ABSENT};
pub use matched::{Edits, Matched};
use op::Op;

/// A condition, parsed and checked: it gives a truth value.
#[derive(Debug, Clone)]
pub struct Condition(Arc<Op>);

impl Condition {
    /// Parses and checks conditions, in their order; `dictionary` has the attributes they may look at. For each that
    /// is wrong, everything that is, with its place in the text.
    pub fn compile(sources: &[&str], dictionary: &Dictionary) -> Vec<Result<Self, Vec<Fault>>> {
        if sources.is_empty() {
            return Vec::new();
        }
        let one = |source: &&str| check::compile(source, dictionary).map(|op| Self(Arc::new(op)));
        let compiled = parse::with_room(|| sources.iter().map(one).collect());
        compiled.unwrap_or_else(|| {
            let what = String::from("this machine has no thread to give for the parser");
            let fault = Fault { offset: 0, what, hint: "try again when it is less busy".into() };
            vec![Err(vec![fault]); sources.len()]
        })
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// It could not be evaluated: a division by zero, an overflow, an index out of bounds, a text that is no number.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, EvaluationError> {
        self.0.holds(facts)
    }

    /// What it looks at, each with what is there, in the order of the text.
    pub fn looks_at(&self, facts: &Facts<'_>) -> Vec<(String, String)> {
        let mut seen = Vec::new();
        look(&self.0, facts, &mut seen);
        seen
    }

    /// The first thing it looks at that isn't known before the user is.
    pub fn looks_too_early(&self) -> Option<&'static str> {
        const LATE: [Fact; 14] = [
            Fact::UserName,
            Fact::UserRealm,
            Fact::UserGroups,
            Fact::UserSource,
            Fact::UserKind,
            Fact::CertificateSubject,
            Fact::CertificateIssuer,
            Fact::CertificateSerial,
            Fact::CertificateNames,
            Fact::CertificateEnd,
            Fact::MachineName,
            Fact::MachineGroups,
            Fact::Sessions,
            Fact::Method,
        ];
        let late = LATE.into_iter().find(|late| self.any(&|op| matches!(op, Op::Fact(fact) if fact == late)));
        late.map(Fact::name)
    }

    fn any(&self, is: &impl Fn(&Op) -> bool) -> bool {
        fn below(op: &Op, is: &impl Fn(&Op) -> bool) -> bool {
            is(op) || op.operands().any(|op| below(op, is))
        }
        below(&self.0, is)
    }
}

fn look(op: &Op, facts: &Facts<'_>, seen: &mut Vec<(String, String)>) {
    let name = match op {
        Op::Fact(fact) => fact.name().to_owned(),
        Op::First(locator) => format!("request[\"{}\"]", locator.name()),
        Op::All(locator) => format!("request.all[\"{}\"]", locator.name()),
        Op::Present(locator) => format!("\"{}\" in request", locator.name()),
        _ => return op.operands().for_each(|op| look(op, facts, seen)),
    };
    if seen.iter().any(|(known, _)| *known == name) {
        return;
    }
    let value = op.evaluate(facts).map_or_else(|error| error.to_string(), |value| value.to_string());
    seen.push((name, value));
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
#[derive(Debug)]
pub struct Policies {
    rules: Vec<Rule>,
    /// What their replies replace, sorted: `(vendor, numbers)`.
    replaced: Vec<(u32, Vec<u32>)>,
    /// The time zone, where a condition looks at the clock.
    zone: Option<Zone>,
    looks_at_sessions: bool,
    routes: bool,
}

#[derive(Debug)]
struct Rule {
    name: Arc<str>,
    when: Option<Condition>,
    action: Option<PolicyAction>,
    route: Option<Realm>,
    reason: Arc<str>,
    record: Arc<str>,
    reply: PolicyReply,
    /// Where in [`Policies::replaced`] what its reply replaces is.
    replaces: Vec<u32>,
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

/// Is told of each policy as it is evaluated. `()` doesn't listen, and costs nothing.
pub trait Watch {
    /// The policy of this number was evaluated.
    fn policy(&mut self, number: usize, held: Result<bool, EvaluationError>);
}

impl Watch for () {
    fn policy(&mut self, _: usize, _: Result<bool, EvaluationError>) {}
}

impl Policies {
    /// From the configuration's.
    pub fn new(policies: &[Policy]) -> Self {
        let mut replaced: Vec<_> =
            policies.iter().flat_map(|policy| policy.reply.replaces.iter().cloned()).collect();
        replaced.sort_unstable();
        replaced.dedup();
        let place = |key: &(u32, Vec<u32>)| Some(replaced.binary_search(key).ok()? as u32);
        let rule = |policy: &Policy| Rule {
            name: Arc::clone(&policy.name),
            when: policy.when.as_ref().map(|when| when.condition.clone()),
            action: policy.action,
            route: policy.route.clone(),
            reason: Arc::clone(policy.reason.as_ref().unwrap_or(&policy.name)),
            record: match &policy.reason {
                Some(reason) => format!("{}: {reason}", policy.name).into(),
                None => Arc::clone(&policy.name),
            },
            reply: policy.reply.clone(),
            replaces: policy.reply.replaces.iter().filter_map(place).collect(),
        };
        let rules: Vec<Rule> = policies.iter().map(rule).collect();
        let any = |is: &dyn Fn(&Op) -> bool| {
            rules.iter().filter_map(|rule| rule.when.as_ref()).any(|when| when.any(&|op| is(op)))
        };
        let looks_at_time = any(&|op| matches!(op, Op::Fact(fact) if fact.is_time()));
        let looks_at_sessions = any(&|op| matches!(op, Op::Fact(Fact::Sessions)));
        let routes = rules.iter().any(|rule| rule.route.is_some());
        Self { rules, replaced, zone: looks_at_time.then(Zone::system), looks_at_sessions, routes }
    }

    /// Whether there are none: then nothing needs evaluating.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// What the clocks show, if a condition looks at them.
    pub fn times(&self, now: impl FnOnce() -> Utc) -> Option<Times> {
        self.zone.as_ref().map(|zone| zone.times(now()))
    }

    /// Whether a condition asks for the user's open sessions.
    pub fn looks_at_sessions(&self) -> bool {
        self.looks_at_sessions
    }

    /// Whether any of them routes.
    pub fn routes(&self) -> bool {
        self.routes
    }

    /// The realm that the first policy which routes and holds hands this request to. `facts` know nothing of the user.
    ///
    /// # Errors
    /// The condition of the policy of this number could not be evaluated.
    pub fn route(&self, facts: &Facts<'_>, watch: &mut impl Watch) -> Result<Option<&Realm>, usize> {
        for (number, rule) in self.rules.iter().enumerate() {
            let Some(realm) = &rule.route else { continue };
            let held = rule.when.as_ref().map_or(Ok(true), |when| when.holds(facts));
            watch.policy(number, held);
            match held {
                Ok(true) => return Ok(Some(realm)),
                Ok(false) => {}
                Err(EvaluationError) => return Err(number),
            }
        }
        Ok(None)
    }

    /// Evaluates in order, but for those that route. What those that hold do to the reply goes to `matched`.
    pub fn evaluate(&self, facts: &Facts<'_>, matched: &mut Matched, watch: &mut impl Watch) -> Verdict {
        matched.begin(self.replaced.len());
        let mut accept = Verdict::Accept;
        for (number, rule) in self.rules.iter().enumerate() {
            if rule.action == Some(PolicyAction::Route) {
                continue;
            }
            let held = rule.when.as_ref().map_or(Ok(true), |when| when.holds(facts));
            watch.policy(number, held);
            match held {
                Ok(true) => {}
                Ok(false) => continue,
                Err(EvaluationError) => return Verdict::Failed(number),
            }
            if rule.action == Some(PolicyAction::Reject) {
                return Verdict::Reject(number);
            }
            if !rule.reply.is_empty() {
                matched.add(number, &rule.replaces);
            }
            match rule.action {
                Some(PolicyAction::Accept) => return accept,
                Some(PolicyAction::SecondFactor) => accept = Verdict::SecondFactor(number),
                Some(PolicyAction::Reject | PolicyAction::Route) | None => {}
            }
        }
        accept
    }

    /// What the policies that held do to a reply.
    pub fn edits<'p>(&'p self, matched: &'p Matched) -> Edits<'p> {
        Edits::new(self, matched)
    }

    /// What the policy of this number does to the reply.
    pub fn reply(&self, number: usize) -> &PolicyReply {
        &self.rules[number].reply
    }

    /// The name of the policy of this number.
    pub fn name(&self, number: usize) -> &Arc<str> {
        &self.rules[number].name
    }

    /// Why the policy of this number decides as it does: its `reason`, else its name.
    pub fn reason(&self, number: usize) -> &Arc<str> {
        &self.rules[number].reason
    }

    /// What decision records say of it: its name, and behind that its `reason`.
    pub fn record(&self, number: usize) -> &Arc<str> {
        &self.rules[number].record
    }

    /// The condition of the policy of this number; `None`: it always holds.
    pub fn condition(&self, number: usize) -> Option<&Condition> {
        self.rules[number].when.as_ref()
    }

    /// What the policy of this number decides.
    pub fn action(&self, number: usize) -> Option<PolicyAction> {
        self.rules[number].action
    }

    fn place(&self, vendor: u32, numbers: &[u32]) -> Option<usize> {
        self.replaced.binary_search_by(|(v, n)| (*v, n.as_slice()).cmp(&(vendor, numbers))).ok()
    }
}

#[cfg(test)]
mod tests;
