//! Two answers to one question, held against each other.

use std::collections::BTreeSet;

use super::client::Answer;

/// What counts down to an instant may be this much less in the answer that came later.
const SECONDS: u64 = 120;
const TIMEOUT: &str = "Session-Timeout = ";

/// What differs in the answers to this question: `code`, or the attributes by name.
pub(super) fn differing(about: &str, theirs: &Answer, ours: Option<&Answer>) -> BTreeSet<String> {
    let Some(ours) = ours.filter(|ours| ours.code == theirs.code) else {
        return BTreeSet::from(["code".to_owned()]);
    };
    let counts_down = about.starts_with("Expiration") || about.starts_with("Login-Time");
    let (theirs, ours) = (&theirs.attributes, &ours.attributes);
    let alone = |here: &str, others: &[String]| {
        let count = |list: &[String]| list.iter().filter(|other| *other == here).count();
        let near = counts_down && others.iter().any(|other| is_near(here, other));
        !near && count(theirs) != count(ours)
    };
    let theirs_alone = theirs.iter().filter(|shown| alone(shown, ours));
    let ours_alone = ours.iter().filter(|shown| alone(shown, theirs));
    theirs_alone.chain(ours_alone).map(|shown| name(shown).to_owned()).collect()
}

/// One line: what came from each.
pub(super) fn told(
    about: &str,
    differing: &BTreeSet<String>,
    theirs: &Answer,
    ours: Option<&Answer>,
) -> String {
    let tell = |answer: &Answer| {
        let told = |shown: &&String| differing.contains("code") || differing.contains(name(shown));
        let attributes: Vec<&str> = answer.attributes.iter().filter(told).map(String::as_str).collect();
        format!("{:?} [{}]", answer.code, attributes.join(", "))
    };
    format!("{about}: theirs {}, ours {}", tell(theirs), ours.map_or("silence".to_owned(), tell))
}

fn name(shown: &str) -> &str {
    shown.split([' ', ':']).next().unwrap_or(shown)
}

fn is_near(one: &str, other: &str) -> bool {
    let seconds = |shown: &str| shown.strip_prefix(TIMEOUT)?.parse::<u64>().ok();
    matches!((seconds(one), seconds(other)), (Some(one), Some(other)) if one.abs_diff(other) < SECONDS)
}
