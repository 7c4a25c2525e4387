use super::*;

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::pool::{Kind, Server};
use forewarn_proto::upstream::Answer;
use forewarn_wire::notice::Identity;
use forewarn_wire::{Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer};

use crate::{clock, random};

/// Two requests through a server that answers the second one first.
#[tokio::test(flavor = "current_thread")]
async fn requests_go_out_and_answers_come_back() {
    let home = UdpSocket::bind("127.0.0.1:0").unwrap();
    home.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let local = Arc::new(RadiusKey::new(b"local secret of the test").unwrap());
    let shared = RadiusKey::new(b"shared secret of the test").unwrap();
    let server = Server {
        name: "home".to_owned(),
        identity: Identity::from(IpAddr::from([127, 0, 0, 1])),
        auth: home.local_addr().unwrap(),
        acct: "127.0.0.1:1".parse().unwrap(),
        key: shared.clone(),
        require_message_authenticator: true,
        status_server: true,
    };
    let mut rng = random::generator();
    let config = Config { ports: 2, ..Config::default() };
    let pool = Pool::new(vec![server]).unwrap();
    let mut driver =
        Driver::bind("127.0.0.1".parse().unwrap(), config, pool, clock::now(), &mut rng).unwrap();

    for ticket in [1_u8, 2] {
        let mut buffer = [0; 256];
        let mut writer = Writer::new(&mut buffer, Code::ACCESS_REQUEST, ticket);
        writer.message_authenticator().unwrap();
        let octets = writer.request(&local, RequestAuthenticator::Chosen([ticket; 16])).unwrap();
        let request = Packet::parse(octets)
            .unwrap()
            .verify_request(&local, MessageAuthenticatorRule::Required)
            .unwrap();
        driver
            .machine_mut()
            .handle_request(clock::now(), &mut rng, u64::from(ticket), Kind::Auth, &request, &local)
            .unwrap();
    }
    let mut sent = 0;
    driver.transmit(|_| sent += 1);
    assert_eq!(sent, 2);

    let mut asked = Vec::new();
    for _ in 0..2 {
        let mut buffer = [0; 4096];
        let (length, from) = home.recv_from(&mut buffer).unwrap();
        assert!(driver.local_addrs().any(|local| local == from));
        asked.push((buffer[..length].to_vec(), from));
    }
    for (octets, from) in asked.iter().rev() {
        let request = Packet::parse(octets)
            .unwrap()
            .verify_request(&shared, MessageAuthenticatorRule::Required)
            .unwrap();
        let mut buffer = [0; 256];
        let mut writer = Writer::new(&mut buffer, Code::ACCESS_ACCEPT, request.identifier());
        writer.message_authenticator().unwrap();
        home.send_to(writer.reply(&shared, request.authenticator()).unwrap(), from).unwrap();
    }

    let mut inbound = Inbound::new();
    let mut answered = Vec::new();
    while answered.len() < 2 {
        let receive = std::future::poll_fn(|cx| driver.poll_receive(cx, &mut inbound, &mut rng));
        tokio::time::timeout(Duration::from_secs(5), receive).await.unwrap();
        let mut buffer = [0; MAX_PACKET];
        while let Some(answer) = driver.machine_mut().poll_answer(&mut buffer) {
            let Answer::Reply { ticket, len, code, .. } = answer else { panic!("{answer:?}") };
            assert_eq!(code, Code::ACCESS_ACCEPT);
            let authenticator = [u8::try_from(ticket).unwrap(); 16];
            Packet::parse(&buffer[..len])
                .unwrap()
                .verify_reply(
                    &local,
                    Code::ACCESS_REQUEST,
                    &authenticator,
                    MessageAuthenticatorRule::Required,
                )
                .unwrap();
            answered.push(ticket);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 2]);
    assert_eq!(driver.counters(), DriverCounters::default());
}

#[tokio::test(flavor = "current_thread")]
async fn an_identity_of_somebody_else_is_refused() {
    let mut rng = random::generator();
    let server = Server {
        name: "home".to_owned(),
        identity: Identity::from(IpAddr::from([127, 0, 0, 1])),
        auth: "127.0.0.1:1812".parse().unwrap(),
        acct: "127.0.0.1:1813".parse().unwrap(),
        key: RadiusKey::new(b"shared secret of the test").unwrap(),
        require_message_authenticator: true,
        status_server: true,
    };
    let pool = Pool::new(vec![server]).unwrap();
    let bound = Driver::bind("192.0.2.1".parse().unwrap(), Config::default(), pool, clock::now(), &mut rng);
    let error = bound.err().expect("it isn't ours");
    assert!(error.to_string().contains("192.0.2.1 is no address of this machine"), "{error}");
}
