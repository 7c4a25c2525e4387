//! An answer's attributes, for people.

use forewarn_dict::{Attribute, Carrier, Dictionary};
use forewarn_wire::attribute::VendorSpecific;
use forewarn_wire::{Packet, VendorFormat, number};
use serde::Serialize;

/// One attribute of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replied {
    /// The dictionary's name, with its tag; `Attr-26.9.1` where it has none.
    pub name: String,
    /// The value, or `<hidden>`.
    pub value: String,
    /// Who put it there: `user`, `server`, or the policy's name.
    pub by: String,
}

/// Says of each attribute who put it there. Of a name's values the policies' come last.
pub(super) fn attributed(replies: &mut [Replied], set_by: &[(String, String)]) {
    let mut left: Vec<&(String, String)> = set_by.iter().collect();
    for reply in replies.iter_mut().rev() {
        let name = reply.name.split(':').next().unwrap_or_default();
        if let Some(at) = left.iter().rposition(|(set, _)| set == name) {
            reply.by.clone_from(&left.remove(at).1);
        } else if OWN.contains(&name) {
            reply.by = "server".into();
        }
    }
}

/// Unless somebody else has.
const BY_USER: &str = "user";

/// What MS-CHAP makes (RFC 2548 sections 2.1 to 2.4).
const OWN: [&str; 8] = [
    "MS-CHAP-Error",
    "MS-CHAP2-Success",
    "MS-CHAP-MPPE-Keys",
    "MS-MPPE-Send-Key",
    "MS-MPPE-Recv-Key",
    "MS-MPPE-Encryption-Policy",
    "MS-MPPE-Encryption-Types",
    "EAP-Message",
];

/// The attributes of a packet, but for those of the protocol itself.
pub(super) fn described(dictionary: &Dictionary, packet: &Packet<'_>) -> Vec<Replied> {
    let mut all = Vec::new();
    for attribute in packet.attributes() {
        let wide = u32::from(attribute.number);
        match attribute.number {
            number::MESSAGE_AUTHENTICATOR | number::PROXY_STATE => {}
            number::VENDOR_SPECIFIC => match attribute.vendor() {
                Some(inside) => vendors(dictionary, inside, &mut all),
                None => all.push(one(dictionary, Carrier::Standard, &[wide], attribute.value)),
            },
            number::EXTENDED_1..=number::EXTENDED_6 => match attribute.extended() {
                Some(inside) => {
                    let numbers = [wide, u32::from(inside.extended_type)];
                    all.push(one(dictionary, Carrier::Standard, &numbers, inside.data));
                }
                None => all.push(one(dictionary, Carrier::Standard, &[wide], attribute.value)),
            },
            _ => all.push(one(dictionary, Carrier::Standard, &[wide], attribute.value)),
        }
    }
    all
}

fn vendors(dictionary: &Dictionary, inside: VendorSpecific<'_>, all: &mut Vec<Replied>) {
    let format = dictionary.vendor_format(inside.vendor);
    let format = VendorFormat::new(format.type_octets, format.length_octets, format.continuation);
    match inside.attributes(format.unwrap_or_default()) {
        Some(attributes) => all.extend(attributes.map(|attribute| {
            one(dictionary, Carrier::Vendor(inside.vendor), &[attribute.number], attribute.value)
        })),
        None => {
            let value = format!("{} octets of vendor {}", inside.data.len(), inside.vendor);
            all.push(Replied { name: "Vendor-Specific".into(), value, by: BY_USER.into() });
        }
    }
}

fn one(dictionary: &Dictionary, carrier: Carrier, numbers: &[u32], value: &[u8]) -> Replied {
    let Some(attribute) = dictionary.attribute_at(carrier, numbers) else {
        let vendor = match carrier {
            Carrier::Vendor(vendor) => format!("26.{vendor}."),
            _ => String::new(),
        };
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let value = value.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        let name = format!("Attr-{vendor}{}", numbers.join("."));
        return Replied { name, value: format!("0x{value}"), by: BY_USER.into() };
    };
    let (tag, value) = untagged(attribute, value);
    let name = match tag {
        Some(tag) => format!("{}:{tag}", attribute.name()),
        None => attribute.name().to_owned(),
    };
    Replied { name, value: dictionary.display(attribute, &value), by: BY_USER.into() }
}

/// RFC 2868 section 3.1: tag 0 is none.
fn untagged(attribute: &Attribute, value: &[u8]) -> (Option<u8>, Vec<u8>) {
    match value.split_first() {
        Some((tag, rest)) if attribute.flags().tag && *tag <= 0x1f => {
            let tag = Some(*tag).filter(|tag| *tag != 0);
            let is_integer = attribute.data_type() == forewarn_dict::DataType::Integer;
            (tag, if is_integer { [&[0], rest].concat() } else { rest.to_vec() })
        }
        _ => (None, value.to_vec()),
    }
}
