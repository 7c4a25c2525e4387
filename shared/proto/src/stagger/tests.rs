use super::*;
use proptest::prelude::*;

fn identity(n: u32) -> [u8; 16] {
    let mut identity = [0; 16];
    identity[10..12].copy_from_slice(&[0xff, 0xff]);
    identity[12..].copy_from_slice(&n.to_be_bytes());
    identity
}

#[test]
fn the_window_grows_with_the_clients_so_that_the_rate_holds() {
    let config = Config { window: Duration::from_secs(30), rate: 200 };
    assert_eq!(config.window_for(0), Duration::from_secs(30));
    assert_eq!(config.window_for(6_000), Duration::from_secs(30));
    assert_eq!(config.window_for(10_000), Duration::from_secs(50));
    assert_eq!(Config { rate: 0, ..config }.window_for(100), Duration::from_secs(100));
}

#[test]
fn one_client_returns_at_once() {
    assert_eq!(Config::default().slots(&[identity(7)], 1), [Duration::ZERO]);
}

#[test]
fn ten_thousand_clients_return_evenly() {
    let config = Config { window: Duration::from_secs(30), rate: 200 };
    let clients: Vec<_> = (0..10_000).map(|n| identity(0x0a00_0000 + n)).collect();
    let mut per_second = [0u32; 50];
    for slot in config.slots(&clients, 42) {
        per_second[slot.as_secs() as usize] += 1;
    }
    assert!(per_second.iter().all(|&arrivals| arrivals == 200), "{per_second:?}");
}

#[test]
fn neighbours_are_not_neighbours_in_time_and_another_epoch_is_another_order() {
    let clients: Vec<_> = (0..1_000).map(identity).collect();
    let one = Config::default().slots(&clients, 1);
    let two = Config::default().slots(&clients, 2);
    assert_ne!(one, two);
    let in_order = one.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((400..600).contains(&in_order), "{in_order} of 999 pairs are in order");
}

proptest! {
    /// Each client has a slot of its own, inside the window, whatever the order they are named in.
    #[test]
    fn slots_are_distinct_even_and_independent_of_order(
        mut names in prop::collection::btree_set(any::<u32>(), 1..200).prop_map(|set| set.into_iter().collect::<Vec<_>>()),
        epoch in any::<u32>(),
    ) {
        let config = Config { window: Duration::from_secs(10), rate: 50 };
        let clients: Vec<_> = names.iter().copied().map(identity).collect();
        let slots = config.slots(&clients, epoch);
        let mut sorted = slots.clone();
        sorted.sort();
        let expected: Vec<_> = (0..clients.len()).map(|k| slot(config.window_for(clients.len()), k, clients.len())).collect();
        prop_assert_eq!(sorted, expected);
        names.reverse();
        let mut reversed = config.slots(&names.iter().copied().map(identity).collect::<Vec<_>>(), epoch);
        reversed.reverse();
        prop_assert_eq!(reversed, slots);
    }
}
