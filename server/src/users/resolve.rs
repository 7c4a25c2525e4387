//! Which of an account's sections apply to a request, merged in their order.

use std::ops::Range;

use super::Source;
use super::account::Account;
use super::expand::Filled;
use super::item::{Asker, Item, ItemValue, Meaning};
use super::merge::{Ref, Scratch, merge};
use super::reply::expanded;
use super::section::FallThrough;
use super::witness::{Step, Witness};

/// Buffers of a core for accounts that depend on the request, used again.
#[derive(Debug, Default)]
pub struct Room {
    pub(super) control: Vec<Ref>,
    pub(super) reply: Vec<Ref>,
    /// The first condition that doesn't hold.
    pub(super) unmet: Option<Ref>,
    scratch: Scratch,
    filled: Filled,
    /// Attributes made for this request, as they stand in the packet.
    pub(super) octets: Vec<u8>,
    pub(super) expanded: Vec<(Ref, Range<usize>)>,
}

/// The method that the request itself has set, among the control items.
const METHOD: Ref = Ref { section: u16::MAX, item: 0 };

impl Account {
    /// Whether each of its passwords lets in.
    pub(super) fn has_equal_passwords(&self) -> bool {
        self.source == Source::Ldap
    }

    pub(super) fn check_item(&self, place: Ref) -> Option<&Item> {
        self.sections.get(usize::from(place.section))?.check.items.get(usize::from(place.item))
    }

    pub(super) fn reply_item(&self, place: Ref) -> Option<&Item> {
        self.sections.get(usize::from(place.section))?.reply.items.get(usize::from(place.item))
    }

    /// Goes through the sections as FreeRADIUS's `sql` does: the user's own, then the groups' by priority for as long
    /// as it falls through. `Some`: the number of the row that makes it unusable.
    pub(super) fn resolve(
        &self,
        room: &mut Room,
        has_method: bool,
        holds: impl Fn(&Item, &mut Filled) -> bool,
        witness: &mut impl Witness,
    ) -> Option<usize> {
        room.control.clear();
        room.reply.clear();
        room.unmet = None;
        if has_method {
            room.control.push(METHOD);
        }
        let (own, groups) = self.sections.split_first()?;
        let mut falls = FallThrough::Default;
        if own.check.refused.is_some() {
            return own.check.refused;
        }
        // Rows of radreply alone are never looked at. A directory's users may have nothing to check: it verifies them.
        if (own.check.has_rows || self.source != Source::Sql) && self.matches(0, room, &holds, witness) {
            self.merge_check(0, room, witness);
            if own.reply.refused.is_some() {
                return own.reply.refused;
            }
            falls = own.fall_through();
            self.merge_reply(0, room, witness);
        }
        if falls == FallThrough::No {
            witness.see(Step::Stopped { section: own });
            return None;
        }
        for (number, group) in (1..).zip(groups) {
            if group.check.refused.is_some() {
                return group.check.refused;
            }
            if !self.matches(number, room, &holds, witness) {
                continue;
            }
            self.merge_check(number, room, witness);
            if group.reply.refused.is_some() {
                return group.reply.refused;
            }
            self.merge_reply(number, room, witness);
            if group.fall_through() != FallThrough::Yes {
                witness.see(Step::Stopped { section: group });
                break;
            }
        }
        None
    }

    fn matches(
        &self,
        number: u16,
        room: &mut Room,
        holds: impl Fn(&Item, &mut Filled) -> bool,
        witness: &mut impl Witness,
    ) -> bool {
        let Some(section) = self.sections.get(usize::from(number)) else { return false };
        let failed = section.check.items.iter().position(|item| {
            let held = holds(item, &mut room.filled);
            if !item.is_unconditional() {
                witness.see(Step::Compared { section, item, held });
            }
            !held
        });
        witness.see(if failed.is_none() { Step::Applies { section } } else { Step::Skipped { section } });
        let unmet = failed.map(|item| Ref { section: number, item: item as u16 });
        room.unmet = room.unmet.or(unmet);
        failed.is_none()
    }

    fn merge_check(&self, number: u16, room: &mut Room, witness: &mut impl Witness) {
        let Some(section) = self.sections.get(usize::from(number)) else { return };
        let items = &section.check.items;
        for item in items.iter().filter(|item| item.operator.also_sets()) {
            witness.see(Step::Control { section, item });
        }
        let is_same = |item: &Item, place: Ref| match self.check_item(place) {
            Some(there) => item.place.is_same(&there.place),
            None => matches!(item.meaning, Meaning::AuthType(_)) || &*item.place.name == "Auth-Type",
        };
        let of = |place| self.check_item(place);
        merge(&mut room.control, &mut room.scratch, number, items, of, is_same);
    }

    fn merge_reply(&self, number: u16, room: &mut Room, witness: &mut impl Witness) {
        let Some(section) = self.sections.get(usize::from(number)) else { return };
        let items = &section.reply.items;
        for item in items {
            witness.see(Step::Reply { section, item });
        }
        let is_same = |item: &Item, place: Ref| {
            self.reply_item(place).is_some_and(|there| item.place.is_same(&there.place))
        };
        let of = |place| self.reply_item(place);
        merge(&mut room.reply, &mut room.scratch, number, items, of, is_same);
    }
}

/// Fills in what is made per request.
pub(super) fn expand_all(account: &Account, asker: &Asker<'_>, room: &mut Room) {
    let Room { reply, filled, octets, expanded: ranges, .. } = room;
    octets.clear();
    ranges.clear();
    for place in reply {
        let Some(item) = account.reply_item(*place) else { continue };
        if let ItemValue::Expansion(expansion) = &item.value {
            expansion.fill(asker.request, filled);
            let start = octets.len();
            if expanded(item, &filled.0, octets).is_some() {
                ranges.push((*place, start..octets.len()));
            }
        }
    }
}
