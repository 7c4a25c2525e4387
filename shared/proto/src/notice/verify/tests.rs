//! Each rule of believing notices, on the agent's side.

use std::net::IpAddr;
use std::time::Duration;

use forewarn_wire::notice::{MacKind, NoticeKey, NoticeWriteError};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

const NOW: Utc = Utc::from_millis(1_800_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn identity(text: &str) -> Identity {
    Identity::from(text.parse::<IpAddr>().expect("an address"))
}

fn entry(id: u8, kind: MacKind, octet: u8) -> KeyEntry {
    KeyEntry { id, key: NoticeKey::new(kind, &[octet; 32]).expect("long enough"), send: true }
}

fn east() -> Source {
    Source {
        server: identity("127.0.0.11"),
        keys: vec![entry(1, MacKind::HmacSha256, 0xaa)],
        mark: Some(Mark { epoch: 100, sequence: 5 }),
    }
}

fn west() -> Source {
    Source {
        server: identity("127.0.0.12"),
        keys: vec![entry(1, MacKind::HmacMd5, 0xbb), entry(2, MacKind::Md5, 0xcc)],
        mark: None,
    }
}

fn client() -> Identity {
    identity("127.0.0.21")
}

struct Rig {
    inbox: Inbox,
    now: Instant,
    utc: Utc,
    rng: StdRng,
}

impl Rig {
    fn new() -> Rig {
        let unkeyed = Source { server: identity("127.0.0.13"), keys: Vec::new(), mark: None };
        let mut rig = Rig {
            inbox: Inbox::new(client(), 7, 900, [east(), west(), unkeyed], Instant::ZERO),
            now: Instant::ZERO,
            utc: NOW,
            rng: StdRng::seed_from_u64(1),
        };
        // The CHALLENGEs of the start have run their course.
        while let Some(due) = rig.inbox.poll_timeout() {
            rig.pass(due.since(rig.now));
            rig.challenge();
        }
        rig.pass(MINUTE);
        rig
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.utc = self.utc + time;
    }

    fn hear(&mut self, payload: &[u8]) -> Result<(usize, Disposition), Refusal> {
        let accepted = self.inbox.handle_notice(self.now, self.utc, Transport::Udp, payload)?;
        Ok((accepted.server, accepted.disposition))
    }

    /// The CHALLENGE that is due: to whom, by what, with which nonce.
    fn challenge(&mut self) -> Option<(usize, Option<Transport>, [u8; 16])> {
        let mut out = [0; MAX_OCTETS];
        let sent = self.inbox.poll_transmit(self.now, self.utc, &mut self.rng, &mut out)?;
        let notice = Notice::parse(&out[..sent.len]).expect("well-formed");
        assert_eq!(notice.peek().header().kind, Kind::Challenge);
        Some((sent.server, sent.via, notice.peek().nonce().expect("a nonce")))
    }

    fn header(&self, source: &Source, epoch: u32, sequence: u32) -> Header {
        Header {
            key_id: source.keys[0].id,
            epoch,
            sequence,
            utc_ms: self.utc.as_millis(),
            validity_s: 30,
            reduction_percent: 100,
            flags: Flags::ACK_WANTED,
            ..Header::new(Kind::Failover, source.server, client())
        }
    }
}

fn sign(source: &Source, header: &Header, tlv: Option<Tlv<'_>>) -> Vec<u8> {
    let key = source.keys[0].key.pair(header.server, header.client);
    let mut out = [0; MAX_OCTETS];
    let len = notice::write(&mut out, header, tlv, &key).expect("fits");
    out[..len].to_vec()
}

const ACCEPTED: Result<(usize, Disposition), Refusal> = Ok((0, Disposition::Accepted));
const DUPLICATE: Result<(usize, Disposition), Refusal> = Ok((0, Disposition::Duplicate));

#[test]
fn above_the_mark_is_accepted_equal_is_a_duplicate_lower_is_a_replay() {
    let mut rig = Rig::new();
    let sixth = sign(&east(), &rig.header(&east(), 100, 6), None);
    let seventh = sign(&east(), &rig.header(&east(), 100, 7), None);
    assert_eq!(rig.hear(&sixth), ACCEPTED);
    assert_eq!(rig.inbox.mark(0), Some(Mark { epoch: 100, sequence: 6 }));
    assert_eq!(rig.hear(&sixth), DUPLICATE);
    assert_eq!(rig.hear(&seventh), ACCEPTED);
    assert_eq!(rig.hear(&sixth), Err(Refusal::Replay { mark: Mark { epoch: 100, sequence: 6 } }));
    assert_eq!(rig.inbox.mark(0), Some(Mark { epoch: 100, sequence: 7 }), "never back");
    let counts = rig.inbox.counts();
    assert_eq!((counts.accepted, counts.duplicate, counts.replay), (2, 1, 1));
}

#[test]
fn the_epoch_goes_before_the_sequence() {
    let mut rig = Rig::new();
    let restarted = sign(&east(), &rig.header(&east(), 101, 1), None);
    assert_eq!(rig.hear(&restarted), ACCEPTED);
    let before = sign(&east(), &rig.header(&east(), 100, 4_000_000_000), None);
    assert!(matches!(rig.hear(&before), Err(Refusal::Replay { .. })));
}

#[test]
fn the_first_notice_of_a_server_needs_no_mark() {
    let mut rig = Rig::new();
    let first = sign(&west(), &rig.header(&west(), 1, 1), None);
    assert_eq!(rig.hear(&first), Ok((1, Disposition::Accepted)));
}

#[test]
fn thirty_seconds_either_way_are_fresh_and_no_more() {
    for (millis, fresh) in [(-30_000, true), (30_000, true), (-30_001, false), (30_001, false)] {
        let mut rig = Rig::new();
        let utc_ms = rig.utc.as_millis().checked_add_signed(millis).expect("in range");
        let notice = sign(&east(), &Header { utc_ms, ..rig.header(&east(), 100, 6) }, None);
        let heard = rig.hear(&notice);
        assert_eq!(heard, if fresh { ACCEPTED } else { Err(Refusal::Stale { skew_ms: millis }) });
        assert_eq!(rig.inbox.skew_ms(0), fresh.then_some(millis));
    }
}

#[test]
fn freshness_is_judged_before_the_mac() {
    let mut rig = Rig::new();
    let mut forged = sign(&east(), &Header { utc_ms: 0, ..rig.header(&east(), 100, 6) }, None);
    *forged.last_mut().expect("a MAC") ^= 1;
    assert!(matches!(rig.hear(&forged), Err(Refusal::Stale { .. })));
}

#[test]
fn every_octet_counts() {
    let mut rig = Rig::new();
    let alternate = Tlv::alternate(1, "127.0.0.12".parse().expect("an address"));
    let notice = sign(&east(), &rig.header(&east(), 100, 6), Some(alternate));
    for at in 0..notice.len() {
        for bit in 0..8 {
            let mut flipped = notice.clone();
            flipped[at] ^= 1 << bit;
            assert!(rig.hear(&flipped).is_err(), "octet {at}, bit {bit}");
        }
    }
    for len in 0..notice.len() {
        assert!(matches!(rig.hear(&notice[..len]), Err(Refusal::Malformed(_))), "{len} octets");
    }
    assert_eq!(rig.inbox.mark(0), east().mark, "nothing moved");
    assert_eq!(rig.hear(&notice), ACCEPTED);
}

#[test]
fn refusals_are_counted_apart() {
    let mut rig = Rig::new();
    let good = rig.header(&east(), 100, 6);
    let unknown = Source { server: identity("127.0.0.99"), ..east() };
    let notice = sign(&unknown, &Header { server: unknown.server, ..good }, None);
    assert_eq!(rig.hear(&notice), Err(Refusal::UnknownSender));
    let notice = sign(&east(), &Header { client: identity("127.0.0.22"), ..good }, None);
    assert_eq!(rig.hear(&notice), Err(Refusal::UnknownSender), "for another client");
    let notice = sign(&east(), &Header { key_id: 9, ..good }, None);
    assert_eq!(rig.hear(&notice), Err(Refusal::UnknownKey { id: 9 }));
    let unkeyed = Source { server: identity("127.0.0.13"), ..east() };
    let notice = sign(&unkeyed, &Header { server: unkeyed.server, ..good }, None);
    assert_eq!(rig.hear(&notice), Err(Refusal::UnknownKey { id: 1 }), "a server without keys");
    let other_key = Source { keys: vec![entry(1, MacKind::HmacSha256, 0xab)], ..east() };
    assert!(matches!(rig.hear(&sign(&other_key, &good, None)), Err(Refusal::BadMac(_))));
    let other_mac = Source { keys: vec![entry(1, MacKind::HmacMd5, 0xaa)], ..east() };
    assert!(matches!(rig.hear(&sign(&other_mac, &good, None)), Err(Refusal::BadMac(_))), "the key's choice");
    assert!(matches!(rig.hear(b"FWN1"), Err(Refusal::Malformed(_))));
    let counts = *rig.inbox.counts();
    assert_eq!((counts.unknown_sender, counts.unknown_key, counts.bad_mac, counts.malformed), (2, 2, 2, 1));
    assert_eq!((counts.accepted, counts.stale, counts.replay, counts.wrong_kind), (0, 0, 0, 0));
    assert_eq!(rig.inbox.poll_timeout(), None, "none of these is worth a CHALLENGE");
}

#[test]
fn what_only_agents_send_is_not_taken_from_a_server() {
    let mut rig = Rig::new();
    let kinds = [Kind::Ack, Kind::Hello, Kind::ReconnectRequest, Kind::Challenge, Kind::PeerDown];
    for kind in kinds {
        let notice = sign(&east(), &Header { kind, ..rig.header(&east(), 100, 6) }, None);
        assert_eq!(rig.hear(&notice), Err(Refusal::WrongKind { kind }));
    }
    for (sequence, kind) in [(6, Kind::Reconnect), (7, Kind::Refused), (8, Kind::Load), (9, Kind::Failover)] {
        let notice = sign(&east(), &Header { kind, ..rig.header(&east(), 100, sequence) }, None);
        assert_eq!(rig.hear(&notice), ACCEPTED);
    }
}

#[test]
fn both_keys_of_a_rotation_are_accepted_and_one_signs() {
    let mut rig = Rig::new();
    let second = Source { keys: vec![west().keys.remove(1)], ..west() };
    let by_first = sign(&west(), &rig.header(&west(), 1, 1), None);
    let by_second = sign(&second, &rig.header(&second, 1, 2), None);
    assert!(rig.hear(&by_first).is_ok());
    assert!(rig.hear(&by_second).is_ok());
    let mut out = [0; MAX_OCTETS];
    let mark = Mark { epoch: 1, sequence: 2 };
    let len = rig.inbox.acknowledge(1, mark, Outcome::Moved, rig.utc, &mut out).expect("keyed");
    assert_eq!(Notice::parse(&out[..len]).expect("well-formed").peek().header().key_id, 1);
}

#[test]
fn at_the_start_each_keyed_server_is_asked_and_again_at_doubling_intervals() {
    let mut rig = Rig::new();
    rig.inbox = Inbox::new(client(), 7, 900, [east(), west()], rig.now);
    let start = rig.now;
    let mut asked: [Vec<(Duration, [u8; 16])>; 2] = Default::default();
    while let Some(due) = rig.inbox.poll_timeout() {
        rig.pass(due.since(rig.now));
        let (server, via, nonce) = rig.challenge().expect("due");
        assert_eq!(via, None, "by each transport there is");
        asked[server].push((rig.now.since(start), nonce));
    }
    for asked in asked {
        let times: Vec<u64> = asked.iter().map(|(time, _)| time.as_secs()).collect();
        assert_eq!(times, [0, 1, 3, 7, 15, 31]);
        assert!(asked.iter().all(|(_, nonce)| *nonce == asked[0].1), "a late answer to the first is one");
    }
}

#[test]
fn an_answered_challenge_is_not_repeated() {
    let mut rig = Rig::new();
    rig.inbox = Inbox::new(client(), 7, 900, [east()], rig.now);
    let (_, _, nonce) = rig.challenge().expect("due at once");
    let answer = sign(&east(), &rig.header(&east(), 100, 6), Some(Tlv::Nonce(nonce)));
    assert_eq!(rig.hear(&answer), ACCEPTED);
    assert_eq!(rig.inbox.poll_timeout(), None);
}

#[test]
fn a_clock_an_hour_off_is_bridged_by_a_challenge() {
    let mut rig = Rig::new();
    let hour_ago = rig.utc.as_millis() - 3_600_000;
    let stale = |rig: &Rig, sequence| Header { utc_ms: hour_ago, ..rig.header(&east(), 100, sequence) };
    let notice = sign(&east(), &stale(&rig, 6), None);
    assert_eq!(rig.hear(&notice), Err(Refusal::Stale { skew_ms: -3_600_000 }));
    let (server, via, nonce) = rig.challenge().expect("at once");
    assert_eq!((server, via), (0, Some(Transport::Udp)), "back the way it came");
    let answer = sign(&east(), &stale(&rig, 7), Some(Tlv::Nonce(nonce)));
    assert_eq!(rig.hear(&answer), ACCEPTED);
    assert_eq!(rig.hear(&answer), DUPLICATE, "its retransmission is acknowledged, stale as it is");
    assert!(matches!(rig.hear(&notice), Err(Refusal::Stale { .. })));
}

#[test]
fn a_server_that_went_back_in_its_epoch_is_bridged_by_a_challenge() {
    let mut rig = Rig::new();
    let lost = sign(&east(), &rig.header(&east(), 3, 1), None);
    assert!(matches!(rig.hear(&lost), Err(Refusal::Replay { .. })));
    let (_, _, nonce) = rig.challenge().expect("at once");
    let answer = sign(&east(), &rig.header(&east(), 3, 2), Some(Tlv::Nonce(nonce)));
    assert_eq!(rig.hear(&answer), ACCEPTED);
    assert_eq!(rig.inbox.mark(0), Some(Mark { epoch: 3, sequence: 2 }), "the echo sets the mark");
    let next = sign(&east(), &rig.header(&east(), 3, 3), None);
    assert_eq!(rig.hear(&next), ACCEPTED);
}

#[test]
fn a_nonce_is_good_once_and_only_ours() {
    let mut rig = Rig::new();
    rig.inbox.challenge(0, rig.now);
    let (_, _, nonce) = rig.challenge().expect("due");
    let foreign = sign(&east(), &rig.header(&east(), 100, 2), Some(Tlv::Nonce([9; 16])));
    assert!(matches!(rig.hear(&foreign), Err(Refusal::Replay { .. })));
    let forged = Source { keys: vec![entry(1, MacKind::HmacSha256, 0xab)], ..east() };
    let forged = sign(&forged, &rig.header(&east(), 100, 2), Some(Tlv::Nonce(nonce)));
    assert!(matches!(rig.hear(&forged), Err(Refusal::BadMac(_))), "an echo without the key is nothing");
    let answer = sign(&east(), &rig.header(&east(), 100, 2), Some(Tlv::Nonce(nonce)));
    assert_eq!(rig.hear(&answer), ACCEPTED);
    let later = sign(&east(), &rig.header(&east(), 100, 9), None);
    assert_eq!(rig.hear(&later), ACCEPTED);
    assert!(matches!(rig.hear(&answer), Err(Refusal::Replay { .. })), "the echo again, later");
    assert_eq!(rig.inbox.mark(0), Some(Mark { epoch: 100, sequence: 9 }));
}

#[test]
fn a_notice_accepted_meanwhile_outlives_an_older_echo() {
    let mut rig = Rig::new();
    rig.inbox.challenge(0, rig.now);
    let (_, _, nonce) = rig.challenge().expect("due");
    let answer = sign(&east(), &rig.header(&east(), 100, 6), Some(Tlv::Nonce(nonce)));
    let later = sign(&east(), &rig.header(&east(), 100, 7), None);
    assert_eq!(rig.hear(&later), ACCEPTED);
    assert!(matches!(rig.hear(&answer), Err(Refusal::Replay { .. })), "the mark doesn't go back");
}

#[test]
fn a_flood_of_stale_notices_gets_one_challenge_a_second() {
    let mut rig = Rig::new();
    let stale = sign(&east(), &Header { utc_ms: 0, ..rig.header(&east(), 100, 6) }, None);
    let mut sent = 0;
    for _ in 0..10_000 {
        assert!(rig.hear(&stale).is_err());
        sent += usize::from(rig.challenge().is_some());
        rig.pass(Duration::from_millis(1));
    }
    assert_eq!(sent, 10);
    assert_eq!(rig.inbox.counts().stale, 10_000);
}

#[test]
fn where_the_clock_was_right_stale_notices_have_it_asked_less_and_less_often() {
    let mut rig = Rig::new();
    let fresh = sign(&east(), &rig.header(&east(), 100, 6), None);
    assert_eq!(rig.hear(&fresh), ACCEPTED);
    let mut forged = sign(&east(), &Header { utc_ms: 0, ..rig.header(&east(), 100, 7) }, None);
    *forged.last_mut().expect("a MAC") ^= 1;
    let (mut asked, start, mut sequence) = (Vec::new(), rig.now, 7);
    for _ in 0..200 {
        assert!(matches!(rig.hear(&forged), Err(Refusal::Stale { .. })));
        if let Some((_, _, nonce)) = rig.challenge() {
            asked.push(rig.now.since(start).as_secs());
            let answer = sign(&east(), &rig.header(&east(), 100, sequence), Some(Tlv::Nonce(nonce)));
            assert_eq!(rig.hear(&answer), ACCEPTED, "the server's clock is right again");
            sequence += 1;
        }
        rig.pass(Duration::from_secs(1));
    }
    assert_eq!(asked, [0, 2, 6, 14, 30, 62, 122, 182]);
    rig.pass(Duration::from_secs(121));
    assert!(rig.hear(&forged).is_err());
    assert!(rig.challenge().is_some(), "after a while without, at once");
}

#[test]
fn an_echo_is_a_retransmission_for_ten_seconds() {
    let mut rig = Rig::new();
    rig.inbox.challenge(0, rig.now);
    let (_, _, nonce) = rig.challenge().expect("due");
    let stale = Header { utc_ms: rig.utc.as_millis() - 3_600_000, ..rig.header(&east(), 100, 6) };
    let answer = sign(&east(), &stale, Some(Tlv::Nonce(nonce)));
    assert_eq!(rig.hear(&answer), ACCEPTED);
    rig.pass(Duration::from_millis(9_999));
    assert_eq!(rig.hear(&answer), DUPLICATE);
    rig.pass(Duration::from_millis(1));
    assert!(matches!(rig.hear(&answer), Err(Refusal::Stale { .. })));
}

#[test]
fn our_own_messages_have_rising_marks_across_servers() {
    let mut rig = Rig::new();
    let mut last = Mark::default();
    let mut out = [0; MAX_OCTETS];
    for server in [0, 1, 0, 1] {
        let lens = [
            rig.inbox.acknowledge(server, last, Outcome::Noted, rig.utc, &mut out),
            rig.inbox.hello(server, rig.utc, &mut out),
            rig.inbox.reconnect_request(server, Reason::TIME_OUT, rig.utc, &mut out),
        ];
        let header = *Notice::parse(&out[..lens[2].expect("keyed")]).expect("well-formed").peek().header();
        assert_eq!((header.kind, header.sender, header.epoch), (Kind::ReconnectRequest, 7, 900));
        let mark = Mark { epoch: header.epoch, sequence: header.sequence };
        assert!(mark > last);
        last = mark;
    }
    assert_eq!(rig.inbox.hello(2, rig.utc, &mut out), Err(Unaddressable::NoKey));
    assert_eq!(rig.inbox.hello(3, rig.utc, &mut out), Err(Unaddressable::NoServer));
    assert_ne!(Unaddressable::Unwritable(NoticeWriteError::Full), Unaddressable::NoKey);
}
