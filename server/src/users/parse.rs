//! One row: from its texts to an item.

use std::borrow::Cow;

use forewarn_dict::{Attribute, DataType, Dictionary, PairError};
use forewarn_wire::number;
use regex::bytes::{Regex, RegexBuilder};

use super::expand::{self, Expansion};
use super::item::{Item, ItemValue, Meaning, Subject};
use super::login_time::LoginTime;
use super::meaning::meaning;
use super::operator::Operator;
use super::place::Place;
use super::rows::{Row, RowEffect};
use super::value;
use crate::config::{ReplyAttribute, reply_value};
use crate::process::password::Password;

/// Most octets a compiled regular expression may take.
const PATTERN_MAX: usize = 1 << 20;

/// What is wrong with a row.
pub(super) struct Problem {
    pub(super) effect: RowEffect,
    pub(super) what: String,
    pub(super) hint: String,
}

impl Problem {
    pub(super) fn refusing(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { effect: RowEffect::TableRefused, what: what.into(), hint: hint.into() }
    }

    pub(super) fn leaving_out(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { effect: RowEffect::LeftOut, what: what.into(), hint: hint.into() }
    }
}

impl From<PairError> for Problem {
    fn from(error: PairError) -> Self {
        let text = error.to_string();
        let (what, hint) = text.split_once("; ").unwrap_or((&text, ""));
        Self::refusing(what, hint)
    }
}

/// The item, with what the operator should know about it.
pub(super) fn item(
    row: &Row<'_>,
    is_check: bool,
    dictionary: &Dictionary,
) -> Result<(Item, Option<Problem>), Problem> {
    let name = row.attribute.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Problem::refusing("`attribute` is empty", "name an attribute"))?;
    let operator = Operator::read(row.op).ok_or_else(|| {
        let what = format!("`op` {:?} is no operator", row.op.unwrap_or_default());
        Problem::refusing(what, ":=, =, +=, ==, !=, <, <=, >, >=, =~, !~, =*, !* or -=")
    })?;
    let text = row.value.ok_or_else(|| Problem::refusing("`value` is NULL", "write a value"))?;
    let (is_expanded, text) = value::unquote(text);
    if let Some(item) = group_item(name, operator, text, dictionary) {
        return Ok((item, None));
    }
    let (attribute, tag) = dictionary.named(&numbered(name))?;
    let place = Place::new(&attribute, dictionary);
    let subject = subject(&attribute);
    let hides = attribute.flags().secret
        || attribute.flags().encrypt.is_some()
        || attribute.name() == "TOTP-Secret"
        || Password::of_attribute(attribute.name(), b"").is_some();
    let shown = if hides { "<hidden>".into() } else { format!("{text:?}").into() };
    let mut item = Item {
        operator,
        place,
        tag,
        subject,
        value: ItemValue::Unusable,
        meaning: Meaning::Nothing,
        wire: None,
        record: None,
        shown,
    };
    if is_expanded {
        let remark = expansion(&mut item, &attribute, text, is_check, dictionary).err();
        return Ok((item, remark));
    }
    let octets = octets(name, &attribute, subject, text, dictionary).map_err(|error| {
        let what = if hides { format!("no value of {}", attribute.name()) } else { error.what };
        Problem::refusing(what, error.hint)
    })?;
    let mut remark = None;
    if is_check {
        if operator.also_sets() {
            (item.meaning, remark) = meaning(&attribute, text, &octets)?;
        }
    } else if !attribute.is_internal() {
        match wire(&attribute, tag, &octets, dictionary) {
            Ok(wire) => item.wire = wire,
            Err(problem) => remark = Some(problem),
        }
    }
    item.value = match (subject, operator.is_regex()) {
        (Subject::CurrentTime, _) => LoginTime::read(text).map_or(ItemValue::Unusable, ItemValue::Hours),
        (Subject::Request | Subject::ClientName | Subject::ClientGroup | Subject::GivenPassword, true)
            if is_check =>
        {
            pattern(&attribute, &octets, dictionary).unwrap_or_else(|problem| {
                remark = Some(problem);
                ItemValue::Unusable
            })
        }
        _ => ItemValue::Octets(octets.into()),
    };
    Ok((item, remark))
}

/// SQL-Group and LDAP-Group, which FreeRADIUS's modules add to its dictionary.
fn group_item(name: &str, operator: Operator, text: &str, dictionary: &Dictionary) -> Option<Item> {
    let is_group = ["SQL-Group", "LDAP-Group"].iter().any(|group| group.eq_ignore_ascii_case(name));
    let attribute = dictionary.attribute("Group").filter(|_| is_group)?;
    let mut place = Place::new(attribute, dictionary);
    place.name = name.into();
    Some(Item {
        operator,
        place,
        tag: None,
        subject: Subject::UserGroups,
        value: ItemValue::Octets(value::unescape(text.as_bytes()).into()),
        meaning: Meaning::Nothing,
        wire: None,
        record: None,
        shown: format!("{text:?}").into(),
    })
}

/// What a check item of this attribute is compared with.
fn subject(attribute: &Attribute) -> Subject {
    match attribute.name() {
        "User-Password" => Subject::GivenPassword,
        "Packet-Src-IP-Address"
        | "Packet-Src-IPv6-Address"
        | "Client-IP-Address"
        | "FreeRADIUS-Client-IP-Address"
        | "FreeRADIUS-Client-IPv6-Address" => Subject::Sender,
        "Client-Shortname" | "FreeRADIUS-Client-Shortname" => Subject::ClientName,
        "Huntgroup-Name" => Subject::ClientGroup,
        "Group" | "Group-Name" => Subject::UserGroups,
        "Expiration" => Subject::Expiration,
        "Current-Time" => Subject::CurrentTime,
        "Time-Of-Day" => Subject::TimeOfDay,
        "Crypt-Password" | "Auth-Type" | "Autz-Type" | "Acct-Type" | "Session-Type" | "Strip-User-Name" => {
            Subject::Always
        }
        _ if attribute.is_internal() => Subject::Never,
        _ => Subject::Request,
    }
}

/// `Vendor-9-Attr-1`, the older way to write `Attr-26.9.1`.
fn numbered(name: &str) -> Cow<'_, str> {
    let old = name.strip_prefix("Vendor-").and_then(|rest| rest.split_once("-Attr-"));
    old.map_or(Cow::Borrowed(name), |(vendor, attribute)| Cow::Owned(format!("Attr-26.{vendor}.{attribute}")))
}

fn octets(
    name: &str,
    attribute: &Attribute,
    subject: Subject,
    text: &str,
    dictionary: &Dictionary,
) -> Result<Vec<u8>, forewarn_dict::ValueError> {
    if subject == Subject::TimeOfDay {
        // As seconds; what isn't a time of day is midnight, as in FreeRADIUS.
        let mut parts = text.trim().split(':').map(|part| part.parse::<u32>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        let seconds = next().saturating_mul(3600) + next().saturating_mul(60) + next();
        return Ok(seconds.to_be_bytes().to_vec());
    }
    // An attribute that is named by its number has its octets in hexadecimal, whatever its type.
    let is_numbered = numbered(name).get(..5).is_some_and(|start| start.eq_ignore_ascii_case("attr-"));
    if is_numbered && text.starts_with("0x") && attribute.data_type() == DataType::Text {
        let digits = text.as_bytes()[2..].chunks(2);
        let octets = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        if let Some(octets) = octets.collect() {
            return Ok(octets);
        }
    }
    value::read(attribute, text, dictionary)
}

fn expansion(
    item: &mut Item,
    attribute: &Attribute,
    text: &str,
    is_check: bool,
    dictionary: &Dictionary,
) -> Result<(), Problem> {
    let data_type = attribute.data_type();
    let is_of_use = match is_check {
        true => data_type == DataType::Text && item.subject == Subject::Request && !item.operator.is_regex(),
        false => !attribute.is_internal() && expand::is_encodable(data_type) && is_plain(&item.place),
    };
    if !is_of_use || attribute.flags().encrypt.is_some() {
        let what = format!("{} can't have a value in backquotes here", attribute.name());
        return Err(Problem::leaving_out(what, "a plain value"));
    }
    let read = Expansion::read(text, dictionary).map_err(|part| {
        let what = format!("{part:?} isn't understood in backquotes");
        Problem::leaving_out(what, "%{Attribute-Name} of the request, or a policy instead")
    })?;
    item.value = ItemValue::Expansion(read);
    Ok(())
}

/// A standard attribute or one directly in a vendor's space.
fn is_plain(place: &Place) -> bool {
    matches!(place.numbers(), (_, [_])) && place.is_standard_format()
}

/// How the value stands in a packet. `None`: it isn't sent.
fn wire(
    attribute: &Attribute,
    tag: Option<u8>,
    octets: &[u8],
    dictionary: &Dictionary,
) -> Result<Option<ReplyAttribute>, Problem> {
    // An empty text isn't sent (RFC 2865 section 5), and these two are the server's to write.
    let (vendor, numbers) = (attribute.path().vendor(), &attribute.path().numbers);
    let is_own = vendor == 0
        && matches!(**numbers, [only] if [number::MESSAGE_AUTHENTICATOR, number::PROXY_STATE]
            .contains(&(only as u8)));
    if is_own
        || octets.is_empty() && matches!(attribute.data_type(), DataType::Text | DataType::Octets { .. })
    {
        return Ok(None);
    }
    let pair = match dictionary.pair_of_octets(attribute, tag, octets.to_vec()) {
        // FreeRADIUS cuts texts to what fits.
        Err(PairError::TooLong { room, .. }) if attribute.data_type() == DataType::Text => {
            let room = room - usize::from(tag.is_some());
            dictionary.pair_of_octets(attribute, tag, octets[..room.min(octets.len())].to_vec())
        }
        pair => pair,
    };
    let pair = pair.map_err(|error| Problem { effect: RowEffect::LeftOut, ..error.into() })?;
    let value = reply_value(&pair).map_err(|wrong| Problem::leaving_out(wrong.what, wrong.hint))?;
    Ok(Some(ReplyAttribute { name: attribute.name().into(), vendor, numbers: numbers.to_vec(), value }))
}

/// The regular expression of `=~` and `!~`. For what isn't a text FreeRADIUS prints both sides.
fn pattern(attribute: &Attribute, octets: &[u8], dictionary: &Dictionary) -> Result<ItemValue, Problem> {
    let data_type = attribute.data_type();
    let source = match data_type {
        DataType::Text => String::from_utf8_lossy(octets).into_owned(),
        _ if data_type.is_number() => {
            let number = value::unsigned(octets);
            dictionary.value_name(attribute, number).map_or_else(|| number.to_string(), str::to_owned)
        }
        _ => {
            let mut printed = String::new();
            let _ = value::print(data_type, octets, &mut printed);
            printed
        }
    };
    let pattern = compile(&source).map_err(|error| {
        let text = error.to_string();
        let what = format!("never matches: {}", text.lines().last().unwrap_or_default());
        Problem::leaving_out(what, "a regular expression without look-around and back references")
    })?;
    if !data_type.is_number() {
        return Ok(ItemValue::Pattern(pattern));
    }
    let named = dictionary.values(attribute);
    let named = named.map(|(number, name)| (number, pattern.is_match(name.as_bytes()))).collect();
    Ok(ItemValue::NumberPattern(pattern, named))
}

fn compile(source: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(source).unicode(false).size_limit(PATTERN_MAX).build()
}
