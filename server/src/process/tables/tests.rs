use std::sync::Arc;

use super::*;
use crate::testing;

fn tables(config: &Config, before: Option<&Tables>) -> Tables {
    Tables::build(config, 2, before, |_| false)
}

fn name_at<'t>(tables: &'t Tables, address: &str) -> Option<&'t str> {
    tables.client_at(address.parse().unwrap()).map(|index| &*tables.client(index).name)
}

#[test]
fn the_longest_prefix_is_the_client() {
    let mut config = testing::config("");
    for (name, network) in [
        ("all", "0.0.0.0/0"),
        ("half", "198.51.100.0/25"),
        ("one", "198.51.100.7/32"),
        ("all of 6", "2001:db8::/32"),
        ("some of 6", "2001:db8:7::/48"),
        ("one of 6", "2001:db8:7::1/128"),
    ] {
        let mut client = config.clients[0].clone();
        (client.name, client.network) = (name.into(), network.parse().unwrap());
        config.clients.push(client);
    }
    let tables = tables(&config, None);
    for (address, name) in [
        ("192.0.2.21", "ap-17"),
        ("192.0.2.22", "all"),
        ("198.51.100.7", "one"),
        ("198.51.100.8", "half"),
        ("198.51.100.200", "branch"),
        ("::ffff:198.51.100.7", "one"),
        ("::ffff:198.51.100.200", "branch"),
        ("2001:db8:7::1", "one of 6"),
        ("2001:db8:7::2", "some of 6"),
        ("2001:db8:8::2", "all of 6"),
    ] {
        assert_eq!(name_at(&tables, address), Some(name), "{address}");
    }
    assert_eq!(name_at(&tables, "2001:db9::1"), None);
}

#[test]
fn what_is_known_of_a_client_stays_over_a_reload_while_it_is_the_same() {
    let config = testing::config("");
    let before = tables(&config, None);
    before.client(0).ledger.learn();
    let after = tables(&config, Some(&before));
    assert!(Arc::ptr_eq(&before.client(0).ledger, &after.client(0).ledger));
    let mut moved = testing::config("");
    moved.clients[0].network = "192.0.2.22/32".parse().unwrap();
    let after = tables(&moved, Some(&before));
    assert!(!after.client(0).ledger.sends_message_authenticator(), "another device now");
    assert!(Arc::ptr_eq(&before.client(1).ledger, &after.client(1).ledger));
}

#[test]
fn a_user_is_known_by_the_very_octets() {
    let tables = tables(&testing::config(""), None);
    assert!(tables.user(b"alice").is_some());
    for name in [&b"Alice"[..], b"alice\0", b"", b"alice "] {
        assert!(tables.user(name).is_none(), "{name:?}");
    }
}
