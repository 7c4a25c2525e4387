//! A batch in the order its sessions need, in as few statements as that allows.
//!
//! Records of different sessions don't touch each other's rows, so that all Starts of a batch are one statement, all
//! Interim-Updates another. A session's second record has to see what its first one left: it goes into the second
//! round. An Accounting-On or -Off touches many sessions: it ends the rounds before it.

use std::collections::HashMap;

use super::record::{Record, Status};

/// What is done at one time, before the next is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Round<'r> {
    /// Starts, of different sessions.
    pub starts: Vec<&'r Record>,
    /// Interim-Updates, of different sessions, none of them in `starts`.
    pub interims: Vec<&'r Record>,
    /// Stops, of different sessions, none of them in the others.
    pub stops: Vec<&'r Record>,
    /// Accounting-On and -Off, in order; the rest of the round is empty then.
    pub closes: Vec<&'r Record>,
}

/// The rounds of a batch, in their order.
pub fn rounds<'r>(records: impl ExactSizeIterator<Item = &'r Record>) -> Vec<Round<'r>> {
    let mut rounds: Vec<Round<'_>> = Vec::new();
    // The first round that a record may join, and each session's last round.
    let mut first = 0;
    let mut last: HashMap<&str, usize> = HashMap::with_capacity(records.len());
    for record in records {
        match record.status {
            Status::Other => continue,
            Status::On | Status::Off => {
                if rounds.last().is_none_or(|round| round.closes.is_empty()) {
                    rounds.push(Round::default());
                }
                if let Some(round) = rounds.last_mut() {
                    round.closes.push(record);
                }
                first = rounds.len();
                last.clear();
                continue;
            }
            Status::Start | Status::Interim | Status::Stop => {}
        }
        let number = last.get(record.unique_id.as_str()).map_or(first, |last| last + 1);
        last.insert(&record.unique_id, number);
        if rounds.len() <= number {
            rounds.push(Round::default());
        }
        let round = &mut rounds[number];
        match record.status {
            Status::Start => round.starts.push(record),
            Status::Interim => round.interims.push(record),
            _ => round.stops.push(record),
        }
    }
    for round in &mut rounds {
        // Rows are locked in one order, so that two servers that write the same sessions don't lock each other out.
        for records in [&mut round.starts, &mut round.interims, &mut round.stops] {
            records.sort_unstable_by(|a, b| a.unique_id.cmp(&b.unique_id));
        }
    }
    rounds
}
