//! Values: from a row's text to octets, in which order two of them stand, and how they are printed.

use std::cmp::Ordering;
use std::net::{Ipv4Addr, Ipv6Addr};

use forewarn_dict::{Attribute, DataType, Dictionary, Value, ValueError};

use super::clock;

/// A row's value without its quotes, and whether it is one to be expanded per request (in backquotes).
pub(super) fn unquote(value: &str) -> (bool, &str) {
    let octets = value.as_bytes();
    let quoted = match octets {
        [first @ (b'"' | b'\'' | b'`'), .., last] => first == last,
        _ => false,
    };
    if !quoted {
        return (false, value);
    }
    if octets[0] == b'`' {
        return (true, &value[1..value.len() - 1]);
    }
    // As FreeRADIUS reads it: up to the first quotation mark that isn't escaped.
    let mut escaped = false;
    let end = value[1..].bytes().position(|octet| {
        let ends = octet == octets[0] && !escaped;
        escaped = octet == b'\\' && !escaped;
        ends
    });
    (false, end.map_or(value, |end| &value[1..=end]))
}

/// Takes the escapes out of a text: `\n`, `\r`, `\t`, `\"`, `\\` and `\101`. Other backslashes stand for themselves.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        let (octet, taken) = match (first, behind) {
            (b'\\', [b'n', ..]) => (b'\n', 1),
            (b'\\', [b'r', ..]) => (b'\r', 1),
            (b'\\', [b't', ..]) => (b'\t', 1),
            (b'\\', [mark @ (b'"' | b'\\'), ..]) => (*mark, 1),
            (b'\\', [high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', ..]) => {
                ((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'), 3)
            }
            _ => (first, 0),
        };
        octets.push(octet);
        rest = &rest[taken..];
    }
    octets
}

/// The octets of a value, as FreeRADIUS reads it from a row.
///
/// # Errors
/// It isn't one of the attribute's.
pub(super) fn read(
    attribute: &Attribute,
    text: &str,
    dictionary: &Dictionary,
) -> Result<Vec<u8>, ValueError> {
    let bare = text.trim();
    let number = |octets: usize| {
        if bare.is_empty() {
            return Ok(vec![0; octets]);
        }
        // Numbers beyond the type wrap around, names come first.
        let known = dictionary.value_number(attribute, bare).is_some();
        match (!known).then(|| wrapped(bare)).flatten() {
            Some(number) => Ok(number.to_be_bytes()[8 - octets..].to_vec()),
            None => dictionary.encode_value(attribute, Value::Text(bare)),
        }
    };
    match attribute.data_type() {
        DataType::Text => Ok(unescape(text.as_bytes())),
        DataType::Octets { exactly: None } if text.is_empty() => Ok(Vec::new()),
        DataType::Octets { .. } => dictionary.encode_value(attribute, Value::Text(text)),
        DataType::Byte => number(1),
        DataType::Short => number(2),
        DataType::Integer => number(4),
        DataType::Integer64 => number(8),
        DataType::Date => date(attribute, bare, dictionary),
        DataType::Ipv4Address => match bare.parse() {
            Ok(number) => Ok(u32::to_be_bytes(number).to_vec()),
            Err(_) => {
                let address = bare.strip_suffix("/32").unwrap_or(bare);
                dictionary.encode_value(attribute, Value::Text(address))
            }
        },
        DataType::Ipv6Address => {
            let address = bare.strip_suffix("/128").unwrap_or(bare);
            dictionary.encode_value(attribute, Value::Text(address))
        }
        _ => dictionary.encode_value(attribute, Value::Text(bare)),
    }
}

fn wrapped(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix('-') {
        return digits.parse::<u64>().ok().map(u64::wrapping_neg);
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok();
    }
    text.parse().ok()
}

/// Dates by name, in the order of either side of the Atlantic; without a zone they are local.
fn date(attribute: &Attribute, text: &str, dictionary: &Dictionary) -> Result<Vec<u8>, ValueError> {
    if text.is_empty() {
        return Ok(vec![0; 4]);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let named = words.iter().take(2).position(|word| word.starts_with(|first: char| first.is_alphabetic()));
    let ([first, second, year, rest @ ..], Some(named)) = (&*words, named) else {
        return dictionary.encode_value(attribute, Value::Text(text));
    };
    let (month, day) = if named == 0 { (first, second) } else { (second, first) };
    let month = month.get(..3).unwrap_or(month);
    let time = rest.first().filter(|word| word.contains(':')).unwrap_or(&"00:00:00");
    let written = format!("{month} {} {} {time}", day.trim_end_matches(','), year.trim_end_matches(','));
    let octets = dictionary.encode_value(attribute, Value::Text(&written))?;
    let is_utc = rest.last().is_some_and(|zone| matches!(*zone, "UTC" | "GMT" | "Z"));
    match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(seconds) if !is_utc => {
            let utc = i64::from(u32::from_be_bytes(seconds));
            // The offset at that hour, but for the hour in which it changes.
            let utc = utc - clock::offset(utc as u64);
            Ok(u32::try_from(utc).unwrap_or(0).to_be_bytes().to_vec())
        }
        _ => Ok(octets),
    }
}

/// How `value` stands to `item`. `None`: these two can't be compared.
///
/// Numbers of 32 bits and IPv4 addresses are compared by the sign of their difference in 32 bits, as FreeRADIUS does:
/// right as long as they are less than half the range apart.
pub(super) fn order(data_type: DataType, value: &[u8], item: &[u8]) -> Option<Ordering> {
    match data_type {
        DataType::Text => Some(value.cmp(item)),
        DataType::Byte | DataType::Short | DataType::Integer64 => Some(unsigned(value).cmp(&unsigned(item))),
        DataType::Integer | DataType::Date | DataType::Ipv4Address => {
            let difference = (unsigned(value) as u32).wrapping_sub(unsigned(item) as u32);
            Some((difference as i32).cmp(&0))
        }
        DataType::Signed => Some((unsigned(value) as i32).cmp(&(unsigned(item) as i32))),
        DataType::Ipv4Prefix | DataType::Ipv6Prefix => prefix_order(value, item),
        _ if value.len() != item.len() => Some(Ordering::Greater),
        _ => Some(value.cmp(item)),
    }
}

/// What lies within another is less; what lies beside it can't be compared, and nothing holds of the two.
fn prefix_order(value: &[u8], item: &[u8]) -> Option<Ordering> {
    let ([_, value_bits, value @ ..], [_, item_bits, item @ ..]) = (value, item) else { return None };
    let shared = usize::from(*value_bits.min(item_bits));
    let bit =
        |octets: &[u8], bit: usize| octets.get(bit / 8).is_some_and(|octet| octet & 0x80 >> (bit % 8) != 0);
    let is_same = (0..shared).all(|at| bit(value, at) == bit(item, at));
    is_same.then(|| item_bits.cmp(value_bits))
}

pub(super) fn unsigned(octets: &[u8]) -> u64 {
    octets.iter().take(8).fold(0, |number, octet| number << 8 | u64::from(*octet))
}

/// Octets of the longest print: an attribute's value in hexadecimal.
pub(super) const PRINT_MAX: usize = 2 + 2 * forewarn_wire::MAX_VALUE;

/// Prints a value as FreeRADIUS does for regular expressions and expansions; names of numbers are the caller's.
pub(super) fn print(data_type: DataType, octets: &[u8], out: &mut impl std::fmt::Write) -> std::fmt::Result {
    match (data_type, octets) {
        (DataType::Byte | DataType::Short | DataType::Integer | DataType::Integer64, _) => {
            write!(out, "{}", unsigned(octets))
        }
        (DataType::Signed, _) => write!(out, "{}", unsigned(octets) as i32),
        (DataType::Date, _) => write!(out, "{}", unsigned(octets)),
        (DataType::Ipv4Address | DataType::IpAddress, [a, b, c, d]) => {
            write!(out, "{}", Ipv4Addr::new(*a, *b, *c, *d))
        }
        (DataType::Ipv6Address | DataType::IpAddress, _) if octets.len() == 16 => {
            let octets = <[u8; 16]>::try_from(octets).unwrap_or_default();
            write!(out, "{}", Ipv6Addr::from(octets))
        }
        (DataType::Ipv4Prefix, [_, bits, a, b, c, d]) => {
            write!(out, "{}/{bits}", Ipv4Addr::new(*a, *b, *c, *d))
        }
        (DataType::Ipv6Prefix, [_, bits, rest @ ..]) if rest.len() <= 16 => {
            let mut all = [0; 16];
            all[..rest.len()].copy_from_slice(rest);
            write!(out, "{}/{bits}", Ipv6Addr::from(all))
        }
        (DataType::Ethernet, _) => separated(octets, 1, out),
        (DataType::InterfaceId, _) => separated(octets, 2, out),
        _ => {
            out.write_str("0x")?;
            octets.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
        }
    }
}

fn separated(octets: &[u8], group: usize, out: &mut impl std::fmt::Write) -> std::fmt::Result {
    for (at, part) in octets.chunks(group).enumerate() {
        let colon = if at == 0 { "" } else { ":" };
        match group {
            1 => write!(out, "{colon}{:02x}", part[0])?,
            _ => write!(out, "{colon}{:x}", unsigned(part))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
