//! The record each request leaves: who, what, why, and what to change.

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::names::{OCTETS, TEXTS, is_harmless};
use forewarn_tests::{Folder, Hosts, Nas, Postgres, Server, eventually};
use forewarn_wire::{Code, number};
use serde_json::Value;

const SECONDS: Duration = Duration::from_secs(20);

fn site(more: &str) -> (Hosts, IpAddr, Server) {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let server = Server::start(&config::server(&hosts, "east", host, &[], more));
    (hosts, host, server)
}

/// Sends an Access-Request of this name, with the right password for alice, and gives the reply's code.
fn ask(nas: &Nas, identifier: u8, name: &[u8], calling: &[u8]) -> Code {
    let request = nas.access_with(identifier, |writer, key, authenticator| {
        writer.attribute(number::USER_NAME, name).expect("room");
        writer.attribute(number::CALLING_STATION_ID, calling).expect("room");
        writer.user_password(key, authenticator, b"wonderland").expect("room");
    });
    nas.send_access(&request);
    nas.reply(&request, SECONDS).expect("a reply").code
}

fn records(folder: &Folder, file: &str, count: usize) -> Vec<String> {
    let path = folder.path().join(file);
    eventually("the records are there", || {
        let octets = fs::read(&path).ok()?;
        let text = String::from_utf8(octets).expect("what isn't UTF-8 is escaped");
        let lines: Vec<String> =
            text.lines().filter(|line| line.contains("decision")).map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

#[test]
fn hostile_names_stay_in_their_line_whatever_its_form() {
    for format in ["text", "json"] {
        let more = format!("[log]\nformat = \"{format}\"\ndecisions = \"all\"\n");
        let (_hosts, host, server) = site(&more);
        let hostile: Vec<&[u8]> = TEXTS.iter().map(|text| text.as_bytes()).chain(OCTETS).collect();
        // Side by side: each reject takes its second.
        std::thread::scope(|scope| {
            for (number, name) in hostile.iter().copied().enumerate() {
                scope.spawn(move || {
                    let nas = Nas::with_secret(host, SECRET);
                    assert_eq!(ask(&nas, number as u8, name, name), Code::ACCESS_REJECT, "{name:?}");
                    let accounting = nas.access_with(0, |_, _, _| {});
                    assert!(!accounting.is_empty());
                });
            }
        });
        let lines = records(server.folder(), "log", hostile.len());
        assert_eq!(lines.len(), hostile.len(), "one request, one line: {lines:#?}");
        let log = fs::read(server.folder().path().join("log")).unwrap();
        assert!(is_harmless(&log), "{}", server.log());
        for line in server.log().lines() {
            assert!(
                line.starts_with("20") || line.starts_with("{\"time\":\"20"),
                "a line of its own: {line}"
            );
            assert!(!line.contains("wonderland"), "{line}");
        }
        for line in &lines {
            assert!(line.contains("access-reject") && line.contains("unknown-user"), "{line}");
        }
        if format == "json" {
            let users: Vec<Value> = lines
                .iter()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["user"].take())
                .collect();
            for name in TEXTS {
                assert!(
                    users.iter().any(|user| user == name),
                    "{name:?} comes out as it went in: {users:#?}"
                );
            }
            assert!(users.iter().any(|user| user == "al\\xff\\xfeice"), "{users:#?}");
        }
    }
}

#[test]
fn a_record_says_what_decided_and_what_to_change() {
    let (_hosts, host, server) = site(
        "[log]\nformat = \"json\"\n\n[[policy]]\nname = \"no guests here\"\nwhen = 'request.calling_station_id == \"guest\"'\n\
         action = \"reject\"\n",
    );
    let nas = Nas::with_secret(host, SECRET);
    assert_eq!(ask(&nas, 1, b"alice", b"desk"), Code::ACCESS_ACCEPT);
    assert_eq!(ask(&nas, 2, b"alice", b"guest"), Code::ACCESS_REJECT);
    let lines = records(server.folder(), "log", 1);
    assert_eq!(lines.len(), 1, "an accepted one leaves none unless asked for: {lines:#?}");
    let record: Value = serde_json::from_str(&lines[0]).unwrap();
    for (field, value) in [
        ("level", "INFO"),
        ("message", "decision"),
        ("answer", "access-reject"),
        ("cause", "policy"),
        ("client", "hosts"),
        ("user", "alice"),
        ("calling_station", "guest"),
        ("method", "pap"),
        ("decided_by", "no guests here"),
    ] {
        assert_eq!(record[field], value, "{record:#}");
    }
    assert!(record["latency_ms"].as_f64().unwrap() > 0.0 && !record["hint"].as_str().unwrap().is_empty());
    assert!(record["source"].as_str().unwrap().starts_with(&host.to_string()), "{record:#}");
}

#[test]
fn a_record_and_an_explanation_name_the_check_item_that_decided() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let database = Postgres::with_schema(hosts.host());
    let mut rows = String::from(
        "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime)
            VALUES ('one', 'one', 'heidi', '192.0.2.1', now());",
    );
    let people = [
        ("erin", "NAS-Port", "==", "99", "no-password"),
        ("frank", "Expiration", ":=", "1 Jan 2020", "expired"),
        ("grace", "Auth-Type", ":=", "Reject", "auth-type-reject"),
        ("heidi", "Simultaneous-Use", ":=", "1", "too-many-sessions"),
    ];
    for (id, (name, attribute, op, value, _)) in (1..).zip(people) {
        rows += &format!(
            "INSERT INTO radcheck (id, username, attribute, op, value) VALUES
                ({id}, '{name}', '{attribute}', '{op}', '{value}'),
                ({id} + 100, '{name}', 'Cleartext-Password', ':=', 'wonderland');"
        );
    }
    database.execute(&rows);
    let more = database.section() + "[log]\nformat = \"json\"\n";
    let server = Server::start(&config::server(&hosts, "east", host, &[], &more));
    let nas = Nas::with_secret(host, SECRET);
    for (id, (name, attribute, op, value, cause)) in (1..).zip(people) {
        assert_eq!(ask(&nas, id, name.as_bytes(), b"desk"), Code::ACCESS_REJECT, "{name}");
        let lines = records(server.folder(), "log", usize::from(id));
        let record: Value = serde_json::from_str(&lines[usize::from(id) - 1]).unwrap();
        let by = format!("radcheck row {id} ({name:?}): {attribute} {op} {value:?}");
        assert_eq!((record["cause"].as_str(), record["decided_by"].as_str()), (Some(cause), Some(&*by)));
        server.folder().write("request", &format!("User-Name = {name}\nUser-Password = wonderland\n"));
        let arguments =
            ["explain", "-c", "server.toml", "--client", "hosts", "--request", "request", "--json"];
        let output = server.forewarn(&arguments);
        let explained: Value = serde_json::from_slice(&output.stdout).expect("it is explained");
        let (by, cause) = (&record["decided_by"], &record["cause"]);
        assert_eq!((&explained["decided_by"], &explained["cause"]), (by, cause), "{explained:#}");
    }
}

#[test]
fn records_may_have_a_file_of_their_own_that_a_reload_opens_anew() {
    let more = "[log]\ndecisions = \"all\"\ndecision_file = \"decisions.log\"\n";
    let (hosts, host, server) = site(more);
    let nas = Nas::with_secret(host, SECRET);
    assert_eq!(ask(&nas, 1, b"alice", b"first"), Code::ACCESS_ACCEPT);
    records(server.folder(), "decisions.log", 1);
    let path = |name: &str| server.folder().path().join(name);
    fs::rename(path("decisions.log"), path("decisions.log.1")).unwrap();
    assert!(server.forewarn(&["reload"]).status.success());
    assert_eq!(ask(&nas, 2, b"alice", b"second"), Code::ACCESS_ACCEPT);
    let lines = records(server.folder(), "decisions.log", 1);
    assert!(lines.len() == 1 && lines[0].contains("second"), "{lines:#?}");
    assert!(!server.log().contains("decision answer"), "{}", server.log());

    server.rewrite(&config::server(&hosts, "east", host, &[], "[log]\ndecisions = \"none\"\n"));
    assert!(server.forewarn(&["reload"]).status.success());
    assert_eq!(ask(&nas, 3, b"mallory", b"third"), Code::ACCESS_REJECT);
    assert_eq!(server.status()["counters"]["decisions.written"], 2);
}

#[test]
fn the_log_is_json_from_its_first_line_when_told_so() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let folder = Folder::new();
    let file = folder.write("server.toml", &config::server(&hosts, "east", host, &[], "[nonsense]\n"));
    let output = std::process::Command::new(forewarn_tests::program::built("forewarnd"))
        .args(["--log-format", "json", "-c"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["level"], "ERROR", "{text}");
    assert!(line["message"].as_str().unwrap().contains("unknown key `nonsense`"), "{text}");
}
