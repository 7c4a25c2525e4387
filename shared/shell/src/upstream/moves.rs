//! What moved the traffic, and how long it took: for `forewarn status` and whoever measures.

use std::collections::BTreeMap;

use forewarn_proto::pool::ServerId;
use forewarn_proto::switch::Cause;

/// Microseconds since 1970 (UTC).
pub type Micros = u64;

/// One move of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// From this server.
    pub from: ServerId,
    /// To this one.
    pub to: ServerId,
    /// Why.
    pub cause: Cause,
    /// When what caused it arrived: for a notice, the kernel's stamp on the datagram.
    pub caused_at: Micros,
    /// When it was decided.
    pub decided_at: Micros,
    /// When the first request after that left for the new server.
    pub first_request_at: Option<Micros>,
}

/// The last move, and how many there were.
#[derive(Debug, Default)]
pub struct Moves {
    last: Option<Move>,
    by_cause: BTreeMap<&'static str, u64>,
}

impl Moves {
    /// The traffic moves.
    pub fn record(&mut self, moved: Move) {
        *self.by_cause.entry(cause_name(moved.cause)).or_default() += 1;
        self.last = Some(moved);
    }

    /// The server whose first request since the last move is still to come.
    #[must_use]
    pub fn awaited(&self) -> Option<ServerId> {
        self.last.filter(|last| last.first_request_at.is_none()).map(|last| last.to)
    }

    /// It has left.
    pub fn first_request(&mut self, at: Micros) {
        if let Some(last) = &mut self.last {
            last.first_request_at.get_or_insert(at);
        }
    }

    /// The last move.
    #[must_use]
    pub fn last(&self) -> Option<&Move> {
        self.last.as_ref()
    }

    /// How many there were, by cause.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.by_cause.iter().map(|(cause, count)| (*cause, *count))
    }
}

/// A cause in one word, stable.
#[must_use]
pub fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Preferred => "preferred",
        Cause::Notice { .. } => "notice",
        Cause::Unanswered => "dead",
        Cause::Invited => "invited",
        Cause::NoticeEnded => "notice-ended",
        Cause::After => "after",
        Cause::Revived => "revived",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_counts_once() {
        let mut moves = Moves::default();
        assert_eq!(moves.awaited(), None);
        let (from, to) = (ServerId::new(0).unwrap(), ServerId::new(1).unwrap());
        let moved =
            Move { from, to, cause: Cause::Unanswered, caused_at: 1, decided_at: 2, first_request_at: None };
        moves.record(moved);
        assert_eq!(moves.awaited(), Some(to));
        moves.first_request(3);
        moves.first_request(9);
        assert_eq!(moves.awaited(), None);
        assert_eq!(moves.last().unwrap().first_request_at, Some(3));
        assert_eq!(moves.counts().collect::<Vec<_>>(), [("dead", 1)]);
    }
}
