//! Texts and numbers of a configuration, made octets.

use thiserror::Error;

use crate::attribute::{Attribute, DataType};
use crate::dictionary::Dictionary;

mod address;
mod time;

/// A value as a configuration gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `"VLAN"`, `"10.0.0.1"`, `"0x0102"`.
    Text(&'a str),
    /// `3600`.
    Number(i64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// A value that the attribute can't have. Shown as what is wrong and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}; {hint}")]
pub struct ValueError {
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub hint: String,
}

impl ValueError {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }
}

impl Dictionary {
    /// The octets of a value: without type, length or tag, and not yet hidden where the attribute's flags say so.
    ///
    /// # Errors
    /// When the value isn't one of the attribute's type, with what would be.
    pub fn encode_value(&self, attribute: &Attribute, value: Value<'_>) -> Result<Vec<u8>, ValueError> {
        let written;
        let text = match value {
            Value::Text(text) => text,
            Value::Number(number) if takes_numbers(attribute.data_type()) => {
                written = number.to_string();
                &written
            }
            Value::Number(number) => {
                let what = format!("{number} is no {}", attribute.data_type());
                return Err(ValueError::new(what, example(attribute.data_type())));
            }
        };
        let data_type = attribute.data_type();
        let wrong = || ValueError::new(format!("{text:?} is no {data_type}"), example(data_type));
        match data_type {
            DataType::Text => text_octets(text),
            DataType::Octets { exactly } => octets(text, exactly),
            DataType::Byte => self.integer(attribute, text, 1),
            DataType::Short => self.integer(attribute, text, 2),
            DataType::Integer => self.integer(attribute, text, 4),
            DataType::Integer64 => self.integer(attribute, text, 8),
            DataType::Signed => self.signed(attribute, text),
            DataType::Date => {
                time::date(text).map(|seconds| seconds.to_be_bytes().to_vec()).ok_or_else(wrong)
            }
            DataType::Ipv4Address => {
                text.parse().map(|a: std::net::Ipv4Addr| a.octets().to_vec()).map_err(|_| wrong())
            }
            DataType::Ipv6Address => {
                text.parse().map(|a: std::net::Ipv6Addr| a.octets().to_vec()).map_err(|_| wrong())
            }
            DataType::IpAddress => address::any(text).ok_or_else(wrong),
            DataType::Ipv4Prefix => address::ipv4_prefix(text).ok_or_else(wrong),
            DataType::Ipv6Prefix => address::ipv6_prefix(text).ok_or_else(wrong),
            DataType::InterfaceId => address::interface_id(text).ok_or_else(wrong),
            DataType::Ethernet => address::ethernet(text).ok_or_else(wrong),
            DataType::AscendFilter => hexadecimal(text).filter(|octets| !octets.is_empty()).ok_or_else(wrong),
            DataType::Tlv | DataType::VendorSpecific => hexadecimal(text).ok_or_else(wrong),
            DataType::Extended | DataType::LongExtended | DataType::ExtendedVendorSpecific => Err(wrong()),
        }
    }

    fn integer(&self, attribute: &Attribute, text: &str, octets: usize) -> Result<Vec<u8>, ValueError> {
        let bits = 8 * octets as u32;
        // A tag takes the first octet (RFC 2868 3.1).
        let bits = if attribute.flags().tag { bits - 8 } else { bits };
        let max = u64::MAX >> (64 - bits);
        match self.value_number(attribute, text).or_else(|| crate::syntax::number(text)) {
            Some(number) if number <= max => Ok(number.to_be_bytes()[8 - octets..].to_vec()),
            Some(number) => Err(ValueError::new(
                format!("{number} is too large for {}", attribute.name()),
                format!("give 0 to {max}"),
            )),
            None => Err(self.no_such_value(attribute, text)),
        }
    }

    fn signed(&self, attribute: &Attribute, text: &str) -> Result<Vec<u8>, ValueError> {
        if let Some(number) = self.value_number(attribute, text) {
            return Ok(number.to_be_bytes()[4..].to_vec());
        }
        match text.parse::<i32>() {
            Ok(number) => Ok(number.to_be_bytes().to_vec()),
            Err(_) => Err(self.no_such_value(attribute, text)),
        }
    }

    fn no_such_value(&self, attribute: &Attribute, text: &str) -> ValueError {
        let name = attribute.name();
        let hint = match self.suggest_value(attribute, text) {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => match self.values(attribute).count() {
                0 => format!("give a number ({})", attribute.data_type()),
                1..=VALUES_SHOWN => {
                    let names: Vec<&str> = self.values(attribute).map(|(_, name)| name).collect();
                    format!("give a number or one of {}", names.join(", "))
                }
                _ => "give a number or one of the names its dictionary has".to_owned(),
            },
        };
        ValueError::new(format!("{text:?} is no value of {name}"), hint)
    }
}

fn takes_numbers(data_type: DataType) -> bool {
    data_type.is_number() || data_type == DataType::Text
}

fn text_octets(text: &str) -> Result<Vec<u8>, ValueError> {
    if text.is_empty() {
        // RFC 2865 5: text of zero length must not be sent; the attribute is left out instead.
        return Err(ValueError::new("an empty text", "leave the attribute out"));
    }
    if text.len() > VALUE_OCTETS_MAX {
        let what = format!("a text of {} octets", text.len());
        return Err(ValueError::new(what, format!("at most {VALUE_OCTETS_MAX} fit into a packet")));
    }
    Ok(text.as_bytes().to_vec())
}

/// With `0x` hexadecimal; anything else stands for its own octets, as in FreeRADIUS.
fn octets(text: &str, exactly: Option<u16>) -> Result<Vec<u8>, ValueError> {
    let octets = if text.starts_with("0x") || text.starts_with("0X") {
        hexadecimal(text).ok_or_else(|| {
            let what = format!("{text:?} is no hexadecimal number");
            ValueError::new(what, "write 0x and an even number of digits, 0-9 a-f")
        })?
    } else {
        text.as_bytes().to_vec()
    };
    match exactly {
        Some(length) if octets.len() != usize::from(length) => {
            let what = format!("a value of {} octets", octets.len());
            Err(ValueError::new(what, format!("give exactly {length}")))
        }
        None if octets.len() > VALUE_OCTETS_MAX => {
            let what = format!("a value of {} octets", octets.len());
            Err(ValueError::new(what, format!("at most {VALUE_OCTETS_MAX} fit into a packet")))
        }
        _ => Ok(octets),
    }
}

/// `0x0102`: whole octets. None when it isn't, or when it is longer than a packet.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?.as_bytes();
    if digits.len() % 2 != 0 || digits.len() / 2 > VALUE_OCTETS_MAX {
        return None;
    }
    let digit = |octet: u8| char::from(octet).to_digit(16).map(|digit| digit as u8);
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// What a value of the type looks like.
fn example(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Text => "write a text",
        DataType::Octets { .. } => "write 0x0102... or a text",
        DataType::Byte | DataType::Short | DataType::Integer | DataType::Integer64 | DataType::Signed => {
            "write a number"
        }
        DataType::Date => "write seconds since 1970, or 2026-03-01T12:00:00Z",
        DataType::Ipv4Address => "write an address such as 192.0.2.1",
        DataType::Ipv6Address => "write an address such as 2001:db8::1",
        DataType::IpAddress => "write an address such as 192.0.2.1 or 2001:db8::1",
        DataType::Ipv4Prefix => "write a prefix such as 192.0.2.0/24",
        DataType::Ipv6Prefix => "write a prefix such as 2001:db8::/64",
        DataType::InterfaceId => "write four groups such as 0:0:a:1f",
        DataType::Ethernet => "write six octets such as 00:1b:2c:3d:4e:5f",
        DataType::AscendFilter => "write the filter's octets as 0x...",
        DataType::Tlv | DataType::VendorSpecific => {
            "name an attribute inside it, or write its octets as 0x..."
        }
        DataType::Extended | DataType::LongExtended | DataType::ExtendedVendorSpecific => {
            "name an attribute inside it"
        }
    }
}

/// What fits into a packet of 4096 octets, header and attribute heads left out.
const VALUE_OCTETS_MAX: usize = 4000;
/// Named values shown in an error, at most.
const VALUES_SHOWN: usize = 12;

#[cfg(test)]
pub(crate) mod tests;
