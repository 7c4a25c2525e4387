//! An agent without the right to raw sockets: it registers by a ping socket, and is told by Echo Replies.

use std::time::Duration;

use forewarn_shell::icmp::{Kind as EchoKind, Receiver, Sender};
use forewarn_shell::privilege::{self, Capability};
use forewarn_shell::udp::Inbound;
use forewarn_tests::{Agent, HomeServer, Hosts, Nas, NoticeDesk};
use forewarn_wire::notice::{Kind, MAGIC, Outcome};

use super::{SOON, configuration, socket};

/// Set in the network namespace that the test makes for itself.
const INSIDE: &str = "FOREWARN_TEST_PING_AGENT";
const NAME: &str = "agent::ping::without_privilege_notices_come_as_echo_replies";

#[test]
fn without_privilege_notices_come_as_echo_replies() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(story());
    }
    if !privilege::may(Capability::CAP_SYS_ADMIN) {
        eprintln!("no CAP_SYS_ADMIN: no network namespace whose groups may ping");
        return;
    }
    // A namespace whose groups may ping, and this one test again inside it.
    let script =
        "ip link set lo up && echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range && exec \"$0\" \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["--net", "sh", "-c", script])
        .arg(std::env::current_exe().expect("a test has a program file"))
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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
    assert!(agent.log().contains("grant CAP_NET_RAW"), "{}", agent.log());

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
