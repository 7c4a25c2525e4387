//! Accounting that no server takes.

use std::time::Duration;

use forewarn_tests::home::{Answer, HomeServer};
use forewarn_tests::{Nas, within};
use forewarn_wire::{Code, number};

use super::{QUIET, SOON, Site, configuration};

/// `[spool] after` of these stories, and how long the disk may take besides.
const AFTER: &str = "\n[spool]\nafter = \"300ms\"\n";
const KEPT: Duration = Duration::from_secs(2);

/// Silent but for Status-Server.
fn mute(home: &HomeServer) {
    home.script(|heard| if heard.code == Code::STATUS_SERVER { Answer::Yes } else { Answer::Silence });
}

/// Sends a record and has it acknowledged.
fn keeps(site: &Site, session: &str, identifier: u8) {
    let request = site.nas.accounting(session, identifier);
    site.nas.send_accounting(&request);
    let reply = site.nas.reply(&request, KEPT).expect("the agent answers for itself");
    assert_eq!(reply.code, Code::ACCOUNTING_RESPONSE);
    assert!(reply.took >= Duration::from_millis(290), "a server has its time: {:?}", reply.took);
}

/// A record of nearly 4 KiB.
fn large(nas: &Nas, number: u32) -> Vec<u8> {
    nas.accounting_with(number as u8, |writer| {
        writer.attribute(number::ACCT_SESSION_ID, &number.to_be_bytes()).expect("room");
        for _ in 0..15 {
            writer.attribute(number::CLASS, &[7; 253]).expect("room");
        }
    })
}

fn delay_of(home: &HomeServer, session: &str) -> Option<u32> {
    let last = home.heard_of(session).pop()?;
    Some(u32::from_be_bytes(last.find(number::ACCT_DELAY_TIME)?.try_into().expect("an integer")))
}

#[test]
fn what_nobody_takes_is_kept_acknowledged_and_delivered_later() {
    let site = Site::with(2, AFTER, &[]);
    site.homes.iter().for_each(mute);
    for number in 0..5 {
        keeps(&site, &format!("session-{number}"), number);
    }
    site.until_count("spool.kept", 5);
    assert_eq!(site.count("spool.waiting"), 5);
    let before: Vec<usize> =
        (0..5).map(|number| site.homes[0].heard_of(&format!("session-{number}")).len()).collect();
    site.homes.iter().for_each(|home| home.script(|_| Answer::Yes));
    within(Duration::from_secs(20), "all are delivered", || {
        (site.count("spool.delivered") == 5).then_some(())
    });
    within(SOON, "they are crossed off", || (site.count("spool.waiting") == 0).then_some(()));
    for (number, before) in before.iter().enumerate() {
        let session = format!("session-{number}");
        let heard: usize = site.homes.iter().map(|home| home.heard_of(&session).len()).sum();
        assert!(heard > *before, "{session} was delivered");
        let told = site.homes.iter().filter_map(|home| delay_of(home, &session)).max();
        assert!(told >= Some(1), "{session} says how long it has waited: {told:?}");
    }
}

#[test]
fn what_was_acknowledged_survives_the_agents_death() {
    let mut site = Site::with(1, AFTER, &[]);
    let config = configuration(site.address, &[site.homes[0].address()]) + AFTER;
    mute(&site.homes[0]);
    for number in 0..3 {
        keeps(&site, &format!("session-{number}"), number);
    }
    // Killed, as `restarted` does it.
    site = site.restarted(&config);
    assert_eq!(site.count("spool.waiting"), 3);
    site.homes[0].script(|_| Answer::Yes);
    within(Duration::from_secs(20), "all are delivered", || (site.count("spool.waiting") == 0).then_some(()));
    for number in 0..3 {
        assert!(delay_of(&site.homes[0], &format!("session-{number}")).is_some());
    }
}

#[test]
fn a_full_spool_acknowledges_nothing_and_goes_on_when_there_is_room() {
    let site = Site::with(1, &AFTER.replace("after", "max = \"1MiB\"\nafter"), &[]);
    mute(&site.homes[0]);
    // Each takes the room of its packet; a large attribute fills the spool soon.
    let mut sent = 0u32;
    within(Duration::from_secs(20), "1 MiB is full some time", || {
        // A request of the same identifier would take the place of the one before.
        for _ in 0..32 {
            sent += 1;
            let request = large(&site.nas, sent);
            site.nas.send_accounting(&request);
        }
        within(Duration::from_secs(20), "all are kept or not", || {
            let ended = site.count("spool.kept") + site.count("spool.not-kept");
            (ended >= u64::from(sent)).then_some(())
        });
        (site.count("spool.not-kept") > 0).then_some(())
    });
    let nas = Nas::new(site.address());
    // What didn't fit together may fit one by one.
    let request = within(Duration::from_secs(20), "not safe, not acknowledged", || {
        sent += 1;
        let request = large(&nas, sent);
        nas.send_accounting(&request);
        nas.reply(&request, QUIET + KEPT).is_none().then_some(request)
    });
    assert!(site.agent.log().contains("of [spool] max"), "it says what is full");
    site.homes[0].script(|_| Answer::Yes);
    within(Duration::from_secs(30), "it is drained", || (site.count("spool.waiting") == 0).then_some(()));
    nas.send_accounting(&request);
    assert!(nas.reply(&request, Duration::from_secs(5)).is_some(), "there is room again");
}

#[test]
fn without_a_spool_there_is_silence() {
    let site = Site::with(1, "\n[spool]\nafter = \"off\"\n", &[]);
    mute(&site.homes[0]);
    let request = site.nas.accounting("session", 9);
    site.nas.send_accounting(&request);
    assert!(site.nas.reply(&request, Duration::from_secs(1)).is_none());
}
