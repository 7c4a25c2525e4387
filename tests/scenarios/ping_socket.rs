//! An agent without privilege, where nothing but ICMP gets through: it registers by pinging, and is told by Echo Replies.

use std::process::Command;

use forewarn_shell::privilege::{Capability, may};
use forewarn_tests::{Agent, Hosts, Server, config, eventually};

/// Set in the network namespace that the test makes.
const INSIDE: &str = "FOREWARN_TEST_PING_GROUP";
/// This test, by its name.
const NAME: &str = "scenarios::ping_socket::an_agent_without_privilege_is_told_by_echo_replies";

#[test]
fn an_agent_without_privilege_is_told_by_echo_replies() {
    if std::env::var_os(INSIDE).is_some() {
        return told_by_echo_replies();
    }
    if !may(Capability::CAP_SYS_ADMIN) {
        eprintln!("not run: only root can make a network namespace");
        return;
    }
    // A namespace of its own, whose groups may ping; this one test again, inside it.
    let script =
        "ip link set lo up && echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", script])
        .arg(std::env::current_exe().expect("a test has a program file"))
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare of util-linux is installed");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn told_by_echo_replies() {
    let mut hosts = Hosts::claim();
    let (east, west, agent) = (hosts.host(), hosts.host(), hosts.host());
    let icmp_only = |text: String, table: &str| {
        let table = format!("[{table}]\n");
        assert!(text.contains(&table), "{table} in {text}");
        text.replace(&table, &format!("{table}transports = [\"icmp\"]\n"))
    };
    let server = Server::start(&icmp_only(config::server(&hosts, "east", east, &[agent], ""), "notice"));
    let _west = Server::start(&config::server(&hosts, "west", west, &[agent], ""));
    let agent = Agent::start_without_raw(&icmp_only(
        config::agent(agent, &[("east", east), ("west", west)], ""),
        "inbox",
    ));
    eventually("the agent begins with its first server", || {
        (agent.status()["current"] == "east").then_some(())
    });

    assert!(server.forewarn(&["drain", "--wait"]).status.success());
    eventually("the traffic moves", || (agent.status()["current"] == "west").then_some(()));
    assert_eq!(agent.status()["last_switch"]["cause"], "notice");
    let told = eventually("the receipt is shown", || {
        let status = server.status();
        let clients = status["clients"].as_array()?;
        let told = clients.iter().find(|client| client["name"] == "agent-0")?["notice"].clone();
        (told["told"] == "told").then_some(told)
    });
    assert_eq!(told["transport"], "icmp", "{told}");

    assert!(server.forewarn(&["resume"]).status.success());
    eventually("the traffic comes back", || (agent.status()["current"] == "east").then_some(()));
}
