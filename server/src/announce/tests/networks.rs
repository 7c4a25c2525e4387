//! Clients that are a network: devices are known once they were heard.

use super::*;

fn network() -> String {
    client("aps", "127.0.2.0/24", "wifi")
}

#[test]
fn devices_of_a_network_are_told_when_they_were_heard() {
    let mut world = World::new(&network());
    let (one, two): (IpAddr, IpAddr) = (address("127.0.2.1"), address("127.0.2.2"));
    world.start_agent(one);
    world.start_agent(two);
    world.read(95);
    assert_eq!(world.who(Kind::Failover).len(), 0, "not heard yet");
    let name: Arc<str> = "aps".into();
    world.campaign.set_devices(world.now, &[(Arc::clone(&name), one), ("other".into(), two)]);
    world.deliver();
    assert_eq!(world.who(Kind::Failover), ["127.0.2.1"], "a newcomer is told what is in force");
    world.calm_for(60);
    world.campaign.set_devices(world.now, &[(name, two)]);
    world.deliver();
    assert_eq!(world.phase(), "Returning");
    assert_eq!(world.last("127.0.2.2"), None, "nothing is in force for it");
}

#[test]
fn an_agent_in_a_network_that_calls_is_known_by_its_mac() {
    let mut world = World::new(&network());
    world.start_agent(address("127.0.2.9"));
    world.read(95);
    world.challenge("127.0.2.9");
    let heard = world.last("127.0.2.9").expect("answered");
    assert_eq!(heard.kind, Kind::Failover);
    // One with another key: struck off again.
    world.start_agent(address("127.0.2.10"));
    let mut out = [0; MAX_OCTETS];
    let agent = world.agents.get_mut(&address("127.0.2.10")).expect("started");
    let sent = agent.inbox.poll_transmit(world.now, world.utc, &mut world.rng, &mut out).expect("due");
    out[sent.len - 1] ^= 1;
    let issued = world.campaign.issuer().sent().issued;
    world.at_server(address("127.0.2.10"), &out[..sent.len]);
    assert_eq!(world.campaign.issuer().sent().issued, issued, "nothing was prepared for it");
    assert_eq!(world.campaign.issuer().find(Identity::from(address("127.0.2.10"))), None);
    assert_eq!(world.campaign.issuer().received().bad_mac, 1);
    world.start_agent(address("127.0.3.1"));
    world.challenge("127.0.3.1");
    assert_eq!(world.campaign.issuer().received().unknown_sender, 1);
}

#[test]
fn a_device_that_is_silent_for_long_makes_room_unless_something_is_in_force_for_it() {
    let mut world = World::new(&(network() + &client("single", "127.0.1.1", "wired")));
    for device in ["127.0.2.1", "127.0.2.2"] {
        world.start_agent(address(device));
        world.challenge(device);
    }
    world.read(95);
    world.run_for(Duration::from_secs(3_700));
    world.campaign.set_devices(world.now, &[]);
    assert_eq!(world.campaign.issuer().clients().count(), 3, "they are away");
    world.calm_for(20);
    assert_eq!(world.phase(), "Serving");
    world.run_for(Duration::from_secs(3_700));
    world.campaign.set_devices(world.now, &[("aps".into(), address("127.0.2.2"))]);
    let left: Vec<_> = world.campaign.issuer().clients().map(|view| view.identity.to_string()).collect();
    assert_eq!(left, ["127.0.1.1", "127.0.2.2"]);
}

/// Not a figure to hold anybody to, only an order of magnitude in an unoptimized build.

#[test]
fn a_reload_gives_the_known_devices_of_a_network_its_new_keys_and_group() {
    let mut world = World::new(&network().replace(KEY, &"ab".repeat(32)));
    world.campaign.set_devices(world.now, &[("aps".into(), address("127.0.2.1"))]);
    world.start_agent(address("127.0.2.1"));
    world.challenge("127.0.2.1");
    assert_eq!(world.campaign.issuer().received().bad_mac, 1, "the agent has the new key already");
    let audience = "[notice]\naudience = { groups = [\"wired\"] }\n";
    world.campaign.reload(world.now, config(&(network().replace("wifi", "wired") + audience)));
    world.read(95);
    assert_eq!(world.who(Kind::Failover), ["127.0.2.1"]);
}
