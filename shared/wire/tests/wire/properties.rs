//! What holds for every packet and every notice.

use forewarn_wire::attribute::tlvs;
use forewarn_wire::hide::{salted, user_password};
use forewarn_wire::notice::{
    self, Flags, Header, Identity, Kind, MacKind, Notice, NoticeKey, Outcome, Reason, Takes, Tlv,
};
use forewarn_wire::{
    Attribute, Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, VendorFormat, Writer,
    eap, number,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Attributes that may stand in any packet; few enough to fit, without Message-Authenticator.
pub(crate) fn attributes() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let number = any::<u8>()
        .prop_filter("Message-Authenticator is the writer's", |n| *n != number::MESSAGE_AUTHENTICATOR);
    vec((number, vec(any::<u8>(), 0..=253)), 0..15)
}

/// Noise, framed attributes, and frames with a wrong octet: some of each gets far.
pub(crate) fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let framed = (any::<(u8, u8, [u8; 16])>(), attributes(), 0..4usize).prop_map(
        |((code, id, authenticator), list, pad)| {
            let mut bytes = vec![code, id, 0, 0];
            bytes.extend_from_slice(&authenticator);
            for (number, value) in list {
                bytes.extend_from_slice(&[number, value.len() as u8 + 2]);
                bytes.extend_from_slice(&value);
            }
            let length = bytes.len() as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes.resize(bytes.len() + pad, 0);
            bytes
        },
    );
    let framed = framed.boxed();
    let broken =
        (framed.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, octet)| {
            let at = at.index(bytes.len());
            bytes[at] = octet;
            bytes
        });
    prop_oneof![1 => vec(any::<u8>(), 0..200), 3 => framed, 3 => broken]
}

pub(crate) fn secret() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..80)
}

fn format() -> impl Strategy<Value = VendorFormat> {
    (select(vec![1, 2, 4]), select(vec![0, 1, 2]), any::<bool>())
        .prop_map(|(types, lengths, continuation)| VendorFormat::new(types, lengths, continuation).unwrap())
}

/// Looks at every inside of an attribute.
fn look_everywhere(attribute: Attribute<'_>) -> usize {
    let mut seen = attribute.tagged().1.len() + attribute.extended().map_or(0, |e| e.data.len());
    seen += usize::from(attribute.tagged_integer().is_some()) + usize::from(attribute.integer64().is_some());
    seen += attribute.tlvs().into_iter().flatten().filter_map(|tlv| tlv.tlvs()).flatten().count();
    for types in [1, 2, 4] {
        for lengths in [0, 1, 2] {
            for continuation in [false, true] {
                let format = VendorFormat::new(types, lengths, continuation).unwrap();
                let inside = attribute.vendor().and_then(|vendor| vendor.attributes(format));
                seen += inside.into_iter().flatten().map(|v| v.value.len()).sum::<usize>();
            }
        }
    }
    seen
}

proptest! {
    /// No datagram makes any view panic, and no view shows octets that aren't there.
    #[test]
    fn looking_never_panics(bytes in datagram(), rule in select(vec![MessageAuthenticatorRule::Required,
        MessageAuthenticatorRule::Optional, MessageAuthenticatorRule::OptionalUnlessProxyState])) {
        let key = RadiusKey::new(b"testing123testing123").unwrap();
        if let Ok(unverified) = Packet::parse(&bytes) {
            let packet = *unverified.peek();
            let octets: usize = packet.attributes().map(|a| 2 + a.value.len()).sum();
            prop_assert_eq!(20 + octets, packet.bytes().len());
            for attribute in packet.attributes() {
                look_everywhere(attribute);
                for value in packet.extended(attribute.number, attribute.value.first().copied().unwrap_or(0)) {
                    prop_assert_eq!(value.fragments().map(<[u8]>::len).sum::<usize>(), value.octets());
                }
            }
            let mut room = [0; 4096];
            let eap = packet.eap_message().and_then(|message| message.copy_to(&mut room));
            let _ = eap.and_then(eap::Eap::parse);
            let _ = unverified.verify_request(&key, rule);
            let _ = unverified.verify_reply(&key, Code::ACCESS_REQUEST, &[0; 16], rule);
        }
        let _ = Notice::parse(&bytes);
        let _ = eap::Eap::parse(&bytes);
    }

    /// What is written is read back, in order, and verifies; a buffer of less is refused.
    #[test]
    fn written_is_read(secret in secret(), authenticator: [u8; 16], list in attributes(), identifier: u8) {
        let key = RadiusKey::new(&secret).unwrap();
        let mut buffer = [0; 4096];
        let write = |buffer: &mut [u8]| {
            let mut writer = Writer::new(buffer, Code::ACCESS_REQUEST, identifier);
            writer.message_authenticator()?;
            for (number, value) in &list {
                writer.attribute(*number, value)?;
            }
            writer.request(&key, RequestAuthenticator::Chosen(authenticator)).map(<[u8]>::len)
        };
        let length = write(&mut buffer[..]).unwrap();
        let bytes = &buffer[..length];
        let packet = Packet::parse(bytes).unwrap();
        let packet = packet.verify_request(&key, MessageAuthenticatorRule::Required).unwrap();
        prop_assert_eq!(packet.identifier(), identifier);
        prop_assert_eq!(packet.authenticator(), &authenticator);
        let read: Vec<_> = packet.attributes().skip(1).map(|a| (a.number, a.value.to_vec())).collect();
        prop_assert_eq!(read, list.clone());
        let mut small = vec![0; length - 1];
        prop_assert!(write(&mut small[..]).is_err());
    }

    /// A password comes back, unless it ends in zeros, which padding eats.
    #[test]
    fn user_password_comes_back(secret in secret(), authenticator: [u8; 16], mut password in vec(any::<u8>(), 0..=128)) {
        while password.last() == Some(&0) {
            password.pop();
        }
        let key = RadiusKey::new(&secret).unwrap();
        let (mut hidden, mut clear) = ([0; 128], [0; 128]);
        let hidden = user_password::hide(&key, &authenticator, &password, &mut hidden).unwrap();
        prop_assert_eq!(user_password::reveal(&key, &authenticator, hidden, &mut clear).unwrap(), &password[..]);
    }

    /// A salted value comes back whole, zeros and all.
    #[test]
    fn salted_comes_back(secret in secret(), authenticator: [u8; 16], salt: u16, value in vec(any::<u8>(), 0..=239)) {
        let key = RadiusKey::new(&secret).unwrap();
        let (mut hidden, mut clear) = ([0; 242], [0; 240]);
        let hidden = salted::hide(&key, &authenticator, salted::Salt::new(salt), &value, &mut hidden).unwrap();
        prop_assert!(hidden[0] & 0x80 != 0);
        prop_assert_eq!(salted::reveal(&key, &authenticator, hidden, &mut clear).unwrap(), &value[..]);
    }

    /// Every layout of vendor attributes, with and without TLVs inside.
    #[test]
    fn vendors_come_back(format in format(), vendor: u32, number: u8, path in vec(any::<u8>(), 0..3), value in vec(any::<u8>(), 1..200)) {
        let mut buffer = [0; 4096];
        let mut writer = Writer::new(&mut buffer, Code::ACCESS_REQUEST, 0);
        writer.vendor_tlv(vendor, format, number.into(), &path, &value).unwrap();
        let list = forewarn_wire::Attributes::parse(writer.written()).unwrap();
        let attribute = list.into_iter().next().unwrap();
        let specific = attribute.vendor().unwrap();
        prop_assert_eq!(specific.vendor, vendor);
        let inside: Vec<_> = specific.attributes(format).unwrap().collect();
        prop_assert_eq!(inside.len(), 1);
        prop_assert_eq!(inside[0].number, u32::from(number));
        prop_assert!(!inside[0].more);
        let mut rest = inside[0].value;
        for kind in &path {
            let tlv = tlvs(rest).unwrap().next().unwrap();
            prop_assert_eq!(tlv.number, *kind);
            prop_assert_eq!(tlv.value.len() + 2, rest.len());
            rest = tlv.value;
        }
        prop_assert_eq!(rest, &value[..]);
    }

    /// Extended values of any length come back, alone and for vendors.
    #[test]
    fn extended_comes_back(number in 241..=246u8, kind in 0..=25u8, vendor: u32, vendor_type: u8, value in vec(any::<u8>(), 1..1500)) {
        let mut buffer = [0; 4096];
        let mut writer = Writer::new(&mut buffer, Code::ACCESS_REQUEST, 0);
        let fits = number >= 245 || value.len() <= 247;
        prop_assert_eq!(writer.extended(number, kind, &value).is_ok(), number >= 245 || value.len() <= 252);
        prop_assert_eq!(writer.extended_vendor(number, vendor, vendor_type, &value).is_ok(), fits);
        let (written, mut room) = (writer.written().to_vec(), [0; 2000]);
        let values = |kind| {
            forewarn_wire::attribute::ExtendedValues::new(forewarn_wire::Attributes::parse(&written).unwrap(), number, kind)
        };
        if let Some(read) = values(kind).next() {
            prop_assert_eq!(read.octets(), value.len());
            prop_assert_eq!(read.copy_to(&mut room).unwrap(), &value[..]);
        }
        if let Some(read) = values(number::VENDOR_SPECIFIC).next() {
            let whole = read.copy_to(&mut room).unwrap();
            let found = forewarn_wire::attribute::VendorSpecific::extended(whole).unwrap();
            prop_assert_eq!(found, (vendor, vendor_type, &value[..]));
        }
    }

    /// A notice comes back field by field, under each MAC.
    #[test]
    fn notices_come_back(
        mac in select(vec![MacKind::HmacMd5, MacKind::HmacSha256, MacKind::Md5]),
        key in vec(any::<u8>(), 32..100),
        kind in select(Kind::ALL.to_vec()),
        (flags, key_id, reason) in any::<(u8, u8, u8)>(),
        (sender, epoch, sequence, utc_ms) in any::<(u32, u32, u32, u64)>(),
        (validity_s, stagger_s) in any::<(u16, u16)>(),
        (reduction_percent, load_percent) in (0..=100u8, 0..=100u8),
        (server, client) in any::<([u8; 16], [u8; 16])>(),
        (nonce, ms, realm) in (any::<[u8; 16]>(), any::<u32>(), "[a-z.é]{0,40}"),
        outcome in any::<u8>(),
        takes in select(vec![Takes::Anybody, Takes::ItsOwn, Takes::Nobody, Takes::Other(9)]),
        room in proptest::option::of(0..u32::MAX),
    ) {
        let header = Header {
            kind, flags: Flags(flags), key_id, reason: Reason(reason), sender, epoch, sequence, utc_ms, validity_s,
            reduction_percent, load_percent, stagger_s, server: Identity(server), client: Identity(client),
        };
        let outcome = match outcome {
            1 => Outcome::Moved, 2 => Outcome::AlreadyAway, 3 => Outcome::LastUsable, 4 => Outcome::NoAlternate,
            5 => Outcome::Noted, other => Outcome::Other(other),
        };
        let tlvs = [
            Tlv::alternate(7, [127, 0, 0, 12].into()), Tlv::Nonce(nonce), Tlv::Slot { ms }, Tlv::RealmScope(&realm),
            Tlv::Acked { epoch, sequence, outcome }, Tlv::Unknown { number: 99, value: &nonce },
            Tlv::Room { takes, rate: sender, room },
        ];
        let pair = NoticeKey::new(mac, &key).unwrap().pair(header.server, header.client);
        let mut buffer = [0; notice::MAX_OCTETS];
        let length = notice::write(&mut buffer, &header, tlvs, &pair).unwrap();
        let read = Notice::parse(&buffer[..length]).unwrap().verify(&pair).unwrap();
        prop_assert_eq!(read.header(), &header);
        prop_assert_eq!(read.mac_kind(), mac);
        prop_assert_eq!(read.tlvs().collect::<Vec<_>>(), tlvs.to_vec());
    }
}
