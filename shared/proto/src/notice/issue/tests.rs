//! Each rule of telling clients, on the server's side.

use std::net::IpAddr;
use std::sync::Arc;

use forewarn_wire::notice::{self, Flags, Header, MacKind, NoticeKey, Tlv};

use super::*;

const UTC: Utc = Utc::from_millis(1_800_000_000_000);

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn server() -> Identity {
    Identity::from(address("127.0.0.11"))
}

fn client(n: u8) -> Identity {
    Identity::from(IpAddr::from([127, 0, 1, n]))
}

fn keys() -> Vec<KeyEntry> {
    let key = NoticeKey::new(MacKind::HmacSha256, &[7; 32]).expect("long enough");
    vec![KeyEntry { id: 3, key, send: true }]
}

fn leave(reduction: u8) -> Leave {
    Leave {
        reduction,
        hard: false,
        validity: Duration::from_secs(30),
        reason: Reason::WORKERS,
        load: 98,
        alternates: Arc::new([]),
    }
}

/// What a datagram says.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    at_ms: u64,
    to: Path,
    header: Header,
    slot_ms: Option<u32>,
    nonce: Option<[u8; 16]>,
    alternates: Vec<(u8, IpAddr)>,
}

struct Rig {
    issuer: Issuer,
    now: Instant,
    agent_sequence: u32,
}

impl Rig {
    fn new(transports: &[Transport]) -> Rig {
        let config = Config {
            server: server(),
            sender: 77,
            epoch: 500,
            transports: transports.to_vec(),
            udp_port: 3798,
            rate: 20_000,
            clients_max: 3,
        };
        Rig { issuer: Issuer::new(config), now: Instant::ZERO, agent_sequence: 0 }
    }

    fn both() -> (Rig, ClientId) {
        let mut rig = Rig::new(&[Transport::Icmp, Transport::Udp]);
        let id = rig.issuer.add(client(1), &keys()).expect("keyed");
        (rig, id)
    }

    /// All that is sent until `end`, in virtual time.
    fn run_until(&mut self, end: Instant) -> Vec<Said> {
        let mut said = Vec::new();
        let mut out = [0; MAX_OCTETS];
        loop {
            while let Some(sent) = self.issuer.poll_transmit(self.now, UTC, &mut out) {
                let identity = self.issuer.identity(sent.client).expect("known");
                let key = keys()[0].key.pair(server(), identity);
                let notice = Notice::parse(&out[..sent.len]).expect("well-formed");
                let notice = notice.verify(&key).expect("signed");
                assert_eq!(sent.is_first, !notice.header().flags.contains(Flags::RETRANSMISSION));
                said.push(Said {
                    at_ms: self.now.as_nanos() / 1_000_000,
                    to: sent.to,
                    header: *notice.header(),
                    slot_ms: notice.slot_ms(),
                    nonce: notice.nonce(),
                    alternates: notice.alternates().collect(),
                });
            }
            match self.issuer.poll_timeout() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
        }
        self.now = self.now.max(end);
        said
    }

    fn run_for(&mut self, time: Duration) -> Vec<Said> {
        self.run_until(self.now + time)
    }

    fn say(&mut self, from: u8, kind: Kind, tlv: Option<Tlv<'_>>, origin: Origin) -> Result<Heard, Refusal> {
        self.agent_sequence += 1;
        let bytes = message(from, kind, self.agent_sequence, tlv);
        self.issuer.handle_message(self.now, origin, &bytes)
    }

    fn acknowledge(&mut self, said: &Said, origin: Origin) -> Result<Heard, Refusal> {
        let (epoch, sequence) = (said.header.epoch, said.header.sequence);
        let acked = Tlv::Acked { epoch, sequence, outcome: Outcome::Moved };
        self.say(1, Kind::Ack, Some(acked), origin)
    }

    fn told(&self, id: ClientId) -> Told {
        self.issuer.view(id).expect("known").told
    }
}

fn message(from: u8, kind: Kind, sequence: u32, tlv: Option<Tlv<'_>>) -> Vec<u8> {
    let header = Header { key_id: 3, epoch: 9, sequence, ..Header::new(kind, server(), client(from)) };
    let mut out = [0; MAX_OCTETS];
    let len =
        notice::write(&mut out, &header, tlv, &keys()[0].key.pair(server(), client(from))).expect("fits");
    out[..len].to_vec()
}

fn by_udp() -> Origin {
    Origin::Udp { from: (address("127.0.1.1"), 3798).into() }
}

fn by_icmp() -> Origin {
    Origin::Icmp { from: address("127.0.1.1"), id: 4711 }
}

fn ways(said: &[Said]) -> Vec<(u64, &'static str)> {
    let way = |to: &Path| match to {
        Path::Icmp(_) => "icmp",
        Path::IcmpReply { .. } => "reply",
        Path::Udp(_) => "udp",
    };
    said.iter().map(|said| (said.at_ms, way(&said.to))).collect()
}

#[test]
fn repeated_until_given_up_and_the_next_transport_joins() {
    let (mut rig, id) = Rig::both();
    assert!(rig.issuer.set(rig.now, id, Standing::Leave(leave(100))));
    let said = rig.run_for(Duration::from_secs(10));
    let expected = [
        (0, "icmp"),
        (200, "icmp"),
        (200, "udp"),
        (600, "icmp"),
        (600, "udp"),
        (1_400, "icmp"),
        (1_400, "udp"),
        (3_000, "icmp"),
        (3_000, "udp"),
    ];
    assert_eq!(ways(&said), expected);
    assert!(said.iter().all(|one| (one.header.epoch, one.header.sequence) == (500, 1)), "one notice");
    assert_eq!(rig.told(id), Told::NotTold { since: Instant::from_millis(4_000) });
    assert_eq!(rig.issuer.poll_event(), Some(Event::NotTold { client: id }));
    assert_eq!((rig.issuer.poll_event(), rig.issuer.poll_timeout(), rig.issuer.pending()), (None, None, 0));
    let sent = rig.issuer.sent();
    assert_eq!((sent.issued, sent.datagrams, sent.acknowledged, sent.not_told), (1, 9, 0, 1));
}

#[test]
fn the_failover_says_all_that_is_in_force() {
    let (mut rig, id) = Rig::both();
    let alternates = (0..20).map(|n| Alternate { address: IpAddr::from([127, 0, 0, n]), weight: n });
    let leave = Leave { hard: true, alternates: alternates.collect(), ..leave(60) };
    rig.issuer.set(rig.now, id, Standing::Leave(leave));
    let said = &rig.run_for(Duration::ZERO)[0];
    let header = said.header;
    assert_eq!(header.kind, Kind::Failover);
    assert_eq!(header.flags, Flags::ACK_WANTED | Flags::HARD);
    assert_eq!((header.validity_s, header.reduction_percent, header.load_percent), (30, 60, 98));
    assert_eq!((header.sender, header.key_id, header.reason), (77, 3, Reason::WORKERS));
    assert_eq!((header.utc_ms, header.client), (UTC.as_millis(), client(1)));
    assert_eq!(said.alternates.len(), ALTERNATES_MAX);
    assert_eq!(said.alternates[1], (1, address("127.0.0.1")));
    assert_eq!(said.to, Path::Icmp(address("127.0.1.1")), "to the identity");
}

#[test]
fn a_receipt_ends_it_and_its_transport_goes_first_the_next_time() {
    let (mut rig, id) = Rig::both();
    rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    let said = rig.run_for(millis(250));
    let heard = rig.acknowledge(&said[2], by_udp()).expect("good");
    let took = millis(250);
    assert_eq!(heard, Heard::Receipt { client: id, outcome: Outcome::Moved, took, is_news: true });
    let told = Told::Told { at: rig.now, took, outcome: Outcome::Moved, by: Transport::Udp };
    assert_eq!((rig.told(id), rig.issuer.pending()), (told, 0));
    assert_eq!(rig.run_for(Duration::from_secs(5)), []);
    assert!(!rig.issuer.set(rig.now, id, Standing::Leave(leave(100))), "it knows");
    assert!(rig.issuer.set(rig.now, id, Standing::Leave(leave(50))));
    let said = rig.run_for(millis(200));
    assert_eq!(ways(&said), [(5_250, "udp"), (5_450, "udp"), (5_450, "icmp")]);
    assert_eq!(said[0].header.sequence, 2);
}

#[test]
fn a_receipt_for_another_notice_ends_nothing() {
    let (mut rig, id) = Rig::both();
    rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    let first = rig.run_for(Duration::ZERO).remove(0);
    rig.issuer.set(rig.now, id, Standing::Leave(leave(50)));
    let heard = rig.acknowledge(&first, by_udp());
    assert!(matches!(heard, Ok(Heard::Receipt { is_news: false, .. })));
    assert!(matches!(rig.told(id), Told::Telling { .. }));
    let old_epoch = Tlv::Acked { epoch: 499, sequence: 2, outcome: Outcome::Moved };
    let heard = rig.say(1, Kind::Ack, Some(old_epoch), by_udp());
    assert!(matches!(heard, Ok(Heard::Receipt { is_news: false, .. })));
    let nothing = rig.say(1, Kind::Ack, None, by_udp());
    assert!(matches!(nothing, Ok(Heard::Receipt { is_news: false, .. })));
}

#[test]
fn a_receipt_after_all_still_counts() {
    let (mut rig, id) = Rig::both();
    rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    let said = rig.run_for(Duration::from_secs(60));
    assert!(matches!(rig.told(id), Told::NotTold { .. }));
    assert!(matches!(rig.acknowledge(&said[0], by_icmp()), Ok(Heard::Receipt { is_news: true, .. })));
    assert!(matches!(rig.told(id), Told::Told { by: Transport::Icmp, .. }));
}

#[test]
fn a_client_that_could_not_be_told_is_told_again_when_the_same_is_set_again() {
    let (mut rig, id) = Rig::both();
    rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    rig.run_for(Duration::from_secs(10));
    assert!(rig.issuer.set(rig.now, id, Standing::Leave(leave(100))));
    assert_eq!(rig.run_for(Duration::from_secs(10)).len(), 9);
}

#[test]
fn an_invitation_s_slot_is_what_is_left_of_it() {
    let (mut rig, id) = Rig::both();
    let at = rig.now + Duration::from_secs(10);
    let invitation =
        Invitation { at, window: Duration::from_secs(30), come: false, reason: Reason::RECOVERED, load: 12 };
    rig.issuer.set(rig.now, id, Standing::Invited(invitation));
    let said = rig.run_for(Duration::from_secs(5));
    let slots: Vec<_> = said.iter().map(|one| one.slot_ms.expect("a slot")).collect();
    assert_eq!(slots, [10_000, 9_800, 9_800, 9_400, 9_400, 8_600, 8_600, 7_000, 7_000]);
    assert!(said.iter().all(|one| one.header.kind == Kind::Reconnect && one.header.stagger_s == 30));
    rig.run_for(Duration::from_secs(60));
    rig.say(1, Kind::Challenge, Some(Tlv::Nonce([1; 16])), by_udp()).expect("good");
    assert_eq!(rig.run_for(Duration::ZERO)[0].slot_ms, Some(0), "its slot has come");
}

#[test]
fn nothing_in_force_is_a_failover_of_nothing() {
    let (mut rig, id) = Rig::both();
    rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    let said = rig.run_for(Duration::ZERO);
    rig.acknowledge(&said[0], by_udp()).expect("good");
    assert!(rig.issuer.set(rig.now, id, Standing::Clear));
    let header = rig.run_for(Duration::ZERO)[0].header;
    assert_eq!((header.kind, header.reduction_percent, header.validity_s), (Kind::Failover, 0, 0));
}

#[test]
fn a_challenge_is_answered_with_what_is_in_force_and_its_nonce() {
    let (mut rig, id) = Rig::both();
    let heard = rig.say(1, Kind::Challenge, Some(Tlv::Nonce([5; 16])), by_udp());
    assert_eq!(heard, Ok(Heard::Challenge { client: id }));
    let said = rig.run_for(Duration::ZERO);
    assert_eq!(ways(&said), [(0, "udp")], "the way it came");
    assert_eq!((said[0].header.kind, said[0].header.validity_s), (Kind::Failover, 0));
    assert_eq!(said[0].nonce, Some([5; 16]));
    rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    assert_eq!(rig.run_for(Duration::ZERO)[0].nonce, None, "what comes later echoes nothing");
    rig.say(1, Kind::Challenge, Some(Tlv::Nonce([6; 16])), by_udp()).expect("good");
    let said = rig.run_for(millis(200));
    assert_eq!(said[0].header.reduction_percent, 100);
    assert!(said.iter().all(|one| one.nonce == Some([6; 16])), "its repeats echo it too");
    assert_eq!(rig.issuer.received().challenges, 2);
}

#[test]
fn a_request_to_come_back_is_refused_with_a_delay_and_nothing_else_changes() {
    let (mut rig, id) = Rig::both();
    rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    rig.run_for(Duration::from_secs(1));
    let heard = rig.say(1, Kind::ReconnectRequest, None, by_icmp());
    assert_eq!(heard, Ok(Heard::ReconnectRequest { client: id }));
    rig.issuer.refuse(rig.now, id, Duration::from_secs(45), Reason::WORKERS, 97);
    let said = rig.run_for(millis(200));
    assert_eq!((said[0].header.kind, said[0].slot_ms), (Kind::Refused, Some(45_000)));
    assert_eq!(said[1].slot_ms, Some(44_800));
    assert_eq!(*rig.issuer.view(id).expect("known").standing, Standing::Leave(leave(100)));
    rig.acknowledge(&said[0], by_icmp()).expect("good");
    rig.say(1, Kind::Challenge, Some(Tlv::Nonce([6; 16])), by_icmp()).expect("good");
    let header = rig.run_for(Duration::ZERO)[0].header;
    assert_eq!((header.kind, header.reduction_percent), (Kind::Failover, 100));
}

#[test]
fn agents_are_judged_by_mac_and_mark_and_never_by_time() {
    let (mut rig, id) = Rig::both();
    rig.say(1, Kind::Hello, None, by_udp()).expect("its time is zero");
    let hello = message(1, Kind::Hello, 1, None);
    assert_eq!(
        rig.issuer.handle_message(rig.now, by_icmp(), &hello),
        Ok(Heard::Repeated { client: id }),
        "the same by another transport"
    );
    rig.say(1, Kind::Hello, None, by_udp()).expect("good");
    assert!(matches!(rig.issuer.handle_message(rig.now, by_udp(), &hello), Err(Refusal::Replay { .. })));
    let mut forged = message(1, Kind::Hello, 9, None);
    *forged.last_mut().expect("a MAC") ^= 1;
    assert!(matches!(rig.issuer.handle_message(rig.now, by_udp(), &forged), Err(Refusal::BadMac(_))));
    let stranger = message(2, Kind::Hello, 9, None);
    assert_eq!(rig.issuer.handle_message(rig.now, by_udp(), &stranger), Err(Refusal::UnknownSender));
    let ours = message(1, Kind::Failover, 9, None);
    assert!(matches!(rig.issuer.handle_message(rig.now, by_udp(), &ours), Err(Refusal::WrongKind { .. })));
    assert!(matches!(rig.issuer.handle_message(rig.now, by_udp(), b"?"), Err(Refusal::Malformed(_))));
    let counts = *rig.issuer.received();
    assert_eq!((counts.accepted, counts.duplicate, counts.replay, counts.bad_mac), (2, 1, 1, 1));
    assert_eq!((counts.unknown_sender, counts.wrong_kind, counts.malformed), (1, 1, 1));
}

/// A device whose clock was ahead when it last started, and which kept nothing.
#[test]
fn an_agent_that_begins_anew_behind_its_mark_is_heard_where_it_is_no_echo_of_its_past() {
    let (mut rig, id) = Rig::both();
    rig.agent_sequence = 100;
    rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    let old = rig.run_for(Duration::ZERO).remove(0);
    rig.acknowledge(&old, by_udp()).expect("good");
    let replayed = |rig: &mut Rig, kind, sequence, tlv| {
        rig.issuer.handle_message(rig.now, by_udp(), &message(1, kind, sequence, tlv))
    };

    let nonce = Some(Tlv::Nonce([6; 16]));
    assert_eq!(replayed(&mut rig, Kind::Challenge, 1, nonce), Ok(Heard::Challenge { client: id }));
    assert!(matches!(replayed(&mut rig, Kind::Challenge, 2, nonce), Err(Refusal::Replay { .. })), "seldom");
    for kind in [Kind::Hello, Kind::ReconnectRequest] {
        assert!(matches!(replayed(&mut rig, kind, 3, None), Err(Refusal::Replay { .. })));
    }
    let receipt = |said: &Said| {
        let (epoch, sequence) = (said.header.epoch, said.header.sequence);
        Some(Tlv::Acked { epoch, sequence, outcome: Outcome::Moved })
    };
    assert!(matches!(replayed(&mut rig, Kind::Ack, 4, receipt(&old)), Err(Refusal::Replay { .. })));
    let answer = rig.run_for(Duration::ZERO).remove(0);
    assert_eq!(answer.nonce, Some([6; 16]));
    let heard = replayed(&mut rig, Kind::Ack, 4, receipt(&answer));
    assert!(matches!(heard, Ok(Heard::Receipt { is_news: true, .. })), "{heard:?}");
    assert!(replayed(&mut rig, Kind::Hello, 5, None).is_ok(), "it counts from there");
}

#[test]
fn a_hello_shows_the_way_for_a_while() {
    let (mut rig, id) = Rig::both();
    rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    rig.run_for(Duration::from_secs(10));
    let from = "192.0.2.1:40000".parse().expect("an address");
    rig.say(1, Kind::Hello, None, Origin::Udp { from }).expect("good");
    rig.say(1, Kind::Hello, None, by_icmp()).expect("good");
    let said = rig.run_for(millis(200));
    let to = address("127.0.1.1");
    assert_eq!(said[0].to, Path::IcmpReply { to, id: 4711 }, "told at last, and at once");
    assert_eq!(said[2].to, Path::Udp(from));
    assert_eq!(said[0].header.sequence, 1, "the same notice still");
    rig.run_for(REGISTRATION);
    rig.issuer.set(rig.now, id, Standing::Leave(leave(50)));
    assert_eq!(rig.run_for(Duration::ZERO)[0].to, Path::Icmp(to));
}

#[test]
fn notices_go_out_at_the_rate_and_no_faster() {
    let mut rig = Rig::new(&[Transport::Udp]);
    rig.issuer.reconfigure(vec![Transport::Udp], 3798, 1_000, 500);
    for n in 0..200u8 {
        let id = rig.issuer.add(client(n), &keys()).expect("room");
        rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    }
    let said = rig.run_until(Instant::from_millis(199));
    assert_eq!(said.len(), 200);
    for window in 0..180 {
        let in_window = said.iter().filter(|one| (window..window + 20).contains(&one.at_ms)).count();
        assert!(in_window <= 20 + 11, "{in_window} in 20 ms from {window}");
    }
    assert!(said.last().expect("some").at_ms >= 180, "evenly, not all at once");
}

#[test]
fn who_has_to_hurry_waits_for_no_pace() {
    let mut rig = Rig::new(&[Transport::Udp]);
    rig.issuer.reconfigure(vec![Transport::Udp], 3798, 100, 500);
    for n in 0..200u8 {
        let id = rig.issuer.add(client(n), &keys()).expect("room");
        rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    }
    assert_eq!(rig.run_until(Instant::from_millis(100)).len(), 12);
    assert_eq!(rig.issuer.hardly_told(), 200);
    rig.issuer.hurry(rig.now + millis(1_000));
    let said = rig.run_for(millis(250));
    assert!(said.len() >= 200 + 188, "each once and once more: {}", said.len());
    assert_eq!((rig.issuer.hardly_told(), rig.issuer.pending()), (0, 200));
}

#[test]
fn a_reload_amid_an_attempt_leaves_no_transport_that_has_gone() {
    for preferred in [None, Some(Transport::Udp), Some(Transport::Icmp)] {
        let (mut rig, id) = Rig::both();
        rig.issuer.client_mut(id).expect("known").preferred = preferred;
        rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
        assert_eq!(rig.run_until(Instant::from_millis(100)).len(), 1);
        rig.now = Instant::from_millis(200);
        let mut out = [0; MAX_OCTETS];
        rig.issuer.poll_transmit(rig.now, UTC, &mut out).expect("the second attempt's first");
        rig.issuer.reconfigure(vec![Transport::Udp], 3798, 20_000, 3);
        let said = rig.run_for(millis(5_000));
        assert!(!said.is_empty() && said.iter().all(|one| matches!(one.to, Path::Udp(_))), "{said:?}");
    }
}

#[test]
fn the_table_is_bounded_and_its_places_are_used_again() {
    let mut rig = Rig::new(&[Transport::Udp]);
    let ids: Vec<_> = (0..3).map(|n| rig.issuer.add(client(n), &keys()).expect("room")).collect();
    assert_eq!(rig.issuer.add(client(9), &keys()), Err(AddError::Full));
    assert_eq!(rig.issuer.add(client(8), &[]), Err(AddError::NoKey));
    assert_eq!(rig.issuer.add(client(1), &keys()), Ok(ids[1]), "known already");
    rig.issuer.set(rig.now, ids[1], Standing::Leave(leave(100)));
    rig.issuer.remove(ids[1]);
    assert_eq!((rig.issuer.pending(), rig.issuer.poll_timeout()), (0, None));
    let again = rig.issuer.add(client(9), &keys()).expect("room");
    assert_eq!(again, ids[1]);
    assert_eq!(rig.told(again), Told::Nothing);
    assert_eq!(rig.issuer.sent().no_place, 1);
    assert_eq!(rig.issuer.clients().count(), 3);
}

#[test]
fn settled_is_who_knows_its_slot() {
    let (mut rig, id) = Rig::both();
    let window = Duration::from_secs(30);
    let invitation = Invitation { at: rig.now, window, come: false, reason: Reason::RECOVERED, load: 1 };
    rig.issuer.set(rig.now, id, Standing::Invited(invitation.clone()));
    rig.issuer.settle(id);
    assert_eq!(*rig.issuer.view(id).expect("known").standing, Standing::Invited(invitation));
    let said = rig.run_for(Duration::ZERO);
    rig.acknowledge(&said[0], by_udp()).expect("good");
    rig.issuer.settle(id);
    assert_eq!(*rig.issuer.view(id).expect("known").standing, Standing::Clear);
}

#[test]
fn without_a_transport_nobody_is_told() {
    let mut rig = Rig::new(&[]);
    let id = rig.issuer.add(client(1), &keys()).expect("keyed");
    rig.issuer.set(rig.now, id, Standing::Leave(leave(100)));
    assert_eq!(rig.run_for(Duration::ZERO), []);
    assert!(matches!(rig.told(id), Told::NotTold { .. }));
}
