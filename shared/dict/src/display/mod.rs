//! Octets of a value, for people.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::attribute::{Attribute, DataType};
use crate::dictionary::Dictionary;

impl Dictionary {
    /// A value as people write it: `VLAN`, `192.0.2.1`, `"a text"`, `0x0102`. One line of printable characters
    /// whatever the octets are: controls, line separators and direction marks of texts come escaped. Octets that
    /// aren't of the attribute's type come in hexadecimal.
    pub fn display(&self, attribute: &Attribute, value: &[u8]) -> String {
        if attribute.flags().secret || attribute.flags().encrypt.is_some() {
            return "<hidden>".to_owned();
        }
        self.known(attribute, value).unwrap_or_else(|| hexadecimal(value))
    }

    fn known(&self, attribute: &Attribute, value: &[u8]) -> Option<String> {
        match attribute.data_type() {
            DataType::Text => Some(text(value)),
            DataType::Byte | DataType::Short | DataType::Integer | DataType::Integer64 => {
                let number = unsigned(attribute.data_type(), value)?;
                Some(self.value_name(attribute, number).map_or_else(|| number.to_string(), str::to_owned))
            }
            DataType::Signed => Some(i32::from_be_bytes(value.try_into().ok()?).to_string()),
            DataType::Date => Some(u32::from_be_bytes(value.try_into().ok()?).to_string()),
            DataType::Ipv4Address if value.len() == 4 => address(value),
            DataType::Ipv6Address if value.len() == 16 => address(value),
            DataType::IpAddress => address(value),
            DataType::Ipv4Prefix => {
                let [_, length @ ..=32, octets @ ..] = value else { return None };
                let octets: [u8; 4] = octets.try_into().ok()?;
                Some(format!("{}/{length}", Ipv4Addr::from(octets)))
            }
            DataType::Ipv6Prefix => {
                let [_, length @ ..=128, octets @ ..] = value else { return None };
                let mut all = [0; 16];
                all.get_mut(..octets.len())?.copy_from_slice(octets);
                Some(format!("{}/{length}", Ipv6Addr::from(all)))
            }
            DataType::InterfaceId => {
                let octets: [u8; 8] = value.try_into().ok()?;
                let groups = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                Some(groups.map(|group| format!("{group:x}")).collect::<Vec<_>>().join(":"))
            }
            DataType::Ethernet => {
                let octets: [u8; 6] = value.try_into().ok()?;
                Some(octets.map(|octet| format!("{octet:02x}")).join(":"))
            }
            _ => None,
        }
    }
}

fn unsigned(data_type: DataType, value: &[u8]) -> Option<u64> {
    let octets = match data_type {
        DataType::Byte => 1,
        DataType::Short => 2,
        DataType::Integer => 4,
        _ => 8,
    };
    (value.len() == octets).then(|| value.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

fn address(value: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(octets).to_string());
    }
    <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).to_string())
}

fn hexadecimal(value: &[u8]) -> String {
    let mut shown = String::from("0x");
    for octet in value {
        let _ = write!(shown, "{octet:02x}");
    }
    shown
}

/// Quoted; what isn't UTF-8 comes octet by octet.
fn text(value: &[u8]) -> String {
    let mut shown = String::from("\"");
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => shown.extend(['\\', character]),
                '\n' => shown.push_str("\\n"),
                '\r' => shown.push_str("\\r"),
                '\t' => shown.push_str("\\t"),
                _ if character.is_control() || moves_text(character) => {
                    let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
                }
                _ => shown.push(character),
            }
        }
        for octet in chunk.invalid() {
            let _ = write!(shown, "\\x{octet:02x}");
        }
    }
    shown.push('"');
    shown
}

/// Invisible characters that turn a line's direction, break it, or hide in it.
fn moves_text(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests;
