//! What notices do, and what must not move anything.

use std::time::{Duration, Instant};

use forewarn_tests::home::Answer;
use forewarn_tests::within;
use forewarn_wire::Code;
use forewarn_wire::notice::{Kind, MAX_OCTETS, MacKind, Outcome, Reason};

use super::{QUIET, SOON, Site};

/// From sending a notice to the first request on the alternate: 5 ms is the promise for the median on a quiet
/// machine; a test that runs beside others allows for them.
const QUICK: Duration = Duration::from_millis(100);

fn silent_but_alive(heard: &forewarn_tests::home::Heard) -> Answer {
    match heard.code {
        Code::STATUS_SERVER => Answer::Yes,
        _ => Answer::Silence,
    }
}

#[test]
fn a_failover_moves_the_next_request_and_what_is_in_flight() {
    let mut site = Site::new(2);
    site.homes[0].script(silent_but_alive);
    let waiting = site.nas.access("waiting", 1, None);
    site.nas.send_access(&waiting);
    site.heard(0, "waiting");

    let notice = site.desks[0].failover(&[]);
    let sent = Instant::now();
    site.desks[0].send(&notice);
    let moved = site.heard(1, "waiting");
    assert!(moved.at.duration_since(sent) < QUICK, "{:?}", moved.at.duration_since(sent));
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    assert_eq!(site.nas.reply(&waiting, SOON).expect("an answer").code, Code::ACCESS_ACCEPT);
    assert_eq!(site.served_by("next"), 1);

    let status = site.status();
    assert_eq!(status.current, "home-1");
    assert_eq!(status.servers[0].standing, "warned");
    assert!(status.why.contains("home-0 asked to be left (workers busy)"), "{}", status.why);
    let last = status.last_switch.expect("a switch");
    assert_eq!((last.from.as_str(), last.to.as_str(), last.cause.as_str()), ("home-0", "home-1", "notice"));
    let first = last.first_request_at.expect("a request has left");
    assert!(first - last.caused_at < 100_000, "{} us", first - last.caused_at);
}

#[test]
fn the_late_reply_of_the_old_server_still_counts() {
    let mut site = Site::new(2);
    site.homes[0].script(|heard| match heard.code {
        Code::STATUS_SERVER => Answer::Yes,
        _ => Answer::After(Duration::from_millis(300), Box::new(Answer::Yes)),
    });
    site.homes[1].script(silent_but_alive);
    let request = site.nas.access("alice", 1, None);
    site.nas.send_access(&request);
    site.heard(0, "alice");
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    site.heard(1, "alice");
    let reply = site.nas.reply(&request, SOON).expect("the old server's answer");
    assert_eq!(reply.code, Code::ACCESS_ACCEPT);
    assert!(site.nas.reply(&request, QUIET).is_none(), "and only one");
}

#[test]
fn conversations_finish_where_they_are_until_the_drain_ends() {
    let mut site = Site::new(2);
    for home in &site.homes {
        home.script(|heard| match heard.code {
            Code::STATUS_SERVER => Answer::Yes,
            _ => Answer::Challenge(b"the conversation".to_vec()),
        });
    }
    let first = site.nas.ask("talker", 1, SOON).expect("a challenge");
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));

    let second = site.nas.access("talker", 2, first.state.as_deref());
    site.nas.send_access(&second);
    assert!(site.nas.reply(&second, SOON).is_some());
    assert_eq!(site.homes[0].heard_of("talker").len(), 2, "with State: where it was");
    assert_eq!(site.served_by("newcomer"), 1, "without: at the alternate");

    // drain_conversations = "1s"
    site.agent.says("no longer stay with home-0");
    let third = site.nas.access("talker", 3, first.state.as_deref());
    site.nas.send_access(&third);
    assert!(site.nas.reply(&third, SOON).is_some());
    assert_eq!(site.homes[1].heard_of("talker").len(), 1);
}

#[test]
fn a_hard_failover_waits_for_nobody() {
    let mut site = Site::new(2);
    for home in &site.homes {
        home.script(|heard| match heard.code {
            Code::STATUS_SERVER => Answer::Yes,
            _ => Answer::Challenge(b"the conversation".to_vec()),
        });
    }
    let first = site.nas.ask("talker", 1, SOON).expect("a challenge");
    let notice = site.desks[0].hard_failover();
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    let second = site.nas.access("talker", 2, first.state.as_deref());
    site.nas.send_access(&second);
    assert!(site.nas.reply(&second, SOON).is_some());
    assert_eq!(site.homes[1].heard_of("talker").len(), 1);
}

#[test]
fn alternates_select_among_the_servers_that_are_known() {
    let mut site = Site::new(3);
    let third = site.homes[2].address();
    let stranger = "203.0.113.66".parse().expect("an address");
    let notice = site.desks[0].failover(&[stranger, third]);
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    assert_eq!(site.served_by("alice"), 2, "the one that is named and known");

    let mut site = Site::new(2);
    let notice = site.desks[0].failover(&[stranger]);
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    assert_eq!(site.served_by("alice"), 1, "a stranger gets nobody; the own list is next");
}

#[test]
fn with_alternates_from_notices_only_an_unknown_one_moves_nobody() {
    let mut site = Site::with(2, "", &[("FOREWARN_FAILOVER__ALTERNATES", "notice")]);
    let notice = site.desks[0].failover(&["203.0.113.66".parse().expect("an address")]);
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::NoAlternate));
    assert_eq!(site.served_by("alice"), 0);
}

#[test]
fn no_notice_makes_it_leave_its_last_usable_server() {
    let mut site = Site::new(1);
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::LastUsable));
    assert_eq!(site.served_by("alice"), 0);

    let mut site = Site::new(2);
    for place in [1, 0] {
        let notice = site.desks[place].failover(&[]);
        site.desks[place].send(&notice);
        assert!(site.desks[place].receipt(SOON).is_some());
    }
    assert!(site.nas.ask("bob", 2, SOON).is_some(), "all warned: somebody serves");
}

#[test]
fn forged_stale_replayed_truncated_and_flipped_notices_move_nothing() {
    let mut site = Site::new(2);
    site.desks[0].epoch += 1;

    let good = site.desks[0].failover(&[]);
    for octet in 0..good.len() {
        let mut flipped = good.clone();
        flipped[octet] ^= 1 << (octet % 8);
        site.desks[0].send(&flipped);
        if octet % 16 == 15 {
            // Not more than the socket takes at once.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    for length in [0, 1, 4, 71, 72, 87, good.len() - 1] {
        site.desks[0].send(&good[..length]);
    }
    let mut longer = good.clone();
    longer.push(0);
    site.desks[0].send(&longer);
    site.desks[0].send(&[b'F'; MAX_OCTETS + 200]);

    site.desks[0].clock_offset_ms = -31_000;
    let stale = site.desks[0].failover(&[]);
    site.desks[0].send(&stale);
    site.desks[0].clock_offset_ms = 31_000;
    let ahead = site.desks[0].failover(&[]);
    site.desks[0].send(&ahead);
    site.desks[0].clock_offset_ms = 0;
    site.until_count("refused.stale", 2);

    // Another kind of MAC than the key's, with the right secret.
    site.desks[0].sign_with(MacKind::HmacMd5);
    let other_mac = site.desks[0].failover(&[]);
    site.desks[0].send(&other_mac);
    site.desks[0].forget_key();
    let forged = site.desks[0].failover(&[]);
    site.desks[0].send(&forged);
    site.desks[0].sign_with(MacKind::HmacSha256);

    // From the right server, for another agent; and of kinds that only agents send.
    let other = site.desks[0].write(Kind::Failover, |header| header.reduction_percent = 100, &[]);
    let mut splice = other.clone();
    splice[56..72].copy_from_slice(&site.desks[1].failover(&[])[40..56]);
    site.desks[0].send(&splice);
    for kind in [Kind::Ack, Kind::Hello, Kind::ReconnectRequest, Kind::Challenge, Kind::PeerDown] {
        let wrong_way = site.desks[0].write(kind, |header| header.reduction_percent = 100, &[]);
        site.desks[0].send(&wrong_way);
    }
    site.until_count("refused.wrong-kind", 5);

    let status = site.status();
    assert_eq!(status.current, "home-0");
    assert_eq!(status.notices["accepted.failover"], 0, "{:?}", status.notices);
    assert_eq!(status.servers[0].standing, "usable");
    assert!(status.switches.is_empty());
    for counter in ["refused.malformed", "refused.bad-mac", "refused.unknown-sender", "refused.unknown-key"] {
        assert!(status.notices[counter] > 0, "{counter}: {:?}", status.notices);
    }
    assert_eq!(site.served_by("alice"), 0);
    let receipts = site.count("sent.receipt");
    assert_eq!(receipts, 0, "and none of it is acknowledged");

    // The good one still works.
    site.desks[0].forget_received();
    let good = site.desks[0].failover(&[]);
    site.desks[0].send(&good);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));

    // Later on it is a replay.
    let back = site.desks[0].reconnect(Duration::ZERO);
    site.desks[0].send(&back);
    assert!(site.desks[0].receipt(SOON).is_some());
    within(SOON, "it is back", || (site.current() == "home-0").then_some(()));
    site.desks[0].send(&good);
    site.until_count("refused.replay", 1);
    assert_eq!(site.current(), "home-0");
}

#[test]
fn a_notice_whose_receipt_was_lost_is_acknowledged_again() {
    let mut site = Site::new(2);
    let notice = site.desks[0].failover(&[]);
    for _ in 0..3 {
        // Not at once, so that nobody has receipts written by the thousand.
        let outcome = within(SOON, "a receipt", || {
            site.desks[0].send(&notice);
            site.desks[0].receipt(Duration::from_millis(20))
        });
        assert_eq!(outcome, Outcome::Moved);
    }
    let status = site.status();
    assert_eq!(status.notices["accepted.failover"], 1);
    assert!(status.notices["duplicate"] >= 2, "{:?}", status.notices);
    assert_eq!(status.switches["notice"], 1);
}

/// Answers the next CHALLENGE with a FAILOVER that echoes its nonce.
fn answer_challenge(site: &mut Site, limit: Duration) {
    let start = Instant::now();
    loop {
        let left = limit.checked_sub(start.elapsed()).expect("a challenge in time");
        let Some(message) = site.desks[0].receive(left) else { continue };
        let Some(nonce) = message.nonce else { continue };
        let change = |header: &mut forewarn_wire::notice::Header| {
            header.reduction_percent = 100;
            header.reason = Reason::CPU;
        };
        let answer = site.desks[0].write(Kind::Failover, change, &[forewarn_wire::notice::Tlv::Nonce(nonce)]);
        site.desks[0].send(&answer);
        return;
    }
}

#[test]
fn clocks_an_hour_apart_agree_by_challenge() {
    let mut site = Site::new(2);
    site.desks[0].clock_offset_ms = -3_600_000;
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    site.until_count("refused.stale", 1);
    assert_eq!(site.current(), "home-0");
    answer_challenge(&mut site, Duration::from_secs(2));
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    assert_eq!(site.current(), "home-1");
}

#[test]
fn a_server_that_lost_its_epoch_is_believed_by_challenge() {
    let mut site = Site::new(2);
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    let back = site.desks[0].reconnect(Duration::ZERO);
    site.desks[0].send(&back);
    within(SOON, "it is back", || (site.current() == "home-0").then_some(()));
    site.desks[0].forget_received();

    site.desks[0].epoch = 1;
    site.desks[0].sequence = 0;
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    site.until_count("refused.replay", 1);
    assert_eq!(site.current(), "home-0");
    answer_challenge(&mut site, Duration::from_secs(2));
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    assert_eq!(site.current(), "home-1");

    // The nonce has set the mark: from here on the new epoch counts, and the nonce no longer does.
    let back = site.desks[0].reconnect(Duration::ZERO);
    site.desks[0].send(&back);
    within(SOON, "it is back", || (site.current() == "home-0").then_some(()));
}

#[test]
fn the_mark_outlives_a_restart() {
    let mut site = Site::new(2);
    let old = site.desks[0].failover(&[]);
    site.desks[0].send(&old);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    let back = site.desks[0].reconnect(Duration::ZERO);
    site.desks[0].send(&back);
    assert!(site.desks[0].receipt(SOON).is_some());
    site.until_count("marks.saved", 1);
    site.agent.signal("TERM");
    assert!(site.agent.ended().success());

    let config = std::fs::read_to_string(site.agent.folder().path().join("agent.toml")).expect("it's there");
    let site = site.restarted(&config);
    site.desks[0].send(&old);
    site.until_count("refused.replay", 1);
    assert_eq!(site.current(), "home-0");
    site.desks[0].send(&back);
    site.until_count("duplicate", 1);
}

#[test]
fn an_agent_that_restarts_is_told_again_what_is_in_force() {
    let mut site = Site::new(2);
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    site.until_count("marks.saved", 1);
    let config = std::fs::read_to_string(site.agent.folder().path().join("agent.toml")).expect("it's there");
    let mut site = site.restarted(&config);
    assert_eq!(site.current(), "home-0", "it remembers marks, not what was said");
    // Its first CHALLENGE was thrown away by the story; the next comes a second later.
    answer_challenge(&mut site, Duration::from_secs(3));
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    assert_eq!(site.current(), "home-1");
}

#[test]
fn after_an_invitation_it_comes_back_in_its_slot_and_by_the_ramp() {
    let mut site = Site::new(2);
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    assert_eq!(site.served_by("away"), 1);

    let back = site.desks[0].reconnect(Duration::from_millis(400));
    let invited = Instant::now();
    site.desks[0].send(&back);
    assert!(site.desks[0].receipt(SOON).is_some());
    assert_eq!(site.current(), "home-1", "its slot is still to come");
    within(SOON, "its slot comes", || (site.current() == "home-0").then_some(()));
    assert!(invited.elapsed() >= Duration::from_millis(390), "{:?}", invited.elapsed());
    let standing = site.status().servers[0].clone();
    assert!(standing.standing == "returning" || standing.weight >= 1.0, "{standing:?}");
    within(SOON, "all traffic is back", || {
        let server = site.status().servers[0].clone();
        (server.standing == "usable" && server.weight >= 1.0).then_some(())
    });
    assert_eq!(site.served_by("home again"), 0);
}

#[test]
fn after_a_while_it_asks_to_come_back() {
    let mut site = Site::with(2, "", &[("FOREWARN_RECONNECT__AFTER", "300ms")]);
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    let asked = within(Duration::from_secs(5), "it asks", || {
        site.desks[0].receive(SOON).filter(|message| message.header.kind == Kind::ReconnectRequest)
    });
    assert!(asked.header.epoch > 0);
    assert_eq!(site.current(), "home-1", "asking is not coming");
    let granted = site.desks[0].reconnect(Duration::ZERO);
    site.desks[0].send(&granted);
    within(SOON, "it comes", || (site.current() == "home-0").then_some(()));
}

#[test]
fn every_kind_of_mac_is_the_keys_configuration() {
    for (name, kind) in [("hmac-md5", MacKind::HmacMd5), ("md5", MacKind::Md5)] {
        let mut site = Site::build(2, &[], |config| {
            config.replace("notice_key = ", &format!("notice_mac = \"{name}\"\nnotice_key = "))
        });
        site.desks[0].sign_with(kind);
        site.desks[0].forget_received();
        let notice = site.desks[0].failover(&[]);
        site.desks[0].send(&notice);
        assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved), "{name}");
    }
}

#[test]
fn hooks_get_the_facts() {
    let hook = "\n[[hook]]\non = \"switch\"\ncommand = [\"sh\", \"-c\", \"env | grep FWN_ > facts.new; mv facts.new facts\"]\n";
    let mut site = Site::with(2, hook, &[]);
    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    let file = site.agent.folder().path().join("facts");
    let facts = within(SOON, "the hook runs", || std::fs::read_to_string(&file).ok());
    for fact in [
        "FWN_EVENT=switch",
        "FWN_FROM=home-0",
        "FWN_TO=home-1",
        "FWN_CAUSE=notice",
        "FWN_REASON=workers busy",
    ] {
        assert!(facts.lines().any(|line| line == fact), "{fact}: {facts}");
    }
    site.until_count("hooks.succeeded", 1);
}

/// By ICMP Echo Request, where this user may send and receive them.
#[test]
fn notices_come_by_icmp_too() {
    if !forewarn_shell::privilege::may_use_raw_sockets() {
        eprintln!("no CAP_NET_RAW: nothing to show");
        return;
    }
    let mut site = Site::with(2, "", &[("FOREWARN_INBOX__TRANSPORTS", "[\"icmp\", \"udp\"]")]);
    let notice = site.desks[0].failover(&[]);
    let (server, agent) = (site.homes[0].address(), site.address());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let payload = runtime.block_on(async {
        let receiver = forewarn_shell::icmp::Receiver::open(
            server,
            forewarn_shell::icmp::Kind::Request,
            forewarn_wire::notice::MAGIC,
        )
        .expect("a raw socket");
        let sender = forewarn_shell::icmp::Sender::new(server).expect("a socket to send by");
        sender.request(agent, &notice).await.expect("sent");
        let mut batch = forewarn_shell::udp::Inbound::new();
        tokio::time::timeout(SOON, receiver.receive(&mut batch)).await.expect("a receipt").expect("read");
        receiver.echoes(&batch).next().expect("an echo").payload.to_vec()
    });
    assert_eq!(site.desks[0].read(&payload).acked.map(|(.., outcome)| outcome), Some(Outcome::Moved));
    assert_eq!(site.served_by("alice"), 1);
}
