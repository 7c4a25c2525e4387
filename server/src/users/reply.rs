//! What an account puts into a reply.

use forewarn_wire::{WriteError, Writer, number};

use super::account::Account;
use super::expand;
use super::item::Item;
use super::resolve::Room;
use crate::config::{ReplyAttribute, ReplyValue};
use crate::policy::Edits;
use crate::process::reply::{Hiding, Template, Written, WrittenValue, write_edited, write_one};

/// Microsoft's number, and MS-CHAP-Error's in its space (RFC 2548 section 2.1.5).
const MS_CHAP_ERROR: (u32, u32) = (311, 2);

/// What an account puts into replies to one request.
#[derive(Debug, Clone, Copy)]
pub enum Reply<'a> {
    /// The same in all.
    Fixed {
        /// An Access-Accept.
        accepted: &'a Template,
        /// An Access-Reject.
        rejected: &'a Template,
    },
    /// Items of the account, in the order of `room`.
    Listed {
        /// The account.
        account: &'a Account,
        /// Which items, and what was made for this request.
        room: &'a Room,
    },
}

impl<'a> Reply<'a> {
    /// Writes what goes into an Access-Accept and what policies put in or take out; with a Session-Timeout of at most
    /// `longest`, seconds.
    pub fn write(
        &self,
        writer: &mut Writer<'_>,
        hiding: &mut Hiding<'_>,
        edits: &Edits<'_>,
        longest: Option<u32>,
    ) -> Result<(), WriteError> {
        match self {
            Reply::Fixed { accepted, .. } => accepted.write(writer, hiding, edits, longest),
            Reply::Listed { account, room } => {
                write_edited(writer, hiding, written(account, room), edits, longest)
            }
        }
    }

    /// Whether an Access-Accept has this standard attribute, after what policies put in or take out.
    pub fn has(&self, number: u8, edits: &Edits<'_>) -> bool {
        let numbers = [u32::from(number)];
        let own = match self {
            Reply::Fixed { accepted, .. } => accepted.has(&numbers),
            Reply::Listed { account, room } => {
                written(account, room).any(|one| (one.vendor, one.numbers) == (0, &numbers[..]))
            }
        };
        let mut put_in = edits.attributes().map(|(_, attribute)| attribute);
        own && edits.keep(0, &numbers) || put_in.any(|one| one.vendor == 0 && *one.numbers == numbers)
    }

    /// Writes what goes into an Access-Reject: of all attributes those that FreeRADIUS leaves there.
    pub fn write_rejected(&self, writer: &mut Writer<'_>, hiding: &mut Hiding<'_>) -> Result<(), WriteError> {
        match self {
            Reply::Fixed { rejected, .. } => rejected.write_all(writer, hiding),
            Reply::Listed { account, room } => {
                let mut kept = written(account, room).filter(|one| is_kept(one.vendor, one.numbers));
                kept.try_for_each(|one| write_one(writer, hiding, &one))
            }
        }
    }

    /// The items, for people. Empty for users of the configuration.
    pub fn items(&self) -> impl Iterator<Item = &'a Item> {
        let listed = match self {
            Reply::Fixed { .. } => None,
            Reply::Listed { account, room } => {
                Some(room.reply.iter().filter_map(|place| account.reply_item(*place)))
            }
        };
        listed.into_iter().flatten()
    }
}

fn written<'a>(account: &'a Account, room: &'a Room) -> impl Iterator<Item = Written<'a>> {
    room.reply.iter().filter_map(|place| {
        let item = account.reply_item(*place)?;
        let (vendor, numbers) = item.place.numbers();
        let value = match &item.wire {
            Some(ReplyAttribute { value: ReplyValue::Encoded(octets), .. }) => WrittenValue::Octets(octets),
            Some(ReplyAttribute { value: ReplyValue::Hidden { tag, value }, .. }) => {
                WrittenValue::Hidden(*tag, value.octets())
            }
            None => {
                let (_, range) = room.expanded.iter().find(|(expanded, _)| expanded == place)?;
                WrittenValue::Octets(room.octets.get(range.clone())?)
            }
        };
        Some(Written { vendor, numbers, value })
    })
}

/// What FreeRADIUS's filter of Access-Rejects leaves in them.
pub(super) fn is_for_rejects(attribute: &ReplyAttribute) -> bool {
    is_kept(attribute.vendor, &attribute.numbers)
}

fn is_kept(vendor: u32, numbers: &[u32]) -> bool {
    const STANDARD: [u8; 3] = [number::REPLY_MESSAGE, number::STATE, number::ERROR_CAUSE];
    match numbers {
        [only] if vendor == 0 => STANDARD.iter().any(|kept| u32::from(*kept) == *only),
        [only] => (vendor, *only) == MS_CHAP_ERROR,
        _ => false,
    }
}

/// A whole attribute from a filled text, to the end of `out`. `None`, with nothing written: it is no such value.
pub(super) fn expanded(item: &Item, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let (vendor, numbers) = item.place.numbers();
    let only = u8::try_from(*numbers.first()?).ok()?;
    if vendor == 0 {
        out.extend([only, 0]);
    } else {
        out.extend([number::VENDOR_SPECIFIC, 0]);
        out.extend(vendor.to_be_bytes());
        out.extend([only, 0]);
    }
    let head = out.len();
    let is_tagged_text = item.place.is_tagged() && item.place.data_type == forewarn_dict::DataType::Text;
    out.extend(item.tag.filter(|_| is_tagged_text));
    let room = 255 - (out.len() - start);
    let value = out.len();
    if expand::encode(item.place.data_type, &text[..text.len().min(room)], out).is_none() {
        out.truncate(start);
        return None;
    }
    if item.place.is_tagged() && !is_tagged_text {
        out[value] = item.tag.unwrap_or(0);
    }
    if vendor != 0 {
        out[head - 1] = u8::try_from(out.len() - head + 2).ok()?;
    }
    out[start + 1] = u8::try_from(out.len() - start).ok()?;
    Some(())
}
