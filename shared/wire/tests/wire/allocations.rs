//! Deciding about a packet takes no memory from the heap.

use allocation_counter::measure;
use forewarn_wire::forward::{self, Leg, Onward};
use forewarn_wire::hide::user_password;
use forewarn_wire::notice::{self, Header, Identity, Kind, MacKind, Notice, NoticeKey, Tlv};
use forewarn_wire::{
    Code, Kept, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Verified, Writer, number,
};

const RULE: MessageAuthenticatorRule = MessageAuthenticatorRule::Required;

/// Runs it once, and says how often it asked for memory.
fn allocations(run: impl FnOnce()) -> u64 {
    measure(run).count_total
}

fn request<'b>(key: &RadiusKey, buffer: &'b mut [u8]) -> &'b [u8] {
    let mut writer = Writer::new(buffer, Code::ACCESS_REQUEST, 1);
    writer.message_authenticator().unwrap().attribute(number::USER_NAME, b"alice").unwrap();
    writer.user_password(key, &[7; 16], b"wonderland").unwrap().eap_message(&[1; 600]).unwrap();
    writer.request(key, RequestAuthenticator::Chosen([7; 16])).unwrap()
}

fn accept<'b>(key: &RadiusKey, request: &Verified<Packet<'_>>, buffer: &'b mut [u8]) -> &'b [u8] {
    let mut clear = [0; user_password::MAX];
    let hidden = request.find(number::USER_PASSWORD).unwrap();
    let password = user_password::reveal(key, request.authenticator(), hidden, &mut clear).unwrap();
    assert_eq!(password, b"wonderland");
    let mut writer = Writer::new(buffer, Code::ACCESS_ACCEPT, request.identifier());
    writer.message_authenticator().unwrap().integer(number::SESSION_TIMEOUT, 3600).unwrap();
    writer.reply(key, request.authenticator()).unwrap()
}

#[test]
fn a_request_and_its_answer() {
    let key = RadiusKey::new(b"testing123testing123").unwrap();
    let (mut asked, mut answered) = ([0; 4096], [0; 4096]);
    let count = allocations(|| {
        let bytes = request(&key, &mut asked);
        let received = Packet::parse(bytes).unwrap().verify_request(&key, RULE).unwrap();
        let bytes = accept(&key, &received, &mut answered);
        let reply = Packet::parse(bytes).unwrap();
        assert!(reply.verify_reply(&key, Code::ACCESS_REQUEST, &[7; 16], RULE).is_ok());
    });
    assert_eq!(count, 0);
}

#[test]
fn a_request_on_its_way_to_the_next_hop_and_back() {
    let nas = RadiusKey::new(b"localsecretlocalsecret").unwrap();
    let home = RadiusKey::new(b"testing123testing123").unwrap();
    let onward =
        Onward { key: &home, identifier: 9, authenticator: [9; 16], delay_s: 1, proxy_state: Some(b"x") };
    let mut buffers = [[0; 4096]; 4];
    let [asked, sent, answered, back] = &mut buffers;
    let mut kept = Kept::with_full_room();
    let count = allocations(|| {
        let bytes = request(&nas, asked);
        kept.store(&Packet::parse(bytes).unwrap().verify_request(&nas, RULE).unwrap());
        let bytes = forward::request(&kept.packet().unwrap(), &nas, &onward, sent).unwrap();
        let received = Packet::parse(bytes).unwrap().verify_request(&home, RULE).unwrap();
        let bytes = accept(&home, &received, answered);
        let reply = Packet::parse(bytes).unwrap();
        let reply = reply.verify_reply(&home, Code::ACCESS_REQUEST, &[9; 16], RULE).unwrap();
        let (from, to) =
            (Leg { key: &home, authenticator: &[9; 16] }, Leg { key: &nas, authenticator: &[7; 16] });
        let bytes = forward::reply(&reply, from, to, 1, Some(b"x"), back).unwrap();
        assert!(
            Packet::parse(bytes).unwrap().verify_reply(&nas, Code::ACCESS_REQUEST, &[7; 16], RULE).is_ok()
        );
        kept.clear();
    });
    assert_eq!(count, 0);
}

#[test]
fn a_notice() {
    let (server, client) = (Identity([1; 16]), Identity([2; 16]));
    for mac in [MacKind::HmacMd5, MacKind::HmacSha256, MacKind::Md5] {
        let key = NoticeKey::new(mac, &[7; 32]).unwrap().pair(server, client);
        let mut buffer = [0; notice::MAX_OCTETS];
        let count = allocations(|| {
            let header = Header::new(Kind::Failover, server, client);
            let tlvs = [Tlv::alternate(1, [127, 0, 0, 12].into()), Tlv::RealmScope("example.org")];
            let length = notice::write(&mut buffer, &header, tlvs, &key).unwrap();
            let notice = Notice::parse(&buffer[..length]).unwrap().verify(&key).unwrap();
            assert_eq!(notice.alternates().count(), 1);
        });
        assert_eq!(count, 0);
    }
}
