use forewarn_wire::eap::method;
use proptest::prelude::*;

use super::*;
use crate::Verdict;

/// What a peer might throw in.
#[derive(Debug, Clone)]
enum Blow {
    /// Any octets.
    Octets(Vec<u8>),
    /// A response to the request that is out, of any method.
    Response(u8, Vec<u8>),
    /// A response to another request.
    Shifted(u8, u8, Vec<u8>),
    /// Whoever looks at claims finds it wrong.
    Wrong,
}

fn blows() -> impl Strategy<Value = Vec<Blow>> {
    let number = prop_oneof![
        Just(method::MSCHAPV2),
        Just(method::GTC),
        Just(method::MD5_CHALLENGE),
        Just(method::NAK),
        Just(method::IDENTITY),
        any::<u8>()
    ];
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        (prop::collection::vec(any::<u8>(), 0..80), 0..9_u8).prop_map(|(mut data, code)| {
            data.insert(0, code);
            data
        }),
        // What a MSCHAPv2 response looks like.
        (any::<u8>(), prop::collection::vec(any::<u8>(), 49..60))
            .prop_map(|(identifier, value)| { [&[2, identifier, 0, 59, 49][..], &value].concat() }),
    ];
    let blow = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Blow::Octets),
        (number.clone(), data.clone()).prop_map(|(number, data)| Blow::Response(number, data)),
        (any::<u8>(), number, data).prop_map(|(by, number, data)| Blow::Shifted(by, number, data)),
        Just(Blow::Wrong),
    ];
    prop::collection::vec(blow, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn whoever_is_never_right_is_never_let_in(
        blows in blows(),
        // Those without a tunnel; the others are in `tunnel`.
        methods in Just(vec![Kind::MsChap2, Kind::Gtc, Kind::Md5]).prop_shuffle(),
    ) {
        let mut talk = begun(&methods);
        let mut random = random();
        for blow in blows {
            let step = match blow {
                Blow::Octets(octets) => talk.handle_response(&octets, &mut random),
                Blow::Response(number, data) => {
                    talk.handle_response(&response(&talk, number, &data), &mut random)
                }
                Blow::Shifted(by, number, data) => {
                    let identifier = talk.request()[1].wrapping_add(by);
                    talk.handle_response(&packet(identifier, number, &data), &mut random)
                }
                Blow::Wrong => talk.handle_verdict(&Verdict::Wrong, &mut random),
            };
            prop_assert!(!matches!(step, Step::Success(_)));
            prop_assert!(talk.request().len() < 200);
        }
    }
}
