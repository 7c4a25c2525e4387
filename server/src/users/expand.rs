//! Values in backquotes: texts in which `%{Attribute-Name}` stands for what the request has.

use std::fmt;

use forewarn_dict::{DataType, Dictionary};
use forewarn_wire::{MAX_VALUE, Packet, number};

use super::place::Place;
use super::value;

/// A text with places to fill in.
#[derive(Debug, Clone)]
pub(super) struct Expansion(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Literal(Vec<u8>),
    /// The first value of the attribute, or else the other text.
    Attribute {
        place: Place,
        names: Vec<(u64, Box<str>)>,
        or: Vec<u8>,
    },
}

impl Expansion {
    /// Reads `Hello %{User-Name}`; also `%{request:User-Name}`, `%{%{User-Name}:-nobody}` and `%%`.
    ///
    /// # Errors
    /// The part of it that isn't understood.
    pub(super) fn read(text: &str, dictionary: &Dictionary) -> Result<Expansion, String> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(behind) = rest.strip_prefix("%%") {
                literal.push('%');
                rest = behind;
                continue;
            }
            let inside = braced(rest).ok_or_else(|| rest.to_owned())?;
            rest = &rest[inside.len() + 3..];
            let (name, or) = match inside.strip_prefix("%{") {
                None => (inside, ""),
                Some(_) => {
                    let name = braced(inside).ok_or_else(|| inside.to_owned())?;
                    let or = inside[name.len() + 3..].strip_prefix(":-").ok_or_else(|| inside.to_owned())?;
                    (name, or)
                }
            };
            let place = attribute(name, dictionary).filter(|_| !or.contains('%'));
            let (place, names) = place.ok_or_else(|| inside.to_owned())?;
            parts.push(Part::Literal(value::unescape(std::mem::take(&mut literal).as_bytes())));
            parts.push(Part::Attribute { place, names, or: value::unescape(or.as_bytes()) });
        }
        literal.push_str(rest);
        parts.push(Part::Literal(value::unescape(literal.as_bytes())));
        Ok(Expansion(parts))
    }

    /// Fills it in, for as many octets as an attribute has room for.
    pub(super) fn fill(&self, request: &Packet<'_>, out: &mut Filled) {
        out.0.clear();
        for part in &self.0 {
            match part {
                Part::Literal(octets) => out.push(octets),
                Part::Attribute { place, names, or } => {
                    let found = place.any(request, |(_, octets)| {
                        show(place.data_type, names, octets, out);
                        true
                    });
                    if !found {
                        out.push(or);
                    }
                }
            }
        }
    }
}

/// `%{` up to the brace that closes it.
fn braced(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("%{")?;
    let mut depth = 1;
    let end = inside.bytes().position(|octet| {
        depth += match octet {
            b'{' => 1,
            b'}' => -1,
            _ => 0,
        };
        depth == 0
    })?;
    Some(&inside[..end])
}

/// What the numbers of an attribute are called.
type Names = Vec<(u64, Box<str>)>;

/// Passwords stay where they are; everything else of a request may be shown.
fn attribute(name: &str, dictionary: &Dictionary) -> Option<(Place, Names)> {
    let name = name.strip_prefix("request:").unwrap_or(name);
    let (attribute, _) = dictionary.named(name).ok()?;
    let place = Place::new(&attribute, dictionary);
    let shown = !attribute.is_internal() && place.standard() != Some(number::USER_PASSWORD);
    let names = dictionary.values(&attribute).map(|(number, name)| (number, name.into())).collect();
    shown.then_some((place, names))
}

fn show(data_type: DataType, names: &[(u64, Box<str>)], octets: &[u8], out: &mut Filled) {
    if data_type == DataType::Text {
        return out.push(octets);
    }
    let named = data_type.is_number().then(|| {
        let number = value::unsigned(octets);
        names.iter().find(|(known, _)| *known == number)
    });
    match named.flatten() {
        Some((_, name)) => out.push(name.as_bytes()),
        None => {
            let _ = value::print(data_type, octets, out);
        }
    }
}

/// What came of it, in a buffer that is used again.
#[derive(Debug, Default, Clone)]
pub(super) struct Filled(pub Vec<u8>);

impl Filled {
    fn push(&mut self, octets: &[u8]) {
        let room = MAX_VALUE.saturating_sub(self.0.len());
        self.0.extend_from_slice(&octets[..octets.len().min(room)]);
    }
}

impl fmt::Write for Filled {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// The octets of a filled text for an attribute of this type. `None`: it is no such value.
pub(super) fn encode(data_type: DataType, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if matches!(data_type, DataType::Text | DataType::Octets { exactly: None }) {
        out.extend_from_slice(text);
        return (!text.is_empty()).then_some(());
    }
    let text = std::str::from_utf8(text).ok()?.trim();
    match data_type {
        DataType::Integer | DataType::Date if text.is_empty() => out.extend([0; 4]),
        DataType::Integer | DataType::Date => out.extend(text.parse::<u32>().ok()?.to_be_bytes()),
        DataType::Ipv4Address => out.extend(text.parse::<std::net::Ipv4Addr>().ok()?.octets()),
        DataType::Ipv6Address => out.extend(text.parse::<std::net::Ipv6Addr>().ok()?.octets()),
        _ => return None,
    }
    Some(())
}

/// Whether [`encode`] can do it.
pub(super) fn is_encodable(data_type: DataType) -> bool {
    use DataType::{Date, Integer, Ipv4Address, Ipv6Address, Octets, Text};
    matches!(data_type, Text | Octets { exactly: None } | Integer | Date | Ipv4Address | Ipv6Address)
}
