//! EAP-PWD: each group, fragments of each size, each way, and whoever has to stay out.

use std::net::{IpAddr, SocketAddr};

use forewarn_tests::config::{self, LOCAL_SECRET, SECRET};
use forewarn_tests::eapol::eapol_test;
use forewarn_tests::{Agent, Hosts, Server};

const USERS: &str = r#"
[limits]
failures = 3
hold = "10m"

[[user]]
name = "slow"
password_hash = "$2b$10$abcdefghijklmnopqrstuuwmjOOgyx/jknFqeF8sHrF2cGgSECl/q"

[[user]]
name = "guest"
password = "wonderland"
groups = ["guests"]

[[policy]]
name = "no guests"
when = '"guests" in user.groups && request.method == "eap-pwd"'
action = "reject"
"#;

fn eap(group: u16, fragment: usize) -> String {
    format!(
        "[eap]\nmethods = [\"pwd\", \"mschapv2\"]\nfragment = {fragment}\n\
         [eap.pwd]\ngroup = {group}\nserver_id = \"radius.example.org\"\n{USERS}"
    )
}

fn peer(name: &str, password: &str, lines: &str) -> String {
    format!("eap=PWD\nidentity=\"{name}\"\npassword=\"{password}\"\n{lines}")
}

#[test]
fn each_group_by_each_way_in_fragments_of_each_size() {
    for (group, fragments) in [(19, [100, 1024]), (20, [64, 1024]), (21, [100, 1024])] {
        let mut hosts = Hosts::claim();
        let (server, proxy, agent) = (hosts.host(), hosts.host(), hosts.host());
        for fragment in fragments {
            let eap = eap(group, fragment);
            let _server = Server::start(&config::server(&hosts, "east", server, &[agent], &eap));
            let pool = format!(
                "[[pool]]\nname = \"home\"\nservers = [{{ name = \"east\", address = \"{server}\", secret = \"{SECRET}\" }}]\n\
                 [[realm]]\nmatch = \"NULL\"\npool = \"home\"\n[[realm]]\nmatch = \"DEFAULT\"\npool = \"home\"\n"
            );
            let _proxy = Server::start(&config::server(&hosts, "proxy", proxy, &[], &pool));
            let _agent = Agent::start(&config::agent(agent, &[("east", server)], ""));
            let ways: [(IpAddr, &str); 3] = [(server, SECRET), (proxy, SECRET), (agent, LOCAL_SECRET)];
            for (host, secret) in ways {
                for anonymous in ["", "anonymous_identity=\"@example.org\"\n"] {
                    let lines = format!("fragment_size={fragment}\n{anonymous}");
                    let peer = peer("alice", "wonderland", &lines);
                    let said = eapol_test(SocketAddr::new(host, 1812), secret, &peer, true);
                    assert!(said.success, "group {group} by {host}: {peer}\n{}", said.text);
                }
            }
        }
    }
}

#[test]
fn who_doesnt_know_the_password_and_who_isnt_let_in_see_the_same() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let server = Server::start(&config::server(&hosts, "east", host, &[], &eap(19, 1024)));
    let ask =
        |name: &str, password: &str| eapol_test((host, 1812).into(), SECRET, &peer(name, password, ""), true);
    let seen = ["alice", "nobody", "slow"].map(|name| {
        let said = ask(name, "wonderlamp");
        assert!(!said.success, "{name}: {}", said.text);
        assert!(said.text.contains("EAP-pwd") || said.text.contains("EAP-PWD"), "{}", said.text);
        said.challenges()
    });
    assert_eq!(seen, [seen[0]; 3], "Access-Challenges");
    // Whoever knows the password of an account that has no use for it learns no more.
    let slow = ask("slow", "wonderland");
    assert!(!slow.success && slow.challenges() == seen[0], "{}", slow.text);
    let guest = ask("guest", "wonderland");
    assert!(guest.was_refused(), "the password is right, and a policy is against it: {}", guest.text);
    // Only the operator is told.
    for (name, why) in [("nobody", "unknown-user"), ("slow", "pwd-needs-clear-text")] {
        let log = server.says(why);
        let said = log.lines().any(|line| line.contains(name) && line.contains(why));
        assert!(said && !log.contains("wonderland"), "{name}: {log}");
    }
}

#[test]
fn a_guess_counts_whether_or_not_it_is_heard_of_again() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let _server = Server::start(&config::server(&hosts, "east", host, &[], &eap(19, 1024)));
    let ask = |password: &str| eapol_test((host, 1812).into(), SECRET, &peer("alice", password, ""), true);
    for _ in 0..5 {
        assert!(ask("wonderland").success, "what was right counts for nothing");
    }
    // wpa_supplicant sees by the server's proof that it is wrong, and says nothing more.
    for _ in 0..3 {
        assert!(!ask("wonderlamp").success);
    }
    let held = ask("wonderland");
    assert!(!held.success, "{}", held.text);
}
