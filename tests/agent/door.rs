//! Bad input at the front door: silence, and the counter that moves.

use forewarn_tests::Nas;
use forewarn_wire::{Code, RadiusKey, RequestAuthenticator, Writer, number};

use super::{QUIET, SOON, Site};

#[test]
fn what_is_bad_meets_silence_and_moves_its_counter() {
    let site = Site::new(1);
    let good = site.nas.access("alice", 1, None);
    let mut bad_attribute = good.clone();
    bad_attribute[21] = 1;
    let mut bad_length = good.clone();
    bad_length[2..4].copy_from_slice(&9000_u16.to_be_bytes());
    let mut coa = good.clone();
    coa[0] = 43;
    let mut unknown = good.clone();
    unknown[0] = 99;
    let table: [(&str, &[u8]); 7] = [
        ("silence.short", &good[..12]),
        ("silence.bad-length", &good[..40]),
        ("silence.bad-length", &bad_length),
        ("silence.bad-attribute", &bad_attribute),
        ("silence.unknown-code", &coa),
        ("silence.unknown-code", &unknown),
        ("silence.eap-without-message-authenticator", &eap_without_message_authenticator()),
    ];
    for (counter, bytes) in table {
        let before = site.count(counter);
        site.nas.send_access(bytes);
        site.until_count(counter, before + 1);
    }
    assert!(site.nas.reply(&good, QUIET).is_none(), "silence");
    assert!(site.homes[0].requests().is_empty(), "nothing of it went on");
    assert_eq!(site.served_by("bob"), 0, "and good ones are served");
}

#[test]
fn a_wrong_secret_is_silence_and_the_operator_hears_of_it() {
    let site = Site::new(1);
    let stranger = Nas::with_secret(site.address(), "not the secret at all");
    for identifier in 0..6 {
        stranger.send_access(&stranger.access("alice", identifier, None));
        stranger.send_accounting(&stranger.accounting("session", identifier));
    }
    site.until_count("silence.bad-message-authenticator", 6);
    site.until_count("silence.bad-authenticator", 6);
    site.agent.says("looks wrong");
    assert!(site.homes[0].requests().is_empty());
}

#[test]
fn who_is_no_client_meets_silence() {
    let narrow = Site::build(1, &[], |config| {
        config.replace("kind = \"auth\"\n", "kind = \"auth\"\nclients = [\"192.0.2.0/24\"]\n")
    });
    narrow.nas.send_access(&narrow.nas.access("alice", 1, None));
    narrow.until_count("silence.unknown-client", 1);
    narrow.agent.says("none of the `clients`");
}

#[test]
fn an_old_nas_without_message_authenticator_is_served_and_protected_upstream() {
    let site = Site::new(1);
    let mut request = vec![1, 77, 0, 27];
    request.extend([9; 16]);
    request.extend([number::USER_NAME, 7]);
    request.extend(b"olden");
    site.nas.send_access(&request);
    let reply = site.nas.reply(&request, SOON).expect("an answer");
    assert_eq!(reply.code, Code::ACCESS_ACCEPT);
    assert!(site.heard(0, "olden").find(number::MESSAGE_AUTHENTICATOR).is_some(), "added on the way");
}

#[test]
fn status_server_is_answered_by_the_agent_itself() {
    let site = Site::new(1);
    let key = RadiusKey::new(forewarn_tests::LOCAL_SECRET.as_bytes()).expect("a secret");
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, Code::STATUS_SERVER, 5);
    writer.message_authenticator().expect("room");
    let request = writer.request(&key, RequestAuthenticator::Chosen([3; 16])).expect("room").to_vec();
    site.nas.send_access(&request);
    assert_eq!(site.nas.reply(&request, SOON).expect("an answer").code, Code::ACCESS_ACCEPT);
    assert!(site.homes[0].requests().is_empty());
}

fn eap_without_message_authenticator() -> Vec<u8> {
    let mut packet = vec![1, 8, 0, 27];
    packet.extend([6; 16]);
    packet.extend([number::EAP_MESSAGE, 7, 2, 1, 0, 5, 1]);
    packet
}
