//! Which of an agent's messages have come. They travel by more than one socket, so one may overtake another.

use crate::notice::Mark;

/// How far behind the newest a message may come and still be heard once.
const WIDTH: u32 = u64::BITS;

/// The newest message of a sender, and which of those just before it have come: bit n is the one n before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    newest: Mark,
    seen: u64,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// After all that have come, or overtaken by one of them: it hasn't come before.
    New,
    /// It is the newest, once more.
    Newest,
    /// It has come before, or may have.
    Behind,
}

impl Window {
    /// With this message as the only one that has come.
    pub(super) const fn at(newest: Mark) -> Window {
        Window { newest, seen: 1 }
    }

    /// A message has come whose MAC is right.
    pub(super) fn take(&mut self, mark: Mark) -> Position {
        if mark == self.newest {
            return Position::Newest;
        }
        if mark.epoch != self.newest.epoch {
            if mark < self.newest {
                return Position::Behind;
            }
            *self = Window::at(mark);
            return Position::New;
        }
        if let Some(ahead) = mark.sequence.checked_sub(self.newest.sequence) {
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.newest = mark;
            return Position::New;
        }
        let behind = self.newest.sequence - mark.sequence;
        if behind >= WIDTH || self.seen >> behind & 1 == 1 {
            return Position::Behind;
        }
        self.seen |= 1 << behind;
        Position::New
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn mark(epoch: u32, sequence: u32) -> Mark {
        Mark { epoch, sequence }
    }

    #[test]
    fn one_that_was_overtaken_is_heard_once() {
        let mut window = Window::at(mark(7, 10));
        assert_eq!(window.take(mark(7, 9)), Position::New);
        assert_eq!(window.take(mark(7, 9)), Position::Behind);
        assert_eq!(window.take(mark(7, 10)), Position::Newest);
        assert_eq!(window.take(mark(7, 73)), Position::New);
        assert_eq!(window.take(mark(7, 10)), Position::Behind, "it has come");
        assert_eq!(window.take(mark(7, 9)), Position::Behind, "too far behind to tell");
        assert_eq!(window.take(mark(7, 11)), Position::New);
        assert_eq!(window.take(mark(8, 1)), Position::New);
        assert_eq!(window.take(mark(7, 72)), Position::Behind, "an epoch that is over");
    }

    proptest! {
        /// None is new twice, and one that is close enough and hasn't come is new.
        #[test]
        fn it_agrees_with_its_definition(marks in prop::collection::vec((1u32..4, 1u32..200), 1..80)) {
            let first = mark(marks[0].0, marks[0].1);
            let mut window = Window::at(first);
            let (mut come, mut newest) = (BTreeSet::from([first]), first);
            for &(epoch, sequence) in &marks[1..] {
                let mark = mark(epoch, sequence);
                let near = mark.epoch == newest.epoch && mark.sequence + WIDTH > newest.sequence;
                let expected = match mark {
                    _ if mark == newest => Position::Newest,
                    _ if mark > newest || (near && !come.contains(&mark)) => Position::New,
                    _ => Position::Behind,
                };
                prop_assert_eq!(window.take(mark), expected);
                newest = newest.max(mark);
                come.insert(mark);
            }
        }
    }
}
