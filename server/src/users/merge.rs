//! Lists of items, merged as FreeRADIUS merges them: one section after the other into what is there.

use std::cmp::Ordering;

use super::item::Item;
use super::operator::Operator;

/// A place in an account: the number of a section, and of an item in one of its lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ref {
    pub section: u16,
    pub item: u16,
}

/// Buffers for merging, used again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    marks: Vec<Mark>,
    appended: Vec<Ref>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Untouched,
    /// Put here by an item of this merge: no further one touches it.
    Edited,
    Deleted,
}

/// Merges the items of section `section` into `list`. `of` finds the item of a reference; `None` for one that the
/// request itself has put there, which `is_same` knows.
///
/// The operators see the list as it was before: what one item adds, the next can't replace.
pub(super) fn merge<'a>(
    list: &mut Vec<Ref>,
    scratch: &mut Scratch,
    section: u16,
    items: &'a [Item],
    of: impl Fn(Ref) -> Option<&'a Item>,
    is_same: impl Fn(&Item, Ref) -> bool,
) {
    let Scratch { marks, appended } = scratch;
    marks.clear();
    marks.resize(list.len(), Mark::Untouched);
    appended.clear();
    for (number, item) in items.iter().enumerate() {
        let own = Ref { section, item: number as u16 };
        if item.operator == Operator::Add {
            appended.push(own);
            continue;
        }
        let (mut found, mut placed) = (false, false);
        for (place, mark) in list.iter_mut().zip(marks.iter_mut()) {
            if *mark != Mark::Untouched || !is_same(item, *place) {
                continue;
            }
            let order = || of(*place).and_then(|there| item.order_of(there));
            let outcome = match item.operator {
                Operator::Set => Outcome::Replace,
                Operator::SetIfAbsent => {
                    found = true;
                    break;
                }
                Operator::Absent => Outcome::Delete,
                Operator::Is if order() != Some(Ordering::Equal) => Outcome::Delete,
                Operator::Subtract if order() == Some(Ordering::Equal) => Outcome::Delete,
                Operator::AtMost if order() == Some(Ordering::Greater) => Outcome::Replace,
                Operator::AtLeast if order() == Some(Ordering::Less) => Outcome::Replace,
                _ => Outcome::Leave,
            };
            match outcome {
                Outcome::Leave => {}
                Outcome::Delete => *mark = Mark::Deleted,
                Outcome::Replace => {
                    (*place, *mark, placed) = (own, Mark::Edited, true);
                    break;
                }
            }
        }
        if !found && !placed && item.operator.also_sets() {
            appended.push(own);
        }
    }
    let mut mark = marks.iter();
    list.retain(|_| mark.next() != Some(&Mark::Deleted));
    list.extend_from_slice(appended);
}

enum Outcome {
    Leave,
    Delete,
    Replace,
}
