//! An agent without the right to raw sockets: it registers by a ping socket, and is told by Echo Replies.

use std::time::Duration;

use forewarn_shell::icmp::{Kind as EchoKind, Receiver, Sender};
use forewarn_shell::udp::Inbound;
use forewarn_tests::{Agent, HomeServer, Hosts, Nas, NoticeDesk};
use forewarn_wire::notice::{Kind, MAGIC, Outcome};

use super::{SOON, configuration, in_a_network_of_its_own, is_inside, socket};

#[test]
fn without_privilege_notices_come_as_echo_replies() {
    let name = "agent::ping::without_privilege_notices_come_as_echo_replies";
    if is_inside() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(story());
    } else {
        in_a_network_of_its_own(name, "echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range");
    }
}

async fn story() {
    let mut hosts = Hosts::claim();
    let (address, home) = (hosts.host(), hosts.host());
    let (first, second) = (HomeServer::start(home), HomeServer::start(hosts.host()));
    let mut desk = NoticeDesk::open(home, address);
    let receiver = Receiver::open(home, EchoKind::Request, MAGIC).expect("the server may");
    let sender = Sender::new(home).expect("the server may");
    let config = configuration(address, &[home, second.address()])
        .replace("transports = [\"udp\"]", "transports = [\"icmp\"]");
    let agent = Agent::start_without_raw(&config);
    agent.says("grant CAP_NET_RAW");

    let (hello, identifier, sequence) = next(&receiver, &desk, Kind::Hello).await;
    assert!(hello.epoch > 0);
    let notice = desk.failover(&[]);
    sender.reply(address, identifier, sequence, &notice).await.expect("sent");
    let (ack, ..) = next(&receiver, &desk, Kind::Ack).await;
    assert_eq!(ack.outcome, Some(Outcome::Moved));

    let nas = Nas::new(address);
    assert!(nas.ask("alice", 1, SOON).is_some());
    assert!(first.heard_of("alice").is_empty());
    assert_eq!(second.heard_of("alice").len(), 1);
    let status = super::status(agent.folder().path());
    assert_eq!(status.notices["refused.wrong-kind"], 0, "its own echoes are nobody's notices");
    assert!(socket(agent.folder().path()).exists());
}

struct Said {
    epoch: u32,
    outcome: Option<Outcome>,
}

/// The next message of this kind, with the numbers of its echo.
async fn next(receiver: &Receiver, desk: &NoticeDesk, kind: Kind) -> (Said, u16, u16) {
    let mut batch = Inbound::new();
    loop {
        let received = tokio::time::timeout(Duration::from_secs(5), receiver.receive(&mut batch)).await;
        received.expect("a message in time").expect("read");
        for echo in receiver.echoes(&batch) {
            let message = desk.read(echo.payload);
            if message.header.kind == kind {
                let outcome = message.acked.map(|(.., outcome)| outcome);
                return (Said { epoch: message.header.epoch, outcome }, echo.identifier, echo.sequence);
            }
        }
    }
}
