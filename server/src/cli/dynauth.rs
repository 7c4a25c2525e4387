//! `forewarn disconnect` and `forewarn coa`: sessions are ended and changed at their NAS.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use forewarn_shell::control::{Request, Selection, SessionResult};
use forewarn_shell::log::escaped;

use super::{TargetArgs, command};

/// How long a NAS is waited for unless --timeout says so (RFC 5080 section 2.2.1).
const TIMEOUT: Duration = Duration::from_secs(30);
/// A server says what became of a NAS this long after it gave up, at the latest.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[group(id = "whose", multiple = true, required = true)]
struct Whose {
    /// The live sessions of this User-Name
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The live session of this Acct-Session-Id
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Ask this client straight, whatever sessions are known: a [[client]]'s name, or a device's address
    #[arg(long, value_name = "NAME|ADDRESS")]
    nas: Option<String>,
    /// A further attribute that tells the session, as in 'Calling-Station-Id = 00-11-22-33-44-55'; any number
    #[arg(long, value_name = "NAME = VALUE")]
    attribute: Vec<String>,
}

#[derive(Debug, Args)]
struct How {
    #[command(flatten)]
    whose: Whose,
    /// Leave this attribute out of the request, for a NAS that stumbles over it; any number
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// How long to wait for a NAS, as in 5s; default: 30s
    #[arg(long, value_name = "TIME", value_parser = length)]
    timeout: Option<Duration>,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Debug, Args)]
pub(super) struct DisconnectArgs {
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub(super) struct CoaArgs {
    #[command(flatten)]
    how: How,
    /// What to change, as in 'Session-Timeout = 600'; any number
    #[arg(long, value_name = "NAME = VALUE", required = true)]
    set: Vec<String>,
}

pub(super) fn disconnect(args: DisconnectArgs) -> ExitCode {
    let (target, json, patience, sessions) = taken_apart(args.how);
    command::tell(target.as_deref(), json, &Request::Disconnect { sessions }, patience)
}

pub(super) fn coa(args: CoaArgs) -> ExitCode {
    let (target, json, patience, sessions) = taken_apart(args.how);
    command::tell(target.as_deref(), json, &Request::Coa { sessions, set: args.set }, patience)
}

fn taken_apart(how: How) -> (Option<PathBuf>, bool, Duration, Selection) {
    let How { whose, without, timeout, target } = how;
    let Whose { user, session, nas, attribute } = whose;
    let timeout_ms = timeout.map(|timeout| timeout.as_millis() as u64);
    let patience = timeout.unwrap_or(TIMEOUT) + GRACE;
    let sessions = Selection { user, session, nas, attributes: attribute, without, timeout_ms };
    (target.target, target.json, patience, sessions)
}

/// `500ms`, `5s`, `2m`; a number alone is seconds.
fn length(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| HOW_LONG.to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs).ok_or_else(|| HOW_LONG.to_owned()),
        _ => Err(HOW_LONG.to_owned()),
    }
}

const HOW_LONG: &str = "write 500ms, 5s or 2m";

/// What became of a session, on one line, and what to do about it on the next.
pub(super) fn in_words(result: &SessionResult) -> String {
    let SessionResult { number, of, nas, address, user, session, meaning, advice, .. } = result;
    let place = if *of > 1 { format!("{number}/{of}  ") } else { String::new() };
    // What a device was told stays on the line.
    let (user, session) = (escaped(user).to_string(), escaped(session).to_string());
    let who = match (user.is_empty(), session.is_empty()) {
        (false, false) => format!("{user}, session {session}"),
        (false, true) => user,
        (true, false) => format!("session {session}"),
        (true, true) => "the session".to_owned(),
    };
    let at = if nas.is_empty() { address.clone() } else { format!("{nas} ({address})") };
    let said = match (result.error_cause, &result.error_name) {
        (Some(number), Some(name)) => format!("{number} {name}: "),
        (Some(number), None) => format!("Error-Cause {number}: "),
        (None, _) => String::new(),
    };
    let outcome = match result.outcome.as_str() {
        "ack" => "done",
        "initiated" => "under way",
        "nak" => "refused",
        "time-out" => "gave up",
        _ => "not asked",
    };
    let took = result.took_us.map_or_else(String::new, |us| format!(" ({} ms)", us.div_ceil(1000)));
    let mut text = format!("{place}{who} at {at}: {outcome}: {said}{meaning}{took}");
    if !advice.is_empty() {
        text.push_str(&format!("\n  {advice}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_name_and_what_to_do() {
        let result = SessionResult {
            number: 1,
            of: 2,
            nas: "ap-17".into(),
            address: "192.0.2.21:3799".into(),
            user: "alice".into(),
            session: "4D2".into(),
            outcome: "nak".into(),
            error_cause: Some(503),
            error_name: Some("Session Context Not Found".into()),
            meaning: "the NAS has no such session".into(),
            advice: "ask again".into(),
            took_us: Some(1200),
            transmissions: 1,
        };
        let line = "1/2  alice, session 4D2 at ap-17 (192.0.2.21:3799): refused: 503 Session Context Not Found: \
                    the NAS has no such session (2 ms)\n  ask again";
        assert_eq!(in_words(&result), line);
    }

    #[test]
    fn lengths_of_time_are_read() {
        let read = ["500ms", "5s", "5", "2m"].map(|text| length(text).unwrap().as_millis());
        assert_eq!(read, [500, 5000, 5000, 120_000]);
        assert!(["", "s", "-1s", "1h"].iter().all(|text| length(text).is_err()));
    }
}
