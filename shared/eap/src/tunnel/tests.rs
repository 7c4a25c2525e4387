use proptest::prelude::*;

use super::{avp, peap};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn attributes_are_read_as_they_were_written(
        attributes in prop::collection::vec((1..1000_u32, prop::collection::vec(any::<u8>(), 0..40)), 0..6),
    ) {
        let message = attributes.iter().flat_map(|(number, value)| avp::standard(*number, value)).collect::<Vec<_>>();
        let read = avp::parse(&message).expect("what was written");
        let read = read.iter().map(|avp| (avp.number, avp.value.to_vec())).collect::<Vec<_>>();
        prop_assert_eq!(read, attributes);
    }

    #[test]
    fn attributes_that_lie_are_none(
        heads in prop::collection::vec((any::<u32>(), any::<u8>(), 0..60_u32), 0..6),
        rest in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut message = Vec::new();
        for (number, flags, length) in heads {
            message.extend(number.to_be_bytes());
            message.extend((u32::from(flags) << 24 | length).to_be_bytes());
        }
        message.extend(rest);
        if let Some(read) = avp::parse(&message) {
            prop_assert!(read.iter().map(|avp| 8 + avp.value.len()).sum::<usize>() <= message.len());
        }
    }

    #[test]
    fn extensions_of_any_octets_bring_no_panic(
        mut message in prop::collection::vec(any::<u8>(), 5..80),
        number in prop_oneof![Just(3_u8), Just(12), any::<u8>()],
    ) {
        let length = message.len() as u16;
        message[..5].copy_from_slice(&[2, 1, 0, length as u8, 33]);
        if let Some(place) = message.get_mut(6) {
            *place = number;
        }
        if let Some(answer) = peap::answer(&message) {
            prop_assert!(answer.binding.is_none_or(|value| value.len() == 56));
        }
    }
}
