//! What became of a request, in an operator's words.

use std::net::IpAddr;
use std::time::Duration;

use forewarn_shell::control::SessionResult;

use super::cause::{REQUEST_INITIATED, SESSION_NOT_FOUND, cause};
use super::exchange::{End, Seen};
use super::target::Target;

/// What is known once an exchange has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// How.
    pub end: End,
    /// What came and was no answer.
    pub seen: Seen,
    /// How often it was sent.
    pub transmissions: u32,
    /// From the first transmission to the end.
    pub took: Duration,
    /// Where it was sent from.
    pub from: IpAddr,
}

/// The result of an exchange with `target`.
pub(super) fn ended(target: &Target, disconnect: bool, ended: &Ended) -> SessionResult {
    let code = match ended.end {
        End::Ack { cause } | End::Nak { cause } => cause,
        End::TimeOut => None,
    };
    let known = code.and_then(cause);
    let (outcome, meaning, advice) = match ended.end {
        End::Ack { .. } => {
            let done = if disconnect { "the session has ended" } else { "the session has changed" };
            ("ack", known.map_or(done, |cause| cause.meaning).to_owned(), String::new())
        }
        End::Nak { cause: Some(REQUEST_INITIATED) } => {
            ("initiated", known.map_or("", |cause| cause.meaning).to_owned(), String::new())
        }
        End::Nak { cause: Some(number) } => match known {
            Some(cause) => ("nak", cause.meaning.to_owned(), advice_on(number, cause.advice, disconnect)),
            None => (
                "nak",
                format!("the NAS refuses, by an Error-Cause of its own ({number})"),
                "see its manual for the number".to_owned(),
            ),
        },
        End::Nak { cause: None } => (
            "nak",
            "the NAS refuses, and doesn't say why".to_owned(),
            "look into the log of the NAS; often the session isn't there, or another attribute is wanted"
                .to_owned(),
        ),
        End::TimeOut => {
            let (meaning, advice) = silence(target, ended);
            ("time-out", meaning, advice)
        }
    };
    SessionResult {
        outcome: outcome.to_owned(),
        error_cause: code,
        error_name: known.map(|cause| cause.name.to_owned()),
        meaning,
        advice,
        took_us: (ended.end != End::TimeOut).then_some(ended.took.as_micros() as u64),
        transmissions: ended.transmissions,
        ..of(target)
    }
}

/// The result of a request that wasn't sent.
pub(super) fn not_asked(target: &Target, meaning: String, advice: &str) -> SessionResult {
    let outcome = "not-asked".to_owned();
    SessionResult { outcome, meaning, advice: advice.to_owned(), ..of(target) }
}

fn of(target: &Target) -> SessionResult {
    SessionResult {
        nas: target.client.clone(),
        address: target.address.to_string(),
        user: target.user.clone(),
        session: target.session.clone(),
        ..SessionResult::default()
    }
}

fn advice_on(number: u32, advice: &str, disconnect: bool) -> String {
    match number {
        SESSION_NOT_FOUND if disconnect => {
            format!("nothing is left to end, unless the table is wrong: {advice}")
        }
        _ => advice.to_owned(),
    }
}

/// Nobody answered, and what was heard says why, in the order of how much it says.
fn silence(target: &Target, ended: &Ended) -> (String, String) {
    let Target { client, address, .. } = target;
    let Ended { seen, transmissions, took, from, .. } = ended;
    if seen.without_message_authenticator > 0 {
        return (
            "the NAS answers, but without Message-Authenticator: the answers were discarded".to_owned(),
            format!(
                "have the NAS send it, or set coa_require_message_authenticator = \"no\" for the [[client]] {client:?}; \
                 it may have done what it was asked"
            ),
        );
    }
    if seen.forged > 0 {
        return (
            "answers came that the secret doesn't fit: they were discarded".to_owned(),
            format!(
                "give the [[client]] {client:?} the NAS's secret for dynamic authorization as coa_secret"
            ),
        );
    }
    if seen.stale > 0 {
        return (
            "the NAS answers with an Event-Timestamp more than 300 s from our clock: the answers were discarded"
                .to_owned(),
            "set the clocks of both by NTP; it may have done what it was asked".to_owned(),
        );
    }
    let tries = match transmissions {
        1 => "once".to_owned(),
        more => format!("{more} times"),
    };
    let meaning = format!("no answer in {:.1} s, asked {tries}", took.as_secs_f64());
    if seen.unreachable > 0 {
        return (
            format!("{meaning}; its host says that nothing listens at {address}"),
            format!(
                "switch dynamic authorization (RFC 5176) on at the NAS, or set coa_port of the [[client]] {client:?}"
            ),
        );
    }
    (
        meaning,
        format!(
            "at the NAS, check that dynamic authorization is on, that it takes it from {from} and has the same secret; \
             on the way, that UDP port {} is let through",
            address.port()
        ),
    )
}
