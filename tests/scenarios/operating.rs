//! An operator at work: check, start, status, reload, a second instance, the end.

use std::fs;
use std::net::IpAddr;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::program::{built, forewarn};
use forewarn_tests::radclient::radclient;
use forewarn_tests::{Folder, Hosts, Server, eventually};
use serde_json::Value;

const SERVER: &str = include_str!("../../docs/examples/server.toml");
const AGENT: &str = include_str!("../../docs/examples/agent.toml");

const ALICE: &str = "User-Name = alice, User-Password = wonderland, Message-Authenticator = 0x00\n";

/// The lines of what a program wrote.
fn lines(octets: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(octets).lines().map(str::to_owned).collect()
}

/// Runs forewarnd to its end: for starts that fail.
fn forewarnd(folder: &Folder, file: &str) -> Output {
    Command::new(built("forewarnd"))
        .current_dir(folder.path())
        .args(["-c", file])
        .stdin(Stdio::null())
        .output()
        .expect("forewarnd starts")
}

/// What radclient received: `Access-Accept` and so on are in it.
fn ask(host: IpAddr, request: &str, seconds: &str) -> String {
    radclient((host, 1812).into(), "auth", SECRET, request, &["-t", seconds]).text
}

fn plain(host: IpAddr, hosts: &Hosts) -> String {
    config::server(hosts, "east", host, &[], "")
}

#[test]
fn the_two_documented_files_are_good() {
    let folder = Folder::new();
    folder.write("server.toml", SERVER);
    folder.write("agent.toml", AGENT);
    let output = forewarn(folder.path(), &["check", "server.toml", "agent.toml"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(lines(&output.stderr), Vec::<String>::new(), "not even a warning");
    let shown = lines(&output.stdout);
    assert!(shown[0].starts_with("server.toml: good: server aaa-east, 2 listeners, 1 client"), "{shown:?}");
    assert!(shown[1].starts_with("agent.toml: good: "), "{shown:?}");
}

#[test]
fn the_manuals_blocks_are_good() {
    let folder = Folder::new();
    let manual = include_str!("../../docs/configuration.md");
    let blocks: Vec<&str> =
        manual.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    folder.write("server.toml", blocks[0]);
    folder.write("agent.toml", blocks[1]);
    let output = forewarn(folder.path(), &["check", "server.toml", "agent.toml"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn every_mistake_of_ten_is_told_at_once_with_its_place() {
    let folder = Folder::new();
    let wrong = SERVER
        .replace("identity = \"127.0.0.11\"", "identity = \"east\"")
        .replace("kind = \"acct\"", "kind = \"account\"")
        .replace("\"127.0.0.11:1813\"", "\"127.0.0.11\"")
        .replace("notice_key = \"0f", "notice_key = \"zz")
        .replace("groups = [\"staff\"]", "groups = \"staff\"")
        .replace("Session-Timeout = 3600", "Session-Timeout = \"an hour\"")
        .replace("user.groups", "user.group")
        .replace("max = 16", "max = 0")
        .replace("interval = \"1s\"", "interval = 1")
        .replace("kind = \"process\"", "kind = \"htpt\"")
        .replace("[reconnect]", "[reconect]");
    folder.write("server.toml", &wrong);
    let output = forewarn(folder.path(), &["check", "--json", "server.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let verdicts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = verdicts[0]["findings"].as_array().unwrap();
    let places: Vec<(u64, &str)> =
        findings.iter().map(|f| (f["line"].as_u64().unwrap(), f["what"].as_str().unwrap())).collect();
    let line_of = |text: &str| wrong.lines().position(|line| line.contains(text)).unwrap() as u64 + 1;
    for text in [
        "identity = \"east\"",
        "\"account\"",
        "address = \"127.0.0.11\"",
        "\"zz",
        "groups = \"staff\"",
        "an hour",
        "user.group'",
        "max = 0",
        "interval = 1",
        "\"htpt\"",
        "[reconect]",
    ] {
        assert!(places.iter().any(|(line, _)| *line == line_of(text)), "{text} isn't told of: {places:#?}");
    }
    assert_eq!(findings.len(), 11, "{places:#?}");
    assert!(findings.iter().all(|finding| !finding["hint"].as_str().unwrap().is_empty()), "{findings:#?}");

    let refused = forewarnd(&folder, "server.toml");
    assert_eq!(refused.status.code(), Some(1), "the server refuses it too");
    assert_eq!(lines(&refused.stderr).len(), 11, "{refused:?}");
    assert!(!folder.path().join("state").exists(), "and has touched nothing");
}

#[test]
fn an_agents_mistakes_are_told_by_the_agent() {
    let folder = Folder::new();
    folder.write("agent.toml", &AGENT.replace("quiet = \"300ms\"", "quite = \"300ms\""));
    let output = forewarn(folder.path(), &["check", "agent.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let told = lines(&output.stderr);
    assert!(told[0].contains("agent.toml:43:1: unknown key `quite`"), "{told:?}");
}

#[test]
fn status_is_readable_in_a_pipe_and_as_json() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let server = Server::start(&plain(host, &hosts));
    let text = server.forewarn(&["status"]);
    assert!(text.status.success() && !text.stdout.contains(&0x1b), "{text:?}");
    assert!(
        String::from_utf8_lossy(&text.stdout).contains(&format!("east  server {host}  SERVING for ")),
        "{text:?}"
    );
    for target in ["east", "state", "state/control.sock", "."] {
        let output = server.forewarn(&["status", "--json", target]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found[0]["program"]["name"], "east", "{target}: {output:?}");
    }
    let nobody = server.forewarn(&["status", "west"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(lines(&nobody.stderr)[0].ends_with("what runs here: east"), "{nobody:?}");
}

#[test]
fn a_second_instance_is_refused_by_name() {
    let mut hosts = Hosts::claim();
    let text = plain(hosts.host(), &hosts);
    let server = Server::start(&text);
    let who = format!("forewarnd (process {})", server.pid());
    let same = forewarnd(server.folder(), "server.toml");
    assert_eq!(same.status.code(), Some(1));
    assert!(lines(&same.stderr)[0].contains(&format!("state is in use by {who}")), "{same:?}");
    server.folder().write("other.toml", &text.replace("state_dir = \"state\"", "state_dir = \"other\""));
    let other = forewarnd(server.folder(), "other.toml");
    assert_eq!(other.status.code(), Some(1));
    let told = lines(&other.stderr);
    assert_eq!(told.len(), 2, "auth and acct: {told:?}");
    assert!(told.iter().all(|line| line.contains(&format!("is in use by {who}"))), "{told:?}");
    assert_eq!(server.status()["watch"]["state"], "serving", "the first one hasn't noticed");
}

#[test]
fn a_reload_takes_users_and_clients_over_and_loses_nothing() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let text = plain(host, &hosts);
    let server = Server::start(&text);
    let stop = Arc::new(AtomicBool::new(false));
    let traffic = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut lost = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let answer = ask(host, ALICE, "5");
                if !answer.contains("Access-Accept") {
                    lost.push(answer);
                }
            }
            lost
        })
    };
    for round in 0..5 {
        let user = format!("\n[[user]]\nname = \"carol-{round}\"\npassword = \"x{round}\"\n");
        server.rewrite(&format!("{text}{user}"));
        if round % 2 == 0 {
            let output = server.forewarn(&["reload"]);
            assert!(output.status.success(), "{output:?}");
        } else {
            server.signal("HUP");
        }
        let request =
            format!("User-Name = carol-{round}, User-Password = x{round}, Message-Authenticator = 0x00\n");
        eventually("the new user gets in", || {
            ask(host, &request, "5").contains("Access-Accept").then_some(())
        });
    }
    stop.store(true, Ordering::Relaxed);
    assert_eq!(traffic.join().unwrap(), Vec::<String>::new(), "nothing was lost on the way");
    assert_eq!(server.status()["program"]["reloads"], 5);
}

#[test]
fn a_bad_reload_is_refused_with_its_errors_and_the_old_one_goes_on() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let text = plain(host, &hosts);
    let server = Server::start(&text);
    server.rewrite(&text.replace("password = \"wonderland\"", "pasword = \"wonderland\""));
    let output = server.forewarn(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(lines(&output.stderr).iter().any(|line| line.contains("did you mean `password`?")), "{output:?}");
    server.signal("HUP");
    server.says("the old one goes on");
    let answer = ask(host, ALICE, "5");
    assert!(answer.contains("Access-Accept"), "{answer}");
}

#[test]
fn a_reload_says_what_waits_for_the_next_start() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let text = plain(host, &hosts);
    let server = Server::start(&text);
    server.rewrite(
        &text.replace(":1813\"", ":1814\"").replace("state_dir = \"state\"", "state_dir = \"elsewhere\""),
    );
    let output = server.forewarn(&["reload"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    for key in
        ["[[listen]] takes effect at the next start", "[server] state_dir takes effect at the next start"]
    {
        assert!(told.contains(key), "{told}");
    }
    assert!(!server.folder().path().join("elsewhere").exists());
}

#[test]
fn drain_stops_taking_requests_and_resume_takes_them_again() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let server = Server::start(&plain(host, &hosts));
    let drained = server.forewarn(&["drain", "--wait", "east"]);
    assert!(drained.status.success(), "{drained:?}");
    assert_eq!(server.status()["watch"]["state"], "drained");
    let silence = ask(host, ALICE, "0.3");
    assert!(!silence.contains("Access-Accept"), "{silence}");
    assert!(server.forewarn(&["resume", "east"]).status.success());
    let answer = ask(host, ALICE, "5");
    assert!(answer.contains("Access-Accept"), "{answer}");
}

#[test]
fn a_signal_ends_it_well_and_its_socket_is_gone() {
    for name in ["TERM", "INT"] {
        let mut hosts = Hosts::claim();
        let mut server = Server::start(&plain(hosts.host(), &hosts));
        server.signal(name);
        assert!(server.ended().success(), "{name}: {}", server.log());
        assert!(!server.folder().path().join("state/control.sock").exists());
        let status = server.forewarn(&["status", "state"]);
        assert_eq!(status.status.code(), Some(1));
    }
}

#[test]
fn a_hostile_name_stays_on_its_line_of_the_log() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let text = plain(host, &hosts).replace("name = \"alice\"", "name = \"al\\u001b[2J\\nice\"");
    let server = Server::start(&text);
    let wrong = "User-Name = \"al\\033[2J\\nice\", User-Password = guess, Message-Authenticator = 0x00\n";
    ask(host, wrong, "3");
    let log = fs::read(server.folder().path().join("log")).unwrap();
    assert!(!log.contains(&0x1b), "{}", server.log());
    for line in server.log().lines() {
        assert!(line.starts_with("20") || line.is_empty(), "a line of its own: {line}");
        assert!(!line.contains(SECRET) && !line.contains("guess"), "{line}");
    }
}

#[test]
fn overrides_come_from_the_environment_and_the_command_line() {
    let mut hosts = Hosts::claim();
    let text = plain(hosts.host(), &hosts);
    let server = Server::start_in(Folder::new(), &text, &[("FOREWARN_WORKERS__MAX", "3")]);
    let status = server.status();
    let parameters = status["load"]["parameters"].as_array().unwrap();
    assert!(
        parameters.iter().any(|p| p["name"] == "workers_busy" && p["value"] == "0 of 3"),
        "{parameters:#?}"
    );
    let folder = Folder::new();
    folder.write("server.toml", &text);
    let output = Command::new(built("forewarnd"))
        .current_dir(folder.path())
        .args(["-c", "server.toml", "--set", "workers.max=0"])
        .output()
        .unwrap();
    assert!(
        lines(&output.stderr)[0].contains("command line workers.max: `max`: 0 is out of range"),
        "{output:?}"
    );
}
