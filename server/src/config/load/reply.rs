//! `reply = { Session-Timeout = 3600, Tunnel-Type = "VLAN" }`: names and texts to octets.

use forewarn_dict::{Carrier, Dictionary, Encrypt, Pair, PairError, Value as Text};
use forewarn_shell::config::{Entry, Kind, Secret, Table, Value, Wrong};

use super::super::{ReplyAttribute, ReplyValue};

/// Most octets of a reply's attributes: 4096, less the header, Message-Authenticator and some Proxy-State.
const OCTETS_MAX: usize = 3900;

/// The attributes of the table `reply`, in the order they were written in; none where there is none. `None`:
/// something was reported.
pub(super) fn reply(table: &Table<'_>, dictionary: &Dictionary) -> Option<Vec<ReplyAttribute>> {
    let Some(reply) = table.optional_table("reply") else { return (!table.has("reply")).then(Vec::new) };
    let entries = reply.entries();
    let mut attributes = Vec::with_capacity(entries.len());
    for entry in &entries {
        attributes.extend(attribute(entry, dictionary));
    }
    reply.finish();
    let octets: usize = attributes.iter().map(|attribute| attribute.value.octets()).sum();
    if octets > OCTETS_MAX {
        let what = format!("`reply` takes {octets} octets, too many for one packet");
        table.error("reply", Wrong::new(what, format!("leave some out: at most {OCTETS_MAX}")));
    }
    (attributes.len() == entries.len()).then_some(attributes)
}

/// One entry; `Reply-Message = ["first", "second"]` is the attribute several times.
fn attribute(entry: &Entry<'_>, dictionary: &Dictionary) -> Option<ReplyAttribute> {
    let values = match entry.value.kind() {
        Kind::Array => entry.value.array()?,
        _ => vec![entry.value],
    };
    let mut whole: Option<ReplyAttribute> = None;
    for value in &values {
        let one = pair(entry, value, dictionary)?;
        match (&mut whole, one) {
            (None, one) => whole = Some(one),
            (Some(ReplyAttribute { value: ReplyValue::Encoded(octets), .. }), one) => {
                let ReplyValue::Encoded(further) = one.value else { return None };
                *octets = [&**octets, &*further].concat().into();
            }
            (Some(_), _) => {
                value.error(Wrong::new(
                    format!("`{}` is hidden and can be given once", entry.key),
                    "write one value",
                ));
                return None;
            }
        }
    }
    if whole.is_none() {
        entry
            .value
            .error(Wrong::new(format!("`{}` has no value", entry.key), "write one, or remove the attribute"));
    }
    whole
}

fn pair(entry: &Entry<'_>, value: &Value<'_>, dictionary: &Dictionary) -> Option<ReplyAttribute> {
    let text = match value.kind() {
        Kind::Text => value.text_or_empty().map(Text::Text),
        Kind::Number => value.integer().map(Text::Number),
        Kind::Boolean | Kind::Date | Kind::Table | Kind::Array => {
            Err(value.expected("a string or a whole number", "write \"VLAN\" or 3600"))
        }
    };
    let text = text.map_err(|wrong| value.error(wrong)).ok()?;
    let pair = match dictionary.pair(entry.key, text) {
        Ok(pair) => pair,
        Err(error) => {
            refuse(entry, value, error);
            return None;
        }
    };
    let path = pair.attribute().path();
    let (name, vendor, numbers) = (pair.attribute().name().into(), path.vendor(), path.numbers.to_vec());
    let value = reply_value(&pair).map_err(|wrong| value.error(wrong)).ok()?;
    Some(ReplyAttribute { name, vendor, numbers, value })
}

/// Says it in its place: the key's when the name is wrong, else the value's.
fn refuse(entry: &Entry<'_>, value: &Value<'_>, error: PairError) {
    let at_key =
        matches!(error, PairError::UnknownName { .. } | PairError::Tag { .. } | PairError::Internal { .. });
    let wrong = match error {
        PairError::Value { name, error } => Wrong::new(format!("{name}: {}", error.what), error.hint),
        error => {
            let text = error.to_string();
            let (what, hint) = text.split_once("; ").unwrap_or((&text, ""));
            Wrong::new(what, hint)
        }
    };
    if at_key {
        entry.error(wrong);
    } else {
        value.error(wrong);
    }
}

fn reply_value(pair: &Pair) -> Result<ReplyValue, Wrong> {
    let attribute = pair.attribute();
    match attribute.flags().encrypt {
        None => {
            let octets = pair.wire().map_err(|error| Wrong::new(error.to_string(), ""))?;
            Ok(ReplyValue::Encoded(octets.into()))
        }
        Some(Encrypt::TunnelPassword) if is_flat(pair) => {
            let tag = attribute.flags().tag.then(|| pair.tag().unwrap_or(0));
            Ok(ReplyValue::Hidden { tag, value: Secret::new(pair.value().to_vec()) })
        }
        Some(_) => {
            let what = format!("{} can't be hidden in a reply", attribute.name());
            Err(Wrong::new(what, "remove it: only attributes hidden as Tunnel-Password is go into replies"))
        }
    }
}

/// A standard attribute or one directly in a vendor's space: the places that hidden values have.
fn is_flat(pair: &Pair) -> bool {
    let path = pair.attribute().path();
    matches!(path.carrier, Carrier::Standard | Carrier::Vendor(_)) && path.numbers.len() == 1
}
