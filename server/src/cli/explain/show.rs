//! An explanation, for people and as JSON.

use std::fmt::Write as _;

use forewarn_shell::log::escaped;
use serde::Serialize;

use crate::explain::{End, Explanation, Replied};
use crate::process::outcome::{Answer, Cause};
use crate::process::story::Step;

/// What people read: a line for each step, what was looked at below it, and the end.
pub(super) fn text(explanation: &Explanation) -> String {
    let mut text = String::new();
    let wide = explanation.steps.iter().map(|step| step.stage.len()).max().unwrap_or(0);
    for step in &explanation.steps {
        let _ = writeln!(text, "{:wide$}  {}", step.stage, escaped(&step.what));
        for (name, value) in &step.details {
            let _ = writeln!(text, "{:wide$}    {} is {}", "", escaped(name), escaped(value));
        }
    }
    let _ = writeln!(text);
    match &explanation.end {
        End::HandedOn(pool) => {
            let _ = writeln!(text, "handed on to pool {:?}, whose servers answer", escaped(pool).to_string());
        }
        End::Decided(cause) => {
            let answer = spelled(cause.answer());
            let _ = writeln!(text, "{answer}, cause {}: {}", cause.name(), cause.meaning());
            if let Some(by) = &explanation.decided_by {
                let _ = writeln!(text, "decided by {}", escaped(by));
            }
            for Replied { name, value, by } in &explanation.reply {
                let _ = writeln!(text, "    {} = {}  ({})", escaped(name), escaped(value), escaped(by));
            }
            if !cause.hint().is_empty() {
                let _ = writeln!(text, "to change it: {}", cause.hint());
            }
        }
    }
    text
}

/// An answer, as its RFC names it.
fn spelled(answer: Answer) -> &'static str {
    match answer {
        Answer::Accept => "Access-Accept",
        Answer::Reject => "Access-Reject",
        Answer::Silence => "no answer",
        Answer::ProtocolError => "Protocol-Error",
        other => other.name(),
    }
}

/// The same for programs.
#[derive(Debug, Serialize)]
pub(super) struct Json<'e> {
    steps: &'e [Step],
    /// `access-accept`, `access-reject`, `silence`, ... or `handed-on`.
    answer: &'e str,
    /// The stable name of the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<&'e str>,
    /// The policy, or the check item.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<&'e str>,
    /// What an operator would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'e str>,
    reply: &'e [Replied],
}

impl<'e> From<&'e Explanation> for Json<'e> {
    fn from(explanation: &'e Explanation) -> Self {
        let (answer, cause, pool) = match &explanation.end {
            End::Decided(cause) => (cause.answer().name(), Some(*cause), None),
            End::HandedOn(pool) => ("handed-on", None, Some(pool.as_str())),
        };
        Self {
            steps: &explanation.steps,
            answer,
            cause: cause.map(Cause::name),
            meaning: cause.map(Cause::meaning),
            decided_by: explanation.decided_by.as_deref(),
            hint: cause.map(Cause::hint).filter(|hint| !hint.is_empty()),
            pool,
            reply: &explanation.reply,
        }
    }
}
