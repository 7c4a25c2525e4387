//! An agent that its servers know only by the address of a router.

use forewarn_tests::network::is_mine;
use forewarn_tests::stream::{Plan, Stream};
use forewarn_tests::{Agent, Folder, Hosts, Network, Server, config, eventually};

use super::{nothing_lost, well};

/// It has every privilege, and can't be called all the same: it registers, and is told by Echo Replies.
#[test]
fn a_drain_is_told_through_a_nat() {
    if !is_mine("namespaces::nat::a_drain_is_told_through_a_nat") {
        return;
    }
    let mut network = Network::new();
    let at: [_; 4] = std::array::from_fn(|_| network.host());
    let [east, west, router, inside] = &at;
    let own = inside.put_behind(router);
    inside.run("sysctl -qw net.ipv4.ping_group_range='0 2147483647'");
    let unused = Hosts::claim();
    let server = |name, host| config::server(&unused, name, host, &[router.v4()], config::WELL);
    let text = config::agent(own, &[("east", east.v4()), ("west", west.v4())], "")
        .replace(
            &format!("identity = \"{own}\""),
            &format!("identity = \"{}\"\naddress = \"{own}\"", router.v4()),
        )
        .replace("[inbox]\n", "[inbox]\ntransports = [\"icmp\"]\n")
        .replace("clients = [\"127.0.0.0/8\"]", &format!("clients = {:?}", Network::PREFIXES));
    let first = Server::start_on(east, well(), &server("east", east.v4()));
    let _second = Server::start_on(west, well(), &server("west", west.v4()));
    let agent = Agent::start_on(inside, true, Folder::new(), &text);
    let sends_to = |name: &str| (agent.status()["current"] == name).then_some(());
    eventually("the agent begins with its first server", || sends_to("east"));
    let stream = Stream::start(Plan::through(own));
    eventually("traffic flows", || {
        (agent.status()["servers"][0]["answered"].as_u64() > Some(100)).then_some(())
    });
    let drained = first.forewarn(&["drain", "--wait"]);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    let status = first.status();
    let told =
        status["clients"].as_array().and_then(|clients| clients.iter().find(|one| one["name"] == "agent-0"));
    assert_eq!(told.expect("the agent")["notice"]["transport"], "icmp");
    assert_eq!(agent.status()["last_switch"]["cause"], "notice");
    sends_to("west").expect("it has left");
    assert!(first.forewarn(&["resume"]).status.success());
    eventually("the traffic comes back", || sends_to("east"));
    nothing_lost(&stream.finish());
}
