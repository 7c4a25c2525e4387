//! The numbers that the packet codec has built in, held against the dictionaries.

use std::path::Path;

use forewarn_dict::{Attribute, Dictionary, Encrypt};
use forewarn_wire::forward::{self, Leg};
use forewarn_wire::hide::{ascend_secret, salted, user_password};
use forewarn_wire::{Code, MessageAuthenticatorRule, Packet, RadiusKey, Writer};

/// `pub const USER_NAME: u8 = 1;` is User-Name.
#[test]
fn the_codecs_numbers_are_the_dictionarys() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/wire/src/number.rs");
    let text = std::fs::read_to_string(source).unwrap();
    let mut compared = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("pub const ")) {
        let (name, number) = line.split_once(": u8 = ").unwrap();
        let number: u32 = number.trim_end_matches(';').parse().unwrap();
        let name = match name.strip_prefix("EXTENDED_") {
            Some(rest) => format!("Extended-Attribute-{rest}"),
            None => name.replace('_', "-"),
        };
        let attribute = Dictionary::embedded().attribute(&name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(attribute.path().numbers[..], [number], "{name}");
        compared += 1;
    }
    assert!(compared > 60, "{compared}");
}

const OLD: [u8; 16] = [0x11; 16];
const NEW: [u8; 16] = [0x22; 16];

/// What is to be hidden, and how long the hiding leaves it.
fn clear(attribute: &Attribute) -> Vec<u8> {
    match attribute.flags().encrypt {
        Some(Encrypt::AscendSecret) => vec![b's'; 16],
        _ => b"a secret of some length".to_vec(),
    }
}

fn hide(attribute: &Attribute, key: &RadiusKey, authenticator: &[u8; 16]) -> Vec<u8> {
    let (value, mut room) = (clear(attribute), [0; 256]);
    match attribute.flags().encrypt.unwrap() {
        Encrypt::UserPassword => user_password::hide(key, authenticator, &value, &mut room).unwrap().to_vec(),
        Encrypt::TunnelPassword => {
            salted::hide(key, authenticator, salted::Salt::new(7), &value, &mut room).unwrap().to_vec()
        }
        Encrypt::AscendSecret => {
            let mut block: [u8; 16] = value.try_into().unwrap();
            ascend_secret(key, authenticator, &mut block);
            block.to_vec()
        }
    }
}

/// A reply with the attribute, hidden for one hop.
fn reply_with<'b>(
    dictionary: &Dictionary,
    attribute: &Attribute,
    key: &RadiusKey,
    authenticator: &[u8; 16],
    room: &'b mut [u8; 4096],
) -> &'b [u8] {
    let pair = dictionary.pair_of_octets(attribute, Some(3), clear(attribute)).unwrap();
    let wire = pair.wire_hidden(&hide(attribute, key, authenticator)).unwrap();
    let mut writer = Writer::new(room, Code::ACCESS_ACCEPT, 1);
    writer.message_authenticator().unwrap();
    writer.attributes(forewarn_wire::Attributes::parse(&wire).unwrap()).unwrap();
    writer.reply(key, authenticator).unwrap()
}

/// A proxy has to know each attribute that is hidden hop by hop: those FreeRADIUS knows, at the least.
#[test]
fn everything_hidden_is_hidden_anew_on_the_next_hop() {
    let theirs =
        Dictionary::load("/usr/share/freeradius/dictionary").expect("freeradius-common is installed");
    let dictionaries = [&theirs, Dictionary::embedded()];
    let (old, new) = (RadiusKey::new(b"old secret").unwrap(), RadiusKey::new(b"new secret").unwrap());
    let mut lost = Vec::new();
    let mut carried = 0;
    for dictionary in dictionaries {
        // Old Ascend equipment has its numbers in the standard space, where they mean nothing today.
        let hidden = |attribute: &&Attribute| {
            attribute.flags().encrypt.is_some() && !attribute.name().starts_with("X-Ascend-")
        };
        for attribute in dictionary.attributes().filter(hidden) {
            let (mut came, mut goes, mut wanted) = ([0; 4096], [0; 4096], [0; 4096]);
            let came = reply_with(dictionary, attribute, &old, &OLD, &mut came);
            let came = Packet::parse(came).unwrap();
            let rule = MessageAuthenticatorRule::Required;
            let came = came.verify_reply(&old, Code::ACCESS_REQUEST, &OLD, rule).unwrap();
            let from = Leg { key: &old, authenticator: &OLD };
            let to = Leg { key: &new, authenticator: &NEW };
            let goes = forward::reply(&came, from, to, 1, None, &mut goes).unwrap();
            if goes == reply_with(dictionary, attribute, &new, &NEW, &mut wanted) {
                carried += 1;
            } else {
                lost.push(format!("{} {}", attribute.path(), attribute.name()));
            }
        }
    }
    assert_eq!(lost, [""; 0]);
    assert!(carried > 80, "{carried}");
}
