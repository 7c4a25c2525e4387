//! The same over IPv6: requests, notices by UDP and by ICMPv6.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use forewarn_shell::icmp::{Kind as EchoKind, Receiver, Sender};
use forewarn_shell::udp::Inbound;
use forewarn_tests::within;
use forewarn_wire::notice::{MAGIC, Outcome};

use super::{SOON, Site, in_a_network_of_its_own, is_inside};

#[test]
fn a_failover_over_ipv6() {
    if is_inside() {
        return story();
    }
    let addresses: String =
        (1..=3).map(|host| format!("ip addr add fd00::{host}/64 dev lo nodad && ")).collect();
    in_a_network_of_its_own("agent::six::a_failover_over_ipv6", &format!("{addresses} true"));
}

fn host(number: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number).into()
}

fn story() {
    let mut site = Site::at(host(1), vec![host(2), host(3)], &[], |config| {
        config
            .replace("kind = \"auth\"\n", "kind = \"auth\"\nclients = [\"fd00::/64\"]\n")
            .replace("transports = [\"udp\"]", "transports = [\"icmp\", \"udp\"]")
    });
    assert_eq!(site.served_by("alice"), 0);
    assert_eq!(site.heard(0, "alice").from.ip(), host(1), "from its identity");

    let notice = site.desks[0].failover(&[]);
    site.desks[0].send(&notice);
    assert_eq!(site.desks[0].receipt(SOON), Some(Outcome::Moved));
    assert_eq!(site.served_by("bob"), 1);

    let back = site.desks[0].reconnect(Duration::ZERO);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let receipt = runtime.block_on(async {
        let receiver = Receiver::open(host(2), EchoKind::Request, MAGIC).expect("a raw socket");
        let sender = Sender::new(host(2)).expect("a socket to send by");
        sender.request(host(1), &back).await.expect("sent");
        let mut batch = Inbound::new();
        tokio::time::timeout(SOON, receiver.receive(&mut batch)).await.expect("a receipt").expect("read");
        let echo = receiver.echoes(&batch).next().expect("an echo");
        site.desks[0].read(echo.payload)
    });
    assert_eq!(receipt.acked.map(|(.., outcome)| outcome), Some(Outcome::Moved));
    within(SOON, "it is back", || (site.current() == "home-0").then_some(()));
}
