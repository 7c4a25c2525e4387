//! `forewarn explain` says beforehand what forewarnd does.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Output;

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::program::forewarn;
use forewarn_tests::radclient::radclient;
use forewarn_tests::{Folder, Hosts, Server};
use serde_json::Value;

const POLICIES: &str = r#"
[[policy]]
name = "staff on wifi get VLAN 120"
when = '"staff" in user.groups && request["NAS-Port-Type"] == "Wireless-802.11"'
reply = { Tunnel-Type = "VLAN", Tunnel-Medium-Type = "IEEE-802", Tunnel-Private-Group-Id = "120" }

[[policy]]
name = "one session each"
when = 'user.realm == "" && !("State" in request)'
reply = { Session-Timeout = 600 }
reply_add = { Filter-Id = ["a", "b"] }
reply_remove = ["Reply-Message"]

[[policy]]
name = "no modems"
when = 'request.nas_port_type in ["Async", "ISDN"] || request.calling_station_id.matches("^\\+49")'
action = "reject"
reason = "dial-in ended in 2019"
reply = { Reply-Message = "No dial-in" }
"#;

/// Requests of every end, each with what stands in `explain`'s command line besides the file.
const REQUESTS: [(&str, &str, &str); 8] = [
    ("User-Name = alice\nUser-Password = wonderland\n", "access-accept", "password"),
    (
        "User-Name = alice\nUser-Password = wonderland\nNAS-Port-Type = Wireless-802.11\n",
        "access-accept",
        "password",
    ),
    ("User-Name = alice\nCHAP-Password = wonderland\n", "access-accept", "chap"),
    ("User-Name = bob\nUser-Password = builder\n", "access-accept", "password"),
    ("User-Name = alice\nUser-Password = wonderful\n", "access-reject", "wrong-password"),
    ("User-Name = \"o'brien\"\nUser-Password = x\n", "access-reject", "unknown-user"),
    ("User-Name = alice\nUser-Password = wonderland\nNAS-Port-Type = ISDN\n", "access-reject", "policy"),
    (
        "User-Name = alice\nUser-Password = wonderland\nCalling-Station-Id = \"+49301234\"\n",
        "access-reject",
        "policy",
    ),
];

fn explained(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The attributes that radclient received, as it prints them.
fn received(host: IpAddr, request: &str) -> (String, BTreeSet<String>) {
    let asked = format!("{request}Message-Authenticator = 0x00\n");
    let said = radclient((host, 1812).into(), "auth", SECRET, &asked, &[]).text;
    let mut lines = said.lines().skip_while(|line| !line.starts_with("Received "));
    let first = lines.next().unwrap_or_else(|| panic!("no answer: {said}")).to_owned();
    let pairs = lines.take_while(|line| line.starts_with('\t')).map(str::trim);
    (first, pairs.filter(|pair| !pair.starts_with("Message-Authenticator")).map(str::to_owned).collect())
}

#[test]
fn it_says_what_the_server_then_does() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let text = config::server(&hosts, "east", host, &[], POLICIES);
    let folder = Folder::new();
    folder.write("server.toml", &text);
    let server = Server::start(&text);
    for (request, answer, cause) in REQUESTS {
        folder.write("request", request);
        let arguments =
            ["explain", "-c", "server.toml", "--client", "hosts", "--request", "request", "--json"];
        let output = forewarn(folder.path(), &arguments);
        let explanation = explained(&output);
        assert_eq!(
            (&explanation["answer"], &explanation["cause"]),
            (&answer.into(), &cause.into()),
            "{request}"
        );
        assert_eq!(output.status.success(), answer == "access-accept", "{request}");
        let told = explanation["reply"].as_array().unwrap().iter().map(|one| {
            // radclient names the tag 0 too.
            let name = one["name"].as_str().unwrap();
            let tag = if name.starts_with("Tunnel-") { ":0" } else { "" };
            format!("{name}{tag} = {}", one["value"].as_str().unwrap())
        });
        let (code, attributes) = received(host, request);
        assert!(code.to_lowercase().contains(answer), "{request}: {code}");
        assert_eq!(told.collect::<BTreeSet<_>>(), attributes, "{request}");
    }
    drop(server);
}

#[test]
fn people_read_what_decided_and_what_to_change() {
    let mut hosts = Hosts::claim();
    let folder = Folder::new();
    let host = hosts.host();
    folder.write("server.toml", &config::server(&hosts, "east", host, &[], POLICIES));
    folder.write("password", "wonderland\n");
    let ask = |more: &[&str]| {
        let arguments = [&["explain", "-c", "server.toml", "--user", "alice"], more].concat();
        let output = forewarn(folder.path(), &arguments);
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let known = ["--client", "loopback", "--password-file", "password"];
    let (code, shown, _) = ask(&[&known[..], &["-a", "NAS-Port-Type = ISDN"]].concat());
    assert_eq!(code, Some(1));
    for part in [
        "127.0.0.1 is client \"loopback\"",
        "\"no modems\" holds: it rejects",
        "request[\"NAS-Port-Type\"] is 2",
        "reason is dial-in ended in 2019",
        "Access-Reject, cause policy",
        "Reply-Message = \"No dial-in\"  (no modems)",
        "to change it: ",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let (code, shown, _) = ask(&known);
    assert_eq!(code, Some(0), "{shown}");
    let (code, shown, _) = ask(&["--client", "203.0.113.7", "--password-file", "password"]);
    assert!(code == Some(1) && shown.contains("no answer, cause unknown-client"), "{shown}");
    let (code, _, complaint) = ask(&["--client", "loopbak"]);
    assert!(code == Some(1) && complaint.contains("did you mean \"loopback\"?"), "{complaint}");
    let (code, _, complaint) = ask(&["--client", "loopback", "-a", "NAS-Prot = 1"]);
    assert!(code == Some(1) && complaint.contains("unknown attribute \"NAS-Prot\""), "{complaint}");
    assert!(!folder.path().join("state").exists(), "nothing is left behind");
}
