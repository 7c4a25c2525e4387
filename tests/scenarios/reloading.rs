//! A reload under load: each kind of thing takes effect, and no request is lost.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::exposition::get;
use forewarn_tests::program::forewarn;
use forewarn_tests::radclient::radclient;
use forewarn_tests::{Folder, Hosts, Nas, Server, eventually};
use forewarn_wire::Code;
use serde_json::Value;

/// Traffic from several NASes at once, each request answered before the next, until `stop`.
fn traffic(host: IpAddr, stop: &AtomicBool, answered: &AtomicU64) {
    let nas = Nas::with_secret(host, SECRET);
    for identifier in (0..=u8::MAX).cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // Not sent again: what is lost stays lost.
        let reply = nas.ask("alice", identifier, Duration::from_secs(20));
        assert_eq!(reply.expect("no request is lost").code, Code::ACCESS_ACCEPT);
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

fn asked(host: IpAddr, user: &str, password: &str, secret: &str) -> String {
    let request = format!("User-Name = {user}, User-Password = {password}, Message-Authenticator = 0x00\n");
    radclient((host, 1812).into(), "auth", secret, &request, &["-t", "3"]).text
}

#[test]
fn each_kind_takes_effect_and_no_request_is_lost() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let metrics = SocketAddr::new(host, 9812);
    let folder = Folder::new();
    folder.write("users.toml", "[[user]]\nname = \"dora\"\npassword = \"first\"\n");
    folder.write("more.dictionary", "ATTRIBUTE Our-First 240 string\n");
    let text = |more: &str| {
        let users = "[users]\nfile = \"users.toml\"\n[dictionary]\nfiles = [\"more.dictionary\"]\n";
        config::server(&hosts, "east", host, &[], &format!("{users}{more}"))
    };
    let server = Server::start_in(folder, &text(""), &[]);
    let stop = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        // Also when a check below fails.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        for _ in 0..3 {
            scope.spawn(|| traffic(host, &stop, &answered));
        }
        let reload = |more: &str| {
            server.rewrite(&text(more));
            let output = server.forewarn(&["reload"]);
            assert!(output.status.success(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };

        // The users' file.
        assert!(asked(host, "dora", "first", SECRET).contains("Access-Accept"));
        server.folder().write("users.toml", "[[user]]\nname = \"dora\"\npassword = \"second\"\n");
        reload("");
        assert!(asked(host, "dora", "second", SECRET).contains("Access-Accept"));
        assert!(asked(host, "dora", "first", SECRET).contains("Access-Reject"));

        // A dictionary file, by a signal; a user's reply has an attribute of it.
        server.folder().write("more.dictionary", "ATTRIBUTE Our-Second 241 string\n");
        let user = "[[user]]\nname = \"eve\"\npassword = \"x\"\nreply = { Our-Second = \"hello\" }\n";
        server.rewrite(&text(user));
        server.signal("HUP");
        eventually("the new attribute arrives", || {
            asked(host, "eve", "x", SECRET).contains("Attr-241 = 0x68656c6c6f").then_some(())
        });

        // A client's secret.
        let client =
            "[[client]]\nname = \"own\"\naddress = \"127.0.0.1/32\"\nsecret = \"another secret, and long\"\n";
        let changed = text("").replace(
            &format!("name = \"loopback\"\naddress = \"127.0.0.1\"\nsecret = \"{SECRET}\"\n"),
            client.strip_prefix("[[client]]\n").unwrap(),
        );
        server.rewrite(&changed);
        assert!(server.forewarn(&["reload"]).status.success());
        assert_eq!(
            server.status()["clients"].as_array().unwrap().iter().filter(|c| c["name"] == "own").count(),
            1
        );

        // A policy.
        reload("[[policy]]\nname = \"no dora\"\nwhen = 'user.name == \"dora\"'\naction = \"reject\"\n");
        assert!(asked(host, "dora", "second", SECRET).contains("Access-Reject"));

        // Thresholds and workers.
        let limits = text("").replace("failover_after = 2", "failover_after = 2\nfailover_threshold = 0.97");
        server.rewrite(&format!("{limits}[workers]\nmax = 5\n"));
        assert!(server.forewarn(&["reload"]).status.success());
        let status = server.status();
        assert_eq!(status["load"]["failover_threshold"], 0.97);
        eventually("the pool has five", || {
            let parameters = server.status()["load"]["parameters"].as_array()?.clone();
            parameters.iter().any(|p| p["value"].as_str().is_some_and(|v| v.ends_with(" of 5"))).then_some(())
        });

        // The log's form, and metrics.
        reload(&format!("[log]\nformat = \"json\"\n[metrics]\nlisten = \"{metrics}\"\n"));
        assert_eq!(get(metrics, "/metrics", "*/*").unwrap().status, 200);
        reload("[log]\nformat = \"json\"\nlevel = \"warn\"\n");
        server.says("{\"time\":");
        assert!(get(metrics, "/metrics", "*/*").is_none());

        // What can't change now is said, and the rest of the file is in force.
        let said = reload("[workers]\nqueue = 77\n[[user]]\nname = \"fay\"\npassword = \"y\"\n");
        assert!(said.contains("[workers] queue takes effect at the next start"), "{said}");
        assert!(asked(host, "fay", "y", SECRET).contains("Access-Accept"));
    });
    let rate = answered.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    println!("{rate:.0} requests/s while reloading");
    assert!(answered.load(Ordering::Relaxed) > 300, "there was load");
    assert!(server.status()["program"]["reloads"].as_u64().unwrap() >= 8);
}

/// Ten mistakes of ten kinds, in the sections an operator of a FreeRADIUS replacement writes.
const MISTAKES: [(&str, &str); 12] = [
    ("[sql]\nengine = \"mysql\"\n", "engine"),
    ("[metrics]\nlisten = \"9812\"\n", "listen"),
    ("[log]\nformat = \"xml\"\n", "format"),
    (
        "[[policy]]\nname = \"typed wrongly\"\nwhen = 'request.nas_port == \"five\"'\naction = \"reject\"\n",
        "==",
    ),
    ("[ldap]\nsurl = \"ldap://127.0.0.1\"\n", "surl"),
    ("[drain]\ndeadline = \"20 seconds\"\n", "deadline"),
    ("[[user]]\nname = \"alice\"\npassword = \"again\"\n", "alice"),
    ("[[client]]\nname = \"far\"\naddress = \"300.0.0.1\"\nsecret = \"long enough to be one\"\n", "address"),
    ("[[user]]\nname = \"eve\"\npassword = \"x\"\nreply = { Sesion-Timeout = 5 }\n", "Sesion-Timeout"),
    (
        "[[client]]\nname = \"near\"\naddress = \"127.0.0.3\"\nsecret_file = \"nowhere.secret\"\n",
        "secret_file",
    ),
    ("[workers]\nmax = 0\n", "max"),
    (
        "[[service]]\nname = \"x\"\nrole = \"vital\"\ncheck = { kind = \"tcp\", address = \"127.0.0.1:1\" }\n",
        "role",
    ),
];

#[test]
fn a_dozen_mistakes_of_a_dozen_kinds_are_told_with_their_places_and_change_nothing() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let good = config::server(&hosts, "east", host, &[], "");
    let server = Server::start(&good);
    let before = server.status();
    let wrong = MISTAKES
        .iter()
        .fold(good.clone(), |text, (mistake, _)| format!("{text}\n# mistake\n{mistake}"))
        // Two tables of one name are no TOML.
        .replacen("[drain]\ndeadline = \"2s\"\n", "", 1);
    server.rewrite(&wrong);

    let output = forewarn(server.folder().path(), &["check", "--json", "server.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let verdicts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = verdicts[0]["findings"].as_array().unwrap();
    let lines: Vec<&str> = wrong.lines().collect();
    let marks: Vec<usize> = (0..lines.len()).filter(|line| lines[*line] == "# mistake").collect();
    for (index, (mistake, key)) in MISTAKES.iter().enumerate() {
        let (from, to) = (marks[index] + 1, marks.get(index + 1).copied().unwrap_or(lines.len()));
        let told: Vec<&Value> = findings
            .iter()
            .filter(|finding| (from as u64 + 1..=to as u64).contains(&finding["line"].as_u64().unwrap()))
            .filter(|finding| finding["severity"] == "error")
            .collect();
        assert!(!told.is_empty(), "not told of: {mistake}\n{findings:#?}");
        let right = |finding: &&&Value| {
            let line = finding["line"].as_u64().unwrap() as usize - 1;
            lines[line].contains(key) && finding["column"].as_u64() >= Some(1)
        };
        assert!(told.iter().any(|finding| right(&finding)), "in its place: {mistake}\n{told:#?}");
        assert!(told.iter().all(|finding| !finding["hint"].as_str().unwrap().is_empty()), "{told:#?}");
    }

    let output = server.forewarn(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let placed = told.lines().filter(|line| line.contains("server.toml:")).count();
    assert!(placed >= MISTAKES.len(), "each with file, line and column: {told}");
    let after = server.status();
    for unchanged in [&["program", "reloads"], &["program", "started_at"], &["load", "failover_threshold"]] {
        assert_eq!(after[unchanged[0]][unchanged[1]], before[unchanged[0]][unchanged[1]]);
    }
    assert_eq!(after["counters"]["reloads.refused"], 1);
    assert_eq!(after["clients"].as_array().unwrap().len(), before["clients"].as_array().unwrap().len());
    assert!(asked(host, "alice", "wonderland", SECRET).contains("Access-Accept"));
    assert!(asked(host, "eve", "x", SECRET).contains("Access-Reject"));
}

#[test]
fn a_refused_files_warnings_are_warnings() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let good = config::server(&hosts, "east", host, &[], "");
    let server = Server::start(&good);
    let weak =
        "[[client]]\nname = \"weak\"\naddress = \"127.0.0.3\"\nsecret = \"short\"\n[workers]\nmax = 0\n";
    server.rewrite(&format!("{good}{weak}"));
    assert!(!server.forewarn(&["reload"]).status.success());
    let log = server.says("`max`: 0 is out of range");
    let line =
        |text: &str| log.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {log}"));
    assert!(line("warning:").contains(" WARN "), "{log}");
    assert!(line("out of range").contains(" ERROR "), "{log}");
}
