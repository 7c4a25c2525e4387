//! Who watches an account being weighed, step by step: `forewarn explain`.

use super::item::Item;
use super::section::Section;

/// One step. Items print themselves; secrets don't show.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A condition was looked at.
    Compared {
        /// Whose rows.
        section: &'a Section,
        /// The condition.
        item: &'a Item,
        /// Whether it holds.
        held: bool,
    },
    /// All conditions hold: these rows apply.
    Applies {
        /// Whose rows.
        section: &'a Section,
    },
    /// One doesn't hold: these rows don't apply.
    Skipped {
        /// Whose rows.
        section: &'a Section,
    },
    /// A control item is merged.
    Control {
        /// Whose rows.
        section: &'a Section,
        /// The item.
        item: &'a Item,
    },
    /// A reply item is merged.
    Reply {
        /// Whose rows.
        section: &'a Section,
        /// The item.
        item: &'a Item,
    },
    /// It doesn't fall through to the next group.
    Stopped {
        /// Whose rows.
        section: &'a Section,
    },
}

/// Sees the steps.
pub trait Witness {
    /// The next one.
    fn see(&mut self, step: Step<'_>);
}

/// Nobody watches; it costs nothing.
impl Witness for () {
    fn see(&mut self, _: Step<'_>) {}
}
