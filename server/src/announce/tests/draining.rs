//! What a drain waits for, who is pressed, and the last word.

use super::*;

#[test]
fn a_drain_waits_for_receipts_and_requests_and_then_stops() {
    let mut world = World::new(&four());
    world.in_flight = 1;
    world.campaign.drain(world.now, DrainBy::Shutdown);
    world.run_for(Duration::from_secs(5));
    assert_eq!((world.phase(), world.who(Kind::Failover).len()), ("Draining", 4));
    assert_eq!(world.last("127.0.1.0").expect("told").reason, Reason::SHUTDOWN);
    assert_eq!(world.orders, []);
    world.in_flight = 0;
    world.run_for(Duration::from_millis(200));
    assert_eq!((world.phase(), &world.orders[..]), ("Drained", &[Order::StopTaking][..]));
    world.campaign.resume(world.now);
    world.deliver();
    assert_eq!(world.orders, [Order::StopTaking, Order::StartTaking]);
    assert_eq!(world.who(Kind::Reconnect).len(), 4);
}

#[test]
fn a_drain_does_not_wait_for_a_client_that_gives_no_receipt() {
    let mut world = World::new(&four());
    world.agents.get_mut(&address("127.0.1.0")).expect("started").is_deaf = true;
    world.campaign.drain(world.now, DrainBy::Operator);
    world.run_for(Duration::from_millis(3_900));
    assert_eq!(world.phase(), "Draining");
    world.run_for(Duration::from_millis(300));
    assert_eq!(world.phase(), "Drained");
    assert!(matches!(world.told("127.0.1.0"), Told::NotTold { .. }));
}

#[test]
fn a_drain_presses_a_client_that_stayed_before_it_stops() {
    let mut world = World::new(&four());
    world.agents.get_mut(&address("127.0.1.0")).expect("started").is_last_usable = true;
    world.campaign.drain(world.now, DrainBy::Operator);
    world.run_for(Duration::from_millis(90));
    assert!(!world.last("127.0.1.0").expect("told").hard);
    world.run_for(Duration::from_secs(1));
    assert!(world.last("127.0.1.0").expect("told").hard, "told once more");
    assert!(!world.last("127.0.1.1").expect("told").hard, "it had left");
    assert_eq!((world.phase(), &world.orders[..]), ("Drained", &[Order::StopTaking][..]));
}

#[test]
fn at_its_deadline_a_drain_stops_and_lets_conversations_go() {
    let mut world = World::new(&four());
    world.in_flight = 3;
    world.campaign.drain(world.now, DrainBy::Operator);
    world.run_for(Duration::from_millis(19_900));
    assert_eq!(world.phase(), "Draining");
    world.run_for(Duration::from_millis(100));
    assert_eq!((world.phase(), &world.orders[..]), ("Drained", &[Order::StopTaking][..]));
    assert!(world.agents.values().all(|agent| agent.heard.last().is_some_and(|heard| heard.hard)));
}

#[test]
fn who_stayed_is_pressed_while_it_goes_on_asking() {
    let mut world = World::new(&four());
    world.agents.get_mut(&address("127.0.1.0")).expect("started").is_last_usable = true;
    world.in_flight = 1;
    world.campaign.drain(world.now, DrainBy::Operator);
    world.run_for(Duration::from_millis(200));
    assert!(world.last("127.0.1.0").expect("told").hard, "its requests never end, its conversations have");
    assert_eq!(world.phase(), "Draining");
    world.in_flight = 0;
    world.run_for(Duration::from_millis(200));
    assert_eq!(world.phase(), "Drained");
}

#[test]
fn who_stayed_is_pressed_at_half_the_deadline_whatever_goes_on() {
    let mut world = World::new(&four());
    world.agents.get_mut(&address("127.0.1.0")).expect("started").is_last_usable = true;
    (world.in_flight, world.conversations) = (1, 7);
    world.campaign.drain(world.now, DrainBy::Operator);
    world.run_for(Duration::from_millis(9_900));
    assert!(!world.last("127.0.1.0").expect("told").hard, "conversations have their time");
    world.run_for(Duration::from_millis(200));
    assert!(world.last("127.0.1.0").expect("told").hard);
    assert_eq!((world.phase(), &world.orders[..]), ("Draining", &[][..]));
}

#[test]
fn conversations_count_that_began_before_everybody_was_told() {
    let mut world = World::new(&four());
    assert_eq!(world.campaign.waits_for_before(world.now), None);
    world.agents.get_mut(&address("127.0.1.0")).expect("started").is_deaf = true;
    world.conversations = 1;
    world.campaign.drain(world.now, DrainBy::Operator);
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.campaign.waits_for_before(world.now), Some(world.now), "one may not know yet");
    world.run_for(Duration::from_secs(3));
    let told_at = world.campaign.waits_for_before(world.now).expect("draining");
    assert!(told_at < world.now.before(Duration::from_millis(500)), "{told_at:?}");
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.campaign.waits_for_before(world.now), Some(told_at));
}

#[test]
fn a_drain_does_not_wait_for_who_asks_again_what_is_in_force() {
    let mut world = World::new(&four());
    world.campaign.drain(world.now, DrainBy::Operator);
    world.deliver();
    let agent = world.agents.get_mut(&address("127.0.1.0")).expect("started");
    agent.is_deaf = true;
    agent.inbox.challenge(0, world.now);
    world.challenge("127.0.1.0");
    assert_eq!(world.campaign.pending(), 1);
    world.run_for(Duration::from_millis(200));
    assert_eq!(world.phase(), "Drained");
}

#[test]
fn at_its_deadline_everybody_is_told_once_more_and_once_again_at_any_pace() {
    let mut world = World::new(&format!("{}[notice]\nrate = 100\n", client("aps", "10.0.0.0/8", "wifi")));
    let name: Arc<str> = "aps".into();
    let devices: Vec<_> =
        (0..500u32).map(|n| (Arc::clone(&name), IpAddr::from((0x0a00_0000 + n).to_be_bytes()))).collect();
    world.campaign.set_devices(world.now, &devices);
    world.campaign.set_devices(world.now, &devices);
    assert!(!world.campaign.has_a_last_word(world.now));
    world.in_flight = 1;
    world.campaign.drain(world.now, DrainBy::Shutdown);
    world.pass(Duration::from_secs(20));
    world.campaign.handle_timeout(world.now, world.underway());
    assert_eq!(world.phase(), "Drained");
    assert!(world.campaign.has_a_last_word(world.now));
    let mut out = [0; MAX_OCTETS];
    let mut heard: BTreeMap<IpAddr, u32> = BTreeMap::new();
    for _ in 0..100 {
        while let Some(sent) = world.campaign.poll_transmit(world.now, world.utc, &mut out) {
            let (Path::Icmp(to) | Path::IcmpReply { to, .. }) = sent.to else { continue };
            *heard.entry(to).or_default() += 1;
        }
        if !world.campaign.has_a_last_word(world.now) {
            break;
        }
        world.pass(Duration::from_millis(10));
    }
    assert_eq!((heard.len(), heard.values().min()), (500, Some(&2)));
    let stayed = world.now.since(world.campaign.watch().since());
    assert!(stayed < Duration::from_millis(300), "{stayed:?}");
}

#[test]
fn the_last_word_is_not_for_ever() {
    let mut world = World::new(&four());
    world.agents.values_mut().for_each(|agent| agent.is_deaf = true);
    world.in_flight = 1;
    world.campaign.drain(world.now, DrainBy::Shutdown);
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.phase(), "Drained");
    assert!(world.campaign.has_a_last_word(world.now));
    world.pass(Duration::from_secs(1));
    assert!(!world.campaign.has_a_last_word(world.now), "nothing could be sent, and it ends all the same");
}
