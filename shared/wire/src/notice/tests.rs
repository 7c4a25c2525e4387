use core::net::IpAddr;

use super::*;

const KEY: [u8; 32] = [0x5a; 32];
const KINDS: [MacKind; 3] = [MacKind::HmacMd5, MacKind::HmacSha256, MacKind::Md5];

fn identity(last: u8) -> Identity {
    IpAddr::from([127, 0, 0, last]).into()
}

fn pair(kind: MacKind) -> PairKey {
    NoticeKey::new(kind, &KEY).unwrap().pair(identity(11), identity(21))
}

fn failover() -> Header {
    Header {
        flags: Flags::ACK_WANTED | Flags::HARD,
        key_id: 1,
        reason: Reason::QUEUE_DELAY,
        epoch: 1_700_000_000,
        sequence: 42,
        utc_ms: 1_700_000_123_456,
        validity_s: 30,
        reduction_percent: 100,
        load_percent: 97,
        ..Header::new(Kind::Failover, identity(11), identity(21))
    }
}

#[test]
fn no_octet_of_a_notice_can_change() {
    for kind in KINDS {
        let mut buffer = [0; MAX_OCTETS];
        let tlvs =
            [Tlv::alternate(100, [127, 0, 0, 12].into()), Tlv::Slot { ms: 5 }, Tlv::ServiceScope("auth")];
        let length = write(&mut buffer, &failover(), tlvs, &pair(kind)).unwrap();
        let verify =
            |bytes: &[u8]| Notice::parse(bytes).is_ok_and(|notice| notice.verify(&pair(kind)).is_ok());
        assert!(verify(&buffer[..length]));
        for bit in 0..length * 8 {
            let mut forged = buffer;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(&forged[..length]), "{kind:?}, bit {bit}");
        }
        for end in 0..length {
            assert!(!verify(&buffer[..end]), "{kind:?}, cut at {end}");
        }
        assert!(!verify(&buffer[..length + 1]));
    }
}

#[test]
fn the_key_decides_the_kind_of_mac() {
    let mut buffer = [0; MAX_OCTETS];
    for signed in KINDS {
        let length = write(&mut buffer, &failover(), [], &pair(signed)).unwrap();
        for configured in KINDS.into_iter().filter(|&kind| kind != signed) {
            let notice = Notice::parse(&buffer[..length]).unwrap();
            assert_eq!(notice.verify(&pair(configured)), Err(BadMac::Kind));
        }
    }
}

#[test]
fn a_key_serves_one_pair_only() {
    for kind in KINDS {
        let mut buffer = [0; MAX_OCTETS];
        let key = NoticeKey::new(kind, &KEY).unwrap();
        let length = write(&mut buffer, &failover(), [], &pair(kind)).unwrap();
        let notice = Notice::parse(&buffer[..length]).unwrap();
        assert_eq!(notice.verify(&key.pair(identity(11), identity(22))), Err(BadMac::Pair));
        assert_eq!(notice.verify(&key.pair(identity(21), identity(11))), Err(BadMac::Pair));
        let other = key.pair(identity(12), identity(21));
        assert_eq!(write(&mut buffer, &failover(), [], &other), Err(NoticeWriteError::Pair));
    }
}

#[test]
fn a_notice_ends_at_512_octets() {
    let mut buffer = [0; MAX_OCTETS];
    let key = pair(MacKind::HmacSha256);
    let alternates = |count| (0..count).map(|n| Tlv::alternate(n, [127, 0, 1, n].into()));
    assert_eq!(write(&mut buffer, &failover(), alternates(60), &key), Ok(72 + 60 * 7 + 16));
    assert_eq!(write(&mut buffer, &failover(), alternates(61), &key), Err(NoticeWriteError::Full));
    let text = "x".repeat(256);
    assert_eq!(write(&mut buffer, &failover(), [Tlv::RealmScope(&text)], &key), Err(NoticeWriteError::Full));
    let wrong = Header { load_percent: 101, ..failover() };
    assert_eq!(write(&mut buffer, &wrong, [], &key), Err(NoticeWriteError::Percent(101)));
}

#[test]
fn short_keys_are_refused_and_none_is_shown() {
    assert_eq!(NoticeKey::new(MacKind::Md5, &KEY[1..]).unwrap_err(), KeyTooShort { octets: 31 });
    assert_eq!(format!("{:?}", NoticeKey::new(MacKind::Md5, &KEY).unwrap()), "NoticeKey(md5, ..)");
    let shown = format!("{:?}", pair(MacKind::HmacSha256));
    assert_eq!(shown, "PairKey(hmac-sha256, 127.0.0.11 and 127.0.0.21, ..)");
    assert!(KINDS.into_iter().all(|kind| MacKind::from_name(kind.name()) == Some(kind)));
}

#[test]
fn identities_are_addresses() {
    assert_eq!(identity(11).0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 11]);
    assert_eq!(identity(11).to_string(), "127.0.0.11");
    let six: IpAddr = "2001:db8::11".parse().unwrap();
    assert_eq!(Identity::from(six).address(), six);
}

#[test]
fn flags_add_up() {
    let flags = Flags::ACK_WANTED | Flags::HARD;
    assert!(flags.contains(Flags::HARD) && !flags.contains(Flags::ON_BEHALF));
    assert_eq!(flags.with(Flags::RETRANSMISSION).without(Flags::ACK_WANTED), Flags(6));
    assert_eq!(Reason(13).to_string(), "time-out");
    assert_eq!(Reason(14).to_string(), "reason 14");
}
