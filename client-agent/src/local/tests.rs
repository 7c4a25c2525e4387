use super::*;

use forewarn_wire::{RequestAuthenticator, number};

const NAS: &str = "127.0.0.1:40000";
const ASKED: &str = "127.0.0.21";

fn key() -> RadiusKey {
    RadiusKey::new(b"localsecretlocalsecret").unwrap()
}

fn door(kind: Kind, required: bool) -> FrontDoor {
    let listener = Listener {
        kind,
        address: "127.0.0.21:1812".parse().unwrap(),
        clients: vec!["127.0.0.0/8".parse().unwrap()],
        key: Arc::new(key()),
        require_message_authenticator: required,
    };
    FrontDoor::new(&[listener], 7)
}

fn access(key: &RadiusKey, identifier: u8, authenticator: u8, user: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer, Code::ACCESS_REQUEST, identifier);
    writer.message_authenticator().unwrap();
    writer.attribute(number::USER_NAME, user).unwrap();
    writer.request(key, RequestAuthenticator::Chosen([authenticator; 16])).unwrap().to_vec()
}

/// An Access-Request as an old NAS writes it: no Message-Authenticator.
fn old_access() -> Vec<u8> {
    let mut packet = vec![1, 9, 0, 27];
    packet.extend([5; 16]);
    packet.extend([number::USER_NAME, 7]);
    packet.extend(b"alice");
    packet
}

fn datagram<'d>(bytes: &'d [u8], from: &str) -> Datagram<'d> {
    Datagram {
        bytes,
        truncated: false,
        from: from.parse().unwrap(),
        to: ASKED.parse().unwrap(),
        arrived: Instant::ZERO,
    }
}

struct Fixture {
    door: FrontDoor,
    out: Outbound,
    now: Instant,
}

impl Fixture {
    fn new(kind: Kind, required: bool) -> Fixture {
        Fixture { door: door(kind, required), out: Outbound::new(), now: Instant::from_millis(1000) }
    }

    fn fate(&mut self, bytes: &[u8], from: &str) -> Option<Fate> {
        match self.door.judge(self.now, 0, &datagram(bytes, from), &mut self.out) {
            Verdict::Settled(fate) => Some(fate),
            Verdict::Forward { .. } => None,
        }
    }

    fn ticket(&mut self, bytes: &[u8]) -> (Ticket, Option<Ticket>) {
        match self.door.judge(self.now, 0, &datagram(bytes, NAS), &mut self.out) {
            Verdict::Forward { ticket, replaced, .. } => (ticket, replaced),
            Verdict::Settled(fate) => panic!("{fate:?}"),
        }
    }
}

#[test]
fn what_is_bad_meets_silence_and_is_counted_by_cause() {
    let mut door = Fixture::new(Kind::Auth, true);
    let good = access(&key(), 1, 1, b"alice");
    let mut flipped = good.clone();
    flipped[40] ^= 1;
    let mut bad_attribute = good.clone();
    bad_attribute[21] = 1;
    let mut long = good.clone();
    long[2] = 0xff;
    let accounting = {
        let mut buffer = [0; 64];
        let writer = Writer::new(&mut buffer, Code::ACCOUNTING_REQUEST, 1);
        writer.request(&key(), RequestAuthenticator::Computed).unwrap().to_vec()
    };
    let stranger = RadiusKey::new(b"another secret altogether").unwrap();
    let table: [(&[u8], &str, Fate); 9] = [
        (&good, "192.0.2.1:1", Fate::UnknownClient),
        (&good[..19], NAS, Fate::Short),
        (&long, NAS, Fate::BadLength),
        (&good[..30], NAS, Fate::BadLength),
        (&bad_attribute, NAS, Fate::BadAttribute),
        (&accounting, NAS, Fate::UnknownCode),
        (&flipped, NAS, Fate::BadMessageAuthenticator),
        (&access(&stranger, 1, 1, b"alice"), NAS, Fate::BadMessageAuthenticator),
        (&old_access(), NAS, Fate::MissingMessageAuthenticator),
    ];
    for (bytes, from, fate) in table {
        let before = door.door.counts().of(fate);
        assert_eq!(door.fate(bytes, from), Some(fate));
        assert_eq!(door.door.counts().of(fate), before + 1);
    }
    assert!(door.out.is_empty());
    assert_eq!(door.fate(&good, NAS), None, "and a good one goes on");
}

#[test]
fn an_old_nas_is_served_where_nothing_is_in_between() {
    let mut door = Fixture::new(Kind::Auth, false);
    assert_eq!(door.fate(&old_access(), NAS), None);
    let mut eap = old_access();
    eap.extend([number::EAP_MESSAGE, 7, 2, 1, 0, 5, 1]);
    eap[3] += 7;
    assert_eq!(door.fate(&eap, NAS), Some(Fate::EapWithoutMessageAuthenticator));
}

#[test]
fn a_retransmission_joins_and_later_gets_the_same_reply() {
    let mut door = Fixture::new(Kind::Auth, true);
    let request = access(&key(), 7, 1, b"alice");
    let (ticket, replaced) = door.ticket(&request);
    assert_eq!(replaced, None);
    assert_eq!(door.fate(&request, NAS), Some(Fate::DuplicateInProgress));

    let reply = [2, 7, 0, 20];
    let to = door.door.complete(door.now, ticket, &reply).unwrap();
    assert_eq!(to, Return { door: 0, to: NAS.parse().unwrap(), from: ASKED.parse().unwrap() });
    assert_eq!(door.door.counts().of(Fate::Accept), 1);
    assert!(door.out.is_empty());
    assert_eq!(door.fate(&request, NAS), Some(Fate::DuplicateReplayed));
    assert_eq!(door.out.len(), 1);
    assert_eq!(door.door.complete(door.now, ticket, &reply), None, "answered once");
}

#[test]
fn another_authenticator_is_another_request() {
    let mut door = Fixture::new(Kind::Auth, true);
    let (first, _) = door.ticket(&access(&key(), 7, 1, b"alice"));
    let (second, replaced) = door.ticket(&access(&key(), 7, 2, b"alice"));
    assert_eq!(replaced, Some(first));
    assert_eq!(door.door.complete(door.now, first, &[2, 7]), None);
    assert_eq!(door.door.counts().of(Fate::ReplyUnwanted), 1);
    assert!(door.door.complete(door.now, second, &[2, 7]).is_some());
}

#[test]
fn what_was_given_up_is_new_again() {
    let mut door = Fixture::new(Kind::Auth, true);
    let request = access(&key(), 7, 1, b"alice");
    let (ticket, _) = door.ticket(&request);
    door.door.forget(ticket, Fate::GivenUp);
    let (again, _) = door.ticket(&request);
    assert_ne!(ticket, again);
}

#[test]
fn status_server_is_answered_here() {
    for kind in [Kind::Auth, Kind::Acct] {
        let mut door = Fixture::new(kind, true);
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer, Code::STATUS_SERVER, 3);
        writer.message_authenticator().unwrap();
        let request = writer.request(&key(), RequestAuthenticator::Chosen([4; 16])).unwrap().to_vec();
        assert_eq!(door.fate(&request, NAS), Some(Fate::StatusServer));
        assert_eq!(door.out.len(), 1);
    }
}
