use proptest::prelude::*;

use super::chain::prf;
use super::tlv::{self, Odd, Said};
use crate::tls::Hash;

#[test]
fn what_is_known_is_read_and_what_is_optional_and_unknown_left_out() {
    let mut message = Vec::new();
    tlv::put_mandatory(&mut message, tlv::INTERMEDIATE_RESULT, &[0, 1]);
    tlv::put_optional(&mut message, 100, b"?");
    tlv::put_mandatory(&mut message, tlv::PASSWORD, b"\x05alice\x0awonderland");
    tlv::put_mandatory(&mut message, tlv::IDENTITY_TYPE, &[0, 2]);
    tlv::put_mandatory(&mut message, tlv::ERROR, &[0, 0, 3, 0xe9]);
    let expected = Said {
        intermediate_result: Some(1),
        identity_type: Some(2),
        password: Some((b"alice", b"wonderland")),
        error: Some(1001),
        ..Said::default()
    };
    assert_eq!(tlv::parse(&message), Ok(expected));
    assert_eq!(tlv::parse(&tlv::nak(9, 7)).map(|said| said.nak), Ok(Some(7)));
}

#[test]
fn lengths_that_lie_and_what_is_there_twice_are_malformed() {
    let mut twice = Vec::new();
    for _ in 0..2 {
        tlv::put_mandatory(&mut twice, tlv::EAP_PAYLOAD, &[2, 1, 0, 4]);
    }
    let password = |value: &[u8]| {
        let mut message = Vec::new();
        tlv::put_mandatory(&mut message, tlv::PASSWORD, value);
        message
    };
    for odd in [
        twice,
        vec![0x80, 9, 0],
        vec![0x80, 9, 0, 2, 1],
        vec![0x80, 3, 0, 1, 1],
        vec![0x80, 5, 0, 3, 1, 2, 3],
        password(b""),
        password(b"\x00\x01x"),
        password(b"\x01x\x00"),
        password(b"\x01x\x02y"),
        password(b"\x01x\x01yz"),
        password(b"\xffx"),
    ] {
        assert_eq!(tlv::parse(&odd), Err(Odd::Malformed), "{odd:?}");
    }
}

#[test]
fn a_mandatory_one_that_nobody_knows_is_named_unless_a_result_is_with_it() {
    let mut message = Vec::new();
    tlv::put_mandatory(&mut message, 100, b"?");
    assert_eq!(tlv::parse(&message), Err(Odd::Unknown(0, 100)));
    tlv::put_mandatory(&mut message, tlv::RESULT, &[0, 1]);
    assert_eq!(tlv::parse(&message), Err(Odd::Malformed));
    assert_eq!(tlv::parse(&[0x80, 7, 0, 4, 0, 0, 0xab, 0xcd]), Err(Odd::Unknown(0xabcd, 7)));
    assert_eq!(tlv::parse(&[0, 7, 0, 4, 0, 0, 0xab, 0xcd]), Ok(Said::default()));
}

/// The vector that implementations of TLS 1.2 share.
#[test]
fn the_prf_is_that_of_tls_12() {
    let secret = 0x9bbe_436b_a940_f017_b176_5284_9a71_db35_u128.to_be_bytes();
    let seed = 0xa0ba_9f93_6cda_3118_27a6_f796_ffd5_198c_u128.to_be_bytes();
    let mut out = [0; 40];
    prf(Hash::Sha256, &secret, &[b"test label", &seed], &mut out);
    let expected =
        [0xe3f2_29ba_727b_e17b_8d12_2620_557c_d453_u128, 0xc2aa_b21d_07c3_d495_329b_52d4_e61e_db5a];
    assert_eq!(out[..32], expected.map(u128::to_be_bytes).concat());
    assert_eq!(out[32..], 0x6b30_1791_e90d_35c9_u64.to_be_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_read_was_longer_than_what_came(
        tlvs in prop::collection::vec((any::<u16>(), 0..20_u16, prop::collection::vec(any::<u8>(), 0..20)), 0..8),
        rest in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        let mut message = Vec::new();
        for (number, length, value) in tlvs {
            message.extend((number & 0x800f).to_be_bytes());
            message.extend(length.to_be_bytes());
            message.extend(value);
        }
        message.extend(rest);
        if let Ok(said) = tlv::parse(&message) {
            let password = said.password.map_or(0, |(name, password)| name.len() + password.len());
            let octets = [said.eap, said.binding].into_iter().flatten().map(<[u8]>::len).sum::<usize>();
            prop_assert!(octets + password <= message.len());
        }
    }
}
