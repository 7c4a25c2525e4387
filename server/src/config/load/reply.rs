//! `reply = { Session-Timeout = 3600, Tunnel-Type = "VLAN" }`: names and texts to octets.

use forewarn_dict::{Carrier, Dictionary, Encrypt, Pair, PairError, Value as Text};
use forewarn_shell::config::{Entry, Kind, Secret, Table, Value, Wrong};

use super::super::{ReplyAttribute, ReplyValue};

/// Most octets of a reply's attributes: 4096, less the header, Message-Authenticator and some Proxy-State.
const OCTETS_MAX: usize = 3900;

/// What may stand in an Access-Reject (RFC 2865 section 5.44, RFC 2869 section 5.19, RFC 3576 section 3.5, RFC 2548
/// section 2.1.5), as `(vendor, number)`: Reply-Message, Password-Retry, Error-Cause, MS-CHAP-Error.
const IN_REJECTS: [(u32, u32); 4] = [(0, 18), (0, 75), (0, 101), (311, 2)];

/// The attributes of the table `key`, in the order they were written in; none where there is none. `None`:
/// something was reported.
pub(super) fn reply(table: &Table<'_>, key: &str, dictionary: &Dictionary) -> Option<Vec<ReplyAttribute>> {
    let Some(reply) = table.optional_table(key) else { return (!table.has(key)).then(Vec::new) };
    let entries = reply.entries();
    let mut attributes = Vec::with_capacity(entries.len());
    for entry in &entries {
        attributes.extend(attribute(entry, dictionary));
    }
    reply.finish();
    let octets: usize = attributes.iter().map(|attribute| attribute.value.octets()).sum();
    if octets > OCTETS_MAX {
        let what = format!("`{key}` takes {octets} octets, too many for one packet");
        table.error(key, Wrong::new(what, format!("leave some out: at most {OCTETS_MAX}")));
    }
    (attributes.len() == entries.len()).then_some(attributes)
}

/// The attributes that the list `key` names, as `(vendor, numbers)`; none where there is none. `None`: something was
/// reported.
pub(super) fn names(table: &Table<'_>, key: &str, dictionary: &Dictionary) -> Option<Vec<(u32, Vec<u32>)>> {
    let name = |value: &Value<'_>| {
        let (attribute, _) = dictionary.named(value.text()?).map_err(|error| wrong(&error))?;
        Ok((attribute.path().vendor(), attribute.path().numbers.to_vec()))
    };
    let list = table.list(key, name).optional();
    if table.has(key) { list } else { Some(Vec::new()) }
}

/// Reports what can't stand in an Access-Reject.
pub(super) fn only_in_rejects(table: &Table<'_>, attributes: &[ReplyAttribute]) {
    for attribute in attributes {
        let allowed =
            attribute.numbers.len() == 1 && IN_REJECTS.contains(&(attribute.vendor, attribute.numbers[0]));
        if !allowed {
            let what = format!("{} has no place in an Access-Reject", attribute.name);
            let hint = "only Reply-Message, Password-Retry, Error-Cause and MS-CHAP-Error go into rejects";
            table.error("reply", Wrong::new(what, hint));
        }
    }
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
        error => wrong(&error),
    };
    if at_key {
        entry.error(wrong);
    } else {
        value.error(wrong);
    }
}

/// The error says both halves.
fn wrong(error: &PairError) -> Wrong {
    let text = error.to_string();
    let (what, hint) = text.split_once("; ").unwrap_or((&text, ""));
    Wrong::new(what, hint)
}

/// The value as a reply carries it: encoded now, or hidden in each reply anew.
///
/// # Errors
/// It can't be hidden in a reply.
pub(crate) fn reply_value(pair: &Pair) -> Result<ReplyValue, Wrong> {
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
